#include "base/backoff.h"

uint64_t backoff_bound_ms(const struct backoff *backoff) {
    uint64_t bound = backoff->base_ms;
    for (uint32_t i = 0; i < backoff->attempts && bound < backoff->max_ms; i++) {
        bound *= 2;
    }
    return bound < backoff->max_ms ? bound : backoff->max_ms;
}

uint64_t backoff_next_ms(struct backoff *backoff, struct rng *rng) {
    uint64_t bound = backoff_bound_ms(backoff);
    if (backoff->attempts < UINT32_MAX) {
        backoff->attempts++;
    }
    return rng_below(rng, bound);
}
