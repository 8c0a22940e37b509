/* measures: their arithmetic, and what whole sources hand on. */
#include "source/measures.h"

#include "cmocka_all.h"
#include "source_rig.h"

#include <string.h>

#define SHARD_A "shardId-00000001700000000000-0000000a"
#define SHARD_B "shardId-00000001700000001000-0000000b"

static void assert_measure(struct measure measure, uint64_t count, uint64_t sum, uint64_t min,
                           uint64_t max) {
    assert_int_equal(measure.count, count);
    assert_int_equal(measure.sum, sum);
    assert_int_equal(measure.min, min);
    assert_int_equal(measure.max, max);
}

static void sets_are_summed_up(void **state) {
    (void)state;
    struct measure measure = {.count = 0};
    struct measure more = {.count = 0};
    measure_merge(&measure, &more);
    assert_measure(measure, 0, 0, 0, 0);
    measure_add(&more, 0);
    measure_add(&more, 7);
    measure_merge(&measure, &more);
    assert_measure(measure, 2, 7, 0, 7);
    measure_add(&measure, 9);
    struct measure to = {.count = 0};
    measure_add(&to, 3);
    measure_move(&to, &measure);
    assert_measure(to, 4, 19, 0, 9);
    assert_measure(measure, 0, 0, 0, 0);
}

static void a_shard_with_nothing_takes_no_room(void **state) {
    (void)state;
    struct measures *measures = measures_new();
    struct measure of[MEASURE_SHARD_COUNT] = {{.count = 0}};
    assert_true(measures_take_shard(measures, STR("a"), of));
    assert_int_equal(measures->shard_count, 0);
    for (int i = 0; i < 100; i++) {
        measure_add(&of[MEASURE_SHARD_RECORDS], 2);
        assert_true(measures_take_shard(measures, STR("a"), of));
        assert_int_equal(of[MEASURE_SHARD_RECORDS].count, 0);
    }
    assert_int_equal(measures->shard_count, 100);
    char longer[2 * MEASURES_SHARD_ID_MAX];
    memset(longer, 'x', sizeof longer);
    measure_add(&of[MEASURE_SHARD_RECORDS], 2);
    assert_true(measures_take_shard(measures, str_make(longer, sizeof longer), of));
    assert_int_equal(strlen(measures->shards[100].id), MEASURES_SHARD_ID_MAX - 1);
    measures_free(measures);
    measures_free(NULL);
}

static int setup(void **state) {
    struct source_rig *rig = rig_new();
    rig->options.measure_ms = 20;
    *state = rig;
    return 0;
}

static int teardown(void **state) {
    rig_free(*state);
    return 0;
}

static void a_lineage_is_measured(void **state) {
    struct source_rig *rig = *state;
    rig_script(rig, "shard " SHARD_A "\nfill " SHARD_A " 2500 500 name x\nsplit " SHARD_A
                    " " SHARD_B "\nfill " SHARD_B " 5 500 name x\n");
    rig_read_and_stop(rig, 2505);
    assert_int_equal(rig_shard_measure(rig, SHARD_A, MEASURE_SHARD_RECORDS).sum, 2500);
    assert_int_equal(rig_shard_measure(rig, SHARD_A, MEASURE_SHARD_RECORDS).max, 1000);
    assert_int_equal(rig_shard_measure(rig, SHARD_B, MEASURE_SHARD_RECORDS).sum, 5);
    struct measure pages = rig_shard_measure(rig, SHARD_A, MEASURE_SHARD_PAGE_SUCCESS);
    assert_true(pages.count >= 3);
    assert_int_equal(pages.sum, pages.count);
    assert_true(rig_shard_measure(rig, SHARD_A, MEASURE_SHARD_BYTES).sum > 2500 * 500);
    struct measure checkpoints = rig_shard_measure(rig, SHARD_A, MEASURE_SHARD_CHECKPOINT_SUCCESS);
    assert_true(checkpoints.count >= 1 && checkpoints.sum == checkpoints.count);
    assert_measure(rig_lane_measure(rig, MEASURE_LANE_OPEN_SUCCESS), 2, 2, 1, 1);
    assert_measure(rig_lane_measure(rig, MEASURE_LANE_CLOSE_SUCCESS), 2, 2, 1, 1);
    assert_measure(rig_lane_measure(rig, MEASURE_LANE_PARENT_SUCCESS), 2, 2, 1, 1);
    assert_measure(rig_lane_measure(rig, MEASURE_LANE_CREATE_SUCCESS), 2, 2, 1, 1);
    assert_true(rig_lane_measure(rig, MEASURE_LANE_SCAN_SUCCESS).sum >= 1);
    assert_true(rig_lane_measure(rig, MEASURE_LANE_LIST_SUCCESS).sum >= 1);
    struct measure writes = rig_lane_measure(rig, MEASURE_LANE_RENEW_SUCCESS);
    assert_true(writes.count >= 2 && writes.sum == writes.count);
}

static void failures_are_measured(void **state) {
    struct source_rig *rig = *state;
    rig_script(rig, "shard " SHARD_A "\nfill " SHARD_A " 5 500\n"
                    "fail GetRecords 4 500 InternalServerError\n"
                    "throttle GetShardIterator 4\n");
    rig_start(rig);
    rig_wait_messages(rig, 5);
    rig_script(rig, "expire-iterators\nfill " SHARD_A " 5 500\n");
    rig_wait_messages(rig, 10);
    rig_assert_well(rig_stop(rig));
    struct measure reads = rig_shard_measure(rig, SHARD_A, MEASURE_SHARD_READ_SUCCESS);
    assert_int_equal(reads.min, 0);
    assert_true(reads.sum >= 2 && reads.sum + 2 <= reads.count); /* and the expired one */
    struct measure iterators = rig_shard_measure(rig, SHARD_A, MEASURE_SHARD_ITERATOR_SUCCESS);
    assert_measure(iterators, 3, 2, 0, 1);
    assert_int_equal(rig_shard_measure(rig, SHARD_A, MEASURE_SHARD_EXPIRED).sum, 1);
    assert_int_equal(rig_lane_measure(rig, MEASURE_LANE_OPEN_SUCCESS).count, 1);
}

/* What is idle, or held up, tells how far it is behind all the same. */
static void a_shard_that_is_held_up_tells_its_lag(void **state) {
    struct source_rig *rig = *state;
    rig->hold = true;
    rig->room = 5;
    rig_script(rig, "shard " SHARD_A "\nfill " SHARD_A " 10 500 at 1600000000000\n");
    rig_start(rig);
    rig_wait_messages(rig, 5);
    while (rig_shard_measure(rig, SHARD_A, MEASURE_SHARD_BEHIND).count < 3) {
        rig_wait_calls(rig, FAKE_AWS_UPDATE_ITEM, 1); /* renewals: time passes */
    }
    struct measure behind = rig_shard_measure(rig, SHARD_A, MEASURE_SHARD_BEHIND);
    assert_true(behind.max > UINT64_C(100000000000)); /* years */
    rig_ack_all(rig);
    rig_wait_messages(rig, 10);
    rig_assert_well(rig_stop(rig));
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(int argc, char **argv) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(sets_are_summed_up),
        cmocka_unit_test(a_shard_with_nothing_takes_no_room),
        TEST(a_lineage_is_measured),
        TEST(failures_are_measured),
        TEST(a_shard_that_is_held_up_tells_its_lag),
    };
    cmocka_set_test_filter(argc > 1 ? argv[1] : NULL);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
