/*
 * connection: one connection to one broker, from connecting to its end: frames, CONNECT,
 * keep-alive, requests with deadlines, and writes without copying. It is shared by everything of a
 * client that talks to that broker: each such part is a connection_user.
 *
 * A connection is used once: after `lost` it is over, and the client makes a new one.
 * All of it runs on one lane. No user is called inside a function that it called.
 */
#ifndef PULSAR_CONNECTION_H
#define PULSAR_CONNECTION_H

#include "base/lane.h"
#include "pulsar/address.h"
#include "pulsar/auth.h"
#include "pulsar/frame.h"
#include "pulsar/outgoing.h"
#include "pulsar/requests.h"
#include "pulsar/tls.h"
#include "pulsar_api.pb-c.h"

#include <aws/common/linked_list.h>

struct connection;
struct connection_user;

/* Frames that wait for the kernel's socket buffer, per connection: enough to keep it full. */
enum { CONNECTION_MAX_WRITING = 4 * 1024 * 1024 };
enum { CONNECTION_DEFAULT_MAX_MESSAGE_SIZE = 5 * 1024 * 1024 };

/* What is the same for all connections of a client; outlives them. */
struct connection_config {
    struct lane *lane;
    struct auth *auth;
    struct tls *tls; /* NULL: without */
    char *client_version;
    uint32_t connect_timeout_ms; /* from the start to CONNECTED */
    uint32_t operation_timeout_ms;
    uint32_t keep_alive_ms;
    /* When the last byte of a connection is freed; after `closing` was told. */
    void (*gone)(struct connection *connection, void *ctx);
    /* It takes no new users from now on. */
    void (*closing)(struct connection *connection, void *ctx);
    void *ctx;
};

struct connection_events {
    /* CONNECTED, and the user was attached. Once. */
    void (*ready)(struct connection_user *user);
    /* It is over; the user is detached already. Requests of the user must be cancelled by it. */
    void (*lost)(struct connection_user *user, const struct err *err);
    /* The rest only come to users with a producer_id and may be NULL for others. */
    void (*writable)(struct connection_user *user); /* after connection_block */
    void (*receipt)(struct connection_user *user, const struct frame_receipt *receipt);
    void (*send_error)(struct connection_user *user, const Pulsar__CommandSendError *error);
    void (*close_producer)(struct connection_user *user, const Pulsar__CommandCloseProducer *close);
    void (*migrated)(struct connection_user *user, const Pulsar__CommandTopicMigrated *migrated);
};

/* Embedded in its owner; all-zero but for events and producer_id before the first attach. */
struct connection_user {
    const struct connection_events *events;
    uint64_t producer_id;          /* 0: none */
    struct connection *connection; /* NULL: not attached */
    struct aws_linked_list_node node;
    struct aws_linked_list_node blocked_node;
    bool blocked;
    struct id_entry entry; /* by producer_id */
};

/* Starts to connect to physical; logical differs when a proxy is asked to go on to it. NULL when
 * out of memory. */
struct connection *connection_new(const struct connection_config *config,
                                  const struct address *logical, const struct address *physical);
/* Ends it in a later turn of the loop; every user gets `lost` with this reason. */
void connection_close(struct connection *connection, const struct err *reason);

const struct address *connection_logical(const struct connection *connection);
const struct address *connection_physical(const struct connection *connection);
size_t connection_max_message_size(const struct connection *connection);
/* Whether the broker can answer for partitions without creating the topic. */
bool connection_can_ask_without_creating(const struct connection *connection);

/* Then comes `ready`, at once or after CONNECTED, or `lost`. Not possible after `closing`. */
void connection_attach(struct connection *connection, struct connection_user *user);
/* No event comes any more. Not attached is fine. */
void connection_detach(struct connection_user *user);

/* Embedded in its owner; all-zero before the first use. */
struct connection_request {
    uint64_t id;
    struct request entry; /* the connection's */
    bool timed_out;       /* set for done: the broker may still carry it out */
    /* reply (of any type, its request_id is ours), or err. Borrowed for the call. */
    void (*done)(struct connection_request *request, const struct err *err,
                 const Pulsar__BaseCommand *reply);
};

/* To put into the command. */
uint64_t connection_new_request_id(struct connection *connection);
/* Only on a connection that is ready; done comes later, by
 * operation_timeout_ms or its end at the latest. */
void connection_ask(struct connection *connection, struct connection_request *request,
                    const Pulsar__BaseCommand *command);
/* In done: another answer to the same request will come, who knows when. */
void connection_expect(struct connection *connection, struct connection_request *request);
/* done will not come. Not waiting is fine. */
void connection_forget(struct connection_request *request);
/* A command that nobody answers. */
void connection_tell(struct connection *connection, const Pulsar__BaseCommand *command);

/* There is room for another frame. */
bool connection_is_writable(const struct connection *connection);
/* Asks for `writable` when there is room again. */
void connection_block(struct connection_user *user);
/* Takes a reference until the bytes are with the kernel or the connection has ended. */
void connection_send(struct connection *connection, struct outgoing *frame);

#endif
