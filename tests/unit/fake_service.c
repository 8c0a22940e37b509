#include "fake_service.h"

#include <stdio.h>
#include <stdlib.h>

static struct fake_service *fake_of(struct service *service) {
    return (struct fake_service *)service; /* base is the first member */
}

static struct service_call *call(struct service *base, const struct service_request *request,
                                 service_done *done, void *ctx) {
    struct fake_service *service = fake_of(base);
    if (service->out_of_memory || service->done != NULL) {
        return NULL;
    }
    service->done = done;
    service->dropped = request->dropped;
    service->ctx = ctx;
    service->request = *request;
    service->request.body = STR_NONE;
    (void)str_copy(request->target, service->target, sizeof service->target);
    buf_reset(&service->body);
    buf_add_str(&service->body, request->body);
    return (struct service_call *)service; /* there is only one at a time */
}

static void cancel(struct service_call *handle) {
    struct fake_service *service = (struct fake_service *)handle;
    service->done = NULL;
    if (service->dropped != NULL) {
        service->dropped(service->ctx);
    }
}

static const struct service_ops ops = {.call = call, .cancel = cancel};

void fake_service_init(struct fake_service *service) {
    *service = (struct fake_service){.base = {.ops = &ops, .pages = page_pool_new(1024 * 1024)}};
    buf_init(&service->body, BUF_MAX_REQUEST);
}

void fake_service_done(struct fake_service *service) {
    buf_done(&service->body);
    page_pool_free(service->base.pages);
}

const char *fake_service_body(struct fake_service *service) {
    return buf_text(&service->body);
}

static void finish(struct fake_service *service, const struct err *err, const char *body) {
    struct service_reply reply = {.request_id = STR("REQ1"), .server_time_ms = 1700000000000};
    if (body != NULL) {
        reply.body = page_take(service->base.pages);
        (void)page_add(reply.body, body, strlen(body), BUF_MAX_REPLY);
    }
    service_done *done = service->done;
    service->done = NULL;
    done(service->ctx, err, body != NULL ? &reply : NULL);
    page_free(reply.body);
}

void fake_service_answer(struct fake_service *service, const char *body) {
    finish(service, NULL, body);
}

void fake_service_fail(struct fake_service *service, enum err_code code, const char *text,
                       const char *body) {
    struct err err;
    err_set(&err, code, "%s", text);
    finish(service, &err, body);
}
