#include "base/rng.h"
#include "source/window.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

static struct seqno number(uint64_t value) {
    char text[24];
    int len = snprintf(text, sizeof text, "%021llu", (unsigned long long)value);
    struct seqno seqno;
    assert_true(seqno_parse(str_make(text, (size_t)len), &seqno));
    return seqno;
}

static uint64_t push(struct window *window, uint64_t value) {
    struct seqno seqno = number(value);
    uint64_t ordinal = 0;
    assert_true(window_push(window, &seqno, &ordinal));
    return ordinal;
}

static bool acked_is(const struct window *window, uint64_t value) {
    struct seqno seqno = number(value);
    return seqno_is_set(&window->acked) && seqno_compare(&window->acked, &seqno) == 0;
}

static void test_moves_over_contiguous_acks_only(void **state) {
    (void)state;
    struct window window;
    window_init(&window, 100);
    assert_true(window_is_empty(&window));
    assert_int_equal(window_bytes(&window), 0);
    assert_false(seqno_is_set(&window.acked));

    assert_int_equal(push(&window, 7), 100);
    assert_int_equal(push(&window, 9), 101);
    assert_int_equal(push(&window, 12), 102);
    assert_int_equal(window_held(&window), 3);

    assert_false(window_ack(&window, 102)); /* in, but nothing moves */
    assert_false(window_ack(&window, 101));
    assert_non_null(window_seqno(&window, 100));
    assert_null(window_seqno(&window, 101)); /* done */
    assert_null(window_seqno(&window, 103)); /* not in */
    assert_int_equal(window.unacked, 1);
    assert_int_equal(window_held(&window), 3);
    assert_false(seqno_is_set(&window.acked));

    assert_true(window_ack(&window, 100)); /* closes the gap */
    assert_true(acked_is(&window, 12));
    assert_null(window_seqno(&window, 100)); /* behind */
    assert_true(window_is_empty(&window));
    assert_int_equal(window.unacked, 0);
    assert_int_equal(push(&window, 13), 103);
    window_done(&window);
}

static void test_wrong_acks_change_nothing(void **state) {
    (void)state;
    struct window window;
    window_init(&window, 5);
    assert_false(window_ack(&window, 5)); /* empty */
    push(&window, 1);
    push(&window, 2);
    push(&window, 3);
    assert_true(window_ack(&window, 5));
    assert_false(window_ack(&window, 5)); /* behind */
    assert_false(window_ack(&window, 4));
    assert_false(window_ack(&window, 8)); /* not pushed */
    assert_false(window_ack(&window, UINT64_MAX));
    assert_false(window_ack(&window, 7));
    assert_false(window_ack(&window, 7)); /* twice */
    assert_int_equal(window.unacked, 1);
    assert_int_equal(window_held(&window), 2);
    assert_true(acked_is(&window, 1));
    window_done(&window);
}

static void test_pop_undoes_the_newest_push(void **state) {
    (void)state;
    struct window window;
    window_init(&window, 0);
    window_pop(&window); /* nothing to undo */
    assert_true(window_is_empty(&window));
    push(&window, 1);
    push(&window, 2);
    window_pop(&window);
    assert_int_equal(window_held(&window), 1);
    assert_int_equal(window.unacked, 1);
    assert_false(window_ack(&window, 1));
    assert_int_equal(push(&window, 3), 1); /* its ordinal is given again */
    assert_true(window_ack(&window, 0));
    assert_true(window_ack(&window, 1));
    assert_true(acked_is(&window, 3));
    window_done(&window);
}

/* The contiguous position stays; ordinals begin again behind it. */
static void test_rewinds_to_the_contiguous_position(void **state) {
    (void)state;
    struct window window;
    window_init(&window, 5);
    for (uint64_t value = 100; value < 110; value++) {
        (void)push(&window, value);
    }
    assert_true(window_ack(&window, 5));
    assert_false(window_ack(&window, 8));
    window_rewind(&window);
    assert_true(window_is_empty(&window));
    assert_int_equal(window.unacked, 0);
    assert_false(window_ack(&window, 6));
    assert_true(acked_is(&window, 100));
    assert_int_equal(push(&window, 101), 6);
    assert_true(window_ack(&window, 6));
    assert_true(acked_is(&window, 101));
    window_done(&window);
}

static void test_is_bounded_and_gives_memory_back(void **state) {
    (void)state;
    struct window window;
    window_init(&window, 3);
    for (uint64_t i = 0; i < WINDOW_MAX_RECORDS; i++) {
        push(&window, i);
    }
    struct seqno seqno = number(WINDOW_MAX_RECORDS);
    uint64_t ordinal = 0;
    assert_false(window_push(&window, &seqno, &ordinal));
    assert_int_equal(window_held(&window), WINDOW_MAX_RECORDS);
    size_t most = window_bytes(&window);
    assert_true(most >= WINDOW_MAX_RECORDS * sizeof(struct window_slot));

    for (uint64_t i = WINDOW_MAX_RECORDS - 1; i > 0; i--) {
        assert_false(window_ack(&window, 3 + i));
    }
    assert_int_equal(window_held(&window), WINDOW_MAX_RECORDS);
    assert_true(window_ack(&window, 3));
    assert_true(window_is_empty(&window));
    assert_true(acked_is(&window, WINDOW_MAX_RECORDS - 1));
    assert_true(window_bytes(&window) <= most / 100);

    /* numbering goes on, in a ring of another size */
    assert_int_equal(push(&window, WINDOW_MAX_RECORDS), 3 + WINDOW_MAX_RECORDS);
    assert_true(window_ack(&window, 3 + WINDOW_MAX_RECORDS));
    window_done(&window);
    assert_int_equal(window_bytes(&window), 0);
}

static void test_shrinks_without_ever_draining(void **state) {
    (void)state;
    struct window window;
    window_init(&window, 0);
    for (uint64_t i = 0; i < 4096; i++) {
        push(&window, i);
    }
    size_t most = window_bytes(&window);
    for (uint64_t i = 0; i < 4090; i++) {
        assert_true(window_ack(&window, i));
    }
    assert_int_equal(window_held(&window), 6);
    assert_true(window_bytes(&window) <= most / 16);
    for (uint64_t i = 4090; i < 4096; i++) { /* what is held has survived the moves */
        assert_true(window_ack(&window, i));
        assert_true(acked_is(&window, i));
    }
    window_done(&window);
}

/* The naive model: every record ever pushed, in a flat array. */
struct model {
    bool *acked;
    uint64_t *values;
    uint64_t base;
    uint64_t count;
    uint64_t head; /* index of the first that is not acknowledged, up to count */
};

static void assert_same(const struct window *window, const struct model *model) {
    uint64_t unacked = 0;
    for (uint64_t i = model->head; i < model->count; i++) {
        unacked += !model->acked[i];
    }
    assert_int_equal(window->head, model->base + model->head);
    assert_int_equal(window->next, model->base + model->count);
    assert_int_equal(window->unacked, unacked);
    assert_int_equal(window_held(window), model->count - model->head);
    if (model->head == 0) {
        assert_false(seqno_is_set(&window->acked));
    } else {
        assert_true(acked_is(window, model->values[model->head - 1]));
    }
}

static void test_agrees_with_a_naive_model(void **state) {
    (void)state;
    enum { STEPS = 100000 };
    struct rng rng = {.state = 42};
    struct model model = {.base = 1000000};
    model.acked = calloc(STEPS, sizeof *model.acked);
    model.values = calloc(STEPS, sizeof *model.values);
    assert_non_null(model.acked);
    assert_non_null(model.values);
    struct window window;
    window_init(&window, model.base);
    uint64_t value = 0;
    uint64_t pushing = 50; /* of 100 steps; changes, so that the window fills and drains */
    for (int step = 0; step < STEPS; step++) {
        if (step % 2000 == 0) {
            pushing = 20 + rng_below(&rng, 60);
        }
        uint64_t die = rng_below(&rng, 99);
        if (die < pushing) {
            value += 1 + rng_below(&rng, 5);
            assert_int_equal(push(&window, value), model.base + model.count);
            model.values[model.count] = value;
            model.acked[model.count++] = false;
        } else if (die == 99 && model.count > model.head && !model.acked[model.count - 1]) {
            window_pop(&window);
            model.count--;
        } else {
            /* mostly near the head, sometimes anywhere, also outside */
            uint64_t at = rng_below(&rng, 3) > 0 ? model.head + rng_below(&rng, 8)
                                                 : rng_below(&rng, model.count + 3);
            bool known = at >= model.head && at < model.count && !model.acked[at];
            uint64_t head = model.head;
            if (known) {
                model.acked[at] = true;
                while (model.head < model.count && model.acked[model.head]) {
                    model.head++;
                }
            }
            assert_int_equal(window_ack(&window, model.base + at), model.head != head);
        }
        if (step % 64 == 0 || model.count - model.head < 100) {
            assert_same(&window, &model);
        }
    }
    assert_same(&window, &model);
    window_done(&window);
    free(model.acked);
    free(model.values);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_moves_over_contiguous_acks_only),
        cmocka_unit_test(test_wrong_acks_change_nothing),
        cmocka_unit_test(test_pop_undoes_the_newest_push),
        cmocka_unit_test(test_rewinds_to_the_contiguous_position),
        cmocka_unit_test(test_is_bounded_and_gives_memory_back),
        cmocka_unit_test(test_shrinks_without_ever_draining),
        cmocka_unit_test(test_agrees_with_a_naive_model),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
