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

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_endpoint_is_a_url_without_a_path),
    };
    return cmocka_run_group_tests_name("endpoint", tests, NULL, NULL);
}
