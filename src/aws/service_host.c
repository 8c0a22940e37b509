#include "aws/service_host.h"

#include <stdio.h>

struct partition {
    const char *region_prefix;
    const char *suffix;           /* of a host */
    const char *dualstack_suffix; /* NULL: it has none */
};

static const struct partition *partition_of(struct str region) {
    static const struct partition partitions[] = {
        {"cn-", "amazonaws.com.cn", "api.amazonwebservices.com.cn"},
        {"eusc-", "amazonaws.eu", "api.amazonwebservices.eu"},
        {"us-iso-", "c2s.ic.gov", NULL},
        {"us-isob-", "sc2s.sgov.gov", NULL},
        {"us-isof-", "csp.hci.ic.gov", NULL},
        {"eu-isoe-", "cloud.adc-e.uk", NULL},
        {"", "amazonaws.com", "api.aws"}, /* aws and aws-us-gov */
    };
    size_t i = 0;
    while (!str_starts(region, partitions[i].region_prefix)) {
        i++;
    }
    return &partitions[i];
}

static bool is_region(struct str region) {
    for (size_t i = 0; i < region.len; i++) {
        char c = region.ptr[i];
        if (!((c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-')) {
            return false;
        }
    }
    return region.len > 0;
}

bool service_host_url(const struct service_host_options *options, char *to, size_t capacity,
                      struct err *err) {
    struct str region = options->region;
    if (!is_region(region)) {
        return err_set(err, ERR_CONFIG, "\"%.*s\" is no region's name", STR_FMT(region));
    }
    const struct partition *partition = partition_of(region);
    if (options->dualstack && partition->dualstack_suffix == NULL) {
        return err_set(err, ERR_CONFIG,
                       "AWS_USE_DUALSTACK_ENDPOINT: region %.*s has no dual-stack endpoints",
                       STR_FMT(region));
    }
    /* All of GovCloud's hosts are FIPS hosts; those of one stack have no name of their own for it. */
    bool fips = options->fips && (options->dualstack || !str_starts(region, "us-gov-"));
    static const char *const names[] = {
        [SERVICE_HOST_STREAMS] = "streams.dynamodb",
        [SERVICE_HOST_TABLE] = "dynamodb",
        [SERVICE_HOST_STS] = "sts",
        [SERVICE_HOST_METRICS] = "monitoring",
    };
    const char *name = options->kind == SERVICE_HOST_STREAMS && options->dualstack
                           ? "streams-dynamodb"
                           : names[options->kind];
    int len =
        snprintf(to, capacity, "https://%s%s.%.*s.%s", name, fips ? "-fips" : "", STR_FMT(region),
                 options->dualstack ? partition->dualstack_suffix : partition->suffix);
    return (len > 0 && (size_t)len < capacity) ||
           err_set(err, ERR_CONFIG, "\"%.*s\" is no region's name", STR_FMT(region));
}
