#include "perf/perf_options.h"

#include "base/man.h"

#include <inttypes.h>
#include <stddef.h>
#include <stdio.h>

enum kind { TEXT, NUMBER, CODEC, BATCHING, LEVEL, FLAG };

struct row {
    const char *name;  /* with "--" */
    const char *value; /* how help calls its value; NULL: it takes none */
    enum kind kind;
    size_t offset; /* of its member */
    uint64_t min;
    uint64_t max;
    const char *text;
};

#define AT(member) offsetof(struct perf_options, member)

enum { OPTION_MAX = 48 }; /* bytes of an option and how its value is called */

enum { SECONDS_MAX = 7 * 24 * 3600, RATE_MAX = 100 * 1000 * 1000, MIB = 1024 * 1024 };

static const struct row rows[] = {
    {"--service-url", "URL", TEXT, AT(service_url), 0, 0, "pulsar://host[:port]; must be given"},
    {"--topic", "TOPIC", TEXT, AT(topic), 0, 0, "where to; must be given"},
    {"--size", "BYTES", NUMBER, AT(size_bytes), 0, 64 * MIB, "of a message's value (1024)"},
    {"--rate", "N", NUMBER, AT(rate), 0, RATE_MAX,
     "messages per second; 0, the default: as fast as it goes"},
    {"--seconds", "S", NUMBER, AT(seconds), 1, SECONDS_MAX,
     "length of the measurement (10, with --messages until they are sent)"},
    {"--messages", "N", NUMBER, AT(messages), 1, UINT32_MAX,
     "stop when so many are acknowledged, those of the warm-up too"},
    {"--warm-up", "S", NUMBER, AT(warm_up_seconds), 0, SECONDS_MAX,
     "seconds of sending before the measurement (0)"},
    {"--partition-keys", "N", NUMBER, AT(partition_keys), 0, 10 * MIB,
     "so many keys take turns; 0, the default: no keys"},
    {"--compression", "CODEC", CODEC, AT(compression), 0, 0,
     "none (default), lz4, zlib, zstd or snappy"},
    {"--batching", "HOW", BATCHING, AT(batching), 0, 0, "default, key-based or none"},
    {"--batch-messages", "N", NUMBER, AT(batch_messages), 1, 100000,
     "a batch's most messages (1000)"},
    {"--batch-bytes", "BYTES", NUMBER, AT(batch_bytes), 1, 64 * MIB,
     "a batch's most bytes (131072)"},
    {"--batch-delay-ms", "MS", NUMBER, AT(batch_delay_ms), 1, 60000,
     "how long a batch waits for more messages (1)"},
    {"--max-pending-messages", "N", NUMBER, AT(max_pending_messages), 1, 100 * MIB,
     "unacknowledged messages (65536)"},
    {"--max-pending-bytes", "BYTES", NUMBER, AT(max_pending_bytes), 1, (uint64_t)4096 * MIB,
     "memory of unacknowledged messages (67108864)"},
    {"--listener-name", "NAME", TEXT, AT(listener_name), 0, 0, "the brokers' advertised listener"},
    {"--auth-plugin", "NAME", TEXT, AT(auth_plugin), 0, 0, "as Pulsar's authPlugin"},
    {"--auth-params", "TEXT", TEXT, AT(auth_params), 0, 0, "as Pulsar's authParams"},
    {"--json", NULL, FLAG, AT(json), 0, 0, "print one JSON object, and nothing meanwhile"},
    {"--quiet", NULL, FLAG, AT(quiet), 0, 0, "no line for every second on stderr"},
    {"--log-level", "LEVEL", LEVEL, AT(log_level), 0, 0, "error, warn (default), info or debug"},
    {"--version", NULL, FLAG, AT(version), 0, 0, "print the version"},
    {"--man", NULL, FLAG, AT(man), 0, 0, "print a manual page"},
    {"--help", NULL, FLAG, AT(help), 0, 0, "print this"},
};
enum { ROW_COUNT = sizeof rows / sizeof rows[0] };

/* In the order of enum pulsar_compression and enum pulsar_batching. */
static const char *const codecs[] = {"none", "lz4", "zlib", "zstd", "snappy", NULL};
static const char *const batchings[] = {"default", "key-based", "none", NULL};

/* By "--name" or "--name=...". Sets *ret_value to what is behind '=', or NULL. */
static const struct row *find(const char *word, const char **ret_value) {
    size_t len = strcspn(word, "=");
    *ret_value = word[len] == '=' ? word + len + 1 : NULL;
    for (size_t i = 0; i < ROW_COUNT; i++) {
        if (str_is(str_make(word, len), rows[i].name)) {
            return &rows[i];
        }
    }
    return NULL;
}

/* Which of the names it is; -1: none. */
/* In either case of letters: Pulsar's own tools write LZ4. */
static int choose(const char *const *names, const char *value) {
    for (int i = 0; names[i] != NULL; i++) {
        if (str_equal_nocase(str_of(value), str_of(names[i]))) {
            return i;
        }
    }
    return -1;
}

static bool store(const struct row *row, const char *value, struct perf_options *options,
                  struct err *err) {
    void *to = (char *)options + row->offset;
    uint64_t number;
    int choice;
    switch (row->kind) {
    case TEXT:
        *(const char **)to = value;
        return true;
    case NUMBER:
        if (!str_to_u64(str_of(value), &number) || number < row->min || number > row->max) {
            return err_set(err, ERR_USAGE,
                           "%s is \"%s\"; allowed: whole numbers from %" PRIu64 " to %" PRIu64,
                           row->name, value, row->min, row->max);
        }
        *(uint64_t *)to = number;
        return true;
    case CODEC:
        choice = choose(codecs, value);
        *(enum pulsar_compression *)to = (enum pulsar_compression)choice;
        return choice >= 0 ||
               err_set(err, ERR_USAGE,
                       "--compression is \"%s\"; allowed: none, lz4, zlib, zstd or snappy", value);
    case BATCHING:
        choice = choose(batchings, value);
        *(enum pulsar_batching *)to = (enum pulsar_batching)choice;
        return choice >= 0 ||
               err_set(err, ERR_USAGE, "--batching is \"%s\"; allowed: default, key-based or none",
                       value);
    case LEVEL:
        return log_level_parse(str_of(value), to) ||
               err_set(err, ERR_USAGE, "--log-level is \"%s\"; allowed: error, warn, info or debug",
                       value);
    case FLAG:
        *(bool *)to = true;
        return true;
    }
    return false;
}

static bool parse_words(int argc, char **argv, struct perf_options *options, struct err *err) {
    for (int i = 1; i < argc; i++) {
        const char *value;
        if (argv[i][0] != '-') {
            return err_set(err, ERR_USAGE, "there is an argument \"%s\" without its option",
                           argv[i]);
        }
        const struct row *row = find(argv[i], &value);
        if (row == NULL) {
            /* What is behind '=' may be a secret. */
            return err_set(err, ERR_USAGE, "there is no option %.*s; --help lists them",
                           (int)strcspn(argv[i], "="), argv[i]);
        }
        if (row->value == NULL && value != NULL) {
            return err_set(err, ERR_USAGE, "%s takes no value", row->name);
        }
        if (row->value != NULL && value == NULL && i + 1 == argc) {
            return err_set(err, ERR_USAGE, "%s needs a value, %s", row->name, row->value);
        }
        if (row->value != NULL && value == NULL) {
            value = argv[++i];
        }
        if (!store(row, value, options, err)) {
            return false;
        }
    }
    return true;
}

bool perf_options_parse(int argc, char **argv, struct perf_options *ret_options, struct err *err) {
    struct perf_options options = {
        .size_bytes = 1024, .batch_delay_ms = 1, .log_level = LOG_LEVEL_WARN};
    if (!parse_words(argc, argv, &options, err)) {
        return false;
    }
    if (!options.help && !options.man && !options.version) {
        if (options.service_url == NULL || options.topic == NULL) {
            return err_set(err, ERR_USAGE, "%s is missing; --help lists the options",
                           options.service_url == NULL ? "--service-url" : "--topic");
        }
        if (options.seconds == 0 && options.messages == 0) {
            options.seconds = 10;
        }
    }
    *ret_options = options;
    return true;
}

/* "--topic TOPIC". */
static void describe(const struct row *row, char to[OPTION_MAX]) {
    (void)snprintf(to, OPTION_MAX, "%s%s%s", row->name, row->value != NULL ? " " : "",
                   row->value != NULL ? row->value : "");
}

void perf_options_add_help(struct buf *to) {
    for (size_t i = 0; i < ROW_COUNT; i++) {
        char left[OPTION_MAX];
        describe(&rows[i], left);
        buf_add_format(to, "  %-27s %s\n", left, rows[i].text);
    }
}

void perf_options_add_man(struct buf *to) {
    for (size_t i = 0; i < ROW_COUNT; i++) {
        char word[OPTION_MAX];
        describe(&rows[i], word);
        man_add_item(to, word, "");
        man_add(to, rows[i].text);
        buf_add_char(to, '\n');
    }
}
