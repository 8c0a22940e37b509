/* Who we are to a broker: each name of a method, each form of its parameters, and what is said when
 * they are wrong. OAuth2's tokens are test_oauth2.c's. */
#include "unit/cmocka_all.h"

#include "pulsar/auth.h"
#include "pulsar/http_call.h"
#include "pulsar/oauth2_key.h"
#include "pulsar/secret.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#define JAVA "org.apache.pulsar.client.impl.auth."
#define ISSUER "\"issuerUrl\":\"https://issuer.example\""
/* {"client_id":"i","client_secret":"secret"} */
#define KEY_URL                                                                                    \
    "data:application/json;base64,eyJjbGllbnRfaWQiOiJpIiwiY2xpZW50X3NlY3JldCI6InNlY3JldCJ9"

static struct auth *auth_of(const char *plugin, const char *params) {
    struct err err = ERR_NONE;
    struct auth_options options = {.plugin = str_of(plugin), .params = str_of(params)};
    struct auth *auth = auth_new(NULL, &options, &err);
    assert_string_equal(err.text, "");
    assert_non_null(auth);
    return auth;
}

static void check_data(const char *plugin, const char *params, const char *method,
                       const char *expected) {
    struct auth *auth = auth_of(plugin, params);
    assert_string_equal(auth_method(auth), method);
    struct err err = ERR_NONE;
    struct auth_request request = {.auth = NULL};
    struct buf data;
    buf_init(&data, AUTH_TOKEN_MAX);
    assert_int_equal(auth_get(auth, &request, false, &data, &err), AUTH_GIVEN);
    assert_string_equal(buf_text(&data), expected);
    secret_wipe(&data);
    auth_free(auth);
}

static void nobody(void **state) {
    (void)state;
    static const char *const names[] = {
        "", " ", "none", "disabled", "AuthenticationDisabled", JAVA "AuthenticationDisabled", "\n",
    };
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        check_data(names[i], " \n", "none", "");
    }
}

static void tokens(void **state) {
    (void)state;
    assert_int_equal(setenv("D2P_TEST_TOKEN", " from.env\n", 1), 0);
    check_data("token", "token:abc.def", "token", "abc.def");
    check_data("token", "abc.def", "token", "abc.def");
    check_data("token", "token:abc.def\n", "token", "abc.def");
    check_data("token", "{\"token\":\"abc.def\"}", "token", "abc.def");
    check_data(JAVA "AuthenticationToken", "token: abc", "token", "abc");
    check_data("AuthenticationToken", "env:D2P_TEST_TOKEN", "token", "from.env");
}

static void users(void **state) {
    (void)state;
    static const char *const names[] = {"basic", "AuthenticationBasic", JAVA "AuthenticationBasic"};
    static const char *const params[] = {
        "{\"userId\":\"u\",\"password\":\"p\"}",
        "{\"password\":\"p\", \"username\":\"u\"}",
        "{\"user_id\":\"u\",\"password\":\"p\"}",
        "userId:u,password:p",
        "password:p, username:u",
        "u:p",
        " u:p\n",
    };
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        for (size_t j = 0; j < sizeof params / sizeof params[0]; j++) {
            check_data(names[i], params[j], "basic", "u:p");
        }
    }
    check_data("basic", "u:p:q,r", "basic", "u:p:q,r");
    check_data("basic", "{\"userId\":\"u\",\"password\":\"p,q:r\"}", "basic", "u:p,q:r");
    check_data("basic", "userId:u,password:p:q", "basic", "u:p:q");
}

static void certificates(void **state) {
    (void)state;
    static const char *const names[] = {"tls", "AuthenticationTls", JAVA "AuthenticationTls"};
    static const char *const params[] = {
        "tlsCertFile:/c.pem,tlsKeyFile:/k.pem",
        "tlsKeyFile:/k.pem, tlsCertFile:/c.pem",
        "tls_cert_file:/c.pem,tls_key_file:/k.pem",
        "{\"tlsCertFile\":\"/c.pem\",\"tlsKeyFile\":\"/k.pem\"}",
        "{\"tls_cert_file\":\"/c.pem\",\"tls_key_file\":\"/k.pem\"}",
    };
    const char *certificate;
    const char *key;
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        for (size_t j = 0; j < sizeof params / sizeof params[0]; j++) {
            check_data(names[i], params[j], "tls", "");
            struct auth *auth = auth_of(names[i], params[j]);
            auth_tls_files(auth, &certificate, &key);
            assert_string_equal(certificate, "/c.pem");
            assert_string_equal(key, "/k.pem");
            auth_free(auth);
        }
    }
    struct auth *auth = auth_of("token", "t");
    auth_tls_files(auth, &certificate, &key);
    assert_null(certificate);
    assert_null(key);
    auth_free(auth);
}

static void issuers(void **state) {
    (void)state;
    static const char *const names[] = {"oauth2", "AuthenticationOAuth2",
                                        JAVA "oauth2.AuthenticationOAuth2"};
    static const char *const params[] = {
        "{" ISSUER ",\"privateKey\":\"/k\",\"audience\":\"a\",\"scope\":\"s\","
        "\"type\":\"client_credentials\",\"trustCertsFilePath\":\"/ca\"}",
        "{\"issuer_url\":\"https://issuer.example\",\"private_key\":\"/k\",\"audience\":\"a\","
        "\"scope\":\"s\",\"trust_certs_file_path\":\"/ca\"}",
    };
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        for (size_t j = 0; j < sizeof params / sizeof params[0]; j++) {
            struct auth_params parsed;
            enum auth_fault fault;
            struct err err = ERR_NONE;
            assert_true(
                auth_params_parse(str_of(names[i]), str_of(params[j]), &parsed, &fault, &err));
            assert_int_equal(parsed.kind, AUTH_OAUTH2);
            assert_string_equal(parsed.oauth2.issuer_url, "https://issuer.example");
            assert_string_equal(parsed.oauth2.private_key, "/k");
            assert_string_equal(parsed.oauth2.audience, "a");
            assert_string_equal(parsed.oauth2.scope, "s");
            assert_string_equal(parsed.oauth2.trust_certs_file, "/ca");
            auth_params_done(&parsed);
        }
    }
    static const char *const keys[] = {"k", "/k", "file:/k", "file:///k", KEY_URL};
    for (size_t i = 0; i < sizeof keys / sizeof keys[0]; i++) {
        char text[256];
        enum auth_fault fault;
        struct err err = ERR_NONE;
        (void)snprintf(text, sizeof text, "{" ISSUER ",\"privateKey\":\"%s\"}", keys[i]);
        assert_true(auth_params_check(STR("oauth2"), str_of(text), false, &fault, &err));
    }
}

/* What is wrong, which of the two texts it is about, and a piece of the message. */
static void wrong_settings(void **state) {
    (void)state;
    static const struct {
        const char *plugin;
        const char *params;
        enum auth_fault fault;
        const char *text;
    } bad[] = {
        {"", "token:s3cret", AUTH_FAULT_PARAMS, "it needs an authPlugin"},
        {"none", "s3cret", AUTH_FAULT_PARAMS, "it needs an authPlugin"},
        {"Token", "s3cret", AUTH_FAULT_PLUGIN, "allowed: nothing, none, token, basic, tls, oauth2"},
        {"com.example.AuthenticationToken", "s3cret", AUTH_FAULT_PLUGIN, "known here"},
        {JAVA "AuthenticationSasl", "s3cret", AUTH_FAULT_PLUGIN, "known here"},
        {"token", "", AUTH_FAULT_PLUGIN, "it needs authParams; allowed there: token:<token>"},
        {"basic", "", AUTH_FAULT_PLUGIN, "or user:password"},
        {"tls", " ", AUTH_FAULT_PLUGIN, "tlsCertFile:/path,tlsKeyFile:/path"},
        {"oauth2", "", AUTH_FAULT_PLUGIN, "\"issuerUrl\""},
        {"token", "token:", AUTH_FAULT_PARAMS, "it names no token"},
        {"token", "file://", AUTH_FAULT_PARAMS, "it names no token"},
        {"token", "env: ", AUTH_FAULT_PARAMS, "it names no token"},
        {"token", "{\"token\":\"\"}", AUTH_FAULT_PARAMS, "\"token\" is empty"},
        {"token", "{\"tokn\":\"s3cret\"}", AUTH_FAULT_PARAMS,
         "\"tokn\" is not known here; known are token"},
        {"token", "{\"token\":\"s3cret\"", AUTH_FAULT_PARAMS, "looks like a JSON object"},
        {"basic", "s3cret", AUTH_FAULT_PARAMS, "it names no user and password"},
        {"basic", ":s3cret", AUTH_FAULT_PARAMS, "it names no user and password"},
        {"basic", "s3cret:", AUTH_FAULT_PARAMS, "it names no user and password"},
        {"basic", "userId:u", AUTH_FAULT_PARAMS, "\"password\" is missing"},
        {"basic", "password:s3cret", AUTH_FAULT_PARAMS, "\"userId\" is missing"},
        {"basic", "userId:u,password:a,s3cret", AUTH_FAULT_PARAMS,
         "one of its names (a value with a comma in it needs the JSON form) is not known here; "
         "known are userId and password"},
        {"basic", "userId:u,password:a,s3cret:b", AUTH_FAULT_PARAMS, "is not known here"},
        {"basic", "userId:u,password:", AUTH_FAULT_PARAMS, "\"password\" is empty"},
        {"basic", "userId:u,userId:v,password:s3cret", AUTH_FAULT_PARAMS,
         "\"userId\" is given twice"},
        {"basic", "{\"userId\":\"u\",\"password\":7}", AUTH_FAULT_PARAMS,
         "\"password\" must be a text in quotes"},
        {"basic", "{\"userId\":\"u:v\",\"password\":\"s3cret\"}", AUTH_FAULT_PARAMS, "a colon"},
        {"basic", "{\"userId\":\"u\",\"pass word s3cret\":\"x\"}", AUTH_FAULT_PARAMS,
         "one of its names is not known here"},
        {"tls", "tlsCertFile:/c", AUTH_FAULT_PARAMS, "\"tlsKeyFile\" is missing"},
        {"tls", "{\"tlsKeyFile\":\"/k\"}", AUTH_FAULT_PARAMS, "\"tlsCertFile\" is missing"},
        {"tls", "/s3cret", AUTH_FAULT_PARAMS, "known are tlsCertFile and tlsKeyFile"},
        {"oauth2", "s3cret", AUTH_FAULT_PARAMS, "not a JSON object"},
        {"oauth2", "{" ISSUER "}", AUTH_FAULT_PARAMS, "\"privateKey\" is missing"},
        {"oauth2", "{\"privateKey\":\"/k\"}", AUTH_FAULT_PARAMS, "\"issuerUrl\" is missing"},
        {"oauth2", "{\"privateKey\":\"/k\",\"issuerUrl\":\"issuer\"}", AUTH_FAULT_PARAMS,
         "\"issuerUrl\": not a usable URL"},
        {"oauth2", "{\"privateKey\":\"/k\",\"issuerUrl\":\"ftp://issuer\"}", AUTH_FAULT_PARAMS,
         "\"issuerUrl\": not a usable URL"},
        {"oauth2", "{\"privateKey\":\"/k\",\"issuerUrl\":\"https://me:s3cret@issuer\"}",
         AUTH_FAULT_PARAMS, "\"issuerUrl\": not a usable URL"},
        {"oauth2", "{\"privateKey\":\"/k\",\"issuerUrl\":\"https://issuer/?s3cret\"}",
         AUTH_FAULT_PARAMS, "\"issuerUrl\" must be without a query"},
        {"oauth2", "{" ISSUER ",\"privateKey\":\"https://x/s3cret\"}", AUTH_FAULT_PARAMS,
         "\"privateKey\": must be a path, file:///path or data:"},
        {"oauth2", "{" ISSUER ",\"privateKey\":\"file://\"}", AUTH_FAULT_PARAMS,
         "\"privateKey\": must be a path"},
        {"oauth2", "{" ISSUER ",\"privateKey\":\"data:application/json,s3cret\"}",
         AUTH_FAULT_PARAMS, "\"privateKey\": a data: URL must begin with"},
        {"oauth2", "{" ISSUER ",\"privateKey\":\"data:application/json;base64,?s3cret?\"}",
         AUTH_FAULT_PARAMS, "\"privateKey\": the data: URL is not base64"},
        {"oauth2", "{" ISSUER ",\"privateKey\":\"data:application/json;base64,\"}",
         AUTH_FAULT_PARAMS, "\"privateKey\": the data: URL is not base64, empty"},
        /* "s3cret" and {"client_id":"i"} */
        {"oauth2", "{" ISSUER ",\"privateKey\":\"data:application/json;base64,czNjcmV0\"}",
         AUTH_FAULT_PARAMS, "\"privateKey\": the data: URL is not a JSON object"},
        {"oauth2",
         "{" ISSUER ",\"privateKey\":\"data:application/json;base64,eyJjbGllbnRfaWQiOiJpIn0=\"}",
         AUTH_FAULT_PARAMS, "\"privateKey\": the data: URL has no \"client_secret\""},
        {"oauth2", "{" ISSUER ",\"privateKey\":\"/k\",\"type\":\"s3cret\"}", AUTH_FAULT_PARAMS,
         "\"type\" must be client_credentials"},
        {"oauth2", "{" ISSUER ",\"privateKey\":\"/k\",\"audiance\":\"s3cret\"}", AUTH_FAULT_PARAMS,
         "\"audiance\" is not known here; known are issuerUrl, privateKey, audience, scope, "
         "trustCertsFilePath and type"},
    };
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        enum auth_fault fault = (enum auth_fault) - 1;
        struct err err = ERR_NONE;
        assert_false(
            auth_params_check(str_of(bad[i].plugin), str_of(bad[i].params), true, &fault, &err));
        assert_int_equal(err.code, ERR_CONFIG);
        assert_int_equal(err.class, ERR_CLASS_FATAL);
        assert_int_equal(fault, bad[i].fault);
        if (strstr(err.text, bad[i].text) == NULL) {
            fail_msg("\"%s\" should say \"%s\"", err.text, bad[i].text);
        }
        assert_null(strstr(err.text, "s3cret"));
        struct auth_options options = {.plugin = str_of(bad[i].plugin),
                                       .params = str_of(bad[i].params)};
        assert_null(auth_new(NULL, &options, &err));
        assert_true(str_starts(str_of(err.text),
                               fault == AUTH_FAULT_PLUGIN ? "authPlugin: " : "authParams: "));
    }
    /* Too long. */
    static char big[AUTH_TOKEN_MAX + 64];
    memset(big, 'x', sizeof big - 1);
    static const char *const plugins[] = {"token", "basic"};
    memcpy(big, "user:", 5);
    for (size_t i = 0; i < 2; i++) {
        enum auth_fault fault;
        struct err err = ERR_NONE;
        assert_false(auth_params_check(str_of(plugins[i]), str_of(big), true, &fault, &err));
        assert_int_equal(err.code, ERR_CONFIG);
        assert_null(strstr(err.text, "xxx"));
    }
}

/* ---- Files and variables. */

struct token_file {
    char path[32];
    char params[64];
    int fd;
};

static void file_open(struct token_file *file) {
    *file = (struct token_file){.path = "/tmp/d2p_token_XXXXXX"};
    file->fd = mkstemp(file->path);
    assert_true(file->fd >= 0);
    (void)snprintf(file->params, sizeof file->params, "file://%s", file->path);
}

static void file_write(const struct token_file *file, const char *text, size_t len) {
    assert_int_equal(ftruncate(file->fd, 0), 0);
    assert_int_equal(pwrite(file->fd, text, len, 0), (ssize_t)len);
}

static void file_close(const struct token_file *file) {
    (void)close(file->fd);
    (void)unlink(file->path);
}

static void token_files(void **state) {
    (void)state;
    struct token_file file;
    file_open(&file);
    file_write(&file, "first.token\r\n\n", 14);
    check_data("token", file.params, "token", "first.token");
    char params[64];
    (void)snprintf(params, sizeof params, "file:%s", file.path);
    check_data("token", params, "token", "first.token");

    /* Read anew each time: a rotated token is used. */
    struct auth *auth = auth_of("token", file.params);
    struct auth_request request = {.auth = NULL};
    struct err err = ERR_NONE;
    struct buf data;
    buf_init(&data, AUTH_TOKEN_MAX);
    assert_int_equal(auth_get(auth, &request, false, &data, &err), AUTH_GIVEN);
    file_write(&file, "second", 6);
    buf_reset(&data);
    assert_int_equal(auth_get(auth, &request, true, &data, &err), AUTH_GIVEN);
    assert_string_equal(buf_text(&data), "second");

    /* Only white space, as long as can be, too long, gone. */
    static char big[AUTH_TOKEN_MAX + 1];
    memset(big, 'x', sizeof big);
    buf_reset(&data);
    file_write(&file, " \n    ", 6);
    assert_int_equal(auth_get(auth, &request, false, &data, &err), AUTH_FAILED);
    assert_int_equal(err.code, ERR_PULSAR_AUTH);
    assert_non_null(strstr(err.text, "is empty"));
    file_write(&file, big, sizeof big - 1);
    assert_int_equal(auth_get(auth, &request, false, &data, &err), AUTH_GIVEN);
    assert_int_equal(data.len, AUTH_TOKEN_MAX);
    buf_reset(&data);
    file_write(&file, big, sizeof big);
    assert_int_equal(auth_get(auth, &request, false, &data, &err), AUTH_FAILED);
    assert_non_null(strstr(err.text, "longer than 32768 bytes"));
    file_close(&file);
    err = ERR_NONE;
    assert_int_equal(auth_get(auth, &request, false, &data, &err), AUTH_FAILED);
    assert_int_equal(err.code, ERR_PULSAR_AUTH);
    assert_non_null(strstr(err.text, file.path));
    secret_wipe(&data);
    auth_free(auth);
}

static void missing_variable(void **state) {
    (void)state;
    struct auth *auth = auth_of("token", "env:D2P_TEST_NOT_SET");
    struct auth_request request = {.auth = NULL};
    struct err err = ERR_NONE;
    struct buf data;
    buf_init(&data, AUTH_TOKEN_MAX);
    assert_int_equal(auth_get(auth, &request, false, &data, &err), AUTH_FAILED);
    assert_int_equal(err.code, ERR_PULSAR_AUTH);
    assert_non_null(strstr(err.text, "D2P_TEST_NOT_SET"));
    secret_wipe(&data);
    auth_free(auth);
}

static void show(struct auth *auth, struct auth_request *request) {
    struct err err = ERR_NONE;
    struct buf data;
    buf_init(&data, AUTH_TOKEN_MAX);
    assert_int_equal(auth_get(auth, request, false, &data, &err), AUTH_GIVEN);
    secret_wipe(&data);
}

/* Once more makes sense if the file says something else now. */
static void refused_then_replaced(void **state) {
    (void)state;
    struct token_file file;
    file_open(&file);
    file_write(&file, "first", 5);
    struct auth *auth = auth_of("token", file.params);
    struct auth_request request = {.auth = NULL};
    assert_false(auth_may_retry(auth)); /* nothing was refused */
    show(auth, &request);
    auth_refused(auth, &request);
    assert_false(auth_may_retry(auth));
    file_write(&file, "first\n", 6);
    assert_false(auth_may_retry(auth));
    file_write(&file, "second", 6);
    assert_true(auth_may_retry(auth));
    show(auth, &request);
    auth_refused(auth, &request);
    assert_false(auth_may_retry(auth));
    auth_accepted(auth);
    assert_false(auth_may_retry(auth));
    file_close(&file);
    auth_free(auth);

    auth = auth_of("token", "constant");
    show(auth, &request);
    auth_refused(auth, &request);
    assert_false(auth_may_retry(auth));
    auth_free(auth);
}

/* ---- The parts of OAuth2 that need no server. */

static void key_files(void **state) {
    (void)state;
    static const char text[] = "{\"type\":\"client_credentials\",\"client_id\":\"an id\","
                               "\"client_secret\":\"a secret\",\"issuer_url\":\"https://i\"}\n";
    struct token_file file;
    file_open(&file);
    file_write(&file, text, sizeof text - 1);
    const char *const places[] = {file.path, file.params};
    struct oauth2_key key;
    struct err err = ERR_NONE;
    for (size_t i = 0; i < 2; i++) {
        assert_true(oauth2_key_read(places[i], &key, &err));
        assert_string_equal(key.client_id, "an id");
        assert_string_equal(key.client_secret, "a secret");
        oauth2_key_done(&key);
    }
    assert_true(oauth2_key_read(KEY_URL, &key, &err));
    assert_string_equal(key.client_id, "i");
    assert_string_equal(key.client_secret, "secret");
    oauth2_key_done(&key);

    static const char *const bad[] = {"secret", "{\"client_id\":\"i\",\"client_secret\":7}",
                                      "{\"client_secret\":\"secret\"}", "[\"secret\"]", " "};
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        file_write(&file, bad[i], strlen(bad[i]));
        assert_false(oauth2_key_read(file.path, &key, &err));
        oauth2_key_done(&key);
        assert_int_equal(err.code, ERR_PULSAR_AUTH);
        assert_non_null(strstr(err.text, "key file"));
        assert_null(strstr(err.text, "\"secret\""));
    }
    file_close(&file);
    assert_false(oauth2_key_read(file.path, &key, &err));
    oauth2_key_done(&key);
    assert_int_equal(err.code, ERR_PULSAR_AUTH);
    assert_non_null(strstr(err.text, file.path));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(nobody),
        cmocka_unit_test(tokens),
        cmocka_unit_test(users),
        cmocka_unit_test(certificates),
        cmocka_unit_test(issuers),
        cmocka_unit_test(wrong_settings),
        cmocka_unit_test(token_files),
        cmocka_unit_test(missing_variable),
        cmocka_unit_test(refused_then_replaced),
        cmocka_unit_test(key_files),
    };
    return cmocka_run_group_tests_name("auth", tests, NULL, NULL);
}
