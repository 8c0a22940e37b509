/*
 * schema: what the messages of a topic look like, as a producer registers it at the broker.
 * Public, with producer.h. Pure.
 */
#ifndef PULSAR_SCHEMA_H
#define PULSAR_SCHEMA_H

#include "base/str.h"

struct pulsar_property {
    struct str name;
    struct str value;
};

/* The protocol's numbers. */
enum pulsar_schema_type {
    PULSAR_SCHEMA_BYTES = 0, /* nothing is registered */
    PULSAR_SCHEMA_STRING = 1,
    PULSAR_SCHEMA_JSON = 2, /* data: an Avro record schema as JSON text */
    PULSAR_SCHEMA_PROTOBUF = 3,
    PULSAR_SCHEMA_AVRO = 4,
    PULSAR_SCHEMA_BOOL = 5, /* one byte; numbers are big-endian */
    PULSAR_SCHEMA_INT8 = 6,
    PULSAR_SCHEMA_INT16 = 7,
    PULSAR_SCHEMA_INT32 = 8,
    PULSAR_SCHEMA_INT64 = 9,
    PULSAR_SCHEMA_FLOAT = 10,
    PULSAR_SCHEMA_DOUBLE = 11,
    PULSAR_SCHEMA_DATE = 12,
    PULSAR_SCHEMA_TIME = 13,
    PULSAR_SCHEMA_TIMESTAMP = 14,
    PULSAR_SCHEMA_KEY_VALUE = 15, /* made of two others */
    PULSAR_SCHEMA_INSTANT = 16,
    PULSAR_SCHEMA_LOCAL_DATE = 17,
    PULSAR_SCHEMA_LOCAL_TIME = 18,
    PULSAR_SCHEMA_LOCAL_DATE_TIME = 19,
    PULSAR_SCHEMA_PROTOBUF_NATIVE = 20,
};

enum pulsar_key_encoding {
    PULSAR_KEY_INLINE,    /* a message's value is size, key, size, value: pulsar_inline_size */
    PULSAR_KEY_SEPARATED, /* the key is the message's key, as key_is_binary */
};

/* Borrowed for pulsar_producer_open. All-zero is plain bytes. */
struct pulsar_schema {
    enum pulsar_schema_type type;
    struct str name; /* may be empty */
    struct str data; /* the definition; empty for the primitive types */
    const struct pulsar_property *properties;
    size_t property_count;
    /* Of KEY_VALUE only, which takes data and properties from them. */
    const struct pulsar_schema *key;
    const struct pulsar_schema *value;
    enum pulsar_key_encoding key_encoding;
};

/* What stands in front of the key and of the value of a PULSAR_KEY_INLINE message. */
struct pulsar_inline_size {
    char bytes[4];
};

/* part.ptr NULL: there is none, which is not the same as an empty one. */
static inline struct pulsar_inline_size pulsar_inline_size(struct str part) {
    uint32_t len = part.ptr != NULL ? (uint32_t)part.len : UINT32_MAX;
    return (struct pulsar_inline_size){
        {(char)(len >> 24), (char)(len >> 16), (char)(len >> 8), (char)len}};
}

#endif
