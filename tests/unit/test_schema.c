/* Schemas as the PRODUCER command carries them. */
#include "unit/cmocka_all.h"

#include "pulsar/schema_command.h"

#include <string.h>

static const char *property(const struct schema_command *command, const char *name) {
    for (size_t i = 0; i < command->schema.n_properties; i++) {
        if (strcmp(command->schema.properties[i]->key, name) == 0) {
            return command->schema.properties[i]->value;
        }
    }
    return NULL;
}

static void plain_bytes_are_not_registered(void **state) {
    (void)state;
    struct schema_command command;
    struct err err = ERR_NONE;
    struct pulsar_schema schema = {.type = PULSAR_SCHEMA_BYTES};
    assert_true(schema_command_init(&command, &schema, &err));
    assert_null(schema_command_get(&command));
    schema_command_done(&command);
}

static void one_definition(void **state) {
    (void)state;
    struct schema_command command;
    struct err err = ERR_NONE;
    struct pulsar_property properties[] = {{STR("__alwaysAllowNull"), STR("true")}};
    struct pulsar_schema schema = {
        .type = PULSAR_SCHEMA_AVRO,
        .name = STR("order"),
        .data = STR("{\"type\":\"string\"}"),
        .properties = properties,
        .property_count = 1,
    };
    assert_true(schema_command_init(&command, &schema, &err));
    const Pulsar__Schema *got = schema_command_get(&command);
    assert_int_equal(got->type, 4);
    assert_string_equal(got->name, "order");
    assert_int_equal(got->schema_data.len, 17);
    assert_memory_equal(got->schema_data.data, "{\"type\":\"string\"}", 17);
    assert_int_equal(got->n_properties, 1);
    assert_string_equal(property(&command, "__alwaysAllowNull"), "true");
    schema_command_done(&command);
}

static void key_and_value(void **state) {
    (void)state;
    struct pulsar_property properties[] = {{STR("a\"b"), STR("1")}, {STR("c"), STR("2")}};
    struct pulsar_schema key = {.type = PULSAR_SCHEMA_STRING, .name = STR("k")};
    struct pulsar_schema value = {
        .type = PULSAR_SCHEMA_JSON,
        .data = STR("{}"),
        .properties = properties,
        .property_count = 2,
    };
    struct pulsar_schema schema = {
        .type = PULSAR_SCHEMA_KEY_VALUE,
        .key = &key,
        .value = &value,
        .key_encoding = PULSAR_KEY_SEPARATED,
    };
    struct schema_command command;
    struct err err = ERR_NONE;
    assert_true(schema_command_init(&command, &schema, &err));
    const Pulsar__Schema *got = schema_command_get(&command);
    assert_int_equal(got->type, 15);
    assert_string_equal(got->name, "KeyValue");
    assert_int_equal(got->schema_data.len, 10);
    assert_memory_equal(got->schema_data.data, "\0\0\0\0\0\0\0\2{}", 10);
    assert_int_equal(got->n_properties, 7);
    assert_string_equal(property(&command, "key.schema.name"), "k");
    assert_string_equal(property(&command, "key.schema.type"), "STRING");
    assert_string_equal(property(&command, "key.schema.properties"), "{}");
    assert_string_equal(property(&command, "value.schema.name"), "");
    assert_string_equal(property(&command, "value.schema.type"), "JSON");
    assert_string_equal(property(&command, "value.schema.properties"),
                        "{\"a\\\"b\":\"1\",\"c\":\"2\"}");
    assert_string_equal(property(&command, "kv.encoding.type"), "SEPARATED");
    schema_command_done(&command);

    schema.key_encoding = PULSAR_KEY_INLINE;
    assert_true(schema_command_init(&command, &schema, &err));
    assert_string_equal(property(&command, "kv.encoding.type"), "INLINE");
    schema_command_done(&command);
}

static void check_wrong(const struct pulsar_schema *schema, const char *text) {
    struct schema_command command;
    struct err err = ERR_NONE;
    assert_false(schema_command_init(&command, schema, &err));
    assert_int_equal(err.code, ERR_CONFIG);
    assert_non_null(strstr(err.text, text));
    schema_command_done(&command);
}

static void wrong_ones(void **state) {
    (void)state;
    struct pulsar_schema plain = {.type = PULSAR_SCHEMA_STRING};
    struct pulsar_schema pair = {.type = PULSAR_SCHEMA_KEY_VALUE, .key = &plain, .value = &plain};
    struct pulsar_schema half = {.type = PULSAR_SCHEMA_KEY_VALUE, .key = &plain};
    struct pulsar_schema nested = {.type = PULSAR_SCHEMA_KEY_VALUE, .key = &plain, .value = &pair};
    struct pulsar_schema parts = {.type = PULSAR_SCHEMA_JSON, .key = &plain, .value = &plain};
    struct pulsar_schema unknown = {.type = (enum pulsar_schema_type)77};
    static char much[SCHEMA_DATA_MAX];
    struct pulsar_schema long_one = {.type = PULSAR_SCHEMA_JSON,
                                     .data = str_make(much, sizeof much)};
    check_wrong(&half, "made of a key's and a value's");
    check_wrong(&parts, "made of a key's and a value's");
    check_wrong(&nested, "cannot be made of key-value");
    check_wrong(&unknown, "77");
    check_wrong(&long_one, "longer than");
}

static void sizes_of_inline_parts(void **state) {
    (void)state;
    struct pulsar_inline_size size = pulsar_inline_size(STR("abc"));
    assert_memory_equal(size.bytes, "\0\0\0\3", 4);
    size = pulsar_inline_size(str_make("", 0));
    assert_memory_equal(size.bytes, "\0\0\0\0", 4);
    size = pulsar_inline_size(STR_NONE);
    assert_memory_equal(size.bytes, "\377\377\377\377", 4);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(plain_bytes_are_not_registered),
        cmocka_unit_test(one_definition),
        cmocka_unit_test(key_and_value),
        cmocka_unit_test(wrong_ones),
        cmocka_unit_test(sizes_of_inline_parts),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
