/* A role's keys, from a service that plays a script. */
#include "unit/cmocka_all.h"

#include "aws/credentials.h"
#include "aws/sts.h"
#include "http_script.h"

#include <aws/auth/auth.h>
#include <aws/auth/credentials.h>
#include <aws/common/thread.h>

#include <pthread.h>
#include <stdio.h>
#include <time.h>

#define REPLY                                                                                      \
    "<?xml version=\"1.0\"?>\n"                                                                    \
    "<AssumeRoleResponse xmlns=\"https://sts.amazonaws.com/doc/2011-06-15/\">\n"                   \
    "  <AssumeRoleResult>\n    <AssumedRoleUser><Arn>arn</Arn></AssumedRoleUser>\n"                \
    "    <Credentials>\n      <AccessKeyId>ROLE</AccessKeyId>\n"                                   \
    "      <SecretAccessKey>sec/ret+=</SecretAccessKey><SessionToken>to&amp;ken</SessionToken>\n"  \
    "      <Expiration>2033-05-18T03:33:20Z</Expiration>\n"                                        \
    "    </Credentials>\n  </AssumeRoleResult>\n</AssumeRoleResponse>\n"
#define FORM                                                                                       \
    "\r\n\r\nAction=AssumeRole&Version=2011-06-15&RoleArn=arn%3Aaws%3Aiam%3A%3A1%3Arole%2Fr&"      \
    "RoleSessionName=s&DurationSeconds=3600"
#define DENIED                                                                                     \
    "<ErrorResponse><Error><Type>Sender</Type><Code>AccessDenied</Code><Message>You &lt;are&gt; "  \
    "not authorized</Message></Error><RequestId>r</RequestId></ErrorResponse>"

enum { PATIENCE_S = 30 };

/* The lane's thread writes, the test waits. */
struct rig {
    struct http_script script;
    struct lane *lane;
    struct credentials *credentials;
    struct sts_options options;
    struct sts *sts;
    struct lane_message message;
    pthread_mutex_t lock;
    pthread_cond_t changed;
    int told;
    struct err err;
    char keys[3][64]; /* access key, secret key, session token */
    uint64_t expiry_s;
};

static void copy(struct aws_byte_cursor from, char to[64]) {
    assert_true(str_copy(str_make((const char *)from.ptr, from.len), to, 64));
}

static void take_keys(struct rig *rig, const struct aws_credentials *keys) {
    copy(aws_credentials_get_access_key_id(keys), rig->keys[0]);
    copy(aws_credentials_get_secret_access_key(keys), rig->keys[1]);
    copy(aws_credentials_get_session_token(keys), rig->keys[2]);
    rig->expiry_s = aws_credentials_get_expiration_timepoint_seconds(keys);
}

static void tell(struct rig *rig) {
    (void)pthread_mutex_lock(&rig->lock);
    rig->told++;
    (void)pthread_cond_signal(&rig->changed);
    (void)pthread_mutex_unlock(&rig->lock);
}

static void on_done(void *ctx, const struct err *err, struct aws_credentials *keys) {
    struct rig *rig = ctx;
    if (err != NULL) {
        rig->err = *err;
    } else {
        take_keys(rig, keys);
    }
    tell(rig);
}

static void start(void *ctx) {
    struct rig *rig = ctx;
    rig->sts = sts_assume_role(rig->lane, &rig->options, on_done, rig, &rig->err);
    if (rig->sts == NULL) {
        tell(rig);
    }
}

static void start_and_cancel(void *ctx) {
    struct rig *rig = ctx;
    start(rig);
    sts_cancel(rig->sts);
    sts_cancel(rig->sts); /* does no more */
}

static void run(struct rig *rig, lane_fn *fn) {
    struct timespec until;
    (void)clock_gettime(CLOCK_REALTIME, &until);
    until.tv_sec += PATIENCE_S;
    rig->told = 0;
    rig->err = ERR_NONE;
    memset(rig->keys, 0, sizeof rig->keys);
    lane_post(rig->lane, &rig->message, fn, rig);
    int waited = 0;
    (void)pthread_mutex_lock(&rig->lock);
    while (rig->told == 0 && waited == 0) {
        waited = pthread_cond_timedwait(&rig->changed, &rig->lock, &until);
    }
    (void)pthread_mutex_unlock(&rig->lock);
    assert_int_equal(rig->told, 1);
}

static void expect_error(struct rig *rig, enum err_code code, const char *text) {
    run(rig, start);
    assert_int_equal(rig->err.code, code);
    if (strstr(rig->err.text, text) == NULL) {
        fail_msg("\"%s\" should say \"%s\"", rig->err.text, text);
    }
    assert_string_equal(rig->keys[0], "");
}

/* The script's steps are added before. */
static void rig_open(struct rig *rig) {
    static char url[64];
    const struct credentials_options keys = {.access_key = STR("AKID"),
                                             .secret_key = STR("s3cret")};
    struct err err = ERR_NONE;
    http_script_start(&rig->script);
    (void)snprintf(url, sizeof url, "http://127.0.0.1:%u", rig->script.port);
    rig->credentials = credentials_new(&keys, &err);
    assert_non_null(rig->credentials);
    rig->lane = lane_new(0, &err);
    assert_non_null(rig->lane);
    rig->options = (struct sts_options){
        .endpoint = str_of(url),
        .region = STR("eu-west-1"),
        .user_agent = STR("me/1"),
        .role_arn = STR("arn:aws:iam::1:role/r"),
        .role_session = STR("s"),
        .credentials = rig->credentials,
    };
    (void)pthread_mutex_init(&rig->lock, NULL);
    (void)pthread_cond_init(&rig->changed, NULL);
}

static void rig_done(struct rig *rig) {
    lane_free(rig->lane);
    credentials_free(rig->credentials);
    http_script_stop(&rig->script);
    (void)pthread_cond_destroy(&rig->changed);
    (void)pthread_mutex_destroy(&rig->lock);
}

/* ---- The call. */

static void a_signed_form_gets_keys(void **state) {
    (void)state;
    struct rig rig = {0};
    http_script_add(&rig.script, 200, "", REPLY);
    http_script_add(&rig.script, 200, "", REPLY);
    rig_open(&rig);
    run(&rig, start);
    assert_string_equal(rig.err.text, "");
    assert_string_equal(rig.keys[0], "ROLE");
    assert_string_equal(rig.keys[1], "sec/ret+=");
    assert_string_equal(rig.keys[2], "to&ken");
    assert_int_equal(rig.expiry_s, 2000000000);
    const char *request = rig.script.requests[0];
    assert_true(str_starts(str_of(request), "POST / HTTP/1.1\r\n"));
    assert_non_null(strstr(request, "Content-Type: application/x-www-form-urlencoded\r\n"));
    assert_non_null(strstr(request, "User-Agent: me/1\r\n"));
    assert_non_null(strstr(request, "Credential=AKID/"));
    assert_non_null(strstr(request, "/eu-west-1/sts/aws4_request"));
    assert_non_null(strstr(request, FORM));
    assert_null(strcasestr(request, "x-amz-target"));
    assert_null(strstr(request, "ExternalId"));

    rig.options.external_id = STR("e f");
    rig.options.tags = STR("{\"tags\":{\"Team\":\"a&b\"},\"transitiveTagKeys\":[\"Team\"]}");
    run(&rig, start);
    assert_string_equal(rig.keys[0], "ROLE");
    assert_non_null(strstr(rig.script.requests[1],
                           "&ExternalId=e%20f&Tags.member.1.Key=Team&Tags.member.1.Value=a%26b&"
                           "TransitiveTagKeys.member.1=Team"));
    rig_done(&rig);
}

static void refusals_and_what_passes(void **state) {
    (void)state;
    struct rig rig = {0};
    http_script_add(&rig.script, 403, "", DENIED);
    http_script_add(&rig.script, 503, "",
                    "<ErrorResponse><Error><Code>ServiceUnavailable</Code>"
                    "<Message>soon</Message></Error></ErrorResponse>");
    http_script_add(&rig.script, 200, "", REPLY);
    http_script_add(&rig.script, 200, "", "<AssumeRoleResponse/>");
    http_script_add(&rig.script, 200, "", "<html>");
    rig_open(&rig);
    expect_error(&rig, ERR_AWS_DENIED, "AccessDenied: You <are> not authorized");
    run(&rig, start); /* tried again */
    assert_string_equal(rig.err.text, "");
    assert_string_equal(rig.keys[0], "ROLE");
    expect_error(&rig, ERR_AWS_REPLY, "the reply has no AccessKeyId");
    expect_error(&rig, ERR_AWS_REPLY, "the reply has no AccessKeyId");
    rig.options.endpoint = STR("ftp://x");
    expect_error(&rig, ERR_CONFIG, "endpoint \"ftp://x\"");
    rig.options.tags = STR("{\"tags\":1}");
    expect_error(&rig, ERR_CONFIG, "\"tags\"");
    rig_done(&rig);
}

static void cancelled(void **state) {
    (void)state;
    struct rig rig = {0};
    http_script_add(&rig.script, 200, "", REPLY);
    rig_open(&rig);
    run(&rig, start_and_cancel);
    assert_int_equal(rig.err.code, ERR_CANCELLED);
    rig_done(&rig);
}

/* ---- Pure parts. */

static void tags(void **state) {
    (void)state;
    static const struct {
        const char *json;
        const char *form; /* NULL: refused */
        const char *text;
    } cases[] = {
        {"{}", "A=1", ""},
        {"{\"tags\":null}", "A=1", ""},
        {"{\"tags\":{}}", "A=1", ""},
        {"{\"tags\":{\"a\":\"\",\"b c\":\"2\"}}",
         "A=1&Tags.member.1.Key=a&Tags.member.1.Value=&Tags.member.2.Key=b%20c&"
         "Tags.member.2.Value=2",
         ""},
        {"{\"transitiveTagKeys\":[\"a\",\"b\"]}",
         "A=1&TransitiveTagKeys.member.1=a&TransitiveTagKeys.member.2=b", ""},
        {"s3cret", NULL, "not a JSON object"},
        {"{\"tags\":\"s3cret\"}", NULL, "\"tags\" is no object of"},
        {"{\"tags\":[\"s3cret\"]}", NULL, "\"tags\" is no object of"},
        {"{\"tags\":{\"s3cret\":1}}", NULL, "\"tags\" is no object of"},
        {"{\"tags\":{\"\":\"s3cret\"}}", NULL, "\"tags\" is no object of"},
        {"{\"transitiveTagKeys\":\"s3cret\"}", NULL, "\"transitiveTagKeys\" is no list of"},
        {"{\"transitiveTagKeys\":[1,\"s3cret\"]}", NULL, "\"transitiveTagKeys\" is no list of"},
        {"{\"transitiveTagKeys\":[\"\"]}", NULL, "\"transitiveTagKeys\" is no list of"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct buf form;
        struct err err = ERR_NONE;
        buf_init(&form, 1024);
        buf_add_text(&form, "A=1");
        bool ok = sts_add_tags(&form, str_of(cases[i].json), &err);
        assert_int_equal(ok, cases[i].form != NULL);
        if (ok) {
            assert_string_equal(buf_text(&form), cases[i].form);
        } else {
            assert_int_equal(err.code, ERR_CONFIG);
            assert_non_null(strstr(err.text, cases[i].text));
            assert_null(strstr(err.text, "s3cret"));
        }
        buf_done(&form);
    }
}

static void no_more_tags_than_aws_takes(void **state) {
    (void)state;
    for (int count = 50; count <= 51; count++) {
        struct buf json;
        struct buf form;
        struct err err;
        buf_init(&json, 4096);
        buf_init(&form, 8192);
        buf_add_text(&json, "{\"tags\":{");
        for (int i = 0; i < count; i++) {
            buf_add_format(&json, "%s\"k%d\":\"v\"", i > 0 ? "," : "", i);
        }
        buf_add_text(&json, "}}");
        assert_int_equal(sts_add_tags(&form, buf_str(&json), &err), count == 50);
        buf_done(&json);
        buf_done(&form);
    }
    struct buf form; /* too small */
    struct err err;
    buf_init(&form, 20);
    assert_false(sts_add_tags(&form, STR("{\"tags\":{\"key\":\"value\"}}"), &err));
    buf_done(&form);
}

static void replies(void **state) {
    (void)state;
    static const struct {
        const char *reply;
        const char *text;
    } bad[] = {
        {"", "the reply has no AccessKeyId"},
        {"AccessKeyId", "the reply has no AccessKeyId"},
        {"<AccessKeyId>A</AccessKeyId>", "the reply has no SecretAccessKey"},
        {"<C><AccessKeyId></AccessKeyId></C>", "the reply has no AccessKeyId"},
        {"<C><AccessKeyId>A</AccessKeyId><SecretAccessKey>s3cret</SecretAccessKey></C>",
         "the reply has no SessionToken"},
        {"<C><AccessKeyId>A</AccessKeyId><SecretAccessKey>s3cret</SecretAccessKey>"
         "<SessionToken>s3cret</SessionToken></C>",
         "the reply has no Expiration"},
        {"<C><AccessKeyId>A</AccessKeyId><SecretAccessKey>s3cret</SecretAccessKey>"
         "<SessionToken>s3cret</SessionToken><Expiration>soon</Expiration></C>",
         "the reply's Expiration is no time"},
        {"<C><AccessKeyId>A</AccessKeyId><SecretAccessKey>s3cret", "the reply has no AccessKeyId"},
    };
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        struct err err = ERR_NONE;
        assert_null(sts_read(str_of(bad[i].reply), &err));
        assert_int_equal(err.code, ERR_AWS_REPLY);
        if (strstr(err.text, bad[i].text) == NULL) {
            fail_msg("\"%s\" should say \"%s\"", err.text, bad[i].text);
        }
        assert_null(strstr(err.text, "s3cret"));
    }
}

static int setup(void **state) {
    (void)state;
    aws_auth_library_init(aws_default_allocator());
    return 0;
}

static int teardown(void **state) {
    (void)state;
    aws_thread_join_all_managed();
    aws_auth_library_clean_up();
    return 0;
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_signed_form_gets_keys),
        cmocka_unit_test(refusals_and_what_passes),
        cmocka_unit_test(cancelled),
        cmocka_unit_test(tags),
        cmocka_unit_test(no_more_tags_than_aws_takes),
        cmocka_unit_test(replies),
    };
    return cmocka_run_group_tests_name("sts", tests, setup, teardown);
}
