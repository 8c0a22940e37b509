/*
 * sim_lane: a lane whose clock stands still until the test moves it. Everything runs inside sim_lane_advance, on the
 * test's thread.
 */
#ifndef TESTS_SIM_LANE_H
#define TESTS_SIM_LANE_H

#include "base/lane.h"

enum { SIM_LANE_TIMERS = 64 };

struct sim_lane {
    struct lane base;
    uint64_t now_ns;
    struct lane_timer *timers[SIM_LANE_TIMERS]; /* armed */
    size_t count;
};

void sim_lane_init(struct sim_lane *lane, uint64_t seed);
/* Fires what is due on the way, in order of time, then stands at now + ms. */
void sim_lane_advance(struct sim_lane *lane, uint64_t ms);

#endif
