#include "aws/retry.h"

#include "base/backoff.h"

enum {
    BASE_MS = 25,
    THROTTLE_BASE_MS = 1000,
    MAX_MS = 20000,
    COST = 14,
    THROTTLE_COST = 5,
    ASKED_MAX_MS = 5000, /* above our own delay */
};

/* The class alone does not tell: a table that is being created, or a certificate that nobody trusts, will not
 * change within a call's deadline, though it may later. */
static bool may_pass(enum err_code code) {
    switch (code) {
    case ERR_TIMEOUT:
    case ERR_AWS_TRANSPORT:
    case ERR_AWS_SERVER:
    case ERR_AWS_CHECKSUM:
    case ERR_AWS_REPLY:
    case ERR_AWS_THROTTLED:
        return true;
    default:
        return false;
    }
}

bool retry_next(struct retry *retry, struct retry_quota *quota, enum err_code code,
                uint64_t asked_ms, struct rng *rng, uint64_t *ret_delay_ms) {
    bool throttled = code == ERR_AWS_THROTTLED;
    uint32_t cost = throttled ? THROTTLE_COST : COST;
    if (!may_pass(code) || quota->tokens < cost) {
        return false;
    }
    quota->tokens -= cost;
    retry->last_cost = cost;
    struct backoff backoff = backoff_make(throttled ? THROTTLE_BASE_MS : BASE_MS, MAX_MS);
    backoff.attempts = retry->failures++;
    uint64_t delay = backoff_next_ms(&backoff, rng);
    if (asked_ms > delay) {
        delay = asked_ms < delay + ASKED_MAX_MS ? asked_ms : delay + ASKED_MAX_MS;
    }
    *ret_delay_ms = delay;
    return true;
}

void retry_success(const struct retry *retry, struct retry_quota *quota) {
    quota->tokens += retry->last_cost > 0 ? retry->last_cost : 1;
    if (quota->tokens > RETRY_QUOTA_MAX) {
        quota->tokens = RETRY_QUOTA_MAX;
    }
}
