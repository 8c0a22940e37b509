#include "sim_process.h"

#include "base/log.h"
#include "cmocka_all.h"
#include "sim_call.h"
#include "sim_ledger.h"
#include "sim_names.h"
#include "sim_sink.h"
#include "source/lease.h"

#include <aws/common/json.h>

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

enum {
    STOP_SLACK_MS = 8000, /* the claims' wait, the last writes' wait, and two seconds */
    MESSAGE_MAX_MS = 300,
};
static const int64_t WALL_MS = INT64_C(1700000000000);

uint64_t sim_between(struct sim_world *world, uint64_t low, uint64_t high) {
    return low + rng_below(&world->rng, high - low);
}

bool sim_chance(struct sim_world *world, uint32_t per_thousand) {
    return per_thousand > 0 && rng_below(&world->rng, 999) < per_thousand;
}

void *sim_grown(void *array, size_t count, size_t *capacity, size_t size) {
    if (count < *capacity) {
        return array;
    }
    *capacity = *capacity == 0 ? 64 : *capacity * 2;
    void *larger = realloc(array, *capacity * size);
    assert_non_null(larger);
    return larger;
}

/* ---- its lanes ---- */

static struct sim_thread *thread_of(struct lane *lane) {
    return (struct sim_thread *)lane;
}

static uint64_t now_ns(struct lane *lane) {
    return thread_of(lane)->process->world->now_ns;
}

static int64_t wall_ms(struct lane *lane) {
    return sim_world_wall_ms(thread_of(lane)->process->world);
}

static void timer_set(struct lane *lane, struct lane_timer *timer) {
    struct sim_thread *thread = thread_of(lane);
    thread->timers = sim_grown(thread->timers, thread->timer_count, &thread->timer_capacity,
                               sizeof(struct lane_timer *));
    thread->timers[thread->timer_count++] = timer;
}

static void timer_cancel(struct lane *lane, struct lane_timer *timer) {
    struct sim_thread *thread = thread_of(lane);
    for (size_t i = 0; i < thread->timer_count; i++) {
        if (thread->timers[i] == timer) {
            thread->timers[i] = thread->timers[--thread->timer_count];
            return;
        }
    }
    fail_msg("a timer was cancelled that was not armed");
}

/* To another lane it takes a while, at times a long one: that lane has other work. */
static uint64_t arrival_ns(struct sim_thread *to) {
    struct sim_world *world = to->process->world;
    const struct sim_thread *from = world->running;
    if (from == NULL || from == to) {
        return world->now_ns;
    }
    assert_ptr_equal(from->process, to->process);
    uint64_t delay_us = sim_chance(world, 30) ? sim_between(world, 1000, MESSAGE_MAX_MS * 1000)
                                              : sim_between(world, 0, 2000);
    uint64_t due_ns = world->now_ns + delay_us * 1000;
    uint64_t *newest_ns = &to->arrives_ns[from->lane.index];
    *newest_ns = due_ns > *newest_ns ? due_ns : *newest_ns;
    return *newest_ns;
}

static void post(struct lane *lane, struct lane_message *message) {
    struct sim_thread *thread = thread_of(lane);
    thread->messages = sim_grown(thread->messages, thread->message_count, &thread->message_capacity,
                                 sizeof(struct sim_message));
    thread->messages[thread->message_count++] = (struct sim_message){
        .message = message,
        .due_ns = arrival_ns(thread),
    };
}

static const struct lane_ops lane_ops = {
    .now_ns = now_ns,
    .wall_ms = wall_ms,
    .timer_set = timer_set,
    .timer_cancel = timer_cancel,
    .post = post,
};

static struct lane *thread_new(struct sim_process *process) {
    struct sim_thread *thread = calloc(1, sizeof *thread);
    assert_non_null(thread);
    thread->lane = (struct lane){
        .ops = &lane_ops,
        .index = process->thread_count,
        .rng = {.state = rng_next(&process->world->rng)},
    };
    thread->process = process;
    thread->pages = page_pool_new(1 << 20);
    thread->streams.base = (struct service){&sim_service_ops, &thread->lane, thread->pages};
    thread->streams.thread = thread;
    thread->table.base = thread->streams.base;
    thread->table.thread = thread;
    process->threads[process->thread_count++] = thread;
    return &thread->lane;
}

static void thread_free(struct sim_thread *thread) {
    page_pool_free(thread->pages);
    free(thread->timers);
    free(thread->messages);
    free(thread);
}

/* ---- its host ---- */

static struct lane *host_lane(void *ctx, uint32_t index, struct err *err) {
    (void)err;
    struct sim_process *process = ctx;
    assert_int_equal(index, process->thread_count);
    return thread_new(process);
}

static bool host_open(void *ctx, struct lane *lane, const struct sink_events *events,
                      void *events_ctx, struct source_parts *ret_parts, struct err *err) {
    (void)ctx;
    (void)err;
    struct sim_thread *thread = thread_of(lane);
    assert_ptr_equal(thread, thread->process->world->running);
    *ret_parts = (struct source_parts){
        .streams = &thread->streams.base,
        .table = &thread->table.base,
        .sink = sim_sink_new(thread, events, events_ctx),
    };
    return true;
}

static void host_close(void *ctx, struct lane *lane, lane_fn *done, void *done_ctx) {
    (void)ctx;
    lane_post(lane, &thread_of(lane)->close_message, done, done_ctx);
}

static void host_done(void *ctx, const struct err *err) {
    struct sim_process *process = ctx;
    process->done = true;
    process->result = err != NULL ? *err : ERR_NONE;
}

static const struct source_host host = {
    .lane = host_lane,
    .open = host_open,
    .close = host_close,
    .done = host_done,
};

/* ---- its life ---- */

uint32_t sim_world_start(struct sim_world *world) {
    uint32_t index = 0;
    while (index < SIM_PROCESSES && world->processes[index] != NULL) {
        index++;
    }
    if (index == SIM_PROCESSES) {
        return index;
    }
    struct sim_process *process = calloc(1, sizeof *process);
    assert_non_null(process);
    process->world = world;
    process->index = index;
    (void)snprintf(process->worker_id, sizeof process->worker_id, "worker-%u:%u", index,
                   world->started);
    process->worker = (struct sim_worker){
        .id = process->worker_id,
        .serial = ++world->started,
        .place = index,
        .skips = world->options.skip_bad_records,
        .continues = world->options.continue_after_loss,
    };
    process->options = world->options;
    process->options.worker_id = str_of(process->worker_id);
    process->source = source_start(thread_new(process), &process->options, &host, process);
    assert_non_null(process->source);
    world->processes[index] = process;
    return index;
}

void sim_world_stop(struct sim_world *world, uint32_t index) {
    struct sim_process *process = world->processes[index];
    process->stopping = true;
    process->stop_by_ns =
        world->now_ns + (process->options.stop_timeout_ms + STOP_SLACK_MS) * UINT64_C(1000000);
    source_stop(process->source);
}

void sim_world_pause(struct sim_world *world, uint32_t index) {
    world->processes[index]->paused = true;
}

void sim_world_resume(struct sim_world *world, uint32_t index) {
    world->processes[index]->paused = false;
}

bool sim_world_is_paused(const struct sim_world *world, uint32_t index) {
    return world->processes[index]->paused;
}

bool sim_world_is_stopping(const struct sim_world *world, uint32_t index) {
    return world->processes[index]->stopping;
}

static struct source_stats stats_of(const struct sim_process *process) {
    struct source_stats stats;
    source_get_stats(process->source, &stats);
    return stats;
}

uint64_t sim_world_gaps(const struct sim_world *world) {
    uint64_t gaps = world->gaps;
    for (uint32_t i = 0; i < SIM_PROCESSES; i++) {
        gaps += world->processes[i] != NULL ? stats_of(world->processes[i]).gaps : 0;
    }
    return gaps;
}

uint64_t sim_world_record_errors(const struct sim_world *world) {
    uint64_t errors = world->record_errors;
    for (uint32_t i = 0; i < SIM_PROCESSES; i++) {
        errors += world->processes[i] != NULL ? stats_of(world->processes[i]).record_errors : 0;
    }
    return errors;
}

uint32_t sim_world_count(const struct sim_world *world) {
    uint32_t count = 0;
    for (uint32_t i = 0; i < SIM_PROCESSES; i++) {
        count += world->processes[i] != NULL && !world->processes[i]->stopping;
    }
    return count;
}

static void process_free(struct sim_process *process) {
    struct sim_world *world = process->world;
    world->gaps += stats_of(process).gaps;
    world->record_errors += stats_of(process).record_errors;
    source_free(process->source);
    sim_calls_free(process);
    world->processes[process->index] = NULL;
    for (uint32_t i = 0; i < process->thread_count; i++) {
        thread_free(process->threads[i]);
    }
    free(process);
}

/* ---- the clock ---- */

/* The next thing that happens: one of these. */
struct event {
    uint64_t due_ns;
    struct sim_thread *thread;
    struct lane_timer *timer;
    size_t message; /* its place and 1; 0: none */
    struct sim_call *call;
};

static void earlier(struct event *next, struct event event) {
    if (next->due_ns == UINT64_MAX || event.due_ns < next->due_ns) {
        *next = event;
    }
}

static void next_of_thread(struct event *next, struct sim_thread *thread) {
    for (size_t i = 0; i < thread->message_count; i++) {
        earlier(next, (struct event){.due_ns = thread->messages[i].due_ns,
                                     .thread = thread,
                                     .message = i + 1});
    }
    for (size_t i = 0; i < thread->timer_count; i++) {
        struct lane_timer *timer = thread->timers[i];
        earlier(next, (struct event){.due_ns = timer->due_ns, .thread = thread, .timer = timer});
    }
}

/* only: of this process alone, whose end is being played; NULL: of all. */
static struct event next_event(const struct sim_world *world, const struct sim_process *only) {
    struct event next = {.due_ns = UINT64_MAX};
    for (uint32_t i = 0; i < SIM_PROCESSES; i++) {
        struct sim_process *process = world->processes[i];
        if (process == NULL || process->paused || (only != NULL && process != only)) {
            continue;
        }
        for (uint32_t t = 0; t < process->thread_count; t++) {
            next_of_thread(&next, process->threads[t]);
        }
    }
    for (size_t i = 0; i < world->call_count; i++) {
        struct sim_call *call = world->calls[i];
        const struct sim_process *process = call->thread->process;
        bool reachable = call->state == SIM_CALL_SENT || !process->paused;
        if (reachable && (only == NULL || process == only)) {
            earlier(&next,
                    (struct event){.due_ns = call->due_ns, .thread = call->thread, .call = call});
        }
    }
    return next;
}

static void message_arrives(struct sim_thread *thread, size_t at) {
    struct lane_message *message = thread->messages[at].message;
    thread->message_count--;
    memmove(thread->messages + at, thread->messages + at + 1,
            (thread->message_count - at) * sizeof thread->messages[0]);
    message->fn(message->ctx);
}

static void happen(struct sim_world *world, const struct event *event) {
    struct sim_process *process = event->thread->process;
    static const struct sim_thread *last; /* only to be compared */
    if (last != event->thread) {
        last = event->thread;
        LOG_DEBUG("sim", "turn", LOG_U64("process", process->index),
                  LOG_U64("lane", event->thread->lane.index),
                  LOG_U64("ms", world->now_ns / 1000000));
    }
    world->running = event->thread;
    if (event->call != NULL) {
        sim_call_happens(event->call);
    } else if (event->message > 0) {
        message_arrives(event->thread, event->message - 1);
    } else {
        lane_timer_cancel(event->timer);
        event->timer->fn(event->timer->ctx);
    }
    world->running = NULL;
    if (process->done) {
        if (world->ledger != NULL && world->mild && !process->dead) {
            sim_ledger_ended(world->ledger, &process->worker, world->now_ns);
        }
        if (err_is_set(&process->result) && !process->dead && !err_is_set(&world->failure)) {
            world->failure = process->result;
            world->failed_early = process->stopping || stats_of(process).records_read == 0;
        }
        process_free(process);
    }
}

static void check_stops(const struct sim_world *world) {
    for (uint32_t i = 0; i < SIM_PROCESSES; i++) {
        const struct sim_process *process = world->processes[i];
        if (process != NULL && process->stopping && world->now_ns > process->stop_by_ns) {
            fail_msg("seed %" PRIu64 ": %s was stopped and does not end", world->seed,
                     process->worker_id);
        }
    }
}

void sim_world_run(struct sim_world *world, uint64_t ms) {
    uint64_t until_ns = world->now_ns + ms * 1000000;
    for (;;) {
        struct event event = next_event(world, NULL);
        if (event.due_ns > until_ns) {
            break;
        }
        world->now_ns = event.due_ns > world->now_ns ? event.due_ns : world->now_ns;
        happen(world, &event);
    }
    world->now_ns = until_ns;
    check_stops(world);
}

/* To free its memory its end is played, without the world seeing anything of it and without time passing there. */
void sim_world_crash(struct sim_world *world, uint32_t index) {
    struct sim_process *process = world->processes[index];
    uint64_t now = world->now_ns;
    sim_calls_orphan(process);
    process->dead = true;
    process->paused = false;
    source_stop(process->source);
    while (world->processes[index] == process) {
        struct event event = next_event(world, process);
        assert_true(event.due_ns != UINT64_MAX); /* it waits for something that never comes */
        world->now_ns = event.due_ns > world->now_ns ? event.due_ns : world->now_ns;
        happen(world, &event);
    }
    world->now_ns = now;
}

/* ---- the world ---- */

int64_t sim_world_wall_ms(const struct sim_world *world) {
    return WALL_MS + (int64_t)(world->now_ns / 1000000);
}

void sim_world_script(struct sim_world *world, const char *format, ...) {
    char lines[1024];
    va_list args;
    va_start(args, format);
    int len = vsnprintf(lines, sizeof lines, format, args);
    va_end(args);
    assert_true(len > 0 && (size_t)len < sizeof lines);
    struct err err = ERR_NONE;
    LOG_DEBUG("sim", "script", LOG_U64("ms", world->now_ns / 1000000), LOG_TEXT("lines", lines));
    if (!fake_aws_script(&world->aws, str_of(lines), sim_world_wall_ms(world), &err)) {
        fail_msg("%s: %s", lines, err.text);
    }
}

void sim_world_init(struct sim_world *world, uint64_t seed) {
    *world = (struct sim_world){
        .seed = seed,
        .now_ns = 1000000000,
        .rng = {.state = seed},
        .failure = ERR_NONE,
        .options =
            {
                .stream_arn = STR(SIM_ARN),
                .lease_table = STR(SIM_TABLE),
                .initial = POSITION_TRIM_HORIZON,
                .message_key = MESSAGE_KEY_ITEM,
                .time_granularity_ms = 1000,
                .failover_ms = 3000,
                .checkpoint_interval_ms = 60000,
                .backoff_ms = 300,
                .retries = 3,
                .min_poll_ms = 100,
                .max_poll_ms = 1000,
                .receive_queue = 1000,
                .describe_rate = 10,
                .stop_timeout_ms = 10000,
                .memory_budget = 24 << 20,
                .lanes = 1,
            },
    };
    fake_aws_init(&world->aws);
    sim_world_script(world, "stream " SIM_ARN " hash id view KEYS_ONLY\n");
}

void sim_world_done(struct sim_world *world) {
    for (uint32_t i = 0; i < SIM_PROCESSES; i++) {
        if (world->processes[i] != NULL) {
            sim_world_crash(world, i);
        }
    }
    fake_aws_done(&world->aws);
    free(world->calls);
    free(world->deliveries);
    sim_names_forget(world);
}

/* Lease number i of the table, in order of keys; false when there are no more. */
static bool read_lease(struct sim_world *world, size_t i, struct lease *ret_lease) {
    const struct fake_table *table = fake_tables_find(&world->aws.tables, STR(SIM_TABLE));
    if (table == NULL || i >= table->count) {
        return false;
    }
    char *text = fake_tables_item(&world->aws.tables, STR(SIM_TABLE), str_of(table->items[i].key));
    struct aws_json_value *json =
        aws_json_value_new_from_string(aws_default_allocator(), aws_byte_cursor_from_c_str(text));
    struct err err = ERR_NONE;
    assert_int_equal(lease_from_item(json, STR(SIM_ARN), ret_lease, &err), LEASE_ITEM_OK);
    aws_json_value_destroy(json);
    free(text);
    return true;
}

const char *sim_world_owner(struct sim_world *world, const char *shard) {
    static char owner[LEASE_OWNER_MAX];
    struct lease lease;
    owner[0] = '\0';
    for (size_t i = 0; read_lease(world, i, &lease); i++) {
        if (strcmp(lease.key, shard) == 0) {
            memcpy(owner, lease.owner, sizeof owner);
        }
    }
    return owner;
}

const char *sim_world_worker_id(const struct sim_world *world, uint32_t index) {
    return world->processes[index]->worker_id;
}

const char *sim_world_checkpoint(struct sim_world *world, const char *shard) {
    static char text[SEQNO_MAX_DIGITS + 1];
    struct lease lease;
    text[0] = '\0';
    for (size_t i = 0; read_lease(world, i, &lease); i++) {
        if (strcmp(lease.key, shard) == 0) {
            position_format(&lease.checkpoint, text);
        }
    }
    return text;
}
