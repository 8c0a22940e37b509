#include "aws/http_date.h"

#include "cmocka_all.h"

static void assert_date(const char *text, int64_t expected_ms) {
    int64_t ms = -1;
    assert_true(http_date_parse(str_of(text), &ms));
    assert_int_equal(ms, expected_ms);
}

static void assert_refused(const char *text) {
    int64_t ms = -1;
    assert_false(http_date_parse(str_of(text), &ms));
    assert_int_equal(ms, -1);
}

static void reads_dates(void **state) {
    (void)state;
    assert_date("Thu, 01 Jan 1970 00:00:00 GMT", 0);
    assert_date("Sun, 06 Nov 1994 08:49:37 GMT", 784111777000);
    assert_date("Tue, 29 Feb 2028 23:59:59 GMT", 1835481599000);
    assert_date("Wed, 31 Dec 2098 23:59:60 GMT", 4070908800000); /* a leap second */
}

static void refuses_everything_else(void **state) {
    (void)state;
    assert_refused("");
    assert_refused("Sunday, 06-Nov-94 08:49:37 GMT");
    assert_refused("Sun Nov  6 08:49:37 1994");
    assert_refused("Sun, 06 Nov 1994 08:49:37 UTC");
    assert_refused("Sun, 06 Nov 1994 08:49:37 GMT ");
    assert_refused("Sun, 06 Nov 1994 08:49:3");
    assert_refused("Sun, 6 Nov 1994 08:49:37 GMT");
    assert_refused("Sun, 06 nov 1994 08:49:37 GMT");
    assert_refused("Sun, 06 Foo 1994 08:49:37 GMT");
    assert_refused("Sun, 00 Nov 1994 08:49:37 GMT");
    assert_refused("Sun, 32 Nov 1994 08:49:37 GMT");
    assert_refused("Sun, 06 Nov 1994 24:00:00 GMT");
    assert_refused("Sun, 06 Nov 1994 08:60:00 GMT");
    assert_refused("Sun, 06 Nov 1994 08:49:61 GMT");
    assert_refused("Sun, -6 Nov 1994 08:49:37 GMT");
    /* Letters of two months in a row are no month. */
    assert_refused("Sun, 06 anF 1994 08:49:37 GMT");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(reads_dates),
        cmocka_unit_test(refuses_everything_else),
    };
    return cmocka_run_group_tests_name("http_date", tests, NULL, NULL);
}
