/* cloudwatch: what PutMetricData is sent, and that a request is never too large. */
#include "aws/cloudwatch.h"

#include "cmocka_all.h"
#include "fake_service.h"

#include <string.h>

struct seen {
    int calls;
    struct err err;
};

static void done(void *ctx, const struct err *err) {
    struct seen *seen = ctx;
    seen->calls++;
    seen->err = err != NULL ? *err : ERR_NONE;
}

static int setup(void **state) {
    static struct fake_service service;
    fake_service_init(&service);
    *state = &service;
    return 0;
}

static int teardown(void **state) {
    fake_service_done(*state);
    return 0;
}

static const struct cloudwatch_datum datum = {
    .name = STR("MillisBehindLatest"),
    .unit = CLOUDWATCH_MILLISECONDS,
    .dimensions = {{STR("Operation"), STR("ProcessTask")}, {STR("ShardId"), STR("shardId-\"1")}},
    .dimension_count = 2,
    .at_ms = 1700000000042,
    .count = 3,
    .sum = 600,
    .min = 100,
    .max = 300,
};

static void a_request_is_as_the_service_wants_it(void **state) {
    struct fake_service *service = *state;
    struct seen seen = {0};
    struct cloudwatch_request request;
    cloudwatch_begin(&request, STR("orders to pulsar"));
    assert_true(cloudwatch_add(&request, &datum));
    struct cloudwatch_datum plain = {
        .name = STR("Gaps"), .unit = CLOUDWATCH_COUNT, .at_ms = 5, .count = 1};
    assert_true(cloudwatch_add(&request, &plain));
    assert_int_equal(request.count, 2);
    assert_non_null(cloudwatch_put(&service->base, &request, done, &seen));
    assert_string_equal(service->target, "GraniteServiceVersion20100801.PutMetricData");
    assert_string_equal(
        fake_service_body(service),
        "{\"Namespace\":\"orders to pulsar\",\"MetricData\":["
        "{\"MetricName\":\"MillisBehindLatest\",\"Dimensions\":["
        "{\"Name\":\"Operation\",\"Value\":\"ProcessTask\"},"
        "{\"Name\":\"ShardId\",\"Value\":\"shardId-\\\"1\"}],"
        "\"Timestamp\":1700000000.042,\"Unit\":\"Milliseconds\",\"StatisticValues\":"
        "{\"SampleCount\":3,\"Sum\":600,\"Minimum\":100,\"Maximum\":300}},"
        "{\"MetricName\":\"Gaps\",\"Dimensions\":[],\"Timestamp\":0.005,\"Unit\":\"Count\","
        "\"StatisticValues\":{\"SampleCount\":1,\"Sum\":0,\"Minimum\":0,\"Maximum\":0}}]}");
    fake_service_answer(service, "");
    assert_int_equal(seen.calls, 1);
    assert_int_equal(seen.err.code, ERR_OK);
}

static void a_full_request_takes_no_more_and_is_whole(void **state) {
    struct fake_service *service = *state;
    struct seen seen = {0};
    struct cloudwatch_request request;
    cloudwatch_begin(&request, STR("n"));
    while (cloudwatch_add(&request, &datum)) {
    }
    assert_true(request.count > 150);
    assert_false(cloudwatch_add(&request, &datum));
    assert_non_null(cloudwatch_put(&service->base, &request, done, &seen));
    const char *body = fake_service_body(service);
    assert_true(strlen(body) <= BUF_MAX_REQUEST);
    assert_string_equal(body + strlen(body) - 4, "}}]}");
    fake_service_fail(service, ERR_AWS_DENIED, "no", NULL);
    assert_int_equal(seen.err.code, ERR_AWS_DENIED);
    assert_string_equal(seen.err.text, "PutMetricData: no");
}

static void what_is_not_sent_is_dropped(void **state) {
    (void)state;
    struct cloudwatch_request request;
    cloudwatch_begin(&request, STR("n"));
    assert_true(cloudwatch_add(&request, &datum));
    cloudwatch_drop(&request);
    assert_int_equal(request.count, 0);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void) {
    const struct CMUnitTest tests[] = {
        TEST(a_request_is_as_the_service_wants_it),
        TEST(a_full_request_takes_no_more_and_is_whole),
        TEST(what_is_not_sent_is_dropped),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
