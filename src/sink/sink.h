/*
 * sink: where a lane's messages go. The source knows only this header.
 *
 * Order: messages of one lane and one key are delivered in the order of sink_put. Every message that was taken
 * is acknowledged or refused exactly once, in any order between partitions, or never: then it was called off, sink_failed
 * has been or will be called, or the sink was closed. A sink never drops, never repeats a token.
 * Lane thread only. Events are never raised inside sink_put, but for the question may_send.
 */
#ifndef SINK_SINK_H
#define SINK_SINK_H

#include "base/lane.h"
#include "base/str.h"

enum { SINK_MESSAGE_PROPERTIES = 8, SINK_MESSAGE_PARTS = 16 };

struct sink_property {
    struct str name;
    struct str value;
};

/* Borrowed for sink_put; its bytes are copied once, into the sink's open batch. */
struct sink_message {
    struct str key;     /* ptr NULL: no key */
    bool key_is_base64; /* the key is base64 of a binary key */
    int64_t event_time_ms;
    struct sink_property properties[SINK_MESSAGE_PROPERTIES];
    size_t property_count;
    struct str value[SINK_MESSAGE_PARTS]; /* the value is these parts joined */
    size_t value_parts;
    uint64_t id; /* of a session's messages; rising, at most INT64_MAX */
};

enum sink_result {
    SINK_TAKEN,
    SINK_FULL,    /* nothing taken: go on after sink_writable */
    SINK_REFUSED, /* this message can never be sent (too large, ...): err says why */
};

struct sink_events {
    /* The messages with these tokens are safe at the receiver. */
    void (*acked)(void *ctx, const uint64_t *tokens, size_t count);
    /* The receiver refused the messages with these tokens for what they are: as SINK_REFUSED, but
     * found out later. They are done with. */
    void (*refused)(void *ctx, const uint64_t *tokens, size_t count, const struct err *err);
    /* After SINK_FULL: there is room again. */
    void (*writable)(void *ctx);
    /* Once the sink can take messages; sink_put before it returns SINK_FULL. */
    void (*ready)(void *ctx);
    /* For good: no further acked will come. */
    void (*failed)(void *ctx, const struct err *err);
    /* A question of sinks that keep messages for a while: about to send these together, for the first
     * time or again. False calls them off: they are not sent, and nothing is heard of them. Nothing of
     * the sink may be called in it. */
    bool (*may_send)(void *ctx, const uint64_t *tokens, size_t count);
};

struct sink_stats {
    uint64_t messages;        /* taken */
    uint64_t bytes;           /* of their values */
    uint64_t in_flight;       /* taken and not acknowledged */
    uint64_t in_flight_bytes; /* memory that they hold */
    uint64_t reconnects;
    uint32_t lost; /* connections that it is without now and tries to get back */
};

struct sink;

/* A sink for the messages of one sender whose receiver deduplicates: it keeps the messages' ids under the session's name, and
 * what it has already is acknowledged and not kept again. */
struct sink_session_options {
    struct str name;     /* of one sender at a time: while there is another, `ready` waits */
    uint32_t partitions; /* 0: all there are now */
};

/* Of a session that is ready. */
struct sink_session_state {
    int64_t last_id; /* the highest that the receiver has under this name; -1: none */
    uint32_t partitions;
};

struct sink_ops {
    enum sink_result (*put)(struct sink *sink, const struct sink_message *message, uint64_t token,
                            struct err *err);
    void (*flush)(struct sink *sink);
    void (*stats)(const struct sink *sink, struct sink_stats *ret_stats);
    void (*close)(struct sink *sink, uint32_t timeout_ms, lane_fn *done, void *ctx);
    /* NULL: the sink has no sessions. */
    struct sink *(*session)(struct sink *sink, const struct sink_session_options *options,
                            const struct sink_events *events, void *events_ctx, struct err *err);
    void (*session_state)(const struct sink *sink, struct sink_session_state *ret_state);
};

struct sink {
    const struct sink_ops *ops;
    struct lane *lane;
    struct sink_events events;
    void *events_ctx;
};

static inline enum sink_result sink_put(struct sink *sink, const struct sink_message *message,
                                        uint64_t token, struct err *err) {
    return sink->ops->put(sink, message, token, err);
}
/* The page's end: what is batched may go out now instead of waiting for its delay. */
static inline void sink_flush(struct sink *sink) {
    sink->ops->flush(sink);
}
static inline void sink_stats(const struct sink *sink, struct sink_stats *ret_stats) {
    sink->ops->stats(sink, ret_stats);
}
/* Sends what is batched, waits at most timeout_ms for acknowledgements (acked is still raised), frees the sink,
 * then calls done on the lane. */
static inline void sink_close(struct sink *sink, uint32_t timeout_ms, lane_fn *done, void *ctx) {
    sink->ops->close(sink, timeout_ms, done, ctx);
}
/* Opens a session, a sink of its own on the same lane; NULL and err (ERR_CONFIG when the sink has none) on failure. The sink it
 * came from may be closed while it closes, but not before. Once it is to close, no event of it comes any more. */
static inline struct sink *sink_session(struct sink *sink,
                                        const struct sink_session_options *options,
                                        const struct sink_events *events, void *events_ctx,
                                        struct err *err) {
    if (sink->ops->session == NULL) {
        err_set(err, ERR_CONFIG, "this sink cannot deliver effectively once");
        return NULL;
    }
    return sink->ops->session(sink, options, events, events_ctx, err);
}
static inline void sink_session_state(const struct sink *session,
                                      struct sink_session_state *ret_state) {
    session->ops->session_state(session, ret_state);
}

#endif
