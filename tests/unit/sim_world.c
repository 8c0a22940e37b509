#include "sim_world.h"

#include "aws/reply_error.h"
#include "base/log.h"
#include "cmocka_all.h"
#include "source/lease.h"

#include <aws/common/json.h>

#include <stdio.h>
#include <stdlib.h>

enum { ROOM = 300, TRIES = 2, RETRY_MS = 100, TIMEOUT_MS = 1500 };
static const int64_t WALL_MS = INT64_C(1700000000000);

/* ---- what a process is ---- */

enum call_state { CALL_SENT, CALL_ANSWERED, CALL_FAILED };

struct sim_service {
    struct service base;
    struct sim_process *process;
};

struct sim_call {
    struct sim_process *process;
    struct sim_service *service;
    enum call_state state;
    uint64_t due_ns; /* arrives there, or the answer here */
    uint32_t tries;
    char target[64];
    char *body;
    service_done *done; /* NULL: cancelled */
    void (*dropped)(void *ctx);
    void *ctx;
    struct fake_reply reply;
};

struct sim_message {
    uint64_t token;
    char key[48];
    uint64_t number;
    bool delivered;
    bool acked;
};

struct sim_sink {
    struct sink sink;
    struct sim_process *process;
    struct sim_message messages[ROOM];
    size_t count;
    bool was_full;
    struct lane_timer timer;
    lane_fn *closed;
    void *closed_ctx;
};

struct sim_process {
    struct lane lane; /* first: the two are converted into each other */
    struct sim_world *world;
    uint32_t index;
    struct source *source;
    struct lane_timer **timers;
    size_t timer_count;
    size_t timer_capacity;
    struct lane_message **messages;
    size_t message_count;
    size_t message_capacity;
    struct page_pool *pages;
    struct sim_service streams;
    struct sim_service table;
    struct sim_sink *sink;
    char worker_id[32];
    struct source_options options;
    bool paused;
    bool stopping;
    bool dead; /* crashed: its memory is being taken apart, nothing of it goes out */
    bool done;
    struct err result;
    struct lane_message close_message;
};

static uint64_t between(struct sim_world *world, uint64_t low, uint64_t high) {
    return low + rng_below(&world->rng, high - low);
}

static bool chance(struct sim_world *world, uint32_t per_thousand) {
    return rng_below(&world->rng, 999) < per_thousand;
}

/* The array with room for one more. */
static void *grown(void *array, size_t count, size_t *capacity, size_t size) {
    if (count < *capacity) {
        return array;
    }
    *capacity = *capacity == 0 ? 64 : *capacity * 2;
    void *larger = realloc(array, *capacity * size);
    assert_non_null(larger);
    return larger;
}

/* ---- its lane ---- */

static struct sim_process *process_of(struct lane *lane) {
    return (struct sim_process *)lane;
}

static uint64_t now_ns(struct lane *lane) {
    return process_of(lane)->world->now_ns;
}

static int64_t wall_ms(struct lane *lane) {
    return sim_world_wall_ms(process_of(lane)->world);
}

static void timer_set(struct lane *lane, struct lane_timer *timer) {
    struct sim_process *process = process_of(lane);
    process->timers = grown(process->timers, process->timer_count, &process->timer_capacity,
                            sizeof(struct lane_timer *));
    process->timers[process->timer_count++] = timer;
}

static void timer_cancel(struct lane *lane, struct lane_timer *timer) {
    struct sim_process *process = process_of(lane);
    for (size_t i = 0; i < process->timer_count; i++) {
        if (process->timers[i] == timer) {
            process->timers[i] = process->timers[--process->timer_count];
            return;
        }
    }
    fail_msg("a timer was cancelled that was not armed");
}

static void post(struct lane *lane, struct lane_message *message) {
    struct sim_process *process = process_of(lane);
    process->messages = grown(process->messages, process->message_count, &process->message_capacity,
                              sizeof(struct lane_message *));
    process->messages[process->message_count++] = message;
}

static const struct lane_ops lane_ops = {
    .now_ns = now_ns,
    .wall_ms = wall_ms,
    .timer_set = timer_set,
    .timer_cancel = timer_cancel,
    .post = post,
};

/* ---- its services ---- */

static void call_free(struct sim_call *call) {
    struct sim_world *world = call->process->world;
    for (size_t i = 0; i < world->call_count; i++) {
        if (world->calls[i] == call) {
            world->calls[i] = world->calls[--world->call_count];
            break;
        }
    }
    fake_reply_done(&call->reply);
    free(call->body);
    free(call);
}

static void set_due(struct sim_call *call, uint64_t delay_ms) {
    call->due_ns = call->process->world->now_ns + delay_ms * 1000000;
}

/* Mostly quick, at times slow. */
static uint64_t latency_ms(struct sim_world *world) {
    return chance(world, 30) ? between(world, 50, 900) : between(world, 1, 15);
}

static struct service_call *call_start(struct service *base, const struct service_request *request,
                                       service_done *done, void *ctx) {
    struct sim_service *service = (struct sim_service *)base;
    struct sim_world *world = service->process->world;
    struct sim_call *call = calloc(1, sizeof *call);
    assert_non_null(call);
    call->process = service->process;
    call->service = service;
    call->body = str_dup(request->body);
    assert_true(str_copy(request->target, call->target, sizeof call->target));
    call->done = done;
    call->dropped = request->dropped;
    call->ctx = ctx;
    fake_reply_init(&call->reply);
    call->state = service->process->dead ? CALL_FAILED : CALL_SENT;
    set_due(call, latency_ms(world));
    world->calls =
        grown(world->calls, world->call_count, &world->call_capacity, sizeof(struct sim_call *));
    world->calls[world->call_count++] = call;
    return (struct service_call *)call;
}

/* What was sent arrives all the same. */
static void call_cancel(struct service_call *handle) {
    struct sim_call *call = (struct sim_call *)handle;
    call->done = NULL;
    if (call->dropped != NULL) {
        call->dropped(call->ctx);
    }
}

static const struct service_ops service_ops = {.call = call_start, .cancel = call_cancel};

static bool is_write(const struct sim_call *call) {
    return strstr(call->target, "UpdateItem") != NULL || strstr(call->target, "PutItem") != NULL ||
           strstr(call->target, "DeleteItem") != NULL;
}

static void call_arrives(struct sim_call *call) {
    struct sim_world *world = call->process->world;
    struct fake_aws_request request = {
        .target = str_of(call->target),
        .body = str_of(call->body),
    };
    fake_reply_done(&call->reply);
    fake_reply_init(&call->reply);
    fake_aws_handle(&world->aws, &request, sim_world_wall_ms(world), &call->reply);
    struct str body = buf_str(&call->reply.body);
    if (call->reply.status == 400 && call->tries++ < TRIES &&
        memmem(body.ptr, body.len, "Throttling", 10) != NULL) {
        set_due(call, RETRY_MS);
        return;
    }
    bool lost = call->reply.drop || (is_write(call) && chance(world, world->lost_per_thousand));
    if (!lost) {
        call->state = CALL_ANSWERED;
        set_due(call, latency_ms(world));
    } else if (chance(world, 500)) {
        set_due(call, RETRY_MS); /* the service's own next try */
    } else {
        call->state = CALL_FAILED;
        set_due(call, TIMEOUT_MS);
    }
}

static void call_returns(struct sim_call *call) {
    struct service_reply reply = {
        .request_id = STR("SIM"),
        .server_time_ms = sim_world_wall_ms(call->process->world),
    };
    struct err err = ERR_NONE;
    struct str body = buf_str(&call->reply.body);
    bool whole = call->state == CALL_ANSWERED && call->reply.status == 200;
    if (call->process->dead) {
        err_set(&err, ERR_CANCELLED, "the process is dead");
    } else if (call->state == CALL_FAILED) {
        err_set(&err, ERR_TIMEOUT, "no answer");
    } else if (!whole) {
        (void)reply_error((int)call->reply.status, STR_NONE, body, &err);
    }
    if (call->done != NULL) {
        if (whole || err.code == ERR_AWS_CONDITION) {
            reply.body = page_take(call->process->pages);
            assert_true(page_add(reply.body, body.ptr, body.len, BUF_MAX_PAGE));
        }
        bool given = reply.body != NULL;
        call->done(call->ctx, err_is_set(&err) ? &err : NULL, given ? &reply : NULL);
        page_free(reply.body);
    }
    call_free(call);
}

/* ---- its sink ---- */

static void keep_delivery(struct sim_sink *sink, const struct sim_message *message) {
    struct sim_world *world = sink->process->world;
    world->deliveries = grown(world->deliveries, world->delivery_count, &world->delivery_capacity,
                              sizeof world->deliveries[0]);
    struct sim_delivery *delivery = &world->deliveries[world->delivery_count++];
    *delivery = (struct sim_delivery){
        .number = message->number,
        .process = sink->process->index,
        .at_ns = world->now_ns,
    };
    memcpy(delivery->key, message->key, sizeof delivery->key);
}

/* Messages arrive in order; receipts come in any. */
static void sink_turn(void *ctx) {
    struct sim_sink *sink = ctx;
    struct sim_world *world = sink->process->world;
    uint64_t tokens[ROOM];
    size_t acked = 0;
    size_t arriving = between(world, 0, 40);
    for (size_t i = 0; i < sink->count; i++) {
        struct sim_message *message = &sink->messages[i];
        if (!message->delivered && arriving > 0) {
            arriving--;
            message->delivered = true;
            if (!sink->process->dead) {
                keep_delivery(sink, message);
            }
        }
        if (message->delivered && chance(world, 600)) {
            message->acked = true;
            tokens[acked++] = message->token;
        }
    }
    size_t kept = 0;
    for (size_t i = 0; i < sink->count; i++) {
        if (!sink->messages[i].acked) {
            sink->messages[kept++] = sink->messages[i];
        }
    }
    sink->count = kept;
    if (sink->count > 0) {
        lane_timer_set_ms(&sink->timer, between(world, 1, 20));
    }
    if (acked > 0) {
        sink->sink.events.acked(sink->sink.events_ctx, tokens, acked);
    }
    if (sink->was_full && sink->count < ROOM) {
        sink->was_full = false;
        sink->sink.events.writable(sink->sink.events_ctx);
    }
}

static enum sink_result sink_take(struct sink *base, const struct sink_message *message,
                                  uint64_t token, struct err *err) {
    (void)err;
    struct sim_sink *sink = (struct sim_sink *)base;
    if (sink->count == ROOM) {
        sink->was_full = true;
        return SINK_FULL;
    }
    struct sim_message *kept = &sink->messages[sink->count++];
    *kept = (struct sim_message){.token = token};
    assert_true(str_copy(message->key, kept->key, sizeof kept->key));
    for (size_t i = 0; i < message->property_count; i++) {
        if (str_is(message->properties[i].name, "SEQUENCE_NUMBER")) {
            assert_true(str_to_u64(message->properties[i].value, &kept->number));
        }
    }
    if (!sink->timer.armed) {
        lane_timer_set_ms(&sink->timer, between(sink->process->world, 1, 20));
    }
    return SINK_TAKEN;
}

static void sink_flushes(struct sink *base) {
    (void)base;
}

static void sink_counts(const struct sink *base, struct sink_stats *ret_stats) {
    const struct sim_sink *sink = (const struct sim_sink *)base;
    *ret_stats = (struct sink_stats){
        .in_flight = sink->count,
        .in_flight_bytes = sink->count * sizeof sink->messages[0],
    };
}

static void sink_gone(void *ctx) {
    struct sim_sink *sink = ctx;
    sink->process->sink = NULL;
    lane_fn *closed = sink->closed;
    void *closed_ctx = sink->closed_ctx;
    free(sink);
    closed(closed_ctx);
}

static void sink_closes(struct sink *base, uint32_t timeout_ms, lane_fn *done, void *ctx) {
    (void)timeout_ms;
    struct sim_sink *sink = (struct sim_sink *)base;
    sink->closed = done;
    sink->closed_ctx = ctx;
    lane_timer_cancel(&sink->timer);
    lane_timer_init(&sink->timer, base->lane, sink_gone, sink);
    lane_timer_set_ms(&sink->timer, 0);
}

static const struct sink_ops sink_ops = {
    .put = sink_take,
    .flush = sink_flushes,
    .stats = sink_counts,
    .close = sink_closes,
};

/* ---- its host ---- */

static struct lane *host_lane(void *ctx, uint32_t index, struct err *err) {
    (void)ctx;
    err_set(err, ERR_INTERNAL, "there is no lane %u", index);
    return NULL;
}

static bool host_open(void *ctx, struct lane *lane, const struct sink_events *events,
                      void *events_ctx, struct source_parts *ret_parts, struct err *err) {
    (void)err;
    struct sim_process *process = ctx;
    process->sink = calloc(1, sizeof *process->sink);
    assert_non_null(process->sink);
    process->sink->process = process;
    process->sink->sink = (struct sink){
        .ops = &sink_ops,
        .lane = lane,
        .events = *events,
        .events_ctx = events_ctx,
    };
    lane_timer_init(&process->sink->timer, lane, sink_turn, process->sink);
    *ret_parts = (struct source_parts){
        .streams = &process->streams.base,
        .table = &process->table.base,
        .sink = &process->sink->sink,
    };
    return true;
}

static void host_close(void *ctx, struct lane *lane, lane_fn *done, void *done_ctx) {
    struct sim_process *process = ctx;
    lane_post(lane, &process->close_message, done, done_ctx);
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
    process->lane = (struct lane){.ops = &lane_ops, .rng = {.state = rng_next(&world->rng)}};
    process->world = world;
    process->index = index;
    process->pages = page_pool_new(1 << 20);
    process->streams.base = (struct service){&service_ops, &process->lane, process->pages};
    process->streams.process = process;
    process->table.base = process->streams.base;
    process->table.process = process;
    (void)snprintf(process->worker_id, sizeof process->worker_id, "worker-%u:%u", index,
                   world->started++);
    process->options = world->options;
    process->options.worker_id = str_of(process->worker_id);
    process->source = source_start(&process->lane, &process->options, &host, process);
    assert_non_null(process->source);
    world->processes[index] = process;
    return index;
}

void sim_world_stop(struct sim_world *world, uint32_t index) {
    world->processes[index]->stopping = true;
    source_stop(world->processes[index]->source);
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

uint32_t sim_world_count(const struct sim_world *world) {
    uint32_t count = 0;
    for (uint32_t i = 0; i < SIM_PROCESSES; i++) {
        count += world->processes[i] != NULL && !world->processes[i]->stopping;
    }
    return count;
}

static void process_free(struct sim_process *process) {
    struct sim_world *world = process->world;
    source_free(process->source);
    for (size_t i = world->call_count; i-- > 0;) {
        if (world->calls[i]->process == process) {
            call_free(world->calls[i]);
        }
    }
    page_pool_free(process->pages);
    world->processes[process->index] = NULL;
    free(process->timers);
    free(process->messages);
    free(process);
}

/* ---- the clock ---- */

/* The next thing that happens: one of these. */
struct event {
    uint64_t due_ns;
    struct sim_process *process;
    struct lane_timer *timer;
    bool message;
    struct sim_call *call;
};

static void earlier(struct event *next, struct event event) {
    if (next->due_ns == UINT64_MAX || event.due_ns < next->due_ns) {
        *next = event;
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
        if (process->message_count > 0) {
            earlier(&next,
                    (struct event){.due_ns = world->now_ns, .process = process, .message = true});
        }
        for (size_t t = 0; t < process->timer_count; t++) {
            struct lane_timer *timer = process->timers[t];
            earlier(&next,
                    (struct event){.due_ns = timer->due_ns, .process = process, .timer = timer});
        }
    }
    for (size_t i = 0; i < world->call_count; i++) {
        struct sim_call *call = world->calls[i];
        bool reachable = call->state == CALL_SENT || !call->process->paused;
        if (reachable && (only == NULL || call->process == only)) {
            earlier(&next,
                    (struct event){.due_ns = call->due_ns, .process = call->process, .call = call});
        }
    }
    return next;
}

static void happen(struct sim_world *world, const struct event *event) {
    struct sim_process *process = event->process;
    static uint32_t last;
    if (last != process->index) {
        last = process->index;
        LOG_DEBUG("sim", "turn", LOG_U64("process", last), LOG_U64("ms", world->now_ns / 1000000));
    }
    if (event->call != NULL && event->call->state == CALL_SENT) {
        call_arrives(event->call);
    } else if (event->call != NULL) {
        call_returns(event->call);
    } else if (event->message) {
        struct lane_message *message = process->messages[0];
        process->message_count--;
        memmove(process->messages, process->messages + 1,
                process->message_count * sizeof(struct lane_message *));
        message->fn(message->ctx);
    } else {
        lane_timer_cancel(event->timer);
        event->timer->fn(event->timer->ctx);
    }
    if (process->done) {
        if (err_is_set(&process->result) && !process->dead && !err_is_set(&world->failure)) {
            world->failure = process->result;
        }
        process_free(process);
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
}

/* To free its memory its end is played, without the world seeing anything of it and without time passing there. */
void sim_world_crash(struct sim_world *world, uint32_t index) {
    struct sim_process *process = world->processes[index];
    uint64_t now = world->now_ns;
    for (size_t i = world->call_count; i-- > 0;) {
        struct sim_call *call = world->calls[i];
        if (call->process == process && call->state == CALL_SENT && chance(world, 500)) {
            call_arrives(call);
        }
    }
    for (size_t i = 0; i < world->call_count; i++) {
        if (world->calls[i]->process == process) {
            world->calls[i]->state = CALL_FAILED;
        }
    }
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
    sim_world_script(world, "stream " SIM_ARN " hash id view NEW_AND_OLD_IMAGES\n");
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

uint32_t sim_world_load(struct sim_world *world, uint32_t index) {
    uint32_t load = 0;
    struct lease lease;
    for (size_t i = 0; read_lease(world, i, &lease); i++) {
        load += lease.checkpoint.kind != POSITION_SHARD_END &&
                strcmp(lease.owner, world->processes[index]->worker_id) == 0;
    }
    return load;
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
