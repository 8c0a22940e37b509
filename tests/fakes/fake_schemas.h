/*
 * fake_schemas: the schemas that producers registered, by topic without "-partition-N", in versions
 * from 0. Pure.
 */
#ifndef FAKES_FAKE_SCHEMAS_H
#define FAKES_FAKE_SCHEMAS_H

#include "base/buf.h"

#include <pulsar_api.pb-c.h>

struct fake_schema {
    char *topic;
    int64_t version;
    char *name;
    int32_t type;
    char *data; /* terminated, also when it is not text */
    size_t data_len;
    char *properties; /* JSON */
};

struct fake_schemas {
    struct fake_schema *all;
    size_t count;
    bool frozen; /* a topic that has a schema takes no other */
};

void fake_schemas_done(struct fake_schemas *schemas);
/* The schema's version, a new one if need be; the same type and data are the same schema. -1: it is
 * another one, and the topic is frozen. -2: out of memory. */
int64_t fake_schemas_register(struct fake_schemas *schemas, struct str topic,
                              const Pulsar__Schema *schema);
/* NULL when there is none. */
const struct fake_schema *fake_schemas_find(const struct fake_schemas *schemas, struct str topic,
                                            int64_t version);
/* All of them as a JSON array; the data as "data" when it is UTF-8, else as "dataBase64". */
void fake_schemas_json(const struct fake_schemas *schemas, struct buf *out);

#endif
