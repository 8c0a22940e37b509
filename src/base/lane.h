/*
 * lane: one event-loop thread with everything it owns. Timers, posted messages, time and randomness come
 * from here and from nowhere else, so that the same code runs on a real loop (lane_new) and on a simulated one
 * (another implementation of struct lane_ops).
 *
 * Threads: all functions are for the lane's own thread, except where "any thread" is said.
 */
#ifndef BASE_LANE_H
#define BASE_LANE_H

#include "base/err.h"
#include "base/rng.h"

#include <aws/common/task_scheduler.h>

struct lane;
struct aws_client_bootstrap;
struct aws_event_loop;
struct aws_host_resolver;

typedef void lane_fn(void *ctx);

/* Embedded in its owner; lives until it has fired or was cancelled. */
struct lane_timer {
    struct aws_task task;
    struct lane *lane;
    lane_fn *fn;
    void *ctx;
    uint64_t due_ns;
    bool armed;
    bool at_once; /* for the lane's implementation: it waits for no time */
};

/* Embedded in what it carries; owned by the lane from lane_post until fn is called. */
struct lane_message {
    struct aws_task task;
    lane_fn *fn;
    void *ctx;
};

struct lane_ops {
    uint64_t (*now_ns)(struct lane *lane);
    int64_t (*wall_ms)(struct lane *lane);
    void (*timer_set)(struct lane *lane, struct lane_timer *timer);
    void (*timer_cancel)(struct lane *lane, struct lane_timer *timer);
    void (*post)(struct lane *lane, struct lane_message *message);
};

struct lane {
    const struct lane_ops *ops;
    uint32_t index; /* 0 is the lane that also coordinates */
    struct rng rng;
};

/* A real lane: an event-loop group of its own with one loop, a resolver and a client bootstrap on it.
 * Any thread. The AWS I/O library must be initialised. NULL and err on failure. */
struct lane *lane_new(uint32_t index, struct err *err);
/* Stops the loop after what runs now; armed timers and posted messages are dropped without a call. Never on a
 * lane's own thread. Threads end by aws_thread_join_all_managed(), which the caller runs once. NULL is fine. */
void lane_free(struct lane *lane);
/* Only of lanes made by lane_new. Any thread; borrowed. */
struct aws_event_loop *lane_event_loop(struct lane *lane);
struct aws_client_bootstrap *lane_bootstrap(struct lane *lane);
struct aws_host_resolver *lane_resolver(struct lane *lane);

/* Monotonic nanoseconds. Any thread. */
static inline uint64_t lane_now_ns(struct lane *lane) {
    return lane->ops->now_ns(lane);
}
static inline uint64_t lane_now_ms(struct lane *lane) {
    return lane->ops->now_ns(lane) / 1000000;
}
/* Milliseconds since 1970 by the wall clock. Any thread. */
static inline int64_t lane_wall_ms(struct lane *lane) {
    return lane->ops->wall_ms(lane);
}

/* Binds a timer to its lane and function; does not arm it. */
void lane_timer_init(struct lane_timer *timer, struct lane *lane, lane_fn *fn, void *ctx);
/* Calls fn once, in delay_ms; 0 means in a later turn of the loop, never inside this call. Re-arms an armed one. */
void lane_timer_set_ms(struct lane_timer *timer, uint64_t delay_ms);
void lane_timer_set_at_ns(struct lane_timer *timer, uint64_t due_ns);
/* fn will not be called. An unarmed or all-zero timer is fine. */
void lane_timer_cancel(struct lane_timer *timer);

/* Calls fn(ctx) on the lane, in the order of posting. Any thread; the caller must know that the lane lives. */
void lane_post(struct lane *lane, struct lane_message *message, lane_fn *fn, void *ctx);

#endif
