/*
 * publisher: sends measures to CloudWatch, under the names of measures.def. One call at a time; what cannot be sent waits,
 * the oldest is dropped when it waits too long, and failures are logged once a minute at most. Whatever CloudWatch does,
 * nobody waits for it.
 *
 * Lane thread only. Events are never raised inside a call.
 */
#ifndef MONITOR_PUBLISHER_H
#define MONITOR_PUBLISHER_H

#include "aws/service.h"
#include "source/source.h"

struct publisher_options {
    struct service *service; /* CloudWatch; outlives it */
    struct str name_space;   /* borrowed */
    bool detailed;           /* also the measures that are marked so */
};

struct publisher_stats {
    uint64_t published; /* data: a statistic set each */
    uint64_t dropped;
    uint64_t failures; /* calls */
};

struct publisher;

/* NULL when out of memory. */
struct publisher *publisher_new(struct lane *lane, const struct publisher_options *options);
/* What a lane measured; taken over. What it has of shards is queued, the rest is added to the process's. */
void publisher_take(struct publisher *publisher, struct measures *measures);
/* A sample of what the process has; the counters rise. */
void publisher_sample(struct publisher *publisher, const struct source_stats *stats);
/* Queues what the process has since the last time. */
void publisher_publish(struct publisher *publisher);
void publisher_get_stats(const struct publisher *publisher, struct publisher_stats *ret_stats);
/* Sends what is queued, for timeout_ms at most, drops the rest, frees it, then calls done. */
void publisher_close(struct publisher *publisher, uint64_t timeout_ms, lane_fn *done, void *ctx);

#endif
