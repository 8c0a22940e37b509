#include "monitor/http_listen.h"

#include "base/host_port.h"
#include "base/log.h"
#include "base/watch.h"
#include "monitor/http_request.h"

#include <errno.h>
#include <netdb.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

enum { BACKLOG = 16, ACCEPT_AGAIN_MS = 1000, OUT_HEAD_MAX = 512, DRAIN_MAX = 64 * 1024 };

enum client_phase {
    CLIENT_FREE,
    CLIENT_READING,
    CLIENT_WRITING,
    CLIENT_ENDING, /* all is sent: until the other side closes, since closing first may cut the answer off */
};

struct client {
    struct http_listen *server;
    enum client_phase phase;
    int fd;
    struct watch watch;
    struct lane_timer timer;
    char head[HTTP_LISTEN_HEAD_MAX];
    size_t head_len; /* bytes that came */
    struct buf out;
    size_t sent;
};

struct http_listen {
    struct lane *lane;
    http_listen_fn *fn;
    void *ctx;
    int fd;
    struct watch watch;
    struct lane_timer accept_timer;
    char address[HOST_PORT_TEXT_MAX];
    struct client clients[HTTP_LISTEN_CLIENTS];
};

/* ---- The address. */

static bool note_address(struct http_listen *server) {
    struct sockaddr_storage bound;
    socklen_t len = sizeof bound;
    char host[HOST_PORT_HOST_MAX];
    char port[8];
    uint64_t number = 0;
    if (getsockname(server->fd, (struct sockaddr *)&bound, &len) != 0 ||
        getnameinfo((struct sockaddr *)&bound, len, host, sizeof host, port, sizeof port,
                    NI_NUMERICHOST | NI_NUMERICSERV) != 0 ||
        !str_to_u64(str_of(port), &number)) {
        return false;
    }
    host_port_write(host, (uint16_t)number, server->address);
    return true;
}

static bool bind_to(struct http_listen *server, const struct addrinfo *info) {
    int one = 1;
    server->fd = socket(info->ai_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (server->fd < 0) {
        return false;
    }
    /* Else the port of a process that has just ended could not be had for a minute. */
    (void)setsockopt(server->fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
    if (bind(server->fd, info->ai_addr, info->ai_addrlen) == 0 &&
        listen(server->fd, BACKLOG) == 0 && note_address(server)) {
        return true;
    }
    int failed = errno;
    (void)close(server->fd);
    server->fd = -1;
    errno = failed;
    return false;
}

static bool open_address(struct http_listen *server, struct str address, struct err *err) {
    char host[HOST_PORT_HOST_MAX];
    char port[8];
    uint16_t number = 0;
    if (!host_port_parse(address, 0, host, &number)) {
        return err_set(err, ERR_CONFIG, "not host:port");
    }
    (void)snprintf(port, sizeof port, "%u", number);
    struct addrinfo hints = {.ai_family = AF_UNSPEC, .ai_socktype = SOCK_STREAM};
    struct addrinfo *all = NULL;
    int failed = getaddrinfo(host, port, &hints, &all);
    if (failed != 0) {
        return err_set(err, ERR_CONFIG, "%s", gai_strerror(failed));
    }
    bool ok = false;
    for (const struct addrinfo *info = all; info != NULL && !ok; info = info->ai_next) {
        ok = bind_to(server, info);
    }
    freeaddrinfo(all);
    return ok || err_set(err, ERR_CONFIG, "%s", strerror(errno));
}

struct http_listen *http_listen_open(struct str address, struct err *err) {
    struct http_listen *server = calloc(1, sizeof *server);
    if (server == NULL) {
        err_set(err, ERR_NOMEM, "no memory to listen");
        return NULL;
    }
    server->fd = -1;
    for (size_t i = 0; i < HTTP_LISTEN_CLIENTS; i++) {
        struct client *client = &server->clients[i];
        client->server = server;
        client->fd = -1;
        buf_init(&client->out, HTTP_LISTEN_BODY_MAX + OUT_HEAD_MAX);
    }
    if (!open_address(server, address, err)) {
        err_context(err, "%.*s", STR_FMT(address));
        http_listen_close(server);
        return NULL;
    }
    return server;
}

const char *http_listen_address(const struct http_listen *server) {
    return server->address;
}

/* ---- A client. */

static void end_client(struct client *client) {
    if (client->phase == CLIENT_FREE) {
        return;
    }
    client->phase = CLIENT_FREE;
    lane_timer_cancel(&client->timer);
    watch_stop(&client->watch);
    (void)close(client->fd);
    client->fd = -1;
    buf_done(&client->out);
}

/* Of a lane_timer. */
static void on_timeout(void *ctx) {
    end_client(ctx);
}

static bool would_block(void) {
    return errno == EAGAIN || errno == EWOULDBLOCK;
}

/* Throws away what still comes, within reason, until the other side has closed. */
static void drain(struct client *client) {
    while (client->head_len < DRAIN_MAX) {
        ssize_t got = recv(client->fd, client->head, sizeof client->head, 0);
        if (got > 0) {
            client->head_len += (size_t)got;
        } else if (got < 0 && would_block()) {
            return;
        } else if (got == 0 || errno != EINTR) {
            break;
        }
    }
    end_client(client);
}

static void write_out(struct client *client) {
    while (client->sent < client->out.len) {
        ssize_t put = send(client->fd, client->out.data + client->sent,
                           client->out.len - client->sent, MSG_NOSIGNAL);
        if (put < 0 && errno == EINTR) {
            continue;
        }
        if (put < 0) {
            if (!would_block()) {
                end_client(client);
            }
            return;
        }
        client->sent += (size_t)put;
    }
    client->phase = CLIENT_ENDING;
    (void)shutdown(client->fd,
                   SHUT_WR); /* when it fails, the connection is gone, and drain sees it */
    drain(client);
}

static const char *reason_of(uint32_t status) {
    switch (status) {
    case 200:
        return "OK";
    case 400:
        return "Bad Request";
    case 404:
        return "Not Found";
    case 405:
        return "Method Not Allowed";
    case 431:
        return "Request Header Fields Too Large";
    default:
        return "Service Unavailable";
    }
}

static void answer(struct client *client, const struct http_answer *answer, bool with_body) {
    struct buf *out = &client->out;
    buf_reset(out);
    buf_add_format(out,
                   "HTTP/1.1 %u %s\r\nContent-Type: %s\r\nContent-Length: %zu\r\n"
                   "Cache-Control: no-store\r\n%sConnection: close\r\n\r\n",
                   answer->status, reason_of(answer->status), answer->content_type,
                   answer->body->len, answer->status == 405 ? "Allow: GET, HEAD\r\n" : "");
    if (with_body) {
        buf_add_str(out, buf_str(answer->body));
    }
    if (out->failed) {
        end_client(client);
        return;
    }
    client->phase = CLIENT_WRITING;
    client->sent = 0;
    write_out(client);
}

static void respond(struct client *client, enum http_request_state state, struct str path) {
    struct http_listen *server = client->server;
    struct buf body;
    buf_init(&body, HTTP_LISTEN_BODY_MAX);
    struct http_answer reply = {
        .status = 404,
        .content_type = "text/plain; charset=utf-8",
        .body = &body,
    };
    switch (state) {
    case HTTP_REQUEST_GET:
    case HTTP_REQUEST_HEAD:
        server->fn(server->ctx, path, &reply);
        break;
    case HTTP_REQUEST_OTHER_METHOD:
        reply.status = 405;
        break;
    case HTTP_REQUEST_MORE:
        reply.status = 431;
        break;
    case HTTP_REQUEST_BAD:
        reply.status = 400;
        break;
    }
    if (body.len == 0) {
        buf_add_format(&body, "%s\n", reason_of(reply.status));
    }
    if (body.failed) {
        end_client(client);
    } else {
        answer(client, &reply, state != HTTP_REQUEST_HEAD);
    }
    buf_done(&body);
}

static void read_in(struct client *client) {
    while (client->head_len < HTTP_LISTEN_HEAD_MAX) {
        ssize_t got = recv(client->fd, client->head + client->head_len,
                           HTTP_LISTEN_HEAD_MAX - client->head_len, 0);
        if (got < 0 && errno == EINTR) {
            continue;
        }
        if (got < 0 && would_block()) {
            return;
        }
        if (got <= 0) {
            end_client(client);
            return;
        }
        client->head_len += (size_t)got;
        struct str path;
        enum http_request_state state =
            http_request_parse(str_make(client->head, client->head_len), &path);
        if (state != HTTP_REQUEST_MORE) {
            respond(client, state, path);
            return;
        }
    }
    respond(client, HTTP_REQUEST_MORE, STR_NONE);
}

/* A watch_fn. */
static void on_client(void *ctx, unsigned events) {
    (void)
        events; /* each phase knows what it waits for, and the calls tell when the connection is gone */
    struct client *client = ctx;
    switch (client->phase) {
    case CLIENT_FREE:
        break;
    case CLIENT_READING:
        read_in(client);
        break;
    case CLIENT_WRITING:
        write_out(client);
        break;
    case CLIENT_ENDING:
        drain(client);
        break;
    }
}

static void begin_client(struct http_listen *server, int fd) {
    struct client *client = NULL;
    for (size_t i = 0; i < HTTP_LISTEN_CLIENTS && client == NULL; i++) {
        if (server->clients[i].phase == CLIENT_FREE) {
            client = &server->clients[i];
        }
    }
    if (client == NULL || !watch_start(&client->watch, server->lane, fd, on_client, client)) {
        (void)close(fd);
        return;
    }
    client->fd = fd;
    client->phase = CLIENT_READING;
    client->head_len = 0;
    lane_timer_init(&client->timer, server->lane, on_timeout, client);
    lane_timer_set_ms(&client->timer, HTTP_LISTEN_TIMEOUT_MS);
}

/* ---- The server. */

static void accept_all(void *ctx) {
    struct http_listen *server = ctx;
    for (;;) {
        int fd = accept4(server->fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
        if (fd >= 0) {
            begin_client(server, fd);
        } else if (would_block()) {
            return;
        } else if (errno != EINTR && errno != ECONNABORTED) {
            LOG_WARN("monitor", "accept-failed", LOG_TEXT("text", strerror(errno)));
            lane_timer_set_ms(&server->accept_timer, ACCEPT_AGAIN_MS); /* out of files, say */
            return;
        }
    }
}

/* A watch_fn. */
static void on_incoming(void *ctx, unsigned events) {
    (void)events;
    accept_all(ctx);
}

bool http_listen_start(struct http_listen *server, struct lane *lane, http_listen_fn *fn,
                       void *ctx) {
    server->lane = lane;
    server->fn = fn;
    server->ctx = ctx;
    lane_timer_init(&server->accept_timer, lane, accept_all, server);
    return watch_start(&server->watch, lane, server->fd, on_incoming, server);
}

void http_listen_close(struct http_listen *server) {
    if (server == NULL) {
        return;
    }
    lane_timer_cancel(&server->accept_timer);
    watch_stop(&server->watch);
    for (size_t i = 0; i < HTTP_LISTEN_CLIENTS; i++) {
        end_client(&server->clients[i]);
    }
    if (server->fd >= 0) {
        (void)close(server->fd);
    }
    free(server);
}
