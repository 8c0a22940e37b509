/* rng: a small seeded generator (splitmix64) for jitter and ids that need no secrecy. Pure. */
#ifndef BASE_RNG_H
#define BASE_RNG_H

#include <stdint.h>

struct rng {
    uint64_t state;
};

static inline uint64_t rng_next(struct rng *rng) {
    uint64_t z = (rng->state += 0x9e3779b97f4a7c15u);
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
    return z ^ (z >> 31);
}

/* Uniform in [0, bound]; the bias of the modulo is of no matter for jitter. */
static inline uint64_t rng_below(struct rng *rng, uint64_t bound) {
    return bound == UINT64_MAX ? rng_next(rng) : rng_next(rng) % (bound + 1);
}

#endif
