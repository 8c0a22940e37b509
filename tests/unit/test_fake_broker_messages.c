/* What the broker double makes of messages, as brokers do: with frames made by hand. */
#include "unit/hand_client.h"

#include "cmocka_all.h"

#include <stdio.h>
#include <unistd.h>

static void assert_ready(int fd, uint64_t id) {
    assert_non_null(hand_receive(fd));
    assert_non_null(hand_got->producer_success);
    assert_int_equal(hand_got->producer_success->request_id, 100 + id);
    assert_true(hand_got->producer_success->producer_ready);
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

/* ---- chunks ---- */

static void send_chunk(int fd, uint64_t sequence_id, int32_t chunk, const char *piece) {
    Pulsar__MessageMetadata metadata = PULSAR__MESSAGE_METADATA__INIT;
    char uuid[32];
    (void)snprintf(uuid, sizeof uuid, "p-%d", (int)sequence_id);
    metadata.uuid = uuid;
    metadata.has_num_chunks_from_msg = 1;
    metadata.num_chunks_from_msg = 3;
    metadata.has_total_chunk_msg_size = 1;
    metadata.total_chunk_msg_size = 10;
    metadata.has_chunk_id = 1;
    metadata.chunk_id = chunk;
    metadata.partition_key = (char *)(uintptr_t) "k";
    hand_send_entry(fd, &(struct hand_entry){.producer_id = 1,
                                             .name = "p",
                                             .sequence_id = sequence_id,
                                             .value = piece,
                                             .metadata = &metadata});
}

static void chunks_make_one_message(void **state) {
    (void)state;
    hand_script("dedup on");
    int fd = hand_dial_connected(0);
    hand_open_producer(fd, TOPIC, 1, "p");
    static const char *const pieces[] = {"abcd", "efgh", "ij"};
    for (int32_t i = 0; i < 3; i++) {
        send_chunk(fd, 5, i, pieces[i]);
        hand_assert_receipt(fd, 5);
        assert_int_equal(hand_got->send_receipt->message_id->entry_id, i);
    }
    const struct fake_broker_store *store = fake_broker_lock(hand_broker);
    assert_int_equal(store->count, 1);
    assert_string_equal(store->messages[0].value, "abcdefghij");
    assert_string_equal(store->messages[0].key, "k");
    assert_int_equal(store->messages[0].chunks, 3);
    fake_broker_unlock(hand_broker);
    /* The second time the last one tells that it is a duplicate. */
    for (int32_t i = 0; i < 3; i++) {
        send_chunk(fd, 5, i, pieces[i]);
        hand_assert_receipt(fd, 5);
        assert_int_equal(hand_got->send_receipt->message_id->ledger_id == UINT64_MAX, i == 2);
    }
    /* So does it when only those come again that had no receipt. */
    for (int32_t i = 1; i < 3; i++) {
        send_chunk(fd, 5, i, pieces[i]);
        hand_assert_receipt(fd, 5);
        assert_int_equal(hand_got->send_receipt->message_id->ledger_id == UINT64_MAX, i == 2);
    }
    /* Cut in the middle, and begun anew elsewhere. */
    send_chunk(fd, 6, 0, "xxxx");
    hand_assert_receipt(fd, 6);
    close(fd);
    fd = hand_dial_connected(0);
    hand_send_producer(fd, TOPIC, 1, "p", 1);
    while (hand_receive(fd)->error != NULL) { /* until the double has seen the end of the first */
        hand_send_producer(fd, TOPIC, 1, "p", 1);
    }
    for (int32_t i = 0; i < 3; i++) {
        send_chunk(fd, 6, i, pieces[i]);
        hand_assert_receipt(fd, 6);
    }
    assert_int_equal(hand_counts().messages, 2);
    assert_int_equal(hand_counts().duplicates, 2);
    hand_assert_violation("");
    close(fd);
}

static void wrong_chunks_are_violations(void **state) {
    (void)state;
    static const struct {
        const char *violation;
        const char *third; /* NULL: another entry */
        int32_t chunk;
    } cases[] = {
        {"missing", "ij", 2}, {"not one of num_chunks", "ij", 3}, {"longer", "ijklmno", 1},
        {"shorter", "i", -2}, {"between the chunks", NULL, 0},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        int fd = hand_dial_connected(0);
        hand_open_producer(fd, TOPIC, 1, "p");
        send_chunk(fd, 1, 0, "abcd");
        hand_assert_receipt(fd, 1);
        if (cases[i].third == NULL) {
            hand_send_one(fd, 2);
        } else if (cases[i].chunk == -2) {
            send_chunk(fd, 1, 1, "efgh");
            hand_assert_receipt(fd, 1);
            send_chunk(fd, 1, 2, cases[i].third);
        } else {
            send_chunk(fd, 1, cases[i].chunk, cases[i].third);
        }
        assert_null(hand_receive(fd));
        hand_assert_violation(cases[i].violation);
        close(fd);
        hand_teardown(NULL);
        assert_int_equal(hand_setup(NULL), 0);
    }
}

/* ---- deduplication, order ---- */

static void pushed_is_not_persisted(void **state) {
    (void)state;
    hand_script("dedup on\npersist-delay 100000");
    int fd = hand_dial_connected(0);
    hand_open_producer(fd, TOPIC, 1, "p");
    hand_send_entry(
        fd, &(struct hand_entry){.producer_id = 1, .name = "p", .sequence_id = 4, .highest = 6});
    assert_true(fake_broker_wait_messages(hand_broker, 3, HAND_PATIENCE_MS));
    hand_send_one(fd, 5);
    assert_send_error(fd, PULSAR__SERVER_ERROR__PersistenceError, "Cannot determine");
    close(fd);

    /* Another one of the name is told what is safe. What the first left on its way gets there. */
    hand_script("persist-delay 50");
    fd = hand_dial_connected(0);
    do {
        hand_send_producer(fd, TOPIC, 1, "p", 1);
    } while (hand_receive(fd)->error != NULL);
    assert_int_equal(hand_got->producer_success->last_sequence_id, -1);
    hand_send_one(fd, 7);
    hand_assert_receipt(fd, 7); /* when it is safe */
    close(fd);
    fd = hand_dial_connected(0);
    do {
        hand_send_producer(fd, TOPIC, 1, "p", 1);
    } while (hand_receive(fd)->error != NULL);
    assert_int_equal(hand_got->producer_success->last_sequence_id, 7);
    hand_send_one(fd, 8);
    assert_true(fake_broker_wait_messages(hand_broker, 5, HAND_PATIENCE_MS));
    close(fd); /* it gets there all the same */
    fd = hand_dial_connected(0);
    int64_t last = -1;
    while (last < 8) {
        hand_send_producer(fd, TOPIC, 1, "p", 1);
        assert_non_null(hand_receive(fd));
        if (hand_got->producer_success != NULL) {
            last = hand_got->producer_success->last_sequence_id;
            close_producer(fd, 1);
            assert_non_null(hand_receive(fd)->success);
        }
    }
    assert_int_equal(last, 8);
    assert_int_equal(hand_counts().messages, 5);
    hand_assert_violation("");
    close(fd);
}

static void gaps_within_a_batch(void **state) {
    (void)state;
    static const uint64_t ids[] = {5, 7, 20};
    int fd = hand_dial_connected(0);
    hand_open_producer(fd, TOPIC, 1, "p");
    hand_send_entry(fd, &(struct hand_entry){.producer_id = 1,
                                             .name = "p",
                                             .sequence_id = 5,
                                             .highest = 20,
                                             .ids = ids,
                                             .id_count = 3});
    hand_assert_receipt(fd, 5);
    assert_int_equal(hand_got->send_receipt->highest_sequence_id, 20);
    const struct fake_broker_store *store = fake_broker_lock(hand_broker);
    assert_int_equal(store->count, 3);
    assert_int_equal(store->messages[1].sequence_id, 7);
    assert_int_equal(store->messages[2].sequence_id, 20);
    assert_int_equal(fake_broker_store_persisted(store, STR(TOPIC), STR("p")), 20);
    fake_broker_unlock(hand_broker);
    hand_assert_violation("");
    close(fd);
}

static void strict_about_order_and_bytes(void **state) {
    (void)state;
    hand_script("strict on");
    int fd = hand_dial_connected(0);
    hand_open_producer(fd, TOPIC, 1, "p");
    hand_send_one(fd, 5);
    hand_assert_receipt(fd, 5);
    hand_send_producer(fd, TOPIC, 1, "p", 1); /* a new life */
    assert_ready(fd, 1);
    hand_send_one(fd, 5);
    hand_assert_receipt(fd, 5);
    hand_send_one(fd, 5);
    assert_null(hand_receive(fd));
    hand_assert_violation("do not rise");
    close(fd);

    fd = hand_dial_connected(0);
    do {
        hand_send_producer(fd, TOPIC, 1, "p", 2);
    } while (hand_receive(fd)->error != NULL);
    uint64_t violations = hand_counts().violations;
    hand_send_entry(fd, &(struct hand_entry){
                            .producer_id = 1, .name = "p", .sequence_id = 5, .value = "other"});
    assert_null(hand_receive(fd));
    assert_int_equal(hand_counts().violations, violations + 1);
    close(fd);
}

static void keys_do_not_mix(void **state) {
    (void)state;
    hand_script("key-based on");
    Pulsar__MessageMetadata metadata = PULSAR__MESSAGE_METADATA__INIT;
    metadata.partition_key = (char *)(uintptr_t) "a";
    static const char *const same[] = {"a", "a"};
    static const char *const other[] = {"a", "b"};
    int fd = hand_dial_connected(0);
    hand_open_producer(fd, TOPIC, 1, "p");
    struct hand_entry entry = {.producer_id = 1,
                               .name = "p",
                               .sequence_id = 1,
                               .highest = 2,
                               .metadata = &metadata,
                               .keys = same};
    hand_send_entry(fd, &entry);
    hand_assert_receipt(fd, 1);
    const struct fake_broker_store *store = fake_broker_lock(hand_broker);
    assert_string_equal(store->messages[1].entry_key, "a");
    assert_int_equal(store->messages[1].batch_index, 1);
    assert_int_equal(store->messages[0].entry, store->messages[1].entry);
    fake_broker_unlock(hand_broker);
    entry.keys = other;
    entry.sequence_id = 3;
    entry.highest = 4;
    hand_send_entry(fd, &entry);
    assert_null(hand_receive(fd));
    hand_assert_violation("another key");
    close(fd);
}

static void what_a_message_carries_is_kept(void **state) {
    (void)state;
    int fd = hand_dial_connected(0);
    hand_open_producer(fd, TOPIC, 1, "p");
    static uint8_t ordering[] = {0xff, 1};
    Pulsar__MessageMetadata metadata = PULSAR__MESSAGE_METADATA__INIT;
    metadata.partition_key = (char *)(uintptr_t) "a2V5";
    metadata.has_partition_key_b64_encoded = 1;
    metadata.partition_key_b64_encoded = 1;
    metadata.has_ordering_key = 1;
    metadata.ordering_key = (ProtobufCBinaryData){.len = 2, .data = ordering};
    metadata.has_deliver_at_time = 1;
    metadata.deliver_at_time = 1800000000000;
    metadata.has_null_value = 1;
    metadata.null_value = 1;
    hand_send_entry(fd, &(struct hand_entry){
                            .producer_id = 1, .name = "p", .metadata = &metadata, .value = ""});
    hand_assert_receipt(fd, 0);
    struct buf json;
    buf_init(&json, 65536);
    const struct fake_broker_store *store = fake_broker_lock(hand_broker);
    fake_broker_store_json(&store->messages[0], &json);
    fake_broker_unlock(hand_broker);
    assert_non_null(strstr(
        buf_text(&json), "\"entry\":0,\"entryKey\":\"a2V5\",\"key\":\"a2V5\",\"keyIsBase64\":true,"
                         "\"orderingKeyBase64\":\"/wE=\",\"deliverAt\":1800000000000,"));
    assert_non_null(strstr(buf_text(&json), "\"value\":null}"));
    buf_done(&json);
    hand_send_entry(
        fd,
        &(struct hand_entry){
            .producer_id = 1, .name = "p", .sequence_id = 1, .highest = 2, .metadata = &metadata});
    assert_null(hand_receive(fd));
    hand_assert_violation("delayed");
    close(fd);
}

static void receipts_can_lie(void **state) {
    (void)state;
    int fd = hand_dial_connected(0);
    hand_open_producer(fd, TOPIC, 1, "p");
    struct hand_entry entry = {.producer_id = 1, .name = "p", .sequence_id = 1, .highest = 3};
    hand_script("stale-receipt SEND 1\nfuture-receipt SEND 1 after 1\nlast-id-receipt SEND 1 after "
                "1\nduplicate-receipt SEND 1 after 3");
    hand_send_entry(fd, &entry);
    hand_assert_receipt(fd, 1);
    hand_assert_receipt(fd, 1);
    static const uint64_t receipts[] = {1009, 15, 16};
    for (size_t i = 0; i < 3; i++) {
        entry.sequence_id = 4 + 6 * i;
        entry.highest = entry.sequence_id + 5;
        hand_send_entry(fd, &entry);
        hand_assert_receipt(fd, receipts[i]);
        assert_int_equal(hand_got->send_receipt->message_id->ledger_id == UINT64_MAX, i == 2);
    }
    assert_int_equal(hand_counts().messages, 21);
    close(fd);
}

int main(void) {
#define TEST(name) cmocka_unit_test_setup_teardown(name, hand_setup, hand_teardown)
    const struct CMUnitTest tests[] = {
        TEST(chunks_make_one_message),        TEST(wrong_chunks_are_violations),
        TEST(pushed_is_not_persisted),        TEST(gaps_within_a_batch),
        TEST(strict_about_order_and_bytes),   TEST(keys_do_not_mix),
        TEST(what_a_message_carries_is_kept), TEST(receipts_can_lie),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
