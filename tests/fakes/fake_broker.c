#include "fakes/fake_broker_state.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

enum { DEFAULT_MAX_MESSAGE_SIZE = 5 * 1024 * 1024 };

void fake_broker_url(const struct fake_broker *broker, size_t number, bool hidden, char to[64]) {
    if (hidden) {
        (void)snprintf(to, 64, "pulsar://broker-%zu.invalid:6650", number);
    } else {
        (void)snprintf(to, 64, "pulsar://127.0.0.1:%u", broker->ports[number]);
    }
}

void fake_broker_url_tls(const struct fake_broker *broker, size_t number, bool hidden,
                         char to[320]) {
    if (broker->tls_host[0] == '\0') {
        to[0] = '\0';
    } else if (hidden) {
        (void)snprintf(to, 320, "pulsar+ssl://broker-%zu.invalid:6651", number);
    } else {
        (void)snprintf(to, 320, "pulsar+ssl://%s:%u", broker->tls_host, broker->tls_ports[number]);
    }
}

struct fake_broker_topic *fake_broker_find_topic(struct fake_broker *broker, struct str name) {
    for (size_t i = 0; i < broker->topic_count; i++) {
        if (str_is(name, broker->topics[i].name)) {
            return &broker->topics[i];
        }
    }
    return NULL;
}

struct fake_broker_topic *fake_broker_find_any(struct fake_broker *broker, struct str name) {
    int32_t partition;
    struct fake_broker_topic *topic = fake_broker_find_topic(broker, name);
    return topic != NULL ? topic
                         : fake_broker_find_topic(broker, fake_topic_split(name, &partition));
}

size_t fake_broker_owner(struct fake_broker *broker, struct str topic) {
    const struct fake_broker_topic *found = fake_broker_find_topic(broker, topic);
    return found == NULL ? 0 : found->owner;
}

static bool add_tls_port(struct fake_broker *broker, size_t number, struct err *err) {
    broker->tls_ports[number] =
        fake_server_listen_tls(broker->server, 0, &fake_broker_handler, broker, err);
    return broker->tls_ports[number] != 0;
}

bool fake_broker_add_port(struct fake_broker *broker, uint16_t port, struct err *err) {
    if (broker->port_count == FAKE_BROKER_MAX) {
        return err_set(err, ERR_CONFIG, "more than %d brokers", FAKE_BROKER_MAX);
    }
    uint16_t bound = fake_server_listen(broker->server, port, &fake_broker_handler, broker, err);
    if (bound == 0) {
        return false;
    }
    size_t number = broker->port_count++;
    broker->ports[number] = bound;
    return broker->tls_host[0] == '\0' || add_tls_port(broker, number, err);
}

bool fake_broker_tls(struct fake_broker *broker, const char *certificate, const char *key,
                     const char *ca, struct err *err) {
    bool ok = fake_server_identity(broker->server, certificate, key, ca, err);
    for (size_t i = 0; ok && i < broker->port_count; i++) {
        ok = broker->tls_ports[i] != 0 || add_tls_port(broker, i, err);
    }
    return ok;
}

struct fake_broker_topic *fake_broker_topic(struct fake_broker *broker, struct str name,
                                            struct err *err) {
    struct fake_broker_topic *topic = fake_broker_find_topic(broker, name);
    if (topic != NULL) {
        return topic;
    }
    topic = &broker->topics[broker->topic_count];
    if (broker->topic_count == FAKE_BROKER_TOPICS ||
        !str_copy(name, topic->name, sizeof topic->name)) {
        err_set(err, ERR_CONFIG, "too many topics, or a name that is too long");
        return NULL;
    }
    topic->epoch = -1;
    broker->topic_count++;
    return topic;
}

/* ---- the double as a whole ---- */

static bool script(void *ctx, struct str lines, int64_t now_ms, struct err *err) {
    return fake_broker_script_run(ctx, lines, now_ms, err);
}

static void counts_json(const struct fake_broker_counts *counts, struct buf *out) {
    const struct {
        const char *name;
        uint64_t value;
    } all[] = {
        {"connections", counts->connections},
        {"connects", counts->connects},
        {"partitionedMetadata", counts->partitioned_metadata},
        {"lookups", counts->lookups},
        {"authoritativeLookups", counts->authoritative_lookups},
        {"producers", counts->producers},
        {"liveProducers", counts->live_producers},
        {"closedProducers", counts->closed_producers},
        {"sends", counts->sends},
        {"messages", counts->messages},
        {"bytes", counts->bytes},
        {"duplicates", counts->duplicates},
        {"sendErrors", counts->send_errors},
        {"pings", counts->pings},
        {"pongs", counts->pongs},
        {"authResponses", counts->auth_responses},
        {"violations", counts->violations},
    };
    for (size_t i = 0; i < sizeof all / sizeof all[0]; i++) {
        buf_add_format(out, "%s\"%s\":%" PRIu64, i == 0 ? "{" : ",", all[i].name, all[i].value);
    }
    buf_add_char(out, '}');
}

static void connect_json(const struct fake_broker_connect *connect, struct buf *out) {
    const struct {
        const char *name;
        const char *value;
    } all[] = {
        {"method", connect->method},          {"data", connect->data},
        {"proxyTo", connect->proxy_to},       {"clientVersion", connect->client_version},
        {"serverName", connect->server_name}, {"certificate", connect->certificate},
    };
    for (size_t i = 0; i < sizeof all / sizeof all[0]; i++) {
        buf_add_format(out, "%s\"%s\":", i == 0 ? "{" : ",", all[i].name);
        buf_add_json_string(out, str_of(all[i].value));
    }
    buf_add_format(out, ",\"protocolVersion\":%" PRId32 ",\"tls\":%s}", connect->protocol_version,
                   connect->tls ? "true" : "false");
}

static void ports_json(const uint16_t *ports, size_t count, struct buf *out) {
    buf_add_char(out, '[');
    for (size_t i = 0; i < count; i++) {
        buf_add_format(out, "%s%u", i == 0 ? "" : ",", ports[i]);
    }
    buf_add_char(out, ']');
}

static bool tell(void *ctx, struct str name, struct buf *out) {
    struct fake_broker *broker = ctx;
    if (str_is(name, "counts")) {
        counts_json(&broker->counts, out);
    } else if (str_is(name, "violation")) {
        buf_add_json_string(out, str_of(broker->violation));
    } else if (str_is(name, "last-connect")) {
        connect_json(&broker->last_connect, out);
    } else if (str_is(name, "schemas")) {
        fake_schemas_json(&broker->store.schemas, out);
    } else if (str_is(name, "brokers")) {
        ports_json(broker->ports, broker->port_count, out);
    } else if (str_is(name, "tls-brokers")) {
        ports_json(broker->tls_ports, broker->tls_host[0] == '\0' ? 0 : broker->port_count, out);
    } else {
        return false;
    }
    return true;
}

struct fake_broker *fake_broker_new(const struct fake_broker_options *options, struct err *err) {
    static const struct fake_control control = {.script = script, .tell = tell};
    struct fake_broker *broker = calloc(1, sizeof *broker);
    if (broker == NULL) {
        err_set(err, ERR_NOMEM, "the broker double");
        return NULL;
    }
    broker->max_message_size = DEFAULT_MAX_MESSAGE_SIZE;
    broker->nobody.broker = broker;
    broker->control = (struct fake_control_listener){.control = &control, .ctx = broker};
    broker->server = fake_server_new(err);
    if (broker->server == NULL || !fake_broker_add_port(broker, options->port, err) ||
        (broker->control_port = fake_server_listen(broker->server, options->control_port,
                                                   &fake_control_handler, &broker->control, err)) ==
            0 ||
        (options->scenario != NULL && !fake_broker_script_file(broker, options->scenario, err)) ||
        !fake_server_start(broker->server, err)) {
        fake_broker_free(broker);
        return NULL;
    }
    return broker;
}

void fake_broker_free(struct fake_broker *broker) {
    if (broker != NULL) {
        fake_server_free(broker->server);
        while (broker->nobody.producers != NULL) {
            fake_broker_drop_producer(&broker->nobody, broker->nobody.producers);
        }
        fake_broker_drop_writes(broker);
        fake_broker_store_done(&broker->store);
        free(broker);
    }
}

uint16_t fake_broker_port(const struct fake_broker *broker, size_t number) {
    return number < broker->port_count ? broker->ports[number] : 0;
}

uint16_t fake_broker_tls_port(const struct fake_broker *broker, size_t number) {
    return number < broker->port_count ? broker->tls_ports[number] : 0;
}

uint16_t fake_broker_control_port(const struct fake_broker *broker) {
    return broker->control_port;
}

const struct fake_broker_store *fake_broker_lock(struct fake_broker *broker) {
    fake_server_lock(broker->server);
    return &broker->store;
}

void fake_broker_unlock(struct fake_broker *broker) {
    fake_server_unlock(broker->server);
}

bool fake_broker_script(struct fake_broker *broker, const char *lines, struct err *err) {
    (void)fake_broker_lock(broker);
    bool ok = fake_broker_script_run(broker, str_of(lines), fake_server_wall_ms(), err);
    fake_broker_unlock(broker);
    return ok;
}

void fake_broker_counts(struct fake_broker *broker, struct fake_broker_counts *ret_counts) {
    (void)fake_broker_lock(broker);
    *ret_counts = broker->counts;
    fake_broker_unlock(broker);
}

void fake_broker_last_connect(struct fake_broker *broker, struct fake_broker_connect *ret_connect) {
    (void)fake_broker_lock(broker);
    *ret_connect = broker->last_connect;
    fake_broker_unlock(broker);
}

void fake_broker_violation(struct fake_broker *broker, char *to, size_t capacity) {
    (void)fake_broker_lock(broker);
    (void)snprintf(to, capacity, "%s", broker->violation);
    fake_broker_unlock(broker);
}

bool fake_broker_wait_messages(struct fake_broker *broker, uint64_t messages, uint64_t timeout_ms) {
    uint64_t end = fake_server_now_ms() + timeout_ms;
    struct fake_broker_counts counts;
    for (;;) {
        fake_broker_counts(broker, &counts);
        if (counts.messages >= messages || fake_server_now_ms() >= end) {
            return counts.messages >= messages;
        }
        struct timespec pause = {.tv_nsec = 2000000};
        (void)nanosleep(&pause, NULL);
    }
}
