#include "pulsar/partition.h"

#include "base/log.h"
#include "pulsar/report.h"
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

static void end_closing(struct partition *partition, const char *why) {
    let_go(partition);
    set_state(partition, PARTITION_CLOSED, why);
    partition->shared->events->closed(partition);
}

/* ---- Failure. */

/* Whether it is of no use to try again. */
static bool is_final(const struct partition *partition, const struct err *err) {
    if (partition->was_ready) {
        return err->code == ERR_PULSAR_TERMINATED || err->code == ERR_PULSAR_FENCED ||
               err->code == ERR_PULSAR_NO_TOPIC || err->code == ERR_PULSAR_TOO_LARGE;
    }
    if (err->code == ERR_PULSAR_BUSY) {
        return !partition->shared->wait_for_name;
    }
    if (err->code == ERR_PULSAR_AUTH && client_may_retry_auth(partition->shared->client)) {
        return false;
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
    lane_timer_cancel(&partition->report_timer);
    set_state(partition, PARTITION_CLOSED, err->text);
    partition->shared->events->failed(partition, err);
}

/* The reason with its topic. True: it was final, and the partition is closed. */
static bool has_given_up(struct partition *partition, const struct err *reason,
                         struct err *ret_err) {
    *ret_err = *reason;
    err_context(ret_err, "topic %s", partition->topic);
    bool final = is_final(partition, ret_err);
    if (final) {
        give_up(partition, ret_err);
    }
    return final;
}

/* The last attempt, or the producer, is gone; tries again or gives up. It must have let go of the
 * connection, or the connection of it. */
static void retry_later(struct partition *partition, const struct err *reason) {
    struct err err;
    if (has_given_up(partition, reason, &err)) {
        return;
    }
    let_go(partition);
    uint64_t delay_ms = backoff_next_ms(&partition->backoff, &lane_of(partition)->rng);
    set_state(partition, PARTITION_WAIT, err.text);
    lane_timer_set_ms(&partition->retry_timer, delay_ms);
    partition->shared->events->lost(partition, &err);
    if (err.code == ERR_PULSAR_QUOTA_REFUSED) { /* the topic's policy: fail, do not hold */
        report_all(partition, &err);
    }
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
    struct err err;
    if (has_given_up(partition, reason, &err)) {
        return;
    }
    set_state(partition, PARTITION_RETIRE, err.text);
    partition->request.done = retired;
    tell_close(partition, &partition->request);
    partition->shared->events->lost(partition, &err);
}

/* ---- Sending. */

/* Of a message in chunks the last one has the token. */
static bool may_send(const struct partition *partition, const struct batch *batch) {
    while (batch->is_chunk && batch->count == 0) {
        batch = batch->next;
    }
    return partition->shared->events->may_send(partition, batch->tokens, batch->count);
}

/* In a later turn, what is known without a receipt is told. */
static void report_soon(struct partition *partition) {
    const struct outbox *outbox = &partition->outbox;
    if ((outbox->known != NULL || outbox_has_settled(outbox)) && !partition->report_timer.armed) {
        lane_timer_set_ms(&partition->report_timer, 0);
    }
}

/* Hands over what the connection has room for. */
static void pump(struct partition *partition) {
    if (partition->state != PARTITION_READY) {
        return;
    }
    struct connection *connection = partition->user.connection;
    struct pulsar_producer_stats *stats = &partition->shared->outbox.stats;
    while (partition->outbox.unsent != NULL) {
        if (!connection_is_writable(connection)) {
            connection_block(&partition->user);
            return;
        }
        struct batch *batch = outbox_next_unsent(&partition->outbox);
        if (batch == NULL) {
            return;
        }
        if (!may_send(partition, batch)) {
            outbox_call_off(batch);
            report_soon(partition);
            continue;
        }
        stats->frames += !batch->sent;
        stats->resent_frames += batch->sent;
        batch->sent = true;
        connection_send(connection, &batch->frame);
    }
}

void partition_flush(struct partition *partition) {
    if (partition->state == PARTITION_READY && outbox_has_open(&partition->outbox)) {
        outbox_seal(&partition->outbox);
        pump(partition);
    }
}

/* Whether a batch need not wait: at most one is in flight. If it were none, a message that comes
 * while one is would wait for that one's receipt; if it were many, a slow broker would get many
 * small entries. */
static bool is_eager(const struct outbox *outbox) {
    return outbox->pending == NULL || outbox->pending == outbox->last_pending;
}

/* A lane_fn. */
static void batch_due(void *ctx) {
    struct partition *partition = ctx;
    const struct outbox *outbox = &partition->outbox;
    if (partition->state != PARTITION_READY || !outbox_has_open(outbox)) {
        return; /* without a broker it may as well fill up */
    }
    uint64_t due_ns =
        outbox->open.first->opened_ns + (uint64_t)partition->shared->batch_max_delay_ms * 1000000;
    if (is_eager(outbox) || lane_now_ns(lane_of(partition)) >= due_ns) {
        partition_flush(partition);
    } else {
        lane_timer_set_at_ns(&partition->batch_timer, due_ns);
    }
}

/* For a batch that just got its first message. An eager one goes at the end of this turn of the
 * loop, so that what the caller sends in one go is one batch; else it may wait for company. A timer left armed by an earlier batch finds out by itself. */
static void arm_batch(struct partition *partition) {
    if (is_eager(&partition->outbox)) {
        lane_timer_set_ms(&partition->batch_timer, 0);
    } else if (!partition->batch_timer.armed) {
        lane_timer_set_ms(&partition->batch_timer, partition->shared->batch_max_delay_ms);
    }
}

enum pulsar_send partition_send(struct partition *partition, const struct pulsar_message *message,
                                uint64_t token, struct err *err) {
    struct outbox *outbox = &partition->outbox;
    if (outbox->unproven && partition->state != PARTITION_READY) {
        return PULSAR_SEND_FULL; /* what the broker has stored is about to be asked */
    }
    bool was_open = outbox_has_open(outbox);
    enum pulsar_send sent = outbox_put(outbox, message, token, err);
    pump(partition);
    if (outbox_has_open(outbox) && !was_open) {
        arm_batch(partition);
    }
    report_soon(partition);
    return sent;
}

/* A lane_fn. */
static void report_due(void *ctx) {
    report_known(ctx);
    report_settled(ctx);
}

/* ---- Receipts and other news from the broker. */

static void on_receipt(struct connection_user *user, const struct frame_receipt *receipt) {
    struct partition *partition = of_user(user);
    struct outbox *outbox = &partition->outbox;
    struct batch *batch = NULL;
    struct err err;
    report_due(partition);
    switch (outbox_match(outbox, receipt->sequence_id, &batch)) {
    case OUTBOX_OLD:
        return;
    case OUTBOX_FUTURE:
        err_set(&err, ERR_PULSAR_PROTOCOL,
                "topic %s: a receipt for sequence id %" PRIu64 " came before that of %" PRIu64 "%s",
                partition->topic, receipt->sequence_id, outbox->pending->first_sequence_id,
                outbox->pending->sent ? "" : ", which was not sent yet");
        connection_close(user->connection, &err);
        return;
    case OUTBOX_OLDEST:
        break;
    }
    backoff_reset(&partition->backoff);
    bool ask_again = outbox->unproven && report_is_duplicate(receipt);
    if (batch->count > 0) { /* a chunk before the last is stored, whatever its message is */
        outbox->unproven = ask_again;
    }
    if (ask_again && partition->state == PARTITION_READY) {
        /* Before the report, which may bring the next message: on its way it would be taken for
         * one of the former producer's in its turn. */
        err_set(&err, ERR_PULSAR_NOT_READY,
                "a former producer of this name has stored more than the broker said");
        retire(partition, &err);
    }
    report_oldest(partition, batch, receipt);
    report_settled(partition);
    if (is_eager(outbox)) {
        partition_flush(partition);
    }
}

static void on_writable(struct connection_user *user) {
    pump(of_user(user));
}

static void on_send_error(struct connection_user *user, const Pulsar__CommandSendError *error) {
    struct partition *partition = of_user(user);
    if (partition->state != PARTITION_READY) {
        return; /* it is being made anew already */
    }
    struct batch *batch = outbox_find(&partition->outbox, error->sequence_id);
    if (batch == NULL) {
        return; /* of a frame that got its receipt from an earlier connection */
    }
    struct err err;
    server_error_set(&err, (int)error->error, error->message);
    err_context(&err, "broker %s refused sequence id %" PRIu64,
                address_text(connection_logical(user->connection)).text, error->sequence_id);
    if (error->error == PULSAR__SERVER_ERROR__NotAllowedError) {
        /* This one only: those behind it are taken. */
        err_context(&err, "topic %s", partition->topic);
        if (!outbox_refuse(batch, &err)) {
            give_up(partition, &err);
            return;
        }
        report_settled(partition);
    } else if (error->error == PULSAR__SERVER_ERROR__ChecksumError && !batch_checksum_ok(batch)) {
        err_set(&err, ERR_INTERNAL, "topic %s: a batch was damaged in our memory",
                partition->topic);
        give_up(partition, &err);
    } else {
        batch->checksum_refused = error->error == PULSAR__SERVER_ERROR__ChecksumError;
        retire(partition, &err);
    }
}

static void on_close_producer(struct connection_user *user,
                              const Pulsar__CommandCloseProducer *close) {
    struct partition *partition = of_user(user);
    struct err err;
    err_set(&err, ERR_PULSAR_NOT_READY, "broker %s closed the producer%s%s",
            address_text(connection_logical(user->connection)).text,
            close->assigned_broker_service_url != NULL ? ", now at " : "",
            close->assigned_broker_service_url != NULL ? close->assigned_broker_service_url : "");
    if (partition->state == PARTITION_CLOSING) {
        end_closing(partition, err.text);
        return;
    }
    struct address logical;
    if (partition->state != PARTITION_READY ||
        !client_broker_address(partition->shared->client, close->assigned_broker_service_url,
                               close->assigned_broker_service_url_tls, &logical, NULL)) {
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
    struct err err = ERR_NONE;
    struct address service;
    if (partition->state == PARTITION_CLOSING) {
        return;
    }
    if (client_broker_address(partition->shared->client, migrated->broker_service_url,
                              migrated->broker_service_url_tls, &service, NULL)) {
        partition->migrated = service;
        partition->has_migrated = true;
        err_set(&err, ERR_PULSAR_NOT_READY, "the topic migrated to %s",
                address_text(&service).text);
    } else { /* no more final than any lost broker */
        err_set(&err, ERR_PULSAR_NOT_READY, "the topic migrated to a cluster without an address");
    }
    connection_detach(user);
    retry_later(partition, &err);
}

static void on_lost(struct connection_user *user, const struct err *err) {
    struct partition *partition = of_user(user);
    connection_forget(&partition->request);
    if (partition->state == PARTITION_CLOSING) {
        end_closing(partition, err->text);
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
    size_t limit = partition->outbox.limits.max_message_size;
    size_t largest = outbox_largest_frame(&partition->outbox);
    return largest <= limit + FRAME_PADDING ||
           err_set(err, ERR_PULSAR_TOO_LARGE,
                   "broker %s takes messages of %zu bytes only, but one of %zu bytes waits",
                   address_text(connection_logical(partition->user.connection)).text, limit,
                   largest);
}

/* Numbering stays what it was at the first success. */
static void take_numbering(struct partition *partition, int64_t last_sequence_id) {
    struct outbox *outbox = &partition->outbox;
    if (!partition->was_ready) {
        if (!partition->shared->outbox.explicit_ids) {
            outbox->next_sequence_id = (uint64_t)(last_sequence_id + 1);
        }
        partition->last_sequence_id = last_sequence_id;
    }
    if (outbox->unproven && last_sequence_id > outbox->last_stored) {
        outbox->last_stored = last_sequence_id;
        partition->last_sequence_id = last_sequence_id;
    }
}

static bool take_success(struct partition *partition, const Pulsar__CommandProducerSuccess *success,
                         struct err *err) {
    struct outbox *outbox = &partition->outbox;
    outbox->limits.max_message_size = connection_max_message_size(partition->user.connection);
    if (!pending_fit(partition, err)) {
        return false;
    }
    if (outbox_has_open(outbox) &&
        !str_equal(registration_version_in(success), outbox->limits.schema_version)) {
        outbox_seal(outbox); /* these are of the former version */
    }
    if (!registration_take(&partition->registration, success, err)) {
        return false;
    }
    outbox->limits.schema_version = registration_version(&partition->registration);
    outbox->limits.name_len = strlen(partition->registration.name);
    outbox->header.producer_name = str_of(partition->registration.name);
    take_numbering(partition, success->last_sequence_id);
    return true;
}

static void created(struct connection_request *request, const struct err *failure,
                    const Pulsar__BaseCommand *reply) {
    struct partition *partition = of_request(request);
    struct err err = failure != NULL ? *failure : ERR_NONE;
    if (request->timed_out) {
        retire(partition, &err); /* it may yet come into being */
        return;
    }
    if (failure == NULL &&
        (reply->producer_success == NULL || !registration_is_valid(reply->producer_success))) {
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
    if (!reply->producer_success->producer_ready) {
        /* Of exclusive access; the same answer comes again when it is our turn. */
        connection_expect(partition->user.connection, request);
        partition->shared->events->queued(partition);
        return;
    }
    if (!take_success(partition, reply->producer_success, &err)) {
        retire(partition, &err);
        return;
    }
    set_state(partition, PARTITION_READY, partition->registration.name);
    if (partition->was_ready) {
        partition->shared->outbox.stats.reconnects++;
    }
    partition->was_ready = true;
    outbox_rewind(&partition->outbox);
    if (partition->outbox.pending == NULL) {
        backoff_reset(&partition->backoff); /* else the first receipt does */
    }
    pump(partition);
    if (outbox_has_open(&partition->outbox)) {
        lane_timer_set_ms(&partition->batch_timer, 0);
    }
    partition->shared->events->ready(partition);
}

static void create(struct partition *partition) {
    Pulsar__CommandProducer producer = PULSAR__COMMAND_PRODUCER__INIT;
    partition->request.id = connection_new_request_id(partition->user.connection);
    partition->request.done = created;
    producer.topic = partition->topic;
    producer.producer_id = partition->user.producer_id;
    producer.request_id = partition->request.id;
    registration_ask(&partition->registration, &partition->shared->registration, &producer);
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
    *partition = (struct partition){.shared = shared, .index = index, .last_sequence_id = -1};
    partition->topic = str_dup(str_of(topic));
    partition->user.events = &connection_events;
    partition->user.producer_id = client_new_producer_id(shared->client);
    partition->backoff = client_backoff(shared->client);
    lane_timer_init(&partition->retry_timer, lane_of(partition), attempt, partition);
    lane_timer_init(&partition->batch_timer, lane_of(partition), batch_due, partition);
    lane_timer_init(&partition->report_timer, lane_of(partition), report_due, partition);
    bool ok = outbox_init(&partition->outbox, &shared->outbox);
    partition->outbox.header.producer_id = partition->user.producer_id;
    return ok && partition->topic != NULL;
}

void partition_open(struct partition *partition) {
    attempt(partition);
}

void partition_reset(struct partition *partition) {
    set_state(partition, PARTITION_IDLE, "to be opened again");
    registration_reset(&partition->registration);
    partition->was_ready = false;
}

static void closed_at_broker(struct connection_request *request, const struct err *err,
                             const Pulsar__BaseCommand *reply) {
    (void)reply;
    end_closing(of_request(request), err != NULL ? err->text : "closed at the broker");
}

void partition_close(struct partition *partition) {
    if (partition->state >= PARTITION_CLOSING) {
        return;
    }
    lane_timer_cancel(&partition->batch_timer);
    lane_timer_cancel(&partition->report_timer);
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

void partition_done(struct partition *partition) {
    if (partition->shared == NULL) {
        return;
    }
    let_go(partition);
    lane_timer_cancel(&partition->batch_timer);
    lane_timer_cancel(&partition->report_timer);
    outbox_done(&partition->outbox);
    registration_reset(&partition->registration);
    free(partition->topic);
    *partition = (struct partition){.shared = NULL};
}
