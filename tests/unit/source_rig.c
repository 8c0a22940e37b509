#include "source_rig.h"

#include "aws/credentials.h"
#include "aws/service_http.h"
#include "base/log.h"
#include "cmocka_all.h"
#include "source/lease.h"

#include <aws/auth/auth.h>
#include <aws/common/json.h>
#include <aws/common/thread.h>

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

enum { DEADLINE_S = 60, POLL_US = 2000 };

struct rig_sink {
    struct sink sink;
    struct source_rig *rig;
    struct lane_timer timer;
    bool was_full;
    lane_fn *closed;
    void *closed_ctx;
};

struct rig_lane {
    struct lane *lane;
    struct page_pool *pages;
    struct service *streams;
    struct service *table;
    struct rig_sink *sink;
    lane_fn *closed;
    void *closed_ctx;
};

struct rig_private {
    struct credentials *credentials;
    struct source *source;
    struct rig_lane lanes[RIG_LANES];
    pthread_mutex_t lock;
    struct rig_message *messages;
    size_t count;
    size_t capacity;
    struct measures *measured; /* the newest first */
    bool done;
    struct err result;
};

static void lock(struct source_rig *rig) {
    pthread_mutex_lock(&rig->private->lock);
}

static void unlock(struct source_rig *rig) {
    pthread_mutex_unlock(&rig->private->lock);
}

/* ---- the sink ---- */

static void collect_tokens(struct rig_sink *sink, bool unloved, uint64_t *tokens, size_t *count) {
    struct rig_private *private = sink->rig->private;
    for (size_t n = 0; n < private->count; n++) {
        size_t i = sink->rig->backwards ? private->count - 1 - n : n;
        struct rig_message *message = &private->messages[i];
        if (!message->acked && message->unloved == unloved &&
            message->lane == sink->sink.lane->index && *count < 256) {
            message->acked = true;
            tokens[(*count)++] = message->token;
        }
    }
}

static void turn(void *ctx) {
    struct rig_sink *sink = ctx;
    uint64_t tokens[256];
    uint64_t refused[256];
    size_t count = 0;
    size_t refused_count = 0;
    lock(sink->rig);
    if (!sink->rig->hold) {
        collect_tokens(sink, false, tokens, &count);
        collect_tokens(sink, true, refused, &refused_count);
    }
    unlock(sink->rig);
    if (refused_count > 0) {
        struct err err;
        err_set(&err, ERR_PULSAR_REFUSED, "refused later by the test");
        sink->sink.events.refused(sink->sink.events_ctx, refused, refused_count, &err);
    }
    if (count > 0) {
        sink->sink.events.acked(sink->sink.events_ctx, tokens, count);
    }
    if (sink->was_full && (count > 0 || sink->rig->room == 0)) {
        sink->was_full = false;
        sink->sink.events.writable(sink->sink.events_ctx);
    }
    lane_timer_set_ms(&sink->timer, 1);
}

static uint64_t unacked_of(const struct rig_private *private) {
    uint64_t unacked = 0;
    for (size_t i = 0; i < private->count; i++) {
        unacked += private->messages[i].acked ? 0 : 1;
    }
    return unacked;
}

static void keep(struct rig_sink *sink, const struct sink_message *message, uint64_t token) {
    struct rig_private *private = sink->rig->private;
    if (private->count == private->capacity) {
        private->capacity = private->capacity == 0 ? 1024 : private->capacity * 2;
        private->messages =
            realloc(private->messages, private->capacity * sizeof(struct rig_message));
        assert_non_null(private->messages);
    }
    struct rig_message *kept = &private->messages[private->count];
    *kept = (struct rig_message){
        .lane = sink->sink.lane->index,
        .token = token,
        .unacked_before = sink->rig->hold || private->count < 2000 ? unacked_of(private) : 0,
    };
    str_copy(message->key, kept->key, sizeof kept->key);
    kept->unloved =
        sink->rig->refuse_later != NULL && str_is(message->key, sink->rig->refuse_later);
    for (size_t i = 0; i < message->property_count; i++) {
        const struct sink_property *property = &message->properties[i];
        if (str_is(property->name, "SEQUENCE_NUMBER")) {
            str_copy(property->value, kept->sequence_number, sizeof kept->sequence_number);
        } else if (str_is(property->name, "SHARD_ID")) {
            str_copy(property->value, kept->shard, sizeof kept->shard);
        }
    }
    private->count++;
}

/* Each is sent by itself, but for one that shares its batch with a message of a shard that is gone. */
static bool may_send(struct rig_sink *sink, const struct sink_message *message, uint64_t token) {
    const uint64_t tokens[] = {UINT64_MAX, token};
    bool alone = sink->rig->call_off == NULL || !str_is(message->key, sink->rig->call_off);
    if (!alone) {
        sink->rig->call_off = NULL;
    }
    return sink->sink.events.may_send(sink->sink.events_ctx, alone ? tokens + 1 : tokens,
                                      alone ? 1 : 2);
}

static enum sink_result put(struct sink *base, const struct sink_message *message, uint64_t token,
                            struct err *err) {
    struct rig_sink *sink = (struct rig_sink *)base;
    enum sink_result result = SINK_TAKEN;
    lock(sink->rig);
    if (sink->rig->refuse != NULL && str_is(message->key, sink->rig->refuse)) {
        err_set(err, ERR_PULSAR_TOO_LARGE, "refused by the test");
        result = SINK_REFUSED;
    } else if (sink->rig->room > 0 && unacked_of(sink->rig->private) >= sink->rig->room) {
        sink->was_full = true;
        result = SINK_FULL;
    } else if (may_send(sink, message, token)) {
        keep(sink, message, token);
    }
    unlock(sink->rig);
    return result;
}

static void flush(struct sink *base) {
    (void)base;
}

static void stats(const struct sink *base, struct sink_stats *ret_stats) {
    const struct rig_sink *sink = (const struct rig_sink *)base;
    lock(sink->rig);
    uint64_t unacked = unacked_of(sink->rig->private);
    unlock(sink->rig);
    *ret_stats = (struct sink_stats){.in_flight = unacked, .in_flight_bytes = unacked * 600};
}

static void sink_gone(void *ctx) {
    struct rig_sink *sink = ctx;
    lane_fn *closed = sink->closed;
    void *closed_ctx = sink->closed_ctx;
    free(sink);
    closed(closed_ctx);
}

static void close_sink(struct sink *base, uint32_t timeout_ms, lane_fn *done, void *ctx) {
    (void)timeout_ms;
    struct rig_sink *sink = (struct rig_sink *)base;
    sink->closed = done;
    sink->closed_ctx = ctx;
    lane_timer_cancel(&sink->timer);
    lane_timer_init(&sink->timer, base->lane, sink_gone, sink);
    lane_timer_set_ms(&sink->timer, 0);
}

static const struct sink_ops sink_ops = {
    .put = put,
    .flush = flush,
    .stats = stats,
    .close = close_sink,
};

/* ---- the host ---- */

static struct lane *host_lane(void *ctx, uint32_t index, struct err *err) {
    struct source_rig *rig = ctx;
    if (index >= RIG_LANES) {
        err_set(err, ERR_INTERNAL, "more lanes than asked for");
        return NULL;
    }
    rig->private->lanes[index].lane = lane_new(index, err);
    return rig->private->lanes[index].lane;
}

static bool host_open(void *ctx, struct lane *lane, const struct sink_events *events,
                      void *events_ctx, struct source_parts *ret_parts, struct err *err) {
    struct source_rig *rig = ctx;
    struct rig_lane *own = &rig->private->lanes[lane->index];
    char endpoint[64];
    (void)snprintf(endpoint, sizeof endpoint, "http://127.0.0.1:%u",
                   (unsigned)fake_aws_server_port(rig->aws));
    own->pages = page_pool_new(1 << 20);
    struct service_http_options options = {
        .endpoint = str_of(endpoint),
        .region = STR("us-east-1"),
        .signing_name = STR("dynamodb"),
        .user_agent = STR("test"),
        .credentials = rig->private->credentials,
        .pages = own->pages,
    };
    own->streams = service_http_new(lane, &options, err);
    own->table = service_http_new(lane, &options, err);
    own->sink = calloc(1, sizeof *own->sink);
    if (own->streams == NULL || own->table == NULL || own->sink == NULL) {
        return false;
    }
    own->sink->sink = (struct sink){
        .ops = &sink_ops,
        .lane = lane,
        .events = *events,
        .events_ctx = events_ctx,
    };
    own->sink->rig = rig;
    lane_timer_init(&own->sink->timer, lane, turn, own->sink);
    lane_timer_set_ms(&own->sink->timer, 1);
    *ret_parts = (struct source_parts){
        .streams = own->streams,
        .table = own->table,
        .sink = &own->sink->sink,
    };
    return true;
}

static void table_closed(void *ctx) {
    struct rig_lane *own = ctx;
    page_pool_free(own->pages);
    own->closed(own->closed_ctx);
}

static void streams_closed(void *ctx) {
    struct rig_lane *own = ctx;
    service_http_close(own->table, table_closed, own);
}

static void host_close(void *ctx, struct lane *lane, lane_fn *done, void *done_ctx) {
    struct source_rig *rig = ctx;
    struct rig_lane *own = &rig->private->lanes[lane->index];
    own->closed = done;
    own->closed_ctx = done_ctx;
    service_http_close(own->streams, streams_closed, own);
}

static void host_measured(void *ctx, struct measures *measures) {
    struct source_rig *rig = ctx;
    lock(rig);
    measures->next = rig->private->measured;
    rig->private->measured = measures;
    unlock(rig);
}

static void host_done(void *ctx, const struct err *err) {
    struct source_rig *rig = ctx;
    lock(rig);
    rig->private->result = err != NULL ? *err : ERR_NONE;
    rig->private->done = true;
    unlock(rig);
}

static const struct source_host host = {
    .lane = host_lane,
    .open = host_open,
    .close = host_close,
    .measured = host_measured,
    .done = host_done,
};

/* ---- life ---- */

struct source_rig *rig_new(void) {
    struct err err = ERR_NONE;
    struct source_rig *rig = calloc(1, sizeof *rig);
    rig->private = calloc(1, sizeof *rig->private);
    pthread_mutex_init(&rig->private->lock, NULL);
    aws_auth_library_init(aws_default_allocator());
    log_setup(getenv("RIG_DEBUG") != NULL ? LOG_LEVEL_DEBUG : LOG_LEVEL_ERROR, LOG_FORMAT_TEXT);
    rig->aws = fake_aws_server_new(0, NULL, &err);
    if (rig->aws == NULL) {
        fail_msg("%s", err.text);
    }
    struct credentials_options options = {
        .access_key = STR("AKID"),
        .secret_key = STR("SECRET"),
    };
    rig->private->credentials = credentials_new(&options, &err);
    assert_non_null(rig->private->credentials);
    assert_true(credentials_wait(rig->private->credentials, DEADLINE_S * 1000, &err));
    rig->options = (struct source_options){
        .stream_arn = STR(RIG_ARN),
        .lease_table = STR(RIG_TABLE),
        .worker_id = STR("worker-a"),
        .initial = POSITION_TRIM_HORIZON,
        .message_key = MESSAGE_KEY_ITEM,
        .time_granularity_ms = 1000,
        .failover_ms = 1500,
        .checkpoint_interval_ms = 100,
        .backoff_ms = 50,
        .retries = 3,
        .min_poll_ms = 5,
        .max_poll_ms = 20,
        .receive_queue = 1000,
        .describe_rate = 100,
        .stop_timeout_ms = 10000,
        .memory_budget = 24 << 20,
        .lanes = 1,
    };
    rig_script(rig, "stream " RIG_ARN " hash id view NEW_AND_OLD_IMAGES\n");
    return rig;
}

static void join_lanes(struct source_rig *rig) {
    for (size_t i = 0; i < RIG_LANES; i++) {
        lane_free(rig->private->lanes[i].lane);
        rig->private->lanes[i] = (struct rig_lane){.lane = NULL};
    }
    source_free(rig->private->source);
    rig->private->source = NULL;
}

void rig_free(struct source_rig *rig) {
    assert_null(rig->private->source); /* the test stops what it starts */
    credentials_free(rig->private->credentials);
    fake_aws_server_free(rig->aws);
    aws_thread_join_all_managed();
    aws_auth_library_clean_up();
    pthread_mutex_destroy(&rig->private->lock);
    while (rig->private->measured != NULL) {
        struct measures *next = rig->private->measured->next;
        measures_free(rig->private->measured);
        rig->private->measured = next;
    }
    free(rig->private->messages);
    free(rig->private);
    free(rig);
}

void rig_script(struct source_rig *rig, const char *lines) {
    struct err err = ERR_NONE;
    if (!fake_aws_server_script(rig->aws, lines, &err)) {
        fail_msg("scenario: %s", err.text);
    }
}

void rig_start(struct source_rig *rig) {
    struct err err = ERR_NONE;
    rig->private->done = false;
    assert_non_null(host_lane(rig, 0, &err));
    rig->private->source = source_start(rig->private->lanes[0].lane, &rig->options, &host, rig);
    assert_non_null(rig->private->source);
}

/* Waits for a condition that another thread brings about; the deadline only ends a test that has failed. */
static void wait_until(struct source_rig *rig, const char *what,
                       bool (*holds)(struct source_rig *rig, void *ctx), void *ctx) {
    time_t give_up = time(NULL) + DEADLINE_S;
    while (!holds(rig, ctx)) {
        if (time(NULL) > give_up) {
            fail_msg("waited in vain for %s", what);
        }
        struct timespec pause = {.tv_nsec = POLL_US * 1000};
        nanosleep(&pause, NULL);
    }
}

static bool has_ended(struct source_rig *rig, void *ctx) {
    (void)ctx;
    lock(rig);
    bool done = rig->private->done;
    unlock(rig);
    return done;
}

struct err rig_wait_end(struct source_rig *rig) {
    wait_until(rig, "the source's end", has_ended, NULL);
    join_lanes(rig);
    return rig->private->result;
}

struct err rig_stop(struct source_rig *rig) {
    source_stop(rig->private->source);
    return rig_wait_end(rig);
}

struct err rig_run(struct source_rig *rig) {
    rig->options.until_caught_up = true;
    rig_start(rig);
    return rig_wait_end(rig);
}

/* ---- questions ---- */

size_t rig_message_count(struct source_rig *rig) {
    lock(rig);
    size_t count = rig->private->count;
    unlock(rig);
    return count;
}

static bool has_messages(struct source_rig *rig, void *ctx) {
    return rig_message_count(rig) >= *(size_t *)ctx;
}

void rig_wait_messages(struct source_rig *rig, size_t count) {
    wait_until(rig, "messages", has_messages, &count);
}

struct rig_message rig_message(struct source_rig *rig, size_t i) {
    lock(rig);
    assert_true(i < rig->private->count);
    struct rig_message message = rig->private->messages[i];
    unlock(rig);
    return message;
}

void rig_forget(struct source_rig *rig) {
    lock(rig);
    rig->private->count = 0;
    unlock(rig);
}

struct ack {
    struct lane_message message;
    struct rig_sink *sink;
    uint64_t token;
};

static void do_ack(void *ctx) {
    struct ack *ack = ctx;
    ack->sink->sink.events.acked(ack->sink->sink.events_ctx, &ack->token, 1);
    free(ack);
}

void rig_ack(struct source_rig *rig, size_t i) {
    lock(rig);
    struct rig_message *message = &rig->private->messages[i];
    assert_false(message->acked);
    message->acked = true;
    struct ack *ack = calloc(1, sizeof *ack);
    ack->sink = rig->private->lanes[message->lane].sink;
    ack->token = message->token;
    struct lane *lane = rig->private->lanes[message->lane].lane;
    unlock(rig);
    lane_post(lane, &ack->message, do_ack, ack);
}

void rig_ack_all(struct source_rig *rig) {
    lock(rig);
    rig->hold = false;
    unlock(rig);
}

void rig_hold(struct source_rig *rig) {
    lock(rig);
    rig->hold = true;
    unlock(rig);
}

void rig_stats(struct source_rig *rig, struct source_stats *ret_stats) {
    source_get_stats(rig->private->source, ret_stats);
}

uint64_t rig_calls(struct source_rig *rig, enum fake_aws_op op) {
    return fake_aws_server_count(rig->aws, op);
}

struct calls {
    enum fake_aws_op op;
    uint64_t at_least;
};

static bool has_calls(struct source_rig *rig, void *ctx) {
    const struct calls *calls = ctx;
    return rig_calls(rig, calls->op) >= calls->at_least;
}

struct measure rig_lane_measure(struct source_rig *rig, enum measure_of_lane which) {
    struct measure sum = {.count = 0};
    lock(rig);
    for (const struct measures *m = rig->private->measured; m != NULL; m = m->next) {
        measure_merge(&sum, &m->lane[which]);
    }
    unlock(rig);
    return sum;
}

struct measure rig_shard_measure(struct source_rig *rig, const char *shard,
                                 enum measure_of_shard which) {
    struct measure sum = {.count = 0};
    lock(rig);
    for (const struct measures *m = rig->private->measured; m != NULL; m = m->next) {
        for (size_t i = 0; i < m->shard_count; i++) {
            if (strcmp(m->shards[i].id, shard) == 0) {
                measure_merge(&sum, &m->shards[i].of[which]);
            }
        }
    }
    unlock(rig);
    return sum;
}

void rig_wait_calls(struct source_rig *rig, enum fake_aws_op op, uint64_t more) {
    struct calls calls = {.op = op, .at_least = rig_calls(rig, op) + more};
    wait_until(rig, fake_aws_op_name(op), has_calls, &calls);
}

static bool read_lease(struct source_rig *rig, const char *shard, struct lease *lease) {
    struct fake_aws *aws = fake_aws_server_lock(rig->aws);
    char *text = fake_tables_item(&aws->tables, STR(RIG_TABLE), str_of(shard));
    fake_aws_server_unlock(rig->aws);
    if (text == NULL) {
        return false;
    }
    struct err err = ERR_NONE;
    struct aws_json_value *json =
        aws_json_value_new_from_string(aws_default_allocator(), aws_byte_cursor_from_c_str(text));
    assert_non_null(json);
    if (lease_from_item(json, STR(RIG_ARN), lease, &err) != LEASE_ITEM_OK) {
        fail_msg("%s: %s", text, err.text);
    }
    aws_json_value_destroy(json);
    free(text);
    return true;
}

struct lease rig_lease(struct source_rig *rig, const char *shard) {
    struct lease lease;
    if (!read_lease(rig, shard, &lease)) {
        fail_msg("no lease of %s", shard);
    }
    return lease;
}

bool rig_has_lease(struct source_rig *rig, const char *shard) {
    struct lease lease;
    return read_lease(rig, shard, &lease);
}

const char *rig_checkpoint(struct source_rig *rig, const char *shard) {
    static char text[SEQNO_MAX_DIGITS + 1];
    struct lease lease = rig_lease(rig, shard);
    position_format(&lease.checkpoint, text);
    return text;
}

struct checkpoint {
    const char *shard;
    const char *text;
};

static bool has_checkpoint(struct source_rig *rig, void *ctx) {
    const struct checkpoint *wanted = ctx;
    struct lease lease;
    char text[SEQNO_MAX_DIGITS + 1];
    if (!read_lease(rig, wanted->shard, &lease)) {
        return false;
    }
    position_format(&lease.checkpoint, text);
    return strcmp(text, wanted->text) == 0;
}

void rig_wait_checkpoint(struct source_rig *rig, const char *shard, const char *checkpoint) {
    struct checkpoint wanted = {.shard = shard, .text = checkpoint};
    wait_until(rig, "a checkpoint", has_checkpoint, &wanted);
}

/* ---- assertions ---- */

void rig_read_and_stop(struct source_rig *rig, size_t count) {
    rig_start(rig);
    rig_wait_messages(rig, count);
    rig_assert_well(rig_stop(rig));
}

void rig_assert_well(struct err err) {
    if (err_is_set(&err)) {
        fail_msg("the source ended with %s: %s", err_code_name(err.code), err.text);
    }
}

void rig_assert_error(struct err err, enum err_code code, const char *part) {
    assert_string_equal(err_code_name(err.code), err_code_name(code));
    if (strstr(err.text, part) == NULL) {
        fail_msg("\"%s\" is not in \"%s\"", part, err.text);
    }
}

void rig_assert_number(struct source_rig *rig, size_t i, unsigned long long number) {
    char text[32];
    (void)snprintf(text, sizeof text, "%llu", number);
    assert_string_equal(rig_message(rig, i).sequence_number, text);
}

void rig_assert_once_in_order(struct source_rig *rig, unsigned long long first, size_t count) {
    assert_int_equal(rig_message_count(rig), count);
    for (size_t i = 0; i < count; i++) {
        rig_assert_number(rig, i, first + i);
    }
}
