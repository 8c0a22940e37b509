/* The broker double through a socket, with frames made by hand. */
#include "unit/hand_client.h"

#include "cmocka_all.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

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
    int fd = hand_dial_connected(0);
    hand_send_hex(fd, "00000009 00000005 0812 920100");
    assert_non_null(hand_receive(fd));
    assert_non_null(hand_got->pong);
    hand_open_producer(fd, TOPIC, 1, "p");
    hand_send_hex(fd, "00000027 00000008 0806320408011007 0e01 5dbb2b14 0000000c"
                      "0a017010071880d095ffbc31 68656c6c6f");
    hand_assert_receipt(fd, 7);
    hand_send_hex(fd,
                  "0000003e 0000000c 0806320808011007180230080e01ef547530 00000011"
                  "0a017010071880d095ffbc315802c00108 00000004 18014007 61 00000004 18024008 6262");
    hand_assert_receipt(fd, 7);
    const struct fake_broker_store *store = fake_broker_lock(hand_broker);
    assert_int_equal(store->count, 3);
    assert_string_equal(store->messages[0].value, "hello");
    assert_string_equal(store->messages[2].value, "bb");
    assert_int_equal(store->messages[2].sequence_id, 8);
    fake_broker_unlock(hand_broker);
    hand_assert_violation("");
    close(fd);
}

/* ---- sessions ---- */

static void a_session_from_connect_to_receipt(void **state) {
    (void)state;
    hand_script("partitions " TOPIC " 3\nmax-message-size 100000");
    int fd = hand_dial_connected(0);
    assert_int_equal(hand_got->connected->max_message_size, 100000);

    Pulsar__BaseCommand command = PULSAR__BASE_COMMAND__INIT;
    Pulsar__CommandPartitionedTopicMetadata metadata =
        PULSAR__COMMAND_PARTITIONED_TOPIC_METADATA__INIT;
    command.type = PULSAR__BASE_COMMAND__TYPE__PARTITIONED_METADATA;
    command.partitioned_metadata = &metadata;
    metadata.topic = (char *)(uintptr_t)TOPIC;
    metadata.request_id = 9;
    hand_send_command(fd, &command);
    assert_non_null(hand_receive(fd));
    assert_int_equal(hand_got->partitioned_metadata_response->request_id, 9);
    assert_int_equal(hand_got->partitioned_metadata_response->partitions, 3);

    hand_send_lookup(fd, TOPIC "-partition-2");
    char url[64];
    (void)snprintf(url, sizeof url, "pulsar://127.0.0.1:%u", fake_broker_port(hand_broker, 0));
    assert_non_null(hand_receive(fd));
    assert_int_equal(hand_got->lookup_response->response,
                     PULSAR__COMMAND_LOOKUP_TOPIC_RESPONSE__LOOKUP_TYPE__Connect);
    assert_string_equal(hand_got->lookup_response->broker_service_url, url);

    hand_open_producer(fd, TOPIC "-partition-2", 1, NULL);
    assert_string_equal(hand_got->producer_success->producer_name, "fake-0-0");
    assert_int_equal(hand_got->producer_success->last_sequence_id, -1);
    hand_send_entry(fd, &(struct hand_entry){
                            .producer_id = 1, .name = "fake-0-0", .sequence_id = 4, .highest = 6});
    hand_assert_receipt(fd, 4);
    assert_int_equal(hand_got->send_receipt->highest_sequence_id, 6);
    assert_int_equal(hand_got->send_receipt->message_id->ledger_id, 7);

    const struct fake_broker_store *store = fake_broker_lock(hand_broker);
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
    fake_broker_unlock(hand_broker);

    command = (Pulsar__BaseCommand)PULSAR__BASE_COMMAND__INIT;
    Pulsar__CommandCloseProducer close_producer = PULSAR__COMMAND_CLOSE_PRODUCER__INIT;
    command.type = PULSAR__BASE_COMMAND__TYPE__CLOSE_PRODUCER;
    command.close_producer = &close_producer;
    close_producer.producer_id = 1;
    close_producer.request_id = 11;
    hand_send_command(fd, &command);
    assert_non_null(hand_receive(fd));
    assert_int_equal(hand_got->success->request_id, 11);
    assert_int_equal(hand_counts().live_producers, 0);
    assert_int_equal(hand_counts().closed_producers, 1);
    hand_assert_violation("");
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
        int fd = hand_dial_connected(0);
        hand_open_producer(fd, TOPIC, 1, "p");
        hand_send_entry(fd, &(struct hand_entry){.producer_id = 1,
                                                 .name = "p",
                                                 .sequence_id = 10,
                                                 .highest = 12,
                                                 .wrong = cases[i].wrong});
        assert_null(hand_receive(fd));
        hand_assert_violation(cases[i].violation);
        close(fd);
        hand_teardown(NULL);
        assert_int_equal(hand_setup(NULL), 0);
    }
}

static void sessions_have_an_order(void **state) {
    (void)state;
    int fd = hand_dial(fake_broker_port(hand_broker, 0));
    hand_send_lookup(fd, TOPIC);
    assert_null(hand_receive(fd));
    hand_assert_violation("before CONNECT");
    close(fd);

    fd = hand_dial_connected(0);
    hand_send_one(fd, 1); /* without a producer: may happen, ends the connection */
    assert_null(hand_receive(fd));
    assert_int_equal(hand_counts().violations, 1);
    close(fd);

    fd = hand_dial_connected(0);
    hand_script("max-message-size 200");
    hand_send_hex(fd, "00010000 00000005 0812 920100");
    assert_null(hand_receive(fd));
    assert_int_equal(hand_counts().violations, 2);
    close(fd);
}

static void tokens_are_checked(void **state) {
    (void)state;
    hand_script("token secret");
    static const char *const wrong[] = {NULL, "secre", "secret2"};
    for (size_t i = 0; i < 3; i++) {
        int fd = hand_dial(fake_broker_port(hand_broker, 0));
        hand_send_connect(fd, wrong[i]);
        assert_non_null(hand_receive(fd));
        assert_int_equal(hand_got->error->error, PULSAR__SERVER_ERROR__AuthenticationError);
        assert_null(hand_receive(fd));
        close(fd);
    }
    int fd = hand_dial(fake_broker_port(hand_broker, 0));
    hand_send_connect(fd, "secret");
    assert_non_null(hand_receive(fd));
    assert_non_null(hand_got->connected);
    hand_script("auth-challenge");
    assert_non_null(hand_receive(fd));
    assert_string_equal(hand_got->auth_challenge->challenge->auth_method_name, "token");
    close(fd);
}

static void lookups_redirect_and_topics_have_owners(void **state) {
    (void)state;
    hand_script("brokers 2\nowner " TOPIC " 1\nredirect LOOKUP 1 1\nfail LOOKUP 1 ServiceNotReady "
                "'not yet' after 2");
    char url[64];
    (void)snprintf(url, sizeof url, "pulsar://127.0.0.1:%u", fake_broker_port(hand_broker, 1));
    int fd = hand_dial_connected(0);
    hand_send_lookup(fd, TOPIC);
    assert_non_null(hand_receive(fd));
    assert_int_equal(hand_got->lookup_response->response,
                     PULSAR__COMMAND_LOOKUP_TOPIC_RESPONSE__LOOKUP_TYPE__Redirect);
    assert_string_equal(hand_got->lookup_response->broker_service_url, url);
    hand_send_lookup(fd, TOPIC);
    assert_non_null(hand_receive(fd));
    assert_int_equal(hand_got->lookup_response->response,
                     PULSAR__COMMAND_LOOKUP_TOPIC_RESPONSE__LOOKUP_TYPE__Connect);
    assert_string_equal(hand_got->lookup_response->broker_service_url, url);
    hand_send_lookup(fd, TOPIC);
    assert_non_null(hand_receive(fd));
    assert_int_equal(hand_got->lookup_response->error, PULSAR__SERVER_ERROR__ServiceNotReady);
    assert_string_equal(hand_got->lookup_response->message, "not yet");
    hand_send_producer(fd, TOPIC, 1, "p", 0);
    assert_non_null(hand_receive(fd));
    assert_int_equal(hand_got->error->error, PULSAR__SERVER_ERROR__ServiceNotReady);
    close(fd);
    fd = hand_dial_connected(1);
    hand_open_producer(fd, TOPIC, 1, "p");
    close(fd);
}

static void names_are_held_by_one(void **state) {
    (void)state;
    int first = hand_dial_connected(0);
    hand_open_producer(first, TOPIC, 1, "p");
    int second = hand_dial_connected(0);
    hand_send_producer(second, TOPIC, 1, "p", 5);
    assert_non_null(hand_receive(second));
    assert_int_equal(hand_got->error->error, PULSAR__SERVER_ERROR__ProducerBusy);
    hand_open_producer(second, TOPIC "2", 1, "p"); /* another topic */
    close(second);

    hand_input_len = 0;
    hand_send_producer(first, TOPIC, 1, "p", 0); /* not a later epoch */
    assert_non_null(hand_receive(first));
    assert_int_equal(hand_got->error->error, PULSAR__SERVER_ERROR__ProducerBusy);
    hand_send_producer(first, TOPIC, 1, "p", 1);
    assert_non_null(hand_receive(first));
    assert_non_null(hand_got->producer_success);
    hand_send_producer(first, TOPIC, 1, "q", 0);
    assert_null(hand_receive(first));
    hand_assert_violation("id of a living one");
    close(first);
}

static void deduplication(void **state) {
    (void)state;
    hand_script("dedup on");
    int fd = hand_dial_connected(0);
    hand_open_producer(fd, TOPIC, 1, "p");
    hand_send_entry(
        fd, &(struct hand_entry){.producer_id = 1, .name = "p", .sequence_id = 4, .highest = 6});
    hand_assert_receipt(fd, 4);
    hand_send_one(fd, 6);
    hand_assert_receipt(fd, 6);
    assert_true(hand_got->send_receipt->message_id->ledger_id == UINT64_MAX);
    assert_true(hand_got->send_receipt->message_id->entry_id == UINT64_MAX);
    /* The whole entry is judged by its lowest id. */
    hand_send_entry(
        fd, &(struct hand_entry){.producer_id = 1, .name = "p", .sequence_id = 6, .highest = 9});
    hand_assert_receipt(fd, 6);
    assert_true(hand_got->send_receipt->message_id->ledger_id == UINT64_MAX);
    hand_send_one(fd, 7);
    hand_assert_receipt(fd, 7);
    assert_int_equal(hand_counts().duplicates, 5);
    assert_int_equal(hand_counts().messages, 4);
    close(fd);

    fd = hand_dial_connected(0);
    hand_send_producer(fd, TOPIC, 1, "p", 1);
    while (hand_receive(fd)->error != NULL) { /* until the broker has seen the end of the first */
        hand_send_producer(fd, TOPIC, 1, "p", 1);
    }
    assert_int_equal(hand_got->producer_success->last_sequence_id, 7);
    close(fd);
    hand_script("forget-producers");
    fd = hand_dial_connected(0);
    hand_open_producer(fd, TOPIC, 2, "q");
    assert_int_equal(hand_got->producer_success->last_sequence_id, -1);
    close(fd);
}

static void sends_can_fail_in_every_way(void **state) {
    (void)state;
    hand_script("fail SEND 1 PersistenceError 'Cannot determine' after 1");
    int fd = hand_dial_connected(0);
    hand_open_producer(fd, TOPIC, 1, "p");
    hand_send_one(fd, 1);
    hand_assert_receipt(fd, 1);
    hand_send_entry(
        fd, &(struct hand_entry){.producer_id = 1, .name = "p", .sequence_id = 2, .highest = 5});
    assert_non_null(hand_receive(fd));
    assert_int_equal(hand_got->send_error->error, PULSAR__SERVER_ERROR__PersistenceError);
    assert_int_equal(hand_got->send_error->sequence_id, 5); /* the highest */
    assert_string_equal(hand_got->send_error->message, "Cannot determine");
    assert_int_equal(hand_counts().messages, 1);
    hand_send_one(fd, 6); /* a failed write fences */
    assert_non_null(hand_receive(fd));
    assert_int_equal(hand_got->send_error->error, PULSAR__SERVER_ERROR__PersistenceError);
    assert_int_equal(hand_counts().messages, 1);
    close(fd);

    hand_script("drop-after SEND 1");
    fd = hand_dial_connected(0);
    hand_open_producer(fd, TOPIC, 1, "p");
    hand_send_one(fd, 6);
    assert_null(hand_receive(fd));
    assert_int_equal(hand_counts().messages, 2);
    close(fd);

    hand_script("drop-before SEND 1");
    fd = hand_dial_connected(0);
    hand_open_producer(fd, TOPIC, 1, "p");
    hand_send_one(fd, 7);
    assert_null(hand_receive(fd));
    assert_int_equal(hand_counts().messages, 2);
    close(fd);

    hand_script("cut SEND 1 9");
    fd = hand_dial_connected(0);
    hand_open_producer(fd, TOPIC, 1, "p");
    hand_send_one(fd, 8);
    assert_null(hand_receive(fd));
    assert_int_equal(hand_input_len, 9);
    close(fd);
}

static void every_server_error_can_be_had(void **state) {
    (void)state;
    int fd = hand_dial_connected(0);
    const ProtobufCEnumDescriptor *errors = &pulsar__server_error__descriptor;
    for (unsigned i = 0; i < errors->n_values; i++) {
        char line[128];
        (void)snprintf(line, sizeof line, "fail PRODUCER 1 %s", errors->values[i].name);
        hand_script(line);
        hand_send_producer(fd, TOPIC, 1, "p", 0);
        assert_non_null(hand_receive(fd));
        assert_int_equal(hand_got->error->error, errors->values[i].value);
    }
    struct err err = ERR_NONE;
    assert_false(fake_broker_script(hand_broker, "fail PRODUCER 1 Bogus", &err));
    close(fd);
}

static void receipts_can_be_late_and_stay_in_order(void **state) {
    (void)state;
    hand_script("receipt-delay 30");
    int fd = hand_dial_connected(0);
    hand_open_producer(fd, TOPIC, 1, "p");
    hand_send_one(fd, 1);
    hand_send_one(fd, 2);
    assert_true(fake_broker_wait_messages(hand_broker, 2, HAND_PATIENCE_MS));
    hand_script("receipt-delay 0");
    hand_send_one(fd, 3);
    hand_assert_receipt(fd, 1);
    hand_assert_receipt(fd, 2);
    hand_assert_receipt(fd, 3);
    close(fd);
}

static void brokers_speak_up_by_themselves(void **state) {
    (void)state;
    hand_script("brokers 2");
    int fd = hand_dial_connected(0);
    hand_open_producer(fd, TOPIC, 1, "p");
    hand_script("ping\nunknown-command 0\nping 1");
    assert_non_null(hand_receive(fd));
    assert_non_null(hand_got->ping);
    hand_send_hex(fd, "00000009 00000005 0813 9a0100");
    static const char unknown[] = {0, 0, 0, 9, 0, 0, 0, 5, 0x08, 0x63, (char)0x9a, 0x06, 0};
    while (hand_input_len < sizeof unknown) {
        assert_true(hand_read_more(fd));
    }
    assert_memory_equal(hand_input, unknown, sizeof unknown);
    hand_input_len = 0;
    hand_script("raw 000000090000000508139a0100");
    assert_non_null(hand_receive(fd)->pong);
    struct err err = ERR_NONE;
    assert_false(fake_broker_script(hand_broker, "raw 0g", &err));
    assert_false(fake_broker_script(hand_broker, "raw 123", &err));

    hand_script("unload " TOPIC);
    assert_non_null(hand_receive(fd));
    assert_int_equal(hand_got->close_producer->producer_id, 1);
    assert_null(hand_got->close_producer->assigned_broker_service_url);
    hand_open_producer(fd, TOPIC, 2, "p");
    hand_script("unload " TOPIC " 1 assigned");
    char url[64];
    (void)snprintf(url, sizeof url, "pulsar://127.0.0.1:%u", fake_broker_port(hand_broker, 1));
    assert_non_null(hand_receive(fd));
    assert_int_equal(hand_got->close_producer->producer_id, 2);
    assert_string_equal(hand_got->close_producer->assigned_broker_service_url, url);
    assert_int_equal(hand_counts().pongs, 1);
    hand_script("disconnect");
    assert_null(hand_receive(fd));
    close(fd);
}

static void answers_can_stay_away(void **state) {
    (void)state;
    hand_script("silent PING 1\nsilent LOOKUP 1");
    int fd = hand_dial_connected(0);
    hand_send_hex(fd, "00000009 00000005 0812 920100");
    hand_send_lookup(fd, TOPIC);
    hand_send_lookup(fd, TOPIC); /* the second is answered, so the first was not */
    assert_non_null(hand_receive(fd));
    assert_non_null(hand_got->lookup_response);
    assert_int_equal(hand_counts().pings, 1);
    assert_int_equal(hand_counts().lookups, 2);
    close(fd);
}

static void reading_can_pause(void **state) {
    (void)state;
    int fd = hand_dial_connected(0);
    hand_open_producer(fd, TOPIC, 1, "p");
    hand_script("pause 50");
    hand_send_one(fd, 1);
    hand_assert_receipt(fd, 1); /* it goes on by itself */
    close(fd);
}

static void output_can_drip(void **state) {
    (void)state;
    hand_script("drip 7");
    int fd = hand_dial_connected(0);
    hand_send_hex(fd, "00000009 00000005 0812 920100");
    assert_non_null(hand_receive(fd));
    assert_non_null(hand_got->pong);
    close(fd);
}

static void counting_only_stores_nothing(void **state) {
    (void)state;
    hand_script("count-only on");
    int fd = hand_dial_connected(0);
    hand_open_producer(fd, TOPIC, 1, "p");
    hand_send_entry(
        fd, &(struct hand_entry){
                .producer_id = 1, .name = "p", .sequence_id = 1, .highest = 50, .wrong = "crc"});
    hand_assert_receipt(fd, 1);
    assert_int_equal(hand_counts().messages, 50);
    assert_int_equal(fake_broker_store_count(fake_broker_lock(hand_broker), NULL), 0);
    fake_broker_unlock(hand_broker);
    close(fd);
}

static void messages_are_dumped_as_json(void **state) {
    (void)state;
    char path[] = "/tmp/fake-broker-XXXXXX";
    int file = mkstemp(path);
    assert_true(file >= 0);
    int fd = hand_dial_connected(0);
    hand_open_producer(fd, TOPIC "-partition-1", 1, "p");
    hand_send_one(fd, 1); /* a value that is not UTF-8 */
    hand_assert_receipt(fd, 1);
    hand_send_entry(
        fd, &(struct hand_entry){.producer_id = 1, .name = "p", .sequence_id = 2, .highest = 2});
    hand_assert_receipt(fd, 2);
    char line[128];
    (void)snprintf(line, sizeof line, "dump %s", path);
    hand_script(line);
    char text[2048] = "";
    assert_true(read(file, text, sizeof text - 1) > 0);
    assert_non_null(
        strstr(text, "{\"topic\":\"" TOPIC "\",\"partition\":1,\"producer\":\"p\",\"sequenceId\":1,"
                     "\"entry\":0,\"eventTime\":0,\"publishTime\":1700000000000,\"properties\":{},"
                     "\"valueBase64\":\"/wByYXc=\"}\n"));
    assert_non_null(strstr(text, "\"key\":\"key\",\"keyIsBase64\":false,\"eventTime\":77,"));
    assert_non_null(strstr(text, "\"properties\":{\"name\":\"value\"},\"value\":\"hello\"}\n"));
    close(file);
    unlink(path);
    close(fd);
}

static void control_answers_over_http(void **state) {
    (void)state;
    int fd = hand_dial(fake_broker_control_port(hand_broker));
    const char *post = "POST /control HTTP/1.1\r\nHost: x\r\nContent-Length: 17\r\n\r\n"
                       "partitions * 4\n#\n";
    const char *bad = "POST /control HTTP/1.1\r\ncontent-length: 5\r\n\r\nbogus";
    const char *get = "GET /control/counts HTTP/1.1\r\n\r\n";
    hand_send_bytes(fd, post, strlen(post));
    hand_send_bytes(fd, bad, strlen(bad));
    hand_send_bytes(fd, get, strlen(get));
    while (memmem(hand_input, hand_input_len, "\"violations\":0}", 15) == NULL) {
        assert_true(hand_read_more(fd));
    }
    hand_input[hand_input_len] = '\0';
    assert_non_null(strstr(hand_input, "HTTP/1.1 200 OK\r\n"));
    assert_non_null(strstr(hand_input, "HTTP/1.1 400 Bad Request\r\n"));
    assert_non_null(strstr(hand_input, "line 1: no command is called 'bogus'"));
    close(fd);
}

int main(void) {
#define TEST(name) cmocka_unit_test_setup_teardown(name, hand_setup, hand_teardown)
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
