#include "source/coordinator.h"

#include "base/log.h"
#include "source/discovery.h"

#include <inttypes.h>
#include <stdlib.h>

enum {
    SEARCH_AGAIN_MS = 1000,
    CLAIMS_AT_ONCE = 32,
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

    /* leases */
    bool first_scan_done;
    bool scanning;
    bool first_start;              /* the first scan saw no lease of this stream */
    uint32_t scan;                 /* number of the newest scan */
    int64_t start_ms;              /* d2pStart for new roots; 0: none */
    struct shard_missing *missing; /* leases being created, in order */
    size_t missing_count;
    size_t missing_next;
    uint32_t claims; /* under way */
    struct lane_timer scan_timer;
    struct backoff backoff; /* of lease creation */
    struct lane_timer create_timer;

    bool list_after_end; /* a shard has ended since the last full listing began */
    bool stopping;
    bool told_stopped;
    struct lane_timer stop_timer;
};

static void claim_all(struct coordinator *coordinator);
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

/* Of a write to the lease table: no later try can succeed. */
static bool is_final(const struct err *err) {
    return err->class == ERR_CLASS_FATAL || err->code == ERR_AWS_DENIED;
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

/* A node that a lane or a request refers to must outlive a listing without it. */
static void set_state(struct shard *shard, enum shard_state state) {
    shard->state = state;
    shard->node->pinned = state == SHARD_CLAIMING || state == SHARD_OPEN || state == SHARD_ENDED;
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

/* A parent that has a lease must be at its end. */
static bool is_ready(const struct shard *shard) {
    const struct shard_node *parent = shard->node->parent;
    const struct shard *above = parent != NULL ? parent->user : NULL;
    return above == NULL || !above->has_lease || above->state == SHARD_FINISHED;
}

static bool is_mine(const struct coordinator *coordinator, const struct lease *lease) {
    return str_equal(str_of(lease->owner), options_of(coordinator)->worker_id);
}

/* ---- caught up? ---- */

static bool shard_caught_up(const struct coordinator *coordinator, const struct shard *shard) {
    if (!shard->has_lease || shard->state == SHARD_FINISHED) {
        return true;
    }
    if (shard->state == SHARD_OPEN) {
        return shard->reached_tip;
    }
    return shard->state == SHARD_IDLE && !is_mine(coordinator, &shard->lease) && shard->other_alive;
}

static void check_caught_up(struct coordinator *coordinator) {
    if (!options_of(coordinator)->until_caught_up || coordinator->stopping ||
        !coordinator->first_scan_done || coordinator->missing != NULL || coordinator->claims > 0 ||
        !discovery_is_idle(&coordinator->discovery)) {
        return;
    }
    size_t count = 0;
    uint64_t others = 0;
    struct err err;
    struct shard_node *const *nodes = shard_graph_sorted(coordinator->graph, &count, &err);
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

/* ---- claiming ---- */

static void open_shard(struct coordinator *coordinator, struct shard *shard) {
    set_state(shard, SHARD_OPEN);
    shard->reached_tip = false;
    shard->closed = !shard->node->open;
    coordinator->events.open_shard(coordinator->ctx, shard);
}

static void tell_stopped(void *ctx) {
    struct coordinator *coordinator = ctx;
    if (!coordinator->told_stopped) {
        coordinator->told_stopped = true;
        lane_timer_cancel(&coordinator->stop_timer);
        coordinator->events.stopped(coordinator->ctx);
    }
}

static void check_stopped(struct coordinator *coordinator) {
    if (coordinator->stopping && coordinator->claims == 0) {
        tell_stopped(coordinator);
    }
}

static void unclaimed(void *ctx, const struct err *err) {
    struct shard *shard = ctx;
    struct coordinator *coordinator = shard->coordinator;
    if (err != NULL) {
        LOG_WARN("lease", "not-released", LOG_TEXT("shard", shard->node->id), LOG_ERR(err));
    }
    set_state(shard, SHARD_IDLE);
    coordinator->claims--;
    check_stopped(coordinator);
}

static void claimed(void *ctx, const struct err *err) {
    struct shard *shard = ctx;
    struct coordinator *coordinator = shard->coordinator;
    if (err == NULL && coordinator->stopping) {
        lease_table_change(coordinator->leases, LEASE_RELEASE, &shard->lease, NULL, unclaimed,
                           shard);
        return;
    }
    coordinator->claims--;
    if (err == NULL) {
        LOG_INFO("lease", "taken", LOG_TEXT("shard", shard->node->id),
                 LOG_U64("counter", shard->lease.counter));
        open_shard(coordinator, shard);
        claim_all(coordinator);
        return;
    }
    set_state(shard, SHARD_IDLE);
    shard->counter_seen_ns = now_ns(coordinator);
    if (err->code == ERR_LEASE_LOST) {
        LOG_INFO("lease", "not-taken", LOG_TEXT("shard", shard->node->id), LOG_ERR(err));
        shard->has_lease = shard->lease.key[0] != '\0';
    } else if (is_final(err)) {
        fail(coordinator, err);
    } else {
        LOG_WARN("lease", "take-failed", LOG_TEXT("shard", shard->node->id), LOG_ERR(err));
        shard->counter_seen_ns = 0; /* nobody's fault: again at the next scan */
    }
    check_stopped(coordinator);
    check_caught_up(coordinator);
}

static bool may_claim(const struct coordinator *coordinator, const struct shard *shard) {
    if (shard->state != SHARD_IDLE || !shard->has_lease || !is_ready(shard)) {
        return false;
    }
    uint64_t still_ns = now_ns(coordinator) - shard->counter_seen_ns;
    return shard->lease.owner[0] == '\0' || is_mine(coordinator, &shard->lease) ||
           shard->counter_seen_ns == 0 ||
           still_ns > options_of(coordinator)->failover_ms * UINT64_C(1000000);
}

static void claim_all(struct coordinator *coordinator) {
    if (coordinator->stopping) {
        return;
    }
    size_t count = 0;
    struct err err = ERR_NONE;
    struct shard_node *const *nodes = shard_graph_sorted(coordinator->graph, &count, &err);
    if (err_is_set(&err)) {
        fail(coordinator, &err);
        return;
    }
    for (size_t i = 0; i < count && coordinator->claims < CLAIMS_AT_ONCE; i++) {
        struct shard *shard = nodes[i]->user;
        if (shard == NULL || !may_claim(coordinator, shard)) {
            continue;
        }
        if (coordinator->leases == NULL) {
            open_shard(coordinator, shard);
            continue;
        }
        set_state(shard, SHARD_CLAIMING);
        shard->claimed_ns = now_ns(coordinator);
        coordinator->claims++;
        lease_table_change(coordinator->leases, LEASE_TAKE, &shard->lease, NULL, claimed, shard);
    }
    check_caught_up(coordinator);
}

/* ---- scanning the lease table ---- */

static void saw_lease(void *ctx, const struct lease *lease) {
    struct coordinator *coordinator = ctx;
    bool ours = str_equal(str_of(lease->stream), options_of(coordinator)->stream_arn);
    struct shard_node *node = shard_graph_find(coordinator->graph, str_of(lease->key));
    if (node != NULL || ours) {
        coordinator->first_start = false;
        if (lease->start_ms > coordinator->start_ms) {
            coordinator->start_ms = lease->start_ms;
        }
    }
    if (node == NULL) {
        LOG_DEBUG("lease", "of-unlisted-shard", LOG_TEXT("shard", lease->key));
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
    if (!shard->has_lease) {
        shard->counter_seen_ns = now_ns(coordinator);
    } else if (shard->lease.counter != lease->counter) {
        shard->counter_seen_ns = now_ns(coordinator);
        shard->other_alive = true;
    }
    shard->has_lease = true;
    shard->lease = *lease;
    set_state(shard, lease->checkpoint.kind == POSITION_SHARD_END ? SHARD_FINISHED : SHARD_IDLE);
}

/* Leases that the newest scan did not see were deleted. */
static bool forget_unseen(struct coordinator *coordinator) {
    bool others = false;
    size_t count = 0;
    struct err err = ERR_NONE;
    struct shard_node *const *nodes = shard_graph_sorted(coordinator->graph, &count, &err);
    for (size_t i = 0; i < count; i++) {
        struct shard *shard = nodes[i]->user;
        if (shard == NULL || !shard->has_lease) {
            continue;
        }
        bool idle = shard->state == SHARD_IDLE || shard->state == SHARD_FINISHED;
        if (idle && shard->scan != coordinator->scan) {
            LOG_WARN("lease", "vanished", LOG_TEXT("shard", shard->node->id));
            shard->has_lease = false;
            set_state(shard, SHARD_IDLE);
        }
        others = others || shard->state == SHARD_IDLE;
    }
    return others;
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
    if (decide_start(coordinator)) {
        create_missing(coordinator);
    }
}

static void scanned(void *ctx, const struct err *err) {
    struct coordinator *coordinator = ctx;
    coordinator->scanning = false;
    if (coordinator->stopping) {
        return;
    }
    uint64_t again_ms = options_of(coordinator)->failover_ms + EPSILON_MS;
    if (err != NULL) {
        if (!coordinator->first_scan_done || err->class == ERR_CLASS_FATAL) {
            fail(coordinator, err);
            return;
        }
        LOG_WARN("lease", "scan-failed", LOG_ERR(err));
        lane_timer_set_ms(&coordinator->scan_timer, again_ms);
        return;
    }
    bool others = forget_unseen(coordinator);
    lane_timer_set_ms(&coordinator->scan_timer, others ? again_ms : 2 * again_ms);
    if (!coordinator->first_scan_done) {
        begin(coordinator);
    }
    claim_all(coordinator);
}

static void scan(void *ctx) {
    struct coordinator *coordinator = ctx;
    if (coordinator->scanning || coordinator->stopping) {
        return;
    }
    coordinator->scanning = true;
    coordinator->scan++;
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

static bool new_lease(struct coordinator *coordinator, struct shard *shard, enum position_kind at,
                      int64_t start_ms) {
    shard->lease = (struct lease){.checkpoint = {.kind = at}, .start_ms = start_ms};
    const struct shard_node *parent = shard->node->parent;
    bool fits = str_copy(str_of(shard->node->id), shard->lease.key, sizeof shard->lease.key) &&
                str_copy(options_of(coordinator)->stream_arn, shard->lease.stream,
                         sizeof shard->lease.stream) &&
                (parent == NULL ||
                 str_copy(str_of(parent->id), shard->lease.parent, sizeof shard->lease.parent));
    if (!fits) {
        struct err err;
        err_set(&err, ERR_STREAM, "shard id or stream ARN too long for a lease: %s",
                shard->node->id);
        fail(coordinator, &err);
        return false;
    }
    return true;
}

static void made(struct shard *shard) {
    shard->has_lease = true;
    set_state(shard, SHARD_IDLE);
    shard->counter_seen_ns = 0;
    LOG_INFO("lease", "created", LOG_TEXT("shard", shard->node->id));
}

static void create_next(void *ctx);

static void created(void *ctx, const struct err *err) {
    struct coordinator *coordinator = ctx;
    if (coordinator->stopping) {
        return;
    }
    struct shard *shard = coordinator->missing[coordinator->missing_next].node->user;
    if (err == NULL) {
        backoff_reset(&coordinator->backoff);
        made(shard);
        coordinator->missing_next++;
        create_next(coordinator);
        return;
    }
    if (is_final(err)) {
        fail(coordinator, err);
        return;
    }
    LOG_WARN("lease", "create-failed", LOG_TEXT("shard", shard->node->id), LOG_ERR(err));
    set_state(shard, SHARD_IDLE);
    lane_timer_set_ms(&coordinator->create_timer,
                      backoff_next_ms(&coordinator->backoff, &coordinator->common->lane->rng));
}

static void create_done(struct coordinator *coordinator) {
    free(coordinator->missing);
    coordinator->missing = NULL;
    discovery_hold(&coordinator->discovery, false);
    claim_all(coordinator);
}

static void create_next(void *ctx) {
    struct coordinator *coordinator = ctx;
    while (coordinator->missing_next < coordinator->missing_count) {
        const struct shard_missing *entry = &coordinator->missing[coordinator->missing_next];
        struct shard *shard = shard_of(coordinator, entry->node);
        if (shard == NULL || !new_lease(coordinator, shard, entry->at, entry->start_ms)) {
            return;
        }
        if (coordinator->leases != NULL) {
            set_state(shard, SHARD_CLAIMING);
            lease_table_create(coordinator->leases, &shard->lease, created, coordinator);
            return;
        }
        made(shard);
        coordinator->missing_next++;
    }
    create_done(coordinator);
}

static void create_missing(struct coordinator *coordinator) {
    if (coordinator->missing != NULL) {
        return; /* the ones under way first; the next listing finds the rest */
    }
    bool latest = coordinator->first_start && options_of(coordinator)->initial == POSITION_LATEST;
    struct shard_start start = {
        .initial = latest ? POSITION_LATEST : POSITION_TRIM_HORIZON,
        .ms = coordinator->start_ms,
    };
    struct err err = ERR_NONE;
    coordinator->missing_next = 0;
    if (!shard_graph_missing(coordinator->graph, start, lease_of, coordinator,
                             &coordinator->missing, &coordinator->missing_count, &err)) {
        fail(coordinator, &err);
        return;
    }
    coordinator->first_start = false;
    discovery_hold(&coordinator->discovery,
                   true); /* the nodes must stay until their leases are made */
    create_next(coordinator);
}

/* ---- children of a shard that has ended ---- */

static void create_children(struct shard *shard);

static void child_created(void *ctx, const struct err *err) {
    struct shard *child = ctx;
    struct coordinator *coordinator = child->coordinator;
    if (coordinator->stopping) {
        return;
    }
    struct shard *parent = child->node->parent->user;
    if (err == NULL) {
        made(child);
        create_children(parent);
        return;
    }
    if (is_final(err)) {
        fail(coordinator, err);
        return;
    }
    LOG_WARN("lease", "create-failed", LOG_TEXT("shard", child->node->id), LOG_ERR(err));
    set_state(child, SHARD_IDLE);
    discovery_search(&coordinator->discovery, parent, SEARCH_AGAIN_MS);
}

/* Makes the next missing lease of a child; with none missing, lets the parent write its SHARD_END. */
static void create_children(struct shard *shard) {
    struct coordinator *coordinator = shard->coordinator;
    for (struct shard_node *node = shard->node->first_child; node != NULL;
         node = node->next_sibling) {
        struct shard *child = shard_of(coordinator, node);
        if (child == NULL) {
            return;
        }
        if (child->has_lease) {
            continue;
        }
        if (!new_lease(coordinator, child, POSITION_TRIM_HORIZON, 0)) {
            return;
        }
        if (coordinator->leases == NULL) {
            made(child);
            continue;
        }
        set_state(child, SHARD_CLAIMING);
        lease_table_create(coordinator->leases, &child->lease, child_created, child);
        return;
    }
    coordinator->events.finish_shard(coordinator->ctx, shard);
}

/* ---- what discovery tells ---- */

static void on_described(void *ctx, const struct stream_description *description) {
    struct coordinator *coordinator = ctx;
    coordinator->events.described(coordinator->ctx, description);
}

static void on_listed(void *ctx) {
    struct coordinator *coordinator = ctx;
    if (coordinator->first_scan_done) {
        create_missing(coordinator);
    } else if (coordinator->leases == NULL) {
        begin(coordinator);
    } else {
        lease_table_ensure(coordinator->leases, table_ready, coordinator);
    }
}

static void on_searched(void *ctx, struct shard *shard) {
    (void)ctx;
    create_children(shard);
}

static void on_failed(void *ctx, const struct err *err) {
    fail(ctx, err);
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
    set_state(shard, SHARD_ENDED);
    shard->child_tries = 0;
    discovery_search(&coordinator->discovery, shard, 0);
}

static void on_closed(void *ctx) {
    struct shard *shard = ctx;
    struct coordinator *coordinator = shard->coordinator;
    set_state(shard, SHARD_IDLE);
    shard->counter_seen_ns = now_ns(coordinator);
    shard->other_alive = false;
    if (shard->result == SHARD_RESULT_FINISHED) {
        set_state(shard, SHARD_FINISHED);
        shard->lease.checkpoint = (struct position){.kind = POSITION_SHARD_END};
        LOG_INFO("shard", "finished", LOG_TEXT("shard", shard->node->id));
    } else if (shard->result == SHARD_RESULT_LOST && coordinator->leases != NULL &&
               !coordinator->stopping) {
        lane_timer_set_ms(&coordinator->scan_timer,
                          options_of(coordinator)->failover_ms + EPSILON_MS);
    }
    coordinator->events.closed_shard(coordinator->ctx, shard);
    claim_all(coordinator);
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
    if (coordinator->graph == NULL) {
        free(coordinator);
        return NULL;
    }
    coordinator->common = common;
    coordinator->leases = leases;
    coordinator->events = *events;
    coordinator->ctx = ctx;
    coordinator->first_start = true;
    coordinator->backoff = backoff_make(200, 10000);
    discovery_init(&coordinator->discovery, common, streams, coordinator->graph, &discovery_events,
                   coordinator);
    struct lane *lane = common->lane;
    lane_timer_init(&coordinator->scan_timer, lane, scan, coordinator);
    lane_timer_init(&coordinator->create_timer, lane, create_next, coordinator);
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
    lane_timer_cancel(&coordinator->create_timer);
    lane_timer_set_ms(&coordinator->stop_timer, coordinator->claims > 0 ? STOP_CLAIMS_MS : 0);
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
    free(coordinator->missing);
    discovery_done(&coordinator->discovery);
    free(coordinator);
}
