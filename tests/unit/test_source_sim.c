/*
 * Several workers on one stream, on a simulated clock: what chance and the seed do to them, nothing is lost, no item's
 * order is broken, and what is open ends up evenly shared.
 *
 *     test_source_sim [FIRST_SEED [COUNT]]    a failing seed is printed; RIG_DEBUG=1 shows its log
 */
#include "sim_world.h"

#include "base/log.h"
#include "cmocka_all.h"

#include <aws/common/common.h>

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

enum {
    BLOCK = 1500,  /* sequence numbers of one writing, of which the first are used */
    BLOCKS = 4000, /* writings at most */
    FAMILIES = 24, /* of items; those of one are always in one shard */
    SHARDS = 64,
    WORKERS = 5, /* at a time */
    FAILOVER_MS = 3000,
    TAKER_MS = 2 * (FAILOVER_MS + 25),
    HEALING_MS = 200 * FAILOVER_MS, /* far more than any wait may last */
};

/* An open shard and the families in it. */
struct open_shard {
    char id[64];
    uint32_t families; /* bits */
};

struct story {
    struct sim_world world;
    struct open_shard open[SHARDS];
    size_t open_count;
    uint32_t shards;          /* made so far */
    uint32_t written[BLOCKS]; /* records of each writing */
    size_t writings;
    bool harmless; /* no crash, no pause, no lost reply: then nothing comes twice */
};

static uint64_t seed_now;

static uint64_t dice(struct story *story, uint64_t sides) {
    return rng_below(&story->world.rng, sides - 1);
}

/* ---- what the table's owner does ---- */

static void name_shard(struct story *story, char to[64]) {
    (void)snprintf(to, 64, "shardId-%020" PRId64 "-%08x", sim_world_wall_ms(&story->world),
                   story->shards++);
}

static void add_root(struct story *story, uint32_t families) {
    struct open_shard *shard = &story->open[story->open_count++];
    shard->families = families;
    name_shard(story, shard->id);
    sim_world_script(&story->world, "shard %s\n", shard->id);
}

static void write_records(struct story *story) {
    const struct open_shard *shard = &story->open[dice(story, story->open_count)];
    for (unsigned family = 0; family < FAMILIES; family++) {
        if ((shard->families >> family & 1) != 0 && dice(story, 3) > 0) {
            uint64_t count = 1 + dice(story, dice(story, 10) == 0 ? 1200 : 40);
            assert_true(story->writings < BLOCKS);
            story->written[story->writings] = (uint32_t)count;
            sim_world_script(&story->world, "sequence %zu\nfill %s %" PRIu64 " 0 keys 3 name f%u\n",
                             ++story->writings * BLOCK, shard->id, count, family);
        }
    }
}

/* In one child or two, which listings show at once or later. */
static void split(struct story *story) {
    struct open_shard *shard = &story->open[dice(story, story->open_count)];
    struct open_shard parent = *shard;
    uint32_t half = parent.families & (uint32_t)rng_next(&story->world.rng);
    bool two = half != 0 && half != parent.families && story->open_count < SHARDS;
    char hidden[32] = "";
    if (dice(story, 2) == 0) {
        (void)snprintf(hidden, sizeof hidden, " hidden %" PRIu64, 1 + dice(story, 4));
    }
    name_shard(story, shard->id);
    shard->families = two ? half : parent.families;
    if (!two) {
        sim_world_script(&story->world, "split %s %s%s\n", parent.id, shard->id, hidden);
        return;
    }
    struct open_shard *second = &story->open[story->open_count++];
    name_shard(story, second->id);
    second->families = parent.families & ~half;
    sim_world_script(&story->world, "split %s %s %s%s\n", parent.id, shard->id, second->id, hidden);
}

/* ---- what happens to the workers ---- */

static bool pick(struct story *story, bool paused, uint32_t *ret_process) {
    uint32_t first = (uint32_t)dice(story, SIM_PROCESSES);
    for (uint32_t i = 0; i < SIM_PROCESSES; i++) {
        uint32_t at = (first + i) % SIM_PROCESSES;
        if (story->world.processes[at] != NULL &&
            sim_world_is_paused(&story->world, at) == paused &&
            !sim_world_is_stopping(&story->world, at)) {
            *ret_process = at;
            return true;
        }
    }
    return false;
}

static void harm(struct story *story) {
    uint32_t process;
    switch (dice(story, 4)) {
    case 0:
        if (pick(story, false, &process)) {
            sim_world_crash(&story->world, process);
        }
        break;
    case 1:
        if (pick(story, false, &process)) {
            sim_world_pause(&story->world, process);
        }
        break;
    case 2:
        if (pick(story, true, &process)) {
            sim_world_resume(&story->world, process);
        }
        break;
    default:
        sim_world_script(&story->world, "throttle UpdateItem %" PRIu64 "\n", 1 + dice(story, 3));
        break;
    }
}

static void step(struct story *story) {
    uint32_t process;
    uint64_t what = dice(story, 20);
    if (what < 9) {
        write_records(story);
    } else if (what < 11) {
        split(story);
    } else if (what < 14) {
        if (sim_world_count(&story->world) < WORKERS) {
            sim_world_start(&story->world);
        }
    } else if (what == 14) {
        if (sim_world_count(&story->world) > 1 && pick(story, false, &process)) {
            sim_world_stop(&story->world, process);
        }
    } else if (what < 18 && !story->harmless) {
        harm(story);
    }
    sim_world_run(&story->world, dice(story, 4) == 0 ? dice(story, 3 * FAILOVER_MS)
                                                     : dice(story, FAILOVER_MS / 4));
}

/* ---- what must hold ---- */

struct item {
    char key[48];
    uint64_t newest;
};

static bool was_written(const struct story *story, uint64_t number) {
    uint64_t block = number / BLOCK;
    return block >= 1 && block <= story->writings && number % BLOCK < story->written[block - 1];
}

static bool *new_marks(const struct story *story) {
    bool *marks = calloc((story->writings + 1) * BLOCK, sizeof *marks);
    assert_non_null(marks);
    return marks;
}

/* Of each item the first deliveries come in order. Returns how many records came again. */
static uint64_t check_order(const struct story *story, bool *seen) {
    struct item items[FAMILIES * 3];
    size_t count = 0;
    uint64_t again = 0;
    for (size_t i = 0; i < story->world.delivery_count; i++) {
        const struct sim_delivery *delivery = &story->world.deliveries[i];
        uint64_t number = delivery->number;
        if (!was_written(story, number)) {
            fail_msg("seed %" PRIu64 ": record %" PRIu64 " was never written", seed_now, number);
        }
        if (seen[number]) {
            again++;
            continue;
        }
        seen[number] = true;
        size_t at = 0;
        while (at < count && strcmp(items[at].key, delivery->key) != 0) {
            at++;
        }
        if (at == count) {
            assert_true(count < FAMILIES * 3);
            items[count] = (struct item){.newest = 0};
            memcpy(items[count++].key, delivery->key, sizeof delivery->key);
        }
        if (delivery->number <= items[at].newest) {
            fail_msg("seed %" PRIu64 ": %s got record %" PRIu64 " after %" PRIu64, seed_now,
                     delivery->key, delivery->number, items[at].newest);
        }
        items[at].newest = delivery->number;
    }
    return again;
}

static uint64_t count_missing(const struct story *story, const bool *seen) {
    uint64_t missing = 0;
    for (uint64_t block = 1; block <= story->writings; block++) {
        for (uint64_t i = 0; i < story->written[block - 1]; i++) {
            missing += seen[block * BLOCK + i] ? 0 : 1;
        }
    }
    return missing;
}

static bool all_delivered(const struct story *story) {
    bool *seen = new_marks(story);
    for (size_t i = 0; i < story->world.delivery_count; i++) {
        uint64_t number = story->world.deliveries[i].number;
        if (was_written(story, number)) {
            seen[number] = true;
        }
    }
    bool all = count_missing(story, seen) == 0;
    free(seen);
    return all;
}

static void check_balance(struct story *story) {
    uint32_t most = 0;
    uint32_t least = UINT32_MAX;
    uint32_t sum = 0;
    for (uint32_t i = 0; i < SIM_PROCESSES; i++) {
        if (story->world.processes[i] != NULL) {
            uint32_t load = sim_world_load(&story->world, i);
            most = load > most ? load : most;
            least = load < least ? load : least;
            sum += load;
        }
    }
    if (sum != story->open_count || most - least > 1) {
        fail_msg("seed %" PRIu64 ": %u of %zu shards are read, %u to %u by a worker", seed_now, sum,
                 story->open_count, least, most);
    }
}

static void check_failure(const struct story *story) {
    if (err_is_set(&story->world.failure)) {
        fail_msg("seed %" PRIu64 ": a worker ended: %s", seed_now, story->world.failure.text);
    }
}

/* No more harm, at least one worker: everything arrives, and the shards end up shared evenly. */
static void heal(struct story *story) {
    for (uint32_t i = 0; i < SIM_PROCESSES; i++) {
        if (story->world.processes[i] != NULL) {
            sim_world_resume(&story->world, i);
        }
    }
    sim_world_script(&story->world, "clear\n");
    story->world.lost_per_thousand = 0;
    if (sim_world_count(&story->world) == 0) {
        sim_world_start(&story->world);
    }
    uint64_t waited_ms = 0;
    while (!all_delivered(story) && waited_ms < HEALING_MS) {
        sim_world_run(&story->world, FAILOVER_MS);
        waited_ms += FAILOVER_MS;
    }
    bool *seen = new_marks(story);
    uint64_t again = check_order(story, seen);
    uint64_t missing = count_missing(story, seen);
    free(seen);
    if (missing > 0) {
        fail_msg("seed %" PRIu64 ": %" PRIu64 " records never came", seed_now, missing);
    }
    if (story->harmless && again > 0) {
        fail_msg("seed %" PRIu64 ": %" PRIu64 " records came twice though nothing happened",
                 seed_now, again);
    }
    /* A listing, for shards that nobody has been told of; then some rounds of sharing. */
    sim_world_run(&story->world, 61000 + 6 * TAKER_MS);
    check_balance(story);
    check_failure(story);
}

static void tell(uint64_t seed, bool harmless) {
    seed_now = seed;
    struct story story = {.harmless = harmless};
    sim_world_init(&story.world, seed);
    story.world.lost_per_thousand = harmless ? 0 : (uint32_t)dice(&story, 3) * 20;
    unsigned roots = 1 + (unsigned)dice(&story, 6);
    for (unsigned root = 0; root < roots; root++) {
        uint32_t families = 0;
        for (unsigned family = root; family < FAMILIES; family += roots) {
            families |= 1u << family;
        }
        add_root(&story, families);
    }
    sim_world_start(&story.world);
    unsigned steps = 40 + (unsigned)dice(&story, 60);
    for (unsigned i = 0; i < steps; i++) {
        step(&story);
    }
    check_failure(&story);
    heal(&story);
    sim_world_done(&story.world);
}

static uint64_t first_seed = 1;
static uint64_t seed_count = 25;

static void nothing_is_lost_whatever_happens(void **state) {
    (void)state;
    for (uint64_t i = 0; i < seed_count; i++) {
        tell(first_seed + i, false);
    }
}

static void nothing_comes_twice_when_nothing_happens(void **state) {
    (void)state;
    for (uint64_t i = 0; i < seed_count; i++) {
        tell(first_seed + i, true);
    }
}

int main(int argc, char **argv) {
    if (argc > 1) {
        first_seed = strtoull(argv[1], NULL, 10);
        seed_count = argc > 2 ? strtoull(argv[2], NULL, 10) : 1;
    }
    aws_common_library_init(aws_default_allocator());
    log_setup(getenv("RIG_DEBUG") != NULL ? LOG_LEVEL_DEBUG : LOG_LEVEL_ERROR, LOG_FORMAT_TEXT);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(nothing_is_lost_whatever_happens),
        cmocka_unit_test(nothing_comes_twice_when_nothing_happens),
    };
    int failed = cmocka_run_group_tests_name("source_sim", tests, NULL, NULL);
    aws_common_library_clean_up();
    return failed;
}
