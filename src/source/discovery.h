/*
 * discovery: what shards there are. Full listings into the graph, and the search for the children of a shard that has
 * ended. One DescribeStream call at a time, paced; a search goes before a page of a listing.
 *
 * Lane 0 only. Events are never raised inside a call.
 */
#ifndef SOURCE_DISCOVERY_H
#define SOURCE_DISCOVERY_H

#include "base/backoff.h"
#include "source/shard.h"
#include "source/worker.h"

struct discovery_events {
    /* Once, with the first page: key schema, table, status. */
    void (*described)(void *ctx, const struct stream_description *description);
    /* The graph shows a full listing. */
    void (*listed)(void *ctx);
    /* The search is over: the children that are known are in the graph, none when the stream has ended there. */
    void (*searched)(void *ctx, struct shard *shard);
    void (*failed)(void *ctx, const struct err *err);
};

struct discovery {
    const struct source_common *common;
    struct service *streams;
    struct shard_graph *graph;
    struct discovery_events events;
    void *ctx;
    struct service_call *call;
    struct lane_timer timer;      /* the next call */
    struct lane_timer list_timer; /* the next listing */
    uint64_t due_ns;              /* pacing: not before */
    struct backoff backoff;
    bool listing; /* a full listing is wanted or under way */
    bool listing_began;
    uint64_t listing_ns; /* when it began */
    bool held;           /* no page of a listing now */
    char *list_from;     /* the next page's ExclusiveStartShardId */
    bool described;
    int64_t server_time_ms;       /* of the newest reply */
    struct aws_linked_list ended; /* shards whose children are searched */
    struct shard *searching;      /* the one whose call is under way */
    bool stopped;
};

/* Nothing happens yet. The graph outlives it. */
void discovery_init(struct discovery *discovery, const struct source_common *common,
                    struct service *streams, struct shard_graph *graph,
                    const struct discovery_events *events, void *ctx);
/* Cancels what is under way; no further event. */
void discovery_stop(struct discovery *discovery);
void discovery_done(struct discovery *discovery);

/* Wants a full listing; the next one follows by itself, a minute after its end. */
void discovery_list(struct discovery *discovery);
/* The next one already in some seconds: the last one was not whole. */
void discovery_list_soon(struct discovery *discovery);
/* While held, no page is asked for: requests under way refer to nodes that a listing could drop. */
void discovery_hold(struct discovery *discovery, bool held);
/* Searches the children of a shard whose node is pinned; in delay_ms at the earliest. */
void discovery_search(struct discovery *discovery, struct shard *shard, uint64_t delay_ms);
/* The shard is no longer ours to search for. Nothing when it is not searched for. */
void discovery_forget(struct discovery *discovery, struct shard *shard);
/* No listing and no search is wanted or under way. */
bool discovery_is_idle(const struct discovery *discovery);

#endif
