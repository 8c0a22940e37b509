/*
 * lane_wait: the main thread waits for something that goes on on a lane. Whatever goes on has deadlines of its own.
 */
#ifndef BASE_LANE_WAIT_H
#define BASE_LANE_WAIT_H

#include "base/lane.h"

#include <pthread.h>

struct lane_wait {
    struct lane_message message;
    pthread_mutex_t lock;
    pthread_cond_t changed;
    bool done;
};

/* Main thread: begin is called on the lane; returns after lane_wait_done. */
void lane_wait_run(struct lane_wait *wait, struct lane *lane, lane_fn *begin, void *ctx);
/* On the lane, once. A lane_fn. */
void lane_wait_done(void *wait);

#endif
