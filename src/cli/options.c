#include "cli/options.h"

#include "config/suggest.h"

#include <stdio.h>
#include <stdlib.h>

static const char *const levels[] = {"error", "warn", "info", "debug", NULL};
static const char *const formats[] = {"text", "json", NULL};
static const char *const positions[] = {"TRIM_HORIZON", "LATEST", NULL};

static const struct option rows[] = {
    {OPTION_CONFIG, 'c', "--config", "FILE",
     "configuration, JSON or YAML; also Pulsar's source configuration file", NULL},
    {OPTION_SET, 0, "--set", "KEY=VALUE", "set a property; goes above environment and file", NULL},
    {OPTION_UNTIL_CAUGHT_UP, 0, "--until-caught-up", NULL,
     "exit 0 when all shards are read up to now, delivered and checkpointed", NULL},
    {OPTION_TO, 0, "--to", "POSITION",
     "TRIM_HORIZON, LATEST, a time as startAtTime takes it, or with --shard a sequence number",
     positions},
    {OPTION_SHARD, 0, "--shard", "ID", "this shard alone", NULL},
    {OPTION_JSON, 0, "--json", NULL, "print JSON", NULL},
    {OPTION_MARKDOWN, 0, "--markdown", NULL, "print Markdown", NULL},
    {OPTION_MAN, 0, "--man", NULL, "print a manual page", NULL},
    {OPTION_JSON_SCHEMA, 0, "--json-schema", NULL, "print a JSON Schema, for editors", NULL},
    {OPTION_LOG_LEVEL, 0, "--log-level", "LEVEL", "error, warn, info (default) or debug", levels},
    {OPTION_LOG_FORMAT, 0, "--log-format", "FORMAT", "text (default) or json, one object per line",
     formats},
    {OPTION_HELP, 'h', "--help", NULL, "print this", NULL},
    {.name = NULL},
};

const struct option *options_all(void) {
    return rows;
}

const struct option *options_find(unsigned allowed, const char *word, const char **ret_value) {
    size_t len = strcspn(word, "=");
    *ret_value = word[len] == '=' ? word + len + 1 : NULL;
    for (size_t i = 0; rows[i].name != NULL; i++) {
        bool is_letter = len == 2 && rows[i].letter != 0 && word[1] == rows[i].letter;
        if ((rows[i].bit & allowed) != 0 &&
            (is_letter || str_is(str_make(word, len), rows[i].name))) {
            return &rows[i];
        }
    }
    return NULL;
}

static bool fail_unknown(const char *command, unsigned allowed, const char *word, struct err *err) {
    size_t len = strcspn(word, "="); /* what is behind it may be a secret */
    struct suggest suggest = {.word = str_make(word, len)};
    for (size_t i = 0; rows[i].name != NULL; i++) {
        if ((rows[i].bit & allowed) != 0) {
            suggest_offer(&suggest, rows[i].name);
        }
    }
    if (suggest.best != NULL) {
        return err_set(err, ERR_USAGE, "%s has no option %.*s; did you mean %s?", command, (int)len,
                       word, suggest.best);
    }
    return err_set(err, ERR_USAGE, "%s has no option %.*s; ddb2pulsar %s --help lists them",
                   command, (int)len, word, command);
}

static bool store_form(const char *command, const struct option *row, enum command_form form,
                       struct command_args *args, struct err *err) {
    if (args->form != COMMAND_FORM_TEXT && args->form != form) {
        return err_set(err, ERR_USAGE, "%s: %s contradicts another option", command, row->name);
    }
    args->form = form;
    return true;
}

static bool store(const char *command, const struct option *row, const char *value,
                  struct options *options, struct err *err) {
    struct command_args *args = &options->args;
    switch (row->bit) {
    case OPTION_CONFIG:
        if (args->config_file != NULL) {
            return err_set(err, ERR_USAGE, "%s: --config is given twice", command);
        }
        args->config_file = value;
        return true;
    case OPTION_SET:
        options->sets[args->set_count++] = value;
        return true;
    case OPTION_UNTIL_CAUGHT_UP:
        args->until_caught_up = true;
        return true;
    case OPTION_TO:
    case OPTION_SHARD: {
        const char **field = row->bit == OPTION_TO ? &args->to : &args->shard;
        if (*field != NULL) {
            return err_set(err, ERR_USAGE, "%s: %s is given twice", command, row->name);
        }
        *field = value;
        return true;
    }
    case OPTION_JSON:
        args->json = true;
        return true;
    case OPTION_MARKDOWN:
        return store_form(command, row, COMMAND_FORM_MARKDOWN, args, err);
    case OPTION_MAN:
        return store_form(command, row, COMMAND_FORM_MAN, args, err);
    case OPTION_JSON_SCHEMA:
        return store_form(command, row, COMMAND_FORM_JSON_SCHEMA, args, err);
    case OPTION_LOG_LEVEL:
        return log_level_parse(str_of(value), &args->log_level) ||
               err_set(err, ERR_USAGE,
                       "%s: --log-level is \"%s\"; allowed: error, warn, info or debug", command,
                       value);
    case OPTION_LOG_FORMAT:
        return log_format_parse(str_of(value), &args->log_format) ||
               err_set(err, ERR_USAGE, "%s: --log-format is \"%s\"; allowed: text or json", command,
                       value);
    default:
        options->help = true;
        return true;
    }
}

bool options_parse(const char *command, unsigned allowed, int argc, char **argv,
                   struct options *ret_options, struct err *err) {
    struct options options = {
        .args = {.log_level = LOG_LEVEL_INFO, .log_format = LOG_FORMAT_TEXT},
        .sets = calloc((size_t)argc + 1, sizeof *options.sets),
    };
    if (options.sets == NULL) {
        return err_set(err, ERR_NOMEM, "out of memory");
    }
    bool ok = true;
    for (int i = 0; i < argc && ok; i++) {
        const char *value;
        if (argv[i][0] != '-') {
            ok = err_set(err, ERR_USAGE, "%s takes no argument \"%s\"", command, argv[i]);
            break;
        }
        const struct option *row = options_find(allowed | OPTION_HELP, argv[i], &value);
        if (row == NULL) {
            ok = fail_unknown(command, allowed | OPTION_HELP, argv[i], err);
        } else if (row->value == NULL && value != NULL) {
            ok = err_set(err, ERR_USAGE, "%s: %s takes no value", command, row->name);
        } else if (row->value != NULL && value == NULL && i + 1 == argc) {
            ok =
                err_set(err, ERR_USAGE, "%s: %s needs a value, %s", command, row->name, row->value);
        } else {
            if (row->value != NULL && value == NULL) {
                value = argv[++i];
            }
            ok = store(command, row, value, &options, err);
        }
    }
    if (!ok) {
        options_done(&options);
        return false;
    }
    options.args.sets = options.sets;
    *ret_options = options;
    return true;
}

void options_done(struct options *options) {
    free(options->sets);
    *options = (struct options){.sets = NULL};
}

void options_add_help(struct buf *to, unsigned allowed) {
    for (size_t i = 0; rows[i].name != NULL; i++) {
        const struct option *row = &rows[i];
        if ((row->bit & (allowed | OPTION_HELP)) == 0) {
            continue;
        }
        char left[48];
        char letter[5] = "    ";
        if (row->letter != 0) {
            letter[0] = '-';
            letter[1] = row->letter;
            letter[2] = ',';
        }
        (void)snprintf(left, sizeof left, "%s%s%s%s", letter, row->name,
                       row->value != NULL ? " " : "", row->value != NULL ? row->value : "");
        buf_add_format(to, "  %-26s %s\n", left, row->text);
    }
}
