/*
 * prometheus: what the source counts, in Prometheus' text format, version 0.0.4. Pure. Series are bounded by the number of
 * lanes: shards come and go every few hours, so none has series of its own.
 */
#ifndef MONITOR_PROMETHEUS_H
#define MONITOR_PROMETHEUS_H

#include "base/buf.h"
#include "monitor/health.h"
#include "monitor/publisher.h"

#define PROMETHEUS_CONTENT_TYPE "text/plain; version=0.0.4; charset=utf-8"

/* Borrowed. */
struct prometheus_facts {
    const struct source_stats *stats;
    const struct source_pulse *pulse;
    const struct health *health;
    const struct publisher_stats *published;
    const char *version;
    double started_s; /* since 1970 */
    double cpu_s;     /* user and system, of all threads */
    uint64_t resident_bytes;
};

void prometheus_write(const struct prometheus_facts *facts, struct buf *to);

#endif
