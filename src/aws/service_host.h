/* service_host: the address of a service in a region, by AWS's rules. Pure. */
#ifndef AWS_SERVICE_HOST_H
#define AWS_SERVICE_HOST_H

#include "base/err.h"
#include "base/str.h"

enum service_host_kind {
    SERVICE_HOST_STREAMS,
    SERVICE_HOST_TABLE,
    SERVICE_HOST_STS,
    SERVICE_HOST_METRICS,
};

struct service_host_options {
    enum service_host_kind kind;
    struct str region;
    bool fips;      /* AWS_USE_FIPS_ENDPOINT */
    bool dualstack; /* AWS_USE_DUALSTACK_ENDPOINT: hosts that have IPv6 addresses too */
};

/* "https://streams.dynamodb.eu-west-1.amazonaws.com". ERR_CONFIG when the region's name cannot be one, so that a typo
 * cannot send requests anywhere else, or when its partition has no such hosts. */
bool service_host_url(const struct service_host_options *options, char *to, size_t capacity,
                      struct err *err);

#endif
