/* Leases whose shards, or whose oldest records, are gone, and tables that two streams use: on a simulated clock. */
#include "sim_world.h"

#include "base/log.h"
#include "cmocka_all.h"

#include <aws/common/common.h>

#include <stdio.h>
#include <stdlib.h>

#define SHARD_A "shardId-00000001700000000500-0000000a"
#define SHARD_B "shardId-00000001700000000600-0000000b"
#define OLDER "arn:aws:dynamodb:us-east-1:123456789012:table/orders/stream/2025-01-01T00:00:00.000"
#define OTHER "arn:aws:dynamodb:us-east-1:123456789012:table/clients/stream/2026-01-01T00:00:00.000"

enum { MINUTE_MS = 60000 };

static int setup(void **state) {
    struct sim_world *world = calloc(1, sizeof *world);
    assert_non_null(world);
    sim_world_init(world, 1);
    *state = world;
    return 0;
}

static int teardown(void **state) {
    sim_world_done(*state);
    free(*state);
    return 0;
}

/* Runs a worker until it has read what there is, and stops it. */
static void read_all(struct sim_world *world, const char *shard, const char *checkpoint) {
    uint32_t process = sim_world_start(world);
    sim_world_run(world, 20000);
    sim_world_stop(world, process);
    sim_world_run(world, 5000);
    assert_null(world->processes[process]);
    assert_string_equal(sim_world_checkpoint(world, shard), checkpoint);
    assert_false(err_is_set(&world->failure));
}

static void assert_ended(struct sim_world *world, uint32_t process, enum err_code code,
                         const char *part) {
    assert_null(world->processes[process]);
    assert_string_equal(err_code_name(world->failure.code), err_code_name(code));
    if (strstr(world->failure.text, part) == NULL) {
        fail_msg("\"%s\" is not in \"%s\"", part, world->failure.text);
    }
    world->failure = ERR_NONE;
}

static void a_trimmed_shards_finished_lease_is_deleted(void **state) {
    struct sim_world *world = *state;
    sim_world_script(world, "shard " SHARD_A "\nsequence 1000\nfill " SHARD_A " 5 0\nsplit " SHARD_A
                            " " SHARD_B "\n");
    read_all(world, SHARD_A, "SHARD_END");
    sim_world_script(world, "vanish " SHARD_A "\n");
    uint32_t process = sim_world_start(world);
    sim_world_run(world, MINUTE_MS);
    assert_string_equal(sim_world_checkpoint(world, SHARD_A), "SHARD_END"); /* not in a hurry */
    sim_world_run(world, 12 * MINUTE_MS);
    assert_string_equal(sim_world_checkpoint(world, SHARD_A), "");
    assert_string_equal(sim_world_checkpoint(world, SHARD_B), "TRIM_HORIZON");
    assert_non_null(world->processes[process]);
    assert_int_equal(world->delivery_count, 5);
}

/* By KCL's rule, while the shard is still listed: its children are finished, and it is six hours old. */
static void a_finished_lineage_loses_its_old_leases(void **state) {
    struct sim_world *world = *state;
    sim_world_script(world, "shard " SHARD_A "\nsplit " SHARD_A " " SHARD_B "\nsplit " SHARD_B
                            " shardId-00000001700000000700-0000000c\n");
    sim_world_start(world);
    sim_world_run(world, 5 * MINUTE_MS);
    assert_string_equal(sim_world_checkpoint(world, SHARD_A), "SHARD_END");
    assert_string_equal(sim_world_checkpoint(world, SHARD_B), "SHARD_END");
    sim_world_run(world, 6 * 60 * MINUTE_MS);
    assert_string_equal(sim_world_checkpoint(world, SHARD_A), "");
    assert_string_equal(sim_world_checkpoint(world, SHARD_B), "SHARD_END"); /* its child is read */
    sim_world_run(world, 3 * MINUTE_MS);
    assert_string_equal(sim_world_checkpoint(world, SHARD_A), ""); /* and it is not made anew */
}

static void leave_unread(struct sim_world *world) {
    sim_world_script(world, "shard " SHARD_A "\nsequence 1000\nfill " SHARD_A " 5 0\n");
    read_all(world, SHARD_A, "1004");
    sim_world_script(world, "fill " SHARD_A " 5 0\nsplit " SHARD_A " " SHARD_B
                            "\nsequence 2000\nfill " SHARD_B " 5 0\nvanish " SHARD_A "\n");
}

static void a_shard_that_went_unread_stops_it(void **state) {
    struct sim_world *world = *state;
    leave_unread(world);
    uint32_t process = sim_world_start(world);
    sim_world_run(world, 5 * MINUTE_MS);
    assert_ended(world, process, ERR_DATA_LOSS,
                 SHARD_A " is gone from the stream, and only read "
                         "up to 1004");
    assert_int_equal(err_exit_code(ERR_DATA_LOSS), 5);
    assert_string_equal(sim_world_checkpoint(world, SHARD_A), "1004");
}

static void on_request_it_goes_on_without(void **state) {
    struct sim_world *world = *state;
    leave_unread(world);
    world->options.continue_after_loss = true;
    uint32_t process = sim_world_start(world);
    sim_world_run(world, 20000);
    assert_int_equal(world->delivery_count, 5); /* what follows waits until that is sure */
    sim_world_run(world, 5 * MINUTE_MS);
    assert_int_equal(world->delivery_count, 10);
    assert_int_equal(world->deliveries[5].number, 2000);
    assert_string_equal(sim_world_checkpoint(world, SHARD_A), "");
    assert_non_null(world->processes[process]);
}

/* A shard's parent is read to its end, the shard itself not; a day later its oldest records are gone. */
static void leave_unbegun(struct sim_world *world, uint64_t hours) {
    sim_world_script(world, "shard " SHARD_A "\nsequence 1000\nfill " SHARD_A " 5 0\n");
    read_all(world, SHARD_A, "1004");
    sim_world_script(world, "split " SHARD_A " " SHARD_B "\n");
    sim_world_script(world, "fail GetShardIterator always 500 "
                            "InternalServerError on " SHARD_B "\n");
    read_all(world, SHARD_B, "TRIM_HORIZON");
    sim_world_script(world, "clear\nsequence 2000\nfill " SHARD_B " 5 0\n");
    sim_world_run(world, hours * 60 * MINUTE_MS);
    sim_world_script(world, "fill " SHARD_B " 5 0\n");
}

static void a_beginning_that_nobody_read_stops_it(void **state) {
    struct sim_world *world = *state;
    leave_unbegun(world, 25);
    sim_world_script(world, "trim " SHARD_B " 2004\n");
    uint32_t process = sim_world_start(world);
    sim_world_run(world, MINUTE_MS);
    assert_ended(world, process, ERR_DATA_LOSS,
                 "records after TRIM_HORIZON may have been lost before they could be read");
    assert_string_equal(sim_world_checkpoint(world, SHARD_B), "TRIM_HORIZON");
    process = sim_world_start(world); /* not only once */
    sim_world_run(world, MINUTE_MS);
    assert_ended(world, process, ERR_DATA_LOSS, "nobody has read it for 25 h");
    assert_int_equal(sim_world_gaps(world), 2);
    assert_int_equal(world->delivery_count, 5);
}

static void on_request_it_goes_on_from_the_horizon(void **state) {
    struct sim_world *world = *state;
    leave_unbegun(world, 25);
    sim_world_script(world, "trim " SHARD_B " 2004\n");
    world->options.continue_after_loss = true;
    read_all(world, SHARD_B, "2009");
    assert_int_equal(sim_world_gaps(world), 1);
    assert_int_equal(world->delivery_count, 10);
    assert_int_equal(world->deliveries[5].number, 2005);
}

/* It cannot be known whether there was anything, but from when on: told once, it is not told to the next reader. */
static void an_empty_beginning_is_told_once(void **state) {
    struct sim_world *world = *state;
    leave_unbegun(world, 25);
    sim_world_script(world, "trim " SHARD_B " 2009\n");
    world->options.continue_after_loss = true;
    read_all(world, SHARD_B, "TRIM_HORIZON");
    assert_int_equal(sim_world_gaps(world), 1);
    world->options.continue_after_loss = false;
    sim_world_run(world, 23 * 60 * MINUTE_MS);
    read_all(world, SHARD_B, "TRIM_HORIZON");
    assert_int_equal(sim_world_gaps(world), 1);
}

static void a_beginning_within_a_day_is_read(void **state) {
    struct sim_world *world = *state;
    leave_unbegun(world, 23);
    read_all(world, SHARD_B, "2009");
    assert_int_equal(sim_world_gaps(world), 0);
    assert_int_equal(world->delivery_count, 15);
}

/* Whoever was there and found nothing has missed nothing, however old the shard is; an hour of doubt is left. */
static void a_shard_that_was_watched_is_no_gap(void **state) {
    struct sim_world *world = *state;
    sim_world_script(world, "shard " SHARD_A "\n");
    uint32_t process = sim_world_start(world);
    sim_world_run(world, 50 * 60 * MINUTE_MS);
    sim_world_script(world, "expire-iterators\n");
    sim_world_run(world, MINUTE_MS);
    sim_world_stop(world, process);
    sim_world_run(world, 22 * 60 * MINUTE_MS);
    read_all(world, SHARD_A, "TRIM_HORIZON");
    assert_int_equal(sim_world_gaps(world), 0);
    sim_world_run(world, 26 * 60 * MINUTE_MS);
    process = sim_world_start(world);
    sim_world_run(world, MINUTE_MS);
    assert_ended(world, process, ERR_DATA_LOSS, "nobody has read it for ");
}

/* It starts with what there is. Only an hour later it has missed something. */
static void an_old_stream_is_begun_without_a_gap(void **state) {
    struct sim_world *world = *state;
    sim_world_script(world, "shard " SHARD_A "\nsequence 1000\nfill " SHARD_A " 5 0\n");
    sim_world_run(world, 30 * 60 * MINUTE_MS);
    sim_world_script(world, "trim " SHARD_A " 1002\n");
    read_all(world, SHARD_A, "1004");
    assert_int_equal(sim_world_gaps(world), 0);
    assert_int_equal(world->delivery_count, 2);
}

/* Whose parent a listing may yet show, is not read; and until that is clear not all is read. */
static void what_is_held_back_is_not_caught_up(void **state) {
    struct sim_world *world = *state;
    sim_world_script(world,
                     "shard " SHARD_B " parent " SHARD_A "\nsequence 1000\nfill " SHARD_B " 5 0\n");
    world->options.until_caught_up = true;
    uint32_t process = sim_world_start(world);
    sim_world_run(world, 5000);
    assert_int_equal(world->delivery_count, 0);
    assert_non_null(world->processes[process]);
    sim_world_run(world, 3 * MINUTE_MS);
    assert_null(world->processes[process]);
    assert_int_equal(world->delivery_count, 5);
}

/* The stream was disabled and enabled again while nobody read it. */
static void recreate(struct sim_world *world) {
    sim_world_script(world,
                     "stream " OLDER "\nshard " SHARD_A "\nsequence 1000\nfill " SHARD_A " 5 0\n");
    world->options.stream_arn = STR(OLDER);
    read_all(world, SHARD_A, "1004");
    sim_world_script(world,
                     "fill " SHARD_A " 5 0\nclose " SHARD_A "\nstream-status DISABLED\nuse " SIM_ARN
                     "\nshard " SHARD_B "\nsequence 2000\nfill " SHARD_B " 5 0\n");
    world->options.stream_arn = STR(SIM_ARN);
}

static void a_stream_that_was_made_anew_is_noticed(void **state) {
    struct sim_world *world = *state;
    recreate(world);
    uint32_t process = sim_world_start(world);
    sim_world_run(world, 2 * MINUTE_MS);
    assert_ended(world, process, ERR_DATA_LOSS, "unfinished leases of " OLDER);
    assert_string_equal(sim_world_checkpoint(world, SHARD_A), "1004");
    /* what the message says helps */
    world->options.stream_arn = STR(OLDER);
    read_all(world, SHARD_A, "SHARD_END");
    world->options.stream_arn = STR(SIM_ARN);
    process = sim_world_start(world);
    sim_world_run(world, 2 * MINUTE_MS);
    assert_non_null(world->processes[process]);
    assert_int_equal(world->delivery_count, 15);
}

static void a_stream_that_was_made_anew_is_read_on_request(void **state) {
    struct sim_world *world = *state;
    recreate(world);
    world->options.continue_after_loss = true;
    uint32_t process = sim_world_start(world);
    sim_world_run(world, 3 * MINUTE_MS);
    assert_non_null(world->processes[process]);
    assert_int_equal(world->delivery_count, 10);
    assert_string_equal(sim_world_checkpoint(world, SHARD_A), ""); /* told once, then forgotten */
}

static void another_streams_leases_are_left_alone(void **state) {
    struct sim_world *world = *state;
    sim_world_script(world, "stream " OTHER "\nshard " SHARD_A "\nsequence 1000\nfill " SHARD_A
                            " 5 0\nuse " SIM_ARN "\nshard " SHARD_B "\n");
    world->options.stream_arn = STR(OTHER);
    read_all(world, SHARD_A, "1004");
    world->options.stream_arn = STR(SIM_ARN);
    uint32_t process = sim_world_start(world);
    sim_world_run(world, 10 * MINUTE_MS);
    assert_non_null(world->processes[process]);
    assert_string_equal(sim_world_checkpoint(world, SHARD_A), "1004");
    assert_string_equal(sim_world_checkpoint(world, SHARD_B), "TRIM_HORIZON");
}

/* Whoever comes second notices before it has written anything, and the first one goes on. */
static void two_streams_do_not_share_a_table(void **state) {
    struct sim_world *world = *state;
    sim_world_script(world, "shard " SHARD_A "\nstream " OTHER "\nshard " SHARD_B "\nuse " SIM_ARN
                            "\nsequence 1000\nfill " SHARD_A " 5 0\n");
    uint32_t first = sim_world_start(world);
    sim_world_run(world, 20000);
    world->options.stream_arn = STR(OTHER);
    uint32_t second = sim_world_start(world);
    sim_world_run(world, MINUTE_MS);
    assert_ended(world, second, ERR_CONFIG, "in use for another stream, " SIM_ARN);
    assert_int_equal(err_exit_code(ERR_CONFIG), 2);
    assert_string_equal(sim_world_checkpoint(world, SHARD_B), "");
    sim_world_run(world, MINUTE_MS);
    assert_non_null(world->processes[first]);
}

/* The same with a Java worker, whose leases do not tell their stream: the listings must. */
static void a_java_workers_other_stream_is_noticed(void **state) {
    struct sim_world *world = *state;
    sim_world_script(world, "shard " SHARD_A "\n");
    read_all(world, SHARD_A, "TRIM_HORIZON");
    sim_world_script(world, "delete-table " SIM_TABLE "\n");
    uint32_t maker = sim_world_start(world); /* for the table alone */
    sim_world_run(world, 5000);
    sim_world_crash(world, maker);
    uint32_t process = SIM_PROCESSES;
    for (int i = 0; i < 75; i++) {
        sim_world_script(world,
                         "item " SIM_TABLE " {\"leaseKey\":{\"S\":\"" SHARD_B
                         "\"},\"leaseOwner\":{\"S\":\"java\"},"
                         "\"leaseCounter\":{\"N\":\"%d\"},\"checkpoint\":{\"S\":\"77\"}}\n",
                         i);
        sim_world_run(world, 1000);
        if (i == 3) {
            process = sim_world_start(world);
        }
    }
    assert_ended(world, process, ERR_CONFIG, "worker java reads shard " SHARD_B);
    assert_string_equal(sim_world_checkpoint(world, SHARD_B), "77");
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(int argc, char **argv) {
    if (argc > 1) {
        cmocka_set_test_filter(argv[1]);
    }
    aws_common_library_init(aws_default_allocator());
    log_setup(getenv("RIG_DEBUG") != NULL ? LOG_LEVEL_DEBUG : LOG_LEVEL_ERROR, LOG_FORMAT_TEXT);
    const struct CMUnitTest tests[] = {
        TEST(a_trimmed_shards_finished_lease_is_deleted),
        TEST(a_finished_lineage_loses_its_old_leases),
        TEST(a_shard_that_went_unread_stops_it),
        TEST(on_request_it_goes_on_without),
        TEST(a_beginning_that_nobody_read_stops_it),
        TEST(on_request_it_goes_on_from_the_horizon),
        TEST(an_empty_beginning_is_told_once),
        TEST(a_beginning_within_a_day_is_read),
        TEST(a_shard_that_was_watched_is_no_gap),
        TEST(an_old_stream_is_begun_without_a_gap),
        TEST(what_is_held_back_is_not_caught_up),
        TEST(a_stream_that_was_made_anew_is_noticed),
        TEST(a_stream_that_was_made_anew_is_read_on_request),
        TEST(another_streams_leases_are_left_alone),
        TEST(two_streams_do_not_share_a_table),
        TEST(a_java_workers_other_stream_is_noticed),
    };
    int failed = cmocka_run_group_tests_name("source_gaps", tests, NULL, NULL);
    aws_common_library_clean_up();
    return failed;
}
