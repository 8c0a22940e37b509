/*
 * auth: who we are to the broker: nobody, or the bearer of a token. The token's text is a secret:
 * it is handed out in a buffer that auth_wipe erases, and never logged.
 */
#ifndef PULSAR_AUTH_H
#define PULSAR_AUTH_H

#include "base/buf.h"
#include "base/err.h"

enum { AUTH_TOKEN_MAX = 32 * 1024 };

enum auth_source {
    AUTH_NONE,
    AUTH_TOKEN,      /* value is the token */
    AUTH_TOKEN_FILE, /* value is its path */
    AUTH_TOKEN_ENV,  /* value is the variable's name */
};

struct auth {
    enum auth_source source;
    char *value; /* owned */
};

/* plugin: "", "token", or Java's class name of it; params: see producer.h. Reads no file yet.
 * False and err (CONFIG). */
bool auth_init(struct auth *auth, struct str plugin, struct str params, struct err *err);
/* Erases and frees. NULL and all-zero are fine. */
void auth_done(struct auth *auth);

/* As the protocol names it. Static storage. */
const char *auth_method(const struct auth *auth);
/* The bytes to show now, added to buf: a file or variable is read anew. False and err
 * (PULSAR_AUTH). */
bool auth_data(const struct auth *auth, struct buf *data, struct err *err);
/* Erases and frees a buffer that held auth_data. */
void auth_wipe(struct buf *data);

#endif
