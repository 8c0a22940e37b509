/*
 * reader: one shard on its lane, from its lease's checkpoint to its end: iterator, pages, records into the sink,
 * acknowledgements into the window, the window's position into the lease.
 *
 *            .--------------------------- expired ------------------------------.
 *            v                                                                   |
 *   ITERATOR -> WAITING -> READING -> FEEDING -> (more) WAITING      -> READING -'
 *                                        |
 *                                        '-> (last page) DRAINING -> ENDED -> CLOSING -> CLOSED
 *   any but CLOSED -> CLOSING (stop, lost lease)
 */
#ifndef SOURCE_READER_H
#define SOURCE_READER_H

#include "base/backoff.h"
#include "base/stall.h"
#include "source/feed.h"
#include "source/lease_holder.h"
#include "source/pace.h"
#include "source/shard.h"
#include "source/shard_clock.h"

#include <aws/common/linked_list.h>

struct worker;

enum reader_state {
    READER_ITERATOR, /* GetShardIterator under way, or its retry */
    READER_WAITING,  /* for the next poll, for memory, or for the lease to be renewed */
    READER_READING,  /* GetRecords under way */
    READER_FEEDING,  /* a page's records go to the sink; it may be full */
    READER_DRAINING, /* all read; not all acknowledged */
    READER_ENDED,    /* all acknowledged; told the coordinator */
    READER_CLOSING,  /* the last write of the lease */
    READER_CLOSED,
};

/* Whether it moves: what the worker looks at now and then. */
struct reader_pulse {
    uint64_t steps;      /* of its own: a new state, a timer set */
    uint64_t pages;      /* that came */
    struct stall step;   /* no step, though nothing holds it up */
    struct stall page;   /* no page, though nothing here holds it up */
    struct stall ack;    /* the acknowledged position, with records in flight */
    struct stall lease;  /* the lease's renewal */
    struct stall writes; /* the tries to write it */
};

struct reader {
    struct worker *worker;
    struct shard *shard;
    uint32_t slot; /* in the worker; part of each record's token */
    enum reader_state state;
    struct lease_holder holder; /* unless leases are not kept */
    struct feed feed;
    struct service_call *call;
    struct lane_timer timer;
    struct backoff backoff;

    struct position start;  /* where it began */
    int64_t service_ms;     /* the service's clock when the iterator came */
    uint64_t service_at_ms; /* and the lane's then */
    bool told_gap;          /* what it begins with is known to be not the beginning */
    uint32_t horizon_moves; /* in a row: the oldest record was trimmed between iterator and read */
    bool tried_timestamp;   /* the service was asked for an iterator at that time, once */
    struct buf iterator;

    struct pace pace;
    struct shard_clock clock;
    bool drained; /* the last page was empty: not behind */
    struct reader_pulse pulse;
    bool told_tip;
    bool stopping;
    bool handing_over; /* another worker asked for the lease */
    enum shard_result result;
    struct aws_linked_list_node queue_node; /* in the worker's list of readers waiting for room */
    bool queued;
    bool waits; /* for its session in the sink, or the session's base */
};

/* Starts reading. The shard's lease was taken by this worker. NULL when out of memory. */
struct reader *reader_new(struct worker *worker, uint32_t slot, struct shard *shard,
                          uint64_t first_ordinal);
/* Only when CLOSED, or when its worker gives up. */
void reader_free(struct reader *reader);

void reader_acked(struct reader *reader, uint64_t ordinal);
/* The sink found out that the record cannot be delivered. */
void reader_refused(struct reader *reader, uint64_t ordinal, const struct err *err);
/* The sink asks: may this record be sent, and what follows it? */
bool reader_may_send(const struct reader *reader, uint64_t ordinal);
/* The sink will not send this record, if it is one of the reader's. */
void reader_call_off(struct reader *reader, uint64_t ordinal);
/* There is room again in the sink or in the memory budget. */
void reader_resume(struct reader *reader);
/* The children's leases are made: write SHARD_END. */
void reader_finish(struct reader *reader);
/* Stop reading, wait for the receipts, release. */
void reader_stop(struct reader *reader);
/* Release with what is acknowledged, without waiting for more. */
void reader_stop_now(struct reader *reader);
/* Whether it should be reading now: it waits for no receipt, no room, no memory, and not for the lease. */
bool reader_should_read(const struct reader *reader);
/* Lag in ms: 0 at the tip. */
uint64_t reader_behind_ms(const struct reader *reader);

#endif
