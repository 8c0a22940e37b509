/* lane on a real event loop: order of posts, timers, and an end with things pending. */
#include "base/lane.h"

#include "cmocka_all.h"

#include <aws/common/thread.h>
#include <aws/io/io.h>

#include <pthread.h>
#include <sys/resource.h>

/* A lane with a place to wait for what happens on it. */
struct rig {
    struct lane *lane;
    pthread_mutex_t lock;
    pthread_cond_t changed;
    uint32_t done; /* things that have happened */
    uint32_t order[16];
};

static int setup(void **state) {
    struct rig *rig = calloc(1, sizeof *rig);
    struct err err = ERR_NONE;
    aws_io_library_init(aws_default_allocator());
    pthread_mutex_init(&rig->lock, NULL);
    pthread_cond_init(&rig->changed, NULL);
    rig->lane = lane_new(3, &err);
    assert_non_null(rig->lane);
    *state = rig;
    return 0;
}

static int teardown(void **state) {
    struct rig *rig = *state;
    lane_free(rig->lane);
    aws_thread_join_all_managed();
    aws_io_library_clean_up();
    pthread_cond_destroy(&rig->changed);
    pthread_mutex_destroy(&rig->lock);
    free(rig);
    return 0;
}

static void happened(struct rig *rig, uint32_t what) {
    pthread_mutex_lock(&rig->lock);
    if (rig->done < 16) {
        rig->order[rig->done] = what;
    }
    rig->done++;
    pthread_cond_signal(&rig->changed);
    pthread_mutex_unlock(&rig->lock);
}

static void wait_for(struct rig *rig, uint32_t count) {
    pthread_mutex_lock(&rig->lock);
    while (rig->done < count) {
        pthread_cond_wait(&rig->changed, &rig->lock);
    }
    pthread_mutex_unlock(&rig->lock);
}

struct item {
    struct lane_message message;
    struct lane_timer timer;
    struct rig *rig;
    uint32_t number;
    uint32_t left;
};

static void item_happened(void *ctx) {
    struct item *item = ctx;
    happened(item->rig, item->number);
}

static void posts_arrive_in_order(void **state) {
    struct rig *rig = *state;
    struct item items[10];
    for (uint32_t i = 0; i < 10; i++) {
        items[i] = (struct item){.rig = rig, .number = i};
        lane_post(rig->lane, &items[i].message, item_happened, &items[i]);
    }
    wait_for(rig, 10);
    for (uint32_t i = 0; i < 10; i++) {
        assert_int_equal(rig->order[i], i);
    }
    assert_int_equal(rig->lane->index, 3);
}

/* Armed in the wrong order, one cancelled, one re-armed to come last. */
static void arm_timers(void *ctx) {
    struct item *items = ctx;
    static const uint64_t delay_ms[] = {30, 10, 20, 1};
    for (uint32_t i = 0; i < 4; i++) {
        lane_timer_init(&items[i].timer, items[i].rig->lane, item_happened, &items[i]);
        lane_timer_set_ms(&items[i].timer, delay_ms[i]);
    }
    lane_timer_cancel(&items[2].timer);
    lane_timer_cancel(&items[2].timer);
    lane_timer_set_ms(&items[3].timer, 50);
}

static void timers_fire_when_due_unless_cancelled(void **state) {
    struct rig *rig = *state;
    struct item items[4];
    for (uint32_t i = 0; i < 4; i++) {
        items[i] = (struct item){.rig = rig, .number = i};
    }
    lane_post(rig->lane, &items[0].message, arm_timers, items);
    wait_for(rig, 3);
    assert_int_equal(rig->order[0], 1);
    assert_int_equal(rig->order[1], 0);
    assert_int_equal(rig->order[2], 3);
}

static void again(void *ctx) {
    struct item *item = ctx;
    uint32_t left = item->left--;
    bool last = left == 1;
    happened(item->rig, left); /* the last one lets the test end: the item is gone then */
    if (!last) {
        lane_timer_set_ms(&item->timer, 0);
        happened(item->rig, 100); /* a delay of 0 never fires inside the call */
    }
}

static void start_again(void *ctx) {
    struct item *item = ctx;
    lane_timer_init(&item->timer, item->rig->lane, again, item);
    lane_timer_set_ms(&item->timer, 0);
}

static void a_timer_may_arm_itself_anew(void **state) {
    struct rig *rig = *state;
    struct item item = {.rig = rig, .left = 3};
    lane_post(rig->lane, &item.message, start_again, &item);
    wait_for(rig, 5);
    const uint32_t expected[] = {3, 100, 2, 100, 1};
    assert_memory_equal(rig->order, expected, sizeof expected);
}

enum { WAITS = 100, WAIT_NS = 900000 };

static uint32_t times_asleep(void) {
    struct rusage usage;
    assert_int_equal(getrusage(RUSAGE_THREAD, &usage), 0);
    return (uint32_t)usage.ru_nvcsw;
}

static void next_wait(void *ctx) {
    struct item *item = ctx;
    if (item->left-- > 0) {
        lane_timer_set_at_ns(&item->timer, lane_now_ns(item->rig->lane) + WAIT_NS);
    } else {
        happened(item->rig, times_asleep() - item->number);
    }
}

static void start_waits(void *ctx) {
    struct item *item = ctx;
    item->number = times_asleep();
    lane_timer_init(&item->timer, item->rig->lane, next_wait, item);
    next_wait(item);
}

/* Less than a millisecond too. A busy machine may be late for some of them. */
static void a_lane_sleeps_until_its_timer(void **state) {
    struct rig *rig = *state;
    struct item item = {.rig = rig, .left = WAITS};
    lane_post(rig->lane, &item.message, start_waits, &item);
    wait_for(rig, 1);
    assert_in_range(rig->order[0], WAITS / 5, UINT32_MAX);
}

static void must_not_happen(void *ctx) {
    (void)ctx;
    abort();
}

static void arm_far(void *ctx) {
    struct item *item = ctx;
    lane_timer_init(&item->timer, item->rig->lane, must_not_happen, NULL);
    lane_timer_set_ms(&item->timer, 3600 * 1000);
    happened(item->rig, 1);
}

static void an_end_drops_what_is_pending(void **state) {
    struct rig *rig = *state;
    struct item *item = calloc(1, sizeof *item);
    item->rig = rig;
    lane_post(rig->lane, &item->message, arm_far, item);
    wait_for(rig, 1);
    lane_free(rig->lane);
    aws_thread_join_all_managed();
    free(item);
    struct err err = ERR_NONE;
    rig->lane = lane_new(0, &err); /* for the teardown */
    assert_non_null(rig->lane);
}

static void time_goes_on(void **state) {
    struct rig *rig = *state;
    uint64_t before = lane_now_ns(rig->lane);
    assert_true(lane_now_ns(rig->lane) >= before);
    assert_true(lane_wall_ms(rig->lane) > INT64_C(1700000000000));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(posts_arrive_in_order, setup, teardown),
        cmocka_unit_test_setup_teardown(timers_fire_when_due_unless_cancelled, setup, teardown),
        cmocka_unit_test_setup_teardown(a_timer_may_arm_itself_anew, setup, teardown),
        cmocka_unit_test_setup_teardown(a_lane_sleeps_until_its_timer, setup, teardown),
        cmocka_unit_test_setup_teardown(an_end_drops_what_is_pending, setup, teardown),
        cmocka_unit_test_setup_teardown(time_goes_on, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
