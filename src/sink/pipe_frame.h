/*
 * pipe_frame: the frames between this program and the one that started it: records go out, acknowledgements come in.
 * Pure.
 *
 * A frame, its integers big-endian:   size(4) | type(1) | body       size counts type and body
 *
 *     to this program
 *     'C'  configuration   the text of a configuration file; the first frame, once
 *     'A'  acknowledged    number(8), one or more: these records are safe
 *     from this program
 *     'H'  hello           protocol(1) | the program's version; the first frame, once
 *     'R'  record          number(8) | event time in ms(8) | has key(1) | count of properties(1) | size(4), key
 *                          | of each property size(4), name, size(4), value | the value, to the frame's end
 *     'L'  alive           nothing: for a reader that wonders why no record comes
 *
 * Records are numbered from 1 on, without gaps. The end of standard input asks this program to stop; what is not
 * acknowledged then, never will be.
 */
#ifndef SINK_PIPE_FRAME_H
#define SINK_PIPE_FRAME_H

#include "base/buf.h"
#include "base/err.h"
#include "sink/sink.h"

enum {
    PIPE_FRAME_PROTOCOL = 1,
    PIPE_FRAME_SIZE_BYTES = 4,
    PIPE_FRAME_RECORD_MAX = 16 * 1024 * 1024, /* size of a record's frame */
    PIPE_FRAME_NUMBERS_MAX = 4096,            /* in one 'A' */
};

enum pipe_frame_type {
    PIPE_FRAME_CONFIG = 'C',
    PIPE_FRAME_ACKED = 'A',
    PIPE_FRAME_HELLO = 'H',
    PIPE_FRAME_RECORD = 'R',
    PIPE_FRAME_ALIVE = 'L',
};

/* All return false when the buffer fails, which then has what it had. */
bool pipe_frame_add_hello(struct buf *to, struct str version);
bool pipe_frame_add_alive(struct buf *to);
/* Not of a message over PIPE_FRAME_RECORD_MAX. */
bool pipe_frame_add_record(struct buf *to, uint64_t number, const struct sink_message *message);
/* Bytes of the whole frame. */
size_t pipe_frame_record_bytes(const struct sink_message *message);

struct pipe_frame {
    enum pipe_frame_type type;
    struct str body; /* borrowed */
};

enum pipe_frame_cut { PIPE_FRAME_WHOLE, PIPE_FRAME_PARTIAL, PIPE_FRAME_BROKEN };

/* Takes the next frame to this program off the front of *bytes, which stay as they are when it is not whole yet. max: of
 * its size. Of a broken one err (ERR_PIPE) says what is wrong: too large, of no known type, or with a body that its type
 * cannot have. */
enum pipe_frame_cut pipe_frame_take(struct str *bytes, size_t max, struct pipe_frame *ret_frame,
                                    struct err *err);
/* The size that a frame's first PIPE_FRAME_SIZE_BYTES give. */
size_t pipe_frame_size(const char *bytes);
/* Of an 'A': how many, and the i-th of them. */
size_t pipe_frame_count(const struct pipe_frame *frame);
uint64_t pipe_frame_number(const struct pipe_frame *frame, size_t i);

#endif
