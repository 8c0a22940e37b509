/*
 * fake_chunks: messages that come in several entries, put together as a consumer does it: by topic
 * and uuid, whichever connection the chunks came by. Pure.
 */
#ifndef FAKES_FAKE_CHUNKS_H
#define FAKES_FAKE_CHUNKS_H

#include "fakes/fake_frame.h"

struct fake_chunked;

struct fake_chunks {
    struct fake_chunked *first;
};

enum fake_chunk_result {
    FAKE_CHUNK_MORE,  /* taken, or known already */
    FAKE_CHUNK_WHOLE, /* it was the last */
    FAKE_CHUNK_AGAIN, /* it was the last, of a message that was whole before: consumers pass over it */
    FAKE_CHUNK_BAD,
};

void fake_chunks_done(struct fake_chunks *chunks);
/* Adds a chunk. Chunk 0 begins its message anew; one that is known already counts for nothing.
 * BAD with err: one is missing before it, or it does not fit to the others. WHOLE: *ret_body is the
 * message's, as if it had come in one entry; borrowed until fake_chunks_end. */
enum fake_chunk_result fake_chunks_add(struct fake_chunks *chunks, struct str topic,
                                       const Pulsar__MessageMetadata *metadata, struct str piece,
                                       struct str *ret_body, struct err *err);
/* The message was stored: of it remains that it was there. */
void fake_chunks_end(struct fake_chunks *chunks, struct str topic, const char *uuid);

#endif
