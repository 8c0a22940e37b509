#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "cli/completion.h"
#include "config/property.h"

#include <stdlib.h>

enum { WORDS_MAX = 8 };

static struct buf candidates;

/* What may stand in place of the last word. */
static const char *complete(const char *const *words) {
    char *copies[WORDS_MAX];
    int count = 0;
    for (; words[count] != NULL; count++) {
        assert_true(count < WORDS_MAX);
        copies[count] = str_dup(str_of(words[count]));
        assert_non_null(copies[count]);
    }
    buf_reset(&candidates);
    completion_add(&candidates, count, copies);
    assert_false(candidates.failed);
    for (int i = 0; i < count; i++) {
        free(copies[i]);
    }
    return buf_text(&candidates);
}

#define COMPLETE(...) complete((const char *const[]){__VA_ARGS__, NULL})

static bool has_line(const char *text, const char *line) {
    size_t len = strlen(line);
    for (const char *p = strstr(text, line); p != NULL; p = strstr(p + 1, line)) {
        if ((p == text || p[-1] == '\n') && p[len] == '\n') {
            return true;
        }
    }
    return false;
}

static void commands_and_the_second_halves_of_their_names(void **state) {
    (void)state;
    const char *all = COMPLETE("");
    assert_true(has_line(all, "run") && has_line(all, "version") && has_line(all, "config"));
    assert_ptr_equal(strstr(strstr(all, "config") + 1, "config"), NULL);
    assert_string_equal(COMPLETE("ru"), all); /* the shell picks */
    assert_string_equal(COMPLETE("config", ""), "show\nreference\n");
    assert_string_equal(COMPLETE("config", "frob", ""), "");
    assert_string_equal(COMPLETE("frob", ""), "");
    assert_string_equal(complete((const char *const[]){NULL}), "");
}

static void options_of_the_command(void **state) {
    (void)state;
    const char *run = COMPLETE("run", "");
    assert_true(has_line(run, "--config") && has_line(run, "--until-caught-up") &&
                has_line(run, "--help"));
    assert_false(has_line(run, "--json"));
    assert_string_equal(COMPLETE("version", "--"), "--help\n");
    assert_string_equal(COMPLETE("config", "reference", "-"),
                        "--markdown\n--man\n--json-schema\n--help\n");
    /* A value is no option, and behind a value options come again. */
    assert_true(has_line(COMPLETE("status", "--set", "a=b", ""), "--json"));
    assert_true(has_line(COMPLETE("status", "--set=a=b", ""), "--json"));
}

static void values(void **state) {
    (void)state;
    assert_string_equal(COMPLETE("run", "--log-level", ""), "error\nwarn\ninfo\ndebug\n");
    assert_string_equal(COMPLETE("run", "--log-format=j"),
                        "--log-format=text\n--log-format=json\n");
    assert_string_equal(COMPLETE("reset", "--to", ""), "TRIM_HORIZON\nLATEST\n");
    /* The shell offers files. */
    assert_string_equal(COMPLETE("run", "-c", ""), "");
    assert_string_equal(COMPLETE("run", "--config", "/e"), "");
    assert_string_equal(COMPLETE("run", "--config=/e"), "");
}

static void properties(void **state) {
    (void)state;
    const char *all = COMPLETE("run", "--set", "");
    size_t lines = 0;
    for (const char *p = all; (p = strchr(p, '\n')) != NULL; p++) {
        lines++;
    }
    assert_int_equal(lines, CONFIG_KEY_COUNT);
    assert_true(has_line(all, "awsDynamodbStreamArn=") && has_line(all, "onDataLoss="));
    assert_string_equal(COMPLETE("run", "--set", "onDataLoss="),
                        "onDataLoss=fail\nonDataLoss=continue\n");
    assert_string_equal(COMPLETE("run", "--set=onDataLoss=c"),
                        "--set=onDataLoss=fail\n--set=onDataLoss=continue\n");
    assert_string_equal(COMPLETE("run", "--set", "coreDumps="),
                        "coreDumps=true\ncoreDumps=false\n");
    assert_string_equal(COMPLETE("run", "--set", "lanes="), "lanes=auto\n");
    assert_string_equal(COMPLETE("run", "--set", "topicName="), "");
    assert_string_equal(COMPLETE("run", "--set", "frob="), "");
}

static int setup(void **state) {
    (void)state;
    buf_init(&candidates, BUF_MAX_REQUEST);
    return 0;
}

static int teardown(void **state) {
    (void)state;
    buf_done(&candidates);
    return 0;
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(commands_and_the_second_halves_of_their_names),
        cmocka_unit_test(options_of_the_command),
        cmocka_unit_test(values),
        cmocka_unit_test(properties),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
