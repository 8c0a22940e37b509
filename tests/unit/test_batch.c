#include "unit/cmocka_all.h"

#include "pulsar/batch_pool.h"
#include "pulsar/wire.h"
#include "pulsar_api.pb-c.h"

#include <aws/checksums/checksums.h>
#include <aws/checksums/crc.h>
#include <aws/common/common.h>

#include <lz4.h>
#include <snappy-c.h>
#include <stdio.h>
#include <stdlib.h>
#include <zlib.h>
#include <zstd.h>

static const struct batch_limits plain = {
    .max_messages = 1000,
    .max_bytes = 128 * 1024,
    .max_message_size = 5 * 1024 * 1024,
    .name_len = 1,
};

static const struct batch_header header = {
    .producer_id = 1,
    .producer_name = {"p", 1},
    .publish_time_ms = 1700000000000,
};

static struct compressor compressor_of(enum pulsar_compression kind) {
    struct compressor compressor;
    assert_true(compressor_init(&compressor, kind));
    return compressor;
}

static enum batch_add add(struct batch *batch, const struct batch_limits *limits, const char *value,
                          uint64_t sequence_id) {
    struct str part = str_of(value);
    struct pulsar_message message = {.value = &part, .value_parts = 1};
    struct err err = ERR_NONE;
    return batch_add(batch, limits, &message, sequence_id, 100 + sequence_id, SIZE_MAX, &err);
}

static void check_hex(const struct batch *batch, const char *hex) {
    assert_int_equal(batch->frame.len * 2, strlen(hex));
    for (size_t i = 0; i < batch->frame.len; i++) {
        char byte[3];
        (void)snprintf(byte, sizeof byte, "%02x", (unsigned char)batch->frame.data[i]);
        assert_memory_equal(byte, hex + 2 * i, 2);
    }
}

static void known_bytes_of_one_message(void **state) {
    (void)state;
    struct batch_pool pool;
    batch_pool_init(&pool, SIZE_MAX);
    struct batch_limits limits = plain;
    limits.raw = true;
    struct compressor none = compressor_of(PULSAR_COMPRESSION_NONE);
    struct batch *batch = batch_take(&pool);
    assert_int_equal(add(batch, &limits, "hello", 7), BATCH_ADDED);
    assert_int_equal(add(batch, &limits, "more", 8), BATCH_FULL);
    assert_true(batch_is_full(batch, &limits));
    batch_seal(&batch, &none, &header);
    check_hex(batch, "00000027000000080806320408011007"
                     "0e015dbb2b140000000c0a017010071880d095ffbc31"
                     "68656c6c6f");
    assert_true(batch_checksum_ok(batch));
    batch->frame.data[batch->frame.len - 1] ^= 1;
    assert_false(batch_checksum_ok(batch));
    batch_release(batch);
    batch_pool_done(&pool);
}

static void known_bytes_of_a_batch(void **state) {
    (void)state;
    struct batch_pool pool;
    batch_pool_init(&pool, SIZE_MAX);
    struct compressor none = compressor_of(PULSAR_COMPRESSION_NONE);
    struct batch *batch = batch_take(&pool);
    assert_int_equal(add(batch, &plain, "a", 7), BATCH_ADDED);
    assert_int_equal(add(batch, &plain, "bb", 8), BATCH_ADDED);
    batch_seal(&batch, &none, &header);
    check_hex(batch, "0000003e0000000c080632080801100718023008"
                     "0e01ef547530000000110a017010071880d095ffbc315802c00108"
                     "00000004180140076100000004180240086262");
    assert_int_equal(batch->last_sequence_id, 8);
    assert_int_equal(batch->tokens[0], 107);
    assert_int_equal(batch->tokens[1], 108);
    batch_release(batch);
    batch_pool_done(&pool);
}

static void check_value(void **state) {
    (void)state;
    assert_int_equal(aws_checksums_crc32c_ex((const uint8_t *)"123456789", 9, 0), 0xe3069283);
}

/* ---- Read a frame as a broker and a consumer would. */

struct entry {
    Pulsar__BaseCommand *command;
    Pulsar__MessageMetadata *metadata;
    char *payload; /* decompressed */
    size_t payload_len;
    size_t wire_payload_len;
};

static char *decompress(const Pulsar__MessageMetadata *metadata, struct str payload,
                        size_t *ret_len) {
    size_t len = metadata->has_uncompressed_size ? metadata->uncompressed_size : payload.len;
    char *plain_text = malloc(len + 1);
    assert_non_null(plain_text);
    uLongf zlib_len = len;
    size_t snappy_len = len;
    switch (metadata->compression) {
    case PULSAR__COMPRESSION_TYPE__LZ4:
        assert_int_equal(LZ4_decompress_safe(payload.ptr, plain_text, (int)payload.len, (int)len),
                         len);
        break;
    case PULSAR__COMPRESSION_TYPE__ZLIB:
        assert_int_equal(
            uncompress((Bytef *)plain_text, &zlib_len, (const Bytef *)payload.ptr, payload.len),
            Z_OK);
        assert_int_equal(zlib_len, len);
        break;
    case PULSAR__COMPRESSION_TYPE__ZSTD:
        assert_int_equal(ZSTD_decompress(plain_text, len, payload.ptr, payload.len), len);
        break;
    case PULSAR__COMPRESSION_TYPE__SNAPPY:
        assert_int_equal(snappy_uncompress(payload.ptr, payload.len, plain_text, &snappy_len),
                         SNAPPY_OK);
        assert_int_equal(snappy_len, len);
        break;
    case PULSAR__COMPRESSION_TYPE__NONE:
    default:
        assert_int_equal(len, payload.len);
        memcpy(plain_text, payload.ptr, len);
    }
    *ret_len = len;
    return plain_text;
}

static struct entry read_entry(const struct batch *batch) {
    struct entry entry;
    struct str frame = str_make(batch->frame.data, batch->frame.len);
    assert_int_equal(wire_get_be32(frame.ptr), frame.len - 4);
    size_t command_len = wire_get_be32(frame.ptr + 4);
    entry.command = pulsar__base_command__unpack(NULL, command_len, (const uint8_t *)frame.ptr + 8);
    assert_non_null(entry.command);
    assert_non_null(entry.command->send);
    const char *at = frame.ptr + 8 + command_len;
    assert_memory_equal(at, "\x0e\x01", 2);
    size_t checked_len = (size_t)(frame.ptr + frame.len - (at + 6));
    assert_int_equal(wire_get_be32(at + 2),
                     aws_checksums_crc32c_ex((const uint8_t *)at + 6, checked_len, 0));
    size_t metadata_len = wire_get_be32(at + 6);
    entry.metadata = pulsar__message_metadata__unpack(NULL, metadata_len, (const uint8_t *)at + 10);
    assert_non_null(entry.metadata);
    struct str payload = str_make(at + 10 + metadata_len,
                                  (size_t)(frame.ptr + frame.len - (at + 10 + metadata_len)));
    entry.wire_payload_len = payload.len;
    entry.payload = decompress(entry.metadata, payload, &entry.payload_len);
    return entry;
}

static void free_entry(struct entry *entry) {
    pulsar__base_command__free_unpacked(entry->command, NULL);
    pulsar__message_metadata__free_unpacked(entry->metadata, NULL);
    free(entry->payload);
}

/* Takes the next message off the payload; the value is borrowed. */
static Pulsar__SingleMessageMetadata *next_single(struct str *payload, struct str *ret_value) {
    assert_true(payload->len >= 4);
    size_t len = wire_get_be32(payload->ptr);
    assert_true(payload->len >= 4 + len);
    Pulsar__SingleMessageMetadata *single =
        pulsar__single_message_metadata__unpack(NULL, len, (const uint8_t *)payload->ptr + 4);
    assert_non_null(single);
    assert_true(single->payload_size >= 0 &&
                payload->len >= 4 + len + (size_t)single->payload_size);
    *ret_value = str_make(payload->ptr + 4 + len, (size_t)single->payload_size);
    size_t taken = 4 + len + ret_value->len;
    *payload = str_make(payload->ptr + taken, payload->len - taken);
    return single;
}

static void full_messages_survive_every_codec(void **state) {
    (void)state;
    static const enum pulsar_compression kinds[] = {
        PULSAR_COMPRESSION_NONE, PULSAR_COMPRESSION_LZ4, PULSAR_COMPRESSION_ZLIB,
        PULSAR_COMPRESSION_ZSTD, PULSAR_COMPRESSION_SNAPPY};
    enum { COUNT = 300 };
    for (size_t k = 0; k < sizeof kinds / sizeof kinds[0]; k++) {
        struct batch_pool pool;
        batch_pool_init(&pool, SIZE_MAX);
        struct compressor compressor = compressor_of(kinds[k]);
        struct batch *batch = batch_take(&pool);
        for (uint64_t i = 0; i < COUNT; i++) {
            char key[16];
            (void)snprintf(key, sizeof key, "key-%u", (unsigned)i);
            struct pulsar_property properties[] = {{STR("EVENT_NAME"), STR("MODIFY")},
                                                   {STR("EMPTY"), STR("")}};
            struct str value[] = {STR("{\"image\":"), STR("{}"), STR(""), STR("}")};
            struct pulsar_message message = {
                .key = str_of(key),
                .key_is_base64 = i == 0,
                .ordering_key = i == 0 ? STR("order\0ing") : STR_NONE,
                .event_time_ms = (int64_t)(1700000000000 + i),
                .properties = properties,
                .property_count = 2,
                .value = value,
                .value_parts = i == 1 ? 0 : 4,
                .null_value = i == 1,
            };
            struct err err = ERR_NONE;
            assert_int_equal(batch_add(batch, &plain, &message, 5000 + i, i, SIZE_MAX, &err),
                             BATCH_ADDED);
        }
        size_t plain_len = batch->end - batch->start;
        batch_seal(&batch, &compressor, &header);
        assert_true(batch_checksum_ok(batch));
        assert_int_equal(batch->count, COUNT);
        assert_int_equal(batch->tokens[COUNT - 1], COUNT - 1);

        struct entry entry = read_entry(batch);
        const Pulsar__CommandSend *send = entry.command->send;
        assert_int_equal(send->producer_id, 1);
        assert_int_equal(send->sequence_id, 5000);
        assert_int_equal(send->highest_sequence_id, 5000 + COUNT - 1);
        assert_int_equal(send->num_messages, COUNT);
        const Pulsar__MessageMetadata *metadata = entry.metadata;
        assert_string_equal(metadata->producer_name, "p");
        assert_int_equal(metadata->sequence_id, 5000);
        assert_int_equal(metadata->highest_sequence_id, 5000 + COUNT - 1);
        assert_int_equal(metadata->publish_time, 1700000000000);
        assert_true(metadata->has_num_messages_in_batch);
        assert_int_equal(metadata->num_messages_in_batch, COUNT);
        assert_string_equal(metadata->partition_key, "key-0");
        assert_true(metadata->partition_key_b64_encoded);
        assert_int_equal(metadata->ordering_key.len, 9);
        assert_memory_equal(metadata->ordering_key.data, "order\0ing", 9);
        assert_int_equal(metadata->compression, kinds[k]);
        assert_int_equal(metadata->has_uncompressed_size, kinds[k] != PULSAR_COMPRESSION_NONE);
        assert_int_equal(entry.payload_len, plain_len);
        if (kinds[k] != PULSAR_COMPRESSION_NONE) {
            assert_true(entry.wire_payload_len < plain_len / 2);
        }

        struct str payload = str_make(entry.payload, entry.payload_len);
        for (uint64_t i = 0; i < COUNT; i++) {
            struct str value;
            Pulsar__SingleMessageMetadata *single = next_single(&payload, &value);
            char key[16];
            (void)snprintf(key, sizeof key, "key-%u", (unsigned)i);
            assert_string_equal(single->partition_key, key);
            assert_int_equal(single->partition_key_b64_encoded, i == 0);
            assert_int_equal(single->has_ordering_key, i == 0);
            assert_int_equal(single->event_time, 1700000000000 + i);
            assert_int_equal(single->sequence_id, 5000 + i);
            assert_int_equal(single->null_value, i == 1);
            assert_int_equal(single->n_properties, 2);
            assert_string_equal(single->properties[0]->key, "EVENT_NAME");
            assert_string_equal(single->properties[0]->value, "MODIFY");
            assert_string_equal(single->properties[1]->value, "");
            assert_true(str_is(value, i == 1 ? "" : "{\"image\":{}}"));
            pulsar__single_message_metadata__free_unpacked(single, NULL);
        }
        assert_int_equal(payload.len, 0);
        free_entry(&entry);
        batch_release(batch);
        compressor_done(&compressor);
        assert_int_equal(pool.in_use, 0);
        batch_pool_done(&pool);
    }
}

static void raw_messages_carry_all_in_the_metadata(void **state) {
    (void)state;
    struct batch_pool pool;
    batch_pool_init(&pool, SIZE_MAX);
    struct batch_limits limits = plain;
    limits.raw = true;
    struct compressor lz4 = compressor_of(PULSAR_COMPRESSION_LZ4);
    static char zeros[10000];
    for (int null_value = 0; null_value < 2; null_value++) {
        struct batch *batch = batch_take(&pool);
        struct pulsar_property property = {STR("A"), STR("b")};
        struct str value = str_make(zeros, sizeof zeros);
        struct pulsar_message message = {
            .key = STR("k"),
            .key_is_base64 = true,
            .ordering_key = STR("o"),
            .event_time_ms = 12345,
            .properties = &property,
            .property_count = 1,
            .value = &value,
            .value_parts = null_value ? 0 : 1,
            .null_value = null_value,
        };
        struct err err = ERR_NONE;
        assert_int_equal(batch_add(batch, &limits, &message, 9, 1, SIZE_MAX, &err), BATCH_ADDED);
        batch_seal(&batch, &lz4, &header);
        struct entry entry = read_entry(batch);
        assert_false(entry.metadata->has_num_messages_in_batch);
        assert_false(entry.command->send->has_highest_sequence_id);
        assert_int_equal(entry.metadata->n_properties, 1);
        assert_string_equal(entry.metadata->properties[0]->key, "A");
        assert_string_equal(entry.metadata->partition_key, "k");
        assert_true(entry.metadata->partition_key_b64_encoded);
        assert_int_equal(entry.metadata->ordering_key.len, 1);
        assert_int_equal(entry.metadata->event_time, 12345);
        assert_int_equal(entry.metadata->null_value, null_value);
        assert_int_equal(entry.metadata->compression, null_value ? PULSAR__COMPRESSION_TYPE__NONE
                                                                 : PULSAR__COMPRESSION_TYPE__LZ4);
        assert_int_equal(entry.payload_len, null_value ? 0 : sizeof zeros);
        free_entry(&entry);
        batch_release(batch);
    }
    batch_pool_done(&pool);
}

static void noise_is_sent_uncompressed(void **state) {
    (void)state;
    static const enum pulsar_compression kinds[] = {PULSAR_COMPRESSION_LZ4, PULSAR_COMPRESSION_ZLIB,
                                                    PULSAR_COMPRESSION_ZSTD,
                                                    PULSAR_COMPRESSION_SNAPPY};
    char noise[4000];
    struct rng rng = {.state = 42};
    for (size_t i = 0; i < sizeof noise; i++) {
        noise[i] = (char)rng_next(&rng);
    }
    for (size_t k = 0; k < sizeof kinds / sizeof kinds[0]; k++) {
        struct batch_pool pool;
        batch_pool_init(&pool, SIZE_MAX);
        struct compressor compressor = compressor_of(kinds[k]);
        struct batch *batch = batch_take(&pool);
        struct str value = str_make(noise, sizeof noise);
        struct pulsar_message message = {.value = &value, .value_parts = 1};
        struct err err = ERR_NONE;
        assert_int_equal(batch_add(batch, &plain, &message, 0, 0, SIZE_MAX, &err), BATCH_ADDED);
        batch_seal(&batch, &compressor, &header);
        struct entry entry = read_entry(batch);
        assert_false(entry.metadata->has_compression);
        assert_false(entry.metadata->has_uncompressed_size);
        free_entry(&entry);
        batch_release(batch);
        compressor_done(&compressor);
        batch_pool_done(&pool);
    }
}

static void count_and_byte_limits(void **state) {
    (void)state;
    struct batch_pool pool;
    batch_pool_init(&pool, SIZE_MAX);
    struct batch_limits limits = plain;
    limits.max_messages = 3;
    struct batch *batch = batch_take(&pool);
    for (uint64_t i = 0; i < 3; i++) {
        assert_false(batch_is_full(batch, &limits));
        assert_int_equal(add(batch, &limits, "x", i), BATCH_ADDED);
    }
    assert_true(batch_is_full(batch, &limits));
    assert_int_equal(add(batch, &limits, "x", 3), BATCH_FULL);
    batch_release(batch);

    /* Each message is 4 + 4 + 1 bytes. */
    limits.max_messages = 1000;
    limits.max_bytes = 18;
    batch = batch_take(&pool);
    assert_int_equal(add(batch, &limits, "x", 0), BATCH_ADDED);
    assert_false(batch_is_full(batch, &limits));
    assert_int_equal(add(batch, &limits, "xx", 1), BATCH_FULL);
    assert_int_equal(batch->count, 1);
    assert_int_equal(add(batch, &limits, "x", 1), BATCH_ADDED);
    assert_true(batch_is_full(batch, &limits));
    batch_release(batch);

    /* One message alone may be more. */
    batch = batch_take(&pool);
    assert_int_equal(add(batch, &limits, "longer than all of a batch", 0), BATCH_ADDED);
    assert_true(batch_is_full(batch, &limits));
    batch_release(batch);
    batch_pool_done(&pool);
}

/* What counts against the broker's limit: metadataSize, metadata and payload of the frame. */
static size_t counted_size(const struct batch *batch) {
    return batch->frame.len - (8 + wire_get_be32(batch->frame.data + 4) + 6);
}

static void broker_limit(void **state) {
    (void)state;
    enum { LIMIT = 10000 };
    struct batch_pool pool;
    batch_pool_init(&pool, SIZE_MAX);
    struct compressor none = compressor_of(PULSAR_COMPRESSION_NONE);
    static char bytes[LIMIT + 1];
    memset(bytes, 'x', sizeof bytes);
    for (int raw = 0; raw < 2; raw++) {
        struct batch_limits limits = plain;
        limits.max_message_size = LIMIT;
        limits.raw = raw;
        /* The longest that is taken; one more is refused. */
        size_t longest = 0;
        for (size_t len = LIMIT - 200; len <= LIMIT; len++) {
            struct str value = str_make(bytes, len);
            struct pulsar_message message = {.key = STR("k"), .value = &value, .value_parts = 1};
            struct batch *batch = batch_take(&pool);
            struct err err = ERR_NONE;
            enum batch_add added = batch_add(batch, &limits, &message, 0, 0, SIZE_MAX, &err);
            if (added == BATCH_ADDED) {
                assert_true(longest == 0 || longest == len - 1);
                longest = len;
                batch_seal(&batch, &none, &header);
                assert_true(counted_size(batch) <= LIMIT);
            } else {
                assert_int_equal(added, BATCH_TOO_LARGE);
                assert_int_equal(err.code, ERR_PULSAR_TOO_LARGE);
                assert_int_equal(batch->count, 0);
            }
            batch_release(batch);
        }
        /* At most the fields that this message does not have are wasted. */
        assert_in_range(longest, LIMIT - 120, LIMIT - 20);
    }

    /* A second message that would pass the broker's limit waits for the next batch. */
    struct batch_limits limits = plain;
    limits.max_message_size = LIMIT;
    struct batch *batch = batch_take(&pool);
    struct str half = str_make(bytes, LIMIT / 2 - 60);
    struct str rest = str_make(bytes, LIMIT / 2 + 60);
    struct pulsar_message first = {.value = &half, .value_parts = 1};
    struct pulsar_message second = {.value = &rest, .value_parts = 1};
    struct err err = ERR_NONE;
    assert_int_equal(batch_add(batch, &limits, &first, 0, 0, SIZE_MAX, &err), BATCH_ADDED);
    assert_int_equal(batch_add(batch, &limits, &second, 1, 1, SIZE_MAX, &err), BATCH_FULL);
    assert_int_equal(batch_add(batch, &limits, &first, 1, 1, SIZE_MAX, &err), BATCH_ADDED);
    batch_seal(&batch, &none, &header);
    assert_true(counted_size(batch) <= LIMIT);
    batch_release(batch);
    batch_pool_done(&pool);
}

/* The room left for the header must hold it at its longest. */
static void longest_header(void **state) {
    (void)state;
    struct batch_pool pool;
    batch_pool_init(&pool, 0); /* fresh memory each time, so that a sanitizer sees its ends */
    static char text[5000];
    memset(text, 'n', sizeof text);
    for (int raw = 0; raw < 2; raw++) {
        struct batch_limits limits = plain;
        limits.raw = raw;
        limits.name_len = sizeof text;
        struct batch_header longest = {
            .producer_id = UINT64_MAX,
            .producer_name = str_make(text, sizeof text),
            .publish_time_ms = UINT64_MAX,
        };
        struct str value = str_make(text, sizeof text);
        struct pulsar_property property = {str_make(text, sizeof text),
                                           str_make(text, sizeof text)};
        struct pulsar_message message = {
            .key = str_make(text, 3000),
            .key_is_base64 = true,
            .ordering_key = str_make(text, 3001),
            .event_time_ms = INT64_MAX,
            .properties = &property,
            .property_count = 1,
            .value = &value,
            .value_parts = 1,
            .null_value = true,
        };
        struct compressor lz4 = compressor_of(PULSAR_COMPRESSION_LZ4);
        struct batch *batch = batch_take(&pool);
        struct err err = ERR_NONE;
        assert_int_equal(batch_add(batch, &limits, &message, UINT64_MAX - 1, 0, SIZE_MAX, &err),
                         BATCH_ADDED);
        batch_seal(&batch, &lz4, &longest);
        assert_true(batch->frame.data >= batch->memory);
        struct entry entry = read_entry(batch);
        assert_int_equal(strlen(entry.metadata->producer_name), sizeof text);
        assert_int_equal(strlen(entry.metadata->partition_key), 3000);
        assert_int_equal(entry.metadata->ordering_key.len, 3001);
        assert_int_equal(entry.metadata->n_properties, raw);
        assert_true(entry.metadata->publish_time == UINT64_MAX);
        free_entry(&entry);
        batch_release(batch);
    }
    batch_pool_done(&pool);
}

static void budget(void **state) {
    (void)state;
    struct batch_pool pool;
    batch_pool_init(&pool, SIZE_MAX);
    struct batch *batch = batch_take(&pool);
    size_t empty = batch_memory(batch);
    struct str value = STR("x");
    struct pulsar_message message = {.value = &value, .value_parts = 1};
    struct err err = ERR_NONE;
    assert_int_equal(batch_add(batch, &plain, &message, 0, 0, 4000, &err), BATCH_OVER_BUDGET);
    assert_int_equal(batch_memory(batch), empty);
    assert_int_equal(batch_add(batch, &plain, &message, 0, 0, 8000, &err), BATCH_ADDED);
    assert_true(batch_memory(batch) > empty && batch_memory(batch) <= empty + 8000);
    /* No growth, no budget needed. */
    assert_int_equal(batch_add(batch, &plain, &message, 1, 1, 0, &err), BATCH_ADDED);
    batch_release(batch);
    batch_pool_done(&pool);
}

static void pool_reuses_and_forgets(void **state) {
    (void)state;
    struct batch_pool pool;
    batch_pool_init(&pool, 20000);
    struct batch *first = batch_take(&pool);
    assert_int_equal(add(first, &plain, "x", 0), BATCH_ADDED);
    char *memory = first->memory;
    outgoing_ref(&first->frame); /* a write that is still going on */
    batch_release(first);
    assert_int_equal(pool.in_use, 1);
    outgoing_unref(&first->frame);
    assert_int_equal(pool.in_use, 0);
    struct batch *again = batch_take(&pool);
    assert_ptr_equal(again->memory, memory);
    assert_int_equal(again->count, 0);
    assert_false(again->sent);
    /* Over the limit it is freed. */
    static char big[30000];
    struct str value = str_make(big, sizeof big);
    struct pulsar_message message = {.value = &value, .value_parts = 1};
    struct err err = ERR_NONE;
    assert_int_equal(batch_add(again, &plain, &message, 0, 0, SIZE_MAX, &err), BATCH_ADDED);
    batch_release(again);
    assert_null(pool.free_list);
    batch_pool_done(&pool);
}

static int setup(void **state) {
    (void)state;
    aws_common_library_init(aws_default_allocator());
    aws_checksums_library_init(aws_default_allocator());
    return 0;
}

static int teardown(void **state) {
    (void)state;
    aws_checksums_library_clean_up();
    aws_common_library_clean_up();
    return 0;
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(known_bytes_of_one_message),
        cmocka_unit_test(known_bytes_of_a_batch),
        cmocka_unit_test(check_value),
        cmocka_unit_test(full_messages_survive_every_codec),
        cmocka_unit_test(raw_messages_carry_all_in_the_metadata),
        cmocka_unit_test(noise_is_sent_uncompressed),
        cmocka_unit_test(count_and_byte_limits),
        cmocka_unit_test(broker_limit),
        cmocka_unit_test(longest_header),
        cmocka_unit_test(budget),
        cmocka_unit_test(pool_reuses_and_forgets),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
