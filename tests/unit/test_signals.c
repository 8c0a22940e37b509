#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "cli/signals.h"

#include <errno.h>
#include <semaphore.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

struct seen {
    sem_t called;
    int signal;
    int calls;
};

static void stop(void *ctx, int signal_number) {
    struct seen *seen = ctx;
    seen->signal = signal_number;
    seen->calls++;
    (void)sem_post(&seen->called);
}

static void wait_until_called(struct seen *seen) {
    while (sem_wait(&seen->called) != 0) {
        assert_int_equal(errno, EINTR);
    }
}

static void first_signal_calls_stop(void **state) {
    (void)state;
    struct seen seen = {.calls = 0};
    struct err err = ERR_NONE;
    assert_int_equal(sem_init(&seen.called, 0, 0), 0);
    assert_true(signals_start(stop, &seen, &err));
    assert_int_equal(kill(getpid(), SIGTERM), 0);
    wait_until_called(&seen);
    signals_end();
    assert_int_equal(seen.calls, 1);
    assert_int_equal(seen.signal, SIGTERM);
    (void)sem_destroy(&seen.called);
}

static void a_signal_before_start_waits(void **state) {
    (void)state;
    struct seen seen = {.calls = 0};
    struct err err = ERR_NONE;
    assert_int_equal(sem_init(&seen.called, 0, 0), 0);
    assert_int_equal(kill(getpid(), SIGINT), 0);
    assert_true(signals_start(stop, &seen, &err));
    wait_until_called(&seen);
    signals_end();
    assert_int_equal(seen.signal, SIGINT);
    (void)sem_destroy(&seen.called);
}

static void the_end_without_a_signal_calls_nothing(void **state) {
    (void)state;
    struct seen seen = {.calls = 0};
    struct err err = ERR_NONE;
    signals_end(); /* not started: nothing happens */
    assert_int_equal(sem_init(&seen.called, 0, 0), 0);
    assert_true(signals_start(stop, &seen, &err));
    signals_end();
    signals_end();
    assert_int_equal(seen.calls, 0);
    (void)sem_destroy(&seen.called);
}

/* In a process of its own, which it ends. */
static void second_signal_ends_the_process(void **state) {
    (void)state;
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        struct seen seen = {.calls = 0};
        if (sem_init(&seen.called, 0, 0) != 0 || !signals_start(stop, &seen, NULL) ||
            kill(getpid(), SIGTERM) != 0) {
            _exit(90);
        }
        wait_until_called(&seen);
        (void)kill(getpid(), SIGINT);
        (void)alarm(60); /* an unblocked signal that ends the child with another status */
        for (;;) {
            (void)pause();
        }
    }
    int status = 0;
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFEXITED(status));
    assert_int_equal(WEXITSTATUS(status), 1);
}

static void a_closed_pipe_is_an_error_of_the_write(void **state) {
    (void)state;
    int ends[2];
    signals_ignore_pipe();
    assert_int_equal(pipe(ends), 0);
    assert_int_equal(close(ends[0]), 0);
    assert_int_equal(write(ends[1], "x", 1), -1);
    assert_int_equal(errno, EPIPE);
    assert_int_equal(close(ends[1]), 0);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(first_signal_calls_stop),
        cmocka_unit_test(a_signal_before_start_waits),
        cmocka_unit_test(the_end_without_a_signal_calls_nothing),
        cmocka_unit_test(second_signal_ends_the_process),
        cmocka_unit_test(a_closed_pipe_is_an_error_of_the_write),
    };
    signals_block();
    return cmocka_run_group_tests(tests, NULL, NULL);
}
