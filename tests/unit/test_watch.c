/* watch: what a lane tells about a socket, and that it stops. */
#include "base/watch.h"

#include "cmocka_all.h"

#include <aws/common/thread.h>

#include <pthread.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

enum { PATIENCE_S = 30 };

struct rig {
    struct lane *lane;
    struct watch watch;
    struct lane_message message;
    int ends[2]; /* the first one is watched */
    pthread_mutex_t lock;
    pthread_cond_t changed;
    unsigned told; /* since the last wait_for */
    int calls;
    bool done;
};

static int setup(void **state) {
    struct rig *rig = calloc(1, sizeof *rig);
    struct err err = ERR_NONE;
    aws_io_library_init(aws_default_allocator());
    assert_non_null(rig);
    (void)pthread_mutex_init(&rig->lock, NULL);
    (void)pthread_cond_init(&rig->changed, NULL);
    rig->lane = lane_new(0, &err);
    assert_non_null(rig->lane);
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, rig->ends), 0);
    *state = rig;
    return 0;
}

static int teardown(void **state) {
    struct rig *rig = *state;
    lane_free(rig->lane);
    aws_thread_join_all_managed();
    aws_io_library_clean_up();
    (void)close(rig->ends[0]);
    if (rig->ends[1] >= 0) {
        (void)close(rig->ends[1]);
    }
    (void)pthread_cond_destroy(&rig->changed);
    (void)pthread_mutex_destroy(&rig->lock);
    free(rig);
    return 0;
}

static void on_event(void *ctx, unsigned events) {
    struct rig *rig = ctx;
    (void)pthread_mutex_lock(&rig->lock);
    rig->told |= events;
    rig->calls++;
    (void)pthread_cond_signal(&rig->changed);
    (void)pthread_mutex_unlock(&rig->lock);
}

static void wait_until(struct rig *rig, unsigned events, const bool *done) {
    struct timespec until;
    (void)clock_gettime(CLOCK_REALTIME, &until);
    until.tv_sec += PATIENCE_S;
    (void)pthread_mutex_lock(&rig->lock);
    while ((rig->told & events) != events || (done != NULL && !*done)) {
        assert_int_equal(pthread_cond_timedwait(&rig->changed, &rig->lock, &until), 0);
    }
    rig->told = 0;
    (void)pthread_mutex_unlock(&rig->lock);
}

static void done(struct rig *rig) {
    (void)pthread_mutex_lock(&rig->lock);
    rig->done = true;
    (void)pthread_cond_signal(&rig->changed);
    (void)pthread_mutex_unlock(&rig->lock);
}

static void start(void *ctx) {
    struct rig *rig = ctx;
    assert_true(watch_start(&rig->watch, rig->lane, rig->ends[0], on_event, rig));
    done(rig);
}

static void stop(void *ctx) {
    struct rig *rig = ctx;
    watch_stop(&rig->watch);
    watch_stop(&rig->watch); /* once more does no harm */
    done(rig);
}

static void on_lane(struct rig *rig, lane_fn *fn) {
    rig->done = false;
    lane_post(rig->lane, &rig->message, fn, rig);
    wait_until(rig, 0, &rig->done);
}

static void tells_changes(void **state) {
    struct rig *rig = *state;
    char bytes[4096] = {0};
    lane_post(rig->lane, &rig->message, start, rig);
    wait_until(rig, WATCH_WRITE, &rig->done); /* what is so from the beginning */
    assert_int_equal(write(rig->ends[1], "x", 1), 1);
    wait_until(rig, WATCH_READ, NULL);
    while (write(rig->ends[0], bytes, sizeof bytes) > 0) {
    }
    while (read(rig->ends[1], bytes, sizeof bytes) > 0) {
    }
    wait_until(rig, WATCH_WRITE, NULL);
    (void)close(rig->ends[1]);
    rig->ends[1] = -1;
    wait_until(rig, WATCH_END, NULL);
    on_lane(rig, stop);
}

static void stops(void **state) {
    struct rig *rig = *state;
    lane_post(rig->lane, &rig->message, start, rig);
    wait_until(rig, WATCH_WRITE, &rig->done);
    on_lane(rig, stop);
    int calls = rig->calls;
    assert_int_equal(write(rig->ends[1], "x", 1), 1);
    on_lane(rig, stop); /* two turns, in which it could be told */
    on_lane(rig, stop);
    assert_int_equal(rig->calls, calls);
    rig->done = false;
    lane_post(rig->lane, &rig->message, start, rig); /* the same socket again */
    wait_until(rig, WATCH_READ, &rig->done);
    on_lane(rig, stop);
}

static void what_cannot_be_watched(void **state) {
    struct rig *rig = *state;
    struct watch watch = {.lane = NULL};
    assert_false(watch_start(&watch, rig->lane, -1, on_event, rig));
    watch_stop(&watch);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(tells_changes, setup, teardown),
        cmocka_unit_test_setup_teardown(stops, setup, teardown),
        cmocka_unit_test_setup_teardown(what_cannot_be_watched, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
