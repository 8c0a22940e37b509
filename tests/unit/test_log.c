/* log: the form of its lines, read back from stderr. */
#include "base/log.h"

#include "cmocka_all.h"

#include <unistd.h>

static int saved_stderr;
static int pipe_fds[2];

static int capture(void **state) {
    (void)state;
    assert_int_equal(pipe(pipe_fds), 0);
    saved_stderr = dup(STDERR_FILENO);
    dup2(pipe_fds[1], STDERR_FILENO);
    return 0;
}

static int release(void **state) {
    (void)state;
    dup2(saved_stderr, STDERR_FILENO);
    close(saved_stderr);
    close(pipe_fds[0]);
    close(pipe_fds[1]);
    log_setup(LOG_LEVEL_INFO, LOG_FORMAT_TEXT);
    return 0;
}

/* What was logged, without the time in front. */
static const char *logged(size_t time_len) {
    static char line[8192];
    ssize_t got = read(pipe_fds[0], line, sizeof line - 1);
    assert_true(got > (ssize_t)time_len);
    line[got] = '\0';
    return line + time_len;
}

enum { TEXT_TIME = sizeof "2026-01-01T00:00:00.000Z" - 1 };

static void text_lines_quote_what_needs_it(void **state) {
    (void)state;
    log_setup(LOG_LEVEL_INFO, LOG_FORMAT_TEXT);
    struct err err = ERR_NONE;
    err_set(&err, ERR_TIMEOUT, "no answer in %d s", 3);
    LOG_INFO("shard", "open", LOG_TEXT("id", "shard-1"), LOG_TEXT("empty", ""),
             LOG_TEXT("text", "two words"), LOG_U64("n", 18446744073709551615u), LOG_I64("i", -5),
             LOG_F64("f", 1.5), LOG_ERR(&err));
    assert_string_equal(logged(TEXT_TIME),
                        " info  shard open id=shard-1 empty=\"\" text=\"two words\" "
                        "n=18446744073709551615 i=-5 f=1.500 error=TIMEOUT class=retry "
                        "text=\"no answer in 3 s\"\n");
}

static void json_lines_are_objects(void **state) {
    (void)state;
    log_setup(LOG_LEVEL_INFO, LOG_FORMAT_JSON);
    LOG_WARN("lease", "lost", LOG_TEXT("why", "a \"quote\"\n"), LOG_U64("n", 7));
    assert_string_equal(logged(sizeof "{\"time\":\"" - 1 + TEXT_TIME),
                        "\",\"level\":\"warn\",\"area\":\"lease\",\"event\":\"lost\","
                        "\"why\":\"a \\\"quote\\\"\\n\",\"n\":7}\n");
}

static void a_value_cannot_forge_a_line(void **state) {
    (void)state;
    log_setup(LOG_LEVEL_INFO, LOG_FORMAT_TEXT);
    LOG_INFO("a", "b", LOG_TEXT("k", "x\ny=z"));
    assert_string_equal(logged(TEXT_TIME), " info  a b k=\"x\\ny=z\"\n");
}

static void lower_levels_are_silent(void **state) {
    (void)state;
    log_setup(LOG_LEVEL_WARN, LOG_FORMAT_TEXT);
    LOG_INFO("a", "hidden");
    LOG_DEBUG("a", "hidden");
    LOG_ERROR("a", "shown");
    assert_string_equal(logged(TEXT_TIME), " error a shown\n");
}

static void the_live_line_stays_below(void **state) {
    (void)state;
    log_setup(LOG_LEVEL_INFO, LOG_FORMAT_TEXT);
    log_live_line("10 records/s");
    LOG_INFO("a", "b");
    log_live_line(NULL);
    const char *all = logged(0);
    assert_non_null(strstr(all, "10 records/s\r\033[K2"));
    assert_non_null(strstr(all, " info  a b\n10 records/s\r\033[K"));
}

static void names_are_parsed(void **state) {
    (void)state;
    enum log_level level = LOG_LEVEL_INFO;
    enum log_format format = LOG_FORMAT_TEXT;
    assert_true(log_level_parse(STR("debug"), &level));
    assert_int_equal(level, LOG_LEVEL_DEBUG);
    assert_false(log_level_parse(STR("loud"), &level));
    assert_true(log_format_parse(STR("json"), &format));
    assert_int_equal(format, LOG_FORMAT_JSON);
    assert_false(log_format_parse(STR(""), &format));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(text_lines_quote_what_needs_it, capture, release),
        cmocka_unit_test_setup_teardown(json_lines_are_objects, capture, release),
        cmocka_unit_test_setup_teardown(a_value_cannot_forge_a_line, capture, release),
        cmocka_unit_test_setup_teardown(lower_levels_are_silent, capture, release),
        cmocka_unit_test_setup_teardown(the_live_line_stays_below, capture, release),
        cmocka_unit_test(names_are_parsed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
