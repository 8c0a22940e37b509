/* Where a source starts by time, and that it starts there once: against the AWS double. */
#include "source_rig.h"

#include "cmocka_all.h"
#include "source/lease.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* One lineage, an hour between the generations: OLD (ended at 1 h) -> MID (ended at 2 h) -> NEW. */
#define HOUR INT64_C(3600000)
#define BASE INT64_C(1700000000000)
#define OLD "shardId-00000001700000000000-0000000a"
#define MID "shardId-00000001700003600000-0000000b"
#define NEW "shardId-00000001700007200000-0000000c"

enum { RECORDS = 60, STEP_MS = 60000 }; /* a record a minute in each of them */

static int setup(void **state) {
    struct source_rig *rig = rig_new();
    rig->options.initial = POSITION_AT_TIMESTAMP;
    *state = rig;
    return 0;
}

static int teardown(void **state) {
    rig_free(*state);
    return 0;
}

/* Sequence numbers 1000, 2000 and 3000 on. */
static void fill_generations(struct source_rig *rig) {
    static const char *const ids[] = {OLD, MID, NEW};
    char line[512];
    rig_script(rig, "shard " OLD "\n");
    for (int i = 0; i < 3; i++) {
        (void)snprintf(line, sizeof line, "sequence %d\nfill %s %d 500 name x at %lld every %d\n",
                       1000 * (i + 1), ids[i], RECORDS, (long long)(BASE + i * HOUR), STEP_MS);
        rig_script(rig, line);
        if (i < 2) {
            (void)snprintf(line, sizeof line, "split %s %s\n", ids[i], ids[i + 1]);
            rig_script(rig, line);
        }
    }
}

/* From minute 30 of MID on. */
static void assert_the_last_90(struct source_rig *rig) {
    assert_int_equal(rig_message_count(rig), 90);
    for (size_t i = 0; i < 90; i++) {
        rig_assert_number(rig, i, i < 30 ? 2030 + i : 3000 + i - 30);
    }
}

static void everything_from_that_time_on_is_read(void **state) {
    struct source_rig *rig = *state;
    fill_generations(rig);
    rig->options.start_at_ms = BASE + HOUR + 30 * STEP_MS;
    rig_assert_well(rig_run(rig));
    assert_the_last_90(rig);
    assert_int_equal(rig_lease(rig, MID).start_ms, BASE + HOUR + 30 * STEP_MS);
    assert_string_equal(rig_checkpoint(rig, MID), "SHARD_END");
    assert_string_equal(rig_checkpoint(rig, NEW), "3059");
}

static void what_had_ended_before_is_not_even_looked_at(void **state) {
    struct source_rig *rig = *state;
    fill_generations(rig);
    rig->options.start_at_ms = BASE + HOUR + 30 * STEP_MS;
    rig_script(rig, "fail GetShardIterator always 400 TrimmedDataAccessException on " OLD "\n");
    rig_assert_well(rig_run(rig));
    assert_the_last_90(rig);
    assert_false(rig_has_lease(rig, OLD));
}

/* Where the service has no iterators by time, what is older is read and passed over. */
static void a_service_without_times_does_as_well(void **state) {
    struct source_rig *rig = *state;
    fill_generations(rig);
    rig_script(rig, "at-timestamp off\n");
    rig->options.start_at_ms = BASE + HOUR + 30 * STEP_MS;
    rig_start(rig);
    rig_wait_messages(rig, 90);
    struct source_stats stats;
    rig_stats(rig, &stats);
    assert_int_equal(stats.records_skipped, 30);
    rig_assert_well(rig_stop(rig));
    assert_the_last_90(rig);
}

/* Creation times are whole seconds: the record of the same second may be one from after the start. */
static void the_cut_is_floored_to_the_second(void **state) {
    struct source_rig *rig = *state;
    fill_generations(rig);
    rig->options.start_at_ms = BASE + HOUR + 30 * STEP_MS + 999;
    rig_assert_well(rig_run(rig));
    assert_the_last_90(rig);
}

static void it_is_the_first_start_that_counts(void **state) {
    struct source_rig *rig = *state;
    fill_generations(rig);
    rig->options.start_at_ms = BASE + HOUR + 30 * STEP_MS;
    rig_assert_well(rig_run(rig));
    rig_forget(rig);
    rig_script(rig, "sequence 4000\nfill " NEW " 3 500 name x\n");
    rig->options.start_at_ms = BASE + 9 * HOUR; /* there are leases: it is not asked any more */
    rig_assert_well(rig_run(rig));
    rig_assert_once_in_order(rig, 4000, 3);
}

/* It dies in the middle of its first start: the first lease is there, nothing was read. */
static void a_first_start_that_broke_off_goes_on_at_the_same_time(void **state) {
    struct source_rig *rig = *state;
    fill_generations(rig);
    rig_script(rig, "fail PutItem always 400 ValidationException on " NEW "\n");
    rig->options.start_at_ms = BASE + HOUR + 30 * STEP_MS;
    struct err err = rig_run(rig);
    assert_int_equal(err.class, ERR_CLASS_FATAL);
    assert_true(rig_has_lease(rig, MID));
    assert_false(rig_has_lease(rig, NEW));
    assert_int_equal(rig_message_count(rig), 0);
    rig_script(rig, "clear\n");
    rig->options.start_at_ms = BASE + 9 * HOUR;
    rig_assert_well(rig_run(rig));
    assert_the_last_90(rig);
    assert_false(rig_has_lease(rig, OLD));
    assert_int_equal(rig_lease(rig, NEW).start_ms, BASE + HOUR + 30 * STEP_MS);
}

static void a_lease_that_was_never_checkpointed_starts_at_the_same_time_again(void **state) {
    struct source_rig *rig = *state;
    fill_generations(rig);
    rig->hold = true; /* no receipt, so no checkpoint */
    rig->options.start_at_ms = BASE + HOUR + 30 * STEP_MS;
    rig->options.stop_timeout_ms = 1;
    rig_start(rig);
    rig_wait_messages(rig, 30);
    (void)rig_stop(rig);
    assert_string_equal(rig_checkpoint(rig, MID), "TRIM_HORIZON");
    rig_forget(rig);
    rig_ack_all(rig);
    rig->options.stop_timeout_ms = 10000;
    rig->options.initial = POSITION_LATEST; /* not asked any more either */
    rig_assert_well(rig_run(rig));
    assert_the_last_90(rig);
}

static void children_are_read_from_their_beginning(void **state) {
    struct source_rig *rig = *state;
    fill_generations(rig);
    rig->options.start_at_ms = BASE + 9 * HOUR;
    rig_start(rig);
    rig_wait_calls(rig, FAKE_AWS_GET_RECORDS, 2);
    rig_script(rig, "split " NEW " shardId-00000001700010800000-0000000d\nsequence 4000\n"
                    "fill shardId-00000001700010800000-0000000d 3 500 at 1600000000000\n");
    rig_wait_messages(rig, 3);
    rig_assert_well(rig_stop(rig));
    rig_assert_once_in_order(rig, 4000, 3);
}

static void a_time_to_come_is_refused(void **state) {
    struct source_rig *rig = *state;
    fill_generations(rig);
    rig->options.start_at_ms = INT64_C(253402300799999);
    struct err err = rig_run(rig);
    rig_assert_error(err, ERR_CONFIG, "in the future");
    assert_int_equal(err_exit_code(err.code), 2);
    assert_int_equal(rig_message_count(rig), 0);
}

static void without_leases_it_starts_there_every_time(void **state) {
    struct source_rig *rig = *state;
    fill_generations(rig);
    rig->options.lease_table = STR_NONE;
    rig->options.start_at_ms = BASE + HOUR + 30 * STEP_MS;
    rig_assert_well(rig_run(rig));
    assert_the_last_90(rig);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(int argc, char **argv) {
    if (argc > 1) {
        cmocka_set_test_filter(argv[1]);
    }
    const struct CMUnitTest tests[] = {
        TEST(everything_from_that_time_on_is_read),
        TEST(what_had_ended_before_is_not_even_looked_at),
        TEST(a_service_without_times_does_as_well),
        TEST(the_cut_is_floored_to_the_second),
        TEST(it_is_the_first_start_that_counts),
        TEST(a_first_start_that_broke_off_goes_on_at_the_same_time),
        TEST(a_lease_that_was_never_checkpointed_starts_at_the_same_time_again),
        TEST(children_are_read_from_their_beginning),
        TEST(a_time_to_come_is_refused),
        TEST(without_leases_it_starts_there_every_time),
    };
    return cmocka_run_group_tests_name("source_start", tests, NULL, NULL);
}
