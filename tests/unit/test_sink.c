/* sink_none and sink_stdout: full, ready, acknowledged, closed. */
#include "sink/sink_none.h"
#include "sink/sink_stdout.h"

#include "cmocka_all.h"
#include "sim_lane.h"

#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { LINE_BYTES = 1000, MANY = 100000 };

struct rig {
    struct sim_lane lane;
    struct sink *sink;
    int pipe[2]; /* sink_stdout writes into it */
    uint64_t next_token;
    uint64_t acked; /* tokens so far, which must come in order */
    uint32_t ready;
    uint32_t writable;
    uint32_t failed;
    uint32_t closed;
    struct err err;
};

static void on_acked(void *ctx, const uint64_t *tokens, size_t count) {
    struct rig *rig = ctx;
    for (size_t i = 0; i < count; i++) {
        assert_int_equal(tokens[i], rig->acked);
        rig->acked++;
    }
}

static void on_writable(void *ctx) {
    struct rig *rig = ctx;
    rig->writable++;
}

static void on_ready(void *ctx) {
    struct rig *rig = ctx;
    rig->ready++;
}

static void on_failed(void *ctx, const struct err *err) {
    struct rig *rig = ctx;
    rig->failed++;
    rig->err = *err;
}

static void on_closed(void *ctx) {
    struct rig *rig = ctx;
    rig->closed++;
    rig->sink = NULL;
}

static const struct sink_events events = {
    .acked = on_acked, .writable = on_writable, .ready = on_ready, .failed = on_failed};

static int setup(void **state) {
    struct rig *rig = calloc(1, sizeof *rig);
    sim_lane_init(&rig->lane, 1);
    signal(SIGPIPE, SIG_IGN);
    *state = rig;
    return pipe(rig->pipe);
}

static int teardown(void **state) {
    struct rig *rig = *state;
    if (rig->sink != NULL) {
        sink_close(rig->sink, 0, on_closed, rig);
        sim_lane_advance(&rig->lane, 10);
    }
    assert_null(rig->sink);
    close(rig->pipe[0]);
    close(rig->pipe[1]);
    free(rig);
    return 0;
}

static void make_none(struct rig *rig) {
    rig->sink = sink_none_new(&rig->lane.base, &events, rig);
    assert_non_null(rig->sink);
}

static void make_stdout(struct rig *rig) {
    rig->sink = sink_stdout_new(&rig->lane.base, rig->pipe[1], &events, rig);
    assert_non_null(rig->sink);
}

/* Until it is full; how many were taken. */
static uint64_t put_all(struct rig *rig, size_t bytes) {
    static char value[LINE_BYTES];
    memset(value, 'v', sizeof value);
    struct sink_message message = {
        .key = STR("k"),
        .value = {STR("{"), str_make(value, bytes), STR("}")},
        .value_parts = 3,
    };
    uint64_t before = rig->next_token;
    struct err err = ERR_NONE;
    while (rig->next_token - before < MANY &&
           sink_put(rig->sink, &message, rig->next_token, &err) == SINK_TAKEN) {
        rig->next_token++;
    }
    assert_false(err_is_set(&err));
    return rig->next_token - before;
}

static uint64_t in_flight(struct rig *rig) {
    struct sink_stats stats;
    sink_stats(rig->sink, &stats);
    return stats.in_flight;
}

static void none_acknowledges_all_in_a_later_turn(void **state) {
    struct rig *rig = *state;
    make_none(rig);
    assert_int_equal(put_all(rig, 10), 0); /* not ready yet */
    sim_lane_advance(&rig->lane, 1);
    assert_int_equal(rig->ready, 1);
    assert_int_equal(rig->writable, 1);
    uint64_t taken = put_all(rig, 10);
    assert_in_range(taken, 100, MANY - 1); /* bounded */
    assert_int_equal(rig->acked, 0);
    assert_int_equal(in_flight(rig), taken);
    sim_lane_advance(&rig->lane, 1);
    assert_int_equal(rig->acked, taken);
    assert_int_equal(rig->writable, 2);
    assert_int_equal(in_flight(rig), 0);
}

static void none_acknowledges_before_it_closes(void **state) {
    struct rig *rig = *state;
    make_none(rig);
    sim_lane_advance(&rig->lane, 1);
    uint64_t taken = put_all(rig, 10);
    sink_close(rig->sink, 0, on_closed, rig);
    assert_int_equal(rig->closed, 0);
    sim_lane_advance(&rig->lane, 1);
    assert_int_equal(rig->closed, 1);
    assert_int_equal(rig->acked, taken);
}

static void stdout_writes_one_line_for_each_message(void **state) {
    struct rig *rig = *state;
    make_stdout(rig);
    sim_lane_advance(&rig->lane, 1);
    struct err err = ERR_NONE;
    struct sink_message message = {.value = {STR("{\"a\":"), STR("1}")}, .value_parts = 2};
    for (; rig->next_token < 3; rig->next_token++) {
        assert_int_equal(sink_put(rig->sink, &message, rig->next_token, &err), SINK_TAKEN);
    }
    assert_int_equal(rig->acked, 0);
    sim_lane_advance(&rig->lane, 1);
    assert_int_equal(rig->acked, 3);
    char text[64] = "";
    assert_int_equal(read(rig->pipe[0], text, sizeof text - 1), 24);
    assert_string_equal(text, "{\"a\":1}\n{\"a\":1}\n{\"a\":1}\n");
}

/* Reads all that is in the pipe. */
static size_t drain(struct rig *rig) {
    static char bytes[65536];
    size_t total = 0;
    assert_int_equal(fcntl(rig->pipe[0], F_SETFL, O_NONBLOCK), 0);
    ssize_t got;
    while ((got = read(rig->pipe[0], bytes, sizeof bytes)) > 0) {
        total += (size_t)got;
    }
    return total;
}

static void stdout_waits_for_a_slow_reader_without_blocking(void **state) {
    struct rig *rig = *state;
    make_stdout(rig);
    sim_lane_advance(&rig->lane, 1);
    uint64_t taken = put_all(rig, LINE_BYTES);
    assert_in_range(taken, 100, MANY - 1);
    sim_lane_advance(&rig->lane, 1000); /* returns although nobody reads */
    assert_true(rig->acked > 0 && rig->acked < taken);
    size_t total = 0;
    for (int i = 0; i < 1000 && rig->acked < taken; i++) {
        total += drain(rig);
        sim_lane_advance(&rig->lane, 20);
    }
    total += drain(rig);
    assert_int_equal(rig->acked, taken);
    assert_int_equal(total, taken * (LINE_BYTES + 3));
    assert_true(rig->writable >= 1);
    assert_true(put_all(rig, LINE_BYTES) > 0);
}

static void stdout_fails_when_nobody_reads_any_more(void **state) {
    struct rig *rig = *state;
    make_stdout(rig);
    sim_lane_advance(&rig->lane, 1);
    (void)put_all(rig, 10);
    close(rig->pipe[0]);
    sim_lane_advance(&rig->lane, 100);
    assert_int_equal(rig->failed, 1);
    assert_int_equal(rig->err.code, ERR_OUTPUT);
    assert_int_equal(put_all(rig, 10), 0);
    sim_lane_advance(&rig->lane, 100);
    assert_int_equal(rig->failed, 1); /* told once */
    rig->pipe[0] = dup(rig->pipe[1]); /* for the teardown */
}

static void stdout_refuses_a_line_beyond_its_buffer(void **state) {
    struct rig *rig = *state;
    make_stdout(rig);
    sim_lane_advance(&rig->lane, 1);
    static char big[5 * 1024 * 1024];
    struct err err = ERR_NONE;
    struct sink_message small = {.value = {STR("x")}, .value_parts = 1};
    struct sink_message large = {.value = {str_make(big, sizeof big)}, .value_parts = 1};
    assert_int_equal(sink_put(rig->sink, &small, 0, &err), SINK_TAKEN);
    assert_int_equal(sink_put(rig->sink, &large, 1, &err), SINK_REFUSED);
    assert_int_equal(err.code, ERR_RECORD);
    assert_int_equal(sink_put(rig->sink, &small, 1, &err), SINK_TAKEN);
    sim_lane_advance(&rig->lane, 1);
    assert_int_equal(rig->acked, 2);
    assert_int_equal(drain(rig), 4);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void) {
    const struct CMUnitTest tests[] = {
        TEST(none_acknowledges_all_in_a_later_turn),
        TEST(none_acknowledges_before_it_closes),
        TEST(stdout_writes_one_line_for_each_message),
        TEST(stdout_waits_for_a_slow_reader_without_blocking),
        TEST(stdout_fails_when_nobody_reads_any_more),
        TEST(stdout_refuses_a_line_beyond_its_buffer),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
