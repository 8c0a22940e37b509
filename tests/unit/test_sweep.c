/* sweep: what is judged of leases without a shard. What is done then: test_source_gaps. */
#include "source/sweep.h"

#include "cmocka_all.h"

#define TABLE "arn:aws:dynamodb:eu-west-1:1:table/t"

static void streams_are_told_apart(void **state) {
    (void)state;
    struct str ours = STR(TABLE "/stream/2026-01-01T00:00:00.000");
    assert_int_equal(stray_kind_of(LEASE_STREAM_OURS, ours, ours), STRAY_OURS);
    assert_int_equal(stray_kind_of(LEASE_STREAM_NONE, STR_NONE, ours), STRAY_UNNAMED);
    assert_int_equal(
        stray_kind_of(LEASE_STREAM_OTHER, STR(TABLE "/stream/2025-01-01T00:00:00.000"), ours),
        STRAY_OLDER);
    assert_int_equal(
        stray_kind_of(LEASE_STREAM_OTHER, STR(TABLE "/stream/2026-01-01T00:00:00.001"), ours),
        STRAY_FOREIGN); /* a newer one */
    assert_int_equal(
        stray_kind_of(LEASE_STREAM_OTHER, STR(TABLE "2/stream/2026-01-01T00:00:00.000"), ours),
        STRAY_FOREIGN);
    assert_int_equal(stray_kind_of(LEASE_STREAM_OTHER, STR("S1234"), ours), STRAY_FOREIGN);
    assert_int_equal(stray_kind_of(LEASE_STREAM_OTHER, STR("S1234"), STR("S1235")), STRAY_FOREIGN);
}

static void assert_judged(struct stray_facts facts, enum stray_verdict expected) {
    enum stray_verdict verdict = stray_judge(&facts);
    if (verdict != expected) {
        fail_msg("kind %d, finished %d, moved %d, expired %d, young %d, listings %u: %d, not %d",
                 (int)facts.kind, facts.finished, facts.moved, facts.expired, facts.may_be_young,
                 facts.listings, (int)verdict, (int)expected);
    }
}

static void what_was_trimmed_is_garbage_or_lost(void **state) {
    (void)state;
    static const enum stray_kind kinds[] = {STRAY_OURS, STRAY_UNNAMED, STRAY_OLDER};
    for (size_t i = 0; i < 3; i++) {
        struct stray_facts facts = {.kind = kinds[i], .expired = true, .listings = 2};
        assert_judged(facts, STRAY_LOST);
        facts.finished = true;
        assert_judged(facts, STRAY_GARBAGE);
    }
}

static void nothing_is_judged_before_it_is_sure(void **state) {
    (void)state;
    static const enum stray_kind kinds[] = {STRAY_OURS, STRAY_UNNAMED, STRAY_OLDER};
    for (size_t i = 0; i < 3; i++) {
        struct stray_facts facts = {.kind = kinds[i], .listings = 9};
        assert_judged(facts, STRAY_WAIT); /* somebody may keep it */
        facts.expired = true;
        facts.listings = 1;
        assert_judged(facts, STRAY_WAIT); /* one listing may be incomplete */
        facts.finished = true;
        assert_judged(facts, STRAY_LEAVE); /* nothing waits for these */
    }
    struct stray_facts young = {
        .kind = STRAY_OURS, .expired = true, .may_be_young = true, .listings = 7};
    assert_judged(young, STRAY_WAIT); /* it cannot have been trimmed */
    young.listings = 8;
    assert_judged(young, STRAY_LOST); /* but it is gone */
    young.kind = STRAY_OLDER;         /* there, all shards end when the stream does */
    young.listings = 2;
    assert_judged(young, STRAY_LOST);
}

static void two_streams_cannot_share_a_table(void **state) {
    (void)state;
    struct stray_facts facts = {.kind = STRAY_FOREIGN, .moved = true};
    assert_judged(facts, STRAY_CONFLICT);
    facts.kind = STRAY_OLDER;
    assert_judged(facts, STRAY_CONFLICT);
    /* Java workers renew finished ones too, for as long as they have them */
    facts.finished = true;
    facts.listings = 9;
    assert_judged(facts, STRAY_LEAVE);
    facts.kind = STRAY_UNNAMED;
    assert_judged(facts, STRAY_LEAVE);
    facts.listings = 0;
    /* of a Java worker's, only listings tell that the shard is not one of ours */
    facts.kind = STRAY_UNNAMED;
    facts.finished = false;
    assert_judged(facts, STRAY_WAIT);
    facts.listings = 2;
    assert_judged(facts, STRAY_CONFLICT);
    /* a worker of our stream knows a shard that we were not shown */
    facts.kind = STRAY_OURS;
    assert_judged(facts, STRAY_LEAVE);
    facts.listings = 1;
    assert_judged(facts, STRAY_WAIT);
}

static void leases_of_another_stream_are_never_touched(void **state) {
    (void)state;
    for (unsigned bits = 0; bits < 8; bits++) {
        struct stray_facts facts = {
            .kind = STRAY_FOREIGN,
            .finished = (bits & 1) != 0,
            .expired = (bits & 2) != 0,
            .may_be_young = (bits & 4) != 0,
            .listings = 100,
        };
        assert_judged(facts, STRAY_LEAVE);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(streams_are_told_apart),
        cmocka_unit_test(what_was_trimmed_is_garbage_or_lost),
        cmocka_unit_test(nothing_is_judged_before_it_is_sure),
        cmocka_unit_test(two_streams_cannot_share_a_table),
        cmocka_unit_test(leases_of_another_stream_are_never_touched),
    };
    return cmocka_run_group_tests_name("sweep", tests, NULL, NULL);
}
