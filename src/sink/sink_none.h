/*
 * sink_none: acknowledges everything and keeps nothing. For measuring the source alone.
 */
#ifndef SINK_SINK_NONE_H
#define SINK_SINK_NONE_H

#include "sink/sink.h"

/* NULL when out of memory. */
struct sink *sink_none_new(struct lane *lane, const struct sink_events *events, void *events_ctx);

#endif
