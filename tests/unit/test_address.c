#include "unit/cmocka_all.h"

#include "pulsar/address.h"

enum { MAX = 3 };

static void hosts_and_ports(void **state) {
    (void)state;
    static const struct {
        const char *url;
        const char *texts[MAX];
        size_t count;
    } known[] = {
        {"pulsar://localhost", {"localhost:6650"}, 1},
        {"pulsar://localhost:6650/", {"localhost:6650"}, 1},
        {"pulsar://a:1,b:65535", {"a:1", "b:65535"}, 2},
        {"pulsar://a, b ,c:7", {"a:6650", "b:6650", "c:7"}, 3},
        {"pulsar://[::1]", {"[::1]:6650"}, 1},
        {"pulsar+ssl://a,b:7/", {"a:6651", "b:7"}, 2},
        {"pulsar+ssl://[::1]", {"[::1]:6651"}, 1},
        {"pulsar://[fe80::2]:99,10.0.0.1:98", {"[fe80::2]:99", "10.0.0.1:98"}, 2},
    };
    for (size_t i = 0; i < sizeof known / sizeof known[0]; i++) {
        struct address addresses[MAX];
        size_t count;
        struct err err = ERR_NONE;
        bool tls;
        assert_true(address_parse_url(str_of(known[i].url), addresses, MAX, &count, &tls, &err));
        assert_int_equal(tls, str_starts(str_of(known[i].url), "pulsar+ssl:"));
        assert_int_equal(count, known[i].count);
        for (size_t j = 0; j < count; j++) {
            assert_string_equal(address_text(&addresses[j]).text, known[i].texts[j]);
        }
    }
}

static void wrong_urls(void **state) {
    (void)state;
    static const char *const bad[] = {
        "",
        "localhost:6650",
        "http://localhost:8080",
        "pulsar://",
        "pulsar:///",
        "pulsar://,",
        "pulsar://a,,b",
        "pulsar://a:",
        "pulsar://a:0",
        "pulsar://a:65536",
        "pulsar://a:6650x",
        "pulsar://a:-1",
        "pulsar://:6650",
        "pulsar://[::1",
        "pulsar://[::1]x",
        "pulsar://[]:1",
        "pulsar://user@host",
        "pulsar://host/path",
        "pulsar://a b",
        "pulsar://a,b,c,d",
        "pulsar+ssl://",
        "pulsar+ssl://a/b",
        "pulsar+ssl:a:6651",
        "pulsar+tls://a:6651",
    };
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        struct address addresses[MAX];
        size_t count;
        struct err err = ERR_NONE;
        bool tls;
        assert_false(address_parse_url(str_of(bad[i]), addresses, MAX, &count, &tls, &err));
        assert_int_equal(err.code, ERR_CONFIG);
    }
}

static void both_schemes_are_named(void **state) {
    (void)state;
    struct address address;
    size_t count;
    struct err err = ERR_NONE;
    bool tls = false;
    assert_false(address_parse_url(STR("https://a"), &address, 1, &count, &tls, &err));
    assert_non_null(strstr(err.text, "pulsar+ssl://"));
    assert_non_null(strstr(err.text, "pulsar://"));
}

static void host_length(void **state) {
    (void)state;
    char url[9 + HOST_PORT_HOST_MAX] = "pulsar://";
    memset(url + 9, 'h', HOST_PORT_HOST_MAX);
    struct address address;
    size_t count;
    struct err err = ERR_NONE;
    bool tls;
    assert_true(address_parse_url(str_make(url, 9 + HOST_PORT_HOST_MAX - 1), &address, 1, &count,
                                  &tls, &err));
    assert_int_equal(strlen(address.host), HOST_PORT_HOST_MAX - 1);
    assert_false(
        address_parse_url(str_make(url, 9 + HOST_PORT_HOST_MAX), &address, 1, &count, &tls, &err));
}

static void equality(void **state) {
    (void)state;
    struct address a = {.host = "a", .port = 1};
    struct address same = {.host = "a", .port = 1};
    struct address other_port = {.host = "a", .port = 2};
    struct address other_host = {.host = "ab", .port = 1};
    assert_true(address_equal(&a, &same));
    assert_false(address_equal(&a, &other_port));
    assert_false(address_equal(&a, &other_host));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(hosts_and_ports),
        cmocka_unit_test(wrong_urls),
        cmocka_unit_test(both_schemes_are_named),
        cmocka_unit_test(host_length),
        cmocka_unit_test(equality),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
