/* What the broker double allows to whom, as brokers do: with frames made by hand. */
#include "unit/certificates.h"
#include "unit/hand_client.h"

#include "cmocka_all.h"

#include <openssl/ssl.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

enum mode {
    SHARED = PULSAR__PRODUCER_ACCESS_MODE__Shared,
    EXCLUSIVE = PULSAR__PRODUCER_ACCESS_MODE__Exclusive,
    WAIT = PULSAR__PRODUCER_ACCESS_MODE__WaitForExclusive,
    FENCING = PULSAR__PRODUCER_ACCESS_MODE__ExclusiveWithFencing,
};

/* topic_epoch below 0: none. */
static void ask(int fd, uint64_t id, const char *name, enum mode mode, int64_t topic_epoch) {
    Pulsar__CommandProducer producer = PULSAR__COMMAND_PRODUCER__INIT;
    producer.has_producer_access_mode = 1;
    producer.producer_access_mode = (Pulsar__ProducerAccessMode)mode;
    producer.has_topic_epoch = topic_epoch >= 0;
    producer.topic_epoch = (uint64_t)topic_epoch;
    hand_request_producer(fd, TOPIC, id, name, &producer);
}

static void assert_ready(int fd, uint64_t id) {
    assert_non_null(hand_receive(fd));
    assert_non_null(hand_got->producer_success);
    assert_int_equal(hand_got->producer_success->request_id, 100 + id);
    assert_true(hand_got->producer_success->producer_ready);
}

static void assert_error(int fd, int error) {
    assert_non_null(hand_receive(fd));
    assert_non_null(hand_got->error);
    assert_int_equal(hand_got->error->error, error);
}

static void assert_send_error(int fd, int error, const char *text) {
    assert_non_null(hand_receive(fd));
    assert_non_null(hand_got->send_error);
    assert_int_equal(hand_got->send_error->error, error);
    assert_non_null(strstr(hand_got->send_error->message, text));
}

static void close_producer(int fd, uint64_t id) {
    Pulsar__BaseCommand command = PULSAR__BASE_COMMAND__INIT;
    Pulsar__CommandCloseProducer body = PULSAR__COMMAND_CLOSE_PRODUCER__INIT;
    command.type = PULSAR__BASE_COMMAND__TYPE__CLOSE_PRODUCER;
    command.close_producer = &body;
    body.producer_id = id;
    body.request_id = 900 + id;
    hand_send_command(fd, &command);
}

/* ---- access modes ---- */

static void exclusive_means_alone(void **state) {
    (void)state;
    int fd = hand_dial_connected(0);
    ask(fd, 1, "a", SHARED, -1);
    assert_ready(fd, 1);
    assert_false(hand_got->producer_success->has_topic_epoch);
    ask(fd, 2, "b", EXCLUSIVE, -1);
    assert_error(fd, PULSAR__SERVER_ERROR__ProducerFenced);
    close_producer(fd, 1);
    assert_non_null(hand_receive(fd)->success);
    ask(fd, 2, "b", EXCLUSIVE, -1);
    assert_ready(fd, 2);
    assert_int_equal(hand_got->producer_success->topic_epoch, 0);
    ask(fd, 3, "c", SHARED, -1);
    assert_error(fd, PULSAR__SERVER_ERROR__ProducerBusy);
    ask(fd, 3, "c", EXCLUSIVE, -1);
    assert_error(fd, PULSAR__SERVER_ERROR__ProducerFenced);
    /* With the epoch it had, it comes back; when another had the topic meanwhile, it does not. */
    close_producer(fd, 2);
    assert_non_null(hand_receive(fd)->success);
    ask(fd, 4, "b", EXCLUSIVE, 0);
    assert_ready(fd, 4);
    assert_int_equal(hand_got->producer_success->topic_epoch, 0);
    close_producer(fd, 4);
    assert_non_null(hand_receive(fd)->success);
    ask(fd, 5, "c", EXCLUSIVE, -1);
    assert_ready(fd, 5);
    assert_int_equal(hand_got->producer_success->topic_epoch, 1);
    close_producer(fd, 5);
    assert_non_null(hand_receive(fd)->success);
    ask(fd, 6, "b", EXCLUSIVE, 0);
    assert_error(fd, PULSAR__SERVER_ERROR__ProducerFenced);
    hand_assert_violation("");
    close(fd);
}

static void waiters_take_turns(void **state) {
    (void)state;
    int fd = hand_dial_connected(0);
    ask(fd, 1, "a", SHARED, -1);
    assert_ready(fd, 1);
    for (uint64_t id = 2; id <= 3; id++) {
        ask(fd, id, id == 2 ? "b" : "c", WAIT, -1);
        assert_non_null(hand_receive(fd)->producer_success);
        assert_int_equal(hand_got->producer_success->request_id, 100 + id);
        assert_false(hand_got->producer_success->producer_ready);
    }
    ask(fd, 4, "d", SHARED, -1);
    assert_error(fd, PULSAR__SERVER_ERROR__ProducerBusy);
    close_producer(fd, 1);
    assert_ready(fd, 2); /* the same request id again */
    assert_int_equal(hand_got->producer_success->topic_epoch, 0);
    assert_non_null(hand_receive(fd)->success);
    close_producer(fd, 2);
    assert_ready(fd, 3);
    assert_int_equal(hand_got->producer_success->topic_epoch, 1);
    assert_non_null(hand_receive(fd)->success);
    hand_assert_violation("");

    ask(fd, 5, "e", WAIT, -1);
    assert_false(hand_receive(fd)->producer_success->producer_ready);
    hand_send_entry(fd, &(struct hand_entry){.producer_id = 5, .name = "e"});
    assert_null(hand_receive(fd));
    hand_assert_violation("not ready");
    close(fd);
}

static void fencing_throws_out(void **state) {
    (void)state;
    int first = hand_dial_connected(0);
    ask(first, 1, "p", EXCLUSIVE, -1);
    assert_ready(first, 1);
    ask(first, 2, "w", WAIT, -1);
    assert_false(hand_receive(first)->producer_success->producer_ready);
    int second = hand_dial_connected(0);
    ask(second, 7, "p", FENCING, -1);
    assert_ready(second, 7);
    assert_int_equal(hand_got->producer_success->topic_epoch, 1);
    hand_input_len = 0;
    assert_error(first, PULSAR__SERVER_ERROR__ProducerFenced); /* the one that waited */
    assert_int_equal(hand_got->error->request_id, 102);
    hand_send_one(first, 1);
    assert_send_error(first, PULSAR__SERVER_ERROR__PersistenceError, "closed");
    ask(first, 1, "p", EXCLUSIVE, 0);
    assert_error(first, PULSAR__SERVER_ERROR__ProducerFenced);
    assert_int_equal(hand_counts().messages, 0);
    hand_assert_violation("");
    close(first);
    close(second);
}

static void strangers_hold_names(void **state) {
    (void)state;
    hand_script("busy " TOPIC " p on");
    int fd = hand_dial_connected(0);
    ask(fd, 1, "p", SHARED, -1);
    assert_error(fd, PULSAR__SERVER_ERROR__ProducerBusy);
    ask(fd, 1, "q", WAIT, -1);
    assert_false(hand_receive(fd)->producer_success->producer_ready);
    hand_script("busy " TOPIC " p off");
    assert_ready(fd, 1);
    hand_script("busy " TOPIC " r on");
    ask(fd, 2, "s", FENCING, -1);
    assert_ready(fd, 2);
    close(fd);
}

/* ---- topics ---- */

static void topics_end(void **state) {
    (void)state;
    int fd = hand_dial_connected(0);
    hand_open_producer(fd, TOPIC, 1, "p");
    hand_script("terminate " TOPIC);
    hand_send_one(fd, 1);
    assert_send_error(fd, PULSAR__SERVER_ERROR__TopicTerminatedError, "terminated");
    hand_send_producer(fd, TOPIC, 2, "q", 0);
    assert_error(fd, PULSAR__SERVER_ERROR__TopicTerminatedError);

    hand_open_producer(fd, TOPIC "2-partition-1", 3, "p");
    hand_script("delete-topic " TOPIC "2");
    assert_non_null(hand_receive(fd)->close_producer);
    assert_int_equal(hand_got->close_producer->producer_id, 3);
    hand_send_producer(fd, TOPIC "2-partition-1", 3, "p", 1);
    assert_error(fd, PULSAR__SERVER_ERROR__TopicNotFound);
    hand_script("partitions " TOPIC "2 2");
    hand_open_producer(fd, TOPIC "2-partition-1", 3, "p");
    close(fd);
}

static void quotas_hold_or_refuse(void **state) {
    (void)state;
    int fd = hand_dial_connected(0);
    hand_open_producer(fd, TOPIC "-partition-0", 1, "p");
    hand_script("quota " TOPIC " hold");
    assert_non_null(hand_receive(fd)->close_producer);
    hand_send_producer(fd, TOPIC "-partition-0", 1, "p", 1);
    assert_error(fd, PULSAR__SERVER_ERROR__ProducerBlockedQuotaExceededError);
    hand_script("quota " TOPIC " exception");
    hand_send_producer(fd, TOPIC "-partition-0", 1, "p", 2);
    assert_error(fd, PULSAR__SERVER_ERROR__ProducerBlockedQuotaExceededException);
    hand_script("quota " TOPIC " off");
    hand_open_producer(fd, TOPIC "-partition-0", 1, "p");
    hand_assert_violation("");
    close(fd);
}

/* ---- schemas ---- */

static void ask_with_schema(int fd, uint64_t id, const char *topic, int type, const char *data) {
    Pulsar__CommandProducer producer = PULSAR__COMMAND_PRODUCER__INIT;
    Pulsar__Schema schema = PULSAR__SCHEMA__INIT;
    schema.name = (char *)(uintptr_t) "s";
    schema.type = type;
    schema.schema_data.data = (uint8_t *)(uintptr_t)data;
    schema.schema_data.len = strlen(data);
    producer.schema = &schema;
    hand_request_producer(fd, topic, id, NULL, &producer);
}

static void schemas_have_versions(void **state) {
    (void)state;
    int fd = hand_dial_connected(0);
    hand_open_producer(fd, TOPIC, 1, "p");
    assert_int_equal(hand_got->producer_success->schema_version.len, 0);
    static const uint8_t versions[][8] = {{0}, {0, 0, 0, 0, 0, 0, 0, 1}};
    static const struct {
        const char *topic;
        const char *data;
        size_t version;
    } cases[] = {
        {TOPIC "-partition-0", "{}", 0},
        {TOPIC "-partition-1", "{}", 0},
        {TOPIC "-partition-0", "{\"b\":1}", 1},
        {TOPIC "2", "{\"b\":1}", 0},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        ask_with_schema(fd, 2 + i, cases[i].topic, 2, cases[i].data);
        assert_ready(fd, 2 + i);
        assert_int_equal(hand_got->producer_success->schema_version.len, 8);
        assert_memory_equal(hand_got->producer_success->schema_version.data,
                            versions[cases[i].version], 8);
    }
    hand_script("schema-compat off");
    ask_with_schema(fd, 9, TOPIC, 2, "{\"c\":1}");
    assert_error(fd, PULSAR__SERVER_ERROR__IncompatibleSchema);

    /* Entries carry the version. */
    Pulsar__MessageMetadata metadata = PULSAR__MESSAGE_METADATA__INIT;
    ask_with_schema(fd, 10, TOPIC, 2, "{\"b\":1}");
    assert_ready(fd, 10);
    char name[64];
    (void)snprintf(name, sizeof name, "%s", hand_got->producer_success->producer_name);
    metadata.has_schema_version = 1;
    metadata.schema_version.data = (uint8_t *)(uintptr_t)versions[1];
    metadata.schema_version.len = 8;
    struct hand_entry entry = {.producer_id = 10, .name = name, .metadata = &metadata};
    hand_send_entry(fd, &entry);
    hand_assert_receipt(fd, 0);
    const struct fake_broker_store *store = fake_broker_lock(hand_broker);
    assert_int_equal(store->messages[0].schema_version, 1);
    assert_string_equal(fake_schemas_find(&store->schemas, STR(TOPIC), 1)->data, "{\"b\":1}");
    fake_broker_unlock(hand_broker);
    hand_assert_violation("");
    metadata.schema_version.data = (uint8_t *)(uintptr_t)versions[0];
    entry.sequence_id = 1;
    hand_send_entry(fd, &entry);
    assert_null(hand_receive(fd));
    hand_assert_violation("schema_version");
    close(fd);
}

static void no_version_without_a_schema(void **state) {
    (void)state;
    int fd = hand_dial_connected(0);
    hand_open_producer(fd, TOPIC, 1, "p");
    static uint8_t version[8];
    Pulsar__MessageMetadata metadata = PULSAR__MESSAGE_METADATA__INIT;
    metadata.has_schema_version = 1;
    metadata.schema_version = (ProtobufCBinaryData){.len = sizeof version, .data = version};
    hand_send_entry(fd, &(struct hand_entry){.producer_id = 1, .name = "p", .metadata = &metadata});
    assert_null(hand_receive(fd));
    hand_assert_violation("schema_version");
    close(fd);
}

/* ---- who connects, and how ---- */

static void connects_are_shown(void **state) {
    (void)state;
    hand_script("basic user:password");
    int fd = hand_dial(fake_broker_port(hand_broker, 0));
    hand_send_connect(fd, "user:password"); /* by the method "token" */
    assert_error(fd, PULSAR__SERVER_ERROR__AuthenticationError);
    close(fd);
    struct fake_broker_connect last;
    fake_broker_last_connect(hand_broker, &last);
    assert_string_equal(last.method, "token");
    assert_string_equal(last.data, "user:password");
    assert_string_equal(last.client_version, "test");
    assert_string_equal(last.proxy_to, "");
    assert_false(last.tls);

    Pulsar__BaseCommand command = PULSAR__BASE_COMMAND__INIT;
    Pulsar__CommandConnect connect = PULSAR__COMMAND_CONNECT__INIT;
    command.type = PULSAR__BASE_COMMAND__TYPE__CONNECT;
    command.connect = &connect;
    connect.client_version = (char *)(uintptr_t) "test";
    connect.auth_method_name = (char *)(uintptr_t) "basic";
    connect.has_auth_data = 1;
    connect.auth_data.data = (uint8_t *)(uintptr_t) "user:password";
    connect.auth_data.len = 13;
    fd = hand_dial(fake_broker_port(hand_broker, 0));
    hand_send_command(fd, &command);
    assert_non_null(hand_receive(fd)->connected);
    hand_script("auth-challenge");
    assert_string_equal(hand_receive(fd)->auth_challenge->challenge->auth_method_name, "basic");
    close(fd);
}

static int dial_through_proxy(const char *to) {
    Pulsar__BaseCommand command = PULSAR__BASE_COMMAND__INIT;
    Pulsar__CommandConnect connect = PULSAR__COMMAND_CONNECT__INIT;
    command.type = PULSAR__BASE_COMMAND__TYPE__CONNECT;
    command.connect = &connect;
    connect.client_version = (char *)(uintptr_t) "test";
    connect.proxy_to_broker_url = (char *)(uintptr_t)to;
    int fd = hand_dial(fake_broker_port(hand_broker, 0));
    hand_send_command(fd, &command);
    return fd;
}

static void brokers_hide_behind_a_proxy(void **state) {
    (void)state;
    hand_script("brokers 2\nowner " TOPIC " 1\nproxy on");
    int fd = hand_dial_connected(0);
    hand_send_lookup(fd, TOPIC);
    assert_true(hand_receive(fd)->lookup_response->proxy_through_service_url);
    assert_string_equal(hand_got->lookup_response->broker_service_url,
                        "pulsar://broker-1.invalid:6650");
    close(fd);
    fd = dial_through_proxy("broker-1.invalid:6650");
    assert_non_null(hand_receive(fd)->connected);
    hand_open_producer(fd, TOPIC, 1, "p"); /* there, it is broker 1 */
    close(fd);
    hand_assert_violation("");
    fd = dial_through_proxy("broker-2.invalid:6650");
    assert_null(hand_receive(fd));
    hand_assert_violation("names no broker");
    close(fd);
    fd = hand_dial_connected(0);
    hand_send_producer(fd, TOPIC, 1, "p", 0);
    assert_null(hand_receive(fd));
    assert_int_equal(hand_counts().violations, 2);
    close(fd);
}

/* A handshake from our side; NULL when it fails. */
static SSL *handshake(int fd, SSL_CTX *context) {
    SSL *ssl = SSL_new(context);
    assert_non_null(ssl);
    assert_int_equal(SSL_set_fd(ssl, fd), 1);
    assert_int_equal(SSL_set_tlsext_host_name(ssl, "localhost"), 1);
    char byte;
    /* With TLS 1.3 a missing certificate is refused after our side has finished. */
    if (SSL_connect(ssl) != 1 ||
        SSL_write(ssl, "\0\0\0\x09\0\0\0\x05\x08\x12\x92\x01\0", 13) != 13 ||
        SSL_peek(ssl, &byte, 1) != 1) {
        SSL_free(ssl);
        return NULL;
    }
    return ssl;
}

static void tls_does_not_hold_up_others(void **state) {
    (void)state;
    struct certificates files;
    certificates_make(&files);
    char lines[512];
    (void)snprintf(lines, sizeof lines, "brokers 2\ntls %s %s host localhost", files.server,
                   files.server_key);
    hand_script(lines);
    uint16_t port = fake_broker_tls_port(hand_broker, 1);
    assert_true(port != 0 && port != fake_broker_port(hand_broker, 1));

    int silent = hand_dial(port); /* never begins its handshake */
    int fd = hand_dial_connected(0);
    hand_send_lookup(fd, TOPIC);
    char url[64];
    (void)snprintf(url, sizeof url, "pulsar+ssl://localhost:%u",
                   fake_broker_tls_port(hand_broker, 0));
    assert_string_equal(hand_receive(fd)->lookup_response->broker_service_url_tls, url);
    close(fd);

    SSL_CTX *context = SSL_CTX_new(TLS_client_method());
    assert_non_null(context);
    assert_int_equal(SSL_CTX_load_verify_file(context, files.ca), 1);
    SSL_CTX_set_verify(context, SSL_VERIFY_PEER, NULL);
    fd = hand_dial(port);
    SSL *ssl = SSL_new(context);
    assert_int_equal(SSL_set_fd(ssl, fd), 1);
    assert_int_equal(SSL_set_tlsext_host_name(ssl, "localhost"), 1);
    assert_int_equal(SSL_set1_host(ssl, "localhost"), 1);
    assert_int_equal(SSL_connect(ssl), 1);
    static const char connect[] = "\0\0\0\x0c\0\0\0\x08\x08\2\x12\4\x0a\2me";
    assert_int_equal(SSL_write(ssl, connect, sizeof connect - 1), sizeof connect - 1);
    char answer[512];
    assert_true(SSL_read(ssl, answer, sizeof answer) > 8);
    assert_int_equal(answer[9], PULSAR__BASE_COMMAND__TYPE__CONNECTED);
    struct fake_broker_connect last;
    fake_broker_last_connect(hand_broker, &last);
    assert_true(last.tls);
    assert_string_equal(last.server_name, "localhost");
    assert_string_equal(last.certificate, "");
    SSL_free(ssl);
    close(fd);
    close(silent);
    SSL_CTX_free(context);
    certificates_remove(&files);
}

static void tls_wants_a_certificate(void **state) {
    (void)state;
    struct certificates files;
    certificates_make(&files);
    char lines[512];
    (void)snprintf(lines, sizeof lines, "tls %s %s ca %s", files.server, files.server_key,
                   files.ca);
    hand_script(lines);
    SSL_CTX *context = SSL_CTX_new(TLS_client_method());
    int fd = hand_dial(fake_broker_tls_port(hand_broker, 0));
    assert_null(handshake(fd, context));
    close(fd);
    hand_assert_violation("");
    assert_int_equal(SSL_CTX_use_certificate_file(context, files.client, SSL_FILETYPE_PEM), 1);
    assert_int_equal(SSL_CTX_use_PrivateKey_file(context, files.client_key, SSL_FILETYPE_PEM), 1);
    fd = hand_dial(fake_broker_tls_port(hand_broker, 0));
    assert_null(handshake(fd, context)); /* a PING before CONNECT arrives, and ends it */
    close(fd);
    hand_assert_violation("before CONNECT");
    SSL_CTX_free(context);
    struct err err = ERR_NONE;
    assert_false(fake_broker_script(hand_broker, "tls /nowhere /nowhere", &err));
    certificates_remove(&files);
}

int main(void) {
#define TEST(name) cmocka_unit_test_setup_teardown(name, hand_setup, hand_teardown)
    const struct CMUnitTest tests[] = {
        TEST(exclusive_means_alone),
        TEST(waiters_take_turns),
        TEST(fencing_throws_out),
        TEST(strangers_hold_names),
        TEST(topics_end),
        TEST(quotas_hold_or_refuse),
        TEST(schemas_have_versions),
        TEST(no_version_without_a_schema),
        TEST(connects_are_shown),
        TEST(brokers_hide_behind_a_proxy),
        TEST(tls_does_not_hold_up_others),
        TEST(tls_wants_a_certificate),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
