#include "sink/sink_none.h"

#include <stdlib.h>

enum { TOKENS = 4096 };

struct sink_none {
    struct sink sink;
    struct lane_timer timer; /* acknowledges in the next turn of the loop */
    bool told_ready;
    bool was_full;
    bool closing;
    lane_fn *closed;
    void *closed_ctx;
    struct sink_stats stats;
    size_t count;
    uint64_t tokens[TOKENS];
};

static void turn(void *ctx) {
    struct sink_none *none = ctx;
    if (!none->told_ready) {
        none->told_ready = true;
        none->sink.events.ready(none->sink.events_ctx);
    }
    if (none->count > 0) {
        size_t count = none->count;
        none->count = 0;
        none->stats.in_flight = 0;
        none->sink.events.acked(none->sink.events_ctx, none->tokens, count);
    }
    if (none->was_full) {
        none->was_full = false;
        none->sink.events.writable(none->sink.events_ctx);
    }
    if (none->closing) {
        lane_fn *closed = none->closed;
        void *closed_ctx = none->closed_ctx;
        free(none);
        closed(closed_ctx);
    }
}

static enum sink_result put(struct sink *sink, const struct sink_message *message, uint64_t token,
                            struct err *err) {
    (void)err;
    struct sink_none *none = (struct sink_none *)sink;
    if (!none->told_ready || none->count == TOKENS) {
        none->was_full = true;
        return SINK_FULL;
    }
    if (!none->timer.armed) {
        lane_timer_set_ms(&none->timer, 0);
    }
    none->tokens[none->count++] = token;
    none->stats.messages++;
    none->stats.in_flight++;
    for (size_t i = 0; i < message->value_parts; i++) {
        none->stats.bytes += message->value[i].len;
    }
    return SINK_TAKEN;
}

static void flush(struct sink *sink) {
    (void)sink; /* nothing waits here */
}

static void stats(const struct sink *sink, struct sink_stats *ret_stats) {
    *ret_stats = ((const struct sink_none *)sink)->stats;
}

static void close_none(struct sink *sink, uint32_t timeout_ms, lane_fn *done, void *ctx) {
    (void)timeout_ms; /* it never takes longer than a turn */
    struct sink_none *none = (struct sink_none *)sink;
    none->closing = true;
    none->closed = done;
    none->closed_ctx = ctx;
    lane_timer_set_ms(&none->timer, 0);
}

static const struct sink_ops ops = {
    .put = put,
    .flush = flush,
    .stats = stats,
    .close = close_none,
};

struct sink *sink_none_new(struct lane *lane, const struct sink_events *events, void *events_ctx) {
    struct sink_none *none = calloc(1, sizeof *none);
    if (none == NULL) {
        return NULL;
    }
    none->sink = (struct sink){
        .ops = &ops,
        .lane = lane,
        .events = *events,
        .events_ctx = events_ctx,
    };
    lane_timer_init(&none->timer, lane, turn, none);
    lane_timer_set_ms(&none->timer, 0);
    return &none->sink;
}
