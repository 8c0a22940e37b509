#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "config/config_value.h"

static void count_takes_whole_numbers_within_bounds(void **state) {
    (void)state;
    uint64_t value = 0;
    assert_int_equal(config_value_count(STR("7"), 1, 10, &value), CONFIG_VALUE_OK);
    assert_int_equal(value, 7);
    assert_int_equal(config_value_count(STR(" 10 "), 1, 10, &value), CONFIG_VALUE_OK);
    assert_int_equal(value, 10);
    assert_int_equal(config_value_count(STR("11"), 1, 10, &value), CONFIG_VALUE_OUT_OF_BOUNDS);
    assert_int_equal(config_value_count(STR("0"), 1, 10, &value), CONFIG_VALUE_OUT_OF_BOUNDS);
    assert_int_equal(value, 10); /* untouched */
}

static void count_refuses_what_is_no_number(void **state) {
    (void)state;
    static const char *const texts[] = {"",    " ",    "-1",  "+1",  "1.0",
                                        "1e3", "0x10", "1 2", "ten", "1s"};
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
        uint64_t value;
        assert_int_equal(config_value_count(str_of(texts[i]), 0, UINT64_MAX, &value),
                         CONFIG_VALUE_MALFORMED);
    }
}

static void count_beyond_64_bits_is_out_of_bounds(void **state) {
    (void)state;
    uint64_t value;
    assert_int_equal(config_value_count(STR("18446744073709551615"), 0, UINT64_MAX, &value),
                     CONFIG_VALUE_OK);
    assert_true(value == UINT64_MAX);
    assert_int_equal(config_value_count(STR("18446744073709551616"), 0, UINT64_MAX, &value),
                     CONFIG_VALUE_OUT_OF_BOUNDS);
}

static void assert_ms(const char *text, uint64_t expected) {
    uint64_t value = 0;
    assert_int_equal(config_value_ms(str_of(text), 0, UINT64_MAX, &value), CONFIG_VALUE_OK);
    assert_true(value == expected);
}

static void ms_takes_units(void **state) {
    (void)state;
    assert_ms("30000", 30000);
    assert_ms("500 ms", 500);
    assert_ms("30s", 30000);
    assert_ms("5 Min", 300000);
    assert_ms("2 h", 7200000);
    assert_ms("0", 0);
}

static void ms_refuses_other_units_and_checks_bounds_in_ms(void **state) {
    (void)state;
    uint64_t value;
    static const char *const texts[] = {"", "s", "5 days", "5 m", "1.5 s", "-5 s", "5 s s", "fast"};
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
        assert_int_equal(config_value_ms(str_of(texts[i]), 0, UINT64_MAX, &value),
                         CONFIG_VALUE_MALFORMED);
    }
    assert_int_equal(config_value_ms(STR("1 s"), 1, 999, &value), CONFIG_VALUE_OUT_OF_BOUNDS);
    assert_int_equal(config_value_ms(STR("18446744073709551615 h"), 0, UINT64_MAX, &value),
                     CONFIG_VALUE_OUT_OF_BOUNDS);
}

static void assert_bytes(const char *text, uint64_t expected) {
    uint64_t value = 0;
    assert_int_equal(config_value_bytes(str_of(text), 0, UINT64_MAX, &value), CONFIG_VALUE_OK);
    assert_true(value == expected);
}

static void bytes_take_units(void **state) {
    (void)state;
    assert_bytes("1048576", 1048576);
    assert_bytes("24 MiB", 24 * 1024 * 1024);
    assert_bytes("64kib", 65536);
    assert_bytes("1 GiB", UINT64_C(1) << 30);
    assert_bytes("2 KB", 2000);
    assert_bytes("3MB", 3000000);
    assert_bytes("7 B", 7);
    uint64_t value;
    assert_int_equal(config_value_bytes(STR("24 M"), 0, UINT64_MAX, &value),
                     CONFIG_VALUE_MALFORMED);
    assert_int_equal(config_value_bytes(STR("17179869184 GiB"), 0, UINT64_MAX, &value),
                     CONFIG_VALUE_OUT_OF_BOUNDS);
}

static void flag_is_true_or_false(void **state) {
    (void)state;
    bool flag = false;
    assert_int_equal(config_value_flag(STR("True"), &flag), CONFIG_VALUE_OK);
    assert_true(flag);
    assert_int_equal(config_value_flag(STR("false "), &flag), CONFIG_VALUE_OK);
    assert_false(flag);
    assert_int_equal(config_value_flag(STR("yes"), &flag), CONFIG_VALUE_MALFORMED);
    assert_int_equal(config_value_flag(STR("1"), &flag), CONFIG_VALUE_MALFORMED);
}

static void blank_is_white_space(void **state) {
    (void)state;
    assert_true(config_value_is_blank(STR("")));
    assert_true(config_value_is_blank(STR_NONE));
    assert_true(config_value_is_blank(STR(" \t\r\n")));
    assert_false(config_value_is_blank(STR(" x ")));
}

static void url_of_scheme_host_and_port(void **state) {
    (void)state;
    static const char *const good[] = {
        "http://localhost:8000",
        "https://some.endpoint.aws",
        "https://some.endpoint.aws/",
        "some.endpoint.aws",
        "localhost:8000",
        "http://[::1]:8000",
        "http://[::1]",
        "https://10.0.0.1:65535/",
    };
    for (size_t i = 0; i < sizeof good / sizeof good[0]; i++) {
        assert_null(config_value_url_defect(str_of(good[i])));
    }
}

static void url_defects_are_named(void **state) {
    (void)state;
    static const char *const bad[][2] = {
        {"ftp://host", "its scheme is neither http nor https"},
        {"", "it has no host name"},
        {"http://", "it has no host name"},
        {"http:///", "it has no host name"},
        {"http://:8000", "it has no host name"},
        {"http://host:", "its port is not a number from 1 to 65535"},
        {"http://host:0", "its port is not a number from 1 to 65535"},
        {"http://host:65536", "its port is not a number from 1 to 65535"},
        {"http://host:80x", "its port is not a number from 1 to 65535"},
        {"http://host/path", "it may only have a scheme, a host and a port"},
        {"http://host?x", "it may only have a scheme, a host and a port"},
        {"http://user@host", "it may only have a scheme, a host and a port"},
        {"http://my host", "it may only have a scheme, a host and a port"},
        {"http://[::1", "its \"[\" is never closed"},
    };
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        const char *defect = config_value_url_defect(str_of(bad[i][0]));
        assert_non_null(defect);
        assert_string_equal(defect, bad[i][1]);
    }
}

static void region_is_part_of_a_host_name(void **state) {
    (void)state;
    assert_null(config_value_region_defect(STR("us-gov-west-1")));
    assert_null(config_value_region_defect(STR("ddblocal")));
    assert_non_null(config_value_region_defect(STR("")));
    assert_non_null(config_value_region_defect(STR("us-east-1.evil")));
    assert_non_null(config_value_region_defect(STR("US-EAST-1")));
    assert_non_null(config_value_region_defect(STR("-us")));
    assert_non_null(config_value_region_defect(
        STR("aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa")));
}

static void assert_shown_bytes(uint64_t bytes, const char *expected) {
    struct buf text;
    buf_init(&text, 64);
    config_value_add_bytes(&text, bytes);
    assert_string_equal(buf_text(&text), expected);
    buf_done(&text);
}

static void bytes_are_shown_in_the_largest_whole_unit(void **state) {
    (void)state;
    assert_shown_bytes(0, "0");
    assert_shown_bytes(1000, "1000");
    assert_shown_bytes(1024, "1 KiB");
    assert_shown_bytes(1536, "1536");
    assert_shown_bytes(24 * 1024 * 1024, "24 MiB");
    assert_shown_bytes(UINT64_C(1) << 40, "1 TiB");
    assert_shown_bytes(UINT64_C(1) << 50, "1024 TiB");
}

static void quoted_stays_on_one_line_and_is_cut_between_characters(void **state) {
    (void)state;
    struct buf text;
    buf_init(&text, 512);
    config_value_add_quoted(&text, STR("a\nb\x7f"));
    assert_string_equal(buf_text(&text), "\"a?b?\"");
    buf_reset(&text);
    char chars[102]; /* 99 letters, then U+00E9 in the bytes 99 and 100 */
    memset(chars, 'x', sizeof chars);
    memcpy(chars + 99, "\xc3\xa9", 2);
    config_value_add_quoted(&text, str_make(chars, sizeof chars));
    assert_int_equal(text.len, 1 + 99 + 4);
    assert_memory_equal(text.data + text.len - 5, "x...\"", 5);
    buf_done(&text);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(count_takes_whole_numbers_within_bounds),
        cmocka_unit_test(count_refuses_what_is_no_number),
        cmocka_unit_test(count_beyond_64_bits_is_out_of_bounds),
        cmocka_unit_test(ms_takes_units),
        cmocka_unit_test(ms_refuses_other_units_and_checks_bounds_in_ms),
        cmocka_unit_test(bytes_take_units),
        cmocka_unit_test(flag_is_true_or_false),
        cmocka_unit_test(blank_is_white_space),
        cmocka_unit_test(url_of_scheme_host_and_port),
        cmocka_unit_test(url_defects_are_named),
        cmocka_unit_test(region_is_part_of_a_host_name),
        cmocka_unit_test(bytes_are_shown_in_the_largest_whole_unit),
        cmocka_unit_test(quoted_stays_on_one_line_and_is_cut_between_characters),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
