/*
 * coordinator: discovery and leases of one stream, on lane 0: lists the shards, makes the leases that are missing,
 * takes those that may be read, has them read, finds the children of those that ended.
 *
 * One DescribeStream call at a time, paced; a child search goes before a page of a full listing.
 */
#ifndef SOURCE_COORDINATOR_H
#define SOURCE_COORDINATOR_H

#include "source/lease_table.h"
#include "source/shard.h"
#include "source/worker.h"

struct coordinator;

/* Raised on lane 0. */
struct coordinator_events {
    /* The stream's key schema and table are known (in source_common). Once, before any open_shard. */
    void (*described)(void *ctx, const struct stream_description *description);
    void (*open_shard)(void *ctx, struct shard *shard);
    void (*finish_shard)(void *ctx, struct shard *shard);
    void (*closed_shard)(void *ctx, struct shard *shard);
    /* A shard went with records that nobody had read. */
    void (*gap)(void *ctx);
    /* Only with until_caught_up: all that this process can read is read, and what it was told to do is done. */
    void (*caught_up)(void *ctx);
    void (*failed)(void *ctx, const struct err *err);
    /* After coordinator_stop: no lease is being taken any more. */
    void (*stopped)(void *ctx);
};

/* leases is NULL when none are kept. Both outlive the coordinator's work (until `stopped`). NULL when out of
 * memory. */
struct coordinator *coordinator_new(const struct source_common *common, struct service *streams,
                                    struct lease_table *leases,
                                    const struct coordinator_events *events, void *ctx);
void coordinator_start(struct coordinator *coordinator);
/* No more discovery, no more claims. `stopped` follows, within some seconds. */
void coordinator_stop(struct coordinator *coordinator);
/* When all shards are closed. */
void coordinator_free(struct coordinator *coordinator);

#endif
