/*
 * wire: the integers of Pulsar's protocol: big-endian in framing, protobuf's varints within. Pure.
 * Writers are given enough room by their callers, who know the size beforehand; readers trust
 * nothing.
 */
#ifndef PULSAR_WIRE_H
#define PULSAR_WIRE_H

#include "base/str.h"

enum { WIRE_VARINT_MAX = 10 };
enum wire_type { WIRE_VARINT = 0, WIRE_FIXED64 = 1, WIRE_BYTES = 2, WIRE_FIXED32 = 5 };

/* A tag of a field below 16 takes one byte, of one below 2,048 two. */
#define WIRE_TAG(field, type) (((uint32_t)(field) << 3) | (uint32_t)(type))

static inline size_t wire_varint_size(uint64_t value) {
    unsigned bits = 64u - (unsigned)__builtin_clzll(value | 1);
    return (bits + 6) / 7;
}

static inline char *wire_put_varint(char *to, uint64_t value) {
    while (value >= 0x80) {
        *to++ = (char)(unsigned char)(value | 0x80);
        value >>= 7;
    }
    *to++ = (char)(unsigned char)value;
    return to;
}

static inline char *wire_put_bytes(char *to, struct str bytes) {
    if (bytes.len > 0) {
        memcpy(to, bytes.ptr, bytes.len);
    }
    return to + bytes.len;
}

static inline char *wire_put_be16(char *to, uint16_t value) {
    to[0] = (char)(unsigned char)(value >> 8);
    to[1] = (char)(unsigned char)value;
    return to + 2;
}

static inline char *wire_put_be32(char *to, uint32_t value) {
    uint32_t big = __builtin_bswap32(value);
    _Static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "written for little-endian machines");
    memcpy(to, &big, sizeof big);
    return to + sizeof big;
}

static inline uint32_t wire_get_be32(const char *from) {
    uint32_t big;
    memcpy(&big, from, sizeof big);
    return __builtin_bswap32(big);
}

/* Whole fields: a tag and what belongs to it. */
static inline size_t wire_number_size(uint32_t field, uint64_t value) {
    return wire_varint_size(WIRE_TAG(field, WIRE_VARINT)) + wire_varint_size(value);
}

static inline char *wire_put_number(char *to, uint32_t field, uint64_t value) {
    return wire_put_varint(wire_put_varint(to, WIRE_TAG(field, WIRE_VARINT)), value);
}

static inline size_t wire_text_size(uint32_t field, size_t len) {
    return wire_varint_size(WIRE_TAG(field, WIRE_BYTES)) + wire_varint_size(len) + len;
}

/* Tag and length only: the caller writes the bytes. */
static inline char *wire_put_length(char *to, uint32_t field, size_t len) {
    return wire_put_varint(wire_put_varint(to, WIRE_TAG(field, WIRE_BYTES)), len);
}

static inline char *wire_put_text(char *to, uint32_t field, struct str text) {
    return wire_put_bytes(wire_put_length(to, field, text.len), text);
}

struct wire_field {
    uint32_t number;
    enum wire_type type;
    uint64_t value;   /* of WIRE_VARINT */
    struct str bytes; /* of WIRE_BYTES; borrowed */
};

/* Takes a varint off the front of *rest; false when it is cut off or longer than ten bytes. */
static inline bool wire_take_varint(struct str *rest, uint64_t *ret_value) {
    uint64_t value = 0;
    for (size_t i = 0; i < rest->len && i < WIRE_VARINT_MAX; i++) {
        unsigned char byte = (unsigned char)rest->ptr[i];
        value |= (uint64_t)(byte & 0x7f) << (7 * i);
        if (byte < 0x80) {
            *rest = str_make(rest->ptr + i + 1, rest->len - i - 1);
            *ret_value = value;
            return true;
        }
    }
    return false;
}

/* Takes the next field off the front of *rest, which must not be empty; false when it is malformed.
 */
static inline bool wire_take_field(struct str *rest, struct wire_field *ret_field) {
    uint64_t tag;
    if (!wire_take_varint(rest, &tag) || tag >> 3 == 0 || tag > UINT32_MAX) {
        return false;
    }
    *ret_field =
        (struct wire_field){.number = (uint32_t)(tag >> 3), .type = (enum wire_type)(tag & 7)};
    uint64_t len;
    switch (ret_field->type) {
    case WIRE_VARINT:
        return wire_take_varint(rest, &ret_field->value);
    case WIRE_BYTES:
        if (!wire_take_varint(rest, &len)) {
            return false;
        }
        break;
    case WIRE_FIXED64:
        len = 8;
        break;
    case WIRE_FIXED32:
        len = 4;
        break;
    default:
        return false;
    }
    if (len > rest->len) {
        return false;
    }
    ret_field->bytes = str_make(rest->ptr, (size_t)len);
    *rest = str_make(rest->ptr + len, rest->len - (size_t)len);
    return true;
}

#endif
