/*
 * sim_story: what a seed makes of a sim_world. The stream gets records and splits, workers come, stop, crash and stand still,
 * calls and receipts go wrong, records and shards go unread. Each thing is told to the story's ledger; what must hold in the
 * end is the test's matter.
 */
#ifndef TESTS_SIM_STORY_H
#define TESTS_SIM_STORY_H

#include "sim_ledger.h"

enum {
    SIM_STORY_SHARDS = 24, /* open at a time: a family each */
    SIM_STORY_NAMES = 512,
    SIM_STORY_FAILOVER_MS = 3000,
    SIM_STORY_MINUTE_MS = 60 * 1000,
    SIM_STORY_HEALING_MS = 10 * SIM_STORY_MINUTE_MS, /* far more than any wait may last */
};

/* What may happen to workers and calls in a story. */
enum sim_harm {
    SIM_HARM_CRASH,
    SIM_HARM_PAUSE,
    SIM_HARM_LOST_REPLIES,
    SIM_HARM_BROKEN_REPLIES,
    SIM_HARM_THROTTLING,
    SIM_HARM_SLOW_SINK,
    SIM_HARM_SERVER_ERRORS,
    SIM_HARM_EXPIRED_ITERATORS,
    SIM_HARM_RETENTION, /* what is read is trimmed */
    SIM_HARM_LOSS,      /* what is not read is trimmed */
    SIM_HARM_A_DAY,     /* once in a story, that nobody reads */
    SIM_HARM_VANISHING, /* shards that are not read to their end are gone */
    SIM_HARM_COUNT,
};

/* An open shard and the families in it. */
struct sim_open_shard {
    char id[64];
    uint32_t families; /* bits */
};

struct sim_story {
    struct sim_world world;
    struct sim_open_shard open[SIM_STORY_SHARDS];
    size_t open_count;
    char names[SIM_STORY_NAMES][64];   /* of all shards */
    uint32_t parents[SIM_STORY_NAMES]; /* SIM_STORY_NAMES: none */
    uint32_t shards;                   /* made so far */
    bool closed[SIM_STORY_NAMES];
    bool vanished[SIM_STORY_NAMES];
    uint32_t harms; /* bits of enum sim_harm */
    enum position_kind initial;
    bool once;    /* the sink deduplicates */
    bool refuses; /* the first workers' onDataLoss is fail */
    bool spoiled; /* some records cannot be sent */
    bool strict;  /* the first workers' onRecordError is fail */
};

/* 0 to sides - 1. */
static inline uint64_t sim_story_dice(struct sim_story *story, uint64_t sides) {
    return rng_below(&story->world.rng, sides - 1);
}
static inline bool sim_story_may(const struct sim_story *story, enum sim_harm harm) {
    return (story->harms >> harm & 1) != 0;
}
/* Fails the test, with the seed and the time. */
void sim_story_fails(const struct sim_story *story, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

/* A stream with a past, a start to be read from, and the first worker. story is all zero. */
void sim_story_begin(struct sim_story *story, uint64_t seed, bool harmless);
/* Something happens, then some time passes. */
void sim_story_step(struct sim_story *story);
/* The stream is disabled, read to its end or not, and enabled again. There are leases. */
void sim_story_remake_stream(struct sim_story *story);
/* Nobody reads for more than a day. There are leases. */
void sim_story_let_a_day_pass(struct sim_story *story);
void sim_story_end(struct sim_story *story);

void sim_story_write(struct sim_story *story);
uint32_t sim_story_start_worker(struct sim_story *story);
/* All that run are gone afterwards, those that stood still by a crash. */
void sim_story_stop_workers(struct sim_story *story);
/* Fails the test when a worker ended by itself without a good reason; else the operator does something about it. */
void sim_story_check_failure(struct sim_story *story);

#endif
