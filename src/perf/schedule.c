#include "perf/schedule.h"

#define NS_PER_S ((uint64_t)1000000000)

enum { TICK_NS = 1000000, EACH_RATE_MAX = 1000 };

/* index / rate in nanoseconds, rounded up; no product overflows for rates below 2^32. */
static uint64_t exact_ns(uint64_t index, uint64_t rate) {
    return index / rate * NS_PER_S + (index % rate * NS_PER_S + rate - 1) / rate;
}

uint64_t schedule_due_ns(const struct schedule *schedule, uint64_t index) {
    uint64_t after_ns = exact_ns(index, schedule->rate);
    if (schedule->rate > EACH_RATE_MAX) {
        after_ns = (after_ns + TICK_NS - 1) / TICK_NS * TICK_NS;
    }
    return schedule->start_ns + after_ns;
}

uint64_t schedule_count(const struct schedule *schedule, uint64_t now_ns) {
    if (now_ns < schedule->start_ns) {
        return 0;
    }
    uint64_t elapsed_ns = now_ns - schedule->start_ns;
    if (schedule->rate > EACH_RATE_MAX) {
        elapsed_ns = elapsed_ns / TICK_NS * TICK_NS;
    }
    /* Message i is due at ceil(i / rate), so those with i <= elapsed * rate are. */
    return elapsed_ns / NS_PER_S * schedule->rate +
           elapsed_ns % NS_PER_S * schedule->rate / NS_PER_S + 1;
}
