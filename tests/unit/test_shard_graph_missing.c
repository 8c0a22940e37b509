/* shard_graph_missing on random graphs, against the rule read from its header word by word. */
#include "base/rng.h"
#include "source/shard_graph.h"

#include "cmocka_all.h"

#include <aws/common/common.h>

#include <stdio.h>
#include <stdlib.h>

enum { SHARDS = 12, ROUNDS = 20000, MINUTE_MS = 60 * 1000 };
static const int64_t FIRST_MS = INT64_C(1700000000000);

/* The same as the graph, in the order of ids: a parent is older than its children. */
struct model {
    size_t count;
    char ids[SHARDS][48];
    int64_t created_ms[SHARDS];
    size_t parents[SHARDS]; /* SHARDS: none */
    bool ended[SHARDS];
    enum shard_lease leases[SHARDS];
    struct shard_start start;
};

static void make_model(struct model *model, struct rng *rng) {
    *model = (struct model){.count = 1 + rng_below(rng, SHARDS - 1)};
    for (size_t i = 0; i < model->count; i++) {
        model->created_ms[i] = FIRST_MS + (int64_t)(i * 7 + rng_below(rng, 6)) * MINUTE_MS;
        (void)snprintf(model->ids[i], sizeof model->ids[i], "shardId-%020lld-%08zx",
                       (long long)model->created_ms[i], i);
        model->parents[i] = i > 0 && rng_below(rng, 3) > 0 ? rng_below(rng, i - 1) : SHARDS;
        model->ended[i] = rng_below(rng, 2) == 0;
        model->leases[i] = (enum shard_lease)(rng_below(rng, 5) / 2 % 3);
    }
    model->start.initial = rng_below(rng, 1) == 0 ? POSITION_TRIM_HORIZON : POSITION_LATEST;
    if (rng_below(rng, 1) == 0) {
        model->start.ms = FIRST_MS + (int64_t)rng_below(rng, 100) * MINUTE_MS;
    }
    if (rng_below(rng, 1) == 0) {
        model->start.now_ms = FIRST_MS + 100 * (int64_t)MINUTE_MS;
    }
}

static struct shard_graph *graph_of(const struct model *model) {
    struct shard_graph *graph = shard_graph_new();
    struct err err = ERR_NONE;
    assert_non_null(graph);
    shard_graph_begin(graph);
    for (size_t i = 0; i < model->count; i++) {
        struct stream_shard shard = {
            .id = (char *)model->ids[i],
            .parent_id = model->parents[i] < SHARDS ? (char *)model->ids[model->parents[i]] : NULL,
            .ending_sequence_number = model->ended[i] ? (char *)"9" : NULL,
        };
        assert_true(shard_graph_add(graph, &shard, 1, &err));
    }
    shard_graph_end(graph, NULL, NULL);
    return graph;
}

/* ---- the rule ---- */

static bool is_parent(const struct model *model, size_t parent, size_t child) {
    return model->parents[child] == parent;
}

static bool is_open(const struct model *model, size_t at) {
    bool open = !model->ended[at];
    for (size_t i = 0; i < model->count; i++) {
        open = open && !is_parent(model, at, i);
    }
    return open;
}

/* The nearest ancestor's that has one. */
static enum shard_lease lease_above(const struct model *model, size_t at) {
    for (at = model->parents[at]; at < SHARDS; at = model->parents[at]) {
        if (model->leases[at] != SHARD_LEASE_NONE) {
            return model->leases[at];
        }
    }
    return SHARD_LEASE_NONE;
}

static bool is_leased_below(const struct model *model, size_t at) {
    for (size_t i = 0; i < model->count; i++) {
        for (size_t up = model->parents[i]; up < SHARDS; up = model->parents[up]) {
            if (up == at && model->leases[i] != SHARD_LEASE_NONE) {
                return true;
            }
        }
    }
    return false;
}

/* An open shard without lease, and only such between. */
static bool is_on_a_walk(const struct model *model, size_t at) {
    for (size_t i = 0; i < model->count; i++) {
        size_t up = is_open(model, i) ? i : SHARDS;
        while (up < SHARDS && model->leases[up] == SHARD_LEASE_NONE) {
            if (up == at) {
                return true;
            }
            up = model->parents[up];
        }
    }
    return false;
}

static bool ended_before_start(const struct model *model, size_t at) {
    bool has_children = false;
    for (size_t i = 0; i < model->count; i++) {
        if (is_parent(model, at, i)) {
            has_children = true;
            if (model->created_ms[i] > model->start.ms - 10 * (int64_t)MINUTE_MS) {
                return false;
            }
        }
    }
    bool root = model->parents[at] == SHARDS;
    return model->start.ms > 0 && has_children &&
           (root || ended_before_start(model, model->parents[at]));
}

static bool is_missing(const struct model *model, size_t at, struct shard_missing *ret) {
    enum shard_lease above = lease_above(model, at);
    bool below = above != SHARD_LEASE_NONE;
    bool lineage = model->start.initial == POSITION_TRIM_HORIZON || below;
    ret->at = lineage ? POSITION_TRIM_HORIZON : POSITION_LATEST;
    bool first = above != SHARD_LEASE_READ;
    ret->start_ms = first ? model->start.ms : 0;
    ret->read_ms =
        first && model->start.now_ms > 0 ? model->start.now_ms - 23 * 60 * (int64_t)MINUTE_MS : 0;
    if (model->leases[at] != SHARD_LEASE_NONE) {
        return false;
    }
    if (!below && ended_before_start(model, at)) {
        return false;
    }
    if (is_open(model, at)) {
        return true;
    }
    return lineage && (is_on_a_walk(model, at) || !is_leased_below(model, at));
}

/* ---- against it ---- */

static size_t index_of(const struct shard_node *node) {
    return strtoul(node->id + strlen(node->id) - 8, NULL, 16);
}

static enum shard_lease lease_of(void *ctx, const struct shard_node *node) {
    return ((const struct model *)ctx)->leases[index_of(node)];
}

/* Gives them leases, so that nothing must be missing then. */
static void check_missing(struct model *model, struct shard_graph *graph, int round, bool again) {
    struct shard_missing *missing = NULL;
    size_t count = 0;
    struct err err = ERR_NONE;
    assert_true(shard_graph_missing(graph, model->start, lease_of, model, &missing, &count, &err));
    size_t next[SHARDS] = {0}; /* its place and 1 */
    for (size_t i = 0; i < count; i++) {
        size_t at = index_of(missing[i].node);
        size_t parent = model->parents[at];
        assert_int_equal(next[at], 0);
        next[at] = i + 1;
        for (size_t later = i + 1; later < count && parent < SHARDS; later++) {
            assert_int_not_equal(index_of(missing[later].node), parent);
        }
    }
    for (size_t at = 0; at < model->count; at++) {
        struct shard_missing expected;
        bool is = is_missing(model, at, &expected);
        const struct shard_missing *entry = next[at] > 0 ? &missing[next[at] - 1] : NULL;
        if (is != (entry != NULL) || (is && again) ||
            (is && (entry->at != expected.at || entry->start_ms != expected.start_ms ||
                    entry->read_ms != expected.read_ms))) {
            fail_msg("round %d: %s is %smissing%s", round, model->ids[at], is ? "" : "not ",
                     again ? " when all that was missing was made" : "");
        }
    }
    for (size_t i = 0; i < count; i++) {
        model->leases[index_of(missing[i].node)] = SHARD_LEASE_UNREAD;
    }
    free(missing);
}

static void random_graphs_miss_what_the_rule_says(void **state) {
    (void)state;
    struct rng rng = {.state = 2026};
    for (int round = 0; round < ROUNDS; round++) {
        struct model model;
        make_model(&model, &rng);
        struct shard_graph *graph = graph_of(&model);
        check_missing(&model, graph, round, false);
        if (model.start.initial == POSITION_TRIM_HORIZON) {
            check_missing(&model, graph, round, true);
        }
        shard_graph_free(graph);
    }
}

int main(void) {
    aws_common_library_init(aws_default_allocator());
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(random_graphs_miss_what_the_rule_says),
    };
    int failed = cmocka_run_group_tests_name("shard_graph_missing", tests, NULL, NULL);
    aws_common_library_clean_up();
    return failed;
}
