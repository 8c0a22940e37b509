#include "cli/aws_job.h"

#include "base/lane_wait.h"
#include "cli/runtime.h"

struct aws_job_private {
    struct aws_job job;
    struct runtime *runtime;
    struct page_pool *pages;
    const struct aws_job_steps *steps;
    void *ctx;
    struct lane_wait wait;
    struct lane_timer timer;
    struct err err;
};

/* ---- on the lane ---- */

static void close_table(void *ctx) {
    struct aws_job_private *private = ctx;
    if (private->job.table != NULL) {
        service_http_close(private->job.table, lane_wait_done, &private->wait);
    } else {
        lane_wait_done(&private->wait);
    }
}

static void close_streams(void *ctx) {
    struct aws_job_private *private = ctx;
    private->steps->end(private->ctx);
    if (private->job.streams != NULL) {
        service_http_close(private->job.streams, close_table, private);
    } else {
        close_table(private);
    }
}

void aws_job_done(struct aws_job *job, const struct err *err) {
    struct aws_job_private *private = job->private;
    if (err != NULL) {
        private->err = *err;
    }
    /* In a later turn: what ends is on the stack. */
    lane_timer_init(&private->timer, job->lane, close_streams, private);
    lane_timer_set_ms(&private->timer, 0);
}

static void begin(void *ctx) {
    struct aws_job_private *private = ctx;
    struct aws_job *job = &private->job;
    struct err err = ERR_NONE;
    job->streams = runtime_streams_service(private->runtime, job->lane, private->pages, &err);
    if (job->streams != NULL) {
        job->table = runtime_table_service(private->runtime, job->lane, private->pages, &err);
    }
    if (job->table == NULL || !private->steps->begin(private->ctx, job, &err)) {
        aws_job_done(job, &err);
    }
}

/* ---- on the main thread ---- */

bool aws_job_run(const struct config *config, const struct aws_job_steps *steps, void *ctx,
                 struct err *err) {
    struct aws_job_private private = {
        .job = {.config = config},
        .steps = steps,
        .ctx = ctx,
        .err = ERR_NONE,
    };
    private.job.private = &private;
    private.pages = page_pool_new(0);
    if (private.pages == NULL) {
        return err_set(err, ERR_NOMEM, "no memory for pages");
    }
    private.runtime = runtime_new(config, &private.err);
    if (private.runtime != NULL) {
        private.job.lane = runtime_lane(private.runtime);
        lane_wait_run(&private.wait, private.job.lane, begin, &private);
    }
    page_pool_free(private.pages);
    runtime_free(private.runtime);
    if (err_is_set(&private.err)) {
        *err = private.err;
        return false;
    }
    return true;
}
