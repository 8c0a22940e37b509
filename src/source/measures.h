/*
 * measures: how long things took and how they ended, as statistic sets over some seconds: of each shard, and of what a
 * lane does beside. Plain numbers, each of one lane; when a timer says so they are handed on and begin anew.
 */
#ifndef SOURCE_MEASURES_H
#define SOURCE_MEASURES_H

#include "base/str.h"

/* All-zero: of nothing. */
struct measure {
    uint64_t count;
    uint64_t sum;
    uint64_t min;
    uint64_t max;
};

static inline void measure_add(struct measure *measure, uint64_t value) {
    measure->min = measure->count == 0 || value < measure->min ? value : measure->min;
    measure->max = value > measure->max ? value : measure->max;
    measure->sum += value;
    measure->count++;
}

static inline void measure_merge(struct measure *measure, const struct measure *more) {
    if (more->count > 0) {
        measure->min = measure->count == 0 || more->min < measure->min ? more->min : measure->min;
        measure->max = more->max > measure->max ? more->max : measure->max;
        measure->sum += more->sum;
        measure->count += more->count;
    }
}

static inline void measure_move(struct measure *to, struct measure *from) {
    measure_merge(to, from);
    *from = (struct measure){.count = 0};
}

/* MEASURE_SHARD_RECORDS, ... */
enum measure_of_shard {
#define SHARD_MEASURE(id, detailed, operation, name, unit) MEASURE_SHARD_##id,
#include "source/measures.def"
    MEASURE_SHARD_COUNT,
};

/* MEASURE_LANE_SCAN_TIME, ... */
enum measure_of_lane {
#define LANE_MEASURE(id, detailed, operation, name, unit) MEASURE_LANE_##id,
#include "source/measures.def"
    MEASURE_LANE_COUNT,
};

enum { MEASURES_SHARD_ID_MAX = 80 };

struct shard_measures {
    char id[MEASURES_SHARD_ID_MAX];
    struct measure of[MEASURE_SHARD_COUNT];
};

/* What one lane measured in one period. */
struct measures {
    struct measures *next; /* its holder's */
    int64_t at_ms;         /* the period's end, by the wall clock */
    struct measure lane[MEASURE_LANE_COUNT];
    struct shard_measures *shards;
    size_t shard_count;
    size_t shard_capacity;
};

/* NULL when out of memory. */
struct measures *measures_new(void);
void measures_free(struct measures *measures);
/* Takes a shard's measures in, unless there is nothing in them; false when out of memory. They are all-zero afterwards. */
bool measures_take_shard(struct measures *measures, struct str id,
                         struct measure of[MEASURE_SHARD_COUNT]);
/* Merges a lane's measures in. They are all-zero afterwards. */
void measures_take_lane(struct measures *measures, struct measure of[MEASURE_LANE_COUNT]);

#endif
