#include "aws/streams.h"
#include "aws/table.h"
#include "base/lane_wait.h"
#include "cli/command.h"
#include "cli/runtime.h"
#include "pulsar/admin.h"
#include "pulsar/producer.h"

#include <aws/common/json.h>

enum { PULSAR_TIMEOUT_MS = 10000 };

/* The checks run on lane 0 one after the other, each started by the end of the one before. All run, whatever
 * fails; the first failure decides the exit code. */
struct check {
    struct runtime *runtime;
    const struct config *config;
    struct lane *lane;
    struct page_pool *pages;
    struct service *streams;
    struct service *table;
    struct pulsar_client *pulsar;
    struct buf report;
    int code;
    struct lane_wait wait;
};

static void report(struct check *check, const char *verdict, const char *what, const char *text) {
    buf_add_format(&check->report, "%-4s  %-13s  %s\n", verdict, what, text);
}

static void report_error(struct check *check, const char *what, const struct err *err) {
    report(check, "FAIL", what, err->text);
    if (check->code == 0) {
        check->code = err_exit_code(err->code);
    }
}

/* A call of CloudWatch that changes nothing is not among the permissions that it needs. */
static void report_metrics(struct check *check) {
    const char *endpoint = runtime_metrics_endpoint(check->runtime);
    char text[640];
    if (endpoint[0] != '\0') {
        (void)snprintf(text, sizeof text,
                       "go to CloudWatch at %.200s, namespace %.255s; that is not tried here",
                       endpoint, check->config->application_name);
        report(check, "note", "metrics", text);
    }
}

/* ---- the end ---- */

static void close_table(void *ctx) {
    struct check *check = ctx;
    if (check->table != NULL) {
        service_http_close(check->table, lane_wait_done, &check->wait);
    } else {
        lane_wait_done(&check->wait);
    }
}

static void close_streams(void *ctx) {
    struct check *check = ctx;
    if (check->streams != NULL) {
        service_http_close(check->streams, close_table, check);
    } else {
        close_table(check);
    }
}

/* ---- Pulsar ---- */

static void deduplication_got(void *ctx, enum pulsar_deduplication state, const struct err *err) {
    struct check *check = ctx;
    char text[640];
    switch (state) {
    case PULSAR_DEDUPLICATION_ON:
        (void)snprintf(text, sizeof text, "on for %.200s", check->config->topic_name);
        report(check, "ok", "deduplication", text);
        break;
    case PULSAR_DEDUPLICATION_OFF:
        report_error(check, "deduplication", err);
        break;
    case PULSAR_DEDUPLICATION_UNKNOWN:
        report(check, "note", "deduplication", err->text);
        break;
    }
    close_streams(check);
}

static struct pulsar_client_options pulsar_options(const struct check *check) {
    struct pulsar_client_options options = runtime_pulsar_options(check->runtime);
    options.operation_timeout_ms = PULSAR_TIMEOUT_MS;
    options.connect_timeout_ms = PULSAR_TIMEOUT_MS;
    return options;
}

/* A lane_fn. */
static void check_deduplication(void *ctx) {
    struct check *check = ctx;
    if (check->config->guarantees != CONFIG_EFFECTIVELY_ONCE) {
        close_streams(check);
        return;
    }
    struct err err = ERR_NONE;
    struct pulsar_client_options client = pulsar_options(check);
    const struct pulsar_admin_options options = {
        .client = &client,
        .web_service_url = str_of(check->config->web_service_url),
        .topic = str_of(check->config->topic_name),
    };
    if (pulsar_admin_deduplication(check->lane, &options, deduplication_got, check, &err) == NULL) {
        report_error(check, "deduplication", &err);
        close_streams(check);
    }
}

static void partitions_got(void *ctx, const struct err *err, uint32_t partitions) {
    struct check *check = ctx;
    char kind[32] = "not partitioned";
    char text[640];
    if (err != NULL && err->code == ERR_PULSAR_NO_TOPIC) {
        (void)snprintf(text, sizeof text,
                       "%.200s does not exist at %.200s; it is created when run starts, if the "
                       "namespace allows that",
                       check->config->topic_name, check->config->service_url);
        report(check, "note", "topic", text);
    } else if (err != NULL) {
        report_error(check, "topic", err);
    } else {
        if (partitions > 0) {
            (void)snprintf(kind, sizeof kind, "%u partitions", partitions);
        }
        (void)snprintf(text, sizeof text, "%.200s at %.200s (%s)", check->config->topic_name,
                       check->config->service_url, kind);
        report(check, "ok", "topic", text);
    }
    pulsar_client_close(check->pulsar, check_deduplication, check);
}

static void check_pulsar(struct check *check) {
    if (check->config->sink != CONFIG_SINK_PULSAR) {
        close_streams(check);
        return;
    }
    struct err err = ERR_NONE;
    struct pulsar_client_options options = pulsar_options(check);
    check->pulsar = pulsar_client_new(check->lane, &options, &err);
    if (check->pulsar == NULL) {
        report_error(check, "topic", &err);
        close_streams(check);
        return;
    }
    pulsar_client_get_partitions(check->pulsar, str_of(check->config->topic_name), partitions_got,
                                 check);
}

/* ---- AWS ---- */

static void table_described(void *ctx, const struct err *err, const struct aws_json_value *reply) {
    (void)reply;
    struct check *check = ctx;
    char text[640];
    if (err == NULL || err->code == ERR_AWS_NOT_FOUND) {
        (void)snprintf(text, sizeof text, "%.200s at %.200s (%s)", check->config->lease_table,
                       runtime_table_endpoint(check->runtime),
                       err == NULL ? "exists" : "will be created");
        report(check, "ok", "lease table", text);
    } else {
        report_error(check, "lease table", err);
    }
    check_pulsar(check);
}

static void check_table(struct check *check) {
    struct err err = ERR_NONE;
    check->table = runtime_table_service(check->runtime, check->lane, check->pages, &err);
    if (check->table == NULL) {
        report_error(check, "lease table", &err);
        check_pulsar(check);
        return;
    }
    if (table_describe(check->table, str_of(check->config->lease_table), table_described, check) ==
        NULL) {
        err_set(&err, ERR_NOMEM, "no memory for a request");
        report_error(check, "lease table", &err);
        check_pulsar(check);
    }
}

static const char *status_name(enum stream_status status) {
    static const char *const names[] = {"ENABLING", "ENABLED", "DISABLING", "DISABLED", "UNKNOWN"};
    return names[status];
}

static void stream_described(void *ctx, const struct err *err,
                             const struct stream_description *description) {
    struct check *check = ctx;
    char text[640];
    if (err != NULL && err->code == ERR_AWS_NOT_FOUND) {
        struct err missing;
        err_set(&missing, ERR_STREAM,
                "%s does not exist at %s: check awsDynamodbStreamArn; a stream that was disabled "
                "and enabled again has a new ARN",
                check->config->stream_arn, runtime_streams_endpoint(check->runtime));
        report_error(check, "stream", &missing);
    } else if (err != NULL) {
        report_error(check, "stream", err);
    } else {
        bool readable = description->status != STREAM_STATUS_DISABLED;
        (void)snprintf(text, sizeof text, "%.400s (%s, %s)%s", check->config->stream_arn,
                       status_name(description->status), description->view_type,
                       readable ? ""
                                : ": only what it still holds can be read; enable it on the "
                                  "table and use the new ARN");
        report(check, "ok", "stream", text);
    }
    check_table(check);
}

static void begin(void *ctx) {
    struct check *check = ctx;
    struct err err = ERR_NONE;
    check->streams = runtime_streams_service(check->runtime, check->lane, check->pages, &err);
    if (check->streams != NULL &&
        streams_describe(check->streams, str_of(check->config->stream_arn), STR_NONE, STR_NONE,
                         stream_described, check) == NULL) {
        err_set(&err, ERR_NOMEM, "no memory for a request");
    }
    if (err_is_set(&err)) {
        report_error(check, "stream", &err);
        check_table(check);
    }
}

/* `runtime` is given, the report is open. */
static int run_checks(struct check *check, const struct command_args *args) {
    struct err err = ERR_NONE;
    check->lane = runtime_lane(check->runtime);
    check->pages = page_pool_new(0);
    if (check->pages == NULL) {
        err_set(&err, ERR_NOMEM, "no memory for the checks");
        return cli_fail(args, &err);
    }
    lane_wait_run(&check->wait, check->lane, begin, check);
    page_pool_free(check->pages);
    return check->code;
}

int cmd_check(const struct command_args *args) {
    struct err err = ERR_NONE;
    struct config *config = NULL;
    if (!cli_load_config(args, NULL, &config, &err)) {
        return cli_fail(args, &err);
    }
    struct check check = {.config = config};
    buf_init(&check.report, BUF_MAX_REQUEST);
    report(&check, "ok", "configuration", config->file != NULL ? config->file : "no file");
    check.runtime = runtime_new(config, &err);
    if (check.runtime != NULL) {
        struct buf source;
        buf_init(&source, BUF_MAX_REQUEST);
        runtime_credentials_source(check.runtime, &source);
        report(&check, "ok", "credentials", buf_text(&source));
        buf_done(&source);
        report_metrics(&check);
        (void)run_checks(&check, args);
    } else {
        report_error(&check, "credentials", &err);
    }
    runtime_free(check.runtime);
    if (!cli_print(&check.report, &err)) {
        check.code = cli_fail(args, &err);
    }
    buf_done(&check.report);
    config_free(config);
    return check.code;
}
