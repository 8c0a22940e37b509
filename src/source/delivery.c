#include "source/delivery.h"

#include "base/log.h"

/* ---- the session's events ---- */

static void on_acked(void *ctx, const uint64_t *tokens, size_t count) {
    const struct delivery *delivery = ctx;
    delivery->events.acked(delivery->ctx, tokens, count);
}

static void on_refused(void *ctx, const uint64_t *tokens, size_t count, const struct err *err) {
    const struct delivery *delivery = ctx;
    delivery->events.refused(delivery->ctx, tokens, count, err);
}

static void on_writable(void *ctx) {
    const struct delivery *delivery = ctx;
    delivery->events.writable(delivery->ctx);
}

static void on_ready(void *ctx) {
    struct delivery *delivery = ctx;
    delivery->ready = true;
    delivery->events.ready(delivery->ctx);
}

static void on_failed(void *ctx, const struct err *err) {
    const struct delivery *delivery = ctx;
    delivery->events.failed(delivery->ctx, err);
}

static bool may_send(void *ctx, const uint64_t *tokens, size_t count) {
    const struct delivery *delivery = ctx;
    return delivery->events.may_send(delivery->ctx, tokens, count);
}

static const struct sink_events session_events = {
    .acked = on_acked,
    .refused = on_refused,
    .writable = on_writable,
    .ready = on_ready,
    .failed = on_failed,
    .may_send = may_send,
};

/* ---- putting ---- */

void delivery_init(struct delivery *delivery, const struct delivery_options *options,
                   const struct sink_events *events, void *ctx, uint64_t next_ordinal) {
    *delivery = (struct delivery){.options = *options, .events = *events, .ctx = ctx};
    if (options->session.ptr != NULL) {
        const struct lease *lease = &options->holder->lease;
        numbering_start(&delivery->numbering, &lease->base, &lease->checkpoint, options->routing,
                        next_ordinal);
    }
}

static bool open_session(struct delivery *delivery, struct err *err) {
    struct sink_session_options options = {
        .name = delivery->options.session,
        .partitions = numbering_partitions(&delivery->numbering),
    };
    delivery->session =
        sink_session(delivery->options.sink, &options, &session_events, delivery, err);
    return delivery->session != NULL;
}

/* The record has an id, and the lease says how to find it again. */
static bool is_numbered(struct delivery *delivery, const struct seqno *seqno, uint64_t ordinal) {
    struct numbering *numbering = &delivery->numbering;
    struct sink_session_state state;
    sink_session_state(delivery->session, &state);
    if (numbering_fix(numbering, seqno, ordinal, state.last_id, state.partitions)) {
        LOG_INFO("shard", "numbered", LOG_TEXT("session", delivery->options.session.ptr),
                 LOG_U64("id", numbering->base.id), LOG_U64("partitions", state.partitions));
    }
    delivery->based = lease_holder_has_base(delivery->options.holder, &numbering->base);
    return delivery->based;
}

static enum delivery_result result_of(enum sink_result result) {
    switch (result) {
    case SINK_TAKEN:
        return DELIVERY_TAKEN;
    case SINK_FULL:
        return DELIVERY_LATER;
    case SINK_REFUSED:
        break;
    }
    return DELIVERY_REFUSED;
}

enum delivery_result delivery_put(struct delivery *delivery, struct sink_message *message,
                                  const struct seqno *seqno, uint64_t ordinal, uint64_t token,
                                  struct err *err) {
    if (delivery->options.session.ptr == NULL) {
        return result_of(sink_put(delivery->options.sink, message, token, err));
    }
    if (delivery->session == NULL && !open_session(delivery, err)) {
        return DELIVERY_FAILED;
    }
    if (!delivery->ready || (!delivery->based && !is_numbered(delivery, seqno, ordinal))) {
        return DELIVERY_LATER;
    }
    message->id = numbering_id(&delivery->numbering, ordinal);
    return result_of(sink_put(delivery->session, message, token, err));
}

void delivery_flush(struct delivery *delivery) {
    if (delivery->options.session.ptr == NULL) {
        sink_flush(delivery->options.sink);
    } else if (delivery->session != NULL) {
        sink_flush(delivery->session);
    }
}

void delivery_break(struct delivery *delivery, uint64_t next_ordinal) {
    if (delivery->options.session.ptr != NULL) {
        numbering_break(&delivery->numbering, next_ordinal);
        delivery->based = false;
    }
}

void delivery_mark(const struct delivery *delivery, uint64_t ordinal, struct position *position) {
    if (delivery->options.session.ptr != NULL) {
        numbering_mark(&delivery->numbering, ordinal, position);
    }
}

/* Nobody waits for it. */
static void ignore(void *ctx) {
    (void)ctx;
}

void delivery_close(struct delivery *delivery) {
    struct sink *session = delivery->session;
    delivery->session = NULL;
    delivery->ready = false;
    delivery->based = false;
    if (session != NULL) {
        sink_close(session, 0, ignore, NULL);
    }
}
