/* The source as a whole against the AWS double: what is delivered, in which order, and what the leases then say. */
#include "source_rig.h"

#include "cmocka_all.h"
#include "source/lease.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define SHARD_A "shardId-00000001700000000000-0000000a"
#define SHARD_B "shardId-00000001700000001000-0000000b"
#define SHARD_C "shardId-00000001700000001000-0000000c"

static int setup(void **state) {
    *state = rig_new();
    return 0;
}

static int teardown(void **state) {
    rig_free(*state);
    return 0;
}

/* ---- the plain way ---- */

static void everything_arrives_once_and_is_checkpointed(void **state) {
    struct source_rig *rig = *state;
    rig_script(rig, "shard " SHARD_A "\nsequence 1000\nfill " SHARD_A " 2500 500 keys 7\n");
    rig_read_and_stop(rig, 2500);
    rig_assert_once_in_order(rig, 1000, 2500);
    assert_string_equal(rig_checkpoint(rig, SHARD_A), "3499");
    assert_string_equal(rig_lease(rig, SHARD_A).owner, ""); /* released */
    assert_int_equal(rig_lease(rig, SHARD_A).stream, LEASE_STREAM_OURS);
}

static void a_restart_goes_on_behind_the_checkpoint(void **state) {
    struct source_rig *rig = *state;
    rig_script(rig, "shard " SHARD_A "\nsequence 1000\nfill " SHARD_A " 10 500\n");
    rig_read_and_stop(rig, 10);
    rig_forget(rig);
    rig_script(rig, "fill " SHARD_A " 5 500\n");
    rig_read_and_stop(rig, 5);
    rig_assert_once_in_order(rig, 1010, 5);
}

static void an_empty_shard_is_caught_up_too(void **state) {
    struct source_rig *rig = *state;
    rig_script(rig, "shard " SHARD_A "\n");
    rig_assert_well(rig_run(rig));
    assert_int_equal(rig_message_count(rig), 0);
    assert_string_equal(rig_checkpoint(rig, SHARD_A), "TRIM_HORIZON");
}

static void many_shards_share_the_lanes(void **state) {
    struct source_rig *rig = *state;
    rig->options.lanes = 3;
    rig_script(rig, "shards 9 shardId-\n");
    char line[160];
    for (int i = 0; i < 9; i++) {
        (void)snprintf(line, sizeof line, "fill shardId-%020llu-%08x 50 500 keys 5 name items-%d\n",
                       1700000000000ull + (unsigned)i, (unsigned)i, i);
        rig_script(rig, line);
    }
    rig_read_and_stop(rig, 450);
    bool lanes[RIG_LANES] = {false};
    char last[9][48] = {""};
    for (size_t i = 0; i < 450; i++) {
        struct rig_message message = rig_message(rig, i);
        lanes[message.lane] = true;
        int shard = (int)strtol(message.shard + 29, NULL, 16);
        assert_true(strlen(last[shard]) < strlen(message.sequence_number) ||
                    strcmp(last[shard], message.sequence_number) < 0);
        strcpy(last[shard], message.sequence_number);
    }
    assert_true(lanes[0] && lanes[1] && lanes[2]);
}

static void listing_takes_all_its_pages(void **state) {
    struct source_rig *rig = *state;
    rig_script(rig, "page-shards 4\nshards 11 shardId-\n");
    rig_assert_well(rig_run(rig));
    for (unsigned i = 0; i < 11; i++) {
        char id[64];
        (void)snprintf(id, sizeof id, "shardId-%020llu-%08x", 1700000000000ull + i, i);
        assert_true(rig_has_lease(rig, id));
    }
}

/* ---- lineage ---- */

static void children_wait_for_the_parents_receipts(void **state) {
    struct source_rig *rig = *state;
    rig->hold = true;
    rig_script(rig, "shard " SHARD_A "\nfill " SHARD_A " 10 500 name x\nsplit " SHARD_A " " SHARD_B
                    " " SHARD_C "\nfill " SHARD_B " 5 500 name x\nfill " SHARD_C " 5 500 name x\n");
    rig->options.until_caught_up = true;
    rig_start(rig);
    rig_wait_messages(rig, 10);
    for (size_t i = 0; i < 9; i++) {
        rig_ack(rig, i);
    }
    rig_wait_calls(rig, FAKE_AWS_UPDATE_ITEM, 3); /* renewals: time passes, nothing moves */
    assert_int_equal(rig_message_count(rig), 10);
    rig_ack_all(rig);
    rig_assert_well(rig_wait_end(rig));
    assert_int_equal(rig_message_count(rig), 20);
    for (size_t i = 0; i < 20; i++) {
        struct rig_message message = rig_message(rig, i);
        assert_int_equal(strcmp(message.shard, SHARD_A) == 0, i < 10);
    }
    assert_string_equal(rig_checkpoint(rig, SHARD_A), "SHARD_END");
    assert_string_equal(rig_lease(rig, SHARD_B).parent, SHARD_A);
    assert_string_equal(rig_lease(rig, SHARD_C).parent, SHARD_A);
}

static void a_roll_over_while_running_is_followed(void **state) {
    struct source_rig *rig = *state;
    rig_script(rig, "shard " SHARD_A "\nfill " SHARD_A " 3 500 name x\n");
    rig_start(rig);
    rig_wait_messages(rig, 3);
    rig_script(rig, "fill " SHARD_A " 2 500 name x\nsplit " SHARD_A " " SHARD_B
                    " hidden 3\nfill " SHARD_B " 4 500 name x\n");
    rig_wait_messages(rig, 9);
    rig_assert_well(rig_stop(rig));
    assert_string_equal(rig_message(rig, 8).shard, SHARD_B);
    assert_string_equal(rig_checkpoint(rig, SHARD_A), "SHARD_END");
}

static void a_server_that_ignores_the_filter_is_understood(void **state) {
    struct source_rig *rig = *state;
    rig_script(rig,
               "child-shards off\nshard " SHARD_A "\nfill " SHARD_A " 3 500 name x\nsplit " SHARD_A
               " " SHARD_B "\nfill " SHARD_B " 3 500 name x\n");
    rig_assert_well(rig_run(rig));
    assert_int_equal(rig_message_count(rig), 6);
    assert_false(rig_has_lease(rig, SHARD_C));
}

static void the_last_page_may_carry_records(void **state) {
    struct source_rig *rig = *state;
    rig_script(rig, "end-with-records on\nshard " SHARD_A "\nsequence 500\nfill " SHARD_A
                    " 30 500\nclose " SHARD_A "\nstream-status DISABLED\n");
    rig_assert_well(rig_run(rig));
    rig_assert_once_in_order(rig, 500, 30);
    assert_string_equal(rig_checkpoint(rig, SHARD_A), "SHARD_END");
}

static void a_disabled_stream_is_drained(void **state) {
    struct source_rig *rig = *state;
    rig_script(rig, "shard " SHARD_A "\nfill " SHARD_A " 4 500\nclose " SHARD_A
                    "\nstream-status DISABLED\n");
    rig_assert_well(rig_run(rig));
    assert_int_equal(rig_message_count(rig), 4);
    assert_string_equal(rig_checkpoint(rig, SHARD_A), "SHARD_END");
}

static void a_trimmed_parent_is_not_waited_for(void **state) {
    struct source_rig *rig = *state;
    rig_script(rig, "shard " SHARD_B " parent " SHARD_A "\nfill " SHARD_B " 4 500\n");
    rig_assert_well(rig_run(rig));
    assert_int_equal(rig_message_count(rig), 4);
}

/* ---- checkpoints ---- */

static void no_checkpoint_passes_a_record_without_receipt(void **state) {
    struct source_rig *rig = *state;
    rig->hold = true;
    rig_script(rig, "shard " SHARD_A "\nsequence 1000\nfill " SHARD_A " 10 500\n");
    rig_start(rig);
    rig_wait_messages(rig, 10);
    rig_ack(rig, 0);
    rig_ack(rig, 1);
    rig_wait_checkpoint(rig, SHARD_A, "1001");
    for (size_t i = 3; i < 10; i++) {
        rig_ack(rig, i);
    }
    rig_wait_calls(rig, FAKE_AWS_UPDATE_ITEM, 3);
    assert_string_equal(rig_checkpoint(rig, SHARD_A), "1001");
    rig_ack(rig, 2);
    rig_wait_checkpoint(rig, SHARD_A, "1009");
    rig_assert_well(rig_stop(rig));
}

static void receipts_in_any_order_end_at_the_same_place(void **state) {
    struct source_rig *rig = *state;
    rig->backwards = true;
    rig->room = 64;
    rig_script(rig, "shard " SHARD_A "\nsequence 1000\nfill " SHARD_A " 1500 500\n");
    rig_read_and_stop(rig, 1500);
    rig_assert_once_in_order(rig, 1000, 1500);
    assert_string_equal(rig_checkpoint(rig, SHARD_A), "2499");
}

static void a_clean_stop_waits_for_the_receipts(void **state) {
    struct source_rig *rig = *state;
    rig->hold = true;
    rig_script(rig, "shard " SHARD_A "\nsequence 1000\nfill " SHARD_A " 10 500\n");
    rig_start(rig);
    rig_wait_messages(rig, 10);
    rig_ack_all(rig);
    rig_assert_well(rig_stop(rig));
    assert_string_equal(rig_checkpoint(rig, SHARD_A), "1009");
    assert_string_equal(rig_lease(rig, SHARD_A).owner, "");
}

static void a_stop_without_receipts_keeps_what_is_proven(void **state) {
    struct source_rig *rig = *state;
    rig->hold = true;
    rig->options.stop_timeout_ms = 300;
    rig_script(rig, "shard " SHARD_A "\nsequence 1000\nfill " SHARD_A " 10 500\n");
    rig_start(rig);
    rig_wait_messages(rig, 10);
    rig_ack(rig, 0);
    rig_wait_checkpoint(rig, SHARD_A, "1000");
    rig_assert_error(rig_stop(rig), ERR_STOP_TIMEOUT, "9 records");
    assert_string_equal(rig_checkpoint(rig, SHARD_A), "1000");
    assert_string_equal(rig_lease(rig, SHARD_A).owner, "");
    rig_forget(rig);
    rig_ack_all(rig);
    rig_read_and_stop(rig, 9);
    rig_assert_once_in_order(rig, 1001, 9);
}

/* What follows it is not sent before it, and nothing is lost or told in vain. */
static void what_was_called_off_is_read_again(void **state) {
    struct source_rig *rig = *state;
    rig->call_off = "b-000000";
    rig_script(rig,
               "shard " SHARD_A "\nsequence 1000\nfill " SHARD_A " 10 500 name a\nfill " SHARD_A
               " 1 500 name b\nfill " SHARD_A " 10 500 name a\n");
    rig_read_and_stop(rig, 21);
    rig_assert_once_in_order(rig, 1000, 21);
    assert_null(rig->call_off);
    assert_string_equal(rig_checkpoint(rig, SHARD_A), "1020");
}

/* ---- LATEST ---- */

static void latest_begins_at_the_first_start_and_not_again(void **state) {
    struct source_rig *rig = *state;
    rig->options.initial = POSITION_LATEST;
    rig_script(rig, "shard " SHARD_A "\nsequence 1000\nfill " SHARD_A " 10 500 at 1600000000000\n");
    rig_assert_well(rig_run(rig));
    assert_int_equal(rig_message_count(rig), 0);
    rig_script(rig, "fill " SHARD_A " 3 500\n"); /* while it is down */
    rig_read_and_stop(rig, 3);
    rig_assert_once_in_order(rig, 1010, 3);
}

static void latest_passes_over_what_is_older(void **state) {
    struct source_rig *rig = *state;
    rig->options.initial = POSITION_LATEST;
    rig_script(rig, "at-timestamp off\nshard " SHARD_A "\nsequence 1000\nfill " SHARD_A
                    " 1500 500 at 1600000000000\n");
    rig_start(rig);
    rig_wait_checkpoint(rig, SHARD_A, "2499");
    rig_script(rig, "fill " SHARD_A " 3 500\n");
    rig_wait_messages(rig, 3);
    struct source_stats stats;
    rig_stats(rig, &stats);
    assert_int_equal(stats.records_skipped, 1500);
    rig_assert_well(rig_stop(rig));
    rig_assert_once_in_order(rig, 2500, 3);
}

static void a_child_of_a_latest_shard_is_read_from_its_beginning(void **state) {
    struct source_rig *rig = *state;
    rig->options.initial = POSITION_LATEST;
    rig_script(rig, "shard " SHARD_A "\nfill " SHARD_A " 10 500 at 1600000000000 name x\n");
    rig_assert_well(rig_run(rig));
    rig_script(rig, "split " SHARD_A " " SHARD_B "\nsequence 2000\nfill " SHARD_B
                    " 3 500 at 1600000000000 name x\n");
    rig_read_and_stop(rig, 3);
    rig_assert_once_in_order(rig, 2000, 3);
}

/* ---- trouble with AWS ---- */

static void an_expired_iterator_loses_and_repeats_nothing(void **state) {
    struct source_rig *rig = *state;
    rig->room = 20;
    rig_script(rig, "shard " SHARD_A "\nsequence 1000\nfill " SHARD_A " 10 500\n");
    rig_start(rig);
    rig_wait_messages(rig, 10);
    for (size_t round = 1; round < 4; round++) {
        rig_script(rig, "expire-iterators\nfill " SHARD_A " 10 500\n");
        rig_wait_messages(rig, 10 * (round + 1));
    }
    rig_assert_well(rig_stop(rig));
    rig_assert_once_in_order(rig, 1000, 40);
}

static void an_iterator_that_expires_unused_is_taken_again(void **state) {
    struct source_rig *rig = *state;
    rig_script(rig, "shard " SHARD_A "\n");
    rig_start(rig);
    rig_wait_calls(rig, FAKE_AWS_GET_RECORDS, 2);
    rig_script(rig, "expire-iterators\nsequence 1000\nfill " SHARD_A " 3 500\n");
    rig_wait_messages(rig, 3);
    rig_assert_well(rig_stop(rig));
    rig_assert_once_in_order(rig, 1000, 3);
}

static void every_passing_fault_is_survived(void **state) {
    static const char *const faults[] = {
        "throttle GetRecords 6",
        "fail GetRecords 6 500 InternalServerError",
        "crc GetRecords 6",
        "cut GetRecords 6 1000",
        "html GetRecords 6",
        "drop-before GetRecords 6",
        "drop-after GetRecords 6",
        "empty GetRecords 3 500",
        "fail GetShardIterator 6 500 InternalServerError",
        "throttle GetShardIterator 6",
        "fail DescribeStream 2 500 InternalServerError",
        "throttle DescribeStream 2",
        "throttle UpdateItem 2",
        "fail UpdateItem 2 500 InternalServerError",
        "drop-after UpdateItem 1",
        "drop-after PutItem 1",
        "fail Scan 2 500 InternalServerError",
        "time-format exponent",
    };
    for (size_t i = 0; i < sizeof faults / sizeof faults[0]; i++) {
        struct source_rig *rig = i == 0 ? *state : rig_new();
        rig_script(rig, "shard " SHARD_A "\nsequence 1000\n");
        rig_script(rig, faults[i]);
        rig_script(rig, "fill " SHARD_A " 1200 500\n");
        rig_start(rig);
        rig_wait_messages(rig, 1200);
        struct err err = rig_stop(rig);
        if (err_is_set(&err)) {
            fail_msg("%s: %s", faults[i], err.text);
        }
        rig_assert_once_in_order(rig, 1000, 1200);
        assert_string_equal(rig_checkpoint(rig, SHARD_A), "2199");
        if (i > 0) {
            rig_free(rig);
        }
    }
}

static void a_clock_that_is_wrong_is_corrected(void **state) {
    struct source_rig *rig = *state;
    rig_script(rig, "clock-skew 3600000\nsignature-window 300000\nshard " SHARD_A
                    "\nsequence 1000\nfill " SHARD_A " 5 500\n");
    rig_read_and_stop(rig, 5);
    rig_assert_once_in_order(rig, 1000, 5);
}

static void wrong_keys_end_it_with_a_reason(void **state) {
    struct source_rig *rig = *state;
    rig_script(rig, "credentials OTHERKEY\nshard " SHARD_A "\n");
    struct err err = rig_run(rig);
    assert_int_equal(err.class, ERR_CLASS_AUTH);
    assert_int_equal(err_exit_code(err.code), 3);
}

static void a_missing_stream_ends_it_with_a_reason(void **state) {
    struct source_rig *rig = *state;
    rig->options.stream_arn =
        STR("arn:aws:dynamodb:us-east-1:123456789012:table/none/stream/2026-01-01T00:00:00.000");
    rig_assert_error(rig_run(rig), ERR_STREAM, "does not exist");
}

/* ---- leases ---- */

static const char taken_by_other[] =
    "item " RIG_TABLE " {\"leaseKey\":{\"S\":\"" SHARD_A "\"},\"leaseOwner\":{\"S\":\"other\"},"
    "\"leaseCounter\":{\"N\":\"900\"},\"ownerSwitchesSinceCheckpoint\":{\"N\":\"1\"},"
    "\"checkpoint\":{\"S\":\"TRIM_HORIZON\"},\"checkpointSubSequenceNumber\":{\"N\":\"0\"}}\n";

static void a_lost_reply_is_not_a_lost_lease(void **state) {
    struct source_rig *rig = *state;
    rig_script(rig, "shard " SHARD_A "\nsequence 1000\nfill " SHARD_A " 3 500\n");
    rig_start(rig);
    rig_wait_messages(rig, 3);
    rig_script(rig, "drop-after UpdateItem 2\nfill " SHARD_A " 3 500\n");
    rig_wait_checkpoint(rig, SHARD_A, "1005");
    assert_string_equal(rig_lease(rig, SHARD_A).owner, "worker-a");
    rig_assert_well(rig_stop(rig));
    rig_assert_once_in_order(rig, 1000, 6);
}

static void a_lease_taken_by_another_is_left_alone(void **state) {
    struct source_rig *rig = *state;
    rig->options.failover_ms = 60000; /* long enough that it is not claimed back in this test */
    rig_script(rig, "shard " SHARD_A "\nsequence 1000\nfill " SHARD_A " 3 500\n");
    rig_start(rig);
    rig_wait_messages(rig, 3);
    rig_script(rig, taken_by_other);
    rig_wait_calls(rig, FAKE_AWS_UPDATE_ITEM, 1); /* its next renewal fails */
    rig_assert_well(rig_stop(rig));
    struct lease lease = rig_lease(rig, SHARD_A);
    assert_string_equal(lease.owner, "other");
    assert_int_equal(lease.counter, 900);
    assert_int_equal(lease.checkpoint.kind, POSITION_TRIM_HORIZON);
}

static void a_dead_workers_lease_is_taken_when_it_has_expired(void **state) {
    struct source_rig *rig = *state;
    rig_script(rig, "shard " SHARD_A "\nsequence 1000\nfill " SHARD_A " 3 500\n");
    rig_read_and_stop(rig, 3);
    rig_forget(rig);
    rig_script(rig, taken_by_other);
    rig_read_and_stop(rig, 3);
    rig_assert_once_in_order(rig, 1000, 3); /* from the other's checkpoint */
    assert_int_equal(rig_lease(rig, SHARD_A).owner_switches, 0);
    assert_true(rig_lease(rig, SHARD_A).counter > 900);
}

static void our_own_lease_is_adopted_at_once(void **state) {
    struct source_rig *rig = *state;
    rig->options.failover_ms = 3600000; /* adopted, not expired */
    rig_script(rig, "shard " SHARD_A "\nsequence 1000\nfill " SHARD_A " 3 500\n");
    rig_read_and_stop(rig, 3);
    rig_forget(rig);
    char item[1024];
    (void)snprintf(item, sizeof item, "%s", taken_by_other);
    char *owner = strstr(item, "\"other\"");
    memmove(owner + strlen("\"worker-a\""), owner + strlen("\"other\""),
            strlen(owner + strlen("\"other\"")) + 1);
    memcpy(owner, "\"worker-a\"", strlen("\"worker-a\""));
    rig_script(rig, item);
    rig_read_and_stop(rig, 3);
    rig_assert_once_in_order(rig, 1000, 3);
}

static void a_deleted_table_is_no_new_start(void **state) {
    struct source_rig *rig = *state;
    rig_script(rig, "shard " SHARD_A "\nfill " SHARD_A " 3 500\n");
    rig_start(rig);
    rig_wait_messages(rig, 3);
    rig_script(rig, "delete-table " RIG_TABLE "\n");
    rig_assert_error(rig_wait_end(rig), ERR_TABLE_GONE, "deleted while running");
    assert_int_equal(rig_message_count(rig), 3);
}

/* ---- loss and bad records ---- */

static void start_behind_the_horizon(struct source_rig *rig) {
    rig_script(rig, "shard " SHARD_A "\nsequence 1000\nfill " SHARD_A " 3 500\n");
    rig_read_and_stop(rig, 3);
    rig_forget(rig);
    rig_script(rig, "fill " SHARD_A " 10 500\ntrim " SHARD_A " 1007\n");
}

static void trimmed_records_stop_it_before_anything_moves(void **state) {
    struct source_rig *rig = *state;
    start_behind_the_horizon(rig);
    rig_assert_error(rig_run(rig), ERR_DATA_LOSS, "records after 1002 were lost");
    assert_int_equal(rig_message_count(rig), 0);
    assert_string_equal(rig_checkpoint(rig, SHARD_A), "1002");
}

static void a_horizon_that_moves_is_no_loss(void **state) {
    struct source_rig *rig = *state;
    rig_script(rig, "shard " SHARD_A "\nsequence 1000\nfill " SHARD_A
                    " 3 500\nfail GetRecords 2 400 TrimmedDataAccessException\n");
    rig_read_and_stop(rig, 3);
    rig_assert_once_in_order(rig, 1000, 3);
}

static void a_horizon_that_is_never_there_is_a_loss(void **state) {
    struct source_rig *rig = *state;
    rig_script(rig, "shard " SHARD_A "\nsequence 1000\nfill " SHARD_A
                    " 3 500\nfail GetRecords always 400 TrimmedDataAccessException\n");
    rig_assert_error(rig_run(rig), ERR_DATA_LOSS, "records after TRIM_HORIZON were lost");
}

static void trimmed_records_are_passed_over_on_request(void **state) {
    struct source_rig *rig = *state;
    rig->options.continue_after_loss = true;
    start_behind_the_horizon(rig);
    rig->options.until_caught_up = false;
    rig_start(rig);
    rig_wait_messages(rig, 5);
    struct source_stats stats;
    rig_stats(rig, &stats);
    assert_int_equal(stats.gaps, 1);
    rig_assert_well(rig_stop(rig));
    rig_assert_once_in_order(rig, 1008, 5);
}

static const char record_without_keys[] =
    "record " SHARD_A " {\"eventID\":\"e1\",\"eventName\":\"INSERT\",\"dynamodb\":"
    "{\"ApproximateCreationDateTime\":1700000000,\"Keys\":{\"other\":{\"S\":\"x\"}},"
    "\"SequenceNumber\":\"1003\",\"SizeBytes\":3}}\n";

static void fill_around_a_bad_record(struct source_rig *rig) {
    rig_script(rig, "shard " SHARD_A "\nsequence 1000\nfill " SHARD_A " 3 500\n");
    rig_script(rig, record_without_keys);
    rig_script(rig, "sequence 1004\nfill " SHARD_A " 3 500\n");
}

static void a_bad_record_stops_it_in_front_of_the_record(void **state) {
    struct source_rig *rig = *state;
    fill_around_a_bad_record(rig);
    struct err err = rig_run(rig);
    rig_assert_error(err, ERR_RECORD, "record 1003");
    assert_int_equal(err_exit_code(err.code), 4);
    rig_assert_once_in_order(rig, 1000, 3);
    assert_string_equal(rig_checkpoint(rig, SHARD_A), "1002");
}

static void a_bad_record_is_passed_over_on_request(void **state) {
    struct source_rig *rig = *state;
    rig->options.skip_bad_records = true;
    fill_around_a_bad_record(rig);
    rig_assert_well(rig_run(rig));
    assert_int_equal(rig_message_count(rig), 6);
    rig_assert_number(rig, 2, 1002);
    rig_assert_number(rig, 3, 1004);
    assert_string_equal(rig_checkpoint(rig, SHARD_A), "1006");
}

static void a_refused_message_is_a_bad_record(void **state) {
    struct source_rig *rig = *state;
    rig->options.skip_bad_records = true;
    rig->refuse = "x-000001";
    rig_script(rig, "shard " SHARD_A "\nsequence 1000\nfill " SHARD_A " 4 500 keys 4 name x\n");
    rig_assert_well(rig_run(rig));
    assert_int_equal(rig_message_count(rig), 3);
    rig_assert_number(rig, 1, 1002);
    assert_string_equal(rig_checkpoint(rig, SHARD_A), "1003");
}

static void a_message_refused_later_is_a_bad_record_too(void **state) {
    struct source_rig *rig = *state;
    rig->options.skip_bad_records = true;
    rig->refuse_later = "x-000001";
    rig_script(rig, "shard " SHARD_A "\nsequence 1000\nfill " SHARD_A " 4 500 keys 4 name x\n");
    rig_start(rig);
    rig_wait_checkpoint(rig, SHARD_A, "1003");
    struct source_stats stats;
    rig_stats(rig, &stats);
    assert_int_equal(stats.record_errors, 1);
    rig_assert_well(rig_stop(rig));
    assert_int_equal(rig_message_count(rig), 4);
}

static void a_message_refused_later_stops_it_in_front_of_the_record(void **state) {
    struct source_rig *rig = *state;
    rig->refuse_later = "x-000002";
    rig_script(rig, "shard " SHARD_A "\nsequence 1000\nfill " SHARD_A " 4 500 keys 4 name x\n");
    struct err err = rig_run(rig);
    rig_assert_error(err, ERR_PULSAR_REFUSED, "record 1002");
    assert_int_equal(err_exit_code(err.code), 4);
    struct position checkpoint;
    assert_true(position_parse(str_of(rig_checkpoint(rig, SHARD_A)), &checkpoint));
    struct position refused;
    assert_true(position_parse(STR("1002"), &refused));
    assert_true(position_compare(&checkpoint, &refused) < 0);
}

/* ---- back-pressure and memory ---- */

static void a_full_sink_stops_the_reading(void **state) {
    struct source_rig *rig = *state;
    rig->hold = true;
    rig->room = 100;
    rig->options.memory_budget = 8 << 20;
    rig_script(rig, "shard " SHARD_A "\nsequence 1000\nfill " SHARD_A " 1800 500\n");
    rig->options.until_caught_up = true;
    rig_start(rig);
    rig_wait_messages(rig, 100);
    uint64_t reads = rig_calls(rig, FAKE_AWS_GET_RECORDS);
    rig_wait_calls(rig, FAKE_AWS_UPDATE_ITEM, 3);
    assert_int_equal(rig_message_count(rig), 100);
    assert_int_equal(rig_calls(rig, FAKE_AWS_GET_RECORDS), reads);
    rig_ack_all(rig);
    rig_assert_well(rig_wait_end(rig));
    rig_assert_once_in_order(rig, 1000, 1800);
}

static void without_leases_nothing_is_kept(void **state) {
    struct source_rig *rig = *state;
    rig->options.lease_table = STR_NONE;
    rig_script(rig, "shard " SHARD_A "\nfill " SHARD_A " 3 500 name x\nsplit " SHARD_A " " SHARD_B
                    "\nfill " SHARD_B " 3 500 name x\n");
    rig_assert_well(rig_run(rig));
    assert_int_equal(rig_message_count(rig), 6);
    assert_int_equal(rig_calls(rig, FAKE_AWS_CREATE_TABLE) + rig_calls(rig, FAKE_AWS_SCAN), 0);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

/* With an argument: only the tests whose names match it (* and ? allowed). */
int main(int argc, char **argv) {
    if (argc > 1) {
        cmocka_set_test_filter(argv[1]);
    }
    const struct CMUnitTest tests[] = {
        TEST(everything_arrives_once_and_is_checkpointed),
        TEST(a_restart_goes_on_behind_the_checkpoint),
        TEST(an_empty_shard_is_caught_up_too),
        TEST(many_shards_share_the_lanes),
        TEST(listing_takes_all_its_pages),
        TEST(children_wait_for_the_parents_receipts),
        TEST(a_roll_over_while_running_is_followed),
        TEST(a_server_that_ignores_the_filter_is_understood),
        TEST(the_last_page_may_carry_records),
        TEST(a_disabled_stream_is_drained),
        TEST(a_trimmed_parent_is_not_waited_for),
        TEST(no_checkpoint_passes_a_record_without_receipt),
        TEST(receipts_in_any_order_end_at_the_same_place),
        TEST(a_clean_stop_waits_for_the_receipts),
        TEST(a_stop_without_receipts_keeps_what_is_proven),
        TEST(what_was_called_off_is_read_again),
        TEST(latest_begins_at_the_first_start_and_not_again),
        TEST(latest_passes_over_what_is_older),
        TEST(a_child_of_a_latest_shard_is_read_from_its_beginning),
        TEST(an_expired_iterator_loses_and_repeats_nothing),
        TEST(an_iterator_that_expires_unused_is_taken_again),
        TEST(every_passing_fault_is_survived),
        TEST(a_clock_that_is_wrong_is_corrected),
        TEST(wrong_keys_end_it_with_a_reason),
        TEST(a_missing_stream_ends_it_with_a_reason),
        TEST(a_lost_reply_is_not_a_lost_lease),
        TEST(a_lease_taken_by_another_is_left_alone),
        TEST(a_dead_workers_lease_is_taken_when_it_has_expired),
        TEST(our_own_lease_is_adopted_at_once),
        TEST(a_deleted_table_is_no_new_start),
        TEST(trimmed_records_stop_it_before_anything_moves),
        TEST(a_horizon_that_moves_is_no_loss),
        TEST(a_horizon_that_is_never_there_is_a_loss),
        TEST(trimmed_records_are_passed_over_on_request),
        TEST(a_bad_record_stops_it_in_front_of_the_record),
        TEST(a_bad_record_is_passed_over_on_request),
        TEST(a_refused_message_is_a_bad_record),
        TEST(a_message_refused_later_is_a_bad_record_too),
        TEST(a_message_refused_later_stops_it_in_front_of_the_record),
        TEST(a_full_sink_stops_the_reading),
        TEST(without_leases_nothing_is_kept),
    };
    return cmocka_run_group_tests_name("source", tests, NULL, NULL);
}
