/*
 * claims: gets the leases that this worker should have: takes those that are free, asks other workers to hand over what
 * is too much for them, and takes without being given when nothing came of that.
 *
 * Lane 0 only. Events are never raised inside a call.
 */
#ifndef SOURCE_CLAIMS_H
#define SOURCE_CLAIMS_H

#include "source/lease_table.h"
#include "source/shard.h"
#include "source/worker.h"

struct claims_events {
    /* Its lease is ours: read it. */
    void (*taken)(void *ctx, struct shard *shard);
    /* A claim is over, whatever came of it. */
    void (*settled)(void *ctx);
    void (*failed)(void *ctx, const struct err *err);
};

struct claims {
    const struct source_common *common;
    struct lease_table *table;
    struct shard_graph *graph;
    struct claims_events events;
    void *ctx;
    struct aws_linked_list queue;
    uint32_t under_way;
    uint64_t seen_ns; /* begin of the newest whole scan */
    bool asking;      /* some owner is asked and has not handed over yet */
    bool stopping;
};

void claims_init(struct claims *claims, const struct source_common *common,
                 struct lease_table *table, struct shard_graph *graph,
                 const struct claims_events *events, void *ctx);
/* Decides anew about all leases and begins to carry it out. What the shards' leases are is as the newest whole scan saw it,
 * which began at seen_ns. */
void claims_share(struct claims *claims, uint64_t seen_ns);
/* What was asked for that other worker in vain, or some moments ago: look again soon. */
bool claims_are_asking(const struct claims *claims);
/* Takes the children of a shard that was finished here, if they are free, whatever the balance: nobody else knows as soon. */
void claims_follow(struct claims *claims, const struct shard *parent);
/* Nothing is queued or under way. */
bool claims_are_idle(const struct claims *claims);
/* Takes nothing more. What is taken all the same, or handed over, is given back; what was asked for is not any more. */
void claims_stop(struct claims *claims);

#endif
