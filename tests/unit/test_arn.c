#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "config/arn.h"

static void parts_of_a_stream_arn(void **state) {
    (void)state;
    struct arn arn;
    struct str text = STR("arn:aws:dynamodb:us-west-2:111122223333:table/TestTable/stream/"
                          "2015-05-11T21:21:33.291");
    assert_null(arn_parse(text, &arn));
    assert_true(str_is(arn.partition, "aws"));
    assert_true(str_is(arn.region, "us-west-2"));
    assert_true(str_is(arn.account, "111122223333"));
    assert_true(str_is(arn.table, "TestTable"));
    assert_true(str_is(arn.label, "2015-05-11T21:21:33.291")); /* its colons separate nothing */
    assert_ptr_equal(arn.partition.ptr, text.ptr + 4);         /* borrowed */
}

static void other_partitions_and_the_emulator(void **state) {
    (void)state;
    struct arn arn;
    assert_null(
        arn_parse(STR("arn:aws-cn:dynamodb:cn-north-1:111122223333:table/a_b-c.d/stream/x"), &arn));
    assert_true(str_is(arn.partition, "aws-cn"));
    assert_null(arn_parse(
        STR("arn:aws:dynamodb:ddblocal:000000000000:table/T-1/stream/2026-01-01T00:00:00.000"),
        &arn));
    assert_true(str_is(arn.region, "ddblocal"));
}

static void defects_are_named(void **state) {
    (void)state;
    static const char *const bad[][2] = {
        {"", "it does not start with \"arn:\""},
        {"arn", "it does not start with \"arn:\""},
        {"ARN:aws:dynamodb:r:1:t", "it does not start with \"arn:\""},
        {"arn:aws:dynamodb:us-west-2", "it has too few parts"},
        {"arn::dynamodb:us-west-2:111122223333:table/Test/stream/x", "its partition is empty"},
        {"arn:aws:kinesis:us-west-2:111122223333:stream/x", "its service is not dynamodb"},
        {"arn:aws:dynamodb::111122223333:table/Test/stream/x", "its region is not one"},
        {"arn:aws:dynamodb:US:111122223333:table/Test/stream/x", "its region is not one"},
        {"arn:aws:dynamodb:us-west-2:1111:table/Test/stream/x", "its account is not 12 digits"},
        {"arn:aws:dynamodb:us-west-2:11112222333x:table/Test/stream/x",
         "its account is not 12 digits"},
        {"arn:aws:dynamodb:us-west-2:111122223333:index/Test", "it does not name a table"},
        {"arn:aws:dynamodb:us-west-2:111122223333:table", "it does not name a table"},
        {"arn:aws:dynamodb:us-west-2:111122223333:table/Test", "it is a table's, not a stream's"},
        {"arn:aws:dynamodb:us-west-2:111122223333:table/", "its table name is not one"},
        {"arn:aws:dynamodb:us-west-2:111122223333:table/a b c/stream/x",
         "its table name is not one"},
        {"arn:aws:dynamodb:us-west-2:111122223333:table/ab/stream/x", "its table name is not one"},
        {"arn:aws:dynamodb:us-west-2:111122223333:table/Test/index/x",
         "it does not end in \"/stream/<label>\""},
        {"arn:aws:dynamodb:us-west-2:111122223333:table/Test/stream/",
         "it does not end in \"/stream/<label>\""},
        {"arn:aws:dynamodb:us-west-2:111122223333:table/Test/stream/x/y",
         "it does not end in \"/stream/<label>\""},
        {"arn:aws:dynamodb:us-west-2:111122223333:table/Test/stream/x y",
         "it does not end in \"/stream/<label>\""},
    };
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        struct arn arn;
        const char *defect = arn_parse(str_of(bad[i][0]), &arn);
        assert_non_null(defect);
        assert_string_equal(defect, bad[i][1]);
    }
}

static void length_is_bounded(void **state) {
    (void)state;
    static const char start[] = "arn:aws:dynamodb:us-west-2:111122223333:table/Test/stream/";
    char text[ARN_MAX_BYTES + 1];
    struct arn arn;
    memset(text, 'x', sizeof text);
    memcpy(text, start, sizeof start - 1);
    assert_null(arn_parse(str_make(text, ARN_MAX_BYTES), &arn));
    assert_string_equal(arn_parse(str_make(text, ARN_MAX_BYTES + 1), &arn),
                        "it is longer than 1023 characters");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(parts_of_a_stream_arn),
        cmocka_unit_test(other_partitions_and_the_emulator),
        cmocka_unit_test(defects_are_named),
        cmocka_unit_test(length_is_bounded),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
