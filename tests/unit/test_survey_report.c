/* survey_report: what people and programs are told. */
#include "cli/survey_report.h"

#include "cmocka_all.h"

#include <aws/common/json.h>

#include <stdlib.h>

#define A "shardId-00000001700000000000-0000000a"
#define B "shardId-00000001700000001000-0000000b"

static struct shard_node node_a = {.id = (char[]){A}};
static struct shard_node node_b = {.id = (char[]){B}, .parent = &node_a, .open = true};

static struct config config = {
    .stream_arn = (char[]){"arn:aws:dynamodb:eu-west-1:1:table/t/stream/x"},
    .lease_table = (char[]){"leases"},
    .max_poll_interval_ms = 1000,
};

static struct position at(const char *text) {
    struct position position;
    assert_true(position_parse(str_of(text), &position));
    return position;
}

static struct survey_shard shards[3];

static struct survey_result sample(void) {
    shards[0] = (struct survey_shard){
        .node = &node_a,
        .has_lease = true,
        .lease = {.key = A, .owner = "w1", .counter = 7, .checkpoint = at("SHARD_END")},
    };
    shards[1] = (struct survey_shard){
        .node = &node_b,
        .has_lease = true,
        .lease =
            {.key = B, .owner = "w\"1", .wanted_by = "w2", .counter = 8, .checkpoint = at("100")},
        .watch = {.moved = true},
        .lag = SURVEY_LAG_BEHIND,
        .behind_ms = 7500000,
    };
    shards[2] = (struct survey_shard){
        .has_lease = true,
        .lease = {.key = "gone", .checkpoint = at("TRIM_HORIZON")},
        .lag = SURVEY_LAG_LOST,
    };
    return (struct survey_result){
        .status = STREAM_STATUS_ENABLED,
        .has_table = true,
        .other_leases = 2,
        .shards = shards,
        .count = 3,
    };
}

typedef void report_fn(struct buf *to, const struct config *config,
                       const struct survey_result *result, bool json);

static void assert_report(report_fn *report, bool json, const struct survey_result *result,
                          const char *expected) {
    struct buf text;
    buf_init(&text, BUF_MAX_REQUEST);
    report(&text, &config, result, json);
    assert_string_equal(buf_text(&text), expected);
    if (json) {
        struct aws_json_value *value = aws_json_value_new_from_string(
            aws_default_allocator(), aws_byte_cursor_from_c_str(buf_text(&text)));
        assert_non_null(value);
        aws_json_value_destroy(value);
    }
    buf_done(&text);
}

static void shards_as_text(void **state) {
    (void)state;
    struct survey_result result = sample();
    assert_report(survey_report_shards, false, &result,
                  "closed    " A "  SHARD_END\n"
                  "open      " B "  of " A "  100  w\"1  behind 2 h 5 min\n"
                  "unlisted  gone  TRIM_HORIZON  what follows is trimmed\n");
}

static void shards_as_json(void **state) {
    (void)state;
    struct survey_result result = sample();
    assert_report(
        survey_report_shards, true, &result,
        "{\"stream\":\"arn:aws:dynamodb:eu-west-1:1:table/t/stream/x\",\"status\":\"ENABLED\","
        "\"leaseTable\":\"leases\",\"shards\":[\n"
        "{\"shardId\":\"" A "\",\"state\":\"closed\",\"checkpoint\":\"SHARD_END\",\"counter\":7,"
        "\"owner\":\"w1\"},\n"
        "{\"shardId\":\"" B "\",\"state\":\"open\",\"parentShardId\":\"" A
        "\",\"checkpoint\":\"100\",\"counter\":8,\"owner\":\"w\\\"1\",\"wantedBy\":\"w2\","
        "\"behindMs\":7500000},\n"
        "{\"shardId\":\"gone\",\"state\":\"unlisted\",\"checkpoint\":\"TRIM_HORIZON\",\"counter\":"
        "0,\"lost\":true}]}\n");
}

static void status_as_text(void **state) {
    (void)state;
    struct survey_result result = sample();
    assert_report(
        survey_report_status, false, &result,
        "stream    arn:aws:dynamodb:eu-west-1:1:table/t/stream/x (ENABLED)\n"
        "leases    leases\n"
        "          2 leases of other streams are in this table\n"
        "shards    1 open; 1 read to their end, 2 not, 0 without a lease\n"
        "          1 leases have no shard any more\n"
        "worker    w\"1: 1 shards\n"
        "nobody    1 shards\n"
        "lost      behind the checkpoints of 1 shards, records are trimmed\n"
        "behind    2 h 5 min at most, by checkpoint (" B ")\n"
        "cost      idle, 2.6 million reads a month, about $0.02 (at $0.02 per 100,000 behind 2.5 "
        "million; maxPollInterval 1000 ms)\n");
}

static void status_as_json(void **state) {
    (void)state;
    struct survey_result result = sample();
    assert_report(
        survey_report_status, true, &result,
        "{\"stream\":\"arn:aws:dynamodb:eu-west-1:1:table/t/stream/x\",\"status\":\"ENABLED\","
        "\"leaseTable\":\"leases\",\"leaseTableExists\":true,\"openShards\":1,\"finishedShards\":1,"
        "\"unfinishedShards\":2,\"shardsWithoutOwner\":1,\"shardsWithoutLease\":0,"
        "\"leasesWithoutShard\":1,\"leasesOfOtherStreams\":2,\"shardsWithLoss\":1,"
        "\"behindMs\":7500000,\"idleReadsPerMonth\":2592000,\"idleDollarsPerMonth\":0.02,"
        "\"workers\":[{\"id\":\"w\\\"1\",\"shards\":1,\"alive\":true}]}\n");
}

static void an_empty_stream(void **state) {
    (void)state;
    struct survey_result result = {.status = STREAM_STATUS_DISABLED};
    assert_report(survey_report_shards, false, &result, "");
    assert_report(survey_report_status, false, &result,
                  "stream    arn:aws:dynamodb:eu-west-1:1:table/t/stream/x (DISABLED)\n"
                  "leases    leases (does not exist yet)\n"
                  "shards    0 open; 0 read to their end, 0 not, 0 without a lease\n"
                  "behind    nothing that is not checkpointed was found\n"
                  "cost      idle, 0.0 million reads a month, about $0.00 (at $0.02 per 100,000 "
                  "behind 2.5 million; maxPollInterval 1000 ms)\n");
}

int main(void) {
    aws_common_library_init(aws_default_allocator());
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(shards_as_text),  cmocka_unit_test(shards_as_json),
        cmocka_unit_test(status_as_text),  cmocka_unit_test(status_as_json),
        cmocka_unit_test(an_empty_stream),
    };
    int failed = cmocka_run_group_tests_name("survey_report", tests, NULL, NULL);
    aws_common_library_clean_up();
    return failed;
}
