/*
 * frame: cuts what arrives from a broker into frames, however it was split or joined on the way,
 * and reads the one command that is hot, the receipt, without protobuf-c. Pure.
 */
#ifndef PULSAR_FRAME_H
#define PULSAR_FRAME_H

#include "base/buf.h"
#include "base/err.h"

/* On the wire: totalSize(4) | commandSize(4) | command [ | payload ].
 * totalSize does not count itself. */
enum { FRAME_SIZE_BYTES = 4 };

struct frame_reader {
    struct buf partial; /* the frame that is not complete yet, from its totalSize on */
    size_t max;         /* of totalSize */
};

/* The bytes of a command; borrowed for the call. False ends
 * frame_reader_feed, which then returns true. */
typedef bool frame_fn(void *ctx, struct str command);

/* Allocates nothing. */
void frame_reader_init(struct frame_reader *reader, size_t max);
void frame_reader_done(struct frame_reader *reader);

/* Calls fn for every frame completed by these bytes. False and err (PULSAR_PROTOCOL, NOMEM) on
 * bytes that are no frames or on a frame over the limit; the reader is of no use after that. */
bool frame_reader_feed(struct frame_reader *reader, struct str bytes, frame_fn *fn, void *ctx,
                       struct err *err);

struct frame_receipt {
    uint64_t producer_id;
    uint64_t sequence_id; /* of the entry's first message */
    uint64_t ledger_id;   /* UINT64_MAX with entry_id UINT64_MAX: the broker had it already */
    uint64_t entry_id;
};

/* True if the command is a well-formed SEND_RECEIPT. */
bool frame_parse_receipt(struct str command, struct frame_receipt *ret_receipt);

#endif
