/*
 * signals: SIGTERM and SIGINT as a request to stop. They are blocked in all threads and taken by one thread of
 * their own, so that what they start is ordinary code. The first one calls a function, the second one ends the
 * process at once.
 */
#ifndef CLI_SIGNALS_H
#define CLI_SIGNALS_H

#include "base/err.h"

/* A closed pipe or socket becomes an error of the write. In main. */
void signals_ignore_pipe(void);
/* Before any other thread is started, since those inherit it. A signal that comes now waits for signals_start. */
void signals_block(void);

typedef void signals_fn(void *ctx, int signal);
/* After signals_block. stop runs once, on the signal thread, with everything blocked that is blocked everywhere. */
bool signals_start(signals_fn *stop, void *ctx, struct err *err);
/* After it returns, stop is not running and will not be called. Without signals_start it does nothing. */
void signals_end(void);

#endif
