#include "fakes/fake_broker_store.h"

#include "fakes/fake_bytes.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

static void message_done(struct fake_message *message) {
    for (size_t i = 0; i < message->property_count; i++) {
        free(message->properties[i].name);
        free(message->properties[i].value);
    }
    free(message->properties);
    free(message->topic);
    free(message->producer);
    free(message->entry_key);
    free(message->key);
    free(message->ordering_key);
    free(message->value);
}

void fake_broker_store_clear(struct fake_broker_store *store) {
    for (size_t i = 0; i < store->count; i++) {
        message_done(&store->messages[i]);
    }
    store->count = 0;
}

void fake_broker_store_forget(struct fake_broker_store *store) {
    for (size_t i = 0; i < store->known_count; i++) {
        free(store->known[i].topic);
        free(store->known[i].name);
    }
    store->known_count = 0;
}

void fake_broker_store_done(struct fake_broker_store *store) {
    fake_broker_store_clear(store);
    fake_broker_store_forget(store);
    for (size_t i = 0; i < store->sent_count; i++) {
        free(store->sent[i].topic);
        free(store->sent[i].name);
    }
    free(store->sent);
    fake_chunks_done(&store->chunks);
    fake_schemas_done(&store->schemas);
    free(store->messages);
    free(store->known);
    *store = (struct fake_broker_store){0};
}

struct str fake_topic_split(struct str topic, int32_t *ret_partition) {
    static const char mark[] = "-partition-";
    size_t digits = 0;
    while (digits < topic.len && digits < 9 && topic.ptr[topic.len - 1 - digits] >= '0' &&
           topic.ptr[topic.len - 1 - digits] <= '9') {
        digits++;
    }
    size_t end = digits + sizeof mark - 1;
    uint64_t partition = 0;
    *ret_partition = -1;
    if (digits == 0 || topic.len <= end ||
        memcmp(topic.ptr + topic.len - end, mark, sizeof mark - 1) != 0 ||
        !str_to_u64(str_make(topic.ptr + topic.len - digits, digits), &partition)) {
        return topic;
    }
    *ret_partition = (int32_t)partition;
    return str_make(topic.ptr, topic.len - end);
}

/* 8 bytes, big-endian, as this registry gives them. */
static int64_t schema_version_of(const Pulsar__MessageMetadata *metadata) {
    uint64_t version = 0;
    for (size_t i = 0; i < metadata->schema_version.len; i++) {
        version = version << 8 | metadata->schema_version.data[i];
    }
    return metadata->has_schema_version ? (int64_t)version : -1;
}

bool fake_broker_store_add(struct fake_broker_store *store, struct str topic,
                           const Pulsar__MessageMetadata *metadata,
                           const struct fake_decoded *message, uint64_t entry, struct err *err) {
    if (store->count == store->capacity) {
        size_t capacity = store->capacity == 0 ? 256 : store->capacity * 2;
        struct fake_message *messages =
            realloc(store->messages, capacity * sizeof(struct fake_message));
        if (messages == NULL) {
            return err_set(err, ERR_NOMEM, "messages");
        }
        store->messages = messages;
        store->capacity = capacity;
    }
    int32_t partition;
    struct str base = fake_topic_split(topic, &partition);
    struct fake_message copy = {
        .topic = str_dup(base),
        .partition = partition,
        .producer = str_dup(str_of(metadata->producer_name)),
        .sequence_id = message->sequence_id,
        .entry = entry,
        .batch_index = message->batch_index,
        .chunks = metadata->num_chunks_from_msg,
        .entry_key =
            metadata->partition_key == NULL ? NULL : str_dup(str_of(metadata->partition_key)),
        .key = message->key == NULL ? NULL : str_dup(str_of(message->key)),
        .key_is_base64 = message->key_is_base64,
        .ordering_key = message->ordering_key.ptr == NULL ? NULL : str_dup(message->ordering_key),
        .ordering_key_len = message->ordering_key.len,
        .deliver_at = metadata->deliver_at_time,
        .schema_version = schema_version_of(metadata),
        .event_time = message->event_time,
        .publish_time = metadata->publish_time,
        .properties = calloc(message->property_count + 1, sizeof(struct fake_property)),
        .value = str_dup(message->value),
        .value_len = message->value.len,
        .null_value = message->null_value,
    };
    bool ok = copy.topic != NULL && copy.producer != NULL && copy.properties != NULL &&
              copy.value != NULL && (message->key == NULL || copy.key != NULL) &&
              (metadata->partition_key == NULL || copy.entry_key != NULL) &&
              (message->ordering_key.ptr == NULL || copy.ordering_key != NULL);
    for (size_t i = 0; ok && i < message->property_count; i++) {
        struct fake_property *property = &copy.properties[copy.property_count++];
        property->name = str_dup(str_of(message->properties[i]->key));
        property->value = str_dup(str_of(message->properties[i]->value));
        ok = property->name != NULL && property->value != NULL;
    }
    if (!ok) {
        message_done(&copy);
        return err_set(err, ERR_NOMEM, "a message");
    }
    store->messages[store->count++] = copy;
    return true;
}

static struct fake_known_producer *find_known(const struct fake_broker_store *store,
                                              struct str topic, struct str name) {
    for (size_t i = 0; i < store->known_count; i++) {
        struct fake_known_producer *known = &store->known[i];
        if (str_is(topic, known->topic) && str_is(name, known->name)) {
            return known;
        }
    }
    return NULL;
}

int64_t fake_broker_store_pushed(const struct fake_broker_store *store, struct str topic,
                                 struct str name) {
    const struct fake_known_producer *known = find_known(store, topic, name);
    return known == NULL ? -1 : known->pushed;
}

int64_t fake_broker_store_persisted(const struct fake_broker_store *store, struct str topic,
                                    struct str name) {
    const struct fake_known_producer *known = find_known(store, topic, name);
    return known == NULL ? -1 : known->persisted;
}

/* Makes it if need be; NULL when out of memory. */
static struct fake_known_producer *know(struct fake_broker_store *store, struct str topic,
                                        struct str name) {
    struct fake_known_producer *known = find_known(store, topic, name);
    if (known != NULL) {
        return known;
    }
    struct fake_known_producer *all =
        realloc(store->known, (store->known_count + 1) * sizeof(struct fake_known_producer));
    if (all == NULL) {
        return NULL;
    }
    store->known = all;
    known = &all[store->known_count];
    *known = (struct fake_known_producer){
        .topic = str_dup(topic), .name = str_dup(name), .pushed = -1, .persisted = -1};
    if (known->topic == NULL || known->name == NULL) {
        free(known->topic);
        free(known->name);
        return NULL;
    }
    store->known_count++;
    return known;
}

bool fake_broker_store_push(struct fake_broker_store *store, struct str topic, struct str name,
                            int64_t sequence_id) {
    struct fake_known_producer *known = know(store, topic, name);
    if (known != NULL && sequence_id > known->pushed) {
        known->pushed = sequence_id;
    }
    return known != NULL;
}

bool fake_broker_store_persist(struct fake_broker_store *store, struct str topic, struct str name,
                               int64_t sequence_id) {
    struct fake_known_producer *known = know(store, topic, name);
    if (known != NULL && sequence_id > known->persisted) {
        known->persisted = sequence_id;
    }
    return known != NULL;
}

bool fake_broker_store_same_again(struct fake_broker_store *store, struct str topic,
                                  const Pulsar__MessageMetadata *metadata, struct str payload,
                                  struct err *err) {
    struct fake_sent now = {
        .sequence_id = metadata->sequence_id,
        .chunk_id = metadata->has_chunk_id ? metadata->chunk_id : -1,
        .len = payload.len,
    };
    memcpy(&now.crc, payload.ptr + 2, sizeof now.crc); /* behind the magic, and checked */
    for (size_t i = store->sent_count; i-- > 0;) {     /* what comes again was sent not long ago */
        const struct fake_sent *before = &store->sent[i];
        if (before->sequence_id == now.sequence_id && before->chunk_id == now.chunk_id &&
            str_is(topic, before->topic) && strcmp(before->name, metadata->producer_name) == 0) {
            return (before->crc == now.crc && before->len == now.len) ||
                   err_set(err, ERR_PULSAR_PROTOCOL, "an entry came again with other bytes");
        }
    }
    if (store->sent_count == store->sent_capacity) {
        size_t capacity = store->sent_capacity == 0 ? 256 : store->sent_capacity * 2;
        struct fake_sent *sent = realloc(store->sent, capacity * sizeof(struct fake_sent));
        if (sent == NULL) {
            return err_set(err, ERR_NOMEM, "entries");
        }
        store->sent = sent;
        store->sent_capacity = capacity;
    }
    now.topic = str_dup(topic);
    now.name = str_dup(str_of(metadata->producer_name));
    if (now.topic == NULL || now.name == NULL) {
        free(now.topic);
        free(now.name);
        return err_set(err, ERR_NOMEM, "an entry");
    }
    store->sent[store->sent_count++] = now;
    return true;
}

size_t fake_broker_store_count(const struct fake_broker_store *store, const char *topic) {
    size_t count = 0;
    for (size_t i = 0; i < store->count; i++) {
        count += topic == NULL || strcmp(store->messages[i].topic, topic) == 0 ? 1 : 0;
    }
    return count;
}

void fake_broker_store_json(const struct fake_message *message, struct buf *out) {
    buf_add_text(out, "{\"topic\":");
    buf_add_json_string(out, str_of(message->topic));
    buf_add_format(out, ",\"partition\":%" PRId32 ",\"producer\":", message->partition);
    buf_add_json_string(out, str_of(message->producer));
    buf_add_format(out, ",\"sequenceId\":%" PRIu64 ",\"entry\":%" PRIu64, message->sequence_id,
                   message->entry);
    if (message->batch_index >= 0) {
        buf_add_format(out, ",\"batchIndex\":%" PRId32, message->batch_index);
    }
    if (message->chunks > 0) {
        buf_add_format(out, ",\"chunks\":%" PRId32, message->chunks);
    }
    if (message->entry_key != NULL) {
        buf_add_text(out, ",\"entryKey\":");
        buf_add_json_string(out, str_of(message->entry_key));
    }
    if (message->key != NULL) {
        buf_add_text(out, ",\"key\":");
        buf_add_json_string(out, str_of(message->key));
        buf_add_format(out, ",\"keyIsBase64\":%s", message->key_is_base64 ? "true" : "false");
    }
    if (message->ordering_key != NULL) {
        buf_add_char(out, ',');
        fake_bytes_json(out, "orderingKey",
                        str_make(message->ordering_key, message->ordering_key_len));
    }
    if (message->deliver_at != 0) {
        buf_add_format(out, ",\"deliverAt\":%" PRId64, message->deliver_at);
    }
    if (message->schema_version >= 0) {
        buf_add_format(out, ",\"schemaVersion\":%" PRId64, message->schema_version);
    }
    buf_add_format(out, ",\"eventTime\":%" PRIu64 ",\"publishTime\":%" PRIu64 ",\"properties\":{",
                   message->event_time, message->publish_time);
    for (size_t i = 0; i < message->property_count; i++) {
        buf_add_text(out, i > 0 ? "," : "");
        buf_add_json_string(out, str_of(message->properties[i].name));
        buf_add_char(out, ':');
        buf_add_json_string(out, str_of(message->properties[i].value));
    }
    buf_add_text(out, "},");
    if (message->null_value) {
        buf_add_text(out, "\"value\":null");
    } else {
        fake_bytes_json(out, "value", str_make(message->value, message->value_len));
    }
    buf_add_text(out, "}\n");
}

bool fake_broker_store_dump(const struct fake_broker_store *store, const char *path,
                            struct err *err) {
    FILE *file = fopen(path, "we");
    if (file == NULL) {
        return err_set(err, ERR_CONFIG, "%s: %s", path, strerror(errno));
    }
    struct buf line;
    buf_init(&line, BUF_MAX_PAGE);
    bool ok = true;
    for (size_t i = 0; ok && i < store->count; i++) {
        buf_reset(&line);
        fake_broker_store_json(&store->messages[i], &line);
        ok = !line.failed && fwrite(line.data, 1, line.len, file) == line.len;
    }
    buf_done(&line);
    ok = fclose(file) == 0 && ok;
    return ok || err_set(err, ERR_CONFIG, "%s could not be written", path);
}
