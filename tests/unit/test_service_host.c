#include "aws/service_host.h"

#include "cmocka_all.h"

enum { PLAIN = 0, FIPS = 1, DUALSTACK = 2 };

static bool url_of(enum service_host_kind kind, const char *region, unsigned how, char *to,
                   size_t capacity, struct err *err) {
    const struct service_host_options options = {
        .kind = kind,
        .region = str_of(region),
        .fips = (how & FIPS) != 0,
        .dualstack = (how & DUALSTACK) != 0,
    };
    return service_host_url(&options, to, capacity, err);
}

static void every_partition_has_its_hosts(void **state) {
    (void)state;
    static const struct {
        enum service_host_kind kind;
        const char *region;
        unsigned how;
        const char *url;
    } all[] = {
        {SERVICE_HOST_STREAMS, "us-east-1", PLAIN,
         "https://streams.dynamodb.us-east-1.amazonaws.com"},
        {SERVICE_HOST_TABLE, "us-east-1", PLAIN, "https://dynamodb.us-east-1.amazonaws.com"},
        {SERVICE_HOST_STREAMS, "us-east-1", FIPS,
         "https://streams.dynamodb-fips.us-east-1.amazonaws.com"},
        {SERVICE_HOST_TABLE, "us-east-1", FIPS, "https://dynamodb-fips.us-east-1.amazonaws.com"},
        {SERVICE_HOST_STREAMS, "us-east-1", DUALSTACK,
         "https://streams-dynamodb.us-east-1.api.aws"},
        {SERVICE_HOST_TABLE, "us-east-1", DUALSTACK, "https://dynamodb.us-east-1.api.aws"},
        {SERVICE_HOST_STREAMS, "us-east-1", FIPS | DUALSTACK,
         "https://streams-dynamodb-fips.us-east-1.api.aws"},
        {SERVICE_HOST_TABLE, "us-east-1", FIPS | DUALSTACK,
         "https://dynamodb-fips.us-east-1.api.aws"},
        {SERVICE_HOST_STREAMS, "us-gov-west-1", PLAIN,
         "https://streams.dynamodb.us-gov-west-1.amazonaws.com"},
        {SERVICE_HOST_STREAMS, "us-gov-west-1", FIPS,
         "https://streams.dynamodb.us-gov-west-1.amazonaws.com"},
        {SERVICE_HOST_STREAMS, "us-gov-west-1", FIPS | DUALSTACK,
         "https://streams-dynamodb-fips.us-gov-west-1.api.aws"},
        {SERVICE_HOST_TABLE, "cn-north-1", PLAIN, "https://dynamodb.cn-north-1.amazonaws.com.cn"},
        {SERVICE_HOST_STREAMS, "cn-north-1", DUALSTACK,
         "https://streams-dynamodb.cn-north-1.api.amazonwebservices.com.cn"},
        {SERVICE_HOST_TABLE, "eusc-de-east-1", PLAIN,
         "https://dynamodb.eusc-de-east-1.amazonaws.eu"},
        {SERVICE_HOST_TABLE, "us-iso-east-1", PLAIN, "https://dynamodb.us-iso-east-1.c2s.ic.gov"},
        {SERVICE_HOST_TABLE, "us-isob-east-1", PLAIN,
         "https://dynamodb.us-isob-east-1.sc2s.sgov.gov"},
        {SERVICE_HOST_TABLE, "us-isof-south-1", PLAIN,
         "https://dynamodb.us-isof-south-1.csp.hci.ic.gov"},
        {SERVICE_HOST_TABLE, "eu-isoe-west-1", FIPS,
         "https://dynamodb-fips.eu-isoe-west-1.cloud.adc-e.uk"},
        {SERVICE_HOST_STS, "us-east-1", PLAIN, "https://sts.us-east-1.amazonaws.com"},
        {SERVICE_HOST_STS, "us-east-1", FIPS, "https://sts-fips.us-east-1.amazonaws.com"},
        {SERVICE_HOST_STS, "us-east-1", FIPS | DUALSTACK, "https://sts-fips.us-east-1.api.aws"},
        {SERVICE_HOST_STS, "us-gov-west-1", FIPS, "https://sts.us-gov-west-1.amazonaws.com"},
        {SERVICE_HOST_STS, "cn-north-1", PLAIN, "https://sts.cn-north-1.amazonaws.com.cn"},
        {SERVICE_HOST_METRICS, "us-east-1", PLAIN, "https://monitoring.us-east-1.amazonaws.com"},
        {SERVICE_HOST_METRICS, "us-east-1", FIPS,
         "https://monitoring-fips.us-east-1.amazonaws.com"},
        {SERVICE_HOST_METRICS, "eu-west-1", DUALSTACK, "https://monitoring.eu-west-1.api.aws"},
        {SERVICE_HOST_METRICS, "us-gov-west-1", FIPS,
         "https://monitoring.us-gov-west-1.amazonaws.com"},
        {SERVICE_HOST_METRICS, "cn-north-1", PLAIN,
         "https://monitoring.cn-north-1.amazonaws.com.cn"},
    };
    for (size_t i = 0; i < sizeof all / sizeof all[0]; i++) {
        char text[128];
        struct err err = ERR_NONE;
        assert_true(url_of(all[i].kind, all[i].region, all[i].how, text, sizeof text, &err));
        assert_string_equal(text, all[i].url);
    }
}

static void what_is_no_region_is_refused(void **state) {
    (void)state;
    static const char *const bad[] = {"", "evil.com/", "EU-WEST-1", "eu west"};
    char text[64];
    struct err err = ERR_NONE;
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        assert_false(url_of(SERVICE_HOST_TABLE, bad[i], PLAIN, text, sizeof text, &err));
        assert_int_equal(err.code, ERR_CONFIG);
    }
    /* "https://dynamodb.eu-west-1.amazonaws.com" has 40 bytes. */
    assert_false(url_of(SERVICE_HOST_TABLE, "eu-west-1", PLAIN, text, 40, &err));
    assert_true(url_of(SERVICE_HOST_TABLE, "eu-west-1", PLAIN, text, 41, &err));
    assert_false(url_of(SERVICE_HOST_TABLE, "us-iso-east-1", DUALSTACK, text, sizeof text, &err));
    assert_string_equal(err.text, "AWS_USE_DUALSTACK_ENDPOINT: region us-iso-east-1 has no "
                                  "dual-stack endpoints");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_partition_has_its_hosts),
        cmocka_unit_test(what_is_no_region_is_refused),
    };
    return cmocka_run_group_tests_name("service_host", tests, NULL, NULL);
}
