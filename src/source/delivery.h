/*
 * delivery: the way of one shard's records into the sink: through its lane's, or, effectively once, through a session of its
 * own, opened at the first record, with messages numbered as numbering.h says and their base in the lease before any is sent.
 *
 * Lane thread only.
 */
#ifndef SOURCE_DELIVERY_H
#define SOURCE_DELIVERY_H

#include "sink/sink.h"
#include "source/lease_holder.h"
#include "source/numbering.h"

struct delivery_options {
    struct sink *sink;           /* the lane's; outlives the delivery */
    struct lease_holder *holder; /* the shard's; NULL when leases are not kept */
    struct str session;          /* its name; STR_NONE: the lane's sink itself. Borrowed */
    struct str routing;          /* how records get keys and partitions; borrowed */
};

struct delivery {
    struct delivery_options options;
    struct sink_events events; /* to its owner, of a session */
    void *ctx;
    struct sink *session;
    bool ready; /* the session is */
    bool based; /* the base is in the lease */
    struct numbering numbering;
};

/* Of the holder's lease; next_ordinal is that of the first record behind its checkpoint. A session's events are as a sink's;
 * after `writable`, `ready` and the holder's `renewed` what was told to wait may go. */
void delivery_init(struct delivery *delivery, const struct delivery_options *options,
                   const struct sink_events *events, void *ctx, uint64_t next_ordinal);

enum delivery_result {
    DELIVERY_TAKEN,
    DELIVERY_LATER,   /* nothing taken */
    DELIVERY_REFUSED, /* this message can never be sent: err */
    DELIVERY_FAILED,  /* none can be: err */
};
/* In the order of ordinals. message->id is set here. */
enum delivery_result delivery_put(struct delivery *delivery, struct sink_message *message,
                                  const struct seqno *seqno, uint64_t ordinal, uint64_t token,
                                  struct err *err);
void delivery_flush(struct delivery *delivery);
/* What waits for room must say so to the lane's sink's other users: false; a session tells by itself: true. */
static inline bool delivery_tells(const struct delivery *delivery) {
    return delivery->options.session.ptr != NULL;
}
/* Records are missing in front of the next ordinal. */
void delivery_break(struct delivery *delivery, uint64_t next_ordinal);
/* The checkpoint's record had this ordinal. */
void delivery_mark(const struct delivery *delivery, uint64_t ordinal, struct position *position);
/* Ends the session, if there is one, without waiting: no event of it comes any more. The next delivery_put opens another. */
void delivery_close(struct delivery *delivery);

#endif
