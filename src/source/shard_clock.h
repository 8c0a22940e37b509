/*
 * shard_clock: how long the steps of one shard's reading take, by its lane's clock, as measures of the shard and of the lane.
 * Pure: the time is a parameter, in milliseconds.
 */
#ifndef SOURCE_SHARD_CLOCK_H
#define SOURCE_SHARD_CLOCK_H

#include "source/measures.h"
#include "source/pace.h"

struct shard_clock {
    struct measure shard[MEASURE_SHARD_COUNT];
    struct measure *lane; /* MEASURE_LANE_COUNT of them */
    uint64_t opened_ms;   /* 0: it has had its first iterator since */
    uint64_t asked_ms;    /* for an iterator */
    uint64_t polled_ms;   /* start of the last GetRecords */
    uint64_t page_ms;     /* when the last page came */
    uint64_t closing_ms;  /* 0: not yet */
};

/* Its parent is finished, or there is none: nothing was waited for. lane outlives it. */
void shard_clock_open(struct shard_clock *clock, struct measure *lane, uint64_t now_ms);
void shard_clock_iterator(struct shard_clock *clock, bool success, uint64_t now_ms);
void shard_clock_expired(struct shard_clock *clock);
/* A page came, or an error instead. */
void shard_clock_read(struct shard_clock *clock, bool success, uint64_t now_ms);
/* All of the page's records were taken. */
void shard_clock_page(struct shard_clock *clock, const struct pace_page *page, uint64_t behind_ms,
                      uint64_t now_ms);
void shard_clock_close(struct shard_clock *clock, bool success, uint64_t now_ms);

#endif
