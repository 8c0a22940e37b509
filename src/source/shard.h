/*
 * shard: one shard as the coordinator knows it, and the messages by which it and the shard's lane talk. The coordinator
 * owns it; `lease` and `result` are handed over with the messages: whoever was told last may touch them.
 *
 *   coordinator -> lane: open, finish          (and per worker: stop)
 *   lane -> coordinator: tip, ended, closed
 */
#ifndef SOURCE_SHARD_H
#define SOURCE_SHARD_H

#include "source/lease.h"
#include "source/lease_taker.h"
#include "source/shard_graph.h"

#include <aws/common/linked_list.h>

struct claims;
struct coordinator;
struct lease_maker;
struct reader;
struct worker;

enum shard_state {
    SHARD_IDLE, /* not read here: no lease yet, another's lease, or the parent is not finished */
    SHARD_CLAIMING, /* a lease is being created or taken */
    SHARD_OPEN,     /* read by a worker */
    SHARD_ENDED,    /* read and acknowledged to its end; its children's leases are being made */
    SHARD_FINISHED, /* SHARD_END */
};

enum shard_result {
    SHARD_RESULT_FINISHED, /* SHARD_END is written */
    SHARD_RESULT_RELEASED, /* checkpointed, and given back or handed over */
    SHARD_RESULT_LOST,     /* another worker has the lease */
};

struct shard {
    struct coordinator *coordinator;
    struct claims *claims;     /* while it is claimed */
    struct lease_maker *maker; /* while its lease is made */
    struct shard_node *node;
    enum shard_state state;
    bool has_lease;
    struct lease lease;
    struct lease_watch watch;   /* of its lease */
    bool blocked;               /* its parent's lease is unfinished, and the parent not listed */
    bool expired;               /* its owner is gone, as the newest scan saw it */
    uint64_t asked_ns;          /* since when its owner is asked to hand it over; 0: not */
    enum taker_verdict verdict; /* what is to be done about its lease, while queued */
    bool queued;
    bool unclear; /* whether it was asked for, or taken, at asked_ns: the next scan shows it */
    struct aws_linked_list_node claim_node;
    uint64_t claimed_ns;   /* when the write that made or took the lease was started */
    uint32_t scan;         /* the scan that saw its lease last */
    struct worker *worker; /* while OPEN or ENDED */
    struct reader *reader; /* the worker's lane's */
    bool closed;           /* it was known to have an end when it was opened */
    bool reached_tip;
    uint32_t child_tries;  /* searches for children after the end */
    uint64_t child_due_ns; /* the next one */
    int64_t newest_ms;     /* when ENDED: all of its children is younger than that; 0: not known */
    bool child_queued;     /* it waits for it in discovery's list */
    struct aws_linked_list_node ended_node;
    enum shard_result result;
    struct lane_message open_message;
    struct lane_message finish_message;
    struct lane_message tip_message;
    struct lane_message ended_message;
    struct lane_message closed_message;
};

void shard_set_state(struct shard *shard, enum shard_state state);
/* In a queue of claims or not. */
void shard_set_queued(struct shard *shard, bool queued);
/* A new item of the table says so: IDLE or FINISHED. */
void shard_settle(struct shard *shard);
/* It may be read: its parent is absent, without a lease, or FINISHED. */
bool shard_is_ready(const struct shard *shard);

#endif
