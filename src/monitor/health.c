#include "monitor/health.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>

enum {
    CALL_MS = 30 * 1000, /* an AWS call's deadline over all its tries */
    LANE_MS = 15 * 1000,
    SLACK_MS = 120 * 1000, /* for delays between calls, and for a machine without time */
    PAGE_MS = 60 * 1000,
    ACK_MS = 60 * 1000,
    ACK_DEAD_MS = 300 * 1000,
    LISTING_MS = 600 * 1000, /* one a minute is begun; a large stream takes its time */
    STOP_MS = 20 * 1000,     /* beyond stopTimeout: last writes, closing */
};

struct health_limits health_limits(const struct source_options *options) {
    uint64_t scan_ms = 2 * options->failover_ms; /* between two looks at the lease table, at most */
    return (struct health_limits){
        .lane = LANE_MS,
        .step = CALL_MS + SLACK_MS + options->max_poll_ms,
        .page = PAGE_MS + options->max_poll_ms,
        .ack = ACK_MS,
        .ack_dead = ACK_DEAD_MS,
        .lease = options->failover_ms,
        .write = CALL_MS + SLACK_MS + options->failover_ms + options->backoff_ms,
        .describe = 2 * (CALL_MS + SLACK_MS),
        .listing = LISTING_MS,
        .scan_try = 2 * (CALL_MS + SLACK_MS) + scan_ms,
        .scan = CALL_MS + 3 * scan_ms,
        .stop = options->stop_timeout_ms + STOP_MS,
    };
}

void health_init(struct health *health, const struct source_options *options) {
    *health = (struct health){
        .limits = health_limits(options),
        .alive = true,
        .reason = "starting",
    };
}

/* ---- The two verdicts. The first reason stands, and one for not being alive before all others. */

static void say(struct health *health, const char *format, va_list arguments) {
    (void)vsnprintf(health->reason, sizeof health->reason, format, arguments);
}

__attribute__((format(printf, 2, 3))) static void dead(struct health *health, const char *format,
                                                       ...) {
    if (health->alive) {
        va_list arguments;
        va_start(arguments, format);
        say(health, format, arguments);
        va_end(arguments);
    }
    health->alive = false;
    health->ready = false;
}

__attribute__((format(printf, 2, 3))) static void unready(struct health *health, const char *format,
                                                          ...) {
    if (health->ready) {
        va_list arguments;
        va_start(arguments, format);
        say(health, format, arguments);
        va_end(arguments);
    }
    health->ready = false;
}

static uint64_t seconds(uint64_t ms) {
    return ms / 1000;
}

/* ---- What is looked at. */

static void look_at_lane(struct health *health, uint32_t i, const struct source_lane_pulse *lane,
                         uint64_t elapsed_ms) {
    const struct health_limits *limits = &health->limits;
    bool closing = lane->life == SOURCE_LANE_CLOSING; /* the stop has a limit of its own */
    uint64_t still_ms = stall_look(&health->turns[i], lane->turns, closing, elapsed_ms);
    if (still_ms > limits->lane) {
        dead(health, "lane %u has not turned for %" PRIu64 " s", i, seconds(still_ms));
    }
    if (lane->step_idle_ms > limits->step) {
        dead(health, "lane %u: a shard is not read, and nothing has tried to for %" PRIu64 " s", i,
             seconds(lane->step_idle_ms));
    }
    if (lane->write_idle_ms > limits->write) {
        dead(health, "lane %u: nothing has tried to renew a lease for %" PRIu64 " s", i,
             seconds(lane->write_idle_ms));
    }
    if (lane->ack_idle_ms > limits->ack_dead) {
        dead(health,
             "lane %u: no receipt for %" PRIu64 " s over standing connections, with %" PRIu64
             " records in flight",
             i, seconds(lane->ack_idle_ms), lane->in_flight);
    }
}

static void look_at_outside(struct health *health, uint32_t i,
                            const struct source_lane_pulse *lane) {
    const struct health_limits *limits = &health->limits;
    if (!lane->sink_ready) {
        unready(health, "lane %u: Pulsar is not ready yet", i);
    } else if (lane->sink_lost > 0) {
        unready(health, "lane %u: connections to Pulsar lost, and being made anew: %" PRIu32, i,
                lane->sink_lost);
    } else if (lane->ack_idle_ms > limits->ack) {
        unready(health, "lane %u: no receipt for %" PRIu64 " s, with %" PRIu64 " records in flight",
                i, seconds(lane->ack_idle_ms), lane->in_flight);
    }
    if (lane->lease_idle_ms > limits->lease) {
        unready(health, "lane %u: a lease could not be renewed for %" PRIu64 " s", i,
                seconds(lane->lease_idle_ms));
    }
    if (lane->page_idle_ms > limits->page) {
        const char *why =
            lane->read_error == ERR_OK ? "no answer" : err_code_meaning(lane->read_error);
        unready(health, "lane %u: a shard could not be read for %" PRIu64 " s (%s)", i,
                seconds(lane->page_idle_ms), why);
    }
}

static void look_at_coordinator(struct health *health, const struct source_pulse *pulse,
                                uint64_t elapsed_ms) {
    const struct health_limits *limits = &health->limits;
    bool begun = pulse->sharing; /* what comes before ends by itself, with success or an error */
    uint64_t describe_ms =
        stall_look(&health->describes, pulse->describes, !begun || pulse->making, elapsed_ms);
    uint64_t listing_ms =
        stall_look(&health->listings, pulse->listings, !begun || pulse->making, elapsed_ms);
    uint64_t try_ms = stall_look(&health->scan_tries, pulse->scan_tries, !begun, elapsed_ms);
    uint64_t scan_ms = stall_look(&health->scans, pulse->scans, !begun, elapsed_ms);
    if (describe_ms > limits->describe) {
        dead(health, "nothing has asked for the stream's shards for %" PRIu64 " s",
             seconds(describe_ms));
    }
    if (try_ms > limits->scan_try) {
        dead(health, "nothing has looked at the lease table for %" PRIu64 " s", seconds(try_ms));
    }
    if (!begun) {
        unready(health, pulse->listings == 0 ? "starting: the stream's shards are being listed"
                                             : "starting: the lease table is being looked at");
    }
    if (listing_ms > limits->listing) {
        unready(health, "the stream's shards could not be listed for %" PRIu64 " s",
                seconds(listing_ms));
    }
    if (scan_ms > limits->scan) {
        unready(health, "the lease table could not be read for %" PRIu64 " s", seconds(scan_ms));
    }
}

static void look_at_stop(struct health *health, uint64_t elapsed_ms) {
    health->stopping_ms += elapsed_ms < STALL_LOOK_MAX_MS ? elapsed_ms : STALL_LOOK_MAX_MS;
    if (health->stopping_ms > health->limits.stop) {
        dead(health, "the stop has not come to its end for %" PRIu64 " s",
             seconds(health->stopping_ms));
    }
    unready(health, "stopping");
}

void health_look(struct health *health, const struct source_pulse *pulse, uint64_t elapsed_ms) {
    health->alive = true;
    health->ready = true;
    look_at_lane(health, 0, &pulse->lanes[0], elapsed_ms); /* also while it has no worker yet */
    for (uint32_t i = 1; i < pulse->lane_count; i++) {
        look_at_lane(health, i, &pulse->lanes[i], elapsed_ms);
    }
    if (pulse->stopping) {
        look_at_stop(health, elapsed_ms);
    } else {
        look_at_coordinator(health, pulse, elapsed_ms);
        for (uint32_t i = 0; i < pulse->lane_count; i++) {
            look_at_outside(health, i, &pulse->lanes[i]);
        }
    }
    if (health->ready) {
        (void)snprintf(health->reason, sizeof health->reason, "ok");
    }
}
