#include "sink/sink_pulsar.h"

#include "base/log.h"

#include <stdlib.h>

struct sink_pulsar {
    struct sink sink;
    struct pulsar_client *client;
    struct pulsar_producer *producer;
    char *topic;
    uint64_t duplicates;
    bool failed;
    lane_fn *closed;
    void *closed_ctx;
};

/* ---- the producer's events ---- */

static void on_ready(void *ctx, uint32_t partitions) {
    struct sink_pulsar *pulsar = ctx;
    LOG_INFO("pulsar", "ready", LOG_TEXT("topic", pulsar->topic),
             LOG_U64("partitions", partitions));
    pulsar->sink.events.ready(pulsar->sink.events_ctx);
}

static void on_receipt(void *ctx, const struct pulsar_receipt *receipt) {
    struct sink_pulsar *pulsar = ctx;
    if (receipt->duplicate) {
        /* Without a name of our own the broker cannot know these: worth a look, safe all the same. */
        pulsar->duplicates += receipt->count;
        LOG_WARN("pulsar", "receipt-duplicate", LOG_TEXT("topic", pulsar->topic),
                 LOG_U64("partition", receipt->partition),
                 LOG_U64("duplicates", pulsar->duplicates));
    }
    pulsar->sink.events.acked(pulsar->sink.events_ctx, receipt->tokens, receipt->count);
}

static void on_writable(void *ctx) {
    struct sink_pulsar *pulsar = ctx;
    pulsar->sink.events.writable(pulsar->sink.events_ctx);
}

static void on_failed(void *ctx, const struct err *err) {
    struct sink_pulsar *pulsar = ctx;
    if (!pulsar->failed) {
        pulsar->failed = true;
        pulsar->sink.events.failed(pulsar->sink.events_ctx, err);
    }
}

static void on_undelivered(void *ctx, const struct pulsar_undelivered *undelivered) {
    struct sink_pulsar *pulsar = ctx;
    if (undelivered->refused) {
        pulsar->sink.events.refused(pulsar->sink.events_ctx, undelivered->tokens,
                                    undelivered->count, undelivered->err);
    } else if (undelivered->err->code != ERR_CANCELLED) { /* else it is our wish */
        on_failed(pulsar, undelivered->err); /* later messages must not pass those that are lost */
    }
}

static bool may_send(void *ctx, const uint64_t *tokens, size_t count) {
    const struct sink_pulsar *pulsar = ctx;
    return pulsar->sink.events.may_send(pulsar->sink.events_ctx, tokens, count);
}

static void on_connection(void *ctx, uint32_t partition, const struct err *err) {
    struct sink_pulsar *pulsar = ctx;
    if (err != NULL) {
        LOG_WARN("pulsar", "disconnected", LOG_TEXT("topic", pulsar->topic),
                 LOG_U64("partition", partition), LOG_ERR(err));
    } else {
        LOG_INFO("pulsar", "connected", LOG_TEXT("topic", pulsar->topic),
                 LOG_U64("partition", partition));
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

/* ---- the sink ---- */

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
        .properties = properties,
        .property_count = message->property_count,
        .value = message->value,
        .value_parts = message->value_parts,
    };
    switch (pulsar_producer_send(pulsar->producer, &out, token, err)) {
    case PULSAR_SEND_TAKEN:
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
    };
}

static void destroy(struct sink_pulsar *pulsar) {
    free(pulsar->topic);
    free(pulsar);
}

static void client_closed(void *ctx) {
    struct sink_pulsar *pulsar = ctx;
    lane_fn *closed = pulsar->closed;
    void *closed_ctx = pulsar->closed_ctx;
    destroy(pulsar);
    closed(closed_ctx);
}

static void producer_closed(void *ctx) {
    struct sink_pulsar *pulsar = ctx;
    pulsar_client_close(pulsar->client, client_closed, pulsar);
}

static void close_pulsar(struct sink *sink, uint32_t timeout_ms, lane_fn *done, void *ctx) {
    struct sink_pulsar *pulsar = (struct sink_pulsar *)sink;
    pulsar->closed = done;
    pulsar->closed_ctx = ctx;
    pulsar_producer_close(pulsar->producer, timeout_ms, producer_closed, pulsar);
}

static const struct sink_ops ops = {
    .put = put,
    .flush = flush,
    .stats = stats,
    .close = close_pulsar,
};

/* Of a client that never had a producer: nobody waits for its end. */
static void ignore(void *ctx) {
    (void)ctx;
}

struct sink *sink_pulsar_new(struct lane *lane, const struct pulsar_client_options *client_options,
                             const struct pulsar_producer_options *producer_options,
                             const struct sink_events *events, void *events_ctx, struct err *err) {
    struct sink_pulsar *pulsar = calloc(1, sizeof *pulsar);
    if (pulsar != NULL) {
        pulsar->topic = str_dup(producer_options->topic);
    }
    if (pulsar == NULL || pulsar->topic == NULL) {
        free(pulsar);
        err_set(err, ERR_NOMEM, "no memory for a producer");
        return NULL;
    }
    pulsar->sink = (struct sink){
        .ops = &ops,
        .lane = lane,
        .events = *events,
        .events_ctx = events_ctx,
    };
    pulsar->client = pulsar_client_new(lane, client_options, err);
    if (pulsar->client != NULL) {
        pulsar->producer =
            pulsar_producer_open(pulsar->client, producer_options, &producer_events, pulsar, err);
        if (pulsar->producer == NULL) {
            pulsar_client_close(pulsar->client, ignore, NULL);
        }
    }
    if (pulsar->producer == NULL) {
        destroy(pulsar);
        return NULL;
    }
    return &pulsar->sink;
}
