#include "base/watch.h"

#include <aws/io/channel_bootstrap.h>
#include <aws/io/event_loop.h>
#include <aws/io/host_resolver.h>

#include <assert.h>
#include <stdlib.h>
#include <sys/random.h>
#include <sys/timerfd.h>
#include <time.h>
#include <unistd.h>

/*
 * Timers do not go to the loop's own scheduler: it waits for whole milliseconds, rounded down, and
 * spins for the rest. At some hundred timers a second that is a whole processor. A timerfd wakes the
 * loop when the first of ours is due.
 */
struct lane_crt {
    struct lane base;
    struct aws_event_loop_group *group;
    struct aws_event_loop *loop;
    struct aws_host_resolver *resolver;
    struct aws_client_bootstrap *bootstrap;

    struct aws_task_scheduler timers;
    int timer_fd;
    struct watch wake_up; /* of timer_fd */
    uint64_t wake_up_ns;  /* when it fires, or before; UINT64_MAX: not set */
    bool firing;          /* timers run; it is set when they have */
    struct aws_task end_task;
};

static struct lane_crt *crt_of(struct lane *lane) {
    return (struct lane_crt *)lane; /* base is the first member */
}

static uint64_t crt_now_ns(struct lane *lane) {
    uint64_t now = 0;
    (void)aws_event_loop_current_clock_time(crt_of(lane)->loop, &now); /* the monotonic clock */
    return now;
}

static int64_t crt_wall_ms(struct lane *lane) {
    (void)lane;
    struct timespec now;
    (void)clock_gettime(CLOCK_REALTIME, &now); /* cannot fail for this clock */
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

static void timer_task(struct aws_task *task, void *arg, enum aws_task_status status) {
    (void)task;
    struct lane_timer *timer = arg;
    if (status != AWS_TASK_STATUS_RUN_READY) {
        return; /* cancelled by us (then armed is settled there) or by the loop's end */
    }
    timer->armed = false;
    timer->fn(timer->ctx);
}

/* Has the loop woken up for the first timer. An earlier wake-up, of a timer that was cancelled, is
 * left as it is: it costs less than setting it anew. */
static void set_wake_up(struct lane_crt *lane, uint64_t now) {
    uint64_t next;
    if (lane->firing || lane->wake_up.lane == NULL ||
        !aws_task_scheduler_has_tasks(&lane->timers, &next) || next >= lane->wake_up_ns) {
        return;
    }
    uint64_t delay_ns = next > now ? next - now : 1; /* 0 would disarm it */
    struct itimerspec value = {.it_value = {.tv_sec = (time_t)(delay_ns / 1000000000),
                                            .tv_nsec = (long)(delay_ns % 1000000000)}};
    (void)timerfd_settime(lane->timer_fd, 0, &value, NULL); /* fails for bad values only */
    lane->wake_up_ns = next;
}

/* A watch_fn. The timerfd is not read: each expiration is an event of its own. */
static void on_wake_up(void *ctx, unsigned events) {
    (void)events;
    struct lane_crt *lane = ctx;
    lane->wake_up_ns = UINT64_MAX;
    lane->firing = true;
    aws_task_scheduler_run_all(&lane->timers, crt_now_ns(&lane->base));
    lane->firing = false;
    set_wake_up(lane, crt_now_ns(&lane->base));
}

static void crt_timer_set(struct lane *lane, struct lane_timer *timer) {
    struct lane_crt *crt = crt_of(lane);
    uint64_t now = crt_now_ns(lane);
    timer->at_once = timer->due_ns <= now;
    aws_task_init(&timer->task, timer_task, timer, "lane_timer");
    if (timer->at_once) {
        aws_event_loop_schedule_task_now(crt->loop, &timer->task);
    } else {
        aws_task_scheduler_schedule_future(&crt->timers, &timer->task, timer->due_ns);
        set_wake_up(crt, now);
    }
}

static void crt_timer_cancel(struct lane *lane, struct lane_timer *timer) {
    if (timer->at_once) {
        aws_event_loop_cancel_task(crt_of(lane)->loop, &timer->task);
    } else {
        aws_task_scheduler_cancel_task(&crt_of(lane)->timers, &timer->task);
    }
}

static void message_task(struct aws_task *task, void *arg, enum aws_task_status status) {
    (void)task;
    struct lane_message *message = arg;
    if (status == AWS_TASK_STATUS_RUN_READY) {
        message->fn(message->ctx);
    }
}

static void crt_post(struct lane *lane, struct lane_message *message) {
    aws_task_init(&message->task, message_task, message, "lane_message");
    aws_event_loop_schedule_task_now_serialized(crt_of(lane)->loop, &message->task);
}

static const struct lane_ops crt_ops = {
    .now_ns = crt_now_ns,
    .wall_ms = crt_wall_ms,
    .timer_set = crt_timer_set,
    .timer_cancel = crt_timer_cancel,
    .post = crt_post,
};

/* When the loop is gone. */
static void destroy(void *user_data) {
    struct lane_crt *lane = user_data;
    aws_task_scheduler_clean_up(&lane->timers);
    if (lane->timer_fd >= 0) {
        (void)close(lane->timer_fd);
    }
    free(lane);
}

static bool open_timers(struct lane_crt *lane) {
    lane->wake_up_ns = UINT64_MAX;
    lane->timer_fd = timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK | TFD_CLOEXEC);
    return aws_task_scheduler_init(&lane->timers, aws_default_allocator()) == AWS_OP_SUCCESS &&
           lane->timer_fd >= 0;
}

struct lane *lane_new(uint32_t index, struct err *err) {
    struct lane_crt *lane = calloc(1, sizeof *lane);
    if (lane == NULL) {
        err_set(err, ERR_NOMEM, "no memory for a lane");
        return NULL;
    }
    lane->base.ops = &crt_ops;
    lane->base.index = index;
    if (getrandom(&lane->base.rng.state, sizeof lane->base.rng.state, 0) < 0) {
        err_set(err, ERR_INTERNAL, "getrandom failed");
        free(lane);
        return NULL;
    }
    struct aws_allocator *allocator = aws_default_allocator();
    struct aws_shutdown_callback_options shutdown = {.shutdown_callback_fn = destroy,
                                                     .shutdown_callback_user_data = lane};
    struct aws_event_loop_group_options group_options = {.loop_count = 1,
                                                         .shutdown_options = &shutdown};
    if (open_timers(lane)) {
        lane->group = aws_event_loop_group_new(allocator, &group_options);
    }
    if (lane->group != NULL) {
        lane->loop = aws_event_loop_group_get_loop_at(lane->group, 0);
        struct aws_host_resolver_default_options resolver_options = {
            .max_entries = 16,
            .el_group = lane->group,
        };
        lane->resolver = aws_host_resolver_new_default(allocator, &resolver_options);
    }
    if (lane->resolver != NULL &&
        watch_start(&lane->wake_up, &lane->base, lane->timer_fd, on_wake_up, lane)) {
        struct aws_client_bootstrap_options bootstrap_options = {
            .event_loop_group = lane->group,
            .host_resolver = lane->resolver,
        };
        lane->bootstrap = aws_client_bootstrap_new(allocator, &bootstrap_options);
    }
    if (lane->bootstrap == NULL) {
        err_set(err, ERR_INTERNAL, "cannot start an event loop: %s",
                aws_error_str(aws_last_error()));
        lane_free(&lane->base);
        return NULL;
    }
    return &lane->base;
}

/* On the loop, in front of its own end, which lane_free causes after posting this. */
static void end(struct aws_task *task, void *arg, enum aws_task_status status) {
    (void)task;
    struct lane_crt *lane = arg;
    assert(status == AWS_TASK_STATUS_RUN_READY);
    watch_stop(&lane->wake_up);
}

void lane_free(struct lane *lane) {
    if (lane == NULL) {
        return;
    }
    struct lane_crt *crt = crt_of(lane);
    struct aws_event_loop_group *group = crt->group;
    if (group == NULL) {
        destroy(crt);
        return;
    }
    if (crt->wake_up.lane != NULL) {
        aws_task_init(&crt->end_task, end, crt, "lane_end");
        aws_event_loop_schedule_task_now_serialized(crt->loop, &crt->end_task);
    }
    aws_client_bootstrap_release(crt->bootstrap);
    aws_host_resolver_release(crt->resolver);
    aws_event_loop_group_release(group); /* destroys it */
}

struct aws_event_loop *lane_event_loop(struct lane *lane) {
    return crt_of(lane)->loop;
}

struct aws_client_bootstrap *lane_bootstrap(struct lane *lane) {
    return crt_of(lane)->bootstrap;
}

struct aws_host_resolver *lane_resolver(struct lane *lane) {
    return crt_of(lane)->resolver;
}

void lane_timer_init(struct lane_timer *timer, struct lane *lane, lane_fn *fn, void *ctx) {
    *timer = (struct lane_timer){.lane = lane, .fn = fn, .ctx = ctx};
}

void lane_timer_set_at_ns(struct lane_timer *timer, uint64_t due_ns) {
    lane_timer_cancel(timer);
    timer->due_ns = due_ns;
    timer->armed = true;
    timer->lane->ops->timer_set(timer->lane, timer);
}

void lane_timer_set_ms(struct lane_timer *timer, uint64_t delay_ms) {
    lane_timer_set_at_ns(timer, lane_now_ns(timer->lane) + delay_ms * 1000000);
}

void lane_timer_cancel(struct lane_timer *timer) {
    if (timer->armed) {
        timer->armed = false;
        timer->lane->ops->timer_cancel(timer->lane, timer);
    }
}

void lane_post(struct lane *lane, struct lane_message *message, lane_fn *fn, void *ctx) {
    message->fn = fn;
    message->ctx = ctx;
    lane->ops->post(lane, message);
}
