#include "source/discovery.h"

#include "base/log.h"

#include <stdlib.h>

enum {
    LIST_EVERY_MS = 60 * 1000,
    LIST_SOON_MS = 5000,
    ENABLING_MS = 1000,
    CHILD_TRIES = 10,
    CHILD_FIRST_MS = 100,
    CHILD_MAX_MS = 1000,
    FAILED_MS = 200, /* at least, after a failed page */
};

static void pump(void *ctx);

static uint64_t now_ns(const struct discovery *discovery) {
    return lane_now_ns(discovery->common->lane);
}

static void wait_ms(struct discovery *discovery, uint64_t delay_ms) {
    discovery->due_ns = now_ns(discovery) + delay_ms * UINT64_C(1000000);
}

static void fail_memory(struct discovery *discovery) {
    struct err err;
    err_set(&err, ERR_NOMEM, "no memory for the shards of the stream");
    discovery->events.failed(discovery->ctx, &err);
}

/* ---- children of a shard that has ended ---- */

static void search_again(struct discovery *discovery, struct shard *shard) {
    uint64_t delay_ms = (uint64_t)CHILD_FIRST_MS << shard->child_tries;
    discovery_search(discovery, shard, delay_ms < CHILD_MAX_MS ? delay_ms : CHILD_MAX_MS);
}

/* Takes in the children of the listing. False when memory is out. */
static bool add_children(struct discovery *discovery, const struct shard *shard,
                         const struct stream_description *description, bool *ret_found) {
    for (size_t i = 0; i < description->shard_count; i++) {
        const struct stream_shard *child = &description->shards[i];
        /* Some servers ignore the filter and list everything. */
        if (child->parent_id == NULL || strcmp(child->parent_id, shard->node->id) != 0) {
            continue;
        }
        struct err err = ERR_NONE;
        if (shard_graph_add_one(discovery->graph, child, &err) == NULL) {
            discovery->events.failed(discovery->ctx, &err);
            return false;
        }
        *ret_found = true;
    }
    return true;
}

static void children_got(void *ctx, const struct err *err,
                         const struct stream_description *description) {
    struct discovery *discovery = ctx;
    struct shard *shard = discovery->searching;
    worker_count(&discovery->common->coordinator->describes, 1);
    discovery->call = NULL;
    discovery->searching = NULL;
    bool found = false;
    bool may_come;
    if (err != NULL) {
        LOG_WARN("stream", "children-failed", LOG_TEXT("shard", shard->node->id), LOG_ERR(err));
        may_come = err->class != ERR_CLASS_LOST && err->class != ERR_CLASS_FATAL;
    } else {
        may_come = description->status == STREAM_STATUS_ENABLED;
        if (!add_children(discovery, shard, description, &found)) {
            return;
        }
    }
    if (found || !may_come) {
        discovery->events.searched(discovery->ctx, shard);
    } else if (err != NULL) { /* that says nothing of children: it is no try */
        discovery_search(discovery, shard, CHILD_MAX_MS);
    } else if (++shard->child_tries < CHILD_TRIES) {
        search_again(discovery, shard);
    } else {
        LOG_WARN("stream", "no-children", LOG_TEXT("shard", shard->node->id));
        discovery->listing = true; /* the safety net finds them by their parent's lease */
        discovery->events.searched(discovery->ctx, shard);
    }
    pump(discovery);
}

/* ---- full listing ---- */

static void node_dropped(void *ctx, struct shard_node *node) {
    (void)ctx;
    free(node->user);
    node->user = NULL;
}

static void measure_listing(struct discovery *discovery, bool success) {
    struct measure *measures = discovery->common->measures;
    uint64_t ms = (now_ns(discovery) - discovery->listing_ns) / 1000000;
    measure_add(&measures[MEASURE_LANE_LIST_SUCCESS], success);
    measure_add(&measures[MEASURE_LANE_LIST_TIME], ms);
    measure_add(&measures[MEASURE_LANE_SYNC_STREAMS], 1);
}

static void listing_done(struct discovery *discovery) {
    measure_listing(discovery, true);
    discovery->listing = false;
    discovery->listing_began = false;
    worker_count(&discovery->common->coordinator->listings, 1);
    shard_graph_end(discovery->graph, node_dropped, NULL);
    lane_timer_set_ms(&discovery->list_timer, LIST_EVERY_MS);
    LOG_DEBUG("stream", "listed", LOG_U64("shards", shard_graph_count(discovery->graph)));
    discovery->events.listed(discovery->ctx);
}

static void list_failed(struct discovery *discovery, const struct err *err) {
    measure_listing(discovery, false);
    bool first = !discovery->described;
    if (err->class == ERR_CLASS_FATAL || err->code == ERR_AWS_DENIED ||
        (first && err->class != ERR_CLASS_THROTTLE)) {
        struct err copy = *err;
        if (err->code == ERR_AWS_NOT_FOUND) {
            err_set(&copy, ERR_STREAM,
                    "stream %.*s does not exist: check awsDynamodbStreamArn (a stream that was "
                    "disabled and enabled again has a new ARN) (%s)",
                    STR_FMT(discovery->common->options.stream_arn), err->text);
        }
        discovery->events.failed(discovery->ctx, &copy);
        return;
    }
    LOG_WARN("stream", "list-failed", LOG_ERR(err));
    struct rng *rng = &discovery->common->lane->rng;
    wait_ms(discovery, backoff_next_ms(&discovery->backoff, rng) + FAILED_MS);
    pump(discovery);
}

/* Where the next page begins; false with the last page. A server that repeats itself must not keep us. */
static bool next_page(struct discovery *discovery, const char *next) {
    bool repeats =
        next != NULL && discovery->list_from != NULL && strcmp(next, discovery->list_from) == 0;
    free(discovery->list_from);
    discovery->list_from = next == NULL || repeats ? NULL : str_dup(str_of(next));
    return next != NULL && !repeats;
}

static void list_got(void *ctx, const struct err *err,
                     const struct stream_description *description) {
    struct discovery *discovery = ctx;
    worker_count(&discovery->common->coordinator->describes, 1);
    discovery->call = NULL;
    if (err != NULL) {
        list_failed(discovery, err);
        return;
    }
    backoff_reset(&discovery->backoff);
    discovery->server_time_ms = description->server_time_ms > 0
                                    ? description->server_time_ms
                                    : lane_wall_ms(discovery->common->lane);
    if (!discovery->described && description->status == STREAM_STATUS_ENABLING) {
        LOG_INFO("stream", "enabling"); /* no shards are shown before it is enabled */
        wait_ms(discovery, ENABLING_MS);
        pump(discovery);
        return;
    }
    if (!discovery->described) {
        discovery->described = true;
        discovery->events.described(discovery->ctx, description);
    }
    struct err broken = ERR_NONE;
    if (!shard_graph_add(discovery->graph, description->shards, description->shard_count,
                         &broken)) {
        discovery->events.failed(discovery->ctx, &broken);
        return;
    }
    if (!next_page(discovery, description->last_evaluated_shard_id)) {
        listing_done(discovery);
    } else if (discovery->list_from == NULL) {
        fail_memory(discovery);
        return;
    }
    pump(discovery);
}

/* ---- one call at a time ---- */

static struct shard *take_due(struct discovery *discovery) {
    uint64_t now = now_ns(discovery);
    for (struct aws_linked_list_node *node = aws_linked_list_begin(&discovery->ended);
         node != aws_linked_list_end(&discovery->ended); node = aws_linked_list_next(node)) {
        struct shard *shard = AWS_CONTAINER_OF(node, struct shard, ended_node);
        if (shard->child_due_ns <= now) {
            aws_linked_list_remove(node);
            shard->child_queued = false;
            return shard;
        }
    }
    return NULL;
}

static void start_call(struct discovery *discovery, struct shard *shard) {
    struct str arn = discovery->common->options.stream_arn;
    discovery->searching = shard;
    if (shard != NULL) {
        discovery->call = streams_describe(discovery->streams, arn, STR_NONE,
                                           str_of(shard->node->id), children_got, discovery);
    } else {
        if (!discovery->listing_began) {
            discovery->listing_began = true;
            discovery->listing_ns = now_ns(discovery);
            shard_graph_begin(discovery->graph);
        }
        discovery->call = streams_describe(discovery->streams, arn, str_of(discovery->list_from),
                                           STR_NONE, list_got, discovery);
    }
    if (discovery->call == NULL) {
        fail_memory(discovery);
    }
}

static void pump(void *ctx) {
    struct discovery *discovery = ctx;
    bool wants_page = discovery->listing && !discovery->held;
    bool searches = !aws_linked_list_empty(&discovery->ended);
    if (discovery->call != NULL || discovery->stopped || (!searches && !wants_page)) {
        return;
    }
    if (now_ns(discovery) < discovery->due_ns) {
        lane_timer_set_at_ns(&discovery->timer, discovery->due_ns);
        return;
    }
    struct shard *shard = take_due(discovery);
    if (shard == NULL && !wants_page) {
        lane_timer_set_ms(&discovery->timer, CHILD_FIRST_MS / 2);
        return;
    }
    wait_ms(discovery, UINT64_C(1000) / discovery->common->options.describe_rate);
    start_call(discovery, shard);
}

/* ---- for the coordinator ---- */

static void list_again(void *ctx) {
    discovery_list(ctx);
}

void discovery_init(struct discovery *discovery, const struct source_common *common,
                    struct service *streams, struct shard_graph *graph,
                    const struct discovery_events *events, void *ctx) {
    *discovery = (struct discovery){
        .common = common,
        .streams = streams,
        .graph = graph,
        .events = *events,
        .ctx = ctx,
        .backoff = backoff_make(200, 10000),
    };
    aws_linked_list_init(&discovery->ended);
    lane_timer_init(&discovery->timer, common->lane, pump, discovery);
    lane_timer_init(&discovery->list_timer, common->lane, list_again, discovery);
}

void discovery_stop(struct discovery *discovery) {
    discovery->stopped = true;
    service_cancel(discovery->streams, discovery->call);
    discovery->call = NULL;
    lane_timer_cancel(&discovery->timer);
    lane_timer_cancel(&discovery->list_timer);
}

void discovery_done(struct discovery *discovery) {
    free(discovery->list_from);
    discovery->list_from = NULL;
}

/* In a later turn: the caller may be in the middle of something. */
static void pump_soon(struct discovery *discovery) {
    if (!discovery->stopped) {
        lane_timer_set_ms(&discovery->timer, 0);
    }
}

void discovery_list(struct discovery *discovery) {
    discovery->listing = true;
    pump_soon(discovery);
}

void discovery_list_soon(struct discovery *discovery) {
    uint64_t due_ns = now_ns(discovery) + LIST_SOON_MS * UINT64_C(1000000);
    bool sooner = discovery->list_timer.armed && discovery->list_timer.due_ns > due_ns;
    if (sooner && !discovery->stopped) {
        lane_timer_set_at_ns(&discovery->list_timer, due_ns);
    }
}

void discovery_hold(struct discovery *discovery, bool held) {
    discovery->held = held;
    pump_soon(discovery);
}

void discovery_search(struct discovery *discovery, struct shard *shard, uint64_t delay_ms) {
    shard->child_due_ns = now_ns(discovery) + delay_ms * UINT64_C(1000000);
    shard->child_queued = true;
    aws_linked_list_push_back(&discovery->ended, &shard->ended_node);
    pump_soon(discovery);
}

void discovery_forget(struct discovery *discovery, struct shard *shard) {
    if (shard->child_queued) {
        shard->child_queued = false;
        aws_linked_list_remove(&shard->ended_node);
    }
    if (discovery->searching == shard) {
        service_cancel(discovery->streams, discovery->call);
        discovery->call = NULL;
        discovery->searching = NULL;
        pump_soon(discovery);
    }
}

bool discovery_is_idle(const struct discovery *discovery) {
    return !discovery->listing && discovery->searching == NULL &&
           aws_linked_list_empty(&discovery->ended);
}
