#include "sink/sink_pulsar.h"

#include "base/log.h"

#include <stdlib.h>

enum {
    FIRST_ANSWER_MS = 30000, /* from a Pulsar that sessions will need */
    ASK_AGAIN_MS = 1000,
};

/* Either one producer for all, or sessions with a producer each, which share the client of the sink they came from. */
struct sink_pulsar {
    struct sink sink;
    struct sink_pulsar *parent; /* of a session; else NULL */
    struct pulsar_client *client;
    struct pulsar_producer *producer; /* NULL: it has sessions */
    char *topic;
    char *name;          /* of a session */
    uint64_t duplicates; /* that the broker had already */
    bool failed;
    bool closing;
    lane_fn *closed;
    void *closed_ctx;

    /* Of one that has sessions: */
    struct pulsar_producer_options options; /* of theirs */
    struct lane_timer ask_timer;
    uint64_t ask_until_ms;
    bool reached; /* one has been ready */
    uint32_t sessions;
    struct sink_stats stats; /* of them all */
    /* Of a session, what is in its parent's: */
    uint64_t reconnects;
    uint32_t lost;
};

/* ---- the producer's events ---- */

/* Of a session that is to close nobody wants to hear. */
static bool is_deaf(const struct sink_pulsar *pulsar) {
    return pulsar->parent != NULL && pulsar->closing;
}

static void count_done(struct sink_pulsar *pulsar, size_t messages) {
    if (pulsar->parent != NULL) {
        pulsar->parent->stats.in_flight -= messages;
    }
}

static void count_connections(struct sink_pulsar *pulsar) {
    if (pulsar->parent != NULL) {
        struct pulsar_producer_stats stats;
        pulsar_producer_stats(pulsar->producer, &stats);
        pulsar->parent->stats.reconnects += stats.reconnects - pulsar->reconnects;
        pulsar->parent->stats.lost += stats.lost_partitions - pulsar->lost;
        pulsar->reconnects = stats.reconnects;
        pulsar->lost = stats.lost_partitions;
    }
}

static void on_ready(void *ctx, uint32_t partitions) {
    struct sink_pulsar *pulsar = ctx;
    if (pulsar->parent == NULL) {
        LOG_INFO("pulsar", "ready", LOG_TEXT("topic", pulsar->topic),
                 LOG_U64("partitions", partitions));
    } else {
        pulsar->parent->reached = true;
        LOG_DEBUG("pulsar", "session-ready", LOG_TEXT("name", pulsar->name),
                  LOG_U64("partitions", partitions));
    }
    if (!is_deaf(pulsar)) {
        pulsar->sink.events.ready(pulsar->sink.events_ctx);
    }
}

static void on_receipt(void *ctx, const struct pulsar_receipt *receipt) {
    struct sink_pulsar *pulsar = ctx;
    count_done(pulsar, receipt->count);
    if (receipt->duplicate) {
        pulsar->duplicates += receipt->count;
    }
    if (receipt->duplicate && pulsar->parent == NULL) {
        /* Without a name of our own the broker cannot know these: worth a look, safe all the same. */
        LOG_WARN("pulsar", "receipt-duplicate", LOG_TEXT("topic", pulsar->topic),
                 LOG_U64("partition", receipt->partition),
                 LOG_U64("duplicates", pulsar->duplicates));
    }
    if (!is_deaf(pulsar)) {
        pulsar->sink.events.acked(pulsar->sink.events_ctx, receipt->tokens, receipt->count);
    }
}

static void on_writable(void *ctx) {
    struct sink_pulsar *pulsar = ctx;
    if (!is_deaf(pulsar)) {
        pulsar->sink.events.writable(pulsar->sink.events_ctx);
    }
}

static void on_failed(void *ctx, const struct err *err) {
    struct sink_pulsar *pulsar = ctx;
    if (!pulsar->failed && !is_deaf(pulsar)) {
        pulsar->failed = true;
        pulsar->sink.events.failed(pulsar->sink.events_ctx, err);
    }
}

static void on_undelivered(void *ctx, const struct pulsar_undelivered *undelivered) {
    struct sink_pulsar *pulsar = ctx;
    count_done(pulsar, undelivered->count);
    if (is_deaf(pulsar)) {
        return;
    }
    if (undelivered->refused) {
        pulsar->sink.events.refused(pulsar->sink.events_ctx, undelivered->tokens,
                                    undelivered->count, undelivered->err);
    } else if (undelivered->err->code != ERR_CANCELLED) { /* else it is our wish */
        on_failed(pulsar, undelivered->err); /* later messages must not pass those that are lost */
    }
}

static bool may_send(void *ctx, const uint64_t *tokens, size_t count) {
    const struct sink_pulsar *pulsar = ctx;
    return !is_deaf(pulsar) && pulsar->sink.events.may_send(pulsar->sink.events_ctx, tokens, count);
}

static void on_connection(void *ctx, uint32_t partition, const struct err *err) {
    struct sink_pulsar *pulsar = ctx;
    const char *session = pulsar->name != NULL ? pulsar->name : "";
    count_connections(pulsar);
    if (err != NULL) {
        LOG_WARN("pulsar", "disconnected", LOG_TEXT("topic", pulsar->topic),
                 LOG_U64("partition", partition), LOG_TEXT("session", session), LOG_ERR(err));
    } else {
        LOG_INFO("pulsar", "connected", LOG_TEXT("topic", pulsar->topic),
                 LOG_U64("partition", partition), LOG_TEXT("session", session));
    }
}

static void on_grown(void *ctx, uint32_t partitions) {
    struct sink_pulsar *pulsar = ctx;
    LOG_INFO("pulsar", "grown", LOG_TEXT("topic", pulsar->topic),
             LOG_U64("partitions", partitions));
}

static const struct pulsar_producer_events producer_events = {
    .ready = on_ready,
    .receipt = on_receipt,
    .undelivered = on_undelivered,
    .writable = on_writable,
    .failed = on_failed,
    .connection = on_connection,
    .grown = on_grown,
    .may_send = may_send,
};

/* ---- sending ---- */

static enum sink_result put(struct sink *sink, const struct sink_message *message, uint64_t token,
                            struct err *err) {
    struct sink_pulsar *pulsar = (struct sink_pulsar *)sink;
    struct pulsar_property properties[SINK_MESSAGE_PROPERTIES];
    for (size_t i = 0; i < message->property_count; i++) {
        properties[i].name = message->properties[i].name;
        properties[i].value = message->properties[i].value;
    }
    struct pulsar_message out = {
        .key = message->key,
        .key_is_base64 = message->key_is_base64,
        .event_time_ms = message->event_time_ms,
        .sequence_id = message->id,
        .properties = properties,
        .property_count = message->property_count,
        .value = message->value,
        .value_parts = message->value_parts,
    };
    switch (pulsar_producer_send(pulsar->producer, &out, token, err)) {
    case PULSAR_SEND_TAKEN:
        if (pulsar->parent != NULL) {
            pulsar->parent->stats.messages++;
            pulsar->parent->stats.in_flight++;
        }
        return SINK_TAKEN;
    case PULSAR_SEND_FULL:
        return SINK_FULL;
    case PULSAR_SEND_REFUSED:
        break;
    }
    return SINK_REFUSED;
}

static void flush(struct sink *sink) {
    pulsar_producer_flush(((struct sink_pulsar *)sink)->producer);
}

static void stats(const struct sink *sink, struct sink_stats *ret_stats) {
    struct pulsar_producer_stats stats;
    pulsar_producer_stats(((const struct sink_pulsar *)sink)->producer, &stats);
    *ret_stats = (struct sink_stats){
        .messages = stats.messages,
        .bytes = stats.bytes,
        .in_flight = stats.in_flight,
        .in_flight_bytes = stats.in_flight_bytes,
        .reconnects = stats.reconnects,
        .lost = stats.lost_partitions,
    };
}

/* ---- the end ---- */

static void destroy(struct sink_pulsar *pulsar) {
    free(pulsar->topic);
    free(pulsar->name);
    free(pulsar);
}

static void client_closed(void *ctx) {
    struct sink_pulsar *pulsar = ctx;
    lane_fn *closed = pulsar->closed;
    void *closed_ctx = pulsar->closed_ctx;
    destroy(pulsar);
    closed(closed_ctx);
}

static void close_client(void *ctx) {
    struct sink_pulsar *pulsar = ctx;
    pulsar_client_close(pulsar->client, client_closed, pulsar);
}

static void session_closed(void *ctx) {
    struct sink_pulsar *pulsar = ctx;
    struct sink_pulsar *parent = pulsar->parent;
    if (pulsar->duplicates > 0) {
        LOG_INFO("pulsar", "session-closed", LOG_TEXT("name", pulsar->name),
                 LOG_U64("duplicates", pulsar->duplicates));
    }
    parent->sessions--;
    client_closed(pulsar); /* which it did not own */
    if (parent->closing && parent->sessions == 0) {
        close_client(parent);
    }
}

static void close_pulsar(struct sink *sink, uint32_t timeout_ms, lane_fn *done, void *ctx) {
    struct sink_pulsar *pulsar = (struct sink_pulsar *)sink;
    pulsar->closed = done;
    pulsar->closed_ctx = ctx;
    pulsar->closing = true;
    if (pulsar->parent != NULL) {
        pulsar->parent->stats.lost -= pulsar->lost; /* it will not get them back */
        pulsar->lost = 0;
    }
    if (pulsar->producer != NULL) {
        pulsar_producer_close(pulsar->producer, timeout_ms,
                              pulsar->parent != NULL ? session_closed : close_client, pulsar);
        return;
    }
    lane_timer_cancel(&pulsar->ask_timer);
    if (pulsar->sessions == 0) {
        close_client(pulsar);
    }
}

static const struct sink_ops ops = {
    .put = put,
    .flush = flush,
    .stats = stats,
    .close = close_pulsar,
};

/* ---- sessions ---- */

static void session_state(const struct sink *sink, struct sink_session_state *ret_state) {
    const struct sink_pulsar *pulsar = (const struct sink_pulsar *)sink;
    ret_state->partitions = pulsar_producer_partitions(pulsar->producer);
    ret_state->last_id = -1;
    for (uint32_t i = 0; i < ret_state->partitions; i++) {
        int64_t last_id = pulsar_producer_last_sequence_id(pulsar->producer, i);
        ret_state->last_id = last_id > ret_state->last_id ? last_id : ret_state->last_id;
    }
}

static const struct sink_ops session_ops = {
    .put = put,
    .flush = flush,
    .stats = stats,
    .close = close_pulsar,
    .session_state = session_state,
};

static struct sink_pulsar *new_sink(struct lane *lane, const struct sink_ops *its_ops,
                                    struct str topic, const struct sink_events *events,
                                    void *events_ctx, struct err *err) {
    struct sink_pulsar *pulsar = calloc(1, sizeof *pulsar);
    if (pulsar != NULL) {
        pulsar->topic = str_dup(topic);
    }
    if (pulsar == NULL || pulsar->topic == NULL) {
        free(pulsar);
        err_set(err, ERR_NOMEM, "no memory for a producer");
        return NULL;
    }
    pulsar->sink = (struct sink){
        .ops = its_ops,
        .lane = lane,
        .events = *events,
        .events_ctx = events_ctx,
    };
    return pulsar;
}

static struct sink *open_session(struct sink *sink, const struct sink_session_options *session,
                                 const struct sink_events *events, void *events_ctx,
                                 struct err *err) {
    struct sink_pulsar *parent = (struct sink_pulsar *)sink;
    struct sink_pulsar *pulsar =
        new_sink(sink->lane, &session_ops, str_of(parent->topic), events, events_ctx, err);
    if (pulsar == NULL) {
        return NULL;
    }
    pulsar->parent = parent;
    pulsar->name = str_dup(session->name);
    if (pulsar->name == NULL) {
        err_set(err, ERR_NOMEM, "no memory for a producer");
        destroy(pulsar);
        return NULL;
    }
    struct pulsar_producer_options options = parent->options;
    options.topic = str_of(pulsar->topic);
    options.name = session->name;
    options.partitions = session->partitions;
    options.create_timeout_ms = parent->reached ? 0 : options.create_timeout_ms;
    pulsar->producer =
        pulsar_producer_open(parent->client, &options, &producer_events, pulsar, err);
    if (pulsar->producer == NULL) {
        destroy(pulsar);
        return NULL;
    }
    parent->sessions++;
    return &pulsar->sink;
}

/* A Pulsar that is not there is told at the start, as with a producer, and not when the first record comes. */
static void answered(void *ctx, const struct err *err, uint32_t partitions) {
    struct sink_pulsar *pulsar = ctx;
    if (pulsar->closing) {
        return;
    }
    bool passes =
        err != NULL && (err->class == ERR_CLASS_RETRY || err->class == ERR_CLASS_THROTTLE);
    if (err == NULL || err->code == ERR_PULSAR_NO_TOPIC) { /* a session creates it */
        on_ready(pulsar, partitions);
    } else if (passes && lane_now_ms(pulsar->sink.lane) < pulsar->ask_until_ms) {
        lane_timer_set_ms(&pulsar->ask_timer, ASK_AGAIN_MS);
    } else {
        on_failed(pulsar, err);
    }
}

static void ask(void *ctx) {
    struct sink_pulsar *pulsar = ctx;
    pulsar_client_get_partitions(pulsar->client, str_of(pulsar->topic), answered, pulsar);
}

static enum sink_result put_nowhere(struct sink *sink, const struct sink_message *message,
                                    uint64_t token, struct err *err) {
    (void)sink;
    (void)message;
    (void)token;
    err_set(err, ERR_INTERNAL, "a message without a session");
    return SINK_REFUSED;
}

static void flush_nothing(struct sink *sink) {
    (void)sink; /* each session is flushed by itself */
}

static void stats_of_sessions(const struct sink *sink, struct sink_stats *ret_stats) {
    const struct sink_pulsar *pulsar = (const struct sink_pulsar *)sink;
    *ret_stats = pulsar->stats;
    ret_stats->in_flight_bytes = pulsar_client_held_bytes(pulsar->client);
}

static const struct sink_ops ops_with_sessions = {
    .put = put_nowhere,
    .flush = flush_nothing,
    .stats = stats_of_sessions,
    .close = close_pulsar,
    .session = open_session,
};

/* Of a client that never had a producer: nobody waits for its end. */
static void ignore(void *ctx) {
    (void)ctx;
}

struct sink *sink_pulsar_new(struct lane *lane, const struct pulsar_client_options *client_options,
                             const struct pulsar_producer_options *producer_options,
                             const struct sink_events *events, void *events_ctx, struct err *err) {
    bool sessions = producer_options->explicit_sequence_ids;
    struct sink_pulsar *pulsar = new_sink(lane, sessions ? &ops_with_sessions : &ops,
                                          producer_options->topic, events, events_ctx, err);
    if (pulsar == NULL) {
        return NULL;
    }
    struct pulsar_client_options options = *client_options;
    if (sessions) {
        options.memory_budget = producer_options->max_pending_bytes; /* of them all */
        pulsar->options = *producer_options;
        pulsar->options.wait_for_name = true; /* its former owner is about to go */
    }
    pulsar->client = pulsar_client_new(lane, &options, err);
    if (pulsar->client != NULL && sessions) {
        pulsar->ask_until_ms = lane_now_ms(lane) + FIRST_ANSWER_MS;
        lane_timer_init(&pulsar->ask_timer, lane, ask, pulsar);
        lane_timer_set_ms(&pulsar->ask_timer, 0);
    } else if (pulsar->client != NULL) {
        pulsar->producer =
            pulsar_producer_open(pulsar->client, producer_options, &producer_events, pulsar, err);
        if (pulsar->producer == NULL) {
            pulsar_client_close(pulsar->client, ignore, NULL);
        }
    }
    if (pulsar->producer == NULL && (pulsar->client == NULL || !sessions)) {
        destroy(pulsar);
        return NULL;
    }
    return &pulsar->sink;
}
