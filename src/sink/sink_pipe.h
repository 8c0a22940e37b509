/*
 * sink_pipe: messages as frames (pipe_frame.h) to the program that started this one, over a pair of pipes, and its
 * acknowledgement of each, over the other one. So messages go through Pulsar IO's framework.
 *
 * It has failed for good when the other side closes its end of the input (ERR_CANCELLED: so it asks for a stop), takes no
 * more output, or breaks the protocol (ERR_PIPE).
 */
#ifndef SINK_SINK_PIPE_H
#define SINK_SINK_PIPE_H

#include "sink/sink.h"

struct sink_pipe_options {
    int in;             /* acknowledgements are read from here, */
    int out;            /* frames go there; both stay the caller's and become non-blocking */
    struct str version; /* of this program; borrowed for the call */
};

/* On a real lane. Only one at a time: frames of two would mix. NULL and err when the descriptors cannot be watched. */
struct sink *sink_pipe_new(struct lane *lane, const struct sink_pipe_options *options,
                           const struct sink_events *events, void *events_ctx, struct err *err);

#endif
