#include "aws/credentials.h"

#include <aws/auth/auth.h>
#include <aws/auth/credentials.h>
#include <aws/common/thread.h>
#include <aws/io/tls_channel_handler.h>

#include <dlfcn.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "cmocka_all.h"
#include "http_script.h"

static struct aws_tls_ctx *tls;

static void assert_key(struct credentials *credentials, const char *expected) {
    struct aws_credentials *keys = credentials_get(credentials);
    assert_non_null(keys);
    struct aws_byte_cursor id = aws_credentials_get_access_key_id(keys);
    assert_int_equal(id.len, strlen(expected));
    assert_memory_equal(id.ptr, expected, id.len);
    aws_credentials_release(keys);
}

static void assert_source(struct credentials *credentials, const char *expected) {
    char source[CREDENTIALS_SOURCE_MAX];
    credentials_source(credentials, source, sizeof source);
    assert_string_equal(source, expected);
}

static void static_keys_are_there_at_once(void **state) {
    (void)state;
    struct credentials_options options = {
        .access_key = STR("AKID"),
        .secret_key = STR("secret"),
        .session_token = STR("token"),
        .tls = tls,
    };
    struct err err = ERR_NONE;
    struct credentials *credentials = credentials_new(&options, &err);
    assert_non_null(credentials);
    assert_true(credentials_wait(credentials, 0, &err));
    assert_key(credentials, "AKID");
    struct aws_credentials *keys = credentials_get(credentials);
    assert_int_equal(aws_credentials_get_session_token(keys).len, 5);
    aws_credentials_release(keys);
    assert_source(credentials, "static keys");
    assert_false(credentials_refresh(credentials)); /* there are no newer ones */
    credentials_free(credentials);
    credentials_free(NULL);
}

static struct credentials *new_chain(void) {
    struct credentials_options options = {.tls = tls};
    struct err err = ERR_NONE;
    struct credentials *credentials = credentials_new(&options, &err);
    assert_non_null(credentials);
    return credentials;
}

static void the_chain_reads_the_environment_and_refreshes(void **state) {
    (void)state;
    setenv("AWS_ACCESS_KEY_ID", "FIRST", 1);
    setenv("AWS_SECRET_ACCESS_KEY", "secret", 1);
    struct credentials *credentials = new_chain();
    struct err err = ERR_NONE;
    assert_true(credentials_wait(credentials, 30000, &err));
    assert_key(credentials, "FIRST");
    assert_source(credentials, "environment variables");

    struct aws_credentials *old = credentials_get(credentials);
    setenv("AWS_ACCESS_KEY_ID", "SECOND", 1);
    assert_true(credentials_refresh(credentials));
    struct aws_credentials *keys = credentials_get(credentials);
    while (keys == old) { /* the test's own time limit ends this if it goes wrong */
        aws_credentials_release(keys);
        usleep(20000);
        keys = credentials_get(credentials);
    }
    aws_credentials_release(keys);
    aws_credentials_release(old);
    assert_key(credentials, "SECOND");

    /* A refresh that fails takes nothing away. */
    unsetenv("AWS_ACCESS_KEY_ID");
    assert_true(credentials_refresh(credentials));
    usleep(1500000);
    assert_key(credentials, "SECOND");
    credentials_free(credentials);
    unsetenv("AWS_SECRET_ACCESS_KEY");
}

static void a_failure_names_what_was_tried(void **state) {
    (void)state;
    setenv("AWS_SECRET_ACCESS_KEY", "very-secret", 1);
    setenv("AWS_PROFILE", "team-a", 1);
    struct credentials *credentials = new_chain();
    struct err err = ERR_NONE;
    assert_false(credentials_wait(credentials, 30000, &err));
    assert_int_equal(err.code, ERR_AWS_NO_CREDENTIALS);
    static const char *const parts[] = {
        "environment variables (AWS_ACCESS_KEY_ID not set, AWS_SECRET_ACCESS_KEY set)",
        "; SSO of profile \"team-a\" (",
        "; profile \"team-a\" (no config and no credentials file)",
        "; web identity (not configured)",
        "; container's endpoint (not configured)",
        "; instance metadata (off by AWS_EC2_METADATA_DISABLED)",
    };
    for (size_t i = 0; i < sizeof parts / sizeof parts[0]; i++) {
        if (strstr(err.text, parts[i]) == NULL) {
            fail_msg("%s is missing in: %s", parts[i], err.text);
        }
    }
    assert_null(strstr(err.text, "very-secret"));
    assert_null(credentials_get(credentials));
    credentials_free(credentials);
    unsetenv("AWS_SECRET_ACCESS_KEY");
    unsetenv("AWS_PROFILE");
}

/* Its command takes 2 s: nobody who looks for keys waits for that, and freeing waits for its end. */
static void a_blocking_provider_blocks_nobody(void **state) {
    (void)state;
    char path[] = "/tmp/d2p_profile_XXXXXX";
    int fd = mkstemp(path);
    assert_true(fd >= 0);
    dprintf(fd, "[default]\ncredential_process = sleep 2\n");
    close(fd);
    setenv("AWS_CONFIG_FILE", path, 1);
    struct credentials *credentials = new_chain();
    struct err err = ERR_NONE;
    assert_false(credentials_wait(credentials, 10, &err));
    assert_int_equal(err.code, ERR_TIMEOUT);
    assert_false(credentials_wait(credentials, 0, &err));
    assert_int_equal(err.code, ERR_TIMEOUT);
    assert_null(credentials_get(credentials));
    credentials_free(credentials);
    setenv("AWS_CONFIG_FILE", "/nonexistent", 1);
    unlink(path);
}

static void a_role_that_cannot_be_assumed_says_so(void **state) {
    (void)state;
    /* Nothing listens there. */
    struct credentials_options options = {
        .access_key = STR("AKID"),
        .secret_key = STR("secret"),
        .role_arn = STR("arn:aws:iam::123456789012:role/reader"),
        .external_id = STR("x"),
        .sts_endpoint = STR("http://127.0.0.1:1"),
        .sts_region = STR("eu-west-1"),
        .tls = tls,
    };
    struct err err = ERR_NONE;
    struct credentials *credentials = credentials_new(&options, &err);
    assert_non_null(credentials);
    assert_source(credentials, "");
    assert_false(credentials_wait(credentials, 60000, &err));
    assert_int_equal(err.code, ERR_AWS_NO_CREDENTIALS);
    assert_non_null(strstr(err.text, "the role arn:aws:iam::123456789012:role/reader cannot be "
                                     "assumed by static keys: cannot reach http://127.0.0.1:1: "));
    assert_null(strstr(err.text, "secret"));
    credentials_free(credentials);

    /* Freed while the service takes its time: nobody waits for that. */
    struct http_script script = {0};
    http_script_add(&script, 200, "", "")->hold = true;
    http_script_start(&script);
    char url[64];
    (void)snprintf(url, sizeof url, "http://127.0.0.1:%u", script.port);
    options.sts_endpoint = str_of(url);
    script.steps[0].reply.len -= 4; /* the end of its head does not come */
    credentials = credentials_new(&options, &err);
    assert_non_null(credentials);
    while (atomic_load(&script.request_count) == 0) { /* the test's own time limit ends this */
        usleep(1000);
    }
    credentials_free(credentials);
    http_script_stop(&script);
}

/* With the plugin of examples/. */
static void a_plugin_gives_keys_and_newer_ones(void **state) {
    (void)state;
    char path[] = "/tmp/d2p_keys_XXXXXX";
    int fd = mkstemp(path);
    assert_true(fd >= 0);
    dprintf(fd, "FIRST\nsecret\ntoken\n");
    struct credentials_options options = {.plugin = STR(TEST_PLUGIN), .plugin_param = str_of(path)};
    struct err err = ERR_NONE;
    struct credentials *credentials = credentials_new(&options, &err);
    if (credentials == NULL) {
        fail_msg("%s", err.text);
    }
    assert_true(credentials_wait(credentials, 30000, &err));
    assert_key(credentials, "FIRST");
    assert_source(credentials, "plugin");
    assert_int_equal(ftruncate(fd, 0), 0);
    assert_int_equal(pwrite(fd, "SECOND\nsecret\n", 14, 0), 14);
    assert_true(credentials_refresh(credentials));
    struct aws_credentials *keys = credentials_get(credentials);
    while (aws_credentials_get_access_key_id(keys).len ==
           5) { /* the test's own time limit ends this */
        aws_credentials_release(keys);
        usleep(20000);
        keys = credentials_get(credentials);
    }
    aws_credentials_release(keys);
    assert_key(credentials, "SECOND");
    credentials_free(credentials);

    assert_int_equal(ftruncate(fd, 3), 0);
    credentials = credentials_new(&options, &err);
    assert_non_null(credentials);
    assert_false(credentials_wait(credentials, 30000, &err));
    assert_non_null(
        strstr(err.text, "credentials_plugin.so has no AWS credentials: /tmp/d2p_keys_"));
    assert_non_null(strstr(err.text, "it has no second line, the secret key"));
    credentials_free(credentials);
    close(fd);
    unlink(path);
}

static void what_is_no_plugin_is_refused(void **state) {
    (void)state;
    static const char *const bad[][2] = {
        {"/nonexistent/keys.so", "awsCredentialPluginName: /nonexistent/keys.so: "},
        {"/proc/self/exe", "awsCredentialPluginName: "},
        {TEST_PLUGIN, "credentials_plugin.so: awsCredentialPluginParam: it must be the path of a "
                      "file with keys"},
    };
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        struct credentials_options options = {.plugin = str_of(bad[i][0])};
        struct err err = ERR_NONE;
        assert_null(credentials_new(&options, &err));
        assert_int_equal(err.code, ERR_CONFIG);
        if (strstr(err.text, bad[i][1]) == NULL) {
            fail_msg("%s", err.text);
        }
    }
}

/* The path of the C library, which is a shared object, but no plugin. */
static const char *libc_path(void) {
    Dl_info info;
    void *symbol = dlsym(RTLD_DEFAULT, "malloc_usable_size");
    assert_non_null(symbol);
    assert_int_not_equal(dladdr(symbol, &info), 0);
    return info.dli_fname;
}

static void assert_plugin_refused(const char *path, const char *text) {
    struct credentials_options options = {.plugin = str_of(path)};
    struct err err = ERR_NONE;
    struct credentials *credentials = credentials_new(&options, &err);
    if (credentials != NULL) {
        assert_false(credentials_wait(credentials, 30000, &err));
        assert_int_equal(err.code, ERR_AWS_NO_CREDENTIALS);
    } else {
        assert_int_equal(err.code, ERR_CONFIG);
    }
    credentials_free(credentials);
    if (strstr(err.text, path) == NULL || strstr(err.text, text) == NULL) {
        fail_msg("%s", err.text);
    }
}

static void what_plugins_do_wrong_is_said(void **state) {
    (void)state;
    static const char *const faults[][2] = {
        {"give nothing", "bad_plugin.so gives no functions"},
        {"be newer", "bad_plugin.so is of version 2; this program knows 1"},
        {"say nothing", "bad_plugin.so: it gives no reason"},
        {"babble", "bad_plugin.so: xxx"},
        {"empty keys", "bad_plugin.so gave empty keys"},
        {"no keys", "bad_plugin.so has no AWS credentials: it gave no keys"},
    };
    for (size_t i = 0; i < sizeof faults / sizeof faults[0]; i++) {
        setenv("BAD_PLUGIN", faults[i][0], 1);
        assert_plugin_refused(TEST_BAD_PLUGIN, faults[i][1]);
    }
    unsetenv("BAD_PLUGIN");
#ifndef __SANITIZE_ADDRESS__ /* which has that function itself */
    assert_plugin_refused(libc_path(), "has no function d2p_credentials_plugin");
#else
    (void)libc_path;
#endif
}

static void lifetimes(void **state) {
    (void)state;
    const uint64_t now = 1700000000;
    assert_int_equal(credentials_lifetime_ms(now, UINT64_MAX), 15 * 60 * 1000);
    assert_int_equal(credentials_lifetime_ms(now, now + 3600), (3600 - 600) * 1000);
    assert_int_equal(credentials_lifetime_ms(now, now + 1201), 601 * 1000);
    assert_int_equal(credentials_lifetime_ms(now, now + 1200), 600 * 1000);
    assert_int_equal(credentials_lifetime_ms(now, now + 10), 5000);
    assert_int_equal(credentials_lifetime_ms(now, now + 1), 1000); /* never in a hurry */
    assert_int_equal(credentials_lifetime_ms(now, now), 1000);
    assert_int_equal(credentials_lifetime_ms(now, 0), 1000);
}

static int setup(void **state) {
    (void)state;
    static const char *const unset[] = {
        "AWS_ACCESS_KEY_ID",
        "AWS_SECRET_ACCESS_KEY",
        "AWS_SESSION_TOKEN",
        "AWS_PROFILE",
        "AWS_WEB_IDENTITY_TOKEN_FILE",
        "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI",
        "AWS_CONTAINER_CREDENTIALS_FULL_URI",
    };
    for (size_t i = 0; i < sizeof unset / sizeof unset[0]; i++) {
        unsetenv(unset[i]);
    }
    setenv("AWS_CONFIG_FILE", "/nonexistent", 1);
    setenv("AWS_SHARED_CREDENTIALS_FILE", "/nonexistent", 1);
    setenv("AWS_EC2_METADATA_DISABLED", "true", 1);
    aws_auth_library_init(aws_default_allocator());
    struct aws_tls_ctx_options options;
    aws_tls_ctx_options_init_default_client(&options, aws_default_allocator());
    tls = aws_tls_client_ctx_new(aws_default_allocator(), &options);
    aws_tls_ctx_options_clean_up(&options);
    return tls != NULL ? 0 : -1;
}

static int teardown(void **state) {
    (void)state;
    aws_tls_ctx_release(tls);
    aws_thread_join_all_managed();
    aws_auth_library_clean_up();
    return 0;
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(static_keys_are_there_at_once),
        cmocka_unit_test(the_chain_reads_the_environment_and_refreshes),
        cmocka_unit_test(a_failure_names_what_was_tried),
        cmocka_unit_test(a_blocking_provider_blocks_nobody),
        cmocka_unit_test(a_role_that_cannot_be_assumed_says_so),
        cmocka_unit_test(a_plugin_gives_keys_and_newer_ones),
        cmocka_unit_test(what_is_no_plugin_is_refused),
        cmocka_unit_test(what_plugins_do_wrong_is_said),
        cmocka_unit_test(lifetimes),
    };
    return cmocka_run_group_tests_name("credentials", tests, setup, teardown);
}
