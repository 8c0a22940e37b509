/* The connections of fake_broker: what clients ask, and what they are told. */
#include "fakes/fake_broker_state.h"

#include "fakes/fake_tls.h"

#include <stdio.h>
#include <stdlib.h>

enum { PROTOCOL_VERSION = 21 };

/* ---- answers ---- */

void fake_broker_send(struct fake_broker_conn *conn, const Pulsar__BaseCommand *command) {
    struct buf frame;
    buf_init(&frame, BUF_MAX_COMMAND);
    fake_frame_add(&frame, command);
    fake_conn_write(conn->conn, frame.data, buf_str(&frame).len);
    buf_done(&frame);
}

void fake_broker_wrong(struct fake_broker_conn *conn, const char *what) {
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

void fake_broker_answer(struct fake_broker_conn *conn, const char *op, struct str topic,
                        const Pulsar__BaseCommand *command, uint64_t delay_ms) {
    struct fake_faults *faults = &conn->broker->faults;
    const struct fake_fault *fault;
    struct str name = str_of(op);
    bool receipt = command->send_receipt != NULL;
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

void fake_broker_answer_error(struct fake_broker_conn *conn, uint64_t request_id,
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

const struct fake_fault *fake_broker_failure(struct fake_broker_conn *conn, const char *op,
                                             struct str topic) {
    return fake_faults_take(&conn->broker->faults, FAKE_BROKER_FAULT_FAIL, str_of(op), topic);
}

bool fake_broker_dropped(struct fake_broker_conn *conn, const char *op, struct str topic) {
    if (fake_faults_take(&conn->broker->faults, FAKE_BROKER_FAULT_DROP_BEFORE, str_of(op), topic) ==
        NULL) {
        return false;
    }
    fake_conn_abort(conn->conn);
    return true;
}

/* ---- connect ---- */

static bool may_enter(const struct fake_broker *broker, const char *method,
                      protobuf_c_boolean has_data, ProtobufCBinaryData data) {
    return broker->auth_method[0] == '\0' ||
           (method != NULL && strcmp(method, broker->auth_method) == 0 && has_data &&
            str_is(str_make((const char *)data.data, data.len), broker->auth_data));
}

static void refuse_entry(struct fake_broker_conn *conn) {
    fake_broker_answer_error(conn, UINT64_MAX, PULSAR__SERVER_ERROR__AuthenticationError,
                             "Unable to authenticate");
    fake_conn_close(conn->conn);
}

static void note_text(const char *text, size_t len, char *to, size_t size) {
    (void)str_copy(str_make(text, strnlen(text, len < size ? len : size - 1)), to, size);
}

static void note_connect(struct fake_broker_conn *conn, const Pulsar__CommandConnect *connect) {
    struct fake_broker_connect *last = &conn->broker->last_connect;
    const struct fake_tls *tls = fake_conn_tls(conn->conn);
    *last = (struct fake_broker_connect){.protocol_version = connect->protocol_version,
                                         .tls = tls != NULL};
    note_text(connect->client_version, SIZE_MAX, last->client_version, sizeof last->client_version);
    if (connect->auth_method_name != NULL) {
        note_text(connect->auth_method_name, SIZE_MAX, last->method, sizeof last->method);
    }
    if (connect->has_auth_data && connect->auth_data.len > 0) {
        note_text((const char *)connect->auth_data.data, connect->auth_data.len, last->data,
                  sizeof last->data);
    }
    if (connect->proxy_to_broker_url != NULL) {
        note_text(connect->proxy_to_broker_url, SIZE_MAX, last->proxy_to, sizeof last->proxy_to);
    }
    if (tls != NULL) {
        fake_tls_peer_name(tls, last->certificate, sizeof last->certificate);
        note_text(fake_tls_server_name(tls), SIZE_MAX, last->server_name, sizeof last->server_name);
    }
}

/* Which broker the connection goes on to. False: none of that name is behind the proxy. */
static bool go_through_proxy(struct fake_broker_conn *conn, const char *to) {
    const struct fake_broker *broker = conn->broker;
    conn->at_proxy = broker->proxy && to == NULL;
    if (to == NULL) {
        return true;
    }
    for (size_t i = 0; broker->proxy && i < broker->port_count; i++) {
        char name[64];
        (void)snprintf(name, sizeof name, "broker-%zu.invalid:%s", i,
                       fake_conn_tls(conn->conn) == NULL ? "6650" : "6651");
        if (strcmp(name, to) == 0) {
            conn->number = i;
            return true;
        }
    }
    return false;
}

static void on_connect(struct fake_broker_conn *conn, const Pulsar__CommandConnect *connect) {
    struct fake_broker *broker = conn->broker;
    const struct fake_fault *fault;
    broker->counts.connects++;
    note_connect(conn, connect);
    if (conn->connected) {
        fake_broker_wrong(conn, "a second CONNECT on a connection");
    } else if (!go_through_proxy(conn, connect->proxy_to_broker_url)) {
        fake_broker_wrong(conn, "proxy_to_broker_url names no broker behind a proxy");
    } else if (fake_broker_dropped(conn, "CONNECT", STR_NONE)) {
        return;
    } else if ((fault = fake_broker_failure(conn, "CONNECT", STR_NONE)) != NULL) {
        fake_broker_answer_error(conn, UINT64_MAX, (Pulsar__ServerError)fault->number, fault->text);
        fake_conn_close(conn->conn);
    } else if (!may_enter(broker, connect->auth_method_name, connect->has_auth_data,
                          connect->auth_data)) {
        refuse_entry(conn);
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
        fake_broker_answer(conn, "CONNECT", STR_NONE, &command, 0);
    }
}

static void on_auth_response(struct fake_broker_conn *conn,
                             const Pulsar__CommandAuthResponse *response) {
    conn->broker->counts.auth_responses++;
    const Pulsar__AuthData *data = response->response;
    if (data == NULL ||
        !may_enter(conn->broker, data->auth_method_name, data->has_auth_data, data->auth_data)) {
        refuse_entry(conn);
    }
}

/* ---- lookup ---- */

static void on_partitioned_metadata(struct fake_broker_conn *conn,
                                    const Pulsar__CommandPartitionedTopicMetadata *request) {
    struct str topic = str_of(request->topic);
    conn->broker->counts.partitioned_metadata++;
    if (fake_broker_dropped(conn, "PARTITIONED_METADATA", topic)) {
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
    const struct fake_broker_topic *found = fake_broker_find_topic(conn->broker, topic);
    const struct fake_fault *fault = fake_broker_failure(conn, "PARTITIONED_METADATA", topic);
    if (fault != NULL) {
        copy = *fault;
        body.response = PULSAR__COMMAND_PARTITIONED_TOPIC_METADATA_RESPONSE__LOOKUP_TYPE__Failed;
        body.has_error = 1;
        body.error = (Pulsar__ServerError)copy.number;
        body.message = copy.text;
    } else if (found != NULL && found->deleted) {
        static char gone[] = "Topic not found";
        body.response = PULSAR__COMMAND_PARTITIONED_TOPIC_METADATA_RESPONSE__LOOKUP_TYPE__Failed;
        body.has_error = 1;
        body.error = PULSAR__SERVER_ERROR__TopicNotFound;
        body.message = gone;
    } else {
        body.has_partitions = 1;
        body.partitions = found != NULL && found->has_partitions ? found->partitions
                                                                 : conn->broker->default_partitions;
    }
    fake_broker_answer(conn, "PARTITIONED_METADATA", topic, &command, 0);
}

static void on_lookup(struct fake_broker_conn *conn, const Pulsar__CommandLookupTopic *request) {
    struct fake_broker *broker = conn->broker;
    struct str topic = str_of(request->topic);
    broker->counts.lookups++;
    broker->counts.authoritative_lookups += request->authoritative ? 1 : 0;
    if (fake_broker_dropped(conn, "LOOKUP", topic)) {
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
    char url_tls[320];
    struct fake_fault copy;
    const struct fake_fault *fault = fake_broker_failure(conn, "LOOKUP", topic);
    if (fault != NULL) {
        copy = *fault;
        body.response = PULSAR__COMMAND_LOOKUP_TOPIC_RESPONSE__LOOKUP_TYPE__Failed;
        body.has_error = 1;
        body.error = (Pulsar__ServerError)copy.number;
        body.message = copy.text;
    } else {
        size_t to = fake_broker_owner(broker, topic);
        body.response = PULSAR__COMMAND_LOOKUP_TOPIC_RESPONSE__LOOKUP_TYPE__Connect;
        fault = fake_faults_take(&broker->faults, FAKE_BROKER_FAULT_REDIRECT, STR("LOOKUP"), topic);
        if (fault != NULL) {
            to = (size_t)fault->number;
            body.response = PULSAR__COMMAND_LOOKUP_TOPIC_RESPONSE__LOOKUP_TYPE__Redirect;
            body.authoritative = 1;
        }
        fake_broker_url(broker, to, broker->proxy, url);
        fake_broker_url_tls(broker, to, broker->proxy, url_tls);
        body.broker_service_url = url;
        body.broker_service_url_tls = url_tls[0] == '\0' ? NULL : url_tls;
        body.has_proxy_through_service_url = broker->proxy;
        body.proxy_through_service_url = broker->proxy;
    }
    fake_broker_answer(conn, "LOOKUP", topic, &command, 0);
}

/* ---- connections ---- */

static void on_ping(struct fake_broker_conn *conn) {
    Pulsar__BaseCommand command = PULSAR__BASE_COMMAND__INIT;
    Pulsar__CommandPong body = PULSAR__COMMAND_PONG__INIT;
    command.type = PULSAR__BASE_COMMAND__TYPE__PONG;
    command.pong = &body;
    conn->broker->counts.pings++;
    fake_broker_answer(conn, "PING", STR_NONE, &command, 0);
}

static void on_command(struct fake_broker_conn *conn, const Pulsar__BaseCommand *command,
                       const struct fake_frame *frame) {
    if (!conn->connected && command->connect == NULL) {
        fake_broker_wrong(conn, "a command before CONNECT");
    } else if (command->connect != NULL) {
        on_connect(conn, command->connect);
    } else if (command->auth_response != NULL) {
        on_auth_response(conn, command->auth_response);
    } else if (command->partitioned_metadata != NULL) {
        on_partitioned_metadata(conn, command->partitioned_metadata);
    } else if (command->lookup != NULL) {
        on_lookup(conn, command->lookup);
    } else if (command->producer != NULL) {
        fake_broker_on_producer(conn, command->producer);
    } else if (command->close_producer != NULL) {
        fake_broker_on_close_producer(conn, command->close_producer);
    } else if (command->send != NULL) {
        fake_broker_on_send(conn, command->send, frame);
    } else if (command->ping != NULL) {
        on_ping(conn);
    } else if (command->pong != NULL) {
        conn->broker->counts.pongs++;
    } else {
        fake_broker_wrong(conn, "a command that no producer sends");
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
            fake_broker_wrong(conn, "a command cannot be read");
        } else {
            on_command(conn, command, &frame);
            pulsar__base_command__free_unpacked(command, NULL);
        }
        fake_conn_consume(of, frame.len);
    }
    if (result == FAKE_FRAME_BAD) {
        fake_broker_wrong(conn, "a frame's sizes are wrong, or it is too large");
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
    while (broker->ports[conn->number] != fake_conn_port(of) &&
           broker->tls_ports[conn->number] != fake_conn_port(of)) {
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
