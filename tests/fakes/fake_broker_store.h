/*
 * fake_broker_store: the messages that the broker double has stored, in the order of storing, and
 * what it knows of each topic's producers for deduplication: the highest id that was pushed, and the
 * highest that is safe. Pure.
 */
#ifndef FAKES_FAKE_BROKER_STORE_H
#define FAKES_FAKE_BROKER_STORE_H

#include "base/buf.h"
#include "fakes/fake_chunks.h"
#include "fakes/fake_frame.h"
#include "fakes/fake_schemas.h"

struct fake_property {
    char *name;
    char *value;
};

struct fake_message {
    char *topic;       /* without "-partition-N" */
    int32_t partition; /* -1: a plain topic */
    char *producer;
    uint64_t sequence_id;
    uint64_t entry;
    int32_t batch_index; /* -1: not in batch format */
    int32_t chunks;      /* it came in so many; 0: in one entry */
    char *entry_key;     /* in the entry's metadata; NULL: none */
    char *key;           /* NULL: none */
    bool key_is_base64;
    char *ordering_key; /* NULL: none */
    size_t ordering_key_len;
    int64_t deliver_at;     /* 0: at once */
    int64_t schema_version; /* -1: none */
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
    int64_t pushed;
    int64_t persisted;
};

/* An entry as it was sent first, to be compared when it comes again. */
struct fake_sent {
    char *topic; /* with "-partition-N" */
    char *name;
    uint64_t sequence_id;
    int32_t chunk_id;
    uint32_t crc;
    size_t len;
};

struct fake_broker_store {
    struct fake_message *messages;
    size_t count;
    size_t capacity;
    struct fake_known_producer *known;
    size_t known_count;
    struct fake_sent *sent;
    size_t sent_count;
    size_t sent_capacity;
    struct fake_chunks chunks;
    struct fake_schemas schemas;
};

void fake_broker_store_done(struct fake_broker_store *store);
/* Forgets the messages. */
void fake_broker_store_clear(struct fake_broker_store *store);

/* Splits "<topic>-partition-<N>"; *ret_partition is -1 when it has no such end. */
struct str fake_topic_split(struct str topic, int32_t *ret_partition);

/* Copies a message of that entry. */
bool fake_broker_store_add(struct fake_broker_store *store, struct str topic,
                           const Pulsar__MessageMetadata *metadata,
                           const struct fake_decoded *message, uint64_t entry, struct err *err);

/* Of a producer's name; -1 when it is not known. */
int64_t fake_broker_store_pushed(const struct fake_broker_store *store, struct str topic,
                                 struct str name);
int64_t fake_broker_store_persisted(const struct fake_broker_store *store, struct str topic,
                                    struct str name);
/* They only rise. False when out of memory. */
bool fake_broker_store_push(struct fake_broker_store *store, struct str topic, struct str name,
                            int64_t sequence_id);
bool fake_broker_store_persist(struct fake_broker_store *store, struct str topic, struct str name,
                               int64_t sequence_id);
/* Whether an entry that was sent before is the same again; notes it when it is new. False with err. */
bool fake_broker_store_same_again(struct fake_broker_store *store, struct str topic,
                                  const Pulsar__MessageMetadata *metadata, struct str payload,
                                  struct err *err);
/* The memory of inactive producers ends. */
void fake_broker_store_forget(struct fake_broker_store *store);

/* Messages of a topic (without "-partition-N"); a NULL topic: of all. */
size_t fake_broker_store_count(const struct fake_broker_store *store, const char *topic);
/* One JSON object a line. The value is "value" when it is UTF-8, else "valueBase64". */
void fake_broker_store_json(const struct fake_message *message, struct buf *out);
bool fake_broker_store_dump(const struct fake_broker_store *store, const char *path,
                            struct err *err);

#endif
