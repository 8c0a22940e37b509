/*
 * http_call: one HTTP request, GET or a form by POST, with a bounded answer, on a lane and a
 * connection of its own: to an OAuth2 issuer, or to Pulsar's admin API. The only file of this folder
 * that knows HTTP. It has no deadline: its owner cancels it.
 *
 * A failed TLS handshake is told at once: the CRT itself reports it only when the TLS library's delay
 * against timing attacks is over, which takes 10 to 30 s.
 */
#ifndef PULSAR_HTTP_CALL_H
#define PULSAR_HTTP_CALL_H

#include "base/http_url.h"
#include "base/lane.h"

struct aws_tls_ctx;
struct http_call;

enum { HTTP_CALL_BODY_MAX = 256 * 1024 }; /* of an answer */

/* With https. All-zero: the system's store is trusted, and nothing is shown. */
struct http_call_tls {
    const char *trust_certs_file; /* PEM; NULL: the system's store */
    const char *certificate_file; /* of ours, with its key: both or none */
    const char *key_file;
    bool allow_insecure; /* any certificate will do */
};

/* Takes tens of milliseconds. NULL and err (CONFIG, with the paths); freed by aws_tls_ctx_release. */
struct aws_tls_ctx *http_call_tls_new(const struct http_call_tls *options, struct err *err);

/* Borrowed for the call of http_call_start. */
struct http_call_request {
    const struct http_url *url;
    struct str form;          /* "name=value&..."; ptr NULL: GET */
    struct str authorization; /* the header's value; ptr NULL: none */
    struct aws_tls_ctx *tls;  /* with an https URL; then the certificate must name the host */
    uint32_t connect_timeout_ms;
    enum err_code failure; /* what a failure counts as */
};

/* Borrowed for the call of done. */
struct http_call_answer {
    int status;
    struct str body;
    struct str location; /* where a redirect leads to; may be empty */
};

/* err and NULL, or NULL and an answer of any status. */
typedef void http_call_done(void *ctx, const struct err *err,
                            const struct http_call_answer *answer);

/* done comes later, once, and the call is gone with it. NULL when out of memory. */
struct http_call *http_call_start(struct lane *lane, const struct http_call_request *request,
                                  http_call_done *done, void *ctx);
/* done will not come. What the CRT still holds goes by itself, also after the lane was freed. */
void http_call_cancel(struct http_call *call);

#endif
