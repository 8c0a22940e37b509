/* pace: when the next page is asked for, and how large. */
#include "source/pace.h"

#include "cmocka_all.h"

static struct pace fresh(bool hurry) {
    struct pace pace;
    const struct pace_options options = {
        .min_ms = 200, .max_ms = 2000, .limit_max = 5000, .hurry = hurry};
    pace_init(&pace, &options);
    return pace;
}

static struct pace_page page_of(uint32_t records, size_t bytes) {
    return (struct pace_page){.records = records, .bytes = bytes, .asked_ms = 10000};
}

/* A page that came at once. */
static uint64_t after(struct pace *pace, uint32_t records, size_t bytes) {
    struct pace_page page = page_of(records, bytes);
    return pace_page(pace, &page, 10000);
}

static void a_full_page_is_followed_at_once(void **state) {
    (void)state;
    struct pace pace = fresh(false);
    assert_int_equal(pace.limit, 1000); /* the service takes no more */
    assert_int_equal(after(&pace, 1000, 600000), 0);
    assert_int_equal(after(&pace, 300, 1000000), 0); /* cut by size */
    assert_int_equal(after(&pace, 999, 600000), 200);
}

static void an_idle_shard_slows_down_and_wakes_up(void **state) {
    (void)state;
    struct pace pace = fresh(false);
    const uint64_t delays[] = {200, 400, 800, 1600, 2000, 2000};
    for (size_t i = 0; i < sizeof delays / sizeof delays[0]; i++) {
        assert_int_equal(after(&pace, 0, 100), delays[i]);
    }
    assert_int_equal(after(&pace, 1, 700), 200);
    assert_int_equal(after(&pace, 0, 100), 200);
}

static void the_interval_counts_from_the_last_question(void **state) {
    (void)state;
    struct pace pace = fresh(false);
    struct pace_page page = page_of(1, 600);
    assert_int_equal(pace_page(&pace, &page, 10150), 50);
    assert_int_equal(pace_page(&pace, &page, 10200), 0);
    assert_int_equal(pace_page(&pace, &page, 99999), 0);
}

static void a_closed_shard_is_read_to_its_end(void **state) {
    (void)state;
    struct pace pace = fresh(false);
    struct pace_page page = page_of(5, 3000);
    page.shard_closed = true;
    assert_int_equal(pace_page(&pace, &page, 10000), 0);
    page.records = 0;
    assert_in_range(pace_page(&pace, &page, 10000), 1, 50);
    assert_in_range(pace_page(&pace, &page, 10000), 1, 50);
}

static void the_limit_follows_the_size_of_records(void **state) {
    (void)state;
    struct pace pace = fresh(false);
    (void)after(&pace, 10, 10 * 400000);
    assert_in_range(pace.limit, 9, 10); /* 4 MiB in all */
    (void)after(&pace, 0, 100);
    assert_in_range(pace.limit, 9, 10); /* an empty page says nothing */
    (void)after(&pace, 1, 30 << 20);
    assert_int_equal(pace.limit, 1);
    assert_false(pace_too_large(&pace));
    (void)after(&pace, 1, 600);
    assert_int_equal(pace.limit, 1000);
    assert_true(pace_too_large(&pace));
    assert_int_equal(pace.limit, 500);
}

static void throttling_halves_the_rate_and_success_raises_it(void **state) {
    (void)state;
    struct pace pace = fresh(false);
    assert_int_equal(pace_throttled(&pace), 400);
    assert_int_equal(pace_throttled(&pace), 800);
    uint64_t delay = after(&pace, 1000, 600000);
    assert_int_equal(delay, 800);
    uint64_t pages = 0;
    while (delay > 0 && pages < 100) {
        uint64_t next = after(&pace, 1000, 600000);
        assert_true(next < delay);
        delay = next;
        pages++;
    }
    assert_in_range(pages, 5, 30);
    for (int i = 0; i < 20; i++) {
        (void)pace_throttled(&pace);
    }
    assert_int_equal(pace_throttled(&pace), 10000);
}

static void the_tip_is_a_young_record_or_long_silence(void **state) {
    (void)state;
    struct pace pace = fresh(true);
    struct pace_page page = page_of(3, 1800);
    (void)pace_page(&pace, &page, 10000);
    assert_false(pace.at_tip);
    page.after_start = true;
    (void)pace_page(&pace, &page, 10000);
    assert_true(pace.at_tip);

    pace = fresh(true);
    page = page_of(0, 100);
    for (uint64_t i = 0; i < 10; i++) { /* ten empty pages, but within less than two seconds */
        (void)pace_page(&pace, &page, 10000 + i * 100);
    }
    assert_false(pace.at_tip);
    (void)pace_page(&pace, &page, 12000);
    assert_true(pace.at_tip);

    pace = fresh(true);
    for (uint64_t i = 0; i < 9; i++) { /* long enough, but too few */
        (void)pace_page(&pace, &page, 10000 + i * 1000);
    }
    assert_false(pace.at_tip);
}

static void in_a_hurry_it_does_not_slow_down_before_the_tip(void **state) {
    (void)state;
    struct pace pace = fresh(true);
    for (int i = 0; i < 8; i++) {
        assert_int_equal(after(&pace, 0, 100), 200);
    }
    pace.at_tip = true;
    (void)after(&pace, 0, 100);
    assert_int_equal(after(&pace, 0, 100), 400);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_full_page_is_followed_at_once),
        cmocka_unit_test(an_idle_shard_slows_down_and_wakes_up),
        cmocka_unit_test(the_interval_counts_from_the_last_question),
        cmocka_unit_test(a_closed_shard_is_read_to_its_end),
        cmocka_unit_test(the_limit_follows_the_size_of_records),
        cmocka_unit_test(throttling_halves_the_rate_and_success_raises_it),
        cmocka_unit_test(the_tip_is_a_young_record_or_long_silence),
        cmocka_unit_test(in_a_hurry_it_does_not_slow_down_before_the_tip),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
