#include "base/rng.h"
#include "source/seqno.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>

#include <cmocka.h>

static struct seqno make(const char *text) {
    struct seqno seqno;
    assert_true(seqno_parse(str_of(text), &seqno));
    return seqno;
}

static int sign(int value) {
    return (value > 0) - (value < 0);
}

static int compare(const char *a, const char *b) {
    struct seqno seqno_a = make(a);
    struct seqno seqno_b = make(b);
    int result = sign(seqno_compare(&seqno_a, &seqno_b));
    assert_int_equal(sign(seqno_compare(&seqno_b, &seqno_a)), -result);
    return result;
}

static void test_round_trip_keeps_zeros(void **state) {
    (void)state;
    static const char *const texts[] = {
        "0",
        "00",
        "7",
        "10",
        "000000000000000032468",
        "100000000003498069978",
        "9999999999999999999999999999999999999999",
        "0000000000000000000000000000000000000000",
    };
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
        struct seqno seqno = make(texts[i]);
        char text[SEQNO_MAX_DIGITS + 1];
        assert_true(seqno_is_set(&seqno));
        assert_int_equal(seqno_format(&seqno, text), strlen(texts[i]));
        assert_string_equal(text, texts[i]);
    }
}

static void test_refuses_other_texts(void **state) {
    (void)state;
    static const char *const texts[] = {
        "",
        " 1",
        "1 ",
        "-1",
        "+1",
        "1.0",
        "1e3",
        "12a",
        "/",
        ":",
        "\xb2",
        "10000000000000000000000000000000000000000", /* 41 digits */
        "TRIM_HORIZON",
    };
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
        struct seqno seqno = make("5");
        assert_false(seqno_parse(str_of(texts[i]), &seqno));
        struct seqno five = make("5");
        assert_memory_equal(&seqno, &five, sizeof five); /* untouched */
    }
    struct seqno none = {.count = 0};
    assert_false(seqno_is_set(&none));
    assert_false(seqno_parse(str_make("1\0002", 3), &none));
}

static void test_compares_values_not_texts(void **state) {
    (void)state;
    assert_int_equal(compare("9", "10"), -1);
    assert_int_equal(compare("09", "10"), -1);
    assert_int_equal(compare("10", "9"), 1);
    assert_int_equal(compare("0", "0000"), 0);
    assert_int_equal(compare("0007", "7"), 0);
    assert_int_equal(compare("0007", "07"), 0);
    assert_int_equal(compare("0008", "7"), 1);
    assert_int_equal(compare("123", "124"), -1);
    /* beyond 64 and 128 bits */
    assert_int_equal(compare("18446744073709551616", "18446744073709551615"), 1);
    assert_int_equal(compare("340282366920938463463374607431768211456",
                             "0340282366920938463463374607431768211455"),
                     1);
    assert_int_equal(compare("9999999999999999999999999999999999999999",
                             "9999999999999999999999999999999999999998"),
                     1);
}

/* A naive number: digits right-aligned in a fixed field. */
static void naive(const char *text, char field[48]) {
    size_t len = strlen(text);
    memset(field, '0', 48);
    memcpy(field + 48 - len, text, len);
}

static void random_number(struct rng *rng, char *to) {
    size_t len = 1 + rng_below(rng, SEQNO_MAX_DIGITS - 1);
    size_t zeros = rng_below(rng, 2) == 0 ? 0 : rng_below(rng, len);
    for (size_t i = 0; i < len; i++) {
        to[i] = (char)('0' + (i < zeros ? 0 : rng_below(rng, 9)));
    }
    to[len] = '\0';
}

static void test_order_is_that_of_naive_numbers(void **state) {
    (void)state;
    struct rng rng = {.state = 20261123};
    for (int i = 0; i < 100000; i++) {
        char a[SEQNO_MAX_DIGITS + 1];
        char b[SEQNO_MAX_DIGITS + 1];
        random_number(&rng, a);
        random_number(&rng, b);
        if (rng_below(&rng, 3) == 0) { /* nearly the same: one digit off, or padded otherwise */
            size_t len = strlen(a);
            size_t pad = rng_below(&rng, SEQNO_MAX_DIGITS - len);
            memset(b, '0', pad);
            memcpy(b + pad, a, len + 1);
            if (rng_below(&rng, 1) == 0) {
                b[pad + rng_below(&rng, len - 1)] = (char)('0' + rng_below(&rng, 9));
            }
        }
        char field_a[48];
        char field_b[48];
        naive(a, field_a);
        naive(b, field_b);
        if (compare(a, b) != sign(memcmp(field_a, field_b, sizeof field_a))) {
            fail_msg("%s and %s compare wrongly", a, b);
        }
    }
}

static void test_positions(void **state) {
    (void)state;
    /* in KCL's order */
    static const char *const texts[] = {
        "AT_TIMESTAMP", "TRIM_HORIZON", "LATEST", "0", "000000000000000000002", "10", "SHARD_END",
    };
    size_t count = sizeof texts / sizeof texts[0];
    struct position positions[sizeof texts / sizeof texts[0]];
    for (size_t i = 0; i < count; i++) {
        assert_true(position_parse(str_of(texts[i]), &positions[i]));
        char text[SEQNO_MAX_DIGITS + 1];
        assert_int_equal(position_format(&positions[i], text), strlen(texts[i]));
        assert_string_equal(text, texts[i]);
    }
    for (size_t i = 0; i < count; i++) {
        for (size_t j = 0; j < count; j++) {
            assert_int_equal(sign(position_compare(&positions[i], &positions[j])),
                             (i > j) - (i < j));
        }
    }
    struct position position;
    assert_false(position_parse(STR(""), &position));
    assert_false(position_parse(STR("latest"), &position));
    assert_false(position_parse(STR("LATEST "), &position));
    assert_false(position_parse(STR("SHARD_EN"), &position));
    assert_false(position_parse(STR("12x"), &position));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_round_trip_keeps_zeros),
        cmocka_unit_test(test_refuses_other_texts),
        cmocka_unit_test(test_compares_values_not_texts),
        cmocka_unit_test(test_order_is_that_of_naive_numbers),
        cmocka_unit_test(test_positions),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
