#include "fakes/fake_broker_store.h"

#include <aws/common/encoding.h>
#include <errno.h>
#include <inttypes.h>
#include <openssl/evp.h>
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
    free(message->key);
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

bool fake_broker_store_add(struct fake_broker_store *store, struct str topic,
                           const Pulsar__MessageMetadata *metadata,
                           const struct fake_decoded *message, struct err *err) {
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
        .key = message->key == NULL ? NULL : str_dup(str_of(message->key)),
        .key_is_base64 = message->key_is_base64,
        .event_time = message->event_time,
        .publish_time = metadata->publish_time,
        .properties = calloc(message->property_count + 1, sizeof(struct fake_property)),
        .value = str_dup(message->value),
        .value_len = message->value.len,
        .null_value = message->null_value,
    };
    bool ok = copy.topic != NULL && copy.producer != NULL && copy.properties != NULL &&
              copy.value != NULL && (message->key == NULL || copy.key != NULL);
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

int64_t fake_broker_store_last(const struct fake_broker_store *store, struct str topic,
                               struct str name) {
    const struct fake_known_producer *known = find_known(store, topic, name);
    return known == NULL ? -1 : known->last_sequence_id;
}

bool fake_broker_store_remember(struct fake_broker_store *store, struct str topic, struct str name,
                                int64_t sequence_id) {
    struct fake_known_producer *known = find_known(store, topic, name);
    if (known == NULL) {
        struct fake_known_producer *all =
            realloc(store->known, (store->known_count + 1) * sizeof(struct fake_known_producer));
        if (all == NULL) {
            return false;
        }
        store->known = all;
        known = &all[store->known_count];
        *known = (struct fake_known_producer){.topic = str_dup(topic), .name = str_dup(name)};
        if (known->topic == NULL || known->name == NULL) {
            free(known->topic);
            free(known->name);
            return false;
        }
        store->known_count++;
    }
    known->last_sequence_id = sequence_id;
    return true;
}

size_t fake_broker_store_count(const struct fake_broker_store *store, const char *topic) {
    size_t count = 0;
    for (size_t i = 0; i < store->count; i++) {
        count += topic == NULL || strcmp(store->messages[i].topic, topic) == 0 ? 1 : 0;
    }
    return count;
}

static void add_base64(struct buf *out, struct str bytes) {
    size_t size = (bytes.len + 2) / 3 * 4;
    buf_add_char(out, '"');
    char *room = buf_reserve(out, size + 1);
    if (room != NULL) {
        (void)EVP_EncodeBlock((unsigned char *)room, (const unsigned char *)bytes.ptr,
                              (int)bytes.len);
        out->len += size;
    }
    buf_add_char(out, '"');
}

void fake_broker_store_json(const struct fake_message *message, struct buf *out) {
    struct str value = str_make(message->value, message->value_len);
    bool text = aws_decode_utf8(aws_byte_cursor_from_array(value.ptr, value.len), NULL) == 0;
    buf_add_text(out, "{\"topic\":");
    buf_add_json_string(out, str_of(message->topic));
    buf_add_format(out, ",\"partition\":%" PRId32 ",\"producer\":", message->partition);
    buf_add_json_string(out, str_of(message->producer));
    buf_add_format(out, ",\"sequenceId\":%" PRIu64, message->sequence_id);
    if (message->key != NULL) {
        buf_add_text(out, ",\"key\":");
        buf_add_json_string(out, str_of(message->key));
        buf_add_format(out, ",\"keyIsBase64\":%s", message->key_is_base64 ? "true" : "false");
    }
    buf_add_format(out, ",\"eventTime\":%" PRIu64 ",\"publishTime\":%" PRIu64 ",\"properties\":{",
                   message->event_time, message->publish_time);
    for (size_t i = 0; i < message->property_count; i++) {
        buf_add_text(out, i > 0 ? "," : "");
        buf_add_json_string(out, str_of(message->properties[i].name));
        buf_add_char(out, ':');
        buf_add_json_string(out, str_of(message->properties[i].value));
    }
    buf_add_char(out, '}');
    if (message->null_value) {
        buf_add_text(out, ",\"value\":null");
    } else if (text) {
        buf_add_text(out, ",\"value\":");
        buf_add_json_string(out, value);
    } else {
        buf_add_text(out, ",\"valueBase64\":");
        add_base64(out, value);
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
