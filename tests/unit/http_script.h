/*
 * http_script: a blocking HTTP/1.1 server on a thread of its own that plays a script: one step per request, one
 * connection at a time. It keeps what it was sent.
 */
#ifndef TESTS_HTTP_SCRIPT_H
#define TESTS_HTTP_SCRIPT_H

#include "base/buf.h"

#include <pthread.h>
#include <stdatomic.h>

enum { HTTP_SCRIPT_MAX = 16 };

struct http_step {
    struct buf reply; /* sent as it is */
    bool close_after; /* else the connection is kept */
    bool hold;        /* send nothing more, wait until the client closes */
};

struct http_script {
    int listener;
    uint16_t port;
    pthread_t thread;
    struct http_step steps[HTTP_SCRIPT_MAX];
    size_t step_count;
    char *requests[HTTP_SCRIPT_MAX]; /* head and body, NUL-terminated */
    atomic_size_t request_count;
    atomic_int connection; /* -1 when there is none */
    atomic_bool stop;
};

/* Adds a step. headers: further header lines, each with CRLF; may be "". Content-Length is added. */
struct http_step *http_script_add(struct http_script *script, int status, const char *headers,
                                  const char *body);
/* Adds a step with these bytes as the whole reply. */
struct http_step *http_script_add_raw(struct http_script *script, const char *reply);

/* All steps are added before. */
void http_script_start(struct http_script *script);
void http_script_stop(struct http_script *script);

#endif
