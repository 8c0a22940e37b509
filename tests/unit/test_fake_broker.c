/* The broker double through a socket, with frames made by hand. */
#include "fakes/fake_broker.h"
#include "fakes/fake_frame.h"

#include "cmocka_all.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

enum { PATIENCE_MS = 10000 };

#define TOPIC "persistent://public/default/t"

static struct fake_broker *broker;
static char input[1 << 20];
static size_t input_len;
static Pulsar__BaseCommand *got; /* the last command received */

/* ---- a client ---- */

static int dial(uint16_t port) {
    struct sockaddr_in address = {
        .sin_family = AF_INET, .sin_port = htons(port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    assert_true(fd >= 0);
    assert_int_equal(connect(fd, (struct sockaddr *)&address, sizeof address), 0);
    input_len = 0;
    return fd;
}

static void send_bytes(int fd, const void *bytes, size_t len) {
    assert_int_equal(send(fd, bytes, len, MSG_NOSIGNAL), (ssize_t)len);
}

static void send_hex(int fd, const char *hex) {
    char bytes[512];
    size_t len = 0;
    for (; *hex != '\0'; hex += *hex == ' ' ? 1 : 2) {
        if (*hex != ' ') {
            unsigned value = 0;
            assert_int_equal(sscanf(hex, "%2x", &value), 1);
            bytes[len++] = (char)value;
        }
    }
    send_bytes(fd, bytes, len);
}

static void send_command(int fd, const Pulsar__BaseCommand *command) {
    struct buf frame;
    buf_init(&frame, 65536);
    fake_frame_add(&frame, command);
    send_bytes(fd, frame.data, frame.len);
    buf_done(&frame);
}

/* False when the connection has ended. */
static bool read_more(int fd) {
    struct pollfd poll_fd = {.fd = fd, .events = POLLIN};
    assert_int_equal(poll(&poll_fd, 1, PATIENCE_MS), 1);
    ssize_t len = recv(fd, input + input_len, sizeof input - input_len, 0);
    input_len += len > 0 ? (size_t)len : 0;
    return len > 0;
}

/* The next command; NULL when the connection has ended. */
static const Pulsar__BaseCommand *receive(int fd) {
    struct fake_frame frame;
    if (got != NULL) {
        pulsar__base_command__free_unpacked(got, NULL);
        got = NULL;
    }
    while (fake_frame_parse(str_make(input, input_len), sizeof input, &frame) != FAKE_FRAME_OK) {
        if (!read_more(fd)) {
            return NULL;
        }
    }
    got = pulsar__base_command__unpack(NULL, frame.command.len, (const uint8_t *)frame.command.ptr);
    assert_non_null(got);
    input_len -= frame.len;
    memmove(input, input + frame.len, input_len);
    return got;
}

static void send_connect(int fd, const char *token) {
    Pulsar__BaseCommand command = PULSAR__BASE_COMMAND__INIT;
    Pulsar__CommandConnect connect = PULSAR__COMMAND_CONNECT__INIT;
    command.type = PULSAR__BASE_COMMAND__TYPE__CONNECT;
    command.connect = &connect;
    connect.client_version = (char *)(uintptr_t) "test";
    if (token != NULL) {
        connect.auth_method_name = (char *)(uintptr_t) "token";
        connect.has_auth_data = 1;
        connect.auth_data.data = (uint8_t *)(uintptr_t)token;
        connect.auth_data.len = strlen(token);
    }
    send_command(fd, &command);
}

static int dial_connected(size_t number) {
    int fd = dial(fake_broker_port(broker, number));
    send_connect(fd, NULL);
    assert_non_null(receive(fd));
    assert_non_null(got->connected);
    return fd;
}

static void send_producer(int fd, const char *topic, uint64_t id, const char *name,
                          uint64_t epoch) {
    Pulsar__BaseCommand command = PULSAR__BASE_COMMAND__INIT;
    Pulsar__CommandProducer producer = PULSAR__COMMAND_PRODUCER__INIT;
    command.type = PULSAR__BASE_COMMAND__TYPE__PRODUCER;
    command.producer = &producer;
    producer.topic = (char *)(uintptr_t)topic;
    producer.producer_id = id;
    producer.request_id = 100 + id;
    producer.producer_name = (char *)(uintptr_t)name;
    producer.has_epoch = 1;
    producer.epoch = epoch;
    send_command(fd, &command);
}

static void open_producer(int fd, const char *topic, uint64_t id, const char *name) {
    send_producer(fd, topic, id, name, 0);
    assert_non_null(receive(fd));
    assert_non_null(got->producer_success);
}

static void send_lookup(int fd, const char *topic) {
    Pulsar__BaseCommand command = PULSAR__BASE_COMMAND__INIT;
    Pulsar__CommandLookupTopic lookup = PULSAR__COMMAND_LOOKUP_TOPIC__INIT;
    command.type = PULSAR__BASE_COMMAND__TYPE__LOOKUP;
    command.lookup = &lookup;
    lookup.topic = (char *)(uintptr_t)topic;
    lookup.request_id = 5;
    send_command(fd, &command);
}

/* An entry as a client makes it: `wrong` names what is not right about it. */
struct entry {
    uint64_t producer_id;
    const char *name;
    uint64_t sequence_id;
    uint64_t highest; /* 0: one message, not in batch format */
    const char *wrong;
};

static void add_u32(struct buf *out, size_t value) {
    char bytes[4] = {(char)(value >> 24), (char)(value >> 16), (char)(value >> 8), (char)value};
    buf_add(out, bytes, 4);
}

static void add_single(struct buf *body, uint64_t sequence_id) {
    Pulsar__SingleMessageMetadata single = PULSAR__SINGLE_MESSAGE_METADATA__INIT;
    Pulsar__KeyValue property = PULSAR__KEY_VALUE__INIT;
    Pulsar__KeyValue *properties[] = {&property};
    property.key = (char *)(uintptr_t) "name";
    property.value = (char *)(uintptr_t) "value";
    single.n_properties = 1;
    single.properties = properties;
    single.partition_key = (char *)(uintptr_t) "key";
    single.payload_size = 5;
    single.has_sequence_id = 1;
    single.sequence_id = sequence_id;
    single.has_event_time = 1;
    single.event_time = 77;
    size_t size = pulsar__single_message_metadata__get_packed_size(&single);
    add_u32(body, size);
    char *room = buf_reserve(body, size);
    body->len += pulsar__single_message_metadata__pack(&single, (uint8_t *)room);
    buf_add_text(body, "hello");
}

static void send_entry(int fd, const struct entry *entry) {
    bool batch = entry->highest > 0;
    const char *wrong = entry->wrong == NULL ? "" : entry->wrong;
    Pulsar__MessageMetadata metadata = PULSAR__MESSAGE_METADATA__INIT;
    metadata.producer_name =
        (char *)(uintptr_t)(strcmp(wrong, "name") == 0 ? "other" : entry->name);
    metadata.sequence_id = entry->sequence_id + (strcmp(wrong, "sequence id") == 0 ? 1 : 0);
    metadata.publish_time = strcmp(wrong, "publish time") == 0 ? 0 : 1700000000000;
    metadata.has_num_messages_in_batch = batch;
    metadata.num_messages_in_batch = batch ? (int32_t)(entry->highest - entry->sequence_id + 1) : 1;
    metadata.has_highest_sequence_id = batch;
    metadata.highest_sequence_id = entry->highest;
    if (strcmp(wrong, "compression") == 0) {
        metadata.has_compression = 1;
        metadata.compression = PULSAR__COMPRESSION_TYPE__LZ4;
        metadata.has_uncompressed_size = 1;
        metadata.uncompressed_size = 1000;
    }
    struct buf covered;
    buf_init(&covered, 65536);
    size_t size = pulsar__message_metadata__get_packed_size(&metadata);
    add_u32(&covered, size);
    covered.len +=
        pulsar__message_metadata__pack(&metadata, (uint8_t *)buf_reserve(&covered, size));
    for (uint64_t id = entry->sequence_id; batch && id <= entry->highest; id++) {
        add_single(&covered, strcmp(wrong, "falling ids") == 0 ? entry->sequence_id : id);
    }
    if (!batch) {
        buf_add(&covered, "\xff\x00raw", 5);
    }
    if (strcmp(wrong, "trailing") == 0) {
        buf_add_text(&covered, "x");
    }

    Pulsar__BaseCommand command = PULSAR__BASE_COMMAND__INIT;
    Pulsar__CommandSend send = PULSAR__COMMAND_SEND__INIT;
    command.type = PULSAR__BASE_COMMAND__TYPE__SEND;
    command.send = &send;
    send.producer_id = entry->producer_id;
    send.sequence_id = entry->sequence_id;
    send.has_num_messages = 1;
    send.num_messages = metadata.num_messages_in_batch + (strcmp(wrong, "count") == 0 ? 1 : 0);
    send.has_highest_sequence_id = batch && strcmp(wrong, "highest") != 0;
    send.highest_sequence_id = send.has_highest_sequence_id ? entry->highest : 0;

    struct buf frame;
    buf_init(&frame, 65536);
    size_t command_size = pulsar__base_command__get_packed_size(&command);
    add_u32(&frame, 4 + command_size + 6 + covered.len);
    add_u32(&frame, command_size);
    frame.len += pulsar__base_command__pack(&command, (uint8_t *)buf_reserve(&frame, command_size));
    buf_add(&frame, strcmp(wrong, "magic") == 0 ? "\x0e\x03" : "\x0e\x01", 2);
    add_u32(&frame, fake_crc32c(buf_str(&covered)) ^ (strcmp(wrong, "crc") == 0 ? 1U : 0U));
    buf_add_str(&frame, buf_str(&covered));
    send_bytes(fd, frame.data, frame.len);
    buf_done(&frame);
    buf_done(&covered);
}

static void send_one(int fd, uint64_t sequence_id) {
    send_entry(fd, &(struct entry){.producer_id = 1, .name = "p", .sequence_id = sequence_id});
}

static void assert_receipt(int fd, uint64_t sequence_id) {
    assert_non_null(receive(fd));
    assert_non_null(got->send_receipt);
    assert_int_equal(got->send_receipt->sequence_id, sequence_id);
}

static void script(const char *lines) {
    struct err err = ERR_NONE;
    if (!fake_broker_script(broker, lines, &err)) {
        fail_msg("%s", err.text);
    }
}

static struct fake_broker_counts counts(void) {
    struct fake_broker_counts all;
    fake_broker_counts(broker, &all);
    return all;
}

static void assert_violation(const char *wanted) {
    char violation[512];
    fake_broker_violation(broker, violation, sizeof violation);
    if (wanted[0] == '\0' ? violation[0] != '\0' : strstr(violation, wanted) == NULL) {
        fail_msg("'%s', wanted '%s'", violation, wanted);
    }
}

static int setup(void **state) {
    (void)state;
    struct err err = ERR_NONE;
    struct fake_broker_options options = {.port = 0};
    broker = fake_broker_new(&options, &err);
    return broker == NULL ? -1 : 0;
}

static int teardown(void **state) {
    (void)state;
    fake_broker_free(broker);
    if (got != NULL) {
        pulsar__base_command__free_unpacked(got, NULL);
        got = NULL;
    }
    return 0;
}

/* ---- frames ---- */

static void the_checksum_is_crc32c(void **state) {
    (void)state;
    assert_int_equal(fake_crc32c(STR("123456789")), 0xe3069283);
    assert_int_equal(fake_crc32c(STR("")), 0);
}

static void frames_are_cut_at_their_sizes(void **state) {
    (void)state;
    struct fake_frame frame;
    static const char ping[] = {0, 0, 0, 9, 0, 0, 0, 5, 8, 18, (char)146, 1, 0, 'x'};
    for (size_t len = 0; len < 13; len++) {
        assert_int_equal(fake_frame_parse(str_make(ping, len), 1000, &frame), FAKE_FRAME_MORE);
    }
    assert_int_equal(fake_frame_parse(str_make(ping, 14), 1000, &frame), FAKE_FRAME_OK);
    assert_int_equal(frame.len, 13);
    assert_int_equal(frame.command.len, 5);
    assert_int_equal(fake_frame_parse(str_make(ping, 14), 12, &frame), FAKE_FRAME_BAD);
    static const char wrong[] = {0, 0, 0, 9, 0, 0, 0, 6, 8, 18, (char)146, 1, 0};
    assert_int_equal(fake_frame_parse(str_make(wrong, 13), 1000, &frame), FAKE_FRAME_BAD);
    static const char tiny[] = {0, 0, 0, 3, 0, 0, 0, 0};
    assert_int_equal(fake_frame_parse(str_make(tiny, 8), 1000, &frame), FAKE_FRAME_BAD);
}

static void published_vectors_are_understood(void **state) {
    (void)state;
    int fd = dial_connected(0);
    send_hex(fd, "00000009 00000005 0812 920100");
    assert_non_null(receive(fd));
    assert_non_null(got->pong);
    open_producer(fd, TOPIC, 1, "p");
    send_hex(fd, "00000027 00000008 0806320408011007 0e01 5dbb2b14 0000000c"
                 "0a017010071880d095ffbc31 68656c6c6f");
    assert_receipt(fd, 7);
    send_hex(fd, "0000003e 0000000c 0806320808011007180230080e01ef547530 00000011"
                 "0a017010071880d095ffbc315802c00108 00000004 18014007 61 00000004 18024008 6262");
    assert_receipt(fd, 7);
    const struct fake_broker_store *store = fake_broker_lock(broker);
    assert_int_equal(store->count, 3);
    assert_string_equal(store->messages[0].value, "hello");
    assert_string_equal(store->messages[2].value, "bb");
    assert_int_equal(store->messages[2].sequence_id, 8);
    fake_broker_unlock(broker);
    assert_violation("");
    close(fd);
}

/* ---- sessions ---- */

static void a_session_from_connect_to_receipt(void **state) {
    (void)state;
    script("partitions " TOPIC " 3\nmax-message-size 100000");
    int fd = dial_connected(0);
    assert_int_equal(got->connected->max_message_size, 100000);

    Pulsar__BaseCommand command = PULSAR__BASE_COMMAND__INIT;
    Pulsar__CommandPartitionedTopicMetadata metadata =
        PULSAR__COMMAND_PARTITIONED_TOPIC_METADATA__INIT;
    command.type = PULSAR__BASE_COMMAND__TYPE__PARTITIONED_METADATA;
    command.partitioned_metadata = &metadata;
    metadata.topic = (char *)(uintptr_t)TOPIC;
    metadata.request_id = 9;
    send_command(fd, &command);
    assert_non_null(receive(fd));
    assert_int_equal(got->partitioned_metadata_response->request_id, 9);
    assert_int_equal(got->partitioned_metadata_response->partitions, 3);

    send_lookup(fd, TOPIC "-partition-2");
    char url[64];
    (void)snprintf(url, sizeof url, "pulsar://127.0.0.1:%u", fake_broker_port(broker, 0));
    assert_non_null(receive(fd));
    assert_int_equal(got->lookup_response->response,
                     PULSAR__COMMAND_LOOKUP_TOPIC_RESPONSE__LOOKUP_TYPE__Connect);
    assert_string_equal(got->lookup_response->broker_service_url, url);

    open_producer(fd, TOPIC "-partition-2", 1, NULL);
    assert_string_equal(got->producer_success->producer_name, "fake-0-0");
    assert_int_equal(got->producer_success->last_sequence_id, -1);
    send_entry(
        fd, &(struct entry){.producer_id = 1, .name = "fake-0-0", .sequence_id = 4, .highest = 6});
    assert_receipt(fd, 4);
    assert_int_equal(got->send_receipt->highest_sequence_id, 6);
    assert_int_equal(got->send_receipt->message_id->ledger_id, 7);

    const struct fake_broker_store *store = fake_broker_lock(broker);
    assert_int_equal(fake_broker_store_count(store, TOPIC), 3);
    const struct fake_message *message = &store->messages[1];
    assert_string_equal(message->topic, TOPIC);
    assert_int_equal(message->partition, 2);
    assert_int_equal(message->sequence_id, 5);
    assert_string_equal(message->key, "key");
    assert_int_equal(message->event_time, 77);
    assert_string_equal(message->properties[0].name, "name");
    assert_string_equal(message->properties[0].value, "value");
    assert_string_equal(message->value, "hello");
    fake_broker_unlock(broker);

    command = (Pulsar__BaseCommand)PULSAR__BASE_COMMAND__INIT;
    Pulsar__CommandCloseProducer close_producer = PULSAR__COMMAND_CLOSE_PRODUCER__INIT;
    command.type = PULSAR__BASE_COMMAND__TYPE__CLOSE_PRODUCER;
    command.close_producer = &close_producer;
    close_producer.producer_id = 1;
    close_producer.request_id = 11;
    send_command(fd, &command);
    assert_non_null(receive(fd));
    assert_int_equal(got->success->request_id, 11);
    assert_int_equal(counts().live_producers, 0);
    assert_int_equal(counts().closed_producers, 1);
    assert_violation("");
    close(fd);
}

static void wrong_entries_are_violations(void **state) {
    (void)state;
    static const struct {
        const char *wrong;
        const char *violation;
    } cases[] = {
        {"magic", "no checksum"},
        {"crc", "checksum is wrong"},
        {"name", "producer_name"},
        {"sequence id", "sequence_id differs"},
        {"highest", "highest_sequence_id differs"},
        {"count", "number of messages"},
        {"falling ids", "do not rise"},
        {"trailing", "behind the last message"},
        {"compression", "does not decompress"},
        {"publish time", "publish_time"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        int fd = dial_connected(0);
        open_producer(fd, TOPIC, 1, "p");
        send_entry(fd, &(struct entry){.producer_id = 1,
                                       .name = "p",
                                       .sequence_id = 10,
                                       .highest = 12,
                                       .wrong = cases[i].wrong});
        assert_null(receive(fd));
        assert_violation(cases[i].violation);
        close(fd);
        teardown(NULL);
        assert_int_equal(setup(NULL), 0);
    }
}

static void sessions_have_an_order(void **state) {
    (void)state;
    int fd = dial(fake_broker_port(broker, 0));
    send_lookup(fd, TOPIC);
    assert_null(receive(fd));
    assert_violation("before CONNECT");
    close(fd);

    fd = dial_connected(0);
    send_one(fd, 1); /* without a producer: may happen, ends the connection */
    assert_null(receive(fd));
    assert_int_equal(counts().violations, 1);
    close(fd);

    fd = dial_connected(0);
    script("max-message-size 200");
    send_hex(fd, "00010000 00000005 0812 920100");
    assert_null(receive(fd));
    assert_int_equal(counts().violations, 2);
    close(fd);
}

static void tokens_are_checked(void **state) {
    (void)state;
    script("token secret");
    static const char *const wrong[] = {NULL, "secre", "secret2"};
    for (size_t i = 0; i < 3; i++) {
        int fd = dial(fake_broker_port(broker, 0));
        send_connect(fd, wrong[i]);
        assert_non_null(receive(fd));
        assert_int_equal(got->error->error, PULSAR__SERVER_ERROR__AuthenticationError);
        assert_null(receive(fd));
        close(fd);
    }
    int fd = dial(fake_broker_port(broker, 0));
    send_connect(fd, "secret");
    assert_non_null(receive(fd));
    assert_non_null(got->connected);
    script("auth-challenge");
    assert_non_null(receive(fd));
    assert_string_equal(got->auth_challenge->challenge->auth_method_name, "token");
    close(fd);
}

static void lookups_redirect_and_topics_have_owners(void **state) {
    (void)state;
    script("brokers 2\nowner " TOPIC " 1\nredirect LOOKUP 1 1\nfail LOOKUP 1 ServiceNotReady "
           "'not yet' after 2");
    char url[64];
    (void)snprintf(url, sizeof url, "pulsar://127.0.0.1:%u", fake_broker_port(broker, 1));
    int fd = dial_connected(0);
    send_lookup(fd, TOPIC);
    assert_non_null(receive(fd));
    assert_int_equal(got->lookup_response->response,
                     PULSAR__COMMAND_LOOKUP_TOPIC_RESPONSE__LOOKUP_TYPE__Redirect);
    assert_string_equal(got->lookup_response->broker_service_url, url);
    send_lookup(fd, TOPIC);
    assert_non_null(receive(fd));
    assert_int_equal(got->lookup_response->response,
                     PULSAR__COMMAND_LOOKUP_TOPIC_RESPONSE__LOOKUP_TYPE__Connect);
    assert_string_equal(got->lookup_response->broker_service_url, url);
    send_lookup(fd, TOPIC);
    assert_non_null(receive(fd));
    assert_int_equal(got->lookup_response->error, PULSAR__SERVER_ERROR__ServiceNotReady);
    assert_string_equal(got->lookup_response->message, "not yet");
    send_producer(fd, TOPIC, 1, "p", 0);
    assert_non_null(receive(fd));
    assert_int_equal(got->error->error, PULSAR__SERVER_ERROR__ServiceNotReady);
    close(fd);
    fd = dial_connected(1);
    open_producer(fd, TOPIC, 1, "p");
    close(fd);
}

static void names_are_held_by_one(void **state) {
    (void)state;
    int first = dial_connected(0);
    open_producer(first, TOPIC, 1, "p");
    int second = dial_connected(0);
    send_producer(second, TOPIC, 1, "p", 5);
    assert_non_null(receive(second));
    assert_int_equal(got->error->error, PULSAR__SERVER_ERROR__ProducerBusy);
    open_producer(second, TOPIC "2", 1, "p"); /* another topic */
    close(second);

    input_len = 0;
    send_producer(first, TOPIC, 1, "p", 0); /* not a later epoch */
    assert_non_null(receive(first));
    assert_int_equal(got->error->error, PULSAR__SERVER_ERROR__ProducerBusy);
    send_producer(first, TOPIC, 1, "p", 1);
    assert_non_null(receive(first));
    assert_non_null(got->producer_success);
    send_producer(first, TOPIC, 1, "q", 0);
    assert_null(receive(first));
    assert_violation("id of a living one");
    close(first);
}

static void deduplication(void **state) {
    (void)state;
    script("dedup on");
    int fd = dial_connected(0);
    open_producer(fd, TOPIC, 1, "p");
    send_entry(fd, &(struct entry){.producer_id = 1, .name = "p", .sequence_id = 4, .highest = 6});
    assert_receipt(fd, 4);
    send_one(fd, 6);
    assert_receipt(fd, 6);
    assert_true(got->send_receipt->message_id->ledger_id == UINT64_MAX);
    assert_true(got->send_receipt->message_id->entry_id == UINT64_MAX);
    /* The whole entry is judged by its lowest id. */
    send_entry(fd, &(struct entry){.producer_id = 1, .name = "p", .sequence_id = 6, .highest = 9});
    assert_receipt(fd, 6);
    assert_true(got->send_receipt->message_id->ledger_id == UINT64_MAX);
    send_one(fd, 7);
    assert_receipt(fd, 7);
    assert_int_equal(counts().duplicates, 5);
    assert_int_equal(counts().messages, 4);
    close(fd);

    fd = dial_connected(0);
    send_producer(fd, TOPIC, 1, "p", 1);
    while (receive(fd)->error != NULL) { /* until the broker has seen the end of the first */
        send_producer(fd, TOPIC, 1, "p", 1);
    }
    assert_int_equal(got->producer_success->last_sequence_id, 7);
    close(fd);
    script("forget-producers");
    fd = dial_connected(0);
    open_producer(fd, TOPIC, 2, "q");
    assert_int_equal(got->producer_success->last_sequence_id, -1);
    close(fd);
}

static void sends_can_fail_in_every_way(void **state) {
    (void)state;
    script("fail SEND 1 PersistenceError 'Cannot determine' after 1");
    int fd = dial_connected(0);
    open_producer(fd, TOPIC, 1, "p");
    send_one(fd, 1);
    assert_receipt(fd, 1);
    send_entry(fd, &(struct entry){.producer_id = 1, .name = "p", .sequence_id = 2, .highest = 5});
    assert_non_null(receive(fd));
    assert_int_equal(got->send_error->error, PULSAR__SERVER_ERROR__PersistenceError);
    assert_int_equal(got->send_error->sequence_id, 5); /* the highest */
    assert_string_equal(got->send_error->message, "Cannot determine");
    assert_int_equal(counts().messages, 1);
    send_one(fd, 6); /* a failed write fences */
    assert_non_null(receive(fd));
    assert_int_equal(got->send_error->error, PULSAR__SERVER_ERROR__PersistenceError);
    assert_int_equal(counts().messages, 1);
    close(fd);

    script("drop-after SEND 1");
    fd = dial_connected(0);
    open_producer(fd, TOPIC, 1, "p");
    send_one(fd, 6);
    assert_null(receive(fd));
    assert_int_equal(counts().messages, 2);
    close(fd);

    script("drop-before SEND 1");
    fd = dial_connected(0);
    open_producer(fd, TOPIC, 1, "p");
    send_one(fd, 7);
    assert_null(receive(fd));
    assert_int_equal(counts().messages, 2);
    close(fd);

    script("cut SEND 1 9");
    fd = dial_connected(0);
    open_producer(fd, TOPIC, 1, "p");
    send_one(fd, 8);
    assert_null(receive(fd));
    assert_int_equal(input_len, 9);
    close(fd);
}

static void every_server_error_can_be_had(void **state) {
    (void)state;
    int fd = dial_connected(0);
    const ProtobufCEnumDescriptor *errors = &pulsar__server_error__descriptor;
    for (unsigned i = 0; i < errors->n_values; i++) {
        char line[128];
        (void)snprintf(line, sizeof line, "fail PRODUCER 1 %s", errors->values[i].name);
        script(line);
        send_producer(fd, TOPIC, 1, "p", 0);
        assert_non_null(receive(fd));
        assert_int_equal(got->error->error, errors->values[i].value);
    }
    struct err err = ERR_NONE;
    assert_false(fake_broker_script(broker, "fail PRODUCER 1 Bogus", &err));
    close(fd);
}

static void receipts_can_be_late_and_stay_in_order(void **state) {
    (void)state;
    script("receipt-delay 30");
    int fd = dial_connected(0);
    open_producer(fd, TOPIC, 1, "p");
    send_one(fd, 1);
    send_one(fd, 2);
    assert_true(fake_broker_wait_messages(broker, 2, PATIENCE_MS));
    script("receipt-delay 0");
    send_one(fd, 3);
    assert_receipt(fd, 1);
    assert_receipt(fd, 2);
    assert_receipt(fd, 3);
    close(fd);
}

static void brokers_speak_up_by_themselves(void **state) {
    (void)state;
    script("brokers 2");
    int fd = dial_connected(0);
    open_producer(fd, TOPIC, 1, "p");
    script("ping\nunknown-command 0\nping 1");
    assert_non_null(receive(fd));
    assert_non_null(got->ping);
    send_hex(fd, "00000009 00000005 0813 9a0100");
    static const char unknown[] = {0, 0, 0, 9, 0, 0, 0, 5, 0x08, 0x63, (char)0x9a, 0x06, 0};
    while (input_len < sizeof unknown) {
        assert_true(read_more(fd));
    }
    assert_memory_equal(input, unknown, sizeof unknown);
    input_len = 0;

    script("unload " TOPIC);
    assert_non_null(receive(fd));
    assert_int_equal(got->close_producer->producer_id, 1);
    assert_null(got->close_producer->assigned_broker_service_url);
    open_producer(fd, TOPIC, 2, "p");
    script("unload " TOPIC " 1 assigned");
    char url[64];
    (void)snprintf(url, sizeof url, "pulsar://127.0.0.1:%u", fake_broker_port(broker, 1));
    assert_non_null(receive(fd));
    assert_int_equal(got->close_producer->producer_id, 2);
    assert_string_equal(got->close_producer->assigned_broker_service_url, url);
    assert_int_equal(counts().pongs, 1);
    script("disconnect");
    assert_null(receive(fd));
    close(fd);
}

static void answers_can_stay_away(void **state) {
    (void)state;
    script("silent PING 1\nsilent LOOKUP 1");
    int fd = dial_connected(0);
    send_hex(fd, "00000009 00000005 0812 920100");
    send_lookup(fd, TOPIC);
    send_lookup(fd, TOPIC); /* the second is answered, so the first was not */
    assert_non_null(receive(fd));
    assert_non_null(got->lookup_response);
    assert_int_equal(counts().pings, 1);
    assert_int_equal(counts().lookups, 2);
    close(fd);
}

static void reading_can_pause(void **state) {
    (void)state;
    int fd = dial_connected(0);
    open_producer(fd, TOPIC, 1, "p");
    script("pause 50");
    send_one(fd, 1);
    assert_receipt(fd, 1); /* it goes on by itself */
    close(fd);
}

static void output_can_drip(void **state) {
    (void)state;
    script("drip 7");
    int fd = dial_connected(0);
    send_hex(fd, "00000009 00000005 0812 920100");
    assert_non_null(receive(fd));
    assert_non_null(got->pong);
    close(fd);
}

static void counting_only_stores_nothing(void **state) {
    (void)state;
    script("count-only on");
    int fd = dial_connected(0);
    open_producer(fd, TOPIC, 1, "p");
    send_entry(fd,
               &(struct entry){
                   .producer_id = 1, .name = "p", .sequence_id = 1, .highest = 50, .wrong = "crc"});
    assert_receipt(fd, 1);
    assert_int_equal(counts().messages, 50);
    assert_int_equal(fake_broker_store_count(fake_broker_lock(broker), NULL), 0);
    fake_broker_unlock(broker);
    close(fd);
}

static void messages_are_dumped_as_json(void **state) {
    (void)state;
    char path[] = "/tmp/fake-broker-XXXXXX";
    int file = mkstemp(path);
    assert_true(file >= 0);
    int fd = dial_connected(0);
    open_producer(fd, TOPIC "-partition-1", 1, "p");
    send_one(fd, 1); /* a value that is not UTF-8 */
    assert_receipt(fd, 1);
    send_entry(fd, &(struct entry){.producer_id = 1, .name = "p", .sequence_id = 2, .highest = 2});
    assert_receipt(fd, 2);
    char line[128];
    (void)snprintf(line, sizeof line, "dump %s", path);
    script(line);
    char text[2048] = "";
    assert_true(read(file, text, sizeof text - 1) > 0);
    assert_non_null(strstr(text, "{\"topic\":\"" TOPIC
                                 "\",\"partition\":1,\"producer\":\"p\",\"sequenceId\":1,"
                                 "\"eventTime\":0,\"publishTime\":1700000000000,\"properties\":{},"
                                 "\"valueBase64\":\"/wByYXc=\"}\n"));
    assert_non_null(strstr(text, "\"key\":\"key\",\"keyIsBase64\":false,\"eventTime\":77,"));
    assert_non_null(strstr(text, "\"properties\":{\"name\":\"value\"},\"value\":\"hello\"}\n"));
    close(file);
    unlink(path);
    close(fd);
}

static void control_answers_over_http(void **state) {
    (void)state;
    int fd = dial(fake_broker_control_port(broker));
    const char *post = "POST /control HTTP/1.1\r\nHost: x\r\nContent-Length: 17\r\n\r\n"
                       "partitions * 4\n#\n";
    const char *bad = "POST /control HTTP/1.1\r\ncontent-length: 5\r\n\r\nbogus";
    const char *get = "GET /control/counts HTTP/1.1\r\n\r\n";
    send_bytes(fd, post, strlen(post));
    send_bytes(fd, bad, strlen(bad));
    send_bytes(fd, get, strlen(get));
    while (memmem(input, input_len, "\"violations\":0}", 15) == NULL) {
        assert_true(read_more(fd));
    }
    input[input_len] = '\0';
    assert_non_null(strstr(input, "HTTP/1.1 200 OK\r\n"));
    assert_non_null(strstr(input, "HTTP/1.1 400 Bad Request\r\n"));
    assert_non_null(strstr(input, "line 1: no command is called 'bogus'"));
    close(fd);
}

int main(void) {
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_checksum_is_crc32c),
        cmocka_unit_test(frames_are_cut_at_their_sizes),
        TEST(published_vectors_are_understood),
        TEST(a_session_from_connect_to_receipt),
        TEST(wrong_entries_are_violations),
        TEST(sessions_have_an_order),
        TEST(tokens_are_checked),
        TEST(lookups_redirect_and_topics_have_owners),
        TEST(names_are_held_by_one),
        TEST(deduplication),
        TEST(sends_can_fail_in_every_way),
        TEST(every_server_error_can_be_had),
        TEST(receipts_can_be_late_and_stay_in_order),
        TEST(brokers_speak_up_by_themselves),
        TEST(answers_can_stay_away),
        TEST(reading_can_pause),
        TEST(output_can_drip),
        TEST(counting_only_stores_nothing),
        TEST(messages_are_dumped_as_json),
        TEST(control_answers_over_http),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
