#include "fakes/fake_schemas.h"

#include "fakes/fake_bytes.h"

#include <inttypes.h>
#include <stdlib.h>

static void schema_done(struct fake_schema *schema) {
    free(schema->topic);
    free(schema->name);
    free(schema->data);
    free(schema->properties);
}

void fake_schemas_done(struct fake_schemas *schemas) {
    for (size_t i = 0; i < schemas->count; i++) {
        schema_done(&schemas->all[i]);
    }
    free(schemas->all);
    *schemas = (struct fake_schemas){.all = NULL};
}

static char *properties_json(const Pulsar__Schema *schema) {
    struct buf json;
    buf_init(&json, BUF_MAX_COMMAND);
    buf_add_char(&json, '{');
    for (size_t i = 0; i < schema->n_properties; i++) {
        buf_add_text(&json, i == 0 ? "" : ",");
        buf_add_json_string(&json, str_of(schema->properties[i]->key));
        buf_add_char(&json, ':');
        buf_add_json_string(&json, str_of(schema->properties[i]->value));
    }
    buf_add_char(&json, '}');
    char *text = json.failed ? NULL : str_dup(buf_str(&json));
    buf_done(&json);
    return text;
}

static int64_t add(struct fake_schemas *schemas, struct str topic, const Pulsar__Schema *schema,
                   int64_t version) {
    struct fake_schema *all =
        realloc(schemas->all, (schemas->count + 1) * sizeof(struct fake_schema));
    if (all == NULL) {
        return -2;
    }
    schemas->all = all;
    struct fake_schema *added = &all[schemas->count];
    struct str data = str_make((const char *)schema->schema_data.data, schema->schema_data.len);
    *added = (struct fake_schema){
        .topic = str_dup(topic),
        .version = version,
        .name = str_dup(str_of(schema->name)),
        .type = schema->type,
        .data = str_dup(data),
        .data_len = data.len,
        .properties = properties_json(schema),
    };
    if (added->topic == NULL || added->name == NULL || added->data == NULL ||
        added->properties == NULL) {
        schema_done(added);
        return -2;
    }
    schemas->count++;
    return version;
}

int64_t fake_schemas_register(struct fake_schemas *schemas, struct str topic,
                              const Pulsar__Schema *schema) {
    int64_t version = 0;
    for (size_t i = 0; i < schemas->count; i++) {
        const struct fake_schema *known = &schemas->all[i];
        if (!str_is(topic, known->topic)) {
            continue;
        }
        if (known->type == schema->type && known->data_len == schema->schema_data.len &&
            (known->data_len == 0 ||
             memcmp(known->data, schema->schema_data.data, known->data_len) == 0)) {
            return known->version;
        }
        version++;
    }
    return version > 0 && schemas->frozen ? -1 : add(schemas, topic, schema, version);
}

const struct fake_schema *fake_schemas_find(const struct fake_schemas *schemas, struct str topic,
                                            int64_t version) {
    for (size_t i = 0; i < schemas->count; i++) {
        if (schemas->all[i].version == version && str_is(topic, schemas->all[i].topic)) {
            return &schemas->all[i];
        }
    }
    return NULL;
}

void fake_schemas_json(const struct fake_schemas *schemas, struct buf *out) {
    buf_add_char(out, '[');
    for (size_t i = 0; i < schemas->count; i++) {
        const struct fake_schema *schema = &schemas->all[i];
        buf_add_text(out, i == 0 ? "{\"topic\":" : ",{\"topic\":");
        buf_add_json_string(out, str_of(schema->topic));
        buf_add_format(out,
                       ",\"version\":%" PRId64 ",\"type\":%" PRId32 ",\"name\":", schema->version,
                       schema->type);
        buf_add_json_string(out, str_of(schema->name));
        buf_add_format(out, ",\"properties\":%s,", schema->properties);
        fake_bytes_json(out, "data", str_make(schema->data, schema->data_len));
        buf_add_char(out, '}');
    }
    buf_add_char(out, ']');
}
