#include "unit/issuer.h"

#include "fakes/fake_http.h"
#include "unit/cmocka_all.h"
#include "unit/tls_peer.h"

#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

enum { PATIENCE_S = 30 };

static void send_more(void *ctx, struct fake_conn *conn) {
    struct issuer *issuer = ctx;
    static const char filler[8192];
    fake_conn_write(conn, filler, sizeof filler);
    (void)fake_server_after(issuer->server, 1, send_more, issuer, conn);
}

static void play(struct issuer *issuer, enum issuer_fault fault, struct fake_conn *conn) {
    static const char head[] = "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n"
                               "Content-Length: 1000000000\r\n\r\n{\"access_token\":\"";
    switch (fault) {
    case ISSUER_STATUS:
        fake_http_respond(conn, issuer->fault_status, "application/json",
                          str_of(issuer->fault_body));
        break;
    case ISSUER_ENDLESS:
        fake_conn_write(conn, head, sizeof head - 1);
        send_more(issuer, conn);
        break;
    case ISSUER_CUT:
        fake_conn_write(conn, head, sizeof head - 1);
        fake_conn_close(conn);
        break;
    default:
        break;
    }
}

static void discover(struct issuer *issuer, struct fake_conn *conn) {
    char body[512];
    char own[64];
    (void)snprintf(own, sizeof own, "http://127.0.0.1:%u/token?v=2", issuer->port);
    (void)snprintf(body, sizeof body, "{\"issuer\":\"x\",\"token_endpoint\":\"%s\"}",
                   issuer->token_endpoint[0] != '\0' ? issuer->token_endpoint : own);
    fake_http_respond(conn, 200, "application/json", str_of(body));
}

/* The secret as it stands in the form. */
static bool is_right(const struct issuer *issuer) {
    const char *at = strstr(issuer->form, "client_secret=");
    size_t len = strlen(issuer->client_secret);
    return at != NULL && strncmp(at + 14, issuer->client_secret, len) == 0 &&
           (at[14 + len] == '&' || at[14 + len] == '\0');
}

static void give_token(struct issuer *issuer, struct str form, struct fake_conn *conn) {
    char body[256];
    (void)str_copy(form, issuer->form, sizeof issuer->form);
    if (!is_right(issuer)) {
        fake_http_respond(conn, 401, "application/json",
                          STR("{\"error\":\"invalid_client\","
                              "\"error_description\":\"nobody we\\nknow\"}"));
        return;
    }
    issuer->tokens++;
    int len = snprintf(body, sizeof body,
                       "{\"access_token\":\"token-%u\",\"token_type\":\"Bearer\"", issuer->tokens);
    if (issuer->expires_in != NULL) {
        len += snprintf(body + len, sizeof body - (size_t)len, ",\"expires_in\":%s",
                        issuer->expires_in);
    }
    (void)snprintf(body + len, sizeof body - (size_t)len, "}");
    fake_http_respond(conn, 200, "application/json", str_of(body));
}

static void answer(struct issuer *issuer, const struct fake_http_request *request,
                   struct fake_conn *conn) {
    if (str_is(request->method, "GET") &&
        str_is(request->path, "/tenant/.well-known/openid-configuration")) {
        issuer->discoveries++;
        if (issuer->discovery_fault != ISSUER_WELL) {
            play(issuer, issuer->discovery_fault, conn);
        } else {
            discover(issuer, conn);
        }
    } else if (str_is(request->method, "POST") && str_is(request->path, "/token?v=2") &&
               str_is(fake_http_header(request, "Content-Type"),
                      "application/x-www-form-urlencoded")) {
        issuer->asked++;
        if (issuer->token_fault != ISSUER_WELL) {
            play(issuer, issuer->token_fault, conn);
        } else {
            give_token(issuer, request->body, conn);
        }
    } else {
        fake_http_respond(conn, 404, "text/plain", STR("what?"));
    }
}

static void *opened(void *ctx, struct fake_conn *conn) {
    (void)conn;
    return ctx;
}

static void received(void *ctx, struct fake_conn *conn) {
    struct fake_http_request request;
    struct issuer *issuer = ctx;
    while (fake_http_parse(fake_conn_input(conn), &request) == FAKE_HTTP_OK) {
        (void)pthread_mutex_lock(&issuer->lock);
        answer(issuer, &request, conn);
        (void)pthread_cond_broadcast(&issuer->changed);
        (void)pthread_mutex_unlock(&issuer->lock);
        fake_conn_consume(conn, request.len);
    }
}

static void closed(void *ctx, struct fake_conn *conn) {
    (void)ctx;
    (void)conn;
}

static const struct fake_handler handler = {
    .opened = opened, .received = received, .closed = closed};

static void make_path(char path[40]) {
    (void)strcpy(path, "/tmp/d2p_issuer_XXXXXX");
    int fd = mkstemp(path);
    assert_true(fd >= 0);
    (void)close(fd);
}

static void show_certificate(struct issuer *issuer) {
    struct cert ca = cert_make(&(struct cert_options){.name = "test CA", .authority = true});
    struct cert cert = cert_make(
        &(struct cert_options){.name = "issuer", .names = "DNS:localhost", .issuer = &ca});
    char cert_path[40];
    char key_path[40];
    struct err err = ERR_NONE;
    make_path(issuer->ca_path);
    make_path(cert_path);
    make_path(key_path);
    cert_write(&ca, NULL, issuer->ca_path, NULL);
    cert_write(&cert, NULL, cert_path, key_path);
    assert_true(fake_server_identity(issuer->server, cert_path, key_path, NULL, &err));
    (void)unlink(cert_path);
    (void)unlink(key_path);
    cert_free(&cert);
    cert_free(&ca);
}

struct issuer *issuer_new(void) {
    struct issuer *issuer = calloc(1, sizeof *issuer);
    struct err err = ERR_NONE;
    assert_non_null(issuer);
    issuer->expires_in = "3600";
    issuer->client_secret = "s3cret%26more";
    (void)pthread_mutex_init(&issuer->lock, NULL);
    (void)pthread_cond_init(&issuer->changed, NULL);
    issuer->server = fake_server_new(&err);
    assert_non_null(issuer->server);
    issuer->port = fake_server_listen(issuer->server, 0, &handler, issuer, &err);
    assert_int_not_equal(issuer->port, 0);
    show_certificate(issuer);
    issuer->tls_port = fake_server_listen_tls(issuer->server, 0, &handler, issuer, &err);
    assert_int_not_equal(issuer->tls_port, 0);
    assert_true(fake_server_start(issuer->server, &err));
    return issuer;
}

void issuer_free(struct issuer *issuer) {
    fake_server_free(issuer->server);
    (void)unlink(issuer->ca_path);
    (void)pthread_cond_destroy(&issuer->changed);
    (void)pthread_mutex_destroy(&issuer->lock);
    free(issuer);
}

void issuer_wait(struct issuer *issuer, const unsigned *counter, unsigned least) {
    struct timespec until;
    (void)clock_gettime(CLOCK_REALTIME, &until);
    until.tv_sec += PATIENCE_S;
    int waited = 0;
    (void)pthread_mutex_lock(&issuer->lock);
    while (*counter < least && waited == 0) {
        waited = pthread_cond_timedwait(&issuer->changed, &issuer->lock, &until);
    }
    bool enough = *counter >= least;
    (void)pthread_mutex_unlock(&issuer->lock);
    assert_true(enough);
}

unsigned issuer_count(struct issuer *issuer, const unsigned *counter) {
    (void)pthread_mutex_lock(&issuer->lock);
    unsigned value = *counter;
    (void)pthread_mutex_unlock(&issuer->lock);
    return value;
}

void issuer_set_fault(struct issuer *issuer, enum issuer_fault discovery, enum issuer_fault token,
                      unsigned status, const char *body) {
    (void)pthread_mutex_lock(&issuer->lock);
    issuer->discovery_fault = discovery;
    issuer->token_fault = token;
    issuer->fault_status = status;
    issuer->fault_body = body;
    (void)pthread_mutex_unlock(&issuer->lock);
}
