#include "sink/pipe_frame.h"

#include "pulsar/wire.h"

enum { NUMBER_BYTES = 8, RECORD_HEAD_BYTES = 8 + 8 + 1 + 1 };

static char *put_u64(char *to, uint64_t value) {
    to = wire_put_be32(to, (uint32_t)(value >> 32));
    return wire_put_be32(to, (uint32_t)value);
}

static uint64_t get_u64(const char *from) {
    return (uint64_t)wire_get_be32(from) << 32 | wire_get_be32(from + 4);
}

static char *put_sized(char *to, struct str text) {
    return wire_put_bytes(wire_put_be32(to, (uint32_t)text.len), text);
}

/* Room for a frame's body behind its head; NULL when there is none. buf's length is the caller's to set. */
static char *begin(struct buf *to, enum pipe_frame_type type, size_t body_bytes) {
    char *at = buf_reserve(to, PIPE_FRAME_SIZE_BYTES + 1 + body_bytes);
    if (at == NULL) {
        return NULL;
    }
    at = wire_put_be32(at, (uint32_t)(1 + body_bytes));
    *at++ = (char)type;
    return at;
}

static bool end(struct buf *to, const char *at) {
    if (at == NULL) {
        return false;
    }
    to->len = (size_t)(at - to->data);
    return true;
}

bool pipe_frame_add_hello(struct buf *to, struct str version) {
    char *at = begin(to, PIPE_FRAME_HELLO, 1 + version.len);
    if (at != NULL) {
        *at++ = PIPE_FRAME_PROTOCOL;
        at = wire_put_bytes(at, version);
    }
    return end(to, at);
}

bool pipe_frame_add_alive(struct buf *to) {
    return end(to, begin(to, PIPE_FRAME_ALIVE, 0));
}

static size_t record_body_bytes(const struct sink_message *message) {
    size_t bytes = RECORD_HEAD_BYTES + 4 + message->key.len;
    for (size_t i = 0; i < message->property_count; i++) {
        bytes += 4 + message->properties[i].name.len + 4 + message->properties[i].value.len;
    }
    for (size_t i = 0; i < message->value_parts; i++) {
        bytes += message->value[i].len;
    }
    return bytes;
}

size_t pipe_frame_record_bytes(const struct sink_message *message) {
    return PIPE_FRAME_SIZE_BYTES + 1 + record_body_bytes(message);
}

bool pipe_frame_add_record(struct buf *to, uint64_t number, const struct sink_message *message) {
    char *at = begin(to, PIPE_FRAME_RECORD, record_body_bytes(message));
    if (at == NULL) {
        return false;
    }
    at = put_u64(at, number);
    at = put_u64(at, (uint64_t)message->event_time_ms);
    *at++ = message->key.ptr != NULL;
    *at++ = (char)message->property_count;
    at = put_sized(at, message->key.ptr != NULL ? message->key : STR(""));
    for (size_t i = 0; i < message->property_count; i++) {
        at = put_sized(at, message->properties[i].name);
        at = put_sized(at, message->properties[i].value);
    }
    for (size_t i = 0; i < message->value_parts; i++) {
        at = wire_put_bytes(at, message->value[i]);
    }
    return end(to, at);
}

/* Can a frame of this type to this program have a body of so many bytes? */
static bool is_well_formed(enum pipe_frame_type type, size_t bytes) {
    switch (type) {
    case PIPE_FRAME_CONFIG:
        return true;
    case PIPE_FRAME_ACKED:
        return bytes > 0 && bytes % NUMBER_BYTES == 0 &&
               bytes / NUMBER_BYTES <= PIPE_FRAME_NUMBERS_MAX;
    case PIPE_FRAME_HELLO:
    case PIPE_FRAME_RECORD:
    case PIPE_FRAME_ALIVE:
        break;
    }
    return false;
}

enum pipe_frame_cut pipe_frame_take(struct str *bytes, size_t max, struct pipe_frame *ret_frame,
                                    struct err *err) {
    if (bytes->len < PIPE_FRAME_SIZE_BYTES) {
        return PIPE_FRAME_PARTIAL;
    }
    size_t size = pipe_frame_size(bytes->ptr);
    if (size == 0 || size > max) {
        err_set(err, ERR_PIPE, "standard input: a frame of %zu bytes; allowed: 1 to %zu", size,
                max);
        return PIPE_FRAME_BROKEN;
    }
    if (bytes->len - PIPE_FRAME_SIZE_BYTES < size) {
        return PIPE_FRAME_PARTIAL;
    }
    const char *at = bytes->ptr + PIPE_FRAME_SIZE_BYTES;
    unsigned char type = (unsigned char)*at;
    if (!is_well_formed((enum pipe_frame_type)type, size - 1)) {
        err_set(err, ERR_PIPE,
                "standard input: a frame of type 0x%02x and %zu bytes, which is none", type, size);
        return PIPE_FRAME_BROKEN;
    }
    *ret_frame = (struct pipe_frame){
        .type = (enum pipe_frame_type)type,
        .body = str_make(at + 1, size - 1),
    };
    *bytes = str_make(at + size, bytes->len - PIPE_FRAME_SIZE_BYTES - size);
    return PIPE_FRAME_WHOLE;
}

size_t pipe_frame_size(const char *bytes) {
    return wire_get_be32(bytes);
}

size_t pipe_frame_count(const struct pipe_frame *frame) {
    return frame->body.len / NUMBER_BYTES;
}

uint64_t pipe_frame_number(const struct pipe_frame *frame, size_t i) {
    return get_u64(frame->body.ptr + i * NUMBER_BYTES);
}
