/*
 * lease_maker: makes the leases that are missing, several at a time, each after its parent's: a crash leaves a lineage's
 * beginning, never its end alone.
 *
 * Lane 0 only. Events are never raised inside a call that had something to write.
 */
#ifndef SOURCE_LEASE_MAKER_H
#define SOURCE_LEASE_MAKER_H

#include "base/backoff.h"
#include "source/lease_table.h"
#include "source/shard.h"
#include "source/worker.h"

struct lease_maker_events {
    /* The node's shard; NULL when out of memory, which was reported. */
    struct shard *(*shard_of)(void *ctx, struct shard_node *node);
    /* There is a lease, ours or another's: the shard shows it. */
    void (*made)(void *ctx, struct shard *shard);
    /* All that were missing are made. */
    void (*all_made)(void *ctx);
    /* All children of the parent that are known have leases. */
    void (*children_made)(void *ctx, struct shard *parent);
    /* Not this time: search and make them again. */
    void (*children_failed)(void *ctx, struct shard *parent);
    void (*failed)(void *ctx, const struct err *err);
};

struct lease_maker {
    const struct source_common *common;
    struct lease_table *table; /* NULL: leases are not kept, only noted in the shards */
    struct lease_maker_events events;
    void *ctx;
    struct shard_missing *missing; /* being made; NULL: none */
    size_t count;
    size_t next;        /* the first that is not begun */
    uint32_t under_way; /* of these */
    bool failed;        /* one of them, for now */
    struct backoff backoff;
    struct lane_timer timer;
    bool stopped;
};

void lease_maker_init(struct lease_maker *maker, const struct source_common *common,
                      struct lease_table *table, const struct lease_maker_events *events,
                      void *ctx);
/* No further event; writes under way go on until the table is freed. */
void lease_maker_stop(struct lease_maker *maker);
void lease_maker_done(struct lease_maker *maker);

/* Takes over the malloc'ed array. Not while it is busy. The nodes must stay until all_made. */
void lease_maker_make(struct lease_maker *maker, struct shard_missing *missing, size_t count);
bool lease_maker_is_busy(const struct lease_maker *maker);
/* Those of a shard that has ended, whose node is pinned: from their beginning. */
void lease_maker_make_children(struct lease_maker *maker, struct shard *parent);

#endif
