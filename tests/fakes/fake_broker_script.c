/* The scenario commands of fake_broker: see README.md. */
#include "fakes/fake_broker_state.h"

#include <inttypes.h>
#include <stdio.h>

/* ---- the cluster and its topics ---- */

static bool broker_number(const struct fake_broker *broker, struct str text, size_t *ret_number,
                          struct err *err) {
    uint64_t number;
    if (!str_to_u64(text, &number) || number >= broker->port_count) {
        return err_set(err, ERR_CONFIG, "there is no broker '%.*s'", STR_FMT(text));
    }
    *ret_number = (size_t)number;
    return true;
}

static bool run_brokers(void *ctx, struct fake_line *line, struct err *err) {
    struct fake_broker *broker = ctx;
    uint64_t count;
    if (!fake_line_u64(line, 1, &count, err)) {
        return false;
    }
    while (broker->port_count < count) {
        if (!fake_broker_add_port(broker, 0, err)) {
            return false;
        }
    }
    return true;
}

static bool run_tls(void *ctx, struct fake_line *line, struct err *err) {
    struct fake_broker *broker = ctx;
    char certificate[1024];
    char key[1024];
    char ca[1024];
    struct str ca_given = fake_line_option(line, 3, "ca");
    struct str host = fake_line_option(line, 3, "host");
    if (!fake_line_text(line, 1, certificate, sizeof certificate, err) ||
        !fake_line_text(line, 2, key, sizeof key, err) ||
        !fake_line_options(line, 3, "ca host", err)) {
        return false;
    }
    if (!str_copy(ca_given, ca, sizeof ca) ||
        !str_copy(host.ptr == NULL ? STR("127.0.0.1") : host, broker->tls_host,
                  sizeof broker->tls_host)) {
        return err_set(err, ERR_CONFIG, "a name is too long");
    }
    return fake_broker_tls(broker, certificate, key, ca_given.ptr == NULL ? NULL : ca, err);
}

static bool run_proxy(void *ctx, struct fake_line *line, struct err *err) {
    struct fake_broker *broker = ctx;
    return fake_line_bool(line, 1, &broker->proxy, err);
}

static bool run_partitions(void *ctx, struct fake_line *line, struct err *err) {
    struct fake_broker *broker = ctx;
    uint64_t count;
    if (!fake_line_u64(line, 2, &count, err)) {
        return false;
    }
    if (str_is(line->words[1], "*")) {
        broker->default_partitions = (uint32_t)count;
        return true;
    }
    struct fake_broker_topic *topic = fake_broker_topic(broker, line->words[1], err);
    if (topic == NULL) {
        return false;
    }
    topic->has_partitions = true;
    topic->partitions = (uint32_t)count;
    topic->deleted = false;
    return true;
}

static bool run_owner(void *ctx, struct fake_line *line, struct err *err) {
    struct fake_broker *broker = ctx;
    size_t number = 0;
    struct fake_broker_topic *topic = broker_number(broker, line->words[2], &number, err)
                                          ? fake_broker_topic(broker, line->words[1], err)
                                          : NULL;
    if (topic != NULL) {
        topic->owner = number;
    }
    return topic != NULL;
}

/* Where a topic went. */
struct urls {
    char plain[64];
    char tls[320];
};

static char *url_or_none(char *url) {
    return url[0] == '\0' ? NULL : url;
}

/* Calls for every producer of the topic, or of its partitions; the function may drop it. */
static void each_producer(struct fake_broker *broker, struct str topic,
                          void (*fn)(struct fake_broker_conn *conn,
                                     struct fake_broker_producer *producer, struct urls *urls),
                          struct urls *urls) {
    int32_t partition;
    for (struct fake_broker_conn *conn = broker->conns; conn != NULL; conn = conn->next) {
        struct fake_broker_producer *next;
        for (struct fake_broker_producer *producer = conn->producers; producer != NULL;
             producer = next) {
            next = producer->next;
            if (str_is(topic, producer->topic) ||
                str_equal(topic, fake_topic_split(str_of(producer->topic), &partition))) {
                fn(conn, producer, urls);
            }
        }
    }
}

static void close_producer(struct fake_broker_conn *conn, struct fake_broker_producer *producer,
                           struct urls *urls) {
    Pulsar__BaseCommand command = PULSAR__BASE_COMMAND__INIT;
    Pulsar__CommandCloseProducer body = PULSAR__COMMAND_CLOSE_PRODUCER__INIT;
    command.type = PULSAR__BASE_COMMAND__TYPE__CLOSE_PRODUCER;
    command.close_producer = &body;
    body.producer_id = producer->id;
    body.request_id = conn->broker->next_request++;
    body.assigned_broker_service_url = url_or_none(urls->plain);
    body.assigned_broker_service_url_tls = url_or_none(urls->tls);
    fake_broker_send(conn, &command);
    fake_broker_drop_producer(conn, producer);
}

/* The topic moves, to the broker of word 2 if there is one. */
static bool move(struct fake_broker *broker, struct fake_line *line, bool hidden,
                 struct urls *ret_urls, struct err *err) {
    size_t number = 0;
    *ret_urls = (struct urls){.plain = ""};
    if (line->count > 2) {
        struct fake_broker_topic *topic = broker_number(broker, line->words[2], &number, err)
                                              ? fake_broker_topic(broker, line->words[1], err)
                                              : NULL;
        if (topic == NULL) {
            return false;
        }
        topic->owner = number;
        fake_broker_url(broker, number, hidden, ret_urls->plain);
        fake_broker_url_tls(broker, number, hidden, ret_urls->tls);
    }
    return true;
}

static bool run_unload(void *ctx, struct fake_line *line, struct err *err) {
    struct fake_broker *broker = ctx;
    struct urls urls;
    if (!move(broker, line, broker->proxy, &urls, err)) {
        return false;
    }
    bool assigned = line->count > 3;
    if (assigned && !str_is(line->words[3], "assigned")) {
        return err_set(err, ERR_CONFIG, "usage: unload %s", line->usage);
    }
    struct urls none = {.plain = ""};
    each_producer(broker, line->words[1], close_producer, assigned ? &urls : &none);
    return true;
}

static void migrate_producer(struct fake_broker_conn *conn, struct fake_broker_producer *producer,
                             struct urls *urls) {
    Pulsar__BaseCommand command = PULSAR__BASE_COMMAND__INIT;
    Pulsar__CommandTopicMigrated body = PULSAR__COMMAND_TOPIC_MIGRATED__INIT;
    command.type = PULSAR__BASE_COMMAND__TYPE__TOPIC_MIGRATED;
    command.topic_migrated = &body;
    body.resource_id = producer->id;
    body.resource_type = PULSAR__COMMAND_TOPIC_MIGRATED__RESOURCE_TYPE__Producer;
    body.broker_service_url = url_or_none(urls->plain);
    body.broker_service_url_tls = url_or_none(urls->tls);
    fake_broker_send(conn, &command);
    fake_broker_drop_producer(conn, producer);
}

static bool run_migrate(void *ctx, struct fake_line *line, struct err *err) {
    struct urls urls;
    if (!move(ctx, line, false, &urls, err)) { /* another cluster's service */
        return false;
    }
    each_producer(ctx, line->words[1], migrate_producer, &urls);
    return true;
}

static bool run_terminate(void *ctx, struct fake_line *line, struct err *err) {
    struct fake_broker_topic *topic = fake_broker_topic(ctx, line->words[1], err);
    if (topic != NULL) {
        topic->terminated = true;
    }
    return topic != NULL;
}

static bool run_delete_topic(void *ctx, struct fake_line *line, struct err *err) {
    struct urls none = {.plain = ""};
    struct fake_broker_topic *topic = fake_broker_topic(ctx, line->words[1], err);
    if (topic != NULL) {
        topic->deleted = true;
        each_producer(ctx, line->words[1], close_producer, &none);
    }
    return topic != NULL;
}

static bool run_quota(void *ctx, struct fake_line *line, struct err *err) {
    struct urls none = {.plain = ""};
    bool hold = str_is(line->words[2], "hold");
    bool exception = str_is(line->words[2], "exception");
    if (!hold && !exception && !str_is(line->words[2], "off")) {
        return err_set(err, ERR_CONFIG, "usage: quota %s", line->usage);
    }
    struct fake_broker_topic *topic = fake_broker_topic(ctx, line->words[1], err);
    if (topic == NULL) {
        return false;
    }
    topic->quota = hold        ? PULSAR__SERVER_ERROR__ProducerBlockedQuotaExceededError
                   : exception ? PULSAR__SERVER_ERROR__ProducerBlockedQuotaExceededException
                               : 0;
    if (hold || exception) {
        each_producer(ctx, line->words[1], close_producer, &none);
    }
    return true;
}

static bool run_busy(void *ctx, struct fake_line *line, struct err *err) {
    bool comes;
    return fake_line_bool(line, 3, &comes, err) &&
           (fake_broker_stranger(ctx, line->words[1], line->words[2], comes) ||
            err_set(err, ERR_NOMEM, "a producer"));
}

/* ---- connections ---- */

/* Calls for every connection, or for those of the broker that word `word` names. */
static bool each_conn(struct fake_broker *broker, const struct fake_line *line, size_t word,
                      void (*fn)(struct fake_broker_conn *conn), struct err *err) {
    size_t number = SIZE_MAX;
    if (line->count > word && !broker_number(broker, line->words[word], &number, err)) {
        return false;
    }
    for (struct fake_broker_conn *conn = broker->conns; conn != NULL; conn = conn->next) {
        if (number == SIZE_MAX || conn->number == number) {
            fn(conn);
        }
    }
    return true;
}

static void disconnect(struct fake_broker_conn *conn) {
    fake_conn_abort(conn->conn);
}

static bool run_disconnect(void *ctx, struct fake_line *line, struct err *err) {
    return each_conn(ctx, line, 1, disconnect, err);
}

static void ping(struct fake_broker_conn *conn) {
    if (!conn->connected) {
        return;
    }
    Pulsar__BaseCommand command = PULSAR__BASE_COMMAND__INIT;
    Pulsar__CommandPing body = PULSAR__COMMAND_PING__INIT;
    command.type = PULSAR__BASE_COMMAND__TYPE__PING;
    command.ping = &body;
    fake_broker_send(conn, &command);
}

static bool run_ping(void *ctx, struct fake_line *line, struct err *err) {
    return each_conn(ctx, line, 1, ping, err);
}

static void unknown_command(struct fake_broker_conn *conn) {
    /* type 99, and an empty message as field 99 */
    static const char frame[] = {0, 0, 0, 9, 0, 0, 0, 5, 0x08, 0x63, (char)0x9a, 0x06, 0};
    fake_conn_write(conn->conn, frame, sizeof frame);
}

static bool run_unknown_command(void *ctx, struct fake_line *line, struct err *err) {
    return each_conn(ctx, line, 1, unknown_command, err);
}

static int hex_digit(char c) {
    return c >= '0' && c <= '9' ? c - '0' : c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

static bool run_raw(void *ctx, struct fake_line *line, struct err *err) {
    struct fake_broker *broker = ctx;
    struct str hex = line->words[1];
    char bytes[512];
    size_t len = hex.len / 2;
    for (size_t i = 0; i < hex.len; i++) {
        int digit = hex_digit(hex.ptr[i]);
        if (digit < 0 || hex.len % 2 != 0 || len > sizeof bytes) {
            return err_set(err, ERR_CONFIG, "not up to 512 bytes in lower-case hexadecimal");
        }
        bytes[i / 2] = (char)(i % 2 == 0 ? digit << 4 : bytes[i / 2] | digit);
    }
    for (struct fake_broker_conn *conn = broker->conns; conn != NULL; conn = conn->next) {
        if (conn->connected) {
            fake_conn_write(conn->conn, bytes, len);
        }
    }
    return true;
}

static void challenge(struct fake_broker_conn *conn) {
    static char token[] = "token";
    char *method = conn->broker->auth_method;
    static uint8_t refresh[] = "PulsarAuthRefresh";
    Pulsar__BaseCommand command = PULSAR__BASE_COMMAND__INIT;
    Pulsar__CommandAuthChallenge body = PULSAR__COMMAND_AUTH_CHALLENGE__INIT;
    Pulsar__AuthData data = PULSAR__AUTH_DATA__INIT;
    command.type = PULSAR__BASE_COMMAND__TYPE__AUTH_CHALLENGE;
    command.auth_challenge = &body;
    body.challenge = &data;
    data.auth_method_name = method[0] == '\0' ? token : method;
    data.has_auth_data = 1;
    data.auth_data = (ProtobufCBinaryData){.len = sizeof refresh - 1, .data = refresh};
    fake_broker_send(conn, &command);
}

static bool run_auth_challenge(void *ctx, struct fake_line *line, struct err *err) {
    return each_conn(ctx, line, 1, challenge, err);
}

static void set_drip(struct fake_broker_conn *conn) {
    fake_conn_drip(conn->conn, conn->broker->drip);
}

static bool run_drip(void *ctx, struct fake_line *line, struct err *err) {
    struct fake_broker *broker = ctx;
    uint64_t bytes;
    if (!fake_line_u64(line, 1, &bytes, err)) {
        return false;
    }
    broker->drip = (size_t)bytes;
    return each_conn(broker, line, 2, set_drip, err);
}

static void read_on(struct fake_broker_conn *conn) {
    fake_conn_pause(conn->conn, false);
    fake_conn_poke(conn->conn);
}

static void pause_over(void *ctx, struct fake_conn *unused) {
    struct fake_broker *broker = ctx;
    (void)unused;
    if (fake_server_now_ms() >= broker->pause_until_ms) {
        for (struct fake_broker_conn *conn = broker->conns; conn != NULL; conn = conn->next) {
            read_on(conn);
        }
    }
}

static void stop_reading(struct fake_broker_conn *conn) {
    fake_conn_pause(conn->conn, true);
}

static bool run_pause(void *ctx, struct fake_line *line, struct err *err) {
    struct fake_broker *broker = ctx;
    uint64_t ms;
    if (!fake_line_u64(line, 1, &ms, err)) {
        return false;
    }
    broker->pause_until_ms = fake_server_now_ms() + ms;
    return each_conn(broker, line, 2, stop_reading, err) &&
           (fake_server_after(broker->server, ms, pause_over, broker, NULL) ||
            err_set(err, ERR_NOMEM, "a timer"));
}

/* ---- behaviour ---- */

static bool run_max_message_size(void *ctx, struct fake_line *line, struct err *err) {
    struct fake_broker *broker = ctx;
    uint64_t bytes;
    if (!fake_line_u64(line, 1, &bytes, err)) {
        return false;
    }
    if (bytes < 1 || bytes > INT32_MAX) {
        return err_set(err, ERR_CONFIG, "not a message size");
    }
    broker->max_message_size = (int32_t)bytes;
    return true;
}

static bool run_receipt_delay(void *ctx, struct fake_line *line, struct err *err) {
    struct fake_broker *broker = ctx;
    return fake_line_u64(line, 1, &broker->receipt_delay_ms, err);
}

static bool run_persist_delay(void *ctx, struct fake_line *line, struct err *err) {
    struct fake_broker *broker = ctx;
    return fake_line_u64(line, 1, &broker->persist_delay_ms, err);
}

static bool run_schema_compat(void *ctx, struct fake_line *line, struct err *err) {
    struct fake_broker *broker = ctx;
    bool any;
    if (!fake_line_bool(line, 1, &any, err)) {
        return false;
    }
    broker->store.schemas.frozen = !any;
    return true;
}

static bool run_key_based(void *ctx, struct fake_line *line, struct err *err) {
    struct fake_broker *broker = ctx;
    return fake_line_bool(line, 1, &broker->key_based, err);
}

static bool run_strict(void *ctx, struct fake_line *line, struct err *err) {
    struct fake_broker *broker = ctx;
    return fake_line_bool(line, 1, &broker->strict, err);
}

static bool run_dedup(void *ctx, struct fake_line *line, struct err *err) {
    struct fake_broker *broker = ctx;
    return fake_line_bool(line, 1, &broker->dedup, err);
}

static bool run_forget_producers(void *ctx, struct fake_line *line, struct err *err) {
    struct fake_broker *broker = ctx;
    (void)line;
    (void)err;
    fake_broker_store_forget(&broker->store);
    return true;
}

static bool run_count_only(void *ctx, struct fake_line *line, struct err *err) {
    struct fake_broker *broker = ctx;
    return fake_line_bool(line, 1, &broker->count_only, err);
}

/* Who may connect: with this method and the data in word 1; "": anybody. */
static bool set_auth(struct fake_broker *broker, const char *method, const struct fake_line *line,
                     struct err *err) {
    return fake_line_text(line, 1, broker->auth_data, sizeof broker->auth_data, err) &&
           str_copy(broker->auth_data[0] == '\0' ? STR_NONE : str_of(method), broker->auth_method,
                    sizeof broker->auth_method);
}

static bool run_token(void *ctx, struct fake_line *line, struct err *err) {
    return set_auth(ctx, "token", line, err);
}

static bool run_basic(void *ctx, struct fake_line *line, struct err *err) {
    return set_auth(ctx, "basic", line, err);
}

static bool run_dump(void *ctx, struct fake_line *line, struct err *err) {
    struct fake_broker *broker = ctx;
    char path[1024];
    return fake_line_text(line, 1, path, sizeof path, err) &&
           fake_broker_store_dump(&broker->store, path, err);
}

static bool run_forget_messages(void *ctx, struct fake_line *line, struct err *err) {
    struct fake_broker *broker = ctx;
    (void)line;
    (void)err;
    fake_broker_store_clear(&broker->store);
    broker->counts.messages = 0;
    return true;
}

/* ---- faults ---- */

static bool add_fault(struct fake_broker *broker, const struct fake_fault *fault, struct err *err) {
    static const char *const ops[] = {"CONNECT", "PARTITIONED_METADATA", "LOOKUP", "PRODUCER",
                                      "SEND",    "CLOSE_PRODUCER",       "PING",   "*"};
    for (size_t i = 0; i < sizeof ops / sizeof ops[0]; i++) {
        if (strcmp(fault->op, ops[i]) == 0) {
            return fake_faults_add(&broker->faults, fault, err);
        }
    }
    return err_set(err, ERR_CONFIG, "no operation is called '%s'", fault->op);
}

static bool run_fail(void *ctx, struct fake_line *line, struct err *err) {
    struct fake_fault fault;
    /* The message is there when an odd number of words follows the error. */
    size_t options = line->count > 4 && (line->count - 4) % 2 == 1 ? 5 : 4;
    if (!fake_fault_read(line, options, FAKE_BROKER_FAULT_FAIL, &fault, err) ||
        !fake_line_text(line, 3, fault.code, sizeof fault.code, err) ||
        !(options == 4 ? str_copy(STR("scripted"), fault.text, sizeof fault.text)
                       : fake_line_text(line, 4, fault.text, sizeof fault.text, err))) {
        return false;
    }
    const ProtobufCEnumValue *error =
        protobuf_c_enum_descriptor_get_value_by_name(&pulsar__server_error__descriptor, fault.code);
    if (error == NULL) {
        return err_set(err, ERR_CONFIG, "no ServerError is called '%s'", fault.code);
    }
    fault.number = (uint64_t)error->value;
    return add_fault(ctx, &fault, err);
}

static const struct {
    const char *command;
    int kind; /* enum fake_broker_fault */
    bool has_number;
} faults[] = {
    {"delay", FAKE_BROKER_FAULT_DELAY, true},
    {"cut", FAKE_BROKER_FAULT_CUT, true},
    {"silent", FAKE_BROKER_FAULT_SILENT, false},
    {"drop-before", FAKE_BROKER_FAULT_DROP_BEFORE, false},
    {"drop-after", FAKE_BROKER_FAULT_DROP_AFTER, false},
    {"stale-receipt", FAKE_BROKER_FAULT_RECEIPT_STALE, false},
    {"future-receipt", FAKE_BROKER_FAULT_RECEIPT_FUTURE, false},
    {"last-id-receipt", FAKE_BROKER_FAULT_RECEIPT_LAST, false},
    {"duplicate-receipt", FAKE_BROKER_FAULT_RECEIPT_DUPLICATE, false},
};

static bool run_fault(void *ctx, struct fake_line *line, struct err *err) {
    size_t i = 0;
    while (!str_is(line->words[0], faults[i].command)) {
        i++; /* the command table holds only these */
    }
    struct fake_fault fault;
    return fake_fault_read(line, faults[i].has_number ? 4 : 3, faults[i].kind, &fault, err) &&
           (!faults[i].has_number || fake_line_u64(line, 3, &fault.number, err)) &&
           add_fault(ctx, &fault, err);
}

static bool run_redirect(void *ctx, struct fake_line *line, struct err *err) {
    struct fake_fault fault;
    size_t number = 0;
    if (!fake_fault_read(line, 4, FAKE_BROKER_FAULT_REDIRECT, &fault, err) ||
        !broker_number(ctx, line->words[3], &number, err)) {
        return false;
    }
    fault.number = number;
    return add_fault(ctx, &fault, err);
}

static bool run_clear(void *ctx, struct fake_line *line, struct err *err) {
    struct fake_broker *broker = ctx;
    (void)line;
    (void)err;
    broker->faults.count = 0;
    return true;
}

#define FAULT_USAGE "OP COUNT|always [on TOPIC] [after CALLS]"
#define FAULT_USAGE_NUMBER "OP COUNT|always NUMBER [on TOPIC] [after CALLS]"

static const struct fake_command commands[] = {
    {"brokers", 1, 1, "COUNT", 0, run_brokers},
    {"tls", 2, 6, "CERTIFICATE KEY [ca FILE] [host NAME]", 0, run_tls},
    {"proxy", 1, 1, "on|off", 0, run_proxy},
    {"partitions", 2, 2, "TOPIC|* COUNT", 0, run_partitions},
    {"owner", 2, 2, "TOPIC BROKER", 0, run_owner},
    {"unload", 1, 3, "TOPIC [BROKER [assigned]]", 0, run_unload},
    {"migrate", 2, 2, "TOPIC BROKER", 0, run_migrate},
    {"terminate", 1, 1, "TOPIC", 0, run_terminate},
    {"delete-topic", 1, 1, "TOPIC", 0, run_delete_topic},
    {"quota", 2, 2, "TOPIC hold|exception|off", 0, run_quota},
    {"busy", 3, 3, "TOPIC NAME on|off", 0, run_busy},
    {"disconnect", 0, 1, "[BROKER]", 0, run_disconnect},
    {"ping", 0, 1, "[BROKER]", 0, run_ping},
    {"unknown-command", 0, 1, "[BROKER]", 0, run_unknown_command},
    {"raw", 1, 1, "HEX", 0, run_raw},
    {"auth-challenge", 0, 1, "[BROKER]", 0, run_auth_challenge},
    {"pause", 1, 1, "MS", 0, run_pause},
    {"drip", 1, 1, "BYTES", 0, run_drip},
    {"max-message-size", 1, 1, "BYTES", 0, run_max_message_size},
    {"receipt-delay", 1, 1, "MS", 0, run_receipt_delay},
    {"persist-delay", 1, 1, "MS", 0, run_persist_delay},
    {"dedup", 1, 1, "on|off", 0, run_dedup},
    {"schema-compat", 1, 1, "on|off", 0, run_schema_compat},
    {"key-based", 1, 1, "on|off", 0, run_key_based},
    {"strict", 1, 1, "on|off", 0, run_strict},
    {"forget-producers", 0, 0, "", 0, run_forget_producers},
    {"count-only", 1, 1, "on|off", 0, run_count_only},
    {"token", 1, 1, "TEXT", 0, run_token},
    {"basic", 1, 1, "USER:PASSWORD", 0, run_basic},
    {"dump", 1, 1, "FILE", 0, run_dump},
    {"forget-messages", 0, 0, "", 0, run_forget_messages},
    {"fail", 3, 8, "OP COUNT|always ERROR [MESSAGE] [on TOPIC] [after CALLS]", 0, run_fail},
    {"delay", 3, 7, FAULT_USAGE_NUMBER, 0, run_fault},
    {"cut", 3, 7, FAULT_USAGE_NUMBER, 0, run_fault},
    {"silent", 2, 6, FAULT_USAGE, 0, run_fault},
    {"drop-before", 2, 6, FAULT_USAGE, 0, run_fault},
    {"drop-after", 2, 6, FAULT_USAGE, 0, run_fault},
    {"stale-receipt", 2, 6, FAULT_USAGE, 0, run_fault},
    {"future-receipt", 2, 6, FAULT_USAGE, 0, run_fault},
    {"last-id-receipt", 2, 6, FAULT_USAGE, 0, run_fault},
    {"duplicate-receipt", 2, 6, FAULT_USAGE, 0, run_fault},
    {"redirect", 3, 7, "LOOKUP COUNT|always BROKER [on TOPIC] [after CALLS]", 0, run_redirect},
    {"clear", 0, 0, "", 0, run_clear},
};

static struct fake_script script_of(struct fake_broker *broker) {
    return (struct fake_script){
        .commands = commands, .count = sizeof commands / sizeof commands[0], .ctx = broker};
}

bool fake_broker_script_run(struct fake_broker *broker, struct str lines, int64_t now_ms,
                            struct err *err) {
    struct fake_script script = script_of(broker);
    return fake_script_run(&script, lines, now_ms, err);
}

bool fake_broker_script_file(struct fake_broker *broker, const char *path, struct err *err) {
    struct fake_script script = script_of(broker);
    return fake_script_run_file(&script, path, fake_server_wall_ms(), err);
}
