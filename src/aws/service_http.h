/*
 * service_http: the service over HTTP(S) on the CRT: connection pool, SigV4, response checksum, retry with full
 * jitter, clock skew taken from the Date header, total deadline.
 */
#ifndef AWS_SERVICE_HTTP_H
#define AWS_SERVICE_HTTP_H

#include "aws/credentials.h"
#include "aws/service.h"

struct service_http_options {
    struct str endpoint;     /* URL "http[s]://host[:port]" */
    struct str region;       /* for the signature */
    struct str signing_name; /* "dynamodb" (tables and streams), "monitoring" */
    struct str user_agent;
    struct credentials *credentials; /* outlives the service */
    struct aws_tls_ctx *tls;         /* outlives the service; used for https */
    struct page_pool *pages;         /* outlives the service */
    uint32_t max_connections;        /* 0 means 64 */
    uint32_t connect_timeout_ms;     /* 0 means 3,000 */
    uint32_t attempt_timeout_ms;     /* until the first byte of a reply; 0 means 10,000 */
};

/* Lane thread. Copies the options. NULL and err (ERR_CONFIG for a bad URL) on failure. */
struct service *service_http_new(struct lane *lane, const struct service_http_options *options,
                                 struct err *err);
/* Drops what is under way, without callbacks but with `dropped`; done comes on the lane when all connections are gone,
 * or after a second: what is left then ends on its own, and needs the lane's loop but neither lane, pages nor keys.
 * The lane must run until done. done is required. Without a service it is called at once. */
void service_http_close(struct service *service, lane_fn *done, void *ctx);

#endif
