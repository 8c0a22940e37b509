#include "pulsar/command.h"

#include "pulsar/wire.h"

#include <stdlib.h>

/* The newest version whose commands a producer may meet (TOPIC_MIGRATED). */
enum { PROTOCOL_VERSION = 20 };

struct packed {
    struct outgoing frame;
    char bytes[];
};

static void free_packed(struct outgoing *frame) {
    explicit_bzero(frame->data, frame->len);
    free(frame); /* the first member of struct packed */
}

struct outgoing *command_pack(const Pulsar__BaseCommand *command) {
    size_t len = pulsar__base_command__get_packed_size(command);
    struct packed *packed = malloc(sizeof *packed + 8 + len);
    if (packed == NULL) {
        return NULL;
    }
    packed->frame =
        (struct outgoing){.data = packed->bytes, .len = 8 + len, .refs = 1, .release = free_packed};
    char *at = wire_put_be32(packed->bytes, (uint32_t)(4 + len));
    at = wire_put_be32(at, (uint32_t)len);
    (void)pulsar__base_command__pack(command, (uint8_t *)at);
    return &packed->frame;
}

static ProtobufCBinaryData binary(struct str bytes) {
    return (ProtobufCBinaryData){.len = bytes.len, .data = (uint8_t *)bytes.ptr};
}

struct outgoing *command_connect(const struct command_identity *identity, char *proxy_to) {
    Pulsar__FeatureFlags flags = PULSAR__FEATURE_FLAGS__INIT;
    flags.has_supports_auth_refresh = 1;
    flags.supports_auth_refresh = 1;
    Pulsar__CommandConnect connect = PULSAR__COMMAND_CONNECT__INIT;
    connect.client_version = identity->client_version;
    connect.has_protocol_version = 1;
    connect.protocol_version = PROTOCOL_VERSION;
    connect.auth_method_name = (char *)identity->auth_method;
    connect.has_auth_data = identity->auth_data.len > 0;
    connect.auth_data = binary(identity->auth_data);
    connect.proxy_to_broker_url = proxy_to;
    connect.feature_flags = &flags;
    Pulsar__BaseCommand command = PULSAR__BASE_COMMAND__INIT;
    command.type = PULSAR__BASE_COMMAND__TYPE__CONNECT;
    command.connect = &connect;
    return command_pack(&command);
}

struct outgoing *command_auth_response(const struct command_identity *identity) {
    Pulsar__AuthData auth = PULSAR__AUTH_DATA__INIT;
    auth.auth_method_name = (char *)identity->auth_method;
    auth.has_auth_data = 1;
    auth.auth_data = binary(identity->auth_data);
    Pulsar__CommandAuthResponse response = PULSAR__COMMAND_AUTH_RESPONSE__INIT;
    response.client_version = identity->client_version;
    response.has_protocol_version = 1;
    response.protocol_version = PROTOCOL_VERSION;
    response.response = &auth;
    Pulsar__BaseCommand command = PULSAR__BASE_COMMAND__INIT;
    command.type = PULSAR__BASE_COMMAND__TYPE__AUTH_RESPONSE;
    command.auth_response = &response;
    return command_pack(&command);
}

struct outgoing *command_ping(void) {
    Pulsar__CommandPing ping = PULSAR__COMMAND_PING__INIT;
    Pulsar__BaseCommand command = PULSAR__BASE_COMMAND__INIT;
    command.type = PULSAR__BASE_COMMAND__TYPE__PING;
    command.ping = &ping;
    return command_pack(&command);
}

struct outgoing *command_pong(void) {
    Pulsar__CommandPong pong = PULSAR__COMMAND_PONG__INIT;
    Pulsar__BaseCommand command = PULSAR__BASE_COMMAND__INIT;
    command.type = PULSAR__BASE_COMMAND__TYPE__PONG;
    command.pong = &pong;
    return command_pack(&command);
}

bool command_answers(const Pulsar__BaseCommand *command, uint64_t *ret_request_id) {
    if (command->error != NULL) {
        *ret_request_id = command->error->request_id;
    } else if (command->success != NULL) {
        *ret_request_id = command->success->request_id;
    } else if (command->producer_success != NULL) {
        *ret_request_id = command->producer_success->request_id;
    } else if (command->lookup_response != NULL) {
        *ret_request_id = command->lookup_response->request_id;
    } else if (command->partitioned_metadata_response != NULL) {
        *ret_request_id = command->partitioned_metadata_response->request_id;
    } else {
        return false;
    }
    return true;
}
