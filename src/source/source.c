#include "source/source.h"

#include "base/log.h"
#include "source/coordinator.h"
#include "source/worker.h"

#include <stdlib.h>

struct source {
    struct source_common common;
    struct coordinator_stats stats;
    struct measure measures[MEASURE_LANE_COUNT]; /* the coordinator's */
    struct coordinator *coordinator;
    struct worker *workers[SOURCE_LANES_MAX]; /* 0 is on the coordinator's lane */
    _Atomic(uint32_t) worker_count;
    uint32_t open_workers;
    atomic_uint_fast64_t gaps; /* of shards that no worker read */
    atomic_bool stopping;      /* changed on lane 0 */
    bool failed;
    struct err failure;
    atomic_flag stop_asked;
    struct lane_message start_message;
    struct lane_message stop_message;
};

static uint32_t count_workers(const struct source *source) {
    return atomic_load_explicit(&source->worker_count, memory_order_acquire);
}

/* ---- stopping ---- */

static bool is_stopping(const struct source *source) {
    return atomic_load_explicit(&source->stopping, memory_order_relaxed);
}

static void stop_workers(struct source *source) {
    for (uint32_t i = 0; i < count_workers(source); i++) {
        worker_stop(source->workers[i]);
    }
}

static void stop(struct source *source) {
    if (is_stopping(source)) {
        return;
    }
    atomic_store_explicit(&source->stopping, true, memory_order_relaxed);
    LOG_INFO("source", "stopping");
    if (source->coordinator != NULL) {
        coordinator_stop(source->coordinator); /* goes on in coordinator_stopped */
    } else {
        stop_workers(source);
    }
}

static void fail(struct source *source, const struct err *err) {
    if (!source->failed) {
        source->failed = true;
        source->failure = *err;
    }
    stop(source);
}

static void coordinator_stopped(void *ctx) {
    stop_workers(ctx);
}

/* ---- the coordinator's events ---- */

static void coordinator_failed(void *ctx, const struct err *err) {
    fail(ctx, err);
}

static void caught_up(void *ctx) {
    stop(ctx);
}

static void described(void *ctx, const struct stream_description *description) {
    struct source *source = ctx;
    struct source_common *common = &source->common;
    common->table_name = str_dup(str_of(description->table_name));
    common->hash_key = str_dup(str_of(description->hash_key));
    if (description->range_key != NULL) {
        common->range_key = str_dup(str_of(description->range_key));
    }
    common->started_ms =
        description->server_time_ms > 0 ? description->server_time_ms : lane_wall_ms(common->lane);
    LOG_INFO("stream", "described", LOG_TEXT("table", description->table_name),
             LOG_TEXT("view", description->view_type));
    if (description->status == STREAM_STATUS_DISABLED) {
        LOG_WARN("stream", "disabled",
                 LOG_TEXT("text", "the stream is disabled: what it still holds is read, "
                                  "nothing new will come"));
    }
}

static const struct worker_events worker_events;

static struct worker *add_worker(struct source *source, struct lane *lane) {
    struct worker *worker = worker_new(&source->common, lane, &worker_events, source);
    if (worker == NULL) {
        struct err err;
        err_set(&err, ERR_NOMEM, "no memory for a lane");
        fail(source, &err);
        return NULL;
    }
    uint32_t count = count_workers(source);
    source->workers[count] = worker;
    source->open_workers++;
    atomic_store_explicit(&source->worker_count, count + 1, memory_order_release);
    return worker;
}

/* The worker with the fewest shards; a new lane as long as every one has some. */
static struct worker *choose_worker(struct source *source) {
    struct worker *least = source->workers[0];
    uint32_t count = count_workers(source);
    for (uint32_t i = 1; i < count; i++) {
        if (source->workers[i]->assigned < least->assigned) {
            least = source->workers[i];
        }
    }
    if (least->assigned == 0 || count >= source->common.options.lanes) {
        return least;
    }
    struct err err = ERR_NONE;
    struct lane *lane = source->common.host.lane(source->common.host_ctx, count, &err);
    struct worker *worker = lane != NULL ? add_worker(source, lane) : NULL;
    if (worker == NULL) {
        LOG_WARN("source", "no-lane", LOG_ERR(&err));
        return least;
    }
    return worker;
}

static void open_shard(void *ctx, struct shard *shard) {
    struct source *source = ctx;
    struct worker *worker = choose_worker(source);
    worker->assigned++;
    worker_open_shard(worker, shard);
}

static void finish_shard(void *ctx, struct shard *shard) {
    (void)ctx;
    worker_finish_shard(shard->worker, shard);
}

static void closed_shard(void *ctx, struct shard *shard) {
    (void)ctx;
    shard->worker->assigned--;
    shard->worker = NULL;
}

static void on_gap(void *ctx) {
    struct source *source = ctx;
    worker_count(&source->gaps, 1);
}

static const struct coordinator_events coordinator_events = {
    .described = described,
    .open_shard = open_shard,
    .finish_shard = finish_shard,
    .closed_shard = closed_shard,
    .gap = on_gap,
    .caught_up = caught_up,
    .failed = coordinator_failed,
    .stopped = coordinator_stopped,
};

/* ---- the workers' events ---- */

static void worker_opened(void *ctx, struct worker *worker) {
    struct source *source = ctx;
    if (worker != source->workers[0] || is_stopping(source)) {
        return;
    }
    source->coordinator = coordinator_new(&source->common, worker->parts.streams, worker->leases,
                                          &coordinator_events, source);
    if (source->coordinator == NULL) {
        struct err err;
        err_set(&err, ERR_NOMEM, "no memory for the coordinator");
        fail(source, &err);
        return;
    }
    coordinator_start(source->coordinator);
}

static void worker_failed(void *ctx, struct worker *worker, const struct err *err) {
    (void)worker;
    fail(ctx, err);
}

static void worker_closed(void *ctx, struct worker *worker) {
    struct source *source = ctx;
    (void)worker;
    source->open_workers--;
    if (source->open_workers == 0) {
        source->common.host.done(source->common.host_ctx, source->failed ? &source->failure : NULL);
    }
}

static const struct worker_events worker_events = {
    .opened = worker_opened,
    .failed = worker_failed,
    .closed = worker_closed,
};

/* ---- life ---- */

static void do_start(void *ctx) {
    struct source *source = ctx;
    if (add_worker(source, source->common.lane) == NULL) {
        source->common.host.done(source->common.host_ctx, &source->failure);
    }
}

static void do_stop(void *ctx) {
    stop(ctx);
}

struct source *source_start(struct lane *lane, const struct source_options *options,
                            const struct source_host *host, void *host_ctx) {
    struct source *source = calloc(1, sizeof *source);
    if (source == NULL) {
        return NULL;
    }
    source->common.options = *options;
    if (source->common.options.lanes > SOURCE_LANES_MAX) {
        source->common.options.lanes = SOURCE_LANES_MAX;
    }
    source->common.host = *host;
    source->common.host_ctx = host_ctx;
    source->common.lane = lane;
    source->common.coordinator = &source->stats;
    source->common.measures = source->measures;
    atomic_flag_clear(&source->stop_asked);
    lane_post(lane, &source->start_message, do_start, source);
    return source;
}

void source_stop(struct source *source) {
    if (!atomic_flag_test_and_set(&source->stop_asked)) {
        lane_post(source->common.lane, &source->stop_message, do_stop, source);
    }
}

void source_free(struct source *source) {
    if (source == NULL) {
        return;
    }
    coordinator_free(source->coordinator);
    for (uint32_t i = 0; i < count_workers(source); i++) {
        worker_free(source->workers[i]);
    }
    free(source->common.table_name);
    free(source->common.hash_key);
    free(source->common.range_key);
    free(source);
}

static uint64_t get(const atomic_uint_fast64_t *counter) {
    return atomic_load_explicit(counter, memory_order_relaxed);
}

void source_get_stats(const struct source *source, struct source_stats *ret_stats) {
    *ret_stats = (struct source_stats){.gaps = get(&source->gaps)};
    for (uint32_t i = 0; i < count_workers(source); i++) {
        const struct worker_stats *stats = &source->workers[i]->stats;
        ret_stats->records_read += get(&stats->records_read);
        ret_stats->records_acked += get(&stats->records_acked);
        ret_stats->records_skipped += get(&stats->records_skipped);
        ret_stats->record_errors += get(&stats->record_errors);
        ret_stats->gaps += get(&stats->gaps);
        ret_stats->in_flight += get(&stats->in_flight);
        ret_stats->bytes_read += get(&stats->bytes_read);
        ret_stats->shards_open += get(&stats->shards_open);
        uint64_t behind_ms = get(&stats->behind_ms);
        ret_stats->behind_ms = behind_ms > ret_stats->behind_ms ? behind_ms : ret_stats->behind_ms;
        ret_stats->pages_read += get(&stats->pages_read);
        ret_stats->read_failures += get(&stats->read_failures);
        ret_stats->leases_lost += get(&stats->leases_lost);
        ret_stats->sink_reconnects += get(&stats->sink_reconnects);
    }
}

static struct source_lane_pulse lane_pulse(const struct worker_stats *stats) {
    return (struct source_lane_pulse){
        .life = (enum source_lane_life)get(&stats->life),
        .turns = get(&stats->turns),
        .sink_ready = get(&stats->sink_ready) != 0,
        .sink_lost = (uint32_t)get(&stats->sink_lost),
        .shards = get(&stats->shards_open),
        .in_flight = get(&stats->in_flight),
        .behind_ms = get(&stats->behind_ms),
        .step_idle_ms = get(&stats->step_idle_ms),
        .page_idle_ms = get(&stats->page_idle_ms),
        .ack_idle_ms = get(&stats->ack_idle_ms),
        .lease_idle_ms = get(&stats->lease_idle_ms),
        .write_idle_ms = get(&stats->write_idle_ms),
        .read_error = (enum err_code)get(&stats->read_error),
    };
}

void source_get_pulse(const struct source *source, struct source_pulse *ret_pulse) {
    const struct coordinator_stats *stats = &source->stats;
    *ret_pulse = (struct source_pulse){
        .sharing = get(&stats->sharing) != 0,
        .stopping = is_stopping(source),
        .making = get(&stats->making) != 0,
        .describes = get(&stats->describes),
        .listings = get(&stats->listings),
        .scan_tries = get(&stats->scan_tries),
        .scans = get(&stats->scans),
        .lane_count = count_workers(source),
    };
    for (uint32_t i = 0; i < ret_pulse->lane_count; i++) {
        ret_pulse->lanes[i] = lane_pulse(&source->workers[i]->stats);
    }
}
