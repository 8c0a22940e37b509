/* A connection against a socket that does by hand what no broker should: who counts as gone and who
 * does not, pings without end, and a port that speaks TLS. */
#include "unit/cmocka_all.h"

#include "pulsar/channel.h"
#include "pulsar/connection.h"
#include "unit/caller.h"

#include <aws/common/thread.h>
#include <aws/io/io.h>

#include <arpa/inet.h>
#include <assert.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum { FRAME = 64 * 1024 };

/* A connection with one user, who sends without end once told to. */
struct end {
    struct lane *lane;
    struct lane_message open_message;
    struct lane_message close_message;
    struct lane_message turn_message;
    struct connection_config config;
    struct connection *connection;
    struct connection_user user;
    struct address address;
    bool sends;

    pthread_mutex_t lock;
    pthread_cond_t changed;
    bool ready;
    bool lost;
    bool blocked; /* it had to wait for room */
    bool gone;
    bool turned; /* see turn */
    struct err why;
};

static struct end *of_user(struct connection_user *user) {
    return AWS_CONTAINER_OF(user, struct end, user);
}

static void set(struct end *end, bool *flag) {
    (void)pthread_mutex_lock(&end->lock);
    *flag = true;
    (void)pthread_cond_signal(&end->changed);
    (void)pthread_mutex_unlock(&end->lock);
}

static void wait_for(struct end *end, const bool *flag) {
    struct timespec until;
    (void)clock_gettime(CLOCK_REALTIME, &until);
    until.tv_sec += CALLER_PATIENCE_S;
    (void)pthread_mutex_lock(&end->lock);
    while (!*flag) {
        assert_int_equal(pthread_cond_timedwait(&end->changed, &end->lock, &until), 0);
    }
    (void)pthread_mutex_unlock(&end->lock);
}

static void send_more(struct end *end) {
    while (end->sends && connection_is_writable(end->connection)) {
        struct outgoing *frame = caller_piece(0, FRAME);
        connection_send(end->connection, frame);
        outgoing_unref(frame);
    }
    if (end->sends) {
        connection_block(&end->user);
        set(end, &end->blocked);
    }
}

static void on_ready(struct connection_user *user) {
    struct end *end = of_user(user);
    set(end, &end->ready);
    send_more(end);
}

static void on_lost(struct connection_user *user, const struct err *err) {
    struct end *end = of_user(user);
    end->why = *err;
    set(end, &end->lost);
}

static void on_writable(struct connection_user *user) {
    send_more(of_user(user));
}

static const struct connection_events events = {
    .ready = on_ready, .lost = on_lost, .writable = on_writable};

static void on_closing(struct connection *connection, void *ctx) {
    (void)connection;
    (void)ctx;
}

static void on_gone(struct connection *connection, void *ctx) {
    (void)connection;
    struct end *end = ctx;
    end->connection = NULL;
    set(end, &end->gone);
}

static void open_it(void *ctx) {
    struct end *end = ctx;
    end->connection = connection_new(&end->config, &end->address, &end->address);
    assert(end->connection != NULL);
    end->user.events = &events;
    connection_attach(end->connection, &end->user);
}

static void close_it(void *ctx) {
    struct end *end = ctx;
    if (end->connection != NULL) {
        struct err err;
        err_set(&err, ERR_CANCELLED, "the test is over");
        connection_close(end->connection, &err);
    }
}

static void turn(void *ctx) {
    struct end *end = ctx;
    set(end, &end->turned);
}

static struct end *end_new(uint16_t port, uint32_t keep_alive_ms, bool sends) {
    struct end *end = calloc(1, sizeof *end);
    struct err err = ERR_NONE;
    assert_non_null(end);
    (void)pthread_mutex_init(&end->lock, NULL);
    (void)pthread_cond_init(&end->changed, NULL);
    end->lane = lane_new(0, &err);
    assert_non_null(end->lane);
    end->sends = sends;
    end->address = (struct address){.host = "127.0.0.1", .port = port};
    static char version[] = "test";
    struct auth_options nobody = {.plugin = STR("none")};
    end->config = (struct connection_config){.lane = end->lane,
                                             .auth = auth_new(end->lane, &nobody, &err),
                                             .client_version = version,
                                             .connect_timeout_ms = 30000,
                                             .operation_timeout_ms = 30000,
                                             .keep_alive_ms = keep_alive_ms,
                                             .gone = on_gone,
                                             .closing = on_closing,
                                             .ctx = end};
    lane_post(end->lane, &end->open_message, open_it, end);
    return end;
}

static void end_free(struct end *end) {
    lane_post(end->lane, &end->close_message, close_it, end);
    wait_for(end, &end->gone);
    lane_post(end->lane, &end->turn_message, turn, end); /* what called `gone` has returned */
    wait_for(end, &end->turned);
    auth_free(end->config.auth);
    lane_free(end->lane);
    aws_thread_join_all_managed();
    (void)pthread_cond_destroy(&end->changed);
    (void)pthread_mutex_destroy(&end->lock);
    free(end);
}

/* ---- The other side. */

static size_t pack(const Pulsar__BaseCommand *command, char *to) {
    size_t len = pulsar__base_command__pack(command, (uint8_t *)to + 8);
    uint32_t sizes[] = {htonl((uint32_t)len + 4), htonl((uint32_t)len)};
    memcpy(to, sizes, sizeof sizes);
    return len + 8;
}

/* Waits for CONNECT, of which nothing is read but its beginning, and answers it. */
static int accept_connection(int listener) {
    char bytes[4096];
    int fd = caller_accept(listener);
    assert_true(recv(fd, bytes, sizeof bytes, 0) > 0);
    Pulsar__CommandConnected connected = PULSAR__COMMAND_CONNECTED__INIT;
    connected.server_version = (char *)"by hand";
    Pulsar__BaseCommand command = PULSAR__BASE_COMMAND__INIT;
    command.type = PULSAR__BASE_COMMAND__TYPE__CONNECTED;
    command.connected = &connected;
    size_t len = pack(&command, bytes);
    assert_int_equal(send(fd, bytes, len, MSG_NOSIGNAL), len);
    return fd;
}

/* ---- Tests. */

/* It reads nothing and says nothing: a PING that nobody can get is no reason to wait any longer. */
static void gone_while_writes_are_blocked(void **state) {
    (void)state;
    uint16_t port = 0;
    int listener = caller_listen("127.0.0.1", 1, &port);
    struct end *end = end_new(port, 50, true);
    int fd = accept_connection(listener);
    wait_for(end, &end->lost);
    assert_true(end->ready && end->blocked);
    assert_int_equal(end->why.code, ERR_PULSAR_TRANSPORT);
    assert_non_null(strstr(end->why.text, "silent for 100 ms, also after a PING"));
    end_free(end);
    (void)close(fd);
    (void)close(listener);
}

/* It says nothing for many times the keep-alive, but it reads. */
static void slow_but_alive(void **state) {
    enum { KEEP_ALIVE_MS = 400, TIMES = 6, PAUSE_MS = 5 };
    (void)state;
    uint16_t port = 0;
    int listener = caller_listen("127.0.0.1", 1, &port);
    struct end *end = end_new(port, KEEP_ALIVE_MS, true);
    int fd = accept_connection(listener);
    wait_for(end, &end->blocked);
    char *bytes = malloc(256 * 1024);
    assert_non_null(bytes);
    uint64_t start = lane_now_ms(end->lane);
    while (lane_now_ms(end->lane) - start < (uint64_t)TIMES * KEEP_ALIVE_MS) {
        assert_true(recv(fd, bytes, 256 * 1024, 0) > 0);         /* 0: it was given up */
        struct timespec pause = {.tv_nsec = PAUSE_MS * 1000000}; /* it is slow */
        (void)nanosleep(&pause, NULL);
    }
    (void)pthread_mutex_lock(&end->lock);
    assert_false(end->lost);
    (void)pthread_mutex_unlock(&end->lock);
    free(bytes);
    end_free(end);
    (void)close(fd);
    (void)close(listener);
}

/* Nobody reads the answers: not each PING gets one, so that nothing piles up, and the connection
 * bears more of them than the kernel and its own queue could ever keep answers to. */
static void pings_without_end(void **state) {
    enum { PINGS = 8 * CHANNEL_MAX_QUEUED };
    (void)state;
    uint16_t port = 0;
    int listener = caller_listen("127.0.0.1", 1, &port);
    struct end *end = end_new(port, 30000, false);
    int fd = accept_connection(listener);
    wait_for(end, &end->ready);
    Pulsar__CommandPing ping = PULSAR__COMMAND_PING__INIT;
    Pulsar__BaseCommand command = PULSAR__BASE_COMMAND__INIT;
    command.type = PULSAR__BASE_COMMAND__TYPE__PING;
    command.ping = &ping;
    char one[64];
    char many[64 * 1024];
    size_t len = pack(&command, one);
    size_t full = sizeof many / len * len;
    for (size_t at = 0; at < full; at += len) {
        memcpy(many + at, one, len);
    }
    for (size_t sent = 0; sent < PINGS; sent += full / len) {
        assert_int_equal(send(fd, many, full, MSG_NOSIGNAL), full);
    }
    assert_int_equal(shutdown(fd, SHUT_WR), 0);
    wait_for(end, &end->lost); /* it has read all of them */
    assert_non_null(strstr(end->why.text, "it closed the connection"));
    end_free(end);
    (void)close(fd);
    (void)close(listener);
}

static void a_port_for_tls(void **state) {
    (void)state;
    static const char alert[] = {0x15, 3, 3, 0, 2, 2, 70};
    char bytes[4096];
    uint16_t port = 0;
    int listener = caller_listen("127.0.0.1", 1, &port);
    struct end *end = end_new(port, 30000, false);
    int fd = caller_accept(listener);
    assert_true(recv(fd, bytes, sizeof bytes, 0) > 0);
    assert_int_equal(send(fd, alert, sizeof alert, MSG_NOSIGNAL), sizeof alert);
    wait_for(end, &end->lost);
    assert_int_equal(end->why.code, ERR_PULSAR_TRANSPORT);
    assert_non_null(strstr(end->why.text, "it speaks TLS on this port (pulsar+ssl://)"));
    end_free(end);
    (void)close(fd);
    (void)close(listener);
}

static void closed_before_connect_was_answered(void **state) {
    (void)state;
    uint16_t port = 0;
    int listener = caller_listen("127.0.0.1", 1, &port);
    struct end *end = end_new(port, 30000, false);
    (void)close(caller_accept(listener));
    wait_for(end, &end->lost);
    assert_int_equal(end->why.code, ERR_PULSAR_TRANSPORT);
    assert_non_null(strstr(end->why.text, "before it answered CONNECT (does it want TLS?)"));
    end_free(end);
    (void)close(listener);
}

static int setup(void **state) {
    (void)state;
    aws_io_library_init(aws_default_allocator());
    return 0;
}

static int teardown(void **state) {
    (void)state;
    aws_io_library_clean_up();
    return 0;
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(gone_while_writes_are_blocked),
        cmocka_unit_test(slow_but_alive),
        cmocka_unit_test(pings_without_end),
        cmocka_unit_test(a_port_for_tls),
        cmocka_unit_test(closed_before_connect_was_answered),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
