/* property: the rows of properties.def at run time. */
#ifndef CONFIG_PROPERTY_H
#define CONFIG_PROPERTY_H

#include "base/buf.h"
#include "config/config.h"
#include "config/suggest.h"

enum property_kind {
    PROPERTY_TEXT,
    PROPERTY_URL,
    PROPERTY_COUNT,
    PROPERTY_MS,
    PROPERTY_BYTES,
    PROPERTY_TIME,
    PROPERTY_FLAG,
    PROPERTY_CHOICE,
};

/* A named value; the last one of an array has no name. */
struct property_choice {
    const char *name;
    unsigned value;
    const char *
        refusal; /* not NULL: a value of the Java connector that is known and not accepted, and why */
};

struct property {
    const char *name; /* as users write it */
    const char *default_text;
    const struct property_choice *choices; /* NULL: none */
    const char *since;
    const char *text;
    size_t offset; /* of the field in struct config */
    uint64_t min;
    uint64_t max;
    enum property_kind kind;
    bool secret;
};

enum { PROPERTY_ENV_MAX = 80 };

/* Static storage. */
const struct property *property_of(enum config_key key);
/* False when there is none of this name. */
bool property_find(struct str name, enum config_key *ret_key);
void property_suggest(struct suggest *suggest);

/* Its environment variable: "DDB2PULSAR_AWS_REGION". */
void property_env_name(enum config_key key, char to[PROPERTY_ENV_MAX]);
/* By variable name: the one above, or the same without the underscores within the key. */
bool property_find_env(struct str variable, enum config_key *ret_key);

/* What a user may write: "LATEST or TRIM_HORIZON", "1 to 256, or auto", ... */
void property_add_allowed(struct buf *to, enum config_key key);
/* The type in one word: "text", "URL", "count", "ms", "bytes", "true or false", "choice". Static storage. */
const char *property_kind_name(enum property_kind kind);

/* The field's value from its text. False with the reason in err (ERR_CONFIG), as the end of a sentence and without
 * the value; ERR_NOMEM. The text is trimmed and not empty, but for kinds TEXT, URL and TIME. */
bool property_store(enum config_key key, struct str text, struct config *config, struct err *err);

#endif
