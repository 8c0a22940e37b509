#include "aws/reply_error.h"

#include "base/buf.h"

#include <aws/http/http.h>

#include "cmocka_all.h"

static void check(int status, const char *body, enum err_code code, enum reply_advice advice,
                  const char *text) {
    struct err err = ERR_NONE;
    assert_int_equal(reply_error(status, STR_NONE, str_of(body), &err), advice);
    assert_string_equal(err_code_name(err.code), err_code_name(code));
    if (text != NULL) {
        assert_string_equal(err.text, text);
    }
}

static void knows_the_codes(void **state) {
    (void)state;
    static const struct {
        const char *code;
        enum err_code means;
        enum reply_advice advice;
    } all[] = {
        {"ExpiredIteratorException", ERR_AWS_ITERATOR_EXPIRED, REPLY_ADVICE_NONE},
        {"TrimmedDataAccessException", ERR_AWS_TRIMMED, REPLY_ADVICE_NONE},
        {"ResourceNotFoundException", ERR_AWS_NOT_FOUND, REPLY_ADVICE_NONE},
        {"ResourceInUseException", ERR_AWS_IN_USE, REPLY_ADVICE_NONE},
        {"ConditionalCheckFailedException", ERR_AWS_CONDITION, REPLY_ADVICE_NONE},
        {"LimitExceededException", ERR_AWS_THROTTLED, REPLY_ADVICE_NONE},
        {"ThrottlingException", ERR_AWS_THROTTLED, REPLY_ADVICE_NONE},
        {"ProvisionedThroughputExceededException", ERR_AWS_THROTTLED, REPLY_ADVICE_NONE},
        {"RequestLimitExceeded", ERR_AWS_THROTTLED, REPLY_ADVICE_NONE},
        {"InternalServerError", ERR_AWS_SERVER, REPLY_ADVICE_NONE},
        {"ExpiredTokenException", ERR_AWS_TOKEN_EXPIRED, REPLY_ADVICE_NEW_KEYS},
        {"UnrecognizedClientException", ERR_AWS_DENIED, REPLY_ADVICE_NEW_KEYS},
        {"InvalidSignatureException", ERR_AWS_DENIED, REPLY_ADVICE_CLOCK},
        {"RequestTimeTooSkewed", ERR_AWS_DENIED, REPLY_ADVICE_CLOCK},
        {"AccessDeniedException", ERR_AWS_DENIED, REPLY_ADVICE_NONE},
        {"ValidationException", ERR_AWS_INVALID, REPLY_ADVICE_NONE},
        {"SerializationException", ERR_AWS_INVALID, REPLY_ADVICE_NONE},
    };
    for (size_t i = 0; i < sizeof all / sizeof all[0]; i++) {
        char body[200];
        (void)snprintf(body, sizeof body, "{\"__type\":\"%s\"}", all[i].code);
        check(400, body, all[i].means, all[i].advice, all[i].code);
    }
}

static void reads_the_forms_of_a_body(void **state) {
    (void)state;
    check(403,
          "<ErrorResponse xmlns=\"x\"><Error><Type>Sender</Type><Code>AccessDenied</Code>"
          "<Message>not &lt;you&gt;</Message></Error></ErrorResponse>",
          ERR_AWS_DENIED, REPLY_ADVICE_NONE, "AccessDenied: not <you>");
    check(400, "<a><Code>ExpiredToken</Code></a>", ERR_AWS_TOKEN_EXPIRED, REPLY_ADVICE_NEW_KEYS,
          "ExpiredToken");
    check(400,
          "{\"__type\":\"com.amazonaws.dynamodb.v20120810#ResourceNotFoundException\","
          "\"message\":\"no \\\"T\\\"\"}",
          ERR_AWS_NOT_FOUND, REPLY_ADVICE_NONE, "ResourceNotFoundException: no \"T\"");
    check(400, "{\"__type\":\"com.amazon.coral.validate#ValidationException\",\"Message\":\"bad\"}",
          ERR_AWS_INVALID, REPLY_ADVICE_NONE, "ValidationException: bad");
    check(400, "{\"__type\":\"a#b#ThrottlingException:http://x/y#z\",\"message\":null}",
          ERR_AWS_THROTTLED, REPLY_ADVICE_NONE, "ThrottlingException");
    /* An empty text, as one emulator sends for expired iterators. */
    check(400, "{\"__type\":\"x#ExpiredIteratorException\",\"Message\":\"\"}",
          ERR_AWS_ITERATOR_EXPIRED, REPLY_ADVICE_NONE, "ExpiredIteratorException");
    check(400, "{\"code\":\"AccessDenied\",\"message\":\"no\"}", ERR_AWS_DENIED, REPLY_ADVICE_NONE,
          "AccessDenied: no");
}

static void an_unknown_code_follows_its_status(void **state) {
    (void)state;
    check(500, "{\"__type\":\"Strange\",\"message\":\"m\"}", ERR_AWS_SERVER, REPLY_ADVICE_NONE,
          "Strange: m");
    check(400, "{\"__type\":\"Strange\"}", ERR_AWS_INVALID, REPLY_ADVICE_NONE, "Strange");
    check(429, "{\"__type\":\"Strange\"}", ERR_AWS_THROTTLED, REPLY_ADVICE_NONE, NULL);
    check(403, "{\"__type\":\"Strange\"}", ERR_AWS_DENIED, REPLY_ADVICE_NONE, NULL);
}

static void survives_bodies_that_are_no_errors(void **state) {
    (void)state;
    check(503, "", ERR_AWS_SERVER, REPLY_ADVICE_NONE, "HTTP 503 Service Unavailable");
    check(502, "<html><body>Bad Gateway</body></html>", ERR_AWS_SERVER, REPLY_ADVICE_NONE,
          "HTTP 502 Bad Gateway");
    check(404, "<html>", ERR_AWS_INVALID, REPLY_ADVICE_NONE,
          "HTTP 404 Not Found; this is no AWS answer: is the endpoint right?");
    check(429, "slow", ERR_AWS_THROTTLED, REPLY_ADVICE_NONE, "HTTP 429 Too Many Requests");
    check(500, "{\"message\":\"m\"}", ERR_AWS_SERVER, REPLY_ADVICE_NONE,
          "HTTP 500 Internal Server Error: m");
    check(500, "[1,2]", ERR_AWS_SERVER, REPLY_ADVICE_NONE, NULL);
    check(500, "\"x\"", ERR_AWS_SERVER, REPLY_ADVICE_NONE, NULL);
    check(400, "{\"__type\":7,\"message\":{}}", ERR_AWS_INVALID, REPLY_ADVICE_NONE, NULL);
    check(400, "{\"__type\":\"Thr", ERR_AWS_INVALID, REPLY_ADVICE_NONE, NULL);
}

static void the_header_names_the_code_when_the_body_does_not(void **state) {
    (void)state;
    struct err err = ERR_NONE;
    (void)reply_error(400, STR("ThrottlingException:http://internal"), STR("{}"), &err);
    assert_int_equal(err.code, ERR_AWS_THROTTLED);
    (void)reply_error(400, STR("ThrottlingException"), STR("{\"__type\":\"ValidationException\"}"),
                      &err);
    assert_int_equal(err.code, ERR_AWS_INVALID);
}

static void long_texts_are_cut_between_characters(void **state) {
    (void)state;
    struct buf body;
    buf_init(&body, BUF_MAX_REQUEST);
    buf_add_text(&body, "{\"__type\":\"ValidationException\",\"message\":\"a");
    for (int i = 0; i < 500; i++) {
        buf_add_text(&body, "\xc3\xa4");
    }
    buf_add_text(&body, "\"}");
    struct err err = ERR_NONE;
    (void)reply_error(400, STR_NONE, buf_str(&body), &err);
    buf_done(&body);
    size_t len = strlen(err.text);
    assert_in_range(len, 300, 360);
    assert_int_equal((unsigned char)err.text[len - 1], 0xa4); /* whole */
}

static int setup(void **state) {
    (void)state;
    aws_http_library_init(aws_default_allocator());
    return 0;
}

static int teardown(void **state) {
    (void)state;
    aws_http_library_clean_up();
    return 0;
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(knows_the_codes),
        cmocka_unit_test(reads_the_forms_of_a_body),
        cmocka_unit_test(an_unknown_code_follows_its_status),
        cmocka_unit_test(survives_bodies_that_are_no_errors),
        cmocka_unit_test(the_header_names_the_code_when_the_body_does_not),
        cmocka_unit_test(long_texts_are_cut_between_characters),
    };
    return cmocka_run_group_tests_name("reply_error", tests, setup, teardown);
}
