/*
 * key_values: names with values as protobuf-c wants them, owned. Pure.
 */
#ifndef PULSAR_KEY_VALUES_H
#define PULSAR_KEY_VALUES_H

#include "base/str.h"
#include "pulsar/schema.h"
#include "pulsar_api.pb-c.h"

/* All-zero is empty. */
struct key_values {
    Pulsar__KeyValue **items; /* for a command's field */
    size_t count;
};

/* Copies. False when out of memory; key_values_done in any case. */
bool key_values_add(struct key_values *values, struct str name, struct str value);
bool key_values_add_all(struct key_values *values, const struct pulsar_property *properties,
                        size_t count);
void key_values_done(struct key_values *values);

#endif
