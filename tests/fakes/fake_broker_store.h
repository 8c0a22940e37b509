/*
 * fake_broker_store: the messages that the broker double has stored, in the order of storing, and
 * what it knows of each topic's producers for deduplication. Pure.
 */
#ifndef FAKES_FAKE_BROKER_STORE_H
#define FAKES_FAKE_BROKER_STORE_H

#include "base/buf.h"
#include "fakes/fake_frame.h"

struct fake_property {
    char *name;
    char *value;
};

struct fake_message {
    char *topic;       /* without "-partition-N" */
    int32_t partition; /* -1: a plain topic */
    char *producer;
    uint64_t sequence_id;
    char *key; /* NULL: none */
    bool key_is_base64;
    uint64_t event_time;
    uint64_t publish_time;
    struct fake_property *properties;
    size_t property_count;
    char *value; /* terminated, also when it is not text */
    size_t value_len;
    bool null_value;
};

/* One producer name of one topic, as deduplication sees it. */
struct fake_known_producer {
    char *topic; /* with "-partition-N" */
    char *name;
    int64_t last_sequence_id;
};

struct fake_broker_store {
    struct fake_message *messages;
    size_t count;
    size_t capacity;
    struct fake_known_producer *known;
    size_t known_count;
};

void fake_broker_store_done(struct fake_broker_store *store);
/* Forgets the messages. */
void fake_broker_store_clear(struct fake_broker_store *store);

/* Splits "<topic>-partition-<N>"; *ret_partition is -1 when it has no such end. */
struct str fake_topic_split(struct str topic, int32_t *ret_partition);

/* Copies a message. */
bool fake_broker_store_add(struct fake_broker_store *store, struct str topic,
                           const Pulsar__MessageMetadata *metadata,
                           const struct fake_decoded *message, struct err *err);

/* The last stored sequence id; -1 when the name is not known. */
int64_t fake_broker_store_last(const struct fake_broker_store *store, struct str topic,
                               struct str name);
/* False when out of memory. */
bool fake_broker_store_remember(struct fake_broker_store *store, struct str topic, struct str name,
                                int64_t sequence_id);
/* The memory of inactive producers ends. */
void fake_broker_store_forget(struct fake_broker_store *store);

/* Messages of a topic (without "-partition-N"); a NULL topic: of all. */
size_t fake_broker_store_count(const struct fake_broker_store *store, const char *topic);
/* One JSON object a line. The value is "value" when it is UTF-8, else "valueBase64". */
void fake_broker_store_json(const struct fake_message *message, struct buf *out);
bool fake_broker_store_dump(const struct fake_broker_store *store, const char *path,
                            struct err *err);

#endif
