/*
 * sink_stdout: each message's value as one line on a file descriptor. A line is acknowledged when the system has
 * taken it. A reader that does not keep up stops the source; it never blocks the lane.
 */
#ifndef SINK_SINK_STDOUT_H
#define SINK_SINK_STDOUT_H

#include "sink/sink.h"

/* Writes to fd, which stays the caller's. NULL when out of memory. Only one at a time: lines of two would mix. */
struct sink *sink_stdout_new(struct lane *lane, int fd, const struct sink_events *events,
                             void *events_ctx);

#endif
