/* What a broker says of an error, as we say it. */
#include "unit/cmocka_all.h"

#include "base/str.h"
#include "pulsar/server_error.h"
#include "pulsar_api.pb-c.h"

static void check(int error, const char *message, enum err_code code, const char *text) {
    struct err err = ERR_NONE;
    assert_false(server_error_set(&err, error, message));
    assert_int_equal(err.code, code);
    assert_string_equal(err.text, text);
}

static void message_name_and_remedy(void **state) {
    (void)state;
    check(PULSAR__SERVER_ERROR__ServiceNotReady, "not yet", ERR_PULSAR_NOT_READY,
          "not yet (ServiceNotReady)");
    check(PULSAR__SERVER_ERROR__TopicTerminatedError, "over", ERR_PULSAR_TERMINATED,
          "over (TopicTerminatedError); a terminated topic takes no more messages: use another "
          "topic");
    check(PULSAR__SERVER_ERROR__MetadataError, "Encryption is required in t", ERR_PULSAR_REFUSED,
          "Encryption is required in t (MetadataError); this producer does not encrypt: use a "
          "topic that does not require it");
    check(-1, "strange", ERR_PULSAR_NOT_READY, "strange (an unknown error)");
    check(12345, "strange", ERR_PULSAR_NOT_READY, "strange (an unknown error)");
}

static void without_a_message_the_codes_meaning(void **state) {
    (void)state;
    static const char *const none[] = {NULL, "", "\n", " \r\n\t"};
    for (size_t i = 0; i < sizeof none / sizeof none[0]; i++) {
        struct err err = ERR_NONE;
        (void)server_error_set(&err, PULSAR__SERVER_ERROR__ServiceNotReady, none[i]);
        assert_true(str_starts(str_of(err.text), err_code_meaning(ERR_PULSAR_NOT_READY)));
    }
}

static void the_first_line_without_control_characters(void **state) {
    (void)state;
    check(PULSAR__SERVER_ERROR__ServiceNotReady, "\n java.lang.X: y\r\n\tat a.b",
          ERR_PULSAR_NOT_READY, "java.lang.X: y (ServiceNotReady)");
    check(PULSAR__SERVER_ERROR__ServiceNotReady, "a\x1b[2Jb\tc\x07", ERR_PULSAR_NOT_READY,
          "a [2Jb c  (ServiceNotReady)");
}

static void a_long_one_is_cut_between_characters(void **state) {
    (void)state;
    char message[1 + 2 * 200 + 1] = "a";
    for (size_t i = 1; i < sizeof message - 1; i += 2) {
        memcpy(message + i, "\xc3\xa4", 2);
    }
    char expected[400];
    memcpy(expected, message, 299); /* "a" and 149 whole characters */
    memcpy(expected + 299, " (ServiceNotReady)", 19);
    check(PULSAR__SERVER_ERROR__ServiceNotReady, message, ERR_PULSAR_NOT_READY, expected);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(message_name_and_remedy),
        cmocka_unit_test(without_a_message_the_codes_meaning),
        cmocka_unit_test(the_first_line_without_control_characters),
        cmocka_unit_test(a_long_one_is_cut_between_characters),
    };
    return cmocka_run_group_tests_name("server_error", tests, NULL, NULL);
}
