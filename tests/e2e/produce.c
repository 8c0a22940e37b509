/*
 * test_produce: src/pulsar's public interface as a program, for the end-to-end tests. Options are its options
 * structs; each line of stdin is a message or a command, each line of stdout an event. tests/e2e/producer.py
 * speaks it. While the producer is full, stdin is not read.
 */
#include "base/buf.h"
#include "base/err.h"
#include "base/lane.h"
#include "pulsar/admin.h"
#include "pulsar/producer.h"

#include <aws/common/encoding.h>
#include <aws/common/thread.h>
#include <aws/http/http.h>

#include <poll.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <unistd.h>
#include <yyjson.h>

enum {
    INPUT_START = 1024 * 1024,
    INPUT_MAX = 64 * 1024 * 1024, /* of one line */
    OUTPUT_MAX = 16 * 1024 * 1024,
    PROPERTIES_MAX = 16,
    CLOSE_TIMEOUT_MS = 60000,
};
static const uint64_t JOIN_TIMEOUT_NS = UINT64_C(3000000000);

/* The main thread reads, the lane does all the rest. `lock` is for what both of them touch. */
struct driver {
    struct pulsar_client_options client_options;
    struct pulsar_producer_options producer_options;
    struct pulsar_property properties[PROPERTIES_MAX];
    struct pulsar_schema key_schema; /* of a KEY_VALUE schema */
    struct pulsar_schema value_schema;
    struct str web_service_url;

    struct lane *lane;
    struct pulsar_client *client;
    struct pulsar_producer *producer;
    struct buf out;
    uint64_t token; /* of the next message */
    bool ready;
    bool closing;
    bool input_waits; /* for the producer to be ready or writable */
    int exit_code;
    struct lane_message start_message;
    struct lane_message input_message;

    pthread_mutex_t lock;
    pthread_cond_t changed;
    int wake; /* an eventfd: finished */
    bool finished;
    char *input; /* whole lines, until the lane has taken them all */
    size_t input_len;
    size_t input_at;
    bool input_end; /* no more will come */
    bool input_taken;
};

/* ---- stdout ---- */

static struct buf *event(struct driver *driver, const char *name) {
    buf_reset(&driver->out);
    buf_add_format(&driver->out, "{\"event\":\"%s\"", name);
    return &driver->out;
}

/* One write a line, so that what was said is there even if the process is killed next. */
static void event_done(struct driver *driver) {
    buf_add_text(&driver->out, "}\n");
    struct str line = buf_str(&driver->out);
    if (driver->out.failed || write(STDOUT_FILENO, line.ptr, line.len) != (ssize_t)line.len) {
        (void)fprintf(stderr, "test_produce: stdout cannot be written\n");
        abort();
    }
}

static void add_error(struct buf *out, const struct err *err) {
    buf_add_format(out, ",\"error\":\"%s\",\"class\":\"%s\",\"text\":", err_code_name(err->code),
                   err_class_name(err->class));
    buf_add_json_string(out, str_of(err->text));
}

static void add_tokens(struct buf *out, const uint64_t *tokens, size_t count) {
    buf_add_text(out, ",\"tokens\":[");
    for (size_t i = 0; i < count; i++) {
        buf_add_format(out, i == 0 ? "%llu" : ",%llu", (unsigned long long)tokens[i]);
    }
    buf_add_char(out, ']');
}

/* ---- the end ---- */

static void client_closed(void *ctx) {
    struct driver *driver = ctx;
    struct buf *out = event(driver, "closed");
    buf_add_format(out, ",\"given\":%llu", (unsigned long long)driver->token);
    event_done(driver);
    pthread_mutex_lock(&driver->lock);
    driver->finished = true;
    pthread_cond_signal(&driver->changed);
    pthread_mutex_unlock(&driver->lock);
    (void)eventfd_write(driver->wake, 1);
}

static void producer_closed(void *ctx) {
    struct driver *driver = ctx;
    driver->producer = NULL;
    pulsar_client_close(driver->client, client_closed, driver);
}

static void close_all(struct driver *driver, uint32_t timeout_ms) {
    if (!driver->closing) {
        driver->closing = true; /* further input is dropped */
        pulsar_producer_close(driver->producer, timeout_ms, producer_closed, driver);
    }
}

/* ---- stdin ---- */

static struct str text_of(yyjson_val *line, const char *name) {
    yyjson_val *value = yyjson_obj_get(line, name);
    return yyjson_is_str(value) ? str_make(yyjson_get_str(value), yyjson_get_len(value)) : STR_NONE;
}

/* Bytes given in base64; to be freed. ptr NULL: none given. */
static struct str bytes_of(yyjson_val *line, const char *name) {
    struct str text = text_of(line, name);
    struct aws_byte_cursor from = aws_byte_cursor_from_array(text.ptr, text.len);
    size_t capacity;
    if (text.ptr == NULL || aws_base64_compute_decoded_len(&from, &capacity) != AWS_OP_SUCCESS) {
        return STR_NONE;
    }
    char *data = malloc(capacity + 1);
    struct aws_byte_buf to = aws_byte_buf_from_empty_array(data, capacity + 1);
    if (data == NULL || aws_base64_decode(&from, &to) != AWS_OP_SUCCESS) {
        free(data);
        return STR_NONE;
    }
    return str_make(data, to.len);
}

/* False: there is no room now, and the line is to come again. */
static bool take_message(struct driver *driver, yyjson_val *line) {
    struct pulsar_property properties[PROPERTIES_MAX];
    struct pulsar_message message = {
        .key = text_of(line, "key"),
        .key_is_base64 = yyjson_get_bool(yyjson_obj_get(line, "keyIsBase64")),
        .ordering_key = text_of(line, "orderingKey"),
        .event_time_ms = yyjson_get_sint(yyjson_obj_get(line, "eventTime")),
        .deliver_at_ms = yyjson_get_sint(yyjson_obj_get(line, "deliverAt")),
        .sequence_id = yyjson_get_uint(yyjson_obj_get(line, "sequenceId")),
        .properties = properties,
        .null_value = yyjson_is_null(yyjson_obj_get(line, "value")),
    };
    yyjson_val *of = yyjson_obj_get(line, "properties");
    yyjson_obj_iter members = yyjson_obj_iter_with(of);
    for (yyjson_val *name; (name = yyjson_obj_iter_next(&members)) != NULL;) {
        yyjson_val *value = yyjson_obj_iter_get_val(name);
        if (message.property_count < PROPERTIES_MAX) {
            properties[message.property_count++] = (struct pulsar_property){
                .name = str_make(yyjson_get_str(name), yyjson_get_len(name)),
                .value = str_make(yyjson_get_str(value), yyjson_get_len(value)),
            };
        }
    }
    struct str binary_key = bytes_of(line, "binaryKey");
    if (binary_key.ptr != NULL) {
        message.key = binary_key;
        message.key_is_binary = true;
    }
    struct str binary_value = bytes_of(line, "valueBase64");
    struct str value = binary_value.ptr != NULL ? binary_value : text_of(line, "value");
    /* In parts, since joining them is the producer's work. */
    struct str inline_key = text_of(line, "inlineKey");
    struct pulsar_inline_size key_size = pulsar_inline_size(inline_key);
    struct pulsar_inline_size value_size = pulsar_inline_size(value);
    size_t half = value.len / 2;
    struct str parts[] = {
        str_make(key_size.bytes, sizeof key_size.bytes),     inline_key,
        str_make(value_size.bytes, sizeof value_size.bytes), str_make(value.ptr, half),
        str_make(value.ptr + half, value.len - half),
    };
    size_t first = inline_key.ptr != NULL ? 0 : 3;
    message.value = parts + first;
    message.value_parts = value.len > 0 ? sizeof parts / sizeof parts[0] - first : 0;

    struct err err = ERR_NONE;
    enum pulsar_send sent = pulsar_producer_send(driver->producer, &message, driver->token, &err);
    if (sent == PULSAR_SEND_REFUSED) {
        struct buf *out = event(driver, "refused");
        add_tokens(out, &driver->token, 1);
        add_error(out, &err);
        event_done(driver);
    }
    free((void *)binary_key.ptr);
    free((void *)binary_value.ptr);
    driver->token += sent != PULSAR_SEND_FULL ? 1 : 0;
    return sent != PULSAR_SEND_FULL;
}

static void tell_stats(struct driver *driver, const char *name) {
    struct pulsar_producer_stats now;
    pulsar_producer_stats(driver->producer, &now);
    struct buf *out = event(driver, name);
    const struct {
        const char *name;
        uint64_t value;
    } all[] = {
        {"messages", now.messages},
        {"bytes", now.bytes},
        {"frames", now.frames},
        {"acked", now.acked},
        {"duplicates", now.duplicates},
        {"undelivered", now.undelivered},
        {"inFlight", now.in_flight},
        {"inFlightBytes", now.in_flight_bytes},
        {"resentFrames", now.resent_frames},
        {"reconnects", now.reconnects},
    };
    for (size_t i = 0; i < sizeof all / sizeof all[0]; i++) {
        buf_add_format(out, ",\"%s\":%llu", all[i].name, (unsigned long long)all[i].value);
    }
    event_done(driver);
}

static void on_deduplication(void *ctx, enum pulsar_deduplication state, const struct err *err) {
    static const char *const names[] = {"on", "off", "unknown"};
    struct driver *driver = ctx;
    struct buf *out = event(driver, "deduplication");
    buf_add_format(out, ",\"state\":\"%s\"", names[state]);
    if (err != NULL) {
        add_error(out, err);
    }
    event_done(driver);
}

/* Of this topic, or without one, of the producer's. */
static void ask_deduplication(struct driver *driver, struct str topic) {
    const struct pulsar_admin_options options = {
        .client = &driver->client_options,
        .web_service_url = driver->web_service_url,
        .topic = topic.ptr != NULL ? topic : driver->producer_options.topic,
    };
    struct err err;
    if (pulsar_admin_deduplication(driver->lane, &options, on_deduplication, driver, &err) ==
        NULL) {
        (void)fprintf(stderr, "test_produce: %s\n", err.text);
        abort();
    }
}

static bool take_line(struct driver *driver, struct str text) {
    yyjson_doc *doc = yyjson_read(text.ptr, text.len, YYJSON_READ_NOFLAG);
    yyjson_val *line = yyjson_doc_get_root(doc);
    struct str command = text_of(line, "command");
    bool taken = true;
    if (str_is(command, "stats")) {
        tell_stats(driver, "stats");
    } else if (str_is(command, "deduplication")) {
        ask_deduplication(driver, text_of(line, "topic"));
    } else if (str_is(command, "close")) {
        close_all(driver, (uint32_t)yyjson_get_uint(yyjson_obj_get(line, "timeout")));
    } else if (yyjson_is_obj(line) && command.ptr == NULL) {
        taken = take_message(driver, line);
    } else {
        (void)fprintf(stderr, "test_produce: not understood: %.*s\n", STR_FMT(text));
        abort();
    }
    yyjson_doc_free(doc);
    return taken;
}

/* On the lane: as much as there is room for. The input is the lane's until it is taken. */
static void take_input(void *ctx) {
    struct driver *driver = ctx;
    driver->input_waits = !driver->ready && !driver->closing;
    while (driver->input_at < driver->input_len && !driver->input_waits && !driver->closing) {
        const char *start = driver->input + driver->input_at;
        const char *end = memchr(start, '\n', driver->input_len - driver->input_at);
        if (take_line(driver, str_make(start, (size_t)(end - start)))) {
            driver->input_at += (size_t)(end - start) + 1;
        } else {
            driver->input_waits = true;
            tell_stats(driver, "full");
        }
    }
    if (driver->input_waits) {
        return;
    }
    bool end = driver->input_end;
    pthread_mutex_lock(&driver->lock);
    driver->input_taken = true;
    pthread_cond_signal(&driver->changed);
    pthread_mutex_unlock(&driver->lock);
    if (end) {
        close_all(driver, CLOSE_TIMEOUT_MS);
    }
}

/* ---- the producer's events ---- */

static void add_producers(struct driver *driver, struct buf *out, uint32_t partitions) {
    buf_add_format(out, ",\"partitions\":%u,\"producers\":[", partitions);
    for (uint32_t i = 0; i < partitions; i++) {
        buf_add_text(out, i == 0 ? "{\"name\":" : ",{\"name\":");
        buf_add_json_string(out, pulsar_producer_name(driver->producer, i));
        buf_add_format(out, ",\"lastSequenceId\":%lld}",
                       (long long)pulsar_producer_last_sequence_id(driver->producer, i));
    }
    buf_add_char(out, ']');
}

static void go_on(struct driver *driver) {
    if (driver->input_waits) {
        take_input(driver);
    }
}

static void on_ready(void *ctx, uint32_t partitions) {
    struct driver *driver = ctx;
    add_producers(driver, event(driver, "ready"), partitions);
    event_done(driver);
    driver->ready = true;
    go_on(driver);
}

static void on_receipt(void *ctx, const struct pulsar_receipt *receipt) {
    struct driver *driver = ctx;
    struct buf *out = event(driver, "receipt");
    buf_add_format(out, ",\"partition\":%u,\"ledger\":%lld,\"entry\":%lld,\"duplicate\":%s",
                   receipt->partition, (long long)receipt->ledger_id, (long long)receipt->entry_id,
                   receipt->duplicate ? "true" : "false");
    add_tokens(out, receipt->tokens, receipt->count);
    event_done(driver);
}

static void on_undelivered(void *ctx, const struct pulsar_undelivered *undelivered) {
    struct driver *driver = ctx;
    struct buf *out = event(driver, "undelivered");
    buf_add_format(out, ",\"partition\":%u,\"maybeStored\":%s,\"refused\":%s",
                   undelivered->partition, undelivered->maybe_stored ? "true" : "false",
                   undelivered->refused ? "true" : "false");
    add_tokens(out, undelivered->tokens, undelivered->count);
    add_error(out, undelivered->err);
    event_done(driver);
}

static void on_writable(void *ctx) {
    go_on(ctx);
}

static void on_failed(void *ctx, const struct err *err) {
    struct driver *driver = ctx;
    add_error(event(driver, "failed"), err);
    event_done(driver);
    driver->exit_code = err_exit_code(err->code);
    close_all(driver, 0);
}

static void on_connection(void *ctx, uint32_t partition, const struct err *err) {
    struct driver *driver = ctx;
    struct buf *out = event(driver, err == NULL ? "connected" : "disconnected");
    buf_add_format(out, ",\"partition\":%u", partition);
    if (err != NULL) {
        add_error(out, err);
    }
    event_done(driver);
}

static void on_grown(void *ctx, uint32_t partitions) {
    struct driver *driver = ctx;
    add_producers(driver, event(driver, "grown"), partitions);
    event_done(driver);
}

static const struct pulsar_producer_events events = {
    .ready = on_ready,
    .receipt = on_receipt,
    .undelivered = on_undelivered,
    .writable = on_writable,
    .failed = on_failed,
    .connection = on_connection,
    .grown = on_grown,
};

/* ---- options ---- */

enum kind { KIND_FLAG, KIND_U32, KIND_U64, KIND_STR, KIND_CHOICE };

struct option {
    const char *name;
    enum kind kind;
    size_t offset; /* in struct driver */
    const char *const *choices;
};

static const char *const compressions[] = {"none", "lz4", "zlib", "zstd", "snappy", NULL};
static const char *const hashings[] = {"murmur3", "java-string", NULL};
static const char *const batchings[] = {"default", "key-based", "none", NULL};
static const char *const schema_types[] = {"bytes", "string", "json", "protobuf", "avro", NULL};
static const char *const key_encodings[] = {"inline", "separated", NULL};
static const char *const access_modes[] = {"shared", "exclusive", "wait-for-exclusive",
                                           "exclusive-with-fencing", NULL};

#define CLIENT(member) offsetof(struct driver, client_options.member)
#define PRODUCER(member) offsetof(struct driver, producer_options.member)

static const struct option options[] = {
    {"service-url", KIND_STR, CLIENT(service_url), NULL},
    {"web-service-url", KIND_STR, offsetof(struct driver, web_service_url), NULL},
    {"auth-plugin", KIND_STR, CLIENT(auth_plugin), NULL},
    {"auth-params", KIND_STR, CLIENT(auth_params), NULL},
    {"tls-trust-certs", KIND_STR, CLIENT(tls_trust_certs_file), NULL},
    {"tls-certificate", KIND_STR, CLIENT(tls_certificate_file), NULL},
    {"tls-key", KIND_STR, CLIENT(tls_key_file), NULL},
    {"tls-allow-insecure", KIND_FLAG, CLIENT(tls_allow_insecure), NULL},
    {"tls-any-hostname", KIND_FLAG, CLIENT(tls_skip_hostname_verification), NULL},
    {"memory-budget", KIND_U64, CLIENT(memory_budget), NULL},
    {"backoff-max", KIND_U32, CLIENT(backoff_max_ms), NULL},
    {"topic", KIND_STR, PRODUCER(topic), NULL},
    {"name", KIND_STR, PRODUCER(name), NULL},
    {"compression", KIND_CHOICE, PRODUCER(compression), compressions},
    {"hashing", KIND_CHOICE, PRODUCER(hashing), hashings},
    {"batching", KIND_CHOICE, PRODUCER(batching), batchings},
    {"access-mode", KIND_CHOICE, PRODUCER(access_mode), access_modes},
    {"batch-messages", KIND_U32, PRODUCER(batch_max_messages), NULL},
    {"batch-bytes", KIND_U32, PRODUCER(batch_max_bytes), NULL},
    {"batch-delay", KIND_U32, PRODUCER(batch_max_delay_ms), NULL},
    {"pending-messages", KIND_U32, PRODUCER(max_pending_messages), NULL},
    {"pending-bytes", KIND_U64, PRODUCER(max_pending_bytes), NULL},
    {"chunking", KIND_FLAG, PRODUCER(chunking), NULL},
    {"send-timeout", KIND_U32, PRODUCER(send_timeout_ms), NULL},
    {"create-timeout", KIND_U32, PRODUCER(create_timeout_ms), NULL},
    {"wait-for-name", KIND_FLAG, PRODUCER(wait_for_name), NULL},
    {"partitions", KIND_U32, PRODUCER(partitions), NULL},
    {"partitions-update", KIND_U32, PRODUCER(partitions_update_ms), NULL},
    {"explicit-ids", KIND_FLAG, PRODUCER(explicit_sequence_ids), NULL},
    {"schema-type", KIND_CHOICE, PRODUCER(schema.type), schema_types},
    {"schema-data", KIND_STR, PRODUCER(schema.data), NULL},
    {"key-schema-type", KIND_CHOICE, offsetof(struct driver, key_schema.type), schema_types},
    {"key-schema-data", KIND_STR, offsetof(struct driver, key_schema.data), NULL},
    {"value-schema-type", KIND_CHOICE, offsetof(struct driver, value_schema.type), schema_types},
    {"value-schema-data", KIND_STR, offsetof(struct driver, value_schema.data), NULL},
    {"key-encoding", KIND_CHOICE, PRODUCER(schema.key_encoding), key_encodings},
};

static bool read_property(struct driver *driver, const char *text) {
    size_t *count = &driver->producer_options.property_count;
    const char *equals = strchr(text, '=');
    if (equals == NULL || *count == PROPERTIES_MAX) {
        return false;
    }
    driver->properties[(*count)++] = (struct pulsar_property){
        .name = str_make(text, (size_t)(equals - text)),
        .value = str_of(equals + 1),
    };
    return true;
}

static bool read_value(struct driver *driver, const struct option *option, const char *text) {
    void *to = (char *)driver + option->offset;
    uint64_t number = 0;
    switch (option->kind) {
    case KIND_FLAG:
        *(bool *)to = true;
        return true;
    case KIND_STR:
        *(struct str *)to = str_of(text);
        return true;
    case KIND_U32:
        if (!str_to_u64(str_of(text), &number) || number > UINT32_MAX) {
            return false;
        }
        *(uint32_t *)to = (uint32_t)number;
        return true;
    case KIND_U64:
        return str_to_u64(str_of(text), (uint64_t *)to);
    case KIND_CHOICE:
        while (option->choices[number] != NULL && strcmp(option->choices[number], text) != 0) {
            number++;
        }
        *(unsigned *)to = (unsigned)number; /* the enums count as the choices do */
        return option->choices[number] != NULL;
    }
    return false;
}

static bool read_options(struct driver *driver, int argc, char **argv) {
    for (int i = 1; i < argc; i++) {
        const char *name = argv[i] + (strncmp(argv[i], "--", 2) == 0 ? 2 : 0);
        const struct option *option = options;
        const struct option *end = options + sizeof options / sizeof options[0];
        while (option < end && strcmp(option->name, name) != 0) {
            option++;
        }
        bool flag = option < end && option->kind == KIND_FLAG;
        const char *text = flag ? "" : argv[++i]; /* argv ends with NULL */
        bool ok = text != NULL &&
                  (option < end ? read_value(driver, option, text)
                                : strcmp(name, "property") == 0 && read_property(driver, text));
        if (!ok) {
            (void)fprintf(stderr, "test_produce: wrong option: --%s %s\n", name,
                          text != NULL ? text : "");
            return false;
        }
    }
    if (driver->key_schema.type != PULSAR_SCHEMA_BYTES) {
        driver->producer_options.schema.type = PULSAR_SCHEMA_KEY_VALUE;
        driver->producer_options.schema.key = &driver->key_schema;
        driver->producer_options.schema.value = &driver->value_schema;
    }
    return true;
}

/* ---- running ---- */

static void start(void *ctx) {
    struct driver *driver = ctx;
    struct err err = ERR_NONE;
    driver->client = pulsar_client_new(driver->lane, &driver->client_options, &err);
    if (driver->client != NULL) {
        driver->producer =
            pulsar_producer_open(driver->client, &driver->producer_options, &events, driver, &err);
    }
    if (driver->producer != NULL) {
        return;
    }
    add_error(event(driver, "failed"), &err);
    event_done(driver);
    driver->exit_code = err_exit_code(err.code);
    driver->closing = true;
    if (driver->client != NULL) {
        pulsar_client_close(driver->client, client_closed, driver);
    } else {
        client_closed(driver);
    }
}

/* Hands over whole lines, and waits until they are taken. False: finished. */
static bool hand_over(struct driver *driver, char *data, size_t len, bool end) {
    driver->input = data;
    driver->input_len = len;
    driver->input_at = 0;
    driver->input_end = end;
    driver->input_taken = false;
    lane_post(driver->lane, &driver->input_message, take_input, driver);
    pthread_mutex_lock(&driver->lock);
    while (!driver->input_taken && !driver->finished) {
        pthread_cond_wait(&driver->changed, &driver->lock);
    }
    bool finished = driver->finished;
    pthread_mutex_unlock(&driver->lock);
    return !finished;
}

/* Waits for more of stdin. False: finished. */
static bool wait_input(struct driver *driver) {
    struct pollfd fds[] = {{.fd = STDIN_FILENO, .events = POLLIN},
                           {.fd = driver->wake, .events = POLLIN}};
    while (poll(fds, 2, -1) < 0) {
    }
    return fds[1].revents == 0;
}

static void read_input(struct driver *driver) {
    size_t capacity = INPUT_START;
    size_t len = 0;
    char *data = malloc(capacity);
    bool going = data != NULL;
    while (going && wait_input(driver)) {
        if (len == capacity) {
            capacity *= 2;
            char *larger = capacity <= INPUT_MAX ? realloc(data, capacity) : NULL;
            if (larger == NULL) {
                (void)fprintf(stderr, "test_produce: a line is too long\n");
                abort();
            }
            data = larger;
        }
        ssize_t got = read(STDIN_FILENO, data + len, capacity - len);
        bool end = got <= 0;
        size_t whole = len + (got > 0 ? (size_t)got : 0);
        len = whole;
        while (whole > 0 && data[whole - 1] != '\n') {
            whole--;
        }
        if (whole > 0 || end) {
            going = hand_over(driver, data, whole, end) && !end;
            len -= whole;
            memmove(data, data + whole, len);
        }
    }
    pthread_mutex_lock(&driver->lock);
    while (!driver->finished) {
        pthread_cond_wait(&driver->changed, &driver->lock);
    }
    pthread_mutex_unlock(&driver->lock);
    free(data);
}

int main(int argc, char **argv) {
    struct driver driver = {
        .client_options = {.client_version = STR("test_produce")},
        .lock = PTHREAD_MUTEX_INITIALIZER,
        .changed = PTHREAD_COND_INITIALIZER,
        .wake = eventfd(0, EFD_CLOEXEC),
    };
    driver.producer_options.properties = driver.properties;
    if (driver.wake < 0 || !read_options(&driver, argc, argv)) {
        return 2;
    }
    buf_init(&driver.out, OUTPUT_MAX);
    aws_http_library_init(aws_default_allocator());
    struct err err = ERR_NONE;
    driver.lane = lane_new(0, &err);
    if (driver.lane == NULL) {
        (void)fprintf(stderr, "test_produce: %s\n", err.text);
        return err_exit_code(err.code);
    }
    lane_post(driver.lane, &driver.start_message, start, &driver);
    read_input(&driver);
    lane_free(driver.lane);
    /* A TLS handshake that failed keeps its connection for half a minute (s2n's blinding). */
    aws_thread_set_managed_join_timeout_ns(JOIN_TIMEOUT_NS);
    if (aws_thread_join_all_managed() == AWS_OP_SUCCESS) {
        aws_http_library_clean_up();
    }
    buf_done(&driver.out);
    (void)close(driver.wake);
    return driver.exit_code;
}
