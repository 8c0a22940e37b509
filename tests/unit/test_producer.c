/* The producer against a scripted peer: what it says on the wire, and what its caller hears. */
#include "unit/cmocka_all.h"

#include "pulsar/producer.h"
#include "pulsar/routing.h"
#include "unit/pulsar_peer.h"
#include "unit/tls_peer.h"

#include <aws/common/thread.h>
#include <aws/io/io.h>

#include <inttypes.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

enum { MAX_MESSAGES = 5000, PATIENCE_S = 30 };

/* One producer on a lane, and what came of it. The lane's thread writes, the test waits. */
struct app {
    struct lane *lane;
    struct pulsar_client *client;
    struct pulsar_producer *producer;
    struct pulsar_client_options client_options;
    struct pulsar_producer_options options;
    size_t wanted; /* messages to send */
    size_t value_len;
    bool with_keys;

    pthread_mutex_t lock;
    pthread_cond_t changed;
    uint32_t partitions; /* of ready; 0: not yet */
    int ready_count;
    size_t taken;
    size_t acked;
    size_t full_count;
    size_t duplicates;
    uint64_t tokens[MAX_MESSAGES];       /* in the order of their receipts */
    uint32_t partition_of[MAX_MESSAGES]; /* by token */
    uint64_t given_up[MAX_MESSAGES];     /* tokens, in the order in which they were undelivered */
    size_t undelivered;
    size_t maybe_stored;
    struct err undelivered_error;
    int failed_count;
    struct err error;
    int lost_count;
    int again_count;
    bool closed;
    bool got_partitions;
    uint32_t partitions_got;
    struct err got_error;
    struct pulsar_producer_stats stats;
    uint32_t close_timeout_ms;
};

/* ---- On the lane. */

static void key_of(size_t i, char *to, size_t size) {
    (void)snprintf(to, size, "key-%zu", i % 50);
}

static void send_more(struct app *app) {
    static char filler[6 * 1024 * 1024];
    while (app->taken < app->wanted) {
        char key[32];
        key_of(app->taken, key, sizeof key);
        struct str value[] = {str_of(key), str_make(filler, app->value_len)};
        struct pulsar_message message = {
            .key = app->with_keys ? str_of(key) : STR_NONE,
            .value = value,
            .value_parts = 2,
        };
        struct err err = ERR_NONE;
        size_t acked = app->acked;
        enum pulsar_send sent = pulsar_producer_send(app->producer, &message, app->taken, &err);
        assert(acked == app->acked); /* no event inside a call */
        if (sent == PULSAR_SEND_FULL) {
            app->full_count++;
            return;
        }
        if (sent == PULSAR_SEND_REFUSED) {
            app->error = err;
            app->wanted = app->taken;
            return;
        }
        app->taken++;
    }
}

static void on_ready(void *ctx, uint32_t partitions) {
    struct app *app = ctx;
    (void)pthread_mutex_lock(&app->lock);
    app->partitions = partitions;
    app->ready_count++;
    send_more(app);
    (void)pthread_cond_signal(&app->changed);
    (void)pthread_mutex_unlock(&app->lock);
}

static void on_receipt(void *ctx, const struct pulsar_receipt *receipt) {
    struct app *app = ctx;
    (void)pthread_mutex_lock(&app->lock);
    for (size_t i = 0; i < receipt->count; i++) {
        app->tokens[app->acked++] = receipt->tokens[i];
        app->partition_of[receipt->tokens[i]] = receipt->partition;
    }
    app->duplicates += receipt->duplicate ? receipt->count : 0;
    pulsar_producer_stats(app->producer, &app->stats);
    (void)pthread_cond_signal(&app->changed);
    (void)pthread_mutex_unlock(&app->lock);
}

static void on_undelivered(void *ctx, const struct pulsar_undelivered *undelivered) {
    struct app *app = ctx;
    (void)pthread_mutex_lock(&app->lock);
    for (size_t i = 0; i < undelivered->count; i++) {
        app->given_up[app->undelivered++] = undelivered->tokens[i];
    }
    app->maybe_stored += undelivered->maybe_stored ? undelivered->count : 0;
    app->undelivered_error = *undelivered->err;
    (void)pthread_cond_signal(&app->changed);
    (void)pthread_mutex_unlock(&app->lock);
}

static void on_writable(void *ctx) {
    struct app *app = ctx;
    (void)pthread_mutex_lock(&app->lock);
    send_more(app);
    (void)pthread_cond_signal(&app->changed);
    (void)pthread_mutex_unlock(&app->lock);
}

static void on_failed(void *ctx, const struct err *err) {
    struct app *app = ctx;
    (void)pthread_mutex_lock(&app->lock);
    app->failed_count++;
    app->error = *err;
    pulsar_producer_stats(app->producer, &app->stats);
    (void)pthread_cond_signal(&app->changed);
    (void)pthread_mutex_unlock(&app->lock);
}

static void on_connection(void *ctx, uint32_t partition, const struct err *err) {
    (void)partition;
    struct app *app = ctx;
    (void)pthread_mutex_lock(&app->lock);
    app->lost_count += err != NULL;
    app->again_count += err == NULL;
    (void)pthread_cond_signal(&app->changed);
    (void)pthread_mutex_unlock(&app->lock);
}

static const struct pulsar_producer_events events = {
    .ready = on_ready,
    .receipt = on_receipt,
    .undelivered = on_undelivered,
    .writable = on_writable,
    .failed = on_failed,
    .connection = on_connection,
};

static void on_partitions(void *ctx, const struct err *err, uint32_t partitions) {
    struct app *app = ctx;
    (void)pthread_mutex_lock(&app->lock);
    app->got_partitions = true;
    app->partitions_got = partitions;
    app->got_error = err != NULL ? *err : ERR_NONE;
    (void)pthread_cond_signal(&app->changed);
    (void)pthread_mutex_unlock(&app->lock);
}

static void open_producer(void *ctx) {
    struct app *app = ctx;
    struct err err = ERR_NONE;
    app->client = pulsar_client_new(app->lane, &app->client_options, &err);
    assert_non_null(app->client);
    app->producer = pulsar_producer_open(app->client, &app->options, &events, app, &err);
    assert_non_null(app->producer);
}

static void ask_partitions(void *ctx) {
    struct app *app = ctx;
    struct err err = ERR_NONE;
    app->client = pulsar_client_new(app->lane, &app->client_options, &err);
    assert_non_null(app->client);
    pulsar_client_get_partitions(app->client, app->options.topic, on_partitions, app);
    assert_false(app->got_partitions);
}

static void client_closed(void *ctx) {
    struct app *app = ctx;
    (void)pthread_mutex_lock(&app->lock);
    app->closed = true;
    (void)pthread_cond_signal(&app->changed);
    (void)pthread_mutex_unlock(&app->lock);
}

static void producer_closed(void *ctx) {
    struct app *app = ctx;
    pulsar_client_close(app->client, client_closed, app);
}

static void close_all(void *ctx) {
    struct app *app = ctx;
    if (app->producer != NULL) {
        pulsar_producer_close(app->producer, app->close_timeout_ms, producer_closed, app);
    } else {
        pulsar_client_close(app->client, client_closed, app);
    }
}

/* ---- The test's thread. */

/* Of the group of tests that runs. */
static const char *scheme = "pulsar";
static char trust_file[64];

static struct app *app_new(const struct peer *peer) {
    struct app *app = calloc(1, sizeof *app);
    assert_non_null(app);
    static char url[64];
    (void)snprintf(url, sizeof url, "%s://127.0.0.1:%u", scheme, peer->port);
    app->client_options = (struct pulsar_client_options){
        .service_url = str_of(url),
        .tls_trust_certs_file = str_of(trust_file),
        .client_version = STR("test-1"),
        .backoff_initial_ms = 5,
        .backoff_max_ms = 20,
    };
    app->options = (struct pulsar_producer_options){.topic = STR("t"), .batch_max_messages = 10};
    app->wanted = 100;
    app->with_keys = true;
    (void)pthread_mutex_init(&app->lock, NULL);
    (void)pthread_cond_init(&app->changed, NULL);
    struct err err = ERR_NONE;
    app->lane = lane_new(0, &err);
    assert_non_null(app->lane);
    return app;
}

static void run_on_lane(struct app *app, lane_fn *fn) {
    static struct lane_message messages[4];
    static size_t next;
    lane_post(app->lane, &messages[next++ % 4], fn, app);
}

/* Waits until the condition holds; a test that hangs fails. */
#define WAIT_FOR(app, condition)                                                                   \
    do {                                                                                           \
        struct timespec until;                                                                     \
        (void)clock_gettime(CLOCK_REALTIME, &until);                                               \
        until.tv_sec += PATIENCE_S;                                                                \
        int waited = 0;                                                                            \
        (void)pthread_mutex_lock(&(app)->lock);                                                    \
        while (!(condition) && waited == 0) {                                                      \
            waited = pthread_cond_timedwait(&(app)->changed, &(app)->lock, &until);                \
        }                                                                                          \
        bool holds = (condition);                                                                  \
        (void)pthread_mutex_unlock(&(app)->lock);                                                  \
        assert_true(holds);                                                                        \
    } while (0)

static void app_close(struct app *app) {
    run_on_lane(app, close_all);
    WAIT_FOR(app, app->closed);
    lane_free(app->lane);
    aws_thread_join_all_managed();
}

static void app_free(struct app *app) {
    (void)pthread_cond_destroy(&app->changed);
    (void)pthread_mutex_destroy(&app->lock);
    free(app);
}

/* Opens, sends all, waits for all receipts, closes. */
static void run_to_the_end(struct app *app, struct peer *peer) {
    peer_start(peer);
    app->close_timeout_ms = 10000;
    run_on_lane(app, open_producer);
    WAIT_FOR(app, app->acked == app->wanted);
    app_close(app);
    assert_int_equal(app->failed_count, 0);
    assert_int_equal(app->ready_count, 1);
    assert_int_equal(app->stats.in_flight, 0);
    assert_int_equal(app->stats.in_flight_bytes, 0);
    assert_int_equal(app->stats.acked, app->wanted);
}

/* Every token once, and those of a partition in the order of sending. */
static void check_receipts(const struct app *app) {
    static bool seen[MAX_MESSAGES];
    memset(seen, 0, sizeof seen);
    uint64_t last[8] = {0};
    bool any[8] = {false};
    for (size_t i = 0; i < app->acked; i++) {
        uint64_t token = app->tokens[i];
        assert_true(token < app->wanted && !seen[token]);
        seen[token] = true;
        uint32_t partition = app->partition_of[token];
        assert_true(partition < 8);
        assert_true(!any[partition] || last[partition] < token);
        any[partition] = true;
        last[partition] = token;
    }
}

/* What was taken was reported, each once. */
static void check_reports(const struct app *app) {
    static bool seen[MAX_MESSAGES];
    memset(seen, 0, sizeof seen);
    assert_int_equal(app->acked + app->undelivered, app->taken);
    for (size_t i = 0; i < app->taken; i++) {
        uint64_t token = i < app->acked ? app->tokens[i] : app->given_up[i - app->acked];
        assert_true(token < app->taken && !seen[token]);
        seen[token] = true;
    }
}

/* The SENDs of a connection carry ids without a gap; returns the first. */
static uint64_t check_sequence(const struct peer *peer, int connection, uint64_t producer_id,
                               uint64_t *ret_next) {
    uint64_t first = UINT64_MAX;
    uint64_t next = 0;
    const struct peer_event *event;
    for (size_t i = 0;
         (event = peer_find(peer, connection, PULSAR__BASE_COMMAND__TYPE__SEND, i)) != NULL; i++) {
        const Pulsar__CommandSend *send = event->command->send;
        if (send->producer_id != producer_id) {
            continue;
        }
        if (first == UINT64_MAX) {
            first = send->sequence_id;
        } else {
            assert_true(send->sequence_id == next);
        }
        assert_int_equal(send->highest_sequence_id - send->sequence_id + 1, send->num_messages);
        next = send->highest_sequence_id + 1;
    }
    *ret_next = next;
    return first;
}

static bool same_frame(const struct peer_event *a, const struct peer_event *b) {
    return a->len == b->len && memcmp(a->frame, b->frame, a->len) == 0;
}

static void three_partitions(void **state) {
    (void)state;
    struct peer *peer = peer_new();
    peer->script.partitions = 3;
    peer->script.strange = true;
    struct app *app = app_new(peer);
    app->wanted = 1000;
    run_to_the_end(app, peer);
    peer_stop(peer);
    check_receipts(app);
    assert_int_equal(app->partitions, 3);
    for (size_t i = 0; i < app->wanted; i++) {
        char key[32];
        key_of(i, key, sizeof key);
        assert_int_equal(app->partition_of[i], routing_murmur3(str_of(key)) % 3);
    }
    assert_int_equal(peer_count(peer, PULSAR__BASE_COMMAND__TYPE__CONNECT), 1);
    assert_int_equal(peer_count(peer, PULSAR__BASE_COMMAND__TYPE__PONG), 1);
    assert_int_equal(peer_count(peer, PULSAR__BASE_COMMAND__TYPE__LOOKUP), 3);
    assert_int_equal(peer_count(peer, PULSAR__BASE_COMMAND__TYPE__PRODUCER), 3);
    assert_int_equal(peer_count(peer, PULSAR__BASE_COMMAND__TYPE__CLOSE_PRODUCER), 3);
    for (size_t i = 0; i < 3; i++) {
        const Pulsar__CommandProducer *producer =
            peer_find(peer, 1, PULSAR__BASE_COMMAND__TYPE__PRODUCER, i)->command->producer;
        char topic[64];
        (void)snprintf(topic, sizeof topic, "persistent://public/default/t-partition-%zu", i);
        assert_string_equal(producer->topic, topic);
        assert_null(producer->producer_name);
        assert_false(producer->user_provided_producer_name);
        assert_int_equal(producer->epoch, 0);
        uint64_t next;
        assert_int_equal(check_sequence(peer, 1, producer->producer_id, &next), 0);
    }
    const Pulsar__CommandConnect *connect =
        peer_find(peer, 1, PULSAR__BASE_COMMAND__TYPE__CONNECT, 0)->command->connect;
    assert_string_equal(connect->client_version, "test-1");
    assert_int_equal(connect->protocol_version, 20);
    assert_true(connect->feature_flags->supports_auth_refresh);
    assert_null(connect->proxy_to_broker_url);
    app_free(app);
    peer_free(peer);
}

/* After a fault on the first connection, what was sent there
 * comes again byte for byte, then the rest. */
static void check_resent(struct app *app, const struct peer *first, int first_connection,
                         const struct peer *second, int second_connection) {
    check_receipts(app);
    size_t count = 0;
    const struct peer_event *before;
    while ((before = peer_find(first, first_connection, PULSAR__BASE_COMMAND__TYPE__SEND, count)) !=
           NULL) {
        const struct peer_event *after =
            peer_find(second, second_connection, PULSAR__BASE_COMMAND__TYPE__SEND, count);
        assert_non_null(after);
        assert_true(same_frame(before, after));
        count++;
    }
    assert_in_range(count, 3, 10);
    uint64_t next;
    assert_int_equal(check_sequence(second, second_connection, 1, &next), 0);
    assert_int_equal(next, app->wanted);
    assert_in_range(app->stats.resent_frames, count, 10);
    assert_int_equal(app->stats.reconnects, 1);
    assert_int_equal(app->lost_count, 1);
    assert_int_equal(app->again_count, 1);
}

static void connection_cut(void **state) {
    (void)state;
    struct peer *peer = peer_new();
    peer->script.cut_after = 3;
    struct app *app = app_new(peer);
    app->value_len = 2000;
    run_to_the_end(app, peer);
    peer_stop(peer);
    check_resent(app, peer, 1, peer, 2);
    assert_int_equal(app->partitions, 1);
    const Pulsar__CommandProducer *again =
        peer_find(peer, 2, PULSAR__BASE_COMMAND__TYPE__PRODUCER, 0)->command->producer;
    assert_int_equal(again->epoch, 1);
    assert_string_equal(again->producer_name, "generated");
    assert_false(again->user_provided_producer_name);
    app_free(app);
    peer_free(peer);
}

static void close_producer(void **state) {
    (void)state;
    struct peer *peer = peer_new();
    peer->script.close_producer_after = 3;
    struct app *app = app_new(peer);
    app->options.name = STR("mine");
    run_to_the_end(app, peer);
    peer_stop(peer);
    check_receipts(app);
    assert_int_equal(peer_count(peer, PULSAR__BASE_COMMAND__TYPE__CONNECT), 1);
    assert_int_equal(peer_count(peer, PULSAR__BASE_COMMAND__TYPE__LOOKUP), 2);
    assert_int_equal(peer_count(peer, PULSAR__BASE_COMMAND__TYPE__CLOSE_PRODUCER), 1);
    const Pulsar__CommandProducer *again =
        peer_find(peer, 1, PULSAR__BASE_COMMAND__TYPE__PRODUCER, 1)->command->producer;
    assert_int_equal(again->epoch, 1);
    assert_string_equal(again->producer_name, "mine");
    assert_true(again->user_provided_producer_name);
    /* On the one connection the first frames come twice, the same. */
    assert_true(app->stats.resent_frames >= 3);
    for (size_t i = 0; i < 3; i++) {
        const struct peer_event *first = peer_find(peer, 1, PULSAR__BASE_COMMAND__TYPE__SEND, i);
        const struct peer_event *second = peer_find(peer, 1, PULSAR__BASE_COMMAND__TYPE__SEND,
                                                    i + (size_t)app->stats.resent_frames);
        assert_true(same_frame(first, second));
    }
    app_free(app);
    peer_free(peer);
}

static void close_producer_with_the_new_broker(void **state) {
    (void)state;
    struct peer *peer = peer_new();
    struct peer *other = peer_new();
    peer->script.close_producer_after = 3;
    peer->script.assigned_port = other->port;
    peer_start(other);
    struct app *app = app_new(peer);
    run_to_the_end(app, peer);
    peer_stop(peer);
    peer_stop(other);
    check_resent(app, peer, 1, other, 1);
    assert_int_equal(peer_count(peer, PULSAR__BASE_COMMAND__TYPE__LOOKUP), 1);
    assert_int_equal(peer_count(other, PULSAR__BASE_COMMAND__TYPE__LOOKUP), 0);
    app_free(app);
    peer_free(peer);
    peer_free(other);
}

static void topic_migrated(void **state) {
    (void)state;
    struct peer *peer = peer_new();
    struct peer *other = peer_new();
    peer->script.migrate_after = 3;
    peer->script.assigned_port = other->port;
    peer_start(other);
    struct app *app = app_new(peer);
    run_to_the_end(app, peer);
    peer_stop(peer);
    peer_stop(other);
    check_resent(app, peer, 1, other, 1);
    assert_int_equal(peer_count(other, PULSAR__BASE_COMMAND__TYPE__LOOKUP), 1);
    app_free(app);
    peer_free(peer);
    peer_free(other);
}

static void send_error_that_passes(void **state) {
    (void)state;
    static const int errors[] = {PULSAR__SERVER_ERROR__PersistenceError,
                                 PULSAR__SERVER_ERROR__ChecksumError,
                                 PULSAR__SERVER_ERROR__AuthorizationError,
                                 PULSAR__SERVER_ERROR__ProducerBlockedQuotaExceededException, 99};
    for (size_t i = 0; i < sizeof errors / sizeof errors[0]; i++) {
        struct peer *peer = peer_new();
        peer->script.send_error_after = 3;
        peer->script.send_error_with = errors[i];
        struct app *app = app_new(peer);
        run_to_the_end(app, peer);
        peer_stop(peer);
        check_receipts(app);
        assert_int_equal(peer_count(peer, PULSAR__BASE_COMMAND__TYPE__CONNECT), 1);
        /* Ours before the second PRODUCER, and the one at the end. */
        assert_int_equal(peer_count(peer, PULSAR__BASE_COMMAND__TYPE__CLOSE_PRODUCER), 2);
        assert_int_equal(peer_count(peer, PULSAR__BASE_COMMAND__TYPE__PRODUCER), 2);
        app_free(app);
        peer_free(peer);
    }
}

static void send_error_for_good(void **state) {
    (void)state;
    static const struct {
        int error;
        enum err_code code;
    } errors[] = {
        {PULSAR__SERVER_ERROR__TopicTerminatedError, ERR_PULSAR_TERMINATED},
        {PULSAR__SERVER_ERROR__ProducerFenced, ERR_PULSAR_FENCED},
        {PULSAR__SERVER_ERROR__TopicNotFound, ERR_PULSAR_NO_TOPIC},
    };
    for (size_t i = 0; i < sizeof errors / sizeof errors[0]; i++) {
        struct peer *peer = peer_new();
        peer->script.partitions = 2;
        peer->script.send_error_after = 3;
        peer->script.send_error_with = errors[i].error;
        struct app *app = app_new(peer);
        peer_start(peer);
        run_on_lane(app, open_producer);
        WAIT_FOR(app, app->failed_count > 0);
        app_close(app);
        assert_int_equal(app->failed_count, 1);
        check_reports(app);
        assert_int_equal(app->undelivered_error.code, errors[i].code);
        assert_int_equal(app->error.code, errors[i].code);
        assert_non_null(strstr(app->error.text, "persistent://public/default/t-partition-"));
        assert_non_null(strstr(app->error.text, "127.0.0.1:"));
        app_free(app);
        peer_free(peer);
    }
}

static void not_ready_then_ready(void **state) {
    (void)state;
    struct peer *peer = peer_new();
    peer->script.partitions = 2;
    peer->script.refuse_metadata = 2;
    peer->script.refuse_metadata_with = PULSAR__SERVER_ERROR__ServiceNotReady;
    peer->script.refuse_lookups = 3;
    peer->script.refuse_lookups_with = PULSAR__SERVER_ERROR__ServiceNotReady;
    peer->script.refuse_producers = 3;
    peer->script.refuse_producers_with = PULSAR__SERVER_ERROR__ProducerBusy;
    struct app *app = app_new(peer);
    app->options.wait_for_name = true;
    run_to_the_end(app, peer);
    peer_stop(peer);
    check_receipts(app);
    assert_int_equal(peer_count(peer, PULSAR__BASE_COMMAND__TYPE__PARTITIONED_METADATA), 3);
    assert_int_equal(peer_count(peer, PULSAR__BASE_COMMAND__TYPE__LOOKUP), 2 + 3 + 3);
    assert_int_equal(peer_count(peer, PULSAR__BASE_COMMAND__TYPE__PRODUCER), 2 + 3);
    app_free(app);
    peer_free(peer);
}

static void check_creation_fails(struct peer *peer, enum err_code code, const char *text) {
    struct app *app = app_new(peer);
    app->options.create_timeout_ms = 20000;
    peer_start(peer);
    run_on_lane(app, open_producer);
    WAIT_FOR(app, app->failed_count > 0);
    app_close(app);
    assert_int_equal(app->failed_count, 1);
    assert_int_equal(app->ready_count, 0);
    assert_int_equal(app->taken, 0);
    assert_int_equal(app->error.code, code);
    assert_non_null(strstr(app->error.text, "topic persistent://public/default/t"));
    assert_non_null(strstr(app->error.text, "127.0.0.1:"));
    assert_non_null(strstr(app->error.text, text));
    app_free(app);
    peer_free(peer);
}

static void creation_fails_for_good(void **state) {
    (void)state;
    struct peer *peer = peer_new();
    peer->script.refuse_metadata = PEER_NEVER;
    peer->script.refuse_metadata_with = PULSAR__SERVER_ERROR__TopicNotFound;
    check_creation_fails(peer, ERR_PULSAR_NO_TOPIC, "create the topic");

    peer = peer_new();
    peer->script.refuse_lookups = PEER_NEVER;
    peer->script.refuse_lookups_with = PULSAR__SERVER_ERROR__AuthorizationError;
    check_creation_fails(peer, ERR_PULSAR_DENIED, "permission");

    peer = peer_new();
    peer->script.refuse_producers = PEER_NEVER;
    peer->script.refuse_producers_with = PULSAR__SERVER_ERROR__IncompatibleSchema;
    check_creation_fails(peer, ERR_PULSAR_REFUSED, "schema");

    peer = peer_new();
    peer->script.refuse_connect_with = PULSAR__SERVER_ERROR__AuthenticationError;
    check_creation_fails(peer, ERR_PULSAR_AUTH, "authParams");
}

static void creation_times_out(void **state) {
    (void)state;
    /* Nobody listens. */
    struct peer *peer = peer_new();
    peer_start(peer);
    peer_stop(peer);
    struct app *app = app_new(peer);
    app->options.create_timeout_ms = 300;
    run_on_lane(app, open_producer);
    WAIT_FOR(app, app->failed_count > 0);
    app_close(app);
    char where[32];
    (void)snprintf(where, sizeof where, "127.0.0.1:%u", peer->port);
    assert_int_equal(app->error.code, ERR_PULSAR_TRANSPORT);
    assert_non_null(strstr(app->error.text, where));
    assert_non_null(strstr(app->error.text, "refused"));
    assert_int_equal(app->lost_count, 1);
    app_free(app);
    peer_free(peer);

    /* The last error is told, also when it would have passed. */
    peer = peer_new();
    peer->script.refuse_producers = PEER_NEVER;
    peer->script.refuse_producers_with = PULSAR__SERVER_ERROR__ProducerBusy;
    app = app_new(peer);
    app->options.create_timeout_ms = 300;
    peer_start(peer);
    run_on_lane(app, open_producer);
    WAIT_FOR(app, app->failed_count > 0);
    app_close(app);
    assert_int_equal(app->error.code, ERR_PULSAR_BUSY);
    app_free(app);
    peer_free(peer);
}

static void silent_creation_is_closed_and_repeated(void **state) {
    (void)state;
    struct peer *peer = peer_new();
    peer->script.silent_producers = true;
    struct app *app = app_new(peer);
    app->client_options.operation_timeout_ms = 50;
    app->options.create_timeout_ms = 1000;
    peer_start(peer);
    run_on_lane(app, open_producer);
    WAIT_FOR(app, app->failed_count > 0);
    app_close(app);
    peer_stop(peer);
    assert_int_equal(app->error.code, ERR_PULSAR_NOT_READY);
    const struct peer_event *second = peer_find(peer, 1, PULSAR__BASE_COMMAND__TYPE__PRODUCER, 1);
    const struct peer_event *close =
        peer_find(peer, 1, PULSAR__BASE_COMMAND__TYPE__CLOSE_PRODUCER, 0);
    assert_non_null(second);
    assert_true(close != NULL && close < second);
    app_free(app);
    peer_free(peer);
}

static void redirected_and_through_a_proxy(void **state) {
    (void)state;
    struct peer *peer = peer_new();
    struct peer *other = peer_new();
    peer->script.redirect_port = other->port;
    peer_start(other);
    struct app *app = app_new(peer);
    run_to_the_end(app, peer);
    peer_stop(peer);
    peer_stop(other);
    check_receipts(app);
    const struct peer_event *lookup = peer_find(other, 1, PULSAR__BASE_COMMAND__TYPE__LOOKUP, 0);
    assert_non_null(lookup);
    assert_true(lookup->command->lookup->authoritative);
    assert_int_equal(peer_count(peer, PULSAR__BASE_COMMAND__TYPE__PRODUCER), 0);
    app_free(app);
    peer_free(peer);
    peer_free(other);

    peer = peer_new();
    peer->script.proxy = true;
    app = app_new(peer);
    run_to_the_end(app, peer);
    peer_stop(peer);
    char broker[32];
    (void)snprintf(broker, sizeof broker, "broker.invalid:%u", peer->port);
    const struct peer_event *connect = peer_find(peer, 2, PULSAR__BASE_COMMAND__TYPE__CONNECT, 0);
    assert_non_null(connect);
    assert_string_equal(connect->command->connect->proxy_to_broker_url, broker);
    app_free(app);
    peer_free(peer);
}

static void redirected_in_circles(void **state) {
    (void)state;
    struct peer *peer = peer_new();
    peer->script.redirect_port = peer->port;
    struct app *app = app_new(peer);
    app->options.create_timeout_ms = 500;
    peer_start(peer);
    run_on_lane(app, open_producer);
    WAIT_FOR(app, app->failed_count > 0);
    app_close(app);
    assert_int_equal(app->error.code, ERR_PULSAR_NOT_READY);
    assert_non_null(strstr(app->error.text, "redirected"));
    app_free(app);
    peer_free(peer);
}

static void token_shown_and_refreshed(void **state) {
    (void)state;
    struct peer *peer = peer_new();
    peer->script.challenge = true;
    struct app *app = app_new(peer);
    app->client_options.auth_plugin = STR("token");
    app->client_options.auth_params = STR("token:a.b.c");
    run_to_the_end(app, peer);
    peer_stop(peer);
    const Pulsar__CommandConnect *connect =
        peer_find(peer, 1, PULSAR__BASE_COMMAND__TYPE__CONNECT, 0)->command->connect;
    assert_string_equal(connect->auth_method_name, "token");
    assert_int_equal(connect->auth_data.len, 5);
    assert_memory_equal(connect->auth_data.data, "a.b.c", 5);
    const Pulsar__CommandAuthResponse *response =
        peer_find(peer, 1, PULSAR__BASE_COMMAND__TYPE__AUTH_RESPONSE, 0)->command->auth_response;
    assert_string_equal(response->response->auth_method_name, "token");
    assert_memory_equal(response->response->auth_data.data, "a.b.c", 5);
    app_free(app);
    peer_free(peer);
}

static void little_room(void **state) {
    (void)state;
    struct peer *peer = peer_new();
    peer->script.partitions = 3;
    struct app *app = app_new(peer);
    app->wanted = 500;
    app->options.max_pending_messages = 7;
    run_to_the_end(app, peer);
    check_receipts(app);
    assert_true(app->full_count > 10);
    app_free(app);
    peer_free(peer);

    peer = peer_new();
    peer->script.partitions = 3;
    app = app_new(peer);
    app->wanted = 500;
    app->value_len = 5000;
    app->options.max_pending_bytes = 20000; /* less than a batch */
    run_to_the_end(app, peer);
    check_receipts(app);
    assert_true(app->full_count > 10);
    app_free(app);
    peer_free(peer);
}

static void more_than_the_socket_takes(void **state) {
    (void)state;
    struct peer *peer = peer_new();
    peer->script.partitions = 3;
    struct app *app = app_new(peer);
    app->wanted = 1500;
    app->value_len = 20000;
    app->options.batch_max_messages = 50;
    app->options.batch_max_bytes = 1024 * 1024;
    run_to_the_end(app, peer);
    check_receipts(app);
    app_free(app);
    peer_free(peer);
}

static void one_by_one(void **state) {
    (void)state;
    struct peer *peer = peer_new();
    struct app *app = app_new(peer);
    app->options.batching = PULSAR_BATCHING_NONE;
    run_to_the_end(app, peer);
    peer_stop(peer);
    check_receipts(app);
    assert_int_equal(peer_count(peer, PULSAR__BASE_COMMAND__TYPE__SEND), 100);
    const Pulsar__CommandSend *last =
        peer_find(peer, 1, PULSAR__BASE_COMMAND__TYPE__SEND, 99)->command->send;
    assert_int_equal(last->sequence_id, 99);
    assert_int_equal(last->num_messages, 1);
    app_free(app);
    peer_free(peer);
}

static void without_keys_partitions_take_turns(void **state) {
    (void)state;
    struct peer *peer = peer_new();
    peer->script.partitions = 4;
    struct app *app = app_new(peer);
    app->with_keys = false;
    app->wanted = 80; /* eight full batches */
    run_to_the_end(app, peer);
    peer_stop(peer);
    check_receipts(app);
    for (size_t i = 0; i < app->wanted; i++) {
        assert_int_equal(app->partition_of[i], (app->partition_of[0] + i / 10) % 4);
    }
    app_free(app);
    peer_free(peer);
}

static void too_large_is_refused(void **state) {
    (void)state;
    struct peer *peer = peer_new();
    peer->script.max_message_size = 10000;
    struct app *app = app_new(peer);
    app->value_len = 10000;
    app->wanted = 1;
    peer_start(peer);
    run_on_lane(app, open_producer);
    WAIT_FOR(app, err_is_set(&app->error));
    app_close(app);
    assert_int_equal(app->error.code, ERR_PULSAR_TOO_LARGE);
    assert_int_equal(app->taken, 0);
    assert_int_equal(app->failed_count, 0);
    app_free(app);
    peer_free(peer);
}

static void duplicates_are_receipts(void **state) {
    (void)state;
    struct peer *peer = peer_new();
    peer->script.duplicates = true;
    struct app *app = app_new(peer);
    run_to_the_end(app, peer);
    check_receipts(app);
    assert_int_equal(app->duplicates, app->wanted);
    app_free(app);
    peer_free(peer);
}

static void receipt_out_of_order(void **state) {
    (void)state;
    struct peer *peer = peer_new();
    peer->script.future_receipt = true;
    struct app *app = app_new(peer);
    run_to_the_end(app, peer);
    peer_stop(peer);
    check_receipts(app);
    assert_int_equal(peer_count(peer, PULSAR__BASE_COMMAND__TYPE__CONNECT), 2);
    app_free(app);
    peer_free(peer);
}

static void silent_peer(void **state) {
    (void)state;
    /* Closing does not wait for it for ever. */
    struct peer *peer = peer_new();
    peer->script.partitions = 2;
    peer->script.silent = true;
    struct app *app = app_new(peer);
    app->close_timeout_ms = 100;
    peer_start(peer);
    run_on_lane(app, open_producer);
    WAIT_FOR(app, app->taken == app->wanted);
    app_close(app);
    assert_int_equal(app->acked, 0);
    check_reports(app);
    assert_int_equal(app->undelivered_error.code, ERR_CANCELLED);
    assert_true(app->maybe_stored > 0);
    assert_int_equal(app->failed_count, 0);
    peer_stop(peer);
    assert_int_equal(peer_count(peer, PULSAR__BASE_COMMAND__TYPE__CLOSE_PRODUCER), 2);
    app_free(app);
    peer_free(peer);

    /* After sendTimeout what waited is given up, and the producer goes on. */
    peer = peer_new();
    peer->script.silent = true;
    app = app_new(peer);
    app->options.send_timeout_ms = 100;
    peer_start(peer);
    run_on_lane(app, open_producer);
    WAIT_FOR(app, app->undelivered == app->wanted);
    app_close(app);
    assert_int_equal(app->failed_count, 0);
    check_reports(app);
    assert_non_null(strstr(app->undelivered_error.text, "sendTimeout"));
    app_free(app);
    peer_free(peer);

    /* A PING without an answer ends the connection. */
    peer = peer_new();
    peer->script.silent = true;
    app = app_new(peer);
    app->client_options.keep_alive_ms = 50;
    peer_start(peer);
    run_on_lane(app, open_producer);
    WAIT_FOR(app, app->again_count >= 1);
    app_close(app);
    peer_stop(peer);
    assert_non_null(peer_find(peer, 1, PULSAR__BASE_COMMAND__TYPE__PING, 0));
    assert_non_null(peer_find(peer, 2, PULSAR__BASE_COMMAND__TYPE__PRODUCER, 0));
    app_free(app);
    peer_free(peer);
}

static void closed_before_it_was_open(void **state) {
    (void)state;
    struct peer *peer = peer_new(); /* accepts, but nobody serves */
    struct app *app = app_new(peer);
    run_on_lane(app, open_producer);
    app_close(app);
    assert_int_equal(app->ready_count, 0);
    assert_int_equal(app->failed_count, 0);
    app_free(app);
    peer_free(peer);
}

static void partitions_of_a_topic(void **state) {
    (void)state;
    struct peer *peer = peer_new();
    peer->script.partitions = 12;
    struct app *app = app_new(peer);
    peer_start(peer);
    run_on_lane(app, ask_partitions);
    WAIT_FOR(app, app->got_partitions);
    app_close(app);
    peer_stop(peer);
    assert_false(err_is_set(&app->got_error));
    assert_int_equal(app->partitions_got, 12);
    const Pulsar__CommandPartitionedTopicMetadata *question =
        peer_find(peer, 1, PULSAR__BASE_COMMAND__TYPE__PARTITIONED_METADATA, 0)
            ->command->partitioned_metadata;
    assert_string_equal(question->topic, "persistent://public/default/t");
    assert_false(question->metadata_auto_creation_enabled);
    app_free(app);
    peer_free(peer);

    peer = peer_new();
    peer->script.refuse_metadata = PEER_NEVER;
    peer->script.refuse_metadata_with = PULSAR__SERVER_ERROR__TopicNotFound;
    app = app_new(peer);
    peer_start(peer);
    run_on_lane(app, ask_partitions);
    WAIT_FOR(app, app->got_partitions);
    app_close(app);
    assert_int_equal(app->got_error.code, ERR_PULSAR_NO_TOPIC);
    app_free(app);
    peer_free(peer);

    /* Closing the client answers what is still open; a wrong name is answered like anything else.
     */
    peer = peer_new();
    app = app_new(peer);
    run_on_lane(app, ask_partitions);
    app_close(app);
    assert_int_equal(app->got_error.code, ERR_CANCELLED);
    app_free(app);
    app = app_new(peer);
    app->options.topic = STR("no topic");
    run_on_lane(app, ask_partitions);
    WAIT_FOR(app, app->got_partitions);
    app_close(app);
    assert_int_equal(app->got_error.code, ERR_CONFIG);
    app_free(app);
    peer_free(peer);
}

static void next_host_of_the_url(void **state) {
    (void)state;
    struct peer *dead = peer_new();
    peer_start(dead);
    peer_stop(dead);
    struct peer *peer = peer_new();
    struct app *app = app_new(peer);
    char url[96];
    (void)snprintf(url, sizeof url, "%s://127.0.0.1:%u,127.0.0.1:%u", scheme, dead->port,
                   peer->port);
    app->client_options.service_url = str_of(url);
    run_to_the_end(app, peer);
    check_receipts(app);
    app_free(app);
    peer_free(peer);
    peer_free(dead);
}

static void wrong_settings(void **state) {
    (void)state;
    struct err err = ERR_NONE;
    struct lane *lane = lane_new(0, &err);
    struct pulsar_client_options options = {.service_url = STR("http://a")};
    assert_null(pulsar_client_new(lane, &options, &err));
    assert_int_equal(err.code, ERR_CONFIG);
    options.service_url = STR("pulsar+ssl://a");
    options.tls_trust_certs_file = STR("/nowhere/ca.pem");
    err = ERR_NONE;
    assert_null(pulsar_client_new(lane, &options, &err));
    assert_int_equal(err.code, ERR_CONFIG);
    assert_non_null(strstr(err.text, "/nowhere/ca.pem"));
    options.tls_trust_certs_file = STR_NONE;
    options.tls_certificate_file = STR("/nowhere/cert.pem");
    err = ERR_NONE;
    assert_null(pulsar_client_new(lane, &options, &err));
    assert_int_equal(err.code, ERR_CONFIG);
    assert_non_null(strstr(err.text, "tlsKeyFilePath"));
    options.tls_certificate_file = STR_NONE;
    options.service_url = STR("pulsar://a");
    options.auth_plugin = STR("AuthenticationOAuth2");
    err = ERR_NONE;
    assert_null(pulsar_client_new(lane, &options, &err));
    assert_int_equal(err.code, ERR_CONFIG);
    options.auth_plugin = STR("tls"); /* there is no TLS to show it in */
    options.auth_params = STR("tlsCertFile:/c.pem,tlsKeyFile:/k.pem");
    err = ERR_NONE;
    assert_null(pulsar_client_new(lane, &options, &err));
    assert_int_equal(err.code, ERR_CONFIG);
    assert_non_null(strstr(err.text, "pulsar+ssl://"));
    lane_free(lane);
    aws_thread_join_all_managed();
}

/* Whose certificate is not trusted at the start is not tried again: it is a matter of settings. */
static void untrusted(void **state) {
    (void)state;
    struct peer *peer = peer_new();
    struct app *app = app_new(peer);
    app->client_options.tls_trust_certs_file = STR_NONE; /* the system's store does not know it */
    peer_start(peer);
    run_on_lane(app, open_producer);
    WAIT_FOR(app, app->failed_count > 0);
    app_close(app);
    assert_int_equal(app->error.code, ERR_PULSAR_TLS);
    assert_non_null(strstr(app->error.text, "signed by nobody whom the system's store trusts"));
    app_free(app);
    peer_free(peer);
}

static SSL_CTX *server_context;

static int start_tls(void **state) {
    (void)state;
    const char *tmp = getenv("TMPDIR");
    (void)snprintf(trust_file, sizeof trust_file, "%s/test_producer.XXXXXX",
                   tmp != NULL ? tmp : "/tmp");
    int fd = mkstemp(trust_file);
    assert_true(fd >= 0);
    (void)close(fd);
    struct cert_options options = {.name = "peers", .names = "IP:127.0.0.1"};
    struct cert cert = cert_make(&options);
    cert_write(&cert, NULL, trust_file, NULL);
    server_context = cert_server_context(&cert);
    cert_free(&cert);
    peer_use_tls(server_context);
    scheme = "pulsar+ssl";
    return 0;
}

static int end_tls(void **state) {
    (void)state;
    peer_use_tls(NULL);
    SSL_CTX_free(server_context);
    return unlink(trust_file);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(three_partitions),
        cmocka_unit_test(connection_cut),
        cmocka_unit_test(close_producer),
        cmocka_unit_test(close_producer_with_the_new_broker),
        cmocka_unit_test(topic_migrated),
        cmocka_unit_test(send_error_that_passes),
        cmocka_unit_test(send_error_for_good),
        cmocka_unit_test(not_ready_then_ready),
        cmocka_unit_test(creation_fails_for_good),
        cmocka_unit_test(creation_times_out),
        cmocka_unit_test(silent_creation_is_closed_and_repeated),
        cmocka_unit_test(redirected_and_through_a_proxy),
        cmocka_unit_test(redirected_in_circles),
        cmocka_unit_test(token_shown_and_refreshed),
        cmocka_unit_test(little_room),
        cmocka_unit_test(more_than_the_socket_takes),
        cmocka_unit_test(one_by_one),
        cmocka_unit_test(without_keys_partitions_take_turns),
        cmocka_unit_test(too_large_is_refused),
        cmocka_unit_test(duplicates_are_receipts),
        cmocka_unit_test(receipt_out_of_order),
        cmocka_unit_test(silent_peer),
        cmocka_unit_test(closed_before_it_was_open),
        cmocka_unit_test(partitions_of_a_topic),
        cmocka_unit_test(next_host_of_the_url),
        cmocka_unit_test(wrong_settings),
    };
    const struct CMUnitTest tls_tests[] = {cmocka_unit_test(untrusted)};
    aws_io_library_init(aws_default_allocator());
    int failed = cmocka_run_group_tests_name("without TLS", tests, NULL, NULL);
    failed += cmocka_run_group_tests_name("with TLS", tests, start_tls, end_tls);
    failed += cmocka_run_group_tests_name("TLS", tls_tests, start_tls, end_tls);
    aws_io_library_clean_up();
    return failed;
}
