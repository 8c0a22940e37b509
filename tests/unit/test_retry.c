#include "aws/retry.h"

#include "cmocka_all.h"

#define ASSERT_WITHIN(value, low, high) assert_in_range((value), (low), (high))

static struct rng rng;

static bool next(struct retry *retry, struct retry_quota *quota, enum err_code code,
                 uint64_t *delay) {
    return retry_next(retry, quota, code, 0, &rng, delay);
}

static void only_what_may_pass_is_tried_again(void **state) {
    (void)state;
    bool again[ERR_CODE_COUNT] = {
        [ERR_TIMEOUT] = true,      [ERR_AWS_TRANSPORT] = true, [ERR_AWS_SERVER] = true,
        [ERR_AWS_CHECKSUM] = true, [ERR_AWS_REPLY] = true,     [ERR_AWS_THROTTLED] = true,
    };
    for (int code = 0; code < ERR_CODE_COUNT; code++) {
        struct retry retry = {0};
        struct retry_quota quota = retry_quota_make();
        uint64_t delay = 0;
        assert_int_equal(next(&retry, &quota, (enum err_code)code, &delay), again[code]);
        assert_int_equal(quota.tokens < RETRY_QUOTA_MAX, again[code]); /* giving up is free */
    }
}

static uint64_t longest(enum err_code code, uint32_t failures) {
    uint64_t max = 0;
    for (int i = 0; i < 2000; i++) {
        struct retry retry = {.failures = failures};
        struct retry_quota quota = retry_quota_make();
        uint64_t delay = 0;
        assert_true(next(&retry, &quota, code, &delay));
        max = delay > max ? delay : max;
    }
    return max;
}

static void delays_double_up_to_a_bound(void **state) {
    (void)state;
    ASSERT_WITHIN(longest(ERR_AWS_SERVER, 0), 20, 25);
    ASSERT_WITHIN(longest(ERR_AWS_SERVER, 1), 40, 50);
    ASSERT_WITHIN(longest(ERR_AWS_SERVER, 2), 80, 100);
    ASSERT_WITHIN(longest(ERR_AWS_SERVER, 40), 19000, 20000);
    ASSERT_WITHIN(longest(ERR_AWS_THROTTLED, 0), 950, 1000);
    ASSERT_WITHIN(longest(ERR_AWS_THROTTLED, 3), 7600, 8000);
}

static void the_service_may_ask_for_more_time(void **state) {
    (void)state;
    struct retry_quota quota = retry_quota_make();
    uint64_t delay = 0;
    struct retry retry = {0};
    assert_true(retry_next(&retry, &quota, ERR_AWS_SERVER, 2000, &rng, &delay));
    assert_int_equal(delay, 2000);
    retry = (struct retry){0};
    assert_true(retry_next(&retry, &quota, ERR_AWS_SERVER, 3600000, &rng, &delay));
    ASSERT_WITHIN(delay, 5000, 5025);
    retry = (struct retry){.failures = 40}; /* our own delay is nearly always longer than 1 ms */
    assert_true(retry_next(&retry, &quota, ERR_AWS_SERVER, 1, &rng, &delay));
    ASSERT_WITHIN(delay, 1, 20000);
}

static void the_quota_ends_retries_and_success_refills_it(void **state) {
    (void)state;
    struct retry_quota quota = retry_quota_make();
    uint64_t delay = 0;
    int tries = 0;
    struct retry retry = {0};
    while (next(&retry, &quota, ERR_AWS_SERVER, &delay)) {
        tries++;
    }
    assert_int_equal(tries, RETRY_QUOTA_MAX / 14);
    assert_int_equal(quota.tokens, RETRY_QUOTA_MAX % 14);
    /* Throttling costs less, so it still goes. */
    struct retry other = {0};
    assert_true(next(&other, &quota, ERR_AWS_THROTTLED, &delay));

    retry_success(&retry, &quota); /* gives back the last try's cost */
    assert_int_equal(quota.tokens, RETRY_QUOTA_MAX % 14 - 5 + 14);
    struct retry first = {0};
    retry_success(&first, &quota);
    assert_int_equal(quota.tokens, RETRY_QUOTA_MAX % 14 - 5 + 15);
    quota.tokens = RETRY_QUOTA_MAX;
    retry_success(&retry, &quota);
    assert_int_equal(quota.tokens, RETRY_QUOTA_MAX);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(only_what_may_pass_is_tried_again),
        cmocka_unit_test(delays_double_up_to_a_bound),
        cmocka_unit_test(the_service_may_ask_for_more_time),
        cmocka_unit_test(the_quota_ends_retries_and_success_refills_it),
    };
    return cmocka_run_group_tests_name("retry", tests, NULL, NULL);
}
