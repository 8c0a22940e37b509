#include "pulsar/producer.h"

#include "pulsar/partition.h"
#include "pulsar/routing.h"
#include "pulsar/topic.h"

#include <inttypes.h>
#include <stdlib.h>

enum {
    DEFAULT_BATCH_MESSAGES = 1000,
    DEFAULT_BATCH_BYTES = 128 * 1024,
    DEFAULT_BATCH_DELAY_MS = 10,
    DEFAULT_PENDING_MESSAGES = 65536,
    DEFAULT_PENDING_BYTES = 64 * 1024 * 1024,
    CLOSE_WAIT_MS = 1000,    /* for the broker's answers to CLOSE_PRODUCER */
    MAX_PARTITIONS = 100000, /* more is a broken answer, not a topic */
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
    enum producer_phase phase;
    enum producer_end end;

    struct lookup lookup;
    struct backoff backoff;
    struct lane_timer ask_timer;
    struct lane_timer create_timer;
    struct err last_error; /* why it is not ready yet */
    bool told_lost;        /* of the question for the partitions */

    struct partition *partitions;
    uint32_t partition_count;
    uint32_t ready_count; /* those that have been ready */
    uint32_t turn;        /* of messages without a key */
    bool blocked;         /* owes `writable` */
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

/* ---- The end, good or bad. */

static void fail(struct pulsar_producer *producer, const struct err *err) {
    if (producer->phase == PRODUCER_FAILED) {
        return;
    }
    producer->phase = PRODUCER_FAILED;
    lookup_cancel(&producer->lookup);
    lane_timer_cancel(&producer->ask_timer);
    lane_timer_cancel(&producer->create_timer);
    lane_timer_cancel(&producer->send_timer);
    for (uint32_t i = 0; i < producer->partition_count; i++) {
        partition_close(&producer->partitions[i]);
    }
    if (producer->end == PRODUCER_DRAINING) {
        lane_timer_set_ms(&producer->close_timer, 0); /* there is nothing to wait for */
    }
    if (producer->end != PRODUCER_CLOSING) {
        producer->events.failed(producer->ctx, err);
    }
}

static void free_producer(struct pulsar_producer *producer) {
    lookup_cancel(&producer->lookup);
    lane_timer_cancel(&producer->ask_timer);
    lane_timer_cancel(&producer->create_timer);
    lane_timer_cancel(&producer->send_timer);
    lane_timer_cancel(&producer->close_timer);
    for (uint32_t i = 0; i < producer->partition_count; i++) {
        partition_done(&producer->partitions[i]);
    }
    compressor_done(&producer->shared.compressor);
    client_count_producer(producer->shared.client, -1);
    free(producer->partitions);
    free(producer->shared.name);
    free(producer->topic);
    free(producer);
}

static bool all_closed(const struct pulsar_producer *producer) {
    for (uint32_t i = 0; i < producer->partition_count; i++) {
        if (producer->partitions[i].state != PARTITION_CLOSED) {
            return false;
        }
    }
    return true;
}

/* A lane_fn: the next step of closing is due. */
static void advance_close(void *ctx) {
    struct pulsar_producer *producer = ctx;
    if (producer->end == PRODUCER_DRAINING) {
        producer->end = PRODUCER_CLOSING;
        for (uint32_t i = 0; i < producer->partition_count; i++) {
            partition_close(&producer->partitions[i]);
        }
        lane_timer_set_ms(&producer->close_timer, all_closed(producer) ? 0 : CLOSE_WAIT_MS);
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
    bool wait = producer->phase == PRODUCER_READY && producer->shared.stats.in_flight > 0;
    lane_timer_set_ms(&producer->close_timer, wait ? timeout_ms : 0);
}

/* ---- Waiting too long. */

static void arm_send_timeout(struct pulsar_producer *producer) {
    if (producer->send_timeout_ms > 0 && !producer->send_timer.armed) {
        lane_timer_set_ms(&producer->send_timer, producer->send_timeout_ms);
    }
}

/* A lane_fn: looks at the oldest message; no message gets old unseen, as the timer runs whenever
 * one is in flight. */
static void send_timeout(void *ctx) {
    struct pulsar_producer *producer = ctx;
    const struct partition *oldest = NULL;
    for (uint32_t i = 0; i < producer->partition_count; i++) {
        const struct partition *partition = &producer->partitions[i];
        uint64_t since = partition_oldest_ns(partition);
        if (since != 0 && (oldest == NULL || since < partition_oldest_ns(oldest))) {
            oldest = partition;
        }
    }
    if (oldest == NULL) {
        return;
    }
    uint64_t due_ns = partition_oldest_ns(oldest) + (uint64_t)producer->send_timeout_ms * 1000000;
    if (lane_now_ns(lane_of(producer)) < due_ns) {
        lane_timer_set_at_ns(&producer->send_timer, due_ns);
        return;
    }
    struct err err;
    err_set(&err, ERR_PULSAR_NOT_READY,
            "topic %s: a message was not acknowledged within %" PRIu32 " ms (sendTimeout)",
            oldest->topic, producer->send_timeout_ms);
    fail(producer, &err);
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

static bool has_room(const struct pulsar_producer *producer) {
    const struct pulsar_producer_stats *stats = &producer->shared.stats;
    /* A quarter free, so that writer and `writable` do not take turns for every batch. */
    uint64_t max_bytes = producer->shared.max_pending_bytes;
    return stats->in_flight == 0 || (stats->in_flight < producer->max_pending_messages &&
                                     stats->in_flight <= producer->max_pending_messages -
                                                             producer->max_pending_messages / 4 &&
                                     stats->in_flight_bytes <= max_bytes - max_bytes / 4);
}

static void tell_writable(struct pulsar_producer *producer) {
    if (producer->blocked && producer->phase == PRODUCER_READY && producer->end == PRODUCER_OPEN &&
        has_room(producer)) {
        producer->blocked = false;
        producer->events.writable(producer->ctx);
    }
}

static void on_ready(struct partition *partition) {
    struct pulsar_producer *producer = of_partition(partition);
    if (partition->told_lost) {
        partition->told_lost = false;
        if (producer->events.connection != NULL) {
            producer->events.connection(producer->ctx, partition->index, NULL);
        }
    }
    if (producer->phase != PRODUCER_CREATING || partition->counted_ready) {
        return;
    }
    partition->counted_ready = true;
    if (++producer->ready_count == producer->partition_count) {
        producer->phase = PRODUCER_READY;
        lane_timer_cancel(&producer->create_timer);
        producer->events.ready(producer->ctx, producer->partition_count);
        tell_writable(producer);
    }
}

static void on_sealed(struct partition *partition) {
    struct pulsar_producer *producer = of_partition(partition);
    if (partition->index == producer->turn) {
        producer->turn = (producer->turn + 1) % producer->partition_count;
    }
}

static void on_receipt(struct partition *partition, const struct pulsar_receipt *receipt) {
    struct pulsar_producer *producer = of_partition(partition);
    if (producer->phase != PRODUCER_READY || producer->end == PRODUCER_CLOSING) {
        return;
    }
    producer->events.receipt(producer->ctx, receipt);
    if (producer->end == PRODUCER_DRAINING && producer->shared.stats.in_flight == 0) {
        lane_timer_set_ms(&producer->close_timer, 0);
    }
    tell_writable(producer);
}

static void on_lost(struct partition *partition, const struct err *err) {
    struct pulsar_producer *producer = of_partition(partition);
    producer->last_error = *err;
    if (!partition->told_lost) {
        partition->told_lost = true;
        if (producer->events.connection != NULL) {
            producer->events.connection(producer->ctx, partition->index, err);
        }
    }
}

static void on_failed(struct partition *partition, const struct err *err) {
    fail(of_partition(partition), err);
}

static void on_closed(struct partition *partition) {
    struct pulsar_producer *producer = of_partition(partition);
    if (producer->end == PRODUCER_CLOSING && all_closed(producer)) {
        lane_timer_set_ms(&producer->close_timer, 0);
    }
}

static const struct partition_events partition_events = {
    .ready = on_ready,
    .sealed = on_sealed,
    .receipt = on_receipt,
    .lost = on_lost,
    .failed = on_failed,
    .closed = on_closed,
};

/* ---- Opening. */

static bool make_partitions(struct pulsar_producer *producer, uint32_t count, struct err *err) {
    if (count > MAX_PARTITIONS) {
        return err_set(err, ERR_PULSAR_PROTOCOL,
                       "topic %s: the broker says it has %" PRIu32 " partitions", producer->topic,
                       count);
    }
    uint32_t made = count == 0 ? 1 : count;
    producer->partitions = calloc(made, sizeof producer->partitions[0]);
    if (producer->partitions == NULL) {
        return err_set(err, ERR_NOMEM, "no memory for %" PRIu32 " partitions", made);
    }
    producer->partition_count = made;
    for (uint32_t i = 0; i < made; i++) {
        char *name = count == 0 ? str_dup(str_of(producer->topic))
                                : topic_partition_name(producer->topic, i);
        bool ok =
            name != NULL && partition_init(&producer->partitions[i], &producer->shared, i, name);
        free(name);
        if (!ok) {
            return err_set(err, ERR_NOMEM, "no memory for %" PRIu32 " partitions", made);
        }
    }
    return true;
}

/* How many partitions it has is known, or why not. */
static void asked(struct lookup *lookup, const struct err *failure,
                  const struct lookup_result *result) {
    struct pulsar_producer *producer = AWS_CONTAINER_OF(lookup, struct pulsar_producer, lookup);
    struct err err = failure != NULL ? *failure : ERR_NONE;
    if (failure == NULL && make_partitions(producer, result->partitions, &err)) {
        producer->phase = PRODUCER_CREATING;
        producer->turn =
            (uint32_t)rng_below(&lane_of(producer)->rng, producer->partition_count - 1);
        for (uint32_t i = 0; i < producer->partition_count; i++) {
            partition_open(&producer->partitions[i]);
        }
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
    lane_timer_set_ms(&producer->ask_timer,
                      backoff_next_ms(&producer->backoff, &lane_of(producer)->rng));
    if (!producer->told_lost && producer->events.connection != NULL) {
        producer->told_lost = true;
        producer->events.connection(producer->ctx, 0, &err);
    }
}

/* A lane_fn. */
static void ask(void *ctx) {
    struct pulsar_producer *producer = ctx;
    lookup_start(&producer->lookup, producer->shared.client, LOOKUP_PARTITIONS, producer->topic,
                 NULL, asked);
}

static uint32_t or_default(uint32_t value, uint32_t default_value) {
    return value != 0 ? value : default_value;
}

static bool init(struct pulsar_producer *producer, const struct pulsar_producer_options *options,
                 struct err *err) {
    producer->topic = topic_full_name(options->topic, err);
    if (producer->topic == NULL) {
        return false;
    }
    struct partition_shared *shared = &producer->shared;
    if (options->name.len > 0) {
        shared->name = str_dup(options->name);
    }
    if ((options->name.len > 0 && shared->name == NULL) ||
        !compressor_init(&shared->compressor, options->compression)) {
        return err_set(err, ERR_NOMEM, "no memory for a producer");
    }
    shared->events = &partition_events;
    shared->limits = (struct batch_limits){
        .max_messages = or_default(options->batch_max_messages, DEFAULT_BATCH_MESSAGES),
        .max_bytes = or_default(options->batch_max_bytes, DEFAULT_BATCH_BYTES),
        .max_message_size = CONNECTION_DEFAULT_MAX_MESSAGE_SIZE,
        .raw = options->batching_disabled,
    };
    shared->batch_max_delay_ms = or_default(options->batch_max_delay_ms, DEFAULT_BATCH_DELAY_MS);
    shared->max_pending_bytes =
        options->max_pending_bytes != 0 ? options->max_pending_bytes : DEFAULT_PENDING_BYTES;
    producer->hashing = options->hashing;
    producer->max_pending_messages =
        or_default(options->max_pending_messages, DEFAULT_PENDING_MESSAGES);
    producer->send_timeout_ms = options->send_timeout_ms;
    producer->create_timeout_ms = options->create_timeout_ms;
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
    if (message->key.ptr == NULL || producer->partition_count == 1) {
        return &producer->partitions[producer->turn];
    }
    uint32_t hash = producer->hashing == PULSAR_HASHING_MURMUR3 ? routing_murmur3(message->key)
                                                                : routing_java_string(message->key);
    return &producer->partitions[hash % producer->partition_count];
}

enum pulsar_send pulsar_producer_send(struct pulsar_producer *producer,
                                      const struct pulsar_message *message, uint64_t token,
                                      struct err *err) {
    enum pulsar_send result = PULSAR_SEND_FULL;
    if (producer->phase == PRODUCER_READY && producer->end == PRODUCER_OPEN &&
        producer->shared.stats.in_flight < producer->max_pending_messages) {
        result = partition_send(route(producer, message), message, token, err);
    }
    if (result == PULSAR_SEND_TAKEN) {
        arm_send_timeout(producer);
    } else if (result == PULSAR_SEND_FULL) {
        producer->blocked = true;
        pulsar_producer_flush(producer); /* nobody waits for a batch that cannot grow */
    }
    return result;
}

void pulsar_producer_flush(struct pulsar_producer *producer) {
    if (producer->phase == PRODUCER_READY) {
        for (uint32_t i = 0; i < producer->partition_count; i++) {
            partition_flush(&producer->partitions[i]);
        }
    }
}

void pulsar_producer_stats(const struct pulsar_producer *producer,
                           struct pulsar_producer_stats *ret_stats) {
    *ret_stats = producer->shared.stats;
}
