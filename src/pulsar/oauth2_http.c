#include "pulsar/oauth2_http.h"

#include "base/io_error.h"
#include "pulsar/secret.h"

#include <aws/http/connection.h>
#include <aws/http/http.h>
#include <aws/http/request_response.h>
#include <aws/io/channel_bootstrap.h>
#include <aws/io/io.h>
#include <aws/io/socket.h>
#include <aws/io/stream.h>
#include <aws/io/tls_channel_handler.h>
#include <s2n.h>

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>

struct oauth2_http {
    oauth2_http_done *done; /* NULL once told or cancelled: the lane may be gone then */
    void *ctx;
    struct aws_client_bootstrap *bootstrap;
    struct http_url url;
    struct buf form;
    struct buf body;
    int status;
    struct err failure;           /* why we broke it off ourselves */
    struct lane_timer fail_timer; /* tells it: not on the TLS library's stack, nor in the start */
    bool started;                 /* the CRT will call back */
    struct aws_http_connection *connection;
    struct aws_http_message *message;
    struct aws_input_stream *form_stream;
    struct aws_http_stream *stream;
};

/* ---- The end. */

static void free_http(struct oauth2_http *http) {
    aws_client_bootstrap_release(http->bootstrap);
    secret_wipe(&http->form);
    secret_wipe(&http->body);
    free(http);
}

static void tell(struct oauth2_http *http, const struct err *err) {
    oauth2_http_done *done = http->done;
    if (done != NULL) {
        lane_timer_cancel(&http->fail_timer);
        http->done = NULL;
        done(http->ctx, err, http->status, buf_str(&http->body));
    }
}

/* A lane_fn. */
static void tell_failure(void *ctx) {
    struct oauth2_http *http = ctx;
    tell(http, &http->failure);
    if (!http->started) {
        free_http(http);
    }
}

static void close_connection(struct oauth2_http *http) {
    struct aws_http_connection *connection = http->connection;
    if (connection != NULL) {
        http->connection = NULL;
        aws_http_connection_close(connection);
        aws_http_connection_release(connection); /* on_shutdown follows */
    }
}

void oauth2_http_cancel(struct oauth2_http *http) {
    http->done = NULL;
    lane_timer_cancel(&http->fail_timer);
    if (http->started) {
        close_connection(http);
    } else {
        free_http(http);
    }
}

static void set_failure(struct oauth2_http *http, const char *what, int error) {
    bool closed = error == AWS_ERROR_HTTP_CONNECTION_CLOSED;
    const char *reason = io_error_text(closed ? AWS_IO_SOCKET_CLOSED : error);
    if (!err_is_set(&http->failure)) {
        err_set(&http->failure, ERR_PULSAR_NO_TOKEN, "%s %s://%s: %s", what,
                http->url.tls ? "https" : "http", http->url.authority, reason);
    }
}

/* ---- The answer. */

static int on_body(struct aws_http_stream *stream, const struct aws_byte_cursor *data, void *ctx) {
    (void)stream;
    struct oauth2_http *http = ctx;
    if (http->done == NULL || buf_add(&http->body, data->ptr, data->len)) {
        return AWS_OP_SUCCESS;
    }
    err_set(&http->failure, ERR_PULSAR_NO_TOKEN, "the answer of %s is larger than %d bytes",
            http->url.authority, OAUTH2_BODY_MAX);
    return aws_raise_error(AWS_ERROR_HTTP_CALLBACK_FAILURE);
}

static void on_complete(struct aws_http_stream *stream, int error, void *ctx) {
    struct oauth2_http *http = ctx;
    (void)aws_http_stream_get_incoming_response_status(stream, &http->status);
    if (error != AWS_ERROR_SUCCESS) {
        set_failure(http, "no whole answer from", error);
    }
    tell(http, error != AWS_ERROR_SUCCESS ? &http->failure : NULL);
    aws_http_stream_release(http->stream);
    http->stream = NULL;
    close_connection(http);
}

/* ---- The request. */

static bool add_header(struct aws_http_message *message, const char *name, const char *value) {
    struct aws_http_header header = {
        .name = aws_byte_cursor_from_c_str(name),
        .value = aws_byte_cursor_from_c_str(value),
    };
    return aws_http_message_add_header(message, header) == AWS_OP_SUCCESS;
}

static bool build(struct oauth2_http *http) {
    struct aws_allocator *allocator = aws_default_allocator();
    struct aws_http_message *message = aws_http_message_new_request(allocator);
    http->message = message;
    bool post = http->form.len > 0;
    bool ok = message != NULL &&
              aws_http_message_set_request_method(message, post ? aws_http_method_post
                                                                : aws_http_method_get) == 0 &&
              aws_http_message_set_request_path(message,
                                                aws_byte_cursor_from_c_str(http->url.path)) == 0 &&
              add_header(message, "Host", http->url.authority) &&
              add_header(message, "Accept", "application/json") &&
              add_header(message, "Accept-Encoding", "identity") &&
              add_header(message, "Connection", "close");
    if (!ok || !post) {
        return ok;
    }
    char length[24];
    (void)snprintf(length, sizeof length, "%zu", http->form.len);
    struct aws_byte_cursor form = aws_byte_cursor_from_array(http->form.data, http->form.len);
    http->form_stream = aws_input_stream_new_from_cursor(allocator, &form);
    aws_http_message_set_body_stream(message, http->form_stream);
    return http->form_stream != NULL &&
           add_header(message, "Content-Type", "application/x-www-form-urlencoded") &&
           add_header(message, "Content-Length", length);
}

static bool send_request(struct oauth2_http *http) {
    if (!build(http)) {
        return false;
    }
    struct aws_http_make_request_options options = {
        .self_size = sizeof options,
        .request = http->message,
        .user_data = http,
        .on_response_body = on_body,
        .on_complete = on_complete,
    };
    http->stream = aws_http_connection_make_request(http->connection, &options);
    if (http->stream != NULL && aws_http_stream_activate(http->stream) == AWS_OP_SUCCESS) {
        return true;
    }
    aws_http_stream_release(http->stream); /* not activated, it never completes */
    http->stream = NULL;
    return false;
}

static void on_setup(struct aws_http_connection *connection, int error, void *ctx) {
    struct oauth2_http *http = ctx;
    if (connection == NULL) { /* no on_shutdown follows */
        set_failure(http, "cannot reach", error);
        tell(http, &http->failure);
        free_http(http);
        return;
    }
    http->connection = connection;
    if (http->done == NULL) {
        close_connection(http);
    } else if (!send_request(http)) {
        set_failure(http, "cannot ask", aws_last_error());
        tell(http, &http->failure);
        close_connection(http);
    }
    http->message = aws_http_message_release(http->message); /* the stream has its own */
    http->form_stream = aws_input_stream_release(http->form_stream);
}

static void on_shutdown(struct aws_http_connection *connection, int error, void *ctx) {
    (void)connection;
    (void)error;
    struct oauth2_http *http = ctx;
    close_connection(http);
    free_http(http);
}

static void on_negotiated(struct aws_channel_handler *handler, struct aws_channel_slot *slot,
                          int error, void *ctx) {
    (void)handler;
    (void)slot;
    struct oauth2_http *http = ctx;
    if (error == AWS_ERROR_SUCCESS || http->done == NULL) {
        return;
    }
    /* The TLS library's own error is still there: the CRT calls this right after the failed step. */
    const char *reason = error == AWS_IO_TLS_ERROR_NEGOTIATION_FAILURE
                             ? s2n_strerror(s2n_errno, "EN")
                             : aws_error_str(error);
    err_set(&http->failure, ERR_PULSAR_NO_TOKEN,
            "TLS handshake with https://%s failed: %s (is its certificate valid for this name, and "
            "is who signed it trusted here?)",
            http->url.authority, reason);
    lane_timer_set_ms(&http->fail_timer, 0);
}

/* ---- Starting. */

/* The library's tables. A program that has set them up before its lanes, as ours, is not disturbed. */
static void init_library(void) {
    aws_http_library_init(aws_default_allocator());
}

struct aws_tls_ctx *oauth2_http_tls(const char *trust_certs_file, struct err *err) {
    struct aws_tls_ctx_options options;
    aws_tls_ctx_options_init_default_client(&options, aws_default_allocator());
    struct aws_tls_ctx *tls = NULL;
    if (trust_certs_file == NULL || aws_tls_ctx_options_override_default_trust_store_from_path(
                                        &options, NULL, trust_certs_file) == AWS_OP_SUCCESS) {
        tls = aws_tls_client_ctx_new(aws_default_allocator(), &options);
    }
    if (tls == NULL) {
        err_set(err, ERR_CONFIG, "no TLS with the issuer: %s%s cannot be used: %s",
                trust_certs_file != NULL ? "trustCertsFilePath " : "the system's certificates",
                trust_certs_file != NULL ? trust_certs_file : "", aws_error_str(aws_last_error()));
    }
    aws_tls_ctx_options_clean_up(&options);
    return tls;
}

static bool connect_to(struct oauth2_http *http, struct lane *lane,
                       const struct oauth2_http_request *request) {
    struct aws_tls_connection_options tls = {0};
    if (http->url.tls) {
        aws_tls_connection_options_init_from_ctx(&tls, request->tls);
        aws_tls_connection_options_set_callbacks(&tls, on_negotiated, NULL, NULL, http);
        struct aws_byte_cursor host = aws_byte_cursor_from_c_str(http->url.host);
        if (aws_tls_connection_options_set_server_name(&tls, aws_default_allocator(), &host) !=
            AWS_OP_SUCCESS) {
            aws_tls_connection_options_clean_up(&tls);
            return false;
        }
    }
    struct aws_socket_options socket_options = {
        .type = AWS_SOCKET_STREAM,
        .domain = AWS_SOCKET_IPV4, /* names resolve to both families whatever stands here */
        .connect_timeout_ms = request->connect_timeout_ms,
        .tcp_nodelay = AWS_SOCKET_TCP_NODELAY_ON,
    };
    struct aws_http_client_connection_options options = {
        .self_size = sizeof options,
        .allocator = aws_default_allocator(),
        .bootstrap = http->bootstrap,
        .host_name = aws_byte_cursor_from_c_str(http->url.host),
        .port = http->url.port,
        .socket_options = &socket_options,
        .tls_options = http->url.tls ? &tls : NULL,
        .initial_window_size = SIZE_MAX,
        .user_data = http,
        .on_setup = on_setup,
        .on_shutdown = on_shutdown,
        .requested_event_loop = lane_event_loop(lane),
    };
    bool ok = aws_http_client_connect(&options) == AWS_OP_SUCCESS;
    aws_tls_connection_options_clean_up(&tls);
    return ok;
}

struct oauth2_http *oauth2_http_start(struct lane *lane, const struct oauth2_http_request *request,
                                      oauth2_http_done *done, void *ctx) {
    static pthread_once_t library = PTHREAD_ONCE_INIT;
    (void)pthread_once(&library, init_library);
    struct oauth2_http *http = calloc(1, sizeof *http);
    if (http == NULL) {
        return NULL;
    }
    http->done = done;
    http->ctx = ctx;
    http->url = *request->url;
    http->bootstrap = aws_client_bootstrap_acquire(lane_bootstrap(lane));
    lane_timer_init(&http->fail_timer, lane, tell_failure, http);
    buf_init(&http->form, request->form.len);
    buf_init(&http->body, OAUTH2_BODY_MAX);
    /* All at once: a buffer that grows leaves copies of secrets behind. */
    if (buf_reserve(&http->body, OAUTH2_BODY_MAX) == NULL ||
        (request->form.len > 0 && !buf_add_str(&http->form, request->form))) {
        free_http(http);
        return NULL;
    }
    http->started = connect_to(http, lane, request);
    if (!http->started) {
        set_failure(http, "cannot reach", aws_last_error());
        lane_timer_set_ms(&http->fail_timer, 0);
    }
    return http;
}
