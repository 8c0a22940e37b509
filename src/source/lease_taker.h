/*
 * lease_taker: which leases this worker should take, and which it should ask others for. Pure: what was seen of the
 * lease table and the monotonic time in, verdicts out.
 *
 * It decides as the taker of the DynamoDB Streams Kinesis Adapter does, so that workers of both kinds share a table,
 * and in addition evens out what a rounded-up target leaves uneven.
 */
#ifndef SOURCE_LEASE_TAKER_H
#define SOURCE_LEASE_TAKER_H

#include "base/err.h"
#include "base/rng.h"
#include "base/str.h"

/* How long a lease's counter stands still, by our monotonic clock: the table holds no times. */
struct lease_watch {
    uint64_t counter;
    uint64_t since_ns; /* when it was first seen at this value */
    bool seen;
    bool moved; /* between the last two times it was seen */
};

/* The item was read just now. */
void lease_watch_see(struct lease_watch *watch, uint64_t counter, uint64_t now_ns);
/* It stood still for longer than failover_ns when a scan began that found it unchanged. */
bool lease_watch_has_expired(const struct lease_watch *watch, uint64_t scan_began_ns,
                             uint64_t failover_ns);

enum taker_verdict {
    TAKER_LEAVE,
    TAKER_TAKE,
    TAKER_ASK, /* of its living owner */
};

/* A lease as seen. Of finished ones only the owner counts, as a sign of life. */
struct taker_lease {
    struct str owner; /* empty: nobody */
    bool expired;
    bool finished; /* SHARD_END */
    bool ready;    /* it may be read: no parent is unfinished */
    bool held;     /* read by this process, or being taken, or asked for */
    enum taker_verdict verdict;
    uint32_t worker; /* scratch: its living owner; 0 is this worker */
};

struct taker_result {
    uint32_t workers; /* living, with this one */
    uint32_t leases;  /* to share: unfinished, and ready or somebody's */
    uint32_t target;  /* of one worker */
    uint32_t mine;    /* with the verdicts carried out */
};

/* Sets each lease's verdict:
 * - a ready lease of mine that is not held: taken (a restart, or handed over);
 * - free ready ones (nobody's or expired), at random, up to the target: leases by workers, rounded up;
 * - with no free one left, asks evenly among the workers above the target, bringing none below it; and one at a time from
 *   the most loaded, while that one has at least two more than this worker.
 * False, with err, only when out of memory. */
bool lease_taker_decide(struct taker_lease *leases, size_t count, struct str me, struct rng *rng,
                        struct taker_result *ret_result, struct err *err);

#endif
