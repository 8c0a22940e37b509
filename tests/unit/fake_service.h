/*
 * fake_service: a struct service that records the request and answers when the test says so.
 */
#ifndef TESTS_FAKE_SERVICE_H
#define TESTS_FAKE_SERVICE_H

#include "aws/service.h"
#include "base/buf.h"

struct fake_service {
    struct service base;
    service_done *done; /* NULL when no call is under way */
    void (*dropped)(void *ctx);
    void *ctx;
    struct service_request request; /* without the body */
    char target[128];
    struct buf body;
    bool out_of_memory; /* call returns NULL */
};

void fake_service_init(struct fake_service *service);
void fake_service_done(struct fake_service *service);
/* The last request's body as a C string. */
const char *fake_service_body(struct fake_service *service);
/* Answers the call with this body. */
void fake_service_answer(struct fake_service *service, const char *body);
/* Fails it; body may be NULL. */
void fake_service_fail(struct fake_service *service, enum err_code code, const char *text,
                       const char *body);

#endif
