#include "aws/endpoint.h"

#include "base/io_error.h"

#include <aws/common/task_scheduler.h>
#include <aws/http/connection_manager.h>
#include <aws/http/http.h>
#include <aws/http/proxy.h>
#include <aws/io/channel_bootstrap.h>
#include <aws/io/event_loop.h>
#include <aws/io/io.h>
#include <aws/io/socket.h>
#include <aws/io/tls_channel_handler.h>
#include <s2n.h>

#include <stdio.h>

enum {
    IDLE_MS = 30000,         /* a connection that nobody used for so long is closed */
    TLS_FAILURE_MS = 60000,  /* how long a failed handshake explains why there is no connection */
    KEEP_ALIVE_SECONDS = 20, /* a peer that vanished is noticed after about twice that */
};

/* ---- The URL. */

bool endpoint_url_parse(struct str text, struct http_url *ret_url, struct err *err) {
    if (http_url_parse(text, ret_url, err) &&
        (str_is(str_of(ret_url->path), "/") ||
         err_set(err, ERR_CONFIG, "it has a path or query"))) {
        return true;
    }
    bool private =
        text.len > 0 && memchr(text.ptr, '@', text.len) != NULL; /* a password, perhaps */
    err_context(err, "endpoint \"%.*s\" (it must look like https://host or http://host:port)",
                STR_FMT(private ? STR("...") : text));
    return false;
}

/* ---- Connections. */

static void closed_task(struct aws_task *task, void *ctx, enum aws_task_status status) {
    (void)task;
    (void)status; /* the loop lives: it is ours until the last line */
    struct endpoint *endpoint = ctx;
    struct aws_client_bootstrap *bootstrap = endpoint->bootstrap;
    endpoint->options.closed(endpoint->options.ctx);
    aws_client_bootstrap_release(bootstrap);
}

/* On the loop's thread or the resolver's, and maybe on the stack of an exchange that gives its connection back. */
static void on_closed(void *ctx) {
    struct endpoint *endpoint = ctx;
    aws_task_init(&endpoint->closed_task, closed_task, endpoint, "endpoint_closed");
    aws_event_loop_schedule_task_now_serialized(endpoint->loop, &endpoint->closed_task);
}

static void on_negotiated(struct aws_channel_handler *handler, struct aws_channel_slot *slot,
                          int error, void *ctx) {
    (void)handler;
    (void)slot;
    struct endpoint *endpoint = ctx;
    if (endpoint->closing) {
        return; /* the lane may be gone */
    }
    if (error == 0) {
        endpoint->tls_failure[0] = '\0';
        return;
    }
    /* The TLS library's own error is still there: the CRT calls this right after the failed step. */
    const char *reason = error == AWS_IO_TLS_ERROR_NEGOTIATION_FAILURE
                             ? s2n_strerror(s2n_errno, "EN")
                             : aws_error_str(error);
    (void)snprintf(endpoint->tls_failure, sizeof endpoint->tls_failure, "%s", reason);
    endpoint->tls_failed_ms = lane_now_ms(endpoint->lane);
    endpoint->options.tls_failed(endpoint->options.ctx);
}

static bool tls_options_init(struct endpoint *endpoint, struct aws_tls_connection_options *tls) {
    aws_tls_connection_options_init_from_ctx(tls, endpoint->options.tls);
    aws_tls_connection_options_set_callbacks(tls, on_negotiated, NULL, NULL, endpoint);
    struct aws_byte_cursor host = aws_byte_cursor_from_c_str(endpoint->url.host);
    return aws_tls_connection_options_set_server_name(tls, aws_default_allocator(), &host) == 0;
}

bool endpoint_open(struct endpoint *endpoint, struct lane *lane,
                   const struct endpoint_options *options, struct err *err) {
    *endpoint = (struct endpoint){.lane = lane, .options = *options};
    if (!endpoint_url_parse(options->url, &endpoint->url, err)) {
        return false;
    }
    const struct http_url *url = &endpoint->url;
    char where[HOST_PORT_TEXT_MAX];
    host_port_write(url->host, url->port, where);
    (void)snprintf(endpoint->name, sizeof endpoint->name, "%s://%s", url->tls ? "https" : "http",
                   where);

    struct aws_socket_options socket_options = {
        .type = AWS_SOCKET_STREAM,
        .domain = AWS_SOCKET_IPV4, /* names resolve to both families whatever stands here */
        .connect_timeout_ms = options->connect_timeout_ms,
        .keepalive = true,
        .keep_alive_interval_sec = KEEP_ALIVE_SECONDS,
        .keep_alive_timeout_sec = KEEP_ALIVE_SECONDS / 4,
        .keep_alive_max_failed_probes = 4,
        .tcp_nodelay = AWS_SOCKET_TCP_NODELAY_ON,
    };
    struct proxy_env_var_settings proxy = {.env_var_type = AWS_HPEV_ENABLE};
    struct aws_http_connection_manager_options pool = {
        .bootstrap = lane_bootstrap(lane),
        .initial_window_size = SIZE_MAX,
        .socket_options = &socket_options,
        .host = aws_byte_cursor_from_c_str(url->host),
        .port = url->port,
        .max_connections = options->max_connections,
        .max_connection_idle_in_milliseconds = IDLE_MS,
        .connection_acquisition_timeout_ms = options->acquire_timeout_ms,
        .shutdown_complete_callback = on_closed,
        .shutdown_complete_user_data = endpoint,
    };
    struct aws_tls_connection_options tls = {0};
    bool ready = true;
    if (url->tls) {
        ready = tls_options_init(endpoint, &tls);
        pool.tls_connection_options = &tls;
        /* Plain HTTP is for emulators, which no proxy can reach. */
        pool.proxy_ev_settings = &proxy;
    }
    if (ready) {
        endpoint->manager = aws_http_connection_manager_new(aws_default_allocator(), &pool);
    }
    aws_tls_connection_options_clean_up(&tls);
    if (endpoint->manager != NULL) {
        endpoint->loop = lane_event_loop(lane);
        endpoint->bootstrap = aws_client_bootstrap_acquire(lane_bootstrap(lane));
    }
    return endpoint->manager != NULL || err_set(err, ERR_INTERNAL, "no connection pool for %s: %s",
                                                endpoint->name, aws_error_str(aws_last_error()));
}

void endpoint_close(struct endpoint *endpoint) {
    endpoint->closing = true;
    aws_http_connection_manager_release(endpoint->manager);
}

/* ---- Texts. */

static bool is_tls_error(int error) {
    switch (error) {
    case AWS_IO_TLS_ERROR_NEGOTIATION_FAILURE:
    case AWS_IO_TLS_NEGOTIATION_TIMEOUT:
    case AWS_IO_TLS_ERROR_ALERT_RECEIVED:
    case AWS_IO_TLS_CTX_ERROR:
    case AWS_IO_TLS_UNKNOWN_ROOT_CERTIFICATE:
    case AWS_IO_TLS_NO_ROOT_CERTIFICATE_FOUND:
    case AWS_IO_TLS_CERTIFICATE_EXPIRED:
    case AWS_IO_TLS_CERTIFICATE_NOT_YET_VALID:
    case AWS_IO_TLS_INVALID_CERTIFICATE_CHAIN:
    case AWS_IO_TLS_HOST_NAME_MISMATCH:
        return true;
    default:
        return false;
    }
}

static const char *reason_of(int error) {
    switch (error) {
    case AWS_ERROR_HTTP_CONNECTION_MANAGER_ACQUISITION_TIMEOUT:
        return "no connection within the time for it";
    case AWS_ERROR_HTTP_CONNECTION_CLOSED:
        return io_error_text(AWS_IO_SOCKET_CLOSED);
    default:
        return io_error_text(error);
    }
}

void endpoint_connect_error(const struct endpoint *endpoint, int error, struct err *err) {
    bool failed_lately = endpoint->tls_failure[0] != '\0' &&
                         lane_now_ms(endpoint->lane) - endpoint->tls_failed_ms < TLS_FAILURE_MS;
    if (failed_lately || is_tls_error(error)) {
        err_set(
            err, ERR_AWS_TLS,
            "TLS handshake with %s failed: %s (is the server's certificate valid for this name, "
            "and is who signed it trusted here?)",
            endpoint->name, failed_lately ? endpoint->tls_failure : aws_error_str(error));
        return;
    }
    err_set(err, ERR_AWS_TRANSPORT, "cannot reach %s: %s", endpoint->name, reason_of(error));
}

void endpoint_broken_error(const struct endpoint *endpoint, int error, struct err *err) {
    err_set(err, ERR_AWS_TRANSPORT, "connection to %s broken: %s", endpoint->name,
            reason_of(error));
}
