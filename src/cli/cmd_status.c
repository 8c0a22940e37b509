#include "cli/aws_job.h"
#include "cli/command.h"
#include "cli/survey_report.h"

enum { REPORT_MAX = 64 * 1024 * 1024 };

typedef void report_fn(struct buf *to, const struct config *config,
                       const struct survey_result *result, bool json);

struct look {
    report_fn *report;
    bool watch; /* tell who is alive, and how far behind it is */
    bool json;
    struct aws_job *job;
    struct survey *survey;
    struct buf text;
};

static void surveyed(void *ctx, const struct err *err, const struct survey_result *result) {
    struct look *look = ctx;
    if (err == NULL) {
        look->report(&look->text, look->job->config, result, look->json);
    }
    aws_job_done(look->job, err);
}

static bool begin(void *ctx, struct aws_job *job, struct err *err) {
    struct look *look = ctx;
    const struct config *config = job->config;
    look->job = job;
    struct survey_options options = {
        .lane = job->lane,
        .streams = job->streams,
        .table = job->table,
        .stream_arn = str_of(config->stream_arn),
        .lease_table = str_of(config->lease_table),
        .describe_rate = config->describe_stream_rate,
        /* Every living worker renews within this time. */
        .watch_ms = look->watch ? config->failover_time_ms / 2 : 0,
        .lags = look->watch,
    };
    look->survey = survey_start(&options, surveyed, look);
    return look->survey != NULL || err_set(err, ERR_NOMEM, "no memory for a look at the stream");
}

static void end(void *ctx) {
    struct look *look = ctx;
    survey_free(look->survey);
}

static int look_at(const struct command_args *args, report_fn *report, bool watch) {
    static const struct aws_job_steps steps = {.begin = begin, .end = end};
    struct err err = ERR_NONE;
    struct config *config = NULL;
    /* Nothing is sent: the topic need not be configured. */
    if (!cli_load_config(args, "sink=none", &config, &err)) {
        return cli_fail(args, &err);
    }
    struct look look = {.report = report, .watch = watch, .json = args->json};
    buf_init(&look.text, REPORT_MAX);
    bool ok = aws_job_run(config, &steps, &look, &err) && cli_print(&look.text, &err);
    buf_done(&look.text);
    config_free(config);
    return ok ? 0 : cli_fail(args, &err);
}

int cmd_shards(const struct command_args *args) {
    return look_at(args, survey_report_shards, false);
}

int cmd_status(const struct command_args *args) {
    return look_at(args, survey_report_status, true);
}
