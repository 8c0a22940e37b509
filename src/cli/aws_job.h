/*
 * aws_job: something that a command does with the stream and the lease table, on lane 0, while the main thread waits.
 */
#ifndef CLI_AWS_JOB_H
#define CLI_AWS_JOB_H

#include "aws/service.h"
#include "config/config.h"

struct aws_job {
    struct lane *lane;
    struct service *streams;
    struct service *table;
    const struct config *config;
    struct aws_job_private *private;
};

struct aws_job_steps {
    /* On the lane: starts it. False with err when it cannot be. Then, or at its end, aws_job_done. */
    bool (*begin)(void *ctx, struct aws_job *job, struct err *err);
    /* On the lane, in a turn of its own: frees what begin made. */
    void (*end)(void *ctx);
};

/* Main thread. False with err when anything went wrong: what could not be started, or what aws_job_done was given. */
bool aws_job_run(const struct config *config, const struct aws_job_steps *steps, void *ctx,
                 struct err *err);
/* On the lane, once: it is over. err NULL: well. */
void aws_job_done(struct aws_job *job, const struct err *err);

#endif
