/* options: the options of the command line: one table, parsed into struct command_args. */
#ifndef CLI_OPTIONS_H
#define CLI_OPTIONS_H

#include "cli/command.h"

/* Bits of the set of options that a command has. */
enum {
    OPTION_CONFIG = 1 << 0,
    OPTION_SET = 1 << 1,
    OPTION_UNTIL_CAUGHT_UP = 1 << 2,
    OPTION_JSON = 1 << 3,
    OPTION_MARKDOWN = 1 << 4,
    OPTION_LOG_LEVEL = 1 << 5,
    OPTION_LOG_FORMAT = 1 << 6,
    OPTION_HELP = 1 << 7,
    OPTION_TO = 1 << 8,
    OPTION_SHARD = 1 << 9,
    OPTION_MAN = 1 << 10,
    OPTION_JSON_SCHEMA = 1 << 11,
};

struct option {
    unsigned bit;
    char letter;       /* 0: none */
    const char *name;  /* with "--"; NULL: behind the last one */
    const char *value; /* how help calls its value; NULL: it takes none */
    const char *text;
    const char *const *choices; /* some or all of its values, for completion; NULL: none */
};

/* Static storage. */
const struct option *options_all(void);
/* One of the allowed by "-c", "--config" or "--config=...". Sets *ret_value to what is behind '=', or NULL. */
const struct option *options_find(unsigned allowed, const char *word, const char **ret_value);

struct options {
    struct command_args args;
    const char **sets; /* owned array; its texts are argv's */
    bool help;
};

/* Parses what follows the command's name. ERR_USAGE with a sentence when it makes no sense; `command` is the name
 * for it. On true the caller calls options_done. */
bool options_parse(const char *command, unsigned allowed, int argc, char **argv,
                   struct options *ret_options, struct err *err);
void options_done(struct options *options);

/* One line per allowed option, for help. */
void options_add_help(struct buf *to, unsigned allowed);

#endif
