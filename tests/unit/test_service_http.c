#include "aws/service_http.h"

#include "base/buf.h"
#include "base/log.h"
#include "http_script.h"

#include <aws/auth/auth.h>
#include <aws/common/thread.h>

#include <ctype.h>
#include <semaphore.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <zlib.h>

#include "cmocka_all.h"

enum { CALLS_MAX = 4 };

/* A lane with a service on it, and the thread of the test, which waits for what happens there. */
struct bench {
    struct http_script script;
    struct lane *lane;
    struct credentials *credentials;
    struct page_pool *pages;
    struct service_http_options options;
    struct service *service;
    struct service_request request;
    struct service_call *call[CALLS_MAX];
    size_t call_count; /* to start */
    struct err err;    /* of the last callback */
    char body[256];
    size_t body_len;
    char request_id[64];
    int64_t server_time_ms;
    int done_count;
    int dropped_count;
    int wait_for; /* callbacks */
    bool inside;  /* a call is being started: no callback may come */
    sem_t ready;
    lane_fn *fn;
    struct lane_message message;
};

static void run(void *ctx) {
    struct bench *bench = ctx;
    bench->fn(bench);
    sem_post(&bench->ready);
}

static void wait_ready(struct bench *bench) {
    struct timespec limit;
    clock_gettime(CLOCK_REALTIME, &limit);
    limit.tv_sec += 60;
    if (sem_timedwait(&bench->ready, &limit) != 0) {
        fail_msg("nothing happened for a minute");
    }
}

static void on_lane(struct bench *bench, lane_fn *fn) {
    bench->fn = fn;
    lane_post(bench->lane, &bench->message, run, bench);
    wait_ready(bench);
}

static void create(void *ctx) {
    struct bench *bench = ctx;
    bench->pages = page_pool_new(1024 * 1024);
    bench->options.pages = bench->pages;
    bench->service = service_http_new(bench->lane, &bench->options, &bench->err);
}

static void closed(void *ctx) {
    struct bench *bench = ctx;
    page_pool_free(bench->pages);
    sem_post(&bench->ready);
}

static void close_service(void *ctx) {
    struct bench *bench = ctx;
    service_http_close(bench->service, closed, bench);
}

static void on_done(void *ctx, const struct err *err, struct service_reply *reply) {
    struct bench *bench = ctx;
    assert_false(bench->inside);
    bench->err = err != NULL ? *err : ERR_NONE;
    bench->body_len = 0;
    bench->request_id[0] = '\0';
    bench->server_time_ms = -1;
    if (reply != NULL) {
        bench->body_len = reply->body->len;
        (void)str_copy(str_make(reply->body->data, reply->body->len), bench->body,
                       sizeof bench->body);
        (void)str_copy(reply->request_id, bench->request_id, sizeof bench->request_id);
        bench->server_time_ms = reply->server_time_ms;
    }
    if (++bench->done_count == bench->wait_for) {
        sem_post(&bench->ready);
    }
}

static void on_dropped(void *ctx) {
    struct bench *bench = ctx;
    bench->dropped_count++;
}

static void start_calls(void *ctx) {
    struct bench *bench = ctx;
    bench->inside = true;
    for (size_t i = 0; i < bench->call_count; i++) {
        bench->call[i] = service_call(bench->service, &bench->request, on_done, bench);
        assert_non_null(bench->call[i]);
    }
    bench->inside = false;
}

static void cancel_calls(void *ctx) {
    struct bench *bench = ctx;
    for (size_t i = 0; i < bench->call_count; i++) {
        service_cancel(bench->service, bench->call[i]);
    }
}

static void bench_init(struct bench *bench) {
    *bench = (struct bench){
        .request = {.target = STR("DynamoDBStreams_20120810.GetRecords"), .body = STR("{\"a\":1}")},
        .call_count = 1,
    };
    bench->request.dropped = on_dropped;
    sem_init(&bench->ready, 0, 0);
}

/* The script's steps are added before. */
static void bench_open(struct bench *bench, const struct credentials_options *keys) {
    static const struct credentials_options standard = {
        .access_key = {"AKID", 4}, .secret_key = {"secret", 6}, .session_token = {"token", 5}};
    struct err err = ERR_NONE;
    http_script_start(&bench->script);
    char url[64];
    (void)snprintf(url, sizeof url, "http://127.0.0.1:%u", bench->script.port);
    bench->lane = lane_new(0, &err);
    bench->credentials = credentials_new(keys != NULL ? keys : &standard, &err);
    assert_non_null(bench->lane);
    assert_true(credentials_wait(bench->credentials, 30000, &err));
    if (bench->options.endpoint.len == 0) {
        bench->options.endpoint = str_of(url);
    }
    bench->options.region = STR("eu-west-1");
    bench->options.signing_name = STR("dynamodb");
    bench->options.user_agent = STR("ddb2pulsar/test\r\nEvil: yes");
    bench->options.credentials = bench->credentials;
    bench->options.max_connections = 1; /* the script serves one at a time */
    on_lane(bench, create);
    assert_non_null(bench->service);
}

static void bench_close(struct bench *bench) {
    bench->fn = NULL;
    lane_post(bench->lane, &bench->message, close_service, bench);
    wait_ready(bench);
    lane_free(bench->lane);
    credentials_free(bench->credentials);
    http_script_stop(&bench->script);
    sem_destroy(&bench->ready);
}

static void call_and_wait(struct bench *bench) {
    bench->done_count = 0;
    bench->wait_for = (int)bench->call_count;
    on_lane(bench, start_calls);
    wait_ready(bench);
}

static void check_failed(const struct bench *bench, enum err_code code, size_t requests) {
    assert_string_equal(err_code_name(bench->err.code), err_code_name(code));
    assert_int_equal(atomic_load(&bench->script.request_count), requests);
}

static void check_answered(const struct bench *bench, const char *body, size_t requests) {
    if (err_is_set(&bench->err)) {
        fail_msg("%s", bench->err.text);
    }
    assert_string_equal(bench->body, body);
    assert_int_equal(atomic_load(&bench->script.request_count), requests);
}

/* Whether the request has this header with this value ("*" ends a value that only begins so). */
static bool has_header(const char *request, const char *name, const char *value) {
    char line[128];
    (void)snprintf(line, sizeof line, "\r\n%s: ", name);
    const char *found = strcasestr(request, line);
    if (found == NULL) {
        return false;
    }
    found += strlen(line);
    size_t len = strlen(value);
    if (len > 0 && value[len - 1] == '*') {
        return strncmp(found, value, len - 1) == 0;
    }
    return strncmp(found, value, len) == 0 && strncmp(found + len, "\r\n", 2) == 0;
}

#define OK_BODY "{\"Records\":[]}"

static void add_ok(struct bench *bench) {
    char headers[200];
    (void)snprintf(headers, sizeof headers,
                   "x-amzn-RequestId: REQ-OK\r\nDate: Sun, 06 Nov 1994 08:49:37 GMT\r\n"
                   "x-amz-crc32: %lu\r\n",
                   crc32(0, (const Bytef *)OK_BODY, sizeof OK_BODY - 1));
    http_script_add(&bench->script, 200, headers, OK_BODY);
}

static void add_error(struct bench *bench, int status, const char *code, const char *headers) {
    char body[256];
    (void)snprintf(body, sizeof body,
                   "{\"__type\":\"com.amazonaws.dynamodb.v20120810#%s\",\"message\":\"why\"}",
                   code);
    http_script_add(&bench->script, status, headers, body);
}

/* ---- The tests. */

static void a_call_is_signed_and_answered(void **state) {
    (void)state;
    struct bench bench;
    bench_init(&bench);
    add_ok(&bench);
    add_ok(&bench);
    bench_open(&bench, NULL);
    call_and_wait(&bench);
    check_answered(&bench, OK_BODY, 1);
    assert_string_equal(bench.request_id, "REQ-OK");
    assert_int_equal(bench.server_time_ms, 784111777000);

    const char *request = bench.script.requests[0];
    assert_memory_equal(request, "POST / HTTP/1.1\r\n", 17);
    char host[32];
    (void)snprintf(host, sizeof host, "127.0.0.1:%u", bench.script.port);
    assert_true(has_header(request, "Host", host));
    assert_true(has_header(request, "Content-Type", "application/x-amz-json-1.0"));
    assert_true(has_header(request, "X-Amz-Target", "DynamoDBStreams_20120810.GetRecords"));
    assert_true(has_header(request, "Content-Length", "7"));
    assert_true(has_header(request, "User-Agent", "ddb2pulsar/test--Evil: yes"));
    assert_true(has_header(request, "Accept-Encoding", "identity"));
    assert_true(has_header(request, "X-Amz-Security-Token", "token"));
    assert_true(has_header(request, "Authorization", "AWS4-HMAC-SHA256 Credential=AKID/*"));
    const char *authorization = strstr(request, "Credential=AKID/");
    for (int i = 0; i < 8; i++) {
        assert_true(isdigit((unsigned char)authorization[16 + i]));
    }
    static const char rest[] =
        "/eu-west-1/dynamodb/aws4_request, SignedHeaders=content-length;content-type;host;"
        "x-amz-date;x-amz-security-token;x-amz-target, Signature=";
    assert_memory_equal(authorization + 24, rest, sizeof rest - 1);
    assert_int_equal(strspn(authorization + 24 + sizeof rest - 1, "0123456789abcdef"), 64);
    assert_string_equal(strstr(request, "\r\n\r\n") + 4, "{\"a\":1}");

    call_and_wait(&bench); /* on the same connection */
    check_answered(&bench, OK_BODY, 2);
    bench_close(&bench);
}

static void a_server_error_is_tried_again(void **state) {
    (void)state;
    struct bench bench;
    bench_init(&bench);
    add_error(&bench, 500, "InternalServerError", "");
    http_script_add(&bench.script, 503, "", "<html>");
    add_ok(&bench);
    bench_open(&bench, NULL);
    call_and_wait(&bench);
    check_answered(&bench, OK_BODY, 3);
    /* Each try has a signature of its own over the same request. */
    for (int i = 0; i < 3; i++) {
        assert_non_null(strstr(bench.script.requests[i], "\r\n\r\n{\"a\":1}"));
        assert_non_null(strstr(bench.script.requests[i], "Signature="));
    }
    bench_close(&bench);
}

static void tries_are_counted_and_told(void **state) {
    (void)state;
    struct bench bench;
    bench_init(&bench);
    for (int i = 0; i < 3; i++) {
        add_error(&bench, 500, "InternalServerError",
                  i == 2 ? "x-amzn-RequestId: REQ-3\r\n" : "x-amzn-RequestId: REQ-X\r\n");
    }
    bench.request.attempts = 3;
    bench_open(&bench, NULL);
    call_and_wait(&bench);
    check_failed(&bench, ERR_AWS_SERVER, 3);
    assert_string_equal(bench.err.text, "InternalServerError: why (3 attempts, request id REQ-3)");
    bench_close(&bench);
}

static void throttling_is_tried_again(void **state) {
    (void)state;
    struct bench bench;
    bench_init(&bench);
    add_error(&bench, 400, "ThrottlingException", "");
    add_ok(&bench);
    bench_open(&bench, NULL);
    call_and_wait(&bench);
    check_answered(&bench, OK_BODY, 2);
    bench_close(&bench);
}

static void a_refusal_is_final(void **state) {
    (void)state;
    struct bench bench;
    bench_init(&bench);
    add_error(&bench, 400, "ValidationException", "x-amzn-RequestId: REQ-1\r\n");
    bench_open(&bench, NULL);
    call_and_wait(&bench);
    check_failed(&bench, ERR_AWS_INVALID, 1);
    assert_string_equal(bench.err.text, "ValidationException: why (request id REQ-1)");
    assert_int_equal(bench.dropped_count, 0);
    bench_close(&bench);
}

static void a_failed_condition_brings_its_body(void **state) {
    (void)state;
    struct bench bench;
    bench_init(&bench);
    add_error(&bench, 400, "ConditionalCheckFailedException", "");
    bench_open(&bench, NULL);
    call_and_wait(&bench);
    check_failed(&bench, ERR_AWS_CONDITION, 1);
    assert_non_null(strstr(bench.body, "ConditionalCheckFailedException"));
    bench_close(&bench);
}

static void a_wrong_checksum_is_tried_again(void **state) {
    (void)state;
    struct bench bench;
    bench_init(&bench);
    http_script_add(&bench.script, 200, "x-amz-crc32: 1\r\n", OK_BODY);
    add_ok(&bench);
    http_script_add(&bench.script, 200, "x-amz-crc32: 1\r\n", OK_BODY);
    bench_open(&bench, NULL);
    call_and_wait(&bench);
    check_answered(&bench, OK_BODY, 2);
    bench.request.attempts = 1;
    call_and_wait(&bench);
    check_failed(&bench, ERR_AWS_CHECKSUM, 3);
    bench_close(&bench);
}

static void broken_replies_are_tried_again(void **state) {
    (void)state;
    struct bench bench;
    bench_init(&bench);
    http_script_add_raw(&bench.script, "HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n{\"Reco")
        ->close_after = true;
    http_script_add_raw(&bench.script, "")->close_after = true;
    http_script_add_raw(&bench.script, "SSH-2.0-OpenSSH_9.2\r\n")->close_after = true;
    add_ok(&bench);
    bench_open(&bench, NULL);
    call_and_wait(&bench);
    check_answered(&bench, OK_BODY, 4);
    bench_close(&bench);
}

static void a_truncated_reply_says_so(void **state) {
    (void)state;
    struct bench bench;
    bench_init(&bench);
    http_script_add_raw(&bench.script, "HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n{\"Reco")
        ->close_after = true;
    http_script_add_raw(&bench.script, "HTTP/1.1 200 OK\r\n\r\n");
    http_script_add(&bench.script, 200, "Content-Encoding: gzip\r\n", OK_BODY);
    bench.request.attempts = 1;
    bench_open(&bench, NULL);
    call_and_wait(&bench);
    check_failed(&bench, ERR_AWS_TRANSPORT, 1);
    char text[128];
    (void)snprintf(text, sizeof text,
                   "connection to http://127.0.0.1:%u broken: closed by the other side",
                   bench.script.port);
    assert_string_equal(bench.err.text, text);
    call_and_wait(&bench);
    check_failed(&bench, ERR_AWS_REPLY, 2);
    call_and_wait(&bench);
    check_failed(&bench, ERR_AWS_REPLY, 3);
    assert_non_null(strstr(bench.err.text, "gzip"));
    bench_close(&bench);
}

static void chunks_are_put_together(void **state) {
    (void)state;
    struct bench bench;
    bench_init(&bench);
    http_script_add_raw(&bench.script, "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
                                       "4\r\n{\"a\"\r\n3\r\n:1}\r\n0\r\n\r\n");
    http_script_add(&bench.script, 200, "", "");
    bench_open(&bench, NULL);
    call_and_wait(&bench);
    check_answered(&bench, "{\"a\":1}", 1);
    call_and_wait(&bench);
    check_answered(&bench, "", 2); /* an empty body is one too */
    bench_close(&bench);
}

static void the_deadline_ends_a_silent_call(void **state) {
    (void)state;
    struct bench bench;
    bench_init(&bench);
    http_script_add_raw(&bench.script, "")->hold = true;
    add_ok(&bench);
    bench.request.deadline_ms = 200;
    bench_open(&bench, NULL);
    call_and_wait(&bench);
    check_failed(&bench, ERR_TIMEOUT, 1);
    assert_non_null(strstr(bench.err.text, "within 200 ms"));
    bench.request.deadline_ms = 0;
    call_and_wait(&bench); /* the broken connection does not come back */
    check_answered(&bench, OK_BODY, 2);
    bench_close(&bench);
}

static void the_deadline_tells_the_last_error(void **state) {
    (void)state;
    struct bench bench;
    bench_init(&bench);
    add_error(&bench, 500, "InternalServerError", "x-amzn-RequestId: REQ-1\r\n");
    http_script_add_raw(&bench.script, "")->hold = true;
    bench.request.deadline_ms = 500;
    bench_open(&bench, NULL);
    call_and_wait(&bench);
    check_failed(&bench, ERR_AWS_SERVER, 2);
    assert_string_equal(bench.err.text,
                        "given up after 500 ms, last with: InternalServerError: why "
                        "(2 attempts, request id REQ-1)");
    bench_close(&bench);
}

static void a_try_without_a_first_byte_is_ended(void **state) {
    (void)state;
    struct bench bench;
    bench_init(&bench);
    http_script_add_raw(&bench.script, "")->hold = true;
    /* Once more in the midst of a body, on a connection that the server wants to close. */
    http_script_add_raw(&bench.script, "HTTP/1.1 200 OK\r\nConnection: close\r\n"
                                       "Content-Length: 100\r\n\r\n{\"Reco")
        ->hold = true;
    add_ok(&bench);
    bench.options.attempt_timeout_ms = 150;
    bench_open(&bench, NULL);
    call_and_wait(&bench);
    check_answered(&bench, OK_BODY, 3);
    bench_close(&bench);
}

static void the_clock_is_corrected_from_the_date(void **state) {
    (void)state;
    struct bench bench;
    bench_init(&bench);
    add_error(&bench, 400, "InvalidSignatureException", "Date: Fri, 01 Jan 2038 00:00:00 GMT\r\n");
    http_script_add(&bench.script, 200, "", OK_BODY);
    /* With a clock that is right by the server's own date the signature is just wrong. */
    add_error(&bench, 400, "InvalidSignatureException", "Date: Fri, 01 Jan 2038 00:00:01 GMT\r\n");
    bench_open(&bench, NULL);
    call_and_wait(&bench);
    check_answered(&bench, OK_BODY, 2);
    assert_false(has_header(bench.script.requests[0], "X-Amz-Date", "2038*"));
    assert_true(has_header(bench.script.requests[1], "X-Amz-Date", "20380101T0000*"));
    call_and_wait(&bench);
    check_failed(&bench, ERR_AWS_DENIED, 3);
    bench_close(&bench);
}

static void expired_static_keys_are_final(void **state) {
    (void)state;
    struct bench bench;
    bench_init(&bench);
    add_error(&bench, 400, "ExpiredTokenException", "");
    bench_open(&bench, NULL);
    call_and_wait(&bench);
    check_failed(&bench, ERR_AWS_TOKEN_EXPIRED, 1);
    assert_int_equal(bench.err.class, ERR_CLASS_AUTH);
    bench_close(&bench);
}

static void expired_keys_are_fetched_anew(void **state) {
    (void)state;
    struct bench bench;
    bench_init(&bench);
    add_error(&bench, 400, "ExpiredTokenException", "");
    add_ok(&bench);
    setenv("AWS_ACCESS_KEY_ID", "OLD", 1);
    setenv("AWS_SECRET_ACCESS_KEY", "secret", 1);
    bench_open(&bench, &(struct credentials_options){.tls = NULL});
    setenv("AWS_ACCESS_KEY_ID", "NEW", 1);
    call_and_wait(&bench);
    check_answered(&bench, OK_BODY, 2);
    assert_non_null(strstr(bench.script.requests[0], "Credential=OLD/"));
    assert_non_null(strstr(bench.script.requests[1], "Credential=NEW/"));
    bench_close(&bench);
    unsetenv("AWS_ACCESS_KEY_ID");
    unsetenv("AWS_SECRET_ACCESS_KEY");
}

static void a_body_over_the_limit_is_refused(void **state) {
    (void)state;
    static char big[3000];
    memset(big, 'x', sizeof big - 1);
    struct bench bench;
    bench_init(&bench);
    http_script_add(&bench.script, 200, "", big);
    http_script_add_raw(&bench.script, "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
                                       "600\r\n");
    buf_add(&bench.script.steps[1].reply, big, 0x600);
    http_script_add(&bench.script, 200, "", "{\"fits\":1}");
    bench.request.max_reply_bytes = 1000;
    bench_open(&bench, NULL);
    call_and_wait(&bench);
    check_failed(&bench, ERR_AWS_TOO_LARGE, 1); /* by its Content-Length */
    call_and_wait(&bench);
    check_failed(&bench, ERR_AWS_TOO_LARGE, 2); /* by what came */
    bench.request.max_reply_bytes = 10;
    call_and_wait(&bench);
    check_answered(&bench, "{\"fits\":1}", 3);
    bench_close(&bench);
}

static void a_big_body_arrives_whole(void **state) {
    (void)state;
    enum { SIZE = 5 * 1024 * 1024 };
    char *big = malloc(SIZE + 1);
    for (size_t i = 0; i < SIZE; i++) {
        big[i] = (char)('a' + i % 23);
    }
    big[SIZE] = '\0';
    char header[64];
    (void)snprintf(header, sizeof header, "x-amz-crc32: %lu\r\n",
                   crc32_z(0, (const Bytef *)big, SIZE));
    struct bench bench;
    bench_init(&bench);
    http_script_add(&bench.script, 200, header, big);
    bench_open(&bench, NULL);
    call_and_wait(&bench);
    assert_false(err_is_set(&bench.err));
    assert_int_equal(bench.body_len, SIZE);
    bench_close(&bench);
    free(big);
}

static void wait_for_requests(struct bench *bench, size_t count) {
    while (atomic_load(&bench->script.request_count) < count) {
        struct timespec pause = {.tv_nsec = 2000000};
        nanosleep(&pause, NULL); /* the test's own time limit ends this if it goes wrong */
    }
}

static void a_cancelled_call_is_silent(void **state) {
    (void)state;
    struct bench bench;
    bench_init(&bench);
    http_script_add_raw(&bench.script, "HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n{\"Reco")
        ->hold = true;
    add_ok(&bench);
    bench.call_count = 3; /* one is sent, two wait for the only connection */
    bench_open(&bench, NULL);
    on_lane(&bench, start_calls);
    wait_for_requests(&bench, 1);
    on_lane(&bench, cancel_calls);
    assert_int_equal(bench.dropped_count, 3);
    bench.call_count = 1;
    call_and_wait(&bench);
    check_answered(&bench, OK_BODY, 2);
    assert_int_equal(bench.done_count, 1); /* of the last one only */
    bench_close(&bench);
}

static void a_call_is_cancelled_before_it_began(void **state) {
    (void)state;
    struct bench bench;
    bench_init(&bench);
    add_ok(&bench);
    bench_open(&bench, NULL);
    bench.call_count = 2;
    bench.wait_for = -1;
    on_lane(&bench, start_calls);
    on_lane(&bench, cancel_calls);
    bench_close(&bench);
    assert_int_equal(bench.done_count, 0);
    assert_int_equal(bench.dropped_count, 2);
}

static void closing_drops_what_is_under_way(void **state) {
    (void)state;
    struct bench bench;
    bench_init(&bench);
    http_script_add_raw(&bench.script, "")->hold = true;
    bench.call_count = 3;
    bench.wait_for = -1;
    bench_open(&bench, NULL);
    on_lane(&bench, start_calls);
    wait_for_requests(&bench, 1);
    bench_close(&bench);
    assert_int_equal(bench.done_count, 0);
    assert_int_equal(bench.dropped_count, 3);
}

static void many_calls_share_a_connection(void **state) {
    (void)state;
    struct bench bench;
    bench_init(&bench);
    for (int i = 0; i < CALLS_MAX; i++) {
        add_ok(&bench);
    }
    bench.call_count = CALLS_MAX;
    bench_open(&bench, NULL);
    call_and_wait(&bench);
    check_answered(&bench, OK_BODY, CALLS_MAX);
    bench_close(&bench);
}

static void an_unreachable_endpoint_is_named(void **state) {
    (void)state;
    struct bench bench;
    bench_init(&bench);
    bench.options.endpoint = STR("http://127.0.0.1:1");
    bench.request.attempts = 2;
    bench_open(&bench, NULL);
    call_and_wait(&bench);
    check_failed(&bench, ERR_AWS_TRANSPORT, 0);
    assert_string_equal(bench.err.text,
                        "cannot reach http://127.0.0.1:1: connection refused (2 attempts)");
    bench_close(&bench);
}

/* The CRT tells this on the resolver's thread. */
static void an_unknown_host_is_named(void **state) {
    (void)state;
    struct bench bench;
    bench_init(&bench);
    bench.options.endpoint = STR("http://no..such..host");
    bench.request.attempts = 2;
    bench.call_count = 3;
    bench_open(&bench, NULL);
    call_and_wait(&bench);
    check_failed(&bench, ERR_AWS_TRANSPORT, 0);
    assert_string_equal(bench.err.text,
                        "cannot reach http://no..such..host:80: the host name could "
                        "not be resolved (2 attempts)");
    bench.wait_for = -1;
    on_lane(&bench, start_calls);
    bench_close(&bench); /* while it is being resolved */
    assert_int_equal(bench.dropped_count, 3);
}

static void create_badly(void *ctx) {
    struct bench *bench = ctx;
    struct service_http_options options = bench->options;
    struct err err = ERR_NONE;
    options.endpoint = STR("localhost:8000");
    assert_null(service_http_new(bench->lane, &options, &err));
    assert_int_equal(err.code, ERR_CONFIG);
    options = bench->options;
    options.region = STR("");
    assert_null(service_http_new(bench->lane, &options, &err));
    assert_int_equal(err.code, ERR_CONFIG);
}

static void a_request_that_is_too_large_is_not_sent(void *ctx) {
    struct bench *bench = ctx;
    static char big[BUF_MAX_REQUEST + 1];
    bench->request.body = str_make(big, sizeof big);
    assert_null(service_call(bench->service, &bench->request, on_done, bench));
}

static void bad_options_are_refused(void **state) {
    (void)state;
    struct bench bench;
    bench_init(&bench);
    bench_open(&bench, NULL);
    on_lane(&bench, create_badly);
    on_lane(&bench, a_request_that_is_too_large_is_not_sent);
    assert_int_equal(bench.dropped_count, 0);
    bench_close(&bench);
}

static int setup(void **state) {
    (void)state;
    setenv("AWS_CONFIG_FILE", "/nonexistent", 1);
    setenv("AWS_SHARED_CREDENTIALS_FILE", "/nonexistent", 1);
    setenv("AWS_EC2_METADATA_DISABLED", "true", 1);
    unsetenv("AWS_SESSION_TOKEN");
    log_setup(LOG_LEVEL_ERROR, LOG_FORMAT_TEXT); /* the clock tests warn, as they should */
    aws_auth_library_init(aws_default_allocator());
    return 0;
}

static int teardown(void **state) {
    (void)state;
    aws_thread_join_all_managed();
    aws_auth_library_clean_up();
    return 0;
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_call_is_signed_and_answered),
        cmocka_unit_test(a_server_error_is_tried_again),
        cmocka_unit_test(tries_are_counted_and_told),
        cmocka_unit_test(throttling_is_tried_again),
        cmocka_unit_test(a_refusal_is_final),
        cmocka_unit_test(a_failed_condition_brings_its_body),
        cmocka_unit_test(a_wrong_checksum_is_tried_again),
        cmocka_unit_test(broken_replies_are_tried_again),
        cmocka_unit_test(a_truncated_reply_says_so),
        cmocka_unit_test(chunks_are_put_together),
        cmocka_unit_test(the_deadline_ends_a_silent_call),
        cmocka_unit_test(the_deadline_tells_the_last_error),
        cmocka_unit_test(a_try_without_a_first_byte_is_ended),
        cmocka_unit_test(the_clock_is_corrected_from_the_date),
        cmocka_unit_test(expired_static_keys_are_final),
        cmocka_unit_test(expired_keys_are_fetched_anew),
        cmocka_unit_test(a_body_over_the_limit_is_refused),
        cmocka_unit_test(a_big_body_arrives_whole),
        cmocka_unit_test(a_cancelled_call_is_silent),
        cmocka_unit_test(a_call_is_cancelled_before_it_began),
        cmocka_unit_test(closing_drops_what_is_under_way),
        cmocka_unit_test(many_calls_share_a_connection),
        cmocka_unit_test(an_unreachable_endpoint_is_named),
        cmocka_unit_test(an_unknown_host_is_named),
        cmocka_unit_test(bad_options_are_refused),
    };
    return cmocka_run_group_tests_name("service_http", tests, setup, teardown);
}
