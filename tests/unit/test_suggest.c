#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "config/suggest.h"

static size_t distance(const char *a, const char *b) {
    size_t there = suggest_distance(str_of(a), str_of(b));
    assert_int_equal(there, suggest_distance(str_of(b), str_of(a)));
    return there;
}

static void distance_counts_edits(void **state) {
    (void)state;
    assert_int_equal(distance("", ""), 0);
    assert_int_equal(distance("", "abc"), 3);
    assert_int_equal(distance("awsRegion", "awsregion"), 0);
    assert_int_equal(distance("awsRegion", "awsRegio"), 1);
    assert_int_equal(distance("awsRegion", "awsRegionn"), 1);
    assert_int_equal(distance("awsRegion", "awsRexion"), 1);
    assert_int_equal(distance("awsRegion", "awsRegoin"), 1);
    assert_int_equal(distance("kitten", "sitting"), 3);
    assert_int_equal(distance("abc", "xyz"), 3);
}

static void too_long_is_far_away(void **state) {
    (void)state;
    char text[SUGGEST_MAX_BYTES + 1];
    memset(text, 'x', sizeof text);
    struct str longest = str_make(text, SUGGEST_MAX_BYTES);
    assert_int_equal(suggest_distance(longest, longest), 0);
    assert_true(suggest_distance(str_make(text, sizeof text), longest) == SIZE_MAX);
}

static void nearest_candidate_wins(void **state) {
    (void)state;
    struct suggest suggest = {.word = STR("numRetry")};
    suggest_offer(&suggest, "awsRegion");
    assert_null(suggest.best);
    suggest_offer(&suggest, "numEntry");
    suggest_offer(&suggest, "numRetrys");
    suggest_offer(&suggest, "numRetries");
    assert_string_equal(suggest.best, "numRetrys");
}

static void a_short_word_is_near_little(void **state) {
    (void)state;
    struct suggest suggest = {.word = STR("rn")};
    suggest_offer(&suggest, "tail");
    assert_null(suggest.best);
    suggest_offer(&suggest, "run");
    assert_string_equal(suggest.best, "run");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(distance_counts_edits),
        cmocka_unit_test(too_long_is_far_away),
        cmocka_unit_test(nearest_candidate_wins),
        cmocka_unit_test(a_short_word_is_near_little),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
