#include "pulsar/http_call.h"

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

struct http_call {
    http_call_done *done; /* NULL once told or cancelled: the lane may be gone then */
    void *ctx;
    struct aws_client_bootstrap *bootstrap;
    struct http_url url;
    struct buf form;
    struct buf authorization;
    enum err_code failure_code;
    struct buf body;
    struct buf location;
    int status;
    bool has_length;
    struct err failure;           /* why we broke it off ourselves */
    struct lane_timer fail_timer; /* tells it: not on the TLS library's stack, nor in the start */
    bool started;                 /* the CRT will call back */
    struct aws_http_connection *connection;
    struct aws_http_message *message;
    struct aws_input_stream *form_stream;
    struct aws_http_stream *stream;
};

/* ---- The end. */

static void free_call(struct http_call *call) {
    aws_client_bootstrap_release(call->bootstrap);
    secret_wipe(&call->form);
    secret_wipe(&call->authorization);
    secret_wipe(&call->body);
    buf_done(&call->location);
    free(call);
}

static void tell(struct http_call *call, const struct err *err) {
    http_call_done *done = call->done;
    if (done != NULL) {
        lane_timer_cancel(&call->fail_timer);
        call->done = NULL;
        const struct http_call_answer answer = {
            .status = call->status,
            .body = buf_str(&call->body),
            .location = buf_str(&call->location),
        };
        done(call->ctx, err, err == NULL ? &answer : NULL);
    }
}

/* A lane_fn. */
static void tell_failure(void *ctx) {
    struct http_call *call = ctx;
    tell(call, &call->failure);
    if (!call->started) {
        free_call(call);
    }
}

static void close_connection(struct http_call *call) {
    struct aws_http_connection *connection = call->connection;
    if (connection != NULL) {
        call->connection = NULL;
        aws_http_connection_close(connection);
        aws_http_connection_release(connection); /* on_shutdown follows */
    }
}

void http_call_cancel(struct http_call *call) {
    call->done = NULL;
    lane_timer_cancel(&call->fail_timer);
    if (call->started) {
        close_connection(call);
    } else {
        free_call(call);
    }
}

static void set_failure(struct http_call *call, const char *what, int error) {
    bool closed = error == AWS_ERROR_HTTP_CONNECTION_CLOSED;
    const char *reason = io_error_text(closed ? AWS_IO_SOCKET_CLOSED : error);
    if (!err_is_set(&call->failure)) {
        err_set(&call->failure, call->failure_code, "%s %s://%s: %s", what,
                call->url.tls ? "https" : "http", call->url.authority, reason);
    }
}

/* ---- The answer. */

static int on_headers(struct aws_http_stream *stream, enum aws_http_header_block block,
                      const struct aws_http_header *headers, size_t count, void *ctx) {
    (void)stream;
    struct http_call *call = ctx;
    for (size_t i = 0; block == AWS_HTTP_HEADER_BLOCK_MAIN && i < count; i++) {
        const struct aws_byte_cursor *name = &headers[i].name;
        if (aws_byte_cursor_eq_c_str_ignore_case(name, "content-length") ||
            aws_byte_cursor_eq_c_str_ignore_case(name, "transfer-encoding")) {
            call->has_length = true;
        } else if (aws_byte_cursor_eq_c_str_ignore_case(name, "location")) {
            buf_reset(&call->location); /* one that does not fit leads nowhere */
            (void)buf_add(&call->location, headers[i].value.ptr, headers[i].value.len);
        }
    }
    return AWS_OP_SUCCESS;
}

static int on_body(struct aws_http_stream *stream, const struct aws_byte_cursor *data, void *ctx) {
    (void)stream;
    struct http_call *call = ctx;
    if (call->done == NULL || buf_add(&call->body, data->ptr, data->len)) {
        return AWS_OP_SUCCESS;
    }
    err_set(&call->failure, call->failure_code, "the answer of %s is larger than %d bytes",
            call->url.authority, HTTP_CALL_BODY_MAX);
    return aws_raise_error(AWS_ERROR_HTTP_CALLBACK_FAILURE);
}

static void on_complete(struct aws_http_stream *stream, int error, void *ctx) {
    struct http_call *call = ctx;
    (void)aws_http_stream_get_incoming_response_status(stream, &call->status);
    if (error != AWS_ERROR_SUCCESS) {
        set_failure(call, "no whole answer from", error);
    } else if (call->status == 200 && !call->has_length) {
        /* Its end is that of the connection. The CRT takes that for an empty body. */
        err_set(&call->failure, call->failure_code,
                "the answer of %s says nothing about its length", call->url.authority);
    }
    tell(call, err_is_set(&call->failure) ? &call->failure : NULL);
    aws_http_stream_release(call->stream);
    call->stream = NULL;
    close_connection(call);
}

/* ---- The request. */

static bool add_header(struct aws_http_message *message, const char *name, const char *value) {
    struct aws_http_header header = {
        .name = aws_byte_cursor_from_c_str(name),
        .value = aws_byte_cursor_from_c_str(value),
    };
    return aws_http_message_add_header(message, header) == AWS_OP_SUCCESS;
}

/* It does not ask the server to close: then some, as Jetty, leave the end of the connection to be that
 * of the body. */
static bool build(struct http_call *call) {
    struct aws_allocator *allocator = aws_default_allocator();
    struct aws_http_message *message = aws_http_message_new_request(allocator);
    call->message = message;
    bool post = call->form.len > 0;
    bool ok = message != NULL &&
              aws_http_message_set_request_method(message, post ? aws_http_method_post
                                                                : aws_http_method_get) == 0 &&
              aws_http_message_set_request_path(message,
                                                aws_byte_cursor_from_c_str(call->url.path)) == 0 &&
              add_header(message, "Host", call->url.authority) &&
              add_header(message, "Accept", "application/json") &&
              add_header(message, "Accept-Encoding", "identity") &&
              (call->authorization.len == 0 ||
               add_header(message, "Authorization", buf_text(&call->authorization)));
    if (!ok || !post) {
        return ok;
    }
    char length[24];
    (void)snprintf(length, sizeof length, "%zu", call->form.len);
    struct aws_byte_cursor form = aws_byte_cursor_from_array(call->form.data, call->form.len);
    call->form_stream = aws_input_stream_new_from_cursor(allocator, &form);
    aws_http_message_set_body_stream(message, call->form_stream);
    return call->form_stream != NULL &&
           add_header(message, "Content-Type", "application/x-www-form-urlencoded") &&
           add_header(message, "Content-Length", length);
}

static bool send_request(struct http_call *call) {
    if (!build(call)) {
        return false;
    }
    struct aws_http_make_request_options options = {
        .self_size = sizeof options,
        .request = call->message,
        .user_data = call,
        .on_response_headers = on_headers,
        .on_response_body = on_body,
        .on_complete = on_complete,
    };
    call->stream = aws_http_connection_make_request(call->connection, &options);
    if (call->stream != NULL && aws_http_stream_activate(call->stream) == AWS_OP_SUCCESS) {
        return true;
    }
    aws_http_stream_release(call->stream); /* not activated, it never completes */
    call->stream = NULL;
    return false;
}

static void on_setup(struct aws_http_connection *connection, int error, void *ctx) {
    struct http_call *call = ctx;
    if (connection == NULL) { /* no on_shutdown follows */
        set_failure(call, "cannot reach", error);
        tell(call, &call->failure);
        free_call(call);
        return;
    }
    call->connection = connection;
    if (call->done == NULL) {
        close_connection(call);
    } else if (!send_request(call)) {
        set_failure(call, "cannot ask", aws_last_error());
        tell(call, &call->failure);
        close_connection(call);
    }
    call->message = aws_http_message_release(call->message); /* the stream has its own */
    call->form_stream = aws_input_stream_release(call->form_stream);
}

static void on_shutdown(struct aws_http_connection *connection, int error, void *ctx) {
    (void)connection;
    (void)error;
    struct http_call *call = ctx;
    close_connection(call);
    free_call(call);
}

static void on_negotiated(struct aws_channel_handler *handler, struct aws_channel_slot *slot,
                          int error, void *ctx) {
    (void)handler;
    (void)slot;
    struct http_call *call = ctx;
    if (error == AWS_ERROR_SUCCESS || call->done == NULL) {
        return;
    }
    /* The TLS library's own error is still there: the CRT calls this right after the failed step. */
    const char *reason = error == AWS_IO_TLS_ERROR_NEGOTIATION_FAILURE
                             ? s2n_strerror(s2n_errno, "EN")
                             : aws_error_str(error);
    err_set(&call->failure, call->failure_code,
            "TLS handshake with https://%s failed: %s (is its certificate valid for this name, and "
            "is who signed it trusted here?)",
            call->url.authority, reason);
    lane_timer_set_ms(&call->fail_timer, 0);
}

/* ---- Starting. */

/* The library's tables. A program that has set them up before its lanes, as ours, is not disturbed. */
static void init_library(void) {
    aws_http_library_init(aws_default_allocator());
}

/* False and err when a file is not usable. */
static bool set_tls(struct aws_tls_ctx_options *to, const struct http_call_tls *options,
                    struct err *err) {
    struct aws_allocator *allocator = aws_default_allocator();
    if (options->certificate_file == NULL) {
        aws_tls_ctx_options_init_default_client(to, allocator);
    } else if (aws_tls_ctx_options_init_client_mtls_from_path(
                   to, allocator, options->certificate_file, options->key_file) != AWS_OP_SUCCESS) {
        return err_set(err, ERR_CONFIG, "the certificate in %s with the key in %s: %s",
                       options->certificate_file, options->key_file,
                       aws_error_str(aws_last_error()));
    }
    if (options->allow_insecure) {
        aws_tls_ctx_options_set_verify_peer(to, false);
    }
    return options->trust_certs_file == NULL ||
           aws_tls_ctx_options_override_default_trust_store_from_path(
               to, NULL, options->trust_certs_file) == AWS_OP_SUCCESS ||
           err_set(err, ERR_CONFIG, "the certificates to trust in %s cannot be used: %s",
                   options->trust_certs_file, aws_error_str(aws_last_error()));
}

struct aws_tls_ctx *http_call_tls_new(const struct http_call_tls *options, struct err *err) {
    struct aws_tls_ctx_options ctx_options = {0};
    struct aws_tls_ctx *tls = NULL;
    if (set_tls(&ctx_options, options, err)) {
        tls = aws_tls_client_ctx_new(aws_default_allocator(), &ctx_options);
        if (tls == NULL) {
            err_set(err, ERR_CONFIG, "%s cannot be used: %s",
                    options->trust_certs_file != NULL ? options->trust_certs_file
                                                      : "the system's certificates",
                    aws_error_str(aws_last_error()));
        }
    }
    aws_tls_ctx_options_clean_up(&ctx_options);
    return tls;
}

static bool connect_to(struct http_call *call, struct lane *lane,
                       const struct http_call_request *request) {
    struct aws_tls_connection_options tls = {0};
    if (call->url.tls) {
        aws_tls_connection_options_init_from_ctx(&tls, request->tls);
        aws_tls_connection_options_set_callbacks(&tls, on_negotiated, NULL, NULL, call);
        struct aws_byte_cursor host = aws_byte_cursor_from_c_str(call->url.host);
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
        .bootstrap = call->bootstrap,
        .host_name = aws_byte_cursor_from_c_str(call->url.host),
        .port = call->url.port,
        .socket_options = &socket_options,
        .tls_options = call->url.tls ? &tls : NULL,
        .initial_window_size = SIZE_MAX,
        .user_data = call,
        .on_setup = on_setup,
        .on_shutdown = on_shutdown,
        .requested_event_loop = lane_event_loop(lane),
    };
    bool ok = aws_http_client_connect(&options) == AWS_OP_SUCCESS;
    aws_tls_connection_options_clean_up(&tls);
    return ok;
}

struct http_call *http_call_start(struct lane *lane, const struct http_call_request *request,
                                  http_call_done *done, void *ctx) {
    static pthread_once_t library = PTHREAD_ONCE_INIT;
    (void)pthread_once(&library, init_library);
    struct http_call *call = calloc(1, sizeof *call);
    if (call == NULL) {
        return NULL;
    }
    call->done = done;
    call->ctx = ctx;
    call->url = *request->url;
    call->failure_code = request->failure;
    call->bootstrap = aws_client_bootstrap_acquire(lane_bootstrap(lane));
    lane_timer_init(&call->fail_timer, lane, tell_failure, call);
    buf_init(&call->form, request->form.len);
    buf_init(&call->authorization, request->authorization.len);
    buf_init(&call->body, HTTP_CALL_BODY_MAX);
    buf_init(&call->location, HTTP_URL_PATH_MAX);
    /* All at once: a buffer that grows leaves copies of secrets behind. */
    if (buf_reserve(&call->body, HTTP_CALL_BODY_MAX) == NULL ||
        !buf_add_str(&call->form, request->form) ||
        !buf_add_str(&call->authorization, request->authorization)) {
        free_call(call);
        return NULL;
    }
    call->started = connect_to(call, lane, request);
    if (!call->started) {
        set_failure(call, "cannot reach", aws_last_error());
        lane_timer_set_ms(&call->fail_timer, 0);
    }
    return call;
}
