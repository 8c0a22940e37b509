/* What a client of Pulsar sends: batches, keys, sizes, chunks, schemas; and what it makes of
 * receipts. */
#include "unit/sender.h"

#include "cmocka_all.h"

#include <inttypes.h>
#include <stdio.h>

/* ---- receipts ---- */

/* "receipt stale / future / batch first-id / batch last-id / -1:-1" */
static void receipts_of_every_kind(void **state) {
    (void)state;
    static const struct {
        const char *fault;
        uint64_t connects;
        size_t duplicates;
    } cases[] = {
        {"stale-receipt SEND 20", 1, 0},
        {"future-receipt SEND 1 after 5", 2, 0}, /* and what had none comes again */
        {"last-id-receipt SEND 20", 1, 0},
        {"duplicate-receipt SEND 2 after 3", 1, 20},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct stage *stage = stage_new();
        struct sender *sender = sender_new(stage);
        sender->options.batch_max_messages = 10;
        sender->double_is_fine = cases[i].connects > 1;
        sender_open_ready(sender);
        stage_script(stage, "receipt-delay 5\n%s", cases[i].fault);
        sender_send(sender, 300);
        sender_finish(sender);
        assert_int_equal(stage_counts(stage).connects, cases[i].connects);
        assert_int_equal(sender->fates[FATE_DUPLICATE], cases[i].duplicates);
        assert_int_equal(sender->stats.duplicates, cases[i].duplicates);
        assert_int_equal(sender->stats.in_flight, 0);
        assert_int_equal(sender->stats.in_flight_bytes, 0);
        stage_free(stage);
    }
}

/* ---- keys ---- */

static const struct {
    const char *key;
    uint32_t murmur3; /* of 10 partitions */
    uint32_t java;
} keys[] = {
    {"a", 0, 7},  {"key", 8, 9},           {"my-key", 3, 6},       {"user#123", 5, 6},
    {"k1", 6, 6}, {"Z\xc3\xbcrich", 1, 6}, {"\xe9\x8d\xb5", 8, 9}, {"\xf0\x9f\x98\x80", 8, 9},
};
enum { KEYS = sizeof keys / sizeof keys[0] };

static void known_key(struct sender *sender, uint64_t token, struct pulsar_message *message) {
    (void)sender;
    message->key = str_of(keys[token % KEYS].key);
}

/* "non-ASCII key routes as Java" */
static void keys_route_as_with_java(void **state) {
    (void)state;
    for (int java = 0; java < 2; java++) {
        struct stage *stage = stage_new();
        struct sender *sender = sender_new(stage);
        sender->options.hashing = java ? PULSAR_HASHING_JAVA_STRING : PULSAR_HASHING_MURMUR3;
        sender->make = known_key;
        stage_script(stage, "partitions * 10");
        sender_open_ready(sender);
        assert_int_equal(sender->partitions, 10);
        sender_send(sender, 5 * KEYS);
        sender_finish(sender);
        for (size_t i = 0; i < 5 * KEYS; i++) {
            assert_int_equal(sender->reports[i].partition,
                             java ? keys[i % KEYS].java : keys[i % KEYS].murmur3);
        }
        const struct fake_broker_store *store = fake_broker_lock(stage->broker);
        for (uint64_t i = 0; i < KEYS; i++) {
            const struct fake_message *message;
            assert_true(sender_find(sender, store, i, &message));
            assert_string_equal(message->key, keys[i].key);
            assert_false(message->key_is_base64);
        }
        fake_broker_unlock(stage->broker);
        stage_free(stage);
    }
}

static void every_field(struct sender *sender, uint64_t token, struct pulsar_message *message) {
    static const struct pulsar_property properties[] = {{STR("name"), STR("value")},
                                                        {STR("n\xc3\xa4me"), STR("")}};
    (void)sender;
    switch (token % 6) {
    case 0:
        message->key = str_make("\xff\0k", 3);
        message->key_is_binary = true;
        break;
    case 1:
        message->key = STR("/wBr");
        message->key_is_base64 = true;
        break;
    case 2:
        message->ordering_key = str_make("\0\x80", 2);
        message->event_time_ms = 1700000000123;
        break;
    case 3:
        message->key = STR("");
        message->properties = properties;
        message->property_count = 2;
        break;
    case 4:
        message->key = STR_NONE;
        break;
    default:
        message->event_time_ms = 1;
    }
}

static void check_fields(const struct fake_message *message, uint64_t token) {
    switch (token % 6) {
    case 0:
    case 1:
        assert_string_equal(message->key, "/wBr");
        assert_true(message->key_is_base64);
        break;
    case 2:
        assert_int_equal(message->ordering_key_len, 2);
        assert_memory_equal(message->ordering_key, "\0\x80", 2);
        assert_int_equal(message->event_time, 1700000000123);
        assert_non_null(message->key);
        break;
    case 3:
        assert_string_equal(message->key, "");
        assert_int_equal(message->property_count, 2);
        assert_string_equal(message->properties[0].name, "name");
        assert_string_equal(message->properties[0].value, "value");
        assert_string_equal(message->properties[1].name, "n\xc3\xa4me");
        assert_string_equal(message->properties[1].value, "");
        break;
    case 4:
        assert_null(message->key);
        assert_null(message->ordering_key);
        break;
    default:
        assert_int_equal(message->event_time, 1);
    }
    assert_true(message->publish_time > 1700000000000);
    assert_false(message->null_value);
    assert_int_equal(message->deliver_at, 0);
}

/* "binary key b64", and whatever else a message may carry, in a batch and on its own */
static void everything_a_message_may_carry(void **state) {
    (void)state;
    static const enum pulsar_batching batching[] = {PULSAR_BATCHING_DEFAULT, PULSAR_BATCHING_NONE,
                                                    PULSAR_BATCHING_KEY_BASED};
    for (size_t i = 0; i < 3; i++) {
        struct stage *stage = stage_new();
        struct sender *sender = sender_new(stage);
        sender->options.batching = batching[i];
        sender->make = every_field;
        sender_open_ready(sender);
        sender_send(sender, 120);
        sender_finish(sender);
        const struct fake_broker_store *store = fake_broker_lock(stage->broker);
        for (uint64_t token = 0; token < 120; token++) {
            const struct fake_message *message = NULL;
            assert_true(sender_find(sender, store, token, &message));
            check_fields(message, token);
            assert_int_equal(message->batch_index < 0, batching[i] == PULSAR_BATCHING_NONE);
        }
        fake_broker_unlock(stage->broker);
        stage_free(stage);
    }
}

static void tombstone(struct sender *sender, uint64_t token, struct pulsar_message *message) {
    (void)snprintf(sender->key, sizeof sender->key, "gone-%" PRIu64, token);
    message->key = str_of(sender->key);
    message->value_parts = 0;
    message->null_value = true;
}

/* "tombstone" */
static void tombstones(void **state) {
    (void)state;
    for (int raw = 0; raw < 2; raw++) {
        struct stage *stage = stage_new();
        struct sender *sender = sender_new(stage);
        sender->options.batching = raw ? PULSAR_BATCHING_NONE : PULSAR_BATCHING_DEFAULT;
        sender->options.compression = PULSAR_COMPRESSION_LZ4;
        sender->make = tombstone;
        sender_open_ready(sender);
        sender_send(sender, 10);
        sender_drain(sender);
        const struct fake_broker_store *store = fake_broker_lock(stage->broker);
        assert_int_equal(store->count, 10);
        for (size_t i = 0; i < 10; i++) {
            char key[32];
            (void)snprintf(key, sizeof key, "gone-%zu", i);
            assert_string_equal(store->messages[i].key, key);
            assert_true(store->messages[i].null_value);
            assert_int_equal(store->messages[i].value_len, 0);
        }
        fake_broker_unlock(stage->broker);
        stage_free(stage);
    }
}

/* ---- batches ---- */

/* "zlib/lz4/zstd/snappy entries"; the double takes them apart. */
static void every_compression(void **state) {
    (void)state;
    for (int compression = PULSAR_COMPRESSION_NONE; compression <= PULSAR_COMPRESSION_SNAPPY;
         compression++) {
        for (int raw = 0; raw < 2; raw++) {
            struct stage *stage = stage_new();
            struct sender *sender = sender_new(stage);
            sender->options.compression = (enum pulsar_compression)compression;
            sender->options.batching = raw ? PULSAR_BATCHING_NONE : PULSAR_BATCHING_DEFAULT;
            sender->value_len = 100;
            sender_open_ready(sender);
            sender_send(sender, 500);
            sender_finish(sender);
            stage_free(stage);
        }
    }
}

static void some_delayed(struct sender *sender, uint64_t token, struct pulsar_message *message) {
    (void)sender;
    message->deliver_at_ms = token % 5 == 4 ? 1900000000000 + (int64_t)token : 0;
}

/* "delayed message flushes open batch first": else the batch would come behind it, with lower ids,
 * and be dropped as a duplicate. */
static void delayed_messages_keep_the_order(void **state) {
    (void)state;
    for (int by_key = 0; by_key < 2; by_key++) {
        struct stage *stage = stage_new();
        struct sender *sender = sender_new(stage);
        sender->options.batching = by_key ? PULSAR_BATCHING_KEY_BASED : PULSAR_BATCHING_DEFAULT;
        sender->make = some_delayed;
        sender->keys = 2;
        stage_script(stage, "dedup on\nreceipt-delay 2");
        sender_open_ready(sender);
        sender_send(sender, 500);
        sender_finish(sender);
        assert_int_equal(sender->fates[FATE_STORED], 500);
        const struct fake_broker_store *store = fake_broker_lock(stage->broker);
        for (uint64_t token = 0; token < 500; token++) {
            const struct fake_message *message = NULL;
            assert_true(sender_find(sender, store, token, &message));
            assert_true(message->deliver_at ==
                        (token % 5 == 4 ? 1900000000000 + (int64_t)token : 0));
        }
        fake_broker_unlock(stage->broker);
        assert_true(stage_counts(stage).sends < 400); /* the others went together */
        stage_free(stage);
    }
}

/* Some keys go by another name where the order is concerned. */
static void two_kinds_of_keys(struct sender *sender, uint64_t token,
                              struct pulsar_message *message) {
    if (token % sender->keys < 3) {
        (void)snprintf(sender->scratch, sizeof sender->scratch, "order-%d",
                       (int)(token % sender->keys));
        message->ordering_key = str_of(sender->scratch);
    }
}

/* Key-based batches: the double sees to it that no batch mixes keys, and that ids rise. */
static void batches_by_key(void **state) {
    (void)state;
    struct stage *stage = stage_new();
    struct sender *sender = sender_new(stage);
    sender->options.batching = PULSAR_BATCHING_KEY_BASED;
    sender->options.compression = PULSAR_COMPRESSION_ZSTD;
    sender->keys = 7;
    sender->make = two_kinds_of_keys;
    stage_script(stage, "key-based on\ndedup on\nreceipt-delay 2\npartitions * 2");
    sender_open_ready(sender);
    sender_send(sender, 5000);
    sender_finish(sender);
    sender_check_keys(sender);
    assert_int_equal(sender->fates[FATE_STORED], 5000);
    assert_int_equal(stage_counts(stage).messages, 5000);
    assert_true(stage_counts(stage).sends < 2500);
    stage_free(stage);
}

/* ---- sizes ---- */

enum { LIMIT = 20000 };

static void longer_and_longer(struct sender *sender, uint64_t token,
                              struct pulsar_message *message) {
    static char bytes[4 * LIMIT];
    int len = snprintf(sender->value, sizeof sender->value, "%c:%" PRIu64 ":", sender->id, token);
    static struct str value[2];
    value[0] = str_make(sender->value, (size_t)len);
    value[1] = str_make(bytes, sender->value_len + token - (size_t)len);
    message->value = value;
}

/* "max size boundary (limit, limit+1) batched/unbatched" */
static void as_large_as_may_be(void **state) {
    (void)state;
    for (int i = 0; i < 4; i++) {
        bool raw = i % 2 == 1;
        struct stage *stage = stage_new();
        struct sender *sender = sender_new(stage);
        sender->options.batching = raw ? PULSAR_BATCHING_NONE : PULSAR_BATCHING_DEFAULT;
        sender->options.compression = i < 2 ? PULSAR_COMPRESSION_NONE : PULSAR_COMPRESSION_LZ4;
        sender->value_len = LIMIT - 300;
        sender->make = longer_and_longer;
        stage_script(stage, "max-message-size %d", LIMIT);
        sender_open_ready(sender);
        sender_send(sender, 310); /* up to LIMIT + 9 */
        sender_finish(sender);    /* and the double found none too large */
        assert_int_equal(sender->refusal.code, ERR_PULSAR_TOO_LARGE);
        assert_int_equal(sender->failed_count, 0);
        /* All up to a certain one, and that one is close to the limit. */
        for (size_t token = 0; token < 310; token++) {
            assert_int_equal(sender->reports[token].fate,
                             token < sender->taken ? FATE_STORED : FATE_OPEN);
        }
        assert_in_range(sender->taken, 150, 300);
        stage_free(stage);
    }
}

static int32_t chunks_of(struct sender *sender, uint64_t token) {
    const struct fake_message *message = NULL;
    const struct fake_broker_store *store = fake_broker_lock(sender->stage->broker);
    bool found = sender_find(sender, store, token, &message);
    int32_t chunks = found ? message->chunks : -1;
    fake_broker_unlock(sender->stage->broker);
    assert_true(found);
    return chunks;
}

/* Chunks at the boundary: the first that is too large for one entry goes in two. */
static void chunks_begin_at_the_limit(void **state) {
    (void)state;
    for (int raw = 0; raw < 2; raw++) {
        struct stage *stage = stage_new();
        struct sender *sender = sender_new(stage);
        sender->options.batching = raw ? PULSAR_BATCHING_NONE : PULSAR_BATCHING_DEFAULT;
        sender->options.chunking = true;
        sender->value_len = LIMIT - 300;
        sender->make = longer_and_longer;
        stage_script(stage, "max-message-size %d\ndedup on", LIMIT);
        sender_open_ready(sender);
        sender_send(sender, 310);
        sender_finish(sender);
        assert_int_equal(sender->fates[FATE_STORED], 310);
        int32_t before = 0;
        for (uint64_t token = 0; token < 310; token++) {
            int32_t chunks = chunks_of(sender, token);
            assert_true(chunks == 0 || chunks == 2);
            assert_true(chunks >= before);
            before = chunks;
        }
        assert_int_equal(chunks_of(sender, 0), 0);
        assert_int_equal(chunks_of(sender, 309), 2);
        stage_free(stage);
    }
}

static void now_and_then_large(struct sender *sender, uint64_t token,
                               struct pulsar_message *message) {
    (void)sender;
    struct str *value = (struct str *)(uintptr_t)message->value;
    value[1].len = token % 10 == 7 ? 2 * LIMIT + 5000 : 10;
}

/* Chunks between batches, compressed or not, with the connection cut in their middle: before the
 * broker has a chunk, behind it, and while the receipts are on their way. */
static void chunks_survive_a_cut(void **state) {
    (void)state;
    static const char *const faults[] = {"drop-before SEND 1 after %zu",
                                         "drop-after SEND 1 after %zu", "silent SEND 1 after %zu"};
    for (size_t i = 0; i < 18; i++) {
        struct stage *stage = stage_new();
        struct sender *sender = sender_new(stage);
        sender->options.chunking = true;
        sender->options.compression =
            i % 2 == 0 ? PULSAR_COMPRESSION_NONE : PULSAR_COMPRESSION_ZLIB;
        sender->options.name = STR("p");
        sender->value_len = 1;
        sender->make = now_and_then_large;
        char fault[64];
        (void)snprintf(fault, sizeof fault, faults[i % 3], i / 3);
        stage_script(stage, "max-message-size %d\ndedup on\n%s", LIMIT, fault);
        sender_open_ready(sender);
        sender_send(sender, 50);
        if (i % 3 == 2) {
            STAGE_WAIT_COUNT(stage, sends, 6);
            stage_script(stage, "disconnect"); /* or it would wait for that receipt for ever */
        }
        sender_finish(sender);
        assert_int_equal(chunks_of(sender, 7), 3);
        assert_int_equal(stage_counts(stage).messages, 50);
        stage_free(stage);
    }
}

/* ---- schemas ---- */

static void schema_version_is_in_every_entry(void **state) {
    (void)state;
    static const struct pulsar_property properties[] = {{STR("__alwaysAllowNull"), STR("true")}};
    struct stage *stage = stage_new();
    struct sender *first = sender_new(stage);
    struct sender *second = sender_new(stage);
    struct sender *third = sender_new(stage);
    first->options.schema = (struct pulsar_schema){.type = PULSAR_SCHEMA_JSON,
                                                   .name = STR("order"),
                                                   .data = STR("{\"type\":\"record\"}"),
                                                   .properties = properties,
                                                   .property_count = 1};
    second->options.schema = first->options.schema;
    second->options.schema.data = STR("{\"type\":\"string\"}");
    second->options.batching = PULSAR_BATCHING_NONE;
    stage_script(stage, "partitions * 3");
    sender_open_ready(first);
    sender_open_ready(second);
    sender_open_ready(third);
    sender_send(first, 100);
    sender_send(second, 100);
    sender_send(third, 100);
    stage_script(stage, "unload " STAGE_TOPIC);
    STAGE_WAIT(stage, first->again_count > 0);
    sender_send(first, 100);
    first->double_is_fine = second->double_is_fine = third->double_is_fine = true;
    sender_finish(first);
    sender_finish(second);
    sender_finish(third);
    const struct fake_broker_store *store = fake_broker_lock(stage->broker);
    for (size_t i = 0; i < store->count; i++) {
        char id = store->messages[i].value[0];
        assert_int_equal(store->messages[i].schema_version, id == 'a' ? 0 : id == 'b' ? 1 : -1);
    }
    const struct fake_schema *schema = fake_schemas_find(&store->schemas, STR(STAGE_TOPIC), 0);
    assert_non_null(schema);
    assert_int_equal(schema->type, PULSAR_SCHEMA_JSON);
    assert_string_equal(schema->name, "order");
    assert_string_equal(schema->data, "{\"type\":\"record\"}");
    assert_string_equal(schema->properties, "{\"__alwaysAllowNull\":\"true\"}");
    fake_broker_unlock(stage->broker);
    stage_free(stage);
}

static void incompatible_schema_is_for_good(void **state) {
    (void)state;
    struct stage *stage = stage_new();
    struct sender *first = sender_new(stage);
    struct sender *second = sender_new(stage);
    first->options.schema = (struct pulsar_schema){.type = PULSAR_SCHEMA_STRING};
    second->options.schema = (struct pulsar_schema){.type = PULSAR_SCHEMA_INT64};
    stage_script(stage, "schema-compat off");
    sender_open_ready(first);
    sender_open(second);
    STAGE_WAIT(stage, second->failed_count > 0);
    assert_int_equal(second->failure.class, ERR_CLASS_FATAL);
    assert_int_equal(second->ready_count, 0);
    sender_send(first, 10);
    sender_finish(first);
    stage_free(stage);
}

static void separated_key(struct sender *sender, uint64_t token, struct pulsar_message *message) {
    (void)sender;
    if (token % 2 == 0) {
        message->key = str_make("\0\0\0\7", 4);
        message->key_is_binary = true;
    } else {
        message->key = STR_NONE;
        message->null_key = true;
    }
}

static void key_value_schema(void **state) {
    (void)state;
    static const struct pulsar_schema key = {.type = PULSAR_SCHEMA_INT32, .name = STR("k")};
    static const struct pulsar_schema value = {
        .type = PULSAR_SCHEMA_JSON, .name = STR("v"), .data = STR("{}")};
    for (int separated = 0; separated < 2; separated++) {
        struct stage *stage = stage_new();
        struct sender *sender = sender_new(stage);
        sender->options.schema = (struct pulsar_schema){
            .type = PULSAR_SCHEMA_KEY_VALUE,
            .key = &key,
            .value = &value,
            .key_encoding = separated ? PULSAR_KEY_SEPARATED : PULSAR_KEY_INLINE,
        };
        sender->make = separated ? separated_key : NULL;
        sender_open_ready(sender);
        sender_send(sender, 20);
        sender_finish(sender);
        const struct fake_broker_store *store = fake_broker_lock(stage->broker);
        const struct fake_schema *schema = fake_schemas_find(&store->schemas, STR(STAGE_TOPIC), 0);
        assert_non_null(schema);
        assert_int_equal(schema->type, 15);
        assert_int_equal(schema->data_len, 10);
        /* An empty part is -1 or 0 long; brokers understand both. */
        assert_memory_equal(schema->data + 4, "\0\0\0\2{}", 6);
        assert_non_null(strstr(schema->properties, "\"key.schema.name\":\"k\""));
        assert_non_null(strstr(schema->properties, "\"key.schema.type\":\"INT32\""));
        assert_non_null(strstr(schema->properties, "\"value.schema.type\":\"JSON\""));
        assert_non_null(strstr(schema->properties, separated ? "\"kv.encoding.type\":\"SEPARATED\""
                                                             : "\"kv.encoding.type\":\"INLINE\""));
        if (separated) {
            const struct fake_message *message = NULL;
            assert_true(sender_find(sender, store, 0, &message));
            assert_string_equal(message->key, "AAAABw==");
            assert_true(message->key_is_base64);
            assert_true(sender_find(sender, store, 1, &message));
            assert_null(message->key);
        }
        fake_broker_unlock(stage->broker);
        stage_free(stage);
    }
}

/* ---- memory ---- */

/* The client's memory over two producers: the one that got FULL is told when there is room, and
 * nobody else. */
static void memory_of_all_producers(void **state) {
    (void)state;
    struct stage *stage = stage_new();
    struct sender *first = sender_new(stage);
    struct sender *second = sender_new(stage);
    stage->client_options.memory_budget = 4 * 1024 * 1024;
    first->options.topic = STR("one");
    second->options.topic = STR("two");
    first->value_len = second->value_len = 10000;
    first->double_is_fine = second->double_is_fine = true;
    stage_script(stage, "silent SEND always on persistent://public/default/one");
    sender_open_ready(first);
    sender_open_ready(second);
    sender_send(first, 2000); /* 20 MB */
    STAGE_WAIT(stage, first->full_count > 0);
    assert_true(first->stats.in_flight_bytes <= 6 * 1024 * 1024);
    size_t taken = first->taken;
    assert_true(taken < 1000);
    /* One message is always possible. */
    sender_send(second, 1);
    STAGE_WAIT(stage, second->reported == 1);
    assert_int_equal(second->writable_count, 0);
    sender_send(second, 1000);
    STAGE_WAIT(stage, second->full_count > 0);
    STAGE_WAIT(stage, second->reported > 10); /* it goes on, little by little */
    assert_int_equal(first->taken, taken);
    assert_int_equal(first->writable_count, 0);
    stage_script(stage, "clear\ndisconnect");
    sender_finish(first);
    sender_finish(second);
    assert_true(first->writable_count > 0);
    assert_true(second->writable_count > 0);
    stage_free(stage);
}

/* Limits of the producer: what is over them is not taken, and `writable` comes. */
static void limits_of_a_producer(void **state) {
    (void)state;
    for (int bytes = 0; bytes < 2; bytes++) {
        struct stage *stage = stage_new();
        struct sender *sender = sender_new(stage);
        sender->double_is_fine = true;
        sender->value_len = 2000;
        sender->options.max_pending_messages = bytes ? 0 : 100;
        sender->options.max_pending_bytes = bytes ? 1024 * 1024 : 0;
        stage_script(stage, "partitions * 3\nsilent SEND always");
        sender_open_ready(sender);
        sender_send(sender, 3000);
        STAGE_WAIT(stage, sender->full_count > 0);
        assert_true(sender->taken <= (bytes ? 1024u * 1024 / 2000 : 100u));
        assert_int_equal(sender->writable_count, 0);
        stage_script(stage, "clear\ndisconnect");
        sender_finish(sender);
        assert_true(sender->writable_count > 0);
        assert_int_equal(sender->fates[FATE_STORED], 3000);
        stage_free(stage);
    }
}

int main(int argc, char **argv) {
    cmocka_set_test_filter(argc > 1 ? argv[1] : NULL);
    const struct CMUnitTest tests[] = {
        STAGE_TEST(receipts_of_every_kind),
        STAGE_TEST(keys_route_as_with_java),
        STAGE_TEST(everything_a_message_may_carry),
        STAGE_TEST(tombstones),
        STAGE_TEST(every_compression),
        STAGE_TEST(delayed_messages_keep_the_order),
        STAGE_TEST(batches_by_key),
        STAGE_TEST(as_large_as_may_be),
        STAGE_TEST(chunks_begin_at_the_limit),
        STAGE_TEST(chunks_survive_a_cut),
        STAGE_TEST(schema_version_is_in_every_entry),
        STAGE_TEST(incompatible_schema_is_for_good),
        STAGE_TEST(key_value_schema),
        STAGE_TEST(memory_of_all_producers),
        STAGE_TEST(limits_of_a_producer),
    };
    return cmocka_run_group_tests(tests, stage_setup, stage_teardown);
}
