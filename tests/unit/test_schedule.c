/* schedule: when each message of a steady load is due. */
#include "perf/schedule.h"

#include "cmocka_all.h"

#define START ((uint64_t)5000000000)

static struct schedule at_rate(uint64_t rate) {
    return (struct schedule){.start_ns = START, .rate = rate};
}

static uint64_t due_us(uint64_t rate, uint64_t index) {
    struct schedule schedule = at_rate(rate);
    return (schedule_due_ns(&schedule, index) - START) / 1000;
}

static void a_low_rate_has_each_message_at_its_own_time(void **state) {
    (void)state;
    assert_int_equal(due_us(1000, 0), 0);
    assert_int_equal(due_us(1000, 1), 1000);
    assert_int_equal(due_us(300, 1), 3333);
    assert_int_equal(due_us(300, 300), 1000000);
    assert_int_equal(due_us(1, 7), 7000000);
}

static void a_high_rate_has_those_of_a_millisecond_together(void **state) {
    (void)state;
    assert_int_equal(due_us(50000, 0), 0);
    assert_int_equal(due_us(50000, 1), 1000);
    assert_int_equal(due_us(50000, 50), 1000);
    assert_int_equal(due_us(50000, 51), 2000);
    assert_int_equal(due_us(50000, 50000), 1000000);
    assert_int_equal(due_us(1500, 1), 1000);
    assert_int_equal(due_us(1500, 2), 2000);
    assert_int_equal(due_us(1500, 3), 2000);
}

/* At each moment exactly those messages are counted whose time has come. */
static void count_and_time_agree(void **state) {
    (void)state;
    const uint64_t rates[] = {1, 7, 300, 999, 1000, 1001, 1500, 50000, 999999, 100000000};
    for (size_t i = 0; i < sizeof rates / sizeof rates[0]; i++) {
        struct schedule schedule = at_rate(rates[i]);
        assert_int_equal(schedule_count(&schedule, START - 1), 0);
        for (uint64_t step = 0; step < 2000; step++) {
            uint64_t now = START + step * 1234567; /* 2.5 s in odd steps */
            uint64_t count = schedule_count(&schedule, now);
            assert_true(count > 0 && schedule_due_ns(&schedule, count - 1) <= now);
            assert_true(schedule_due_ns(&schedule, count) > now);
        }
    }
}

static void days_at_the_highest_rate_do_not_overflow(void **state) {
    (void)state;
    struct schedule schedule = at_rate(100000000);
    uint64_t week_ns = (uint64_t)7 * 24 * 3600 * 1000000000;
    uint64_t count = schedule_count(&schedule, START + week_ns);
    assert_int_equal(count, (uint64_t)7 * 24 * 3600 * 100000000 + 1);
    assert_int_equal(schedule_due_ns(&schedule, count - 1), START + week_ns);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_low_rate_has_each_message_at_its_own_time),
        cmocka_unit_test(a_high_rate_has_those_of_a_millisecond_together),
        cmocka_unit_test(count_and_time_agree),
        cmocka_unit_test(days_at_the_highest_rate_do_not_overflow),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
