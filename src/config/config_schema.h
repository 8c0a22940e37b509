/* config_schema: the configuration file as a JSON Schema, for editors that complete and check as one types. */
#ifndef CONFIG_CONFIG_SCHEMA_H
#define CONFIG_CONFIG_SCHEMA_H

#include "base/buf.h"

/* docs/ddb2pulsar.schema.json. It allows what the program allows, but for the names of choices, which the program
 * takes in any case of letters. */
void config_schema(struct buf *to);

#endif
