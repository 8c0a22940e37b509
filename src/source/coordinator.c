#include "source/coordinator.h"

#include "base/log.h"
#include "source/claims.h"
#include "source/discovery.h"
#include "source/lease_maker.h"
#include "source/sweep.h"

#include <inttypes.h>
#include <stdlib.h>

enum {
    SEARCH_AGAIN_MS = 1000,
    EPSILON_MS = 25,        /* KCL's */
    STOP_CLAIMS_MS = 3000,  /* at a stop, for the claims under way */
    LATEST_SLACK_MS = 1000, /* creation times are floored to the second */
};

struct coordinator {
    const struct source_common *common;
    struct lease_table *leases;
    struct coordinator_events events;
    void *ctx;
    struct shard_graph *graph;

    struct discovery discovery;
    struct lease_maker maker;
    struct claims claims;
    struct sweep sweep;

    /* leases */
    bool first_scan_done;
    bool scanning;
    bool first_start; /* the first scan saw no lease of this stream */
    bool look_again;  /* as soon as the first leases are made, before any is taken */
    uint32_t scan;    /* number of the newest scan */
    uint64_t scan_began_ns;
    uint64_t seen_ns; /* when the newest scan that came to its end began */
    int64_t start_ms; /* d2pStart for new roots; 0: none */
    struct lane_timer scan_timer;

    bool list_after_end; /* a shard has ended since the last full listing began */
    bool stopping;
    bool told_stopped;
    struct lane_timer stop_timer;
};

static void create_missing(struct coordinator *coordinator);
static void scan(void *ctx);

static const struct source_options *options_of(const struct coordinator *coordinator) {
    return &coordinator->common->options;
}

static uint64_t now_ns(const struct coordinator *coordinator) {
    return lane_now_ns(coordinator->common->lane);
}

static void fail(struct coordinator *coordinator, const struct err *err) {
    if (!coordinator->stopping) {
        coordinator->events.failed(coordinator->ctx, err);
    }
}

static void fail_memory(struct coordinator *coordinator) {
    struct err err;
    err_set(&err, ERR_NOMEM, "no memory for the shards of the stream");
    fail(coordinator, &err);
}

/* ---- shards ---- */

static void on_tip(void *ctx);
static void on_ended(void *ctx);
static void on_closed(void *ctx);

/* The node's shard, made at first sight. NULL when out of memory (then the source stops). */
static struct shard *shard_of(struct coordinator *coordinator, struct shard_node *node) {
    struct shard *shard = node->user;
    if (shard == NULL) {
        shard = calloc(1, sizeof *shard);
        if (shard == NULL) {
            fail_memory(coordinator);
            return NULL;
        }
        shard->coordinator = coordinator;
        shard->node = node;
        shard->tip_message.fn = on_tip;
        shard->ended_message.fn = on_ended;
        shard->closed_message.fn = on_closed;
        node->user = shard;
    }
    return shard;
}

static enum shard_lease lease_of(void *ctx, const struct shard_node *node) {
    (void)ctx;
    const struct shard *shard = node->user;
    if (shard == NULL || !shard->has_lease) {
        return SHARD_LEASE_NONE;
    }
    bool unread = shard->lease.checkpoint.kind == POSITION_TRIM_HORIZON;
    return unread ? SHARD_LEASE_UNREAD : SHARD_LEASE_READ;
}

static struct shard_node *const *sorted(struct coordinator *coordinator, size_t *ret_count) {
    struct err err = ERR_NONE;
    struct shard_node *const *nodes = shard_graph_sorted(coordinator->graph, ret_count, &err);
    if (nodes == NULL) {
        *ret_count = 0;
        fail(coordinator, &err);
    }
    return nodes;
}

/* ---- caught up? ---- */

static bool shard_caught_up(const struct coordinator *coordinator, const struct shard *shard) {
    if (!shard->has_lease || shard->state == SHARD_FINISHED) {
        return true;
    }
    if (shard->state == SHARD_OPEN) {
        return shard->reached_tip;
    }
    bool mine = str_equal(str_of(shard->lease.owner), options_of(coordinator)->worker_id);
    return shard->state == SHARD_IDLE && !mine && shard->watch.moved;
}

static void check_caught_up(struct coordinator *coordinator) {
    if (!options_of(coordinator)->until_caught_up || coordinator->stopping ||
        !coordinator->first_scan_done || lease_maker_is_busy(&coordinator->maker) ||
        !claims_are_idle(&coordinator->claims) || sweep_is_waiting(&coordinator->sweep) ||
        shard_graph_is_waiting(coordinator->graph) || !discovery_is_idle(&coordinator->discovery)) {
        return;
    }
    size_t count = 0;
    uint64_t others = 0;
    struct shard_node *const *nodes = sorted(coordinator, &count);
    for (size_t i = 0; i < count; i++) {
        const struct shard *shard = nodes[i]->user;
        if (shard == NULL) {
            continue;
        }
        if (!shard_caught_up(coordinator, shard)) {
            return;
        }
        others += shard->has_lease && shard->state == SHARD_IDLE ? 1 : 0;
    }
    if (coordinator->list_after_end) {
        coordinator->list_after_end = false;
        discovery_list(&coordinator->discovery);
        return;
    }
    LOG_INFO("source", "caught-up", LOG_U64("shards_of_other_workers", others));
    coordinator->events.caught_up(coordinator->ctx);
}

/* ---- opening ---- */

static void open_shard(struct coordinator *coordinator, struct shard *shard) {
    shard_set_state(shard, SHARD_OPEN);
    shard->reached_tip = false;
    shard->closed = !shard->node->open;
    coordinator->events.open_shard(coordinator->ctx, shard);
}

/* Without leases everything is ours. */
static void open_all(struct coordinator *coordinator) {
    size_t count = 0;
    struct shard_node *const *nodes = sorted(coordinator, &count);
    for (size_t i = 0; i < count; i++) {
        struct shard *shard = nodes[i]->user;
        if (shard != NULL && shard->has_lease && shard->state == SHARD_IDLE &&
            shard_is_ready(shard)) {
            open_shard(coordinator, shard);
        }
    }
}

static void share(struct coordinator *coordinator) {
    if (coordinator->stopping) {
        return;
    }
    worker_set(&coordinator->common->coordinator->sharing, 1);
    if (coordinator->leases != NULL) {
        claims_share(&coordinator->claims, coordinator->seen_ns);
    } else {
        open_all(coordinator);
    }
    check_caught_up(coordinator);
}

static void tell_stopped(void *ctx) {
    struct coordinator *coordinator = ctx;
    if (!coordinator->told_stopped) {
        coordinator->told_stopped = true;
        lane_timer_cancel(&coordinator->stop_timer);
        coordinator->events.stopped(coordinator->ctx);
    }
}

static void on_taken(void *ctx, struct shard *shard) {
    open_shard(ctx, shard);
}

/* Whoever asks must see what is handed over before that looks abandoned. */
static void scan_sooner(struct coordinator *coordinator) {
    uint64_t delay_ms = options_of(coordinator)->failover_ms / 3 + EPSILON_MS;
    uint64_t due_ns = now_ns(coordinator) + delay_ms * UINT64_C(1000000);
    if (coordinator->scan_timer.armed && coordinator->scan_timer.due_ns > due_ns) {
        lane_timer_set_at_ns(&coordinator->scan_timer, due_ns);
    }
}

static void on_settled(void *ctx) {
    struct coordinator *coordinator = ctx;
    if (claims_are_asking(&coordinator->claims) && !coordinator->stopping) {
        scan_sooner(coordinator);
    }
    if (coordinator->stopping && claims_are_idle(&coordinator->claims)) {
        tell_stopped(coordinator);
    }
    check_caught_up(coordinator);
}

static void on_failed(void *ctx, const struct err *err) {
    fail(ctx, err);
}

static const struct claims_events claims_events = {
    .taken = on_taken,
    .settled = on_settled,
    .failed = on_failed,
};

/* ---- scanning the lease table ---- */

/* A lease may tell of a shard before a listing shows it: another worker found it at its parent's end. */
static struct shard_node *find_node(struct coordinator *coordinator, const struct lease *lease) {
    struct shard_node *node = shard_graph_find(coordinator->graph, str_of(lease->key));
    const struct shard_node *parent =
        node != NULL ? NULL : shard_graph_find(coordinator->graph, str_of(lease->parent));
    if (parent == NULL) {
        return node;
    }
    struct stream_shard shard = {.id = lease->key, .parent_id = lease->parent};
    struct err err = ERR_NONE;
    node = shard_graph_add_one(coordinator->graph, &shard, &err);
    if (node == NULL) {
        fail(coordinator, &err);
    } else {
        LOG_INFO("stream", "shard-by-lease", LOG_TEXT("shard", node->id));
    }
    return node;
}

static void saw_lease(void *ctx, const struct lease *lease, struct str stream) {
    struct coordinator *coordinator = ctx;
    struct shard_node *node = find_node(coordinator, lease);
    if (node != NULL || lease->stream == LEASE_STREAM_OURS) {
        coordinator->first_start = false;
        if (lease->start_ms > coordinator->start_ms) {
            coordinator->start_ms = lease->start_ms;
        }
    }
    if (node == NULL) {
        sweep_see(&coordinator->sweep, lease, stream);
        return;
    }
    struct shard *shard = shard_of(coordinator, node);
    if (shard == NULL) {
        return;
    }
    shard->scan = coordinator->scan;
    if (shard->state == SHARD_OPEN || shard->state == SHARD_ENDED ||
        shard->state == SHARD_CLAIMING) {
        return; /* the lane that writes it knows better */
    }
    shard->has_lease = true;
    shard->lease = *lease;
    lease_watch_see(&shard->watch, lease->counter, now_ns(coordinator));
    shard_settle(shard);
}

/* After a scan: leases that it did not see were deleted; whose owner is gone; and whether some unfinished one of
 * another worker has not been seen to move. */
static bool look_at_leases(struct coordinator *coordinator) {
    bool still = false;
    size_t count = 0;
    uint64_t failover_ns = options_of(coordinator)->failover_ms * UINT64_C(1000000);
    struct shard_node *const *nodes = sorted(coordinator, &count);
    for (size_t i = 0; i < count; i++) {
        struct shard *shard = nodes[i]->user;
        if (shard == NULL || !shard->has_lease ||
            (shard->state != SHARD_IDLE && shard->state != SHARD_FINISHED)) {
            continue;
        }
        if (shard->scan != coordinator->scan) {
            LOG_WARN("lease", "vanished", LOG_TEXT("shard", shard->node->id));
            shard->has_lease = false;
            shard_settle(shard);
            continue;
        }
        shard->expired =
            lease_watch_has_expired(&shard->watch, coordinator->scan_began_ns, failover_ns);
        shard->blocked = shard->node->parent == NULL &&
                         sweep_awaits(&coordinator->sweep, str_of(shard->lease.parent));
        sweep_finished(&coordinator->sweep, shard, coordinator->discovery.server_time_ms);
        still = still || (shard->state == SHARD_IDLE && !shard->watch.moved && !shard->expired);
    }
    return still;
}

/* KCL's interval is twice failover_ms. A worker that dies is found by the second scan after that: with three quarters of
 * KCL's, its leases are shared by the others within two of KCL's. Sooner while something may be there to be taken. */
static uint64_t scan_again_ms(const struct coordinator *coordinator, bool still) {
    uint64_t failover_ms = options_of(coordinator)->failover_ms;
    if (claims_are_asking(&coordinator->claims)) {
        return failover_ms / 3 + EPSILON_MS;
    }
    return (failover_ms + EPSILON_MS) * (still ? 2 : 3) / 2;
}

/* Sets where the stream is read from, when nobody has decided that before. */
static bool decide_start(struct coordinator *coordinator) {
    const struct source_options *options = options_of(coordinator);
    int64_t now_ms = coordinator->discovery.server_time_ms;
    if (!coordinator->first_start) {
        return true;
    }
    if (options->initial == POSITION_AT_TIMESTAMP) {
        coordinator->start_ms = options->start_at_ms;
        if (coordinator->start_ms > now_ms) {
            struct err err;
            err_set(&err, ERR_CONFIG,
                    "startAtTime is %" PRId64 " s in the future by the clock of the service",
                    (coordinator->start_ms - now_ms + 999) / 1000);
            fail(coordinator, &err);
            return false;
        }
    } else if (options->initial == POSITION_LATEST && coordinator->leases != NULL) {
        coordinator->start_ms = now_ms - LATEST_SLACK_MS;
    }
    return true;
}

/* The first listing is there, and the first scan, if leases are kept. */
static void begin(struct coordinator *coordinator) {
    coordinator->first_scan_done = true;
    /* Another worker may make its first leases at the same time, by a listing without the newest shards: a child must not be
     * taken here while its parent, which this one leaves out, is being read there. */
    coordinator->look_again = coordinator->first_start && coordinator->leases != NULL;
    if (decide_start(coordinator)) {
        create_missing(coordinator);
    }
}

static void scanned(void *ctx, const struct err *err) {
    struct coordinator *coordinator = ctx;
    coordinator->scanning = false;
    struct measure *measures = coordinator->common->measures;
    measure_add(&measures[MEASURE_LANE_SCAN_SUCCESS], err == NULL);
    measure_add(&measures[MEASURE_LANE_SCAN_TIME],
                (now_ns(coordinator) - coordinator->scan_began_ns) / 1000000);
    if (coordinator->stopping) {
        return;
    }
    bool still = true;
    bool first = coordinator->scan <= 2; /* see look_again */
    if (err == NULL) {
        worker_count(&coordinator->common->coordinator->scans, 1);
        coordinator->seen_ns = coordinator->scan_began_ns;
        sweep_end_scan(&coordinator->sweep, coordinator->scan_began_ns,
                       coordinator->discovery.server_time_ms);
        still = look_at_leases(coordinator);
        if (!coordinator->first_scan_done && !sweep_is_unsure(&coordinator->sweep)) {
            begin(coordinator);
        }
        if (coordinator->first_scan_done && !coordinator->look_again && !coordinator->scanning) {
            share(coordinator);
        }
        if (sweep_is_waiting(&coordinator->sweep)) {
            still = true;
            discovery_list_soon(&coordinator->discovery);
        }
    } else if (!coordinator->first_scan_done || err->class == ERR_CLASS_FATAL) {
        fail(coordinator, err);
        return;
    } else {
        LOG_WARN("lease", "scan-failed", LOG_ERR(err));
    }
    if (!coordinator->stopping) {
        lane_timer_set_ms(&coordinator->scan_timer, scan_again_ms(coordinator, still));
    }
    if (first) { /* others may be starting, too, and take some of what is taken now */
        scan_sooner(coordinator);
    }
}

static void scan(void *ctx) {
    struct coordinator *coordinator = ctx;
    if (coordinator->scanning || coordinator->stopping) {
        return;
    }
    coordinator->scanning = true;
    coordinator->scan++;
    worker_count(&coordinator->common->coordinator->scan_tries, 1);
    sweep_begin_scan(&coordinator->sweep);
    coordinator->scan_began_ns = now_ns(coordinator);
    lease_table_scan(coordinator->leases, saw_lease, scanned, coordinator);
}

static void table_ready(void *ctx, const struct err *err) {
    struct coordinator *coordinator = ctx;
    if (coordinator->stopping) {
        return;
    }
    if (err != NULL) {
        fail(coordinator, err);
        return;
    }
    scan(coordinator);
}

/* ---- creating leases ---- */

static void hold_listings(struct coordinator *coordinator, bool hold) {
    worker_set(&coordinator->common->coordinator->making, hold);
    discovery_hold(&coordinator->discovery, hold);
}

static void on_gap(void *ctx) {
    struct coordinator *coordinator = ctx;
    coordinator->events.gap(coordinator->ctx);
}

static const struct sweep_events sweep_events = {
    .gap = on_gap,
    .failed = on_failed,
};

static struct shard *on_shard_of(void *ctx, struct shard_node *node) {
    return shard_of(ctx, node);
}

static void on_made(void *ctx, struct shard *shard) {
    struct coordinator *coordinator = ctx;
    shard->scan = coordinator->scan; /* a scan under way may have missed it */
}

static void on_all_made(void *ctx) {
    struct coordinator *coordinator = ctx;
    hold_listings(coordinator, false);
    if (coordinator->look_again) {
        coordinator->look_again = false;
        scan(coordinator);
    } else {
        share(coordinator);
    }
}

static void on_children_made(void *ctx, struct shard *parent) {
    struct coordinator *coordinator = ctx;
    if (parent->state == SHARD_ENDED) { /* else it was lost meanwhile */
        coordinator->events.finish_shard(coordinator->ctx, parent);
    }
}

static void on_children_failed(void *ctx, struct shard *parent) {
    struct coordinator *coordinator = ctx;
    if (parent->state == SHARD_ENDED) {
        discovery_search(&coordinator->discovery, parent, SEARCH_AGAIN_MS);
    }
}

static const struct lease_maker_events maker_events = {
    .shard_of = on_shard_of,
    .made = on_made,
    .all_made = on_all_made,
    .children_made = on_children_made,
    .children_failed = on_children_failed,
    .failed = on_failed,
};

static void create_missing(struct coordinator *coordinator) {
    if (lease_maker_is_busy(&coordinator->maker)) {
        return; /* the ones under way first; the next listing finds the rest */
    }
    bool latest = coordinator->first_start && options_of(coordinator)->initial == POSITION_LATEST;
    struct shard_start start = {
        .initial = latest ? POSITION_LATEST : POSITION_TRIM_HORIZON,
        .ms = coordinator->start_ms,
        .now_ms = coordinator->discovery.server_time_ms,
    };
    struct shard_missing *missing = NULL;
    size_t count = 0;
    struct err err = ERR_NONE;
    if (!shard_graph_missing(coordinator->graph, start, lease_of, coordinator, &missing, &count,
                             &err)) {
        fail(coordinator, &err);
        return;
    }
    coordinator->first_start = false;
    if (shard_graph_is_waiting(coordinator->graph)) {
        discovery_list_soon(&coordinator->discovery);
    }
    /* The nodes must stay until their leases are made. */
    hold_listings(coordinator, true);
    lease_maker_make(&coordinator->maker, missing, count);
}

/* ---- what discovery tells ---- */

static void on_described(void *ctx, const struct stream_description *description) {
    struct coordinator *coordinator = ctx;
    coordinator->events.described(coordinator->ctx, description);
}

static void on_listed(void *ctx) {
    struct coordinator *coordinator = ctx;
    sweep_listed(&coordinator->sweep);
    if (coordinator->first_scan_done) {
        create_missing(coordinator);
    } else if (coordinator->leases == NULL) {
        begin(coordinator);
    } else if (coordinator->scan == 0) {
        lease_table_ensure(coordinator->leases, table_ready, coordinator);
    }
}

static void on_searched(void *ctx, struct shard *shard) {
    struct coordinator *coordinator = ctx;
    lease_maker_make_children(&coordinator->maker, shard);
}

static const struct discovery_events discovery_events = {
    .described = on_described,
    .listed = on_listed,
    .searched = on_searched,
    .failed = on_failed,
};

/* ---- what the lanes tell ---- */

static void on_tip(void *ctx) {
    struct shard *shard = ctx;
    shard->reached_tip = true;
    check_caught_up(shard->coordinator);
}

static void on_ended(void *ctx) {
    struct shard *shard = ctx;
    struct coordinator *coordinator = shard->coordinator;
    coordinator->list_after_end = true;
    if (coordinator->stopping) {
        return; /* the stop releases it; its end is found again at the next start */
    }
    shard_set_state(shard, SHARD_ENDED);
    shard->child_tries = 0;
    discovery_search(&coordinator->discovery, shard, 0);
}

static void on_closed(void *ctx) {
    struct shard *shard = ctx;
    struct coordinator *coordinator = shard->coordinator;
    bool keeps = coordinator->leases != NULL;
    discovery_forget(&coordinator->discovery, shard);
    if (shard->result == SHARD_RESULT_FINISHED) {
        shard->lease.checkpoint = (struct position){.kind = POSITION_SHARD_END};
        LOG_INFO("shard", "finished", LOG_TEXT("shard", shard->node->id));
    }
    if (keeps) { /* as its last write left it */
        shard->has_lease = shard->lease.key[0] != '\0';
        shard->watch = (struct lease_watch){.seen = false};
        lease_watch_see(&shard->watch, shard->lease.counter, now_ns(coordinator));
        shard->expired = false;
    }
    shard_settle(shard);
    coordinator->events.closed_shard(coordinator->ctx, shard);
    if (!keeps) {
        share(coordinator);
    } else if (shard->result == SHARD_RESULT_FINISHED) {
        claims_follow(&coordinator->claims, shard);
    } else if (shard->result == SHARD_RESULT_LOST && !coordinator->stopping) {
        lane_timer_set_ms(&coordinator->scan_timer,
                          options_of(coordinator)->failover_ms + EPSILON_MS);
    }
    check_caught_up(coordinator);
}

/* ---- life ---- */

struct coordinator *coordinator_new(const struct source_common *common, struct service *streams,
                                    struct lease_table *leases,
                                    const struct coordinator_events *events, void *ctx) {
    struct coordinator *coordinator = calloc(1, sizeof *coordinator);
    if (coordinator == NULL) {
        return NULL;
    }
    coordinator->graph = shard_graph_new();
    if (coordinator->graph == NULL ||
        !sweep_init(&coordinator->sweep, common, leases, &sweep_events, coordinator)) {
        shard_graph_free(coordinator->graph);
        free(coordinator);
        return NULL;
    }
    coordinator->common = common;
    coordinator->leases = leases;
    coordinator->events = *events;
    coordinator->ctx = ctx;
    coordinator->first_start = true;
    discovery_init(&coordinator->discovery, common, streams, coordinator->graph, &discovery_events,
                   coordinator);
    struct lane *lane = common->lane;
    lane_timer_init(&coordinator->scan_timer, lane, scan, coordinator);
    lease_maker_init(&coordinator->maker, common, leases, &maker_events, coordinator);
    claims_init(&coordinator->claims, common, leases, coordinator->graph, &claims_events,
                coordinator);
    lane_timer_init(&coordinator->stop_timer, lane, tell_stopped, coordinator);
    return coordinator;
}

void coordinator_start(struct coordinator *coordinator) {
    discovery_list(&coordinator->discovery);
}

void coordinator_stop(struct coordinator *coordinator) {
    if (coordinator->stopping) {
        return;
    }
    coordinator->stopping = true;
    discovery_stop(&coordinator->discovery);
    lane_timer_cancel(&coordinator->scan_timer);
    lease_maker_stop(&coordinator->maker);
    claims_stop(&coordinator->claims);
    sweep_stop(&coordinator->sweep);
    lane_timer_set_ms(&coordinator->stop_timer,
                      claims_are_idle(&coordinator->claims) ? 0 : STOP_CLAIMS_MS);
}

static void free_all_shards(struct coordinator *coordinator) {
    size_t count = 0;
    struct err err;
    struct shard_node *const *nodes = shard_graph_sorted(coordinator->graph, &count, &err);
    for (size_t i = 0; i < count; i++) {
        free(nodes[i]->user);
    }
}

void coordinator_free(struct coordinator *coordinator) {
    if (coordinator == NULL) {
        return;
    }
    free_all_shards(coordinator);
    shard_graph_free(coordinator->graph);
    lease_maker_done(&coordinator->maker);
    sweep_done(&coordinator->sweep);
    discovery_done(&coordinator->discovery);
    free(coordinator);
}
