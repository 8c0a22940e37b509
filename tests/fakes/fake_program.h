/*
 * fake_program: what the doubles' programs have in common: options, the line that says where they
 * listen, and an end with exit code 0 on SIGTERM or SIGINT.
 */
#ifndef FAKES_FAKE_PROGRAM_H
#define FAKES_FAKE_PROGRAM_H

#include "base/err.h"

#include <stdint.h>

struct fake_program {
    uint16_t port;        /* 0: a free one */
    uint16_t control;     /* a second port for the control interface, where the double has one */
    const char *scenario; /* NULL: none */
};

/* Reads --port P, --scenario FILE and, if with_control, --control P. On a wrong option it says so
 * on stderr and returns false: exit with 2. Blocks the ending signals: call it before threads
 * start. */
bool fake_program_options(int argc, char **argv, bool with_control,
                          struct fake_program *ret_program);
/* Waits for SIGTERM or SIGINT. */
void fake_program_wait(void);

#endif
