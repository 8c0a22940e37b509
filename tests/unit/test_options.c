#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "cli/options.h"

enum { MAX_WORDS = 12 };

/* argv is not const, so the words are copied. */
static bool parse(unsigned allowed, const char *const *words, struct options *ret_options,
                  struct err *err) {
    static char copies[MAX_WORDS][64];
    char *argv[MAX_WORDS];
    int argc = 0;
    for (; words[argc] != NULL; argc++) {
        assert_true(argc < MAX_WORDS);
        assert_true(str_copy(str_of(words[argc]), copies[argc], sizeof copies[argc]));
        argv[argc] = copies[argc];
    }
    *err = ERR_NONE;
    return options_parse("run", allowed, argc, argv, ret_options, err);
}

static const unsigned all = OPTION_CONFIG | OPTION_SET | OPTION_UNTIL_CAUGHT_UP | OPTION_JSON |
                            OPTION_MARKDOWN | OPTION_MAN | OPTION_LOG_LEVEL | OPTION_LOG_FORMAT;

static void assert_refused(unsigned allowed, const char *const *words, const char *expected) {
    struct options options;
    struct err err;
    assert_false(parse(allowed, words, &options, &err));
    assert_string_equal(err.text, expected);
    assert_int_equal(err_exit_code(err.code), 2);
}

#define ASSERT_REFUSED(allowed, expected, ...)                                                     \
    assert_refused(allowed, (const char *const[]){__VA_ARGS__, NULL}, expected)

static void no_option_gives_defaults(void **state) {
    (void)state;
    struct options options;
    struct err err;
    const char *const words[] = {NULL};
    assert_true(parse(all, words, &options, &err));
    assert_null(options.args.config_file);
    assert_int_equal(options.args.set_count, 0);
    assert_false(options.args.until_caught_up);
    assert_false(options.args.json);
    assert_int_equal(options.args.form, COMMAND_FORM_TEXT);
    assert_false(options.help);
    assert_int_equal(options.args.log_level, LOG_LEVEL_INFO);
    assert_int_equal(options.args.log_format, LOG_FORMAT_TEXT);
    options_done(&options);
}

static void both_ways_to_give_a_value(void **state) {
    (void)state;
    struct options options;
    struct err err;
    const char *const words[] = {"-c",    "f.yaml",    "--set",       "a=b=c", "--set=d=",
                                 "--set", "--log=odd", "--log-level", "debug", "--log-format=json",
                                 NULL};
    assert_true(parse(all, words, &options, &err));
    assert_string_equal(options.args.config_file, "f.yaml");
    assert_int_equal(options.args.set_count, 3);
    assert_string_equal(options.args.sets[0], "a=b=c");
    assert_string_equal(options.args.sets[1], "d=");
    assert_string_equal(options.args.sets[2], "--log=odd"); /* a value may look like an option */
    assert_int_equal(options.args.log_level, LOG_LEVEL_DEBUG);
    assert_int_equal(options.args.log_format, LOG_FORMAT_JSON);
    options_done(&options);
}

static void switches(void **state) {
    (void)state;
    struct options options;
    struct err err;
    const char *const words[] = {"--until-caught-up", "--json", "--markdown", "-h", NULL};
    assert_true(parse(all, words, &options, &err));
    assert_true(options.args.until_caught_up);
    assert_true(options.args.json);
    assert_int_equal(options.args.form, COMMAND_FORM_MARKDOWN);
    assert_true(options.help);
    options_done(&options);
}

static void wrong_usage_is_named(void **state) {
    (void)state;
    ASSERT_REFUSED(all, "run takes no argument \"f.yaml\"", "f.yaml");
    ASSERT_REFUSED(all, "run takes no argument \"\"", "");
    ASSERT_REFUSED(all, "run: --config needs a value, FILE", "-c");
    ASSERT_REFUSED(all, "run: --set needs a value, KEY=VALUE", "--json", "--set");
    ASSERT_REFUSED(all, "run: --config is given twice", "-c", "a", "--config=b");
    ASSERT_REFUSED(all, "run: --json takes no value", "--json=yes");
    ASSERT_REFUSED(all, "run: --man contradicts another option", "--markdown", "--man");
    ASSERT_REFUSED(all, "run has no option --untl-caught-up; did you mean --until-caught-up?",
                   "--untl-caught-up");
    ASSERT_REFUSED(all, "run has no option --zzzzzzzz; ddb2pulsar run --help lists them",
                   "--zzzzzzzz=s3cret");
    ASSERT_REFUSED(all, "run has no option -x; ddb2pulsar run --help lists them", "-x");
    ASSERT_REFUSED(all, "run has no option -; ddb2pulsar run --help lists them", "-");
    ASSERT_REFUSED(all, "run has no option --; ddb2pulsar run --help lists them", "--");
    ASSERT_REFUSED(all, "run: --log-level is \"loud\"; allowed: error, warn, info or debug",
                   "--log-level=loud");
    ASSERT_REFUSED(all, "run: --log-format is \"xml\"; allowed: text or json", "--log-format",
                   "xml");
}

static void options_of_other_commands_are_unknown(void **state) {
    (void)state;
    ASSERT_REFUSED(OPTION_CONFIG, "run has no option --markdown; ddb2pulsar run --help lists them",
                   "--markdown");
}

static void help_lists_what_is_allowed(void **state) {
    (void)state;
    struct buf help;
    buf_init(&help, 4096);
    options_add_help(&help, OPTION_CONFIG | OPTION_JSON);
    assert_non_null(strstr(buf_text(&help), "  -c, --config FILE          configuration"));
    assert_non_null(strstr(buf_text(&help), "      --json                 print JSON\n"));
    assert_non_null(strstr(buf_text(&help), "  -h, --help"));
    assert_null(strstr(buf_text(&help), "--set"));
    buf_done(&help);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(no_option_gives_defaults),
        cmocka_unit_test(both_ways_to_give_a_value),
        cmocka_unit_test(switches),
        cmocka_unit_test(wrong_usage_is_named),
        cmocka_unit_test(options_of_other_commands_are_unknown),
        cmocka_unit_test(help_lists_what_is_allowed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
