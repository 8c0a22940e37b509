#include "fakes/fake_aws_server.h"

#include "fakes/fake_http.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <zlib.h>

struct fake_aws_server {
    struct fake_aws aws;
    struct fake_server *sockets;
    uint16_t port;
    uint64_t requests;
};

/* One connection: at most one call under way, so that replies keep their order. */
struct client {
    struct fake_aws_server *server;
    bool busy;
    struct fake_reply reply;
};

static void *opened(void *ctx, struct fake_conn *conn) {
    struct client *client = calloc(1, sizeof *client);
    if (client == NULL) {
        fake_conn_abort(conn);
        return NULL;
    }
    client->server = ctx;
    fake_reply_init(&client->reply);
    return client;
}

static void closed(void *ctx, struct fake_conn *conn) {
    (void)ctx;
    struct client *client = fake_conn_state(conn);
    if (client != NULL) {
        fake_reply_done(&client->reply);
        free(client);
    }
}

static void release_page(void *ctx) {
    fake_page_release(ctx);
}

/* The head of a reply; returns its length. */
static size_t write_head(struct fake_aws_server *server, const struct fake_reply *reply,
                         struct str body, char to[FAKE_PAGE_HEADROOM]) {
    char date[40];
    char crc[40] = "";
    fake_http_date(reply->date_ms, date);
    if (!reply->no_crc) {
        uint32_t sum = reply->page != NULL
                           ? reply->page->crc32
                           : (uint32_t)crc32(0, (const Bytef *)body.ptr, (uInt)body.len);
        (void)snprintf(crc, sizeof crc, "x-amz-crc32: %" PRIu32 "\r\n",
                       reply->wrong_crc ? sum ^ 1U : sum);
    }
    int len =
        snprintf(to, FAKE_PAGE_HEADROOM,
                 "HTTP/1.1 %u %s\r\nServer: Server\r\nDate: %s\r\nContent-Type: %s\r\n"
                 "Content-Length: %" PRId64 "\r\n%s%sx-amzn-RequestId: FAKE%028" PRIX64 "\r\n\r\n",
                 reply->status, fake_http_reason(reply->status), date, reply->content_type,
                 (int64_t)body.len + reply->length_off,
                 reply->gzip ? "Content-Encoding: gzip\r\n" : "", crc, ++server->requests);
    return (size_t)len;
}

static void send_reply(struct fake_conn *conn, struct client *client) {
    struct fake_reply *reply = &client->reply;
    char head[FAKE_PAGE_HEADROOM];
    struct fake_page *page = reply->page;
    struct str body = page != NULL ? str_make(page->body, page->body_len) : buf_str(&reply->body);
    size_t head_len = write_head(client->server, reply, body, head);
    bool cut = reply->cut < body.len;
    size_t body_len = cut ? reply->cut : body.len;

    fake_conn_drip(conn, reply->drip);
    if (page != NULL) {
        /* Head and body as one piece, without a copy of the body. */
        memcpy(page->body - head_len, head, head_len);
        reply->page = NULL;
        fake_conn_write_borrowed(conn, page->body - head_len, head_len + body_len, release_page,
                                 page);
    } else {
        fake_conn_write(conn, head, head_len);
        fake_conn_write(conn, body.ptr, body_len);
    }
    if (cut || reply->length_off < 0) {
        fake_conn_close(conn);
    }
    fake_reply_done(reply);
    client->busy = false;
}

static void received(void *ctx, struct fake_conn *conn);

static void delay_over(void *ctx, struct fake_conn *conn) {
    send_reply(conn, fake_conn_state(conn));
    received(ctx, conn); /* what came meanwhile */
}

static void handle_call(struct fake_aws_server *server, struct client *client,
                        struct fake_conn *conn, const struct fake_http_request *http) {
    struct fake_aws_request request = {
        .target = fake_http_header(http, "X-Amz-Target"),
        .authorization = fake_http_header(http, "Authorization"),
        .amz_date = fake_http_header(http, "X-Amz-Date"),
        .body = http->body,
    };
    struct str encodings = fake_http_header(http, "Accept-Encoding");
    request.gzip = encodings.len > 0 && memmem(encodings.ptr, encodings.len, "gzip", 4) != NULL;

    fake_reply_init(&client->reply);
    fake_aws_handle(&server->aws, &request, fake_server_wall_ms(), &client->reply);
    if (client->reply.drop) {
        fake_reply_done(&client->reply);
        fake_conn_abort(conn);
    } else if (client->reply.delay_ms == 0 ||
               !fake_server_after(server->sockets, client->reply.delay_ms, delay_over, server,
                                  conn)) {
        send_reply(conn, client);
    } else {
        client->busy = true;
    }
}

static bool script(void *ctx, struct str lines, int64_t now_ms, struct err *err) {
    struct fake_aws_server *server = ctx;
    return fake_aws_script(&server->aws, lines, now_ms, err);
}

static bool tell(void *ctx, struct str name, struct buf *out) {
    struct fake_aws_server *server = ctx;
    if (str_is(name, "counts")) {
        fake_aws_counts_json(&server->aws, out);
    } else if (str_is(name, "metrics")) {
        fake_aws_metrics_json(&server->aws, out);
    } else {
        return false;
    }
    return true;
}

static const struct fake_control control = {.script = script, .tell = tell};

static void received(void *ctx, struct fake_conn *conn) {
    struct fake_aws_server *server = ctx;
    struct client *client = fake_conn_state(conn);
    struct fake_http_request request;
    enum fake_http_result result = FAKE_HTTP_MORE;
    while (client != NULL && !client->busy &&
           (result = fake_http_parse(fake_conn_input(conn), &request)) == FAKE_HTTP_OK) {
        if (!fake_control_answer(&control, server, conn, &request)) {
            handle_call(server, client, conn, &request);
        }
        fake_conn_consume(conn, request.len);
    }
    if (result == FAKE_HTTP_BAD) {
        fake_conn_abort(conn);
    }
}

struct fake_aws_server *fake_aws_server_new(uint16_t port, const char *scenario, struct err *err) {
    static const struct fake_handler handler = {
        .opened = opened, .received = received, .closed = closed};
    struct fake_aws_server *server = calloc(1, sizeof *server);
    if (server == NULL) {
        err_set(err, ERR_NOMEM, "the AWS double");
        return NULL;
    }
    fake_aws_init(&server->aws);
    server->sockets = fake_server_new(err);
    if (server->sockets == NULL ||
        (scenario != NULL &&
         !fake_aws_script_file(&server->aws, scenario, fake_server_wall_ms(), err)) ||
        (server->port = fake_server_listen(server->sockets, port, &handler, server, err)) == 0 ||
        !fake_server_start(server->sockets, err)) {
        fake_aws_server_free(server);
        return NULL;
    }
    return server;
}

void fake_aws_server_free(struct fake_aws_server *server) {
    if (server != NULL) {
        fake_server_free(server->sockets);
        fake_aws_done(&server->aws);
        free(server);
    }
}

uint16_t fake_aws_server_port(const struct fake_aws_server *server) {
    return server->port;
}

struct fake_aws *fake_aws_server_lock(struct fake_aws_server *server) {
    fake_server_lock(server->sockets);
    return &server->aws;
}

void fake_aws_server_unlock(struct fake_aws_server *server) {
    fake_server_unlock(server->sockets);
}

bool fake_aws_server_script(struct fake_aws_server *server, const char *lines, struct err *err) {
    struct fake_aws *aws = fake_aws_server_lock(server);
    bool ok = fake_aws_script(aws, str_of(lines), fake_server_wall_ms(), err);
    fake_aws_server_unlock(server);
    return ok;
}

uint64_t fake_aws_server_count(struct fake_aws_server *server, enum fake_aws_op op) {
    uint64_t count = fake_aws_count(fake_aws_server_lock(server), op);
    fake_aws_server_unlock(server);
    return count;
}
