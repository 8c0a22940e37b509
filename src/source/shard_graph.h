/*
 * shard_graph: the shards of one stream as listed, their lineage, and the decision made of it: which leases are
 * missing. Pure; made for tens of thousands of shards.
 */
#ifndef SOURCE_SHARD_GRAPH_H
#define SOURCE_SHARD_GRAPH_H

#include "aws/streams.h"
#include "source/seqno.h"

struct shard_graph;

/* No record is trimmed before it is 24 hours old, so no younger shard is. */
enum { SHARD_RETENTION_MS = 24 * 60 * 60 * 1000 };

struct shard_node {
    char *id;
    struct shard_node *parent;      /* NULL: none, or not listed (trimmed) */
    struct shard_node *first_child; /* siblings are chained by next_sibling, in order of id */
    struct shard_node *next_sibling;
    bool open;   /* no ending sequence number, and no child listed */
    bool listed; /* in the newest full listing */
    bool pinned; /* the caller's: keep it though a listing does not have it any more */
    void *user;  /* the caller's */
};

struct shard_graph *shard_graph_new(void);
void shard_graph_free(struct shard_graph *graph);

/* Starts a full listing; pages follow; `end` drops what was not listed (calls dropped for each, children first; it may
 * not touch the graph) and settles lineage and `open`: a shard that has a child is closed whatever the listing says.
 * What shard_graph_add_one found meanwhile stays. Repeated ids count once; a shard that is its own ancestor loses
 * its parent. False, with err, only when out of memory. */
void shard_graph_begin(struct shard_graph *graph);
bool shard_graph_add(struct shard_graph *graph, const struct stream_shard *shards, size_t count,
                     struct err *err);
void shard_graph_end(struct shard_graph *graph, void (*dropped)(void *ctx, struct shard_node *node),
                     void *ctx);
/* One shard outside a full listing (found as a child at its parent's end). Existing: returned as it is. NULL when out
 * of memory. */
struct shard_node *shard_graph_add_one(struct shard_graph *graph, const struct stream_shard *shard,
                                       struct err *err);

struct shard_node *shard_graph_find(struct shard_graph *graph, struct str id);
size_t shard_graph_count(const struct shard_graph *graph);
/* All nodes in order of id, but parents always before children. The array is the graph's, valid until it changes. NULL
 * when out of memory. */
struct shard_node *const *shard_graph_sorted(struct shard_graph *graph, size_t *ret_count,
                                             struct err *err);

/* Creation time of a shard as its id tells on AWS ("shardId-<epoch ms, 20 digits>-<hex>"). False for ids of another form,
 * which other services have. */
bool shard_id_created_ms(struct str id, int64_t *ret_ms);

/* Of a shard that is to be read from its oldest record on, as it is at now_ms, what is a day old need not be found. There is
 * an hour to begin in, before the horizon passes what is wanted. 0 when now_ms is. */
int64_t shard_read_from_horizon_ms(int64_t now_ms);

enum shard_lease {
    SHARD_LEASE_NONE,
    SHARD_LEASE_UNREAD, /* checkpoint TRIM_HORIZON */
    SHARD_LEASE_READ,   /* any other checkpoint */
};

/* Where a stream's reading starts. */
struct shard_start {
    enum position_kind initial; /* TRIM_HORIZON or LATEST */
    int64_t ms;                 /* what was created before is passed over; 0: nothing is */
    int64_t now_ms;             /* the service's clock; 0: not known */
};

/* Where a lease must be made (node), and at which checkpoint. */
struct shard_missing {
    struct shard_node *node;
    enum position_kind at; /* TRIM_HORIZON or LATEST */
    int64_t start_ms;      /* its d2pStart; 0: none, it is read from its beginning */
    int64_t read_ms;       /* its d2pRead; 0: none, its beginning is wanted */
};

/* KCL's rule (facts, 1.8), per open shard without lease, walking up its lineage: under a leased ancestor the whole path
 * below it gets TRIM_HORIZON; without one, initial TRIM_HORIZON gives the entire lineage TRIM_HORIZON and LATEST
 * gives only the open shard LATEST. In addition (KCL would lose their records, e.g. of a disabled stream), closed shards
 * without open descendant get TRIM_HORIZON when initial is TRIM_HORIZON or an ancestor has a lease; but none of
 * which a descendant has a lease: that one was read before.
 *
 * The start's time goes to leases without a leased ancestor, and to those below one that is unread: they were left out by a
 * crash in the middle of the first start. Below a lease that was read, a shard is read from its beginning. With a start's
 * time, a closed shard without leased ancestor gets none when its children are older than that by a good margin (all
 * it holds is older too) and its parent gets none either.
 *
 * Listings are no snapshots: a shard may be shown before its parent. One whose parent is not listed though it is too young to
 * be trimmed is held back with all below it, for some listings (shard_graph_is_waiting), unless it has a lease.
 *
 * lease tells what lease a node has; it is asked once for each. Parents first. *ret is malloc'ed; the caller frees it. */
bool shard_graph_missing(struct shard_graph *graph, struct shard_start start,
                         enum shard_lease (*lease)(void *ctx, const struct shard_node *node),
                         void *ctx, struct shard_missing **ret, size_t *ret_count, struct err *err);
/* The last shard_graph_missing held something back: list again soon. */
bool shard_graph_is_waiting(const struct shard_graph *graph);

#endif
