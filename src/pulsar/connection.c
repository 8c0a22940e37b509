#include "pulsar/connection.h"

#include "base/log.h"
#include "pulsar/channel.h"
#include "pulsar/command.h"
#include "pulsar/keep_alive.h"
#include "pulsar/secret.h"
#include "pulsar/server_error.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

/* It moves only down this list. */
enum connection_state {
    CONNECTION_CONNECTING,  /* the channel is not open yet */
    CONNECTION_IDENTIFYING, /* waits for what CONNECT has to show */
    CONNECTION_GREETING,    /* CONNECT was sent */
    CONNECTION_READY,
    CONNECTION_CLOSING, /* waits for the channel's end to tell the users */
};

struct connection {
    const struct connection_config *config;
    struct address logical;
    struct address physical;
    enum connection_state state;
    struct err reason; /* why it is closing */

    struct channel *channel; /* until it ended */
    uint64_t connect_deadline_ns;
    struct frame_reader reader;
    size_t max_message_size;
    bool can_ask_without_creating;
    struct auth_request identity;
    uint64_t pong_place; /* of the last PONG among all that the channel took; 0: none */
    uint64_t auth_response_place;

    struct aws_linked_list waiting; /* users that were not told `ready` */
    struct aws_linked_list users;   /* those that were */
    struct aws_linked_list blocked; /* first come, first served */
    struct id_table producers;      /* users with an id */
    struct requests requests;

    struct lane_timer deadline_timer; /* CONNECTED, then the first request's */
    struct lane_timer keep_alive_timer;
    struct lane_timer ready_timer; /* `ready` may not be told inside connection_attach */
    struct keep_alive keep_alive;
};

static const char *state_name(enum connection_state state) {
    static const char *const names[] = {"connecting", "identifying", "greeting", "ready",
                                        "closing"};
    return names[state];
}

static struct address_text name_of(const struct connection *connection) {
    return address_text(&connection->logical);
}

static struct connection_request *of_entry(struct request *entry) {
    return AWS_CONTAINER_OF(entry, struct connection_request, entry);
}

static void set_state(struct connection *connection, enum connection_state state, const char *why) {
    LOG_DEBUG("pulsar.connection", "state", LOG_TEXT("broker", name_of(connection).text),
              LOG_TEXT("from", state_name(connection->state)), LOG_TEXT("to", state_name(state)),
              LOG_TEXT("why", why));
    connection->state = state;
}

/* ---- The end. */

void connection_close(struct connection *connection, const struct err *reason) {
    if (connection->state >= CONNECTION_CLOSING) {
        return;
    }
    connection->reason = *reason;
    set_state(connection, CONNECTION_CLOSING, reason->text);
    connection->config->closing(connection, connection->config->ctx);
    auth_forget(&connection->identity);
    lane_timer_cancel(&connection->deadline_timer);
    lane_timer_cancel(&connection->keep_alive_timer);
    lane_timer_cancel(&connection->ready_timer);
    if (connection->channel != NULL) {
        channel_close(connection->channel);
    }
}

static void tell_lost(struct connection *connection) {
    struct aws_linked_list *lists[] = {&connection->users, &connection->waiting};
    for (size_t i = 0; i < 2; i++) {
        while (!aws_linked_list_empty(lists[i])) {
            struct connection_user *user =
                AWS_CONTAINER_OF(aws_linked_list_front(lists[i]), struct connection_user, node);
            connection_detach(user);
            user->events->lost(user, &connection->reason);
        }
    }
    for (struct request *entry; (entry = requests_first(&connection->requests)) != NULL;) {
        struct connection_request *request = of_entry(entry);
        connection_forget(request);
        request->done(request, &connection->reason, NULL);
    }
}

static void fail(struct connection *connection, enum err_code code, const char *text) {
    struct err err;
    err_set(&err, code, "broker %s: %s", name_of(connection).text, text);
    connection_close(connection, &err);
}

/* ---- Writing. */

bool connection_is_writable(const struct connection *connection) {
    return connection->state == CONNECTION_READY &&
           channel_writing(connection->channel) < CONNECTION_MAX_WRITING;
}

void connection_block(struct connection_user *user) {
    if (!user->blocked) {
        user->blocked = true;
        aws_linked_list_push_back(&user->connection->blocked, &user->blocked_node);
    }
}

static void unblock(struct connection_user *user) {
    if (user->blocked) {
        user->blocked = false;
        aws_linked_list_remove(&user->blocked_node);
    }
}

void connection_send(struct connection *connection, struct outgoing *frame) {
    /* When it fails, `lost` is on its way, and who still needs the bytes will send them again. */
    if (connection->state < CONNECTION_CLOSING) {
        (void)channel_write(connection->channel, frame);
    }
}

/* Takes the frame over. */
static void send_command(struct connection *connection, struct outgoing *frame) {
    if (frame == NULL) {
        fail(connection, ERR_NOMEM, "no memory for a command");
        return;
    }
    connection_send(connection, frame);
    outgoing_unref(frame);
}

void connection_tell(struct connection *connection, const Pulsar__BaseCommand *command) {
    send_command(connection, command_pack(command));
}

/* Answers to what a broker asks: one that is not with the kernel yet does for the next question,
 * too, so that nothing grows when a broker asks without end and reads nothing. */
static bool is_under_way(const struct connection *connection, uint64_t place) {
    return channel_stats(connection->channel).written < place;
}

static void send_answer(struct connection *connection, struct outgoing *frame, uint64_t *place) {
    send_command(connection, frame);
    *place = channel_stats(connection->channel).taken;
}

/* ---- Requests. */

static void arm_deadline(struct connection *connection) {
    const struct request *next = requests_next(&connection->requests);
    if (next == NULL) {
        lane_timer_cancel(&connection->deadline_timer);
    } else if (!connection->deadline_timer.armed ||
               connection->deadline_timer.due_ns > next->deadline_ns) {
        lane_timer_set_at_ns(&connection->deadline_timer, next->deadline_ns);
    }
}

uint64_t connection_new_request_id(struct connection *connection) {
    return requests_new_id(&connection->requests);
}

void connection_ask(struct connection *connection, struct connection_request *request,
                    const Pulsar__BaseCommand *command) {
    request->timed_out = false;
    requests_add(&connection->requests, &request->entry, request->id,
                 lane_now_ns(connection->config->lane) +
                     (uint64_t)connection->config->operation_timeout_ms * 1000000);
    if (connection->state == CONNECTION_READY) {
        arm_deadline(connection);
        send_command(connection, command_pack(command));
    }
}

void connection_expect(struct connection *connection, struct connection_request *request) {
    requests_add(&connection->requests, &request->entry, request->id, REQUESTS_NO_DEADLINE);
}

void connection_forget(struct connection_request *request) {
    request_remove(&request->entry);
}

static void deadline_passed(void *ctx) {
    struct connection *connection = ctx;
    if (connection->state < CONNECTION_READY) {
        const char *what = connection->state == CONNECTION_IDENTIFYING
                               ? "connected, but the OAuth2 issuer gave no token to show"
                               : "connected, but it did not answer the CONNECT command";
        struct err err;
        err_set(&err, ERR_PULSAR_TRANSPORT, "broker %s: %s within %" PRIu32 " ms",
                address_text(&connection->physical).text, what,
                connection->config->connect_timeout_ms);
        connection_close(connection, &err);
        return;
    }
    uint64_t now = lane_now_ns(connection->config->lane);
    for (struct request *entry;
         (entry = requests_next(&connection->requests)) != NULL && entry->deadline_ns <= now;) {
        struct connection_request *request = of_entry(entry);
        connection_forget(request);
        struct err err;
        request->timed_out = true;
        err_set(&err, ERR_PULSAR_NOT_READY, "broker %s did not answer within %" PRIu32 " ms",
                name_of(connection).text, connection->config->operation_timeout_ms);
        request->done(request, &err, NULL);
    }
    if (connection->state == CONNECTION_READY) {
        arm_deadline(connection);
    }
}

static void read_refusal(const struct connection *connection, const Pulsar__CommandError *error,
                         struct err *err) {
    server_error_set(err, (int)error->error, error->message);
    err_context(err, "broker %s", name_of(connection).text);
}

static void answer(struct connection *connection, uint64_t request_id,
                   const Pulsar__BaseCommand *reply) {
    struct request *entry = requests_find(&connection->requests, request_id);
    if (entry == NULL) {
        LOG_DEBUG("pulsar.connection", "late_reply", LOG_TEXT("broker", name_of(connection).text),
                  LOG_U64("request", request_id));
        return;
    }
    struct connection_request *request = of_entry(entry);
    connection_forget(request);
    if (reply->error != NULL) {
        struct err err;
        read_refusal(connection, reply->error, &err);
        request->done(request, &err, NULL);
    } else {
        request->done(request, NULL, reply);
    }
}

/* ---- Users. */

static struct connection_user *find_user(struct connection *connection, uint64_t producer_id) {
    struct id_entry *entry = id_table_find(&connection->producers, producer_id);
    return entry != NULL ? AWS_CONTAINER_OF(entry, struct connection_user, entry) : NULL;
}

void connection_attach(struct connection *connection, struct connection_user *user) {
    user->connection = connection;
    user->blocked = false;
    aws_linked_list_push_back(&connection->waiting, &user->node);
    if (user->producer_id != 0) {
        id_table_add(&connection->producers, &user->entry, user->producer_id);
    }
    connection->keep_alive.unused = 0;
    if (connection->state == CONNECTION_READY) {
        lane_timer_set_ms(&connection->ready_timer, 0);
    }
}

void connection_detach(struct connection_user *user) {
    struct connection *connection = user->connection;
    if (connection == NULL) {
        return;
    }
    user->connection = NULL;
    unblock(user);
    aws_linked_list_remove(&user->node);
    if (user->producer_id != 0) {
        id_table_remove(&connection->producers, &user->entry);
    }
}

/* A lane_fn. */
static void tell_ready(void *ctx) {
    struct connection *connection = ctx;
    while (connection->state == CONNECTION_READY && !aws_linked_list_empty(&connection->waiting)) {
        struct aws_linked_list_node *node = aws_linked_list_pop_front(&connection->waiting);
        aws_linked_list_push_back(&connection->users, node);
        struct connection_user *user = AWS_CONTAINER_OF(node, struct connection_user, node);
        user->events->ready(user);
    }
}

/* ---- Keep-alive. */

/* A lane_fn. */
static void interval_passed(void *ctx) {
    struct connection *connection = ctx;
    bool used =
        !aws_linked_list_empty(&connection->users) || !aws_linked_list_empty(&connection->waiting);
    bool queued = channel_writing(connection->channel) > 0;
    char text[96];
    switch (keep_alive_judge(&connection->keep_alive, used, queued)) {
    case KEEP_ALIVE_UNUSED:
        fail(connection, ERR_CANCELLED, "unused");
        return;
    case KEEP_ALIVE_SILENT:
        (void)snprintf(text, sizeof text, "silent for %" PRIu64 " ms, also after a PING",
                       2 * (uint64_t)connection->config->keep_alive_ms);
        fail(connection, ERR_PULSAR_TRANSPORT, text);
        return;
    case KEEP_ALIVE_PING:
        send_command(connection, command_ping());
        break;
    case KEEP_ALIVE_FINE:
        break;
    }
    if (connection->state == CONNECTION_READY) {
        lane_timer_set_ms(&connection->keep_alive_timer, connection->config->keep_alive_ms);
    }
}

/* ---- Commands from the broker. */

/* In CONNECT or, when the broker asks for it anew, in AUTH_RESPONSE. */
static void show_identity(struct connection *connection, struct str data) {
    struct command_identity identity = {
        .client_version = connection->config->client_version,
        .auth_method = auth_method(connection->config->auth),
        .auth_data = data,
    };
    if (connection->state == CONNECTION_IDENTIFYING) {
        struct address_text broker = name_of(connection);
        bool proxied = !address_equal(&connection->logical, &connection->physical);
        set_state(connection, CONNECTION_GREETING, "credentials are there");
        send_command(connection, command_connect(&identity, proxied ? broker.text : NULL));
    } else {
        send_answer(connection, command_auth_response(&identity), &connection->auth_response_place);
    }
}

/* What auth_get had not at hand. */
static void on_identity(struct auth_request *request, const struct err *err, struct str data) {
    struct connection *connection = AWS_CONTAINER_OF(request, struct connection, identity);
    if (err != NULL) {
        connection_close(connection, err);
    } else {
        show_identity(connection, data);
    }
}

static void send_identity(struct connection *connection) {
    if (connection->identity.auth != NULL ||
        is_under_way(connection, connection->auth_response_place)) {
        return;
    }
    /* A broker asks a connection that is ready because what it was shown expires. */
    bool fresh = connection->state == CONNECTION_READY;
    struct err err = ERR_NONE;
    struct buf data;
    buf_init(&data, AUTH_TOKEN_MAX);
    switch (auth_get(connection->config->auth, &connection->identity, fresh, &data, &err)) {
    case AUTH_GIVEN:
        show_identity(connection, buf_str(&data));
        break;
    case AUTH_FAILED:
        connection_close(connection, &err);
        break;
    case AUTH_LATER:
        break;
    }
    secret_wipe(&data);
}

static void on_connected(struct connection *connection, const Pulsar__CommandConnected *connected) {
    if (connection->state != CONNECTION_GREETING) {
        fail(connection, ERR_PULSAR_PROTOCOL, "it sent CONNECTED twice");
        return;
    }
    if (connected->has_max_message_size && connected->max_message_size > 0) {
        connection->max_message_size = (size_t)connected->max_message_size;
    }
    connection->can_ask_without_creating =
        connected->feature_flags != NULL &&
        connected->feature_flags->supports_get_partitioned_metadata_without_auto_creation;
    auth_accepted(connection->config->auth);
    lane_timer_cancel(&connection->deadline_timer);
    set_state(connection, CONNECTION_READY, connected->server_version);
    lane_timer_set_ms(&connection->keep_alive_timer, connection->config->keep_alive_ms);
    tell_ready(connection);
}

static void connect_refused(struct connection *connection, const Pulsar__CommandError *error) {
    struct err err;
    read_refusal(connection, error, &err);
    if (err.code == ERR_PULSAR_AUTH) {
        auth_refused(connection->config->auth, &connection->identity);
    }
    connection_close(connection, &err);
}

static void dispatch(struct connection *connection, const Pulsar__BaseCommand *command) {
    struct connection_user *user;
    uint64_t request_id;
    if (command->connected != NULL) {
        on_connected(connection, command->connected);
    } else if (command->auth_challenge != NULL) {
        send_identity(connection);
    } else if (command->ping != NULL) {
        if (!is_under_way(connection, connection->pong_place)) {
            send_answer(connection, command_pong(), &connection->pong_place);
        }
    } else if (command->error != NULL && connection->state != CONNECTION_READY) {
        connect_refused(connection, command->error);
    } else if (command_answers(command, &request_id)) {
        answer(connection, request_id, command);
    } else if (command->send_error != NULL) {
        user = find_user(connection, command->send_error->producer_id);
        if (user != NULL) {
            user->events->send_error(user, command->send_error);
        }
    } else if (command->close_producer != NULL) {
        user = find_user(connection, command->close_producer->producer_id);
        if (user != NULL) {
            user->events->close_producer(user, command->close_producer);
        }
    } else if (command->topic_migrated != NULL &&
               command->topic_migrated->resource_type ==
                   PULSAR__COMMAND_TOPIC_MIGRATED__RESOURCE_TYPE__Producer) {
        user = find_user(connection, command->topic_migrated->resource_id);
        if (user != NULL) {
            user->events->migrated(user, command->topic_migrated);
        }
    } else if (command->pong == NULL) {
        LOG_DEBUG("pulsar.connection", "unknown_command",
                  LOG_TEXT("broker", name_of(connection).text),
                  LOG_I64("type", (int64_t)command->type));
    }
}

/* A frame_fn. */
static bool on_command(void *ctx, struct str bytes) {
    struct connection *connection = ctx;
    struct frame_receipt receipt;
    if (frame_parse_receipt(bytes, &receipt)) {
        struct connection_user *user = find_user(connection, receipt.producer_id);
        if (user != NULL) {
            user->events->receipt(user, &receipt);
        }
        return connection->state < CONNECTION_CLOSING;
    }
    Pulsar__BaseCommand *command =
        pulsar__base_command__unpack(NULL, bytes.len, (const uint8_t *)bytes.ptr);
    if (command == NULL) {
        fail(connection, ERR_PULSAR_PROTOCOL, "it sent a command that cannot be read");
        return false;
    }
    dispatch(connection, command);
    pulsar__base_command__free_unpacked(command, NULL);
    return connection->state < CONNECTION_CLOSING;
}

/* ---- The channel's events. */

static void on_opened(void *ctx) {
    struct connection *connection = ctx;
    if (connection->state == CONNECTION_CONNECTING) {
        set_state(connection, CONNECTION_IDENTIFYING, "connected");
        lane_timer_set_at_ns(&connection->deadline_timer, connection->connect_deadline_ns);
        send_identity(connection);
    }
}

/* What a port for TLS answers to CONNECT in plain bytes. As a frame it would be 352 MB. */
static bool is_tls_alert(struct str bytes) {
    return bytes.len >= 2 && bytes.ptr[0] == 0x15 && bytes.ptr[1] == 0x03;
}

static void on_received(void *ctx, struct str bytes) {
    struct connection *connection = ctx;
    if (connection->state >= CONNECTION_CLOSING) {
        return;
    }
    connection->keep_alive.heard = true;
    struct err err = ERR_NONE;
    if (connection->state == CONNECTION_GREETING && connection->config->tls == NULL &&
        is_tls_alert(bytes)) {
        fail(connection, ERR_PULSAR_TRANSPORT, "it speaks TLS on this port (pulsar+ssl://)");
    } else if (!frame_reader_feed(&connection->reader, bytes, on_command, connection, &err)) {
        err_context(&err, "broker %s", name_of(connection).text);
        connection_close(connection, &err);
    }
}

static void on_written(void *ctx) {
    struct connection *connection = ctx;
    connection->keep_alive.wrote = true;
    while (connection->state == CONNECTION_READY &&
           channel_writing(connection->channel) <= CONNECTION_MAX_WRITING / 2 &&
           !aws_linked_list_empty(&connection->blocked)) {
        struct connection_user *user = AWS_CONTAINER_OF(aws_linked_list_front(&connection->blocked),
                                                        struct connection_user, blocked_node);
        unblock(user);
        user->events->writable(user);
    }
}

static const char *advice(const struct connection *connection) {
    bool greeting = connection->state == CONNECTION_GREETING;
    return connection->state == CONNECTION_CONNECTING ? " (check serviceUrl and the network)"
           : !greeting                                ? ""
           : connection->config->tls == NULL ? " before it answered CONNECT (does it want TLS?)"
                                             : " before it answered CONNECT";
}

static void on_ended(void *ctx, const struct err *why) {
    struct connection *connection = ctx;
    struct channel_stats stats = channel_stats(connection->channel);
    LOG_DEBUG("pulsar.connection", "ended", LOG_TEXT("broker", name_of(connection).text),
              LOG_U64("frames", stats.written), LOG_U64("bytes", stats.written_bytes),
              LOG_U64("writes", stats.writes));
    connection->channel = NULL;
    if (connection->state < CONNECTION_CLOSING) {
        struct err err;
        err_set(&err, why->code, "broker %s: %s%s", address_text(&connection->physical).text,
                why->text, why->code == ERR_PULSAR_TRANSPORT ? advice(connection) : "");
        connection_close(connection, &err);
    }
    tell_lost(connection);
    requests_done(&connection->requests);
    id_table_done(&connection->producers);
    frame_reader_done(&connection->reader);
    connection->config->gone(connection, connection->config->ctx);
    free(connection);
}

static const struct channel_events channel_events = {
    .opened = on_opened,
    .received = on_received,
    .written = on_written,
    .ended = on_ended,
};

struct connection *connection_new(const struct connection_config *config,
                                  const struct address *logical, const struct address *physical) {
    struct connection *connection = calloc(1, sizeof *connection);
    if (connection == NULL) {
        return NULL;
    }
    connection->config = config;
    connection->logical = *logical;
    connection->physical = *physical;
    connection->max_message_size = CONNECTION_DEFAULT_MAX_MESSAGE_SIZE;
    connection->identity.done = on_identity;
    frame_reader_init(&connection->reader, BUF_MAX_COMMAND);
    aws_linked_list_init(&connection->waiting);
    aws_linked_list_init(&connection->users);
    aws_linked_list_init(&connection->blocked);
    requests_init(&connection->requests);
    id_table_init(&connection->producers);
    lane_timer_init(&connection->deadline_timer, config->lane, deadline_passed, connection);
    lane_timer_init(&connection->keep_alive_timer, config->lane, interval_passed, connection);
    lane_timer_init(&connection->ready_timer, config->lane, tell_ready, connection);
    connection->connect_deadline_ns =
        lane_now_ns(config->lane) + (uint64_t)config->connect_timeout_ms * 1000000;

    connection->channel = channel_open(config->lane, physical, config->tls,
                                       config->connect_timeout_ms, &channel_events, connection);
    if (connection->channel == NULL) {
        free(connection);
        return NULL;
    }
    return connection;
}

const struct address *connection_logical(const struct connection *connection) {
    return &connection->logical;
}

const struct address *connection_physical(const struct connection *connection) {
    return &connection->physical;
}

size_t connection_max_message_size(const struct connection *connection) {
    return connection->max_message_size;
}

bool connection_can_ask_without_creating(const struct connection *connection) {
    return connection->can_ask_without_creating;
}
