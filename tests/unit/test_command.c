#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "cli/command.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <unistd.h>

enum { OUTPUT_MAX = 64 * 1024 };

/* What a command line printed. */
struct outcome {
    int code;
    char out[OUTPUT_MAX];
    char err[OUTPUT_MAX];
};

/* Sends a stream to a file that has no name; returns the stream's own descriptor, to be put back. */
static int divert(FILE *stream, FILE *to) {
    (void)fflush(stream);
    int saved = dup(fileno(stream));
    assert_true(saved >= 0);
    assert_true(dup2(fileno(to), fileno(stream)) >= 0);
    return saved;
}

static void restore(FILE *stream, int saved, FILE *from, char to[OUTPUT_MAX]) {
    (void)fflush(stream);
    assert_true(dup2(saved, fileno(stream)) >= 0);
    (void)close(saved);
    rewind(from);
    size_t len = fread(to, 1, OUTPUT_MAX - 1, from);
    to[len] = '\0';
    (void)fclose(from);
}

static void run(const char *const *words, struct outcome *ret_outcome) {
    enum { MAX_WORDS = 10 };
    char *argv[MAX_WORDS + 1] = {NULL};
    int argc = 0;
    for (; words[argc] != NULL; argc++) {
        assert_true(argc < MAX_WORDS);
        argv[argc] = str_dup(str_of(words[argc]));
        assert_non_null(argv[argc]);
    }
    FILE *out = tmpfile();
    FILE *err = tmpfile();
    assert_non_null(out);
    assert_non_null(err);
    int saved_out = divert(stdout, out);
    int saved_err = divert(stderr, err);
    ret_outcome->code = command_main(argc, argv);
    restore(stderr, saved_err, err, ret_outcome->err);
    restore(stdout, saved_out, out, ret_outcome->out);
    for (int i = 0; i < argc; i++) {
        free(argv[i]);
    }
}

#define RUN(outcome, ...) run((const char *const[]){"ddb2pulsar", __VA_ARGS__, NULL}, outcome)

static void assert_usage_error(const struct outcome *outcome, const char *expected) {
    assert_int_equal(outcome->code, 2);
    assert_string_equal(outcome->out, "");
    assert_string_equal(outcome->err, expected);
}

static struct outcome outcome; /* too large for a stack frame */

static void wrong_commands(void **state) {
    (void)state;
    run((const char *const[]){"ddb2pulsar", NULL}, &outcome);
    assert_usage_error(&outcome,
                       "ddb2pulsar: a command is missing; ddb2pulsar --help lists them\n");
    RUN(&outcome, "versoin");
    assert_usage_error(&outcome,
                       "ddb2pulsar: there is no command \"versoin\"; did you mean version?\n");
    RUN(&outcome, "frobnicate");
    assert_usage_error(&outcome,
                       "ddb2pulsar: there is no command \"frobnicate\"; ddb2pulsar --help "
                       "lists them\n");
    RUN(&outcome, "config");
    assert_usage_error(&outcome, "ddb2pulsar: config needs show or reference behind it\n");
    RUN(&outcome, "config", "shwo");
    assert_usage_error(&outcome,
                       "ddb2pulsar: there is no command \"config shwo\"; config takes show "
                       "or reference\n");
    RUN(&outcome, "-c", "file", "version");
    assert_usage_error(&outcome, "ddb2pulsar: the command comes first, options behind it; "
                                 "ddb2pulsar --help lists the commands\n");
    RUN(&outcome, "config", "show", "--frob");
    assert_usage_error(&outcome, "ddb2pulsar: config show has no option --frob; ddb2pulsar config "
                                 "show --help lists them\n");
}

static void help_and_version(void **state) {
    (void)state;
    RUN(&outcome, "--help");
    assert_int_equal(outcome.code, 0);
    assert_non_null(strstr(outcome.out, "usage: ddb2pulsar COMMAND [OPTION]...\n"));
    assert_non_null(strstr(outcome.out, "\n  config show        print"));
    RUN(&outcome, "config", "reference", "--help");
    assert_int_equal(outcome.code, 0);
    assert_non_null(strstr(outcome.out, "usage: ddb2pulsar config reference [OPTION]...\n"));
    assert_non_null(strstr(outcome.out, "--markdown"));
    assert_null(strstr(outcome.out, "--set"));
    RUN(&outcome, "version");
    assert_int_equal(outcome.code, 0);
    assert_int_equal(strncmp(outcome.out, "ddb2pulsar ", 11), 0);
    char version[64];
    assert_true(str_copy(str_of(outcome.out), version, sizeof version));
    RUN(&outcome, "--version");
    assert_string_equal(outcome.out, version);
    assert_string_equal(outcome.err, "");
}

#define ARN_SET                                                                                    \
    "--set=awsDynamodbStreamArn=arn:aws:dynamodb:us-west-2:111122223333:table/Test/stream/x"

static void show_masks_secrets_and_names_origins(void **state) {
    (void)state;
    static const char variable[] = "DDB2PULSAR_AWS_CREDENTIAL_PLUGIN_PARAM";
    assert_int_equal(setenv(variable, "{\"accessKey\":\"s3cret\",\"secretKey\":\"s3cret\"}", 1), 0);
    RUN(&outcome, "config", "show", ARN_SET, "--set", "topicName=t", "--set", "stateDirectory=/s");
    assert_int_equal(outcome.code, 0);
    assert_non_null(strstr(outcome.out, "\ntopicName: \"t\"  # --set\n"));
    assert_non_null(strstr(outcome.out,
                           "\nawsCredentialPluginParam: \"***\"  # environment variable "
                           "DDB2PULSAR_AWS_CREDENTIAL_PLUGIN_PARAM\n"));
    assert_non_null(strstr(outcome.out, "\nlanes: \"auto\"  # default\n"));
    assert_non_null(strstr(outcome.out, "\n# credentials: static keys\n"));
    assert_null(strstr(outcome.out, "s3cret"));
    assert_string_equal(outcome.err, "");

    RUN(&outcome, "config", "show", "--json", ARN_SET, "--set", "topicName=t");
    assert_int_equal(unsetenv(variable), 0);
    assert_int_equal(outcome.code, 0);
    assert_non_null(strstr(outcome.out, "\"topicName\":{\"value\":\"t\",\"from\":\"--set\"}"));
    assert_non_null(strstr(outcome.out, "\"streamRegion\":\"us-west-2\""));
    assert_null(strstr(outcome.out, "s3cret"));
}

static void a_reset_must_say_to_where(void **state) {
    (void)state;
    RUN(&outcome, "reset", ARN_SET);
    assert_usage_error(&outcome, "ddb2pulsar: reset needs --to: TRIM_HORIZON, LATEST, a time, or "
                                 "with --shard a sequence number\n");
    RUN(&outcome, "reset", ARN_SET, "--to", "4711000000000000000001");
    assert_usage_error(&outcome, "ddb2pulsar: reset: --to 4711000000000000000001 is a sequence "
                                 "number; it needs --shard\n");
    RUN(&outcome, "reset", ARN_SET, "--shard", "s", "--to",
        "11111111111111111111111111111111111111111");
    assert_usage_error(&outcome,
                       "ddb2pulsar: reset: --to 11111111111111111111111111111111111111111 has more "
                       "than 40 digits\n");
    RUN(&outcome, "reset", ARN_SET, "--to", "soon");
    assert_usage_error(&outcome,
                       "ddb2pulsar: reset: --to is \"soon\"; allowed: TRIM_HORIZON, LATEST, a time "
                       "(2019-03-05T19:28:58.000Z, or milliseconds since 1970), or with --shard a "
                       "sequence number\n");
}

/* Commands run in this process. */
static void memory_is_not_for_core_files_unless_wished(void **state) {
    (void)state;
    assert_int_equal(prctl(PR_SET_DUMPABLE, 1), 0);
    RUN(&outcome, "config", "show", ARN_SET, "--set=topicName=t", "--set=coreDumps=true");
    assert_int_equal(outcome.code, 0);
    assert_int_equal(prctl(PR_GET_DUMPABLE), 1);
    RUN(&outcome, "config", "show", ARN_SET, "--set=topicName=t");
    assert_int_equal(outcome.code, 0);
#ifndef __SANITIZE_ADDRESS__
    assert_int_equal(prctl(PR_GET_DUMPABLE), 0);
#endif
    assert_int_equal(prctl(PR_SET_DUMPABLE, 1), 0);
}

static void bad_configuration_is_one_line_and_exit_code_2(void **state) {
    (void)state;
    RUN(&outcome, "config", "show", ARN_SET, "--set", "lanes=many");
    assert_usage_error(&outcome,
                       "ddb2pulsar: --set: lanes is \"many\": not a whole number; allowed: "
                       "1 to 256, or auto\n");
    RUN(&outcome, "config", "show", "--log-format", "json", "--set", "lanes=many");
    assert_int_equal(outcome.code, 2);
    assert_int_equal(outcome.err[0], '{');
    assert_non_null(strstr(outcome.err, "\"error\":\"CONFIG\""));
    assert_non_null(strstr(outcome.err, "\"text\":\"--set: lanes is \\\"many\\\": not a"));
}

static void output_that_cannot_be_written_is_an_error(void **state) {
    (void)state;
    FILE *full = fopen("/dev/full", "w");
    assert_non_null(full);
    struct buf text;
    struct err err = ERR_NONE;
    buf_init(&text, 64);
    buf_add_text(&text, "x");
    int saved = divert(stdout, full);
    bool ok = cli_print(&text, &err);
    clearerr(stdout);
    assert_true(dup2(saved, STDOUT_FILENO) >= 0);
    (void)close(saved);
    (void)fclose(full);
    assert_false(ok);
    assert_int_equal(err.code, ERR_OUTPUT);
    text.failed = true;
    assert_false(cli_print(&text, &err));
    assert_int_equal(err.code, ERR_NOMEM);
    buf_done(&text);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(wrong_commands),
        cmocka_unit_test(help_and_version),
        cmocka_unit_test(show_masks_secrets_and_names_origins),
        cmocka_unit_test(a_reset_must_say_to_where),
        cmocka_unit_test(memory_is_not_for_core_files_unless_wished),
        cmocka_unit_test(bad_configuration_is_one_line_and_exit_code_2),
        cmocka_unit_test(output_that_cannot_be_written_is_an_error),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
