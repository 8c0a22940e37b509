/*
 * service: one AWS endpoint as seen from one lane: JSON calls, signed, with retry by error class and one total
 * deadline. An interface, so that the same callers run against the network (service_http.h) and against a
 * simulated service.
 *
 * Lane thread only. Callbacks are never made inside the call that starts them.
 */
#ifndef AWS_SERVICE_H
#define AWS_SERVICE_H

#include "base/lane.h"
#include "base/page.h"

struct service;
struct service_call; /* a call under way; valid until its callback returns or it is cancelled */

struct service_request {
    struct str target; /* e.g. "DynamoDBStreams_20120810.GetRecords"; static storage. Empty: of the
                               query protocol, whose body is a form and whose replies are XML */
    struct str body;   /* JSON; copied */
    uint32_t attempts; /* tries in all; 0 means 4 */
    uint32_t deadline_ms;   /* for all tries together; 0 means 30,000 */
    size_t max_reply_bytes; /* 0 means BUF_MAX_REPLY */
    /* Called with ctx instead of done when the call is cancelled or the service is closed, so that whatever ctx
     * points to can be freed. Then it may run inside service_cancel. May be NULL. */
    void (*dropped)(void *ctx);
};

struct service_reply {
    struct page
        *body; /* owned by the receiver once it sets this to NULL, else freed after the callback */
    struct str request_id;  /* x-amzn-RequestId, or empty; borrowed for the callback */
    int64_t server_time_ms; /* from the Date header; 0 when absent */
};

/* Exactly one of err and reply is not NULL, but for ERR_AWS_CONDITION: there reply->body is the error's body too,
 * which may hold the item that stood in the way. The error's text ends with the request id when there is one. */
typedef void service_done(void *ctx, const struct err *err, struct service_reply *reply);

struct service_ops {
    struct service_call *(*call)(struct service *service, const struct service_request *request,
                                 service_done *done, void *ctx);
    void (*cancel)(struct service_call *call);
};

struct service {
    const struct service_ops *ops;
    struct lane *lane;
    struct page_pool *pages; /* replies come from here; owned by the service's owner */
};

/* Starts a call. Never NULL except when out of memory or when the body is larger than BUF_MAX_REQUEST (then neither
 * done nor dropped is called). */
static inline struct service_call *service_call(struct service *service,
                                                const struct service_request *request,
                                                service_done *done, void *ctx) {
    return service->ops->call(service, request, done, ctx);
}

/* done will not be called. NULL is fine. */
static inline void service_cancel(struct service *service, struct service_call *call) {
    if (call != NULL) {
        service->ops->cancel(call);
    }
}

#endif
