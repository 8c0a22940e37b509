/*
 * credentials: where AWS keys come from. A provider is asked on a thread of its own, since profile files,
 * credential processes and metadata services may block; lanes read the newest snapshot. Kept while a refresh fails.
 */
#ifndef AWS_CREDENTIALS_H
#define AWS_CREDENTIALS_H

#include "base/err.h"
#include "base/str.h"

struct aws_credentials; /* CRT type: immutable, counted */
struct aws_tls_ctx;
struct credentials;

struct credentials_options {
    struct str access_key; /* with secret_key: static keys; else the default chain */
    struct str secret_key;
    struct str session_token; /* may be empty */
    struct aws_tls_ctx *tls;  /* shared client context; borrowed for the life of the credentials */
};

/* Any thread. Starts the first fetch. Copies the options. */
struct credentials *credentials_new(const struct credentials_options *options, struct err *err);
/* Waits for the thread; not on a lane. NULL is fine. */
void credentials_free(struct credentials *credentials);

/* Blocks, at most timeout_ms, until keys are there or the provider has failed. Not on a lane. */
bool credentials_wait(struct credentials *credentials, uint32_t timeout_ms, struct err *err);
/* The newest keys with a reference of the caller's (aws_credentials_release), or NULL when there are none.
 * Any thread; never blocks on a provider. */
struct aws_credentials *credentials_get(struct credentials *credentials);
/* Says that the service called these keys expired: fetch anew soon. Any thread. */
void credentials_refresh(struct credentials *credentials);
/* Where they came from, for `check` and the log: "static keys" or "default chain". Static storage. */
const char *credentials_source(const struct credentials *credentials);

#endif
