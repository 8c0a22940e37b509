/*
 * backoff: exponential delay with full jitter. Pure: randomness is a parameter.
 */
#ifndef BASE_BACKOFF_H
#define BASE_BACKOFF_H

#include "base/rng.h"

struct backoff {
    uint64_t base_ms;  /* bound of the first delay */
    uint64_t max_ms;   /* bound of any delay */
    uint32_t attempts; /* failures since the last reset */
};

static inline struct backoff backoff_make(uint64_t base_ms, uint64_t max_ms) {
    return (struct backoff){.base_ms = base_ms, .max_ms = max_ms, .attempts = 0};
}

/* Upper bound of the next delay: base * 2^attempts, at most max. */
uint64_t backoff_bound_ms(const struct backoff *backoff);
/* The next delay, uniform in [0, bound]; counts one failure. */
uint64_t backoff_next_ms(struct backoff *backoff, struct rng *rng);

static inline void backoff_reset(struct backoff *backoff) {
    backoff->attempts = 0;
}

#endif
