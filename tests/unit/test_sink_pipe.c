/* sink_pipe on a real lane: what goes out, what comes back, full, broken, closed. */
#include "sink/sink_pipe.h"

#include "cmocka_all.h"
#include "pulsar/wire.h"
#include "sink/pipe_frame.h"

#include <aws/common/thread.h>
#include <aws/io/io.h>

#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <unistd.h>

enum { PATIENCE_S = 30, VALUE_MAX = PIPE_FRAME_RECORD_MAX };

/* The other side is the test's thread. */
struct rig {
    struct lane *lane;
    struct lane_message message;
    struct sink *sink;
    int in[2]; /* the sink reads 0 */
    int out[2];
    pthread_mutex_t lock; /* of what follows */
    pthread_cond_t changed;
    bool done; /* what on_lane has posted */
    uint64_t next_token;
    uint64_t taken; /* by put_until_full */
    uint64_t acked_sum;
    uint64_t acked;
    int ready;
    int writable;
    int failed;
    int closed;
    struct err err;
    size_t value_bytes;
    enum sink_result result;
    struct sink_stats stats;
};

#define CHANGE(rig, statement)                                                                     \
    do {                                                                                           \
        (void)pthread_mutex_lock(&(rig)->lock);                                                    \
        statement;                                                                                 \
        (void)pthread_cond_signal(&(rig)->changed);                                                \
        (void)pthread_mutex_unlock(&(rig)->lock);                                                  \
    } while (0)

#define WAIT(rig, condition)                                                                       \
    do {                                                                                           \
        struct timespec until_;                                                                    \
        (void)clock_gettime(CLOCK_REALTIME, &until_);                                              \
        until_.tv_sec += PATIENCE_S;                                                               \
        (void)pthread_mutex_lock(&(rig)->lock);                                                    \
        while (!(condition)) {                                                                     \
            assert_int_equal(pthread_cond_timedwait(&(rig)->changed, &(rig)->lock, &until_), 0);   \
        }                                                                                          \
        (void)pthread_mutex_unlock(&(rig)->lock);                                                  \
    } while (0)

static void on_acked(void *ctx, const uint64_t *tokens, size_t count) {
    struct rig *rig = ctx;
    uint64_t sum = 0;
    for (size_t i = 0; i < count; i++) {
        sum += tokens[i];
    }
    CHANGE(rig, (rig->acked_sum += sum, rig->acked += count));
}

static void on_writable(void *ctx) {
    struct rig *rig = ctx;
    CHANGE(rig, rig->writable++);
}

static void on_ready(void *ctx) {
    struct rig *rig = ctx;
    CHANGE(rig, rig->ready++);
}

static void on_failed(void *ctx, const struct err *err) {
    struct rig *rig = ctx;
    CHANGE(rig, (rig->failed++, rig->err = *err));
}

static void on_closed(void *ctx) {
    struct rig *rig = ctx;
    CHANGE(rig, (rig->closed++, rig->sink = NULL));
}

static const struct sink_events events = {
    .acked = on_acked, .writable = on_writable, .ready = on_ready, .failed = on_failed};

static void on_lane(struct rig *rig, lane_fn *fn) {
    rig->done = false;
    lane_post(rig->lane, &rig->message, fn, rig);
    WAIT(rig, rig->done);
}

static void open_sink(void *ctx) {
    struct rig *rig = ctx;
    const struct sink_pipe_options options = {
        .in = rig->in[0], .out = rig->out[1], .version = STR("1.2")};
    rig->sink = sink_pipe_new(rig->lane, &options, &events, rig, &rig->err);
    CHANGE(rig, rig->done = true);
}

static void close_sink(void *ctx) {
    struct rig *rig = ctx;
    sink_close(rig->sink, 0, on_closed, rig);
    CHANGE(rig, rig->done = true);
}

static int setup(void **state) {
    struct rig *rig = calloc(1, sizeof *rig);
    assert_non_null(rig);
    struct err err = ERR_NONE;
    signal(SIGPIPE, SIG_IGN);
    aws_io_library_init(aws_default_allocator());
    (void)pthread_mutex_init(&rig->lock, NULL);
    (void)pthread_cond_init(&rig->changed, NULL);
    rig->lane = lane_new(0, &err);
    assert_non_null(rig->lane);
    assert_int_equal(pipe(rig->in), 0);
    assert_int_equal(pipe(rig->out), 0);
    on_lane(rig, open_sink);
    assert_non_null(rig->sink);
    WAIT(rig, rig->ready == 1);
    *state = rig;
    return 0;
}

static void close_end(int *end) {
    if (*end >= 0) {
        (void)close(*end);
        *end = -1;
    }
}

static int teardown(void **state) {
    struct rig *rig = *state;
    if (rig->sink != NULL) {
        on_lane(rig, close_sink);
        WAIT(rig, rig->closed == 1);
    }
    lane_free(rig->lane);
    aws_thread_join_all_managed();
    aws_io_library_clean_up();
    for (int i = 0; i < 2; i++) {
        close_end(&rig->in[i]);
        close_end(&rig->out[i]);
    }
    (void)pthread_cond_destroy(&rig->changed);
    (void)pthread_mutex_destroy(&rig->lock);
    free(rig);
    return 0;
}

static enum sink_result put(struct rig *rig) {
    static char value[VALUE_MAX];
    struct sink_message message = {
        .key = STR("k"),
        .value = {str_make(value, rig->value_bytes)},
        .value_parts = 1,
    };
    rig->result = sink_put(rig->sink, &message, rig->next_token, &rig->err);
    rig->next_token += rig->result == SINK_TAKEN;
    return rig->result;
}

static void put_one(void *ctx) {
    struct rig *rig = ctx;
    (void)put(rig);
    CHANGE(rig, rig->done = true);
}

static void put_until_full(void *ctx) {
    struct rig *rig = ctx;
    uint64_t before = rig->next_token;
    while (put(rig) == SINK_TAKEN) {
    }
    CHANGE(rig, (rig->taken = rig->next_token - before, rig->done = true));
}

static void get_stats(void *ctx) {
    struct rig *rig = ctx;
    sink_stats(rig->sink, &rig->stats);
    CHANGE(rig, rig->done = true);
}

static uint64_t in_flight(struct rig *rig) {
    on_lane(rig, get_stats);
    return rig->stats.in_flight;
}

/* Reads a frame of this type; alive ones are passed over. Its body's first 8 bytes as a number, its size. */
static size_t read_frame(struct rig *rig, char type, uint64_t *ret_number) {
    static char body[VALUE_MAX + 100];
    for (;;) {
        char head[5];
        size_t got = 0;
        size_t want = sizeof head;
        char *to = head;
        size_t size = 0;
        while (got < want) {
            struct pollfd ready = {.fd = rig->out[0], .events = POLLIN};
            assert_int_equal(poll(&ready, 1, PATIENCE_S * 1000), 1);
            ssize_t more = read(rig->out[0], to + got, want - got);
            assert_true(more > 0);
            got += (size_t)more;
            if (to == head && got == want) {
                size = wire_get_be32(head);
                assert_in_range(size, 1, sizeof body);
                got = 0;
                want = size - 1;
                to = body;
            }
        }
        if (head[4] == type) {
            if (ret_number != NULL) {
                *ret_number = (uint64_t)wire_get_be32(body) << 32 | wire_get_be32(body + 4);
            }
            return size;
        }
        assert_int_equal(head[4], PIPE_FRAME_ALIVE);
    }
}

static void tell(struct rig *rig, struct str bytes) {
    assert_int_equal(write(rig->in[1], bytes.ptr, bytes.len), bytes.len);
}

/* count numbers from `from` on, going down or up. */
static void acknowledge(struct rig *rig, uint64_t from, size_t count, bool down) {
    char frame[PIPE_FRAME_SIZE_BYTES + 1 + 8 * 100];
    assert_true(count <= 100);
    char *at = wire_put_be32(frame, (uint32_t)(1 + 8 * count));
    *at++ = 'A';
    for (size_t i = 0; i < count; i++) {
        uint64_t number = down ? from - i : from + i;
        at = wire_put_be32(wire_put_be32(at, (uint32_t)(number >> 32)), (uint32_t)number);
    }
    tell(rig, str_make(frame, (size_t)(at - frame)));
}

static void records_go_out_and_acknowledgements_come_back(void **state) {
    struct rig *rig = *state;
    assert_int_equal(read_frame(rig, PIPE_FRAME_HELLO, NULL), 5);
    rig->value_bytes = 10;
    rig->next_token = 1000;
    for (uint64_t number = 1; number <= 3; number++) {
        on_lane(rig, put_one);
        assert_int_equal(rig->result, SINK_TAKEN);
        uint64_t got;
        assert_int_equal(read_frame(rig, PIPE_FRAME_RECORD, &got), 1 + 18 + 5 + 10);
        assert_int_equal(got, number);
    }
    assert_int_equal(in_flight(rig), 3);
    assert_int_equal(rig->stats.messages, 3);
    assert_int_equal(rig->stats.bytes, 30);
    assert_int_equal(rig->stats.in_flight_bytes, 3 * (4 + 1 + 18 + 5 + 10));
    acknowledge(rig, 3, 2, true); /* in any order */
    WAIT(rig, rig->acked == 2);
    assert_int_equal(rig->acked_sum, 1002 + 1001);
    acknowledge(rig, 1, 1, false);
    WAIT(rig, rig->acked == 3);
    assert_int_equal(rig->acked_sum, 1002 + 1001 + 1000);
    assert_int_equal(in_flight(rig), 0);
    assert_int_equal(rig->stats.in_flight_bytes, 0);
}

static void a_frame_may_come_in_pieces(void **state) {
    struct rig *rig = *state;
    on_lane(rig, put_one);
    struct str frame = STR("\0\0\0\x09"
                           "A"
                           "\0\0\0\0\0\0\0\x01");
    for (size_t i = 0; i < frame.len; i++) {
        assert_int_equal(rig->acked, 0);
        tell(rig, str_make(frame.ptr + i, 1));
        (void)in_flight(rig); /* a turn of the lane, in which it may be read */
    }
    WAIT(rig, rig->acked == 1);
}

static void it_says_that_it_lives(void **state) {
    struct rig *rig = *state;
    (void)read_frame(rig, PIPE_FRAME_HELLO, NULL);
    assert_int_equal(read_frame(rig, PIPE_FRAME_ALIVE, NULL), 1);
    assert_int_equal(read_frame(rig, PIPE_FRAME_ALIVE, NULL), 1);
}

static void a_reader_that_does_not_read_fills_it(void **state) {
    struct rig *rig = *state;
    rig->value_bytes = 100 * 1000;
    on_lane(rig, put_until_full);
    uint64_t taken = rig->taken;
    assert_in_range(taken, 11,
                    12); /* the buffer alone, since nothing was written within the turn */
    on_lane(rig, put_one);
    assert_int_equal(rig->result, SINK_FULL);
    (void)read_frame(rig, PIPE_FRAME_HELLO, NULL);
    for (uint64_t i = 1; i <= taken; i++) {
        uint64_t number;
        (void)read_frame(rig, PIPE_FRAME_RECORD, &number);
        assert_int_equal(number, i);
    }
    WAIT(rig, rig->writable == 1);
    on_lane(rig, put_one);
    assert_int_equal(rig->result, SINK_TAKEN);
}

static void so_many_may_be_out(void **state) {
    struct rig *rig = *state;
    (void)read_frame(rig, PIPE_FRAME_HELLO, NULL);
    uint64_t all = 0;
    for (;;) {
        on_lane(rig, put_until_full);
        all += rig->taken;
        if (rig->taken == 0) {
            break;
        }
        for (uint64_t i = 0; i < rig->taken; i++) {
            (void)read_frame(rig, PIPE_FRAME_RECORD, NULL);
        }
        (void)in_flight(rig);
    }
    assert_int_equal(all, 16384);
    assert_int_equal(in_flight(rig), all);
    int writable = rig->writable;
    acknowledge(rig, 2, 1, false); /* not the oldest: no room yet */
    WAIT(rig, rig->acked == 1);
    assert_int_equal(rig->writable, writable);
    acknowledge(rig, 1, 1, false);
    WAIT(rig, rig->writable > writable);
    on_lane(rig, put_until_full);
    assert_int_equal(rig->taken, 2);
    uint64_t number;
    (void)read_frame(rig, PIPE_FRAME_RECORD, &number);
    assert_int_equal(number, all + 1);
}

static void a_large_record(void **state) {
    struct rig *rig = *state;
    (void)read_frame(rig, PIPE_FRAME_HELLO, NULL);
    rig->value_bytes = VALUE_MAX;
    on_lane(rig, put_one);
    assert_int_equal(rig->result, SINK_REFUSED);
    assert_int_equal(rig->err.code, ERR_RECORD);
    assert_string_equal(rig->err.text, "it is larger than 16777216 bytes");
    rig->value_bytes = VALUE_MAX - (1 + 18 + 5);
    on_lane(rig, put_one);
    assert_int_equal(rig->result, SINK_TAKEN);
    assert_int_equal(read_frame(rig, PIPE_FRAME_RECORD, NULL), PIPE_FRAME_RECORD_MAX);
    rig->value_bytes = 10;
    on_lane(rig, put_one);
    assert_int_equal(rig->result, SINK_TAKEN);
    assert_int_equal(read_frame(rig, PIPE_FRAME_RECORD, NULL), 1 + 18 + 5 + 10);
}

static void assert_fails(struct rig *rig, enum err_code code, const char *text) {
    WAIT(rig, rig->failed == 1);
    assert_int_equal(rig->err.code, code);
    assert_string_equal(rig->err.text, text);
    on_lane(rig, put_one);
    assert_int_equal(rig->result, SINK_FULL);
    assert_int_equal(rig->failed, 1); /* told once */
}

static void the_end_of_the_input_asks_to_stop(void **state) {
    struct rig *rig = *state;
    on_lane(rig, put_one);
    on_lane(rig, put_one);
    acknowledge(rig, 1, 1, false);
    close_end(&rig->in[1]);
    assert_fails(rig, ERR_CANCELLED, "standard input was closed");
    assert_int_equal(rig->acked, 1); /* what was said before counts */
}

static void nobody_reads_any_more(void **state) {
    struct rig *rig = *state;
    close_end(&rig->out[0]);
    on_lane(rig, put_one);
    assert_fails(rig, ERR_PIPE, "cannot write to standard output: Broken pipe");
}

static void nobody_reads_and_nothing_is_to_be_written(void **state) {
    struct rig *rig = *state;
    close_end(&rig->out[0]);
    assert_fails(rig, ERR_PIPE, "cannot write to standard output: Broken pipe");
}

static void a_number_that_is_not_out(void **state) {
    struct rig *rig = *state;
    on_lane(rig, put_one);
    acknowledge(rig, 2, 1, false);
    assert_fails(rig, ERR_PIPE, "standard input: record 2 is not one of those; 1 to 1 are out");
    assert_int_equal(rig->acked, 0);
}

static void a_number_that_was_acknowledged(void **state) {
    struct rig *rig = *state;
    on_lane(rig, put_one);
    on_lane(rig, put_one);
    acknowledge(rig, 2, 1, false);
    acknowledge(rig, 2, 1, false);
    assert_fails(rig, ERR_PIPE, "standard input: record 2 is acknowledged twice; 1 to 2 are out");
    assert_int_equal(rig->acked, 1);
}

static void what_is_no_frame(void **state) {
    struct rig *rig = *state;
    tell(rig, STR("GET / HTTP/1.1\r\n"));
    assert_fails(rig, ERR_PIPE, "standard input: a frame of 1195725856 bytes; allowed: 1 to 32769");
}

static void a_second_configuration(void **state) {
    struct rig *rig = *state;
    tell(rig, STR("\0\0\0\x03"
                  "C{}"));
    assert_fails(rig, ERR_PIPE, "standard input: a second configuration");
}

static void close_with_time(void *ctx) {
    struct rig *rig = ctx;
    sink_close(rig->sink, PATIENCE_S * 1000, on_closed, rig);
    CHANGE(rig, rig->done = true);
}

static void closing_waits_for_what_is_out(void **state) {
    struct rig *rig = *state;
    on_lane(rig, put_one);
    on_lane(rig, close_with_time);
    assert_int_equal(rig->closed, 0);
    acknowledge(rig, 1, 1, false);
    WAIT(rig, rig->closed == 1);
    assert_int_equal(rig->acked, 1);
}

static void open_on_a_file(void *ctx) {
    struct rig *rig = ctx;
    FILE *file = tmpfile();
    assert_non_null(file);
    const struct sink_pipe_options options = {
        .in = fileno(file), .out = fileno(file), .version = STR("1.2")};
    assert_null(sink_pipe_new(rig->lane, &options, &events, rig, &rig->err));
    (void)fclose(file);
    CHANGE(rig, rig->done = true);
}

static void what_is_no_pipe(void **state) {
    struct rig *rig = *state;
    on_lane(rig, open_on_a_file);
    assert_int_equal(rig->err.code, ERR_PIPE);
    assert_string_equal(rig->err.text, "standard input and output cannot be watched, as pipes can");
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void) {
    const struct CMUnitTest tests[] = {
        TEST(records_go_out_and_acknowledgements_come_back),
        TEST(a_frame_may_come_in_pieces),
        TEST(it_says_that_it_lives),
        TEST(a_reader_that_does_not_read_fills_it),
        TEST(so_many_may_be_out),
        TEST(a_large_record),
        TEST(the_end_of_the_input_asks_to_stop),
        TEST(nobody_reads_any_more),
        TEST(nobody_reads_and_nothing_is_to_be_written),
        TEST(a_number_that_is_not_out),
        TEST(a_number_that_was_acknowledged),
        TEST(what_is_no_frame),
        TEST(a_second_configuration),
        TEST(closing_waits_for_what_is_out),
        TEST(what_is_no_pipe),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
