#include "pulsar/producer.h"

#include "pulsar/partition_list.h"
#include "pulsar/producer_options.h"
#include "pulsar/report.h"
#include "pulsar/routing.h"
#include "pulsar/topic.h"

#include <aws/common/encoding.h>

#include <inttypes.h>
#include <stdlib.h>

enum {
    CLOSE_WAIT_MS = 1000, /* for the broker's answers to CLOSE_PRODUCER */
    MAX_BINARY_KEY = 1024 * 1024,
};

enum producer_phase {
    PRODUCER_ASKING,   /* how many partitions there are */
    PRODUCER_CREATING, /* not all partitions have been ready */
    PRODUCER_READY,
    PRODUCER_FAILED,
};

enum producer_end {
    PRODUCER_OPEN,
    PRODUCER_DRAINING, /* pulsar_producer_close was called: waits for receipts */
    PRODUCER_CLOSING,  /* waits for the brokers */
};

struct pulsar_producer {
    struct partition_shared shared;
    struct pulsar_producer_events events;
    void *ctx;
    char *topic;
    enum pulsar_hashing hashing;
    uint32_t max_pending_messages;
    uint32_t send_timeout_ms;
    uint32_t create_timeout_ms;
    uint32_t pinned_partitions; /* 0: all */
    uint32_t update_ms;         /* 0: never */
    enum producer_phase phase;
    enum producer_end end;

    struct lookup lookup;
    struct backoff backoff;
    struct lane_timer ask_timer; /* for the partitions, first and again */
    struct lane_timer create_timer;
    struct err last_error;   /* why it is not ready yet */
    enum err_code told_lost; /* of the question for the partitions: the last reason told */

    struct partition_list partitions;
    uint32_t turn;  /* of messages without a key */
    struct buf key; /* a binary key as base64 */
    bool blocked;   /* owes `writable` */
    struct client_waiter waiter;
    struct lane_timer send_timer;

    lane_fn *close_done;
    void *close_ctx;
    struct lane_timer close_timer;
};

static struct lane *lane_of(const struct pulsar_producer *producer) {
    return client_lane(producer->shared.client);
}

/* shared is the first member of its producer. */
static struct pulsar_producer *of_partition(const struct partition *partition) {
    return (struct pulsar_producer *)partition->shared;
}

static const struct pulsar_producer_stats *stats_of(const struct pulsar_producer *producer) {
    return &producer->shared.outbox.stats;
}

/* ---- The end, good or bad. */

static void cancel_timers(struct pulsar_producer *producer) {
    lookup_cancel(&producer->lookup);
    client_forget_waiter(&producer->waiter);
    lane_timer_cancel(&producer->ask_timer);
    lane_timer_cancel(&producer->create_timer);
    lane_timer_cancel(&producer->send_timer);
}

static void fail(struct pulsar_producer *producer, const struct err *err) {
    if (producer->phase == PRODUCER_FAILED || producer->end == PRODUCER_CLOSING) {
        return;
    }
    producer->phase = PRODUCER_FAILED;
    cancel_timers(producer);
    partition_list_end(&producer->partitions, err);
    if (producer->end == PRODUCER_DRAINING) {
        lane_timer_set_ms(&producer->close_timer, 0); /* there is nothing to wait for */
    }
    producer->events.failed(producer->ctx, err);
}

static void free_producer(struct pulsar_producer *producer) {
    cancel_timers(producer);
    lane_timer_cancel(&producer->close_timer);
    partition_list_done(&producer->partitions);
    client_memory_freed(producer->shared.client);
    compressor_done(&producer->shared.outbox.compressor);
    registration_options_done(&producer->shared.registration);
    buf_done(&producer->key);
    client_count_producer(producer->shared.client, -1);
    free(producer->topic);
    free(producer);
}

/* A lane_fn: the next step of closing is due. */
static void advance_close(void *ctx) {
    struct pulsar_producer *producer = ctx;
    if (producer->end == PRODUCER_DRAINING) {
        struct err err;
        err_set(&err, ERR_CANCELLED, "topic %s: the producer was closed before the receipt came",
                producer->topic);
        producer->end = PRODUCER_CLOSING;
        cancel_timers(producer);
        partition_list_end(&producer->partitions, &err);
        lane_timer_set_ms(&producer->close_timer,
                          partition_list_is_closed(&producer->partitions) ? 0 : CLOSE_WAIT_MS);
        return;
    }
    lane_fn *done = producer->close_done;
    void *done_ctx = producer->close_ctx;
    free_producer(producer);
    done(done_ctx);
}

void pulsar_producer_close(struct pulsar_producer *producer, uint32_t timeout_ms, lane_fn *done,
                           void *ctx) {
    producer->close_done = done;
    producer->close_ctx = ctx;
    producer->end = PRODUCER_DRAINING;
    pulsar_producer_flush(producer);
    bool wait = producer->phase == PRODUCER_READY && stats_of(producer)->in_flight > 0;
    lane_timer_set_ms(&producer->close_timer, wait ? timeout_ms : 0);
}

/* ---- Room. */

static bool has_room(const struct pulsar_producer *producer) {
    const struct pulsar_producer_stats *stats = stats_of(producer);
    /* A quarter free, so that writer and `writable` do not take turns for every batch. */
    uint64_t max_bytes = producer->shared.outbox.max_pending_bytes;
    return stats->in_flight == 0 || (stats->in_flight < producer->max_pending_messages &&
                                     stats->in_flight <= producer->max_pending_messages -
                                                             producer->max_pending_messages / 4 &&
                                     stats->in_flight_bytes <= max_bytes - max_bytes / 4);
}

/* The topic has grown, and waits for the receipts of what was sent before. */
static bool is_switching(const struct pulsar_producer *producer) {
    return producer->phase == PRODUCER_READY && partition_list_has_grown(&producer->partitions);
}

static bool takes_messages(const struct pulsar_producer *producer) {
    return producer->phase == PRODUCER_READY && producer->end == PRODUCER_OPEN &&
           !is_switching(producer);
}

static void tell_writable(struct pulsar_producer *producer) {
    if (!producer->blocked || !takes_messages(producer) || !has_room(producer)) {
        return;
    }
    if (stats_of(producer)->in_flight > 0 && !client_has_memory(producer->shared.client)) {
        client_wait_for_memory(producer->shared.client, &producer->waiter);
        return;
    }
    client_forget_waiter(&producer->waiter);
    producer->blocked = false;
    producer->events.writable(producer->ctx);
}

static void memory_freed(struct client_waiter *waiter) {
    tell_writable(AWS_CONTAINER_OF(waiter, struct pulsar_producer, waiter));
}

static void block(struct pulsar_producer *producer) {
    producer->blocked = true;
    client_wait_for_memory(producer->shared.client, &producer->waiter);
}

/* ---- Growth. A key's messages must not overtake each other on their way to different partitions:
 * the new ones are used once everything before is stored. */

static void advance_growth(struct pulsar_producer *producer) {
    if (!is_switching(producer)) {
        return;
    }
    if (stats_of(producer)->in_flight > 0) {
        pulsar_producer_flush(producer);
        return;
    }
    producer->partitions.used = producer->partitions.made;
    lane_timer_set_ms(&producer->ask_timer, producer->update_ms);
    if (producer->events.grown != NULL && producer->end == PRODUCER_OPEN) {
        producer->events.grown(producer->ctx, producer->partitions.used);
    }
}

/* Something was reported. */
static void after_report(struct pulsar_producer *producer) {
    client_memory_freed(producer->shared.client);
    if (producer->end == PRODUCER_DRAINING && stats_of(producer)->in_flight == 0) {
        lane_timer_set_ms(&producer->close_timer, 0);
    }
    advance_growth(producer);
    tell_writable(producer);
}

/* ---- Waiting too long. */

static void arm_send_timeout(struct pulsar_producer *producer) {
    if (producer->send_timeout_ms > 0 && !producer->send_timer.armed) {
        lane_timer_set_ms(&producer->send_timer, producer->send_timeout_ms);
    }
}

/* A lane_fn: looks at the oldest messages; none gets old unseen, as the timer runs whenever one is
 * in flight. */
static void send_timeout(void *ctx) {
    struct pulsar_producer *producer = ctx;
    uint64_t timeout_ns = (uint64_t)producer->send_timeout_ms * 1000000;
    uint64_t now_ns = lane_now_ns(lane_of(producer));
    uint64_t next_ns = UINT64_MAX;
    for (uint32_t i = 0; i < producer->partitions.made; i++) {
        struct partition *partition = producer->partitions.items[i];
        uint64_t since_ns = outbox_oldest_ns(&partition->outbox);
        if (since_ns == 0) {
            continue;
        }
        if (since_ns + timeout_ns <= now_ns) {
            struct err err;
            err_set(&err, ERR_PULSAR_NOT_READY,
                    "topic %s: a message was not acknowledged within %" PRIu32 " ms (sendTimeout)",
                    partition->topic, producer->send_timeout_ms);
            report_all(partition, &err);
            since_ns = outbox_oldest_ns(&partition->outbox); /* the event may have sent more */
        }
        if (since_ns != 0 && since_ns + timeout_ns < next_ns) {
            next_ns = since_ns + timeout_ns;
        }
    }
    if (next_ns != UINT64_MAX && producer->phase == PRODUCER_READY) {
        lane_timer_set_at_ns(&producer->send_timer, next_ns);
    }
}

/* A lane_fn. */
static void create_timeout(void *ctx) {
    struct pulsar_producer *producer = ctx;
    struct err err = producer->last_error;
    if (!err_is_set(&err)) {
        err_set(&err, ERR_PULSAR_NOT_READY, "topic %s: no answer", producer->topic);
    }
    err_context(&err, "not ready within %" PRIu32 " ms", producer->create_timeout_ms);
    fail(producer, &err);
}

/* ---- The partitions' events. */

static void on_ready(struct partition *partition) {
    struct pulsar_producer *producer = of_partition(partition);
    if (partition->told_lost != ERR_OK) {
        partition->told_lost = ERR_OK;
        producer->shared.outbox.stats.lost_partitions--;
        if (producer->events.connection != NULL) {
            producer->events.connection(producer->ctx, partition->index, NULL);
        }
    }
    partition_list_count(&producer->partitions, partition, true);
    if (producer->phase == PRODUCER_CREATING &&
        producer->partitions.ready == producer->partitions.made) {
        producer->phase = PRODUCER_READY;
        lane_timer_cancel(&producer->create_timer);
        if (producer->update_ms > 0) {
            lane_timer_set_ms(&producer->ask_timer, producer->update_ms);
        }
        producer->events.ready(producer->ctx, producer->partitions.used);
    }
    advance_growth(producer);
    tell_writable(producer);
}

static void on_receipt(struct partition *partition, const struct pulsar_receipt *receipt) {
    struct pulsar_producer *producer = of_partition(partition);
    producer->events.receipt(producer->ctx, receipt);
    after_report(producer);
}

static void on_undelivered(struct partition *partition,
                           const struct pulsar_undelivered *undelivered) {
    struct pulsar_producer *producer = of_partition(partition);
    producer->events.undelivered(producer->ctx, undelivered);
    after_report(producer);
}

static void tell_lost(struct pulsar_producer *producer, uint32_t partition, const struct err *err) {
    if (producer->events.connection != NULL) {
        producer->events.connection(producer->ctx, partition, err);
    }
}

static void on_lost(struct partition *partition, const struct err *err) {
    struct pulsar_producer *producer = of_partition(partition);
    producer->last_error = *err;
    if (partition->told_lost == ERR_OK) {
        producer->shared.outbox.stats.lost_partitions++;
    }
    if (partition->told_lost != err->code) { /* a quota, say, behind a lost connection */
        partition->told_lost = err->code;
        tell_lost(producer, partition->index, err);
    }
}

static void on_queued(struct partition *partition) {
    /* How long it takes is up to the other producer. */
    lane_timer_cancel(&of_partition(partition)->create_timer);
}

static void on_failed(struct partition *partition, const struct err *err) {
    struct pulsar_producer *producer = of_partition(partition);
    if (partition->index < producer->partitions.used) {
        fail(producer, err);
        return;
    }
    /* The topic's growth can wait: what there was before goes on. */
    partition_list_count(&producer->partitions, partition, false);
    partition_reset(partition);
    lane_timer_set_ms(&producer->ask_timer,
                      backoff_next_ms(&producer->backoff, &lane_of(producer)->rng));
    tell_lost(producer, partition->index, err);
}

static bool may_send(const struct partition *partition, const uint64_t *tokens, size_t count) {
    const struct pulsar_producer *producer = of_partition(partition);
    return producer->events.may_send == NULL ||
           producer->events.may_send(producer->ctx, tokens, count);
}

static void on_closed(struct partition *partition) {
    struct pulsar_producer *producer = of_partition(partition);
    if (producer->end == PRODUCER_CLOSING && partition_list_is_closed(&producer->partitions)) {
        lane_timer_set_ms(&producer->close_timer, 0);
    }
}

static const struct partition_events partition_events = {
    .ready = on_ready,
    .receipt = on_receipt,
    .undelivered = on_undelivered,
    .lost = on_lost,
    .queued = on_queued,
    .failed = on_failed,
    .closed = on_closed,
    .may_send = may_send,
};

/* ---- Opening. */

static bool make_partitions(struct pulsar_producer *producer, uint32_t count, struct err *err) {
    return partition_list_make(&producer->partitions, &producer->shared, producer->topic, count,
                               producer->pinned_partitions, err);
}

static void ask_later(struct pulsar_producer *producer, const struct err *err) {
    lane_timer_set_ms(&producer->ask_timer,
                      backoff_next_ms(&producer->backoff, &lane_of(producer)->rng));
    if (producer->told_lost != err->code) {
        producer->told_lost = err->code;
        tell_lost(producer, 0, err);
    }
}

/* How many partitions it has is known, or why not. */
static void asked(struct lookup *lookup, const struct err *failure,
                  const struct lookup_result *result) {
    struct pulsar_producer *producer = AWS_CONTAINER_OF(lookup, struct pulsar_producer, lookup);
    struct err err = failure != NULL ? *failure : ERR_NONE;
    if (failure == NULL && make_partitions(producer, result->partitions, &err)) {
        producer->phase = PRODUCER_CREATING;
        producer->partitions.used = producer->partitions.made;
        producer->turn =
            (uint32_t)rng_below(&lane_of(producer)->rng, producer->partitions.used - 1);
        producer->update_ms = result->partitions == 0 ? 0 : producer->update_ms;
        partition_list_open(&producer->partitions);
        return;
    }
    if (failure != NULL) {
        err_context(&err, "topic %s", producer->topic);
    }
    if (err.class != ERR_CLASS_RETRY && err.class != ERR_CLASS_THROTTLE) {
        fail(producer, &err);
        return;
    }
    producer->last_error = err;
    ask_later(producer, &err);
}

/* Whether it has more than it had. What fails is tried again, for ever. */
static void asked_again(struct lookup *lookup, const struct err *failure,
                        const struct lookup_result *result) {
    struct pulsar_producer *producer = AWS_CONTAINER_OF(lookup, struct pulsar_producer, lookup);
    struct err err = failure != NULL ? *failure : ERR_NONE;
    if (failure != NULL || !make_partitions(producer, result->partitions, &err)) {
        ask_later(producer, &err);
        return;
    }
    producer->told_lost = ERR_OK;
    backoff_reset(&producer->backoff);
    if (producer->partitions.made > producer->partitions.used) {
        partition_list_open(&producer->partitions); /* and then advance_growth */
    } else {
        lane_timer_set_ms(&producer->ask_timer, producer->update_ms);
    }
}

/* A lane_fn. */
static void ask(void *ctx) {
    struct pulsar_producer *producer = ctx;
    bool again = producer->phase == PRODUCER_READY;
    lookup_start(&producer->lookup, producer->shared.client,
                 again ? LOOKUP_PARTITIONS_UNCREATED : LOOKUP_PARTITIONS, producer->topic, NULL,
                 again ? asked_again : asked);
}

static bool init(struct pulsar_producer *producer, const struct pulsar_producer_options *given,
                 struct err *err) {
    struct pulsar_producer_options options = *given;
    producer->topic = topic_full_name(options.topic, err);
    if (producer->topic == NULL || !producer_options_complete(&options, err)) {
        return false;
    }
    struct partition_shared *shared = &producer->shared;
    struct outbox_shared *outbox = &shared->outbox;
    if (!registration_options_init(&shared->registration, &options, err)) {
        return false;
    }
    if (!compressor_init(&outbox->compressor, options.compression)) {
        return err_set(err, ERR_NOMEM, "no memory for a producer");
    }
    shared->events = &partition_events;
    shared->wait_for_name = options.wait_for_name;
    shared->batch_max_delay_ms = options.batch_max_delay_ms;
    outbox->lane = lane_of(producer);
    outbox->pool = client_batches(shared->client);
    outbox->budget = client_memory(shared->client);
    outbox->explicit_ids = options.explicit_sequence_ids;
    outbox->by_key = options.batching == PULSAR_BATCHING_KEY_BASED;
    outbox->max_pending_bytes = options.max_pending_bytes;
    outbox->limits = (struct batch_limits){
        .max_messages = options.batch_max_messages,
        .max_bytes = options.batch_max_bytes,
        .max_message_size = CONNECTION_DEFAULT_MAX_MESSAGE_SIZE,
        .raw = options.batching == PULSAR_BATCHING_NONE,
        .late_ids = outbox->by_key,
        .max_whole_size = options.chunking ? outbox->max_pending_bytes : 0,
    };
    producer->hashing = options.hashing;
    producer->max_pending_messages = options.max_pending_messages;
    producer->send_timeout_ms = options.send_timeout_ms;
    producer->create_timeout_ms = options.create_timeout_ms;
    producer->pinned_partitions = options.partitions;
    bool grows = options.partitions == 0 && !options.explicit_sequence_ids;
    producer->update_ms = grows ? options.partitions_update_ms : 0;
    return true;
}

struct pulsar_producer *pulsar_producer_open(struct pulsar_client *client,
                                             const struct pulsar_producer_options *options,
                                             const struct pulsar_producer_events *events, void *ctx,
                                             struct err *err) {
    struct pulsar_producer *producer = calloc(1, sizeof *producer);
    if (producer == NULL) {
        err_set(err, ERR_NOMEM, "no memory for a producer");
        return NULL;
    }
    producer->shared.client = client;
    producer->events = *events;
    producer->ctx = ctx;
    producer->backoff = client_backoff(client);
    producer->waiter.freed = memory_freed;
    buf_init(&producer->key, 2 * MAX_BINARY_KEY);
    lane_timer_init(&producer->ask_timer, lane_of(producer), ask, producer);
    lane_timer_init(&producer->create_timer, lane_of(producer), create_timeout, producer);
    lane_timer_init(&producer->send_timer, lane_of(producer), send_timeout, producer);
    lane_timer_init(&producer->close_timer, lane_of(producer), advance_close, producer);
    client_count_producer(client, 1);
    if (!init(producer, options, err)) {
        free_producer(producer);
        return NULL;
    }
    if (producer->create_timeout_ms > 0) {
        lane_timer_set_ms(&producer->create_timer, producer->create_timeout_ms);
    }
    lane_timer_set_ms(&producer->ask_timer, 0);
    return producer;
}

/* ---- Sending. */

static struct partition *route(struct pulsar_producer *producer,
                               const struct pulsar_message *message) {
    if (producer->partitions.used == 1) {
        return producer->partitions.items[0];
    }
    if (message->key.ptr == NULL) { /* they take turns, a batch each */
        if (!outbox_has_open(&producer->partitions.items[producer->turn]->outbox)) {
            producer->turn = (producer->turn + 1) % producer->partitions.used;
        }
        return producer->partitions.items[producer->turn];
    }
    uint32_t hash = producer->hashing == PULSAR_HASHING_MURMUR3 ? routing_murmur3(message->key)
                                                                : routing_java_string(message->key);
    return producer->partitions.items[hash % producer->partitions.used];
}

/* Into producer->key. */
static bool encode_key(struct pulsar_producer *producer, struct str key, struct err *err) {
    size_t len = 0;
    if (key.len > MAX_BINARY_KEY ||
        aws_base64_compute_encoded_len(key.len, &len) != AWS_OP_SUCCESS) {
        return err_set(err, ERR_PULSAR_TOO_LARGE, "a binary key is longer than %d bytes",
                       MAX_BINARY_KEY);
    }
    buf_reset(&producer->key);
    char *to = buf_reserve(&producer->key, len);
    struct aws_byte_cursor from = aws_byte_cursor_from_array(key.ptr, key.len);
    struct aws_byte_buf text = aws_byte_buf_from_empty_array(to, len);
    if (to == NULL || aws_base64_encode(&from, &text) != AWS_OP_SUCCESS) {
        return err_set(err, ERR_NOMEM, "no memory for a binary key");
    }
    producer->key.len += text.len;
    return true;
}

static enum pulsar_send send_with_text_key(struct pulsar_producer *producer,
                                           const struct pulsar_message *message, uint64_t token,
                                           struct err *err) {
    if (!message->key_is_binary) {
        return partition_send(route(producer, message), message, token, err);
    }
    if (!encode_key(producer, message->key, err)) {
        return PULSAR_SEND_REFUSED;
    }
    struct pulsar_message encoded = *message;
    encoded.key = buf_str(&producer->key);
    encoded.key_is_base64 = true;
    return partition_send(route(producer, &encoded), &encoded, token, err);
}

enum pulsar_send pulsar_producer_send(struct pulsar_producer *producer,
                                      const struct pulsar_message *message, uint64_t token,
                                      struct err *err) {
    enum pulsar_send result = PULSAR_SEND_FULL;
    if (takes_messages(producer) &&
        stats_of(producer)->in_flight < producer->max_pending_messages) {
        result = send_with_text_key(producer, message, token, err);
    }
    if (result == PULSAR_SEND_TAKEN) {
        arm_send_timeout(producer);
    } else if (result == PULSAR_SEND_FULL) {
        block(producer);
        pulsar_producer_flush(producer); /* nobody waits for a batch that cannot grow */
    }
    return result;
}

bool pulsar_producer_can_send(struct pulsar_producer *producer) {
    bool can = takes_messages(producer) &&
               stats_of(producer)->in_flight < producer->max_pending_messages &&
               stats_of(producer)->in_flight_bytes < producer->shared.outbox.max_pending_bytes &&
               (stats_of(producer)->in_flight == 0 || client_has_memory(producer->shared.client));
    if (!can) {
        block(producer);
    }
    return can;
}

void pulsar_producer_flush(struct pulsar_producer *producer) {
    if (producer->phase == PRODUCER_READY) {
        partition_list_flush(&producer->partitions);
    }
}

uint32_t pulsar_producer_partitions(const struct pulsar_producer *producer) {
    return producer->partitions.used;
}

struct str pulsar_producer_name(const struct pulsar_producer *producer, uint32_t partition) {
    return str_of(producer->partitions.items[partition]->registration.name);
}

int64_t pulsar_producer_last_sequence_id(const struct pulsar_producer *producer,
                                         uint32_t partition) {
    return producer->partitions.items[partition]->last_sequence_id;
}

void pulsar_producer_stats(const struct pulsar_producer *producer,
                           struct pulsar_producer_stats *ret_stats) {
    *ret_stats = *stats_of(producer);
}
