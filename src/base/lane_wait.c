#include "base/lane_wait.h"

void lane_wait_run(struct lane_wait *wait, struct lane *lane, lane_fn *begin, void *ctx) {
    wait->done = false;
    pthread_mutex_init(&wait->lock, NULL);
    pthread_cond_init(&wait->changed, NULL);
    lane_post(lane, &wait->message, begin, ctx);
    pthread_mutex_lock(&wait->lock);
    while (!wait->done) {
        pthread_cond_wait(&wait->changed, &wait->lock);
    }
    pthread_mutex_unlock(&wait->lock);
    pthread_cond_destroy(&wait->changed);
    pthread_mutex_destroy(&wait->lock);
}

void lane_wait_done(void *ctx) {
    struct lane_wait *wait = ctx;
    pthread_mutex_lock(&wait->lock);
    wait->done = true;
    pthread_cond_signal(&wait->changed);
    pthread_mutex_unlock(&wait->lock);
}
