/*
 * http_listen: answers GET and HEAD on one address, one request a connection. For probes and scrapers: no TLS, no
 * keep-alive, nothing is taken in.
 *
 * Bounded: HTTP_LISTEN_CLIENTS at a time, who comes beyond is sent away at once; each has HTTP_LISTEN_HEAD_MAX bytes for
 * the request and HTTP_LISTEN_TIMEOUT_MS for everything.
 */
#ifndef MONITOR_HTTP_LISTEN_H
#define MONITOR_HTTP_LISTEN_H

#include "base/buf.h"
#include "base/lane.h"

enum {
    HTTP_LISTEN_CLIENTS = 32,
    HTTP_LISTEN_HEAD_MAX = 8192,
    HTTP_LISTEN_TIMEOUT_MS = 5000,
    HTTP_LISTEN_BODY_MAX = 1024 * 1024,
};

struct http_answer {
    uint32_t status; /* 200, 404 or 503 */
    const char *content_type;
    struct buf *body; /* to be written to */
};

/* Fills the answer for a path. It comes as 404 with an empty body of plain text. */
typedef void http_listen_fn(void *ctx, struct str path, struct http_answer *answer);

struct http_listen;

/* Any thread. Binds "host[:port]" and listens; without a port the system chooses one. NULL and err (CONFIG) when the
 * address cannot be had. */
struct http_listen *http_listen_open(struct str address, struct err *err);
/* The address in use, as "127.0.0.1:8080". Any thread; borrowed. */
const char *http_listen_address(const struct http_listen *server);
/* On the lane, once: answers from now on. False when the system refuses. */
bool http_listen_start(struct http_listen *server, struct lane *lane, http_listen_fn *fn,
                       void *ctx);
/* Closes everything at once and frees it. On its lane when it was started, else on any thread. NULL is fine. */
void http_listen_close(struct http_listen *server);

#endif
