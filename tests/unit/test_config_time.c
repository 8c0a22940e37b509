#include "cmocka_all.h"
#include "config/config_time.h"

static void assert_time(const char *text, int64_t expected_ms) {
    int64_t ms = -1;
    if (config_time_parse(str_of(text), &ms) != CONFIG_VALUE_OK) {
        fail_msg("\"%s\" was refused", text);
    }
    assert_int_equal(ms, expected_ms);
}

static void assert_refused(const char *text, enum config_value_result expected) {
    int64_t ms = -1;
    enum config_value_result result = config_time_parse(str_of(text), &ms);
    if (result != expected) {
        fail_msg("\"%s\": %d, not %d", text, (int)result, (int)expected);
    }
    assert_int_equal(ms, -1);
}

static void numbers_are_milliseconds(void **state) {
    (void)state;
    assert_time("0", 0);
    assert_time("1551814138000", 1551814138000);
    assert_time(" 1551814138123 ", 1551814138123);
    assert_time("2019", 2019);
    assert_time("20190305", 20190305);
    assert_time("253402300799999", 253402300799999);
    assert_refused("253402300800000", CONFIG_VALUE_OUT_OF_BOUNDS);
    assert_refused("99999999999999999999999", CONFIG_VALUE_OUT_OF_BOUNDS);
}

static void iso_8601(void **state) {
    (void)state;
    assert_time("2019-03-05T19:28:58.000Z", 1551814138000); /* of Pulsar's documentation */
    assert_time("2019-03-05T19:28:58Z", 1551814138000);
    assert_time("2019-03-05T19:28:58", 1551814138000);
    assert_time("2019-03-05T19:28", 1551814080000);
    assert_time("2019-03-05T19:28Z", 1551814080000);
    assert_time("2019-03-05", 1551744000000);
    assert_time("2020-02-29", 1582934400000);
    assert_time("9999-12-31T23:59:59.999Z", 253402300799999);
}

static void fractions_are_cut_to_milliseconds(void **state) {
    (void)state;
    assert_time("2019-03-05T19:28:58.1Z", 1551814138100);
    assert_time("2019-03-05T19:28:58.12Z", 1551814138120);
    assert_time("2019-03-05T19:28:58.1239Z", 1551814138123);
    assert_time("2019-03-05T19:28:58.123456789+00:00", 1551814138123);
    assert_refused("2019-03-05T19:28:58.1234567890Z", CONFIG_VALUE_MALFORMED);
    assert_refused("2019-03-05T19:28:58.Z", CONFIG_VALUE_MALFORMED);
}

static void zones(void **state) {
    (void)state;
    assert_time("2019-03-05T20:28:58+01", 1551814138000);
    assert_time("2019-03-05T20:58:58+0130", 1551814138000);
    assert_time("2019-03-05T20:58:58.000+01:30", 1551814138000);
    assert_time("2019-03-05T11:28:58-08:00", 1551814138000);
    assert_time("2019-03-05T20:28+01:00", 1551814080000);
    assert_refused("2019-03-05T20:28:58+1", CONFIG_VALUE_MALFORMED);
    assert_refused("2019-03-05T20:28:58+01:0", CONFIG_VALUE_MALFORMED);
    assert_refused("2019-03-05T20:28:58+01:00:00", CONFIG_VALUE_MALFORMED);
    assert_refused("2019-03-05T20:28:58+19:00", CONFIG_VALUE_MALFORMED);
    assert_refused("2019-03-05T20:28:58+01:60", CONFIG_VALUE_MALFORMED);
    assert_refused("2019-03-05T20:28:58ZZ", CONFIG_VALUE_MALFORMED);
    assert_refused("2019-03-05T20:28:58 CET", CONFIG_VALUE_MALFORMED);
}

static void dates_of_http(void **state) {
    (void)state;
    assert_time("Tue, 05 Mar 2019 19:28:58 GMT", 1551814138000);
    assert_refused("Wed, 31 Dec 1969 23:59:59 GMT", CONFIG_VALUE_MALFORMED);
}

static void what_does_not_exist_is_out_of_bounds(void **state) {
    (void)state;
    static const char *const texts[] = {
        "2019-02-29",       "2019-13-01",
        "2019-00-10",       "2019-01-00",
        "2019-04-31",       "2019-03-05T24:00",
        "2019-03-05T19:60", "2019-03-05T19:28:60",
        "1969-12-31",       "1970-01-01T00:30:00+01:00",
    };
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
        assert_refused(texts[i], CONFIG_VALUE_OUT_OF_BOUNDS);
    }
}

static void everything_else_is_malformed(void **state) {
    (void)state;
    static const char *const texts[] = {
        "",
        "now",
        "-1",
        "1.5e12",
        "1551814138.5",
        "2019-03",
        "2019-3-5",
        "2019/03/05",
        "05.03.2019",
        "2019-03-05T",
        "2019-03-05 19:28",
        "2019-03-05T19",
        "2019-03-05t19:28",
        "2019-03-05T19:28:",
        "2019-03-05Z",
        "12019-03-05",
        "2019-03-05T1928",
        "2019-W10-2",
    };
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
        assert_refused(texts[i], CONFIG_VALUE_MALFORMED);
    }
}

static void every_beginning_of_a_date_is_read_within_its_bounds(void **state) {
    (void)state;
    static const char whole[] = "2019-03-05T19:28:58.123+01:30";
    for (size_t len = 0; len < sizeof whole; len++) {
        char *exact = test_malloc(len); /* cmocka guards both ends */
        memcpy(exact, whole, len);
        int64_t ms;
        (void)config_time_parse(str_make(exact, len), &ms);
        test_free(exact);
    }
}

static void formats(void **state) {
    (void)state;
    char text[CONFIG_TIME_MAX];
    config_time_format(0, text);
    assert_string_equal(text, "1970-01-01T00:00:00.000Z");
    config_time_format(1551814138007, text);
    assert_string_equal(text, "2019-03-05T19:28:58.007Z");
    config_time_format(253402300799999, text);
    assert_string_equal(text, "9999-12-31T23:59:59.999Z");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(numbers_are_milliseconds),
        cmocka_unit_test(iso_8601),
        cmocka_unit_test(fractions_are_cut_to_milliseconds),
        cmocka_unit_test(zones),
        cmocka_unit_test(dates_of_http),
        cmocka_unit_test(what_does_not_exist_is_out_of_bounds),
        cmocka_unit_test(everything_else_is_malformed),
        cmocka_unit_test(every_beginning_of_a_date_is_read_within_its_bounds),
        cmocka_unit_test(formats),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
