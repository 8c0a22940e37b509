#include "aws/cloudwatch.h"

#include "aws/control.h"

#include <inttypes.h>

static const char *unit_name(enum cloudwatch_unit unit) {
    switch (unit) {
    case CLOUDWATCH_COUNT:
        return "Count";
    case CLOUDWATCH_MILLISECONDS:
        return "Milliseconds";
    case CLOUDWATCH_BYTES:
        return "Bytes";
    case CLOUDWATCH_NONE:
        break;
    }
    return "None";
}

void cloudwatch_begin(struct cloudwatch_request *request, struct str name_space) {
    request->count = 0;
    buf_init(&request->body, BUF_MAX_REQUEST);
    buf_add_char(&request->body, '{');
    control_add_str(&request->body, "Namespace", name_space);
    buf_add_text(&request->body, ",\"MetricData\":[");
}

static void add_dimensions(struct buf *body, const struct cloudwatch_datum *datum) {
    buf_add_text(body, ",\"Dimensions\":[");
    for (size_t i = 0; i < datum->dimension_count; i++) {
        buf_add_text(body, i == 0 ? "{" : ",{");
        control_add_str(body, "Name", datum->dimensions[i].name);
        control_add_str(body, "Value", datum->dimensions[i].value);
        buf_add_char(body, '}');
    }
    buf_add_char(body, ']');
}

bool cloudwatch_add(struct cloudwatch_request *request, const struct cloudwatch_datum *datum) {
    static const char end[] = "]}";
    struct buf *body = &request->body;
    size_t before = body->len;
    if (body->failed || request->count == CLOUDWATCH_DATA_MAX) {
        return false;
    }
    buf_add_text(body, request->count == 0 ? "{" : ",{");
    control_add_str(body, "MetricName", datum->name);
    add_dimensions(body, datum);
    buf_add_format(body,
                   ",\"Timestamp\":%" PRId64 ".%03d,\"Unit\":\"%s\",\"StatisticValues\":"
                   "{\"SampleCount\":%" PRIu64 ",\"Sum\":%" PRIu64 ",\"Minimum\":%" PRIu64
                   ",\"Maximum\":%" PRIu64 "}}",
                   datum->at_ms / 1000, (int)(datum->at_ms % 1000), unit_name(datum->unit),
                   datum->count, datum->sum, datum->min, datum->max);
    if (body->failed || body->len + sizeof end > body->max) {
        body->len = before; /* as it was, with room for the end */
        body->failed = false;
        return false;
    }
    request->count++;
    return true;
}

void cloudwatch_drop(struct cloudwatch_request *request) {
    buf_done(&request->body);
    request->count = 0;
}

static void finished(control_fn *done, void *ctx, const struct err *err,
                     struct control_reply *reply) {
    (void)reply;
    ((cloudwatch_done *)done)(ctx, err);
}

struct service_call *cloudwatch_put(struct service *service, struct cloudwatch_request *request,
                                    cloudwatch_done *done, void *ctx) {
    struct control_options options = {
        .target = STR("GraniteServiceVersion20100801.PutMetricData"),
        .reader = finished,
        .raw = true, /* the answer is empty */
    };
    buf_add_text(&request->body, "]}");
    request->count = 0;
    return control_call(service, &options, &request->body, (control_fn *)done, ctx);
}
