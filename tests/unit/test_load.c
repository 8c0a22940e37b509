/* load and report: what is sent and measured, against the broker double. */
#include "perf/load.h"
#include "perf/report.h"

#include "cmocka_all.h"
#include "fakes/fake_broker.h"

#include <aws/common/thread.h>
#include <aws/io/io.h>
#include <hdr_histogram.h>
#include <yyjson.h>

#include <semaphore.h>
#include <stdio.h>
#include <time.h>

enum { PATIENCE_S = 60 };

static struct fake_broker *broker;
static struct perf_options options;
static struct load *load;
static struct lane *lane;
static sem_t done;
static char url[64];

static int setup(void **state) {
    (void)state;
    struct err err = ERR_NONE;
    struct fake_broker_options broker_options = {.port = 0};
    aws_io_library_init(aws_default_allocator());
    broker = fake_broker_new(&broker_options, &err);
    assert_non_null(broker);
    (void)snprintf(url, sizeof url, "pulsar://127.0.0.1:%u", fake_broker_port(broker, 0));
    options =
        (struct perf_options){.service_url = url, .topic = "t", .size_bytes = 100, .json = true};
    assert_int_equal(sem_init(&done, 0, 0), 0);
    return 0;
}

static int teardown(void **state) {
    (void)state;
    char violation[256];
    fake_broker_violation(broker, violation, sizeof violation);
    lane_free(lane);
    lane = NULL;
    aws_thread_join_all_managed();
    load_free(load);
    load = NULL;
    fake_broker_free(broker);
    (void)sem_destroy(&done);
    aws_io_library_clean_up();
    assert_string_equal(violation, "");
    return 0;
}

static void script(const char *lines) {
    struct err err = ERR_NONE;
    if (!fake_broker_script(broker, lines, &err)) {
        fail_msg("%s", err.text);
    }
}

static void on_done(void *ctx) {
    (void)sem_post(ctx);
}

static void begin(void) {
    struct err err = ERR_NONE;
    load = load_new(&options, &err);
    lane = lane_new(0, &err);
    assert_non_null(load);
    assert_non_null(lane);
    load_start(load, lane, on_done, &done);
}

static const struct load_result *result(void) {
    struct timespec deadline;
    (void)clock_gettime(CLOCK_REALTIME, &deadline);
    deadline.tv_sec += PATIENCE_S;
    assert_int_equal(sem_timedwait(&done, &deadline), 0);
    return load_result(load);
}

static const struct load_result *run_well(void) {
    begin();
    const struct load_result *ended = result();
    if (err_is_set(&ended->err)) {
        fail_msg("%s", ended->err.text);
    }
    assert_true(ended->measured);
    return ended;
}

static void so_many_messages_with_keys_in_turn(void **state) {
    (void)state;
    options.messages = 1000;
    options.partition_keys = 7;
    const struct load_result *ended = run_well();
    assert_int_equal(ended->messages, 1000);
    assert_int_equal(ended->latency_ns->total_count, 1000);
    assert_in_range(ended->frames, 1, 1000);
    assert_true(ended->window_ns > 0 && hdr_min(ended->latency_ns) > 0);
    assert_true((uint64_t)hdr_max(ended->latency_ns) <= ended->window_ns + ended->window_ns / 500);
    const struct fake_broker_store *store = fake_broker_lock(broker);
    assert_int_equal(store->count, 1000);
    for (size_t i = 0; i < store->count; i++) {
        char key[32];
        (void)snprintf(key, sizeof key, "key-%08zu", i % 7);
        assert_string_equal(store->messages[i].key, key);
        assert_int_equal(store->messages[i].value_len, 100);
    }
    fake_broker_unlock(broker);
}

static void without_keys_and_without_bytes(void **state) {
    (void)state;
    options.messages = 10;
    options.size_bytes = 0;
    (void)run_well();
    const struct fake_broker_store *store = fake_broker_lock(broker);
    assert_int_equal(store->count, 10);
    assert_null(store->messages[9].key);
    assert_int_equal(store->messages[9].value_len, 0);
    fake_broker_unlock(broker);
}

/* Never faster than the rate: a lower bound holds on a busy machine too. */
static void a_rate_is_kept(void **state) {
    (void)state;
    options.messages = 200;
    options.rate = 1000;
    assert_true(run_well()->window_ns >= (uint64_t)199 * 1000000);
}

static void a_rate_of_bursts_is_kept(void **state) {
    (void)state;
    options.messages = 10001;
    options.rate = 50000;
    const struct load_result *ended = run_well();
    assert_int_equal(ended->messages, 10001);
    assert_true(ended->window_ns >= (uint64_t)200 * 1000000);
}

/* Each message waits for the receipt of the one before, so the last has waited for all: that is
 * seen only if latency counts from when it was due. */
static void a_stall_is_seen_by_all_that_it_holds_up(void **state) {
    (void)state;
    script("receipt-delay 20");
    options.messages = 20;
    options.rate = 1000;
    options.max_pending_messages = 1;
    const struct load_result *ended = run_well();
    assert_true(hdr_max(ended->latency_ns) >= (int64_t)350 * 1000000);
    assert_true(hdr_value_at_percentile(ended->latency_ns, 50) >= (int64_t)150 * 1000000);
}

/* Two batches are on their way at most, unless they are full or old. */
static void messages_gather_while_two_batches_wait_for_receipts(void **state) {
    (void)state;
    script("receipt-delay 200");
    options.messages = 100;
    options.rate = 1000;
    options.batch_delay_ms = 60000;
    const struct load_result *ended = run_well();
    assert_in_range(ended->frames, 1, 10);
    assert_true(hdr_max(ended->latency_ns) < (int64_t)50000 * 1000000);
}

static void time_ends_it_and_the_rest_is_told(void **state) {
    (void)state;
    script("receipt-delay 100");
    options.seconds = 1;
    options.rate = 1000;
    options.max_pending_messages = 1;
    const struct load_result *ended = run_well();
    assert_in_range(ended->messages, 1, 10);
    assert_in_range(ended->unsent, 900, UINT32_MAX);
    assert_true(ended->window_ns >= (uint64_t)1000000000);
}

/* What was sent before the window counts neither as a message nor as a latency. */
static void a_warm_up_does_not_count(void **state) {
    (void)state;
    options.warm_up_seconds = 1;
    options.rate = 200;
    options.messages = 400;
    const struct load_result *ended = run_well();
    assert_in_range(ended->messages, 1, 220);
    assert_in_range(ended->latency_ns->total_count, 1, 220);
    assert_true(fake_broker_wait_messages(broker, 400, 0));
}

static void a_warm_up_may_not_take_all_messages(void **state) {
    (void)state;
    options.warm_up_seconds = 3600;
    options.messages = 10;
    begin();
    assert_string_equal(result()->err.text, "the warm-up took all messages");
}

static void it_can_be_stopped_with_its_result(void **state) {
    (void)state;
    options.seconds = 3600;
    options.rate = 100000;
    begin();
    assert_true(fake_broker_wait_messages(broker, 500, PATIENCE_S * 1000));
    load_stop(load);
    const struct load_result *ended = result();
    assert_false(err_is_set(&ended->err));
    assert_true(ended->measured);
    /* All that was sent got its receipt before the end. */
    struct fake_broker_counts counts;
    fake_broker_counts(broker, &counts);
    assert_int_equal(counts.messages, ended->latency_ns->total_count);
    assert_int_equal(counts.closed_producers, 1);
}

static void stopped_before_it_began_it_has_no_result(void **state) {
    (void)state;
    script("silent PRODUCER always");
    options.seconds = 3600;
    begin();
    load_stop(load);
    const struct load_result *ended = result();
    assert_int_equal(ended->err.code, ERR_CANCELLED);
    assert_false(ended->measured);
}

static void a_message_that_is_too_large_ends_it(void **state) {
    (void)state;
    script("max-message-size 1000");
    options.size_bytes = 5000;
    options.messages = 1;
    begin();
    const struct load_result *ended = result();
    assert_int_equal(ended->err.code, ERR_PULSAR_TOO_LARGE);
    assert_int_equal(err_exit_code(ended->err.code), 4);
}

static void what_was_not_delivered_is_an_error(void **state) {
    (void)state;
    script("fail SEND 1 NotAllowedError no");
    options.messages = 10;
    options.batch_messages = 1;
    begin();
    const struct load_result *ended = result();
    assert_int_equal(err_exit_code(ended->err.code), 4);
    assert_non_null(strstr(ended->err.text, "1 messages were not delivered: "));
}

static void a_bad_url_ends_it(void **state) {
    (void)state;
    options.service_url = "http://127.0.0.1";
    options.messages = 1;
    begin();
    assert_int_equal(result()->err.code, ERR_CONFIG);
}

static void a_lost_connection_is_counted(void **state) {
    (void)state;
    script("drop-after SEND 1 after 2");
    options.messages = 1000;
    options.batch_messages = 10;
    const struct load_result *ended = run_well();
    assert_int_equal(ended->messages, 1000);
    assert_int_equal(ended->reconnects, 1);
    assert_in_range(ended->resent_frames, 1, 1000);
}

/* ---- The report, of made-up figures. */

static struct load_result made_up(void) {
    struct hdr_histogram *latency;
    assert_int_equal(hdr_init(1, (int64_t)1000000000, 3, &latency), 0);
    for (int64_t i = 1; i <= 1000; i++) {
        assert_true(hdr_record_value(latency, i * 10000)); /* 0.01 to 10 ms */
    }
    return (struct load_result){
        .measured = true,
        .window_ns = (uint64_t)2000000000,
        .messages = 4000000,
        .frames = 4000,
        .cpu_ns = (uint64_t)1000000000,
        .latency_ns = latency,
    };
}

static void assert_about(double found, double expected) {
    assert_true(found > expected * 0.998 && found < expected * 1.002);
}

static void as_json_it_is_one_object(void **state) {
    (void)state;
    struct load_result made = made_up();
    struct report report = {&options, &made, (uint64_t)32 * 1024 * 1024};
    struct buf text;
    buf_init(&text, BUF_MAX_REQUEST);
    report_add_json(&text, &report);
    yyjson_doc *doc = yyjson_read(text.data, text.len, 0);
    assert_non_null(doc);
    static const struct {
        const char *name;
        double value;
    } expected[] = {
        {"seconds", 2},      {"messages", 4e6},
        {"frames", 4000},    {"messagesPerSecond", 2e6},
        {"p50Ms", 5},        {"megabytesPerSecond", 200},
        {"p99Ms", 9.9},      {"p999Ms", 9.99},
        {"maxMs", 10},       {"cpuSeconds", 1},
        {"unsent", 0},       {"cpuSecondsPerMillion", 0.25},
        {"resentFrames", 0}, {"peakMemoryBytes", 32 * 1024 * 1024},
        {"reconnects", 0},
    };
    enum { COUNT = sizeof expected / sizeof expected[0] };
    yyjson_val *root = yyjson_doc_get_root(doc);
    assert_int_equal(yyjson_obj_size(root), COUNT);
    for (size_t i = 0; i < COUNT; i++) {
        yyjson_val *value = yyjson_obj_get(root, expected[i].name);
        assert_true(yyjson_is_num(value));
        if (expected[i].value == 0) {
            assert_true(yyjson_get_num(value) == 0);
        } else {
            assert_about(yyjson_get_num(value), expected[i].value);
        }
    }
    yyjson_doc_free(doc);
    buf_done(&text);
    hdr_close((struct hdr_histogram *)(uintptr_t)made.latency_ns);
}

static void as_text_it_is_some_lines(void **state) {
    (void)state;
    struct load_result made = made_up();
    made.unsent = 3;
    made.reconnects = 1;
    made.resent_frames = 2;
    struct report report = {&options, &made, (uint64_t)32 * 1024 * 1024};
    struct buf text;
    buf_init(&text, BUF_MAX_REQUEST);
    report_add_text(&text, &report);
    assert_string_equal(
        buf_text(&text),
        "4000000 messages in 2.000 s: 2000000 messages/s, 200.0 MB/s\n"
        "send to receipt: p50 5.001 ms, p99 9.904 ms, p99.9 9.994 ms, max 10.002 ms\n"
        "CPU: 1.000 s, 0.250 s per million messages\n"
        "peak memory: 32.0 MiB\n"
        "3 messages were due, but there was no room to send them\n"
        "connected again 1 times, 2 frames sent again\n");
    buf_done(&text);
    hdr_close((struct hdr_histogram *)(uintptr_t)made.latency_ns);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void) {
    const struct CMUnitTest tests[] = {
        TEST(so_many_messages_with_keys_in_turn),
        TEST(without_keys_and_without_bytes),
        TEST(a_rate_is_kept),
        TEST(a_rate_of_bursts_is_kept),
        TEST(a_stall_is_seen_by_all_that_it_holds_up),
        TEST(messages_gather_while_two_batches_wait_for_receipts),
        TEST(time_ends_it_and_the_rest_is_told),
        TEST(a_warm_up_does_not_count),
        TEST(a_warm_up_may_not_take_all_messages),
        TEST(it_can_be_stopped_with_its_result),
        TEST(stopped_before_it_began_it_has_no_result),
        TEST(a_message_that_is_too_large_ends_it),
        TEST(what_was_not_delivered_is_an_error),
        TEST(a_bad_url_ends_it),
        TEST(a_lost_connection_is_counted),
        cmocka_unit_test(as_json_it_is_one_object),
        cmocka_unit_test(as_text_it_is_some_lines),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
