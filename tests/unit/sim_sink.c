#include "sim_sink.h"

#include "cmocka_all.h"
#include "sim_ledger.h"
#include "sim_names.h"

#include <stdlib.h>

enum { ROOM = 300, BATCH = 8, TRY_MS = 100 };

struct message {
    uint64_t token;
    char key[48];
    uint64_t number;
    uint64_t id; /* in a session */
    bool arrived;
    bool acked;
    bool refused; /* when its receipt is due */
};

struct sim_sink {
    struct sink sink; /* first: the two are converted into each other */
    struct sim_process *process;
    struct message messages[ROOM];
    size_t count;
    bool was_full;
    struct lane_timer timer;
    lane_fn *closed;
    void *closed_ctx;
    uint32_t sessions; /* that came from it */
    size_t held;       /* by them */
    /* Of a session: */
    struct sim_sink *parent; /* NULL: it is none */
    struct sim_name *name;
    struct lane_timer name_timer;
    uint64_t next_id; /* the least that may follow */
    bool ready;
    bool closing;
};

static void keep_delivery(struct sim_sink *sink, const struct message *message) {
    struct sim_world *world = sink->process->world;
    if (world->ledger != NULL) {
        sim_ledger_arrived(world->ledger, message->number, message->key, &sink->process->worker,
                           world->now_ns);
        return;
    }
    world->deliveries = sim_grown(world->deliveries, world->delivery_count,
                                  &world->delivery_capacity, sizeof world->deliveries[0]);
    struct sim_delivery *delivery = &world->deliveries[world->delivery_count++];
    *delivery = (struct sim_delivery){
        .number = message->number,
        .process = sink->process->index,
        .at_ns = world->now_ns,
    };
    memcpy(delivery->key, message->key, sizeof delivery->key);
}

static uint32_t partition_of(const struct message *message) {
    uint32_t hash = 0;
    for (const char *p = message->key; *p != '\0'; p++) {
        hash = hash * 31 + (unsigned char)*p;
    }
    return hash % SIM_PARTITIONS;
}

/* It is there: for the first time, as far as a broker knows that deduplicates. */
static void arrive(struct sim_sink *sink, struct message *message) {
    message->arrived = true;
    if (sink->process->dead || message->refused) {
        return;
    }
    if (sink->name == NULL || sim_name_store(sink->name, partition_of(message), message->id)) {
        keep_delivery(sink, message);
    }
}

static void hold(struct sim_sink *sink, size_t more, size_t less) {
    sink->count += more - less;
    if (sink->parent != NULL) {
        sink->parent->held += more - less;
    }
}

static void acknowledge(struct sim_sink *sink, struct message *message) {
    const struct sim_process *process = sink->process;
    struct sim_ledger *ledger = process->world->ledger;
    message->acked = true;
    if (ledger != NULL && !process->dead) {
        (message->refused ? sim_ledger_refused : sim_ledger_acked)(ledger, message->number);
    }
}

static void refuse(struct err *err) {
    err_set(err, ERR_PULSAR_TOO_LARGE, "the simulation's sink does not want it");
}

static void turn_soon(struct sim_sink *sink) {
    struct sim_world *world = sink->process->world;
    bool slow = sim_chance(world, world->weather.slow_sinks);
    lane_timer_set_ms(&sink->timer, sim_between(world, 1, slow ? SIM_SLOW_MS : 20));
}

/* So many of those that wait are sent, in batches, unless these are called off. */
static void send(struct sim_sink *sink, size_t count) {
    uint64_t tokens[BATCH];
    size_t kept = 0;
    while (kept < sink->count && sink->messages[kept].arrived) {
        kept++; /* in order, so those that were sent are in front */
    }
    size_t at = kept;
    while (count > 0 && at < sink->count) {
        size_t batch = 0;
        size_t size = sim_between(sink->process->world, 1, BATCH);
        for (; batch < size && batch < count && at + batch < sink->count; batch++) {
            tokens[batch] = sink->messages[at + batch].token;
        }
        bool may = sink->sink.events.may_send(sink->sink.events_ctx, tokens, batch);
        for (size_t i = 0; may && i < batch; i++) {
            sink->messages[kept] = sink->messages[at + i];
            arrive(sink, &sink->messages[kept++]);
        }
        at += batch;
        count -= batch;
    }
    memmove(&sink->messages[kept], &sink->messages[at],
            (sink->count - at) * sizeof(struct message));
    hold(sink, 0, at - kept);
}

static void turn(void *ctx) {
    struct sim_sink *sink = ctx;
    struct sim_world *world = sink->process->world;
    uint64_t tokens[ROOM];
    uint64_t refused[ROOM];
    size_t acked = 0;
    size_t refusals = 0;
    size_t kept = 0;
    if (sink->name == NULL || sim_name_is_of(sink->name, sink)) {
        send(sink, sim_between(world, 0, 40));
    } else { /* the broker took it for dead */
        (void)sim_name_take(sink->name, sink, sink->process);
    }
    for (size_t i = 0; i < sink->count; i++) {
        struct message *message = &sink->messages[i];
        if (message->arrived && !world->weather.no_receipts && sim_chance(world, 600)) {
            acknowledge(sink, message);
            if (message->refused) {
                refused[refusals++] = message->token;
            } else {
                tokens[acked++] = message->token;
            }
        } else {
            sink->messages[kept++] = *message;
        }
    }
    hold(sink, 0, sink->count - kept);
    if (sink->count > 0) {
        turn_soon(sink);
    }
    if (acked > 0) {
        sink->sink.events.acked(sink->sink.events_ctx, tokens, acked);
    }
    if (refusals > 0) {
        struct err err;
        refuse(&err);
        sink->sink.events.refused(sink->sink.events_ctx, refused, refusals, &err);
    }
    if (sink->was_full && sink->count < ROOM) {
        sink->was_full = false;
        sink->sink.events.writable(sink->sink.events_ctx);
    }
}

static enum sink_result put(struct sink *base, const struct sink_message *message, uint64_t token,
                            struct err *err) {
    struct sim_sink *sink = (struct sim_sink *)base;
    struct sim_process *process = sink->process;
    assert_true(sink->name == NULL || (sink->ready && message->id >= sink->next_id));
    if (sink->count == ROOM) {
        sink->was_full = true;
        return SINK_FULL;
    }
    struct message *kept = &sink->messages[sink->count];
    hold(sink, 1, 0);
    struct str shard = STR_NONE;
    *kept = (struct message){.token = token, .id = message->id};
    assert_true(str_copy(message->key, kept->key, sizeof kept->key));
    for (size_t i = 0; i < message->property_count; i++) {
        const struct sink_property *property = &message->properties[i];
        if (str_is(property->name, "SEQUENCE_NUMBER")) {
            assert_true(str_to_u64(property->value, &kept->number));
        } else if (str_is(property->name, "SHARD_ID")) {
            shard = property->value;
        }
    }
    if (process->world->ledger != NULL && !process->dead) {
        enum sim_refusal refusal = sim_ledger_put(process->world->ledger, kept->number, shard,
                                                  &process->worker, process->world->now_ns);
        kept->refused = refusal == SIM_REFUSED_LATER;
        if (refusal == SIM_REFUSED_AT_ONCE) {
            hold(sink, 0, 1);
            sim_ledger_refused(process->world->ledger, kept->number);
            refuse(err);
            return SINK_REFUSED;
        }
    }
    sink->next_id = message->id + 1;
    if (!sink->timer.armed) {
        turn_soon(sink);
    }
    return SINK_TAKEN;
}

static void flush(struct sink *base) {
    (void)base;
}

static void stats(const struct sink *base, struct sink_stats *ret_stats) {
    const struct sim_sink *sink = (const struct sim_sink *)base;
    *ret_stats = (struct sink_stats){
        .in_flight = sink->count + sink->held,
        .in_flight_bytes = (sink->count + sink->held) * sizeof sink->messages[0],
    };
}

static void gone(void *ctx) {
    struct sim_sink *sink = ctx;
    struct sim_sink *parent = sink->parent;
    lane_fn *closed = sink->closed;
    void *closed_ctx = sink->closed_ctx;
    if (sink->sessions > 0) {
        return; /* the last of them comes here */
    }
    if (sink->name != NULL) {
        sim_name_leave(sink->name, sink);
        hold(sink, 0, sink->count);
    }
    free(sink);
    closed(closed_ctx);
    if (parent != NULL && --parent->sessions == 0 && parent->closing) {
        gone(parent);
    }
}

static void close_sink(struct sink *base, uint32_t timeout_ms, lane_fn *done, void *ctx) {
    (void)timeout_ms;
    struct sim_sink *sink = (struct sim_sink *)base;
    sink->closed = done;
    sink->closed_ctx = ctx;
    sink->closing = true;
    lane_timer_cancel(&sink->timer);
    lane_timer_cancel(&sink->name_timer);
    lane_timer_init(&sink->timer, base->lane, gone, sink);
    lane_timer_set_ms(&sink->timer, 0);
}

/* ---- sessions ---- */

static void take_name(void *ctx) {
    struct sim_sink *sink = ctx;
    if (sim_name_take(sink->name, sink, sink->process)) {
        sink->ready = true;
        sink->sink.events.ready(sink->sink.events_ctx);
    } else {
        lane_timer_set_ms(&sink->name_timer, TRY_MS);
    }
}

static void session_state(const struct sink *base, struct sink_session_state *ret_state) {
    const struct sim_sink *sink = (const struct sim_sink *)base;
    ret_state->last_id = sim_name_last(sink->name);
    ret_state->partitions = SIM_PARTITIONS;
}

static struct sim_sink *new_sink(struct sim_process *process, struct lane *lane,
                                 const struct sink_ops *its_ops, const struct sink_events *events,
                                 void *events_ctx) {
    struct sim_sink *sink = calloc(1, sizeof *sink);
    assert_non_null(sink);
    sink->process = process;
    sink->sink = (struct sink){
        .ops = its_ops,
        .lane = lane,
        .events = *events,
        .events_ctx = events_ctx,
    };
    lane_timer_init(&sink->timer, lane, turn, sink);
    lane_timer_init(&sink->name_timer, lane, take_name, sink);
    return sink;
}

static const struct sink_ops session_ops = {
    .put = put,
    .flush = flush,
    .stats = stats,
    .close = close_sink,
    .session_state = session_state,
};

static struct sink *open_session(struct sink *base, const struct sink_session_options *options,
                                 const struct sink_events *events, void *events_ctx,
                                 struct err *err) {
    (void)err;
    struct sim_sink *parent = (struct sim_sink *)base;
    assert_true(options->partitions == 0 || options->partitions == SIM_PARTITIONS);
    struct sim_sink *sink = new_sink(parent->process, base->lane, &session_ops, events, events_ctx);
    sink->parent = parent;
    sink->name = sim_names_get(parent->process->world, options->name);
    parent->sessions++;
    lane_timer_set_ms(&sink->name_timer, sim_between(parent->process->world, 1, TRY_MS));
    return &sink->sink;
}

static const struct sink_ops ops = {
    .put = put,
    .flush = flush,
    .stats = stats,
    .close = close_sink,
    .session = open_session,
};

struct sink *sim_sink_new(struct sim_thread *thread, const struct sink_events *events,
                          void *events_ctx) {
    return &new_sink(thread->process, &thread->lane, &ops, events, events_ctx)->sink;
}
