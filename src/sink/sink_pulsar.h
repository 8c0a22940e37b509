/*
 * sink_pulsar: one Pulsar producer of a lane as a sink; or, with explicit_sequence_ids, a sink that only has sessions, each with
 * a producer of its own. These share what the options allow in memory.
 */
#ifndef SINK_SINK_PULSAR_H
#define SINK_SINK_PULSAR_H

#include "pulsar/producer.h"
#include "sink/sink.h"

/* The options are copied. Connects at once; events.ready follows, or events.failed with what is wrong. A sink of sessions
 * has no other events. NULL and err for a bad option. */
struct sink *sink_pulsar_new(struct lane *lane, const struct pulsar_client_options *client_options,
                             const struct pulsar_producer_options *producer_options,
                             const struct sink_events *events, void *events_ctx, struct err *err);

#endif
