/*
 * retry: whether a failed try is worth another, and after how long: exponential delay with full jitter by error
 * class, and a quota shared by the calls of a service, which keeps a service in trouble from being asked four times
 * as often as one that is well. Pure.
 */
#ifndef AWS_RETRY_H
#define AWS_RETRY_H

#include "base/err.h"
#include "base/rng.h"

#include <stdbool.h>

enum { RETRY_QUOTA_MAX = 500 };

struct retry_quota {
    uint32_t tokens;
};

static inline struct retry_quota retry_quota_make(void) {
    return (struct retry_quota){.tokens = RETRY_QUOTA_MAX};
}

/* Of one call. All zero to begin with. */
struct retry {
    uint32_t failures;
    uint32_t last_cost; /* tokens that the try under way has taken */
};

/* After a failed try. False: give up, because this error will not go away or the quota is used up. Else the delay
 * before the next try. asked_ms: what the service asked for, or 0; it can add at most 5 s. */
bool retry_next(struct retry *retry, struct retry_quota *quota, enum err_code code,
                uint64_t asked_ms, struct rng *rng, uint64_t *ret_delay_ms);
/* After a successful try: gives back what the last try took, and one token for a first try. */
void retry_success(const struct retry *retry, struct retry_quota *quota);

#endif
