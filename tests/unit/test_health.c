/* health: what it makes of a source that tells this or that, and of whole sources in a simulation where something does
 * not go on. */
#include "monitor/health.h"

#include "base/log.h"
#include "cmocka_all.h"
#include "sim_call.h"
#include "sim_process.h"

#include <aws/common/json.h>

#include <stdlib.h>
#include <string.h>

enum { LOOK_MS = 1000, LANES = 3 };

struct rig {
    struct source_options options;
    struct health health;
    struct source_pulse pulse;
    struct sim_world world;
    uint32_t process;
};

/* ---- A source that tells what the test wants. */

static int setup(void **state) {
    struct rig *rig = calloc(1, sizeof *rig);
    assert_non_null(rig);
    rig->options = (struct source_options){
        .failover_ms = 10000,
        .backoff_ms = 3000,
        .max_poll_ms = 2000,
        .stop_timeout_ms = 25000,
    };
    health_init(&rig->health, &rig->options);
    rig->pulse.lane_count = LANES;
    rig->pulse.sharing = true;
    for (uint32_t i = 0; i < LANES; i++) {
        rig->pulse.lanes[i].life = SOURCE_LANE_OPEN;
        rig->pulse.lanes[i].sink_ready = true;
    }
    *state = rig;
    return 0;
}

static int teardown(void **state) {
    free(*state);
    return 0;
}

/* So many seconds in which everything goes on, but what the test has taken away. */
static void pass(struct rig *rig, uint32_t seconds, uint32_t stuck_lane, bool discovery,
                 bool scans) {
    for (uint32_t second = 0; second < seconds; second++) {
        for (uint32_t i = 0; i < LANES; i++) {
            rig->pulse.lanes[i].turns += i == stuck_lane ? 0 : 4;
        }
        rig->pulse.describes += discovery ? 1 : 0;
        rig->pulse.listings += discovery ? 1 : 0;
        rig->pulse.scan_tries += scans ? 1 : 0;
        rig->pulse.scans += scans ? 1 : 0;
        health_look(&rig->health, &rig->pulse, LOOK_MS);
    }
}

static void pass_well(struct rig *rig, uint32_t seconds) {
    pass(rig, seconds, LANES, true, true);
}

static void assert_verdict(const struct health *health, bool alive, bool ready,
                           const char *reason) {
    if (health->alive != alive || health->ready != ready ||
        strncmp(health->reason, reason, strlen(reason)) != 0) {
        fail_msg("alive %d, ready %d, %s", health->alive, health->ready, health->reason);
    }
}

static void assert_well(const struct rig *rig) {
    assert_verdict(&rig->health, true, true, "ok");
}

static void what_moves_is_well(void **state) {
    struct rig *rig = *state;
    assert_verdict(&rig->health, true, false, "starting");
    pass_well(rig, 1);
    assert_well(rig);
    pass_well(rig, 3600);
    assert_well(rig);
}

static void a_start_is_alive_and_not_ready(void **state) {
    struct rig *rig = *state;
    rig->pulse.sharing = false;
    pass(rig, 3600, LANES, false, false); /* how long it may take is not for health to say */
    assert_verdict(&rig->health, true, false, "starting: the stream's shards are being listed");
    rig->pulse.listings = 1;
    pass(rig, 3600, LANES, false, false);
    assert_verdict(&rig->health, true, false, "starting: the lease table is being looked at");
}

static void a_lane_that_never_began_is_stuck(void **state) {
    struct rig *rig = *state;
    memset(&rig->pulse, 0, sizeof rig->pulse);
    for (int i = 0; i < 15; i++) {
        health_look(&rig->health, &rig->pulse, LOOK_MS);
    }
    assert_verdict(&rig->health, true, false, "starting");
    health_look(&rig->health, &rig->pulse, LOOK_MS);
    assert_verdict(&rig->health, false, false, "lane 0 has not turned for 16 s");
}

static void a_lane_without_turns_is_stuck(void **state) {
    struct rig *rig = *state;
    pass_well(rig, 5);
    pass(rig, 15, 2, true, true);
    assert_well(rig);
    pass(rig, 1, 2, true, true);
    assert_verdict(&rig->health, false, false, "lane 2 has not turned for 16 s");
    pass_well(rig, 1);
    assert_well(rig);
}

static void time_that_nobody_watched_counts_for_nothing(void **state) {
    struct rig *rig = *state;
    pass_well(rig, 5);
    health_look(&rig->health, &rig->pulse, UINT64_C(3600) * 1000); /* it was stopped for an hour */
    assert_well(rig);
    pass_well(rig, 1);
    assert_well(rig);
}

static void a_shard_without_a_step_is_stuck(void **state) {
    struct rig *rig = *state;
    rig->pulse.lanes[1].step_idle_ms = 152000;
    pass_well(rig, 1);
    assert_well(rig);
    rig->pulse.lanes[1].step_idle_ms = 152001;
    pass_well(rig, 1);
    assert_verdict(&rig->health, false, false,
                   "lane 1: a shard is not read, and nothing has tried to for 152 s");
}

static void a_lease_that_nobody_tries_to_renew_is_stuck(void **state) {
    struct rig *rig = *state;
    rig->pulse.lanes[1].lease_idle_ms = 200000;
    rig->pulse.lanes[1].write_idle_ms = 163001; /* a call, some slack, failoverTime, backoffTime */
    pass_well(rig, 1);
    assert_verdict(&rig->health, false, false,
                   "lane 1: nothing has tried to renew a lease for 163 s");
}

static void a_lease_that_cannot_be_renewed_is_not_ready(void **state) {
    struct rig *rig = *state;
    rig->pulse.lanes[1].lease_idle_ms = 10000;
    pass_well(rig, 1);
    assert_well(rig);
    rig->pulse.lanes[1].lease_idle_ms = 3600000;
    rig->pulse.lanes[1].write_idle_ms = 10000;
    pass_well(rig, 1);
    assert_verdict(&rig->health, true, false, "lane 1: a lease could not be renewed for 3600 s");
}

static void missing_receipts_are_not_ready_and_then_stuck(void **state) {
    struct rig *rig = *state;
    rig->pulse.lanes[0].in_flight = 17;
    rig->pulse.lanes[0].ack_idle_ms = 60000;
    pass_well(rig, 1);
    assert_well(rig);
    rig->pulse.lanes[0].ack_idle_ms = 300000;
    pass_well(rig, 1);
    assert_verdict(&rig->health, true, false,
                   "lane 0: no receipt for 300 s, with 17 records in flight");
    rig->pulse.lanes[0].ack_idle_ms = 300001;
    pass_well(rig, 1);
    assert_verdict(
        &rig->health, false, false,
        "lane 0: no receipt for 300 s over standing connections, with 17 records in flight");
}

static void a_pulsar_that_is_away_is_not_ready(void **state) {
    struct rig *rig = *state;
    rig->pulse.lanes[2].sink_ready = false;
    pass_well(rig, 1);
    assert_verdict(&rig->health, true, false, "lane 2: Pulsar is not ready yet");
    rig->pulse.lanes[2].sink_ready = true;
    rig->pulse.lanes[2].sink_lost = 3;
    pass_well(rig, 24 * 3600);
    assert_verdict(&rig->health, true, false,
                   "lane 2: connections to Pulsar lost, and being made anew: 3");
}

static void a_stream_that_cannot_be_read_is_not_ready(void **state) {
    struct rig *rig = *state;
    rig->pulse.lanes[0].page_idle_ms = 62000;
    pass_well(rig, 1);
    assert_well(rig);
    rig->pulse.lanes[0].page_idle_ms = 62001;
    pass_well(rig, 1);
    assert_verdict(&rig->health, true, false,
                   "lane 0: a shard could not be read for 62 s (no answer)");
    rig->pulse.lanes[0].read_error = ERR_AWS_THROTTLED;
    pass_well(rig, 1);
    assert_verdict(&rig->health, true, false,
                   "lane 0: a shard could not be read for 62 s (AWS throttles the request)");
}

static void discovery_that_stands_still_is_stuck(void **state) {
    struct rig *rig = *state;
    pass_well(rig, 5);
    pass(rig, 300, LANES, false, true);
    assert_well(rig);
    pass(rig, 1, LANES, false, true);
    assert_verdict(&rig->health, false, false,
                   "nothing has asked for the stream's shards for 301 s");
}

static void discovery_waits_while_leases_are_made(void **state) {
    struct rig *rig = *state;
    pass_well(rig, 5);
    rig->pulse.making = true;
    pass(rig, 3600, LANES, false, true);
    assert_well(rig);
}

static void a_listing_that_always_fails_is_not_ready(void **state) {
    struct rig *rig = *state;
    pass_well(rig, 5);
    for (int i = 0; i < 601; i++) {
        rig->pulse.describes++; /* with errors */
        pass(rig, 1, LANES, false, true);
    }
    assert_verdict(&rig->health, true, false, "the stream's shards could not be listed for 601 s");
}

static void scans_that_stand_still_are_stuck(void **state) {
    struct rig *rig = *state;
    pass_well(rig, 5);
    pass(rig, 91, LANES, true, false);
    assert_verdict(&rig->health, true, false, "the lease table could not be read for 91 s");
    pass(rig, 230, LANES, true, false);
    assert_verdict(&rig->health, false, false, "nothing has looked at the lease table for 321 s");
}

static void a_stop_may_take_its_time_and_no_more(void **state) {
    struct rig *rig = *state;
    pass_well(rig, 5);
    rig->pulse.stopping = true;
    for (uint32_t i = 0; i < LANES; i++) {
        rig->pulse.lanes[i].life = SOURCE_LANE_CLOSING;
    }
    for (int i = 0; i < 45; i++) { /* nothing turns any more */
        health_look(&rig->health, &rig->pulse, LOOK_MS);
    }
    assert_verdict(&rig->health, true, false, "stopping");
    health_look(&rig->health, &rig->pulse, LOOK_MS);
    assert_verdict(&rig->health, false, false, "the stop has not come to its end for 46 s");
}

/* ---- Whole sources in a simulation. */

static int setup_world(void **state) {
    struct rig *rig = calloc(1, sizeof *rig);
    assert_non_null(rig);
    aws_common_library_init(aws_default_allocator());
    log_setup(LOG_LEVEL_ERROR, LOG_FORMAT_TEXT);
    sim_world_init(&rig->world, 1);
    sim_world_script(&rig->world, "sequence 1000\nshards 4\n");
    rig->process = sim_world_start(&rig->world);
    health_init(&rig->health, &rig->world.options);
    *state = rig;
    return 0;
}

static int teardown_world(void **state) {
    struct rig *rig = *state;
    sim_world_done(&rig->world);
    free(rig);
    aws_common_library_clean_up();
    return 0;
}

/* So many seconds of the world, with records in all of them. */
static void live(struct rig *rig, uint32_t seconds) {
    for (uint32_t second = 0; second < seconds; second++) {
        sim_world_script(&rig->world, "fill shardId-00000001700000000000-00000000 1 0\n");
        sim_world_run(&rig->world, LOOK_MS);
        source_get_pulse(rig->world.processes[rig->process]->source, &rig->pulse);
        for (uint32_t i = 0; i < rig->pulse.lane_count; i++) {
            rig->pulse.lanes[i].sink_ready = true; /* the simulation's is, from its first moment */
        }
        health_look(&rig->health, &rig->pulse, LOOK_MS);
    }
}

static void a_source_that_works_is_well(void **state) {
    struct rig *rig = *state;
    for (int i = 0; i < 1200; i++) {
        live(rig, 1);
        if (i > 5) {
            assert_well(rig);
        }
    }
}

static void a_stuck_lane_is_found(void **state) {
    struct rig *rig = *state;
    live(rig, 60);
    assert_well(rig);
    sim_world_pause(&rig->world, rig->process);
    live(rig, 14);
    assert_well(rig);
    live(rig, 3);
    assert_verdict(&rig->health, false, false, "lane 0 has not turned for ");
    sim_world_resume(&rig->world, rig->process);
    live(rig, 30); /* until the leases are renewed, or taken again */
    assert_well(rig);
}

static void a_broker_that_never_acknowledges_is_found(void **state) {
    struct rig *rig = *state;
    live(rig, 60);
    assert_well(rig);
    rig->world.weather.no_receipts = true;
    live(rig, 70);
    assert_verdict(&rig->health, true, false, "lane 0: no receipt for ");
    live(rig, 240);
    assert_verdict(&rig->health, false, false, "lane 0: no receipt for 3");
    rig->world.weather.no_receipts = false;
    live(rig, 10);
    assert_well(rig);
}

/* The answers to all reads that are under way get lost on this side: a defect of ours, which nothing else would notice. */
static void lose_reads(struct rig *rig) {
    struct sim_world *world = &rig->world;
    for (size_t i = 0; i < world->call_count; i++) {
        struct sim_call *call = world->calls[i];
        if (strstr(call->target, "GetRecords") != NULL) {
            call->due_ns = UINT64_MAX;
        }
    }
}

static void a_lost_answer_is_found(void **state) {
    struct rig *rig = *state;
    live(rig, 60);
    assert_well(rig);
    for (int i = 0; i < 2000; i++) { /* each shard has asked by then */
        sim_world_run(&rig->world, 1);
        lose_reads(rig);
    }
    live(rig, 70);
    assert_verdict(&rig->health, true, false, "lane 0: a shard could not be read for 7");
    live(rig, 100);
    assert_verdict(&rig->health, false, false,
                   "lane 0: a shard is not read, and nothing has tried to for 1");
}

static void an_aws_that_never_answers_leaves_it_alive(void **state) {
    struct rig *rig = *state;
    live(rig, 60);
    assert_well(rig);
    rig->world.weather.lost_reads = 1000;
    rig->world.weather.lost_writes = 1000;
    for (int i = 0; i < 3600; i++) {
        live(rig, 1);
        assert_true(rig->health.alive);
    }
    assert_false(rig->health.ready);
    rig->world.weather.lost_reads = 0;
    rig->world.weather.lost_writes = 0;
    live(rig, 100);
    assert_well(rig);
}

static void a_stream_that_never_answers_is_not_ready(void **state) {
    struct rig *rig = *state;
    live(rig, 60);
    rig->world.weather.lost_reads = 1000; /* leases are still renewed */
    live(rig, 120);
    assert_true(rig->health.alive);
    assert_non_null(strstr(rig->health.reason, "could not be read for"));
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
#define WORLD(name) cmocka_unit_test_setup_teardown(name, setup_world, teardown_world)

int main(int argc, char **argv) {
    const struct CMUnitTest tests[] = {
        TEST(what_moves_is_well),
        TEST(a_start_is_alive_and_not_ready),
        TEST(a_lane_that_never_began_is_stuck),
        TEST(a_lane_without_turns_is_stuck),
        TEST(time_that_nobody_watched_counts_for_nothing),
        TEST(a_shard_without_a_step_is_stuck),
        TEST(a_lease_that_nobody_tries_to_renew_is_stuck),
        TEST(a_lease_that_cannot_be_renewed_is_not_ready),
        TEST(missing_receipts_are_not_ready_and_then_stuck),
        TEST(a_pulsar_that_is_away_is_not_ready),
        TEST(a_stream_that_cannot_be_read_is_not_ready),
        TEST(discovery_that_stands_still_is_stuck),
        TEST(discovery_waits_while_leases_are_made),
        TEST(a_listing_that_always_fails_is_not_ready),
        TEST(scans_that_stand_still_are_stuck),
        TEST(a_stop_may_take_its_time_and_no_more),
        WORLD(a_source_that_works_is_well),
        WORLD(a_stuck_lane_is_found),
        WORLD(a_broker_that_never_acknowledges_is_found),
        WORLD(a_lost_answer_is_found),
        WORLD(an_aws_that_never_answers_leaves_it_alive),
        WORLD(a_stream_that_never_answers_is_not_ready),
    };
    cmocka_set_test_filter(argc > 1 ? argv[1] : NULL);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
