#include "aws/endpoint.h"

#include "aws/service_http.h"

#include <stdio.h>

#include "cmocka_all.h"

static void refused(const char *text, const char *shown, const char *why) {
    struct http_url url;
    struct err err = ERR_NONE;
    if (endpoint_url_parse(str_of(text), &url, &err)) {
        fail_msg("\"%s\" was taken", text);
    }
    assert_int_equal(err.code, ERR_CONFIG);
    char start[80];
    (void)snprintf(start, sizeof start, "endpoint \"%s\" (", shown);
    assert_true(str_starts(str_of(err.text), start));
    assert_non_null(strstr(err.text, why));
}

static void an_endpoint_is_a_url_without_a_path(void **state) {
    (void)state;
    struct http_url url;
    struct err err = ERR_NONE;
    assert_true(endpoint_url_parse(STR("https://h:8000"), &url, &err));
    assert_true(endpoint_url_parse(STR("http://h:8000/"), &url, &err));
    assert_string_equal(url.authority, "h:8000");
    refused("http://h/path", "http://h/path", "it has a path or query");
    refused("http://h/?x=1", "http://h/?x=1", "it has a path or query");
    refused("localhost:8000", "localhost:8000", "does not start with https://");
    refused("", "", "does not start with https://");
    refused("http://u:password@h", "...", "it names a user");
    char long_host[400] = "http://";
    memset(long_host + 7, 'a', 300);
    assert_false(endpoint_url_parse(str_of(long_host), &url, &err));
    assert_non_null(strstr(err.text, "not a usable URL"));
}

static void standard_endpoint(const char *service, const char *region, const char *expected) {
    char text[128];
    assert_true(service_http_default_endpoint(service, str_of(region), text, sizeof text));
    assert_string_equal(text, expected);
}

static void knows_the_partitions(void **state) {
    (void)state;
    standard_endpoint("streams.dynamodb", "us-east-1",
                      "https://streams.dynamodb.us-east-1.amazonaws.com");
    standard_endpoint("dynamodb", "cn-north-1", "https://dynamodb.cn-north-1.amazonaws.com.cn");
    standard_endpoint("monitoring", "us-gov-west-1",
                      "https://monitoring.us-gov-west-1.amazonaws.com");
    standard_endpoint("dynamodb", "eusc-de-east-1", "https://dynamodb.eusc-de-east-1.amazonaws.eu");
    standard_endpoint("dynamodb", "us-iso-east-1", "https://dynamodb.us-iso-east-1.c2s.ic.gov");
    standard_endpoint("dynamodb", "us-isob-east-1",
                      "https://dynamodb.us-isob-east-1.sc2s.sgov.gov");
    standard_endpoint("dynamodb", "us-isof-south-1",
                      "https://dynamodb.us-isof-south-1.csp.hci.ic.gov");
    standard_endpoint("dynamodb", "eu-isoe-west-1",
                      "https://dynamodb.eu-isoe-west-1.cloud.adc-e.uk");
}

static void refuses_regions_that_are_none(void **state) {
    (void)state;
    char text[64];
    assert_false(service_http_default_endpoint("dynamodb", STR(""), text, sizeof text));
    assert_false(service_http_default_endpoint("dynamodb", STR("evil.com/"), text, sizeof text));
    assert_false(service_http_default_endpoint("dynamodb", STR("EU-WEST-1"), text, sizeof text));
    /* "https://dynamodb.eu-west-1.amazonaws.com" has 40 bytes. */
    assert_false(service_http_default_endpoint("dynamodb", STR("eu-west-1"), text, 40));
    assert_true(service_http_default_endpoint("dynamodb", STR("eu-west-1"), text, 41));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_endpoint_is_a_url_without_a_path),
        cmocka_unit_test(knows_the_partitions),
        cmocka_unit_test(refuses_regions_that_are_none),
    };
    return cmocka_run_group_tests_name("endpoint", tests, NULL, NULL);
}
