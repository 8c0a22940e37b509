/*
 * health: decides from what the source has told of itself whether the process is alive and whether it is ready, and says
 * why not. Pure: looks in, verdict out.
 *
 * Alive: its own clockwork goes round. What is not alive will not mend by itself, and a restart helps.
 * Ready: it is alive, and AWS and Pulsar let it work. Whatever is retried (an outage, throttling, a permission) makes it
 * not ready, and leaves it alive: a restart would help nothing, and repeat what was not acknowledged.
 */
#ifndef MONITOR_HEALTH_H
#define MONITOR_HEALTH_H

#include "base/stall.h"
#include "source/source.h"

/* How long something may stand still, in ms; from health_limits. */
struct health_limits {
    uint64_t lane;     /* a lane without a turn: not alive */
    uint64_t step;     /* a shard without a step: not alive */
    uint64_t page;     /* a shard without a page: not ready */
    uint64_t ack;      /* a position without a receipt: not ready */
    uint64_t ack_dead; /* the same, while the connections stand: not alive */
    uint64_t lease;    /* a held lease without renewal has expired: not ready */
    uint64_t write;    /* a held lease without a try: not alive */
    uint64_t describe; /* no answer to DescribeStream, good or bad: not alive */
    uint64_t listing;  /* no full listing: not ready */
    uint64_t scan_try; /* no look at the lease table begun: not alive */
    uint64_t scan;     /* none that came to its end: not ready */
    uint64_t stop;     /* since the stop began: not alive */
};

/* Follows from the deadlines that the source has itself: a call's 30 s and its tries, its delays, and some. */
struct health_limits health_limits(const struct source_options *options);

enum { HEALTH_REASON_MAX = 160 };

struct health {
    struct health_limits limits;
    struct stall turns[SOURCE_LANES_MAX];
    struct stall describes;
    struct stall listings;
    struct stall scan_tries;
    struct stall scans;
    uint64_t stopping_ms;
    bool alive;
    bool ready;
    char reason[HEALTH_REASON_MAX]; /* why it is not alive, or not ready; "ok" when it is both */
};

/* Alive, and not ready before the first look. */
void health_init(struct health *health, const struct source_options *options);
/* What the source tells now, elapsed_ms after the last look (0: the first). */
void health_look(struct health *health, const struct source_pulse *pulse, uint64_t elapsed_ms);

#endif
