#include "pulsar/schema_command.h"
#include "pulsar/wire.h"

#include <stdio.h>
#include <stdlib.h>

static const char *const type_names[] = {
    [PULSAR_SCHEMA_BYTES] = "BYTES",
    [PULSAR_SCHEMA_STRING] = "STRING",
    [PULSAR_SCHEMA_JSON] = "JSON",
    [PULSAR_SCHEMA_PROTOBUF] = "PROTOBUF",
    [PULSAR_SCHEMA_AVRO] = "AVRO",
    [PULSAR_SCHEMA_BOOL] = "BOOLEAN",
    [PULSAR_SCHEMA_INT8] = "INT8",
    [PULSAR_SCHEMA_INT16] = "INT16",
    [PULSAR_SCHEMA_INT32] = "INT32",
    [PULSAR_SCHEMA_INT64] = "INT64",
    [PULSAR_SCHEMA_FLOAT] = "FLOAT",
    [PULSAR_SCHEMA_DOUBLE] = "DOUBLE",
    [PULSAR_SCHEMA_DATE] = "DATE",
    [PULSAR_SCHEMA_TIME] = "TIME",
    [PULSAR_SCHEMA_TIMESTAMP] = "TIMESTAMP",
    [PULSAR_SCHEMA_KEY_VALUE] = "KEY_VALUE",
    [PULSAR_SCHEMA_INSTANT] = "INSTANT",
    [PULSAR_SCHEMA_LOCAL_DATE] = "LOCAL_DATE",
    [PULSAR_SCHEMA_LOCAL_TIME] = "LOCAL_TIME",
    [PULSAR_SCHEMA_LOCAL_DATE_TIME] = "LOCAL_DATE_TIME",
    [PULSAR_SCHEMA_PROTOBUF_NATIVE] = "PROTOBUF_NATIVE",
};

/* {"name":"value",...} */
static void add_json(struct buf *json, const struct pulsar_schema *schema) {
    buf_add_char(json, '{');
    for (size_t i = 0; i < schema->property_count; i++) {
        if (i > 0) {
            buf_add_char(json, ',');
        }
        buf_add_json_string(json, schema->properties[i].name);
        buf_add_char(json, ':');
        buf_add_json_string(json, schema->properties[i].value);
    }
    buf_add_char(json, '}');
}

/* What a key-value schema says of one of its halves. */
static bool add_half(struct schema_command *command, const char *which,
                     const struct pulsar_schema *half) {
    char name[3][32];
    (void)snprintf(name[0], sizeof name[0], "%s.schema.name", which);
    (void)snprintf(name[1], sizeof name[1], "%s.schema.type", which);
    (void)snprintf(name[2], sizeof name[2], "%s.schema.properties", which);
    struct buf json;
    buf_init(&json, SCHEMA_DATA_MAX);
    add_json(&json, half);
    bool ok =
        !json.failed && key_values_add(&command->properties, str_of(name[0]), half->name) &&
        key_values_add(&command->properties, str_of(name[1]), str_of(type_names[half->type])) &&
        key_values_add(&command->properties, str_of(name[2]), buf_str(&json));
    buf_done(&json);
    return ok;
}

static void add_sized(struct buf *data, struct str half) {
    char size[4];
    (void)wire_put_be32(size, (uint32_t)half.len);
    buf_add(data, size, sizeof size);
    buf_add_str(data, half);
}

static bool fill_pair(struct schema_command *command, const struct pulsar_schema *schema) {
    add_sized(&command->data, schema->key->data);
    add_sized(&command->data, schema->value->data);
    return add_half(command, "key", schema->key) && add_half(command, "value", schema->value) &&
           key_values_add(&command->properties, STR("kv.encoding.type"),
                          schema->key_encoding == PULSAR_KEY_INLINE ? STR("INLINE")
                                                                    : STR("SEPARATED"));
}

static bool fill(struct schema_command *command, const struct pulsar_schema *schema) {
    bool pair = schema->type == PULSAR_SCHEMA_KEY_VALUE;
    command->schema.name = str_dup(pair && schema->name.len == 0 ? STR("KeyValue") : schema->name);
    if (command->schema.name == NULL ||
        !key_values_add_all(&command->properties, schema->properties, schema->property_count)) {
        return false;
    }
    if (pair ? !fill_pair(command, schema) : !buf_add_str(&command->data, schema->data)) {
        return false;
    }
    command->schema.properties = command->properties.items;
    command->schema.n_properties = command->properties.count;
    command->schema.schema_data.len = command->data.len;
    command->schema.schema_data.data = (uint8_t *)command->data.data;
    return !command->data.failed;
}

static bool check(const struct pulsar_schema *schema, struct err *err) {
    if ((size_t)schema->type >= sizeof type_names / sizeof type_names[0]) {
        return err_set(err, ERR_CONFIG, "there is no schema type %d", (int)schema->type);
    }
    bool pair = schema->type == PULSAR_SCHEMA_KEY_VALUE;
    if (pair != (schema->key != NULL) || pair != (schema->value != NULL)) {
        return err_set(
            err, ERR_CONFIG,
            "a schema of type KEY_VALUE, and no other, is made of a key's and a value's");
    }
    if (!pair) {
        return schema->data.len <= SCHEMA_DATA_MAX / 4 ||
               err_set(err, ERR_CONFIG, "a schema's definition is longer than %d bytes",
                       SCHEMA_DATA_MAX / 4);
    }
    if (schema->key->type == PULSAR_SCHEMA_KEY_VALUE ||
        schema->value->type == PULSAR_SCHEMA_KEY_VALUE) {
        return err_set(err, ERR_CONFIG, "a key-value schema cannot be made of key-value schemas");
    }
    return check(schema->key, err) && check(schema->value, err);
}

bool schema_command_init(struct schema_command *command, const struct pulsar_schema *schema,
                         struct err *err) {
    *command = (struct schema_command){.schema = PULSAR__SCHEMA__INIT};
    buf_init(&command->data, SCHEMA_DATA_MAX);
    if (!check(schema, err)) {
        return false;
    }
    command->schema.type = (int32_t)schema->type;
    return schema->type == PULSAR_SCHEMA_BYTES || fill(command, schema) ||
           err_set(err, ERR_NOMEM, "no memory for a schema");
}

void schema_command_done(struct schema_command *command) {
    key_values_done(&command->properties);
    free(command->schema.name);
    buf_done(&command->data);
    *command = (struct schema_command){.schema = PULSAR__SCHEMA__INIT};
}

Pulsar__Schema *schema_command_get(struct schema_command *command) {
    return command->schema.type == PULSAR_SCHEMA_BYTES ? NULL : &command->schema;
}
