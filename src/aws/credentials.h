/*
 * credentials: where AWS keys come from: given ones, or the chain that AWS's clients share (environment, SSO, profile,
 * web identity, container, instance metadata), and on top of either, if asked for, a role. A provider is asked on a
 * thread of its own, since profile files, credential processes and metadata services may block; lanes read the newest
 * snapshot. It is fetched anew some minutes before it expires, and kept while that fails.
 */
#ifndef AWS_CREDENTIALS_H
#define AWS_CREDENTIALS_H

#include "base/err.h"
#include "base/str.h"

struct aws_credentials; /* CRT type: immutable, counted */
struct aws_tls_ctx;
struct credentials;

struct credentials_options {
    struct str plugin; /* path of a shared object that gives the keys; empty: none */
    struct str plugin_param;
    struct str access_key; /* with secret_key: static keys; else the default chain */
    struct str secret_key;
    struct str session_token; /* may be empty */
    struct str role_arn;      /* not empty: the keys of this role, assumed with the keys above */
    struct str role_session;  /* its session name; empty means "ddb2pulsar" */
    struct str external_id;   /* may be empty */
    struct str role_tags;     /* of its session, see sts_add_tags; may be empty */
    struct str sts_endpoint;  /* with a role: URL of the service that gives its keys, */
    struct str sts_region;    /* and for the signature */
    struct str user_agent;    /* shown there */
    struct aws_tls_ctx *tls;  /* shared client context; borrowed for the life of the credentials */
};

/* Any thread. Starts the first fetch. Copies the options. */
struct credentials *credentials_new(const struct credentials_options *options, struct err *err);
/* Waits for the thread, but at most some seconds for one that a provider blocks: that one ends on its own. Not on a
 * lane. NULL is fine. */
void credentials_free(struct credentials *credentials);

/* Blocks, at most timeout_ms, until keys are there or the provider has failed (ERR_AWS_NO_CREDENTIALS, with what was
 * tried); ERR_TIMEOUT when neither happens. Not on a lane, but with 0. */
bool credentials_wait(struct credentials *credentials, uint32_t timeout_ms, struct err *err);
/* The newest keys with a reference of the caller's (aws_credentials_release), or NULL when there are none.
 * Any thread; never blocks on a provider. */
struct aws_credentials *credentials_get(struct credentials *credentials);
/* Says that the service called these keys expired: fetch anew soon. False when they are given ones, of which there are
 * no newer. Any thread. */
bool credentials_refresh(struct credentials *credentials);
enum { CREDENTIALS_SOURCE_MAX = 128 };
/* Where the keys come from, for `check` and the log: "static keys", `profile "default"`, "role by environment
 * variables" and so on; empty until there are keys. A C string. Any thread. */
void credentials_source(struct credentials *credentials, char *to, size_t capacity);

/* How long keys that expire at expiry_s are used before newer ones are asked for; both in seconds since 1970, and
 * UINT64_MAX for keys that never expire. Pure. */
uint64_t credentials_lifetime_ms(uint64_t now_s, uint64_t expiry_s);

#endif
