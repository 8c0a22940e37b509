#include "aws/control.h"

#include "base/json.h"

#include <stdlib.h>

struct control {
    struct control_options options;
    control_fn *done;
    void *ctx;
};

static const char *operation_of(const struct control *control) {
    const char *dot = memchr(control->options.target.ptr, '.', control->options.target.len);
    return dot != NULL ? dot + 1 : control->options.target.ptr;
}

static void on_reply(void *ctx, const struct err *failure, struct service_reply *reply) {
    struct control *control = ctx;
    struct control_options options = control->options;
    struct control_reply result = {0};
    struct aws_json_value *json = NULL;
    struct err err = ERR_NONE;
    if (failure != NULL) {
        err = *failure;
    }
    if (reply != NULL) {
        result.page = reply->body;
        result.server_time_ms = reply->server_time_ms;
        if (!options.raw) {
            json = json_parse(str_make(reply->body->data, reply->body->len));
            result.json = json;
        }
        if (failure == NULL && !options.raw && (json == NULL || !aws_json_value_is_object(json))) {
            err_set(&err, ERR_AWS_REPLY, "the reply is no JSON object (request id %.*s)",
                    STR_FMT(reply->request_id));
        }
    }
    err_context(&err, "%s", operation_of(control));
    control_fn *done = control->done;
    void *done_ctx = control->ctx;
    free(control);
    options.reader(done, done_ctx, err_is_set(&err) ? &err : NULL, &result);
    if (reply != NULL) {
        reply->body = result.page;
    }
    json_free(json);
}

struct service_call *control_call(struct service *service, const struct control_options *options,
                                  struct buf *body, control_fn *done, void *ctx) {
    struct service_call *call = NULL;
    struct control *control = body->failed ? NULL : malloc(sizeof *control);
    if (control != NULL) {
        *control = (struct control){.options = *options, .done = done, .ctx = ctx};
        struct service_request request = {
            .target = options->target,
            .body = buf_str(body),
            .attempts = options->attempts,
            .max_reply_bytes = options->max_reply_bytes,
            .dropped = free,
        };
        call = service_call(service, &request, on_reply, control);
        if (call == NULL) {
            free(control);
        }
    }
    buf_done(body);
    return call;
}

static void add_name(struct buf *body, const char *name) {
    if (body->len > 0 && body->data[body->len - 1] != '{') {
        buf_add_char(body, ',');
    }
    buf_add_format(body, "\"%s\":", name);
}

void control_add_str(struct buf *body, const char *name, struct str value) {
    if (value.ptr != NULL) {
        add_name(body, name);
        buf_add_json_string(body, value);
    }
}

void control_add_json(struct buf *body, const char *name, struct str value) {
    if (value.ptr != NULL) {
        add_name(body, name);
        buf_add_str(body, value);
    }
}
