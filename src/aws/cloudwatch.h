/*
 * cloudwatch: PutMetricData, with statistic sets. A request is built datum by datum until it is full, and then sent.
 * Lane thread only; errors carry "PutMetricData: " and the request id.
 */
#ifndef AWS_CLOUDWATCH_H
#define AWS_CLOUDWATCH_H

#include "aws/service.h"
#include "base/buf.h"

enum cloudwatch_unit {
    CLOUDWATCH_NONE,
    CLOUDWATCH_COUNT,
    CLOUDWATCH_MILLISECONDS,
    CLOUDWATCH_BYTES,
};

enum {
    CLOUDWATCH_DIMENSIONS_MAX = 2,
    CLOUDWATCH_DATA_MAX = 1000 /* of a request: the service's */
};

struct cloudwatch_dimension {
    struct str name;
    struct str value;
};

/* Texts are borrowed for the call. */
struct cloudwatch_datum {
    struct str name;
    enum cloudwatch_unit unit;
    struct cloudwatch_dimension dimensions[CLOUDWATCH_DIMENSIONS_MAX];
    size_t dimension_count;
    int64_t at_ms;  /* since 1970 */
    uint64_t count; /* samples; not 0 */
    uint64_t sum;
    uint64_t min;
    uint64_t max;
};

/* All-zero but for begin. */
struct cloudwatch_request {
    struct buf body;
    size_t count; /* data in it */
};

void cloudwatch_begin(struct cloudwatch_request *request, struct str name_space);
/* False when it is full: send it, and begin another one. The first one always fits, unless memory is out. */
bool cloudwatch_add(struct cloudwatch_request *request, const struct cloudwatch_datum *datum);
/* Frees what was not sent. */
void cloudwatch_drop(struct cloudwatch_request *request);

/* err is NULL on success; borrowed for the callback. */
typedef void cloudwatch_done(void *ctx, const struct err *err);
/* Sends and empties it, which must not be empty. NULL when out of memory. */
struct service_call *cloudwatch_put(struct service *service, struct cloudwatch_request *request,
                                    cloudwatch_done *done, void *ctx);

#endif
