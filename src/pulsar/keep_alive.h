/*
 * keep_alive: whether a connection's other side still lives, and whether anybody needs it: decided
 * once in an interval from what happened in it. Pure.
 */
#ifndef PULSAR_KEEP_ALIVE_H
#define PULSAR_KEEP_ALIVE_H

#include <stdbool.h>

enum { KEEP_ALIVE_UNUSED_INTERVALS = 2 }; /* after more without a user it is closed */

/* All-zero at first. */
struct keep_alive {
    bool heard; /* something came in this interval */
    bool wrote; /* the kernel took something in it */
    bool pinged;
    unsigned unused;
};

enum keep_alive_verdict {
    KEEP_ALIVE_FINE,
    KEEP_ALIVE_PING,   /* silent: ask */
    KEEP_ALIVE_SILENT, /* for two intervals, also after the PING */
    KEEP_ALIVE_UNUSED,
};

/* At an interval's end. used: it has users; queued: something waits to be written. */
enum keep_alive_verdict keep_alive_judge(struct keep_alive *keep_alive, bool used, bool queued);

#endif
