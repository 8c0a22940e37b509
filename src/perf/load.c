#include "perf/load.h"

#include "perf/schedule.h"

#include <hdr_histogram.h>

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>

#define NS_PER_S ((uint64_t)1000000000)
#define LATENCY_MAX_NS (3600 * NS_PER_S) /* longer ones count as this */

enum {
    LATENCY_DIGITS = 3,
    CREATE_TIMEOUT_MS = 30000,
    DRAIN_TIMEOUT_MS = 30000,
    CLOCK_EVERY = 32, /* messages, when they go as fast as it goes */
    KEY_MAX = 32,
};

enum phase { LOAD_CONNECTING, LOAD_WARMING_UP, LOAD_MEASURING, LOAD_CLOSING, LOAD_DONE };

struct load {
    const struct perf_options *options;
    struct lane *lane;
    lane_fn *done;
    void *done_ctx;
    struct lane_message start_message;
    struct lane_message stop_message;

    struct pulsar_client *client;
    struct pulsar_producer *producer;
    enum phase phase;

    char *payload;
    struct str *keys;
    char *key_bytes;
    uint64_t next_key;

    uint64_t start_ns; /* of the sending */
    uint64_t sent;
    uint64_t acked;
    uint64_t undelivered;
    struct err why_undelivered; /* the first time */
    struct lane_timer due_timer;
    struct lane_timer phase_timer;

    uint64_t window_start_ns;
    uint64_t window_end_ns; /* UINT64_MAX until then */
    uint64_t acked_before;
    uint64_t frames_before;
    uint64_t cpu_before_ns;
    struct hdr_histogram *latency;

    /* Of the line for every second. */
    struct lane_timer second_timer;
    struct hdr_histogram *second_latency; /* NULL: no lines */
    uint64_t second_start_ns;
    uint64_t second_acked;

    struct load_result result;
};

static uint64_t now_ns(const struct load *load) {
    return lane_now_ns(load->lane);
}

/* User and system time of all threads so far. */
static uint64_t cpu_ns(void) {
    struct rusage usage;
    (void)getrusage(RUSAGE_SELF, &usage); /* cannot fail for this */
    uint64_t seconds = (uint64_t)usage.ru_utime.tv_sec + (uint64_t)usage.ru_stime.tv_sec;
    uint64_t micros = (uint64_t)usage.ru_utime.tv_usec + (uint64_t)usage.ru_stime.tv_usec;
    return seconds * NS_PER_S + micros * 1000;
}

/* ---- The end: producer, then client, then done. */

static void client_closed(void *ctx) {
    struct load *load = ctx;
    load->phase = LOAD_DONE;
    load->done(load->done_ctx);
}

static void close_client(struct load *load) {
    if (load->client == NULL) {
        client_closed(load);
        return;
    }
    pulsar_client_close(load->client, client_closed, load);
}

/* A lane_fn. */
static void producer_closed(void *ctx) {
    struct load *load = ctx;
    struct load_result *result = &load->result;
    if (load->undelivered > 0 && !err_is_set(&result->err)) {
        result->err = load->why_undelivered;
        err_context(&result->err, "%" PRIu64 " messages were not delivered", load->undelivered);
    }
    close_client(load);
}

static void close_producer(struct load *load, uint32_t timeout_ms) {
    load->phase = LOAD_CLOSING;
    lane_timer_cancel(&load->due_timer);
    lane_timer_cancel(&load->phase_timer);
    lane_timer_cancel(&load->second_timer);
    if (load->producer == NULL) {
        close_client(load);
        return;
    }
    pulsar_producer_close(load->producer, timeout_ms, producer_closed, load);
}

static void fail(struct load *load, const struct err *err) {
    load->result.err = *err;
    close_producer(load, 0);
}

/* ---- The window. */

static void open_window(struct load *load, uint64_t now) {
    struct pulsar_producer_stats stats;
    pulsar_producer_stats(load->producer, &stats);
    load->phase = LOAD_MEASURING;
    load->acked_before = load->acked;
    load->frames_before = stats.frames;
    load->cpu_before_ns = cpu_ns();
    load->window_start_ns = now;
    if (load->options->seconds > 0) {
        lane_timer_set_at_ns(&load->phase_timer,
                             load->window_start_ns + load->options->seconds * NS_PER_S);
    }
}

static void close_window(struct load *load) {
    struct load_result *result = &load->result;
    struct pulsar_producer_stats stats;
    pulsar_producer_stats(load->producer, &stats);
    load->window_end_ns = now_ns(load);
    result->measured = true;
    result->window_ns = load->window_end_ns - load->window_start_ns;
    result->messages = load->acked - load->acked_before;
    result->frames = stats.frames - load->frames_before;
    result->cpu_ns = cpu_ns() - load->cpu_before_ns;
    result->resent_frames = stats.resent_frames;
    result->reconnects = stats.reconnects;
    if (load->options->rate > 0) {
        struct schedule schedule = {.start_ns = load->start_ns, .rate = load->options->rate};
        uint64_t due = schedule_count(&schedule, load->window_end_ns);
        result->unsent = due > load->sent && load->options->messages == 0 ? due - load->sent : 0;
    }
    close_producer(load, DRAIN_TIMEOUT_MS);
}

/* A lane_fn: the warm-up's end, or the window's. */
static void phase_over(void *ctx) {
    struct load *load = ctx;
    if (load->phase == LOAD_WARMING_UP) {
        open_window(load, now_ns(load));
    } else {
        close_window(load);
    }
}

/* ---- Sending. */

static bool is_sending(const struct load *load) {
    return (load->phase == LOAD_WARMING_UP || load->phase == LOAD_MEASURING) &&
           (load->options->messages == 0 || load->sent < load->options->messages);
}

/* False when it must wait for `writable`, or is over. The token is the time from which latency
 * counts. */
static bool send_one(struct load *load, uint64_t since_ns) {
    struct str value = str_make(load->payload, (size_t)load->options->size_bytes);
    struct pulsar_message message = {.value = &value, .value_parts = 1};
    if (load->keys != NULL) {
        message.key = load->keys[load->next_key];
    }
    struct err err; /* only set when refused; clearing it would cost more than the rest of this */
    switch (pulsar_producer_send(load->producer, &message, since_ns, &err)) {
    case PULSAR_SEND_TAKEN:
        break;
    case PULSAR_SEND_FULL:
        return false;
    case PULSAR_SEND_REFUSED:
        fail(load, &err);
        return false;
    }
    load->sent++;
    if (load->keys != NULL && ++load->next_key == load->options->partition_keys) {
        load->next_key = 0;
    }
    return true;
}

static void send_at_rate(struct load *load) {
    struct schedule schedule = {.start_ns = load->start_ns, .rate = load->options->rate};
    uint64_t count = schedule_count(&schedule, now_ns(load));
    while (load->sent < count && is_sending(load)) {
        if (!send_one(load, schedule_due_ns(&schedule, load->sent))) {
            return;
        }
    }
    if (is_sending(load)) {
        lane_timer_set_at_ns(&load->due_timer, schedule_due_ns(&schedule, load->sent));
    }
}

static void send_flat_out(struct load *load) {
    uint64_t since_ns = 0;
    for (uint64_t i = 0; is_sending(load); i++) {
        if (i % CLOCK_EVERY == 0) {
            since_ns = now_ns(load);
        }
        if (!send_one(load, since_ns)) {
            return;
        }
    }
}

/* A lane_fn: messages are due, or there is room for them again. */
static void send_more(void *ctx) {
    struct load *load = ctx;
    if (load->options->rate > 0) {
        send_at_rate(load);
    } else {
        send_flat_out(load);
    }
    if (load->options->messages > 0 && load->sent == load->options->messages &&
        load->phase < LOAD_CLOSING) {
        pulsar_producer_flush(load->producer); /* no more will come to fill the batches */
    }
}

/* ---- The producer's events. */

static void on_ready(void *ctx, uint32_t partitions) {
    (void)partitions;
    struct load *load = ctx;
    if (load->phase != LOAD_CONNECTING) {
        return;
    }
    load->start_ns = now_ns(load);
    if (load->options->warm_up_seconds > 0) {
        load->phase = LOAD_WARMING_UP;
        lane_timer_set_at_ns(&load->phase_timer,
                             load->start_ns + load->options->warm_up_seconds * NS_PER_S);
    } else {
        open_window(load, load->start_ns);
    }
    if (load->second_latency != NULL) {
        load->second_start_ns = load->start_ns;
        lane_timer_set_at_ns(&load->second_timer, load->start_ns + NS_PER_S);
    }
    send_more(load);
}

static void record(struct load *load, uint64_t since_ns, uint64_t count, uint64_t now) {
    uint64_t latency_ns = now > since_ns ? now - since_ns : 0;
    latency_ns = latency_ns < LATENCY_MAX_NS ? latency_ns : LATENCY_MAX_NS;
    if (since_ns >= load->window_start_ns && since_ns < load->window_end_ns) {
        (void)hdr_record_values(load->latency, (int64_t)latency_ns, (int64_t)count);
    }
    if (load->second_latency != NULL) {
        (void)hdr_record_values(load->second_latency, (int64_t)latency_ns, (int64_t)count);
    }
}

/* The last message's report ends it. */
static void end_with_last(struct load *load) {
    struct err err;
    if (load->acked + load->undelivered != load->options->messages) {
        return;
    }
    if (load->phase == LOAD_MEASURING) {
        close_window(load);
    } else if (load->phase == LOAD_WARMING_UP) {
        err_set(&err, ERR_CANCELLED, "the warm-up took all messages");
        fail(load, &err);
    }
}

static void on_receipt(void *ctx, const struct pulsar_receipt *receipt) {
    struct load *load = ctx;
    uint64_t now = now_ns(load);
    /* Neighbours often have the same time. */
    size_t first = 0;
    for (size_t i = 1; i <= receipt->count; i++) {
        if (i == receipt->count || receipt->tokens[i] != receipt->tokens[first]) {
            record(load, receipt->tokens[first], i - first, now);
            first = i;
        }
    }
    load->acked += receipt->count;
    end_with_last(load);
}

static void on_undelivered(void *ctx, const struct pulsar_undelivered *undelivered) {
    struct load *load = ctx;
    if (load->undelivered == 0) {
        load->why_undelivered = *undelivered->err;
    }
    load->undelivered += undelivered->count;
    end_with_last(load);
}

static void on_failed(void *ctx, const struct err *err) {
    struct load *load = ctx;
    if (load->phase < LOAD_CLOSING) {
        fail(load, err);
    } else if (!err_is_set(&load->result.err)) {
        load->result.err = *err;
    }
}

static void on_connection(void *ctx, uint32_t partition, const struct err *err) {
    (void)ctx;
    if (err != NULL) {
        LOG_WARN("perf", "connection_lost", LOG_U64("partition", partition), LOG_ERR(err));
    } else {
        LOG_WARN("perf", "connected_again", LOG_U64("partition", partition));
    }
}

static const struct pulsar_producer_events events = {
    .ready = on_ready,
    .receipt = on_receipt,
    .undelivered = on_undelivered,
    .writable = send_more,
    .failed = on_failed,
    .connection = on_connection,
};

/* A lane_fn. */
static void second_over(void *ctx) {
    struct load *load = ctx;
    uint64_t now = now_ns(load);
    double seconds = (double)(now - load->second_start_ns) / 1e9;
    double rate = (double)(load->acked - load->second_acked) / seconds;
    struct hdr_histogram *latency = load->second_latency;
    (void)fprintf(
        stderr, "%5.0f s %12.0f messages/s %9.1f MB/s   p50 %.2f ms, p99 %.2f ms, max %.2f ms%s\n",
        (double)(now - load->start_ns) / 1e9, rate, rate * (double)load->options->size_bytes / 1e6,
        (double)hdr_value_at_percentile(latency, 50) / 1e6,
        (double)hdr_value_at_percentile(latency, 99) / 1e6, (double)hdr_max(latency) / 1e6,
        load->phase == LOAD_WARMING_UP ? "   (warm-up)" : "");
    hdr_reset(latency);
    load->second_acked = load->acked;
    load->second_start_ns = now;
    lane_timer_set_at_ns(&load->second_timer, now + NS_PER_S);
}

/* ---- Life. */

/* A lane_fn. */
static void start(void *ctx) {
    struct load *load = ctx;
    const struct perf_options *options = load->options;
    struct err err = ERR_NONE;
    struct pulsar_client_options client_options = {
        .service_url = str_of(options->service_url),
        .auth_plugin = str_of(options->auth_plugin),
        .auth_params = str_of(options->auth_params),
        .listener_name = str_of(options->listener_name),
        .client_version = STR("ddb2pulsar-perf"),
    };
    struct pulsar_producer_options producer_options = {
        .topic = str_of(options->topic),
        .compression = options->compression,
        .batching = options->batching,
        .batch_max_messages = (uint32_t)options->batch_messages,
        .batch_max_bytes = (uint32_t)options->batch_bytes,
        .batch_max_delay_ms = (uint32_t)options->batch_delay_ms,
        .max_pending_messages = (uint32_t)options->max_pending_messages,
        .max_pending_bytes = options->max_pending_bytes,
        .create_timeout_ms = CREATE_TIMEOUT_MS,
    };
    load->client = pulsar_client_new(load->lane, &client_options, &err);
    if (load->client != NULL) {
        load->producer = pulsar_producer_open(load->client, &producer_options, &events, load, &err);
    }
    if (load->producer == NULL) {
        fail(load, &err);
    }
}

/* A lane_fn. */
static void stop(void *ctx) {
    struct load *load = ctx;
    struct err err;
    if (load->phase == LOAD_MEASURING) {
        close_window(load);
    } else if (load->phase < LOAD_MEASURING) {
        err_set(&err, ERR_CANCELLED, "stopped before the measurement began");
        fail(load, &err);
    }
}

/* Letters: they compress, but not to nothing. */
static void fill(char *to, size_t len) {
    struct rng rng = {.state = 1};
    for (size_t i = 0; i < len; i++) {
        to[i] = (char)('A' + rng_below(&rng, 25));
    }
}

static bool make_keys(struct load *load, size_t count) {
    load->keys = calloc(count, sizeof load->keys[0]);
    load->key_bytes = calloc(count, KEY_MAX);
    if (load->keys == NULL || load->key_bytes == NULL) {
        return false;
    }
    for (size_t i = 0; i < count; i++) {
        char *key = load->key_bytes + i * KEY_MAX;
        int len = snprintf(key, KEY_MAX, "key-%08zu", i);
        load->keys[i] = str_make(key, (size_t)len);
    }
    return true;
}

static bool make_histogram(struct hdr_histogram **to) {
    return hdr_init(1, (int64_t)LATENCY_MAX_NS, LATENCY_DIGITS, to) == 0;
}

struct load *load_new(const struct perf_options *options, struct err *err) {
    struct load *load = calloc(1, sizeof *load);
    if (load == NULL) {
        err_set(err, ERR_NOMEM, "no memory to start");
        return NULL;
    }
    load->options = options;
    load->window_start_ns = UINT64_MAX;
    load->window_end_ns = UINT64_MAX;
    load->payload = malloc((size_t)options->size_bytes + 1); /* never of size 0 */
    bool ok = load->payload != NULL && make_histogram(&load->latency) &&
              (options->json || options->quiet || make_histogram(&load->second_latency)) &&
              (options->partition_keys == 0 || make_keys(load, (size_t)options->partition_keys));
    if (!ok) {
        load_free(load);
        err_set(err, ERR_NOMEM, "no memory to start");
        return NULL;
    }
    fill(load->payload, (size_t)options->size_bytes);
    load->result.latency_ns = load->latency;
    return load;
}

void load_free(struct load *load) {
    if (load == NULL) {
        return;
    }
    free(load->payload);
    free(load->keys);
    free(load->key_bytes);
    hdr_close(load->latency);
    hdr_close(load->second_latency);
    free(load);
}

void load_start(struct load *load, struct lane *lane, lane_fn *done, void *ctx) {
    load->lane = lane;
    load->done = done;
    load->done_ctx = ctx;
    lane_timer_init(&load->due_timer, lane, send_more, load);
    lane_timer_init(&load->phase_timer, lane, phase_over, load);
    lane_timer_init(&load->second_timer, lane, second_over, load);
    lane_post(lane, &load->start_message, start, load);
}

void load_stop(struct load *load) {
    lane_post(load->lane, &load->stop_message, stop, load);
}

const struct load_result *load_result(const struct load *load) {
    return &load->result;
}
