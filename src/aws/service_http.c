#include "aws/service_http.h"

#include "aws/exchange.h"
#include "aws/reply_error.h"
#include "aws/retry.h"
#include "base/buf.h"
#include "base/log.h"

#include <aws/auth/credentials.h>
#include <aws/common/linked_list.h>

#include <stdio.h>
#include <stdlib.h>

enum {
    DEFAULT_ATTEMPTS = 4,
    DEFAULT_DEADLINE_MS = 30000,
    DEFAULT_CONNECTIONS = 64, /* 10,000 polls a second of 6 ms each, and some */
    DEFAULT_CONNECT_MS = 3000,
    DEFAULT_ATTEMPT_MS = 10000,
    SPARE_CALLS = 64,    /* finished calls kept for reuse, with their request buffers */
    KEYS_POLL_MS = 50,   /* how often a call looks for keys that are being fetched */
    NEW_KEYS_MS = 10000, /* how long it waits for newer ones */
    SKEW_MS = 60000, /* a clock that is off by less is left alone: services allow five minutes */
    CLOSE_MS = 1000,
};

struct service_http {
    struct service base;
    struct endpoint endpoint;
    char *region;
    char *signing_name;
    char *user_agent;
    struct credentials *credentials;
    uint32_t attempt_timeout_ms;
    struct retry_quota quota;
    int64_t clock_offset_ms;      /* the server's clock minus ours, or 0 while they agree */
    struct aws_linked_list calls; /* oldest first; those whose callback is still to come */
    struct service_call *spare;
    size_t spare_count;
    struct lane_timer close_timer;
    lane_fn *closed; /* set by close */
    void *closed_ctx;
    bool closing;
    bool left; /* closed was called though connections were still ending: the lane may be freed */
};

struct service_call {
    struct aws_linked_list_node node;
    struct service_call *next_spare;
    struct service_http *service;
    struct exchange exchange;
    service_done *done;
    void (*dropped)(void *ctx);
    void *ctx;
    struct str target;
    struct buf body;
    size_t max_reply_bytes;
    uint32_t attempts;
    uint32_t max_attempts;
    uint32_t deadline_ms;
    uint64_t deadline_ns;
    uint64_t keys_deadline_ns;
    struct lane_timer deadline_timer;
    struct lane_timer step_timer; /* the next try; while one is under way: whether bytes come */
    struct retry retry;
    struct aws_credentials *keys; /* what the last try was signed with */
    int64_t used_offset_ms;
    bool tls_failed;
    bool keys_renewed;
    bool clock_corrected;
    struct err last_err;
    char last_request_id[128];
};

static struct service_http *http_of(struct service *service) {
    return (struct service_http *)service; /* base is the first member */
}

static struct service_call *call_of(struct exchange *exchange) {
    return AWS_CONTAINER_OF(exchange, struct service_call, exchange);
}

/* ---- A call's life. It is in service->calls until done or dropped was called, and then lives on unseen until the
 * CRT has let go of its exchange. */

static void call_free(struct service_call *call) {
    buf_done(&call->body);
    free(call);
}

static void on_gone(struct exchange *exchange) {
    struct service_call *call = call_of(exchange);
    struct service_http *service = call->service;
    if (service->closing || service->spare_count == SPARE_CALLS) {
        call_free(call);
        return;
    }
    call->next_spare = service->spare;
    service->spare = call;
    service->spare_count++;
}

static void unlink_call(struct service_call *call) {
    aws_linked_list_remove(&call->node);
    lane_timer_cancel(&call->deadline_timer);
    lane_timer_cancel(&call->step_timer);
    aws_credentials_release(call->keys);
    call->keys = NULL;
}

static void drop(struct service_call *call) {
    call->done = NULL;
    unlink_call(call);
    if (call->dropped != NULL) {
        call->dropped(call->ctx);
    }
    exchange_abandon(&call->exchange);
}

static void append(struct err *err, const char *text) {
    size_t len = strlen(err->text);
    (void)snprintf(err->text + len, sizeof err->text - len, "%s", text);
}

/* Adds what support asks for: how often it was tried, and the id of the last reply. */
static void sign_off(const struct service_call *call, struct err *err) {
    char text[200];
    bool more = call->attempts > 1;
    if (more) {
        (void)snprintf(text, sizeof text, " (%u attempts", call->attempts);
        append(err, text);
    }
    if (call->last_request_id[0] != '\0') {
        (void)snprintf(text, sizeof text, "%srequest id %s", more ? ", " : " (",
                       call->last_request_id);
        append(err, text);
        more = true;
    }
    if (more) {
        append(err, ")");
    }
}

static service_done *take_done(struct service_call *call) {
    service_done *done = call->done;
    call->done = NULL;
    return done;
}

static void fail(struct service_call *call, struct err *err) {
    unlink_call(call);
    sign_off(call, err);
    struct service_reply reply = {
        .request_id = str_of(call->last_request_id),
        .server_time_ms = call->exchange.reply.date_ms,
    };
    if (err->code == ERR_AWS_CONDITION) {
        reply.body = exchange_take_page(&call->exchange);
    }
    take_done(call)(call->ctx, err, reply.body != NULL ? &reply : NULL);
    page_free(reply.body);
    exchange_abandon(&call->exchange);
}

static void succeed(struct service_call *call) {
    unlink_call(call);
    retry_success(&call->retry, &call->service->quota);
    struct service_reply reply = {
        .body = exchange_take_page(&call->exchange),
        .request_id = str_of(call->last_request_id),
        .server_time_ms = call->exchange.reply.date_ms,
    };
    if (reply.body == NULL) {
        reply.body = page_take(call->service->base.pages); /* an empty body is a page too */
    }
    if (reply.body == NULL) {
        struct err err;
        err_set(&err, ERR_NOMEM, "no memory for a reply");
        take_done(call)(call->ctx, &err, NULL);
    } else {
        take_done(call)(call->ctx, NULL, &reply);
    }
    page_free(reply.body);
    exchange_abandon(&call->exchange);
}

static void on_deadline(void *ctx) {
    struct service_call *call = ctx;
    struct endpoint *endpoint = &call->service->endpoint;
    struct err err = ERR_NONE;
    if (err_is_set(&call->last_err)) {
        err = call->last_err;
        err_context(&err, "given up after %u ms, last with", call->deadline_ms);
    } else if (call->exchange.state == EXCHANGE_SENT) {
        err_set(&err, ERR_TIMEOUT, "no answer from %s within %u ms", endpoint->name,
                call->deadline_ms);
    } else if (call->exchange.state == EXCHANGE_CONNECTING) {
        endpoint_connect_error(endpoint, AWS_ERROR_HTTP_CONNECTION_MANAGER_ACQUISITION_TIMEOUT,
                               &err);
    } else {
        err_set(&err, ERR_AWS_NO_CREDENTIALS, "no AWS credentials within %u ms", call->deadline_ms);
    }
    fail(call, &err);
}

/* Next try in delay_ms, or never when the deadline comes first. */
static void try_again_in(struct service_call *call, uint64_t delay_ms, struct err *err) {
    if (lane_now_ns(call->service->base.lane) + delay_ms * 1000000 >= call->deadline_ns) {
        fail(call, err);
        return;
    }
    call->last_err = *err;
    lane_timer_set_ms(&call->step_timer, delay_ms);
}

/* ---- Tries. */

static void start_try(struct service_call *call) {
    struct service_http *service = call->service;
    struct err err = ERR_NONE;
    struct aws_credentials *keys = credentials_get(service->credentials);
    if (keys == NULL && !credentials_wait(service->credentials, 0, &err) &&
        err.code != ERR_TIMEOUT) {
        fail(call, &err);
        return;
    }
    /* None yet, or only those that the service called expired. */
    bool stale = keys != NULL && keys == call->keys && call->keys_deadline_ns != 0;
    if (keys == NULL || stale) {
        aws_credentials_release(keys);
        if (stale && lane_now_ns(service->base.lane) >= call->keys_deadline_ns) {
            err = call->last_err;
            fail(call, &err);
            return;
        }
        lane_timer_set_ms(&call->step_timer, KEYS_POLL_MS);
        return;
    }
    aws_credentials_release(call->keys);
    call->keys = keys;
    call->keys_deadline_ns = 0;
    call->used_offset_ms = service->clock_offset_ms;
    call->attempts++;
    call->tls_failed = false;
    lane_timer_set_ms(&call->step_timer, service->attempt_timeout_ms);
    exchange_start(&call->exchange, &(struct exchange_request){
                                        .target = call->target,
                                        .body = buf_str(&call->body),
                                        .region = str_of(service->region),
                                        .signing_name = str_of(service->signing_name),
                                        .user_agent = str_of(service->user_agent),
                                        .keys = keys,
                                        .date_offset_ms = service->clock_offset_ms,
                                        .max_reply_bytes = call->max_reply_bytes,
                                    });
}

static void on_step(void *ctx) {
    struct service_call *call = ctx;
    struct service_http *service = call->service;
    uint64_t timeout_ms = service->attempt_timeout_ms;
    bool tls_failed = call->tls_failed;
    struct err err = ERR_NONE;
    call->tls_failed = false;
    if (call->exchange.state == EXCHANGE_IDLE) {
        start_try(call);
    } else if (call->exchange.state == EXCHANGE_CONNECTING && tls_failed) {
        endpoint_connect_error(&service->endpoint, 0, &err);
        fail(call, &err);
    } else if (call->exchange.state == EXCHANGE_CONNECTING) {
        lane_timer_set_ms(&call->step_timer, timeout_ms); /* the pool has a timeout of its own */
    } else {
        uint64_t due_ns = call->exchange.active_ns + timeout_ms * 1000000;
        if (due_ns > lane_now_ns(service->base.lane)) {
            lane_timer_set_at_ns(&call->step_timer, due_ns);
            return;
        }
        err_set(&err, ERR_TIMEOUT, "no answer from %s within %llu ms", service->endpoint.name,
                (unsigned long long)timeout_ms);
        exchange_break(&call->exchange, &err);
    }
}

/* Learns from the Date header. A clock that is a little off stays as it is, so that nothing wobbles. */
static void learn_clock(struct service_http *service, int64_t server_ms) {
    int64_t offset = server_ms - lane_wall_ms(service->base.lane);
    if (offset > -SKEW_MS && offset < SKEW_MS) {
        offset = 0;
    }
    int64_t change = offset - service->clock_offset_ms;
    if (change <= -SKEW_MS || change >= SKEW_MS) {
        LOG_WARN("aws", "clock-skew", LOG_TEXT("endpoint", service->endpoint.name),
                 LOG_I64("server_minus_local_ms", offset));
        service->clock_offset_ms = offset;
    }
}

static bool corrects_clock(struct service_call *call) {
    int64_t change = call->service->clock_offset_ms - call->used_offset_ms;
    if (call->clock_corrected || (change > -SKEW_MS && change < SKEW_MS)) {
        return false;
    }
    call->clock_corrected = true;
    return true;
}

static bool renews_keys(struct service_call *call) {
    if (call->keys_renewed) {
        return false;
    }
    call->keys_renewed = true;
    struct aws_credentials *keys = credentials_get(call->service->credentials);
    bool newer = keys != call->keys;
    aws_credentials_release(keys);
    if (!newer && !credentials_refresh(call->service->credentials)) {
        return false;
    }
    call->keys_deadline_ns =
        lane_now_ns(call->service->base.lane) + (uint64_t)NEW_KEYS_MS * 1000000;
    return true;
}

static void on_exchange(struct exchange *exchange, const struct err *failure) {
    struct service_call *call = call_of(exchange);
    struct service_http *service = call->service;
    struct exchange_reply *reply = &exchange->reply;
    lane_timer_cancel(&call->step_timer);
    (void)str_copy(str_of(reply->request_id), call->last_request_id, sizeof call->last_request_id);
    if (reply->date_ms != 0) {
        learn_clock(service, reply->date_ms);
    }

    struct err err = ERR_NONE;
    enum reply_advice advice = REPLY_ADVICE_NONE;
    if (failure != NULL) {
        err = *failure;
    } else if (reply->status == 200) {
        succeed(call);
        return;
    } else {
        struct str body =
            reply->page != NULL ? str_make(reply->page->data, reply->page->len) : STR_NONE;
        advice = reply_error(reply->status, str_of(reply->error_type), body, &err);
    }

    uint64_t delay_ms = 0;
    if (call->attempts >= call->max_attempts) {
        fail(call, &err);
    } else if ((advice == REPLY_ADVICE_CLOCK && corrects_clock(call)) ||
               (advice == REPLY_ADVICE_NEW_KEYS && renews_keys(call)) ||
               retry_next(&call->retry, &service->quota, err.code, reply->retry_after_ms,
                          &service->base.lane->rng, &delay_ms)) {
        try_again_in(call, delay_ms, &err);
    } else {
        fail(call, &err);
    }
}

/* Every waiting call has a handshake of its own under way, so one failure ends one call: the oldest. */
static void on_tls_failed(void *ctx) {
    struct service_http *service = ctx;
    struct aws_linked_list_node *node = aws_linked_list_begin(&service->calls);
    for (; node != aws_linked_list_end(&service->calls); node = aws_linked_list_next(node)) {
        struct service_call *call = AWS_CONTAINER_OF(node, struct service_call, node);
        if (call->exchange.state == EXCHANGE_CONNECTING && !call->tls_failed) {
            call->tls_failed = true;
            lane_timer_set_ms(&call->step_timer, 0); /* not on the TLS library's stack */
            return;
        }
    }
}

/* ---- The interface. */

static struct service_call *call_new(struct service_http *service) {
    struct service_call *call = service->spare;
    if (call != NULL) {
        service->spare = call->next_spare;
        service->spare_count--;
        return call;
    }
    call = calloc(1, sizeof *call);
    if (call != NULL) {
        buf_init(&call->body, BUF_MAX_REQUEST);
    }
    return call;
}

static struct service_call *http_call(struct service *base, const struct service_request *request,
                                      service_done *done, void *ctx) {
    struct service_http *service = http_of(base);
    struct service_call *call = call_new(service);
    if (call == NULL) {
        return NULL;
    }
    struct buf body = call->body;
    buf_reset(&body);
    if (!buf_add_str(&body, request->body)) {
        buf_done(&body);
        free(call);
        return NULL;
    }
    *call = (struct service_call){
        .service = service,
        .done = done,
        .dropped = request->dropped,
        .ctx = ctx,
        .target = request->target,
        .body = body,
        .max_reply_bytes = request->max_reply_bytes != 0 ? request->max_reply_bytes : BUF_MAX_REPLY,
        .max_attempts = request->attempts != 0 ? request->attempts : DEFAULT_ATTEMPTS,
        .deadline_ms = request->deadline_ms != 0 ? request->deadline_ms : DEFAULT_DEADLINE_MS,
    };
    exchange_init(&call->exchange, &service->endpoint, base->pages, on_exchange, on_gone);
    aws_linked_list_push_back(&service->calls, &call->node);
    lane_timer_init(&call->deadline_timer, base->lane, on_deadline, call);
    lane_timer_init(&call->step_timer, base->lane, on_step, call);
    call->deadline_ns = lane_now_ns(base->lane) + (uint64_t)call->deadline_ms * 1000000;
    lane_timer_set_at_ns(&call->deadline_timer, call->deadline_ns);
    lane_timer_set_ms(&call->step_timer, 0);
    return call;
}

static void http_cancel(struct service_call *call) {
    if (call->done != NULL) { /* else this is inside its own callback */
        drop(call);
    }
}

static const struct service_ops http_ops = {.call = http_call, .cancel = http_cancel};

/* ---- Opening and closing. */

static void service_free(struct service_http *service) {
    free(service->region);
    free(service->signing_name);
    free(service->user_agent);
    free(service);
}

static void on_close_timer(void *ctx) {
    struct service_http *service = ctx;
    service->left = true;
    service->closed(service->closed_ctx);
}

static void on_endpoint_closed(void *ctx) {
    struct service_http *service = ctx;
    lane_fn *closed = service->closed;
    void *closed_ctx = service->closed_ctx;
    bool left = service->left;
    if (!left) {
        lane_timer_cancel(&service->close_timer);
    }
    service_free(service);
    if (!left) {
        closed(closed_ctx);
    }
}

/* A header's value: no control characters, whatever the configuration says. */
static char *header_value(struct str text) {
    char *value = str_dup(text);
    for (char *p = value; p != NULL && *p != '\0'; p++) {
        if ((unsigned char)*p < ' ' || *p == 0x7f) {
            *p = '-';
        }
    }
    return value;
}

static uint32_t or_default(uint32_t value, uint32_t standard) {
    return value != 0 ? value : standard;
}

struct service *service_http_new(struct lane *lane, const struct service_http_options *options,
                                 struct err *err) {
    if (options->region.len == 0) {
        err_set(err, ERR_CONFIG, "no AWS region");
        return NULL;
    }
    struct service_http *service = calloc(1, sizeof *service);
    if (service == NULL) {
        err_set(err, ERR_NOMEM, "no memory for an AWS service");
        return NULL;
    }
    service->base = (struct service){.ops = &http_ops, .lane = lane, .pages = options->pages};
    service->region = str_dup(options->region);
    service->signing_name = str_dup(options->signing_name);
    service->user_agent = header_value(options->user_agent);
    service->credentials = options->credentials;
    service->attempt_timeout_ms = or_default(options->attempt_timeout_ms, DEFAULT_ATTEMPT_MS);
    service->quota = retry_quota_make();
    aws_linked_list_init(&service->calls);
    lane_timer_init(&service->close_timer, lane, on_close_timer, service);
    if (service->region == NULL || service->signing_name == NULL || service->user_agent == NULL) {
        err_set(err, ERR_NOMEM, "no memory for an AWS service");
        service_free(service);
        return NULL;
    }
    struct endpoint_options endpoint_options = {
        .url = options->endpoint,
        .tls = options->tls,
        .max_connections = or_default(options->max_connections, DEFAULT_CONNECTIONS),
        .connect_timeout_ms = or_default(options->connect_timeout_ms, DEFAULT_CONNECT_MS),
        .acquire_timeout_ms = service->attempt_timeout_ms,
        .tls_failed = on_tls_failed,
        .closed = on_endpoint_closed,
        .ctx = service,
    };
    if (!endpoint_open(&service->endpoint, lane, &endpoint_options, err)) {
        service_free(service);
        return NULL;
    }
    return &service->base;
}

void service_http_close(struct service *base, lane_fn *done, void *ctx) {
    if (base == NULL) {
        done(ctx);
        return;
    }
    struct service_http *service = http_of(base);
    service->closing = true;
    service->closed = done;
    service->closed_ctx = ctx;
    while (!aws_linked_list_empty(&service->calls)) {
        struct aws_linked_list_node *node = aws_linked_list_front(&service->calls);
        drop(AWS_CONTAINER_OF(node, struct service_call, node));
    }
    while (service->spare != NULL) {
        call_free(call_new(service));
    }
    /* A connection can take long to end, e.g. in the midst of a TLS handshake that fails. Nobody has to wait. */
    lane_timer_set_ms(&service->close_timer, CLOSE_MS);
    endpoint_close(&service->endpoint);
}

/* ---- Standard endpoints. */
