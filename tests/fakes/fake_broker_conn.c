/* The connections of fake_broker: what clients ask, and what they are told. */
#include "fakes/fake_broker_state.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

enum { PROTOCOL_VERSION = 21, LEDGER = 7 };

/* ---- answers ---- */

void fake_broker_send(struct fake_broker_conn *conn, const Pulsar__BaseCommand *command) {
    struct buf frame;
    buf_init(&frame, BUF_MAX_COMMAND);
    fake_frame_add(&frame, command);
    fake_conn_write(conn->conn, frame.data, buf_str(&frame).len);
    buf_done(&frame);
}

/* Notes what a client did wrong. A broker cuts such a client off, and so does its double. */
static void violation(struct fake_broker_conn *conn, const char *what) {
    struct fake_broker *broker = conn->broker;
    if (broker->counts.violations++ == 0) {
        (void)str_copy(str_make(what, strnlen(what, sizeof broker->violation - 1)),
                       broker->violation, sizeof broker->violation);
    }
    fake_conn_abort(conn->conn);
}

static void send_due(void *ctx, struct fake_conn *of) {
    struct fake_broker_conn *conn = ctx;
    uint64_t now = fake_server_now_ms();
    while (conn->later != NULL && conn->later->due_ms <= now) {
        struct fake_broker_later *later = conn->later;
        conn->later = later->next;
        fake_conn_write(of, later->frame, later->len);
        free(later);
    }
}

static void send_later(struct fake_broker_conn *conn, const struct buf *frame, uint64_t due_ms,
                       uint64_t now_ms) {
    struct fake_broker_later *later = malloc(sizeof *later + frame->len);
    if (later == NULL ||
        !fake_server_after(conn->broker->server, due_ms - now_ms, send_due, conn, conn->conn)) {
        free(later);
        fake_conn_abort(conn->conn);
        return;
    }
    struct fake_broker_later **place = &conn->later;
    while (*place != NULL && (*place)->due_ms <= due_ms) {
        place = &(*place)->next;
    }
    *later = (struct fake_broker_later){.next = *place, .due_ms = due_ms, .len = frame->len};
    memcpy(later->frame, frame->data, frame->len);
    *place = later;
}

/* Sends the frame in delay_ms. Receipts keep their order, whatever happens to their delay
 * meanwhile. */
static void send_frame(struct fake_broker_conn *conn, const struct buf *frame, bool receipt,
                       uint64_t delay_ms) {
    if (delay_ms == 0 && (!receipt || conn->later == NULL)) {
        fake_conn_write(conn->conn, frame->data, frame->len);
        return;
    }
    uint64_t now = fake_server_now_ms();
    uint64_t due = now + delay_ms;
    if (receipt) {
        due = due > conn->receipt_due_ms ? due : conn->receipt_due_ms;
        conn->receipt_due_ms = due;
    }
    send_later(conn, frame, due, now);
}

/* Answers a request, as far as the scenario lets it. */
static void answer(struct fake_broker_conn *conn, const char *op, struct str topic,
                   const Pulsar__BaseCommand *command) {
    struct fake_faults *faults = &conn->broker->faults;
    const struct fake_fault *fault;
    struct str name = str_of(op);
    bool receipt = command->send_receipt != NULL;
    uint64_t delay_ms = receipt ? conn->broker->receipt_delay_ms : 0;
    if (fake_faults_take(faults, FAKE_BROKER_FAULT_SILENT, name, topic) != NULL) {
        return;
    }
    if (fake_faults_take(faults, FAKE_BROKER_FAULT_DROP_AFTER, name, topic) != NULL) {
        fake_conn_abort(conn->conn);
        return;
    }
    struct buf frame;
    buf_init(&frame, BUF_MAX_COMMAND);
    fake_frame_add(&frame, command);
    if (frame.failed) {
        fake_conn_abort(conn->conn);
    } else if ((fault = fake_faults_take(faults, FAKE_BROKER_FAULT_CUT, name, topic)) != NULL) {
        fake_conn_write(conn->conn, frame.data,
                        fault->number < frame.len ? (size_t)fault->number : frame.len);
        fake_conn_close(conn->conn);
    } else {
        fault = fake_faults_take(faults, FAKE_BROKER_FAULT_DELAY, name, topic);
        send_frame(conn, &frame, receipt, delay_ms + (fault == NULL ? 0 : fault->number));
    }
    buf_done(&frame);
}

static void answer_error(struct fake_broker_conn *conn, uint64_t request_id,
                         Pulsar__ServerError error, const char *message) {
    Pulsar__BaseCommand command = PULSAR__BASE_COMMAND__INIT;
    Pulsar__CommandError body = PULSAR__COMMAND_ERROR__INIT;
    command.type = PULSAR__BASE_COMMAND__TYPE__ERROR;
    command.error = &body;
    body.request_id = request_id;
    body.error = error;
    body.message = (char *)(uintptr_t)message; /* protobuf-c has no const, and does not write */
    fake_broker_send(conn, &command);
}

/* The scripted failure of a request, or NULL. */
static const struct fake_fault *failure(struct fake_broker_conn *conn, const char *op,
                                        struct str topic) {
    return fake_faults_take(&conn->broker->faults, FAKE_BROKER_FAULT_FAIL, str_of(op), topic);
}

/* Whether the scenario resets the connection before the request is carried out. */
static bool dropped(struct fake_broker_conn *conn, const char *op, struct str topic) {
    if (fake_faults_take(&conn->broker->faults, FAKE_BROKER_FAULT_DROP_BEFORE, str_of(op), topic) ==
        NULL) {
        return false;
    }
    fake_conn_abort(conn->conn);
    return true;
}

/* ---- connect ---- */

static bool token_is_right(const struct fake_broker *broker, const char *method,
                           protobuf_c_boolean has_data, ProtobufCBinaryData data) {
    return broker->token[0] == '\0' ||
           (method != NULL && strcmp(method, "token") == 0 && has_data &&
            str_is(str_make((const char *)data.data, data.len), broker->token));
}

static void refuse_token(struct fake_broker_conn *conn) {
    answer_error(conn, UINT64_MAX, PULSAR__SERVER_ERROR__AuthenticationError,
                 "Unable to authenticate");
    fake_conn_close(conn->conn);
}

static void on_connect(struct fake_broker_conn *conn, const Pulsar__CommandConnect *connect) {
    struct fake_broker *broker = conn->broker;
    const struct fake_fault *fault;
    broker->counts.connects++;
    if (conn->connected) {
        violation(conn, "a second CONNECT on a connection");
    } else if (dropped(conn, "CONNECT", STR_NONE)) {
        return;
    } else if ((fault = failure(conn, "CONNECT", STR_NONE)) != NULL) {
        answer_error(conn, UINT64_MAX, (Pulsar__ServerError)fault->number, fault->text);
        fake_conn_close(conn->conn);
    } else if (!token_is_right(broker, connect->auth_method_name, connect->has_auth_data,
                               connect->auth_data)) {
        refuse_token(conn);
    } else {
        Pulsar__BaseCommand command = PULSAR__BASE_COMMAND__INIT;
        Pulsar__CommandConnected body = PULSAR__COMMAND_CONNECTED__INIT;
        static char version[] = "Fake broker";
        command.type = PULSAR__BASE_COMMAND__TYPE__CONNECTED;
        command.connected = &body;
        body.server_version = version;
        body.has_protocol_version = 1;
        body.protocol_version = PROTOCOL_VERSION;
        body.has_max_message_size = 1;
        body.max_message_size = broker->max_message_size;
        conn->connected = true;
        answer(conn, "CONNECT", STR_NONE, &command);
    }
}

static void on_auth_response(struct fake_broker_conn *conn,
                             const Pulsar__CommandAuthResponse *response) {
    conn->broker->counts.auth_responses++;
    const Pulsar__AuthData *data = response->response;
    if (data == NULL || !token_is_right(conn->broker, data->auth_method_name, data->has_auth_data,
                                        data->auth_data)) {
        refuse_token(conn);
    }
}

/* ---- lookup ---- */

static size_t owner_of(struct fake_broker *broker, struct str topic) {
    const struct fake_broker_topic *found = fake_broker_find_topic(broker, topic);
    return found == NULL ? 0 : found->owner;
}

static void on_partitioned_metadata(struct fake_broker_conn *conn,
                                    const Pulsar__CommandPartitionedTopicMetadata *request) {
    struct str topic = str_of(request->topic);
    conn->broker->counts.partitioned_metadata++;
    if (dropped(conn, "PARTITIONED_METADATA", topic)) {
        return;
    }
    Pulsar__BaseCommand command = PULSAR__BASE_COMMAND__INIT;
    Pulsar__CommandPartitionedTopicMetadataResponse body =
        PULSAR__COMMAND_PARTITIONED_TOPIC_METADATA_RESPONSE__INIT;
    command.type = PULSAR__BASE_COMMAND__TYPE__PARTITIONED_METADATA_RESPONSE;
    command.partitioned_metadata_response = &body;
    body.request_id = request->request_id;
    body.has_response = 1;
    struct fake_fault copy;
    const struct fake_fault *fault = failure(conn, "PARTITIONED_METADATA", topic);
    if (fault != NULL) {
        copy = *fault;
        body.response = PULSAR__COMMAND_PARTITIONED_TOPIC_METADATA_RESPONSE__LOOKUP_TYPE__Failed;
        body.has_error = 1;
        body.error = (Pulsar__ServerError)copy.number;
        body.message = copy.text;
    } else {
        const struct fake_broker_topic *found = fake_broker_find_topic(conn->broker, topic);
        body.has_partitions = 1;
        body.partitions = found != NULL && found->has_partitions ? found->partitions
                                                                 : conn->broker->default_partitions;
    }
    answer(conn, "PARTITIONED_METADATA", topic, &command);
}

static void on_lookup(struct fake_broker_conn *conn, const Pulsar__CommandLookupTopic *request) {
    struct fake_broker *broker = conn->broker;
    struct str topic = str_of(request->topic);
    broker->counts.lookups++;
    if (dropped(conn, "LOOKUP", topic)) {
        return;
    }
    Pulsar__BaseCommand command = PULSAR__BASE_COMMAND__INIT;
    Pulsar__CommandLookupTopicResponse body = PULSAR__COMMAND_LOOKUP_TOPIC_RESPONSE__INIT;
    command.type = PULSAR__BASE_COMMAND__TYPE__LOOKUP_RESPONSE;
    command.lookup_response = &body;
    body.request_id = request->request_id;
    body.has_response = 1;
    body.has_authoritative = 1;
    char url[64];
    struct fake_fault copy;
    const struct fake_fault *fault = failure(conn, "LOOKUP", topic);
    if (fault != NULL) {
        copy = *fault;
        body.response = PULSAR__COMMAND_LOOKUP_TOPIC_RESPONSE__LOOKUP_TYPE__Failed;
        body.has_error = 1;
        body.error = (Pulsar__ServerError)copy.number;
        body.message = copy.text;
    } else {
        size_t to = owner_of(broker, topic);
        body.response = PULSAR__COMMAND_LOOKUP_TOPIC_RESPONSE__LOOKUP_TYPE__Connect;
        fault = fake_faults_take(&broker->faults, FAKE_BROKER_FAULT_REDIRECT, STR("LOOKUP"), topic);
        if (fault != NULL) {
            to = (size_t)fault->number;
            body.response = PULSAR__COMMAND_LOOKUP_TOPIC_RESPONSE__LOOKUP_TYPE__Redirect;
            body.authoritative = 1;
        }
        fake_broker_url(broker, to, url);
        body.broker_service_url = url;
    }
    answer(conn, "LOOKUP", topic, &command);
}

/* ---- producers ---- */

static struct fake_broker_producer *find_producer(const struct fake_broker_conn *conn,
                                                  uint64_t id) {
    struct fake_broker_producer *producer = conn->producers;
    while (producer != NULL && producer->id != id) {
        producer = producer->next;
    }
    return producer;
}

void fake_broker_drop_producer(struct fake_broker_conn *conn,
                               struct fake_broker_producer *producer) {
    struct fake_broker_producer **place = &conn->producers;
    while (*place != producer) {
        place = &(*place)->next;
    }
    *place = producer->next;
    conn->broker->counts.live_producers--;
    free(producer->topic);
    free(producer->name);
    free(producer);
}

/* Whether another live producer has that name on that topic. A later epoch of the same one takes
 * its place. */
static bool name_is_taken(struct fake_broker_conn *asking, const Pulsar__CommandProducer *request) {
    for (struct fake_broker_conn *conn = asking->broker->conns; conn != NULL; conn = conn->next) {
        for (struct fake_broker_producer *producer = conn->producers; producer != NULL;
             producer = producer->next) {
            if (strcmp(producer->topic, request->topic) != 0 ||
                strcmp(producer->name, request->producer_name) != 0) {
                continue;
            }
            if (conn != asking || producer->id != request->producer_id ||
                producer->epoch >= request->epoch) {
                return true;
            }
            fake_broker_drop_producer(conn, producer);
            return false;
        }
    }
    return false;
}

static struct fake_broker_producer *add_producer(struct fake_broker_conn *conn,
                                                 const Pulsar__CommandProducer *request) {
    struct fake_broker *broker = conn->broker;
    char given[64];
    (void)snprintf(given, sizeof given, "fake-%zu-%" PRIu64, conn->number, broker->names_given);
    bool has_name = request->producer_name != NULL && request->producer_name[0] != '\0';
    struct fake_broker_producer *producer = calloc(1, sizeof *producer);
    char *topic = str_dup(str_of(request->topic));
    char *name = str_dup(str_of(has_name ? request->producer_name : given));
    if (producer == NULL || topic == NULL || name == NULL) {
        free(producer);
        free(topic);
        free(name);
        return NULL;
    }
    broker->names_given += has_name ? 0 : 1;
    *producer = (struct fake_broker_producer){
        .next = conn->producers,
        .id = request->producer_id,
        .epoch = request->epoch,
        .topic = topic,
        .name = name,
    };
    conn->producers = producer;
    broker->counts.producers++;
    broker->counts.live_producers++;
    return producer;
}

static void on_producer(struct fake_broker_conn *conn, const Pulsar__CommandProducer *request) {
    struct fake_broker *broker = conn->broker;
    struct str topic = str_of(request->topic);
    const struct fake_fault *fault;
    bool has_name = request->producer_name != NULL && request->producer_name[0] != '\0';
    if (dropped(conn, "PRODUCER", topic)) {
        return;
    }
    if ((fault = failure(conn, "PRODUCER", topic)) != NULL) {
        answer_error(conn, request->request_id, (Pulsar__ServerError)fault->number, fault->text);
    } else if (owner_of(broker, topic) != conn->number) {
        answer_error(conn, request->request_id, PULSAR__SERVER_ERROR__ServiceNotReady,
                     "Namespace bundle is not owned by this broker");
    } else if (has_name && name_is_taken(conn, request)) {
        answer_error(conn, request->request_id, PULSAR__SERVER_ERROR__ProducerBusy,
                     "Producer with that name is already connected to topic");
    } else if (find_producer(conn, request->producer_id) != NULL) {
        violation(conn, "a PRODUCER uses the id of a living one");
    } else {
        struct fake_broker_producer *producer = add_producer(conn, request);
        if (producer == NULL) {
            fake_conn_abort(conn->conn);
            return;
        }
        Pulsar__BaseCommand command = PULSAR__BASE_COMMAND__INIT;
        Pulsar__CommandProducerSuccess body = PULSAR__COMMAND_PRODUCER_SUCCESS__INIT;
        command.type = PULSAR__BASE_COMMAND__TYPE__PRODUCER_SUCCESS;
        command.producer_success = &body;
        body.request_id = request->request_id;
        body.producer_name = producer->name;
        body.has_last_sequence_id = 1;
        body.last_sequence_id =
            broker->dedup ? fake_broker_store_last(&broker->store, topic, str_of(producer->name))
                          : -1;
        answer(conn, "PRODUCER", topic, &command);
    }
}

static void on_close_producer(struct fake_broker_conn *conn,
                              const Pulsar__CommandCloseProducer *request) {
    struct fake_broker_producer *producer = find_producer(conn, request->producer_id);
    char name[512] = "";
    if (producer != NULL) {
        (void)str_copy(str_of(producer->topic), name, sizeof name);
        if (dropped(conn, "CLOSE_PRODUCER", str_of(name))) {
            return;
        }
        fake_broker_drop_producer(conn, producer);
        conn->broker->counts.closed_producers++;
    }
    Pulsar__BaseCommand command = PULSAR__BASE_COMMAND__INIT;
    Pulsar__CommandSuccess body = PULSAR__COMMAND_SUCCESS__INIT;
    command.type = PULSAR__BASE_COMMAND__TYPE__SUCCESS;
    command.success = &body;
    body.request_id = request->request_id;
    answer(conn, "CLOSE_PRODUCER", str_of(name), &command);
}

/* ---- messages ---- */

static void answer_send(struct fake_broker_conn *conn, const Pulsar__CommandSend *send,
                        struct str topic, bool duplicate) {
    struct fake_broker *broker = conn->broker;
    Pulsar__BaseCommand command = PULSAR__BASE_COMMAND__INIT;
    Pulsar__CommandSendReceipt body = PULSAR__COMMAND_SEND_RECEIPT__INIT;
    Pulsar__MessageIdData id = PULSAR__MESSAGE_ID_DATA__INIT;
    command.type = PULSAR__BASE_COMMAND__TYPE__SEND_RECEIPT;
    command.send_receipt = &body;
    body.producer_id = send->producer_id;
    body.sequence_id = send->sequence_id;
    body.message_id = &id;
    body.has_highest_sequence_id = send->has_highest_sequence_id;
    body.highest_sequence_id = send->highest_sequence_id;
    id.ledger_id = duplicate ? UINT64_MAX : LEDGER;
    id.entry_id = duplicate ? UINT64_MAX : broker->next_entry++;
    answer(conn, "SEND", topic, &command);
}

static void answer_send_error(struct fake_broker_conn *conn, const Pulsar__CommandSend *send,
                              Pulsar__ServerError error, const char *message) {
    Pulsar__BaseCommand command = PULSAR__BASE_COMMAND__INIT;
    Pulsar__CommandSendError body = PULSAR__COMMAND_SEND_ERROR__INIT;
    command.type = PULSAR__BASE_COMMAND__TYPE__SEND_ERROR;
    command.send_error = &body;
    body.producer_id = send->producer_id;
    /* The highest, unlike a receipt. */
    body.sequence_id = send->highest_sequence_id > send->sequence_id ? send->highest_sequence_id
                                                                     : send->sequence_id;
    body.error = error;
    body.message = (char *)(uintptr_t)message; /* not written to, see answer_error */
    fake_broker_send(conn, &command);
}

struct storing {
    struct fake_broker_store *store;
    struct str topic;
};

static bool store_message(void *ctx, const Pulsar__MessageMetadata *metadata,
                          const struct fake_decoded *message, struct err *err) {
    struct storing *storing = ctx;
    return storing->store == NULL ||
           fake_broker_store_add(storing->store, storing->topic, metadata, message, err);
}

static void on_send(struct fake_broker_conn *conn, const Pulsar__CommandSend *send,
                    const struct fake_frame *frame) {
    struct fake_broker *broker = conn->broker;
    struct fake_broker_counts *counts = &broker->counts;
    struct fake_broker_producer *producer = find_producer(conn, send->producer_id);
    if (producer == NULL) {
        /* Can also be innocent: a SEND that crossed our CLOSE_PRODUCER. A broker closes the
         * connection too. */
        fake_conn_abort(conn->conn);
        return;
    }
    struct str topic = str_of(producer->topic);
    const struct fake_fault *fault;
    if (dropped(conn, "SEND", topic)) {
        return;
    }
    counts->sends++;
    counts->bytes += frame->len;
    if (broker->count_only) {
        counts->messages += (uint64_t)send->num_messages;
        answer_send(conn, send, topic, false);
        return;
    }
    if (producer->fenced) {
        answer_send_error(conn, send, PULSAR__SERVER_ERROR__PersistenceError, "fenced");
        return;
    }
    if ((fault = failure(conn, "SEND", topic)) != NULL) {
        /* What was sent behind a failed write must not be stored before it is sent again. */
        producer->fenced = fault->number == PULSAR__SERVER_ERROR__PersistenceError;
        answer_send_error(conn, send, (Pulsar__ServerError)fault->number, fault->text);
        return;
    }
    struct err err = ERR_NONE;
    int64_t highest =
        (int64_t)(send->highest_sequence_id > send->sequence_id ? send->highest_sequence_id
                                                                : send->sequence_id);
    int64_t last = fake_broker_store_last(&broker->store, topic, str_of(producer->name));
    bool duplicate = broker->dedup && (int64_t)send->sequence_id <= last;
    struct storing storing = {.store = duplicate ? NULL : &broker->store, .topic = topic};
    if (!fake_entry_decode(frame->payload, send, producer->name, (size_t)broker->max_message_size,
                           store_message, &storing, &err)) {
        violation(conn, err.text);
        return;
    }
    if (duplicate) {
        counts->duplicates += (uint64_t)send->num_messages;
    } else {
        counts->messages += (uint64_t)send->num_messages;
        if (!fake_broker_store_remember(&broker->store, topic, str_of(producer->name), highest)) {
            fake_conn_abort(conn->conn);
            return;
        }
    }
    answer_send(conn, send, topic, duplicate);
}

/* ---- connections ---- */

static void on_ping(struct fake_broker_conn *conn) {
    Pulsar__BaseCommand command = PULSAR__BASE_COMMAND__INIT;
    Pulsar__CommandPong body = PULSAR__COMMAND_PONG__INIT;
    command.type = PULSAR__BASE_COMMAND__TYPE__PONG;
    command.pong = &body;
    conn->broker->counts.pings++;
    answer(conn, "PING", STR_NONE, &command);
}

static void on_command(struct fake_broker_conn *conn, const Pulsar__BaseCommand *command,
                       const struct fake_frame *frame) {
    if (!conn->connected && command->connect == NULL) {
        violation(conn, "a command before CONNECT");
    } else if (command->connect != NULL) {
        on_connect(conn, command->connect);
    } else if (command->auth_response != NULL) {
        on_auth_response(conn, command->auth_response);
    } else if (command->partitioned_metadata != NULL) {
        on_partitioned_metadata(conn, command->partitioned_metadata);
    } else if (command->lookup != NULL) {
        on_lookup(conn, command->lookup);
    } else if (command->producer != NULL) {
        on_producer(conn, command->producer);
    } else if (command->close_producer != NULL) {
        on_close_producer(conn, command->close_producer);
    } else if (command->send != NULL) {
        on_send(conn, command->send, frame);
    } else if (command->ping != NULL) {
        on_ping(conn);
    } else if (command->pong != NULL) {
        conn->broker->counts.pongs++;
    } else {
        violation(conn, "a command that no producer sends");
    }
}

static void received(void *ctx, struct fake_conn *of) {
    struct fake_broker *broker = ctx;
    struct fake_broker_conn *conn = fake_conn_state(of);
    size_t max_size = (size_t)broker->max_message_size + FAKE_FRAME_PADDING;
    struct fake_frame frame;
    enum fake_frame_result result = FAKE_FRAME_MORE;
    while (conn != NULL && !fake_conn_is_dead(of) &&
           fake_server_now_ms() >= broker->pause_until_ms &&
           (result = fake_frame_parse(fake_conn_input(of), max_size, &frame)) == FAKE_FRAME_OK) {
        Pulsar__BaseCommand *command = pulsar__base_command__unpack(
            NULL, frame.command.len, (const uint8_t *)frame.command.ptr);
        if (command == NULL) {
            violation(conn, "a command cannot be read");
        } else {
            on_command(conn, command, &frame);
            pulsar__base_command__free_unpacked(command, NULL);
        }
        fake_conn_consume(of, frame.len);
    }
    if (result == FAKE_FRAME_BAD) {
        violation(conn, "a frame's sizes are wrong, or it is too large");
    }
}

static void *opened(void *ctx, struct fake_conn *of) {
    struct fake_broker *broker = ctx;
    struct fake_broker_conn *conn = calloc(1, sizeof *conn);
    if (conn == NULL) {
        fake_conn_abort(of);
        return NULL;
    }
    *conn = (struct fake_broker_conn){.broker = broker, .conn = of, .next = broker->conns};
    while (broker->ports[conn->number] != fake_conn_port(of)) {
        conn->number++;
    }
    if (broker->conns != NULL) {
        broker->conns->previous = conn;
    }
    broker->conns = conn;
    broker->counts.connections++;
    fake_conn_drip(of, broker->drip);
    fake_conn_pause(of, fake_server_now_ms() < broker->pause_until_ms);
    return conn;
}

static void closed(void *ctx, struct fake_conn *of) {
    struct fake_broker *broker = ctx;
    struct fake_broker_conn *conn = fake_conn_state(of);
    if (conn == NULL) {
        return;
    }
    while (conn->producers != NULL) {
        fake_broker_drop_producer(conn, conn->producers);
    }
    while (conn->later != NULL) {
        struct fake_broker_later *later = conn->later;
        conn->later = later->next;
        free(later);
    }
    if (conn->previous != NULL) {
        conn->previous->next = conn->next;
    } else {
        broker->conns = conn->next;
    }
    if (conn->next != NULL) {
        conn->next->previous = conn->previous;
    }
    broker->counts.connections--;
    free(conn);
}

const struct fake_handler fake_broker_handler = {
    .opened = opened, .received = received, .closed = closed};
