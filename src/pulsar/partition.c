#include "pulsar/partition.h"

#include "base/log.h"
#include "pulsar/server_error.h"

#include <inttypes.h>
#include <stdlib.h>

/* What the broker's frame decoder allows on top of maxMessageSize. */
enum { FRAME_PADDING = 10 * 1024 };

static void create(struct partition *partition);

static struct lane *lane_of(const struct partition *partition) {
    return client_lane(partition->shared->client);
}

static struct partition *of_user(struct connection_user *user) {
    return AWS_CONTAINER_OF(user, struct partition, user);
}

static struct partition *of_request(struct connection_request *request) {
    return AWS_CONTAINER_OF(request, struct partition, request);
}

static const char *state_name(enum partition_state state) {
    static const char *const names[] = {
        [PARTITION_IDLE] = "idle",       [PARTITION_LOOKUP] = "lookup",
        [PARTITION_CONNECT] = "connect", [PARTITION_CREATE] = "create",
        [PARTITION_READY] = "ready",     [PARTITION_RETIRE] = "retire",
        [PARTITION_WAIT] = "wait",       [PARTITION_CLOSING] = "closing",
        [PARTITION_CLOSED] = "closed",
    };
    return names[state];
}

static void set_state(struct partition *partition, enum partition_state state, const char *why) {
    LOG_DEBUG("pulsar.partition", "state", LOG_TEXT("topic", partition->topic),
              LOG_TEXT("from", state_name(partition->state)), LOG_TEXT("to", state_name(state)),
              LOG_TEXT("why", why));
    partition->state = state;
}

/* Forgets whatever it waits for, and its connection. */
static void let_go(struct partition *partition) {
    lookup_cancel(&partition->lookup);
    connection_forget(&partition->request);
    connection_detach(&partition->user);
    lane_timer_cancel(&partition->retry_timer);
}

static void tell_close(struct partition *partition, struct connection_request *request) {
    Pulsar__CommandCloseProducer close = PULSAR__COMMAND_CLOSE_PRODUCER__INIT;
    close.producer_id = partition->user.producer_id;
    close.request_id = connection_new_request_id(partition->user.connection);
    Pulsar__BaseCommand command = PULSAR__BASE_COMMAND__INIT;
    command.type = PULSAR__BASE_COMMAND__TYPE__CLOSE_PRODUCER;
    command.close_producer = &close;
    if (request != NULL) {
        request->id = close.request_id;
        connection_ask(partition->user.connection, request, &command);
    } else {
        connection_tell(partition->user.connection, &command);
    }
}

/* ---- Failure. */

/* Whether it is of no use to try again. */
static bool is_final(const struct partition *partition, const struct err *err) {
    if (partition->was_ready) {
        return err->code == ERR_PULSAR_TERMINATED || err->code == ERR_PULSAR_FENCED ||
               err->code == ERR_PULSAR_NO_TOPIC || err->code == ERR_PULSAR_TOO_LARGE;
    }
    return err->class == ERR_CLASS_AUTH || err->class == ERR_CLASS_FATAL ||
           err->class == ERR_CLASS_LOST;
}

static void give_up(struct partition *partition, const struct err *err) {
    if (partition->user.connection != NULL &&
        (partition->state == PARTITION_READY || partition->state == PARTITION_CREATE)) {
        tell_close(partition, NULL);
    }
    let_go(partition);
    lane_timer_cancel(&partition->batch_timer);
    set_state(partition, PARTITION_CLOSED, err->text);
    partition->shared->events->failed(partition, err);
}

/* The last attempt, or the producer, is gone; tries again or gives up. It must have let go of the
 * connection, or the connection of it. */
static void retry_later(struct partition *partition, const struct err *reason) {
    struct err err = *reason;
    err_context(&err, "topic %s", partition->topic);
    if (is_final(partition, &err)) {
        give_up(partition, &err);
        return;
    }
    let_go(partition);
    uint64_t delay_ms = backoff_next_ms(&partition->backoff, &lane_of(partition)->rng);
    set_state(partition, PARTITION_WAIT, err.text);
    lane_timer_set_ms(&partition->retry_timer, delay_ms);
    partition->shared->events->lost(partition, &err);
}

static void retired(struct connection_request *request, const struct err *err,
                    const Pulsar__BaseCommand *reply) {
    (void)err; /* the broker may be gone or know no such producer: all the same */
    (void)reply;
    struct partition *partition = of_request(request);
    let_go(partition);
    set_state(partition, PARTITION_WAIT, "closed at the broker");
    lane_timer_set_ms(&partition->retry_timer,
                      backoff_next_ms(&partition->backoff, &lane_of(partition)->rng));
}

/* The connection stays, but the producer on it is of no use any more. Before the same id is used
 * there again, the broker must have forgotten it: else it would confirm the old one. */
static void retire(struct partition *partition, const struct err *reason) {
    struct err err = *reason;
    err_context(&err, "topic %s", partition->topic);
    if (is_final(partition, &err)) {
        give_up(partition, &err);
        return;
    }
    set_state(partition, PARTITION_RETIRE, err.text);
    partition->request.done = retired;
    tell_close(partition, &partition->request);
    partition->shared->events->lost(partition, &err);
}

/* ---- Sending. */

static uint64_t memory_left(const struct partition_shared *shared) {
    if (shared->stats.in_flight == 0) {
        return SIZE_MAX; /* one message must always be possible */
    }
    return shared->stats.in_flight_bytes < shared->max_pending_bytes
               ? shared->max_pending_bytes - shared->stats.in_flight_bytes
               : 0;
}

/* Hands over what the connection has room for. */
static void pump(struct partition *partition) {
    if (partition->state != PARTITION_READY) {
        return;
    }
    struct connection *connection = partition->user.connection;
    while (partition->unsent != NULL) {
        struct batch *batch = partition->unsent;
        if (!connection_is_writable(connection)) {
            connection_block(&partition->user);
            return;
        }
        partition->shared->stats.frames += !batch->sent;
        partition->shared->stats.resent_frames += batch->sent;
        batch->sent = true;
        partition->unsent = batch->next;
        connection_send(connection, &batch->frame);
    }
}

static void seal(struct partition *partition) {
    struct partition_shared *shared = partition->shared;
    struct batch_header header = {
        .producer_id = partition->user.producer_id,
        .producer_name = str_of(partition->name),
        .publish_time_ms = (uint64_t)lane_wall_ms(lane_of(partition)),
    };
    shared->stats.in_flight_bytes -= batch_memory(partition->open);
    batch_seal(&partition->open, &shared->compressor, &header);
    struct batch *batch = partition->open;
    shared->stats.in_flight_bytes += batch_memory(batch);
    partition->open = NULL;
    batch->next = NULL;
    if (partition->pending == NULL) {
        partition->pending = batch;
    } else {
        partition->last_pending->next = batch;
    }
    partition->last_pending = batch;
    if (partition->unsent == NULL) {
        partition->unsent = batch;
    }
    shared->events->sealed(partition);
}

void partition_flush(struct partition *partition) {
    if (partition->state == PARTITION_READY && partition->open != NULL) {
        seal(partition);
        pump(partition);
    }
}

static void batch_due(void *ctx) {
    struct partition *partition = ctx;
    if (partition->state != PARTITION_READY || partition->open == NULL) {
        return; /* without a broker it may as well fill up */
    }
    uint64_t due_ns =
        partition->open->opened_ns + (uint64_t)partition->shared->batch_max_delay_ms * 1000000;
    if (partition->pending == NULL || lane_now_ns(lane_of(partition)) >= due_ns) {
        partition_flush(partition);
    } else {
        lane_timer_set_at_ns(&partition->batch_timer, due_ns);
    }
}

/* For a batch that just got its first message. With nothing in flight it goes at the end of this
 * turn of the loop, so that what the caller sends in one go is one batch; else it may wait for
 * company. A timer left armed by an earlier batch finds out by itself. */
static void arm_batch(struct partition *partition) {
    if (partition->pending == NULL) {
        lane_timer_set_ms(&partition->batch_timer, 0);
    } else if (!partition->batch_timer.armed) {
        lane_timer_set_ms(&partition->batch_timer, partition->shared->batch_max_delay_ms);
    }
}

/* The open batch, or a new one in its place. */
static struct batch *open_batch(struct partition *partition) {
    struct partition_shared *shared = partition->shared;
    if (partition->open == NULL) {
        struct batch *batch = batch_take(client_batches(shared->client));
        if (batch == NULL) {
            return NULL;
        }
        if (batch_memory(batch) > memory_left(shared)) {
            batch_release(batch);
            return NULL;
        }
        shared->stats.in_flight_bytes += batch_memory(batch);
        partition->open = batch;
    }
    return partition->open;
}

static void drop_if_empty(struct partition *partition) {
    struct batch *batch = partition->open;
    if (batch->count == 0) {
        partition->shared->stats.in_flight_bytes -= batch_memory(batch);
        batch_release(batch);
        partition->open = NULL;
    }
}

static void count_taken(struct partition *partition, const struct pulsar_message *message) {
    struct pulsar_producer_stats *stats = &partition->shared->stats;
    stats->messages++;
    stats->in_flight++;
    for (size_t i = 0; i < message->value_parts; i++) {
        stats->bytes += message->value[i].len;
    }
    partition->next_sequence_id++;
}

enum pulsar_send partition_send(struct partition *partition, const struct pulsar_message *message,
                                uint64_t token, struct err *err) {
    struct partition_shared *shared = partition->shared;
    for (;;) {
        struct batch *batch = open_batch(partition);
        if (batch == NULL) {
            return shared->stats.in_flight > 0 || !err_set(err, ERR_NOMEM, "no memory for a batch")
                       ? PULSAR_SEND_FULL
                       : PULSAR_SEND_REFUSED;
        }
        size_t budget = (size_t)memory_left(shared);
        size_t before = batch_memory(batch);
        enum batch_add added = batch_add(batch, &partition->limits, message,
                                         partition->next_sequence_id, token, budget, err);
        shared->stats.in_flight_bytes += batch_memory(batch) - before;
        switch (added) {
        case BATCH_ADDED:
            count_taken(partition, message);
            if (batch->count == 1) {
                batch->opened_ns = lane_now_ns(lane_of(partition));
            }
            if (batch_is_full(batch, &partition->limits)) {
                seal(partition);
                pump(partition);
            } else if (batch->count == 1) {
                arm_batch(partition);
            }
            return PULSAR_SEND_TAKEN;
        case BATCH_FULL:
            seal(partition);
            pump(partition);
            continue;
        case BATCH_OVER_BUDGET:
            drop_if_empty(partition);
            return PULSAR_SEND_FULL;
        case BATCH_TOO_LARGE:
            drop_if_empty(partition);
            return PULSAR_SEND_REFUSED;
        case BATCH_NO_MEMORY:
            drop_if_empty(partition);
            if (shared->stats.in_flight > 0) {
                return PULSAR_SEND_FULL; /* receipts will free some */
            }
            err_set(err, ERR_NOMEM, "no memory for a batch");
            return PULSAR_SEND_REFUSED;
        }
    }
}

uint64_t partition_oldest_ns(const struct partition *partition) {
    const struct batch *oldest = partition->pending != NULL ? partition->pending : partition->open;
    return oldest != NULL ? oldest->opened_ns : 0;
}

/* ---- Receipts and other news from the broker. */

static void on_receipt(struct connection_user *user, const struct frame_receipt *receipt) {
    struct partition *partition = of_user(user);
    struct partition_shared *shared = partition->shared;
    struct batch *batch = partition->pending;
    if (batch == NULL || receipt->sequence_id < batch->first_sequence_id) {
        return; /* the second receipt of a frame that was sent twice */
    }
    if (receipt->sequence_id > batch_last_sequence_id(batch)) {
        struct err err;
        err_set(&err, ERR_PULSAR_PROTOCOL,
                "topic %s: a receipt for sequence id %" PRIu64 " came before that of %" PRIu64,
                partition->topic, receipt->sequence_id, batch->first_sequence_id);
        connection_close(user->connection, &err);
        return;
    }
    partition->pending = batch->next;
    if (partition->unsent == batch) {
        partition->unsent = batch->next;
    }
    shared->stats.acked += batch->count;
    shared->stats.in_flight -= batch->count;
    shared->stats.in_flight_bytes -= batch_memory(batch);
    backoff_reset(&partition->backoff);
    struct pulsar_receipt event = {
        .tokens = batch->tokens,
        .count = batch->count,
        .partition = partition->index,
        .ledger_id = receipt->ledger_id,
        .entry_id = receipt->entry_id,
        .duplicate = receipt->ledger_id == UINT64_MAX && receipt->entry_id == UINT64_MAX,
    };
    shared->events->receipt(partition, &event);
    batch_release(batch);
    if (partition->pending == NULL) {
        partition_flush(partition); /* nothing in flight: no reason to wait */
    }
}

static void on_writable(struct connection_user *user) {
    pump(of_user(user));
}

/* The frame that a SEND_ERROR speaks of: its sequence id is the first or the last of the batch. */
static const struct batch *find_batch(const struct partition *partition, uint64_t sequence_id) {
    const struct batch *batch = partition->pending;
    while (batch != NULL && batch_last_sequence_id(batch) < sequence_id) {
        batch = batch->next;
    }
    return batch != NULL && batch->first_sequence_id <= sequence_id ? batch : NULL;
}

static void on_send_error(struct connection_user *user, const Pulsar__CommandSendError *error) {
    struct partition *partition = of_user(user);
    if (partition->state != PARTITION_READY) {
        return; /* it is being made anew already */
    }
    const struct batch *batch = find_batch(partition, error->sequence_id);
    if (batch == NULL) {
        return; /* of a frame that got its receipt from an earlier connection */
    }
    struct err err;
    server_error_set(&err, (int)error->error, error->message);
    err_context(&err, "broker %s refused sequence id %" PRIu64,
                address_text(connection_logical(user->connection)).text, error->sequence_id);
    if (error->error == PULSAR__SERVER_ERROR__ChecksumError && !batch_checksum_ok(batch)) {
        err_set(&err, ERR_INTERNAL, "topic %s: a batch was damaged in our memory",
                partition->topic);
        give_up(partition, &err);
    } else if (error->error == PULSAR__SERVER_ERROR__NotAllowedError) {
        /* It will never be taken, and nothing after it may be stored before it. */
        err_context(&err, "topic %s", partition->topic);
        give_up(partition, &err);
    } else {
        retire(partition, &err);
    }
}

/* The topic moves: the broker has closed the producer and may know where it is now. */
static void on_close_producer(struct connection_user *user,
                              const Pulsar__CommandCloseProducer *close) {
    struct partition *partition = of_user(user);
    struct err err;
    err_set(&err, ERR_PULSAR_NOT_READY, "broker %s closed the producer%s%s",
            address_text(connection_logical(user->connection)).text,
            close->assigned_broker_service_url != NULL ? ", now at " : "",
            close->assigned_broker_service_url != NULL ? close->assigned_broker_service_url : "");
    if (partition->state == PARTITION_CLOSING) {
        let_go(partition);
        set_state(partition, PARTITION_CLOSED, err.text);
        partition->shared->events->closed(partition);
        return;
    }
    struct address logical;
    size_t count = 0;
    if (partition->state != PARTITION_READY || close->assigned_broker_service_url == NULL ||
        !address_parse_url(str_of(close->assigned_broker_service_url), &logical, 1, &count, NULL)) {
        connection_detach(user);
        retry_later(partition, &err);
        return;
    }
    struct address physical =
        partition->through_proxy ? *client_service(partition->shared->client) : logical;
    let_go(partition);
    struct connection *connection =
        client_connection(partition->shared->client, &logical, &physical);
    if (connection == NULL) {
        retry_later(partition, &err);
        return;
    }
    set_state(partition, PARTITION_CONNECT, err.text);
    connection_attach(connection, user);
    err_context(&err, "topic %s", partition->topic);
    partition->shared->events->lost(partition, &err);
}

static void on_migrated(struct connection_user *user,
                        const Pulsar__CommandTopicMigrated *migrated) {
    struct partition *partition = of_user(user);
    size_t count;
    struct err err = ERR_NONE;
    if (partition->state == PARTITION_CLOSING) {
        return;
    }
    if (migrated->broker_service_url == NULL ||
        !address_parse_url(str_of(migrated->broker_service_url), &partition->migrated, 1, &count,
                           NULL)) {
        err_set(&err, ERR_PULSAR_NOT_READY, "the topic migrated to a cluster without an address");
    } else {
        partition->has_migrated = true;
        err_set(&err, ERR_PULSAR_NOT_READY, "the topic migrated to %s",
                migrated->broker_service_url);
    }
    connection_detach(user);
    retry_later(partition, &err);
}

static void on_lost(struct connection_user *user, const struct err *err) {
    struct partition *partition = of_user(user);
    enum partition_state state = partition->state;
    connection_forget(&partition->request);
    if (state == PARTITION_CLOSING) {
        let_go(partition);
        set_state(partition, PARTITION_CLOSED, err->text);
        partition->shared->events->closed(partition);
    } else {
        retry_later(partition, err);
    }
}

static void on_ready(struct connection_user *user) {
    create(of_user(user));
}

static const struct connection_events connection_events = {
    .ready = on_ready,
    .lost = on_lost,
    .writable = on_writable,
    .receipt = on_receipt,
    .send_error = on_send_error,
    .close_producer = on_close_producer,
    .migrated = on_migrated,
};

/* ---- Creation. */

/* The broker may accept less than the one before. */
static bool pending_fit(const struct partition *partition, struct err *err) {
    for (const struct batch *batch = partition->pending; batch != NULL; batch = batch->next) {
        if (batch->frame.len > partition->limits.max_message_size + FRAME_PADDING) {
            return err_set(err, ERR_PULSAR_TOO_LARGE,
                           "broker %s takes messages of %zu bytes only, but one of %zu bytes waits",
                           address_text(connection_logical(partition->user.connection)).text,
                           partition->limits.max_message_size, batch->frame.len);
        }
    }
    return true;
}

static bool take_name(struct partition *partition, const Pulsar__CommandProducerSuccess *success,
                      struct err *err) {
    if (partition->was_ready) {
        return true; /* name and numbering stay what they were */
    }
    partition->name = str_dup(str_of(success->producer_name));
    if (partition->name == NULL) {
        return err_set(err, ERR_NOMEM, "no memory for a producer's name");
    }
    partition->limits.name_len = strlen(partition->name);
    partition->next_sequence_id = (uint64_t)(success->last_sequence_id + 1);
    return true;
}

static void created(struct connection_request *request, const struct err *failure,
                    const Pulsar__BaseCommand *reply) {
    struct partition *partition = of_request(request);
    struct partition_shared *shared = partition->shared;
    struct err err = failure != NULL ? *failure : ERR_NONE;
    if (request->timed_out) {
        retire(partition, &err); /* it may yet come into being */
        return;
    }
    if (failure == NULL &&
        (reply->producer_success == NULL || !reply->producer_success->producer_ready ||
         reply->producer_success->last_sequence_id < -1)) {
        err_set(&err, ERR_PULSAR_PROTOCOL, "broker %s did not answer PRODUCER as it should",
                address_text(connection_logical(partition->user.connection)).text);
        retire(partition, &err);
        return;
    }
    if (err_is_set(&err)) {
        connection_detach(&partition->user);
        retry_later(partition, &err);
        return;
    }
    partition->limits.max_message_size = connection_max_message_size(partition->user.connection);
    if (!take_name(partition, reply->producer_success, &err) || !pending_fit(partition, &err)) {
        retire(partition, &err);
        return;
    }
    set_state(partition, PARTITION_READY, partition->name);
    if (partition->was_ready) {
        shared->stats.reconnects++;
    }
    partition->was_ready = true;
    partition->unsent = partition->pending;
    if (partition->pending == NULL) {
        backoff_reset(&partition->backoff); /* else the first receipt does */
    }
    pump(partition);
    if (partition->open != NULL) {
        lane_timer_set_ms(&partition->batch_timer, 0);
    }
    shared->events->ready(partition);
}

static void create(struct partition *partition) {
    Pulsar__CommandProducer producer = PULSAR__COMMAND_PRODUCER__INIT;
    partition->request.id = connection_new_request_id(partition->user.connection);
    partition->request.done = created;
    producer.topic = partition->topic;
    producer.producer_id = partition->user.producer_id;
    producer.request_id = partition->request.id;
    producer.producer_name = partition->name != NULL ? partition->name : partition->shared->name;
    producer.has_epoch = 1;
    producer.epoch = partition->epoch++;
    /* Sent also when false, as brokers take true for granted: a generated name may be succeeded by
     * itself. */
    producer.has_user_provided_producer_name = 1;
    producer.user_provided_producer_name = partition->shared->name != NULL;
    Pulsar__BaseCommand command = PULSAR__BASE_COMMAND__INIT;
    command.type = PULSAR__BASE_COMMAND__TYPE__PRODUCER;
    command.producer = &producer;
    set_state(partition, PARTITION_CREATE, "connected");
    connection_ask(partition->user.connection, &partition->request, &command);
}

static void looked_up(struct lookup *lookup, const struct err *err,
                      const struct lookup_result *result) {
    struct partition *partition = AWS_CONTAINER_OF(lookup, struct partition, lookup);
    if (err != NULL) {
        retry_later(partition, err);
        return;
    }
    struct connection *connection =
        client_connection(partition->shared->client, &result->logical, &result->physical);
    if (connection == NULL) {
        struct err none;
        err_set(&none, ERR_NOMEM, "no memory for a connection");
        retry_later(partition, &none);
        return;
    }
    partition->through_proxy = !address_equal(&result->logical, &result->physical);
    set_state(partition, PARTITION_CONNECT, address_text(&result->logical).text);
    connection_attach(connection, &partition->user);
}

/* A lane_fn. */
static void attempt(void *ctx) {
    struct partition *partition = ctx;
    set_state(partition, PARTITION_LOOKUP, partition->was_ready ? "again" : "first");
    lookup_start(&partition->lookup, partition->shared->client, LOOKUP_BROKER, partition->topic,
                 partition->has_migrated ? &partition->migrated : NULL, looked_up);
}

/* ---- Life. */

bool partition_init(struct partition *partition, struct partition_shared *shared, uint32_t index,
                    const char *topic) {
    *partition = (struct partition){.shared = shared, .index = index, .limits = shared->limits};
    partition->topic = str_dup(str_of(topic));
    partition->user.events = &connection_events;
    partition->user.producer_id = client_new_producer_id(shared->client);
    partition->backoff = client_backoff(shared->client);
    lane_timer_init(&partition->retry_timer, lane_of(partition), attempt, partition);
    lane_timer_init(&partition->batch_timer, lane_of(partition), batch_due, partition);
    return partition->topic != NULL;
}

void partition_open(struct partition *partition) {
    attempt(partition);
}

static void closed_at_broker(struct connection_request *request, const struct err *err,
                             const Pulsar__BaseCommand *reply) {
    (void)reply;
    struct partition *partition = of_request(request);
    let_go(partition);
    set_state(partition, PARTITION_CLOSED, err != NULL ? err->text : "closed at the broker");
    partition->shared->events->closed(partition);
}

void partition_close(struct partition *partition) {
    if (partition->state >= PARTITION_CLOSING) {
        return;
    }
    lane_timer_cancel(&partition->batch_timer);
    connection_forget(&partition->request);
    if (partition->user.connection != NULL && partition->state >= PARTITION_CREATE &&
        partition->state <= PARTITION_RETIRE) {
        set_state(partition, PARTITION_CLOSING, "our wish");
        partition->request.done = closed_at_broker;
        tell_close(partition, &partition->request);
        return;
    }
    let_go(partition);
    set_state(partition, PARTITION_CLOSED, "our wish");
}

static void free_batches(struct batch *batch) {
    while (batch != NULL) {
        struct batch *next = batch->next;
        batch_release(batch);
        batch = next;
    }
}

void partition_done(struct partition *partition) {
    if (partition->shared == NULL) {
        return;
    }
    let_go(partition);
    lane_timer_cancel(&partition->batch_timer);
    free_batches(partition->pending);
    free_batches(partition->open); /* its next is NULL */
    free(partition->name);
    free(partition->topic);
    *partition = (struct partition){.shared = NULL};
}
