#include "unit/hand_client.h"

#include "cmocka_all.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

struct fake_broker *hand_broker;
char hand_input[HAND_INPUT_MAX];
size_t hand_input_len;
Pulsar__BaseCommand *hand_got;

int hand_dial(uint16_t port) {
    struct sockaddr_in address = {
        .sin_family = AF_INET, .sin_port = htons(port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    assert_true(fd >= 0);
    assert_int_equal(connect(fd, (struct sockaddr *)&address, sizeof address), 0);
    hand_input_len = 0;
    return fd;
}

void hand_send_bytes(int fd, const void *bytes, size_t len) {
    assert_int_equal(send(fd, bytes, len, MSG_NOSIGNAL), (ssize_t)len);
}

void hand_send_hex(int fd, const char *hex) {
    char bytes[512];
    size_t len = 0;
    for (; *hex != '\0'; hex += *hex == ' ' ? 1 : 2) {
        if (*hex != ' ') {
            unsigned value = 0;
            assert_int_equal(sscanf(hex, "%2x", &value), 1);
            bytes[len++] = (char)value;
        }
    }
    hand_send_bytes(fd, bytes, len);
}

void hand_send_command(int fd, const Pulsar__BaseCommand *command) {
    struct buf frame;
    buf_init(&frame, 65536);
    fake_frame_add(&frame, command);
    hand_send_bytes(fd, frame.data, frame.len);
    buf_done(&frame);
}

/* False when the connection has ended. */
bool hand_read_more(int fd) {
    struct pollfd poll_fd = {.fd = fd, .events = POLLIN};
    assert_int_equal(poll(&poll_fd, 1, HAND_PATIENCE_MS), 1);
    ssize_t len = recv(fd, hand_input + hand_input_len, sizeof hand_input - hand_input_len, 0);
    hand_input_len += len > 0 ? (size_t)len : 0;
    return len > 0;
}

/* The next command; NULL when the connection has ended. */
const Pulsar__BaseCommand *hand_receive(int fd) {
    struct fake_frame frame;
    if (hand_got != NULL) {
        pulsar__base_command__free_unpacked(hand_got, NULL);
        hand_got = NULL;
    }
    while (fake_frame_parse(str_make(hand_input, hand_input_len), sizeof hand_input, &frame) !=
           FAKE_FRAME_OK) {
        if (!hand_read_more(fd)) {
            return NULL;
        }
    }
    hand_got =
        pulsar__base_command__unpack(NULL, frame.command.len, (const uint8_t *)frame.command.ptr);
    assert_non_null(hand_got);
    hand_input_len -= frame.len;
    memmove(hand_input, hand_input + frame.len, hand_input_len);
    return hand_got;
}

void hand_send_connect(int fd, const char *token) {
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
    hand_send_command(fd, &command);
}

int hand_dial_connected(size_t number) {
    int fd = hand_dial(fake_broker_port(hand_broker, number));
    hand_send_connect(fd, NULL);
    assert_non_null(hand_receive(fd));
    assert_non_null(hand_got->connected);
    return fd;
}

void hand_request_producer(int fd, const char *topic, uint64_t id, const char *name,
                           Pulsar__CommandProducer *producer) {
    Pulsar__BaseCommand command = PULSAR__BASE_COMMAND__INIT;
    command.type = PULSAR__BASE_COMMAND__TYPE__PRODUCER;
    command.producer = producer;
    producer->topic = (char *)(uintptr_t)topic;
    producer->producer_id = id;
    producer->request_id = 100 + id;
    producer->producer_name = (char *)(uintptr_t)name;
    hand_send_command(fd, &command);
}

void hand_send_producer(int fd, const char *topic, uint64_t id, const char *name, uint64_t epoch) {
    Pulsar__CommandProducer producer = PULSAR__COMMAND_PRODUCER__INIT;
    producer.has_epoch = 1;
    producer.epoch = epoch;
    hand_request_producer(fd, topic, id, name, &producer);
}

void hand_open_producer(int fd, const char *topic, uint64_t id, const char *name) {
    hand_send_producer(fd, topic, id, name, 0);
    assert_non_null(hand_receive(fd));
    assert_non_null(hand_got->producer_success);
}

void hand_send_lookup(int fd, const char *topic) {
    Pulsar__BaseCommand command = PULSAR__BASE_COMMAND__INIT;
    Pulsar__CommandLookupTopic lookup = PULSAR__COMMAND_LOOKUP_TOPIC__INIT;
    command.type = PULSAR__BASE_COMMAND__TYPE__LOOKUP;
    command.lookup = &lookup;
    lookup.topic = (char *)(uintptr_t)topic;
    lookup.request_id = 5;
    hand_send_command(fd, &command);
}

static void add_u32(struct buf *out, size_t value) {
    char bytes[4] = {(char)(value >> 24), (char)(value >> 16), (char)(value >> 8), (char)value};
    buf_add(out, bytes, 4);
}

static void add_single(struct buf *body, uint64_t sequence_id, const char *key) {
    Pulsar__SingleMessageMetadata single = PULSAR__SINGLE_MESSAGE_METADATA__INIT;
    Pulsar__KeyValue property = PULSAR__KEY_VALUE__INIT;
    Pulsar__KeyValue *properties[] = {&property};
    property.key = (char *)(uintptr_t) "name";
    property.value = (char *)(uintptr_t) "value";
    single.n_properties = 1;
    single.properties = properties;
    single.partition_key = (char *)(uintptr_t)key;
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

void hand_send_entry(int fd, const struct hand_entry *entry) {
    bool batch = entry->highest > 0;
    size_t count = entry->ids != NULL ? entry->id_count
                   : batch            ? (size_t)(entry->highest - entry->sequence_id + 1)
                                      : 1;
    const char *wrong = entry->wrong == NULL ? "" : entry->wrong;
    Pulsar__MessageMetadata metadata = PULSAR__MESSAGE_METADATA__INIT;
    if (entry->metadata != NULL) {
        metadata = *entry->metadata;
    }
    metadata.producer_name =
        (char *)(uintptr_t)(strcmp(wrong, "name") == 0 ? "other" : entry->name);
    metadata.sequence_id = entry->sequence_id + (strcmp(wrong, "sequence id") == 0 ? 1 : 0);
    metadata.publish_time = strcmp(wrong, "publish time") == 0 ? 0 : 1700000000000;
    metadata.has_num_messages_in_batch = batch;
    metadata.num_messages_in_batch = (int32_t)count;
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
    for (size_t i = 0; batch && i < count; i++) {
        uint64_t id = entry->ids != NULL ? entry->ids[i] : entry->sequence_id + i;
        add_single(&covered, strcmp(wrong, "falling ids") == 0 ? entry->sequence_id : id,
                   entry->keys == NULL ? "key" : entry->keys[i]);
    }
    if (!batch) {
        buf_add_str(&covered,
                    entry->value != NULL ? str_of(entry->value) : str_make("\xff\x00raw", 5));
    }
    if (strcmp(wrong, "trailing") == 0) {
        buf_add_text(&covered, "x");
    }

    Pulsar__BaseCommand command = PULSAR__BASE_COMMAND__INIT;
    Pulsar__CommandSend send = PULSAR__COMMAND_SEND__INIT;
    command.type = PULSAR__BASE_COMMAND__TYPE__SEND;
    command.send = &send;
    send.producer_id = entry->producer_id;
    send.has_is_chunk = metadata.uuid != NULL;
    send.is_chunk = metadata.uuid != NULL;
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
    hand_send_bytes(fd, frame.data, frame.len);
    buf_done(&frame);
    buf_done(&covered);
}

void hand_send_one(int fd, uint64_t sequence_id) {
    hand_send_entry(
        fd, &(struct hand_entry){.producer_id = 1, .name = "p", .sequence_id = sequence_id});
}

void hand_assert_receipt(int fd, uint64_t sequence_id) {
    assert_non_null(hand_receive(fd));
    assert_non_null(hand_got->send_receipt);
    assert_int_equal(hand_got->send_receipt->sequence_id, sequence_id);
}

void hand_script(const char *lines) {
    struct err err = ERR_NONE;
    if (!fake_broker_script(hand_broker, lines, &err)) {
        fail_msg("%s", err.text);
    }
}

struct fake_broker_counts hand_counts(void) {
    struct fake_broker_counts all;
    fake_broker_counts(hand_broker, &all);
    return all;
}

void hand_assert_violation(const char *wanted) {
    char violation[512];
    fake_broker_violation(hand_broker, violation, sizeof violation);
    if (wanted[0] == '\0' ? violation[0] != '\0' : strstr(violation, wanted) == NULL) {
        fail_msg("'%s', wanted '%s'", violation, wanted);
    }
}

int hand_setup(void **state) {
    (void)state;
    struct err err = ERR_NONE;
    struct fake_broker_options options = {.port = 0};
    hand_broker = fake_broker_new(&options, &err);
    return hand_broker == NULL ? -1 : 0;
}

int hand_teardown(void **state) {
    (void)state;
    fake_broker_free(hand_broker);
    if (hand_got != NULL) {
        pulsar__base_command__free_unpacked(hand_got, NULL);
        hand_got = NULL;
    }
    return 0;
}
