/*
 * auth: who we are to the brokers: nobody, the bearer of a token, a user with a password, or the owner
 * of a TLS certificate. It belongs to a client, and so to one lane. What it hands out is secret: it
 * is erased after use and never logged.
 */
#ifndef PULSAR_AUTH_H
#define PULSAR_AUTH_H

#include "base/backoff.h"
#include "base/buf.h"
#include "base/err.h"
#include "base/lane.h"
#include "pulsar/auth_params.h"

#include <aws/common/linked_list.h>

struct auth;

struct auth_options {
    struct str plugin; /* see auth_params.h */
    struct str params;
    uint32_t timeout_ms;    /* of an attempt to get a token from an issuer */
    struct backoff backoff; /* between such attempts */
};

/* Reads no token and asks nobody yet. NULL and err (CONFIG, NOMEM). */
struct auth *auth_new(struct lane *lane, const struct auth_options *options, struct err *err);
/* Nobody may wait for it. Erases and frees. NULL is fine. */
void auth_free(struct auth *auth);

/* As the protocol names it. Static storage. */
const char *auth_method(const struct auth *auth);
/* The files of the certificate that the method wants TLS to show, or NULL twice. Borrowed. */
void auth_tls_files(const struct auth *auth, const char **ret_certificate, const char **ret_key);

/* Who asks for credentials: embedded in its owner; all-zero but for done before the first use. */
struct auth_request {
    struct auth *auth; /* NULL: not waiting */
    struct aws_linked_list_node node;
    bool fresh;
    uint64_t shown; /* which credentials it was given last; 0: none */
    /* data, or err of class AUTH or RETRY. Borrowed for the call. */
    void (*done)(struct auth_request *request, const struct err *err, struct str data);
};

enum auth_answer { AUTH_GIVEN, AUTH_FAILED, AUTH_LATER };

/* The bytes to show now. GIVEN: they were added to data, which has room for AUTH_TOKEN_MAX; files and
 * variables are read anew. FAILED: err. LATER: done will come with either, by timeout_ms.
 * fresh: other ones than it was given last, and not about to expire, if there are any to be had. */
enum auth_answer auth_get(struct auth *auth, struct auth_request *request, bool fresh,
                          struct buf *data, struct err *err);
/* done will not come. Not waiting is fine. */
void auth_forget(struct auth_request *request);

/* A broker has refused what this request was given last, or taken it. */
void auth_refused(struct auth *auth, const struct auth_request *request);
void auth_accepted(struct auth *auth);
/* Whether it makes sense to show credentials once more after a PULSAR_AUTH: since the last success
 * they were refused once and can be had anew, or what the file or variable says has changed. */
bool auth_may_retry(struct auth *auth);

#endif
