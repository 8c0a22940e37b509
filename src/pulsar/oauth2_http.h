/*
 * oauth2_http: one request to an OAuth2 issuer, GET or a form by POST, with a bounded answer, on a
 * lane and a connection of its own. The only file of this folder that knows HTTP. It has no
 * deadline: its owner cancels it.
 *
 * A failed TLS handshake is told at once: the CRT itself reports it only when the TLS library's delay
 * against timing attacks is over, which takes 10 to 30 s.
 */
#ifndef PULSAR_OAUTH2_HTTP_H
#define PULSAR_OAUTH2_HTTP_H

#include "base/http_url.h"
#include "base/lane.h"

struct aws_tls_ctx;
struct oauth2_http;

enum { OAUTH2_BODY_MAX = 256 * 1024 }; /* of an answer */

/* What to trust: the PEM file, or the system's store when it is NULL. Takes tens of milliseconds.
 * NULL and err (CONFIG); freed by aws_tls_ctx_release. */
struct aws_tls_ctx *oauth2_http_tls(const char *trust_certs_file, struct err *err);

/* Borrowed for the call of oauth2_http_start. */
struct oauth2_http_request {
    const struct http_url *url;
    struct str form;         /* "name=value&..."; ptr NULL: GET */
    struct aws_tls_ctx *tls; /* with an https URL */
    uint32_t connect_timeout_ms;
};

/* err (PULSAR_NO_TOKEN), or an answer of any status with its body, borrowed for the call. */
typedef void oauth2_http_done(void *ctx, const struct err *err, int status, struct str body);

/* done comes later, once, and the request is gone with it. NULL when out of memory. */
struct oauth2_http *oauth2_http_start(struct lane *lane, const struct oauth2_http_request *request,
                                      oauth2_http_done *done, void *ctx);
/* done will not come. What the CRT still holds goes by itself, also after the lane was freed. */
void oauth2_http_cancel(struct oauth2_http *http);

#endif
