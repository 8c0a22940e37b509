/*
 * lease_holder: keeps one held lease alive and its checkpoint up to date. The only writer of a held lease, one write
 * in flight: every renewal carries the acknowledged position, so that checkpoints cost no extra write.
 *
 * Lane thread only. Events are never raised inside a call.
 */
#ifndef SOURCE_LEASE_HOLDER_H
#define SOURCE_LEASE_HOLDER_H

#include "base/backoff.h"
#include "source/lease_table.h"
#include "source/measures.h"

struct lease_holder_options {
    struct lease_table *table;
    struct lane *lane;
    uint64_t failover_ms;
    uint64_t checkpoint_interval_ms; /* adds writes only when shorter than failover/3 */
    uint64_t backoff_ms;             /* pause after a throttled write (backoffTime) */
    uint32_t retries; /* of a throttled or failed write (numRetries); then the next interval */
};

struct lease_holder_events {
    /* The newest position that may be written: false when it has not moved since the lease was taken. */
    bool (*position)(void *ctx, struct position *ret_position);
    /* Renewed: reading may go on if it was held back. */
    void (*renewed)(void *ctx);
    /* Another worker has asked for it, for the first time: lease_holder_hand_over when all is acknowledged. */
    void (*wanted)(void *ctx);
    /* Another worker has the lease, or it is gone. Nothing more is written. */
    void (*lost)(void *ctx, const struct err *err);
    /* lease_holder_finish, _release or _hand_over has been written (err NULL), or a release was given up. */
    void (*closed)(void *ctx, const struct err *err);
    /* The table was deleted, or every write is refused: nothing can be kept. */
    void (*failed)(void *ctx, const struct err *err);
};

struct lease_holder {
    struct lease_holder_options options;
    struct lease_holder_events events;
    void *ctx;
    struct lease lease;      /* as the table holds it */
    struct lane_timer timer; /* the next write */
    struct backoff backoff;
    uint32_t tries;      /* of the write that keeps failing */
    uint64_t renewed_ns; /* when the last successful write was *started* */
    uint64_t write_started_ns;
    struct measure write_success; /* of all writes, and of those that move the checkpoint */
    struct measure write_ms;
    struct measure checkpoint_success;
    struct measure checkpoint_ms;
    uint64_t
        unclear_since_ns; /* start of the first write since then that may have been applied; 0: none */
    struct numbering_base base; /* to be in the lease; not set: as it is */
    bool writing;
    bool moves_checkpoint; /* the write under way, or the last one */
    bool stopped;          /* lost, closed or failed: nothing more is written */
    bool closing;          /* finish, release or hand-over wanted */
    bool releasing;        /* the last write may be given up after its tries */
    bool finish;
    bool hand_over;
    bool told_wanted;
};

/* The lease was taken just now, by a write started at taken_ns. Starts renewing. */
void lease_holder_start(struct lease_holder *holder, const struct lease_holder_options *options,
                        const struct lease_holder_events *events, void *ctx,
                        const struct lease *lease, uint64_t taken_ns);
/* By the monotonic clock, does the lease still hold? When not, nothing may be read or sent for it. */
bool lease_holder_is_valid(const struct lease_holder *holder);
/* Whether this base is in the lease; when not, it is written, and `renewed` follows. */
bool lease_holder_has_base(struct lease_holder *holder, const struct numbering_base *base);
/* By the service's clock, until then there was nothing to read, or nothing any more: the next renewal notes it, when that
 * is news (to the hour), for who reads the shard next. */
void lease_holder_note_read(struct lease_holder *holder, int64_t until_ms);
/* Writes SHARD_END, keeping the lease's owner, however often it takes. */
void lease_holder_finish(struct lease_holder *holder);
/* Writes the newest position and gives the lease back; gives up after the tries. What is being finished or handed over
 * still is, with no more tries than that. */
void lease_holder_release(struct lease_holder *holder);
/* Writes the newest position and makes whoever asked the owner, however often it takes; gives it back when nobody asks
 * any more. */
void lease_holder_hand_over(struct lease_holder *holder);
/* No further event; what is under way must be cancelled by freeing the table, or has ended. */
void lease_holder_stop(struct lease_holder *holder);

#endif
