#include "cli/aws_job.h"
#include "cli/command.h"
#include "config/config_time.h"
#include "source/reset.h"

enum {
    TIME_DIGITS = 15, /* a number with more of them is no time, but a sequence number */
    EPSILON_MS = 25,
};

struct put_back {
    const struct command_args *args;
    struct reset_options options; /* but for what the job knows */
    struct aws_job *job;
    struct reset *reset;
    struct buf text;
};

static void was_reset(void *ctx, const struct err *err, const struct reset_result *result) {
    struct put_back *put_back = ctx;
    if (err == NULL) {
        buf_add_format(&put_back->text,
                       put_back->args->json
                           ? "{\"changed\":%zu,\"made\":%zu,\"unchanged\":%zu}\n"
                           : "%zu leases changed, %zu made, %zu were there already\n",
                       result->changed, result->made, result->kept);
    }
    aws_job_done(put_back->job, err);
}

static bool begin(void *ctx, struct aws_job *job, struct err *err) {
    struct put_back *put_back = ctx;
    const struct config *config = job->config;
    put_back->job = job;
    struct reset_options options = put_back->options;
    options.billing = config->lease_table_billing;
    options.survey = (struct survey_options){
        .lane = job->lane,
        .streams = job->streams,
        .table = job->table,
        .stream_arn = str_of(config->stream_arn),
        .lease_table = str_of(config->lease_table),
        .describe_rate = config->describe_stream_rate,
        .watch_ms = config->failover_time_ms + EPSILON_MS,
    };
    put_back->reset = reset_start(&options, was_reset, put_back);
    return put_back->reset != NULL || err_set(err, ERR_NOMEM, "no memory for a reset");
}

static void end(void *ctx) {
    struct put_back *put_back = ctx;
    reset_free(put_back->reset);
}

static bool is_number(struct str text) {
    size_t i = 0;
    while (i < text.len && text.ptr[i] >= '0' && text.ptr[i] <= '9') {
        i++;
    }
    return i == text.len && i > TIME_DIGITS;
}

static bool read_options(const struct command_args *args, struct reset_options *ret_options,
                         struct err *err) {
    *ret_options = (struct reset_options){.shard = str_of(args->shard)};
    struct str to = str_of(args->to);
    if (to.len == 0) {
        return err_set(err, ERR_USAGE,
                       "reset needs --to: TRIM_HORIZON, LATEST, a time, or with --shard a sequence "
                       "number");
    }
    if (str_equal_nocase(to, STR("TRIM_HORIZON"))) {
        ret_options->to = RESET_TRIM_HORIZON;
    } else if (str_equal_nocase(to, STR("LATEST"))) {
        ret_options->to = RESET_LATEST;
    } else if (is_number(to) && args->shard == NULL) {
        return err_set(err, ERR_USAGE, "reset: --to %s is a sequence number; it needs --shard",
                       args->to);
    } else if (is_number(to)) {
        ret_options->to = RESET_NUMBER;
        return seqno_parse(to, &ret_options->number) ||
               err_set(err, ERR_USAGE, "reset: --to %s has more than %d digits", args->to,
                       SEQNO_MAX_DIGITS);
    } else if (config_time_parse(to, &ret_options->time_ms) == CONFIG_VALUE_OK) {
        ret_options->to = RESET_TIME;
    } else {
        return err_set(err, ERR_USAGE,
                       "reset: --to is \"%s\"; allowed: TRIM_HORIZON, LATEST, a time "
                       "(2019-03-05T19:28:58.000Z, or milliseconds since 1970), or with --shard a "
                       "sequence number",
                       args->to);
    }
    return true;
}

int cmd_reset(const struct command_args *args) {
    static const struct aws_job_steps steps = {.begin = begin, .end = end};
    struct err err = ERR_NONE;
    struct config *config = NULL;
    struct put_back put_back = {.args = args};
    /* Nothing is sent: the topic need not be configured. */
    if (!read_options(args, &put_back.options, &err) ||
        !cli_load_config(args, "sink=none", &config, &err)) {
        return cli_fail(args, &err);
    }
    buf_init(&put_back.text, BUF_MAX_REQUEST);
    bool ok = aws_job_run(config, &steps, &put_back, &err) && cli_print(&put_back.text, &err);
    buf_done(&put_back.text);
    config_free(config);
    return ok ? 0 : cli_fail(args, &err);
}
