#include "unit/channel_rig.h"

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

static void told(struct rig *rig) {
    (void)pthread_cond_broadcast(&rig->changed);
    (void)pthread_mutex_unlock(&rig->lock);
}

static void on_opened(void *ctx) {
    struct rig *rig = ctx;
    (void)pthread_mutex_lock(&rig->lock);
    rig->opened++;
    told(rig);
    if (rig->on_opened != NULL) {
        rig->on_opened(rig);
    }
}

static void next_turn(void *ctx) {
    struct rig *rig = ctx;
    rig->turn = 0;
    if (rig->count_turns) {
        lane_timer_set_ms(&rig->turn_timer, 0);
    }
}

static void on_received(void *ctx, struct str bytes) {
    struct rig *rig = ctx;
    (void)pthread_mutex_lock(&rig->lock);
    for (size_t i = 0; i < bytes.len; i++) {
        rig->wrong_bytes = rig->wrong_bytes || bytes.ptr[i] != rig_byte(rig->received + i);
    }
    rig->received += bytes.len;
    rig->turn += bytes.len;
    rig->biggest_turn = rig->turn > rig->biggest_turn ? rig->turn : rig->biggest_turn;
    told(rig);
    if (rig->on_received != NULL) {
        rig->on_received(rig);
    }
}

static void on_written(void *ctx) {
    struct rig *rig = ctx;
    (void)pthread_mutex_lock(&rig->lock);
    rig->written++;
    told(rig);
    if (rig->on_written != NULL) {
        rig->on_written(rig);
    }
}

static void on_ended(void *ctx, const struct err *why) {
    struct rig *rig = ctx;
    (void)pthread_mutex_lock(&rig->lock);
    rig->ended++;
    rig->why = *why;
    rig->stats = channel_stats(rig->channel);
    rig->channel = NULL;
    told(rig);
}

static const struct channel_events events = {
    .opened = on_opened, .received = on_received, .written = on_written, .ended = on_ended};

struct rig *rig_new(void) {
    struct rig *rig = calloc(1, sizeof *rig);
    struct err err = ERR_NONE;
    assert_non_null(rig);
    (void)pthread_mutex_init(&rig->lock, NULL);
    (void)pthread_cond_init(&rig->changed, NULL);
    rig->lane = lane_new(0, &err);
    assert_non_null(rig->lane);
    lane_timer_init(&rig->turn_timer, rig->lane, next_turn, rig);
    return rig;
}

/* ---- The lane's thread. */

struct call {
    struct lane_message message;
    struct rig *rig;
    void (*fn)(struct rig *rig, void *ctx);
    void *ctx;
    bool done;
};

static void call(void *ctx) {
    struct call *call = ctx;
    struct rig *rig = call->rig;
    call->fn(rig, call->ctx);
    (void)pthread_mutex_lock(&rig->lock);
    call->done = true;
    told(rig);
}

static void wait_or_fail(struct rig *rig, const struct timespec *until) {
    assert_int_equal(pthread_cond_timedwait(&rig->changed, &rig->lock, until), 0);
}

static struct timespec patience(void) {
    struct timespec until;
    (void)clock_gettime(CLOCK_REALTIME, &until);
    until.tv_sec += RIG_PATIENCE_S;
    return until;
}

void rig_run(struct rig *rig, void (*fn)(struct rig *rig, void *ctx), void *ctx) {
    struct call it = {.rig = rig, .fn = fn, .ctx = ctx};
    struct timespec until = patience();
    lane_post(rig->lane, &it.message, call, &it);
    (void)pthread_mutex_lock(&rig->lock);
    while (!it.done) {
        wait_or_fail(rig, &until);
    }
    (void)pthread_mutex_unlock(&rig->lock);
}

void rig_wait(struct rig *rig, bool (*reached)(const struct rig *rig)) {
    struct timespec until = patience();
    (void)pthread_mutex_lock(&rig->lock);
    while (!reached(rig)) {
        wait_or_fail(rig, &until);
    }
    (void)pthread_mutex_unlock(&rig->lock);
}

bool rig_has_opened(const struct rig *rig) {
    return rig->opened > 0;
}

bool rig_has_ended(const struct rig *rig) {
    return rig->ended > 0;
}

struct target {
    struct address address;
    struct tls *tls;
    uint32_t connect_timeout_ms;
};

static void open_it(struct rig *rig, void *ctx) {
    const struct target *target = ctx;
    assert(rig->channel == NULL);
    rig->opened = rig->ended = 0;
    rig->received = 0;
    rig->channel = channel_open(rig->lane, &target->address, target->tls,
                                target->connect_timeout_ms, &events, rig);
    assert(rig->channel != NULL && rig->opened == 0 && rig->ended == 0);
}

void rig_open(struct rig *rig, const char *host, uint16_t port, struct tls *tls,
              uint32_t connect_timeout_ms) {
    struct target target = {
        .address.port = port, .tls = tls, .connect_timeout_ms = connect_timeout_ms};
    assert_true(str_copy(str_of(host), target.address.host, sizeof target.address.host));
    rig_run(rig, open_it, &target);
}

static void close_it(struct rig *rig, void *ctx) {
    (void)ctx;
    if (rig->channel != NULL) {
        int ended = rig->ended;
        channel_close(rig->channel);
        channel_close(rig->channel); /* once more does no harm */
        assert(rig->ended == ended);
        assert(!channel_write(rig->channel, NULL));
    }
}

void rig_close(struct rig *rig) {
    rig_run(rig, close_it, NULL);
}

static void nothing(struct rig *rig, void *ctx) {
    (void)rig;
    (void)ctx;
}

void rig_expect_end(struct rig *rig, enum err_code code, const char *text) {
    rig_wait(rig, rig_has_ended);
    for (int i = 0; i < 5; i++) {
        rig_run(rig, nothing, NULL);
    }
    assert_int_equal(rig->ended, 1);
    assert_string_equal(err_code_name(rig->why.code), err_code_name(code));
    if (strstr(rig->why.text, text) == NULL) {
        fail_msg("\"%s\" is not in \"%s\"", text, rig->why.text);
    }
}

static void ask_writing(struct rig *rig, void *ctx) {
    size_t *writing = ctx;
    *writing = rig->channel != NULL ? channel_writing(rig->channel) : 0;
}

size_t rig_writing(struct rig *rig) {
    size_t writing = 0;
    rig_run(rig, ask_writing, &writing);
    return writing;
}

static void stop_counting(struct rig *rig, void *ctx) {
    (void)ctx;
    rig->count_turns = false;
    lane_timer_cancel(&rig->turn_timer);
}

void rig_free(struct rig *rig) {
    rig_run(rig, stop_counting, NULL);
    if (rig->channel != NULL) {
        rig_close(rig);
        rig_wait(rig, rig_has_ended);
        rig_run(rig, nothing, NULL); /* what `ended` was called from has returned */
    }
    lane_free(rig->lane);
    aws_thread_join_all_managed();
    (void)pthread_cond_destroy(&rig->changed);
    (void)pthread_mutex_destroy(&rig->lock);
    free(rig);
}

/* ---- Bytes. */

static void free_piece(struct outgoing *piece) {
    free(piece->data);
    free(piece);
}

struct outgoing *rig_piece(uint64_t place, size_t len) {
    struct outgoing *piece = malloc(sizeof *piece);
    assert(piece != NULL);
    *piece = (struct outgoing){.data = malloc(len), .len = len, .refs = 1, .release = free_piece};
    assert(piece->data != NULL);
    for (size_t i = 0; i < len; i++) {
        piece->data[i] = rig_byte(place + i);
    }
    return piece;
}

struct load {
    uint64_t place;
    size_t len;
    size_t piece;
    bool refused;
};

static void send_it(struct rig *rig, void *ctx) {
    struct load *load = ctx;
    while (load->len > 0 && !load->refused) {
        size_t len = load->len < load->piece ? load->len : load->piece;
        struct outgoing *piece = rig_piece(load->place, len);
        uint64_t written = rig->written;
        load->refused = rig->channel == NULL || !channel_write(rig->channel, piece);
        assert(rig->written == written);
        outgoing_unref(piece);
        load->place += len;
        load->len -= len;
    }
}

bool rig_send(struct rig *rig, uint64_t place, size_t len, size_t piece) {
    struct load load = {.place = place, .len = len, .piece = piece};
    rig_run(rig, send_it, &load);
    return !load.refused;
}

/* ---- The other side. */

int rig_listen(const char *host, int backlog, uint16_t *ret_port) {
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

int rig_accept(int listener) {
    int fd = accept4(listener, NULL, NULL, SOCK_CLOEXEC);
    struct timeval timeout = {.tv_sec = RIG_PATIENCE_S};
    assert_true(fd >= 0);
    assert_int_equal(setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &timeout, sizeof timeout), 0);
    assert_int_equal(setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &timeout, sizeof timeout), 0);
    return fd;
}
