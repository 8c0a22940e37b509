/*
 * fake_frame: Pulsar's frames as the broker double reads and writes them, written apart from
 * src/pulsar so that an error there is not repeated here. A SEND is taken apart completely:
 * checksum, metadata, compression, batch. Pure.
 */
#ifndef FAKES_FAKE_FRAME_H
#define FAKES_FAKE_FRAME_H

#include "base/buf.h"
#include "base/err.h"

#include <pulsar_api.pb-c.h>

enum {
    FAKE_FRAME_PADDING = 10 * 1024
}; /* a broker takes frames this much larger than its message size */

struct fake_frame {
    struct str command; /* the BaseCommand's bytes */
    struct str payload; /* behind the command; empty in a simple frame */
    size_t len;         /* of the whole frame */
};

enum fake_frame_result { FAKE_FRAME_MORE, FAKE_FRAME_OK, FAKE_FRAME_BAD };

/* The frame at the start of input. BAD: its sizes contradict each other, or it is larger than
 * max_size. */
enum fake_frame_result fake_frame_parse(struct str input, size_t max_size,
                                        struct fake_frame *ret_frame);
/* Appends a simple frame. */
void fake_frame_add(struct buf *out, const Pulsar__BaseCommand *command);

uint32_t fake_crc32c(struct str bytes);

/* The payload of a SEND, taken apart as far as its metadata. */
struct fake_entry {
    Pulsar__MessageMetadata *metadata; /* owned */
    struct str body;                   /* behind the metadata; borrowed from the frame */
};

/* Checks the payload of a SEND against its command. False with ERR_PULSAR_PROTOCOL and what is
 * wrong; then there is nothing to free. */
bool fake_entry_open(struct str payload, const Pulsar__CommandSend *send, const char *producer_name,
                     size_t max_message_size, struct fake_entry *ret_entry, struct err *err);
void fake_entry_done(struct fake_entry *entry);

/* One message of an entry. Borrows from the decoded entry. */
struct fake_decoded {
    uint64_t sequence_id;
    int32_t batch_index; /* -1: not in batch format */
    const char *key;     /* NULL: none */
    bool key_is_base64;
    struct str ordering_key; /* ptr NULL: none */
    uint64_t event_time;
    Pulsar__KeyValue **properties;
    size_t property_count;
    struct str value;
    bool null_value;
};

typedef bool fake_decoded_fn(void *ctx, const Pulsar__MessageMetadata *metadata,
                             const struct fake_decoded *message, struct err *err);

/* Calls `each` for every message of an entry in order; body is the entry's, or what its chunks
 * hold together. False with ERR_PULSAR_PROTOCOL and what is wrong. */
bool fake_entry_decode(const Pulsar__MessageMetadata *metadata, struct str body,
                       fake_decoded_fn *each, void *ctx, struct err *err);

#endif
