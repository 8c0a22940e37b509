/*
 * command: the commands of the program, and how they get their options. One table is the parser's, the help's, the
 * manual's, the completion's and the dispatcher's.
 *
 * A command returns the program's exit code. Results go to stdout, everything else to stderr.
 */
#ifndef CLI_COMMAND_H
#define CLI_COMMAND_H

#include "base/buf.h"
#include "base/log.h"
#include "config/config.h"

/* In which form `config reference` prints. */
enum command_form {
    COMMAND_FORM_TEXT,
    COMMAND_FORM_MARKDOWN,
    COMMAND_FORM_MAN,
    COMMAND_FORM_JSON_SCHEMA,
};

struct command_args {
    const char *config_file; /* NULL: none given */
    const char *const *sets; /* "key=value" each */
    size_t set_count;
    const char *to;    /* NULL: not given */
    const char *shard; /* NULL: not given */
    bool until_caught_up;
    bool json;
    enum command_form form;
    enum log_level log_level; /* already in force, as is the format */
    enum log_format log_format;
};

struct command {
    const char *name; /* one or two words; NULL: behind the last one */
    const char *summary;
    unsigned options;   /* bits of options.h */
    bool stops_cleanly; /* the first SIGTERM or SIGINT only asks: see signals.h */
    int (*run)(const struct command_args *args);
};

/* In the order of the help. Static storage. */
const struct command *command_all(void);
/* The one whose name the words are or begin with; sets *ret_words to how many of them that takes. NULL: none. */
const struct command *command_find(int argc, char **argv, int *ret_words);

/* Finds the command, parses its options, runs it. Returns the exit code. */
int command_main(int argc, char **argv);

int cmd_pipe(const struct command_args *args);
int cmd_reset(const struct command_args *args);
int cmd_run(const struct command_args *args);
int cmd_check(const struct command_args *args);
int cmd_shards(const struct command_args *args);
int cmd_status(const struct command_args *args);
int cmd_tail(const struct command_args *args);
int cmd_config_reference(const struct command_args *args);
int cmd_config_show(const struct command_args *args);
int cmd_version(const struct command_args *args); /* args may be NULL */

/* The configuration of a command, from its options and the environment; its notes are logged. forced is "key=value",
 * a property that the command itself decides above all others, or NULL. The caller frees *ret_config. */
bool cli_load_config(const struct command_args *args, const char *forced,
                     struct config **ret_config, struct err *err);

/* The same of any input. */
bool cli_load_config_input(const struct config_input *input, struct config **ret_config,
                           struct err *err);

/* Reports an error, once, as one line on stderr, and returns its exit code. */
int cli_fail(const struct command_args *args, const struct err *err);

/* Writes a command's result to stdout; false with ERR_OUTPUT when it cannot be written, or ERR_NOMEM when
 * it could not be built. */
bool cli_print(const struct buf *result, struct err *err);

#endif
