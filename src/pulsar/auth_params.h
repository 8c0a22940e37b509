/*
 * auth_params: authPlugin and authParams, in all the forms that Java's and C++'s clients take, read
 * into one struct. Pure: opens no file and reads no variable.
 *
 *     plugin   "", "none", "disabled"; "token", "basic", "tls", "oauth2"; Java's class names, in full
 *              or their last part
 *     token    "token:<token>", "file:///path", "env:NAME", {"token":"..."}, or the token itself
 *     basic    {"userId":"...","password":"..."} (or "username"), "userId:...,password:...", or
 *              "user:password"
 *     tls      "tlsCertFile:/path,tlsKeyFile:/path" or the same as JSON
 *     oauth2   {"issuerUrl":"https://...","privateKey":"...","audience":"...","scope":"...",
 *              "trustCertsFilePath":"/path","type":"client_credentials"}; see oauth2.h
 *
 * Names of members may also be written in snake case (issuer_url). No message has a secret.
 */
#ifndef PULSAR_AUTH_PARAMS_H
#define PULSAR_AUTH_PARAMS_H

#include "base/err.h"
#include "base/str.h"

enum { AUTH_TOKEN_MAX = 32 * 1024 };

enum auth_kind {
    AUTH_NONE,
    AUTH_TOKEN,      /* value is the token */
    AUTH_TOKEN_FILE, /* value is its path */
    AUTH_TOKEN_ENV,  /* value is the variable's name */
    AUTH_BASIC,      /* value is "user:password" */
    AUTH_TLS,        /* the client's certificate says it */
    AUTH_OAUTH2,     /* a token that an issuer gives */
};

/* NULL: not given. */
struct oauth2_params {
    char *issuer_url;
    char *private_key; /* path, file: URL, or data: URL */
    char *audience;
    char *scope;
    char *trust_certs_file; /* for the issuer's certificate, instead of the system's store */
};

/* All texts are owned. */
struct auth_params {
    enum auth_kind kind;
    char *value;
    char *tls_certificate_file;
    char *tls_key_file;
    struct oauth2_params oauth2;
};

enum auth_fault { AUTH_FAULT_PLUGIN, AUTH_FAULT_PARAMS };

/* False, err (CONFIG) and which of the two texts it is about; err does not name the text. ret_params
 * is to be given to auth_params_done in any case. */
bool auth_params_parse(struct str plugin, struct str params, struct auth_params *ret_params,
                       enum auth_fault *ret_fault, struct err *err);
/* Erases and frees. All-zero is fine. */
void auth_params_done(struct auth_params *params);

/* Only whether they can be used on connections with TLS, or without. */
bool auth_params_check(struct str plugin, struct str params, bool tls, enum auth_fault *ret_fault,
                       struct err *err);

#endif
