/* lease_holder: what it writes and when, on a clock that the test moves. */
#include "source/lease_holder.h"

#include "base/log.h"
#include "cmocka_all.h"
#include "fake_service.h"
#include "sim_lane.h"

#include <aws/common/common.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { FAILOVER_MS = 9000, RENEW_MS = FAILOVER_MS / 3 - 25, VALID_MS = FAILOVER_MS - 1000 };

struct rig {
    struct sim_lane lane;
    struct fake_service service;
    struct lease_table *table;
    struct lease_holder holder;
    const char *position; /* what the window would say; NULL: nothing yet */
    uint32_t renewed;
    uint32_t wanted;
    uint32_t lost;
    uint32_t closed;
    uint32_t failed;
    struct err err; /* of the last of these */
};

static bool on_position(void *ctx, struct position *ret_position) {
    struct rig *rig = ctx;
    return rig->position != NULL && position_parse(str_of(rig->position), ret_position);
}

static void on_renewed(void *ctx) {
    struct rig *rig = ctx;
    rig->renewed++;
}

static void on_wanted(void *ctx) {
    struct rig *rig = ctx;
    rig->wanted++;
}

static void on_lost(void *ctx, const struct err *err) {
    struct rig *rig = ctx;
    rig->lost++;
    rig->err = *err;
}

static void on_closed(void *ctx, const struct err *err) {
    struct rig *rig = ctx;
    rig->closed++;
    rig->err = err != NULL ? *err : ERR_NONE;
}

static void on_failed(void *ctx, const struct err *err) {
    struct rig *rig = ctx;
    rig->failed++;
    rig->err = *err;
}

static int setup(void **state) {
    static const struct lease_holder_events events = {
        .position = on_position,
        .renewed = on_renewed,
        .wanted = on_wanted,
        .lost = on_lost,
        .closed = on_closed,
        .failed = on_failed,
    };
    struct rig *rig = calloc(1, sizeof *rig);
    aws_common_library_init(aws_default_allocator());
    log_setup(LOG_LEVEL_ERROR, LOG_FORMAT_TEXT);
    sim_lane_init(&rig->lane, 1);
    fake_service_init(&rig->service);
    rig->service.base.lane = &rig->lane.base;
    struct lease_table_options table_options = {.service = &rig->service.base,
                                                .name = STR("leases"),
                                                .worker_id = STR("me"),
                                                .stream_arn = STR("arn")};
    rig->table = lease_table_new(&table_options);
    struct lease_holder_options options = {
        .table = rig->table,
        .lane = &rig->lane.base,
        .failover_ms = FAILOVER_MS,
        .checkpoint_interval_ms = 60000,
        .backoff_ms = 700,
        .retries = 2,
    };
    struct lease lease = {.key = "shard-1",
                          .owner = "me",
                          .counter = 5,
                          .checkpoint = {.kind = POSITION_TRIM_HORIZON}};
    lease_holder_start(&rig->holder, &options, &events, rig, &lease, rig->lane.now_ns);
    *state = rig;
    return 0;
}

static int teardown(void **state) {
    struct rig *rig = *state;
    lease_holder_stop(&rig->holder);
    lease_table_free(rig->table);
    fake_service_done(&rig->service);
    free(rig);
    aws_common_library_clean_up();
    return 0;
}

static bool is_writing(const struct rig *rig) {
    return rig->service.done != NULL;
}

/* The write under way has (or has not) this in its body. */
static void assert_body(struct rig *rig, const char *part, bool wanted) {
    assert_true(is_writing(rig));
    const char *body = fake_service_body(&rig->service);
    if ((strstr(body, part) != NULL) != wanted) {
        fail_msg("%s %s in %s", part, wanted ? "is not" : "is", body);
    }
}

static void next_renewal(struct rig *rig) {
    sim_lane_advance(&rig->lane, RENEW_MS);
    assert_true(is_writing(rig));
}

static void a_renewal_only_raises_the_counter(void **state) {
    struct rig *rig = *state;
    next_renewal(rig);
    assert_body(rig, "\":old\":{\"N\":\"5\"},\":new\":{\"N\":\"6\"}", true);
    assert_body(rig, "checkpoint", false);
    fake_service_answer(&rig->service, "{}");
    assert_int_equal(rig->renewed, 1);
    assert_int_equal(rig->holder.lease.counter, 6);
    next_renewal(rig);
    assert_body(rig, "\":old\":{\"N\":\"6\"}", true);
    fake_service_answer(&rig->service, "{}");
}

static void a_renewal_carries_the_position(void **state) {
    struct rig *rig = *state;
    rig->position = "1000";
    next_renewal(rig);
    assert_body(rig, "{\"S\":\"1000\"}", true);
    fake_service_answer(&rig->service, "{}");
    next_renewal(rig);
    assert_body(rig, "checkpoint", false); /* it has not moved since */
    fake_service_answer(&rig->service, "{}");
    rig->position = "999";
    next_renewal(rig);
    assert_body(rig, "checkpoint", false); /* and it never goes back */
    fake_service_answer(&rig->service, "{}");
    assert_int_equal(rig->holder.lease.checkpoint.kind, POSITION_SEQUENCE_NUMBER);
}

/* At once, in front of any checkpoint, and again until it is in the item. */
static void a_base_is_written_before_anything_else(void **state) {
    struct rig *rig = *state;
    struct numbering_base base = {.id = 9, .partitions = 4, .routing = "r"};
    assert_true(seqno_parse(STR("70"), &base.seqno));
    rig->position = "1000";
    assert_false(lease_holder_has_base(&rig->holder, &base));
    assert_false(lease_holder_has_base(&rig->holder, &base));
    sim_lane_advance(&rig->lane, 0);
    assert_body(rig, "70 9 4 r", true);
    assert_body(rig, "1000", false);
    fake_service_fail(&rig->service, ERR_TIMEOUT, "no answer", NULL);
    sim_lane_advance(&rig->lane, 100);
    assert_body(rig, "70 9 4 r", true);
    /* the first one was applied, but it was an earlier one: a renewal that knew nothing of it */
    fake_service_fail(&rig->service, ERR_AWS_CONDITION, "condition",
                      "{\"Item\":{\"leaseKey\":{\"S\":\"shard-1\"},\"leaseOwner\":{\"S\":\"me\"},"
                      "\"leaseCounter\":{\"N\":\"6\"},\"checkpoint\":{\"S\":\"TRIM_HORIZON\"}}}");
    assert_body(rig, "70 9 4 r", true);
    fake_service_answer(&rig->service, "{}");
    assert_true(lease_holder_has_base(&rig->holder, &base));
    next_renewal(rig);
    assert_body(rig, "\"1000\"", true);
    fake_service_answer(&rig->service, "{}");
    assert_int_equal(rig->lost + rig->failed, 0);
}

static void one_write_is_in_flight_at_most(void **state) {
    struct rig *rig = *state;
    next_renewal(rig);
    lease_holder_release(&rig->holder);
    sim_lane_advance(&rig->lane, 4 * RENEW_MS); /* a second call would be refused, and reported */
    assert_int_equal(rig->failed + rig->closed + rig->lost, 0);
    fake_service_answer(&rig->service, "{}");
    assert_body(rig, "REMOVE #owner", true); /* the release follows at once */
    fake_service_answer(&rig->service, "{}");
    assert_int_equal(rig->closed, 1);
    assert_string_equal(rig->holder.lease.owner, "");
}

static void validity_counts_from_the_start_of_the_last_good_write(void **state) {
    struct rig *rig = *state;
    assert_true(lease_holder_is_valid(&rig->holder));
    next_renewal(rig);
    uint64_t started_ns = rig->holder.write_started_ns;
    sim_lane_advance(&rig->lane, 2000); /* a slow answer */
    fake_service_answer(&rig->service, "{}");
    uint64_t age_ms = (rig->lane.now_ns - started_ns) / 1000000;
    assert_true(age_ms >= 2000);
    rig->lane.now_ns = started_ns + (VALID_MS - 1) * UINT64_C(1000000);
    assert_true(lease_holder_is_valid(&rig->holder));
    rig->lane.now_ns = started_ns + VALID_MS * UINT64_C(1000000);
    assert_false(lease_holder_is_valid(&rig->holder));
}

static void an_overdue_lease_becomes_valid_again_when_it_was_renewed(void **state) {
    struct rig *rig = *state;
    next_renewal(rig);
    sim_lane_advance(&rig->lane, FAILOVER_MS);
    assert_false(lease_holder_is_valid(&rig->holder));
    fake_service_fail(&rig->service, ERR_TIMEOUT, "no answer", NULL);
    sim_lane_advance(&rig->lane, 100); /* the longest first delay */
    assert_true(is_writing(rig));
    fake_service_answer(&rig->service, "{}");
    assert_true(lease_holder_is_valid(&rig->holder));
    assert_int_equal(rig->renewed, 1);
}

static void a_throttled_write_waits_and_then_for_the_next_interval(void **state) {
    struct rig *rig = *state;
    next_renewal(rig);
    for (int i = 0; i < 2; i++) { /* numRetries */
        fake_service_fail(&rig->service, ERR_AWS_THROTTLED, "slow down", NULL);
        sim_lane_advance(&rig->lane, 699);
        assert_false(is_writing(rig));
        sim_lane_advance(&rig->lane, 1); /* backoffTime */
        assert_true(is_writing(rig));
    }
    fake_service_fail(&rig->service, ERR_AWS_THROTTLED, "slow down", NULL);
    sim_lane_advance(&rig->lane, RENEW_MS - 1);
    assert_false(is_writing(rig));
    sim_lane_advance(&rig->lane, 1);
    assert_true(is_writing(rig));
    assert_int_equal(rig->failed + rig->lost, 0);
    fake_service_answer(&rig->service, "{}");
    assert_int_equal(rig->renewed, 1);
}

static void another_owner_is_a_lost_lease(void **state) {
    struct rig *rig = *state;
    next_renewal(rig);
    fake_service_fail(
        &rig->service, ERR_AWS_CONDITION, "condition",
        "{\"Item\":{\"leaseKey\":{\"S\":\"shard-1\"},\"leaseOwner\":{\"S\":\"other\"},"
        "\"leaseCounter\":{\"N\":\"6\"},\"checkpoint\":{\"S\":\"TRIM_HORIZON\"}}}");
    assert_int_equal(rig->lost, 1);
    assert_non_null(strstr(rig->err.text, "taken by other"));
    assert_false(lease_holder_is_valid(&rig->holder));
    sim_lane_advance(&rig->lane, 10 * FAILOVER_MS);
    assert_false(is_writing(rig)); /* nothing more is written */
}

static void our_own_write_with_a_lost_reply_is_none(void **state) {
    struct rig *rig = *state;
    rig->position = "1000";
    next_renewal(rig);
    fake_service_fail(&rig->service, ERR_AWS_CONDITION, "condition",
                      "{\"Item\":{\"leaseKey\":{\"S\":\"shard-1\"},\"leaseOwner\":{\"S\":\"me\"},"
                      "\"leaseCounter\":{\"N\":\"6\"},\"checkpoint\":{\"S\":\"1000\"}}}");
    assert_int_equal(rig->lost, 0);
    assert_int_equal(rig->renewed, 1);
    assert_int_equal(rig->holder.lease.counter, 6);
}

#define ITEM(owner, counter, checkpoint, more)                                                     \
    "{\"leaseKey\":{\"S\":\"shard-1\"},\"leaseOwner\":{\"S\":\"" owner "\"},\"leaseCounter\":{"    \
    "\"N\":\"" counter "\"},\"checkpoint\":{\"S\":\"" checkpoint "\"}" more "}"
#define WANTED ",\"d2pWantedBy\":{\"S\":\"other\"}"

/* The first try was applied and its reply lost; by the second, the position has moved on. */
static void find_an_earlier_write(struct rig *rig, enum err_code code, uint64_t again_ms) {
    rig->position = "1000";
    next_renewal(rig);
    uint64_t applied_ns = rig->holder.write_started_ns;
    fake_service_fail(&rig->service, code, "no answer", NULL);
    rig->position = "2000";
    sim_lane_advance(&rig->lane, again_ms);
    assert_body(rig, "{\"S\":\"2000\"}", true);
    fake_service_fail(&rig->service, ERR_AWS_CONDITION, "condition",
                      "{\"Item\":" ITEM("me", "6", "1000", "") "}");
    assert_int_equal(rig->lost, 0);
    assert_int_equal(rig->holder.lease.counter, 6);
    /* It holds from when it may have been applied, and is written anew at once. */
    assert_true(rig->holder.renewed_ns == applied_ns);
    assert_body(rig, "{\"S\":\"2000\"}", true);
    assert_body(rig, "\":old\":{\"N\":\"6\"}", true);
    fake_service_answer(&rig->service, "{}");
    assert_true(rig->holder.renewed_ns > applied_ns);
}

static void an_earlier_write_is_told_by_owner_and_counter(void **state) {
    find_an_earlier_write(*state, ERR_TIMEOUT, 100);
}

/* Of one call, the first try was applied, and its repetitions were throttled. */
static void also_behind_a_throttled_one(void **state) {
    find_an_earlier_write(*state, ERR_AWS_THROTTLED, 700);
}

static void a_release_over_an_earlier_renewal_is_written_again(void **state) {
    struct rig *rig = *state;
    next_renewal(rig);
    fake_service_fail(&rig->service, ERR_TIMEOUT, "no answer", NULL);
    lease_holder_release(&rig->holder);
    sim_lane_advance(&rig->lane, 100);
    assert_body(rig, "REMOVE #owner", true);
    fake_service_fail(&rig->service, ERR_AWS_CONDITION, "condition",
                      "{\"Item\":" ITEM("me", "6", "TRIM_HORIZON", "") "}");
    assert_int_equal(rig->closed, 0);
    assert_body(rig, "REMOVE #owner", true);
    fake_service_answer(&rig->service, "{}");
    assert_int_equal(rig->closed, 1);
    assert_int_equal(rig->lost, 0);
}

static void who_wants_it_gets_it_with_the_last_position(void **state) {
    struct rig *rig = *state;
    next_renewal(rig);
    fake_service_answer(&rig->service,
                        "{\"Attributes\":" ITEM("me", "6", "TRIM_HORIZON", WANTED) "}");
    assert_int_equal(rig->wanted, 1);
    assert_true(lease_holder_is_valid(&rig->holder)); /* it stays ours until it is drained */
    next_renewal(rig);
    fake_service_answer(&rig->service,
                        "{\"Attributes\":" ITEM("me", "7", "TRIM_HORIZON", WANTED) "}");
    assert_int_equal(rig->wanted, 1); /* told once */
    rig->position = "1000";
    lease_holder_hand_over(&rig->holder);
    sim_lane_advance(&rig->lane, 0);
    assert_body(rig, "#owner = :to", true);
    assert_body(rig, "\":to\":{\"S\":\"other\"}", true);
    assert_body(rig, "{\"S\":\"1000\"}", true);
    fake_service_answer(&rig->service, "{}");
    assert_int_equal(rig->closed, 1);
    assert_string_equal(rig->holder.lease.owner, "other");
    assert_string_equal(rig->holder.lease.wanted_by, "");
    assert_false(lease_holder_is_valid(&rig->holder));
}

static void what_nobody_wants_any_more_is_given_back(void **state) {
    struct rig *rig = *state;
    next_renewal(rig);
    fake_service_answer(&rig->service,
                        "{\"Attributes\":" ITEM("me", "6", "TRIM_HORIZON", WANTED) "}");
    next_renewal(rig);
    fake_service_answer(&rig->service, "{\"Attributes\":" ITEM("me", "7", "TRIM_HORIZON", "") "}");
    lease_holder_hand_over(&rig->holder);
    sim_lane_advance(&rig->lane, 0);
    assert_body(rig, "REMOVE #owner", true);
    fake_service_answer(&rig->service, "{}");
    assert_string_equal(rig->holder.lease.owner, "");
}

/* Whoever asked has stopped meanwhile, or another has asked for it since. */
static void a_hand_over_is_only_to_who_still_wants_it(void **state) {
    struct rig *rig = *state;
    next_renewal(rig);
    fake_service_answer(&rig->service,
                        "{\"Attributes\":" ITEM("me", "6", "TRIM_HORIZON", WANTED) "}");
    rig->position = "1000";
    lease_holder_hand_over(&rig->holder);
    sim_lane_advance(&rig->lane, 0);
    assert_body(rig, "#wanted = :to", true);
    fake_service_fail(&rig->service, ERR_AWS_CONDITION, "condition",
                      "{\"Item\":" ITEM("me", "6", "TRIM_HORIZON", "") "}");
    assert_int_equal(rig->closed, 0);
    assert_body(rig, "#owner = :to", false);
    assert_body(rig, "{\"S\":\"1000\"}", true);
    assert_body(rig, ", #owner, #wanted", true);
    fake_service_answer(&rig->service, "{}");
    assert_int_equal(rig->closed, 1);
    assert_int_equal(rig->lost, 0);
    assert_string_equal(rig->holder.lease.owner, "");
}

static void without_the_item_it_is_read(void **state) {
    struct rig *rig = *state;
    next_renewal(rig);
    fake_service_fail(&rig->service, ERR_AWS_CONDITION, "condition", NULL);
    assert_string_equal(rig->service.target, "DynamoDB_20120810.GetItem");
    fake_service_answer(&rig->service, "{}");
    assert_int_equal(rig->lost, 1);
    assert_non_null(strstr(rig->err.text, "is gone"));
}

static void a_missing_table_ends_everything(void **state) {
    struct rig *rig = *state;
    next_renewal(rig);
    fake_service_fail(&rig->service, ERR_AWS_NOT_FOUND, "no table", NULL);
    assert_int_equal(rig->failed, 1);
    assert_int_equal(rig->err.code, ERR_TABLE_GONE);
}

static void the_end_of_a_shard_is_written_over_any_position(void **state) {
    struct rig *rig = *state;
    rig->position = "1000";
    lease_holder_finish(&rig->holder);
    sim_lane_advance(&rig->lane, 0);
    assert_body(rig, "{\"S\":\"SHARD_END\"}", true);
    assert_body(rig, "REMOVE #owner", false);
    fake_service_answer(&rig->service, "{}");
    assert_int_equal(rig->closed, 1);
    assert_int_equal(rig->holder.lease.checkpoint.kind, POSITION_SHARD_END);
}

static void a_release_that_fails_is_given_up_after_its_tries(void **state) {
    struct rig *rig = *state;
    lease_holder_release(&rig->holder);
    sim_lane_advance(&rig->lane, 0);
    for (int i = 0; i < 3; i++) {
        assert_int_equal(rig->closed, 0);
        fake_service_fail(&rig->service, ERR_AWS_SERVER, "500", NULL);
        sim_lane_advance(&rig->lane, FAILOVER_MS);
    }
    assert_int_equal(rig->closed, 1);
    assert_int_equal(rig->err.code, ERR_AWS_SERVER);
    assert_false(is_writing(rig));
}

static void an_end_is_written_however_long_it_takes(void **state) {
    struct rig *rig = *state;
    lease_holder_finish(&rig->holder);
    sim_lane_advance(&rig->lane, 0);
    for (int i = 0; i < 10; i++) {
        fake_service_fail(&rig->service, ERR_AWS_SERVER, "500", NULL);
        sim_lane_advance(&rig->lane, FAILOVER_MS);
        assert_body(rig, "{\"S\":\"SHARD_END\"}", true);
    }
    assert_int_equal(rig->closed, 0);
    lease_holder_release(&rig->holder); /* a stop does not wait for ever */
    for (int i = 0; i < 3; i++) {
        fake_service_fail(&rig->service, ERR_AWS_SERVER, "500", NULL);
        sim_lane_advance(&rig->lane, FAILOVER_MS);
    }
    assert_int_equal(rig->closed, 1);
    assert_false(is_writing(rig));
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void) {
    const struct CMUnitTest tests[] = {
        TEST(a_renewal_only_raises_the_counter),
        TEST(a_renewal_carries_the_position),
        TEST(a_base_is_written_before_anything_else),
        TEST(one_write_is_in_flight_at_most),
        TEST(validity_counts_from_the_start_of_the_last_good_write),
        TEST(an_overdue_lease_becomes_valid_again_when_it_was_renewed),
        TEST(a_throttled_write_waits_and_then_for_the_next_interval),
        TEST(another_owner_is_a_lost_lease),
        TEST(our_own_write_with_a_lost_reply_is_none),
        TEST(an_earlier_write_is_told_by_owner_and_counter),
        TEST(also_behind_a_throttled_one),
        TEST(a_release_over_an_earlier_renewal_is_written_again),
        TEST(who_wants_it_gets_it_with_the_last_position),
        TEST(what_nobody_wants_any_more_is_given_back),
        TEST(a_hand_over_is_only_to_who_still_wants_it),
        TEST(without_the_item_it_is_read),
        TEST(a_missing_table_ends_everything),
        TEST(the_end_of_a_shard_is_written_over_any_position),
        TEST(a_release_that_fails_is_given_up_after_its_tries),
        TEST(an_end_is_written_however_long_it_takes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
