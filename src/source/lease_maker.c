#include "source/lease_maker.h"

#include "base/log.h"

#include <stdlib.h>

enum { AT_ONCE = 32 };

static void go_on(void *ctx);

/* Of a write to the lease table: no later try can succeed. */
static bool is_final(const struct err *err) {
    return err->class == ERR_CLASS_FATAL || err->code == ERR_AWS_DENIED;
}

static bool prepare(struct lease_maker *maker, struct shard *shard, enum position_kind at,
                    int64_t start_ms, int64_t read_ms) {
    const struct shard_node *parent = shard->node->parent;
    shard->lease = (struct lease){
        .checkpoint = {.kind = at},
        .start_ms = start_ms,
        .read_ms = read_ms,
        .stream = LEASE_STREAM_OURS,
    };
    bool fits = str_copy(str_of(shard->node->id), shard->lease.key, sizeof shard->lease.key) &&
                (parent == NULL ||
                 str_copy(str_of(parent->id), shard->lease.parent, sizeof shard->lease.parent));
    if (!fits) {
        struct err err;
        err_set(&err, ERR_STREAM, "shard id too long for a lease: %s", shard->node->id);
        maker->events.failed(maker->ctx, &err);
    }
    return fits;
}

static void made(struct lease_maker *maker, struct shard *shard) {
    shard->has_lease = true;
    shard->watch = (struct lease_watch){.seen = false};
    shard->expired = false;
    shard_settle(shard);
    LOG_INFO("lease", "made", LOG_TEXT("shard", shard->node->id));
    maker->events.made(maker->ctx, shard);
}

/* ---- all that are missing ---- */

static void check_all_made(struct lease_maker *maker) {
    if (maker->under_way > 0) {
        return;
    }
    if (maker->failed) {
        maker->failed = false;
        maker->next = 0; /* those that are made are passed over */
        lane_timer_set_ms(&maker->timer,
                          backoff_next_ms(&maker->backoff, &maker->common->lane->rng));
        return;
    }
    if (maker->next == maker->count) {
        free(maker->missing);
        maker->missing = NULL;
        maker->events.all_made(maker->ctx);
    }
}

static void measure_create(struct lease_maker *maker, const struct shard *shard, bool success) {
    struct measure *measures = maker->common->measures;
    uint64_t ms = (lane_now_ns(maker->common->lane) - shard->claimed_ns) / 1000000;
    measure_add(&measures[MEASURE_LANE_CREATE_SUCCESS], success);
    measure_add(&measures[MEASURE_LANE_CREATE_TIME], ms);
}

static void created(void *ctx, const struct err *err) {
    struct shard *shard = ctx;
    struct lease_maker *maker = shard->maker;
    measure_create(maker, shard, err == NULL);
    maker->under_way--;
    if (maker->stopped) {
        return;
    }
    if (err == NULL) {
        backoff_reset(&maker->backoff);
        made(maker, shard);
        go_on(maker);
        return;
    }
    shard_set_state(shard, SHARD_IDLE);
    if (is_final(err)) {
        maker->events.failed(maker->ctx, err);
        return;
    }
    LOG_WARN("lease", "create-failed", LOG_TEXT("shard", shard->node->id), LOG_ERR(err));
    maker->failed = true;
    check_all_made(maker);
}

/* A lease of its parent's is being made. */
static bool waits_for_parent(const struct shard_missing *entry) {
    const struct shard_node *parent = entry->node->parent;
    const struct shard *above = parent != NULL ? parent->user : NULL;
    return above != NULL && !above->has_lease && above->state == SHARD_CLAIMING;
}

/* Begins what may be begun. False when it cannot go on. */
static bool begin(struct lease_maker *maker) {
    while (maker->next < maker->count && maker->under_way < AT_ONCE && !maker->failed) {
        const struct shard_missing *entry = &maker->missing[maker->next];
        struct shard *shard = maker->events.shard_of(maker->ctx, entry->node);
        if (shard == NULL || waits_for_parent(entry)) {
            return shard != NULL;
        }
        maker->next++;
        if (shard->has_lease || shard->state != SHARD_IDLE) {
            continue;
        }
        if (!prepare(maker, shard, entry->at, entry->start_ms, entry->read_ms)) {
            return false;
        }
        if (maker->table == NULL) {
            made(maker, shard);
            continue;
        }
        shard_set_state(shard, SHARD_CLAIMING);
        shard->maker = maker;
        maker->under_way++;
        shard->claimed_ns = lane_now_ns(maker->common->lane);
        lease_table_create(maker->table, &shard->lease, created, shard);
    }
    return true;
}

static void go_on(void *ctx) {
    struct lease_maker *maker = ctx;
    if (begin(maker)) {
        check_all_made(maker);
    }
}

void lease_maker_make(struct lease_maker *maker, struct shard_missing *missing, size_t count) {
    maker->missing = missing;
    maker->count = count;
    maker->next = 0;
    go_on(maker);
}

bool lease_maker_is_busy(const struct lease_maker *maker) {
    return maker->missing != NULL;
}

/* ---- children of a shard that has ended ---- */

static void child_created(void *ctx, const struct err *err) {
    struct shard *child = ctx;
    struct lease_maker *maker = child->maker;
    measure_create(maker, child, err == NULL);
    if (maker->stopped) {
        return;
    }
    struct shard *parent = child->node->parent != NULL ? child->node->parent->user : NULL;
    if (err == NULL) {
        made(maker, child);
        if (parent != NULL) { /* lost and no longer listed otherwise */
            lease_maker_make_children(maker, parent);
        }
        return;
    }
    shard_set_state(child, SHARD_IDLE);
    if (is_final(err)) {
        maker->events.failed(maker->ctx, err);
        return;
    }
    LOG_WARN("lease", "create-failed", LOG_TEXT("shard", child->node->id), LOG_ERR(err));
    if (parent != NULL) {
        maker->events.children_failed(maker->ctx, parent);
    }
}

void lease_maker_make_children(struct lease_maker *maker, struct shard *parent) {
    for (struct shard_node *node = parent->node->first_child; node != NULL;
         node = node->next_sibling) {
        struct shard *child = maker->events.shard_of(maker->ctx, node);
        if (child == NULL) {
            return;
        }
        if (child->has_lease) {
            continue;
        }
        if (child->state != SHARD_IDLE) { /* it is being made already */
            maker->events.children_failed(maker->ctx, parent);
            return;
        }
        if (!prepare(maker, child, POSITION_TRIM_HORIZON, 0, parent->newest_ms)) {
            return;
        }
        if (maker->table == NULL) {
            made(maker, child);
            continue;
        }
        shard_set_state(child, SHARD_CLAIMING);
        child->maker = maker;
        child->claimed_ns = lane_now_ns(maker->common->lane);
        lease_table_create(maker->table, &child->lease, child_created, child);
        return;
    }
    maker->events.children_made(maker->ctx, parent);
}

/* ---- life ---- */

void lease_maker_init(struct lease_maker *maker, const struct source_common *common,
                      struct lease_table *table, const struct lease_maker_events *events,
                      void *ctx) {
    *maker = (struct lease_maker){
        .common = common,
        .table = table,
        .events = *events,
        .ctx = ctx,
        .backoff = backoff_make(200, 10000),
    };
    lane_timer_init(&maker->timer, common->lane, go_on, maker);
}

void lease_maker_stop(struct lease_maker *maker) {
    maker->stopped = true;
    lane_timer_cancel(&maker->timer);
}

void lease_maker_done(struct lease_maker *maker) {
    free(maker->missing);
    maker->missing = NULL;
}
