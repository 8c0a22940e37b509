#include "source/shard_graph.h"

#include <aws/common/byte_buf.h>
#include <aws/common/hash_table.h>

#include <stdlib.h>

/* Full listings that an unlisted parent is waited for: a service whose ids mean something else must not stop us. */
enum { WAIT_LISTINGS = 8 };

/* How sure the times in ids must be that a shard ended before another time. */
static const int64_t ENDED_MARGIN_MS = INT64_C(10) * 60 * 1000;

/* A node with what only the graph needs to know. */
struct node {
    struct shard_node node; /* first: the two are converted into each other */
    struct aws_byte_cursor key;
    char *parent_id; /* as listed; NULL when none */
    bool ended;      /* has an ending sequence number */
    bool seen;       /* in the listing under way, or found by shard_graph_add_one meanwhile */
    bool found_alone;
    uint32_t listings; /* full ones that showed it without its parent */
    /* Marks of one computation, valid only inside it. */
    bool visited;
    enum shard_lease lease; /* its own */
    enum shard_lease above; /* the nearest ancestor's that has one */
    bool leased_below;      /* a descendant has one */
    bool wanted;            /* KCL's walk from an open shard without lease goes through here */
    bool held;              /* its parent, or an ancestor's, is yet to be listed */
    bool before_start;      /* it ended before the start, and so did its ancestors */
    struct node *walk;      /* whose walk towards the root came here last */
};

struct shard_graph {
    struct aws_hash_table by_id; /* key of a node -> node */
    struct node **nodes;         /* all of them; by id after relink */
    size_t count;
    size_t capacity;
    struct shard_node **order; /* of shard_graph_sorted */
    size_t order_capacity;
    bool order_fresh;
    bool waiting; /* some node was held back */
};

static struct node *node_of(struct shard_node *node) {
    return (struct node *)node;
}

static void node_free(struct node *node) {
    free(node->node.id);
    free(node->parent_id);
    free(node);
}

struct shard_graph *shard_graph_new(void) {
    struct shard_graph *graph = calloc(1, sizeof *graph);
    if (graph != NULL &&
        aws_hash_table_init(&graph->by_id, aws_default_allocator(), 64, aws_hash_byte_cursor_ptr,
                            aws_byte_cursor_eq_cb, NULL, NULL) != AWS_OP_SUCCESS) {
        free(graph);
        return NULL;
    }
    return graph;
}

void shard_graph_free(struct shard_graph *graph) {
    if (graph == NULL) {
        return;
    }
    aws_hash_table_clean_up(&graph->by_id);
    for (size_t i = 0; i < graph->count; i++) {
        node_free(graph->nodes[i]);
    }
    free(graph->nodes);
    free(graph->order);
    free(graph);
}

static struct node *find(const struct shard_graph *graph, struct str id) {
    struct aws_byte_cursor key = aws_byte_cursor_from_array(id.ptr, id.len);
    struct aws_hash_element *element = NULL;
    (void)aws_hash_table_find(&graph->by_id, &key, &element); /* cannot fail */
    return element != NULL ? element->value : NULL;
}

struct shard_node *shard_graph_find(struct shard_graph *graph, struct str id) {
    struct node *node = find(graph, id);
    return node != NULL ? &node->node : NULL;
}

size_t shard_graph_count(const struct shard_graph *graph) {
    return graph->count;
}

/* ---- lineage ---- */

static int compare_ids(const void *a, const void *b) {
    const struct node *node_a = *(struct node *const *)a;
    const struct node *node_b = *(struct node *const *)b;
    return strcmp(node_a->node.id, node_b->node.id);
}

static struct node *parent_of(const struct node *node) {
    return (struct node *)node->node.parent;
}

/* Walks from every node towards its root. A walk that meets itself has found a cycle: there the oldest shard (by id) of the
 * cycle becomes a root. Each node is passed once, so this is linear. */
static void break_cycles(struct shard_graph *graph) {
    for (size_t i = 0; i < graph->count; i++) {
        graph->nodes[i]->walk = NULL;
    }
    for (size_t i = 0; i < graph->count; i++) {
        struct node *start = graph->nodes[i];
        struct node *at = start;
        while (at != NULL && at->walk == NULL) {
            at->walk = start;
            at = parent_of(at);
        }
        if (at == NULL || at->walk != start) {
            continue; /* a root, or a path known to lead to one */
        }
        struct node *oldest = at;
        for (struct node *next = parent_of(at); next != at; next = parent_of(next)) {
            if (strcmp(next->node.id, oldest->node.id) < 0) {
                oldest = next;
            }
        }
        oldest->node.parent = NULL;
    }
}

/* Derives all links and `open` from the ids. */
static void relink(struct shard_graph *graph) {
    graph->order_fresh = false;
    if (graph->count > 1) {
        qsort(graph->nodes, graph->count, sizeof(struct node *), compare_ids);
    }
    for (size_t i = 0; i < graph->count; i++) {
        struct node *node = graph->nodes[i];
        node->node.first_child = NULL;
        node->node.next_sibling = NULL;
        struct node *parent = node->parent_id != NULL ? find(graph, str_of(node->parent_id)) : NULL;
        node->node.parent = parent != NULL ? &parent->node : NULL;
    }
    break_cycles(graph);
    for (size_t i = graph->count; i-- > 0;) { /* from behind: children are put in front */
        struct shard_node *node = &graph->nodes[i]->node;
        if (node->parent != NULL) {
            node->next_sibling = node->parent->first_child;
            node->parent->first_child = node;
        }
    }
    for (size_t i = 0; i < graph->count; i++) {
        struct node *node = graph->nodes[i];
        node->node.open = !node->ended && node->node.first_child == NULL;
    }
}

/* ---- listings ---- */

static bool copy_text(const char *text, char **ret) {
    *ret = text != NULL ? str_dup(str_of(text)) : NULL;
    return text == NULL || *ret != NULL;
}

static struct node *node_new(struct shard_graph *graph, const struct stream_shard *shard) {
    if (graph->count == graph->capacity) {
        size_t capacity = graph->capacity == 0 ? 64 : graph->capacity * 2;
        struct node **nodes = realloc(graph->nodes, capacity * sizeof(struct node *));
        if (nodes == NULL) {
            return NULL;
        }
        graph->nodes = nodes;
        graph->capacity = capacity;
    }
    struct node *node = calloc(1, sizeof *node);
    if (node == NULL) {
        return NULL;
    }
    if (!copy_text(shard->id, &node->node.id) || !copy_text(shard->parent_id, &node->parent_id)) {
        node_free(node);
        return NULL;
    }
    node->key = aws_byte_cursor_from_c_str(node->node.id);
    if (aws_hash_table_put(&graph->by_id, &node->key, node, NULL) != AWS_OP_SUCCESS) {
        node_free(node);
        return NULL;
    }
    node->ended = shard->ending_sequence_number != NULL;
    node->node.open = !node->ended;
    graph->nodes[graph->count++] = node;
    graph->order_fresh = false;
    return node;
}

/* What a later listing knows and an earlier one did not. A shard's parent never changes, and an end is final. */
static bool node_update(struct node *node, const struct stream_shard *shard) {
    node->ended = node->ended || shard->ending_sequence_number != NULL;
    return node->parent_id != NULL || copy_text(shard->parent_id, &node->parent_id);
}

static bool no_memory(struct err *err) {
    return err_set(err, ERR_NOMEM, "no memory for a list of shards");
}

void shard_graph_begin(struct shard_graph *graph) {
    for (size_t i = 0; i < graph->count; i++) {
        graph->nodes[i]->seen = false;
        graph->nodes[i]->found_alone = false;
    }
}

bool shard_graph_add(struct shard_graph *graph, const struct stream_shard *shards, size_t count,
                     struct err *err) {
    for (size_t i = 0; i < count; i++) {
        struct node *node = find(graph, str_of(shards[i].id));
        if (node == NULL) {
            node = node_new(graph, &shards[i]);
        } else if (!node_update(node, &shards[i])) {
            node = NULL;
        }
        if (node == NULL) {
            return no_memory(err);
        }
        node->seen = true;
        node->found_alone = false;
    }
    return true;
}

/* Calls dropped for what was not listed, children first: a walk over the forest in which each node comes after its
 * descendants. */
static void tell_dropped(struct shard_graph *graph,
                         void (*dropped)(void *ctx, struct shard_node *node), void *ctx) {
    for (size_t i = 0; i < graph->count; i++) {
        struct shard_node *root = &graph->nodes[i]->node;
        struct shard_node *at = root->parent == NULL ? root : NULL;
        while (at != NULL && at->first_child != NULL) {
            at = at->first_child;
        }
        while (at != NULL) {
            if (!node_of(at)->seen) {
                dropped(ctx, at);
            }
            if (at == root) {
                break; /* its siblings have no parent in common */
            }
            if (at->next_sibling == NULL) {
                at = at->parent;
                continue;
            }
            at = at->next_sibling;
            while (at->first_child != NULL) {
                at = at->first_child;
            }
        }
    }
}

/* Drops what was neither listed nor found alone. */
static void drop_unseen(struct shard_graph *graph,
                        void (*dropped)(void *ctx, struct shard_node *node), void *ctx) {
    if (dropped != NULL) {
        tell_dropped(graph, dropped, ctx);
    }
    size_t kept = 0;
    for (size_t i = 0; i < graph->count; i++) {
        struct node *node = graph->nodes[i];
        if (node->seen) {
            graph->nodes[kept++] = node;
        } else {
            (void)aws_hash_table_remove(&graph->by_id, &node->key, NULL, NULL);
            node_free(node);
        }
    }
    graph->count = kept;
    relink(graph);
}

void shard_graph_end(struct shard_graph *graph, void (*dropped)(void *ctx, struct shard_node *node),
                     void *ctx) {
    relink(graph);
    size_t kept = 0;
    for (size_t i = 0; i < graph->count; i++) {
        struct node *node = graph->nodes[i];
        node->node.listed = node->seen && !node->found_alone;
        node->seen = node->seen || node->node.pinned;
        kept += node->seen;
    }
    if (kept < graph->count) {
        drop_unseen(graph, dropped, ctx);
    }
    /* Of what is left: a parent that goes with this listing, and may be found by its lease again, is none. */
    for (size_t i = 0; i < graph->count; i++) {
        struct node *node = graph->nodes[i];
        node->listings += node->node.listed && node->node.parent == NULL ? 1 : 0;
    }
}

/* Puts a child among its siblings, which are in order of id. */
static void link_child(struct shard_node *parent, struct shard_node *child) {
    struct shard_node **at = &parent->first_child;
    while (*at != NULL && strcmp((*at)->id, child->id) < 0) {
        at = &(*at)->next_sibling;
    }
    child->next_sibling = *at;
    *at = child;
    child->parent = parent;
    parent->open = false;
}

static bool is_ancestor_or_self(const struct shard_node *ancestor, const struct shard_node *node) {
    while (node != NULL && node != ancestor) {
        node = node->parent;
    }
    return node != NULL;
}

struct shard_node *shard_graph_add_one(struct shard_graph *graph, const struct stream_shard *shard,
                                       struct err *err) {
    struct node *node = find(graph, str_of(shard->id));
    if (node != NULL) {
        node->found_alone = node->found_alone || !node->seen;
        node->seen = true; /* it exists now, whatever a listing says that began before */
        return &node->node;
    }
    node = node_new(graph, shard);
    if (node == NULL) {
        no_memory(err);
        return NULL;
    }
    node->seen = true;
    node->found_alone = true;
    struct node *parent = shard->parent_id != NULL ? find(graph, str_of(shard->parent_id)) : NULL;
    if (parent != NULL && parent != node) {
        link_child(&parent->node, &node->node);
    }
    /* Children that were known before their parent. */
    for (size_t i = 0; i < graph->count; i++) {
        struct node *child = graph->nodes[i];
        if (child->node.parent == NULL && child->parent_id != NULL &&
            strcmp(child->parent_id, node->node.id) == 0 &&
            !is_ancestor_or_self(&child->node, &node->node)) {
            link_child(&node->node, &child->node);
        }
    }
    return &node->node;
}

struct shard_node *const *shard_graph_sorted(struct shard_graph *graph, size_t *ret_count,
                                             struct err *err) {
    *ret_count = graph->count;
    if (graph->order_fresh && graph->order != NULL) {
        return graph->order;
    }
    if (graph->order == NULL || graph->order_capacity < graph->count) {
        size_t capacity = graph->count < 64 ? 64 : graph->count + graph->count / 2;
        struct shard_node **order = realloc(graph->order, capacity * sizeof(struct shard_node *));
        if (order == NULL) {
            no_memory(err);
            return NULL;
        }
        graph->order = order;
        graph->order_capacity = capacity;
    }
    if (graph->count > 1) {
        qsort(graph->nodes, graph->count, sizeof(struct node *), compare_ids);
    }
    for (size_t i = 0; i < graph->count; i++) {
        graph->nodes[i]->visited = false;
    }
    size_t done = 0;
    for (size_t i = 0; i < graph->count; i++) {
        /* The node and its ancestors that are not there yet, oldest first. The path grows down from the array's end,
         * where there is room: what is done and what is on the path are different nodes. */
        size_t path = graph->count;
        for (struct shard_node *at = &graph->nodes[i]->node; at != NULL && !node_of(at)->visited;
             at = at->parent) {
            node_of(at)->visited = true;
            graph->order[--path] = at;
        }
        for (; path < graph->count; path++) {
            graph->order[done++] = graph->order[path];
        }
    }
    graph->order_fresh = true;
    return graph->order;
}

/* ---- missing leases ---- */

bool shard_id_created_ms(struct str id, int64_t *ret_ms) {
    enum { DIGITS = 20 };
    static const char prefix[] = "shardId-";
    uint64_t ms;
    size_t skip = sizeof prefix - 1;
    if (!str_starts(id, prefix) || id.len <= skip + DIGITS || id.ptr[skip + DIGITS] != '-' ||
        !str_to_u64(str_make(id.ptr + skip, DIGITS), &ms) || ms > INT64_MAX) {
        return false;
    }
    *ret_ms = (int64_t)ms;
    return true;
}

int64_t shard_read_from_horizon_ms(int64_t now_ms) {
    static const int64_t BEGIN_MS = INT64_C(60) * 60 * 1000;
    return now_ms > 0 ? now_ms - SHARD_RETENTION_MS + BEGIN_MS : 0;
}

/* A shard has ended by the time at which its children were made. */
static bool ended_before(const struct node *node, int64_t start_ms) {
    const struct shard_node *child = node->node.first_child;
    if (start_ms == 0 || child == NULL) {
        return false;
    }
    for (; child != NULL; child = child->next_sibling) {
        int64_t created_ms;
        if (!shard_id_created_ms(str_of(child->id), &created_ms) ||
            created_ms > start_ms - ENDED_MARGIN_MS) {
            return false;
        }
    }
    return true;
}

/* Its parent exists, though no listing has shown it. */
static bool awaits_parent(const struct node *node, int64_t now_ms) {
    int64_t created_ms;
    return node->node.parent == NULL && node->parent_id != NULL && now_ms > 0 &&
           node->listings < WAIT_LISTINGS &&
           shard_id_created_ms(str_of(node->parent_id), &created_ms) &&
           created_ms > now_ms - SHARD_RETENTION_MS;
}

/* Parents first: who has a lease, who has one above, who is older than the start, who is held back. */
static void mark_down(struct shard_node *const *order, size_t count, struct shard_start start,
                      enum shard_lease (*lease)(void *ctx, const struct shard_node *node),
                      void *ctx) {
    for (size_t i = 0; i < count; i++) {
        struct node *node = node_of(order[i]);
        struct node *parent = parent_of(node);
        node->lease = lease(ctx, &node->node);
        node->above = SHARD_LEASE_NONE;
        if (parent != NULL) {
            node->above = parent->lease != SHARD_LEASE_NONE ? parent->lease : parent->above;
        }
        node->before_start =
            (parent == NULL || parent->before_start) && ended_before(node, start.ms);
        bool unleased = node->lease == SHARD_LEASE_NONE;
        node->held =
            unleased && (parent != NULL ? parent->held : awaits_parent(node, start.now_ms));
        node->wanted = unleased && node->node.open && !node->held;
        node->leased_below = false;
    }
}

/* Children first: through whom KCL's walks lead, and who has a lease below. */
static void mark_up(struct shard_node *const *order, size_t count) {
    for (size_t i = count; i-- > 0;) {
        struct node *node = node_of(order[i]);
        struct node *parent = parent_of(node);
        if (parent != NULL) {
            bool leased = node->lease != SHARD_LEASE_NONE;
            parent->wanted = parent->wanted || (node->wanted && parent->lease == SHARD_LEASE_NONE);
            parent->leased_below = parent->leased_below || leased || node->leased_below;
        }
    }
}

static bool is_missing(struct node *node, struct shard_start start, struct shard_missing *ret) {
    bool below = node->above != SHARD_LEASE_NONE;
    bool whole = start.initial != POSITION_LATEST || below;
    *ret = (struct shard_missing){
        .node = &node->node,
        .at = whole ? POSITION_TRIM_HORIZON : POSITION_LATEST,
        .start_ms = node->above == SHARD_LEASE_READ ? 0 : start.ms,
        .read_ms = node->above == SHARD_LEASE_READ ? 0 : shard_read_from_horizon_ms(start.now_ms),
    };
    if (node->lease != SHARD_LEASE_NONE || node->held || (node->before_start && !below)) {
        return false;
    }
    return node->node.open || (whole && (node->wanted || !node->leased_below));
}

bool shard_graph_missing(struct shard_graph *graph, struct shard_start start,
                         enum shard_lease (*lease)(void *ctx, const struct shard_node *node),
                         void *ctx, struct shard_missing **ret, size_t *ret_count,
                         struct err *err) {
    size_t count = 0;
    *ret = NULL;
    *ret_count = 0;
    struct shard_node *const *order = shard_graph_sorted(graph, &count, err);
    if (order == NULL) {
        return false;
    }
    mark_down(order, count, start, lease, ctx);
    mark_up(order, count);
    struct shard_missing *missing = malloc((count + 1) * sizeof *missing);
    if (missing == NULL) {
        return no_memory(err);
    }
    size_t found = 0;
    graph->waiting = false;
    for (size_t i = 0; i < count; i++) {
        graph->waiting = graph->waiting || node_of(order[i])->held;
        if (is_missing(node_of(order[i]), start, &missing[found])) {
            found++;
        }
    }
    *ret = missing;
    *ret_count = found;
    return true;
}

bool shard_graph_is_waiting(const struct shard_graph *graph) {
    return graph->waiting;
}
