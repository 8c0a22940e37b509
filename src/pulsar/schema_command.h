/*
 * schema_command: a schema as the PRODUCER command carries it. The inner side of schema.h. Pure.
 */
#ifndef PULSAR_SCHEMA_COMMAND_H
#define PULSAR_SCHEMA_COMMAND_H

#include "base/buf.h"
#include "base/err.h"
#include "pulsar/key_values.h"
#include "pulsar/schema.h"
#include "pulsar_api.pb-c.h"

/* The longest version that a broker may give a schema; the default registry's have 8 bytes. */
enum { SCHEMA_VERSION_MAX = 64 };
enum { SCHEMA_DATA_MAX = 1024 * 1024 };

/* A copy that owns all it points to. */
struct schema_command {
    Pulsar__Schema schema;
    struct key_values properties;
    struct buf data;
};

/* False and err (CONFIG, NOMEM). schema_command_done in any case. */
bool schema_command_init(struct schema_command *command, const struct pulsar_schema *schema,
                         struct err *err);
/* All-zero is fine. */
void schema_command_done(struct schema_command *command);
/* NULL for plain bytes, which are not registered. Borrowed. */
Pulsar__Schema *schema_command_get(struct schema_command *command);

#endif
