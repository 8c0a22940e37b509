#include "sim_story.h"

#include "cmocka_all.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

enum { WORKERS = 5 }; /* at a time */

#define LOSSES (1u << SIM_HARM_LOSS | 1u << SIM_HARM_VANISHING | 1u << SIM_HARM_A_DAY)
/* They keep nobody from writing its leases. */
#define MILD                                                                                       \
    (1u << SIM_HARM_CRASH | 1u << SIM_HARM_EXPIRED_ITERATORS | 1u << SIM_HARM_RETENTION | LOSSES)

void sim_story_fails(const struct sim_story *story, const char *format, ...) {
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

static const char *name_shard(struct sim_story *story, const char *parent) {
    assert_true(story->shards < SIM_STORY_NAMES);
    char *name = story->names[story->shards];
    story->parents[story->shards] = parent != NULL ? number_of(parent) : SIM_STORY_NAMES;
    (void)snprintf(name, sizeof story->names[0], "shardId-%020" PRId64 "-%08x",
                   sim_world_wall_ms(&story->world), story->shards);
    story->shards++;
    return name;
}

static void add_root(struct sim_story *story, uint32_t families) {
    struct sim_open_shard *shard = &story->open[story->open_count++];
    shard->families = families;
    memcpy(shard->id, name_shard(story, NULL), sizeof shard->id);
    sim_ledger_add_shard(story->world.ledger, shard->id, NULL);
    sim_world_script(&story->world, "shard %s\n", shard->id);
}

static void add_roots(struct sim_story *story) {
    unsigned roots = 1 + (unsigned)sim_story_dice(story, 6);
    for (unsigned root = 0; root < roots; root++) {
        uint32_t families = 0;
        for (unsigned family = root; family < SIM_FAMILIES; family += roots) {
            families |= 1u << family;
        }
        add_root(story, families);
    }
}

void sim_story_write(struct sim_story *story) {
    const struct sim_open_shard *shard = &story->open[sim_story_dice(story, story->open_count)];
    for (uint32_t family = 0; family < SIM_FAMILIES; family++) {
        if ((shard->families >> family & 1) != 0 && sim_story_dice(story, 3) > 0) {
            uint64_t count = 1 + sim_story_dice(story, sim_story_dice(story, 60) == 0 ? 1200 : 20);
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
static void split(struct sim_story *story) {
    struct sim_open_shard *shard = &story->open[sim_story_dice(story, story->open_count)];
    struct sim_open_shard parent = *shard;
    uint32_t half = parent.families & (uint32_t)rng_next(&story->world.rng);
    bool two = half != 0 && half != parent.families && story->open_count < SIM_STORY_SHARDS;
    char hidden[32] = "";
    if (sim_story_dice(story, 2) == 0 && (story->harms != 0 || story->world.started > 0)) {
        (void)snprintf(hidden, sizeof hidden, " hidden %" PRIu64, 1 + sim_story_dice(story, 4));
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
    struct sim_open_shard *second = &story->open[story->open_count++];
    memcpy(second->id, name_shard(story, parent.id), sizeof second->id);
    sim_ledger_add_shard(story->world.ledger, second->id, parent.id);
    second->families = parent.families & ~half;
    sim_world_script(&story->world, "split %s %s %s%s\n", parent.id, shard->id, second->id, hidden);
}

/* ---- what happens to the workers ---- */

/* Once there are leases it does not matter where it was told to begin. */
uint32_t sim_story_start_worker(struct sim_story *story) {
    bool begun = sim_ledger_has_leases(story->world.ledger);
    story->world.options.initial =
        begun && sim_story_dice(story, 4) == 0 ? POSITION_LATEST : story->initial;
    story->world.options.lanes = 1 + (uint32_t)sim_story_dice(story, SIM_LANES);
    return sim_world_start(&story->world);
}

static bool pick(struct sim_story *story, bool paused, uint32_t *ret_process) {
    uint32_t first = (uint32_t)sim_story_dice(story, SIM_PROCESSES);
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

static void pause_or_resume(struct sim_story *story) {
    uint32_t process;
    bool paused = sim_story_dice(story, 2) == 0;
    if (pick(story, paused, &process) && paused) {
        sim_world_resume(&story->world, process);
    } else if (!paused && pick(story, false, &process)) {
        sim_world_pause(&story->world, process);
    }
}

static const char *any_call(struct sim_story *story) {
    static const char *const calls[] = {"DescribeStream", "GetShardIterator", "GetRecords",
                                        "Scan",           "UpdateItem",       "PutItem"};
    return calls[sim_story_dice(story, sizeof calls / sizeof calls[0])];
}

/* Mostly a few calls, at times the better part of a minute. */
static uint64_t some_calls(struct sim_story *story) {
    return 1 + sim_story_dice(story, sim_story_dice(story, 4) == 0 ? 100 : 10);
}

static void throttle(struct sim_story *story) {
    uint64_t count = some_calls(story);
    if (sim_story_dice(story, 2) == 0) {
        sim_world_script(&story->world, "throttle %s %" PRIu64 "\n", any_call(story), count);
    } else {
        sim_world_script(&story->world, "fail %s %" PRIu64 " 400 LimitExceededException\n",
                         any_call(story), count);
    }
}

/* Of any shard, what lies before its checkpoint; a finished one altogether. */
static void trim_read(struct sim_story *story) {
    uint32_t at = (uint32_t)sim_story_dice(story, story->shards);
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
static void trim_unread(struct sim_story *story) {
    uint32_t at = (uint32_t)sim_story_dice(story, story->shards);
    const char *shard = story->names[at];
    uint64_t checkpoint = sim_ledger_checkpoint(story->world.ledger, shard);
    uint64_t last = sim_ledger_last(story->world.ledger, shard);
    if (story->vanished[at] || sim_ledger_is_finished(story->world.ledger, shard) || last == 0) {
        return;
    }
    uint64_t number =
        checkpoint > 0 ? checkpoint + sim_story_dice(story, last - checkpoint + 1) : last;
    sim_ledger_trim(story->world.ledger, shard, number);
    sim_world_script(&story->world, "trim %s %" PRIu64 "\n", shard, number);
}

/* The oldest first, as the service does. */
static void vanish_unread(struct sim_story *story) {
    uint32_t at = (uint32_t)sim_story_dice(story, story->shards);
    uint32_t parent = story->parents[at];
    if (story->closed[at] && !story->vanished[at] &&
        (parent == SIM_STORY_NAMES || story->vanished[parent])) {
        sim_ledger_vanish(story->world.ledger, story->names[at]);
        sim_world_script(&story->world, "vanish %s\n", story->names[at]);
        story->vanished[at] = true;
    }
}

static void harm(struct sim_story *story) {
    enum sim_harm what = (enum sim_harm)sim_story_dice(story, SIM_HARM_COUNT);
    uint32_t process;
    if (!sim_story_may(story, what)) {
        return;
    }
    switch (what) {
    case SIM_HARM_CRASH:
        if (pick(story, false, &process)) {
            sim_world_crash(&story->world, process);
        }
        break;
    case SIM_HARM_PAUSE:
        pause_or_resume(story);
        break;
    case SIM_HARM_LOST_REPLIES:
        story->world.weather.lost_writes = (uint32_t)sim_story_dice(story, 4) * 30;
        story->world.weather.late_writes = (uint32_t)sim_story_dice(story, 4) * 10;
        story->world.weather.lost_reads = (uint32_t)sim_story_dice(story, 4) * 10;
        break;
    case SIM_HARM_BROKEN_REPLIES:
        story->world.weather.broken_replies = (uint32_t)sim_story_dice(story, 4) * 10;
        break;
    case SIM_HARM_THROTTLING:
        throttle(story);
        break;
    case SIM_HARM_SLOW_SINK:
        story->world.weather.slow_sinks = (uint32_t)sim_story_dice(story, 4) * 150;
        break;
    case SIM_HARM_SERVER_ERRORS:
        sim_world_script(&story->world, "fail %s %" PRIu64 " 500 InternalServerError\n",
                         any_call(story), some_calls(story));
        break;
    case SIM_HARM_EXPIRED_ITERATORS:
        sim_world_script(&story->world, "expire-iterators\n");
        break;
    case SIM_HARM_RETENTION:
        trim_read(story);
        break;
    case SIM_HARM_LOSS:
        if (sim_story_dice(story, 2) == 0) {
            trim_unread(story);
        }
        break;
    case SIM_HARM_VANISHING:
        vanish_unread(story);
        break;
    case SIM_HARM_A_DAY: /* see tell */
    case SIM_HARM_COUNT:
        break;
    }
}

/* A worker that ended by itself had a good reason: data was lost and its policy is to stop; or what it needed at its very
 * start, or at its end, was out of reach; or its receipts did not come in the time that a stop may take; or a record could
 * not be sent, and its policy is to stop. */
void sim_story_check_failure(struct sim_story *story) {
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
    bool slow = failure->code == ERR_STOP_TIMEOUT && sim_story_may(story, SIM_HARM_SLOW_SINK);
    bool refused = failure->code == ERR_PULSAR_TOO_LARGE && story->spoiled && story->strict;
    if (!lost && !unreachable && !slow && !refused) {
        sim_story_fails(story, "a worker ended: %s: %s", err_code_name(failure->code),
                        failure->text);
    }
    /* Whoever runs it reads the message and decides. */
    world->options.continue_after_loss = world->options.continue_after_loss || lost;
    world->options.skip_bad_records = world->options.skip_bad_records || refused;
    world->failure = ERR_NONE;
}

void sim_story_step(struct sim_story *story) {
    uint32_t process;
    uint64_t what = sim_story_dice(story, 24);
    if (what < 8) {
        sim_story_write(story);
    } else if (what < 10) {
        split(story);
    } else if (what < 13) {
        if (sim_world_count(&story->world) < WORKERS) {
            sim_story_start_worker(story);
        }
    } else if (what == 13) {
        if (sim_world_count(&story->world) > 1 && pick(story, false, &process)) {
            sim_world_stop(&story->world, process);
        }
    } else {
        harm(story);
    }
    sim_world_run(&story->world, sim_story_dice(story, 4) == 0
                                     ? sim_story_dice(story, 3 * SIM_STORY_FAILOVER_MS)
                                     : sim_story_dice(story, SIM_STORY_FAILOVER_MS / 4));
    sim_story_check_failure(story);
}

/* ---- the stream is disabled, and enabled again ---- */

void sim_story_stop_workers(struct sim_story *story) {
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
    sim_story_check_failure(story);
}

/* All that the old stream holds is read before the new one: then nothing is lost. */
static void read_the_old_one(struct sim_story *story) {
    struct sim_world *world = &story->world;
    uint64_t gaps = sim_world_gaps(world);
    sim_world_script(world, "clear\n");
    struct sim_weather weather = world->weather;
    world->weather = (struct sim_weather){.lost_writes = 0};
    world->options.until_caught_up = true;
    for (uint64_t ms = 0; sim_ledger_missing(world->ledger) > 0; ms += 500) {
        if (ms > SIM_STORY_HEALING_MS) {
            sim_story_fails(story, "%" PRIu64 " records of the old stream are not read",
                            sim_ledger_missing(world->ledger));
        }
        if (sim_world_count(world) == 0) {
            sim_story_start_worker(story);
        }
        sim_world_run(world, 500);
        sim_story_check_failure(story);
    }
    sim_story_stop_workers(story);
    world->options.until_caught_up = false;
    world->weather = weather;
    if (sim_world_gaps(world) > gaps && !sim_ledger_may_alarm(world->ledger)) {
        sim_story_fails(story, "a gap was told of a stream that was read to its end");
    }
}

/* Its shards are closed, its records can still be read under its old ARN. What was not, is lost to those who go on. */
void sim_story_remake_stream(struct sim_story *story) {
    struct sim_world *world = &story->world;
    sim_story_stop_workers(story);
    for (size_t i = 0; i < story->open_count; i++) {
        sim_ledger_close_shard(world->ledger, story->open[i].id);
        sim_world_script(world, "close %s\n", story->open[i].id);
    }
    sim_world_script(world, "stream-status DISABLED\n");
    if (story->harms == 0 || sim_story_dice(story, 2) == 0) {
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
    sim_story_start_worker(story);
}

/* ---- nobody reads for more than a day ---- */

/* All that was there is gone then, most shards altogether. It is told also of those that nobody had begun to read. */
void sim_story_let_a_day_pass(struct sim_story *story) {
    struct sim_world *world = &story->world;
    sim_story_stop_workers(story);
    sim_world_run(world, (25 + sim_story_dice(story, 6)) * 60 * SIM_STORY_MINUTE_MS);
    for (uint32_t at = 0; at < story->shards; at++) {
        const char *shard = story->names[at];
        uint32_t parent = story->parents[at];
        uint64_t last = sim_ledger_last(world->ledger, shard);
        if (story->vanished[at]) {
            continue;
        }
        sim_world_script(world, "hide %s 0\n", shard); /* listings do not lag for so long */
        if (story->closed[at] && (parent == SIM_STORY_NAMES || story->vanished[parent]) &&
            sim_story_dice(story, 4) > 0) {
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
    sim_story_start_worker(story);
}

/* ---- how it begins ---- */

/* Before anybody reads it: some seconds, or most of an hour. Some moment of it is returned, at times that of a write. */
static int64_t live_a_past(struct sim_story *story) {
    int64_t began_ms = sim_world_wall_ms(&story->world);
    int64_t moment_ms = began_ms;
    for (unsigned i = (unsigned)sim_story_dice(story, 8); i > 0; i--) {
        sim_story_write(story);
        if (sim_story_dice(story, 2) == 0) {
            moment_ms = sim_world_wall_ms(&story->world);
        }
        sim_world_run(
            &story->world,
            sim_story_dice(story, sim_story_dice(story, 4) == 0 ? 15 * SIM_STORY_MINUTE_MS : 3000));
        if (sim_story_dice(story, 3) == 0) {
            split(story);
        }
    }
    int64_t past_ms = sim_world_wall_ms(&story->world) - began_ms;
    return sim_story_dice(story, 2) == 0
               ? moment_ms
               : began_ms + (int64_t)sim_story_dice(story, (uint64_t)past_ms + 1);
}

static void choose_start(struct sim_story *story) {
    static const enum position_kind kinds[] = {POSITION_TRIM_HORIZON, POSITION_TRIM_HORIZON,
                                               POSITION_LATEST, POSITION_AT_TIMESTAMP};
    int64_t moment_ms = live_a_past(story);
    story->initial = kinds[sim_story_dice(story, sizeof kinds / sizeof kinds[0])];
    if (story->initial == POSITION_AT_TIMESTAMP) {
        story->world.options.start_at_ms = moment_ms;
        sim_ledger_start_at(story->world.ledger, moment_ms);
        sim_world_script(&story->world, "at-timestamp %s\n",
                         sim_story_dice(story, 2) == 0 ? "on" : "off");
    } else if (story->initial == POSITION_LATEST) {
        sim_ledger_start_now(story->world.ledger, sim_world_wall_ms(&story->world));
    }
}

void sim_story_begin(struct sim_story *story, uint64_t seed, bool harmless) {
    sim_world_init(&story->world, seed);
    story->world.ledger = sim_ledger_new(seed, SIM_STORY_FAILOVER_MS);
    story->world.options.failover_ms = SIM_STORY_FAILOVER_MS;
    if (!harmless) {
        story->harms = (uint32_t)rng_next(&story->world.rng) & ((1u << SIM_HARM_COUNT) - 1);
        story->harms &= sim_story_dice(story, 4) == 0 ? UINT32_MAX : ~LOSSES;
        story->harms &= sim_story_dice(story, 4) == 0 ? MILD : UINT32_MAX;
    }
    story->refuses = sim_story_dice(story, 2) == 0;
    story->world.options.continue_after_loss = !story->refuses;
    if (sim_story_dice(story, 3) == 0) {
        story->once = true;
        story->world.options.session_prefix = STR("app/");
        story->world.options.routing = STR("key/3");
    }
    story->spoiled = sim_story_dice(story, 4) == 0;
    story->strict = story->spoiled && sim_story_dice(story, 2) == 0;
    story->world.options.skip_bad_records = !story->strict;
    story->world.mild = (story->harms & ~MILD) == 0 && !story->strict;
    sim_ledger_spoil(story->world.ledger,
                     story->spoiled ? 1 + (uint32_t)sim_story_dice(story, 20) : 0);
    sim_world_script(&story->world, "sequence 1000\n");
    add_roots(story);
    choose_start(story);
    sim_story_start_worker(story);
}

void sim_story_end(struct sim_story *story) {
    sim_world_done(&story->world);
    sim_ledger_free(story->world.ledger);
}
