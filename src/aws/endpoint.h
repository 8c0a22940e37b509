/*
 * endpoint: one scheme://host:port with its pool of connections, and the texts for what can go wrong on the way
 * there. Lives on one lane.
 *
 * A failed TLS handshake is told at once: the CRT itself reports it only when the TLS library's delay against timing
 * attacks is over, which takes 10 to 30 s.
 */
#ifndef AWS_ENDPOINT_H
#define AWS_ENDPOINT_H

#include "base/http_url.h"
#include "base/lane.h"

struct aws_client_bootstrap;
struct aws_event_loop;
struct aws_http_connection_manager;
struct aws_tls_ctx;

enum { ENDPOINT_NAME_MAX = HOST_PORT_TEXT_MAX + 8 };

/* "http[s]://host[:port][/]"; false and err (CONFIG) for anything else. Pure. */
bool endpoint_url_parse(struct str text, struct http_url *ret_url, struct err *err);

struct endpoint_options {
    struct str url;
    struct aws_tls_ctx *tls;
    uint32_t max_connections;
    uint32_t connect_timeout_ms;
    uint32_t acquire_timeout_ms; /* for a connection, made or given back by another user */
    lane_fn *tls_failed;         /* a handshake has failed; endpoint_connect_error says why */
    lane_fn *closed; /* after endpoint_close: no connection is left; on the lane's thread */
    void *ctx;
};

struct endpoint {
    struct http_url url;
    char name[ENDPOINT_NAME_MAX]; /* "https://host:port", for texts */
    struct lane
        *lane; /* not after endpoint_close: it may be freed before the last connection is gone */
    struct aws_event_loop *loop; /* the lane's; kept by bootstrap */
    struct aws_client_bootstrap *bootstrap;
    struct aws_http_connection_manager *manager;
    struct aws_task closed_task;
    struct endpoint_options options;
    char tls_failure[160]; /* of the newest handshake, when it failed */
    uint64_t tls_failed_ms;
    bool closing;
};

/* Lane thread. The endpoint must not move. */
bool endpoint_open(struct endpoint *endpoint, struct lane *lane,
                   const struct endpoint_options *options, struct err *err);
/* Ends the pool. closed comes when every connection is gone: later, on the loop's thread, and even when the lane has
 * been freed by then. It may free the endpoint. */
void endpoint_close(struct endpoint *endpoint);

/* Why there is no connection, from the CRT's error code. */
void endpoint_connect_error(const struct endpoint *endpoint, int error, struct err *err);
/* Why a connection broke. */
void endpoint_broken_error(const struct endpoint *endpoint, int error, struct err *err);

#endif
