/*
 * stall: for how long something that should move has stood still, in its watcher's own time. Pure.
 *
 * A look counts for STALL_LOOK_MAX_MS at most: while the watcher itself did not run (the process was stopped, the machine
 * had no time for it), it saw nothing that it could blame on anybody.
 */
#ifndef BASE_STALL_H
#define BASE_STALL_H

#include <stdbool.h>
#include <stdint.h>

enum { STALL_LOOK_MAX_MS = 2000 };

/* All-zero is a new one. */
struct stall {
    uint64_t seen;
    uint64_t idle_ms;
};

/* value changes whenever the thing moves. excused: it need not move now. elapsed_ms: since the last look. Returns for how
 * long it has stood still. */
static inline uint64_t stall_look(struct stall *stall, uint64_t value, bool excused,
                                  uint64_t elapsed_ms) {
    if (excused || value != stall->seen) {
        stall->seen = value;
        stall->idle_ms = 0;
    } else {
        stall->idle_ms += elapsed_ms < STALL_LOOK_MAX_MS ? elapsed_ms : STALL_LOOK_MAX_MS;
    }
    return stall->idle_ms;
}

#endif
