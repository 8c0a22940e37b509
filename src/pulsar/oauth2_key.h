/*
 * oauth2_key: the client's id and secret, as issuers hand them out: JSON with client_id and
 * client_secret, in a file or in a URL that has it all in itself.
 *
 *     /path, file:/path, file:///path     a file, read anew each time, so that it can be replaced
 *     data:application/json;base64,...    the same JSON
 */
#ifndef PULSAR_OAUTH2_KEY_H
#define PULSAR_OAUTH2_KEY_H

#include "base/err.h"

struct oauth2_key {
    char *client_id;
    char *client_secret;
};

/* Whether it has one of the forms above; of a data: URL, all of it. Opens no file. False and err
 * (CONFIG). */
bool oauth2_key_check(const char *location, struct err *err);
/* False and err (PULSAR_AUTH). ret_key is to be given to oauth2_key_done in any case. */
bool oauth2_key_read(const char *location, struct oauth2_key *ret_key, struct err *err);
/* Erases and frees. All-zero is fine. */
void oauth2_key_done(struct oauth2_key *key);

#endif
