#include "cli/command.h"
#include "cli/runtime.h"
#include "cli/survey_report.h"

#include <pthread.h>

enum { REPORT_MAX = 64 * 1024 * 1024 };

typedef void report_fn(struct buf *to, const struct config *config,
                       const struct survey_result *result, bool json);

/* One survey on lane 0, and the main thread that waits for it. */
struct look {
    struct runtime *runtime;
    const struct config *config;
    bool watch; /* tell who is alive, and how far behind it is */
    bool json;
    report_fn *report;
    struct buf text;
    struct page_pool *pages;
    struct service *streams;
    struct service *table;
    struct survey *survey;
    struct lane_message message;
    struct lane_timer timer;
    struct err err;
    pthread_mutex_t lock;
    pthread_cond_t changed;
    bool done;
};

static void finish(void *ctx) {
    struct look *look = ctx;
    pthread_mutex_lock(&look->lock);
    look->done = true;
    pthread_cond_signal(&look->changed);
    pthread_mutex_unlock(&look->lock);
}

static void close_table(void *ctx) {
    struct look *look = ctx;
    if (look->table != NULL) {
        service_http_close(look->table, finish, look);
    } else {
        finish(look);
    }
}

static void close_streams(void *ctx) {
    struct look *look = ctx;
    survey_free(look->survey);
    look->survey = NULL;
    if (look->streams != NULL) {
        service_http_close(look->streams, close_table, look);
    } else {
        close_table(look);
    }
}

static void surveyed(void *ctx, const struct err *err, const struct survey_result *result) {
    struct look *look = ctx;
    if (err != NULL) {
        look->err = *err;
    } else {
        look->report(&look->text, look->config, result, look->json);
    }
    /* In a later turn: the survey is on the stack. */
    lane_timer_init(&look->timer, runtime_lane(look->runtime), close_streams, look);
    lane_timer_set_ms(&look->timer, 0);
}

static void begin(void *ctx) {
    struct look *look = ctx;
    struct lane *lane = runtime_lane(look->runtime);
    const struct config *config = look->config;
    look->streams = runtime_streams_service(look->runtime, lane, look->pages, &look->err);
    if (look->streams != NULL) {
        look->table = runtime_table_service(look->runtime, lane, look->pages, &look->err);
    }
    if (look->table == NULL) {
        close_streams(look);
        return;
    }
    struct survey_options options = {
        .lane = lane,
        .streams = look->streams,
        .table = look->table,
        .stream_arn = str_of(config->stream_arn),
        .lease_table = str_of(config->lease_table),
        .describe_rate = config->describe_stream_rate,
        /* Every living worker renews within this time. */
        .watch_ms = look->watch ? config->failover_time_ms / 2 : 0,
        .lags = look->watch,
    };
    look->survey = survey_start(&options, surveyed, look);
    if (look->survey == NULL) {
        err_set(&look->err, ERR_NOMEM, "no memory for a look at the stream");
        close_streams(look);
    }
}

static void run_look(struct look *look) {
    pthread_mutex_init(&look->lock, NULL);
    pthread_cond_init(&look->changed, NULL);
    lane_post(runtime_lane(look->runtime), &look->message, begin, look);
    pthread_mutex_lock(&look->lock);
    while (!look->done) { /* each step has a deadline of its own */
        pthread_cond_wait(&look->changed, &look->lock);
    }
    pthread_mutex_unlock(&look->lock);
    pthread_cond_destroy(&look->changed);
    pthread_mutex_destroy(&look->lock);
}

static int look_at(const struct command_args *args, report_fn *report, bool watch) {
    struct err err = ERR_NONE;
    struct config *config = NULL;
    /* Nothing is sent: the topic need not be configured. */
    if (!cli_load_config(args, "sink=none", &config, &err)) {
        return cli_fail(args, &err);
    }
    struct look look = {
        .config = config,
        .watch = watch,
        .json = args->json,
        .report = report,
        .err = ERR_NONE,
    };
    buf_init(&look.text, REPORT_MAX);
    look.pages = page_pool_new(0);
    if (look.pages == NULL) {
        err_set(&look.err, ERR_NOMEM, "no memory for a look at the stream");
    } else {
        look.runtime = runtime_new(config, &look.err);
    }
    if (look.runtime != NULL) {
        run_look(&look);
    }
    page_pool_free(look.pages);
    runtime_free(look.runtime);
    int code = 0;
    if (err_is_set(&look.err)) {
        code = cli_fail(args, &look.err);
    } else if (!cli_print(&look.text, &err)) {
        code = cli_fail(args, &err);
    }
    buf_done(&look.text);
    config_free(config);
    return code;
}

int cmd_shards(const struct command_args *args) {
    return look_at(args, survey_report_shards, false);
}

int cmd_status(const struct command_args *args) {
    return look_at(args, survey_report_status, true);
}
