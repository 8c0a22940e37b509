/*
 * Several workers on one stream, on a simulated clock. What chance and the seed do to them: shards split and roll over,
 * workers come, stop, crash and stand still, calls are throttled, replies get lost or come in pieces, receipts are late,
 * iterators expire, records are trimmed before and after they were read. sim_ledger looks at every step; in the end nothing may be missing,
 * every shard must be read, evenly shared, and a stop must leave nothing that is repeated.
 *
 *     test_source_sim [FIRST_SEED [COUNT]]    a failing seed is printed; RIG_DEBUG=1 shows its log
 *
 * That it can fail: the source was broken on purpose in these ways, and this was the first seed to notice, by the stories
 * that the seeds told then.
 *
 *     reader    the checkpoint is the last record read, not the last acknowledged               1
 *               SHARD_END before the last receipts                                              2
 *               reads on when the lease has run out                                             7
 *               a new iterator begins where the shard was opened                                1
 *               a broken page is passed over                                                    2
 *               a page without a readable head is walked when the lease is renewed            270
 *               a gap is not told                                                             417
 *               an expired iterator is told as a gap                                            1
 *               a gap is told without a lease                                                 139
 *               a stop does not wait for receipts                                               2
 *               a hand-over does not wait for receipts                                        111
 *               a stop does not release a shard that has ended                                 27
 *               one retry is forgotten                                                          2
 *               what waits in the sink is sent, whatever became of the lease                   16
 *               more is sent behind what was called off                                       130
 *               a session goes on when its ids go back                                          3
 *     numbering the base is not in the lease before anything is sent                              3
 *               the checkpoint's id is given again                                              6
 *               a gap does not end it                                                        1371
 *     window    moves over a record that is not acknowledged                                    1
 *     shard     a child is read before its parent is finished                                  60
 *     holder    the lease lives from the reply on, not from the request                        68
 *               a write found to be an earlier one renews from now on                         134
 *               an end that cannot be written soon ends the worker                            615
 *     lease     writes also when the counter has moved                                          2
 *     taker     a lease counts as expired in half the time                                     12
 *               loads are not evened out                                                        2
 *     claims    a lease is taken as soon as it was asked for                                    1
 *               a stop does not withdraw what was asked for                                     1
 *               a wish is forgotten with a scan that began before it                          296
 *
 * Not noticed by 2,500 seeds: a hand-over to who does not want it any more (test_lease_holder does notice), and a take found to
 * be an earlier one that is not written once more.
 */
#include "sim_ledger.h"

#include "base/log.h"
#include "cmocka_all.h"

#include <aws/common/common.h>

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

enum {
    SHARDS = 24, /* open at a time: a family each */
    NAMES = 512,
    WORKERS = 5, /* at a time */
    FAILOVER_MS = 3000,
    TAKER_MS = 2 * (FAILOVER_MS + 25),
    MINUTE_MS = 60 * 1000,
    HEALING_MS = 10 * MINUTE_MS, /* far more than any wait may last */
};

/* What may happen to workers and calls in a story. */
enum harm {
    HARM_CRASH,
    HARM_PAUSE,
    HARM_LOST_REPLIES,
    HARM_BROKEN_REPLIES,
    HARM_THROTTLING,
    HARM_SLOW_SINK,
    HARM_SERVER_ERRORS,
    HARM_EXPIRED_ITERATORS,
    HARM_RETENTION, /* what is read is trimmed */
    HARM_LOSS,      /* what is not read is trimmed */
    HARM_A_DAY,     /* once in a story, that nobody reads */
    HARM_VANISHING, /* shards that are not read to their end are gone */
    HARM_COUNT,
};

#define LOSSES (1u << HARM_LOSS | 1u << HARM_VANISHING | 1u << HARM_A_DAY)
/* They keep nobody from writing its leases. */
#define MILD (1u << HARM_CRASH | 1u << HARM_EXPIRED_ITERATORS | 1u << HARM_RETENTION | LOSSES)

/* An open shard and the families in it. */
struct open_shard {
    char id[64];
    uint32_t families; /* bits */
};

struct story {
    struct sim_world world;
    struct open_shard open[SHARDS];
    size_t open_count;
    char names[NAMES][64];   /* of all shards */
    uint32_t parents[NAMES]; /* NAMES: none */
    uint32_t shards;         /* made so far */
    bool closed[NAMES];
    bool vanished[NAMES];
    uint32_t harms; /* bits of enum harm */
    enum position_kind initial;
    bool once;    /* the sink deduplicates */
    bool refuses; /* the first workers' onDataLoss is fail */
    bool spoiled; /* some records cannot be sent */
    bool strict;  /* the first workers' onRecordError is fail */
};

static struct sim_totals all;
static uint64_t story_count;
static uint64_t gap_count;

static uint64_t dice(struct story *story, uint64_t sides) {
    return rng_below(&story->world.rng, sides - 1);
}

static bool may(const struct story *story, enum harm harm) {
    return (story->harms >> harm & 1) != 0;
}

static void story_fails(const struct story *story, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

static void story_fails(const struct story *story, const char *format, ...) {
    char text[768];
    va_list args;
    va_start(args, format);
    (void)vsnprintf(text, sizeof text, format, args);
    va_end(args);
    fail_msg("seed %" PRIu64 ", %" PRIu64 " ms: %s", story->world.seed,
             story->world.now_ns / 1000000, text);
}

/* ---- what the table's owner does ---- */

/* Its number is the end of its name. */
static uint32_t number_of(const char *shard) {
    return (uint32_t)strtoul(shard + strlen(shard) - 8, NULL, 16);
}

static const char *name_shard(struct story *story, const char *parent) {
    assert_true(story->shards < NAMES);
    char *name = story->names[story->shards];
    story->parents[story->shards] = parent != NULL ? number_of(parent) : NAMES;
    (void)snprintf(name, sizeof story->names[0], "shardId-%020" PRId64 "-%08x",
                   sim_world_wall_ms(&story->world), story->shards);
    story->shards++;
    return name;
}

static void add_root(struct story *story, uint32_t families) {
    struct open_shard *shard = &story->open[story->open_count++];
    shard->families = families;
    memcpy(shard->id, name_shard(story, NULL), sizeof shard->id);
    sim_ledger_add_shard(story->world.ledger, shard->id, NULL);
    sim_world_script(&story->world, "shard %s\n", shard->id);
}

static void add_roots(struct story *story) {
    unsigned roots = 1 + (unsigned)dice(story, 6);
    for (unsigned root = 0; root < roots; root++) {
        uint32_t families = 0;
        for (unsigned family = root; family < SIM_FAMILIES; family += roots) {
            families |= 1u << family;
        }
        add_root(story, families);
    }
}

static void write_records(struct story *story) {
    const struct open_shard *shard = &story->open[dice(story, story->open_count)];
    for (uint32_t family = 0; family < SIM_FAMILIES; family++) {
        if ((shard->families >> family & 1) != 0 && dice(story, 3) > 0) {
            uint64_t count = 1 + dice(story, dice(story, 60) == 0 ? 1200 : 20);
            uint64_t first = strtoull(story->world.aws.streams.current->next_sequence, NULL, 10);
            sim_ledger_write(story->world.ledger, shard->id, family, first, count,
                             sim_world_wall_ms(&story->world));
            sim_world_script(&story->world, "fill %s %" PRIu64 " 0 keys %d name f%u\n", shard->id,
                             count, SIM_ITEMS_A_FAMILY, family);
        }
    }
}

/* In one child or two, which listings show at once or later. Children that the first listing does not show are read from
 * their beginning, older than the start or not: where nothing shall happen, that does not either. */
static void split(struct story *story) {
    struct open_shard *shard = &story->open[dice(story, story->open_count)];
    struct open_shard parent = *shard;
    uint32_t half = parent.families & (uint32_t)rng_next(&story->world.rng);
    bool two = half != 0 && half != parent.families && story->open_count < SHARDS;
    char hidden[32] = "";
    if (dice(story, 2) == 0 && (story->harms != 0 || story->world.started > 0)) {
        (void)snprintf(hidden, sizeof hidden, " hidden %" PRIu64, 1 + dice(story, 4));
    }
    sim_ledger_close_shard(story->world.ledger, parent.id);
    story->closed[number_of(parent.id)] = true;
    memcpy(shard->id, name_shard(story, parent.id), sizeof shard->id);
    sim_ledger_add_shard(story->world.ledger, shard->id, parent.id);
    shard->families = two ? half : parent.families;
    if (!two) {
        sim_world_script(&story->world, "split %s %s%s\n", parent.id, shard->id, hidden);
        return;
    }
    struct open_shard *second = &story->open[story->open_count++];
    memcpy(second->id, name_shard(story, parent.id), sizeof second->id);
    sim_ledger_add_shard(story->world.ledger, second->id, parent.id);
    second->families = parent.families & ~half;
    sim_world_script(&story->world, "split %s %s %s%s\n", parent.id, shard->id, second->id, hidden);
}

/* ---- what happens to the workers ---- */

/* Once there are leases it does not matter where it was told to begin. */
static uint32_t start_worker(struct story *story) {
    bool begun = sim_ledger_has_leases(story->world.ledger);
    story->world.options.initial = begun && dice(story, 4) == 0 ? POSITION_LATEST : story->initial;
    story->world.options.lanes = 1 + (uint32_t)dice(story, SIM_LANES);
    return sim_world_start(&story->world);
}

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

static void pause_or_resume(struct story *story) {
    uint32_t process;
    bool paused = dice(story, 2) == 0;
    if (pick(story, paused, &process) && paused) {
        sim_world_resume(&story->world, process);
    } else if (!paused && pick(story, false, &process)) {
        sim_world_pause(&story->world, process);
    }
}

static const char *any_call(struct story *story) {
    static const char *const calls[] = {"DescribeStream", "GetShardIterator", "GetRecords",
                                        "Scan",           "UpdateItem",       "PutItem"};
    return calls[dice(story, sizeof calls / sizeof calls[0])];
}

/* Mostly a few calls, at times the better part of a minute. */
static uint64_t some_calls(struct story *story) {
    return 1 + dice(story, dice(story, 4) == 0 ? 100 : 10);
}

static void throttle(struct story *story) {
    uint64_t count = some_calls(story);
    if (dice(story, 2) == 0) {
        sim_world_script(&story->world, "throttle %s %" PRIu64 "\n", any_call(story), count);
    } else {
        sim_world_script(&story->world, "fail %s %" PRIu64 " 400 LimitExceededException\n",
                         any_call(story), count);
    }
}

/* Of any shard, what lies before its checkpoint; a finished one altogether. */
static void trim_read(struct story *story) {
    uint32_t at = (uint32_t)dice(story, story->shards);
    const char *shard = story->names[at];
    uint64_t checkpoint = sim_ledger_checkpoint(story->world.ledger, shard);
    if (story->vanished[at]) {
        return;
    }
    if (sim_ledger_is_finished(story->world.ledger, shard)) {
        sim_world_script(&story->world, "vanish %s\n", shard);
        sim_ledger_vanish(story->world.ledger, shard);
        story->vanished[at] = true;
    } else if (checkpoint > 0) {
        sim_ledger_trim(story->world.ledger, shard, checkpoint - 1);
        sim_world_script(&story->world, "trim %s %" PRIu64 "\n", shard, checkpoint - 1);
    }
}

/* Of any shard, some of what lies behind its checkpoint. */
static void trim_unread(struct story *story) {
    uint32_t at = (uint32_t)dice(story, story->shards);
    const char *shard = story->names[at];
    uint64_t checkpoint = sim_ledger_checkpoint(story->world.ledger, shard);
    uint64_t last = sim_ledger_last(story->world.ledger, shard);
    if (story->vanished[at] || sim_ledger_is_finished(story->world.ledger, shard) || last == 0) {
        return;
    }
    uint64_t number = checkpoint > 0 ? checkpoint + dice(story, last - checkpoint + 1) : last;
    sim_ledger_trim(story->world.ledger, shard, number);
    sim_world_script(&story->world, "trim %s %" PRIu64 "\n", shard, number);
}

/* The oldest first, as the service does. */
static void vanish_unread(struct story *story) {
    uint32_t at = (uint32_t)dice(story, story->shards);
    uint32_t parent = story->parents[at];
    if (story->closed[at] && !story->vanished[at] && (parent == NAMES || story->vanished[parent])) {
        sim_ledger_vanish(story->world.ledger, story->names[at]);
        sim_world_script(&story->world, "vanish %s\n", story->names[at]);
        story->vanished[at] = true;
    }
}

static void harm(struct story *story) {
    enum harm what = (enum harm)dice(story, HARM_COUNT);
    uint32_t process;
    if (!may(story, what)) {
        return;
    }
    switch (what) {
    case HARM_CRASH:
        if (pick(story, false, &process)) {
            sim_world_crash(&story->world, process);
        }
        break;
    case HARM_PAUSE:
        pause_or_resume(story);
        break;
    case HARM_LOST_REPLIES:
        story->world.weather.lost_writes = (uint32_t)dice(story, 4) * 30;
        story->world.weather.late_writes = (uint32_t)dice(story, 4) * 10;
        story->world.weather.lost_reads = (uint32_t)dice(story, 4) * 10;
        break;
    case HARM_BROKEN_REPLIES:
        story->world.weather.broken_replies = (uint32_t)dice(story, 4) * 10;
        break;
    case HARM_THROTTLING:
        throttle(story);
        break;
    case HARM_SLOW_SINK:
        story->world.weather.slow_sinks = (uint32_t)dice(story, 4) * 150;
        break;
    case HARM_SERVER_ERRORS:
        sim_world_script(&story->world, "fail %s %" PRIu64 " 500 InternalServerError\n",
                         any_call(story), some_calls(story));
        break;
    case HARM_EXPIRED_ITERATORS:
        sim_world_script(&story->world, "expire-iterators\n");
        break;
    case HARM_RETENTION:
        trim_read(story);
        break;
    case HARM_LOSS:
        if (dice(story, 2) == 0) {
            trim_unread(story);
        }
        break;
    case HARM_VANISHING:
        vanish_unread(story);
        break;
    case HARM_A_DAY: /* see tell */
    case HARM_COUNT:
        break;
    }
}

/* A worker that ended by itself had a good reason: data was lost and its policy is to stop; or what it needed at its very
 * start, or at its end, was out of reach; or its receipts did not come in the time that a stop may take; or a record could
 * not be sent, and its policy is to stop. */
static void check_failure(struct story *story) {
    struct sim_world *world = &story->world;
    const struct err *failure = &world->failure;
    if (!err_is_set(failure)) {
        return;
    }
    bool lost =
        failure->code == ERR_DATA_LOSS && story->refuses && sim_ledger_may_alarm(world->ledger);
    bool unreachable =
        (failure->class == ERR_CLASS_RETRY || failure->class == ERR_CLASS_THROTTLE) &&
        world->failed_early && story->harms != 0;
    bool slow = failure->code == ERR_STOP_TIMEOUT && may(story, HARM_SLOW_SINK);
    bool refused = failure->code == ERR_PULSAR_TOO_LARGE && story->spoiled && story->strict;
    if (!lost && !unreachable && !slow && !refused) {
        story_fails(story, "a worker ended: %s: %s", err_code_name(failure->code), failure->text);
    }
    /* Whoever runs it reads the message and decides. */
    world->options.continue_after_loss = world->options.continue_after_loss || lost;
    world->options.skip_bad_records = world->options.skip_bad_records || refused;
    world->failure = ERR_NONE;
}

static void step(struct story *story) {
    uint32_t process;
    uint64_t what = dice(story, 24);
    if (what < 8) {
        write_records(story);
    } else if (what < 10) {
        split(story);
    } else if (what < 13) {
        if (sim_world_count(&story->world) < WORKERS) {
            start_worker(story);
        }
    } else if (what == 13) {
        if (sim_world_count(&story->world) > 1 && pick(story, false, &process)) {
            sim_world_stop(&story->world, process);
        }
    } else {
        harm(story);
    }
    sim_world_run(&story->world, dice(story, 4) == 0 ? dice(story, 3 * FAILOVER_MS)
                                                     : dice(story, FAILOVER_MS / 4));
    check_failure(story);
}

/* ---- the stream is disabled, and enabled again ---- */

static void stop_everybody(struct story *story) {
    struct sim_world *world = &story->world;
    for (uint32_t i = 0; i < SIM_PROCESSES; i++) {
        if (world->processes[i] != NULL && sim_world_is_paused(world, i)) {
            sim_world_crash(world, i);
        } else if (world->processes[i] != NULL && !sim_world_is_stopping(world, i)) {
            sim_world_stop(world, i);
        }
    }
    for (uint32_t i = 0; i < SIM_PROCESSES; i++) {
        while (world->processes[i] != NULL) {
            sim_world_run(world, 100); /* fails when it takes too long */
        }
    }
    check_failure(story);
}

/* All that the old stream holds is read before the new one: then nothing is lost. */
static void read_the_old_one(struct story *story) {
    struct sim_world *world = &story->world;
    uint64_t gaps = sim_world_gaps(world);
    sim_world_script(world, "clear\n");
    struct sim_weather weather = world->weather;
    world->weather = (struct sim_weather){.lost_writes = 0};
    world->options.until_caught_up = true;
    for (uint64_t ms = 0; sim_ledger_missing(world->ledger) > 0; ms += 500) {
        if (ms > HEALING_MS) {
            story_fails(story, "%" PRIu64 " records of the old stream are not read",
                        sim_ledger_missing(world->ledger));
        }
        if (sim_world_count(world) == 0) {
            start_worker(story);
        }
        sim_world_run(world, 500);
        check_failure(story);
    }
    stop_everybody(story);
    world->options.until_caught_up = false;
    world->weather = weather;
    if (sim_world_gaps(world) > gaps && !sim_ledger_may_alarm(world->ledger)) {
        story_fails(story, "a gap was told of a stream that was read to its end");
    }
}

/* Its shards are closed, its records can still be read under its old ARN. What was not, is lost to those who go on. */
static void remake_stream(struct story *story) {
    struct sim_world *world = &story->world;
    stop_everybody(story);
    for (size_t i = 0; i < story->open_count; i++) {
        sim_ledger_close_shard(world->ledger, story->open[i].id);
        sim_world_script(world, "close %s\n", story->open[i].id);
    }
    sim_world_script(world, "stream-status DISABLED\n");
    if (story->harms == 0 || dice(story, 2) == 0) {
        read_the_old_one(story);
    }
    sim_world_run(world, SIM_LATE_MS); /* what is on its way arrives */
    for (uint32_t at = 0; at < story->shards; at++) {
        if (!story->vanished[at] && !sim_ledger_is_needless(world->ledger, story->names[at])) {
            sim_ledger_vanish(world->ledger, story->names[at]);
        }
        story->vanished[at] = true;
    }
    sim_ledger_remake(world->ledger);
    story->open_count = 0;
    sim_world_script(world, "stream " SIM_NEXT_ARN " hash id view KEYS_ONLY\nsequence %s\n",
                     world->aws.streams.current->next_sequence);
    world->options.stream_arn = STR(SIM_NEXT_ARN);
    add_roots(story);
    if (story->initial == POSITION_LATEST) {
        sim_ledger_start_now(world->ledger, sim_world_wall_ms(world));
    }
    start_worker(story);
}

/* ---- nobody reads for more than a day ---- */

/* All that was there is gone then, most shards altogether. It is told also of those that nobody had begun to read. */
static void let_a_day_pass(struct story *story) {
    struct sim_world *world = &story->world;
    stop_everybody(story);
    sim_world_run(world, (25 + dice(story, 6)) * 60 * MINUTE_MS);
    for (uint32_t at = 0; at < story->shards; at++) {
        const char *shard = story->names[at];
        uint32_t parent = story->parents[at];
        uint64_t last = sim_ledger_last(world->ledger, shard);
        if (story->vanished[at]) {
            continue;
        }
        sim_world_script(world, "hide %s 0\n", shard); /* listings do not lag for so long */
        if (story->closed[at] && (parent == NAMES || story->vanished[parent]) &&
            dice(story, 4) > 0) {
            sim_ledger_vanish(world->ledger, shard);
            sim_world_script(world, "vanish %s\n", shard);
            story->vanished[at] = true;
            continue;
        }
        sim_ledger_age(world->ledger, shard);
        if (last > 0) {
            sim_world_script(world, "trim %s %" PRIu64 "\n", shard, last);
        }
    }
    start_worker(story);
}

/* ---- what must hold in the end ---- */

static bool is_balanced(struct story *story) {
    uint32_t most = 0;
    uint32_t least = UINT32_MAX;
    uint32_t sum = 0;
    for (uint32_t i = 0; i < SIM_PROCESSES; i++) {
        if (story->world.processes[i] != NULL) {
            uint32_t load =
                sim_ledger_load(story->world.ledger, sim_world_worker_id(&story->world, i));
            most = load > most ? load : most;
            least = load < least ? load : least;
            sum += load;
        }
    }
    return sum == story->open_count && most - least <= 1;
}

static bool gaps_are_told(const struct story *story) {
    struct sim_totals totals;
    sim_ledger_sum(story->world.ledger, &totals);
    return sim_world_gaps(&story->world) >= totals.gaps;
}

static void keep_one_running(struct story *story) {
    check_failure(story);
    if (sim_world_count(&story->world) == 0) {
        start_worker(story);
    }
}

/* No more harm: everything arrives, and the shards end up shared evenly. */
static void heal(struct story *story) {
    for (uint32_t i = 0; i < SIM_PROCESSES; i++) {
        if (story->world.processes[i] != NULL) {
            sim_world_resume(&story->world, i);
        }
    }
    sim_world_script(&story->world, "clear\n");
    story->world.weather = (struct sim_weather){.lost_writes = 0};
    if (may(story, HARM_LOST_REPLIES)) {
        /* What is still on its way arrives, and a scan shows it: a worker gives back only what it knows of. */
        sim_world_run(&story->world, SIM_LATE_MS + TAKER_MS);
    }
    uint64_t left_ms = HEALING_MS;
    while (sim_ledger_missing(story->world.ledger) > 0 || !is_balanced(story) ||
           !gaps_are_told(story)) {
        if (left_ms == 0) {
            story_fails(story,
                        "%" PRIu64 " records are missing, or shards are not evenly read, or gaps "
                        "are not told",
                        sim_ledger_missing(story->world.ledger));
        }
        keep_one_running(story);
        sim_world_run(&story->world, 500);
        left_ms -= 500;
    }
    check_failure(story);
}

/* In the midst of work. All are gone within their time; then no lease has an owner, and nothing would be repeated. */
static void stop_all(struct story *story) {
    write_records(story);
    sim_world_run(&story->world, dice(story, FAILOVER_MS / 2));
    char stopped[SIM_PROCESSES][32] = {{0}};
    for (uint32_t i = 0; i < SIM_PROCESSES; i++) {
        if (story->world.processes[i] != NULL && !sim_world_is_stopping(&story->world, i)) {
            (void)str_copy(str_of(sim_world_worker_id(&story->world, i)), stopped[i],
                           sizeof stopped[i]);
            sim_world_stop(&story->world, i);
        }
    }
    for (uint32_t i = 0; i < SIM_PROCESSES; i++) {
        while (story->world.processes[i] != NULL) {
            sim_world_run(&story->world, 100); /* fails when it takes too long */
        }
    }
    check_failure(story);
    bool excused = sim_ledger_may_alarm(story->world.ledger) || story->strict;
    for (size_t i = 0; i < story->open_count && !excused; i++) {
        const char *shard = story->open[i].id;
        uint64_t sent = sim_ledger_sent(story->world.ledger, shard);
        if (sim_ledger_checkpoint(story->world.ledger, shard) < sent) {
            story_fails(story, "after a clean stop the checkpoint of %s is below %" PRIu64, shard,
                        sent);
        }
        /* A worker that crashed may have been given one that it had asked for. */
        const char *owner = sim_world_owner(&story->world, shard);
        for (uint32_t p = 0; p < SIM_PROCESSES; p++) {
            if (stopped[p][0] != '\0' && strcmp(stopped[p], owner) == 0) {
                story_fails(story, "%s stopped cleanly and still owns %s", owner, shard);
            }
        }
    }
}

/* With nothing left to read it ends by itself. */
static void catch_up(struct story *story) {
    story->world.options.until_caught_up = true;
    story->world.options.continue_after_loss = true;
    story->world.options.skip_bad_records = true;
    uint32_t process = start_worker(story);
    for (uint64_t ms = 0; story->world.processes[process] != NULL; ms += 500) {
        if (ms > MINUTE_MS) {
            story_fails(story, "it does not see that nothing is left to read");
        }
        sim_world_run(&story->world, 500);
    }
    check_failure(story);
    if (sim_ledger_missing(story->world.ledger) > 0) {
        story_fails(story, "%" PRIu64 " records were not read until all was caught up",
                    sim_ledger_missing(story->world.ledger));
    }
}

static void add_up(struct story *story) {
    struct sim_totals totals;
    sim_ledger_sum(story->world.ledger, &totals);
    uint64_t gaps = sim_world_gaps(&story->world);
    if (story->harms == 0 && !story->strict && totals.again > 0) {
        story_fails(story, "%" PRIu64 " records came twice though nothing happened", totals.again);
    }
    if (story->once && gaps == 0 && totals.again > 0) {
        story_fails(story, "%" PRIu64 " records are there twice, effectively once", totals.again);
    }
    if (story->harms == 0 && totals.early > 0) {
        story_fails(story, "%" PRIu64 " records older than the start were sent", totals.early);
    }
    uint64_t errors = sim_world_record_errors(&story->world);
    if (errors < totals.skipped) { /* what is called off and read again is counted again */
        story_fails(story, "%" PRIu64 " records could not be sent, and %" PRIu64 " were counted",
                    totals.skipped, errors);
    }
    if (gaps > 0 && !sim_ledger_may_alarm(story->world.ledger)) {
        story_fails(story, "%" PRIu64 " gaps were told, and there were none", gaps);
    }
    if (totals.old_ends > 0 && totals.after_loss == 0) {
        story_fails(story, "%" PRIu64 " items end with an older record", totals.old_ends);
    }
    story_count++;
    gap_count += gaps;
    all.records += totals.records;
    all.lost += totals.lost;
    all.untold += totals.untold;
    all.old += totals.old;
    all.early += totals.early;
    all.skipped += totals.skipped;
    all.again += totals.again;
    all.taken_over += totals.taken_over;
    all.stolen += totals.stolen;
    all.handed_over += totals.handed_over;
    all.after_loss += totals.after_loss;
    all.old_ends += totals.old_ends;
    all.overlap_ms = totals.overlap_ms > all.overlap_ms ? totals.overlap_ms : all.overlap_ms;
}

/* ---- the story ---- */

/* Before anybody reads it: some seconds, or most of an hour. Some moment of it is returned, at times that of a write. */
static int64_t live_a_past(struct story *story) {
    int64_t began_ms = sim_world_wall_ms(&story->world);
    int64_t moment_ms = began_ms;
    for (unsigned i = (unsigned)dice(story, 8); i > 0; i--) {
        write_records(story);
        if (dice(story, 2) == 0) {
            moment_ms = sim_world_wall_ms(&story->world);
        }
        sim_world_run(&story->world, dice(story, dice(story, 4) == 0 ? 15 * MINUTE_MS : 3000));
        if (dice(story, 3) == 0) {
            split(story);
        }
    }
    int64_t past_ms = sim_world_wall_ms(&story->world) - began_ms;
    return dice(story, 2) == 0 ? moment_ms : began_ms + (int64_t)dice(story, (uint64_t)past_ms + 1);
}

static void choose_start(struct story *story) {
    static const enum position_kind kinds[] = {POSITION_TRIM_HORIZON, POSITION_TRIM_HORIZON,
                                               POSITION_LATEST, POSITION_AT_TIMESTAMP};
    int64_t moment_ms = live_a_past(story);
    story->initial = kinds[dice(story, sizeof kinds / sizeof kinds[0])];
    if (story->initial == POSITION_AT_TIMESTAMP) {
        story->world.options.start_at_ms = moment_ms;
        sim_ledger_start_at(story->world.ledger, moment_ms);
        sim_world_script(&story->world, "at-timestamp %s\n", dice(story, 2) == 0 ? "on" : "off");
    } else if (story->initial == POSITION_LATEST) {
        sim_ledger_start_now(story->world.ledger, sim_world_wall_ms(&story->world));
    }
}

static void begin(struct story *story, uint64_t seed, bool harmless) {
    sim_world_init(&story->world, seed);
    story->world.ledger = sim_ledger_new(seed, FAILOVER_MS);
    story->world.options.failover_ms = FAILOVER_MS;
    if (!harmless) {
        story->harms = (uint32_t)rng_next(&story->world.rng) & ((1u << HARM_COUNT) - 1);
        story->harms &= dice(story, 4) == 0 ? UINT32_MAX : ~LOSSES;
        story->harms &= dice(story, 4) == 0 ? MILD : UINT32_MAX;
    }
    story->refuses = dice(story, 2) == 0;
    story->world.options.continue_after_loss = !story->refuses;
    if (dice(story, 3) == 0) {
        story->once = true;
        story->world.options.session_prefix = STR("app/");
        story->world.options.routing = STR("key/3");
    }
    story->spoiled = dice(story, 4) == 0;
    story->strict = story->spoiled && dice(story, 2) == 0;
    story->world.options.skip_bad_records = !story->strict;
    story->world.mild = (story->harms & ~MILD) == 0 && !story->strict;
    sim_ledger_spoil(story->world.ledger, story->spoiled ? 1 + (uint32_t)dice(story, 20) : 0);
    sim_world_script(&story->world, "sequence 1000\n");
    add_roots(story);
    choose_start(story);
    start_worker(story);
}

static void tell(uint64_t seed, bool harmless) {
    struct story *story = calloc(1, sizeof *story);
    assert_non_null(story);
    begin(story, seed, harmless);
    unsigned steps = 30 + (unsigned)dice(story, 50);
    unsigned remade = dice(story, 8) == 0 ? (unsigned)dice(story, steps) : steps;
    unsigned idle =
        may(story, HARM_A_DAY) && dice(story, 2) == 0 ? (unsigned)dice(story, steps) : steps;
    for (unsigned i = 0; i < steps; i++) {
        if (i >= remade && sim_ledger_has_leases(story->world.ledger)) {
            remade = steps;
            remake_stream(story);
        }
        if (i >= idle && sim_ledger_has_leases(story->world.ledger)) {
            idle = steps;
            let_a_day_pass(story);
        }
        step(story);
    }
    heal(story);
    stop_all(story);
    if (dice(story, 4) == 0) {
        catch_up(story);
    }
    add_up(story);
    sim_world_done(&story->world);
    sim_ledger_free(story->world.ledger);
    free(story);
}

static uint64_t first_seed = 1;
static uint64_t seed_count = 100;

static void nothing_is_lost_whatever_happens(void **state) {
    (void)state;
    for (uint64_t i = 0; i < seed_count; i++) {
        tell(first_seed + i, false);
    }
}

/* Every tenth seed once more. */
static void nothing_comes_twice_when_nothing_happens(void **state) {
    (void)state;
    for (uint64_t i = 0; i < seed_count; i += 10) {
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
    (void)printf("%" PRIu64 " stories: %" PRIu64 " records, %" PRIu64 " of them again; %" PRIu64
                 " trimmed unread (%" PRIu64 " before any checkpoint), %" PRIu64
                 " gaps told\nolder than the start: %" PRIu64 " records, %" PRIu64
                 " of them sent; not to be sent: %" PRIu64 "\nleases: %" PRIu64
                 " handed over, %" PRIu64 " taken over when expired, %" PRIu64
                 " taken when asked for in vain\nfrom workers that had lost the lease: %" PRIu64
                 " arrivals, the last one %" PRIu64
                 " ms after; items that end with an older record: %" PRIu64 "\n",
                 story_count, all.records, all.again, all.lost, all.untold, gap_count, all.old,
                 all.early, all.skipped, all.handed_over, all.taken_over, all.stolen,
                 all.after_loss, all.overlap_ms, all.old_ends);
    aws_common_library_clean_up();
    return failed;
}
