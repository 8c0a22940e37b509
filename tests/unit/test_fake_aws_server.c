/* The AWS double's HTTP side through a socket. */
#include "fakes/fake_aws_server.h"
#include "fakes/fake_http.h"

#include "cmocka_all.h"

#include <arpa/inet.h>
#include <inttypes.h>
#include <netinet/in.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>
#include <zlib.h>

enum { PATIENCE_MS = 10000 };

#define ARN "arn:aws:dynamodb:eu-west-1:123456789012:table/T/stream/2026-01-01T00:00:00.000"
#define DESCRIBE "DescribeStream", "{\"StreamArn\":\"" ARN "\"}"

static struct fake_aws_server *server;
static char input[4 << 20];
static size_t input_len;
static char last_body[4 << 20];

static int dial(void) {
    struct sockaddr_in address = {.sin_family = AF_INET,
                                  .sin_port = htons(fake_aws_server_port(server)),
                                  .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    assert_true(fd >= 0);
    assert_int_equal(connect(fd, (struct sockaddr *)&address, sizeof address), 0);
    input_len = 0;
    return fd;
}

static void request(int fd, const char *op, const char *body) {
    char text[4096];
    int len = snprintf(text, sizeof text,
                       "POST / HTTP/1.1\r\nHost: x\r\nx-amz-target: DynamoDBStreams_20120810.%s\r\n"
                       "Content-Length: %zu\r\n\r\n%s",
                       op, strlen(body), body);
    assert_int_equal(send(fd, text, (size_t)len, MSG_NOSIGNAL), len);
}

/* False when the connection has ended. */
static bool read_more(int fd) {
    struct pollfd poll_fd = {.fd = fd, .events = POLLIN};
    assert_int_equal(poll(&poll_fd, 1, PATIENCE_MS), 1);
    ssize_t len = recv(fd, input + input_len, sizeof input - 1 - input_len, 0);
    input_len += len > 0 ? (size_t)len : 0;
    input[input_len] = '\0';
    return len > 0;
}

struct response {
    char head[1024];
    const char *body; /* in last_body */
    size_t body_len;
    uint64_t content_length;
};

static const char *header(const struct response *response, const char *name) {
    const char *found = strstr(response->head, name);
    return found == NULL ? NULL : found + strlen(name);
}

/* Takes a whole response from the input, or what there is at the connection's end. False: not even
 * a head. */
static bool read_response(int fd, struct response *ret_response) {
    const char *end;
    while ((end = memmem(input, input_len, "\r\n\r\n", 4)) == NULL) {
        if (!read_more(fd)) {
            return false;
        }
    }
    size_t head = (size_t)(end - input) + 4;
    assert_true(str_copy(str_make(input, head), ret_response->head, sizeof ret_response->head));
    ret_response->content_length = strtoull(header(ret_response, "Content-Length: "), NULL, 10);
    while (input_len < head + ret_response->content_length && read_more(fd)) {
    }
    ret_response->body = last_body;
    ret_response->body_len = input_len - head;
    if (ret_response->body_len > ret_response->content_length) {
        ret_response->body_len = ret_response->content_length;
    }
    memcpy(last_body, input + head, ret_response->body_len);
    last_body[ret_response->body_len] = '\0';
    input_len -= head + ret_response->body_len;
    memmove(input, input + head + ret_response->body_len, input_len);
    input[input_len] = '\0';
    return true;
}

static uint32_t sum_of(const struct response *response) {
    return (uint32_t)crc32(0, (const Bytef *)response->body, (uInt)response->body_len);
}

static uint32_t sum_told(const struct response *response) {
    return (uint32_t)strtoul(header(response, "x-amz-crc32: "), NULL, 10);
}

static void script(const char *lines) {
    struct err err = ERR_NONE;
    if (!fake_aws_server_script(server, lines, &err)) {
        fail_msg("%s", err.text);
    }
}

static int setup(void **state) {
    (void)state;
    struct err err = ERR_NONE;
    server = fake_aws_server_new(0, NULL, &err);
    if (server == NULL) {
        return -1;
    }
    script("stream " ARN "\nshard a-0001");
    return 0;
}

static int teardown(void **state) {
    (void)state;
    fake_aws_server_free(server);
    return 0;
}

static void calls_share_a_connection(void **state) {
    (void)state;
    struct response response;
    int fd = dial();
    request(fd, DESCRIBE);
    request(fd, "Bogus", "{}"); /* sent before the first is answered */
    assert_true(read_response(fd, &response));
    assert_non_null(strstr(response.head, "HTTP/1.1 200 OK\r\n"));
    assert_int_equal(sum_told(&response), sum_of(&response));
    char id[64];
    assert_true(str_copy(str_make(header(&response, "x-amzn-RequestId: "), 32), id, sizeof id));
    assert_true(read_response(fd, &response));
    assert_non_null(strstr(response.head, "HTTP/1.1 400 Bad Request\r\n"));
    assert_memory_not_equal(header(&response, "x-amzn-RequestId: "), id, 32);
    assert_int_equal(sum_told(&response), sum_of(&response));
    assert_int_equal(input_len, 0);
    close(fd);
}

static void requests_come_in_any_pieces(void **state) {
    (void)state;
    static const char text[] = "POST / HTTP/1.1\r\nX-AMZ-TARGET:DynamoDBStreams_20120810."
                               "DescribeStream\r\ncontent-length: 2\r\n\r\n{}";
    struct response response;
    int fd = dial();
    for (size_t i = 0; i < sizeof text - 1; i++) {
        assert_int_equal(send(fd, text + i, 1, MSG_NOSIGNAL), 1);
    }
    assert_true(read_response(fd, &response));
    assert_non_null(strstr(response.body, "Invalid StreamArn"));
    close(fd);
}

static void the_date_is_the_clock_of_the_double(void **state) {
    (void)state;
    char date[40];
    fake_http_date(INT64_C(1800000000000), date);
    assert_string_equal(date, "Fri, 15 Jan 2027 08:00:00 GMT");
    script("clock-skew -1000000000000"); /* some 31 years */
    struct response response;
    int fd = dial();
    request(fd, DESCRIBE);
    assert_true(read_response(fd, &response));
    fake_http_date(fake_server_wall_ms() - INT64_C(1000000000000), date);
    assert_memory_equal(header(&response, "Date: ") + 8, date + 8, 8); /* month and year */
    close(fd);
}

static void a_wrong_sum_is_told(void **state) {
    (void)state;
    struct response response;
    int fd = dial();
    script("crc * 1\nno-crc * 1 after 1");
    request(fd, DESCRIBE);
    assert_true(read_response(fd, &response));
    assert_int_not_equal(sum_told(&response), sum_of(&response));
    request(fd, DESCRIBE);
    assert_true(read_response(fd, &response));
    assert_null(header(&response, "x-amz-crc32: "));
    close(fd);
}

static void bodies_can_be_cut_and_mismeasured(void **state) {
    (void)state;
    struct response response;
    int fd = dial();
    script("cut * 1 11");
    request(fd, DESCRIBE);
    assert_true(read_response(fd, &response));
    assert_int_equal(response.body_len, 11);
    assert_true(response.content_length > 100);
    close(fd);

    fd = dial();
    script("length * 1 -5");
    request(fd, DESCRIBE);
    assert_true(read_response(fd, &response));
    while (read_more(fd)) {
    }
    assert_int_equal(input_len, 5); /* what is behind the stated end */
    close(fd);
}

static void connections_can_break(void **state) {
    (void)state;
    struct response response;
    script("drop-before * 1");
    int fd = dial();
    request(fd, DESCRIBE);
    assert_false(read_response(fd, &response));
    assert_int_equal(fake_aws_server_count(server, FAKE_AWS_DESCRIBE_STREAM), 1);
    close(fd);

    fd = dial(); /* what is not HTTP */
    assert_int_equal(send(fd, "nonsense\r\n\r\n", 12, MSG_NOSIGNAL), 12);
    assert_false(read_response(fd, &response));
    close(fd);
}

static void replies_can_be_late_or_slow(void **state) {
    (void)state;
    struct response response;
    int fd = dial();
    script("delay * 1 30\ndrip * 1 100");
    request(fd, DESCRIBE);
    request(fd, "Bogus", "{}"); /* waits behind the late one */
    assert_true(read_response(fd, &response));
    assert_non_null(strstr(response.head, "200 OK"));
    assert_int_equal(sum_told(&response), sum_of(&response));
    assert_true(read_response(fd, &response));
    assert_non_null(strstr(response.head, "400 Bad Request"));
    close(fd);
}

static void memory_pages_arrive_whole(void **state) {
    (void)state;
    struct response response;
    char body[2200];
    script("memory-pages a-0001 0 600");
    int fd = dial();
    request(fd, "GetShardIterator",
            "{\"StreamArn\":\"" ARN "\",\"ShardId\":\"a-0001\","
            "\"ShardIteratorType\":\"TRIM_HORIZON\"}");
    assert_true(read_response(fd, &response));
    for (int i = 0; i < 5; i++) {
        const char *iterator = strstr(response.body, "Iterator\":\"") + strlen("Iterator\":\"");
        (void)snprintf(body, sizeof body, "{\"ShardIterator\":\"%.*s\"}",
                       (int)strcspn(iterator, "\""), iterator);
        request(fd, "GetRecords", body);
        assert_true(read_response(fd, &response));
        assert_true(response.body_len > 600000);
        assert_int_equal(sum_told(&response), sum_of(&response));
        assert_memory_equal(response.body, "{\"Records\":[{\"eventID\"", 22);
        char number[64];
        (void)snprintf(number, sizeof number, "\"SequenceNumber\":\"1%020d\"", i * 1000 + 1000);
        assert_non_null(strstr(response.body, number));
    }
    close(fd);
}

static void it_is_steered_over_http(void **state) {
    (void)state;
    static const char post[] =
        "POST /control HTTP/1.1\r\nContent-Length: 15\r\n\r\nclose a-0001\n\n\n"
        "GET /control/counts HTTP/1.1\r\n\r\n"
        "GET /control/bogus HTTP/1.1\r\n\r\n";
    struct response response;
    int fd = dial();
    assert_int_equal(send(fd, post, sizeof post - 1, MSG_NOSIGNAL), sizeof post - 1);
    assert_true(read_response(fd, &response));
    assert_non_null(strstr(response.head, "200 OK"));
    assert_true(read_response(fd, &response));
    assert_non_null(strstr(response.head, "200 OK"));
    assert_true(read_response(fd, &response));
    assert_non_null(strstr(response.head, "404 Not Found"));
    request(fd, DESCRIBE);
    assert_true(read_response(fd, &response));
    assert_non_null(strstr(response.body, "EndingSequenceNumber"));
    close(fd);
}

int main(void) {
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        TEST(calls_share_a_connection),
        TEST(requests_come_in_any_pieces),
        TEST(the_date_is_the_clock_of_the_double),
        TEST(a_wrong_sum_is_told),
        TEST(bodies_can_be_cut_and_mismeasured),
        TEST(connections_can_break),
        TEST(replies_can_be_late_or_slow),
        TEST(memory_pages_arrive_whole),
        TEST(it_is_steered_over_http),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
