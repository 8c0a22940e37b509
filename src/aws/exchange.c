#include "aws/exchange.h"

#include "aws/crc32.h"
#include "aws/http_date.h"

#include <aws/auth/credentials.h>
#include <aws/auth/signable.h>
#include <aws/auth/signing.h>
#include <aws/auth/signing_config.h>
#include <aws/auth/signing_result.h>
#include <aws/http/connection.h>
#include <aws/http/connection_manager.h>
#include <aws/http/request_response.h>
#include <aws/io/event_loop.h>
#include <aws/io/stream.h>

#include <stdio.h>

static struct aws_byte_cursor cursor_of(struct str s) {
    return aws_byte_cursor_from_array(s.ptr, s.len);
}

void exchange_init(struct exchange *exchange, struct endpoint *endpoint, struct page_pool *pages,
                   exchange_done *done, exchange_gone *gone) {
    *exchange = (struct exchange){
        .endpoint = endpoint,
        .pages = pages,
        .done = done,
        .gone = gone,
    };
}

struct page *exchange_take_page(struct exchange *exchange) {
    struct page *page = exchange->reply.page;
    exchange->reply.page = NULL;
    return page;
}

/* The try is over. The connection goes back last: that may run another exchange's callbacks on this stack and, after
 * a close, end the endpoint; and the owner may free this exchange inside done or gone. */
static void end(struct exchange *exchange, const struct err *err) {
    struct aws_http_connection_manager *manager = exchange->endpoint->manager;
    struct aws_http_connection *connection = exchange->connection;
    exchange->connection = NULL;
    aws_http_stream_release(exchange->stream);
    exchange->stream = NULL;
    exchange->message = aws_http_message_release(exchange->message);
    exchange->body_stream = aws_input_stream_release(exchange->body_stream);
    exchange->state = EXCHANGE_IDLE;
    if (exchange->done != NULL) {
        exchange->done(exchange, err);
    } else {
        exchange->gone(exchange);
    }
    if (connection != NULL) {
        (void)aws_http_connection_manager_release_connection(manager, connection);
    }
}

static void end_with_last_error(struct exchange *exchange, const char *what) {
    struct err err;
    err_set(&err, ERR_INTERNAL, "%s: %s", what, aws_error_str(aws_last_error()));
    end(exchange, &err);
}

/* ---- The reply. */

static void on_header(struct exchange *exchange, struct str name, struct str value) {
    struct exchange_reply *reply = &exchange->reply;
    if (str_equal_nocase(name, STR("content-length"))) {
        reply->has_length = str_to_u64(value, &reply->content_length);
    } else if (str_equal_nocase(name, STR("transfer-encoding"))) {
        reply->has_length = true;
    } else if (str_equal_nocase(name, STR("x-amz-crc32"))) {
        reply->has_crc32 = str_to_u64(value, &reply->crc32);
    } else if (str_equal_nocase(name, STR("date"))) {
        (void)http_date_parse(value, &reply->date_ms); /* stays 0 when it makes no sense */
    } else if (str_equal_nocase(name, STR("x-amzn-requestid"))) {
        (void)str_copy(value, reply->request_id, sizeof reply->request_id);
    } else if (str_equal_nocase(name, STR("x-amzn-errortype"))) {
        (void)str_copy(value, reply->error_type, sizeof reply->error_type);
    } else if (str_equal_nocase(name, STR("content-encoding"))) {
        if (!str_copy(value, reply->encoding, sizeof reply->encoding)) {
            (void)str_copy(STR("unknown"), reply->encoding, sizeof reply->encoding);
        }
    } else if (str_equal_nocase(name, STR("x-amz-retry-after"))) {
        if (!str_to_u64(value, &reply->retry_after_ms)) {
            reply->retry_after_ms = 0;
        }
    }
}

static int on_headers(struct aws_http_stream *stream, enum aws_http_header_block block,
                      const struct aws_http_header *headers, size_t count, void *ctx) {
    (void)stream;
    struct exchange *exchange = ctx;
    if (exchange->done == NULL) {
        return AWS_OP_SUCCESS; /* nobody waits for it any more, and the lane may be gone */
    }
    exchange->active_ns = lane_now_ns(exchange->endpoint->lane);
    if (block == AWS_HTTP_HEADER_BLOCK_MAIN) {
        for (size_t i = 0; i < count; i++) {
            on_header(exchange, str_make((const char *)headers[i].name.ptr, headers[i].name.len),
                      str_make((const char *)headers[i].value.ptr, headers[i].value.len));
        }
    }
    return AWS_OP_SUCCESS;
}

/* Ends the stream from inside one of its callbacks. */
static int refuse(struct exchange *exchange, enum err_code code, size_t limit) {
    err_set(&exchange->failure, code,
            code == ERR_NOMEM ? "no memory for a reply of up to %zu bytes"
                              : "the reply is larger than %zu bytes",
            limit);
    return aws_raise_error(AWS_ERROR_HTTP_CALLBACK_FAILURE);
}

static int on_body(struct aws_http_stream *stream, const struct aws_byte_cursor *data, void *ctx) {
    (void)stream;
    struct exchange *exchange = ctx;
    struct exchange_reply *reply = &exchange->reply;
    size_t max = exchange->request.max_reply_bytes;
    if (exchange->done == NULL) {
        return AWS_OP_SUCCESS;
    }
    exchange->active_ns = lane_now_ns(exchange->endpoint->lane);
    if (reply->content_length > max) {
        return refuse(exchange, ERR_AWS_TOO_LARGE, max);
    }
    if (reply->page == NULL) {
        reply->page = page_take(exchange->pages);
        if (reply->page == NULL || !page_reserve(reply->page, (size_t)reply->content_length, max)) {
            return refuse(exchange, ERR_NOMEM, max);
        }
    }
    if (data->len > max || reply->page->len > max - data->len) {
        return refuse(exchange, ERR_AWS_TOO_LARGE, max);
    }
    if (!page_add(reply->page, data->ptr, data->len, max)) {
        return refuse(exchange, ERR_NOMEM, max);
    }
    /* Now, while the bytes are in the nearest cache and others are on their way. */
    reply->body_crc32 = crc32_update(reply->body_crc32, data->ptr, data->len);
    return AWS_OP_SUCCESS;
}

/* Whether the reply is whole and sound. */
static bool check_reply(const struct exchange *exchange, struct err *err) {
    const struct exchange_reply *reply = &exchange->reply;
    struct str body =
        reply->page != NULL ? str_make(reply->page->data, reply->page->len) : STR_NONE;
    const char *name = exchange->endpoint->name;
    if (!reply->has_length) {
        return err_set(err, ERR_AWS_REPLY, "a reply of %s says nothing about its length", name);
    }
    if (reply->content_length > body.len) {
        return err_set(err, ERR_AWS_REPLY, "a reply of %s ended after %zu of %llu bytes", name,
                       body.len, (unsigned long long)reply->content_length);
    }
    if (reply->has_crc32 && reply->body_crc32 != reply->crc32) {
        return err_set(err, ERR_AWS_CHECKSUM,
                       "the checksum of a reply of %s is %u and should be %llu", name,
                       reply->body_crc32, (unsigned long long)reply->crc32);
    }
    if (reply->encoding[0] != '\0' && strcmp(reply->encoding, "identity") != 0) {
        return err_set(err, ERR_AWS_REPLY, "a reply of %s came as \"%s\", which was not asked for",
                       name, reply->encoding);
    }
    return true;
}

static void on_complete(struct aws_http_stream *stream, int error, void *ctx) {
    struct exchange *exchange = ctx;
    struct err err = ERR_NONE;
    (void)aws_http_stream_get_incoming_response_status(stream, &exchange->reply.status);
    if (err_is_set(&exchange->failure)) {
        err = exchange->failure;
    } else if (error != 0) {
        endpoint_broken_error(exchange->endpoint, error, &err);
    } else {
        (void)check_reply(exchange, &err);
    }
    end(exchange, err_is_set(&err) ? &err : NULL);
}

/* ---- The request. */

static bool add_header(struct aws_http_message *message, const char *name, struct str value) {
    struct aws_http_header header = {
        .name = aws_byte_cursor_from_c_str(name),
        .value = cursor_of(value),
    };
    return aws_http_message_add_header(message, header) == AWS_OP_SUCCESS;
}

static bool build(struct exchange *exchange) {
    const struct exchange_request *request = &exchange->request;
    struct aws_allocator *allocator = aws_default_allocator();
    struct aws_byte_cursor body = cursor_of(request->body);
    bool form = request->target.len == 0;
    char length[24];
    (void)snprintf(length, sizeof length, "%zu", request->body.len);
    struct aws_http_message *message = aws_http_message_new_request(allocator);
    exchange->message = message;
    exchange->body_stream = aws_input_stream_new_from_cursor(allocator, &body);
    if (message == NULL || exchange->body_stream == NULL) {
        return false;
    }
    aws_http_message_set_body_stream(message, exchange->body_stream);
    return aws_http_message_set_request_method(message, aws_http_method_post) == 0 &&
           aws_http_message_set_request_path(message, aws_byte_cursor_from_c_str("/")) == 0 &&
           add_header(message, "Host", str_of(exchange->endpoint->url.authority)) &&
           add_header(message, "Content-Type",
                      form ? STR("application/x-www-form-urlencoded")
                           : STR("application/x-amz-json-1.0")) &&
           (form || add_header(message, "X-Amz-Target", request->target)) &&
           add_header(message, "Content-Length", str_of(length)) &&
           add_header(message, "User-Agent", request->user_agent);
}

static bool send_request(struct exchange *exchange) {
    /* Behind the signature, since proxies may change it. Without it any encoding would do. */
    if (!add_header(exchange->message, "Accept-Encoding", STR("identity"))) {
        return false;
    }
    struct aws_http_make_request_options options = {
        .self_size = sizeof options,
        .request = exchange->message,
        .user_data = exchange,
        .on_response_headers = on_headers,
        .on_response_body = on_body,
        .on_complete = on_complete,
    };
    exchange->stream = aws_http_connection_make_request(exchange->connection, &options);
    if (exchange->stream == NULL || aws_http_stream_activate(exchange->stream) != 0) {
        return false; /* a stream that is not activated never completes */
    }
    exchange->state = EXCHANGE_SENT;
    exchange->active_ns = lane_now_ns(exchange->endpoint->lane);
    return true;
}

static void on_signed(struct aws_signing_result *result, int error, void *ctx) {
    struct exchange *exchange = ctx;
    if (error == 0 && aws_apply_signing_result_to_http_request(
                          exchange->message, aws_default_allocator(), result) != 0) {
        error = aws_last_error();
    }
    if (error != 0) {
        (void)aws_raise_error(error);
        end_with_last_error(exchange, "cannot sign a request");
    } else if (exchange->done == NULL) {
        end(exchange, NULL);
    } else if (!send_request(exchange)) {
        /* The connection may have been closed between the look into the pool and now. */
        struct err err;
        endpoint_broken_error(exchange->endpoint, aws_last_error(), &err);
        end(exchange, &err);
    }
}

/* The newest date and keys: a signature is never used twice. */
static void sign(struct exchange *exchange) {
    const struct exchange_request *request = &exchange->request;
    struct aws_signing_config_aws config = {
        .config_type = AWS_SIGNING_CONFIG_AWS,
        .algorithm = AWS_SIGNING_ALGORITHM_V4,
        .signature_type = AWS_ST_HTTP_REQUEST_HEADERS,
        .region = cursor_of(request->region),
        .service = cursor_of(request->signing_name),
        .flags = {.use_double_uri_encode = 1, .should_normalize_uri_path = 1},
        .signed_body_header = AWS_SBHT_NONE,
        .credentials = request->keys,
    };
    int64_t now = lane_wall_ms(exchange->endpoint->lane) + request->date_offset_ms;
    aws_date_time_init_epoch_millis(&config.date, (uint64_t)now);

    struct aws_signable *signable =
        aws_signable_new_http_request(aws_default_allocator(), exchange->message);
    if (signable == NULL ||
        aws_sign_request_aws(aws_default_allocator(), signable,
                             (struct aws_signing_config_base *)&config, on_signed, exchange) != 0) {
        end_with_last_error(exchange, "cannot sign a request");
    }
    aws_signable_destroy(signable);
}

static void connected(struct exchange *exchange) {
    if (exchange->done == NULL) {
        end(exchange, NULL);
    } else if (exchange->connection == NULL) {
        struct err err;
        endpoint_connect_error(exchange->endpoint, exchange->connection_error, &err);
        end(exchange, &err);
    } else if (!build(exchange)) {
        end_with_last_error(exchange, "cannot build a request");
    } else {
        sign(exchange);
    }
}

static void connection_task(struct aws_task *task, void *ctx, enum aws_task_status status) {
    (void)task;
    (void)status; /* the loop lives: the endpoint keeps it */
    connected(ctx);
}

/* On the loop's thread, but for failures to resolve the name: those come on the resolver's, and can bring along what
 * others have waited for. */
static void on_connection(struct aws_http_connection *connection, int error, void *ctx) {
    struct exchange *exchange = ctx;
    struct aws_event_loop *loop = exchange->endpoint->loop;
    exchange->connection = connection;
    exchange->connection_error = error;
    if (aws_event_loop_thread_is_callers_thread(loop)) {
        connected(exchange);
        return;
    }
    aws_task_init(&exchange->connection_task, connection_task, exchange, "exchange_connection");
    aws_event_loop_schedule_task_now_serialized(loop, &exchange->connection_task);
}

void exchange_start(struct exchange *exchange, const struct exchange_request *request) {
    page_free(exchange_take_page(exchange));
    exchange->request = *request;
    exchange->reply = (struct exchange_reply){0};
    exchange->failure = ERR_NONE;
    exchange->state = EXCHANGE_CONNECTING;
    aws_http_connection_manager_acquire_connection(exchange->endpoint->manager, on_connection,
                                                   exchange);
}

void exchange_break(struct exchange *exchange, const struct err *err) {
    exchange->failure = *err;
    /* Not the stream's own cancel: that does nothing once the server has said that it will close. */
    aws_http_connection_close(exchange->connection);
}

void exchange_abandon(struct exchange *exchange) {
    exchange->done = NULL;
    page_free(exchange_take_page(exchange));
    if (exchange->state == EXCHANGE_SENT) {
        aws_http_connection_close(exchange->connection);
    } else if (exchange->state == EXCHANGE_IDLE) {
        exchange->gone(exchange);
    }
}
