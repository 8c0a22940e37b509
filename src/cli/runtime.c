#include "cli/runtime.h"

#include "aws/service_host.h"
#include "base/log.h"
#include "cli/deduplication.h"
#include "cli/progress.h"
#include "cli/signals.h"
#include "monitor/monitor.h"
#include "sink/sink_none.h"
#include "sink/sink_pipe.h"
#include "sink/sink_pulsar.h"
#include "sink/sink_stdout.h"
#include "version.h"

#include <aws/auth/auth.h>
#include <aws/common/thread.h>
#include <aws/io/tls_channel_handler.h>

#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

static const uint64_t JOIN_TIMEOUT_NS = UINT64_C(3000000000);

enum {
    LANES_MAX = SOURCE_LANES_MAX,
    ENDPOINT_MAX = 512,
    CREDENTIALS_TIMEOUT_MS = 15000,
    PRODUCER_TIMEOUT_MS =
        30000, /* until the topic is ready at the start; later it waits as long as it takes */
    SESSION_TIMEOUT_MS =
        120000, /* the same, where a broker may have to find out that a name's owner is gone */
    ROUTING_MAX = 64,
    POOL_KEEP_BYTES = 2 * 1024 * 1024,
    MEASURE_MS = 30000,           /* two in each minute, which is what CloudWatch keeps */
    LOCAL_GRANULARITY_MS = 60000, /* DynamoDB Local floors creation times to the minute */
    AWS_GRANULARITY_MS = 1000,
};

/* What runtime_run made on one lane. */
struct lane_parts {
    struct page_pool *pages;
    struct service *streams;
    struct service *table;
    lane_fn *closed;
    void *closed_ctx;
};

struct runtime {
    const struct config *config;
    struct aws_tls_ctx *tls;
    struct credentials *credentials;
    struct credentials *own_table_credentials; /* NULL: the same */
    char streams_endpoint[ENDPOINT_MAX];
    char table_endpoint[ENDPOINT_MAX];
    char metrics_endpoint[ENDPOINT_MAX]; /* empty: nothing is published */
    char user_agent[256];
    char *session_prefix; /* effectively once; else NULL */
    char routing[ROUTING_MAX];
    struct lane *lanes[LANES_MAX];
    struct lane *monitor_lane; /* NULL: nothing is monitored */
    struct monitor *monitor;   /* NULL: the same */
    struct lane_parts parts[LANES_MAX];
    bool crt;

    struct source *source;
    pthread_mutex_t lock; /* of done, between lane 0 and the main thread */
    pthread_cond_t changed;
    bool done;
    struct err result;
};

/* ---- making ---- */

static bool choose_endpoint(const struct config *config, enum service_host_kind kind,
                            char to[ENDPOINT_MAX], struct err *err) {
    const char *const given[] = {
        [SERVICE_HOST_STREAMS] = config->aws_endpoint,
        [SERVICE_HOST_TABLE] = config->dynamo_endpoint,
        [SERVICE_HOST_STS] = config->sts_endpoint,
        [SERVICE_HOST_METRICS] = config->cloudwatch_endpoint,
    };
    bool streams = kind == SERVICE_HOST_STREAMS;
    const char *configured = given[kind];
    if (configured[0] != '\0') {
        return str_copy(str_of(configured), to, ENDPOINT_MAX) ||
               err_set(err, ERR_CONFIG, "endpoint too long: %s", configured);
    }
    const struct service_host_options options = {
        .kind = kind,
        .region = str_of(streams ? config->streams_region : config->table_region),
        .fips = config->use_fips,
        .dualstack = config->use_dualstack,
    };
    return service_host_url(&options, to, ENDPOINT_MAX, err);
}

static bool is_https(const char *endpoint) {
    return str_starts(str_of(endpoint), "https:");
}

/* For all of AWS: its services and the places where keys come from. */
static struct aws_tls_ctx *new_tls(const struct config *config, struct err *err) {
    struct aws_tls_ctx_options options;
    aws_tls_ctx_options_init_default_client(&options, aws_default_allocator());
    const char *bundle = config->ca_bundle;
    bool own = bundle[0] != '\0';
    struct aws_tls_ctx *tls = NULL;
    if (!own ||
        aws_tls_ctx_options_override_default_trust_store_from_path(&options, NULL, bundle) == 0) {
        tls = aws_tls_client_ctx_new(aws_default_allocator(), &options);
    }
    aws_tls_ctx_options_clean_up(&options);
    if (tls == NULL && own) {
        err_set(err, ERR_AWS_TLS, "AWS_CA_BUNDLE %s: no bundle of trusted certificates: %s", bundle,
                aws_error_str(aws_last_error()));
    } else if (tls == NULL) {
        err_set(err, ERR_AWS_TLS, "no TLS context, is there a bundle of trusted certificates? %s",
                aws_error_str(aws_last_error()));
    }
    return tls;
}

static struct credentials *new_credentials(const struct runtime *runtime,
                                           const struct config_access *access, struct err *err) {
    char sts_endpoint[ENDPOINT_MAX] = "";
    if (access->role_arn[0] != '\0' &&
        !choose_endpoint(runtime->config, SERVICE_HOST_STS, sts_endpoint, err)) {
        return NULL;
    }
    struct credentials_options options = {
        .plugin = str_of(access->plugin),
        .plugin_param = str_of(access->plugin_param),
        .access_key = str_of(access->access_key),
        .secret_key = str_of(access->secret_key),
        .session_token = str_of(access->session_token),
        .role_arn = str_of(access->role_arn),
        .role_session = str_of(access->role_session),
        .external_id = str_of(access->external_id),
        .role_tags = str_of(access->role_tags),
        .sts_endpoint = str_of(sts_endpoint),
        .sts_region = str_of(runtime->config->table_region),
        .user_agent = str_of(runtime->user_agent),
        .tls = runtime->tls,
    };
    return credentials_new(&options, err);
}

static bool start_credentials(struct runtime *runtime, struct err *err) {
    const struct config *config = runtime->config;
    runtime->credentials = new_credentials(runtime, &config->access, err);
    if (runtime->credentials == NULL) {
        return false;
    }
    if (config->has_table_access) {
        runtime->own_table_credentials = new_credentials(runtime, &config->table_access, err);
        if (runtime->own_table_credentials == NULL ||
            !credentials_wait(runtime->own_table_credentials, CREDENTIALS_TIMEOUT_MS, err)) {
            err_context(err, "the lease table's credentials");
            return false;
        }
    }
    return credentials_wait(runtime->credentials, CREDENTIALS_TIMEOUT_MS, err);
}

static struct credentials *table_credentials(const struct runtime *runtime) {
    return runtime->own_table_credentials != NULL ? runtime->own_table_credentials
                                                  : runtime->credentials;
}

static bool start(struct runtime *runtime, struct err *err) {
    const struct config *config = runtime->config;
    if (!choose_endpoint(config, SERVICE_HOST_STREAMS, runtime->streams_endpoint, err) ||
        !choose_endpoint(config, SERVICE_HOST_TABLE, runtime->table_endpoint, err) ||
        (config->publishes &&
         !choose_endpoint(config, SERVICE_HOST_METRICS, runtime->metrics_endpoint, err))) {
        return false;
    }
    (void)snprintf(runtime->user_agent, sizeof runtime->user_agent, "ddb2pulsar/%s %s", D2P_VERSION,
                   config->application_name);
    aws_auth_library_init(aws_default_allocator());
    runtime->crt = true;
    bool chain = config->access.access_key[0] == '\0' ||
                 (config->has_table_access && config->table_access.access_key[0] == '\0');
    if (chain || is_https(runtime->streams_endpoint) || is_https(runtime->table_endpoint) ||
        is_https(runtime->metrics_endpoint)) {
        runtime->tls = new_tls(config, err);
        if (runtime->tls == NULL) {
            return false;
        }
    }
    if (!start_credentials(runtime, err)) {
        return false;
    }
    runtime->lanes[0] = lane_new(0, err);
    return runtime->lanes[0] != NULL;
}

struct runtime *runtime_new(const struct config *config, struct err *err) {
    struct runtime *runtime = calloc(1, sizeof *runtime);
    if (runtime == NULL) {
        err_set(err, ERR_NOMEM, "no memory to start");
        return NULL;
    }
    runtime->config = config;
    pthread_mutex_init(&runtime->lock, NULL);
    pthread_condattr_t attributes;
    pthread_condattr_init(&attributes);
    pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
    pthread_cond_init(&runtime->changed, &attributes);
    pthread_condattr_destroy(&attributes);
    if (!start(runtime, err)) {
        runtime_free(runtime);
        return NULL;
    }
    return runtime;
}

void runtime_free(struct runtime *runtime) {
    if (runtime == NULL) {
        return;
    }
    for (uint32_t i = 0; i < LANES_MAX; i++) {
        lane_free(runtime->lanes[i]);
    }
    lane_free(runtime->monitor_lane);
    credentials_free(runtime->credentials);
    credentials_free(runtime->own_table_credentials);
    aws_tls_ctx_release(runtime->tls);
    if (runtime->crt) {
        /* A TLS handshake that failed keeps its connection for half a minute (s2n's blinding): do not wait so long.
         * What a thread still uses must stay, so nothing is cleaned up then: the process is about to end. */
        aws_thread_set_managed_join_timeout_ns(JOIN_TIMEOUT_NS);
        if (aws_thread_join_all_managed() == AWS_OP_SUCCESS) {
            aws_auth_library_clean_up();
        }
    }
    pthread_cond_destroy(&runtime->changed);
    pthread_mutex_destroy(&runtime->lock);
    free(runtime->session_prefix);
    free(runtime);
}

struct lane *runtime_lane(struct runtime *runtime) {
    return runtime->lanes[0];
}

void runtime_credentials_source(const struct runtime *runtime, struct buf *to) {
    char source[CREDENTIALS_SOURCE_MAX];
    credentials_source(runtime->credentials, source, sizeof source);
    buf_add_text(to, source);
    if (runtime->own_table_credentials != NULL) {
        credentials_source(runtime->own_table_credentials, source, sizeof source);
        buf_add_format(to, "; lease table: %s", source);
    }
}

const char *runtime_streams_endpoint(const struct runtime *runtime) {
    return runtime->streams_endpoint;
}

const char *runtime_table_endpoint(const struct runtime *runtime) {
    return runtime->table_endpoint;
}

const char *runtime_metrics_endpoint(const struct runtime *runtime) {
    return runtime->metrics_endpoint;
}

static struct service_http_options service_options(const struct runtime *runtime,
                                                   const char *endpoint, const char *region,
                                                   struct credentials *credentials) {
    return (struct service_http_options){
        .endpoint = str_of(endpoint),
        .region = str_of(region),
        .signing_name = STR("dynamodb"),
        .user_agent = str_of(runtime->user_agent),
        .credentials = credentials,
        .tls = runtime->tls,
    };
}

static struct service *new_service(struct runtime *runtime, struct lane *lane, const char *endpoint,
                                   const char *region, struct credentials *credentials,
                                   struct page_pool *pages, struct err *err) {
    struct service_http_options options = service_options(runtime, endpoint, region, credentials);
    options.pages = pages;
    return service_http_new(lane, &options, err);
}

struct service *runtime_streams_service(struct runtime *runtime, struct lane *lane,
                                        struct page_pool *pages, struct err *err) {
    return new_service(runtime, lane, runtime->streams_endpoint, runtime->config->streams_region,
                       runtime->credentials, pages, err);
}

struct service *runtime_table_service(struct runtime *runtime, struct lane *lane,
                                      struct page_pool *pages, struct err *err) {
    return new_service(runtime, lane, runtime->table_endpoint, runtime->config->table_region,
                       table_credentials(runtime), pages, err);
}

struct pulsar_client_options runtime_pulsar_options(const struct runtime *runtime) {
    const struct config *config = runtime->config;
    return (struct pulsar_client_options){
        .service_url = str_of(config->service_url),
        .auth_plugin = str_of(config->auth_plugin),
        .auth_params = str_of(config->auth_params),
        .listener_name = str_of(config->listener_name),
        .client_version = STR("ddb2pulsar-" D2P_VERSION),
        .tls_trust_certs_file = str_of(config->tls_trust_certs_file),
        .tls_certificate_file = str_of(config->tls_certificate_file),
        .tls_key_file = str_of(config->tls_key_file),
        .tls_allow_insecure = config->tls_allow_insecure,
        .tls_skip_hostname_verification = !config->tls_verify_hostname,
    };
}

static uint32_t lane_count(const struct config *config) {
    if (config->sink == CONFIG_SINK_STDOUT || config->sink == CONFIG_SINK_PIPE) {
        return 1; /* lines or frames of several lanes would mix */
    }
    long cores = sysconf(_SC_NPROCESSORS_ONLN);
    uint32_t lanes = config->lanes > 0 ? config->lanes : cores > 0 ? (uint32_t)cores : 1;
    return lanes < LANES_MAX ? lanes : LANES_MAX;
}

/* ---- the source's host ---- */

static struct lane *host_lane(void *ctx, uint32_t index, struct err *err) {
    struct runtime *runtime = ctx;
    runtime->lanes[index] = lane_new(index, err);
    return runtime->lanes[index];
}

static struct sink *new_sink(struct runtime *runtime, struct lane *lane,
                             const struct sink_events *events, void *events_ctx, struct err *err) {
    const struct config *config = runtime->config;
    struct sink *sink = NULL;
    if (config->sink == CONFIG_SINK_PULSAR) {
        struct pulsar_client_options client_options = runtime_pulsar_options(runtime);
        struct pulsar_producer_options producer_options = {
            .topic = str_of(config->topic_name),
            .compression = config->compression,
            .hashing = config->hashing,
            .batching = config->batching ? PULSAR_BATCHING_DEFAULT : PULSAR_BATCHING_NONE,
            .batch_max_messages = config->batching_max_messages,
            .batch_max_bytes = (uint32_t)config->batching_max_bytes,
            .batch_max_delay_ms = config->batching_max_delay_ms,
            .max_pending_messages = config->max_pending_messages,
            .max_pending_bytes = config->memory_budget / lane_count(config),
            .create_timeout_ms =
                runtime->session_prefix != NULL ? SESSION_TIMEOUT_MS : PRODUCER_TIMEOUT_MS,
            .explicit_sequence_ids = runtime->session_prefix != NULL,
        };
        return sink_pulsar_new(lane, &client_options, &producer_options, events, events_ctx, err);
    }
    if (config->sink == CONFIG_SINK_PIPE) {
        const struct sink_pipe_options options = {
            .in = STDIN_FILENO,
            .out = STDOUT_FILENO,
            .version = STR(D2P_VERSION),
        };
        return sink_pipe_new(lane, &options, events, events_ctx, err);
    }
    if (config->sink == CONFIG_SINK_STDOUT) {
        sink = sink_stdout_new(lane, STDOUT_FILENO, events, events_ctx);
    } else {
        sink = sink_none_new(lane, events, events_ctx);
    }
    if (sink == NULL) {
        err_set(err, ERR_NOMEM, "no memory for a sink");
    }
    return sink;
}

static bool host_open(void *ctx, struct lane *lane, const struct sink_events *events,
                      void *events_ctx, struct source_parts *ret_parts, struct err *err) {
    struct runtime *runtime = ctx;
    struct lane_parts *parts = &runtime->parts[lane->index];
    parts->pages = page_pool_new(POOL_KEEP_BYTES);
    if (parts->pages == NULL) {
        return err_set(err, ERR_NOMEM, "no memory for a lane");
    }
    parts->streams = runtime_streams_service(runtime, lane, parts->pages, err);
    parts->table =
        parts->streams == NULL ? NULL : runtime_table_service(runtime, lane, parts->pages, err);
    struct sink *sink =
        parts->table == NULL ? NULL : new_sink(runtime, lane, events, events_ctx, err);
    if (sink == NULL) {
        return false; /* host_close ends what was made */
    }
    *ret_parts = (struct source_parts){
        .streams = parts->streams,
        .table = parts->table,
        .sink = sink,
    };
    return true;
}

static void table_closed(void *ctx) {
    struct lane_parts *parts = ctx;
    page_pool_free(parts->pages);
    parts->pages = NULL;
    parts->closed(parts->closed_ctx);
}

static void streams_closed(void *ctx) {
    struct lane_parts *parts = ctx;
    service_http_close(parts->table, table_closed, parts);
}

static void host_close(void *ctx, struct lane *lane, lane_fn *done, void *done_ctx) {
    struct runtime *runtime = ctx;
    struct lane_parts *parts = &runtime->parts[lane->index];
    parts->closed = done;
    parts->closed_ctx = done_ctx;
    service_http_close(parts->streams, streams_closed, parts);
}

static void host_measured(void *ctx, struct measures *measures) {
    struct runtime *runtime = ctx;
    monitor_take(runtime->monitor, measures);
}

static void host_done(void *ctx, const struct err *err) {
    struct runtime *runtime = ctx;
    pthread_mutex_lock(&runtime->lock);
    runtime->done = true;
    runtime->result = err != NULL ? *err : ERR_NONE;
    pthread_cond_signal(&runtime->changed);
    pthread_mutex_unlock(&runtime->lock);
}

static const struct source_host host = {
    .lane = host_lane,
    .open = host_open,
    .close = host_close,
    .measured = host_measured,
    .done = host_done,
};

/* ---- running ---- */

static uint64_t now_ms(void) {
    struct timespec now;
    (void)clock_gettime(CLOCK_MONOTONIC, &now); /* cannot fail for this clock */
    return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

static enum position_kind initial_position(const struct config *config) {
    switch (config->initial_position) {
    case CONFIG_POSITION_TRIM_HORIZON:
        return POSITION_TRIM_HORIZON;
    case CONFIG_POSITION_AT_TIMESTAMP:
        return POSITION_AT_TIMESTAMP;
    case CONFIG_POSITION_LATEST:
        break;
    }
    return POSITION_LATEST;
}

/* A shard's messages have ids under "application/table/label/shard". Whatever decides where a record goes is in the
 * routing: under another one, ids begin anew. */
static bool name_sessions(struct runtime *runtime, struct err *err) {
    const struct config *config = runtime->config;
    struct buf prefix;
    buf_init(&prefix, BUF_MAX_REQUEST);
    buf_add_format(&prefix, "%s/%.*s/%.*s/", config->application_name, STR_FMT(config->arn.table),
                   STR_FMT(config->arn.label));
    runtime->session_prefix = prefix.failed ? NULL : str_dup(buf_str(&prefix));
    buf_done(&prefix);
    (void)snprintf(runtime->routing, sizeof runtime->routing, "%s/%s",
                   config->message_key == MESSAGE_KEY_ITEM ? "itemKey" : "eventId",
                   config->hashing == PULSAR_HASHING_MURMUR3 ? "murmur3" : "java");
    return runtime->session_prefix != NULL ||
           err_set(err, ERR_NOMEM, "no memory for the names of sessions");
}

static struct source_options source_options(const struct runtime *runtime,
                                            const struct runtime_run *run,
                                            const struct worker_id *worker_id) {
    const struct config *config = runtime->config;
    bool local = str_is(config->arn.region, "ddblocal");
    return (struct source_options){
        .stream_arn = str_of(config->stream_arn),
        .lease_table = run->keep_leases ? str_of(config->lease_table) : STR_NONE,
        .worker_id = str_of(worker_id->text),
        .billing = config->lease_table_billing,
        .initial = initial_position(config),
        .start_at_ms = config->start_at_ms,
        .message_key = config->message_key,
        .skip_bad_records = config->on_record_error == CONFIG_POLICY_GO_ON,
        .continue_after_loss = config->on_data_loss == CONFIG_POLICY_GO_ON,
        .until_caught_up = run->until_caught_up,
        .time_granularity_ms = local ? LOCAL_GRANULARITY_MS : AWS_GRANULARITY_MS,
        .failover_ms = config->failover_time_ms,
        .checkpoint_interval_ms = config->checkpoint_interval_ms,
        .backoff_ms = config->backoff_time_ms,
        .retries = config->num_retries,
        .min_poll_ms = config->min_poll_interval_ms,
        .max_poll_ms = config->max_poll_interval_ms,
        .receive_queue = config->receive_queue_size,
        .describe_rate = config->describe_stream_rate,
        .stop_timeout_ms = config->stop_timeout_ms,
        .memory_budget = config->memory_budget,
        .lanes = lane_count(config),
        .measure_ms = run->monitored && config->publishes ? MEASURE_MS : 0,
        .session_prefix =
            runtime->session_prefix != NULL ? str_of(runtime->session_prefix) : STR_NONE,
        .routing = str_of(runtime->routing),
    };
}

static void on_signal(void *ctx, int signal) {
    struct runtime *runtime = ctx;
    LOG_INFO("process", "signal", LOG_TEXT("name", signal == SIGINT ? "SIGINT" : "SIGTERM"),
             LOG_TEXT("text", "stopping; once more ends at once"));
    source_stop(runtime->source);
}

static void wait_done(struct runtime *runtime, bool show) {
    struct progress progress;
    progress_start(&progress, now_ms());
    struct source_stats stats;
    pthread_mutex_lock(&runtime->lock);
    while (!runtime->done) {
        struct timespec until;
        (void)clock_gettime(CLOCK_MONOTONIC, &until);
        uint64_t wait_ms = progress_wait_ms(&progress, now_ms()) + 1;
        until.tv_sec += (time_t)(wait_ms / 1000);
        until.tv_nsec += (long)(wait_ms % 1000) * 1000000;
        if (until.tv_nsec >= 1000000000) {
            until.tv_sec++;
            until.tv_nsec -= 1000000000;
        }
        (void)pthread_cond_timedwait(&runtime->changed, &runtime->lock, &until);
        if (show && !runtime->done) {
            source_get_stats(runtime->source, &stats);
            progress_show(&progress, &stats, now_ms());
        }
    }
    pthread_mutex_unlock(&runtime->lock);
    source_get_stats(runtime->source, &stats);
    progress_end(&progress, &stats, now_ms());
}

/* If anybody wants to know how it goes. */
static bool open_monitor(struct runtime *runtime, struct err *err) {
    const struct config *config = runtime->config;
    struct monitor_options options = {
        .http_listen = str_of(config->http_listen),
        .version = D2P_VERSION,
        .name_space = str_of(config->application_name),
        .detailed = config->metrics_level == CONFIG_METRICS_DETAILED,
    };
    if (!notify_open(&options.notify, getenv("NOTIFY_SOCKET"), getenv("WATCHDOG_USEC"),
                     getenv("WATCHDOG_PID"), err)) {
        return false;
    }
    if (config->publishes) {
        options.cloudwatch = service_options(runtime, runtime->metrics_endpoint,
                                             config->table_region, table_credentials(runtime));
        options.cloudwatch.signing_name = STR("monitoring");
    }
    if (options.http_listen.len == 0 && !notify_is_open(&options.notify) && !config->publishes) {
        return true;
    }
    runtime->monitor_lane = lane_new(LANES_MAX, err);
    if (runtime->monitor_lane == NULL) {
        notify_close(&options.notify);
        return false;
    }
    options.lane = runtime->monitor_lane;
    runtime->monitor = monitor_new(&options, err);
    return runtime->monitor != NULL;
}

int runtime_run(struct runtime *runtime, const struct runtime_run *run, struct err *err) {
    const struct config *config = runtime->config;
    struct worker_id worker_id = {.fd = -1};
    if (config->guarantees == CONFIG_EFFECTIVELY_ONCE &&
        (!deduplication_check(runtime, config, err) || !name_sessions(runtime, err))) {
        return err_exit_code(err->code);
    }
    if (run->keep_leases) {
        if (!worker_id_open(&worker_id, str_of(config->state_directory),
                            str_of(config->lease_table), err)) {
            return err_exit_code(err->code);
        }
        LOG_INFO("lease", "worker", LOG_TEXT("id", worker_id.text),
                 LOG_TEXT("kept", worker_id.kept ? "yes" : "no"));
    }
    if (run->monitored && !open_monitor(runtime, err)) {
        worker_id_close(&worker_id);
        return err_exit_code(err->code);
    }
    struct source_options options = source_options(runtime, run, &worker_id);
    runtime->done = false;
    runtime->source = source_start(runtime->lanes[0], &options, &host, runtime);
    if (runtime->source == NULL) {
        err_set(err, ERR_NOMEM, "no memory for the source");
        monitor_stop(runtime->monitor);
        worker_id_close(&worker_id);
        return err_exit_code(err->code);
    }
    if (runtime->monitor != NULL) {
        monitor_start(runtime->monitor, runtime->source, &options);
    }
    bool signals = signals_start(on_signal, runtime, err);
    if (!signals) {
        source_stop(runtime->source);
    }
    wait_done(runtime, run->show_progress);
    signals_end();
    monitor_stop(runtime->monitor);
    source_free(runtime->source);
    runtime->source = NULL;
    worker_id_close(&worker_id);
    if (signals) {
        *err = runtime->result;
    }
    /* Whoever takes the records has left: so it asks for a stop. */
    if (err->code == ERR_CANCELLED) {
        LOG_INFO("process", "stopped", LOG_TEXT("text", err->text));
        *err = ERR_NONE;
    }
    return err_is_set(err) ? err_exit_code(err->code) : 0;
}
