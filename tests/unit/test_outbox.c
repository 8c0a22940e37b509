/* What a partition holds between taking and reporting, without a connection. */
#include "unit/cmocka_all.h"

#include "pulsar/outbox.h"
#include "pulsar/wire.h"
#include "pulsar_api.pb-c.h"
#include "unit/sim_lane.h"

#include <aws/checksums/checksums.h>
#include <aws/common/common.h>

#include <stdlib.h>

struct rig {
    struct sim_lane lane;
    struct batch_pool pool;
    struct memory_budget budget;
    struct outbox_shared shared;
    struct outbox outbox;
    uint64_t next_token;
};

static int setup(void **state) {
    struct rig *rig = calloc(1, sizeof *rig);
    sim_lane_init(&rig->lane, 1);
    batch_pool_init(&rig->pool, SIZE_MAX);
    rig->budget.max_bytes = SIZE_MAX;
    rig->shared = (struct outbox_shared){
        .lane = &rig->lane.base,
        .pool = &rig->pool,
        .budget = &rig->budget,
        .max_pending_bytes = 64 * 1024 * 1024,
        .limits =
            {
                .max_messages = 1000,
                .max_bytes = 128 * 1024,
                .max_message_size = 5 * 1024 * 1024,
                .name_len = 1,
            },
    };
    *state = rig;
    return compressor_init(&rig->shared.compressor, PULSAR_COMPRESSION_NONE) ? 0 : -1;
}

static void start(struct rig *rig) {
    assert_true(outbox_init(&rig->outbox, &rig->shared));
    rig->outbox.header.producer_id = 1;
    rig->outbox.header.producer_name = STR("p");
}

static int teardown(void **state) {
    struct rig *rig = *state;
    outbox_done(&rig->outbox);
    assert_int_equal(rig->shared.stats.in_flight, 0);
    assert_int_equal(rig->shared.stats.in_flight_bytes, 0);
    assert_int_equal(rig->budget.held_bytes, 0);
    batch_pool_done(&rig->pool);
    compressor_done(&rig->shared.compressor);
    free(rig);
    return 0;
}

/* Tokens count from 0. */
static enum pulsar_send put_message(struct rig *rig, const struct pulsar_message *message) {
    struct err err = ERR_NONE;
    enum pulsar_send sent = outbox_put(&rig->outbox, message, rig->next_token, &err);
    rig->next_token += sent == PULSAR_SEND_TAKEN;
    assert_int_equal(err_is_set(&err), sent == PULSAR_SEND_REFUSED);
    return sent;
}

static enum pulsar_send put(struct rig *rig, const char *key, const char *value) {
    struct str part = str_of(value);
    struct pulsar_message message = {
        .key = key != NULL ? str_of(key) : STR_NONE, .value = &part, .value_parts = 1};
    return put_message(rig, &message);
}

static enum pulsar_send put_id(struct rig *rig, uint64_t sequence_id) {
    struct str part = STR("v");
    struct pulsar_message message = {.value = &part, .value_parts = 1, .sequence_id = sequence_id};
    return put_message(rig, &message);
}

/* The next that waits to be sent; NULL: none does. */
static struct batch *send_next(struct rig *rig) {
    struct batch *batch = outbox_next_unsent(&rig->outbox);
    if (batch != NULL) {
        batch->sent = true;
    }
    return batch;
}

/* All that waits to be sent, as batches of so many messages. */
static size_t send_all(struct rig *rig) {
    size_t count = 0;
    while (send_next(rig) != NULL) {
        count++;
    }
    return count;
}

static void release(struct rig *rig, struct batch *batch) {
    outbox_uncount(&rig->outbox, batch);
    batch_release(batch);
}

static void receive(struct rig *rig, uint64_t sequence_id, uint64_t first_token, uint32_t count) {
    struct batch *batch = NULL;
    assert_int_equal(outbox_match(&rig->outbox, sequence_id, &batch), OUTBOX_OLDEST);
    assert_int_equal(batch->count, count);
    for (uint32_t i = 0; i < count; i++) {
        assert_int_equal(batch->tokens[i], first_token + i);
    }
    release(rig, batch);
}

static Pulsar__MessageMetadata *metadata_of(const struct batch *batch) {
    const char *command = batch->frame.data + 8;
    const char *size = command + wire_get_be32(batch->frame.data + 4) + 2 + 4;
    Pulsar__MessageMetadata *metadata =
        pulsar__message_metadata__unpack(NULL, wire_get_be32(size), (const uint8_t *)size + 4);
    assert_non_null(metadata);
    return metadata;
}

static void receipts_match_the_oldest_only(void **state) {
    struct rig *rig = *state;
    rig->shared.limits.max_messages = 2;
    start(rig);
    for (int i = 0; i < 5; i++) {
        assert_int_equal(put(rig, NULL, "v"), PULSAR_SEND_TAKEN);
    }
    assert_true(outbox_has_open(&rig->outbox));
    assert_int_equal(send_all(rig), 2);
    struct batch *batch = NULL;
    assert_int_equal(outbox_match(&rig->outbox, 2, &batch), OUTBOX_FUTURE);
    receive(rig, 1, 0, 2); /* the last id of a batch will do as well as its first */
    assert_int_equal(outbox_match(&rig->outbox, 0, &batch), OUTBOX_OLD);
    receive(rig, 2, 2, 2);
    assert_int_equal(outbox_match(&rig->outbox, 4, &batch), OUTBOX_OLD); /* not sealed yet */
    assert_null(batch);
    outbox_seal(&rig->outbox);
    assert_int_equal(send_all(rig), 1);
    receive(rig, 4, 4, 1);
    assert_int_equal(outbox_oldest_ns(&rig->outbox), 0);
}

static void a_new_connection_gets_the_same_frames_again(void **state) {
    struct rig *rig = *state;
    rig->shared.limits.max_messages = 1;
    start(rig);
    for (int i = 0; i < 3; i++) {
        assert_int_equal(put(rig, "k", "v"), PULSAR_SEND_TAKEN);
    }
    struct batch *first = send_next(rig);
    const char *bytes = first->frame.data;
    size_t len = first->frame.len;
    assert_int_equal(send_all(rig), 2);
    assert_int_equal(outbox_largest_frame(&rig->outbox), len);
    sim_lane_advance(&rig->lane, 1000);
    outbox_rewind(&rig->outbox);
    assert_ptr_equal(send_next(rig), first);
    assert_ptr_equal(first->frame.data, bytes);
    assert_int_equal(first->frame.len, len);
    assert_int_equal(send_all(rig), 2);
}

static void a_receipt_of_what_was_not_sent(void **state) {
    struct rig *rig = *state;
    start(rig);
    assert_int_equal(put(rig, "k", "v"), PULSAR_SEND_TAKEN);
    outbox_seal(&rig->outbox);
    struct batch *batch = NULL;
    assert_int_equal(outbox_match(&rig->outbox, 0, &batch), OUTBOX_FUTURE);
    assert_int_equal(send_all(rig), 1);
    receive(rig, 0, 0, 1);
}

static void a_refused_batch_waits_for_its_turn(void **state) {
    struct rig *rig = *state;
    rig->shared.limits.max_messages = 1;
    start(rig);
    for (int i = 0; i < 3; i++) {
        assert_int_equal(put(rig, NULL, "v"), PULSAR_SEND_TAKEN);
    }
    assert_int_equal(send_all(rig), 3);
    struct err err;
    err_set(&err, ERR_PULSAR_REFUSED, "not allowed");
    assert_null(outbox_find(&rig->outbox, 3));
    struct batch *refused = outbox_find(&rig->outbox, 1);
    assert_true(outbox_refuse(refused, &err));
    assert_null(outbox_take_settled(&rig->outbox));
    assert_null(outbox_find(&rig->outbox, 1)); /* the error of an error */
    outbox_rewind(&rig->outbox);
    assert_int_equal(send_all(rig), 2); /* it is not sent again */
    receive(rig, 0, 0, 1);
    struct batch *settled = outbox_take_settled(&rig->outbox);
    assert_ptr_equal(settled, refused);
    assert_int_equal(settled->refusal->code, ERR_PULSAR_REFUSED);
    release(rig, settled);
    assert_null(outbox_take_settled(&rig->outbox));
    receive(rig, 2, 2, 1);
}

static void everything_leaves_in_order(void **state) {
    struct rig *rig = *state;
    rig->shared.limits.max_messages = 2;
    start(rig);
    for (int i = 0; i < 7; i++) {
        assert_int_equal(put(rig, NULL, "v"), PULSAR_SEND_TAKEN);
    }
    uint64_t token = 0;
    for (struct batch *batch = outbox_take_all(&rig->outbox); batch != NULL;) {
        struct batch *next = batch->next;
        for (uint32_t i = 0; i < batch->count; i++) {
            assert_int_equal(batch->tokens[i], token++);
        }
        release(rig, batch);
        batch = next;
    }
    assert_int_equal(token, 7);
    assert_int_equal(put(rig, NULL, "v"), PULSAR_SEND_TAKEN); /* and it goes on */
    outbox_seal(&rig->outbox);
    assert_int_equal(send_all(rig), 1);
    receive(rig, 7, 7, 1);
}

static void one_batch_for_each_key(void **state) {
    struct rig *rig = *state;
    rig->shared.by_key = true;
    rig->shared.limits.late_ids = true;
    rig->shared.limits.max_messages = 7;
    start(rig);
    static const char *const keys[] = {"a", "b", "a", "", "c", "b", "a"};
    for (size_t i = 0; i < 6; i++) {
        assert_int_equal(put(rig, keys[i], "v"), PULSAR_SEND_TAKEN);
        assert_null(rig->outbox.unsent);
    }
    /* All are sealed when they have the messages of one together, in the order of their first. */
    assert_int_equal(put(rig, keys[6], "v"), PULSAR_SEND_TAKEN);
    assert_false(outbox_has_open(&rig->outbox));
    static const struct {
        const char *key;
        int count;
        uint64_t first;
        uint64_t tokens[3];
    } batches[] = {{"a", 3, 0, {0, 2, 6}}, {"b", 2, 3, {1, 5}}, {"", 1, 5, {3}}, {"c", 1, 6, {4}}};
    for (size_t i = 0; i < 4; i++) {
        struct batch *batch = send_next(rig);
        Pulsar__MessageMetadata *metadata = metadata_of(batch);
        assert_string_equal(metadata->partition_key, batches[i].key);
        assert_int_equal(metadata->num_messages_in_batch, batches[i].count);
        assert_int_equal(metadata->sequence_id, batches[i].first);
        assert_int_equal(metadata->highest_sequence_id,
                         batches[i].first + (uint64_t)batches[i].count - 1);
        for (int t = 0; t < batches[i].count; t++) {
            assert_int_equal(batch->tokens[t], batches[i].tokens[t]);
        }
        pulsar__message_metadata__free_unpacked(metadata, NULL);
    }
    assert_null(send_next(rig));
}

static void many_keys_and_their_ordering_keys(void **state) {
    struct rig *rig = *state;
    rig->shared.by_key = true;
    rig->shared.limits.late_ids = true;
    start(rig);
    for (int i = 0; i < 999; i++) {
        char key[16];
        char ordering[16];
        (void)snprintf(key, sizeof key, "k%d", i);
        (void)snprintf(ordering, sizeof ordering, "o%d", i % 300);
        struct pulsar_message message = {.key = str_of(key), .ordering_key = str_of(ordering)};
        assert_int_equal(put_message(rig, &message), PULSAR_SEND_TAKEN);
    }
    outbox_seal(&rig->outbox);
    assert_int_equal(send_all(rig), 300);
}

static void a_delayed_message_goes_alone_and_in_order(void **state) {
    struct rig *rig = *state;
    start(rig);
    assert_int_equal(put(rig, "k", "1"), PULSAR_SEND_TAKEN);
    assert_int_equal(put(rig, "k", "2"), PULSAR_SEND_TAKEN);
    struct pulsar_message late = {.key = STR("k"), .deliver_at_ms = 1800000000000};
    assert_int_equal(put_message(rig, &late), PULSAR_SEND_TAKEN);
    assert_int_equal(put(rig, "k", "4"), PULSAR_SEND_TAKEN);
    outbox_seal(&rig->outbox);
    (void)send_next(rig);
    Pulsar__MessageMetadata *metadata = metadata_of(send_next(rig));
    assert_int_equal(metadata->deliver_at_time, 1800000000000);
    assert_false(metadata->has_num_messages_in_batch);
    assert_int_equal(metadata->sequence_id, 2);
    pulsar__message_metadata__free_unpacked(metadata, NULL);
    assert_int_equal(send_all(rig), 1);
    receive(rig, 0, 0, 2);
    receive(rig, 2, 2, 1);
    receive(rig, 3, 3, 1);
}

static void a_large_message_goes_in_chunks(void **state) {
    struct rig *rig = *state;
    enum { LIMIT = 4096, BYTES = 20000 };
    rig->shared.limits.max_message_size = LIMIT;
    rig->shared.limits.max_whole_size = 30000;
    start(rig);
    assert_int_equal(put(rig, "k", "before"), PULSAR_SEND_TAKEN);
    static char value[40000];
    for (size_t i = 0; i < sizeof value; i++) {
        value[i] = (char)('a' + i % 23);
    }
    struct str part = str_make(value, BYTES);
    struct pulsar_message message = {.key = STR("k"), .value = &part, .value_parts = 1};
    assert_int_equal(put_message(rig, &message), PULSAR_SEND_TAKEN);
    assert_int_equal(put(rig, "k", "behind"), PULSAR_SEND_TAKEN);
    outbox_seal(&rig->outbox);

    (void)send_next(rig);
    static char whole[BYTES];
    size_t at = 0;
    int chunks = 0;
    while (at < BYTES) {
        struct batch *batch = send_next(rig);
        Pulsar__MessageMetadata *metadata = metadata_of(batch);
        assert_string_equal(metadata->uuid, "p-1");
        assert_int_equal(metadata->sequence_id, 1);
        assert_int_equal(metadata->chunk_id, chunks++);
        assert_int_equal(metadata->total_chunk_msg_size, BYTES);
        assert_string_equal(metadata->partition_key, "k");
        assert_false(metadata->has_num_messages_in_batch);
        size_t len = batch_payload_len(batch);
        assert_true(4 + pulsar__message_metadata__get_packed_size(metadata) + len <= LIMIT);
        memcpy(whole + at, batch->memory + batch->start, len);
        at += len;
        assert_int_equal(batch->count, at == BYTES ? 1 : 0);
        if (at == BYTES) {
            assert_int_equal(metadata->num_chunks_from_msg, chunks);
        }
        pulsar__message_metadata__free_unpacked(metadata, NULL);
    }
    assert_int_equal(at, BYTES);
    assert_memory_equal(whole, value, BYTES);
    assert_int_equal(send_all(rig), 1);

    receive(rig, 0, 0, 1);
    for (int i = 1; i < chunks; i++) {
        receive(rig, 1, 1, 0);
    }
    receive(rig, 1, 1, 1);
    receive(rig, 2, 2, 1);

    part.len = 30001; /* over what may be held at all */
    assert_int_equal(put_message(rig, &message), PULSAR_SEND_REFUSED);
}

static void a_refused_chunk_ends_its_message(void **state) {
    struct rig *rig = *state;
    rig->shared.limits.max_message_size = 4096;
    rig->shared.limits.max_whole_size = 30000;
    start(rig);
    static char value[20000];
    struct str part = str_make(value, sizeof value);
    struct pulsar_message message = {.value = &part, .value_parts = 1};
    assert_int_equal(put_message(rig, &message), PULSAR_SEND_TAKEN);
    (void)send_next(rig); /* the others are not yet */
    struct err err;
    err_set(&err, ERR_PULSAR_REFUSED, "not allowed");
    assert_true(outbox_refuse(outbox_find(&rig->outbox, 0), &err));
    assert_null(send_next(rig));
    struct batch *batch;
    uint32_t reported = 0;
    while ((batch = outbox_take_settled(&rig->outbox)) != NULL) {
        reported += batch->count;
        assert_true(batch->count == 0 || batch->refusal->code == ERR_PULSAR_REFUSED);
        release(rig, batch);
    }
    assert_int_equal(reported, 1);
    assert_null(rig->outbox.pending);
}

static void explicit_ids_rise_and_may_leave_gaps(void **state) {
    struct rig *rig = *state;
    rig->shared.explicit_ids = true;
    start(rig);
    rig->outbox.unproven = false;
    assert_int_equal(put_id(rig, 10), PULSAR_SEND_TAKEN);
    assert_int_equal(put_id(rig, 10), PULSAR_SEND_REFUSED);
    assert_int_equal(put_id(rig, 9), PULSAR_SEND_REFUSED);
    assert_int_equal(put_id(rig, 15), PULSAR_SEND_TAKEN);
    assert_int_equal(put_id(rig, (uint64_t)INT64_MAX + 1), PULSAR_SEND_REFUSED);
    outbox_seal(&rig->outbox);
    Pulsar__MessageMetadata *metadata = metadata_of(send_next(rig));
    assert_int_equal(metadata->sequence_id, 10);
    assert_int_equal(metadata->highest_sequence_id, 15);
    pulsar__message_metadata__free_unpacked(metadata, NULL);
    receive(rig, 10, 0, 2);
}

static void what_is_stored_is_not_sent_again(void **state) {
    struct rig *rig = *state;
    rig->shared.explicit_ids = true;
    start(rig);
    rig->outbox.last_stored = 5;
    assert_int_equal(put_id(rig, 3), PULSAR_SEND_TAKEN);
    assert_int_equal(put_id(rig, 5), PULSAR_SEND_TAKEN);
    assert_null(rig->outbox.unsent);
    struct batch *known = outbox_take_known(&rig->outbox);
    assert_int_equal(known->count, 2);
    assert_int_equal(known->tokens[1], 1);
    release(rig, known);

    /* The first that may be new goes alone, until it is known to be. */
    assert_int_equal(put_id(rig, 6), PULSAR_SEND_TAKEN);
    assert_false(outbox_has_open(&rig->outbox));
    assert_false(outbox_can_put(&rig->outbox));
    assert_int_equal(put_id(rig, 7), PULSAR_SEND_FULL);
    assert_int_equal(send_all(rig), 1);
    receive(rig, 6, 2, 1);
    assert_true(outbox_can_put(&rig->outbox));
    rig->outbox.unproven = false;
    assert_int_equal(put_id(rig, 7), PULSAR_SEND_TAKEN);
    assert_int_equal(put_id(rig, 8), PULSAR_SEND_TAKEN);
    assert_true(outbox_has_open(&rig->outbox));
}

static void memory_of_the_producer_and_of_all(void **state) {
    struct rig *rig = *state;
    start(rig);
    static char value[3000];
    struct str part = str_make(value, sizeof value);
    struct pulsar_message message = {.value = &part, .value_parts = 1};
    rig->shared.max_pending_bytes = 20000;
    assert_int_equal(put_message(rig, &message), PULSAR_SEND_TAKEN);
    while (put_message(rig, &message) == PULSAR_SEND_TAKEN) {
        outbox_seal(&rig->outbox);
    }
    assert_in_range(rig->shared.stats.in_flight_bytes, 3000, 20000);
    rig->shared.max_pending_bytes = 1 << 20;
    assert_int_equal(put_message(rig, &message), PULSAR_SEND_TAKEN);
    rig->budget.max_bytes = rig->budget.held_bytes;
    outbox_seal(&rig->outbox);
    assert_int_equal(put_message(rig, &message), PULSAR_SEND_FULL);
    /* One message is always possible. */
    for (struct batch *batch = outbox_take_all(&rig->outbox); batch != NULL;) {
        struct batch *next = batch->next;
        release(rig, batch);
        batch = next;
    }
    rig->budget.max_bytes = 1;
    assert_int_equal(put_message(rig, &message), PULSAR_SEND_TAKEN);
    outbox_seal(&rig->outbox);
    assert_int_equal(put_message(rig, &message), PULSAR_SEND_FULL);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void) {
    aws_checksums_library_init(aws_default_allocator());
    const struct CMUnitTest tests[] = {
        TEST(receipts_match_the_oldest_only),
        TEST(a_new_connection_gets_the_same_frames_again),
        TEST(a_receipt_of_what_was_not_sent),
        TEST(a_refused_batch_waits_for_its_turn),
        TEST(everything_leaves_in_order),
        TEST(one_batch_for_each_key),
        TEST(many_keys_and_their_ordering_keys),
        TEST(a_delayed_message_goes_alone_and_in_order),
        TEST(a_large_message_goes_in_chunks),
        TEST(a_refused_chunk_ends_its_message),
        TEST(explicit_ids_rise_and_may_leave_gaps),
        TEST(what_is_stored_is_not_sent_again),
        TEST(memory_of_the_producer_and_of_all),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
