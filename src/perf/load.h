/*
 * load: one producer on a lane that sends messages at a rate or as fast as it goes, and what was
 * measured. The measurement is a window of time: its rate counts the receipts that came in it, its
 * CPU time is the whole process's in it, its latencies are those of the messages sent in it, however
 * late their receipts.
 *
 * Latency is from when a message was due (at a rate) or was handed over (as fast as it goes, by a
 * clock that is read for every 32nd message) to its receipt.
 */
#ifndef PERF_LOAD_H
#define PERF_LOAD_H

#include "base/lane.h"
#include "perf/perf_options.h"

struct hdr_histogram;

struct load_result {
    struct err err; /* why it ended badly; not set: well */
    bool measured;  /* the window was opened and closed: the rest means something */
    uint64_t window_ns;
    uint64_t messages; /* acknowledged in the window */
    uint64_t frames;   /* written in the window */
    uint64_t cpu_ns;
    const struct hdr_histogram *latency_ns; /* the load's */
    uint64_t unsent; /* due at a rate, but there was no room for them until the end */
    uint64_t resent_frames;
    uint64_t reconnects;
};

struct load;

/* Borrows the options, whose texts and numbers perf_options_parse has checked. */
struct load *load_new(const struct perf_options *options, struct err *err);
/* After done, and when the lane is gone. NULL is fine. */
void load_free(struct load *load);

/* Connects, sends, measures, takes leave of the broker. done comes on the lane, once, last. Any
 * thread. */
void load_start(struct load *load, struct lane *lane, lane_fn *done, void *ctx);
/* Ends it now, with the result so far. Any thread; once. */
void load_stop(struct load *load);

/* After done. Borrowed. */
const struct load_result *load_result(const struct load *load);

#endif
