#include "base/lane.h"

#include <aws/io/channel_bootstrap.h>
#include <aws/io/event_loop.h>
#include <aws/io/host_resolver.h>

#include <stdlib.h>
#include <sys/random.h>
#include <time.h>

struct lane_crt {
    struct lane base;
    struct aws_event_loop_group *group;
    struct aws_event_loop *loop;
    struct aws_host_resolver *resolver;
    struct aws_client_bootstrap *bootstrap;
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

static void crt_timer_set(struct lane *lane, struct lane_timer *timer) {
    aws_task_init(&timer->task, timer_task, timer, "lane_timer");
    aws_event_loop_schedule_task_future(crt_of(lane)->loop, &timer->task, timer->due_ns);
}

static void crt_timer_cancel(struct lane *lane, struct lane_timer *timer) {
    aws_event_loop_cancel_task(crt_of(lane)->loop, &timer->task);
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
    struct aws_event_loop_group_options group_options = {.loop_count = 1};
    lane->group = aws_event_loop_group_new(allocator, &group_options);
    if (lane->group != NULL) {
        lane->loop = aws_event_loop_group_get_loop_at(lane->group, 0);
        struct aws_host_resolver_default_options resolver_options = {
            .max_entries = 16,
            .el_group = lane->group,
        };
        lane->resolver = aws_host_resolver_new_default(allocator, &resolver_options);
    }
    if (lane->resolver != NULL) {
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

void lane_free(struct lane *lane) {
    if (lane == NULL) {
        return;
    }
    struct lane_crt *crt = crt_of(lane);
    aws_client_bootstrap_release(crt->bootstrap);
    aws_host_resolver_release(crt->resolver);
    aws_event_loop_group_release(crt->group);
    free(crt);
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
