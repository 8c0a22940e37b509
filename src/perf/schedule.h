/*
 * schedule: when each message of a steady load is due. Latency counts from there, so that a stall
 * is seen by every message that it holds up, and not only by those that could be sent (the
 * "coordinated omission" of closed loops). Pure.
 *
 * Up to 1,000 messages a second each is due at its own time. Above that those of one millisecond
 * are due together at its end: as many wake-ups a second as milliseconds, at any rate.
 */
#ifndef PERF_SCHEDULE_H
#define PERF_SCHEDULE_H

#include <stdint.h>

struct schedule {
    uint64_t start_ns;
    uint64_t rate; /* messages per second, not 0 */
};

/* When message `index`, counted from 0, is due. */
uint64_t schedule_due_ns(const struct schedule *schedule, uint64_t index);

/* How many messages are due up to now_ns. */
uint64_t schedule_count(const struct schedule *schedule, uint64_t now_ns);

#endif
