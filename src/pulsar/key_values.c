#include "pulsar/key_values.h"

#include <stdlib.h>

static void free_item(Pulsar__KeyValue *item) {
    if (item != NULL) {
        free(item->key);
        free(item->value);
        free(item);
    }
}

bool key_values_add(struct key_values *values, struct str name, struct str value) {
    Pulsar__KeyValue **items =
        realloc(values->items, (values->count + 1) * sizeof(Pulsar__KeyValue *));
    if (items == NULL) {
        return false;
    }
    values->items = items;
    Pulsar__KeyValue *item = malloc(sizeof *item);
    if (item != NULL) {
        pulsar__key_value__init(item);
        item->key = str_dup(name);
        item->value = str_dup(value);
    }
    if (item == NULL || item->key == NULL || item->value == NULL) {
        free_item(item);
        return false;
    }
    values->items[values->count++] = item;
    return true;
}

bool key_values_add_all(struct key_values *values, const struct pulsar_property *properties,
                        size_t count) {
    for (size_t i = 0; i < count; i++) {
        if (!key_values_add(values, properties[i].name, properties[i].value)) {
            return false;
        }
    }
    return true;
}

void key_values_done(struct key_values *values) {
    for (size_t i = 0; i < values->count; i++) {
        free_item(values->items[i]);
    }
    free(values->items);
    *values = (struct key_values){.items = NULL};
}
