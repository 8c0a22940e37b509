#include "sink/sink_pipe.h"

#include "base/watch.h"
#include "sink/pipe_frame.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

enum {
    RECORDS_MAX =
        16384, /* from the oldest one that is not acknowledged to the newest; a power of two */
    OUT_FULL = 1024 * 1024,     /* no further record is taken above; one may go over */
    OUT_KEEP = 4 * 1024 * 1024, /* a buffer that a large record made larger is given back */
    OUT_MAX = OUT_FULL + PIPE_FRAME_SIZE_BYTES + PIPE_FRAME_RECORD_MAX,
    IN_FRAME_MAX = 1 + 8 * PIPE_FRAME_NUMBERS_MAX,
    IN_BYTES = PIPE_FRAME_SIZE_BYTES + IN_FRAME_MAX,
    ALIVE_MS = 1000,
};

struct sent {
    uint64_t token;
    uint32_t bytes; /* of its frame */
    bool acked;     /* before an older one was */
};

struct sink_pipe {
    struct sink sink;
    struct sink_pipe_options options;
    struct watch in_watch;
    struct watch out_watch;
    struct lane_timer timer;
    struct lane_timer alive_timer;
    struct buf out;
    size_t written; /* bytes at the start of out that are written */
    bool told_ready;
    bool was_full;
    bool failed;
    bool closing;
    uint64_t close_by_ms;
    lane_fn *closed;
    void *closed_ctx;
    struct sink_stats stats;
    uint64_t first; /* number of the oldest record that is not acknowledged */
    uint64_t next;  /* of the next one */
    size_t in_len;
    char in[IN_BYTES];                      /* frames that have come, the last one not whole */
    uint64_t acked[PIPE_FRAME_NUMBERS_MAX]; /* tokens of the frame being read */
    struct sent sent[RECORDS_MAX];          /* by number modulo RECORDS_MAX */
};

static void fail(struct sink_pipe *pipe, const struct err *err) {
    if (!pipe->failed) {
        pipe->failed = true;
        watch_stop(&pipe->in_watch);
        watch_stop(&pipe->out_watch);
        lane_timer_cancel(&pipe->alive_timer);
        lane_timer_set_ms(&pipe->timer, 0); /* it may be closing */
        pipe->sink.events.failed(pipe->sink.events_ctx, err);
    }
}

static void fail_system(struct sink_pipe *pipe, const char *what) {
    int number = errno;
    struct err err;
    err_set(&err, ERR_PIPE, "%s: %s", what, strerror(number));
    fail(pipe, &err);
}

/* ---- out ---- */

/* Until all is written or the pipe is full; then on_out goes on. */
static void write_some(struct sink_pipe *pipe) {
    while (!pipe->failed && pipe->written < pipe->out.len) {
        ssize_t written =
            write(pipe->options.out, pipe->out.data + pipe->written, pipe->out.len - pipe->written);
        if (written >= 0) {
            pipe->written += (size_t)written;
        } else if (errno == EAGAIN) {
            return;
        } else if (errno != EINTR) {
            fail_system(pipe, "cannot write to standard output");
        }
    }
    if (pipe->out.capacity > OUT_KEEP) {
        buf_done(&pipe->out);
    }
    buf_reset(&pipe->out);
    pipe->written = 0;
}

static bool has_room(const struct sink_pipe *pipe) {
    return pipe->told_ready && !pipe->failed && pipe->out.len < OUT_FULL &&
           pipe->next - pipe->first < RECORDS_MAX;
}

static void tell_writable(struct sink_pipe *pipe) {
    if (pipe->was_full && has_room(pipe)) {
        pipe->was_full = false;
        pipe->sink.events.writable(pipe->sink.events_ctx);
    }
}

/* A watch_fn. */
static void on_out(void *ctx, unsigned events) {
    struct sink_pipe *pipe = ctx;
    (void)events; /* the write knows better */
    write_some(pipe);
    tell_writable(pipe);
}

static void send_alive(void *ctx) {
    struct sink_pipe *pipe = ctx;
    if (pipe->out.len == 0 && pipe_frame_add_alive(&pipe->out)) {
        write_some(pipe);
    }
    if (!pipe->failed) {
        lane_timer_set_ms(&pipe->alive_timer, ALIVE_MS);
    }
}

/* ---- in ---- */

static void broken(struct sink_pipe *pipe, const char *what, uint64_t number) {
    struct err err;
    err_set(&err, ERR_PIPE, "standard input: record %llu is %s; %llu to %llu are out",
            (unsigned long long)number, what, (unsigned long long)pipe->first,
            (unsigned long long)pipe->next - 1);
    fail(pipe, &err);
}

/* The record of this number is done with. */
static bool take_back(struct sink_pipe *pipe, uint64_t number, uint64_t *ret_token) {
    if (number < pipe->first || number >= pipe->next) {
        broken(pipe, "not one of those", number);
        return false;
    }
    struct sent *sent = &pipe->sent[number % RECORDS_MAX];
    if (sent->acked) {
        broken(pipe, "acknowledged twice", number);
        return false;
    }
    sent->acked = true;
    *ret_token = sent->token;
    pipe->stats.in_flight--;
    pipe->stats.in_flight_bytes -= sent->bytes;
    while (pipe->first < pipe->next && pipe->sent[pipe->first % RECORDS_MAX].acked) {
        pipe->first++;
    }
    return true;
}

static void take_acked(struct sink_pipe *pipe, const struct pipe_frame *frame) {
    size_t count = 0;
    while (count < pipe_frame_count(frame) &&
           take_back(pipe, pipe_frame_number(frame, count), &pipe->acked[count])) {
        count++;
    }
    if (!pipe->failed) {
        pipe->sink.events.acked(pipe->sink.events_ctx, pipe->acked, count);
    }
}

static void take_frames(struct sink_pipe *pipe) {
    struct str rest = str_make(pipe->in, pipe->in_len);
    struct pipe_frame frame;
    struct err err;
    enum pipe_frame_cut cut = PIPE_FRAME_PARTIAL;
    while (!pipe->failed &&
           (cut = pipe_frame_take(&rest, IN_FRAME_MAX, &frame, &err)) == PIPE_FRAME_WHOLE) {
        if (frame.type == PIPE_FRAME_ACKED) {
            take_acked(pipe, &frame);
        } else {
            cut = PIPE_FRAME_BROKEN;
            err_set(&err, ERR_PIPE, "standard input: a second configuration");
            break;
        }
    }
    if (cut == PIPE_FRAME_BROKEN) {
        fail(pipe, &err);
    }
    memmove(pipe->in, rest.ptr, rest.len);
    pipe->in_len = rest.len;
}

/* A watch_fn. Reads until there is nothing more; what the other side can still acknowledge bounds it. */
static void on_in(void *ctx, unsigned events) {
    struct sink_pipe *pipe = ctx;
    (void)events; /* the read knows better */
    while (!pipe->failed) {
        ssize_t got = read(pipe->options.in, pipe->in + pipe->in_len, IN_BYTES - pipe->in_len);
        if (got > 0) {
            pipe->in_len += (size_t)got;
            take_frames(pipe);
        } else if (got == 0) {
            struct err err;
            err_set(&err, ERR_CANCELLED, "standard input was closed");
            fail(pipe, &err);
        } else if (errno == EAGAIN) {
            break;
        } else if (errno != EINTR) {
            fail_system(pipe, "cannot read standard input");
        }
    }
    tell_writable(pipe);
    if (pipe->closing) {
        lane_timer_set_ms(&pipe->timer, 0);
    }
}

/* ---- the sink ---- */

static void finish(struct sink_pipe *pipe) {
    lane_fn *closed = pipe->closed;
    void *closed_ctx = pipe->closed_ctx;
    watch_stop(&pipe->in_watch);
    watch_stop(&pipe->out_watch);
    lane_timer_cancel(&pipe->alive_timer);
    buf_done(&pipe->out);
    free(pipe);
    closed(closed_ctx);
}

static void turn(void *ctx) {
    struct sink_pipe *pipe = ctx;
    if (!pipe->told_ready && !pipe->failed) {
        pipe->told_ready = true;
        pipe->sink.events.ready(pipe->sink.events_ctx);
    }
    write_some(pipe);
    tell_writable(pipe);
    if (pipe->closing) {
        uint64_t now_ms = lane_now_ms(pipe->sink.lane);
        if (pipe->failed || pipe->stats.in_flight == 0 || now_ms >= pipe->close_by_ms) {
            finish(pipe);
        } else {
            lane_timer_set_ms(&pipe->timer, pipe->close_by_ms - now_ms);
        }
    }
}

static enum sink_result put(struct sink *sink, const struct sink_message *message, uint64_t token,
                            struct err *err) {
    struct sink_pipe *pipe = (struct sink_pipe *)sink;
    if (!has_room(pipe)) {
        pipe->was_full = true;
        return SINK_FULL;
    }
    size_t bytes = pipe_frame_record_bytes(message);
    if (bytes > PIPE_FRAME_SIZE_BYTES + PIPE_FRAME_RECORD_MAX) {
        err_set(err, ERR_RECORD, "it is larger than %d bytes", PIPE_FRAME_RECORD_MAX);
        return SINK_REFUSED;
    }
    size_t before = pipe->out.len;
    if (!pipe_frame_add_record(&pipe->out, pipe->next, message)) {
        buf_reset(&pipe->out); /* forgets the failure, keeps the bytes before this record */
        pipe->out.len = before;
        err_set(err, ERR_NOMEM, "no memory for a record of %zu bytes", bytes);
        return SINK_REFUSED;
    }
    pipe->sent[pipe->next % RECORDS_MAX] = (struct sent){.token = token, .bytes = (uint32_t)bytes};
    pipe->next++;
    pipe->stats.messages++;
    pipe->stats.in_flight++;
    pipe->stats.in_flight_bytes += bytes;
    for (size_t i = 0; i < message->value_parts; i++) {
        pipe->stats.bytes += message->value[i].len;
    }
    if (!pipe->timer.armed) {
        lane_timer_set_ms(&pipe->timer, 0);
    }
    return SINK_TAKEN;
}

static void flush(struct sink *sink) {
    (void)sink; /* every turn writes all it can */
}

static void stats(const struct sink *sink, struct sink_stats *ret_stats) {
    *ret_stats = ((const struct sink_pipe *)sink)->stats;
}

static void close_pipe(struct sink *sink, uint32_t timeout_ms, lane_fn *done, void *ctx) {
    struct sink_pipe *pipe = (struct sink_pipe *)sink;
    pipe->closing = true;
    pipe->close_by_ms = lane_now_ms(sink->lane) + timeout_ms;
    pipe->closed = done;
    pipe->closed_ctx = ctx;
    lane_timer_set_ms(&pipe->timer, 0);
}

static const struct sink_ops ops = {
    .put = put,
    .flush = flush,
    .stats = stats,
    .close = close_pipe,
};

static bool become_non_blocking(int fd) {
    int flags = fcntl(fd, F_GETFL);
    return flags >= 0 && fcntl(fd, F_SETFL, flags | O_NONBLOCK) == 0;
}

static bool watch_both(struct sink_pipe *pipe, struct lane *lane) {
    return become_non_blocking(pipe->options.in) && become_non_blocking(pipe->options.out) &&
           watch_start(&pipe->in_watch, lane, pipe->options.in, on_in, pipe) &&
           watch_start(&pipe->out_watch, lane, pipe->options.out, on_out, pipe);
}

struct sink *sink_pipe_new(struct lane *lane, const struct sink_pipe_options *options,
                           const struct sink_events *events, void *events_ctx, struct err *err) {
    struct sink_pipe *pipe = calloc(1, sizeof *pipe);
    if (pipe == NULL) {
        err_set(err, ERR_NOMEM, "no memory for a sink");
        return NULL;
    }
    pipe->sink = (struct sink){
        .ops = &ops,
        .lane = lane,
        .events = *events,
        .events_ctx = events_ctx,
    };
    pipe->options = *options;
    pipe->first = 1;
    pipe->next = 1;
    buf_init(&pipe->out, OUT_MAX);
    if (!pipe_frame_add_hello(&pipe->out, options->version) || !watch_both(pipe, lane)) {
        err_set(err, ERR_PIPE, "standard input and output cannot be watched, as pipes can");
        watch_stop(&pipe->in_watch);
        buf_done(&pipe->out);
        free(pipe);
        return NULL;
    }
    lane_timer_init(&pipe->timer, lane, turn, pipe);
    lane_timer_init(&pipe->alive_timer, lane, send_alive, pipe);
    lane_timer_set_ms(&pipe->timer, 0);
    lane_timer_set_ms(&pipe->alive_timer, ALIVE_MS);
    return &pipe->sink;
}
