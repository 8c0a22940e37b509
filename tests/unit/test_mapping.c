#include "base/page.h"
#include "base/rng.h"
#include "source/mapping.h"

#include <aws/common/json.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

/* A body with the padding that slicers may look at. */
static char *padded(const char *text, size_t len) {
    char *copy = malloc(len + PAGE_PADDING);
    assert_non_null(copy);
    memcpy(copy, text, len);
    memset(copy + len, '"', PAGE_PADDING);
    return copy;
}

/* One record in a body of its own. */
struct one {
    char *body;
    struct record record;
};

static struct one one_new(const char *record_json) {
    char text[8192];
    int len = snprintf(text, sizeof text, "{\"Records\":[%s]}", record_json);
    assert_in_range(len, 1, sizeof text - 1);
    struct one one = {.body = padded(text, (size_t)len)};
    struct record_page page;
    struct err err = ERR_NONE;
    if (!record_page_open(&page, str_make(one.body, (size_t)len), &err) ||
        !record_page_next(&page, &one.record, &err)) {
        fail_msg("%s: %s", record_json, err.text);
    }
    return one;
}

static struct one one_with_keys(const char *keys) {
    char record[4096];
    (void)snprintf(record, sizeof record,
                   "{\"eventID\":\"e-1\",\"dynamodb\":{\"Keys\":%s,\"SequenceNumber\":\"1\"}}",
                   keys);
    return one_new(record);
}

static void join(const struct sink_message *message, char *to, size_t capacity) {
    size_t len = 0;
    assert_true(message->value_parts <= SINK_MESSAGE_PARTS);
    for (size_t i = 0; i < message->value_parts; i++) {
        struct str part = message->value[i];
        assert_true(len + part.len < capacity);
        memcpy(to + len, part.ptr, part.len);
        len += part.len;
    }
    to[len] = '\0';
}

static struct str property(const struct sink_message *message, const char *name) {
    struct str found = STR_NONE;
    assert_true(message->property_count <= SINK_MESSAGE_PROPERTIES);
    for (size_t i = 0; i < message->property_count; i++) {
        if (str_is(message->properties[i].name, name)) {
            assert_null(found.ptr); /* once at most */
            found = message->properties[i].value;
        }
    }
    return found;
}

static void assert_text(struct str text, const char *expected) {
    if (expected == NULL) {
        assert_null(text.ptr);
    } else if (text.ptr == NULL || !str_is(text, expected)) {
        fail_msg("\"%.*s\" instead of \"%s\"", STR_FMT(text), expected);
    }
}

static struct mapping single(const char *hash_key) {
    struct mapping mapping;
    mapping_init(&mapping);
    mapping.hash_key = str_of(hash_key);
    mapping.table_name = STR("orders");
    mapping.shard_id = STR("shard-1");
    return mapping;
}

static void assert_key(struct mapping *mapping, const char *keys, const char *expected,
                       bool base64) {
    struct one one = one_with_keys(keys);
    struct sink_message message;
    struct err err = ERR_NONE;
    if (!mapping_map(mapping, &one.record, &message, &err)) {
        fail_msg("%s: %s", keys, err.text);
    }
    assert_text(message.key, expected);
    assert_int_equal(message.key_is_base64, base64);
    /* the value has the keys as they came, whatever the key looks like */
    char value[8192];
    char whole[8192];
    join(&message, value, sizeof value);
    (void)snprintf(whole, sizeof whole,
                   "{\"eventID\":\"e-1\",\"dynamodb\":{\"Keys\":%s,\"SequenceNumber\":\"1\"}}",
                   keys);
    assert_string_equal(value, whole);
    free(one.body);
}

static void test_single_keys(void **state) {
    (void)state;
    struct mapping mapping = single("id");
    assert_key(&mapping, "{\"id\":{\"S\":\"plain\"}}", "plain", false);
    assert_key(&mapping, "{\"id\":{\"N\":\"-0.00012\"}}", "-0.00012", false);
    assert_key(&mapping, "{\"id\":{\"N\":\"12345678901234567890123456789012345678\"}}",
               "12345678901234567890123456789012345678", false);
    assert_key(&mapping, "{\"id\":{\"B\":\"3q2+7w==\"}}", "3q2+7w==", true);
    assert_key(&mapping, "{\"id\":{\"B\":\"AA\\/\\u002B\"}}", "AA/+", true);
    assert_key(&mapping, "{\"id\":{\"S\":\"\"}}", "", false);
    assert_key(&mapping, "{\"id\":{\"S\":\"a\\\"b\\\\c\\/d\\n\\u0001\\u00e9\"}}",
               "a\"b\\c/d\n\001\xc3\xa9", false);
    assert_key(&mapping, "{\"id\":{\"S\":\"\\uD83D\\uDE00\"}}", "\xf0\x9f\x98\x80", false);
    assert_key(&mapping, "{\"id\":{\"S\":\"\\uD83D\"}}", "\xef\xbf\xbd", false);
    assert_key(&mapping, "{ \"other\" : { \"S\" : \"x\" } , \"id\" : { \"S\" : \"v\" } }", "v",
               false);
    assert_key(&mapping, "{\"id\":{\"S\":\"first\"},\"id\":{\"S\":\"last\"}}", "last", false);
    assert_key(&mapping, "{\"i\\u0064\":{\"S\":\"escaped name\"}}", "escaped name", false);
    mapping_done(&mapping);

    mapping = single("\xd0\xba\"");
    assert_key(&mapping, "{\"\xd0\xba\\\"\":{\"S\":\"v\"}}", "v", false);
    assert_key(&mapping, "{\"\\u043a\\u0022\":{\"S\":\"v\"}}", "v", false);
    mapping_done(&mapping);

    mapping = single("S"); /* an attribute may be called like a type */
    assert_key(&mapping, "{\"N\":{\"N\":\"1\"},\"S\":{\"N\":\"2\"}}", "2", false);
    mapping_done(&mapping);
}

static void test_composite_keys(void **state) {
    (void)state;
    struct mapping mapping = single("pk");
    mapping.range_key = STR("sk");
    assert_key(&mapping, "{\"pk\":{\"S\":\"a\"},\"sk\":{\"N\":\"1\"}}", "[\"a\",\"1\"]", false);
    /* in the key schema's order, not the record's */
    assert_key(&mapping, "{\"sk\":{\"N\":\"1\"},\"pk\":{\"S\":\"a\"}}", "[\"a\",\"1\"]", false);
    assert_key(&mapping, "{\"pk\":{\"B\":\"AA==\"},\"sk\":{\"B\":\"\\/w==\"}}",
               "[\"AA==\",\"/w==\"]", false);
    /* escapes are undone, then made anew: only what must be, in one spelling */
    assert_key(&mapping,
               "{\"pk\":{\"S\":\"\\\"\\\\\\/\\b\\f\\n\\r\\t\\u0000\\u001F\\u007f\"},"
               "\"sk\":{\"S\":\"\\u000a\\u0022\\u00e9\\uD83D\\uDE00\xe6\x97\xa5\\u2028\"}}",
               "[\"\\\"\\\\/\\b\\f\\n\\r\\t\\u0000\\u001f\x7f\","
               "\"\\n\\\"\xc3\xa9\xf0\x9f\x98\x80\xe6\x97\xa5\xe2\x80\xa8\"]",
               false);
    assert_key(&mapping, "{\"pk\":{\"S\":\"a\\\",\\\"b\"},\"sk\":{\"S\":\"\"}}",
               "[\"a\\\",\\\"b\",\"\"]", false);
    mapping_done(&mapping);
}

static void expect_no_key(struct mapping *mapping, const char *keys, const char *text) {
    struct one one = one_with_keys(keys);
    struct sink_message message;
    struct err err = ERR_NONE;
    if (mapping_map(mapping, &one.record, &message, &err)) {
        fail_msg("mapped: %s", keys);
    }
    assert_int_equal(err.code, ERR_RECORD);
    if (strstr(err.text, text) == NULL) {
        fail_msg("\"%s\" does not say %s", err.text, text);
    }
    free(one.body);
}

static void test_keys_that_cannot_be(void **state) {
    (void)state;
    struct mapping mapping = single("id");
    expect_no_key(&mapping, "{}", "\"id\" is missing");
    expect_no_key(&mapping, "null", "\"id\" is missing");
    expect_no_key(&mapping, "{\"di\":{\"S\":\"x\"}}", "\"id\" is missing");
    static const char *const values[] = {
        "{}",
        "null",
        "\"x\"",
        "[]",
        "{\"BOOL\":true}",
        "{\"NULL\":true}",
        "{\"M\":{}}",
        "{\"SS\":[\"a\"]}",
        "{\"S\":1}",
        "{\"S\":null}",
        "{\"S\":{\"S\":\"x\"}}",
        "{\"s\":\"x\"}",
        "{\"S\":\"x\",\"N\":\"1\"}",
    };
    for (size_t i = 0; i < sizeof values / sizeof values[0]; i++) {
        char keys[128];
        (void)snprintf(keys, sizeof keys, "{\"id\":%s}", values[i]);
        expect_no_key(&mapping, keys, "\"id\" is not of type S, N or B");
    }
    mapping.range_key = STR("sk");
    expect_no_key(&mapping, "{\"id\":{\"S\":\"x\"}}", "\"sk\" is missing");
    expect_no_key(&mapping, "{\"id\":{\"S\":\"x\"},\"sk\":{\"L\":[]}}", "\"sk\" is not of type");
    /* and the mapping works on */
    assert_key(&mapping, "{\"id\":{\"S\":\"x\"},\"sk\":{\"N\":\"1\"}}", "[\"x\",\"1\"]", false);
    mapping_done(&mapping);
}

static void test_other_keys(void **state) {
    (void)state;
    struct mapping mapping = single("id");
    struct sink_message message;
    struct err err = ERR_NONE;
    mapping.key = MESSAGE_KEY_EVENT_ID;
    struct one one = one_new("{\"eventID\":\"a\\u002d1\",\"dynamodb\":{\"SequenceNumber\":\"1\"}}");
    assert_true(mapping_map(&mapping, &one.record, &message, &err));
    assert_text(message.key, "a-1");
    assert_text(property(&message, "EVENT_ID"), "a-1");
    assert_false(message.key_is_base64);
    mapping.key = MESSAGE_KEY_NONE;
    assert_true(mapping_map(&mapping, &one.record, &message, &err));
    assert_text(message.key, NULL);
    free(one.body);

    mapping.key = MESSAGE_KEY_EVENT_ID;
    one = one_new("{\"dynamodb\":{\"SequenceNumber\":\"1\"}}");
    assert_false(mapping_map(&mapping, &one.record, &message, &err));
    assert_int_equal(err.code, ERR_RECORD);
    free(one.body);
    mapping_done(&mapping);
}

static void assert_value(const char *record, const char *expected) {
    struct mapping mapping = single("id");
    mapping.key = MESSAGE_KEY_NONE;
    struct one one = one_new(record);
    struct sink_message message;
    struct err err = ERR_NONE;
    assert_true(mapping_map(&mapping, &one.record, &message, &err));
    char value[8192];
    join(&message, value, sizeof value);
    assert_string_equal(value, expected);
    free(one.body);
    mapping_done(&mapping);
}

static void test_value_has_one_order_and_raw_slices(void **state) {
    (void)state;
    /* members in another order, with white space and unknown ones */
    assert_value("{ \"userIdentity\" : { \"Type\" : \"Service\" , \"x\" : 1 , \"PrincipalId\" : "
                 "\"dynamodb.amazonaws.com\" } , \"unknown\" : [ 1 ] , \"dynamodb\" : { "
                 "\"StreamViewType\" : \"NEW_IMAGE\" , \"SizeBytes\" : 26 , \"SequenceNumber\" : "
                 "\"0007\" , \"OldImage\" : {\"o\" : {} } , \"NewImage\" : { \"e\":{\"S\":\"\\uD83D"
                 "\\uDE00\\/\"} } , \"Keys\" : {} , \"ApproximateCreationDateTime\" : 1.5E9 } , "
                 "\"awsRegion\" : \"eu\\u002dwest\" , \"eventSource\" : \"aws:dynamodb\" , "
                 "\"eventVersion\" : \"1.1\" , \"eventName\" : \"MODIFY\" , \"eventID\" : \"e\" }",
                 "{\"eventID\":\"e\",\"eventName\":\"MODIFY\",\"eventVersion\":\"1.1\","
                 "\"eventSource\":\"aws:dynamodb\",\"awsRegion\":\"eu\\u002dwest\",\"dynamodb\":{"
                 "\"ApproximateCreationDateTime\":1500000000000,\"Keys\":{},"
                 "\"NewImage\":{ \"e\":{\"S\":\"\\uD83D\\uDE00\\/\"} },\"OldImage\":{\"o\" : {} },"
                 "\"SequenceNumber\":\"0007\",\"SizeBytes\":26,\"StreamViewType\":\"NEW_IMAGE\"},"
                 "\"userIdentity\":{\"principalId\":\"dynamodb.amazonaws.com\","
                 "\"type\":\"Service\"}}");
}

static void test_value_leaves_out_what_is_absent(void **state) {
    (void)state;
    assert_value("{\"dynamodb\":{\"SequenceNumber\":\"1\"}}",
                 "{\"dynamodb\":{\"SequenceNumber\":\"1\"}}");
    assert_value("{\"dynamodb\":{\"OldImage\":{},\"SequenceNumber\":\"1\"}}",
                 "{\"dynamodb\":{\"OldImage\":{},\"SequenceNumber\":\"1\"}}");
    assert_value("{\"dynamodb\":{\"ApproximateCreationDateTime\":0,\"SequenceNumber\":\"1\"},"
                 "\"userIdentity\":{}}",
                 "{\"dynamodb\":{\"ApproximateCreationDateTime\":0,\"SequenceNumber\":\"1\"},"
                 "\"userIdentity\":{}}");
    assert_value("{\"awsRegion\":\"\",\"dynamodb\":{\"ApproximateCreationDateTime\":-1.5,"
                 "\"SequenceNumber\":\"1\",\"StreamViewType\":\"{\"},"
                 "\"userIdentity\":{\"type\":\"T\"}}",
                 "{\"awsRegion\":\"\",\"dynamodb\":{\"ApproximateCreationDateTime\":-1500,"
                 "\"SequenceNumber\":\"1\",\"StreamViewType\":\"{\"},"
                 "\"userIdentity\":{\"type\":\"T\"}}");
}

static void test_properties_and_time(void **state) {
    (void)state;
    struct mapping mapping = single("id");
    mapping.key = MESSAGE_KEY_NONE;
    struct one one = one_new("{\"eventID\":\"e\",\"eventName\":\"UNKNOWN\\u005fTO_SDK_VERSION\","
                             "\"dynamodb\":{\"ApproximateCreationDateTime\":1795441620.000,"
                             "\"SequenceNumber\":\"00042\"}}");
    struct sink_message message;
    struct err err = ERR_NONE;
    assert_true(mapping_map(&mapping, &one.record, &message, &err));
    assert_int_equal(message.event_time_ms, 1795441620000);
    assert_int_equal(message.property_count, 5);
    assert_text(property(&message, "EVENT_NAME"), "UNKNOWN_TO_SDK_VERSION");
    assert_text(property(&message, "SEQUENCE_NUMBER"), "00042");
    assert_text(property(&message, "EVENT_ID"), "e");
    assert_text(property(&message, "SHARD_ID"), "shard-1");
    assert_text(property(&message, "TABLE_NAME"), "orders");
    free(one.body);

    mapping.table_name = STR_NONE;
    one = one_new("{\"dynamodb\":{\"SequenceNumber\":\"1\"}}");
    assert_true(mapping_map(&mapping, &one.record, &message, &err));
    assert_int_equal(message.event_time_ms, 0);
    assert_int_equal(message.property_count, 2);
    assert_text(property(&message, "SEQUENCE_NUMBER"), "1");
    assert_text(property(&message, "SHARD_ID"), "shard-1");
    free(one.body);
    mapping_done(&mapping);
}

/* ---- records that look like their message ---- */

/* Most members of a record, mostly in the usual order; ret_usual: it should be found to look like its message. */
static void random_record(struct rng *rng, char *to, bool *ret_usual) {
    static const char *const record_members[] = {
        "\"eventID\":\"e\\u0031\"",    "\"eventName\":\"MODIFY\"",
        "\"eventVersion\":\"1.1\"",    "\"eventSource\":\"aws:dynamodb\"",
        "\"awsRegion\":\"eu-west-1\"",
    };
    static const char *const change_members[] = {
        "\"ApproximateCreationDateTime\":1795441620",
        "\"Keys\":{\"id\":{\"S\":\"a\"}}",
        "\"NewImage\":{\"id\":{\"S\":\"a\"},\"l\":{\"L\":[]}}",
        "\"OldImage\":{ }",
        "\"SequenceNumber\":\"0017\"",
        "\"SizeBytes\":26",
        "\"StreamViewType\":\"NEW_IMAGE\"",
    };
    static const char *const strange[] = {
        "\"unknown\":1",    "\"Keys\":null",    "\"eventID\":null",
        "\"SizeBytes\" :7", " \"SizeBytes\":8",
    };
    const char *all[16];
    size_t count = 0;
    *ret_usual = true;
    char *at = stpcpy(to, "{");
    for (size_t i = 0; i < 5; i++) {
        if (rng_below(rng, 3) > 0) {
            at = stpcpy(stpcpy(at, record_members[i]), ",");
        }
    }
    for (size_t i = 0; i < 7; i++) {
        /* without a time there is nothing to be gained; without a number it is no record */
        if (i == 0 || i == 4 || rng_below(rng, 3) > 0) {
            all[count++] = change_members[i];
        }
    }
    if (rng_below(rng, 3) == 0) {
        size_t a = rng_below(rng, count - 1);
        size_t b = rng_below(rng, count - 1);
        const char *swapped = all[a];
        all[a] = all[b];
        all[b] = swapped;
        *ret_usual = a == b;
    }
    if (rng_below(rng, 3) == 0) {
        all[count++] = strange[rng_below(rng, 4)];
        *ret_usual = false;
    }
    at = stpcpy(at, "\"dynamodb\":{");
    for (size_t i = 0; i < count; i++) {
        at = stpcpy(stpcpy(at, i > 0 ? "," : ""), all[i]);
    }
    at = stpcpy(at, "}");
    if (rng_below(rng, 9) == 0) {
        at = stpcpy(at, ",\"userIdentity\":{\"type\":\"T\"}");
        *ret_usual = false;
    }
    if (rng_below(rng, 9) == 0) {
        at = stpcpy(at, " ");
        *ret_usual = false;
    }
    (void)stpcpy(at, "}");
}

static void join_mapped(struct mapping *mapping, const struct record *record, char *to,
                        size_t capacity) {
    struct sink_message message;
    struct err err = ERR_NONE;
    assert_true(mapping_map(mapping, record, &message, &err));
    join(&message, to, capacity);
}

/* What is taken over from the page as it stands is what the mapping would have written, and what other records were
 * read before, in whatever order, changes nothing. */
static void test_slices_are_what_would_be_written(void **state) {
    (void)state;
    enum { RECORDS = 3, MAX = 1024 };
    struct rng rng = {.state = 3};
    struct mapping mapping = single("id");
    mapping.key = MESSAGE_KEY_NONE;
    for (int round = 0; round < 20000; round++) {
        char text[RECORDS * MAX] = "{\"Records\":[";
        char records[RECORDS][MAX];
        bool usual[RECORDS];
        for (int i = 0; i < RECORDS; i++) {
            random_record(&rng, records[i], &usual[i]);
            (void)strcat(strcat(text, i > 0 ? "," : ""), records[i]);
        }
        (void)strcat(text, "]}");
        char *body = padded(text, strlen(text));
        struct record_page page;
        struct err err = ERR_NONE;
        assert_true(record_page_open(&page, str_make(body, strlen(text)), &err));
        for (int i = 0; i < RECORDS; i++) {
            struct record record;
            assert_true(record_page_next(&page, &record, &err));
            assert_int_equal(record.head.ptr != NULL, usual[i]);
            char sliced[MAX];
            char written[MAX];
            char alone[MAX];
            join_mapped(&mapping, &record, sliced, sizeof sliced);
            record.head = STR_NONE;
            join_mapped(&mapping, &record, written, sizeof written);
            struct one one = one_new(records[i]);
            one.record.head = STR_NONE;
            join_mapped(&mapping, &one.record, alone, sizeof alone);
            free(one.body);
            assert_string_equal(sliced, alone);
            assert_string_equal(written, alone);
        }
        free(body);
    }
    mapping_done(&mapping);
}

/* The scratch is reserved once per record and holds whatever the worst record needs: were it too small, it would
 * move under the slices. */
static void test_scratch_is_reserved_for_the_worst(void **state) {
    (void)state;
    enum { LEN = 12000 };
    char *escaped = malloc(LEN + 1);
    char *record = malloc(20 * LEN);
    assert_non_null(escaped);
    assert_non_null(record);
    static const char *const escapes[] = {
        "\\u0000", "\\u00e9", "\\uD83D\\uDE00", "\\ud800", "\\\"", "\\/", "\\n", "x"};
    for (size_t i = 0; i < sizeof escapes / sizeof escapes[0]; i++) {
        size_t step = strlen(escapes[i]);
        size_t len = 0;
        for (; len + step <= LEN; len += step) {
            memcpy(escaped + len, escapes[i], step);
        }
        escaped[len] = '\0';
        int record_len = sprintf(record,
                                 "{\"Records\":[{\"eventID\":\"%s\",\"eventName\":\"%s\","
                                 "\"dynamodb\":{\"Keys\":{\"id\":{\"S\":\"%s\"},\"%s\":{\"S\":"
                                 "\"%s\"}},\"SequenceNumber\":\"1\"}}]}",
                                 escaped, escaped, escaped, escaped, escaped);
        char *body = padded(record, (size_t)record_len);
        char *name = malloc(len + 1);
        assert_non_null(name);
        size_t name_len = record_unescape(str_of(escaped), name);
        struct mapping mapping = single("id");
        mapping.range_key = str_make(name, name_len);
        struct record_page page;
        struct record slices;
        struct sink_message message;
        struct err err = ERR_NONE;
        assert_true(record_page_open(&page, str_make(body, (size_t)record_len), &err));
        assert_true(record_page_next(&page, &slices, &err));
        assert_true(mapping_map(&mapping, &slices, &message, &err));
        const char *start = mapping.scratch.data;
        const char *end = start + mapping.scratch.len;
        assert_false(mapping.scratch.failed);
        assert_in_range((size_t)message.key.ptr, (size_t)start, (size_t)end);
        assert_in_range((size_t)message.value[0].ptr, (size_t)start, (size_t)end);
        assert_memory_equal(message.key.ptr, "[\"", 2);
        assert_memory_equal(message.value[0].ptr, "{\"eventID\":\"", 12);
        /* the same again: nothing moves */
        assert_true(mapping_map(&mapping, &slices, &message, &err));
        assert_ptr_equal(mapping.scratch.data, start);
        mapping_done(&mapping);
        free(name);
        free(body);
    }
    free(record);
    free(escaped);
}

static void test_scratch_is_bounded(void **state) {
    (void)state;
    size_t len = 300000;
    char *text = malloc(len + 256);
    assert_non_null(text);
    int head = sprintf(text, "{\"Records\":[{\"dynamodb\":{\"Keys\":{\"id\":{\"S\":\"");
    memset(text + head, 'k', len);
    int tail = sprintf(text + head + len, "\"}},\"SequenceNumber\":\"1\"}}]}");
    size_t total = (size_t)head + len + (size_t)tail;
    char *body = padded(text, total);
    struct mapping mapping = single("id");
    struct record_page page;
    struct record record;
    struct sink_message message;
    struct err err = ERR_NONE;
    assert_true(record_page_open(&page, str_make(body, total), &err));
    assert_true(record_page_next(&page, &record, &err));
    assert_false(mapping_map(&mapping, &record, &message, &err));
    assert_int_equal(err.code, ERR_RECORD);
    assert_true(mapping.scratch.capacity <= len);
    free(body);
    free(text);
    /* the next record is none the worse */
    assert_key(&mapping, "{\"id\":{\"S\":\"x\"}}", "x", false);
    mapping_done(&mapping);
}

/* ---- what the Java connector published for the same pages ---- */

static char *read_file(const char *name, size_t *ret_len) {
    char path[1024];
    (void)snprintf(path, sizeof path, "%s/reference/%s", TEST_DATA_DIR, name);
    FILE *file = fopen(path, "rb");
    if (file == NULL) {
        fail_msg("cannot open %s", path);
    }
    assert_int_equal(fseek(file, 0, SEEK_END), 0);
    long size = ftell(file);
    assert_true(size >= 0);
    rewind(file);
    char *text = calloc(1, (size_t)size + PAGE_PADDING);
    assert_non_null(text);
    assert_int_equal(fread(text, 1, (size_t)size, file), size);
    (void)fclose(file);
    *ret_len = (size_t)size;
    return text;
}

static struct aws_json_value *parse(struct str text) {
    struct aws_json_value *value = aws_json_value_new_from_string(
        aws_default_allocator(), aws_byte_cursor_from_array(text.ptr, text.len));
    assert_non_null(value);
    return value;
}

static const struct aws_json_value *member(const struct aws_json_value *object, const char *name) {
    const struct aws_json_value *value = aws_json_value_get_from_object_c_str(object, name);
    assert_non_null(value);
    return value;
}

static struct str text_of(const struct aws_json_value *value) {
    struct aws_byte_cursor cursor;
    assert_int_equal(aws_json_value_get_string(value, &cursor), AWS_OP_SUCCESS);
    return str_make((const char *)cursor.ptr, cursor.len);
}

/* Surrogate pairs of \u escapes as the characters that they are: that is how the Java connector spells them, which
 * parses images and writes them anew. Ours come as they were. */
static bool undo_pairs(char *text) {
    bool any = false;
    for (char *at = text; (at = strstr(at, "\\uD")) != NULL;) {
        char utf8[16];
        size_t len = record_unescape(str_make(at, 12), utf8);
        memcpy(at, utf8, len);
        memmove(at + len, at + 12, strlen(at + 12) + 1);
        at += len;
        any = true;
    }
    return any;
}

struct java {
    struct aws_json_value *lines[64];
    size_t count;
    size_t next;
    size_t exact;   /* values that are equal byte for byte */
    size_t respelt; /* values that are equal but for \u escapes */
};

static void compare_record(struct java *java, struct mapping *mapping, const struct record *record,
                           const char *table, const char *item_key) {
    assert_true(java->next < java->count);
    const struct aws_json_value *line = java->lines[java->next++];
    assert_text(text_of(member(line, "table")), table);
    struct sink_message message;
    struct err err = ERR_NONE;
    char key[256];

    mapping->key = MESSAGE_KEY_EVENT_ID;
    assert_true(mapping_map(mapping, record, &message, &err));
    assert_true(str_copy(text_of(member(line, "key")), key, sizeof key));
    assert_text(message.key, key);

    mapping->key = MESSAGE_KEY_ITEM;
    assert_true(mapping_map(mapping, record, &message, &err));
    assert_text(message.key, item_key);
    assert_int_equal(message.event_time_ms, 1795441620000);

    const struct aws_json_value *properties = member(line, "properties");
    static const char *const names[] = {"EVENT_NAME", "SEQUENCE_NUMBER"};
    for (size_t i = 0; i < 2; i++) {
        struct str theirs = text_of(member(properties, names[i]));
        assert_true(str_equal(property(&message, names[i]), theirs));
    }

    char value[4096];
    char theirs[4096];
    join(&message, value, sizeof value);
    assert_true(str_copy(text_of(member(line, "value")), theirs, sizeof theirs));
    if (strcmp(value, theirs) == 0) {
        java->exact++;
        return;
    }
    assert_true(undo_pairs(value));
    assert_string_equal(value, theirs);
    java->respelt++;
}

static void compare_table(struct java *java, const char *table, const char *const *item_keys,
                          size_t key_count) {
    char name[128];
    size_t len;
    (void)snprintf(name, sizeof name, "wire/%s.describe-stream.json", table);
    char *description_text = read_file(name, &len);
    struct aws_json_value *description = parse(str_make(description_text, len));
    const struct aws_json_value *schema =
        member(member(description, "StreamDescription"), "KeySchema");
    struct mapping mapping;
    mapping_init(&mapping);
    mapping.table_name = str_of(table);
    for (size_t i = 0; i < aws_json_get_array_size(schema); i++) {
        const struct aws_json_value *attribute = aws_json_get_array_element(schema, i);
        bool hash = str_is(text_of(member(attribute, "KeyType")), "HASH");
        *(hash ? &mapping.hash_key : &mapping.range_key) =
            text_of(member(attribute, "AttributeName"));
    }

    (void)snprintf(name, sizeof name, "wire/%s.get-records.json", table);
    char *body = read_file(name, &len);
    struct record_page page;
    struct record record;
    struct err err = ERR_NONE;
    assert_true(record_page_open(&page, str_make(body, len), &err));
    size_t count = 0;
    while (record_page_next(&page, &record, &err)) {
        assert_true(count < key_count);
        compare_record(java, &mapping, &record, table, item_keys[count++]);
    }
    assert_false(err_is_set(&err));
    assert_true(page.ended);
    assert_true(str_starts(page.next_iterator, "arn:aws:dynamodb:ddblocal:"));
    assert_int_equal(count, key_count);
    mapping_done(&mapping);
    aws_json_value_destroy(description);
    free(description_text);
    free(body);
}

static void test_agrees_with_the_java_connector(void **state) {
    (void)state;
    struct java java = {.count = 0};
    size_t len;
    char *text = read_file("java-connector-output.jsonl", &len);
    for (char *line = text, *end; (end = strchr(line, '\n')) != NULL; line = end + 1) {
        assert_true(java.count < sizeof java.lines / sizeof java.lines[0]);
        java.lines[java.count++] = parse(str_make(line, (size_t)(end - line)));
    }
    static const char *const single_keys[] = {"plain",   "binary", "sets", "nested",
                                              "unicode", "plain",  "plain"};
    static const char *const composite_keys[] = {"[\"a\",\"1\"]", "[\"a\",\"1\"]", "[\"a\",\"1\"]"};
    static const char *const binary_keys[] = {"3q2+7w==", "3q2+7w=="};
    static const char *const number_keys[] = {"7", "7", "7"};
    compare_table(&java, "golden_single", single_keys, 7);
    compare_table(&java, "golden_composite", composite_keys, 3);
    compare_table(&java, "golden_new", binary_keys, 2);
    compare_table(&java, "golden_old", number_keys, 3);
    assert_int_equal(java.next, java.count);
    assert_int_equal(java.exact, 14);
    assert_int_equal(java.respelt, 1); /* the record with an emoji, which came as \uD83D\uDE00 */
    for (size_t i = 0; i < java.count; i++) {
        aws_json_value_destroy(java.lines[i]);
    }
    free(text);
}

int main(void) {
    aws_common_library_init(aws_default_allocator());
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_single_keys),
        cmocka_unit_test(test_composite_keys),
        cmocka_unit_test(test_keys_that_cannot_be),
        cmocka_unit_test(test_other_keys),
        cmocka_unit_test(test_value_has_one_order_and_raw_slices),
        cmocka_unit_test(test_value_leaves_out_what_is_absent),
        cmocka_unit_test(test_properties_and_time),
        cmocka_unit_test(test_slices_are_what_would_be_written),
        cmocka_unit_test(test_scratch_is_reserved_for_the_worst),
        cmocka_unit_test(test_scratch_is_bounded),
        cmocka_unit_test(test_agrees_with_the_java_connector),
    };
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    aws_common_library_clean_up();
    return failed;
}
