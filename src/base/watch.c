#include "base/watch.h"

#include <aws/io/event_loop.h>

/* The CRT's library has these two for everybody (they were in its headers for years, and its own
 * sockets and pipes stand on them), but its headers show no more than their types, as members of a
 * loop's table of functions. Against these the declarations here are checked. */
int aws_event_loop_subscribe_to_io_events(struct aws_event_loop *loop, struct aws_io_handle *handle,
                                          int events, aws_event_loop_on_event_fn *on_event,
                                          void *user_data);
int aws_event_loop_unsubscribe_from_io_events(struct aws_event_loop *loop,
                                              struct aws_io_handle *handle);
#define HAS_TYPE_OF(function, member)                                                              \
    _Generic((function), __typeof__(((struct aws_event_loop_vtable *)0)->member) : 1, default : 0)
_Static_assert(HAS_TYPE_OF(&aws_event_loop_subscribe_to_io_events, subscribe_to_io_events),
               "the CRT subscribes in another way");
_Static_assert(HAS_TYPE_OF(&aws_event_loop_unsubscribe_from_io_events, unsubscribe_from_io_events),
               "the CRT unsubscribes in another way");

/* Of the CRT's events only these two have a meaning of their own here; test_watch would notice
 * other values. */
enum { CRT_READABLE = 1, CRT_WRITABLE = 2 };

/* An aws_event_loop_on_event_fn. */
static void on_event(struct aws_event_loop *loop, struct aws_io_handle *handle, int events,
                     void *user_data) {
    (void)loop;
    (void)handle;
    struct watch *watch = user_data;
    unsigned told = ((events & CRT_READABLE) != 0 ? (unsigned)WATCH_READ : 0U) |
                    ((events & CRT_WRITABLE) != 0 ? (unsigned)WATCH_WRITE : 0U) |
                    ((events & ~(CRT_READABLE | CRT_WRITABLE)) != 0 ? (unsigned)WATCH_END : 0U);
    watch->fn(watch->ctx, told);
}

bool watch_start(struct watch *watch, struct lane *lane, int fd, watch_fn *fn, void *ctx) {
    *watch = (struct watch){.handle = {.data.fd = fd}, .fn = fn, .ctx = ctx};
    if (aws_event_loop_subscribe_to_io_events(lane_event_loop(lane), &watch->handle,
                                              CRT_READABLE | CRT_WRITABLE, on_event,
                                              watch) != AWS_OP_SUCCESS) {
        return false;
    }
    watch->lane = lane;
    return true;
}

void watch_stop(struct watch *watch) {
    if (watch->lane != NULL) {
        (void)aws_event_loop_unsubscribe_from_io_events(lane_event_loop(watch->lane),
                                                        &watch->handle);
        watch->lane = NULL;
    }
}
