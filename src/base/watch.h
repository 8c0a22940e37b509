/*
 * watch: a file descriptor on a real lane (lane_new): tells when it becomes readable or writable.
 * Changes only: whoever is told reads or writes until the kernel says EAGAIN, or comes back to it
 * by himself.
 */
#ifndef BASE_WATCH_H
#define BASE_WATCH_H

#include "base/lane.h"

#include <aws/io/io.h>

enum watch_event {
    WATCH_READ = 1,
    WATCH_WRITE = 2,
    WATCH_END = 4, /* the other side is gone or has said its last, or there is an error */
};

/* events: several of enum watch_event. */
typedef void watch_fn(void *ctx, unsigned events);

/* Embedded in its owner; lives until watch_stop. All-zero before the first start. */
struct watch {
    struct aws_io_handle handle;
    struct lane *lane; /* NULL: not watching */
    watch_fn *fn;
    void *ctx;
};

/* fn comes in later turns of the loop, first with what is ready now. fd stays the caller's. False
 * when the system refuses. */
bool watch_start(struct watch *watch, struct lane *lane, int fd, watch_fn *fn, void *ctx);
/* Before fd is closed. fn does not come any more. Not watching is fine. */
void watch_stop(struct watch *watch);

#endif
