#include "cli/command.h"

#include "cli/completion.h"
#include "cli/manual.h"
#include "cli/options.h"
#include "cli/signals.h"
#include "config/suggest.h"

#include <stdio.h>
#include <sys/prctl.h>
#include <unistd.h>

enum {
    LOG_OPTIONS = OPTION_LOG_LEVEL | OPTION_LOG_FORMAT,
    LOAD_OPTIONS = LOG_OPTIONS | OPTION_CONFIG | OPTION_SET,
};

static const struct command commands[] = {
    {"run", "read the stream into Pulsar until a signal comes",
     LOAD_OPTIONS | OPTION_UNTIL_CAUGHT_UP, true, cmd_run},
    {"check", "look whether configuration, credentials, stream, lease table and topic are right",
     LOAD_OPTIONS, false, cmd_check},
    {"status", "show who reads the stream, how far, how far behind, and what idle polling costs",
     LOAD_OPTIONS | OPTION_JSON, false, cmd_status},
    {"shards", "list the shards with their lineage, leases and checkpoints",
     LOAD_OPTIONS | OPTION_JSON, false, cmd_shards},
    {"reset", "put the checkpoints elsewhere, while no worker runs",
     LOAD_OPTIONS | OPTION_JSON | OPTION_TO | OPTION_SHARD, false, cmd_reset},
    {"tail", "print the changes as JSON lines; keeps no leases, sends nothing",
     LOAD_OPTIONS | OPTION_UNTIL_CAUGHT_UP, true, cmd_tail},
    {"pipe", "as run, for a program that gives the configuration and takes the changes by pipes",
     LOG_OPTIONS, true, cmd_pipe},
    {"config show", "print the configuration in force, and where each value comes from",
     LOAD_OPTIONS | OPTION_JSON, false, cmd_config_show},
    {"config reference", "print all properties", OPTION_MARKDOWN | OPTION_MAN | OPTION_JSON_SCHEMA,
     false, cmd_config_reference},
    {"version", "print the version", 0, false, cmd_version},
    {.name = NULL},
};

const struct command *command_all(void) {
    return commands;
}

/* Prints what was written, and frees it. */
static int print(struct buf *text) {
    struct err err = ERR_NONE;
    bool ok = cli_print(text, &err);
    buf_done(text);
    return ok ? 0 : cli_fail(NULL, &err);
}

static int print_help(const struct command *command) {
    struct buf help;
    buf_init(&help, BUF_MAX_REQUEST);
    if (command == NULL) {
        buf_add_text(&help, "ddb2pulsar: DynamoDB change streams into Apache Pulsar\n\n"
                            "usage: ddb2pulsar COMMAND [OPTION]...\n\n");
        for (size_t i = 0; commands[i].name != NULL; i++) {
            buf_add_format(&help, "  %-18s %s\n", commands[i].name, commands[i].summary);
        }
        buf_add_text(&help, "\nddb2pulsar COMMAND --help lists a command's options.\n");
    } else {
        buf_add_format(&help, "usage: ddb2pulsar %s [OPTION]...\n\n%s\n\n", command->name,
                       command->summary);
        options_add_help(&help, command->options);
    }
    return print(&help);
}

static int print_manual(void) {
    struct buf manual;
    buf_init(&manual, BUF_MAX_REQUEST);
    manual_add(&manual);
    return print(&manual);
}

static int print_completion(int argc, char **argv) {
    struct buf candidates;
    buf_init(&candidates, BUF_MAX_REQUEST);
    completion_add(&candidates, argc, argv);
    return print(&candidates);
}

/* How many of the words are the command's name; 0: another command. */
static int match(const struct command *command, int argc, char **argv) {
    struct str name = str_of(command->name);
    const char *space = strchr(command->name, ' ');
    size_t first = space == NULL ? name.len : (size_t)(space - name.ptr);
    if (!str_is(str_make(name.ptr, first), argv[0])) {
        return 0;
    }
    if (space == NULL) {
        return 1;
    }
    return argc > 1 && strcmp(space + 1, argv[1]) == 0 ? 2 : 0;
}

const struct command *command_find(int argc, char **argv, int *ret_words) {
    for (const struct command *command = commands; argc > 0 && command->name != NULL; command++) {
        *ret_words = match(command, argc, argv);
        if (*ret_words > 0) {
            return command;
        }
    }
    return NULL;
}

/* The sentence for a word that starts no command, or only half of one. */
static void explain_unknown(int argc, char **argv, struct err *err) {
    struct buf halves; /* what may follow the first word */
    buf_init(&halves, 256);
    size_t len = strlen(argv[0]);
    struct suggest suggest = {.word = str_make(argv[0], len)};
    for (size_t i = 0; commands[i].name != NULL; i++) {
        const char *name = commands[i].name;
        suggest_offer(&suggest, name);
        if (strncmp(name, argv[0], len) == 0 && name[len] == ' ') {
            buf_add_format(&halves, "%s%s", halves.len > 0 ? " or " : "", name + len + 1);
        }
    }
    if (halves.len > 0 && argc > 1) {
        err_set(err, ERR_USAGE, "there is no command \"%s %s\"; %s takes %s", argv[0], argv[1],
                argv[0], buf_text(&halves));
    } else if (halves.len > 0) {
        err_set(err, ERR_USAGE, "%s needs %s behind it", argv[0], buf_text(&halves));
    } else if (argv[0][0] == '-') {
        err_set(err, ERR_USAGE,
                "the command comes first, options behind it; ddb2pulsar --help "
                "lists the commands");
    } else if (suggest.best != NULL) {
        err_set(err, ERR_USAGE, "there is no command \"%s\"; did you mean %s?", argv[0],
                suggest.best);
    } else {
        err_set(err, ERR_USAGE, "there is no command \"%s\"; ddb2pulsar --help lists them",
                argv[0]);
    }
    buf_done(&halves);
}

static int run(const struct command *command, int argc, char **argv) {
    struct options options;
    struct err err = ERR_NONE;
    if (!options_parse(command->name, command->options, argc, argv, &options, &err)) {
        return cli_fail(NULL, &err);
    }
    int code;
    if (options.help) {
        code = print_help(command);
    } else {
        log_setup(options.args.log_level, options.args.log_format);
        if (command->stops_cleanly) {
            signals_block();
        }
        code = command->run(&options.args);
    }
    options_done(&options);
    return code;
}

int command_main(int argc, char **argv) {
    struct err err = ERR_NONE;
    if (argc < 2) {
        err_set(&err, ERR_USAGE, "a command is missing; ddb2pulsar --help lists them");
        return cli_fail(NULL, &err);
    }
    argc--;
    argv++;
    if (strcmp(argv[0], "--help") == 0 || strcmp(argv[0], "-h") == 0) {
        return print_help(NULL);
    }
    if (strcmp(argv[0], "--version") == 0) {
        return cmd_version(NULL);
    }
    /* For packages and shells, so no help lists them. */
    if (strcmp(argv[0], "--man") == 0) {
        return print_manual();
    }
    if (strcmp(argv[0], "--complete") == 0) {
        return print_completion(argc - 1, argv + 1);
    }
    int words;
    const struct command *command = command_find(argc, argv, &words);
    if (command != NULL) {
        return run(command, argc - words, argv + words);
    }
    explain_unknown(argc, argv, &err);
    return cli_fail(NULL, &err);
}

/* No core file, also where they go to a program (core_pattern), which RLIMIT_CORE does not stop. The leak check of
 * AddressSanitizer looks into the process as a debugger does, and would fail. */
static void hide_memory(void) {
#ifndef __SANITIZE_ADDRESS__
    (void)prctl(PR_SET_DUMPABLE, 0);
#endif
}

bool cli_load_config(const struct command_args *args, const char *forced,
                     struct config **ret_config, struct err *err) {
    const struct config_input input = {
        .file = args->config_file,
        .sets = args->sets,
        .set_count = args->set_count,
        .forced = &forced,
        .forced_count = forced != NULL ? 1 : 0,
        .environment = (const char *const *)environ,
    };
    return cli_load_config_input(&input, ret_config, err);
}

bool cli_load_config_input(const struct config_input *input, struct config **ret_config,
                           struct err *err) {
    struct config *config = config_load(input, err);
    if (config == NULL) {
        return false;
    }
    if (!config->core_dumps) {
        hide_memory();
    }
    for (size_t i = 0; i < config->note_count; i++) {
        LOG_INFO("config", "note", LOG_TEXT("text", config->notes[i]));
    }
    *ret_config = config;
    return true;
}

int cli_fail(const struct command_args *args, const struct err *err) {
    if (args != NULL && args->log_format == LOG_FORMAT_JSON) {
        LOG_ERROR("cli", "failed", LOG_ERR(err));
    } else {
        (void)fprintf(stderr, "ddb2pulsar: %s\n", err->text);
    }
    return err_exit_code(err->code);
}

bool cli_print(const struct buf *result, struct err *err) {
    if (result->failed) {
        return err_set(err, ERR_NOMEM, "out of memory");
    }
    if (fwrite(result->data, 1, result->len, stdout) != result->len || fflush(stdout) != 0) {
        return err_set(err, ERR_OUTPUT, "standard output cannot be written");
    }
    return true;
}
