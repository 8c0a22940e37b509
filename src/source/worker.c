#include "source/worker.h"

#include "base/log.h"

#include <stdlib.h>

enum {
    STATS_MS = 250,
    LAST_WRITES_MS = 3000, /* after stopTimeout, for the leases' last writes */
    SLOTS_FIRST = 16,
};

/* ---- to and from the coordinator ---- */

static void post(struct worker *worker, struct lane_message *message, lane_fn *fn) {
    lane_post(worker->common->lane, message, fn, worker);
}

static void on_opened(void *ctx) {
    struct worker *worker = ctx;
    worker->events.opened(worker->events_ctx, worker);
}

static void on_failed(void *ctx) {
    struct worker *worker = ctx;
    worker->events.failed(worker->events_ctx, worker, &worker->failure);
}

static void on_closed(void *ctx) {
    struct worker *worker = ctx;
    worker->events.closed(worker->events_ctx, worker);
}

void worker_fail(struct worker *worker, const struct err *err) {
    if (worker->failed) {
        return;
    }
    worker->failed = true;
    worker->failure = *err;
    post(worker, &worker->failed_message, on_failed);
}

/* ---- stats ---- */

/* What is worst on this lane. */
struct idle {
    uint64_t step_ms;
    uint64_t page_ms;
    uint64_t ack_ms;
    uint64_t lease_ms;
    uint64_t write_ms;
};

static void raise_to(uint64_t *worst, uint64_t value) {
    *worst = value > *worst ? value : *worst;
}

static void look_at_reader(struct worker *worker, struct reader *reader, bool sink_lost,
                           uint64_t elapsed_ms, struct idle *idle) {
    struct reader_pulse *pulse = &reader->pulse;
    bool reads = reader_should_read(reader);
    raise_to(&idle->step_ms, stall_look(&pulse->step, pulse->steps, !reads, elapsed_ms));
    raise_to(&idle->page_ms, stall_look(&pulse->page, pulse->pages, !reads, elapsed_ms));
    /* Receipts can't come while a connection is missing: that is told on its own. */
    bool waits = !feed_is_settled(&reader->feed) && !sink_lost;
    raise_to(&idle->ack_ms, stall_look(&pulse->ack, reader->feed.window.head, !waits, elapsed_ms));
    if (worker->leases != NULL) {
        const struct lease_holder *holder = &reader->holder;
        raise_to(&idle->lease_ms,
                 stall_look(&pulse->lease, holder->renewed_ns, holder->stopped, elapsed_ms));
        raise_to(&idle->write_ms,
                 stall_look(&pulse->writes, holder->write_started_ns, holder->stopped, elapsed_ms));
    }
}

static void update_stats(struct worker *worker) {
    uint64_t now_ms = lane_now_ms(worker->lane);
    uint64_t elapsed_ms = now_ms - worker->stats_ms;
    worker->stats_ms = now_ms;
    struct sink_stats sink = {.lost = 0};
    if (worker->parts.sink != NULL) {
        sink_stats(worker->parts.sink, &sink);
    }
    uint64_t in_flight = 0;
    uint64_t behind_ms = 0;
    struct idle idle = {.step_ms = 0};
    for (uint32_t i = 0; i < worker->slot_count; i++) {
        struct reader *reader = worker->readers[i];
        if (reader != NULL) {
            in_flight += reader->feed.window.unacked;
            raise_to(&behind_ms, reader_behind_ms(reader));
            look_at_reader(worker, reader, sink.lost > 0, elapsed_ms, &idle);
        }
    }
    struct worker_stats *stats = &worker->stats;
    worker_set(&stats->in_flight, in_flight);
    worker_set(&stats->behind_ms, behind_ms);
    worker_set(&stats->shards_open, worker->open_readers);
    worker_set(&stats->sink_lost, sink.lost);
    worker_set(&stats->sink_reconnects, sink.reconnects);
    worker_set(&stats->step_idle_ms, idle.step_ms);
    worker_set(&stats->page_idle_ms, idle.page_ms);
    worker_set(&stats->ack_idle_ms, idle.ack_ms);
    worker_set(&stats->lease_idle_ms, idle.lease_ms);
    worker_set(&stats->write_idle_ms, idle.write_ms);
}

static void turn(void *ctx) {
    struct worker *worker = ctx;
    if (worker->closing) {
        return;
    }
    worker_count(&worker->stats.turns, 1);
    update_stats(worker);
    lane_timer_set_ms(&worker->stats_timer, STATS_MS);
}

/* By a message to itself, so that a turn shows that both timers and messages come. */
static void begin_turn(void *ctx) {
    struct worker *worker = ctx;
    lane_post(worker->lane, &worker->turn_message, turn, worker);
}

/* ---- measures ---- */

static struct measures *measured(struct worker *worker) {
    if (worker->measured == NULL) {
        worker->measured = measures_new();
    }
    return worker->measured;
}

/* When memory is out, they are lost. */
static void take_measures(struct worker *worker, struct reader *reader) {
    struct lease_holder *holder = &reader->holder;
    struct measures *to = measured(worker);
    if (to == NULL) {
        return;
    }
    struct measure *lane = worker->measures;
    measure_merge(&lane[MEASURE_LANE_RENEW_ALL_SUCCESS], &holder->write_success);
    measure_merge(&lane[MEASURE_LANE_RENEW_ALL_TIME], &holder->write_ms);
    measure_move(&lane[MEASURE_LANE_RENEW_SUCCESS], &holder->write_success);
    measure_move(&lane[MEASURE_LANE_RENEW_TIME], &holder->write_ms);
    measure_move(&reader->clock.shard[MEASURE_SHARD_CHECKPOINT_SUCCESS],
                 &holder->checkpoint_success);
    measure_move(&reader->clock.shard[MEASURE_SHARD_CHECKPOINT_TIME], &holder->checkpoint_ms);
    (void)measures_take_shard(to, str_of(reader->shard->node->id), reader->clock.shard);
}

static void hand_on_measures(struct worker *worker) {
    for (uint32_t i = 0; i < worker->slot_count; i++) {
        struct reader *reader = worker->readers[i];
        if (reader == NULL) {
            continue;
        }
        struct measure *behind = &reader->clock.shard[MEASURE_SHARD_BEHIND];
        if (behind->count == 0) { /* no page at all: that is when it matters */
            measure_add(behind, reader_behind_ms(reader));
        }
        take_measures(worker, reader);
    }
    struct measures *measures = measured(worker);
    if (measures == NULL) {
        return;
    }
    measures_take_lane(measures, worker->measures);
    if (worker->lane == worker->common->lane) {
        measures_take_lane(measures, worker->common->measures);
    }
    measures->at_ms = lane_wall_ms(worker->lane);
    worker->measured = NULL;
    worker->common->host.measured(worker->common->host_ctx, measures);
}

static bool hands_on_measures(const struct worker *worker) {
    return worker->common->options.measure_ms > 0;
}

static void on_measure_timer(void *ctx) {
    struct worker *worker = ctx;
    hand_on_measures(worker);
    lane_timer_set_ms(&worker->measure_timer, worker->common->options.measure_ms);
}

/* ---- memory and the waiting readers ---- */

bool worker_has_memory(const struct worker *worker) {
    uint64_t budget = worker->common->options.memory_budget / worker->common->options.lanes;
    struct sink_stats sink;
    sink_stats(worker->parts.sink, &sink);
    uint64_t pages = page_pool_bytes(worker->parts.streams->pages);
    uint64_t used = pages + sink.in_flight_bytes + worker->window_bytes;
    /* With nothing on its way nothing would ever wake the reader: it may always go on. */
    return used < budget || (sink.in_flight == 0 && pages == 0);
}

void worker_window_changed(struct worker *worker, size_t before, size_t after) {
    worker->window_bytes = worker->window_bytes + after - before;
}

void worker_wait(struct worker *worker, struct reader *reader) {
    if (!reader->queued) {
        reader->queued = true;
        aws_linked_list_push_back(&worker->blocked, &reader->queue_node);
    }
}

/* Lets waiting readers go on, first come first served, until one has to wait again. */
static void resume_waiting(struct worker *worker) {
    while (!aws_linked_list_empty(&worker->blocked)) {
        struct aws_linked_list_node *node = aws_linked_list_pop_front(&worker->blocked);
        struct reader *reader = AWS_CONTAINER_OF(node, struct reader, queue_node);
        reader->queued = false;
        reader_resume(reader);
        if (reader->queued) {
            return;
        }
    }
}

/* ---- the sink's events ---- */

/* Whose record has this token; NULL: its reader is gone. */
static struct reader *reader_of(const struct worker *worker, uint64_t token) {
    uint64_t slot = token >> WORKER_ORDINAL_BITS;
    return slot < worker->slot_count ? worker->readers[slot] : NULL;
}

static void sink_acked(void *ctx, const uint64_t *tokens, size_t count) {
    struct worker *worker = ctx;
    for (size_t i = 0; i < count; i++) {
        struct reader *reader = reader_of(worker, tokens[i]);
        if (reader != NULL) {
            reader_acked(reader, worker_ordinal(tokens[i]));
        }
    }
    resume_waiting(worker);
}

static void sink_refused(void *ctx, const uint64_t *tokens, size_t count, const struct err *err) {
    struct worker *worker = ctx;
    for (size_t i = 0; i < count; i++) {
        struct reader *reader = reader_of(worker, tokens[i]);
        if (reader != NULL) {
            reader_refused(reader, worker_ordinal(tokens[i]), err);
        }
    }
    resume_waiting(worker);
}

/* Together or not at all: of a batch that waited, one shard's lease may be gone. The records of the others are read again
 * with it, and lose nothing but time. */
static bool sink_may_send(void *ctx, const uint64_t *tokens, size_t count) {
    const struct worker *worker = ctx;
    uint64_t slot = UINT64_MAX; /* records of a shard come in runs */
    bool may = true;
    for (size_t i = 0; i < count && may; i++) {
        if (tokens[i] >> WORKER_ORDINAL_BITS != slot) {
            slot = tokens[i] >> WORKER_ORDINAL_BITS;
            const struct reader *reader = reader_of(worker, tokens[i]);
            may = reader != NULL && reader_may_send(reader, worker_ordinal(tokens[i]));
        }
    }
    for (size_t i = 0; i < count && !may; i++) {
        struct reader *reader = reader_of(worker, tokens[i]);
        if (reader != NULL) {
            reader_call_off(reader, worker_ordinal(tokens[i]));
        }
    }
    return may;
}

/* A lane_fn and a sink's event: there is room again, of whatever kind. */
static void go_on(void *ctx) {
    resume_waiting(ctx);
}

void worker_memory_freed(struct worker *worker) {
    /* In a later turn, since a reader is on the stack. */
    if (!aws_linked_list_empty(&worker->blocked) && !worker->memory_timer.armed) {
        lane_timer_set_ms(&worker->memory_timer, 0);
    }
}

static void stop_all_now(struct worker *worker) {
    for (uint32_t i = 0; i < worker->slot_count; i++) {
        if (worker->readers[i] != NULL) {
            reader_stop_now(worker->readers[i]);
        }
    }
}

static void sink_failed(void *ctx, const struct err *err) {
    struct worker *worker = ctx;
    worker->sink_dead = true;
    worker_fail(worker, err);
    stop_all_now(worker); /* no receipt will come: nothing to wait for */
}

static void sink_is_ready(void *ctx) {
    struct worker *worker = ctx;
    worker_set(&worker->stats.sink_ready, 1);
    resume_waiting(worker);
}

static const struct sink_events sink_events = {
    .acked = sink_acked,
    .refused = sink_refused,
    .writable = go_on,
    .ready = sink_is_ready,
    .failed = sink_failed,
    .may_send = sink_may_send,
};

/* ---- closing ---- */

static void parts_closed(void *ctx) {
    struct worker *worker = ctx;
    post(worker, &worker->closed_message, on_closed);
}

static void sink_closed(void *ctx) {
    struct worker *worker = ctx;
    worker->parts.sink = NULL;
    lease_table_free(worker->leases);
    worker->leases = NULL;
    worker->common->host.close(worker->common->host_ctx, worker->lane, parts_closed, worker);
}

static void check_closed(struct worker *worker) {
    if (!worker->stopping || worker->closing || worker->open_readers > 0) {
        return;
    }
    worker->closing = true;
    worker_set(&worker->stats.life, SOURCE_LANE_CLOSING);
    lane_timer_cancel(&worker->deadline);
    lane_timer_cancel(&worker->stats_timer);
    lane_timer_cancel(&worker->memory_timer);
    lane_timer_cancel(&worker->measure_timer);
    if (worker->opened) {
        update_stats(worker);
        if (hands_on_measures(worker)) {
            hand_on_measures(worker);
        }
    }
    if (worker->parts.sink == NULL) {
        sink_closed(worker);
    } else {
        /* Every reader has seen its receipts or given them up: nothing to wait for. */
        sink_close(worker->parts.sink, 0, sink_closed, worker);
    }
}

static void free_reader(void *ctx) {
    struct reader *reader = ctx;
    struct worker *worker = reader->worker;
    struct shard *shard = reader->shard;
    if (worker->leases != NULL) {
        shard->lease = reader->holder.lease;
    }
    shard->result = reader->result;
    shard->reader = NULL;
    worker->readers[reader->slot] = NULL;
    worker->free_slots[worker->free_count++] = reader->slot;
    worker->next_ordinals[reader->slot] = reader->feed.window.next;
    worker->open_readers--;
    if (hands_on_measures(worker)) {
        take_measures(worker, reader);
    }
    reader_free(reader);
    lane_post(worker->common->lane, &shard->closed_message, shard->closed_message.fn, shard);
    check_closed(worker);
}

void worker_reader_closed(struct worker *worker, struct reader *reader) {
    /* In a later turn, since the reader's own functions are still on the stack. */
    lane_timer_init(&reader->timer, worker->lane, free_reader, reader);
    lane_timer_set_ms(&reader->timer, 0);
}

static void stop_timed_out(void *ctx) {
    struct worker *worker = ctx;
    if (!worker->sink_dead) {
        struct err err;
        err_set(&err, ERR_STOP_TIMEOUT,
                "%llu records were not acknowledged within stopTimeout (%llu ms); they will be "
                "delivered again after the next start",
                (unsigned long long)atomic_load_explicit(&worker->stats.in_flight,
                                                         memory_order_relaxed),
                (unsigned long long)worker->common->options.stop_timeout_ms);
        worker_fail(worker, &err);
    }
    stop_all_now(worker);
}

/* The leases' last writes did not come back either: leave them to expire. */
static void last_writes_timed_out(void *ctx) {
    struct worker *worker = ctx;
    for (uint32_t i = 0; i < worker->slot_count; i++) {
        struct reader *reader = worker->readers[i];
        if (reader != NULL) {
            LOG_ERROR("lease", "not-released", LOG_TEXT("shard", reader->shard->node->id));
            reader->result = SHARD_RESULT_LOST;
            free_reader(reader);
        }
    }
}

static void on_deadline(void *ctx) {
    struct worker *worker = ctx;
    update_stats(worker);
    stop_timed_out(worker);
    lane_timer_init(&worker->deadline, worker->lane, last_writes_timed_out, worker);
    lane_timer_set_ms(&worker->deadline, LAST_WRITES_MS);
}

static void do_stop(void *ctx) {
    struct worker *worker = ctx;
    worker->stopping = true;
    lane_timer_init(&worker->deadline, worker->lane, on_deadline, worker);
    lane_timer_set_ms(&worker->deadline, worker->common->options.stop_timeout_ms);
    for (uint32_t i = 0; i < worker->slot_count; i++) {
        if (worker->readers[i] != NULL) {
            if (worker->sink_dead) {
                reader_stop_now(worker->readers[i]);
            } else {
                reader_stop(worker->readers[i]);
            }
        }
    }
    check_closed(worker);
}

void worker_stop(struct worker *worker) {
    lane_post(worker->lane, &worker->stop_message, do_stop, worker);
}

/* ---- shards ---- */

/* Twice as many. */
static bool add_slots(struct worker *worker) {
    uint32_t count = worker->slot_count == 0 ? SLOTS_FIRST : worker->slot_count * 2;
    if (count > (UINT32_C(1) << WORKER_SLOT_BITS)) {
        return false;
    }
    struct reader **readers = realloc(worker->readers, count * sizeof(struct reader *));
    if (readers == NULL) {
        return false;
    }
    worker->readers = readers;
    uint64_t *next_ordinals = realloc(worker->next_ordinals, count * sizeof(uint64_t));
    if (next_ordinals == NULL) {
        return false;
    }
    worker->next_ordinals = next_ordinals;
    uint32_t *free_slots = realloc(worker->free_slots, count * sizeof(uint32_t));
    if (free_slots == NULL) {
        return false;
    }
    worker->free_slots = free_slots;
    for (uint32_t i = count; i-- > worker->slot_count;) {
        readers[i] = NULL;
        next_ordinals[i] = 0;
        free_slots[worker->free_count++] = i;
    }
    worker->slot_count = count;
    return true;
}

static bool take_slot(struct worker *worker, uint32_t *ret_slot) {
    if (worker->free_count == 0 && !add_slots(worker)) {
        return false;
    }
    *ret_slot = worker->free_slots[--worker->free_count];
    return true;
}

static void do_open_shard(void *ctx) {
    struct shard *shard = ctx;
    struct worker *worker = shard->worker;
    uint32_t slot = 0;
    struct reader *reader = NULL;
    if (worker->opened && !worker->stopping && take_slot(worker, &slot)) {
        reader = reader_new(worker, slot, shard, worker->next_ordinals[slot]);
        if (reader == NULL) {
            worker->free_slots[worker->free_count++] = slot;
            struct err err;
            err_set(&err, ERR_NOMEM, "no memory to read shard %s", shard->node->id);
            worker_fail(worker, &err);
        }
    }
    if (reader == NULL) {
        /* The lease was just taken and will be released by nobody: it expires, or is adopted at the next start. */
        shard->result = SHARD_RESULT_LOST;
        lane_post(worker->common->lane, &shard->closed_message, shard->closed_message.fn, shard);
        return;
    }
    worker->readers[slot] = reader;
    worker->open_readers++;
    shard->reader = reader;
}

void worker_open_shard(struct worker *worker, struct shard *shard) {
    shard->worker = worker;
    lane_post(worker->lane, &shard->open_message, do_open_shard, shard);
}

static void do_finish_shard(void *ctx) {
    struct shard *shard = ctx;
    if (shard->reader != NULL) {
        reader_finish(shard->reader);
    }
}

void worker_finish_shard(struct worker *worker, struct shard *shard) {
    lane_post(worker->lane, &shard->finish_message, do_finish_shard, shard);
}

/* ---- life ---- */

static void do_open(void *ctx) {
    struct worker *worker = ctx;
    const struct source_common *common = worker->common;
    struct err err = ERR_NONE;
    if (!common->host.open(common->host_ctx, worker->lane, &sink_events, worker, &worker->parts,
                           &err)) {
        worker_fail(worker, &err);
        return;
    }
    worker->opened = true;
    if (common->options.lease_table.ptr != NULL) {
        struct lease_table_options options = {
            .service = worker->parts.table,
            .name = common->options.lease_table,
            .worker_id = common->options.worker_id,
            .stream_arn = common->options.stream_arn,
            .billing = common->options.billing,
        };
        worker->leases = lease_table_new(&options);
        if (worker->leases == NULL) {
            err_set(&err, ERR_NOMEM, "no memory for a lease table");
            worker_fail(worker, &err);
            return;
        }
    }
    worker_set(&worker->stats.life, SOURCE_LANE_OPEN);
    worker->stats_ms = lane_now_ms(worker->lane);
    lane_timer_set_ms(&worker->stats_timer, STATS_MS);
    if (hands_on_measures(worker)) {
        lane_timer_set_ms(&worker->measure_timer, common->options.measure_ms);
    }
    post(worker, &worker->opened_message, on_opened);
}

struct worker *worker_new(const struct source_common *common, struct lane *lane,
                          const struct worker_events *events, void *events_ctx) {
    struct worker *worker = calloc(1, sizeof *worker);
    if (worker == NULL) {
        return NULL;
    }
    worker->common = common;
    worker->lane = lane;
    worker->events = *events;
    worker->events_ctx = events_ctx;
    aws_linked_list_init(&worker->blocked);
    lane_timer_init(&worker->stats_timer, lane, begin_turn, worker);
    lane_timer_init(&worker->deadline, lane, on_deadline, worker);
    lane_timer_init(&worker->memory_timer, lane, go_on, worker);
    lane_timer_init(&worker->measure_timer, lane, on_measure_timer, worker);
    lane_post(lane, &worker->open_message, do_open, worker);
    return worker;
}

void worker_free(struct worker *worker) {
    if (worker != NULL) {
        free(worker->readers);
        free(worker->next_ordinals);
        free(worker->free_slots);
        measures_free(worker->measured);
        free(worker);
    }
}
