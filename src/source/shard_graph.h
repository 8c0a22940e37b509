/*
 * shard_graph: the shards of one stream as listed, their lineage, and the two decisions made of it: which leases are
 * missing, and which shard may be read now. Pure; made for tens of thousands of shards.
 */
#ifndef SOURCE_SHARD_GRAPH_H
#define SOURCE_SHARD_GRAPH_H

#include "aws/streams.h"
#include "source/seqno.h"

struct shard_graph;

struct shard_node {
    char *id;
    struct shard_node *parent;      /* NULL: none, or not listed (trimmed) */
    struct shard_node *first_child; /* siblings are chained by next_sibling, in order of id */
    struct shard_node *next_sibling;
    bool open;   /* no ending sequence number, and no child listed */
    bool listed; /* in the newest full listing */
    void *user;  /* the caller's */
};

struct shard_graph *shard_graph_new(void);
void shard_graph_free(struct shard_graph *graph);

/* Starts a full listing; pages follow; `end` drops what was not listed (calls dropped for each, children first) and
 * settles `open`: a shard that has a child is closed whatever the listing says. With disabled true, closed shards
 * without children are left closed all the same. */
void shard_graph_begin(struct shard_graph *graph);
bool shard_graph_add(struct shard_graph *graph, const struct stream_shard *shards, size_t count,
                     struct err *err);
void shard_graph_end(struct shard_graph *graph, void (*dropped)(void *ctx, struct shard_node *node),
                     void *ctx);
/* One shard outside a full listing (found as a child at its parent's end). Existing: returned as it is. */
struct shard_node *shard_graph_add_one(struct shard_graph *graph, const struct stream_shard *shard,
                                       struct err *err);

struct shard_node *shard_graph_find(struct shard_graph *graph, struct str id);
size_t shard_graph_count(const struct shard_graph *graph);
/* All nodes, parents before children, by id. The array is the graph's, valid until it changes. */
struct shard_node *const *shard_graph_sorted(struct shard_graph *graph, size_t *ret_count,
                                             struct err *err);

/* Where a lease must be made (node), and at which checkpoint. */
struct shard_missing {
    struct shard_node *node;
    enum position_kind at; /* TRIM_HORIZON or LATEST */
};

/* KCL's rule (facts, 1.8), per open shard without lease, walking up its lineage: under a leased ancestor the whole path
 * below it gets TRIM_HORIZON; without one, initial TRIM_HORIZON gives the entire lineage TRIM_HORIZON and LATEST
 * gives only the open shard LATEST. In addition, with initial TRIM_HORIZON, closed shards without open descendant are
 * read too (a disabled stream; KCL would lose them), and a closed child of a leased shard as well. has_lease tells
 * whether a node has one. Parents first. *ret is malloc'ed; the caller frees it. */
bool shard_graph_missing(struct shard_graph *graph, enum position_kind initial,
                         bool (*has_lease)(void *ctx, const struct shard_node *node), void *ctx,
                         struct shard_missing **ret, size_t *ret_count, struct err *err);

#endif
