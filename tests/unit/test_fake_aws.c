#include "fakes/fake_aws.h"

#include "cmocka_all.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <zlib.h>

#define ARN "arn:aws:dynamodb:eu-west-1:123456789012:table/T/stream/2026-01-01T00:00:00.000"
#define NOW INT64_C(1800000000000)

static struct fake_aws aws;
static struct fake_reply reply;
static yyjson_doc *doc;

static void script(const char *lines) {
    struct err err = ERR_NONE;
    if (!fake_aws_script(&aws, str_of(lines), NOW, &err)) {
        fail_msg("%s", err.text);
    }
}

static void handle(int64_t now_ms, const struct fake_aws_request *request) {
    fake_reply_done(&reply);
    fake_reply_init(&reply);
    yyjson_doc_free(doc);
    fake_aws_handle(&aws, request, now_ms, &reply);
    struct str body = reply.page != NULL ? str_make(reply.page->body, reply.page->body_len)
                                         : buf_str(&reply.body);
    doc = yyjson_read(body.ptr, body.len, 0);
    if (reply.page != NULL) {
        assert_int_equal(reply.page->crc32, crc32(0, (const Bytef *)body.ptr, (uInt)body.len));
    }
}

static void call_at(int64_t now_ms, const char *op, const char *body) {
    char target[80];
    (void)snprintf(target, sizeof target, "DynamoDBStreams_20120810.%s", op);
    struct fake_aws_request request = {.target = str_of(target), .body = str_of(body)};
    handle(now_ms, &request);
}

static void call(const char *op, const char *body) {
    call_at(NOW, op, body);
}

static yyjson_val *member(const char *pointer) {
    return yyjson_doc_ptr_get(doc, pointer);
}

static const char *text(const char *pointer) {
    const char *value = yyjson_get_str(member(pointer));
    return value == NULL ? "" : value;
}

static void assert_error(unsigned status, const char *code) {
    const char *type = text("/__type");
    const char *hash = strchr(type, '#');
    assert_int_equal(reply.status, status);
    assert_string_equal(hash == NULL ? type : hash + 1, code);
}

static void get_iterator(const char *shard, const char *type, const char *number,
                         char iterator[2100]) {
    char body[2048];
    (void)snprintf(body, sizeof body,
                   "{\"StreamArn\":\"" ARN
                   "\",\"ShardId\":\"%s\",\"ShardIteratorType\":\"%s\"%s%s%s}",
                   shard, type, number == NULL ? "" : ",\"SequenceNumber\":\"",
                   number == NULL ? "" : number, number == NULL ? "" : "\"");
    call("GetShardIterator", body);
    (void)snprintf(iterator, 2100, "%s", text("/ShardIterator"));
}

/* Reads a page; the iterator becomes the next one, or empty. Returns the number of records. */
static size_t read_page(int64_t now_ms, char iterator[2100], unsigned limit) {
    char body[2300];
    (void)snprintf(body, sizeof body, "{\"ShardIterator\":\"%s\",\"Limit\":%u}", iterator, limit);
    call_at(now_ms, "GetRecords", body);
    (void)snprintf(iterator, 2100, "%s", text("/NextShardIterator"));
    return yyjson_arr_size(member("/Records"));
}

static int setup(void **state) {
    (void)state;
    fake_aws_init(&aws);
    fake_reply_init(&reply);
    doc = NULL;
    script("stream " ARN " hash pk range sk\n"
           "# a comment\n"
           "shard a-0001   # another one\n");
    return 0;
}

static int teardown(void **state) {
    (void)state;
    fake_reply_done(&reply);
    yyjson_doc_free(doc);
    fake_aws_done(&aws);
    return 0;
}

/* ---- the scenario text ---- */

static void wrong_lines_are_named(void **state) {
    (void)state;
    static const struct {
        const char *lines;
        const char *wanted;
    } cases[] = {
        {"shard x\nbogus", "line 2: no command is called 'bogus'"},
        {"shard a-0001", "exists"},
        {"close nothing", "no shard is called 'nothing'"},
        {"fill a-0001 1", "usage: fill SHARD"},
        {"fill a-0001 many 600", "'many' is not a number"},
        {"fill a-0001 1 600 keys", "option"},
        {"fill a-0001 1 600 bogus 1", "option"},
        {"fill a-0001 1 100", "cannot have 100 bytes"},
        {"throttle Bogus 1", "no operation is called 'Bogus'"},
        {"gzip maybe", "on or off"},
        {"use 'x", "not closed"},
        {"stream nonsense", "not a stream's ARN"},
        {"stream " ARN, "exists"},
        {"record a-0001 {\"dynamodb\":{}}", "no SequenceNumber"},
        {"memory-pages a-0001 0 600 7", "must divide"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct err err = ERR_NONE;
        assert_false(fake_aws_script(&aws, str_of(cases[i].lines), NOW, &err));
        if (strstr(err.text, cases[i].wanted) == NULL) {
            fail_msg("%s: %s", cases[i].lines, err.text);
        }
    }
}

static void words_may_be_quoted(void **state) {
    (void)state;
    script("fail GetRecords 1 400 Code \"two \\\"words\\\" # here\" on 'a-0001'");
    char iterator[2100];
    get_iterator("a-0001", "TRIM_HORIZON", NULL, iterator);
    (void)read_page(NOW, iterator, 1);
    assert_error(400, "Code");
    assert_string_equal(text("/message"), "two \"words\" # here");
}

/* ---- DescribeStream ---- */

static void describe_tells_the_stream(void **state) {
    (void)state;
    script("close a-0001\nshard b-0002 parent a-0001\nstream-status DISABLING");
    call("DescribeStream", "{\"StreamArn\":\"" ARN "\"}");
    assert_int_equal(reply.status, 200);
    assert_string_equal(text("/StreamDescription/StreamStatus"), "DISABLING");
    assert_string_equal(text("/StreamDescription/TableName"), "T");
    assert_string_equal(text("/StreamDescription/StreamLabel"), "2026-01-01T00:00:00.000");
    assert_string_equal(text("/StreamDescription/KeySchema/0/AttributeName"), "pk");
    assert_string_equal(text("/StreamDescription/KeySchema/1/KeyType"), "RANGE");
    assert_string_equal(text("/StreamDescription/Shards/0/ShardId"), "a-0001");
    assert_null(member("/StreamDescription/Shards/0/ParentShardId"));
    assert_non_null(member("/StreamDescription/Shards/0/SequenceNumberRange/EndingSequenceNumber"));
    assert_string_equal(text("/StreamDescription/Shards/1/ParentShardId"), "a-0001");
    assert_null(member("/StreamDescription/Shards/1/SequenceNumberRange/EndingSequenceNumber"));
    assert_null(member("/StreamDescription/LastEvaluatedShardId"));
}

static void describe_comes_in_pages(void **state) {
    (void)state;
    script("shards 250 shardId-");
    char start[256] = "";
    size_t shards = 0;
    size_t pages = 0;
    do {
        char body[512];
        (void)snprintf(body, sizeof body, "{\"StreamArn\":\"" ARN "\"%s}", start);
        call("DescribeStream", body);
        size_t count = yyjson_arr_size(member("/StreamDescription/Shards"));
        assert_true(count <= 100);
        shards += count;
        pages++;
        (void)snprintf(start, sizeof start, ",\"ExclusiveStartShardId\":\"%s\"",
                       text("/StreamDescription/LastEvaluatedShardId"));
    } while (member("/StreamDescription/LastEvaluatedShardId") != NULL);
    assert_int_equal(shards, 251);
    assert_int_equal(pages, 3);

    call("DescribeStream", "{\"StreamArn\":\"" ARN "\",\"ExclusiveStartShardId\":\"unknown\"}");
    assert_int_equal(yyjson_arr_size(member("/StreamDescription/Shards")), 0);
    call("DescribeStream", "{\"StreamArn\":\"" ARN "\",\"Limit\":101}");
    assert_error(400, "ValidationException");
    /* A full last page does not look like one. */
    script("page-shards 251");
    call("DescribeStream", "{\"StreamArn\":\"" ARN "\",\"Limit\":100,"
                           "\"ExclusiveStartShardId\":\"shardId-00000001700000000149-00000095\"}");
    assert_int_equal(yyjson_arr_size(member("/StreamDescription/Shards")), 100);
    assert_non_null(member("/StreamDescription/LastEvaluatedShardId"));
}

static size_t listed(const char *more) {
    char body[512];
    (void)snprintf(body, sizeof body, "{\"StreamArn\":\"" ARN "\"%s}", more);
    call("DescribeStream", body);
    return yyjson_arr_size(member("/StreamDescription/Shards"));
}

static void children_can_be_asked_for_and_can_be_late(void **state) {
    (void)state;
    const char *filter = ",\"ShardFilter\":{\"Type\":\"CHILD_SHARDS\",\"ShardId\":\"a-0001\"}";
    script("split a-0001 b-0002 c-0003 hidden 2");
    assert_int_equal(listed(filter), 0);
    assert_int_equal(listed(""), 1);
    assert_int_equal(listed(filter), 2);
    assert_int_equal(listed(""), 3);
    script("child-shards off");
    assert_int_equal(listed(filter), 3);
    script("hide b-0002 1");
    assert_int_equal(listed(""), 2);
    assert_int_equal(listed(""), 3);
    script("vanish c-0003");
    assert_int_equal(listed(""), 2);
}

/* ---- iterators and records ---- */

static void records_are_as_ordered(void **state) {
    (void)state;
    char iterator[2100];
    script("fill a-0001 5 600 keys 2 name item at 1700000000000 every 1000\ntime-format fraction\n"
           "fill a-0001 1 0 keys 2 name item at 1700000009999");
    get_iterator("a-0001", "TRIM_HORIZON", NULL, iterator);
    assert_int_equal(read_page(NOW, iterator, 1000), 6);
    for (size_t i = 0; i < 5; i++) {
        char pointer[32];
        (void)snprintf(pointer, sizeof pointer, "/Records/%zu", i);
        size_t len = 0;
        char *json = yyjson_val_write(member(pointer), 0, &len);
        assert_int_equal(len, 600);
        free(json);
    }
    assert_string_equal(text("/Records/0/eventName"), "INSERT");
    assert_string_equal(text("/Records/0/awsRegion"), "eu-west-1");
    assert_null(member("/Records/0/dynamodb/OldImage"));
    assert_int_equal(yyjson_get_uint(member("/Records/1/dynamodb/ApproximateCreationDateTime")),
                     1700000001);
    assert_string_equal(text("/Records/1/dynamodb/Keys/pk/S"), "item-000001");
    assert_string_equal(text("/Records/1/dynamodb/Keys/sk/S"), "r");
    assert_string_equal(text("/Records/4/eventName"), "MODIFY");
    assert_string_equal(text("/Records/4/dynamodb/Keys/pk/S"), "item-000000");
    assert_string_equal(text("/Records/4/dynamodb/NewImage/n/N"), "2");
    assert_string_equal(text("/Records/4/dynamodb/OldImage/n/N"), "1");
    /* The next fill goes on. */
    assert_string_equal(text("/Records/5/dynamodb/Keys/pk/S"), "item-000001");
    assert_string_equal(text("/Records/5/dynamodb/NewImage/n/N"), "2");
    assert_true(yyjson_get_real(member("/Records/5/dynamodb/ApproximateCreationDateTime")) ==
                1700000009.999);
}

static void sequence_numbers_grow_in_digits(void **state) {
    (void)state;
    char iterator[2100];
    script("sequence 999999999999999999999\nfill a-0001 3 0");
    get_iterator("a-0001", "AFTER_SEQUENCE_NUMBER", "999999999999999999999", iterator);
    assert_int_equal(read_page(NOW, iterator, 10), 2);
    assert_string_equal(text("/Records/0/dynamodb/SequenceNumber"), "1000000000000000000000");
    get_iterator("a-0001", "AT_SEQUENCE_NUMBER", "000999999999999999999999", iterator);
    assert_int_equal(read_page(NOW, iterator, 10), 3);
}

static void an_explicit_record_comes_byte_for_byte(void **state) {
    (void)state;
    char iterator[2100];
    const char *json = "{ \"eventID\":\"it's\", \"x\":\"a # b\",\"dynamodb\":"
                       "{\"SequenceNumber\":\"000000000000000000007\"}}";
    char line[512];
    (void)snprintf(line, sizeof line, "record a-0001 %s", json);
    script(line);
    get_iterator("a-0001", "TRIM_HORIZON", NULL, iterator);
    assert_int_equal(read_page(NOW, iterator, 10), 1);
    assert_memory_equal(reply.body.data + strlen("{\"Records\":["), json, strlen(json));
}

static void iterators_start_where_they_say(void **state) {
    (void)state;
    char iterator[2100];
    script("fill a-0001 10 0 at 1700000000000 every 1000");
    get_iterator("a-0001", "TRIM_HORIZON", NULL, iterator);
    assert_true(strncmp(iterator, ARN "|1|", strlen(ARN "|1|")) == 0);
    assert_int_equal(read_page(NOW, iterator, 3), 3);
    assert_int_equal(read_page(NOW, iterator, 1000), 7);
    assert_int_equal(read_page(NOW, iterator, 1000), 0); /* open: there may be more */
    assert_string_not_equal(iterator, "");
    get_iterator("a-0001", "LATEST", NULL, iterator);
    script("fill a-0001 2 0");
    assert_int_equal(read_page(NOW, iterator, 1000), 2);

    get_iterator("a-0001", "AT_SEQUENCE_NUMBER", NULL, iterator);
    assert_error(400, "ValidationException");
    get_iterator("a-0001", "LATEST", "1", iterator);
    assert_error(400, "ValidationException");
    get_iterator("a-0001", "BOGUS", NULL, iterator);
    assert_error(400, "ValidationException");
    get_iterator("unknown", "LATEST", NULL, iterator);
    assert_error(400, "ResourceNotFoundException");
}

static void at_timestamp(void **state) {
    (void)state;
    char iterator[2100];
    const char *body = "{\"StreamArn\":\"" ARN "\",\"ShardId\":\"a-0001\",\"ShardIteratorType\":"
                       "\"AT_TIMESTAMP\",\"Timestamp\":%s}";
    char full[512];
    script("fill a-0001 10 0 at 1700000000000 every 1000");
    (void)snprintf(full, sizeof full, body, "1700000003.5");
    call("GetShardIterator", full);
    (void)snprintf(iterator, sizeof iterator, "%s", text("/ShardIterator"));
    assert_int_equal(read_page(NOW, iterator, 1000), 6);
    (void)snprintf(full, sizeof full, body, "9999999999");
    call("GetShardIterator", full);
    assert_error(400, "ValidationException");
    script("at-timestamp off");
    (void)snprintf(full, sizeof full, body, "1700000003.5");
    call("GetShardIterator", full);
    assert_error(500, "InternalFailure");
}

static void a_closed_shard_ends(void **state) {
    (void)state;
    char iterator[2100];
    script("fill a-0001 4 0\nclose a-0001");
    get_iterator("a-0001", "TRIM_HORIZON", NULL, iterator);
    assert_int_equal(read_page(NOW, iterator, 3), 3);
    assert_int_equal(read_page(NOW, iterator, 3), 1);
    assert_null(member("/NextShardIterator"));
    script("end-with-records off");
    get_iterator("a-0001", "TRIM_HORIZON", NULL, iterator);
    assert_int_equal(read_page(NOW, iterator, 1000), 4);
    assert_int_equal(read_page(NOW, iterator, 1000), 0);
    assert_null(member("/NextShardIterator"));
    assert_non_null(member("/Records"));
    struct err err = ERR_NONE;
    assert_false(fake_aws_script(&aws, STR("fill a-0001 1 0"), NOW, &err));
}

static void pages_are_bounded_and_may_be_empty(void **state) {
    (void)state;
    char iterator[2100];
    script("fill a-0001 10 1000\npage-bytes 3500\nempty-pages a-0001 2");
    get_iterator("a-0001", "TRIM_HORIZON", NULL, iterator);
    assert_int_equal(read_page(NOW, iterator, 1000), 0);
    assert_int_equal(read_page(NOW, iterator, 1000), 0);
    assert_int_equal(read_page(NOW, iterator, 1000), 3);
    script("page-bytes 10");
    assert_int_equal(read_page(NOW, iterator, 1000), 1);
    (void)read_page(NOW, iterator, 1001);
    assert_error(400, "ValidationException");
    (void)read_page(NOW, iterator, 0);
    assert_error(400, "ValidationException");
}

static void iterators_expire(void **state) {
    (void)state;
    char iterator[2100];
    char old[2100];
    get_iterator("a-0001", "TRIM_HORIZON", NULL, iterator);
    (void)snprintf(old, sizeof old, "%s", iterator);
    (void)read_page(NOW + 899999, iterator, 1);
    assert_int_equal(reply.status, 200);
    (void)read_page(NOW + 900000, old, 1);
    assert_error(400, "ExpiredIteratorException");
    (void)read_page(NOW + 900000, iterator, 1); /* its successor is a fresh one */
    assert_int_equal(reply.status, 200);
    script("expire-iterators a-0001");
    (void)read_page(NOW, iterator, 1);
    assert_error(400, "ExpiredIteratorException");
    get_iterator("a-0001", "TRIM_HORIZON", NULL, iterator);
    script("expire-iterators");
    (void)read_page(NOW, iterator, 1);
    assert_error(400, "ExpiredIteratorException");
    (void)snprintf(iterator, sizeof iterator, "%s", ARN "|1|zz");
    (void)read_page(NOW, iterator, 1);
    assert_error(400, "ValidationException");
}

static void trimmed_records_are_gone(void **state) {
    (void)state;
    char iterator[2100];
    script("sequence 500\nfill a-0001 10 0\n");
    get_iterator("a-0001", "TRIM_HORIZON", NULL, iterator);
    script("trim a-0001 503");
    (void)read_page(NOW, iterator, 1);
    assert_error(400, "TrimmedDataAccessException");
    get_iterator("a-0001", "AFTER_SEQUENCE_NUMBER", "501", iterator);
    assert_error(400, "TrimmedDataAccessException");
    get_iterator("a-0001", "AFTER_SEQUENCE_NUMBER", "504", iterator);
    assert_int_equal(read_page(NOW, iterator, 1000), 5);
    get_iterator("a-0001", "TRIM_HORIZON", NULL, iterator);
    assert_int_equal(read_page(NOW, iterator, 1000), 6);
    assert_string_equal(text("/Records/0/dynamodb/SequenceNumber"), "504");
    script("vanish a-0001");
    (void)snprintf(iterator, sizeof iterator, "%s", text("/NextShardIterator"));
    (void)read_page(NOW, iterator, 1);
    assert_error(400, "ResourceNotFoundException");
}

/* ---- pages at memory speed ---- */

static void memory_pages_are_one_stream_however_they_are_cut(void **state) {
    (void)state;
    static const unsigned limits[] = {1000, 1, 999, 1000, 7, 1000, 1000, 3};
    char iterator[2100];
    uint64_t number = 0;
    script("memory-pages a-0001 5000 600 10\nclose a-0001");
    get_iterator("a-0001", "TRIM_HORIZON", NULL, iterator);
    for (size_t i = 0; iterator[0] != '\0'; i++) {
        size_t count = read_page(NOW, iterator, limits[i % 8]);
        assert_non_null(doc);
        assert_int_equal(count, limits[i % 8] < 5000 - number ? limits[i % 8] : 5000 - number);
        for (size_t j = 0; j < count; j++, number++) {
            char wanted[64];
            yyjson_val *record = yyjson_arr_get(member("/Records"), j);
            yyjson_val *dynamodb = yyjson_obj_get(record, "dynamodb");
            (void)snprintf(wanted, sizeof wanted, "1%020" PRIu64, number + 1);
            assert_string_equal(yyjson_get_str(yyjson_obj_get(dynamodb, "SequenceNumber")), wanted);
            assert_int_equal(
                yyjson_get_uint(yyjson_obj_get(dynamodb, "ApproximateCreationDateTime")),
                NOW / 1000);
            (void)snprintf(wanted, sizeof wanted, "0001-%06" PRIu64, number % 10);
            assert_string_equal(yyjson_get_str(yyjson_ptr_get(dynamodb, "/Keys/pk/S")), wanted);
            (void)snprintf(wanted, sizeof wanted, "%" PRIu64,
                           UINT64_C(1000000000001) + number / 10);
            assert_string_equal(yyjson_get_str(yyjson_ptr_get(dynamodb, "/NewImage/n/N")), wanted);
            size_t len = 0;
            char *json = yyjson_val_write(record, 0, &len);
            assert_int_equal(len, 600);
            free(json);
        }
    }
    assert_int_equal(number, 5000);
    /* A reader can go on from any record. */
    get_iterator("a-0001", "AFTER_SEQUENCE_NUMBER", "100000000000000004321", iterator);
    assert_int_equal(read_page(NOW, iterator, 1000), 679);
    assert_string_equal(text("/Records/0/dynamodb/SequenceNumber"), "100000000000000004322");
    assert_string_equal(iterator, "");
}

static void memory_pages_follow_the_view(void **state) {
    (void)state;
    static const char *const views[] = {"NEW_IMAGE", "OLD_IMAGE", "KEYS_ONLY"};
    for (size_t i = 0; i < 3; i++) {
        char iterator[2100];
        char body[2300];
        char lines[512];
        (void)snprintf(lines, sizeof lines,
                       "stream " ARN "%zu view %s\nshard m\nmemory-pages m 0 %s 100", i, views[i],
                       i == 2 ? "0" : "800");
        script(lines);
        (void)snprintf(body, sizeof body,
                       "{\"StreamArn\":\"" ARN "%zu\",\"ShardId\":\"m\","
                       "\"ShardIteratorType\":\"TRIM_HORIZON\"}",
                       i);
        call("GetShardIterator", body);
        (void)snprintf(iterator, sizeof iterator, "%s", text("/ShardIterator"));
        assert_int_equal(read_page(NOW, iterator, 250), 250);
        assert_int_equal(read_page(NOW, iterator, 1000), 1000);
        assert_string_equal(text("/Records/999/dynamodb/SequenceNumber"), "100000000000000001250");
        assert_int_equal(member("/Records/999/dynamodb/NewImage") != NULL, i == 0);
        assert_int_equal(member("/Records/999/dynamodb/OldImage") != NULL, i == 1);
    }
    assert_string_equal(text("/Records/999/dynamodb/Keys/id/S"), "m-000049");
}

static void memory_pages_under_way_are_not_touched(void **state) {
    (void)state;
    char iterator[2100];
    script("memory-pages a-0001 0 600");
    get_iterator("a-0001", "TRIM_HORIZON", NULL, iterator);
    (void)read_page(NOW, iterator, 1000);
    struct fake_page *first = reply.page;
    reply.page = NULL; /* ours now */
    char *before = malloc(first->body_len);
    assert_non_null(before);
    memcpy(before, first->body, first->body_len);
    (void)read_page(NOW, iterator, 1000);
    assert_ptr_not_equal(reply.page, first);
    assert_memory_equal(before, first->body, first->body_len);
    free(before);
    fake_aws_done(&aws); /* the page lives until it is released */
    assert_memory_equal(first->body, "{\"Records\":[", 12);
    fake_page_release(first);
}

/* ---- faults and callers ---- */

static void faults_hit_whom_and_as_often_as_they_say(void **state) {
    (void)state;
    char a[2100];
    char b[2100];
    script("shard b-0002\nthrottle GetRecords 2 on b-0002 after 1\n"
           "fail DescribeStream always 500 InternalServerError");
    get_iterator("a-0001", "TRIM_HORIZON", NULL, a);
    get_iterator("b-0002", "TRIM_HORIZON", NULL, b);
    char keep[2100];
    for (int i = 0; i < 5; i++) {
        (void)snprintf(keep, sizeof keep, "%s", a);
        (void)read_page(NOW, keep, 1);
        assert_int_equal(reply.status, 200);
        (void)snprintf(keep, sizeof keep, "%s", b);
        (void)read_page(NOW, keep, 1);
        if (i == 1 || i == 2) {
            assert_error(400, "ThrottlingException");
            assert_string_equal(text("/__type"),
                                "com.amazon.coral.availability#ThrottlingException");
        } else {
            assert_int_equal(reply.status, 200);
        }
    }
    for (int i = 0; i < 3; i++) {
        call("DescribeStream", "{\"StreamArn\":\"" ARN "\"}");
        assert_error(500, "InternalServerError");
    }
    script("clear");
    call("DescribeStream", "{\"StreamArn\":\"" ARN "\"}");
    assert_int_equal(reply.status, 200);
    assert_int_equal(fake_aws_count(&aws, FAKE_AWS_GET_RECORDS), 10);
    assert_int_equal(fake_aws_count(&aws, FAKE_AWS_DESCRIBE_STREAM), 4);
    struct buf counts;
    buf_init(&counts, 4096);
    fake_aws_counts_json(&aws, &counts);
    assert_non_null(strstr(buf_text(&counts), "{\"DescribeStream\":4,\"GetShardIterator\":2,"));
    buf_done(&counts);
}

static void replies_can_be_spoiled(void **state) {
    (void)state;
    const char *describe = "{\"StreamArn\":\"" ARN "\"}";
    script("crc * 1\ncut * 1 10\ndrip * 1 5\nlength * 1 -3\ndelay * 1 250");
    call("DescribeStream", describe);
    assert_true(reply.wrong_crc);
    assert_int_equal(reply.cut, 10);
    assert_int_equal(reply.drip, 5);
    assert_int_equal(reply.length_off, -3);
    assert_int_equal(reply.delay_ms, 250);
    call("DescribeStream", describe);
    assert_false(reply.wrong_crc);
    assert_true(reply.cut == SIZE_MAX);
    script("empty * 1 500\nno-crc * 1");
    call("DescribeStream", describe);
    assert_int_equal(reply.status, 500);
    assert_int_equal(reply.body.len, 0);
    assert_true(reply.no_crc);
    script("html * 1");
    call("DescribeStream", describe);
    assert_int_equal(reply.status, 503);
    assert_string_equal(reply.content_type, "text/html");
}

static void a_dropped_call_is_done_or_not(void **state) {
    (void)state;
    script("table-create-time 0\ndrop-before CreateTable 1\ndrop-after CreateTable 1");
    struct fake_aws_request create = {
        .target = STR("DynamoDB_20120810.CreateTable"),
        .body = STR("{\"TableName\":\"leases\",\"BillingMode\":\"PAY_PER_REQUEST\",\"KeySchema\":"
                    "[{\"AttributeName\":\"k\",\"KeyType\":\"HASH\"}],\"AttributeDefinitions\":"
                    "[{\"AttributeName\":\"k\",\"AttributeType\":\"S\"}]}"),
    };
    handle(NOW, &create);
    assert_true(reply.drop);
    assert_null(fake_tables_find(&aws.tables, STR("leases")));
    handle(NOW, &create);
    assert_true(reply.drop);
    assert_non_null(fake_tables_find(&aws.tables, STR("leases")));
    handle(NOW, &create);
    assert_error(400, "ResourceInUseException");
}

static void callers_are_checked(void **state) {
    (void)state;
    struct fake_aws_request request = {
        .target = STR("DynamoDBStreams_20120810.DescribeStream"),
        .body = STR("{\"StreamArn\":\"" ARN "\"}"),
    };
    script("credentials GOOD ALSO\nsignature-window 300000\nclock-skew 600000");
    handle(NOW, &request);
    assert_error(400, "MissingAuthenticationTokenException");
    request.authorization = STR("AWS4-HMAC-SHA256 Credential=BAD/20270115/r/dynamodb/aws4_request");
    handle(NOW, &request);
    assert_error(400, "UnrecognizedClientException");
    request.authorization =
        STR("AWS4-HMAC-SHA256 Credential=ALSO/20270115/r/dynamodb/aws4_request");
    request.amz_date = STR("20270115T080000Z"); /* NOW: 10 minutes behind the double's clock */
    handle(NOW, &request);
    assert_error(400, "InvalidSignatureException");
    assert_int_equal(reply.date_ms, NOW + 600000);
    request.amz_date = STR("20270115T081000Z");
    handle(NOW, &request);
    assert_int_equal(reply.status, 200);
    script("credentials any\nclock-skew -600000");
    request.authorization = STR_NONE;
    handle(NOW, &request);
    assert_error(400, "InvalidSignatureException");
    script("signature-window 0");
    handle(NOW, &request);
    assert_int_equal(reply.status, 200);
}

static void rates_are_per_second(void **state) {
    (void)state;
    const char *describe = "{\"StreamArn\":\"" ARN "\"}";
    script("rate DescribeStream 2");
    for (int second = 0; second < 2; second++) {
        for (int i = 0; i < 4; i++) {
            call_at(NOW + second * 1000 + i, "DescribeStream", describe);
            assert_int_equal(reply.status, i < 2 ? 200 : 400);
        }
    }
}

static void bodies_can_be_compressed(void **state) {
    (void)state;
    struct fake_aws_request request = {
        .target = STR("DynamoDBStreams_20120810.DescribeStream"),
        .body = STR("{\"StreamArn\":\"" ARN "\"}"),
    };
    script("gzip on");
    handle(NOW, &request);
    assert_false(reply.gzip);
    request.gzip = true;
    handle(NOW, &request);
    assert_true(reply.gzip);
    char plain[65536];
    z_stream stream = {.next_in = (Bytef *)reply.body.data,
                       .avail_in = (uInt)reply.body.len,
                       .next_out = (Bytef *)plain,
                       .avail_out = sizeof plain - 1};
    assert_int_equal(inflateInit2(&stream, 15 + 16), Z_OK);
    assert_int_equal(inflate(&stream, Z_FINISH), Z_STREAM_END);
    plain[stream.total_out] = '\0';
    (void)inflateEnd(&stream);
    assert_non_null(strstr(plain, "\"StreamStatus\":\"ENABLED\""));
}

static void metrics_are_kept(void **state) {
    (void)state;
    struct fake_aws_request request = {
        .target = STR("GraniteServiceVersion20100801.PutMetricData"),
        .body = STR("{\"Namespace\":\"n\",\"MetricData\":[{\"MetricName\":\"m\",\"Value\":1}]}"),
    };
    struct buf metrics;
    buf_init(&metrics, 65536);
    for (int i = 0; i < 70; i++) {
        handle(NOW, &request);
        assert_int_equal(reply.status, 200);
    }
    fake_aws_metrics_json(&aws, &metrics);
    yyjson_doc *all = yyjson_read(metrics.data, metrics.len, 0);
    assert_int_equal(yyjson_arr_size(yyjson_doc_get_root(all)), FAKE_AWS_METRICS);
    yyjson_doc_free(all);
    buf_done(&metrics);
    request.body = STR("{\"Namespace\":\"n\",\"MetricData\":[]}");
    handle(NOW, &request);
    assert_error(400, "InvalidParameterValueException");
}

static void nonsense_is_refused(void **state) {
    (void)state;
    struct fake_aws_request request = {.target = STR("DynamoDBStreams_20120810.Bogus"),
                                       .body = STR("{}")};
    handle(NOW, &request);
    assert_error(400, "UnknownOperationException");
    request.target = STR("DynamoDB_20120810.GetRecords"); /* the other service */
    handle(NOW, &request);
    assert_error(400, "UnknownOperationException");
    call("GetRecords", "[]");
    assert_error(400, "SerializationException");
    call("GetRecords", "{\"ShardIterator\":");
    assert_error(400, "SerializationException");
    call("GetRecords", "{}");
    assert_error(400, "ValidationException");
    call("DescribeStream", "{\"StreamArn\":\"nonsense\"}");
    assert_error(400, "ValidationException");
    call("DescribeStream", "{\"StreamArn\":\"" ARN "x\"}");
    assert_error(400, "ResourceNotFoundException");
}

int main(void) {
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        TEST(wrong_lines_are_named),
        TEST(words_may_be_quoted),
        TEST(describe_tells_the_stream),
        TEST(describe_comes_in_pages),
        TEST(children_can_be_asked_for_and_can_be_late),
        TEST(records_are_as_ordered),
        TEST(sequence_numbers_grow_in_digits),
        TEST(an_explicit_record_comes_byte_for_byte),
        TEST(iterators_start_where_they_say),
        TEST(at_timestamp),
        TEST(a_closed_shard_ends),
        TEST(pages_are_bounded_and_may_be_empty),
        TEST(iterators_expire),
        TEST(trimmed_records_are_gone),
        TEST(memory_pages_are_one_stream_however_they_are_cut),
        TEST(memory_pages_follow_the_view),
        TEST(memory_pages_under_way_are_not_touched),
        TEST(faults_hit_whom_and_as_often_as_they_say),
        TEST(replies_can_be_spoiled),
        TEST(a_dropped_call_is_done_or_not),
        TEST(callers_are_checked),
        TEST(rates_are_per_second),
        TEST(bodies_can_be_compressed),
        TEST(metrics_are_kept),
        TEST(nonsense_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
