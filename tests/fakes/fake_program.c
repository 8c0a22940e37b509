#include "fakes/fake_program.h"

#include "base/str.h"

#include <signal.h>
#include <stdio.h>

static void ending_signals(sigset_t *set) {
    (void)sigemptyset(set);
    (void)sigaddset(set, SIGTERM);
    (void)sigaddset(set, SIGINT);
}

static bool read_port(const char *text, uint16_t *ret_port) {
    uint64_t port;
    bool ok = str_to_u64(str_of(text), &port) && port <= UINT16_MAX;
    *ret_port = ok ? (uint16_t)port : 0;
    return ok;
}

bool fake_program_options(int argc, char **argv, bool with_control,
                          struct fake_program *ret_program) {
    *ret_program = (struct fake_program){.port = 0};
    for (int i = 1; i < argc; i += 2) {
        struct str name = str_of(argv[i]);
        bool ok = false;
        if (i + 1 < argc && str_is(name, "--port")) {
            ok = read_port(argv[i + 1], &ret_program->port);
        } else if (i + 1 < argc && with_control && str_is(name, "--control")) {
            ok = read_port(argv[i + 1], &ret_program->control);
        } else if (i + 1 < argc && str_is(name, "--scenario")) {
            ret_program->scenario = argv[i + 1];
            ok = true;
        }
        if (!ok) {
            (void)fprintf(stderr, "usage: %s [--port P] %s[--scenario FILE]\n", argv[0],
                          with_control ? "[--control P] " : "");
            return false;
        }
    }
    sigset_t set;
    ending_signals(&set);
    (void)pthread_sigmask(SIG_BLOCK, &set, NULL);
    return true;
}

void fake_program_wait(void) {
    sigset_t set;
    int signal_number;
    ending_signals(&set);
    (void)sigwait(&set, &signal_number);
}
