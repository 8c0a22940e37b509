#include "aws/streams.h"

#include "fake_service.h"

#include <aws/common/common.h>

#include "cmocka_all.h"

struct seen {
    int calls;
    struct err err;
    size_t shard_count;
    enum stream_status status;
    char text[1024]; /* what the callback saw, in one line */
    int64_t server_time_ms;
    struct page *page;
};

static void note_err(struct seen *seen, const struct err *err) {
    seen->calls++;
    seen->err = err != NULL ? *err : ERR_NONE;
}

static const char *or_dash(const char *text) {
    return text != NULL ? text : "-";
}

static void described(void *ctx, const struct err *err, const struct stream_description *stream) {
    struct seen *seen = ctx;
    note_err(seen, err);
    assert_true((err == NULL) != (stream == NULL));
    if (stream == NULL) {
        return;
    }
    seen->status = stream->status;
    seen->shard_count = stream->shard_count;
    seen->server_time_ms = stream->server_time_ms;
    size_t len = (size_t)snprintf(seen->text, sizeof seen->text, "%s %s %s %s %s",
                                  or_dash(stream->table_name), or_dash(stream->view_type),
                                  or_dash(stream->hash_key), or_dash(stream->range_key),
                                  or_dash(stream->last_evaluated_shard_id));
    for (size_t i = 0; i < stream->shard_count; i++) {
        const struct stream_shard *shard = &stream->shards[i];
        len +=
            (size_t)snprintf(seen->text + len, sizeof seen->text - len, " | %s %s %s %s", shard->id,
                             or_dash(shard->parent_id), or_dash(shard->starting_sequence_number),
                             or_dash(shard->ending_sequence_number));
    }
}

static void got_iterator(void *ctx, const struct err *err, struct str iterator, int64_t time_ms) {
    struct seen *seen = ctx;
    note_err(seen, err);
    (void)str_copy(iterator, seen->text, sizeof seen->text);
    seen->server_time_ms = time_ms;
}

static void got_records(void *ctx, const struct err *err, struct page *page) {
    struct seen *seen = ctx;
    note_err(seen, err);
    seen->page = page;
}

static int setup(void **state) {
    static struct fake_service service;
    fake_service_init(&service);
    *state = &service;
    return 0;
}

static int teardown(void **state) {
    fake_service_done(*state);
    return 0;
}

static void describe(struct fake_service *service, struct seen *seen) {
    assert_non_null(
        streams_describe(&service->base, STR("arn:s"), STR_NONE, STR_NONE, described, seen));
}

static void describe_requests(void **state) {
    struct fake_service *service = *state;
    struct seen seen = {0};
    describe(service, &seen);
    assert_string_equal(service->target, "DynamoDBStreams_20120810.DescribeStream");
    assert_string_equal(fake_service_body(service), "{\"StreamArn\":\"arn:s\",\"Limit\":100}");
    fake_service_answer(service, "{\"StreamDescription\":{}}");

    (void)streams_describe(&service->base, STR("arn:s"), STR("shardId-\"1"), STR_NONE, described,
                           &seen);
    assert_string_equal(fake_service_body(service), "{\"StreamArn\":\"arn:s\",\"Limit\":100,"
                                                    "\"ExclusiveStartShardId\":\"shardId-\\\"1\"}");
    fake_service_answer(service, "{\"StreamDescription\":{}}");

    (void)streams_describe(&service->base, STR("arn:s"), STR_NONE, STR("shardId-2"), described,
                           &seen);
    assert_string_equal(fake_service_body(service),
                        "{\"StreamArn\":\"arn:s\",\"Limit\":100,\"ShardFilter\":{\"Type\":"
                        "\"CHILD_SHARDS\",\"ShardId\":\"shardId-2\"}}");
    fake_service_answer(service, "{\"StreamDescription\":{}}");
    assert_int_equal(seen.calls, 3);
}

static void describe_reads_a_full_reply(void **state) {
    struct fake_service *service = *state;
    struct seen seen = {0};
    describe(service, &seen);
    fake_service_answer(
        service,
        "{\"StreamDescription\":{\"StreamArn\":\"arn:s\",\"StreamStatus\":\"ENABLED\","
        "\"StreamViewType\":\"NEW_IMAGE\",\"TableName\":\"T\",\"CreationRequestDateTime\":1.5E9,"
        "\"KeySchema\":[{\"AttributeName\":\"r\",\"KeyType\":\"RANGE\"},"
        "{\"AttributeName\":\"h\",\"KeyType\":\"HASH\"}],"
        "\"Shards\":[{\"ShardId\":\"A\",\"SequenceNumberRange\":{\"StartingSequenceNumber\":"
        "\"100000000000000000000001\",\"EndingSequenceNumber\":\"2\"}},"
        "{\"ShardId\":\"B\",\"ParentShardId\":\"A\",\"SequenceNumberRange\":"
        "{\"StartingSequenceNumber\":\"3\"}}],\"LastEvaluatedShardId\":\"B\",\"Unknown\":[{}]}}");
    assert_int_equal(seen.calls, 1);
    assert_false(err_is_set(&seen.err));
    assert_int_equal(seen.status, STREAM_STATUS_ENABLED);
    assert_int_equal(seen.server_time_ms, 1700000000000);
    assert_string_equal(seen.text, "T NEW_IMAGE h r B | A - 100000000000000000000001 2 | B A 3 -");
}

static void describe_tolerates_what_is_missing(void **state) {
    struct fake_service *service = *state;
    struct seen seen = {0};
    describe(service, &seen);
    fake_service_answer(service,
                        "{\"StreamDescription\":{\"StreamStatus\":\"NEW_ONE\",\"Shards\":null,"
                        "\"LastEvaluatedShardId\":\"\",\"KeySchema\":{}}}");
    assert_string_equal(seen.text, "- - - - -");
    assert_int_equal(seen.status, STREAM_STATUS_UNKNOWN);
    describe(service, &seen);
    fake_service_answer(service, "{\"StreamDescription\":{\"Shards\":[{\"ShardId\":\"H 1f:2\","
                                 "\"ParentShardId\":null,\"SequenceNumberRange\":null}]}}");
    assert_string_equal(seen.text, "- - - - - | H 1f:2 - - -");
    describe(service, &seen);
    fake_service_answer(service, "{\"StreamDescription\":{\"Shards\":[]}}");
    assert_int_equal(seen.shard_count, 0);
}

static void describe_refuses_nonsense(void **state) {
    static const char *const bad[] = {
        "",
        "[]",
        "{}",
        "{\"StreamDescription\":null}",
        "{\"StreamDescription\":[]}",
        "{\"StreamDescription\":{\"Shards\":[{\"ShardId\":\"A\"},{}]}}",
        "{\"StreamDescription\":{\"Shards\":[7]}}",
        "<html>",
    };
    struct fake_service *service = *state;
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        struct seen seen = {0};
        describe(service, &seen);
        fake_service_answer(service, bad[i]);
        assert_int_equal(seen.calls, 1);
        assert_int_equal(seen.err.code, ERR_AWS_REPLY);
        assert_memory_equal(seen.err.text, "DescribeStream: ", 16);
    }
}

static void iterator_requests(void **state) {
    static const struct {
        enum iterator_type type;
        const char *body;
    } all[] = {
        {ITERATOR_TRIM_HORIZON, "\"TRIM_HORIZON\"}"},
        {ITERATOR_LATEST, "\"LATEST\"}"},
        {ITERATOR_AT_SEQUENCE_NUMBER, "\"AT_SEQUENCE_NUMBER\",\"SequenceNumber\":\"0123\"}"},
        {ITERATOR_AFTER_SEQUENCE_NUMBER, "\"AFTER_SEQUENCE_NUMBER\",\"SequenceNumber\":\"0123\"}"},
    };
    struct fake_service *service = *state;
    struct seen seen = {0};
    for (size_t i = 0; i < sizeof all / sizeof all[0]; i++) {
        char body[256];
        (void)snprintf(body, sizeof body,
                       "{\"StreamArn\":\"arn:s\",\"ShardId\":\"A\",\"ShardIteratorType\":%s",
                       all[i].body);
        (void)streams_get_iterator(&service->base, STR("arn:s"), STR("A"), all[i].type, STR("0123"),
                                   got_iterator, &seen);
        assert_string_equal(fake_service_body(service), body);
        assert_string_equal(service->target, "DynamoDBStreams_20120810.GetShardIterator");
        fake_service_answer(service, "{\"ShardIterator\":\"arn:s|1|x\"}");
        assert_string_equal(seen.text, "arn:s|1|x");
    }
    (void)streams_get_iterator_at(&service->base, STR("arn:s"), STR("A"), 1791316726048,
                                  got_iterator, &seen);
    assert_string_equal(fake_service_body(service),
                        "{\"StreamArn\":\"arn:s\",\"ShardId\":\"A\",\"ShardIteratorType\":"
                        "\"AT_TIMESTAMP\",\"Timestamp\":1791316726.048}");
    fake_service_answer(service, "{\"ShardIterator\":\"\"}");
    assert_int_equal(seen.err.code, ERR_AWS_REPLY);
    assert_int_equal(seen.server_time_ms, 1700000000000);
}

static void a_page_goes_to_the_receiver(void **state) {
    struct fake_service *service = *state;
    struct seen seen = {0};
    (void)streams_get_records(&service->base, STR("arn:s|1|x"), 1000, got_records, &seen);
    assert_string_equal(service->target, "DynamoDBStreams_20120810.GetRecords");
    assert_string_equal(fake_service_body(service),
                        "{\"ShardIterator\":\"arn:s|1|x\",\"Limit\":1000}");
    assert_int_equal(service->request.max_reply_bytes, BUF_MAX_PAGE);
    fake_service_answer(service, "not even JSON: whoever reads records finds out");
    assert_non_null(seen.page);
    assert_memory_equal(seen.page->data, "not even", 8);
    page_free(seen.page);
}

static void errors_name_the_operation(void **state) {
    struct fake_service *service = *state;
    struct seen seen = {0};
    (void)streams_get_records(&service->base, STR("i"), 1, got_records, &seen);
    fake_service_fail(service, ERR_AWS_ITERATOR_EXPIRED, "ExpiredIteratorException", NULL);
    assert_int_equal(seen.err.code, ERR_AWS_ITERATOR_EXPIRED);
    assert_int_equal(seen.err.class, ERR_CLASS_EXPIRED);
    assert_string_equal(seen.err.text, "GetRecords: ExpiredIteratorException");
    assert_null(seen.page);
    describe(service, &seen);
    fake_service_fail(service, ERR_AWS_DENIED, "no", NULL);
    assert_string_equal(seen.err.text, "DescribeStream: no");
    (void)streams_get_iterator(&service->base, STR("a"), STR("s"), ITERATOR_LATEST, STR_NONE,
                               got_iterator, &seen);
    fake_service_fail(service, ERR_AWS_TRIMMED, "gone", NULL);
    assert_string_equal(seen.err.text, "GetShardIterator: gone");
    assert_int_equal(seen.calls, 3);
}

/* The sanitizer build tells when the cancelled call's memory is not given back. */
static void a_cancelled_call_is_silent(void **state) {
    struct fake_service *service = *state;
    struct seen seen = {0};
    struct service_call *call =
        streams_get_records(&service->base, STR("i"), 1, got_records, &seen);
    assert_non_null(call);
    service_cancel(&service->base, call);
    assert_int_equal(seen.calls, 0);
}

static void what_does_not_fit_is_not_sent(void **state) {
    struct fake_service *service = *state;
    struct seen seen = {0};
    static char long_text[BUF_MAX_REQUEST + 1];
    memset(long_text, 'x', sizeof long_text);
    assert_null(streams_get_records(&service->base, str_make(long_text, sizeof long_text), 1,
                                    got_records, &seen));
    service->out_of_memory = true;
    assert_null(streams_get_records(&service->base, STR("i"), 1, got_records, &seen));
    assert_int_equal(seen.calls, 0);
}

static int common_up(void **state) {
    (void)state;
    aws_common_library_init(aws_default_allocator());
    return 0;
}

static int common_down(void **state) {
    (void)state;
    aws_common_library_clean_up();
    return 0;
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(describe_requests, setup, teardown),
        cmocka_unit_test_setup_teardown(describe_reads_a_full_reply, setup, teardown),
        cmocka_unit_test_setup_teardown(describe_tolerates_what_is_missing, setup, teardown),
        cmocka_unit_test_setup_teardown(describe_refuses_nonsense, setup, teardown),
        cmocka_unit_test_setup_teardown(iterator_requests, setup, teardown),
        cmocka_unit_test_setup_teardown(a_page_goes_to_the_receiver, setup, teardown),
        cmocka_unit_test_setup_teardown(errors_name_the_operation, setup, teardown),
        cmocka_unit_test_setup_teardown(a_cancelled_call_is_silent, setup, teardown),
        cmocka_unit_test_setup_teardown(what_does_not_fit_is_not_sent, setup, teardown),
    };
    return cmocka_run_group_tests_name("streams", tests, common_up, common_down);
}
