#include "cli/signals.h"

#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <string.h>
#include <unistd.h>

enum { EXIT_AT_ONCE = 1 };

static struct {
    pthread_t thread;
    bool started;
    atomic_bool ending;
    signals_fn *stop;
    void *ctx;
} signals;

/* SIGUSR1 is nobody's but signals_end's, which wakes the thread by it. */
static sigset_t waited_for(void) {
    sigset_t set;
    (void)sigemptyset(&set); /* none of these can fail for valid signals */
    (void)sigaddset(&set, SIGTERM);
    (void)sigaddset(&set, SIGINT);
    (void)sigaddset(&set, SIGUSR1);
    return set;
}

void signals_ignore_pipe(void) {
    struct sigaction action = {.sa_handler = SIG_IGN};
    (void)sigaction(SIGPIPE, &action, NULL);
}

void signals_block(void) {
    sigset_t set = waited_for();
    (void)pthread_sigmask(SIG_BLOCK, &set, NULL);
}

static void *wait_for_signals(void *unused) {
    (void)unused;
    sigset_t set = waited_for();
    bool asked = false;
    for (;;) {
        int signal = 0;
        if (sigwait(&set, &signal) != 0) {
            continue;
        }
        if (atomic_load(&signals.ending)) {
            return NULL;
        }
        if (signal == SIGUSR1) {
            continue;
        }
        if (asked) {
            _exit(EXIT_AT_ONCE);
        }
        asked = true;
        signals.stop(signals.ctx, signal);
    }
}

bool signals_start(signals_fn *stop, void *ctx, struct err *err) {
    signals.stop = stop;
    signals.ctx = ctx;
    atomic_store(&signals.ending, false);
    int failed = pthread_create(&signals.thread, NULL, wait_for_signals, NULL);
    if (failed != 0) {
        return err_set(err, ERR_INTERNAL, "the signal thread cannot be started: %s",
                       strerror(failed));
    }
    signals.started = true;
    return true;
}

void signals_end(void) {
    if (!signals.started) {
        return;
    }
    atomic_store(&signals.ending, true);
    (void)pthread_kill(signals.thread, SIGUSR1); /* it is not joined yet, so it exists */
    (void)pthread_join(signals.thread, NULL);
    signals.started = false;
}
