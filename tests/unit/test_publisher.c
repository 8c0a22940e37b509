/* publisher: what CloudWatch gets, and what becomes of it while it is slow, refuses or is away. The clock is the test's. */
#include "monitor/publisher.h"

#include "base/json.h"
#include "base/log.h"
#include "cmocka_all.h"
#include "fake_service.h"
#include "sim_lane.h"

#include <aws/common/common.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct rig {
    struct sim_lane lane;
    struct fake_service service;
    struct publisher *publisher;
    bool closed;
};

static void open_publisher(struct rig *rig, bool detailed) {
    struct publisher_options options = {
        .service = &rig->service.base, .name_space = STR("orders"), .detailed = detailed};
    rig->publisher = publisher_new(&rig->lane.base, &options);
    assert_non_null(rig->publisher);
}

static int setup(void **state) {
    struct rig *rig = calloc(1, sizeof *rig);
    assert_non_null(rig);
    aws_common_library_init(aws_default_allocator());
    log_setup(LOG_LEVEL_ERROR, LOG_FORMAT_TEXT);
    sim_lane_init(&rig->lane, 1);
    fake_service_init(&rig->service);
    open_publisher(rig, true);
    *state = rig;
    return 0;
}

static void on_closed(void *ctx) {
    struct rig *rig = ctx;
    rig->closed = true;
}

static void close_publisher(struct rig *rig) {
    publisher_close(rig->publisher, 2000, on_closed, rig);
    assert_false(rig->closed); /* never inside the call */
    sim_lane_advance(&rig->lane, 2000);
    assert_true(rig->closed);
    rig->closed = false;
}

static int teardown(void **state) {
    struct rig *rig = *state;
    close_publisher(rig);
    fake_service_done(&rig->service);
    free(rig);
    aws_common_library_clean_up();
    return 0;
}

static struct publisher_stats stats_of(const struct rig *rig) {
    struct publisher_stats stats;
    publisher_get_stats(rig->publisher, &stats);
    return stats;
}

/* As a lane does: so many shards, with a page of 5 records each. */
static void take(struct rig *rig, int shards) {
    struct measures *measures = measures_new();
    assert_non_null(measures);
    measures->at_ms = lane_wall_ms(&rig->lane.base);
    for (int i = 0; i < shards; i++) {
        struct measure of[MEASURE_SHARD_COUNT] = {{.count = 0}};
        char id[32];
        (void)snprintf(id, sizeof id, "shardId-%d", i);
        measure_add(&of[MEASURE_SHARD_RECORDS], 5);
        measure_add(&of[MEASURE_SHARD_READ_TIME], 12);
        assert_true(measures_take_shard(measures, str_of(id), of));
    }
    measure_add(&measures->lane[MEASURE_LANE_RENEW_TIME], 7);
    publisher_take(rig->publisher, measures);
}

static bool is_calling(const struct rig *rig) {
    return rig->service.done != NULL;
}

static void assert_body(struct rig *rig, const char *part, bool wanted) {
    assert_true(is_calling(rig));
    const char *body = fake_service_body(&rig->service);
    if ((strstr(body, part) != NULL) != wanted) {
        fail_msg("%s %s in %s", part, wanted ? "is not" : "is", body);
    }
}

static void a_shard_has_its_dimension(void **state) {
    struct rig *rig = *state;
    take(rig, 1);
    assert_body(rig, "{\"Namespace\":\"orders\",", true);
    assert_body(rig,
                "{\"MetricName\":\"RecordsProcessed\",\"Dimensions\":["
                "{\"Name\":\"Operation\",\"Value\":\"ProcessTask\"},"
                "{\"Name\":\"ShardId\",\"Value\":\"shardId-0\"}],\"Timestamp\":1700000001.000,"
                "\"Unit\":\"Count\",\"StatisticValues\":"
                "{\"SampleCount\":1,\"Sum\":5,\"Minimum\":5,\"Maximum\":5}}",
                true);
    assert_body(rig, "KinesisDataFetcher.getRecords.Time", true);
    assert_body(rig, "RenewLease", false); /* waits for the process's */
    fake_service_answer(&rig->service, "");
    assert_int_equal(stats_of(rig).published, 2);
    assert_false(is_calling(rig));
}

static void lanes_are_summed_up_for_the_process(void **state) {
    struct rig *rig = *state;
    struct source_stats stats = {.shards_open = 4, .leases_lost = 2, .gaps = 1, .behind_ms = 300};
    take(rig, 0);
    take(rig, 0);
    assert_false(is_calling(rig));
    publisher_sample(rig->publisher, &stats);
    stats.gaps = 3;
    publisher_sample(rig->publisher, &stats);
    publisher_publish(rig->publisher);
    assert_body(
        rig,
        "{\"MetricName\":\"RenewLease.Time\",\"Dimensions\":["
        "{\"Name\":\"Operation\",\"Value\":\"RenewAllLeases\"}],\"Timestamp\":1700000001.000,"
        "\"Unit\":\"Milliseconds\",\"StatisticValues\":"
        "{\"SampleCount\":2,\"Sum\":14,\"Minimum\":7,\"Maximum\":7}}",
        true);
    assert_body(rig, "\"SampleCount\":2,\"Sum\":3,\"Minimum\":1,\"Maximum\":2}}", true); /* Gaps */
    assert_body(rig, "\"MetricName\":\"CurrentLeases\"", true);
    fake_service_answer(&rig->service, "");
    publisher_publish(rig->publisher); /* nothing since */
    assert_false(is_calling(rig));
}

static void a_summary_leaves_single_calls_out(void **state) {
    struct rig *rig = *state;
    close_publisher(rig);
    open_publisher(rig, false);
    take(rig, 1);
    publisher_publish(rig->publisher);
    assert_body(rig, "RecordsProcessed", true);
    assert_body(rig, "getRecords", false);
    fake_service_answer(&rig->service, "");
    assert_false(is_calling(rig)); /* of the process there was a detail only */
    assert_int_equal(stats_of(rig).published, 1);
}

static void much_goes_in_several_calls_one_at_a_time(void **state) {
    struct rig *rig = *state;
    take(rig, 1000);
    int calls = 0;
    while (is_calling(rig)) {
        calls++;
        fake_service_answer(&rig->service, "");
    }
    assert_true(calls > 5);
    assert_int_equal(stats_of(rig).published, 2000);
}

static void what_comes_during_a_call_follows_it(void **state) {
    struct rig *rig = *state;
    take(rig, 1);
    take(rig, 2);
    take(rig, 3);
    publisher_publish(rig->publisher);
    fake_service_answer(&rig->service, "");
    assert_body(rig, "RecordsProcessed", true);
    assert_body(rig, "RenewLease.Time", true);
    fake_service_answer(&rig->service, "");
    assert_false(is_calling(rig));
    assert_int_equal(stats_of(rig).published, 13);
}

static void what_may_pass_is_sent_again(void **state) {
    struct rig *rig = *state;
    take(rig, 1);
    fake_service_fail(&rig->service, ERR_AWS_TRANSPORT, "away", NULL);
    assert_false(is_calling(rig));
    take(rig, 2); /* no call before its time */
    assert_false(is_calling(rig));
    sim_lane_advance(&rig->lane, 1000);
    assert_body(rig, "RecordsProcessed", true);
    fake_service_answer(&rig->service, "");
    assert_int_equal(stats_of(rig).published, 6);
    assert_int_equal(stats_of(rig).failures, 1);
    assert_int_equal(stats_of(rig).dropped, 0);
}

static void what_is_refused_is_dropped_and_the_rest_waits(void **state) {
    struct rig *rig = *state;
    take(rig, 1);
    fake_service_fail(&rig->service, ERR_AWS_DENIED, "no", NULL);
    assert_int_equal(stats_of(rig).dropped, 2);
    take(rig, 1);
    sim_lane_advance(&rig->lane, 59000);
    assert_false(is_calling(rig));
    sim_lane_advance(&rig->lane, 1000);
    assert_true(is_calling(rig));
    fake_service_answer(&rig->service, "");
    assert_int_equal(stats_of(rig).published, 2);
}

static void what_waits_too_long_is_dropped(void **state) {
    struct rig *rig = *state;
    for (int i = 0; i < 3600; i++) { /* an hour without CloudWatch */
        if (i % 30 == 0) {
            take(rig, 10);
        }
        if (is_calling(rig)) {
            fake_service_fail(&rig->service, ERR_AWS_TRANSPORT, "away", NULL);
        }
        sim_lane_advance(&rig->lane, 1000);
    }
    while (!is_calling(rig)) {
        sim_lane_advance(&rig->lane, 1000);
    }
    fake_service_answer(&rig->service, "");
    struct publisher_stats stats = stats_of(rig);
    assert_int_equal(stats.published + stats.dropped, 120 * 20);
    assert_true(stats.published > 0 && stats.published <= 5 * 20); /* of the last two minutes */
}

static void a_cloudwatch_that_never_answers_holds_up_no_end(void **state) {
    struct rig *rig = *state;
    take(rig, 1);
    take(rig, 1);
    assert_true(is_calling(rig));
    publisher_close(rig->publisher, 2000, on_closed, rig);
    sim_lane_advance(&rig->lane, 1999);
    assert_false(rig->closed);
    sim_lane_advance(&rig->lane, 1);
    assert_true(rig->closed);
    assert_false(is_calling(rig));
    rig->closed = false;
    open_publisher(rig, true);
}

static void the_end_sends_what_is_left(void **state) {
    struct rig *rig = *state;
    take(rig, 1);
    fake_service_fail(&rig->service, ERR_AWS_TRANSPORT, "away", NULL);
    publisher_close(rig->publisher, 2000, on_closed, rig);
    assert_true(is_calling(rig)); /* at once */
    fake_service_answer(&rig->service, "");
    sim_lane_advance(&rig->lane, 0);
    assert_true(rig->closed);
    rig->closed = false;
    open_publisher(rig, true);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void) {
    const struct CMUnitTest tests[] = {
        TEST(a_shard_has_its_dimension),
        TEST(lanes_are_summed_up_for_the_process),
        TEST(a_summary_leaves_single_calls_out),
        TEST(much_goes_in_several_calls_one_at_a_time),
        TEST(what_comes_during_a_call_follows_it),
        TEST(what_may_pass_is_sent_again),
        TEST(what_is_refused_is_dropped_and_the_rest_waits),
        TEST(what_waits_too_long_is_dropped),
        TEST(a_cloudwatch_that_never_answers_holds_up_no_end),
        TEST(the_end_sends_what_is_left),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
