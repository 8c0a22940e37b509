/*
 * client_conf: the file in which Pulsar's own tools keep their client settings: one "key=value" a line, as Java's
 * Properties read it. Pure; what its keys mean is in client_conf_keys.
 */
#ifndef CONFIG_CLIENT_CONF_H
#define CONFIG_CLIENT_CONF_H

#include "config/source_key.h"

struct client_conf {
    const char *path; /* for messages */
    struct str rest;  /* what is not read yet */
    uint32_t line;    /* of the entry that was read last; from 1 */
};

/* The next entry, both texts trimmed, borrowed from the text. False at the end, or with err (ERR_CONFIG,
 * "<path>:<line>: ...") set: a backslash, which Properties take for an escape, is refused. */
bool client_conf_next(struct client_conf *conf, struct str *ret_name, struct str *ret_value,
                      struct err *err);

/* What is known of client.conf and is no property by the same name; the last one's path is NULL. Static storage. */
const struct source_key *client_conf_keys(void);
/* NULL: nothing that is known. A property by its own name is an alias of it. */
const struct source_key *client_conf_find(struct str name);

#endif
