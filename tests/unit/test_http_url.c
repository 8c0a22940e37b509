/* base: host_port and http_url. */
#include "unit/cmocka_all.h"

#include "base/http_url.h"

/* ---- host_port ---- */

static void host_port_reads_and_writes(void **state) {
    (void)state;
    static const struct {
        const char *text;
        const char *host;
        uint16_t port;
        const char *written;
    } known[] = {
        {"a", "a", 99, "a:99"},
        {"a.b-c_d:1", "a.b-c_d", 1, "a.b-c_d:1"},
        {"10.0.0.1:65535", "10.0.0.1", 65535, "10.0.0.1:65535"},
        {"[::1]", "::1", 99, "[::1]:99"},
        {"[fe80::1%eth0]:7", "fe80::1%eth0", 7, "[fe80::1%eth0]:7"},
    };
    for (size_t i = 0; i < sizeof known / sizeof known[0]; i++) {
        char host[HOST_PORT_HOST_MAX];
        char text[HOST_PORT_TEXT_MAX];
        uint16_t port = 0;
        assert_true(host_port_parse(str_of(known[i].text), 99, host, &port));
        assert_string_equal(host, known[i].host);
        assert_int_equal(port, known[i].port);
        host_port_write(host, port, text);
        assert_string_equal(text, known[i].written);
    }
    char text[HOST_PORT_TEXT_MAX];
    host_port_write("a", 0, text);
    assert_string_equal(text, "a");
    host_port_write("::1", 0, text);
    assert_string_equal(text, "[::1]");
}

static void host_port_refuses(void **state) {
    (void)state;
    static const char *const bad[] = {
        "",        ":1",       "a:",      "a:0",
        "a:65536", "a:x",      "a:1x",    "a:-1",
        "a:+1",    "a: 1",     "a:1:2",   "::1",
        "[",       "[]",       "[::1",    "[::1]:",
        "]",       "[::1]1",   "[::1]]",  "[a]:1",
        "a[::1]",  "u@a",      "[::1@b]", "a/",
        "a?",      "a#",       "a b",     "a\r\nb",
        "a\x7f",   "\xc3\xa4", "[::1]:0", "a:18446744073709551617",
    };
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        char host[HOST_PORT_HOST_MAX];
        uint16_t port = 0;
        if (host_port_parse(str_of(bad[i]), 99, host, &port)) {
            fail_msg("\"%s\" was taken", bad[i]);
        }
    }
    char host[HOST_PORT_HOST_MAX];
    uint16_t port = 0;
    assert_false(host_port_parse(STR("a\0b"), 99, host, &port));
    assert_false(host_port_parse(STR_NONE, 99, host, &port));
}

static void host_port_holds_the_longest(void **state) {
    (void)state;
    char host[HOST_PORT_HOST_MAX];
    char text[HOST_PORT_TEXT_MAX];
    uint16_t port = 0;
    char longest[HOST_PORT_TEXT_MAX];
    memset(longest, ':', sizeof longest);
    longest[0] = '[';
    memcpy(longest + HOST_PORT_HOST_MAX, "]:65535", 8);
    assert_true(host_port_parse(str_of(longest), 1, host, &port));
    assert_int_equal(strlen(host), HOST_PORT_HOST_MAX - 1);
    host_port_write(host, port, text);
    assert_string_equal(text, longest);
    char longer[HOST_PORT_HOST_MAX + 1];
    memset(longer, 'a', sizeof longer);
    assert_true(host_port_parse(str_make(longer, HOST_PORT_HOST_MAX - 1), 1, host, &port));
    assert_false(host_port_parse(str_make(longer, HOST_PORT_HOST_MAX), 1, host, &port));
}

/* ---- http_url ---- */

static void check(const char *text, bool tls, const char *host, uint16_t port,
                  const char *authority, const char *path) {
    struct http_url url;
    struct err err = ERR_NONE;
    if (!http_url_parse(str_of(text), &url, &err)) {
        fail_msg("\"%s\": %s", text, err.text);
    }
    assert_int_equal(url.tls, tls);
    assert_string_equal(url.host, host);
    assert_int_equal(url.port, port);
    assert_string_equal(url.authority, authority);
    assert_string_equal(url.path, path);
}

static void reads_urls(void **state) {
    (void)state;
    check("https://a.b", true, "a.b", 443, "a.b", "/");
    check("HTTPS://a.b/", true, "a.b", 443, "a.b", "/");
    check("Http://a:80/t/v2", false, "a", 80, "a", "/t/v2");
    check("https://a:443", true, "a", 443, "a", "/");
    check("https://a:80", true, "a", 80, "a:80", "/");
    check("http://a:443", false, "a", 443, "a:443", "/");
    check("http://a:8080/t?x=1", false, "a", 8080, "a:8080", "/t?x=1");
    check("http://a/?x=/y?", false, "a", 80, "a", "/?x=/y?");
    check("http://a//b", false, "a", 80, "a", "//b");
    check("http://a/@b:c", false, "a", 80, "a", "/@b:c");
    check("https://[::1]", true, "::1", 443, "[::1]", "/");
    check("https://[::1]:8443/x", true, "::1", 8443, "[::1]:8443", "/x");
}

static void says_what_is_wrong(void **state) {
    (void)state;
    static const struct {
        const char *text;
        const char *why;
    } bad[] = {
        {"", "does not start with"},
        {"a.b", "does not start with"},
        {"a.b:80/x", "does not start with"},
        {"http:", "does not start with"},
        {"http:/a", "does not start with"},
        {"ftp://a", "does not start with"},
        {"httpss://a", "does not start with"},
        {"//a", "does not start with"},
        {"http://", "no host[:port]"},
        {"https:///x", "no host[:port]"},
        {"https://:443", "no host[:port]"},
        {"https://?x", "no host[:port]"},
        {"https://a:", "no host[:port]"},
        {"https://a:0", "no host[:port]"},
        {"https://a:65536", "no host[:port]"},
        {"https://a:x", "no host[:port]"},
        {"https://::1", "no host[:port]"},
        {"https://[::1/x", "no host[:port]"},
        {"https://[]/x", "no host[:port]"},
        {"https://u@a/x", "names a user"},
        {"https://u:password@a/x", "names a user"},
        {"https://@a", "names a user"},
        {"https://a?x=1", "no / in front of its query"},
        {"https://a#x", "fragment"},
        {"https://a/x#y", "fragment"},
        {"https://a b", "spaces"},
        {" https://a", "spaces"},
        {"https://a/x y", "spaces"},
        {"https://a\r\nX: y", "control characters"},
        {"https://a/\x7f", "control characters"},
        {"https://\xc3\xa4", "beyond ASCII"},
    };
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        struct http_url url;
        struct err err = ERR_NONE;
        if (http_url_parse(str_of(bad[i].text), &url, &err)) {
            fail_msg("\"%s\" was taken", bad[i].text);
        }
        assert_int_equal(err.code, ERR_CONFIG);
        assert_true(str_starts(str_of(err.text), "not a usable URL: "));
        if (strstr(err.text, bad[i].why) == NULL) {
            fail_msg("\"%s\": %s", bad[i].text, err.text);
        }
        assert_null(strstr(err.text, "password"));
    }
    struct http_url url;
    assert_false(http_url_parse(STR_NONE, &url, NULL));
    assert_false(http_url_parse(STR("https://a\0b"), &url, NULL));
}

static void holds_the_longest_path(void **state) {
    (void)state;
    static const char start[] = "https://a/";
    char text[sizeof start + HTTP_URL_PATH_MAX];
    memset(text, 'x', sizeof text);
    memcpy(text, start, sizeof start - 1);
    size_t front = sizeof start - 2; /* of the path */
    struct http_url url;
    struct err err = ERR_NONE;
    assert_true(http_url_parse(str_make(text, front + HTTP_URL_PATH_MAX - 1), &url, &err));
    assert_int_equal(strlen(url.path), HTTP_URL_PATH_MAX - 1);
    assert_false(http_url_parse(str_make(text, front + HTTP_URL_PATH_MAX), &url, &err));
    assert_non_null(strstr(err.text, "too long"));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(host_port_reads_and_writes),  cmocka_unit_test(host_port_refuses),
        cmocka_unit_test(host_port_holds_the_longest), cmocka_unit_test(reads_urls),
        cmocka_unit_test(says_what_is_wrong),          cmocka_unit_test(holds_the_longest_path),
    };
    return cmocka_run_group_tests_name("http_url", tests, NULL, NULL);
}
