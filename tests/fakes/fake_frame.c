#include "fakes/fake_frame.h"

#include <inttypes.h>
#include <lz4.h>
#include <snappy-c.h>
#include <stdlib.h>
#include <zlib.h>
#include <zstd.h>

enum { MAGIC = 0x0e01, HEAD = 8 };

static uint32_t read_u32(const char *at) {
    const unsigned char *b = (const unsigned char *)at;
    return (uint32_t)b[0] << 24 | (uint32_t)b[1] << 16 | (uint32_t)b[2] << 8 | b[3];
}

static void write_u32(char *to, size_t value) {
    to[0] = (char)(value >> 24);
    to[1] = (char)(value >> 16);
    to[2] = (char)(value >> 8);
    to[3] = (char)value;
}

enum fake_frame_result fake_frame_parse(struct str input, size_t max_size,
                                        struct fake_frame *ret_frame) {
    if (input.len < HEAD) {
        return FAKE_FRAME_MORE;
    }
    size_t total = read_u32(input.ptr);
    size_t command = read_u32(input.ptr + 4);
    if (total < 4 || command > total - 4 || total + 4 > max_size) {
        return FAKE_FRAME_BAD;
    }
    if (input.len < total + 4) {
        return FAKE_FRAME_MORE;
    }
    *ret_frame = (struct fake_frame){
        .command = str_make(input.ptr + HEAD, command),
        .payload = str_make(input.ptr + HEAD + command, total - 4 - command),
        .len = total + 4,
    };
    return FAKE_FRAME_OK;
}

void fake_frame_add(struct buf *out, const Pulsar__BaseCommand *command) {
    size_t size = pulsar__base_command__get_packed_size(command);
    char *room = buf_reserve(out, HEAD + size);
    if (room != NULL) {
        write_u32(room, size + 4);
        write_u32(room + 4, size);
        out->len += HEAD + pulsar__base_command__pack(command, (uint8_t *)room + HEAD);
    }
}

/* One byte at a time, from the definition: it shares nothing with what a client computes. */
uint32_t fake_crc32c(struct str bytes) {
    uint32_t crc = UINT32_MAX;
    uint32_t table[256];
    for (uint32_t i = 0; i < 256; i++) {
        uint32_t value = i;
        for (int bit = 0; bit < 8; bit++) {
            value = value >> 1 ^ (value & 1 ? UINT32_C(0x82f63b78) : 0);
        }
        table[i] = value;
    }
    for (size_t i = 0; i < bytes.len; i++) {
        crc = crc >> 8 ^ table[(crc ^ (unsigned char)bytes.ptr[i]) & 0xff];
    }
    return ~crc;
}

static bool wrong(struct err *err, const char *what) {
    return err_set(err, ERR_PULSAR_PROTOCOL, "%s", what);
}

/* Undoes the compression. *ret_owned is to be freed. */
static bool decompress(const Pulsar__MessageMetadata *metadata, struct str payload,
                       struct str *ret_body, char **ret_owned, struct err *err) {
    *ret_owned = NULL;
    *ret_body = payload;
    if (metadata->compression == PULSAR__COMPRESSION_TYPE__NONE) {
        return true;
    }
    size_t size = metadata->uncompressed_size;
    char *body = *ret_owned = malloc(size + 1);
    if (body == NULL) {
        return err_set(err, ERR_NOMEM, "an entry of %zu bytes", size);
    }
    size_t got = SIZE_MAX;
    switch (metadata->compression) {
    case PULSAR__COMPRESSION_TYPE__LZ4: {
        int len = LZ4_decompress_safe(payload.ptr, body, (int)payload.len, (int)size);
        got = len < 0 ? SIZE_MAX : (size_t)len;
        break;
    }
    case PULSAR__COMPRESSION_TYPE__ZLIB: {
        uLongf len = (uLongf)size;
        got =
            uncompress((Bytef *)body, &len, (const Bytef *)payload.ptr, (uLong)payload.len) == Z_OK
                ? (size_t)len
                : SIZE_MAX;
        break;
    }
    case PULSAR__COMPRESSION_TYPE__ZSTD:
        got = ZSTD_decompress(body, size, payload.ptr, payload.len);
        break;
    case PULSAR__COMPRESSION_TYPE__SNAPPY: {
        size_t len = size;
        got = snappy_uncompress(payload.ptr, payload.len, body, &len) == SNAPPY_OK ? len : SIZE_MAX;
        break;
    }
    default:
        break;
    }
    *ret_body = str_make(body, size);
    return got == size || wrong(err, "the entry does not decompress to uncompressed_size");
}

/* Of an optional field of bytes. */
static struct str bytes_of(protobuf_c_boolean has, ProtobufCBinaryData bytes) {
    static const char nothing[1];
    return !has                 ? STR_NONE
           : bytes.data == NULL ? str_make(nothing, 0)
                                : str_make((const char *)bytes.data, bytes.len);
}

static bool decode_batch(struct str body, const Pulsar__MessageMetadata *metadata,
                         fake_decoded_fn *each, void *ctx, struct err *err) {
    uint64_t last = metadata->sequence_id;
    for (int32_t i = 0; i < metadata->num_messages_in_batch; i++) {
        if (body.len < 4 || read_u32(body.ptr) > body.len - 4) {
            return wrong(err, "a batch ends within a message's metadata");
        }
        size_t size = read_u32(body.ptr);
        Pulsar__SingleMessageMetadata *single =
            pulsar__single_message_metadata__unpack(NULL, size, (const uint8_t *)body.ptr + 4);
        body = str_make(body.ptr + 4 + size, body.len - 4 - size);
        if (single == NULL || single->payload_size < 0 || (size_t)single->payload_size > body.len) {
            if (single != NULL) {
                pulsar__single_message_metadata__free_unpacked(single, NULL);
            }
            return wrong(err, "a batch holds a message that cannot be read");
        }
        struct fake_decoded message = {
            .sequence_id =
                single->has_sequence_id ? single->sequence_id : metadata->sequence_id + (uint64_t)i,
            .batch_index = i,
            .key = single->partition_key,
            .key_is_base64 = single->partition_key_b64_encoded,
            .ordering_key = bytes_of(single->has_ordering_key, single->ordering_key),
            .event_time = single->event_time,
            .properties = single->properties,
            .property_count = single->n_properties,
            .value = str_make(body.ptr, (size_t)single->payload_size),
            .null_value = single->null_value,
        };
        bool ok = (i == 0 ? message.sequence_id == last : message.sequence_id > last) ||
                  wrong(err, "sequence ids within a batch do not rise from the entry's");
        last = message.sequence_id;
        ok = ok && each(ctx, metadata, &message, err);
        body = str_make(body.ptr + message.value.len, body.len - message.value.len);
        pulsar__single_message_metadata__free_unpacked(single, NULL);
        if (!ok) {
            return false;
        }
    }
    if (metadata->has_highest_sequence_id && metadata->highest_sequence_id != last) {
        return wrong(err, "highest_sequence_id is not the last message's");
    }
    return body.len == 0 || wrong(err, "there are bytes behind the last message of a batch");
}

static bool check_chunk(const Pulsar__MessageMetadata *metadata, struct err *err) {
    if (metadata->uuid == NULL || metadata->uuid[0] == '\0') {
        return wrong(err, "a chunk has no uuid");
    }
    if (metadata->num_chunks_from_msg < 2 || !metadata->has_chunk_id || metadata->chunk_id < 0 ||
        metadata->chunk_id >= metadata->num_chunks_from_msg) {
        return wrong(err, "a chunk's number is not one of num_chunks_from_msg, or there is one");
    }
    if (metadata->total_chunk_msg_size < 1) {
        return wrong(err, "a chunk has no total_chunk_msg_size");
    }
    return !metadata->has_num_messages_in_batch || wrong(err, "a chunk is a batch");
}

static bool check_metadata(const Pulsar__MessageMetadata *metadata, const Pulsar__CommandSend *send,
                           const char *producer_name, size_t max_message_size, struct err *err) {
    int32_t messages = metadata->has_num_messages_in_batch ? metadata->num_messages_in_batch : 1;
    if (strcmp(metadata->producer_name, producer_name) != 0) {
        return wrong(err, "producer_name is not the producer's");
    }
    if (metadata->sequence_id != send->sequence_id) {
        return wrong(err, "sequence_id differs between command and metadata");
    }
    if (metadata->has_highest_sequence_id != send->has_highest_sequence_id ||
        metadata->highest_sequence_id != send->highest_sequence_id) {
        return wrong(err, "highest_sequence_id differs between command and metadata");
    }
    if (messages != send->num_messages || messages < 1) {
        return wrong(err, "the number of messages differs between command and metadata");
    }
    if (!send->is_chunk && metadata->uncompressed_size > max_message_size) {
        return wrong(err, "the entry is larger than max_message_size when uncompressed");
    }
    if (messages > 1 && metadata->has_deliver_at_time) {
        return wrong(err, "a delayed message is in a batch with others");
    }
    if (send->is_chunk ? !check_chunk(metadata, err) : metadata->uuid != NULL) {
        return send->is_chunk ? false : wrong(err, "a uuid, but no chunk");
    }
    return metadata->publish_time > 0 || wrong(err, "there is no publish_time");
}

bool fake_entry_open(struct str payload, const Pulsar__CommandSend *send, const char *producer_name,
                     size_t max_message_size, struct fake_entry *ret_entry, struct err *err) {
    if (payload.len < 10 || (read_u32(payload.ptr) >> 16) != MAGIC) {
        return wrong(err, "a SEND has no checksum");
    }
    struct str covered = str_make(payload.ptr + 6, payload.len - 6);
    if (read_u32(payload.ptr + 2) != fake_crc32c(covered)) {
        return wrong(err, "the checksum is wrong");
    }
    size_t size = read_u32(covered.ptr);
    if (size > covered.len - 4) {
        return wrong(err, "the metadata is longer than the frame");
    }
    if (covered.len > max_message_size) {
        return wrong(err, "metadata and payload are larger than max_message_size");
    }
    *ret_entry = (struct fake_entry){
        .metadata = pulsar__message_metadata__unpack(NULL, size, (const uint8_t *)covered.ptr + 4),
        .body = str_make(covered.ptr + 4 + size, covered.len - 4 - size),
    };
    if (ret_entry->metadata == NULL) {
        return wrong(err, "the metadata cannot be read");
    }
    if (!check_metadata(ret_entry->metadata, send, producer_name, max_message_size, err)) {
        fake_entry_done(ret_entry);
        return false;
    }
    return true;
}

void fake_entry_done(struct fake_entry *entry) {
    pulsar__message_metadata__free_unpacked(entry->metadata, NULL);
    entry->metadata = NULL;
}

bool fake_entry_decode(const Pulsar__MessageMetadata *metadata, struct str body,
                       fake_decoded_fn *each, void *ctx, struct err *err) {
    char *owned = NULL;
    bool ok = decompress(metadata, body, &body, &owned, err);
    if (ok && metadata->has_num_messages_in_batch) {
        ok = decode_batch(body, metadata, each, ctx, err);
    } else if (ok) {
        struct fake_decoded message = {
            .sequence_id = metadata->sequence_id,
            .batch_index = -1,
            .key = metadata->partition_key,
            .key_is_base64 = metadata->partition_key_b64_encoded,
            .ordering_key = bytes_of(metadata->has_ordering_key, metadata->ordering_key),
            .event_time = metadata->event_time,
            .properties = metadata->properties,
            .property_count = metadata->n_properties,
            .value = body,
            .null_value = metadata->null_value,
        };
        ok = each(ctx, metadata, &message, err);
    }
    free(owned);
    return ok;
}
