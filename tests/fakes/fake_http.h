/*
 * fake_http: as much HTTP/1.1 as the doubles need: requests with Content-Length on connections that
 * stay open, and plain responses. Also the control interface that all doubles share:
 *
 *     POST /control        scenario lines in the body; 200 "ok", or 400 with what is wrong
 *     GET  /control/NAME   what the double tells about itself, as JSON
 */
#ifndef FAKES_FAKE_HTTP_H
#define FAKES_FAKE_HTTP_H

#include "base/buf.h"
#include "fakes/fake_server.h"

enum { FAKE_HTTP_HEADERS = 64, FAKE_HTTP_HEAD_MAX = 65536, FAKE_HTTP_BODY_MAX = 32 * 1024 * 1024 };

struct fake_http_header {
    struct str name;
    struct str value;
};

/* Borrows from the connection's input. */
struct fake_http_request {
    struct str method;
    struct str path;
    struct fake_http_header headers[FAKE_HTTP_HEADERS];
    size_t header_count;
    struct str body;
    size_t len; /* of all of it: what to consume */
};

enum fake_http_result { FAKE_HTTP_MORE, FAKE_HTTP_OK, FAKE_HTTP_BAD };

/* Reads one request from the start of input. MORE: it is not complete yet. */
enum fake_http_result fake_http_parse(struct str input, struct fake_http_request *ret_request);
/* By name, without case; {NULL, 0} when absent. */
struct str fake_http_header(const struct fake_http_request *request, const char *name);

const char *fake_http_reason(unsigned status);
/* "Mon, 23 Nov 2026 22:34:00 GMT" */
void fake_http_date(int64_t ms, char to[40]);
/* Writes a response that keeps the connection open. */
void fake_http_respond(struct fake_conn *conn, unsigned status, const char *content_type,
                       struct str body);

struct fake_control {
    /* Runs scenario lines. */
    bool (*script)(void *ctx, struct str lines, int64_t now_ms, struct err *err);
    /* Writes the JSON of that name; false when there is none. */
    bool (*tell)(void *ctx, struct str name, struct buf *out);
};

/* Answers a request to /control...; false when its path is another one. */
bool fake_control_answer(const struct fake_control *control, void *ctx, struct fake_conn *conn,
                         const struct fake_http_request *request);
/* For a listener that serves nothing else; its ctx is a struct fake_control_listener. */
struct fake_control_listener {
    const struct fake_control *control;
    void *ctx;
};
extern const struct fake_handler fake_control_handler;

#endif
