#include "cli/manual.h"

#include "base/man.h"
#include "cli/options.h"

static const char *const description =
    "ddb2pulsar reads the change stream of an Amazon DynamoDB table and sends every change to an "
    "Apache Pulsar topic, at least once, in order for each item. It takes the configuration file "
    "of Pulsar's Java connector and shares its lease table, in which it keeps its checkpoints; any "
    "number of processes share the shards of a stream.\n";

struct entry {
    const char *name;
    const char *text;
};

/* The codes' meanings come from errors.def; this is what a supervisor wants to know. */
static const struct entry exits[] = {
    {"0", "Done: stopped cleanly, caught up, or printed."},
    {"1", "Internal. Start it again."},
    {"2", "Usage or configuration. Starting it again does not help."},
    {"3", "AWS. Start it again, and look at what check says."},
    {"4",
     "Pulsar, or a record that cannot be delivered. Start it again, and look at what check says."},
    {"5", "Data loss refused by policy, onDataLoss. Starting it again does not help."},
};

static const struct entry signals[] = {
    {"SIGTERM, SIGINT", "The first one stops run, pipe and tail cleanly: receipts are awaited, "
                        "checkpoints written, leases given back, within stopTimeout. A second one "
                        "ends the process at once."},
};

static const struct entry variables[] = {
    {"DDB2PULSAR_*", "Properties of the configuration; see ddb2pulsar.yaml(5)."},
    {"AWS_*", "As AWS's own clients take them: keys, profiles, roles, endpoints, AWS_CA_BUNDLE."},
    {"STATE_DIRECTORY, XDG_STATE_HOME",
     "Where the worker's name is kept, unless stateDirectory says so."},
};

static const struct entry files[] = {
    {"/etc/ddb2pulsar/NAME.yaml", "The configuration of the service ddb2pulsar@NAME.service."},
    {"/usr/share/doc/ddb2pulsar/examples", "Configurations to start from."},
};

static void add_entry(struct buf *to, const char *name, const char *text) {
    man_add_item(to, name, "");
    man_add(to, text);
    buf_add_char(to, '\n');
}

#define ADD_ENTRIES(to, title, entries)                                                            \
    add_entries(to, title, entries, sizeof(entries) / sizeof((entries)[0]))

static void add_entries(struct buf *to, const char *title, const struct entry *entries,
                        size_t count) {
    buf_add_format(to, ".SH %s\n", title);
    for (size_t i = 0; i < count; i++) {
        add_entry(to, entries[i].name, entries[i].text);
    }
}

/* "print the version. Options: --help." */
static void add_command(struct buf *to, const struct command *command) {
    add_entry(to, command->name, command->summary);
    const char *between = ".br\nOptions: ";
    for (const struct option *option = options_all(); option->name != NULL; option++) {
        if ((option->bit & command->options) != 0) {
            buf_add_text(to, between);
            man_add(to, option->name);
            between = ", ";
        }
    }
    if (command->options != 0) {
        buf_add_text(to, ".\n");
    }
}

static void add_option(struct buf *to, const struct option *option) {
    struct buf name;
    buf_init(&name, 256);
    if (option->letter != 0) {
        buf_add_format(&name, "-%c, ", option->letter);
    }
    buf_add_format(&name, option->value != NULL ? "%s %s" : "%s", option->name, option->value);
    add_entry(to, buf_text(&name), option->text);
    buf_done(&name);
}

/* What may lead to each exit code. */
static void add_errors(struct buf *to, int exit) {
    const char *between = ".br\n";
    for (int code = ERR_OK + 1; code < ERR_CODE_COUNT; code++) {
        if (err_exit_code((enum err_code)code) == exit) {
            buf_add_text(to, between);
            man_add(to, err_code_meaning((enum err_code)code));
            between = "; ";
        }
    }
    buf_add_text(to, between[0] == ';' ? "\n" : "");
}

void manual_add(struct buf *to) {
    buf_add_text(
        to,
        ".\\\" Written by `ddb2pulsar --man` from src/cli and src/base/errors.def; edit those.\n"
        ".TH DDB2PULSAR 1\n"
        ".SH NAME\n"
        "ddb2pulsar \\- DynamoDB change streams into Apache Pulsar\n"
        ".SH SYNOPSIS\n"
        ".B ddb2pulsar\n"
        ".I COMMAND\n"
        "[\\fIOPTION\\fR]...\n"
        ".SH DESCRIPTION\n");
    man_add(to, description);
    buf_add_text(to, ".PP\nResults go to standard output, everything else to standard error.\n"
                     ".SH COMMANDS\n");
    for (const struct command *command = command_all(); command->name != NULL; command++) {
        add_command(to, command);
    }
    buf_add_text(to, ".SH OPTIONS\n");
    for (const struct option *option = options_all(); option->name != NULL; option++) {
        add_option(to, option);
    }
    buf_add_text(to, ".SH EXIT STATUS\n");
    for (size_t i = 0; i < sizeof exits / sizeof exits[0]; i++) {
        add_entry(to, exits[i].name, exits[i].text);
        add_errors(to, (int)i);
    }
    ADD_ENTRIES(to, "SIGNALS", signals);
    ADD_ENTRIES(to, "ENVIRONMENT", variables);
    ADD_ENTRIES(to, "FILES", files);
    buf_add_text(to, ".SH SEE ALSO\n.BR ddb2pulsar.yaml (5),\n.BR ddb2pulsar\\-perf (1)\n");
}
