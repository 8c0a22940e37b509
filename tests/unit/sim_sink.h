/*
 * sim_sink: a lane's sink on the simulated clock. Messages arrive in order, some at a time; receipts come later and in
 * any order. It has sessions, for which the world deduplicates (sim_names.h).
 */
#ifndef TESTS_SIM_SINK_H
#define TESTS_SIM_SINK_H

#include "sim_process.h"

/* It frees itself when it is closed. */
struct sink *sim_sink_new(struct sim_thread *thread, const struct sink_events *events,
                          void *events_ctx);

#endif
