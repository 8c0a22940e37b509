/*
 * progress: tells how a run goes: one live line on a terminal, else a log line now and then.
 */
#ifndef CLI_PROGRESS_H
#define CLI_PROGRESS_H

#include "source/source.h"

struct progress {
    bool live; /* stderr is a terminal */
    uint64_t shown_ms;
    uint64_t acked;
    uint64_t began_ms;
};

void progress_start(struct progress *progress, uint64_t now_ms);
/* Milliseconds until progress_show has something to do. */
uint64_t progress_wait_ms(const struct progress *progress, uint64_t now_ms);
void progress_show(struct progress *progress, const struct source_stats *stats, uint64_t now_ms);
/* Takes the live line away and logs the sums. */
void progress_end(struct progress *progress, const struct source_stats *stats, uint64_t now_ms);

#endif
