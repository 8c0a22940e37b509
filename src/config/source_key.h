/*
 * source_key: the keys of Pulsar's SourceConfig that are no properties of their own: containers, other names of
 * properties, and what means nothing here. The properties themselves are in properties.def.
 */
#ifndef CONFIG_SOURCE_KEY_H
#define CONFIG_SOURCE_KEY_H

#include "config/config.h"
#include "config/suggest.h"

enum source_key_kind {
    SOURCE_KEY_CONTAINER, /* its members are looked up one by one */
    SOURCE_KEY_ALIAS,     /* another name of the property `key` */
    SOURCE_KEY_IGNORED,   /* known, without meaning here, and everything below it */
    SOURCE_KEY_REFUSED,   /* known, and nobody may rely on it: text says why */
    SOURCE_KEY_SECRETS,   /* a container of values of secret properties */
};

struct source_key {
    const char *path;
    enum source_key_kind kind;
    enum config_key key; /* with SOURCE_KEY_ALIAS */
    const char *text;    /* for the reference; NULL with containers */
};

/* All of them; the last one's path is NULL. Static storage. */
const struct source_key *source_key_all(void);
/* By the path from the file's top; NULL when there is none. */
const struct source_key *source_key_find(struct str path);
/* The same in another table of this kind. */
const struct source_key *source_key_find_in(const struct source_key *table, struct str path);
void source_key_suggest(struct suggest *suggest);

#endif
