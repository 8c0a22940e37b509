#include "aws/endpoint.h"

#include "aws/service_http.h"

#include <aws/io/io.h>

#include "cmocka_all.h"

static void check(const char *text, bool tls, const char *host, uint16_t port,
                  const char *authority) {
    struct endpoint_url url;
    struct err err = ERR_NONE;
    assert_true(endpoint_url_parse(str_of(text), &url, &err));
    assert_int_equal(url.tls, tls);
    assert_string_equal(url.host, host);
    assert_int_equal(url.port, port);
    assert_string_equal(url.authority, authority);
}

static void reads_urls(void **state) {
    (void)state;
    check("https://streams.dynamodb.eu-west-1.amazonaws.com", true,
          "streams.dynamodb.eu-west-1.amazonaws.com", 443,
          "streams.dynamodb.eu-west-1.amazonaws.com");
    check("http://localhost:8000/", false, "localhost", 8000, "localhost:8000");
    check("HTTP://localhost:80", false, "localhost", 80, "localhost");
    check("https://h:80", true, "h", 80, "h:80");
    check("http://[::1]:8000", false, "::1", 8000, "[::1]:8000");
}

static void refuses_what_is_no_endpoint(void **state) {
    (void)state;
    static const char *const bad[] = {
        "",
        "localhost",
        "localhost:8000",
        "ftp://h",
        "https://",
        "http://h/path",
        "http://h?x=1",
        "http://u:p@h",
        "http://h:70000",
        "http://h:x",
        "http://h\r\nX: y",
        "http:// h",
        "http://\xc3\xa4",
    };
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        struct endpoint_url url;
        struct err err = ERR_NONE;
        if (endpoint_url_parse(str_of(bad[i]), &url, &err)) {
            fail_msg("\"%s\" was taken", bad[i]);
        }
        assert_int_equal(err.code, ERR_CONFIG);
        assert_non_null(strstr(err.text, bad[i]));
    }
    char text[400] = "http://";
    memset(text + 7, 'a', 300);
    struct endpoint_url url;
    struct err err = ERR_NONE;
    assert_false(endpoint_url_parse(str_of(text), &url, &err));
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

static int setup(void **state) {
    (void)state;
    aws_io_library_init(aws_default_allocator());
    return 0;
}

static int teardown(void **state) {
    (void)state;
    aws_io_library_clean_up();
    return 0;
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(reads_urls),
        cmocka_unit_test(refuses_what_is_no_endpoint),
        cmocka_unit_test(knows_the_partitions),
        cmocka_unit_test(refuses_regions_that_are_none),
    };
    return cmocka_run_group_tests_name("endpoint", tests, setup, teardown);
}
