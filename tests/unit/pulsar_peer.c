#include "unit/pulsar_peer.h"

#include <arpa/inet.h>
#include <assert.h>
#include <limits.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <openssl/ssl.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

enum { MAX_LINES = 64 };

/* One connection, served by a thread of its own. */
struct line {
    struct peer *peer;
    int fd;
    int number; /* from 1 */
    int sends;
    SSL *ssl;  /* NULL: plain */
    bool deaf; /* the script closed the producer: SENDs are dropped until it is created again */
    pthread_t thread;
};

struct peer_inner {
    int listener;
    pthread_t thread;
    bool started;
    pthread_mutex_t lock; /* one frame at a time: guards events, script's counters and lines */
    struct line lines[MAX_LINES];
    int line_count;
};

static SSL_CTX *tls_of_new_peers;

void peer_use_tls(SSL_CTX *tls) {
    tls_of_new_peers = tls;
}

struct peer *peer_new(void) {
    (void)signal(SIGPIPE, SIG_IGN); /* OpenSSL writes without MSG_NOSIGNAL */
    struct peer *peer = calloc(1, sizeof *peer);
    struct peer_inner *inner = calloc(1, sizeof *inner);
    assert(peer != NULL && inner != NULL);
    peer->inner = inner;
    peer->script.tls = tls_of_new_peers;
    peer->script.max_message_size = 5 * 1024 * 1024;
    (void)pthread_mutex_init(&inner->lock, NULL);
    inner->listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t len = sizeof address;
    int failed = bind(inner->listener, (struct sockaddr *)&address, len);
    failed |= listen(inner->listener, 16);
    failed |= getsockname(inner->listener, (struct sockaddr *)&address, &len);
    assert(failed == 0);
    (void)failed;
    peer->port = ntohs(address.sin_port);
    return peer;
}

static bool read_all(struct line *line, void *to, size_t len) {
    char *at = to;
    while (len > 0) {
        ssize_t got = line->ssl != NULL
                          ? SSL_read(line->ssl, at, len < INT_MAX ? (int)len : INT_MAX)
                          : read(line->fd, at, len);
        if (got <= 0) {
            return false;
        }
        at += got;
        len -= (size_t)got;
    }
    return true;
}

static void write_all(struct line *line, const void *bytes, size_t len) {
    if (line->ssl != NULL) {
        (void)SSL_write(line->ssl, bytes, (int)len);
    } else {
        (void)send(line->fd, bytes, len, MSG_NOSIGNAL);
    }
}

/* A URL of ours, or of another peer with the same script. */
static void write_url(const struct line *line, char *to, size_t size, const char *host,
                      uint16_t port) {
    (void)snprintf(to, size, "%s://%s:%u", line->ssl != NULL ? "pulsar+ssl" : "pulsar", host, port);
}

static void put32(uint8_t *to, uint32_t value) {
    value = htonl(value);
    memcpy(to, &value, 4);
}

static uint32_t get32(const void *from) {
    uint32_t value;
    memcpy(&value, from, 4);
    return ntohl(value);
}

static void reply(struct line *line, const Pulsar__BaseCommand *command) {
    uint8_t bytes[4096];
    size_t len = pulsar__base_command__get_packed_size(command);
    assert(len + 8 <= sizeof bytes);
    put32(bytes, (uint32_t)(len + 4));
    put32(bytes + 4, (uint32_t)len);
    (void)pulsar__base_command__pack(command, bytes + 8);
    write_all(line, bytes, len + 8);
}

static Pulsar__BaseCommand command_of(Pulsar__BaseCommand__Type type) {
    Pulsar__BaseCommand command = PULSAR__BASE_COMMAND__INIT;
    command.type = type;
    return command;
}

static void reply_error(struct line *line, uint64_t request_id, int error) {
    Pulsar__CommandError body = PULSAR__COMMAND_ERROR__INIT;
    body.request_id = request_id;
    body.error = (Pulsar__ServerError)error;
    body.message = (char *)"scripted";
    Pulsar__BaseCommand command = command_of(PULSAR__BASE_COMMAND__TYPE__ERROR);
    command.error = &body;
    reply(line, &command);
}

static void reply_ping(struct line *line, bool ping) {
    Pulsar__CommandPing ping_body = PULSAR__COMMAND_PING__INIT;
    Pulsar__CommandPong pong_body = PULSAR__COMMAND_PONG__INIT;
    Pulsar__BaseCommand command =
        command_of(ping ? PULSAR__BASE_COMMAND__TYPE__PING : PULSAR__BASE_COMMAND__TYPE__PONG);
    command.ping = ping ? &ping_body : NULL;
    command.pong = ping ? NULL : &pong_body;
    reply(line, &command);
}

static void reply_connected(struct line *line) {
    if (line->peer->script.strange) {
        static const uint8_t unknown[] = {0, 0, 0, 9, 0, 0, 0, 5, 0x08, 70, 0xb2, 0x04, 0};
        write_all(line, unknown, sizeof unknown);
        reply_ping(line, true);
    }
    Pulsar__FeatureFlags flags = PULSAR__FEATURE_FLAGS__INIT;
    flags.has_supports_get_partitioned_metadata_without_auto_creation = 1;
    flags.supports_get_partitioned_metadata_without_auto_creation = 1;
    Pulsar__CommandConnected body = PULSAR__COMMAND_CONNECTED__INIT;
    body.server_version = (char *)"peer";
    body.has_protocol_version = 1;
    body.protocol_version = 20;
    body.has_max_message_size = 1;
    body.max_message_size = line->peer->script.max_message_size;
    body.feature_flags = &flags;
    Pulsar__BaseCommand command = command_of(PULSAR__BASE_COMMAND__TYPE__CONNECTED);
    command.connected = &body;
    reply(line, &command);
}

static void on_connect(struct line *line) {
    if (line->peer->script.refuse_connect_with != 0) {
        reply_error(line, UINT64_MAX, line->peer->script.refuse_connect_with);
    } else if (line->peer->script.challenge) {
        Pulsar__AuthData data = PULSAR__AUTH_DATA__INIT;
        data.auth_method_name = (char *)"token";
        data.has_auth_data = 1;
        data.auth_data = (ProtobufCBinaryData){.len = 17, .data = (uint8_t *)"PulsarAuthRefresh"};
        Pulsar__CommandAuthChallenge body = PULSAR__COMMAND_AUTH_CHALLENGE__INIT;
        body.challenge = &data;
        Pulsar__BaseCommand command = command_of(PULSAR__BASE_COMMAND__TYPE__AUTH_CHALLENGE);
        command.auth_challenge = &body;
        reply(line, &command);
    } else {
        reply_connected(line);
    }
}

/* Uses up one of the times; PEER_NEVER are endless. */
static bool refuses(int *times) {
    if (*times > 0) {
        (*times)--;
        return true;
    }
    return *times == PEER_NEVER;
}

static void on_partitions(struct line *line,
                          const Pulsar__CommandPartitionedTopicMetadata *question) {
    Pulsar__CommandPartitionedTopicMetadataResponse body =
        PULSAR__COMMAND_PARTITIONED_TOPIC_METADATA_RESPONSE__INIT;
    body.request_id = question->request_id;
    body.has_response = 1;
    if (refuses(&line->peer->script.refuse_metadata)) {
        body.response = PULSAR__COMMAND_PARTITIONED_TOPIC_METADATA_RESPONSE__LOOKUP_TYPE__Failed;
        body.has_error = 1;
        body.error = (Pulsar__ServerError)line->peer->script.refuse_metadata_with;
        body.message = (char *)"scripted";
    } else {
        body.response = PULSAR__COMMAND_PARTITIONED_TOPIC_METADATA_RESPONSE__LOOKUP_TYPE__Success;
        body.has_partitions = 1;
        body.partitions = line->peer->script.partitions;
    }
    Pulsar__BaseCommand command =
        command_of(PULSAR__BASE_COMMAND__TYPE__PARTITIONED_METADATA_RESPONSE);
    command.partitioned_metadata_response = &body;
    reply(line, &command);
}

static void on_lookup(struct line *line, const Pulsar__CommandLookupTopic *question) {
    const struct peer_script *script = &line->peer->script;
    char url[64];
    uint16_t port = script->redirect_port != 0  ? script->redirect_port
                    : script->connect_port != 0 ? script->connect_port
                                                : line->peer->port;
    if (script->proxy) { /* one for both, and with the scheme between proxy and broker */
        (void)snprintf(url, sizeof url, "pulsar://broker.invalid:%u", port);
    } else {
        write_url(line, url, sizeof url, "127.0.0.1", port);
    }
    Pulsar__CommandLookupTopicResponse body = PULSAR__COMMAND_LOOKUP_TOPIC_RESPONSE__INIT;
    body.request_id = question->request_id;
    body.has_response = 1;
    if (refuses(&line->peer->script.refuse_lookups)) {
        body.response = PULSAR__COMMAND_LOOKUP_TOPIC_RESPONSE__LOOKUP_TYPE__Failed;
        body.has_error = 1;
        body.error = (Pulsar__ServerError)script->refuse_lookups_with;
    } else {
        bool redirect = script->redirect_port != 0;
        body.response = redirect ? PULSAR__COMMAND_LOOKUP_TOPIC_RESPONSE__LOOKUP_TYPE__Redirect
                                 : PULSAR__COMMAND_LOOKUP_TOPIC_RESPONSE__LOOKUP_TYPE__Connect;
        body.broker_service_url = line->ssl == NULL || script->proxy ? url : NULL;
        body.broker_service_url_tls = line->ssl != NULL || script->proxy ? url : NULL;
        body.has_authoritative = 1;
        body.authoritative = redirect;
        body.has_proxy_through_service_url = 1;
        body.proxy_through_service_url = script->proxy;
    }
    Pulsar__BaseCommand command = command_of(PULSAR__BASE_COMMAND__TYPE__LOOKUP_RESPONSE);
    command.lookup_response = &body;
    reply(line, &command);
}

static void on_producer(struct line *line, const Pulsar__CommandProducer *question) {
    if (refuses(&line->peer->script.refuse_producers)) {
        reply_error(line, question->request_id, line->peer->script.refuse_producers_with);
        return;
    }
    if (line->peer->script.silent_producers) {
        return;
    }
    line->deaf = false;
    Pulsar__CommandProducerSuccess body = PULSAR__COMMAND_PRODUCER_SUCCESS__INIT;
    body.request_id = question->request_id;
    body.producer_name =
        question->producer_name != NULL ? question->producer_name : (char *)"generated";
    body.has_last_sequence_id = 1;
    body.last_sequence_id = question->epoch == 0 ? -1 : 41; /* only the first one counts */
    Pulsar__BaseCommand command = command_of(PULSAR__BASE_COMMAND__TYPE__PRODUCER_SUCCESS);
    command.producer_success = &body;
    reply(line, &command);
}

static void reply_success(struct line *line, uint64_t request_id) {
    Pulsar__CommandSuccess body = PULSAR__COMMAND_SUCCESS__INIT;
    body.request_id = request_id;
    Pulsar__BaseCommand command = command_of(PULSAR__BASE_COMMAND__TYPE__SUCCESS);
    command.success = &body;
    reply(line, &command);
}

static void reply_receipt(struct line *line, const Pulsar__CommandSend *question, uint64_t ahead) {
    Pulsar__MessageIdData id = PULSAR__MESSAGE_ID_DATA__INIT;
    id.ledger_id = line->peer->script.duplicates ? UINT64_MAX : 77;
    id.entry_id = line->peer->script.duplicates ? UINT64_MAX : question->sequence_id;
    Pulsar__CommandSendReceipt body = PULSAR__COMMAND_SEND_RECEIPT__INIT;
    body.producer_id = question->producer_id;
    body.sequence_id = question->sequence_id + ahead;
    body.message_id = &id;
    Pulsar__BaseCommand command = command_of(PULSAR__BASE_COMMAND__TYPE__SEND_RECEIPT);
    command.send_receipt = &body;
    reply(line, &command);
}

static void tell_close(struct line *line, uint64_t producer_id) {
    char url[64];
    write_url(line, url, sizeof url, "127.0.0.1", line->peer->script.assigned_port);
    Pulsar__CommandCloseProducer body = PULSAR__COMMAND_CLOSE_PRODUCER__INIT;
    body.producer_id = producer_id;
    body.request_id = UINT64_MAX;
    bool assigned = line->peer->script.assigned_port != 0;
    body.assigned_broker_service_url = assigned && line->ssl == NULL ? url : NULL;
    body.assigned_broker_service_url_tls = assigned && line->ssl != NULL ? url : NULL;
    Pulsar__BaseCommand command = command_of(PULSAR__BASE_COMMAND__TYPE__CLOSE_PRODUCER);
    command.close_producer = &body;
    reply(line, &command);
}

static void tell_migrated(struct line *line, uint64_t producer_id) {
    char url[64];
    write_url(line, url, sizeof url, "127.0.0.1", line->peer->script.assigned_port);
    Pulsar__CommandTopicMigrated body = PULSAR__COMMAND_TOPIC_MIGRATED__INIT;
    body.resource_id = producer_id;
    body.resource_type = PULSAR__COMMAND_TOPIC_MIGRATED__RESOURCE_TYPE__Producer;
    body.broker_service_url = line->ssl == NULL ? url : NULL;
    body.broker_service_url_tls = line->ssl != NULL ? url : NULL;
    Pulsar__BaseCommand command = command_of(PULSAR__BASE_COMMAND__TYPE__TOPIC_MIGRATED);
    command.topic_migrated = &body;
    reply(line, &command);
}

static void tell_send_error(struct line *line, const Pulsar__CommandSend *question) {
    Pulsar__CommandSendError body = PULSAR__COMMAND_SEND_ERROR__INIT;
    body.producer_id = question->producer_id;
    body.sequence_id =
        question->has_highest_sequence_id ? question->highest_sequence_id : question->sequence_id;
    body.error = (Pulsar__ServerError)line->peer->script.send_error_with;
    body.message = (char *)"scripted";
    Pulsar__BaseCommand command = command_of(PULSAR__BASE_COMMAND__TYPE__SEND_ERROR);
    command.send_error = &body;
    reply(line, &command);
}

/* False: cut the connection. */
static bool on_send(struct line *line, const Pulsar__CommandSend *question) {
    const struct peer_script *script = &line->peer->script;
    int faults = script->cut_after + script->close_producer_after + script->migrate_after +
                 script->send_error_after; /* at most one of them is set */
    line->sends++;
    if (line->deaf || script->silent) {
        return true;
    }
    if (line->number > 1 || faults == 0 || line->sends > faults) {
        bool lie = script->future_receipt && line->number == 1 && line->sends == 1;
        reply_receipt(line, question, lie ? 1000000 : 0);
        return true;
    }
    if (line->sends < faults) {
        return true;
    }
    if (script->cut_after > 0) {
        char half[12]; /* of the next frame's header, if there is one */
        (void)recv(line->fd, half, sizeof half, MSG_DONTWAIT);
        return false;
    }
    line->deaf = true;
    if (script->close_producer_after > 0) {
        tell_close(line, question->producer_id);
    } else if (script->migrate_after > 0) {
        tell_migrated(line, question->producer_id);
    } else {
        tell_send_error(line, question);
    }
    return true;
}

static bool on_frame(struct line *line, const Pulsar__BaseCommand *command) {
    bool silent = line->peer->script.silent;
    if (command->connect != NULL) {
        on_connect(line);
    } else if (command->auth_response != NULL) {
        reply_connected(line);
    } else if (command->partitioned_metadata != NULL) {
        on_partitions(line, command->partitioned_metadata);
    } else if (command->lookup != NULL) {
        on_lookup(line, command->lookup);
    } else if (command->producer != NULL) {
        on_producer(line, command->producer);
    } else if (command->send != NULL) {
        return on_send(line, command->send);
    } else if (command->close_producer != NULL && !silent) {
        reply_success(line, command->close_producer->request_id);
    } else if (command->ping != NULL && !silent) {
        reply_ping(line, false);
    }
    return true;
}

static bool serve_frame(struct line *line) {
    uint8_t sizes[8];
    if (!read_all(line, sizes, sizeof sizes)) {
        return false;
    }
    size_t len = 4 + (size_t)get32(sizes);
    size_t command_len = get32(sizes + 4);
    assert(len >= 8 + command_len);
    char *frame = malloc(len);
    assert(frame != NULL);
    memcpy(frame, sizes, sizeof sizes);
    if (!read_all(line, frame + 8, len - 8)) {
        free(frame);
        return false;
    }
    Pulsar__BaseCommand *command =
        pulsar__base_command__unpack(NULL, command_len, (const uint8_t *)frame + 8);
    assert(command != NULL);
    struct peer *peer = line->peer;
    (void)pthread_mutex_lock(&peer->inner->lock);
    assert(peer->event_count < PEER_EVENTS);
    peer->events[peer->event_count++] = (struct peer_event){
        .connection = line->number, .command = command, .frame = frame, .len = len};
    bool go_on = on_frame(line, command);
    (void)pthread_mutex_unlock(&peer->inner->lock);
    return go_on;
}

static void *serve_line(void *arg) {
    struct line *line = arg;
    int on = 1;
    (void)setsockopt(line->fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    bool open = true;
    if (line->peer->script.tls != NULL) {
        line->ssl = SSL_new(line->peer->script.tls);
        open =
            line->ssl != NULL && SSL_set_fd(line->ssl, line->fd) == 1 && SSL_accept(line->ssl) == 1;
    }
    while (open && serve_frame(line)) {
    }
    (void)shutdown(line->fd,
                   SHUT_RDWR); /* closed by peer_stop, so that its number is not taken by another */
    return NULL;
}

static void *accept_lines(void *arg) {
    struct peer *peer = arg;
    struct peer_inner *inner = peer->inner;
    for (int fd; (fd = accept(inner->listener, NULL, NULL)) >= 0;) {
        (void)pthread_mutex_lock(&inner->lock);
        assert(inner->line_count < MAX_LINES);
        struct line *line = &inner->lines[inner->line_count];
        *line = (struct line){.peer = peer, .fd = fd, .number = ++inner->line_count};
        int failed = pthread_create(&line->thread, NULL, serve_line, line);
        assert(failed == 0);
        (void)failed;
        (void)pthread_mutex_unlock(&inner->lock);
    }
    return NULL;
}

void peer_start(struct peer *peer) {
    int failed = pthread_create(&peer->inner->thread, NULL, accept_lines, peer);
    assert(failed == 0);
    (void)failed;
    peer->inner->started = true;
}

void peer_stop(struct peer *peer) {
    struct peer_inner *inner = peer->inner;
    if (inner->started) {
        (void)shutdown(inner->listener, SHUT_RDWR); /* wakes accept */
        (void)pthread_join(inner->thread, NULL);
        for (int i = 0; i < inner->line_count; i++) {
            (void)shutdown(inner->lines[i].fd, SHUT_RDWR); /* wakes read */
            (void)pthread_join(inner->lines[i].thread, NULL);
            (void)close(inner->lines[i].fd);
            SSL_free(inner->lines[i].ssl);
        }
        inner->started = false;
    }
}

void peer_free(struct peer *peer) {
    peer_stop(peer);
    for (size_t i = 0; i < peer->event_count; i++) {
        pulsar__base_command__free_unpacked(peer->events[i].command, NULL);
        free(peer->events[i].frame);
    }
    (void)close(peer->inner->listener);
    (void)pthread_mutex_destroy(&peer->inner->lock);
    free(peer->inner);
    free(peer);
}

size_t peer_count(const struct peer *peer, Pulsar__BaseCommand__Type type) {
    size_t count = 0;
    for (size_t i = 0; i < peer->event_count; i++) {
        count += peer->events[i].command->type == type;
    }
    return count;
}

const struct peer_event *peer_find(const struct peer *peer, int connection,
                                   Pulsar__BaseCommand__Type type, size_t n) {
    for (size_t i = 0; i < peer->event_count; i++) {
        const struct peer_event *event = &peer->events[i];
        if (event->command->type == type && (connection == 0 || event->connection == connection) &&
            n-- == 0) {
            return event;
        }
    }
    return NULL;
}
