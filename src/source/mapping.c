#include "source/mapping.h"

#include "source/json_scan.h"

#include <stdio.h>

/* Keys of DynamoDB are at most 3 KB, all other texts are short: far more than any real record needs. */
enum { MAPPING_SCRATCH_MAX = 256 * 1024 };

void mapping_init(struct mapping *mapping) {
    *mapping = (struct mapping){.key = MESSAGE_KEY_ITEM};
    buf_init(&mapping->scratch, MAPPING_SCRATCH_MAX);
}

void mapping_done(struct mapping *mapping) {
    buf_done(&mapping->scratch);
}

/* What was written to the scratch since it was `from` bytes long. */
static struct str written(const struct buf *scratch, size_t from) {
    return str_make(scratch->data + from, scratch->len - from);
}

/* These write what was reserved before, without asking again. */
static inline void put(struct buf *scratch, struct str text) {
    if (text.len > 0) {
        memcpy(scratch->data + scratch->len, text.ptr, text.len);
        scratch->len += text.len;
    }
}

static inline void put_char(struct buf *scratch, char c) {
    scratch->data[scratch->len++] = c;
}

/* Bytes of scratch that the record can need at most. They are reserved before the first slice of the scratch is taken,
 * since it must not move after that. */
static size_t scratch_need(const struct record *record) {
    size_t strings = record->event_id.len + record->event_name.len + record->event_version.len +
                     record->event_source.len + record->aws_region.len +
                     record->stream_view_type.len + record->sequence_number.len +
                     record->principal_id.len + record->identity_type.len;
    /* Strings appear in the value and, some, unescaped as a property and as the key. A key's text is unescaped, then
     * escaped into the array (never longer than it came), and a name is unescaped to be compared. The rest is our
     * own member names. */
    return 3 * strings + record->size_bytes.len + 3 * record->keys.len + 640;
}

/* A raw JSON string's text: itself when nothing is escaped, else unescaped in the scratch. */
static struct str text_of(struct buf *scratch, struct str raw) {
    if (raw.len == 0 || memchr(raw.ptr, '\\', raw.len) == NULL) {
        return raw;
    }
    size_t from = scratch->len;
    scratch->len += record_unescape(raw, scratch->data + from);
    return written(scratch, from);
}

/* One key attribute's value. */
struct key_part {
    struct str text;
    bool was_escaped; /* else it is as fit for JSON as it was */
    char type;        /* 'S', 'N' or 'B'; 0: not found */
};

/* {"S":"..."}, {"N":"..."} or {"B":"..."}; anything else leaves the type 0. */
static struct key_part read_key_value(struct buf *scratch, struct str value) {
    struct key_part part = {.type = 0};
    struct json_scan scan = json_scan_make(value);
    struct str type;
    struct str raw;
    struct str more;
    if (json_scan_peek(&scan) != '{') {
        return part;
    }
    scan.at++;
    if (json_scan_member(&scan, true, &type) == JSON_SCAN_MEMBER && type.len == 1 &&
        memchr("SNB", type.ptr[0], 3) != NULL && json_scan_string(&scan, &raw) &&
        json_scan_member(&scan, false, &more) == JSON_SCAN_END) {
        part.text = text_of(scratch, raw);
        part.was_escaped = part.text.ptr != raw.ptr;
        part.type = type.ptr[0];
    }
    return part;
}

/* The attribute `name` of the record's Keys, whose order is not the key schema's. */
static bool read_key_part(struct mapping *mapping, const struct record *record, struct str name,
                          struct key_part *ret_part, struct err *err) {
    *ret_part = (struct key_part){.type = 0};
    struct json_scan scan = json_scan_make(record->keys);
    struct str found = STR_NONE;
    if (json_scan_peek(&scan) == '{') {
        scan.at++;
        struct str raw;
        for (bool first = true; json_scan_member(&scan, first, &raw) == JSON_SCAN_MEMBER;
             first = false) {
            size_t mark = mapping->scratch.len;
            bool match = str_equal(text_of(&mapping->scratch, raw), name);
            mapping->scratch.len = mark;
            struct str value;
            if (!json_scan_value(&scan, &value)) {
                break;
            }
            if (match) {
                found = value;
            }
        }
    }
    if (found.ptr == NULL) {
        return err_set(err, ERR_RECORD, "its key attribute \"%.*s\" is missing", STR_FMT(name));
    }
    *ret_part = read_key_value(&mapping->scratch, found);
    if (ret_part->type == 0) {
        return err_set(err, ERR_RECORD, "its key attribute \"%.*s\" is not of type S, N or B",
                       STR_FMT(name));
    }
    return true;
}

static void put_key_part(struct buf *scratch, const struct key_part *part) {
    if (part->was_escaped) {
        buf_add_json_string(scratch, part->text);
        return;
    }
    put_char(scratch, '"');
    put(scratch, part->text);
    put_char(scratch, '"');
}

static bool map_item_key(struct mapping *mapping, const struct record *record,
                         struct sink_message *message, struct err *err) {
    struct key_part hash;
    if (!read_key_part(mapping, record, mapping->hash_key, &hash, err)) {
        return false;
    }
    if (mapping->range_key.len == 0) {
        message->key = hash.text;
        message->key_is_base64 = hash.type == 'B';
        return true;
    }
    struct key_part range;
    if (!read_key_part(mapping, record, mapping->range_key, &range, err)) {
        return false;
    }
    struct buf *scratch = &mapping->scratch;
    size_t from = scratch->len;
    put_char(scratch, '[');
    put_key_part(scratch, &hash);
    put_char(scratch, ',');
    put_key_part(scratch, &range);
    put_char(scratch, ']');
    message->key = written(scratch, from);
    return true;
}

static bool map_key(struct mapping *mapping, const struct record *record,
                    struct sink_message *message, struct err *err) {
    switch (mapping->key) {
    case MESSAGE_KEY_ITEM:
        return map_item_key(mapping, record, message, err);
    case MESSAGE_KEY_EVENT_ID:
        if (record->event_id.ptr == NULL) {
            return err_set(err, ERR_RECORD, "it has no eventID to be its key");
        }
        message->key = text_of(&mapping->scratch, record->event_id);
        return true;
    case MESSAGE_KEY_NONE:
        break;
    }
    return true;
}

static void add_property(struct sink_message *message, struct str name, struct str value) {
    if (value.ptr != NULL) {
        message->properties[message->property_count++] =
            (struct sink_property){.name = name, .value = value};
    }
}

static void map_properties(struct mapping *mapping, const struct record *record,
                           struct sink_message *message) {
    struct buf *scratch = &mapping->scratch;
    add_property(message, STR("EVENT_NAME"), text_of(scratch, record->event_name));
    add_property(message, STR("SEQUENCE_NUMBER"), record->sequence_number); /* digits only */
    add_property(message, STR("EVENT_ID"), text_of(scratch, record->event_id));
    add_property(message, STR("SHARD_ID"), mapping->shard_id);
    add_property(message, STR("TABLE_NAME"), mapping->table_name);
}

/* The value's texts between the slices of the page: they gather in the scratch and become one part when a slice
 * follows. */
struct value_writer {
    struct sink_message *message;
    struct buf *scratch;
    size_t from; /* in the scratch: start of what is not yet a part */
};

static void add_part(struct value_writer *writer, struct str part) {
    writer->message->value[writer->message->value_parts++] = part;
}

static void close_text(struct value_writer *writer) {
    if (writer->scratch->len > writer->from) {
        add_part(writer, written(writer->scratch, writer->from));
        writer->from = writer->scratch->len;
    }
}

/* `prefix` is the separator, the name and the colon: `,"name":`; without its comma behind a '{'. */
static inline void put_name(struct value_writer *writer, struct str prefix) {
    struct buf *scratch = writer->scratch;
    bool first = scratch->len > writer->from && scratch->data[scratch->len - 1] == '{';
    put(scratch, prefix);
    if (first) { /* rare: the comma goes again */
        scratch->len -= prefix.len;
        put(scratch, str_make(prefix.ptr + 1, prefix.len - 1));
    }
}

static inline void put_string(struct value_writer *writer, struct str prefix, struct str raw) {
    if (raw.ptr != NULL) {
        put_name(writer, prefix);
        put_char(writer->scratch, '"');
        put(writer->scratch, raw);
        put_char(writer->scratch, '"');
    }
}

static inline void put_slice(struct value_writer *writer, struct str prefix, struct str value) {
    if (value.ptr != NULL) {
        put_name(writer, prefix);
        close_text(writer);
        add_part(writer, value);
    }
}

/* Stays until the next record's. */
static struct str created_text(struct mapping *mapping, int64_t created_ms) {
    if (mapping->created_len == 0 || mapping->created_ms != created_ms) {
        mapping->created_ms = created_ms;
        mapping->created_len = (size_t)snprintf(mapping->created, sizeof mapping->created, "%lld",
                                                (long long)created_ms);
    }
    return str_make(mapping->created, mapping->created_len);
}

/* The Java connector's member order. */
static void map_value(struct mapping *mapping, const struct record *record,
                      struct sink_message *message) {
    struct buf *scratch = &mapping->scratch;
    struct value_writer writer = {.message = message, .scratch = scratch, .from = scratch->len};
    put_char(scratch, '{');
    put_string(&writer, STR(",\"eventID\":"), record->event_id);
    put_string(&writer, STR(",\"eventName\":"), record->event_name);
    put_string(&writer, STR(",\"eventVersion\":"), record->event_version);
    put_string(&writer, STR(",\"eventSource\":"), record->event_source);
    put_string(&writer, STR(",\"awsRegion\":"), record->aws_region);
    put_name(&writer, STR(",\"dynamodb\":"));
    put_char(scratch, '{');
    if (record->has_created) {
        put_name(&writer, STR(",\"ApproximateCreationDateTime\":"));
        put(scratch, created_text(mapping, record->created_ms));
    }
    put_slice(&writer, STR(",\"Keys\":"), record->keys);
    put_slice(&writer, STR(",\"NewImage\":"), record->new_image);
    put_slice(&writer, STR(",\"OldImage\":"), record->old_image);
    put_string(&writer, STR(",\"SequenceNumber\":"), record->sequence_number);
    if (record->size_bytes.ptr != NULL) {
        put_name(&writer, STR(",\"SizeBytes\":"));
        put(scratch, record->size_bytes);
    }
    put_string(&writer, STR(",\"StreamViewType\":"), record->stream_view_type);
    put_char(scratch, '}');
    if (record->has_user_identity) {
        put(scratch, STR(",\"userIdentity\":{"));
        put_string(&writer, STR(",\"principalId\":"), record->principal_id);
        put_string(&writer, STR(",\"type\":"), record->identity_type);
        put_char(scratch, '}');
    }
    put_char(scratch, '}');
    close_text(&writer);
}

/* The same of a record that came like that, but for the time: mostly a slice. */
static void map_plain_value(struct mapping *mapping, const struct record *record,
                            struct sink_message *message) {
    message->value[0] = record->head;
    message->value[1] = created_text(mapping, record->created_ms);
    message->value[2] = record->tail;
    message->value_parts = 3;
}

bool mapping_map(struct mapping *mapping, const struct record *record,
                 struct sink_message *ret_message, struct err *err) {
    struct buf *scratch = &mapping->scratch;
    size_t need = scratch_need(record);
    buf_reset(scratch);
    if (buf_reserve(scratch, need) == NULL) {
        return need > MAPPING_SCRATCH_MAX
                   ? err_set(err, ERR_RECORD, "its keys and texts are over %d bytes",
                             MAPPING_SCRATCH_MAX)
                   : err_set(err, ERR_NOMEM, "no memory for a message");
    }
    /* Not all of it: most of its 700 bytes are never looked at. */
    ret_message->key = STR_NONE;
    ret_message->key_is_base64 = false;
    ret_message->event_time_ms = record->created_ms;
    ret_message->property_count = 0;
    ret_message->value_parts = 0;
    if (!map_key(mapping, record, ret_message, err)) {
        return false;
    }
    map_properties(mapping, record, ret_message);
    if (record->head.ptr != NULL) {
        map_plain_value(mapping, record, ret_message);
    } else {
        map_value(mapping, record, ret_message);
    }
    return true;
}
