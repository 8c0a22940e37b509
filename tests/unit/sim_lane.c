#include "sim_lane.h"

#include "cmocka_all.h"

static struct sim_lane *sim_of(struct lane *lane) {
    return (struct sim_lane *)lane; /* base is the first member */
}

static uint64_t now_ns(struct lane *lane) {
    return sim_of(lane)->now_ns;
}

static int64_t wall_ms(struct lane *lane) {
    return INT64_C(1700000000000) + (int64_t)(sim_of(lane)->now_ns / 1000000);
}

static void timer_set(struct lane *lane, struct lane_timer *timer) {
    struct sim_lane *sim = sim_of(lane);
    assert_true(sim->count < SIM_LANE_TIMERS);
    sim->timers[sim->count++] = timer;
}

static void timer_cancel(struct lane *lane, struct lane_timer *timer) {
    struct sim_lane *sim = sim_of(lane);
    for (size_t i = 0; i < sim->count; i++) {
        if (sim->timers[i] == timer) {
            sim->timers[i] = sim->timers[--sim->count];
            return;
        }
    }
    fail_msg("a timer was cancelled that was not armed");
}

static void post(struct lane *lane, struct lane_message *message) {
    (void)lane;
    (void)message;
    fail_msg("nothing is posted here");
}

static const struct lane_ops ops = {
    .now_ns = now_ns,
    .wall_ms = wall_ms,
    .timer_set = timer_set,
    .timer_cancel = timer_cancel,
    .post = post,
};

void sim_lane_init(struct sim_lane *lane, uint64_t seed) {
    *lane = (struct sim_lane){.base = {.ops = &ops, .rng = {.state = seed}}, .now_ns = 1000000000};
}

static struct lane_timer *take_due(struct sim_lane *lane, uint64_t until_ns) {
    size_t first = lane->count;
    for (size_t i = 0; i < lane->count; i++) {
        if (lane->timers[i]->due_ns <= until_ns &&
            (first == lane->count || lane->timers[i]->due_ns < lane->timers[first]->due_ns)) {
            first = i;
        }
    }
    if (first == lane->count) {
        return NULL;
    }
    struct lane_timer *timer = lane->timers[first];
    lane->timers[first] = lane->timers[--lane->count];
    return timer;
}

void sim_lane_advance(struct sim_lane *lane, uint64_t ms) {
    uint64_t until_ns = lane->now_ns + ms * 1000000;
    struct lane_timer *timer;
    while ((timer = take_due(lane, until_ns)) != NULL) {
        if (timer->due_ns > lane->now_ns) {
            lane->now_ns = timer->due_ns;
        }
        timer->armed = false;
        timer->fn(timer->ctx);
    }
    lane->now_ns = until_ns;
}
