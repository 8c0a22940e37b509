#include "fakes/fake_http.h"

#include <time.h>

/* The text up to `end` at the start of *rest, which moves behind it; {NULL, 0} when there is no
 * end. */
static struct str cut(struct str *rest, const char *end) {
    const char *found = rest->len > 0 ? memmem(rest->ptr, rest->len, end, strlen(end)) : NULL;
    if (found == NULL) {
        return STR_NONE;
    }
    struct str part = str_make(rest->ptr, (size_t)(found - rest->ptr));
    size_t used = part.len + strlen(end);
    *rest = str_make(rest->ptr + used, rest->len - used);
    return part;
}

enum fake_http_result fake_http_parse(struct str input, struct fake_http_request *ret_request) {
    struct str rest = input;
    struct str head = cut(&rest, "\r\n\r\n");
    if (head.ptr == NULL) {
        return input.len > FAKE_HTTP_HEAD_MAX ? FAKE_HTTP_BAD : FAKE_HTTP_MORE;
    }
    head.len += 2; /* the last header's end of line */
    *ret_request = (struct fake_http_request){.header_count = 0};
    struct str line = cut(&head, "\r\n");
    ret_request->method = cut(&line, " ");
    ret_request->path = cut(&line, " ");
    if (ret_request->path.ptr == NULL || !str_is(line, "HTTP/1.1")) {
        return FAKE_HTTP_BAD;
    }
    while (head.len > 0) {
        line = cut(&head, "\r\n");
        struct str name = cut(&line, ":");
        if (name.len == 0 || ret_request->header_count == FAKE_HTTP_HEADERS) {
            return FAKE_HTTP_BAD;
        }
        ret_request->headers[ret_request->header_count++] =
            (struct fake_http_header){.name = name, .value = str_trim(line)};
    }
    struct str length = fake_http_header(ret_request, "Content-Length");
    uint64_t bytes = 0;
    if (fake_http_header(ret_request, "Transfer-Encoding").ptr != NULL ||
        (length.ptr != NULL && (!str_to_u64(length, &bytes) || bytes > FAKE_HTTP_BODY_MAX))) {
        return FAKE_HTTP_BAD;
    }
    if (rest.len < bytes) {
        return FAKE_HTTP_MORE;
    }
    ret_request->body = str_make(rest.ptr, bytes);
    ret_request->len = (size_t)(rest.ptr - input.ptr) + bytes;
    return FAKE_HTTP_OK;
}

struct str fake_http_header(const struct fake_http_request *request, const char *name) {
    for (size_t i = 0; i < request->header_count; i++) {
        if (str_equal_nocase(request->headers[i].name, str_of(name))) {
            return request->headers[i].value;
        }
    }
    return STR_NONE;
}

const char *fake_http_reason(unsigned status) {
    switch (status) {
    case 200:
        return "OK";
    case 400:
        return "Bad Request";
    case 404:
        return "Not Found";
    case 500:
        return "Internal Server Error";
    case 503:
        return "Service Unavailable";
    default:
        return "Scripted";
    }
}

void fake_http_date(int64_t ms, char to[40]) {
    time_t seconds = (time_t)(ms / 1000);
    struct tm parts;
    (void)gmtime_r(&seconds, &parts);
    (void)strftime(to, 40, "%a, %d %b %Y %H:%M:%S GMT", &parts);
}

void fake_http_respond(struct fake_conn *conn, unsigned status, const char *content_type,
                       struct str body) {
    struct buf out;
    buf_init(&out, body.len + 512);
    buf_add_format(&out, "HTTP/1.1 %u %s\r\nContent-Type: %s\r\nContent-Length: %zu\r\n\r\n",
                   status, fake_http_reason(status), content_type, body.len);
    buf_add_str(&out, body);
    fake_conn_write(conn, out.data, buf_str(&out).len);
    buf_done(&out);
}

bool fake_control_answer(const struct fake_control *control, void *ctx, struct fake_conn *conn,
                         const struct fake_http_request *request) {
    static const char prefix[] = "/control";
    struct str name = request->path;
    if (!str_starts(name, prefix)) {
        return false;
    }
    name = str_make(name.ptr + sizeof prefix - 1, name.len - (sizeof prefix - 1));
    struct err err = ERR_NONE;
    struct buf out;
    buf_init(&out, FAKE_HTTP_BODY_MAX);
    if (str_is(request->method, "POST") && name.len == 0) {
        if (control->script(ctx, request->body, fake_server_wall_ms(), &err)) {
            fake_http_respond(conn, 200, "text/plain", STR("ok\n"));
        } else {
            buf_add_format(&out, "%s\n", err.text);
            fake_http_respond(conn, 400, "text/plain", buf_str(&out));
        }
    } else if (str_is(request->method, "GET") && name.len > 1 &&
               control->tell(ctx, str_make(name.ptr + 1, name.len - 1), &out)) {
        fake_http_respond(conn, 200, "application/json", buf_str(&out));
    } else {
        fake_http_respond(conn, 404, "text/plain", STR("there is nothing of that name\n"));
    }
    buf_done(&out);
    return true;
}

static void *control_opened(void *ctx, struct fake_conn *conn) {
    (void)conn;
    return ctx;
}

static void control_received(void *ctx, struct fake_conn *conn) {
    const struct fake_control_listener *listener = ctx;
    struct fake_http_request request;
    enum fake_http_result result;
    while ((result = fake_http_parse(fake_conn_input(conn), &request)) == FAKE_HTTP_OK) {
        if (!fake_control_answer(listener->control, listener->ctx, conn, &request)) {
            fake_http_respond(conn, 404, "text/plain", STR("only /control is here\n"));
        }
        fake_conn_consume(conn, request.len);
    }
    if (result == FAKE_HTTP_BAD) {
        fake_conn_abort(conn);
    }
}

static void control_closed(void *ctx, struct fake_conn *conn) {
    (void)ctx;
    (void)conn;
}

const struct fake_handler fake_control_handler = {
    .opened = control_opened, .received = control_received, .closed = control_closed};
