/*
 * sim_call: a process's calls to AWS on the simulated clock: on their way there, answered by the AWS double, on their way
 * back. What goes wrong on the way is drawn by chance, as the world's weather says.
 */
#ifndef TESTS_SIM_CALL_H
#define TESTS_SIM_CALL_H

#include "sim_process.h"

enum sim_call_state { SIM_CALL_SENT, SIM_CALL_ANSWERED, SIM_CALL_FAILED };

struct sim_call {
    struct sim_thread *thread;
    enum sim_call_state state;
    uint64_t due_ns; /* arrives there, or the answer here */
    uint32_t tries;
    char target[64];
    char *body;
    service_done *done; /* NULL: cancelled */
    void (*dropped)(void *ctx);
    void *ctx;
    struct fake_reply reply;
};

extern const struct service_ops sim_service_ops;

/* What was sent arrives, or its answer does, whichever is due. */
void sim_call_happens(struct sim_call *call);
/* The process is gone: of what it sent some arrives, and nobody hears the answers. */
void sim_calls_orphan(struct sim_process *process);
void sim_calls_free(struct sim_process *process);

#endif
