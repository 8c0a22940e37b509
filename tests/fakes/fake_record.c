#include "fakes/fake_record.h"

#include <inttypes.h>

static void add_attribute(struct buf *out, const char *name, const char *type, struct str value) {
    buf_add_json_string(out, str_of(name));
    buf_add_format(out, ":{\"%s\":", type);
    buf_add_json_string(out, value);
    buf_add_char(out, '}');
}

static void add_keys(const struct fake_record_shape *shape, struct str key, struct buf *out) {
    add_attribute(out, shape->hash_key, "S", key);
    if (shape->range_key[0] != '\0') {
        buf_add_char(out, ',');
        add_attribute(out, shape->range_key, "S", STR("r"));
    }
}

/* An image: the key, the version as number "n", and text that fills the record up to its size. */
static void add_image(const struct fake_record_shape *shape, const char *name, struct str key,
                      uint64_t version, size_t fill, struct buf *out, size_t *ret_version_at) {
    buf_add_format(out, ",\"%s\":{", name);
    add_keys(shape, key, out);
    buf_add_text(out, ",\"n\":{\"N\":\"");
    *ret_version_at = out->len;
    buf_add_format(out, "%" PRIu64 "\"}", version);
    if (fill > 0) {
        buf_add_text(out, ",\"data\":{\"S\":\"");
        char *room = buf_reserve(out, fill);
        if (room != NULL) {
            memset(room, 'x', fill);
            out->len += fill;
        }
        buf_add_text(out, "\"}");
    }
    buf_add_char(out, '}');
}

static void write_with(const struct fake_record_shape *shape, const struct fake_record_spec *spec,
                       size_t fill, struct buf *out, struct fake_record_offsets *at) {
    size_t start = out->len;
    bool insert = spec->version == 0;
    bool both = strcmp(shape->view_type, "NEW_AND_OLD_IMAGES") == 0;
    bool new_image = both || strcmp(shape->view_type, "NEW_IMAGE") == 0;
    bool old_image = !insert && (both || strcmp(shape->view_type, "OLD_IMAGE") == 0);

    *at = (struct fake_record_offsets){0};
    buf_add_text(out, "{\"eventID\":\"d2f0a4c1e6b80000");
    at->event = out->len - start;
    buf_add_format(out,
                   "%016" PRIu64 "\",\"eventName\":\"%s\",\"eventVersion\":\"1.1\","
                   "\"eventSource\":\"aws:dynamodb\",\"awsRegion\":\"%s\",\"dynamodb\":{"
                   "\"ApproximateCreationDateTime\":",
                   spec->event, insert ? "INSERT" : "MODIFY", shape->region);
    at->created = out->len - start;
    buf_add_str(out, spec->created);
    buf_add_text(out, ",\"Keys\":{");
    add_keys(shape, spec->key, out);
    buf_add_char(out, '}');
    if (new_image) {
        add_image(shape, "NewImage", spec->key, spec->version, fill, out, &at->new_version);
        at->new_version -= start;
    }
    if (old_image) {
        add_image(shape, "OldImage", spec->key, spec->version - 1, new_image ? 0 : fill, out,
                  &at->old_version);
        at->old_version -= start;
    }
    buf_add_text(out, ",\"SequenceNumber\":\"");
    at->sequence_number = out->len - start;
    buf_add_str(out, spec->sequence_number);
    buf_add_format(out, "\",\"SizeBytes\":%zu,\"StreamViewType\":\"%s\"}}",
                   spec->size > 0 ? spec->size : spec->key.len + 24, shape->view_type);
}

bool fake_record_write(const struct fake_record_shape *shape, const struct fake_record_spec *spec,
                       struct buf *out, struct fake_record_offsets *ret_offsets, struct err *err) {
    size_t start = out->len;
    write_with(shape, spec, 0, out, ret_offsets);
    size_t bare = out->len - start;
    if (spec->size > 0 && spec->size != bare && !out->failed) {
        size_t frame = strlen(",\"data\":{\"S\":\"\"}");
        bool keys_only = ret_offsets->new_version == 0 && ret_offsets->old_version == 0;
        out->len = start;
        if (keys_only || spec->size <= bare + frame) {
            return err_set(err, ERR_CONFIG,
                           "a record of this stream cannot have %zu bytes, only %zu%s", spec->size,
                           bare, keys_only ? "" : " or at least 17 more");
        }
        write_with(shape, spec, spec->size - bare - frame, out, ret_offsets);
    }
    return !out->failed || err_set(err, ERR_NOMEM, "a record");
}
