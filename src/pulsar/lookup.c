#include "pulsar/lookup.h"

#include "pulsar/server_error.h"

#include <inttypes.h>

static struct lookup *of_user(struct connection_user *user) {
    return AWS_CONTAINER_OF(user, struct lookup, user);
}

static const char *subject(const struct lookup *lookup) {
    return lookup->kind == LOOKUP_BROKER ? "broker" : "partitions";
}

void lookup_cancel(struct lookup *lookup) {
    if (lookup->running) {
        lookup->running = false;
        lane_timer_cancel(&lookup->deadline);
        connection_forget(&lookup->request);
        connection_detach(&lookup->user);
    }
}

static void finish(struct lookup *lookup, struct err *err, const struct lookup_result *result) {
    lookup_cancel(lookup);
    if (err != NULL) {
        err_context(err, "asking for the topic's %s", subject(lookup));
    }
    lookup->done(lookup, err, result);
}

/* The lookup ends in a later turn with the deadline's error, which says that memory was short. */
static void connect_to(struct lookup *lookup) {
    struct connection *connection =
        client_connection(lookup->client, &lookup->at.logical, &lookup->at.physical);
    if (connection != NULL) {
        connection_attach(connection, &lookup->user);
    } else {
        lane_timer_set_ms(&lookup->deadline, 0);
    }
}

static void deadline_passed(void *ctx) {
    struct lookup *lookup = ctx;
    struct err err;
    if (lookup->user.connection == NULL) {
        err_set(&err, ERR_NOMEM, "no memory for a connection");
    } else {
        err_set(&err, ERR_PULSAR_NOT_READY, "no answer from %s within %" PRIu32 " ms",
                address_text(&lookup->at.logical).text,
                client_operation_timeout_ms(lookup->client));
        client_service_failed(lookup->client, &lookup->service);
    }
    finish(lookup, &err, NULL);
}

static void failed(struct lookup *lookup, const struct err *reason) {
    struct err err = *reason;
    if (err.code == ERR_PULSAR_AUTH && lookup->user.connection == NULL &&
        client_may_retry_auth(lookup->client)) {
        connection_forget(&lookup->request);
        connect_to(lookup);
        return;
    }
    if (err.class == ERR_CLASS_RETRY) {
        client_service_failed(lookup->client, &lookup->service);
    }
    finish(lookup, &err, NULL);
}

/* ---- Which broker. */

static bool read_broker(const struct lookup *lookup,
                        const Pulsar__CommandLookupTopicResponse *response,
                        struct lookup_result *result, struct err *err) {
    if (!client_broker_address(lookup->client, response->broker_service_url,
                               response->broker_service_url_tls, &result->logical, err)) {
        err_context(err, "answer of broker %s", address_text(&lookup->at.logical).text);
        return false;
    }
    result->physical = response->proxy_through_service_url ? lookup->service : result->logical;
    return true;
}

static void broker_answered(struct lookup *lookup,
                            const Pulsar__CommandLookupTopicResponse *response) {
    struct err err = ERR_NONE;
    struct lookup_result result = {.partitions = 0};
    if (!response->has_response ||
        response->response == PULSAR__COMMAND_LOOKUP_TOPIC_RESPONSE__LOOKUP_TYPE__Failed) {
        server_error_set(&err, response->has_error ? (int)response->error : -1, response->message);
        err_context(&err, "broker %s", address_text(&lookup->at.logical).text);
        failed(lookup, &err);
        return;
    }
    if (!read_broker(lookup, response, &result, &err)) {
        finish(lookup, &err, NULL);
        return;
    }
    if (response->response == PULSAR__COMMAND_LOOKUP_TOPIC_RESPONSE__LOOKUP_TYPE__Connect) {
        finish(lookup, NULL, &result);
        return;
    }
    if (++lookup->redirects > LOOKUP_MAX_REDIRECTS) {
        err_set(&err, ERR_PULSAR_NOT_READY, "redirected more than %d times, last to %s",
                LOOKUP_MAX_REDIRECTS, address_text(&result.logical).text);
        finish(lookup, &err, NULL);
        return;
    }
    lookup->authoritative = response->authoritative;
    lookup->at = result;
    connection_detach(&lookup->user);
    connect_to(lookup);
}

static void ask_for_broker(struct lookup *lookup) {
    Pulsar__CommandLookupTopic question = PULSAR__COMMAND_LOOKUP_TOPIC__INIT;
    question.topic = (char *)lookup->topic;
    question.request_id = lookup->request.id;
    question.has_authoritative = 1;
    question.authoritative = lookup->authoritative;
    question.advertised_listener_name = client_listener_name(lookup->client);
    Pulsar__BaseCommand command = PULSAR__BASE_COMMAND__INIT;
    command.type = PULSAR__BASE_COMMAND__TYPE__LOOKUP;
    command.lookup = &question;
    connection_ask(lookup->user.connection, &lookup->request, &command);
}

/* ---- How many partitions. */

static void partitions_answered(struct lookup *lookup,
                                const Pulsar__CommandPartitionedTopicMetadataResponse *response) {
    if (response->has_response &&
        response->response ==
            PULSAR__COMMAND_PARTITIONED_TOPIC_METADATA_RESPONSE__LOOKUP_TYPE__Success) {
        struct lookup_result result = {.partitions = response->partitions};
        finish(lookup, NULL, &result);
        return;
    }
    struct err err;
    server_error_set(&err, response->has_error ? (int)response->error : -1, response->message);
    err_context(&err, "broker %s", address_text(&lookup->at.logical).text);
    failed(lookup, &err);
}

static void ask_for_partitions(struct lookup *lookup) {
    Pulsar__CommandPartitionedTopicMetadata question =
        PULSAR__COMMAND_PARTITIONED_TOPIC_METADATA__INIT;
    question.topic = (char *)lookup->topic;
    question.request_id = lookup->request.id;
    if (lookup->kind == LOOKUP_PARTITIONS_UNCREATED &&
        connection_can_ask_without_creating(lookup->user.connection)) {
        question.has_metadata_auto_creation_enabled = 1;
        question.metadata_auto_creation_enabled = 0;
    }
    Pulsar__BaseCommand command = PULSAR__BASE_COMMAND__INIT;
    command.type = PULSAR__BASE_COMMAND__TYPE__PARTITIONED_METADATA;
    command.partitioned_metadata = &question;
    connection_ask(lookup->user.connection, &lookup->request, &command);
}

/* ---- The connection's events. */

static void on_answer(struct connection_request *request, const struct err *err,
                      const Pulsar__BaseCommand *reply) {
    struct lookup *lookup = AWS_CONTAINER_OF(request, struct lookup, request);
    if (err != NULL) {
        failed(lookup, err);
    } else if (lookup->kind == LOOKUP_BROKER && reply->lookup_response != NULL) {
        broker_answered(lookup, reply->lookup_response);
    } else if (lookup->kind != LOOKUP_BROKER && reply->partitioned_metadata_response != NULL) {
        partitions_answered(lookup, reply->partitioned_metadata_response);
    } else {
        struct err wrong;
        err_set(&wrong, ERR_PULSAR_PROTOCOL, "broker %s answered with command %d",
                address_text(&lookup->at.logical).text, (int)reply->type);
        finish(lookup, &wrong, NULL);
    }
}

static void on_ready(struct connection_user *user) {
    struct lookup *lookup = of_user(user);
    lookup->request.done = on_answer;
    lookup->request.id = connection_new_request_id(user->connection);
    if (lookup->kind == LOOKUP_BROKER) {
        ask_for_broker(lookup);
    } else {
        ask_for_partitions(lookup);
    }
}

static void on_lost(struct connection_user *user, const struct err *err) {
    failed(of_user(user), err);
}

static const struct connection_events events = {.ready = on_ready, .lost = on_lost};

void lookup_start(struct lookup *lookup, struct pulsar_client *client, enum lookup_kind kind,
                  const char *topic, const struct address *service,
                  void (*done)(struct lookup *lookup, const struct err *err,
                               const struct lookup_result *result)) {
    lookup->user.events = &events;
    lookup->client = client;
    lookup->kind = kind;
    lookup->topic = topic;
    lookup->done = done;
    lookup->running = true;
    lookup->authoritative = false;
    lookup->redirects = 0;
    lookup->service = service != NULL ? *service : *client_service(client);
    lookup->at = (struct lookup_result){.logical = lookup->service, .physical = lookup->service};
    lane_timer_init(&lookup->deadline, client_lane(client), deadline_passed, lookup);
    lane_timer_set_ms(&lookup->deadline, client_operation_timeout_ms(client));
    connect_to(lookup);
}
