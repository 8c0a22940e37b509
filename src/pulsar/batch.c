#include "pulsar/batch.h"

#include "pulsar/batch_pool.h"
#include "pulsar/wire.h"

#include <aws/checksums/crc.h>

#include <assert.h>
#include <inttypes.h>
#include <stdio.h>

/* Field numbers of pulsar_api.proto that the hot path writes. */
enum {
    BASE_TYPE = 1,
    BASE_SEND = 6, /* the type's value and the field's number */

    SEND_PRODUCER_ID = 1,
    SEND_SEQUENCE_ID = 2,
    SEND_NUM_MESSAGES = 3,
    SEND_HIGHEST_SEQUENCE_ID = 6,
    SEND_IS_CHUNK = 7,

    ENTRY_PRODUCER_NAME = 1,
    ENTRY_SEQUENCE_ID = 2,
    ENTRY_PUBLISH_TIME = 3,
    ENTRY_PROPERTIES = 4,
    ENTRY_PARTITION_KEY = 6,
    ENTRY_COMPRESSION = 8,
    ENTRY_UNCOMPRESSED_SIZE = 9,
    ENTRY_NUM_MESSAGES = 11,
    ENTRY_EVENT_TIME = 12,
    ENTRY_SCHEMA_VERSION = 16,
    ENTRY_KEY_IS_BASE64 = 17,
    ENTRY_ORDERING_KEY = 18,
    ENTRY_DELIVER_AT = 19,
    ENTRY_HIGHEST_SEQUENCE_ID = 24,
    ENTRY_NULL_VALUE = 25,
    ENTRY_UUID = 26,
    ENTRY_CHUNKS = 27,
    ENTRY_CHUNKS_LEN = 28,
    ENTRY_CHUNK = 29,
    ENTRY_NULL_KEY = 30,

    SINGLE_PROPERTIES = 1,
    SINGLE_PARTITION_KEY = 2,
    SINGLE_PAYLOAD_SIZE = 3,
    SINGLE_EVENT_TIME = 5,
    SINGLE_KEY_IS_BASE64 = 6,
    SINGLE_ORDERING_KEY = 7,
    SINGLE_SEQUENCE_ID = 8,
    SINGLE_NULL_VALUE = 9,
    SINGLE_NULL_KEY = 10,

    PROPERTY_NAME = 1,
    PROPERTY_VALUE = 2,
};

enum {
    CHECKSUM_MAGIC = 0x0e01,
    /* totalSize, commandSize, the longest SEND, magic, crc32c, metadataSize. */
    HEADER_FRAME_MAX = 4 + 4 + 48 + 2 + 4 + 4,
    /* All of an entry's metadata but name, keys, properties, schema version and what makes it a
     * chunk: each field at its longest. */
    HEADER_METADATA_MAX = 96,
};

/* What one message takes in the payload, and in the metadata when it is the entry's first. */
struct sizes {
    size_t properties; /* as fields of the metadata in question */
    size_t value;
    size_t single; /* SingleMessageMetadata; 0 in a raw batch */
    size_t entry;  /* of the payload */
    size_t header; /* of the entry's metadata, at its longest */
};

static size_t property_size(const struct pulsar_property *property) {
    return wire_text_size(PROPERTY_NAME, property->name.len) +
           wire_text_size(PROPERTY_VALUE, property->value.len);
}

static void measure(const struct pulsar_message *message, const struct batch_limits *limits,
                    uint64_t sequence_id, struct sizes *sizes) {
    sizes->value = 0;
    for (size_t i = 0; i < message->value_parts; i++) {
        sizes->value += message->value[i].len;
    }
    sizes->properties = 0;
    for (size_t i = 0; i < message->property_count; i++) {
        /* Number 1 or 4: the tag takes one byte in both metadata. */
        sizes->properties +=
            wire_text_size(SINGLE_PROPERTIES, property_size(&message->properties[i]));
    }
    size_t keys = 0;
    keys += message->key.ptr != NULL ? wire_text_size(SINGLE_PARTITION_KEY, message->key.len) : 0;
    keys += message->ordering_key.ptr != NULL
                ? wire_text_size(SINGLE_ORDERING_KEY, message->ordering_key.len)
                : 0;
    sizes->header = HEADER_METADATA_MAX + limits->name_len + keys;
    if (limits->schema_version.len > 0) {
        sizes->header += wire_text_size(ENTRY_SCHEMA_VERSION, limits->schema_version.len);
    }
    sizes->single = 0;
    if (limits->raw) {
        sizes->header += sizes->properties;
        sizes->entry = sizes->value;
        return;
    }
    sizes->single = sizes->properties + keys + wire_number_size(SINGLE_PAYLOAD_SIZE, sizes->value);
    if (!limits->late_ids) {
        sizes->single += wire_number_size(SINGLE_SEQUENCE_ID, sequence_id);
    }
    if (message->event_time_ms > 0) {
        sizes->single += wire_number_size(SINGLE_EVENT_TIME, (uint64_t)message->event_time_ms);
    }
    sizes->single += message->key_is_base64 ? 2 : 0;
    sizes->single += message->null_value ? 2 : 0;
    sizes->single += message->null_key ? 2 : 0;
    sizes->entry = 4 + sizes->single + sizes->value;
}

/* Room for so many bytes and one more token. */
static inline enum batch_add make_room(struct batch *batch, size_t needed, size_t budget) {
    bool enough = needed <= batch->capacity && batch->count < batch->token_capacity;
    return enough ? BATCH_ADDED : batch_grow(batch, needed, budget);
}

/* "<producer>-<sequence id>" names a message that is split into chunks. */
enum { UUID_NAME_MAX = 256, UUID_EXTRA = 1 + 20 };

/* What makes a chunk's metadata longer than that of the whole message, at most. */
static size_t part_size_max(size_t name_len) {
    return wire_text_size(ENTRY_UUID, name_len + UUID_EXTRA) +
           wire_number_size(ENTRY_CHUNKS, UINT32_MAX) +
           wire_number_size(ENTRY_CHUNKS_LEN, UINT32_MAX) +
           wire_number_size(ENTRY_CHUNK, UINT32_MAX);
}

/* Less than this of a message's bytes in each chunk is not worth it. */
enum { CHUNK_MIN = 1024 };

static bool can_split(const struct batch_limits *limits) {
    return limits->raw && limits->max_whole_size != 0;
}

static bool is_too_large(const struct batch_limits *limits, const struct sizes *sizes) {
    if (!can_split(limits)) {
        return 4 + sizes->header + sizes->entry > limits->max_message_size;
    }
    return sizes->entry > limits->max_whole_size ||
           4 + sizes->header + part_size_max(limits->name_len) + CHUNK_MIN >
               limits->max_message_size;
}

static bool refuse(const struct batch_limits *limits, const struct pulsar_message *message,
                   const struct sizes *sizes, struct err *err) {
    size_t size = 4 + sizes->header + sizes->entry;
    if (can_split(limits) && sizes->entry > limits->max_whole_size) {
        return err_set(err, ERR_PULSAR_TOO_LARGE,
                       "a message of %zu bytes does not fit into the memory for messages of %zu "
                       "bytes",
                       size, limits->max_whole_size);
    }
    return err_set(err, ERR_PULSAR_TOO_LARGE,
                   "a message of %zu bytes (value %zu, key %zu) is over the broker's "
                   "maxMessageSize of %zu bytes; raise maxMessageSize in the broker (and bookie) "
                   "configuration",
                   size, sizes->value, message->key.len, limits->max_message_size);
}

/* Where the payload starts in a batch that opens with this message, behind the longest header. */
static size_t room_before(const struct sizes *sizes) {
    return HEADER_FRAME_MAX + sizes->header;
}

static char *put_properties(char *to, uint32_t field, const struct pulsar_message *message) {
    for (size_t i = 0; i < message->property_count; i++) {
        const struct pulsar_property *property = &message->properties[i];
        to = wire_put_length(to, field, property_size(property));
        to = wire_put_text(to, PROPERTY_NAME, property->name);
        to = wire_put_text(to, PROPERTY_VALUE, property->value);
    }
    return to;
}

static char *put_single(char *to, const struct batch_limits *limits,
                        const struct pulsar_message *message, const struct sizes *sizes,
                        uint64_t sequence_id) {
    to = put_properties(to, SINGLE_PROPERTIES, message);
    if (message->key.ptr != NULL) {
        to = wire_put_text(to, SINGLE_PARTITION_KEY, message->key);
    }
    to = wire_put_number(to, SINGLE_PAYLOAD_SIZE, sizes->value);
    if (message->event_time_ms > 0) {
        to = wire_put_number(to, SINGLE_EVENT_TIME, (uint64_t)message->event_time_ms);
    }
    if (message->key_is_base64) {
        to = wire_put_number(to, SINGLE_KEY_IS_BASE64, 1);
    }
    if (message->ordering_key.ptr != NULL) {
        to = wire_put_text(to, SINGLE_ORDERING_KEY, message->ordering_key);
    }
    if (!limits->late_ids) {
        to = wire_put_number(to, SINGLE_SEQUENCE_ID, sequence_id);
    }
    if (message->null_value) {
        to = wire_put_number(to, SINGLE_NULL_VALUE, 1);
    }
    if (message->null_key) {
        to = wire_put_number(to, SINGLE_NULL_KEY, 1);
    }
    return to;
}

/* What the first message adds to the entry's metadata, behind everything else (protobuf allows any
 * order). */
static char *put_tail(struct batch *batch, char *tail, const struct pulsar_message *message,
                      bool raw) {
    char *to = tail;
    if (raw) {
        to = put_properties(to, ENTRY_PROPERTIES, message);
    }
    batch->key_len = 0;
    if (message->key.ptr != NULL) {
        to = wire_put_text(to, ENTRY_PARTITION_KEY, message->key);
        batch->key_len = message->key.len;
        batch->key_at = (size_t)(to - tail) - message->key.len;
    }
    if (message->ordering_key.ptr != NULL) {
        to = wire_put_text(to, ENTRY_ORDERING_KEY, message->ordering_key);
        batch->key_len = message->ordering_key.len;
        batch->key_at = (size_t)(to - tail) - message->ordering_key.len;
    }
    if (message->key_is_base64) {
        to = wire_put_number(to, ENTRY_KEY_IS_BASE64, 1);
    }
    if (!raw) {
        return to;
    }
    if (message->event_time_ms > 0) {
        to = wire_put_number(to, ENTRY_EVENT_TIME, (uint64_t)message->event_time_ms);
    }
    if (message->deliver_at_ms > 0) {
        to = wire_put_number(to, ENTRY_DELIVER_AT, (uint64_t)message->deliver_at_ms);
    }
    if (message->null_value) {
        to = wire_put_number(to, ENTRY_NULL_VALUE, 1);
    }
    if (message->null_key) {
        to = wire_put_number(to, ENTRY_NULL_KEY, 1);
    }
    return to;
}

static void open_with(struct batch *batch, const struct batch_limits *limits,
                      const struct pulsar_message *message, uint64_t sequence_id,
                      const struct sizes *sizes) {
    /* Written where the header's other fields will end up, then moved to the end of the room. */
    char *tail = batch->memory + HEADER_FRAME_MAX;
    batch->tail_len = (size_t)(put_tail(batch, tail, message, limits->raw) - tail);
    batch->start = room_before(sizes);
    batch->end = batch->start;
    memmove(batch->memory + batch->start - batch->tail_len, tail, batch->tail_len);
    batch->first_sequence_id = sequence_id;
    batch->raw = limits->raw;
}

bool batch_has_key_of(const struct batch *batch, const struct pulsar_message *message) {
    struct str key = message->ordering_key.ptr != NULL ? message->ordering_key : message->key;
    const char *tail = batch->memory + batch->start - batch->tail_len;
    return key.len == batch->key_len &&
           (key.len == 0 || memcmp(key.ptr, tail + batch->key_at, key.len) == 0);
}

bool batch_add_token(struct batch *batch, uint64_t token) {
    if (make_room(batch, 0, SIZE_MAX) != BATCH_ADDED) {
        return false;
    }
    batch->tokens[batch->count++] = token;
    return true;
}

enum batch_add batch_add(struct batch *batch, const struct batch_limits *limits,
                         const struct pulsar_message *message, uint64_t sequence_id, uint64_t token,
                         size_t budget, struct err *err) {
    struct sizes sizes;
    measure(message, limits, sequence_id, &sizes);
    if (batch->count > 0) {
        size_t header = batch->start - HEADER_FRAME_MAX;
        size_t payload = batch->end - batch->start + sizes.entry;
        if (limits->raw || batch->count >= limits->max_messages || payload > limits->max_bytes ||
            4 + header + payload > limits->max_message_size) {
            return BATCH_FULL;
        }
    } else if (is_too_large(limits, &sizes)) {
        refuse(limits, message, &sizes, err);
        return BATCH_TOO_LARGE;
    }
    size_t at = batch->count > 0 ? batch->end : room_before(&sizes);
    enum batch_add room = make_room(batch, at + sizes.entry, budget);
    if (room != BATCH_ADDED) {
        return room;
    }
    if (batch->count == 0) {
        open_with(batch, limits, message, sequence_id, &sizes);
    }
    char *to = batch->memory + at;
    if (!batch->raw) {
        to = wire_put_be32(to, (uint32_t)sizes.single);
        to = put_single(to, limits, message, &sizes, sequence_id);
    }
    for (size_t i = 0; i < message->value_parts; i++) {
        to = wire_put_bytes(to, message->value[i]);
    }
    assert(to == batch->memory + at + sizes.entry);
    batch->end = (size_t)(to - batch->memory);
    batch->tokens[batch->count++] = token;
    batch->last_sequence_id = sequence_id;
    return BATCH_ADDED;
}

void batch_number(struct batch *batch, uint64_t first_sequence_id) {
    batch->first_sequence_id = first_sequence_id;
    batch->last_sequence_id = first_sequence_id + batch->count - 1;
}

bool batch_is_full(const struct batch *batch, const struct batch_limits *limits) {
    return batch->raw || batch->count >= limits->max_messages ||
           batch->end - batch->start >= limits->max_bytes;
}

/* All but memory and payload. The tokens change places, so that both keep an array. */
static void take_description(struct batch *to, struct batch *from) {
    to->tail_len = from->tail_len;
    to->raw = from->raw;
    to->first_sequence_id = from->first_sequence_id;
    to->last_sequence_id = from->last_sequence_id;
    to->opened_ns = from->opened_ns;
    to->count = from->count;
    uint64_t *tokens = to->tokens;
    size_t token_capacity = to->token_capacity;
    to->tokens = from->tokens;
    to->token_capacity = from->token_capacity;
    from->tokens = tokens;
    from->token_capacity = token_capacity;
}

/* Moves everything to a batch with the compressed payload; the old one goes back to the pool,
 * unless it is kept because compression did not help. Returns the payload's size before
 * compression, or 0 when it is sent as it is. */
static size_t compress_payload(struct batch **batch, struct compressor *compressor) {
    struct batch *plain = *batch;
    struct str payload = str_make(plain->memory + plain->start, plain->end - plain->start);
    if (compressor->kind == PULSAR_COMPRESSION_NONE || payload.len == 0) {
        return 0;
    }
    struct batch *packed = batch_take(plain->pool);
    if (packed == NULL) {
        return 0;
    }
    size_t room = compressor_bound(compressor, payload.len);
    size_t len = 0;
    if (make_room(packed, plain->start + room, SIZE_MAX) == BATCH_ADDED) {
        len = compressor_run(compressor, payload, packed->memory + plain->start, room);
    }
    if (len == 0 || packed->memory == NULL) {
        batch_release(packed);
        return 0;
    }
    memcpy(packed->memory + plain->start - plain->tail_len,
           plain->memory + plain->start - plain->tail_len, plain->tail_len);
    packed->start = plain->start;
    packed->end = plain->start + len;
    take_description(packed, plain);
    batch_release(plain);
    *batch = packed;
    return payload.len;
}

static char *put_send(char *to, const struct batch *batch, const struct batch_header *header) {
    size_t len = wire_number_size(SEND_PRODUCER_ID, header->producer_id) +
                 wire_number_size(SEND_SEQUENCE_ID, batch->first_sequence_id);
    if (!batch->raw) {
        len += wire_number_size(SEND_NUM_MESSAGES, batch->count) +
               wire_number_size(SEND_HIGHEST_SEQUENCE_ID, batch->last_sequence_id);
    }
    len += batch->is_chunk ? 2 : 0;
    to = wire_put_number(to, BASE_TYPE, BASE_SEND);
    to = wire_put_length(to, BASE_SEND, len);
    to = wire_put_number(to, SEND_PRODUCER_ID, header->producer_id);
    to = wire_put_number(to, SEND_SEQUENCE_ID, batch->first_sequence_id);
    if (!batch->raw) {
        to = wire_put_number(to, SEND_NUM_MESSAGES, batch->count);
        to = wire_put_number(to, SEND_HIGHEST_SEQUENCE_ID, batch->last_sequence_id);
    }
    if (batch->is_chunk) {
        to = wire_put_number(to, SEND_IS_CHUNK, 1);
    }
    return to;
}

/* Which part of its message a chunk is. */
struct part {
    struct str uuid;
    uint32_t number;
    uint32_t count;
    size_t total; /* bytes of all parts */
};

static char *put_part(char *to, const struct part *part) {
    to = wire_put_text(to, ENTRY_UUID, part->uuid);
    to = wire_put_number(to, ENTRY_CHUNKS, part->count);
    to = wire_put_number(to, ENTRY_CHUNKS_LEN, part->total);
    return wire_put_number(to, ENTRY_CHUNK, part->number);
}

static char *put_metadata(char *to, const struct batch *batch, const struct batch_header *header,
                          const struct compressor *compressor, size_t uncompressed,
                          const struct part *part) {
    to = wire_put_text(to, ENTRY_PRODUCER_NAME, header->producer_name);
    to = wire_put_number(to, ENTRY_SEQUENCE_ID, batch->first_sequence_id);
    to = wire_put_number(to, ENTRY_PUBLISH_TIME, header->publish_time_ms);
    if (uncompressed > 0) {
        /* Our enum is in the order of the protocol's. */
        to = wire_put_number(to, ENTRY_COMPRESSION, (uint64_t)compressor->kind);
        to = wire_put_number(to, ENTRY_UNCOMPRESSED_SIZE, uncompressed);
    }
    if (!batch->raw) {
        to = wire_put_number(to, ENTRY_NUM_MESSAGES, batch->count);
        to = wire_put_number(to, ENTRY_HIGHEST_SEQUENCE_ID, batch->last_sequence_id);
    }
    if (header->schema_version.len > 0) {
        to = wire_put_text(to, ENTRY_SCHEMA_VERSION, header->schema_version);
    }
    return part != NULL ? put_part(to, part) : to;
}

/* Writes the header in front of the payload. uncompressed: its size before compression, or 0. */
static void finish(struct batch *batch, const struct compressor *compressor,
                   const struct batch_header *header, size_t uncompressed,
                   const struct part *part) {
    char *end = batch->memory + batch->end;

    /* From the payload to the left. The metadata's first part goes to the room's beginning first,
     * as its size is known only then; so does the command. Both are some fifty bytes. */
    char *metadata = batch->memory + HEADER_FRAME_MAX;
    size_t head_len =
        (size_t)(put_metadata(metadata, batch, header, compressor, uncompressed, part) - metadata);
    size_t metadata_len = head_len + batch->tail_len;
    char *metadata_at = batch->memory + batch->start - metadata_len;
    assert(metadata_at >= metadata);
    memmove(metadata_at, metadata, head_len);

    char *checked = metadata_at - 4; /* what the checksum covers */
    (void)wire_put_be32(checked, (uint32_t)metadata_len);
    uint32_t checksum =
        aws_checksums_crc32c_ex((const uint8_t *)checked, (size_t)(end - checked), 0);

    char command[HEADER_FRAME_MAX];
    size_t command_len = (size_t)(put_send(command, batch, header) - command);
    char *at = checked - 4 - 2 - command_len - 4 - 4;
    assert(at >= batch->memory);
    batch->frame.data = at;
    batch->frame.len = (size_t)(end - at);
    at = wire_put_be32(at, (uint32_t)(batch->frame.len - 4));
    at = wire_put_be32(at, (uint32_t)command_len);
    at = wire_put_bytes(at, str_make(command, command_len));
    at = wire_put_be16(at, CHECKSUM_MAGIC);
    at = wire_put_be32(at, checksum);
    assert(at == checked);
}

void batch_seal(struct batch **batch_in_out, struct compressor *compressor,
                const struct batch_header *header) {
    size_t uncompressed = compress_payload(batch_in_out, compressor);
    finish(*batch_in_out, compressor, header, uncompressed, NULL);
}

static void release_list(struct batch *batch) {
    while (batch != NULL) {
        struct batch *next = batch->next;
        batch_release(batch);
        batch = next;
    }
}

/* A list of empty chunks with room for a header and so many bytes each; NULL when out of memory. */
static struct batch *take_chunks(struct batch_pool *pool, uint32_t count, size_t bytes) {
    struct batch *first = NULL;
    for (uint32_t i = 0; i < count; i++) {
        struct batch *chunk = batch_take(pool);
        if (chunk == NULL || make_room(chunk, bytes, SIZE_MAX) != BATCH_ADDED) {
            if (chunk != NULL) {
                batch_release(chunk);
            }
            release_list(first);
            return NULL;
        }
        chunk->next = first;
        first = chunk;
    }
    return first;
}

bool batch_seal_in_chunks(struct batch **batch, size_t max_message_size,
                          struct compressor *compressor, const struct batch_header *header) {
    size_t uncompressed = compress_payload(batch, compressor);
    struct batch *whole = *batch;
    size_t total = batch_payload_len(whole);
    size_t metadata_max = whole->start - HEADER_FRAME_MAX;
    if (4 + metadata_max + total <= max_message_size) {
        finish(whole, compressor, header, uncompressed, NULL);
        return true;
    }
    metadata_max += part_size_max(header->producer_name.len);
    assert(4 + metadata_max < max_message_size); /* batch_add saw to it */
    size_t piece = max_message_size - 4 - metadata_max;
    uint32_t count = (uint32_t)((total + piece - 1) / piece);
    size_t start = HEADER_FRAME_MAX + metadata_max;
    struct batch *chunks = take_chunks(whole->pool, count, start + (piece < total ? piece : total));
    if (chunks == NULL) {
        return false;
    }
    struct str name = header->producer_name;
    char uuid[UUID_NAME_MAX + UUID_EXTRA + 1];
    int uuid_len = snprintf(uuid, sizeof uuid, "%.*s-%" PRIu64,
                            (int)(name.len < UUID_NAME_MAX ? name.len : UUID_NAME_MAX), name.ptr,
                            whole->first_sequence_id);
    struct part part = {.uuid = str_make(uuid, (size_t)uuid_len), .count = count, .total = total};
    const char *from = whole->memory + whole->start;
    const char *tail = from - whole->tail_len;
    for (struct batch *chunk = chunks; chunk != NULL; chunk = chunk->next, part.number++) {
        size_t len = part.number + 1 < count ? piece : total - part.number * piece;
        chunk->start = start;
        chunk->end = start + len;
        chunk->raw = true;
        chunk->is_chunk = true;
        chunk->tail_len = whole->tail_len;
        chunk->first_sequence_id = whole->first_sequence_id;
        chunk->last_sequence_id = whole->first_sequence_id;
        chunk->opened_ns = whole->opened_ns;
        memcpy(chunk->memory + start - whole->tail_len, tail, whole->tail_len);
        memcpy(chunk->memory + start, from + part.number * piece, len);
        finish(chunk, compressor, header, uncompressed, &part);
        if (chunk->next == NULL) {
            take_description(chunk, whole);
        }
    }
    batch_release(whole);
    *batch = chunks;
    return true;
}

bool batch_checksum_ok(const struct batch *batch) {
    const char *command = batch->frame.data + 8;
    const char *magic = command + wire_get_be32(batch->frame.data + 4);
    const char *checked = magic + 2 + 4;
    size_t len = (size_t)(batch->frame.data + batch->frame.len - checked);
    return wire_get_be32(magic + 2) == aws_checksums_crc32c_ex((const uint8_t *)checked, len, 0);
}
