#include "unit/cmocka_all.h"

#include "pulsar/auth.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

static void check_token(const char *plugin, const char *params, const char *token) {
    struct auth auth;
    struct err err = ERR_NONE;
    assert_true(auth_init(&auth, str_of(plugin), str_of(params), &err));
    assert_string_equal(auth_method(&auth), token != NULL ? "token" : "none");
    struct buf data;
    buf_init(&data, AUTH_TOKEN_MAX);
    assert_true(auth_data(&auth, &data, &err));
    assert_string_equal(buf_text(&data), token != NULL ? token : "");
    auth_wipe(&data);
    auth_done(&auth);
}

static void plugins_and_params(void **state) {
    (void)state;
    static const char *const java = "org.apache.pulsar.client.impl.auth.AuthenticationToken";
    assert_int_equal(setenv("D2P_TEST_TOKEN", " from.env\n", 1), 0);
    check_token("", "", NULL);
    check_token(" ", " \n", NULL);
    check_token("token", "token:abc.def", "abc.def");
    check_token("token", "abc.def", "abc.def");
    check_token("token", "token:abc.def\n", "abc.def");
    check_token(java, "token: abc", "abc");
    check_token("AuthenticationToken", "env:D2P_TEST_TOKEN", "from.env");
}

static void token_files(void **state) {
    (void)state;
    char path[] = "/tmp/d2p_token_XXXXXX";
    int fd = mkstemp(path);
    assert_true(fd >= 0);
    assert_int_equal(write(fd, "first.token\r\n\n", 14), 14);
    char params[64];
    (void)snprintf(params, sizeof params, "file://%s", path);
    check_token("token", params, "first.token");
    (void)snprintf(params, sizeof params, "file:%s", path);
    check_token("token", params, "first.token");

    /* Read anew each time: a rotated token is used. */
    struct auth auth;
    struct err err = ERR_NONE;
    struct buf data;
    buf_init(&data, AUTH_TOKEN_MAX);
    assert_true(auth_init(&auth, STR("token"), str_of(params), &err));
    assert_true(auth_data(&auth, &data, &err));
    assert_int_equal(ftruncate(fd, 0), 0);
    assert_int_equal(pwrite(fd, "second", 6, 0), 6);
    buf_reset(&data);
    assert_true(auth_data(&auth, &data, &err));
    assert_string_equal(buf_text(&data), "second");

    /* Only white space, too long, gone. */
    static char big[AUTH_TOKEN_MAX + 1];
    memset(big, 'x', sizeof big);
    buf_reset(&data);
    assert_int_equal(pwrite(fd, " \n    ", 6, 0), 6);
    assert_false(auth_data(&auth, &data, &err));
    assert_int_equal(err.code, ERR_PULSAR_AUTH);
    assert_int_equal(pwrite(fd, big, sizeof big - 1, 0), (ssize_t)sizeof big - 1);
    assert_true(auth_data(&auth, &data, &err));
    assert_int_equal(data.len, AUTH_TOKEN_MAX);
    buf_reset(&data);
    assert_int_equal(pwrite(fd, big, sizeof big, 0), (ssize_t)sizeof big);
    assert_false(auth_data(&auth, &data, &err));
    assert_int_equal(unlink(path), 0);
    err = ERR_NONE;
    assert_false(auth_data(&auth, &data, &err));
    assert_int_equal(err.code, ERR_PULSAR_AUTH);
    assert_non_null(strstr(err.text, path));
    auth_wipe(&data);
    auth_done(&auth);
    (void)close(fd);
}

static void wrong_settings(void **state) {
    (void)state;
    static const char *const bad[][2] = {
        {"", "token:secret"},
        {"org.apache.pulsar.client.impl.auth.AuthenticationTls", "tlsCertFile:secret"},
        {"basic", "user:secret"},
        {"token", ""},
        {"token", "token:"},
        {"token", "file://"},
        {"token", "env: "},
    };
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        struct auth auth;
        struct err err = ERR_NONE;
        assert_false(auth_init(&auth, str_of(bad[i][0]), str_of(bad[i][1]), &err));
        assert_int_equal(err.code, ERR_CONFIG);
        assert_null(strstr(err.text, "secret"));
        auth_done(&auth);
    }
}

static void missing_variable(void **state) {
    (void)state;
    struct auth auth;
    struct err err = ERR_NONE;
    struct buf data;
    buf_init(&data, AUTH_TOKEN_MAX);
    assert_true(auth_init(&auth, STR("token"), STR("env:D2P_TEST_NOT_SET"), &err));
    assert_false(auth_data(&auth, &data, &err));
    assert_int_equal(err.code, ERR_PULSAR_AUTH);
    assert_non_null(strstr(err.text, "D2P_TEST_NOT_SET"));
    auth_wipe(&data);
    auth_done(&auth);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(plugins_and_params),
        cmocka_unit_test(token_files),
        cmocka_unit_test(wrong_settings),
        cmocka_unit_test(missing_variable),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
