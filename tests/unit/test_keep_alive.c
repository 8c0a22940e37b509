/* When a connection is asked whether it lives, and when it is given up. */
#include "unit/cmocka_all.h"

#include "pulsar/keep_alive.h"

static void asked_then_given_up(void **state) {
    (void)state;
    struct keep_alive keep_alive = {.heard = true};
    assert_int_equal(keep_alive_judge(&keep_alive, true, false), KEEP_ALIVE_FINE);
    assert_int_equal(keep_alive_judge(&keep_alive, true, false), KEEP_ALIVE_PING);
    assert_int_equal(keep_alive_judge(&keep_alive, true, false), KEEP_ALIVE_SILENT);
}

static void any_word_is_a_sign_of_life(void **state) {
    (void)state;
    struct keep_alive keep_alive = {.heard = false};
    for (int i = 0; i < 10; i++) {
        assert_int_equal(keep_alive_judge(&keep_alive, true, false), KEEP_ALIVE_PING);
        keep_alive.heard = true;
        assert_int_equal(keep_alive_judge(&keep_alive, true, false), KEEP_ALIVE_FINE);
    }
}

static void reading_is_one_while_something_waits(void **state) {
    (void)state;
    struct keep_alive keep_alive = {.heard = false};
    for (int i = 0; i < 10; i++) {
        keep_alive.wrote = true;
        assert_int_equal(keep_alive_judge(&keep_alive, true, true), KEEP_ALIVE_FINE);
    }
    keep_alive.wrote = true; /* all of it, but to a kernel's buffer */
    assert_int_equal(keep_alive_judge(&keep_alive, true, false), KEEP_ALIVE_PING);
    keep_alive.wrote = true; /* the PING */
    assert_int_equal(keep_alive_judge(&keep_alive, true, false), KEEP_ALIVE_SILENT);
    /* Nor is a queue one that does not move. */
    keep_alive = (struct keep_alive){.heard = false};
    assert_int_equal(keep_alive_judge(&keep_alive, true, true), KEEP_ALIVE_PING);
    assert_int_equal(keep_alive_judge(&keep_alive, true, true), KEEP_ALIVE_SILENT);
}

static void closed_when_nobody_needs_it(void **state) {
    (void)state;
    struct keep_alive keep_alive = {.heard = false};
    for (int i = 0; i < 2 * KEEP_ALIVE_UNUSED_INTERVALS; i++) {
        keep_alive.heard = true;
        bool used = i == KEEP_ALIVE_UNUSED_INTERVALS - 1; /* that counts anew */
        assert_int_equal(keep_alive_judge(&keep_alive, used, false), KEEP_ALIVE_FINE);
    }
    keep_alive.heard = true;
    assert_int_equal(keep_alive_judge(&keep_alive, false, false), KEEP_ALIVE_UNUSED);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(asked_then_given_up),
        cmocka_unit_test(any_word_is_a_sign_of_life),
        cmocka_unit_test(reading_is_one_while_something_waits),
        cmocka_unit_test(closed_when_nobody_needs_it),
    };
    return cmocka_run_group_tests_name("keep_alive", tests, NULL, NULL);
}
