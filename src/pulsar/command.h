/*
 * command: control commands as frames, through protobuf-c. Pure.
 */
#ifndef PULSAR_COMMAND_H
#define PULSAR_COMMAND_H

#include "base/str.h"
#include "pulsar/outgoing.h"
#include "pulsar_api.pb-c.h"

/* A frame with one reference, its caller's; its bytes are erased when it is freed, as some carry a
 * token. NULL when out of memory; so are the others. */
struct outgoing *command_pack(const Pulsar__BaseCommand *command);

/* What both commands that show who we are have in common. Borrowed. */
struct command_identity {
    char *client_version;
    const char *auth_method;
    struct str auth_data; /* empty: none */
};

/* proxy_to: "host:port" of the broker behind a proxy, or NULL. */
struct outgoing *command_connect(const struct command_identity *identity, char *proxy_to);
struct outgoing *command_auth_response(const struct command_identity *identity);
struct outgoing *command_ping(void);
struct outgoing *command_pong(void);

/* Whether it is an answer to a request, and to which. */
bool command_answers(const Pulsar__BaseCommand *command, uint64_t *ret_request_id);

#endif
