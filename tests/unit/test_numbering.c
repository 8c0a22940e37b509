/* numbering: which id a record gets, and that a broker which deduplicates by it keeps each record once. */
#include "source/numbering.h"

#include "base/rng.h"
#include "source/window.h"

#include "cmocka_all.h"

#include <inttypes.h>
#include <stdio.h>

#define ROUTING STR("itemKey/murmur3")

static struct seqno number(uint64_t value) {
    char text[24];
    int len = snprintf(text, sizeof text, "%021" PRIu64, value);
    struct seqno seqno;
    assert_true(seqno_parse(str_make(text, (size_t)len), &seqno));
    return seqno;
}

static struct position at(uint64_t value) {
    return (struct position){.kind = POSITION_SEQUENCE_NUMBER, .seqno = number(value)};
}

static const struct position horizon = {.kind = POSITION_TRIM_HORIZON};
static const struct numbering_base none;

static void test_the_base_as_text(void **state) {
    (void)state;
    struct numbering_base base = {
        .seqno = number(7), .id = 65537, .partitions = 4, .routing = "a/b"};
    char text[NUMBERING_BASE_TEXT_MAX];
    size_t len = numbering_base_format(&base, text);
    assert_string_equal(text, "000000000000000000007 65537 4 a/b");
    assert_int_equal(len, strlen(text));
    struct numbering_base again;
    assert_true(numbering_base_parse(str_of(text), &again));
    assert_true(numbering_base_equal(&base, &again));
    again.id++;
    assert_false(numbering_base_equal(&base, &again));
    assert_false(numbering_base_equal(&none, &none)); /* no base is no base */
    static const char *const wrong[] = {"",
                                        "7",
                                        "7 1 1",
                                        "7 1 0 r",
                                        "x 1 1 r",
                                        "7 -1 1 r",
                                        "7 1 1 r r",
                                        "7 1  r",
                                        "7 1 1 ",
                                        "7 1 4294967296 r",
                                        "7 9223372036854775808 1 r",
                                        "7 1 1 \001"};
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
        assert_false(numbering_base_parse(str_of(wrong[i]), &again));
    }
}

static void test_the_first_start_begins_at_0(void **state) {
    (void)state;
    struct numbering numbering;
    numbering_start(&numbering, &none, &horizon, ROUTING, 500);
    assert_int_equal(numbering_partitions(&numbering), 0);
    struct seqno first = number(70);
    struct position before = at(69);
    numbering_mark(&numbering, 501, &before);
    assert_false(before.numbered); /* passed over before anything was sent */
    assert_true(numbering_fix(&numbering, &first, 502, -1, 4));
    assert_int_equal(numbering_id(&numbering, 502), 0);
    assert_int_equal(numbering_id(&numbering, 509), 7);
    assert_int_equal(numbering.base.partitions, 4);
    assert_false(numbering_fix(&numbering, &first, 503, -1, 4));
    numbering_mark(&numbering, 501, &before);
    assert_false(before.numbered); /* there is no id below 0 */
    struct position position = at(75);
    numbering_mark(&numbering, 507, &position);
    assert_true(position.numbered);
    assert_int_equal(position.id, 5);
}

static void test_a_restart_goes_on_behind_the_checkpoint(void **state) {
    (void)state;
    struct numbering_base base = {
        .seqno = number(70), .partitions = 4, .routing = "itemKey/murmur3"};
    struct position checkpoint = at(75);
    checkpoint.numbered = true;
    checkpoint.id = 5;
    struct numbering numbering;
    numbering_start(&numbering, &base, &checkpoint, ROUTING, 0);
    assert_int_equal(numbering_partitions(&numbering), 4);
    struct seqno next = number(80);
    assert_false(numbering_fix(&numbering, &next, 0, 1000, 4));
    assert_int_equal(numbering_id(&numbering, 0), 6);
}

static void test_a_restart_before_a_checkpoint_finds_its_base(void **state) {
    (void)state;
    struct numbering_base base = {
        .seqno = number(70), .id = 9, .partitions = 4, .routing = "itemKey/murmur3"};
    struct numbering numbering;
    numbering_start(&numbering, &base, &horizon, ROUTING, 30);
    struct seqno first = number(70);
    assert_false(numbering_fix(&numbering, &first, 33, 1000, 4));
    assert_int_equal(numbering_id(&numbering, 33), 9);
}

/* What is passed over in front of it may differ from reading to reading. */
static void test_a_base_is_found_again(void **state) {
    (void)state;
    struct numbering numbering;
    numbering_start(&numbering, &none, &horizon, ROUTING, 0);
    struct seqno first = number(70);
    assert_true(numbering_fix(&numbering, &first, 0, -1, 4));
    numbering_break(&numbering, 9);
    assert_false(numbering_fix(&numbering, &first, 5, -1, 4));
    assert_int_equal(numbering_id(&numbering, 5), 0);
}

/* Above what anybody may have sent: the broker's highest, and what it had not stored yet. */
static void test_all_else_begins_anew_above_everything(void **state) {
    (void)state;
    struct numbering_base base = {
        .seqno = number(70), .id = 9, .partitions = 4, .routing = "itemKey/murmur3"};
    struct seqno other = number(71);
    struct numbering numbering;
    numbering_start(&numbering, &base, &horizon, ROUTING, 0); /* the base's record is gone */
    assert_true(numbering_fix(&numbering, &other, 0, 1000, 4));
    assert_int_equal(numbering_id(&numbering, 0), 1001 + WINDOW_MAX_RECORDS);
    assert_int_equal(numbering.base.id, 1001 + WINDOW_MAX_RECORDS);

    struct position java = at(75); /* Java moves the checkpoint, but not its id */
    numbering_start(&numbering, &base, &java, ROUTING, 0);
    assert_true(numbering_fix(&numbering, &other, 0, 2, 4)); /* the broker has forgotten */
    assert_int_equal(numbering_id(&numbering, 0), 10 + WINDOW_MAX_RECORDS);

    struct position checkpoint = at(75);
    checkpoint.numbered = true;
    checkpoint.id = 500;
    numbering_start(&numbering, &base, &checkpoint, STR("eventId/murmur3"), 0);
    assert_int_equal(numbering_partitions(&numbering), 0);
    assert_true(numbering_fix(&numbering, &other, 0, 2, 6));
    assert_int_equal(numbering_id(&numbering, 0), 501 + WINDOW_MAX_RECORDS);
    assert_int_equal(numbering.base.partitions, 6);
    assert_string_equal(numbering.base.routing, "eventId/murmur3");

    base.id = 501; /* of another routing, or behind a gap: the checkpoint is from before */
    numbering_start(&numbering, &base, &checkpoint, ROUTING, 0);
    assert_false(numbering_fix(&numbering, &base.seqno, 3, 2, 4));
    assert_int_equal(numbering_id(&numbering, 3), 501);
    base.id = 9;

    numbering_start(&numbering, &base, &checkpoint, ROUTING, 0);
    numbering_break(&numbering, 3); /* a gap behind the third record */
    assert_true(numbering_fix(&numbering, &other, 3, 2, 4));
    assert_int_equal(numbering_id(&numbering, 3), 505 + WINDOW_MAX_RECORDS);
}

/* ---- against a broker ---- */

enum { RECORDS = 400, PARTITIONS = 3 };

struct world {
    struct rng rng;
    int64_t last_id[PARTITIONS]; /* stored */
    uint32_t stored[RECORDS];    /* how often */
    bool passed[RECORDS];        /* cannot be sent, ever */
    bool excused[RECORDS];       /* trimmed unread, or Java's */
    uint32_t horizon;            /* records before are gone */
    struct numbering_base base;  /* in the lease */
    struct position checkpoint;
    uint32_t next;     /* the record behind the checkpoint */
    bool may_be_twice; /* a Java worker or another routing came in between */
    bool java_routing;
};

static uint64_t dice(struct world *world, uint64_t sides) {
    return rng_below(&world->rng, sides - 1);
}

static void store(struct world *world, uint32_t record, uint64_t id) {
    uint32_t partition = (record * 7 + (world->java_routing ? 1 : 0)) % 11 % PARTITIONS;
    if ((int64_t)id > world->last_id[partition]) {
        world->last_id[partition] = (int64_t)id;
        world->stored[record]++;
    }
}

static int64_t highest(const struct world *world) {
    int64_t last_id = -1;
    for (size_t i = 0; i < PARTITIONS; i++) {
        last_id = world->last_id[i] > last_id ? world->last_id[i] : last_id;
    }
    return last_id;
}

/* One owner, from its start to its sudden end. */
static void own(struct world *world) {
    struct numbering numbering;
    uint64_t ordinal = dice(world, 1000000);
    numbering_start(&numbering, &world->base, &world->checkpoint,
                    world->java_routing ? STR("itemKey/java") : ROUTING, ordinal);
    uint32_t steps = (uint32_t)dice(world, 80);
    for (uint32_t record = world->next; record < RECORDS && steps > 0;
         record++, ordinal++, steps--) {
        if (record < world->horizon) {
            for (; record < world->horizon; record++) {
                world->excused[record] = true;
            }
            numbering_break(&numbering, ordinal);
        }
        struct seqno seqno = number(record);
        if (!world->passed[record]) {
            if (numbering_fix(&numbering, &seqno, ordinal, highest(world), PARTITIONS)) {
                if (dice(world, 8) == 0) {
                    return; /* before it is written */
                }
                world->base = numbering.base;
                if (dice(world, 8) == 0) {
                    return; /* and before anything is sent */
                }
            }
            store(world, record, numbering_id(&numbering, ordinal));
        }
        if (dice(world, 12) == 0) {
            world->checkpoint = at(record);
            numbering_mark(&numbering, ordinal, &world->checkpoint);
            world->next = record + 1;
        }
    }
}

static void happen(struct world *world) {
    switch (dice(world, 40)) {
    case 0: /* a Java worker delivers some, and checkpoints */
        for (uint64_t count = dice(world, 20); count > 0 && world->next < RECORDS; count--) {
            world->excused[world->next++] = true;
        }
        world->checkpoint = world->next > 0 ? at(world->next - 1) : horizon;
        world->may_be_twice = true;
        break;
    case 1:
        world->java_routing = !world->java_routing;
        world->may_be_twice = true;
        break;
    case 2:
        world->horizon = world->next + (uint32_t)dice(world, 10);
        world->horizon = world->horizon < RECORDS ? world->horizon : RECORDS - 1;
        world->may_be_twice = true;
        break;
    default:
        break;
    }
}

static void test_a_broker_keeps_each_record_once(void **state) {
    (void)state;
    size_t twice = 0;
    for (uint64_t seed = 1; seed <= 3000; seed++) {
        struct world world = {.rng = {seed}, .checkpoint = horizon, .last_id = {-1, -1, -1}};
        bool quiet = seed % 3 == 0;
        for (uint32_t i = 0; i < RECORDS; i++) {
            world.passed[i] = dice(&world, 20) == 0;
        }
        for (uint32_t turns = 0; world.next < RECORDS && turns < 2000; turns++) {
            own(&world);
            if (!quiet) {
                happen(&world);
            }
        }
        for (uint32_t i = 0; i < world.next; i++) {
            if (world.stored[i] == 0 && !world.passed[i] && !world.excused[i]) {
                fail_msg("seed %" PRIu64 ": record %" PRIu32 " is not stored", seed, i);
            }
            if (world.stored[i] > 1 && !world.may_be_twice) {
                fail_msg("seed %" PRIu64 ": record %" PRIu32 " is stored %" PRIu32 " times", seed,
                         i, world.stored[i]);
            }
            twice += world.stored[i] > 1 ? 1 : 0;
        }
    }
    assert_true(twice > 0); /* so this world can make some */
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_the_base_as_text),
        cmocka_unit_test(test_the_first_start_begins_at_0),
        cmocka_unit_test(test_a_restart_goes_on_behind_the_checkpoint),
        cmocka_unit_test(test_a_restart_before_a_checkpoint_finds_its_base),
        cmocka_unit_test(test_a_base_is_found_again),
        cmocka_unit_test(test_all_else_begins_anew_above_everything),
        cmocka_unit_test(test_a_broker_keeps_each_record_once),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
