#include "sink/sink_stdout.h"

#include "base/buf.h"

#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <unistd.h>

enum {
    TOKENS = 4096,
    BUFFER_MAX = 4 * 1024 * 1024,
    BUFFER_FULL = 1024 * 1024, /* no further line is taken above; one line may go over */
    CHUNK = 4096,              /* a writable pipe takes PIPE_BUF bytes without blocking */
    RETRY_MS = 10,
};

struct line {
    uint64_t token;
    uint64_t end; /* of the line, in bytes since the beginning */
};

struct sink_stdout {
    struct sink sink;
    int fd;
    struct lane_timer timer;
    struct buf lines;
    size_t written;         /* bytes at the start of lines that are written */
    uint64_t written_total; /* bytes since the beginning */
    uint64_t taken_total;
    struct line pending[TOKENS]; /* ring */
    size_t first;
    size_t count;
    bool told_ready;
    bool was_full;
    bool failed;
    bool closing;
    uint64_t close_by_ms;
    lane_fn *closed;
    void *closed_ctx;
    struct sink_stats stats;
};

static void fail(struct sink_stdout *out) {
    struct err err;
    int number = errno;
    err_set(&err, ERR_OUTPUT, "cannot write to standard output: %s", strerror(number));
    out->failed = true;
    out->sink.events.failed(out->sink.events_ctx, &err);
}

/* Writes what the descriptor takes without blocking. */
static void write_some(struct sink_stdout *out) {
    while (!out->failed && out->written < out->lines.len) {
        struct pollfd ready = {.fd = out->fd, .events = POLLOUT};
        if (poll(&ready, 1, 0) <= 0) {
            return;
        }
        size_t left = out->lines.len - out->written;
        ssize_t written =
            write(out->fd, out->lines.data + out->written, left < CHUNK ? left : CHUNK);
        if (written < 0) {
            if (errno == EINTR || errno == EAGAIN) {
                return;
            }
            fail(out);
            return;
        }
        out->written += (size_t)written;
        out->written_total += (uint64_t)written;
    }
    if (out->written == out->lines.len) {
        buf_reset(&out->lines);
        out->written = 0;
    }
}

static void ack_written(struct sink_stdout *out) {
    uint64_t tokens[256];
    size_t count = 0;
    while (out->count > 0 && out->pending[out->first].end <= out->written_total) {
        tokens[count++] = out->pending[out->first].token;
        out->first = (out->first + 1) % TOKENS;
        out->count--;
        if (count == sizeof tokens / sizeof tokens[0] || out->count == 0) {
            out->stats.in_flight -= count;
            out->sink.events.acked(out->sink.events_ctx, tokens, count);
            count = 0;
        }
    }
    if (count > 0) {
        out->stats.in_flight -= count;
        out->sink.events.acked(out->sink.events_ctx, tokens, count);
    }
}

static void turn(void *ctx) {
    struct sink_stdout *out = ctx;
    if (!out->told_ready) {
        out->told_ready = true;
        out->sink.events.ready(out->sink.events_ctx);
    }
    write_some(out);
    if (!out->failed) {
        ack_written(out);
        if (out->was_full && out->count < TOKENS && out->lines.len < BUFFER_FULL) {
            out->was_full = false;
            out->sink.events.writable(out->sink.events_ctx);
        }
    }
    bool late = lane_now_ms(out->sink.lane) >= out->close_by_ms;
    if (out->closing && (out->failed || out->count == 0 || late)) {
        lane_fn *closed = out->closed;
        void *closed_ctx = out->closed_ctx;
        buf_done(&out->lines);
        free(out);
        closed(closed_ctx);
        return;
    }
    if (!out->failed && (out->count > 0 || out->was_full) && !out->timer.armed) {
        lane_timer_set_ms(&out->timer, out->lines.len > 0 ? RETRY_MS : 0);
    }
}

static enum sink_result put(struct sink *sink, const struct sink_message *message, uint64_t token,
                            struct err *err) {
    struct sink_stdout *out = (struct sink_stdout *)sink;
    if (!out->told_ready || out->failed || out->count == TOKENS || out->lines.len >= BUFFER_FULL) {
        out->was_full = true;
        return SINK_FULL;
    }
    size_t before = out->lines.len;
    for (size_t i = 0; i < message->value_parts; i++) {
        buf_add_str(&out->lines, message->value[i]);
        out->stats.bytes += message->value[i].len;
    }
    if (!buf_add_char(&out->lines, '\n')) {
        buf_reset(&out->lines); /* forgets the failure, keeps the bytes before this line */
        out->lines.len = before;
        err_set(err, ERR_RECORD, "a line is larger than %d bytes", BUFFER_MAX - BUFFER_FULL);
        return SINK_REFUSED;
    }
    out->taken_total += out->lines.len - before;
    out->pending[(out->first + out->count) % TOKENS] =
        (struct line){.token = token, .end = out->taken_total};
    out->count++;
    out->stats.messages++;
    out->stats.in_flight++;
    if (!out->timer.armed) {
        lane_timer_set_ms(&out->timer, 0);
    }
    return SINK_TAKEN;
}

static void flush(struct sink *sink) {
    (void)sink; /* every turn writes all it can */
}

static void stats(const struct sink *sink, struct sink_stats *ret_stats) {
    const struct sink_stdout *out = (const struct sink_stdout *)sink;
    *ret_stats = out->stats;
    ret_stats->in_flight_bytes = out->lines.capacity;
}

static void close_stdout(struct sink *sink, uint32_t timeout_ms, lane_fn *done, void *ctx) {
    struct sink_stdout *out = (struct sink_stdout *)sink;
    out->closing = true;
    out->close_by_ms = lane_now_ms(sink->lane) + timeout_ms;
    out->closed = done;
    out->closed_ctx = ctx;
    lane_timer_set_ms(&out->timer, 0);
}

static const struct sink_ops ops = {
    .put = put,
    .flush = flush,
    .stats = stats,
    .close = close_stdout,
};

struct sink *sink_stdout_new(struct lane *lane, int fd, const struct sink_events *events,
                             void *events_ctx) {
    struct sink_stdout *out = calloc(1, sizeof *out);
    if (out == NULL) {
        return NULL;
    }
    out->sink = (struct sink){
        .ops = &ops,
        .lane = lane,
        .events = *events,
        .events_ctx = events_ctx,
    };
    out->fd = fd;
    buf_init(&out->lines, BUFFER_MAX);
    lane_timer_init(&out->timer, lane, turn, out);
    lane_timer_set_ms(&out->timer, 0);
    return &out->sink;
}
