/* perf_options: the command line of ddb2pulsar-perf. */
#include "perf/perf_options.h"

#include "cmocka_all.h"

enum { MAX_WORDS = 24 };

/* argv is not const, so the words are copied. */
static bool parse(const char *const *words, struct perf_options *ret_options, struct err *err) {
    static char copies[MAX_WORDS][64];
    char *argv[MAX_WORDS + 1] = {copies[0]};
    int argc = 1;
    for (; words[argc - 1] != NULL; argc++) {
        assert_true(argc < MAX_WORDS);
        assert_true(str_copy(str_of(words[argc - 1]), copies[argc], sizeof copies[argc]));
        argv[argc] = copies[argc];
    }
    *err = ERR_NONE;
    return perf_options_parse(argc, argv, ret_options, err);
}

static void assert_refused(const char *const *words, const char *expected) {
    struct perf_options options;
    struct err err;
    assert_false(parse(words, &options, &err));
    assert_string_equal(err.text, expected);
    assert_int_equal(err_exit_code(err.code), 2);
}

#define ASSERT_REFUSED(expected, ...)                                                              \
    assert_refused((const char *const[]){__VA_ARGS__, NULL}, expected)

static struct perf_options accepted(const char *const *words) {
    struct perf_options options;
    struct err err;
    if (!parse(words, &options, &err)) {
        fail_msg("%s", err.text);
    }
    return options;
}

#define ACCEPTED(...)                                                                              \
    accepted(                                                                                      \
        (const char *const[]){"--service-url", "pulsar://h", "--topic", "t", __VA_ARGS__, NULL})

static void what_is_not_given_has_its_default(void **state) {
    (void)state;
    const char *const words[] = {"--service-url=pulsar://h", "--topic=t", NULL};
    struct perf_options options = accepted(words);
    assert_string_equal(options.service_url, "pulsar://h");
    assert_string_equal(options.topic, "t");
    assert_int_equal(options.size_bytes, 1024);
    assert_int_equal(options.rate, 0);
    assert_int_equal(options.seconds, 10);
    assert_int_equal(options.messages, 0);
    assert_int_equal(options.partition_keys, 0);
    assert_int_equal(options.batch_delay_ms, 1);
    assert_int_equal(options.compression, PULSAR_COMPRESSION_NONE);
    assert_int_equal(options.log_level, LOG_LEVEL_WARN);
    assert_null(options.auth_plugin);
    assert_false(options.json);
}

static void every_option_reaches_its_member(void **state) {
    (void)state;
    struct perf_options options =
        ACCEPTED("--size", "0", "--rate", "50000", "--warm-up", "3", "--partition-keys=1000",
                 "--compression", "zstd", "--batch-messages", "500", "--batch-bytes=4096");
    assert_int_equal(options.size_bytes, 0);
    assert_int_equal(options.rate, 50000);
    assert_int_equal(options.warm_up_seconds, 3);
    assert_int_equal(options.partition_keys, 1000);
    assert_int_equal(options.compression, PULSAR_COMPRESSION_ZSTD);
    assert_int_equal(options.batch_messages, 500);
    assert_int_equal(options.batch_bytes, 4096);
    options = ACCEPTED("--batch-delay-ms", "7", "--max-pending-messages", "9",
                       "--max-pending-bytes", "11", "--auth-plugin", "token", "--auth-params",
                       "token:x", "--listener-name", "external");
    assert_int_equal(options.batch_delay_ms, 7);
    assert_int_equal(options.max_pending_messages, 9);
    assert_int_equal(options.max_pending_bytes, 11);
    assert_string_equal(options.auth_plugin, "token");
    assert_string_equal(options.auth_params, "token:x");
    assert_string_equal(options.listener_name, "external");
    assert_int_equal(ACCEPTED("--compression", "LZ4").compression, PULSAR_COMPRESSION_LZ4);
    options = ACCEPTED("--batching", "key-based");
    assert_int_equal(options.batching, PULSAR_BATCHING_KEY_BASED);
    options = ACCEPTED("--json", "--quiet", "--log-level", "debug", "--seconds", "2");
    assert_true(options.json);
    assert_true(options.quiet);
    assert_int_equal(options.log_level, LOG_LEVEL_DEBUG);
    assert_int_equal(options.seconds, 2);
}

static void a_number_of_messages_needs_no_time(void **state) {
    (void)state;
    assert_int_equal(ACCEPTED("--messages", "5").seconds, 0);
    struct perf_options options = ACCEPTED("--messages", "5", "--seconds", "3");
    assert_int_equal(options.messages, 5);
    assert_int_equal(options.seconds, 3);
}

static void help_and_version_need_nothing_else(void **state) {
    (void)state;
    const char *const help[] = {"--help", NULL};
    const char *const version[] = {"--version", NULL};
    assert_true(accepted(help).help);
    assert_true(accepted(version).version);
}

static void what_makes_no_sense_gets_a_sentence(void **state) {
    (void)state;
    ASSERT_REFUSED("--service-url is missing; --help lists the options", "--topic", "t");
    ASSERT_REFUSED("--topic is missing; --help lists the options", "--service-url", "pulsar://h");
    ASSERT_REFUSED("there is no option --token; --help lists them", "--token=secret");
    ASSERT_REFUSED("there is an argument \"t\" without its option", "t");
    ASSERT_REFUSED("--size needs a value, BYTES", "--size");
    ASSERT_REFUSED("--json takes no value", "--json=yes");
    ASSERT_REFUSED("--size is \"-1\"; allowed: whole numbers from 0 to 67108864", "--size", "-1");
    ASSERT_REFUSED("--seconds is \"0\"; allowed: whole numbers from 1 to 604800", "--seconds=0");
    ASSERT_REFUSED("--rate is \"1k\"; allowed: whole numbers from 0 to 100000000", "--rate", "1k");
    ASSERT_REFUSED("--compression is \"gzip\"; allowed: none, lz4, zlib, zstd or snappy",
                   "--compression", "gzip");
    ASSERT_REFUSED("--batching is \"\"; allowed: default, key-based or none", "--batching=");
    ASSERT_REFUSED("--log-level is \"loud\"; allowed: error, warn, info or debug", "--log-level",
                   "loud");
}

static void help_has_a_line_for_every_option(void **state) {
    (void)state;
    struct buf help;
    buf_init(&help, BUF_MAX_REQUEST);
    perf_options_add_help(&help);
    const char *const some[] = {"--service-url URL ", "--rate N ", "--json ", "--help "};
    for (size_t i = 0; i < sizeof some / sizeof some[0]; i++) {
        assert_non_null(strstr(buf_text(&help), some[i]));
    }
    buf_done(&help);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_not_given_has_its_default),
        cmocka_unit_test(every_option_reaches_its_member),
        cmocka_unit_test(a_number_of_messages_needs_no_time),
        cmocka_unit_test(help_and_version_need_nothing_else),
        cmocka_unit_test(what_makes_no_sense_gets_a_sentence),
        cmocka_unit_test(help_has_a_line_for_every_option),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
