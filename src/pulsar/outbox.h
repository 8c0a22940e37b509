/*
 * outbox: the messages of one partition, from when they are taken until they are reported: the
 * open batches, and the queue of sealed ones that wait for their receipts. It numbers them, keeps
 * them in order and within their bounds, and knows which receipt means what. No connection, no
 * events: its partition brings the one and raises the others.
 */
#ifndef PULSAR_OUTBOX_H
#define PULSAR_OUTBOX_H

#include "base/lane.h"
#include "pulsar/batch_pool.h"
#include "pulsar/open_set.h"

/* Over all producers of a client. */
struct memory_budget {
    size_t held_bytes;
    size_t max_bytes;
};

/* What the outboxes of a producer have in common; outlives them. */
struct outbox_shared {
    struct lane *lane;
    struct batch_pool *pool;
    struct memory_budget *budget;
    struct compressor compressor;
    struct batch_limits limits; /* but name_len, max_message_size and schema_version, which are each
                                   partition's */
    bool by_key;
    bool explicit_ids;
    uint64_t max_pending_bytes;
    struct pulsar_producer_stats stats;
};

struct outbox {
    struct outbox_shared *shared;
    struct batch_limits limits;
    struct batch_header header; /* names are borrowed from the partition; set by its creation */
    struct open_set open;
    struct batch *pending; /* sealed, oldest first, until their receipts */
    struct batch *last_pending;
    struct batch *unsent; /* the first one not handed to this connection */
    struct batch *known;  /* tokens of messages that the broker had before; NULL: none */
    uint64_t
        next_sequence_id; /* of the next message; with explicit ids the least that is allowed */
    /* Explicit ids: the last one that the broker has stored under this name, -1 for none. What is
     * not above it is a duplicate, and not sent. */
    int64_t last_stored;
    /* Explicit ids: a former owner of the name may have messages on their way that the broker does
     * not count as stored yet, and a batch that begins with one of those would be dropped whole.
     * Until a receipt says that a message was new, one message at a time is sent. */
    bool unproven;
};

bool outbox_init(struct outbox *outbox, struct outbox_shared *shared);
/* Whatever is left in it goes unreported. All-zero is fine. */
void outbox_done(struct outbox *outbox);

/* As pulsar_producer_send. What is sealed by it waits in `unsent`. */
enum pulsar_send outbox_put(struct outbox *outbox, const struct pulsar_message *message,
                            uint64_t token, struct err *err);
/* A message would find it free but for memory: it is not waiting for a proof. */
bool outbox_can_put(const struct outbox *outbox);
void outbox_seal(struct outbox *outbox);
static inline bool outbox_has_open(const struct outbox *outbox) {
    return outbox->open.first != NULL;
}
/* When the oldest message that is not reported was taken; 0 when there is none. */
uint64_t outbox_oldest_ns(const struct outbox *outbox);

/* The next batch to hand to the connection, or NULL. It stays in the queue. */
struct batch *outbox_next_unsent(struct outbox *outbox);
/* That batch is not to be sent after all. It is reported when its turn comes. */
void outbox_call_off(struct batch *batch);
/* The oldest batch needs no receipt to be reported. */
static inline bool outbox_has_settled(const struct outbox *outbox) {
    return outbox->pending != NULL && outbox->pending->settled;
}
/* A new connection: everything that waits is handed over again. */
void outbox_rewind(struct outbox *outbox);
/* The largest frame that waits, in bytes; 0: none does. */
size_t outbox_largest_frame(const struct outbox *outbox);

enum outbox_match {
    OUTBOX_OLD,    /* the echo of an earlier report */
    OUTBOX_OLDEST, /* of the oldest batch, which has left the queue: *ret_batch, to be released */
    OUTBOX_FUTURE, /* of a batch that is not the oldest, or not sent: the broker broke the protocol */
};
enum outbox_match outbox_match(struct outbox *outbox, uint64_t sequence_id,
                               struct batch **ret_batch);
/* The batch of a SEND_ERROR, which names its first or last id; NULL: none that waits. */
struct batch *outbox_find(const struct outbox *outbox, uint64_t sequence_id);
/* The broker will never take it. It is reported when its turn comes. False when out of memory. */
bool outbox_refuse(struct batch *batch, const struct err *err);
/* The oldest batch, if no receipt is needed to report it, leaves the queue; else NULL. */
struct batch *outbox_take_settled(struct outbox *outbox);
/* Everything leaves, sealed or not, as a list by `next` in the order of taking. */
struct batch *outbox_take_all(struct outbox *outbox);
/* The known duplicates leave; NULL: there are none. */
struct batch *outbox_take_known(struct outbox *outbox);
/* Takes a batch that left out of the figures of what is in flight: before it is reported. */
void outbox_uncount(struct outbox *outbox, const struct batch *batch);

#endif
