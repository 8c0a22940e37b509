/*
 * batch: the messages of one entry, in the memory in which they are sent. Messages are copied
 * behind a room left free for the frame's header; sealing writes the header right-aligned into that
 * room, so a frame is one piece of memory and no byte is copied twice:
 *
 *     | unused | totalSize commandSize command 0e01 crc32c metadataSize metadata | payload |
 *              ^ frame.data                                                      ^ start   ^ end
 *
 * Pure: time, ids and limits are parameters. One lane.
 */
#ifndef PULSAR_BATCH_H
#define PULSAR_BATCH_H

#include "pulsar/compress.h"
#include "pulsar/outgoing.h"
#include "pulsar/producer.h"

struct batch_pool;

struct batch {
    struct outgoing frame; /* data and len: set by batch_seal */
    struct batch_pool *pool;
    struct batch *next; /* in the owner's queue, or the free list */
    char *memory;
    size_t capacity;
    size_t start; /* of the payload */
    size_t end;
    uint64_t *tokens; /* one per message */
    size_t token_capacity;
    uint32_t count; /* of messages; 0 in a chunk that is not the last of its message */
    bool raw;       /* one message, or a chunk of one, without batch format */
    bool is_chunk;
    uint64_t first_sequence_id;
    uint64_t last_sequence_id;
    /* The end of the entry's metadata, already in its place before the payload: what comes from the
     * first message (its keys; of a raw batch all that describes it). */
    size_t tail_len;
    size_t key_at; /* in the tail: the ordering key, else the key; key_len 0: none, or empty */
    size_t key_len;

    /* For the owner. */
    uint64_t opened_ns;
    uint32_t key_hash;
    bool sent;
    bool settled;           /* no receipt will come for it */
    bool called_off;        /* its sender wants it no more: so it is settled */
    bool checksum_refused;  /* the broker found it damaged on its way */
    struct err *refusal;    /* why it is undelivered; freed with the batch */
    struct batch *next_key; /* with the same hash */
};

/* What is the same for all messages of a producer. */
struct batch_limits {
    uint32_t max_messages;
    size_t max_bytes;          /* of a batch before compression; one message alone may be more */
    size_t max_message_size;   /* the broker's: metadata and payload of an entry, before compression
                                too */
    size_t name_len;           /* of the producer's name */
    struct str schema_version; /* empty: none */
    bool raw;                  /* one message a batch, without batch format */
    bool late_ids;             /* sequence ids are given when the batch is sealed: batch_number */
    size_t max_whole_size;     /* of a raw message that will be split into chunks; 0: none is */
};

enum batch_add {
    BATCH_ADDED,
    BATCH_FULL,        /* nothing added: seal it and use another one */
    BATCH_OVER_BUDGET, /* nothing added: its memory would grow by more than allowed */
    BATCH_TOO_LARGE,   /* it fits into no batch: err */
    BATCH_NO_MEMORY,
};

/* Copies the message in. Sequence ids rise within a batch. A raw batch takes one message only.
 * budget: bytes by which its memory may grow. */
enum batch_add batch_add(struct batch *batch, const struct batch_limits *limits,
                         const struct pulsar_message *message, uint64_t sequence_id, uint64_t token,
                         size_t budget, struct err *err);
/* Nothing more fits that is worth waiting for: the count is reached, or the bytes. */
bool batch_is_full(const struct batch *batch, const struct batch_limits *limits);
/* The bytes of its payload so far. */
static inline size_t batch_payload_len(const struct batch *batch) {
    return batch->end - batch->start;
}
/* Whether the message's ordering key, or else its key, is that of the batch's first message. */
bool batch_has_key_of(const struct batch *batch, const struct pulsar_message *message);
/* Only a token: a message that will not be sent, but is to be reported with others. */
bool batch_add_token(struct batch *batch, uint64_t token);

struct batch_header {
    uint64_t producer_id;
    struct str producer_name;
    struct str schema_version; /* as in the limits with which it was filled */
    uint64_t publish_time_ms;
};

/* Of a batch with late ids: the id of its first message. */
void batch_number(struct batch *batch, uint64_t first_sequence_id);

/* Writes the header; the frame's bytes never change after that. Compresses when it helps: then
 * *batch is another batch of the pool. Without memory for that it stays uncompressed. */
void batch_seal(struct batch **batch, struct compressor *compressor,
                const struct batch_header *header);
/* The same for a raw batch that may be over max_message_size even when it is compressed: then *batch
 * becomes a list of chunks, and the token is the last one's. False when out of memory: *batch is
 * not sealed. */
bool batch_seal_in_chunks(struct batch **batch, size_t max_message_size,
                          struct compressor *compressor, const struct batch_header *header);

/* Whether the sealed frame's bytes still have the checksum that stands in it. */
bool batch_checksum_ok(const struct batch *batch);

#endif
