#include "base/page.h"
#include "base/rng.h"
#include "source/record.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cmocka.h>

/* Text whose padding ends at a page that nobody may touch: reading further crashes the test. */
struct guarded {
    char *map;
    size_t map_len;
    size_t room;
};

static struct guarded guarded_new(size_t room) {
    size_t page = (size_t)sysconf(_SC_PAGESIZE);
    size_t data = (room + PAGE_PADDING + page - 1) / page * page;
    struct guarded guarded = {.map_len = data + page, .room = data - PAGE_PADDING};
    guarded.map =
        mmap(NULL, guarded.map_len, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    assert_ptr_not_equal(guarded.map, MAP_FAILED);
    assert_int_equal(mprotect(guarded.map + data, page, PROT_NONE), 0);
    return guarded;
}

/* The padding is filled with what could be mistaken for more of the text. */
static struct str guarded_put(struct guarded *guarded, struct str text, char padding) {
    assert_true(text.len <= guarded->room);
    char *at = guarded->map + guarded->room - text.len;
    if (text.len > 0) {
        memcpy(at, text.ptr, text.len);
    }
    memset(at + text.len, padding, PAGE_PADDING);
    return str_make(at, text.len);
}

static void guarded_free(struct guarded *guarded) {
    assert_int_equal(munmap(guarded->map, guarded->map_len), 0);
}

/* Walks it all: the number of records, or -1 and err. */
static int walk(struct str body, struct err *err) {
    struct record_page page;
    struct record record;
    *err = ERR_NONE;
    if (!record_page_open(&page, body, err)) {
        return -1;
    }
    int count = 0;
    while (record_page_next(&page, &record, err)) {
        count++;
    }
    assert_int_equal(page.ended, !err_is_set(err));
    return err_is_set(err) ? -1 : count;
}

struct one {
    struct guarded memory;
    struct record_page page;
    struct record record;
};

/* The first record of a body. */
static struct one first_of(const char *body) {
    struct one one = {.memory = guarded_new(strlen(body))};
    struct err err = ERR_NONE;
    struct str text = guarded_put(&one.memory, str_of(body), '"');
    if (!record_page_open(&one.page, text, &err) ||
        !record_page_next(&one.page, &one.record, &err)) {
        fail_msg("%s: %s", body, err.text);
    }
    return one;
}

static void one_done(struct one *one) {
    guarded_free(&one->memory);
}

static void assert_text(struct str text, const char *expected) {
    if (expected == NULL) {
        assert_null(text.ptr);
        return;
    }
    assert_non_null(text.ptr);
    if (!str_is(text, expected)) {
        fail_msg("\"%.*s\" instead of \"%s\"", STR_FMT(text), expected);
    }
}

static const char full_page[] =
    "{\"Records\":[{\"eventID\":\"4bf49455\",\"eventName\":\"MODIFY\",\"eventVersion\":\"1.1\","
    "\"eventSource\":\"aws:dynamodb\",\"awsRegion\":\"eu-west-1\",\"dynamodb\":{"
    "\"ApproximateCreationDateTime\":1795441620.000,\"Keys\":{\"sk\":{\"N\":\"1\"},"
    "\"pk\":{\"S\":\"a\\n\"}},\"NewImage\":{\"m\":{\"M\":{\"l\":{\"L\":[{\"NULL\":true},{}]}}}},"
    "\"OldImage\":{},\"SequenceNumber\":\"000000000000000032495\",\"SizeBytes\":7,"
    "\"StreamViewType\":\"NEW_AND_OLD_IMAGES\"},\"userIdentity\":{\"principalId\":"
    "\"dynamodb.amazonaws.com\",\"type\":\"Service\"}},"
    "{\"dynamodb\":{\"SequenceNumber\":\"32496\"}}],\"NextShardIterator\":\"arn|1|c2hh\"}";

static void test_slices_all_members(void **state) {
    (void)state;
    struct one one = first_of(full_page);
    struct record *record = &one.record;
    assert_text(record->event_id, "4bf49455");
    assert_text(record->event_name, "MODIFY");
    assert_text(record->event_version, "1.1");
    assert_text(record->event_source, "aws:dynamodb");
    assert_text(record->aws_region, "eu-west-1");
    assert_text(record->stream_view_type, "NEW_AND_OLD_IMAGES");
    assert_text(record->sequence_number, "000000000000000032495");
    assert_text(record->keys, "{\"sk\":{\"N\":\"1\"},\"pk\":{\"S\":\"a\\n\"}}");
    assert_text(record->new_image, "{\"m\":{\"M\":{\"l\":{\"L\":[{\"NULL\":true},{}]}}}}");
    assert_text(record->old_image, "{}");
    assert_text(record->size_bytes, "7");
    assert_true(record->has_created);
    assert_int_equal(record->created_ms, 1795441620000);
    assert_true(record->has_user_identity);
    assert_text(record->principal_id, "dynamodb.amazonaws.com");
    assert_text(record->identity_type, "Service");
    char digits[SEQNO_MAX_DIGITS + 1];
    seqno_format(&record->seqno, digits);
    assert_string_equal(digits, "000000000000000032495");
    assert_false(one.page.ended);

    struct err err = ERR_NONE;
    assert_true(record_page_next(&one.page, record, &err));
    assert_text(record->sequence_number, "32496");
    assert_text(record->event_id, NULL); /* nothing is left of the record before */
    assert_text(record->keys, NULL);
    assert_false(record->has_created);
    assert_false(record->has_user_identity);
    assert_false(one.page.ended);
    assert_false(record_page_next(&one.page, record, &err));
    assert_false(err_is_set(&err));
    assert_true(one.page.ended);
    assert_text(one.page.next_iterator, "arn|1|c2hh");
    assert_false(record_page_next(&one.page, record, &err));
    assert_false(err_is_set(&err));
    one_done(&one);
}

static void test_white_space_unknown_members_and_order(void **state) {
    (void)state;
    struct one one = first_of(
        " \t\r\n{ \"x\" : [ 1 , -2.5e+3 , [ ] , { } , { \"a\" : null } , true , false ] ,\n"
        "\"NextShardIterator\" : \"it\" , \"Records\" : [ { \"new\" : \"\\ud83d\" , \"dynamodb\" :"
        " { \"SequenceNumber\" : \"5\" , \"Keys\" : { \"k\" : { \"S\" : \"v\" } } , \"z\" : 0 } } ]"
        " , \"y\" : {} } \n");
    assert_text(one.record.keys, "{ \"k\" : { \"S\" : \"v\" } }");
    struct err err = ERR_NONE;
    assert_false(record_page_next(&one.page, &one.record, &err));
    assert_false(err_is_set(&err));
    assert_text(one.page.next_iterator, "it");
    one_done(&one);
}

static void test_null_is_absent_and_the_last_wins(void **state) {
    (void)state;
    struct one one = first_of(
        "{\"Records\":[{\"eventID\":\"a\",\"eventID\":\"b\",\"eventName\":\"X\",\"eventName\":null,"
        "\"awsRegion\":null,\"dynamodb\":{\"Keys\":{},\"SequenceNumber\":\"1\",\"NewImage\":{}},"
        "\"dynamodb\":{\"SequenceNumber\":\"2\",\"SequenceNumber\":\"3\",\"OldImage\":null,"
        "\"SizeBytes\":null,\"ApproximateCreationDateTime\":5,"
        "\"ApproximateCreationDateTime\":null},\"userIdentity\":{\"type\":\"T\",\"Type\":\"U\"},"
        "\"userIdentity\":null}]}");
    struct record *record = &one.record;
    assert_text(record->event_id, "b");
    assert_text(record->event_name, NULL);
    assert_text(record->aws_region, NULL);
    assert_text(record->sequence_number, "3");
    assert_text(record->keys, NULL);
    assert_text(record->new_image, NULL);
    assert_text(record->old_image, NULL);
    assert_text(record->size_bytes, NULL);
    assert_false(record->has_created);
    assert_int_equal(record->created_ms, 0);
    assert_false(record->has_user_identity);
    assert_text(record->identity_type, NULL);
    one_done(&one);
}

static void test_user_identity_in_both_cases(void **state) {
    (void)state;
    struct one one =
        first_of("{\"Records\":[{\"userIdentity\":{\"PrincipalId\":\"p\",\"Type\":"
                 "\"Service\",\"other\":[]},\"dynamodb\":{\"SequenceNumber\":\"1\"}}]}");
    assert_true(one.record.has_user_identity);
    assert_text(one.record.principal_id, "p");
    assert_text(one.record.identity_type, "Service");
    one_done(&one);
    one = first_of("{\"Records\":[{\"userIdentity\":{},\"dynamodb\":{\"SequenceNumber\":\"1\"}}]}");
    assert_true(one.record.has_user_identity);
    assert_text(one.record.principal_id, NULL);
    one_done(&one);
}

static void test_pages_without_records(void **state) {
    (void)state;
    static const struct {
        const char *body;
        const char *iterator;
    } cases[] = {
        {"{}", NULL},
        {"{\"Records\":[]}", NULL},
        {"{\"Records\":[],\"NextShardIterator\":\"i\"}", "i"},
        {"{\"Records\":[],\"NextShardIterator\":null}", NULL},
        {"{\"Records\":[],\"NextShardIterator\":\"\"}", NULL},
        {"{\"Records\":null,\"NextShardIterator\":\"i\"}", "i"},
        {"{\"NextShardIterator\":\"i\"}", "i"},
        {"{\"NextShardIterator\":\"i\",\"Records\":[ ]}", "i"},
        {"{\"NextShardIterator\":\"i\",\"Records\":[],\"NextShardIterator\":\"j\"}", "j"},
        {"{\"NextShardIterator\":\"i\",\"Records\":[],\"NextShardIterator\":null}", NULL},
    };
    struct guarded memory = guarded_new(256);
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct record_page page;
        struct record record;
        struct err err = ERR_NONE;
        assert_true(
            record_page_open(&page, guarded_put(&memory, str_of(cases[i].body), '}'), &err));
        assert_false(record_page_next(&page, &record, &err));
        assert_false(err_is_set(&err));
        assert_true(page.ended);
        assert_text(page.next_iterator, cases[i].iterator);
    }
    guarded_free(&memory);
}

static int64_t created(const char *number) {
    char body[512];
    (void)snprintf(body, sizeof body,
                   "{\"Records\":[{\"dynamodb\":{\"ApproximateCreationDateTime\":%s,"
                   "\"SequenceNumber\":\"1\"}}]}",
                   number);
    struct one one = first_of(body);
    assert_true(one.record.has_created);
    one_done(&one);
    return one.record.created_ms;
}

static void test_times_in_every_spelling(void **state) {
    (void)state;
    assert_int_equal(created("1795441620"), 1795441620000);
    assert_int_equal(created("1795441620.000"), 1795441620000);
    assert_int_equal(created("1795441620.123"), 1795441620123);
    assert_int_equal(created("1795441620.1239999"), 1795441620123); /* cut, as Java does */
    assert_int_equal(created("1.46480431E9"), 1464804310000);
    assert_int_equal(created("1.578648338E9"), 1578648338000);
    assert_int_equal(created("1.578648338123e+9"), 1578648338123);
    assert_int_equal(created("1578648338123e-3"), 1578648338123);
    assert_int_equal(created("1578648338123999999999999999999e-21"), 1578648338123);
    assert_int_equal(created("0.0000000001795441620E19"), 1795441620000);
    assert_int_equal(created("0"), 0);
    assert_int_equal(created("-0"), 0);
    assert_int_equal(created("0.0009"), 0);
    assert_int_equal(created("1e-400"), 0);
    assert_int_equal(created("0e999999999999999999999"), 0);
    assert_int_equal(created("1e-999999999999999999999"), 0);
    assert_int_equal(created("-1.5"), -1500);
    assert_int_equal(created("1e0"), 1000);
    assert_int_equal(created("9223372036854775.807"), INT64_MAX);
    /* The nearest doubles of these are a millisecond off or more. */
    assert_int_equal(created("9007199254740.993"), 9007199254740993);
    assert_int_equal(created("9007199254740993e-3"), 9007199254740993);
}

static void expect_error(const char *body, enum err_code code, const char *text) {
    struct guarded memory = guarded_new(strlen(body));
    static const char paddings[] = {'"', '}', ']', '0', ' ', '\\', 'u', '\0'};
    for (size_t i = 0; i < sizeof paddings; i++) {
        struct err err;
        if (walk(guarded_put(&memory, str_of(body), paddings[i]), &err) >= 0) {
            fail_msg("accepted: %s", body);
        }
        assert_int_equal(err.code, code);
        if (strstr(err.text, text) == NULL) {
            fail_msg("\"%s\" does not say \"%s\"", err.text, text);
        }
    }
    guarded_free(&memory);
}

static void test_broken_pages(void **state) {
    (void)state;
    expect_error("", ERR_AWS_REPLY, "ends early at byte 0");
    expect_error("  ", ERR_AWS_REPLY, "ends early at byte 2");
    expect_error("[]", ERR_AWS_REPLY, "object expected at byte 0");
    expect_error("null", ERR_AWS_REPLY, "object expected");
    expect_error("<html>", ERR_AWS_REPLY, "object expected");
    expect_error("{}{}", ERR_AWS_REPLY, "more text behind the response at byte 2");
    expect_error("{\"Records\":[]} x", ERR_AWS_REPLY, "more text");
    expect_error("{\"Records\":{}}", ERR_AWS_REPLY, "array expected");
    expect_error("{\"Records\":nul}", ERR_AWS_REPLY, "array expected");
    expect_error("{\"Records\":[],\"Records\":[]}", ERR_AWS_REPLY, "second array");
    expect_error("{\"Records\":[],}", ERR_AWS_REPLY, "a member's name expected");
    expect_error("{,\"Records\":[]}", ERR_AWS_REPLY, "a member's name expected");
    expect_error("{\"Records\":[] \"x\":1}", ERR_AWS_REPLY, "',' or '}' expected");
    expect_error("{\"Records\":[null]}", ERR_AWS_REPLY, "object expected");
    expect_error("{\"Records\":[1]}", ERR_AWS_REPLY, "object expected");
    expect_error("{\"Records\" []}", ERR_AWS_REPLY, "':' expected");
    expect_error("{\"NextShardIterator\":1}", ERR_AWS_REPLY, "string expected");
}

#define RECORD(text) "{\"Records\":[{\"dynamodb\":{\"SequenceNumber\":\"1\"}," text "}]}"
#define CHANGE(text) "{\"Records\":[{\"dynamodb\":{\"SequenceNumber\":\"1\"," text "}}]}"
#define VALUE(text) RECORD("\"x\":" text)

static void test_broken_records(void **state) {
    (void)state;
    expect_error(RECORD("\"eventID\":1"), ERR_AWS_REPLY, "string expected");
    expect_error(RECORD("\"userIdentity\":[]"), ERR_AWS_REPLY, "object expected");
    expect_error(RECORD("\"userIdentity\":{\"type\":{}}"), ERR_AWS_REPLY, "string expected");
    expect_error(RECORD("\"dynamodb\":\"x\""), ERR_AWS_REPLY, "object expected");
    expect_error(CHANGE("\"Keys\":[]"), ERR_AWS_REPLY, "object expected");
    expect_error(CHANGE("\"NewImage\":\"\""), ERR_AWS_REPLY, "object expected");
    expect_error(CHANGE("\"SizeBytes\":\"7\""), ERR_AWS_REPLY, "number expected");
    expect_error(CHANGE("\"ApproximateCreationDateTime\":\"2026\""), ERR_AWS_REPLY,
                 "number expected");
    expect_error(CHANGE("\"ApproximateCreationDateTime\":1e17"), ERR_AWS_REPLY, "out of range");
    expect_error(CHANGE("\"ApproximateCreationDateTime\":9223372036854775.808"), ERR_AWS_REPLY,
                 "out of range");
    expect_error(CHANGE("\"ApproximateCreationDateTime\":1e99999999999999999999"), ERR_AWS_REPLY,
                 "out of range");
    expect_error("{\"Records\":[{\"dynamodb\":{\"SequenceNumber\":\"1\"}} {}]}", ERR_AWS_REPLY,
                 "',' or ']' expected");
    expect_error("{\"Records\":[{\"dynamodb\":{\"SequenceNumber\":\"1\"}},]}", ERR_AWS_REPLY,
                 "a record expected");
    /* the whole grammar is checked in what is skipped, too */
    static const char *const values[] = {
        "tru",
        "True",
        "nulll",
        "01",
        "-",
        "-a",
        "+1",
        ".5",
        "1.",
        "1.e5",
        "1e",
        "1e+",
        "0x1",
        "1 2",
        "[1,]",
        "[,1]",
        "[1 2]",
        "[",
        "]",
        "{",
        "}",
        "{\"a\"}",
        "{\"a\":}",
        "{\"a\":1,}",
        "{a:1}",
        "{1:1}",
        "{\"a\" 1}",
        "{\"a\":1 \"b\":2}",
        "[1}",
        "{\"a\":1]",
        "\"",
        "\"\\",
        "\"\\x\"",
        "\"\\u12\"",
        "\"\\u12g4\"",
        "\"\\u\"",
        "\"\n\"",
        "\"\x01\"",
        "\"a\tb\"",
        "\"\x1f\"",
        "'a'",
        "NaN",
        "Infinity",
        "/**/1",
        "",
        "\"0123456789abcdef\x02\"",
        "\"0123456789abcdef\\q\"",
        "{\"k\":\"v\\\"}",
        "[[[[[[\"a\"]]]]]",
        "{\"a\":{\"b\":[]}",
    };
    char body[512];
    for (size_t i = 0; i < sizeof values / sizeof values[0]; i++) {
        (void)snprintf(body, sizeof body, VALUE("%s"), values[i]);
        expect_error(body, ERR_AWS_REPLY, "GetRecords response");
        (void)snprintf(body, sizeof body, CHANGE("\"NewImage\":{\"x\":%s}"), values[i]);
        expect_error(body, ERR_AWS_REPLY, "GetRecords response");
    }
}

static void test_values_that_are_fine(void **state) {
    (void)state;
    static const char *const values[] = {
        "0",
        "-0",
        "-0.0e-0",
        "10",
        "1E5",
        "1.5e+10",
        "true",
        "false",
        "null",
        "\"\"",
        "[]",
        "{}",
        "[[]]",
        "[{}]",
        "{\"\":\"\"}",
        "\"\\\"\\\\\\/\\b\\f\\n\\r\\t\\u0000\\uD83D\\uDE00\\uabCD\"",
        "\"\x7f\xc3\xa9\xe6\x97\xa5\xf0\x9f\x98\x80\"",
        "[1,\"2\",[3,{\"a\":[4,{}]}],5]",
        "\"0123456789abcde\"",
        "\"0123456789abcdef\"",
        "\"0123456789abcdef0123456789abcdef\\n\"",
        "{\"a\":{\"b\":{\"c\":[[],[],{}]}},\"d\":1}",
    };
    for (size_t i = 0; i < sizeof values / sizeof values[0]; i++) {
        char body[512];
        (void)snprintf(body, sizeof body, CHANGE("\"NewImage\":{\"x\":%s}"), values[i]);
        struct one one = first_of(body);
        char image[256];
        (void)snprintf(image, sizeof image, "{\"x\":%s}", values[i]);
        assert_text(one.record.new_image, image);
        one_done(&one);
    }
}

static void test_records_without_a_usable_position(void **state) {
    (void)state;
    static const char *const changes[] = {
        "\"x\":1",
        "\"dynamodb\":null",
        "\"dynamodb\":{\"Keys\":{}}",
        "\"dynamodb\":{\"SequenceNumber\":null}",
        "\"dynamodb\":{\"SequenceNumber\":\"\"}",
        "\"dynamodb\":{\"SequenceNumber\":\"12a\"}",
        "\"dynamodb\":{\"SequenceNumber\":\"\\u0031\"}",
        "\"dynamodb\":{\"SequenceNumber\":\"12345678901234567890123456789012345678901\"}",
    };
    for (size_t i = 0; i < sizeof changes / sizeof changes[0]; i++) {
        char body[512];
        (void)snprintf(body, sizeof body,
                       "{\"Records\":[{\"eventID\":\"e\",%s},"
                       "{\"dynamodb\":{\"SequenceNumber\":\"9\"}}],\"NextShardIterator\":\"i\"}",
                       changes[i]);
        struct guarded memory = guarded_new(strlen(body));
        struct record_page page;
        struct record record;
        struct err err = ERR_NONE;
        assert_true(record_page_open(&page, guarded_put(&memory, str_of(body), '1'), &err));
        assert_false(record_page_next(&page, &record, &err));
        assert_int_equal(err.code, ERR_RECORD);
        assert_text(record.event_id, "e");
        assert_false(page.ended);
        err = ERR_NONE; /* the walk can go on behind it */
        assert_true(record_page_next(&page, &record, &err));
        assert_text(record.sequence_number, "9");
        assert_false(record_page_next(&page, &record, &err));
        assert_false(err_is_set(&err));
        assert_text(page.next_iterator, "i");
        guarded_free(&memory);
    }
}

static void test_broken_json_stays_broken(void **state) {
    (void)state;
    struct guarded memory = guarded_new(256);
    struct str body = guarded_put(
        &memory, STR("{\"Records\":[{\"dynamodb\":{\"SequenceNumber\":\"1\"}},{\"x\":!}]}"), '}');
    struct record_page page;
    struct record record;
    struct err err = ERR_NONE;
    assert_true(record_page_open(&page, body, &err));
    assert_true(record_page_next(&page, &record, &err)); /* what came before is delivered */
    struct err again = ERR_NONE;
    assert_false(record_page_next(&page, &record, &err));
    assert_false(record_page_next(&page, &record, &again));
    assert_int_equal(err.code, ERR_AWS_REPLY);
    assert_string_equal(err.text, again.text);
    guarded_free(&memory);
}

static void nest(char *to, size_t depth, const char *open, const char *close) {
    char *at = to;
    for (size_t i = 0; i < depth; i++) {
        at = stpcpy(at, open);
    }
    at = stpcpy(at, "1");
    for (size_t i = 0; i < depth; i++) {
        at = stpcpy(at, close);
    }
}

static void test_nesting_is_bounded(void **state) {
    (void)state;
    enum { FAR_TOO_DEEP = 100000 };
    char *value = malloc(FAR_TOO_DEEP * 7 + 16);
    char *body = malloc(FAR_TOO_DEEP * 7 + 256);
    assert_non_null(value);
    assert_non_null(body);
    static const struct {
        const char *open;
        const char *close;
    } kinds[] = {{"[", "]"}, {"{\"a\":", "}"}, {"[{\"a\":", "}]"}};
    for (size_t i = 0; i < sizeof kinds / sizeof kinds[0]; i++) {
        size_t fits = i == 2 ? RECORD_MAX_DEPTH / 2 : RECORD_MAX_DEPTH;
        nest(value, fits, kinds[i].open, kinds[i].close);
        (void)sprintf(body, VALUE("%s"), value);
        struct one one = first_of(body);
        one_done(&one);
        nest(value, fits + 1, kinds[i].open, kinds[i].close);
        (void)sprintf(body, VALUE("%s"), value);
        expect_error(body, ERR_AWS_REPLY, "too deep");
    }
    memset(value, '[', FAR_TOO_DEEP);
    value[FAR_TOO_DEEP] = '\0';
    (void)sprintf(body, VALUE("%s"), value);
    expect_error(body, ERR_AWS_REPLY, "too deep");
    free(value);
    free(body);
}

/* Strings that end, break or are escaped at every distance from a 16-byte step. */
static void test_strings_of_every_length(void **state) {
    (void)state;
    struct guarded memory = guarded_new(1024);
    for (size_t len = 0; len < 80; len++) {
        for (size_t at = 0; at <= len; at++) {
            char text[256];
            memset(text, 'x', len);
            char body[512];
            struct err err;
            text[len] = '\0';
            (void)snprintf(body, sizeof body, VALUE("\"%.*s\\\"%s\""), (int)at, text, text + at);
            assert_int_equal(walk(guarded_put(&memory, str_of(body), '"'), &err), 1);
            (void)snprintf(body, sizeof body, VALUE("\"%.*s\x1f%s\""), (int)at, text, text + at);
            assert_int_equal(walk(guarded_put(&memory, str_of(body), '"'), &err), -1);
            (void)snprintf(body, sizeof body, VALUE("\"%.*s\xff\x80 ~%s\""), (int)at, text,
                           text + at);
            assert_int_equal(walk(guarded_put(&memory, str_of(body), '"'), &err), 1);
        }
    }
    guarded_free(&memory);
}

static void test_every_truncation_fails_cleanly(void **state) {
    (void)state;
    struct guarded memory = guarded_new(sizeof full_page);
    struct str whole = str_of(full_page);
    static const char paddings[] = {'"', '}', ']', '0', ' ', ',', ':', '\0', 'e'};
    struct err err;
    for (size_t p = 0; p < sizeof paddings; p++) {
        for (size_t len = 0; len < whole.len; len++) {
            struct str body = guarded_put(&memory, str_make(whole.ptr, len), paddings[p]);
            assert_int_equal(walk(body, &err), -1);
            assert_int_equal(err.code, ERR_AWS_REPLY);
        }
        assert_int_equal(walk(guarded_put(&memory, whole, paddings[p]), &err), 2);
    }
    /* the padding goes on as the text did */
    for (size_t len = 0; len < whole.len; len++) {
        struct str body = guarded_put(&memory, str_make(whole.ptr, len), 'x');
        size_t more = whole.len - len < PAGE_PADDING ? whole.len - len : PAGE_PADDING;
        memcpy(memory.map + memory.room, whole.ptr + len, more);
        assert_int_equal(walk(body, &err), -1);
    }
    guarded_free(&memory);
}

static void test_mutations_never_harm(void **state) {
    (void)state;
    struct guarded memory = guarded_new(sizeof full_page);
    struct rng rng = {.state = 7};
    static const char likely[] = "\"\\{}[],:0-e.u \t\x1f\xff\0null";
    int accepted = 0;
    for (int i = 0; i < 200000; i++) {
        char text[sizeof full_page];
        memcpy(text, full_page, sizeof text);
        size_t len = sizeof text - 1;
        size_t at = rng_below(&rng, len - 1);
        switch (rng_below(&rng, 3)) {
        case 0:
            text[at] = (char)rng_next(&rng);
            break;
        case 1:
            text[at] = likely[rng_below(&rng, sizeof likely - 1)];
            break;
        case 2: /* one byte less */
            memmove(text + at, text + at + 1, --len - at);
            break;
        default: /* a bit */
            text[at] = (char)(text[at] ^ (1 << rng_below(&rng, 7)));
            break;
        }
        struct err err;
        char padding = (char)rng_next(&rng);
        struct str body = guarded_put(&memory, str_make(text, len), padding);
        int count = walk(body, &err);
        assert_in_range(count + 1, 0, 3);
        accepted += count >= 0;
        /* the padding must not matter */
        struct err other;
        assert_int_equal(walk(guarded_put(&memory, str_make(text, len), '"'), &other), count);
        assert_string_equal(err.text, other.text);
    }
    assert_true(accepted > 1000); /* most mutations inside a string are fine */
    guarded_free(&memory);
}

/* ---- unescape ---- */

static void assert_unescaped(const char *raw, const char *expected, size_t expected_len) {
    char to[128];
    memset(to, '#', sizeof to);
    size_t len = record_unescape(str_of(raw), to);
    assert_true(len <= strlen(raw));
    assert_int_equal(len, expected_len);
    assert_memory_equal(to, expected, len);
    assert_int_equal(to[strlen(raw)], '#'); /* not written behind */
}

static void test_unescape(void **state) {
    (void)state;
#define CASE(raw, expected) assert_unescaped(raw, expected, sizeof(expected) - 1)
    CASE("", "");
    CASE("plain", "plain");
    CASE("a\\\"b\\\\c\\/d", "a\"b\\c/d");
    CASE("\\b\\f\\n\\r\\t", "\b\f\n\r\t");
    CASE("\\u0041\\u00e9\\u65E5", "A\xc3\xa9\xe6\x97\xa5");
    CASE("x\\u0000y", "x\0y");
    CASE("\\uD83D\\uDE00", "\xf0\x9f\x98\x80");
    CASE("\\udbff\\udfff", "\xf4\x8f\xbf\xbf");
    CASE("\\ud83d", "\xef\xbf\xbd");
    CASE("\\ude00", "\xef\xbf\xbd");
    CASE("\\ud83dx", "\xef\xbf\xbdx");
    CASE("\\ud83d\\n", "\xef\xbf\xbd\n");
    CASE("\\ud83d\\u0041", "\xef\xbf\xbd"
                           "A");
    CASE("\\ud83d\\ud83d\\ude00", "\xef\xbf\xbd\xf0\x9f\x98\x80");
    CASE("\\ude00\\ud83d", "\xef\xbf\xbd\xef\xbf\xbd");
    CASE("\xe6\x97\xa5\\u007f", "\xe6\x97\xa5\x7f");
    CASE("end\\", "end\\"); /* never valid; must not be read beyond */
#undef CASE
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_slices_all_members),
        cmocka_unit_test(test_white_space_unknown_members_and_order),
        cmocka_unit_test(test_null_is_absent_and_the_last_wins),
        cmocka_unit_test(test_user_identity_in_both_cases),
        cmocka_unit_test(test_pages_without_records),
        cmocka_unit_test(test_times_in_every_spelling),
        cmocka_unit_test(test_broken_pages),
        cmocka_unit_test(test_broken_records),
        cmocka_unit_test(test_values_that_are_fine),
        cmocka_unit_test(test_records_without_a_usable_position),
        cmocka_unit_test(test_broken_json_stays_broken),
        cmocka_unit_test(test_nesting_is_bounded),
        cmocka_unit_test(test_strings_of_every_length),
        cmocka_unit_test(test_every_truncation_fails_cleanly),
        cmocka_unit_test(test_mutations_never_harm),
        cmocka_unit_test(test_unescape),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
