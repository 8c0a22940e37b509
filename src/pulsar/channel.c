#include "pulsar/channel.h"

#include "base/watch.h"
#include "pulsar/dial.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

enum {
    READ_BYTES = 32 * 1024,   /* of one read; on the stack, since nobody keeps them */
    WRITE_BYTES = 512 * 1024, /* of one write: bounds what is encrypted in one go */
    WRITE_PARTS = 64,
    PER_TURN = 8, /* reads and writes until others have their turn */
    QUEUE_FIRST = 64,
};

struct slot {
    struct outgoing *piece; /* a reference */
};

/* It moves only down this list. */
enum channel_state {
    CHANNEL_DIALLING,
    CHANNEL_HANDSHAKE, /* TLS */
    CHANNEL_OPEN,
    CHANNEL_ENDING, /* `ended` is told in a later turn */
};

struct channel {
    struct lane *lane;
    const struct channel_events *events;
    void *ctx;
    struct address address;
    struct tls *tls; /* NULL: plain */
    enum channel_state state;
    struct err why;

    struct dial *dial; /* until it has called back */
    struct tls_session *session;
    int fd; /* -1: none */
    struct watch watch;
    bool readable; /* the last read did not find the end */
    bool hung_up;  /* the end is near: read until it comes */
    bool writable; /* the last write was taken in full */
    bool at_work;  /* what is queued will be written at its end */

    struct slot *queue; /* a ring */
    size_t capacity;    /* a power of two, or 0 */
    size_t first;
    size_t queued;
    size_t begun; /* bytes of the first piece that the kernel has */
    size_t writing;
    struct channel_stats stats;

    struct lane_timer turn_timer; /* work that is left for a later turn, and the end */
    struct lane_timer deadline_timer;
    uint32_t connect_timeout_ms;
};

/* The i-th of those that wait. */
static struct outgoing *queue_at(const struct channel *channel, size_t i) {
    return channel->queue[(channel->first + i) & (channel->capacity - 1)].piece;
}

/* ---- The end. */

static void finish(struct channel *channel) {
    lane_timer_cancel(&channel->turn_timer);
    lane_timer_cancel(&channel->deadline_timer);
    if (channel->session != NULL) {
        tls_session_end(channel->session);
        tls_session_free(channel->session);
    }
    watch_stop(&channel->watch);
    if (channel->fd >= 0) {
        (void)close(channel->fd);
    }
    for (size_t i = 0; i < channel->queued; i++) {
        outgoing_unref(queue_at(channel, i));
    }
    free(channel->queue);
    channel->events->ended(channel->ctx, &channel->why);
    free(channel);
}

/* The first reason is the cause, later ones its consequences. */
static void end(struct channel *channel, const struct err *why) {
    if (channel->state == CHANNEL_ENDING) {
        return;
    }
    channel->state = CHANNEL_ENDING;
    channel->why = *why;
    lane_timer_cancel(&channel->deadline_timer);
    if (channel->dial != NULL) {
        dial_cancel(channel->dial);
    } else {
        lane_timer_set_ms(&channel->turn_timer, 0);
    }
}

static void lose(struct channel *channel, const char *what, const char *detail) {
    struct err why;
    err_set(&why, ERR_PULSAR_TRANSPORT, "%s%s", what, detail);
    end(channel, &why);
}

void channel_close(struct channel *channel) {
    struct err why;
    err_set(&why, ERR_CANCELLED, "closed by us");
    end(channel, &why);
}

static void deadline_passed(void *ctx) {
    struct channel *channel = ctx;
    char waits[256] = "connected, but the TLS handshake did not end (is it a port for TLS?)";
    if (channel->dial != NULL) {
        dial_describe(channel->dial, waits, sizeof waits);
    }
    struct err why;
    err_set(&why, ERR_PULSAR_TRANSPORT, "no connection within %" PRIu32 " ms: %s",
            channel->connect_timeout_ms, waits);
    end(channel, &why);
}

/* ---- Reading. */

/* Bytes; 0: no more for now; -1 and err: over. */
static ssize_t read_some(struct channel *channel, char *to, struct err *err) {
    if (channel->session != NULL) {
        return tls_session_read(channel->session, to, READ_BYTES, err);
    }
    ssize_t got;
    do {
        got = recv(channel->fd, to, READ_BYTES, 0);
    } while (got < 0 && errno == EINTR);
    if (got > 0) {
        /* Less than asked for was all there is; what comes later is an event of its own. */
        channel->readable = got == READ_BYTES || channel->hung_up;
        return got;
    }
    if (got < 0 && errno == EAGAIN) {
        return 0;
    }
    err_set(err, ERR_PULSAR_TRANSPORT, "%s%s",
            got == 0 ? "it closed the connection" : "connection lost: ",
            got == 0 ? "" : strerrordesc_np(errno));
    return -1;
}

/* cause: why it is over, if that is known already and the broker does not say it better; or NULL. */
static void read_all(struct channel *channel, const struct err *cause) {
    char bytes[READ_BYTES];
    for (int i = 0; i < PER_TURN && channel->readable && channel->state == CHANNEL_OPEN; i++) {
        struct err err;
        ssize_t got = read_some(channel, bytes, &err);
        if (got < 0) {
            end(channel, cause != NULL && err.code == ERR_PULSAR_TRANSPORT ? cause : &err);
        } else if (got == 0) {
            channel->readable = false;
        } else {
            channel->events->received(channel->ctx, str_make(bytes, (size_t)got));
        }
    }
}

/* ---- Writing. */

static bool grow(struct channel *channel) {
    size_t capacity = channel->capacity == 0 ? QUEUE_FIRST : 2 * channel->capacity;
    struct slot *queue = capacity > CHANNEL_MAX_QUEUED ? NULL : malloc(capacity * sizeof *queue);
    if (queue == NULL) {
        return false;
    }
    for (size_t i = 0; i < channel->queued; i++) {
        queue[i].piece = queue_at(channel, i);
    }
    free(channel->queue);
    channel->queue = queue;
    channel->capacity = capacity;
    channel->first = 0;
    return true;
}

static size_t gather(const struct channel *channel, struct iovec parts[WRITE_PARTS],
                     size_t *ret_bytes) {
    size_t count = 0;
    size_t bytes = 0;
    size_t skip = channel->begun;
    while (count < WRITE_PARTS && count < channel->queued && bytes < WRITE_BYTES) {
        struct outgoing *piece = queue_at(channel, count);
        size_t len = piece->len - skip;
        len = len < WRITE_BYTES - bytes ? len : WRITE_BYTES - bytes;
        parts[count++] = (struct iovec){.iov_base = piece->data + skip, .iov_len = len};
        bytes += len;
        skip = 0;
    }
    *ret_bytes = bytes;
    return count;
}

/* Bytes that the kernel has now, 0 when it is full; -1 and err: over. */
static ssize_t write_parts(struct channel *channel, struct iovec *parts, size_t count,
                           struct err *err) {
    channel->stats.writes++;
    if (channel->session != NULL) {
        return tls_session_write(channel->session, parts, count, err);
    }
    struct msghdr message = {.msg_iov = parts, .msg_iovlen = count};
    ssize_t sent;
    do {
        sent = sendmsg(channel->fd, &message, MSG_NOSIGNAL);
    } while (sent < 0 && errno == EINTR);
    if (sent < 0 && errno == EAGAIN) {
        return 0;
    }
    if (sent < 0) {
        err_set(err, ERR_PULSAR_TRANSPORT, "connection lost: %s", strerrordesc_np(errno));
    }
    return sent;
}

static void forget_written(struct channel *channel, size_t bytes) {
    channel->writing -= bytes;
    channel->stats.written_bytes += bytes;
    bytes += channel->begun;
    while (channel->queued > 0 && bytes >= queue_at(channel, 0)->len) {
        struct outgoing *piece = queue_at(channel, 0);
        bytes -= piece->len;
        channel->first = (channel->first + 1) & (channel->capacity - 1);
        channel->queued--;
        channel->stats.written++;
        outgoing_unref(piece);
    }
    channel->begun = bytes;
}

/* A broker that ends the connection may have said why before: that is worth more than our failure
 * to write. */
static void fail_write(struct channel *channel, const struct err *err) {
    channel->writable = false;
    channel->readable = true;
    channel->hung_up = true;
    read_all(channel, err);
    end(channel, err);
}

static void write_all(struct channel *channel) {
    for (int i = 0;
         i < PER_TURN && channel->writable && channel->queued > 0 && channel->state == CHANNEL_OPEN;
         i++) {
        struct iovec parts[WRITE_PARTS];
        size_t bytes;
        size_t count = gather(channel, parts, &bytes);
        uint64_t sent_before = channel->session != NULL ? tls_session_sent(channel->session) : 0;
        struct err err;
        ssize_t sent = write_parts(channel, parts, count, &err);
        if (sent < 0) {
            fail_write(channel, &err);
            return;
        }
        channel->writable = (size_t)sent == bytes;
        forget_written(channel, (size_t)sent);
        bool progress =
            channel->session != NULL ? tls_session_sent(channel->session) > sent_before : sent > 0;
        if (progress) {
            channel->events->written(channel->ctx);
        }
    }
}

bool channel_write(struct channel *channel, struct outgoing *bytes) {
    if (channel->state != CHANNEL_OPEN) {
        return false;
    }
    if (channel->queued == channel->capacity && !grow(channel)) {
        struct err why;
        err_set(&why, ERR_PULSAR_TRANSPORT, "more is waiting to be written than can be kept");
        end(channel, &why);
        return false;
    }
    channel->queue[(channel->first + channel->queued) & (channel->capacity - 1)].piece =
        outgoing_ref(bytes);
    channel->queued++;
    channel->stats.taken++;
    channel->writing += bytes->len;
    if (channel->writable && !channel->at_work && !channel->turn_timer.armed) {
        lane_timer_set_ms(&channel->turn_timer, 0);
    }
    return true;
}

size_t channel_writing(const struct channel *channel) {
    return channel->writing;
}

struct channel_stats channel_stats(const struct channel *channel) {
    return channel->stats;
}

/* ---- Life. */

static void open_up(struct channel *channel) {
    lane_timer_cancel(&channel->deadline_timer);
    channel->state = CHANNEL_OPEN;
    channel->events->opened(channel->ctx);
}

static void shake_hands(struct channel *channel) {
    struct err err;
    switch (tls_session_handshake(channel->session, &err)) {
    case TLS_DONE:
        channel->readable = true; /* the session may have read further than its handshake */
        open_up(channel);
        break;
    case TLS_BLOCKED:
        break;
    case TLS_FAILED:
        end(channel, &err);
        break;
    }
}

static void work(struct channel *channel) {
    channel->at_work = true;
    if (channel->state == CHANNEL_HANDSHAKE) {
        shake_hands(channel);
    }
    read_all(channel, NULL);
    write_all(channel);
    channel->at_work = false;
    if (channel->state == CHANNEL_OPEN &&
        (channel->readable || (channel->writable && channel->queued > 0))) {
        lane_timer_set_ms(&channel->turn_timer, 0);
    }
}

/* A lane_fn. */
static void next_turn(void *ctx) {
    struct channel *channel = ctx;
    if (channel->state == CHANNEL_ENDING) {
        finish(channel);
    } else {
        work(channel);
    }
}

/* A watch_fn. */
static void on_event(void *ctx, unsigned events) {
    struct channel *channel = ctx;
    channel->hung_up = channel->hung_up || (events & WATCH_END) != 0;
    channel->readable = channel->readable || channel->hung_up || (events & WATCH_READ) != 0;
    channel->writable = channel->writable || (events & WATCH_WRITE) != 0;
    work(channel);
}

/* A dial_fn. */
static void dialled(void *ctx, int fd, const char *why) {
    struct channel *channel = ctx;
    channel->dial = NULL;
    channel->fd = fd;
    if (channel->state == CHANNEL_ENDING) {
        finish(channel);
        return;
    }
    if (fd < 0) {
        lose(channel, "cannot connect: ", why);
        return;
    }
    if (!watch_start(&channel->watch, channel->lane, fd, on_event, channel)) {
        lose(channel, "cannot watch the socket: ", strerrordesc_np(errno));
        return;
    }
    channel->writable = true;
    if (channel->tls == NULL) {
        open_up(channel);
        return;
    }
    struct err err;
    channel->state = CHANNEL_HANDSHAKE;
    channel->session = tls_session_new(channel->tls, channel->address.host, fd, &err);
    if (channel->session == NULL) {
        end(channel, &err);
    } else {
        shake_hands(channel);
    }
}

struct channel *channel_open(struct lane *lane, const struct address *address, struct tls *tls,
                             uint32_t connect_timeout_ms, const struct channel_events *events,
                             void *ctx) {
    struct channel *channel = calloc(1, sizeof *channel);
    if (channel == NULL) {
        return NULL;
    }
    channel->lane = lane;
    channel->events = events;
    channel->ctx = ctx;
    channel->address = *address;
    channel->tls = tls;
    channel->fd = -1;
    channel->connect_timeout_ms = connect_timeout_ms;
    channel->dial = dial_start(lane, address, dialled, channel);
    if (channel->dial == NULL) {
        free(channel);
        return NULL;
    }
    lane_timer_init(&channel->turn_timer, lane, next_turn, channel);
    lane_timer_init(&channel->deadline_timer, lane, deadline_passed, channel);
    lane_timer_set_ms(&channel->deadline_timer, connect_timeout_ms);
    return channel;
}
