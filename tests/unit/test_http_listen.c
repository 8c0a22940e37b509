/* http_listen and http_request: what clients of every kind get, and that none of them gets more than its share. */
#include "monitor/http_listen.h"

#include "base/host_port.h"
#include "cmocka_all.h"
#include "monitor/http_request.h"

#include <aws/common/thread.h>
#include <aws/io/io.h>

#include <arpa/inet.h>
#include <poll.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

enum { PATIENCE_MS = 30000, LARGE = 900 * 1000 };

struct rig {
    struct lane *lane;
    struct http_listen *server;
    struct lane_message message;
    pthread_mutex_t lock;
    pthread_cond_t changed;
    bool done;
};

/* ---- The request's head. */

static void heads_are_understood(void **state) {
    (void)state;
    static const struct {
        const char *bytes;
        enum http_request_state state;
        const char *path;
    } cases[] = {
        {"", HTTP_REQUEST_MORE, NULL},
        {"GET /healthz HTTP/1.1\r\n", HTTP_REQUEST_MORE, NULL},
        {"GET /healthz HTTP/1.1\r\n\r\n", HTTP_REQUEST_GET, "/healthz"},
        {"GET /healthz HTTP/1.0\r\nHost: a\r\n\r\n", HTTP_REQUEST_GET, "/healthz"},
        {"GET /metrics?name[]=up HTTP/1.1\r\nHost: a\r\n\r\n", HTTP_REQUEST_GET, "/metrics"},
        {"GET / HTTP/1.1\r\n\r\nmore", HTTP_REQUEST_GET, "/"},
        {"HEAD /readyz HTTP/1.1\r\n\r\n", HTTP_REQUEST_HEAD, "/readyz"},
        {"POST / HTTP/1.1\r\n\r\n", HTTP_REQUEST_OTHER_METHOD, "/"},
        {"\r\n\r\n", HTTP_REQUEST_BAD, NULL},
        {"GET\r\n\r\n", HTTP_REQUEST_BAD, NULL},
        {"GET /\r\n\r\n", HTTP_REQUEST_BAD, NULL},
        {"GET / HTTP/2.0\r\n\r\n", HTTP_REQUEST_BAD, NULL},
        {"GET / HTTP/1.1 \r\n\r\n", HTTP_REQUEST_BAD, NULL},
        {"GET  / HTTP/1.1\r\n\r\n", HTTP_REQUEST_BAD, NULL},
        {"get / HTTP/1.1\r\n\r\n", HTTP_REQUEST_BAD, NULL},
        {"GET http://a/healthz HTTP/1.1\r\n\r\n", HTTP_REQUEST_BAD, NULL},
        {"\x16\x03\x01\r\n\r\n", HTTP_REQUEST_BAD, NULL},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct str path;
        assert_int_equal(http_request_parse(str_of(cases[i].bytes), &path), cases[i].state);
        if (cases[i].path == NULL) {
            assert_null(path.ptr);
        } else {
            assert_true(str_is(path, cases[i].path));
        }
    }
}

/* ---- The server. */

static void on_request(void *ctx, struct str path, struct http_answer *answer) {
    (void)ctx;
    if (str_is(path, "/well")) {
        answer->status = 200;
        buf_add_text(answer->body, "well\n");
    } else if (str_is(path, "/ill")) {
        answer->status = 503;
        buf_add_text(answer->body, "ill\n");
    } else if (str_is(path, "/large")) {
        answer->status = 200;
        for (int i = 0; i < LARGE; i++) {
            buf_add_char(answer->body, 'x');
        }
    } else if (str_is(path, "/too-large")) {
        answer->status = 200;
        char *room = buf_reserve(answer->body, HTTP_LISTEN_BODY_MAX + 1);
        assert_null(room);
    }
}

static void finish(struct rig *rig) {
    pthread_mutex_lock(&rig->lock);
    rig->done = true;
    pthread_cond_signal(&rig->changed);
    pthread_mutex_unlock(&rig->lock);
}

static void start(void *ctx) {
    struct rig *rig = ctx;
    assert_true(http_listen_start(rig->server, rig->lane, on_request, rig));
    finish(rig);
}

static void stop(void *ctx) {
    struct rig *rig = ctx;
    http_listen_close(rig->server);
    finish(rig);
}

static void on_lane(struct rig *rig, lane_fn *fn) {
    rig->done = false;
    lane_post(rig->lane, &rig->message, fn, rig);
    pthread_mutex_lock(&rig->lock);
    while (!rig->done) {
        pthread_cond_wait(&rig->changed, &rig->lock);
    }
    pthread_mutex_unlock(&rig->lock);
}

static int setup(void **state) {
    struct rig *rig = calloc(1, sizeof *rig);
    struct err err = ERR_NONE;
    assert_non_null(rig);
    aws_io_library_init(aws_default_allocator());
    (void)pthread_mutex_init(&rig->lock, NULL);
    (void)pthread_cond_init(&rig->changed, NULL);
    rig->lane = lane_new(0, &err);
    assert_non_null(rig->lane);
    rig->server = http_listen_open(STR("127.0.0.1"), &err);
    if (rig->server == NULL) {
        fail_msg("%s", err.text);
    }
    on_lane(rig, start);
    *state = rig;
    return 0;
}

static int teardown(void **state) {
    struct rig *rig = *state;
    on_lane(rig, stop);
    lane_free(rig->lane);
    aws_thread_join_all_managed();
    aws_io_library_clean_up();
    (void)pthread_cond_destroy(&rig->changed);
    (void)pthread_mutex_destroy(&rig->lock);
    free(rig);
    return 0;
}

static int connected(struct rig *rig) {
    char host[HOST_PORT_HOST_MAX];
    uint16_t port = 0;
    assert_true(host_port_parse(str_of(http_listen_address(rig->server)), 0, host, &port));
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons(port)};
    assert_int_equal(inet_pton(AF_INET, host, &address.sin_addr), 1);
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_true(fd >= 0);
    assert_int_equal(connect(fd, (struct sockaddr *)&address, sizeof address), 0);
    return fd;
}

static void put(int fd, const char *bytes, size_t len) {
    assert_int_equal(send(fd, bytes, len, MSG_NOSIGNAL), (ssize_t)len);
}

/* Everything until the other side closes; the caller frees it. */
static char *read_all(int fd, size_t *ret_len) {
    size_t capacity = 2 * LARGE;
    char *bytes = malloc(capacity);
    assert_non_null(bytes);
    *ret_len = 0;
    for (;;) {
        struct pollfd readable = {.fd = fd, .events = POLLIN};
        assert_int_equal(poll(&readable, 1, PATIENCE_MS), 1);
        ssize_t got = recv(fd, bytes + *ret_len, capacity - *ret_len - 1, 0);
        if (got <= 0) {
            bytes[*ret_len] = '\0';
            return bytes;
        }
        *ret_len += (size_t)got;
    }
}

static void assert_answer(struct rig *rig, const char *request, const char *status,
                          const char *body) {
    int fd = connected(rig);
    put(fd, request, strlen(request));
    size_t len;
    char *answer = read_all(fd, &len);
    (void)close(fd);
    const char *end = strstr(answer, "\r\n\r\n");
    if (end == NULL || strncmp(answer, status, strlen(status)) != 0 || strcmp(end + 4, body) != 0) {
        fail_msg("%s", answer);
    }
    free(answer);
}

static void answers_come_as_they_are_given(void **state) {
    struct rig *rig = *state;
    assert_answer(rig, "GET /well HTTP/1.1\r\nHost: a\r\n\r\n", "HTTP/1.1 200 OK\r\n", "well\n");
    assert_answer(rig, "GET /ill HTTP/1.1\r\n\r\n", "HTTP/1.1 503 Service Unavailable\r\n",
                  "ill\n");
    assert_answer(rig, "HEAD /well HTTP/1.1\r\n\r\n", "HTTP/1.1 200 OK\r\n", "");
    assert_answer(rig, "GET /none HTTP/1.1\r\n\r\n", "HTTP/1.1 404 Not Found\r\n", "Not Found\n");
    assert_answer(rig, "DELETE /well HTTP/1.1\r\n\r\n", "HTTP/1.1 405 Method Not Allowed\r\n",
                  "Method Not Allowed\n");
    assert_answer(rig, "nonsense\r\n\r\n", "HTTP/1.1 400 Bad Request\r\n", "Bad Request\n");
}

static void a_request_may_come_in_pieces(void **state) {
    struct rig *rig = *state;
    static const char request[] = "GET /well HTTP/1.1\r\nHost: a\r\n\r\n";
    int fd = connected(rig);
    for (size_t i = 0; i < sizeof request - 1; i++) {
        put(fd, request + i, 1);
    }
    size_t len;
    char *answer = read_all(fd, &len);
    assert_non_null(strstr(answer, "\r\n\r\nwell\n"));
    free(answer);
    (void)close(fd);
}

static void a_large_answer_comes_whole(void **state) {
    struct rig *rig = *state;
    int fd = connected(rig);
    static const char request[] = "GET /large HTTP/1.1\r\n\r\n";
    put(fd, request, sizeof request - 1);
    size_t len;
    char *answer = read_all(fd, &len);
    const char *end = strstr(answer, "\r\n\r\n");
    assert_non_null(end);
    assert_non_null(strstr(answer, "Content-Length: 900000\r\n"));
    assert_int_equal(len - (size_t)(end + 4 - answer), LARGE);
    free(answer);
    (void)close(fd);
}

static void an_answer_that_is_too_large_is_none(void **state) {
    struct rig *rig = *state;
    int fd = connected(rig);
    static const char request[] = "GET /too-large HTTP/1.1\r\n\r\n";
    put(fd, request, sizeof request - 1);
    size_t len;
    free(read_all(fd, &len));
    assert_int_equal(len, 0);
    (void)close(fd);
}

static void a_head_without_end_is_refused(void **state) {
    struct rig *rig = *state;
    int fd = connected(rig);
    char *bytes = malloc(HTTP_LISTEN_HEAD_MAX);
    assert_non_null(bytes);
    memset(bytes, 'a', HTTP_LISTEN_HEAD_MAX);
    put(fd, bytes, HTTP_LISTEN_HEAD_MAX);
    free(bytes);
    size_t len;
    char *answer = read_all(fd, &len);
    assert_int_equal(strncmp(answer, "HTTP/1.1 431 ", 13), 0);
    free(answer);
    (void)close(fd);
}

/* Until the server has closed it. */
static void assert_ends(int fd) {
    size_t len;
    free(read_all(fd, &len));
    (void)close(fd);
}

static void one_too_many_is_sent_away_and_the_silent_ones_time_out(void **state) {
    struct rig *rig = *state;
    int clients[HTTP_LISTEN_CLIENTS];
    for (size_t i = 0; i < HTTP_LISTEN_CLIENTS; i++) {
        clients[i] = connected(rig);
    }
    size_t len;
    int more = connected(rig);
    free(read_all(more, &len)); /* at once, while all others are still there */
    assert_int_equal(len, 0);
    (void)close(more);
    for (size_t i = 0; i < HTTP_LISTEN_CLIENTS; i++) {
        assert_ends(clients[i]);
    }
    assert_answer(rig, "GET /well HTTP/1.1\r\n\r\n", "HTTP/1.1 200 OK\r\n", "well\n");
}

static void who_goes_early_hurts_nobody(void **state) {
    struct rig *rig = *state;
    static const char request[] = "GET /large HTTP/1.1\r\n\r\n";
    for (int i = 0; i < 100; i++) {
        int fd = connected(rig);
        put(fd, request, (size_t)i % sizeof request);
        struct linger linger = {.l_onoff = 1, .l_linger = 0}; /* by a reset */
        (void)setsockopt(fd, SOL_SOCKET, SO_LINGER, &linger, sizeof linger);
        (void)close(fd);
    }
    assert_answer(rig, "GET /well HTTP/1.1\r\n\r\n", "HTTP/1.1 200 OK\r\n", "well\n");
}

static void an_address_in_use_is_told(void **state) {
    struct rig *rig = *state;
    struct err err = ERR_NONE;
    assert_null(http_listen_open(str_of(http_listen_address(rig->server)), &err));
    assert_int_equal(err.code, ERR_CONFIG);
    assert_non_null(strstr(err.text, "Address already in use"));
    assert_null(http_listen_open(STR("127.0.0.1:http"), &err));
    assert_int_equal(err.code, ERR_CONFIG);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(heads_are_understood),
        TEST(answers_come_as_they_are_given),
        TEST(a_request_may_come_in_pieces),
        TEST(a_large_answer_comes_whole),
        TEST(an_answer_that_is_too_large_is_none),
        TEST(a_head_without_end_is_refused),
        TEST(one_too_many_is_sent_away_and_the_silent_ones_time_out),
        TEST(who_goes_early_hurts_nobody),
        TEST(an_address_in_use_is_told),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
