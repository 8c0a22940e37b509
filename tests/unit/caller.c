#include "unit/caller.h"

#include "unit/cmocka_all.h"

#include <aws/common/thread.h>

#include <arpa/inet.h>
#include <assert.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

static void told(struct caller *caller) {
    (void)pthread_cond_broadcast(&caller->changed);
    (void)pthread_mutex_unlock(&caller->lock);
}

static void on_opened(void *ctx) {
    struct caller *caller = ctx;
    (void)pthread_mutex_lock(&caller->lock);
    caller->opened++;
    told(caller);
    if (caller->on_opened != NULL) {
        caller->on_opened(caller);
    }
}

static void next_turn(void *ctx) {
    struct caller *caller = ctx;
    caller->turn = 0;
    if (caller->count_turns) {
        lane_timer_set_ms(&caller->turn_timer, 0);
    }
}

static void on_received(void *ctx, struct str bytes) {
    struct caller *caller = ctx;
    (void)pthread_mutex_lock(&caller->lock);
    for (size_t i = 0; i < bytes.len; i++) {
        caller->wrong_bytes =
            caller->wrong_bytes || bytes.ptr[i] != caller_byte(caller->received + i);
    }
    caller->received += bytes.len;
    caller->turn += bytes.len;
    caller->biggest_turn =
        caller->turn > caller->biggest_turn ? caller->turn : caller->biggest_turn;
    told(caller);
    if (caller->on_received != NULL) {
        caller->on_received(caller);
    }
}

static void on_written(void *ctx) {
    struct caller *caller = ctx;
    (void)pthread_mutex_lock(&caller->lock);
    caller->written++;
    told(caller);
    if (caller->on_written != NULL) {
        caller->on_written(caller);
    }
}

static void on_ended(void *ctx, const struct err *why) {
    struct caller *caller = ctx;
    (void)pthread_mutex_lock(&caller->lock);
    caller->ended++;
    caller->why = *why;
    caller->stats = channel_stats(caller->channel);
    caller->channel = NULL;
    told(caller);
}

static const struct channel_events events = {
    .opened = on_opened, .received = on_received, .written = on_written, .ended = on_ended};

struct caller *caller_new(void) {
    struct caller *caller = calloc(1, sizeof *caller);
    struct err err = ERR_NONE;
    assert_non_null(caller);
    (void)pthread_mutex_init(&caller->lock, NULL);
    (void)pthread_cond_init(&caller->changed, NULL);
    caller->lane = lane_new(0, &err);
    assert_non_null(caller->lane);
    lane_timer_init(&caller->turn_timer, caller->lane, next_turn, caller);
    return caller;
}

/* ---- The lane's thread. */

struct call {
    struct lane_message message;
    struct caller *caller;
    void (*fn)(struct caller *caller, void *ctx);
    void *ctx;
    bool done;
};

static void call(void *ctx) {
    struct call *call = ctx;
    struct caller *caller = call->caller;
    call->fn(caller, call->ctx);
    (void)pthread_mutex_lock(&caller->lock);
    call->done = true;
    told(caller);
}

static void wait_or_fail(struct caller *caller, const struct timespec *until) {
    assert_int_equal(pthread_cond_timedwait(&caller->changed, &caller->lock, until), 0);
}

static struct timespec patience(void) {
    struct timespec until;
    (void)clock_gettime(CLOCK_REALTIME, &until);
    until.tv_sec += CALLER_PATIENCE_S;
    return until;
}

void caller_run(struct caller *caller, void (*fn)(struct caller *caller, void *ctx), void *ctx) {
    struct call it = {.caller = caller, .fn = fn, .ctx = ctx};
    struct timespec until = patience();
    lane_post(caller->lane, &it.message, call, &it);
    (void)pthread_mutex_lock(&caller->lock);
    while (!it.done) {
        wait_or_fail(caller, &until);
    }
    (void)pthread_mutex_unlock(&caller->lock);
}

void caller_wait(struct caller *caller, bool (*reached)(const struct caller *caller)) {
    struct timespec until = patience();
    (void)pthread_mutex_lock(&caller->lock);
    while (!reached(caller)) {
        wait_or_fail(caller, &until);
    }
    (void)pthread_mutex_unlock(&caller->lock);
}

bool caller_has_opened(const struct caller *caller) {
    return caller->opened > 0;
}

bool caller_has_ended(const struct caller *caller) {
    return caller->ended > 0;
}

struct target {
    struct address address;
    struct tls *tls;
    uint32_t connect_timeout_ms;
};

static void open_it(struct caller *caller, void *ctx) {
    const struct target *target = ctx;
    assert(caller->channel == NULL);
    caller->opened = caller->ended = 0;
    caller->received = 0;
    caller->channel = channel_open(caller->lane, &target->address, target->tls,
                                   target->connect_timeout_ms, &events, caller);
    assert(caller->channel != NULL && caller->opened == 0 && caller->ended == 0);
}

void caller_open(struct caller *caller, const char *host, uint16_t port, struct tls *tls,
                 uint32_t connect_timeout_ms) {
    struct target target = {
        .address.port = port, .tls = tls, .connect_timeout_ms = connect_timeout_ms};
    assert_true(str_copy(str_of(host), target.address.host, sizeof target.address.host));
    caller_run(caller, open_it, &target);
}

static void close_it(struct caller *caller, void *ctx) {
    (void)ctx;
    if (caller->channel != NULL) {
        int ended = caller->ended;
        channel_close(caller->channel);
        channel_close(caller->channel); /* once more does no harm */
        assert(caller->ended == ended);
        assert(!channel_write(caller->channel, NULL));
    }
}

void caller_close(struct caller *caller) {
    caller_run(caller, close_it, NULL);
}

static void nothing(struct caller *caller, void *ctx) {
    (void)caller;
    (void)ctx;
}

void caller_expect_end(struct caller *caller, enum err_code code, const char *text) {
    caller_wait(caller, caller_has_ended);
    for (int i = 0; i < 5; i++) {
        caller_run(caller, nothing, NULL);
    }
    assert_int_equal(caller->ended, 1);
    assert_string_equal(err_code_name(caller->why.code), err_code_name(code));
    if (strstr(caller->why.text, text) == NULL) {
        fail_msg("\"%s\" is not in \"%s\"", text, caller->why.text);
    }
}

static void ask_writing(struct caller *caller, void *ctx) {
    size_t *writing = ctx;
    *writing = caller->channel != NULL ? channel_writing(caller->channel) : 0;
}

size_t caller_writing(struct caller *caller) {
    size_t writing = 0;
    caller_run(caller, ask_writing, &writing);
    return writing;
}

static void stop_counting(struct caller *caller, void *ctx) {
    (void)ctx;
    caller->count_turns = false;
    lane_timer_cancel(&caller->turn_timer);
}

void caller_free(struct caller *caller) {
    caller_run(caller, stop_counting, NULL);
    if (caller->channel != NULL) {
        caller_close(caller);
        caller_wait(caller, caller_has_ended);
        caller_run(caller, nothing, NULL); /* what `ended` was called from has returned */
    }
    lane_free(caller->lane);
    aws_thread_join_all_managed();
    (void)pthread_cond_destroy(&caller->changed);
    (void)pthread_mutex_destroy(&caller->lock);
    free(caller);
}

/* ---- Bytes. */

static void free_piece(struct outgoing *piece) {
    free(piece->data);
    free(piece);
}

struct outgoing *caller_piece(uint64_t place, size_t len) {
    struct outgoing *piece = malloc(sizeof *piece);
    assert(piece != NULL);
    *piece = (struct outgoing){.data = malloc(len), .len = len, .refs = 1, .release = free_piece};
    assert(piece->data != NULL);
    for (size_t i = 0; i < len; i++) {
        piece->data[i] = caller_byte(place + i);
    }
    return piece;
}

struct load {
    uint64_t place;
    size_t len;
    size_t piece;
    bool refused;
};

static void send_it(struct caller *caller, void *ctx) {
    struct load *load = ctx;
    while (load->len > 0 && !load->refused) {
        size_t len = load->len < load->piece ? load->len : load->piece;
        struct outgoing *piece = caller_piece(load->place, len);
        uint64_t written = caller->written;
        load->refused = caller->channel == NULL || !channel_write(caller->channel, piece);
        assert(caller->written == written);
        outgoing_unref(piece);
        load->place += len;
        load->len -= len;
    }
}

bool caller_send(struct caller *caller, uint64_t place, size_t len, size_t piece) {
    struct load load = {.place = place, .len = len, .piece = piece};
    caller_run(caller, send_it, &load);
    return !load.refused;
}

/* ---- The other side. */

int caller_listen(const char *host, int backlog, uint16_t *ret_port) {
    union {
        struct sockaddr any;
        struct sockaddr_in v4;
        struct sockaddr_in6 v6;
    } address = {.v6 = {.sin6_family = AF_INET6}};
    socklen_t len = sizeof address.v6;
    if (inet_pton(AF_INET6, host, &address.v6.sin6_addr) != 1) {
        address.v4 = (struct sockaddr_in){.sin_family = AF_INET};
        len = sizeof address.v4;
        assert_int_equal(inet_pton(AF_INET, host, &address.v4.sin_addr), 1);
    }
    if (*ret_port != 0) {
        address.v4.sin_port = htons(*ret_port); /* at the same place in both */
    }
    int fd = socket(address.any.sa_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_true(fd >= 0);
    assert_int_equal(bind(fd, &address.any, len), 0);
    assert_int_equal(listen(fd, backlog), 0);
    assert_int_equal(getsockname(fd, &address.any, &len), 0);
    *ret_port = ntohs(address.v4.sin_port);
    return fd;
}

int caller_accept(int listener) {
    int fd = accept4(listener, NULL, NULL, SOCK_CLOEXEC);
    struct timeval timeout = {.tv_sec = CALLER_PATIENCE_S};
    assert_true(fd >= 0);
    assert_int_equal(setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &timeout, sizeof timeout), 0);
    assert_int_equal(setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &timeout, sizeof timeout), 0);
    return fd;
}
