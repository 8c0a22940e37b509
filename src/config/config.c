#include "config/config.h"

#include "config/client_conf.h"
#include "config/config_access.h"
#include "config/config_check.h"
#include "config/config_file.h"
#include "config/config_report.h"
#include "config/config_value.h"
#include "config/property.h"
#include "config/source_key.h"

#include <stdlib.h>

#define ENV_PREFIX "DDB2PULSAR_"

/* One key with its value, on its way from a source into the configuration. */
struct given {
    const char *place; /* how messages name where it stands */
    struct str path;
    enum config_entry_kind kind;
    struct str value;  /* of a scalar */
    uint32_t key_line; /* in a file */
    uint32_t key_column;
    struct config_origin origin;
};

struct loader {
    struct config *config;
    const char *const *environment;
    bool reset[CONFIG_KEY_COUNT]; /* by `--set key=`: the default counts, not client.conf */
    struct buf ignored;           /* names of keys without meaning here, joined by ", " */
    struct err *err;
};

static bool fail_given(struct loader *loader, const struct given *given, const char *reason) {
    struct buf value;
    buf_init(&value, 256);
    config_value_add_quoted(&value, given->value);
    err_set(loader->err, ERR_CONFIG, "%s: %.*s is %s: %s", given->place, STR_FMT(given->path),
            given->kind == CONFIG_ENTRY_SCALAR ? buf_text(&value)
            : given->kind == CONFIG_ENTRY_LIST ? "a list"
                                               : "a mapping",
            reason);
    buf_done(&value);
    return false;
}

/* The value of an unknown key is not shown: it could be a secret under a misspelt name. */
static bool fail_unknown(struct loader *loader, const struct given *given, struct str name) {
    char place[256];
    if (given->origin.source == CONFIG_SOURCE_FILE) {
        struct buf text;
        buf_init(&text, sizeof place - 1);
        buf_add_format(&text, "%s:%u:%u", loader->config->file, given->key_line, given->key_column);
        (void)str_copy(buf_str(&text), place, sizeof place);
        buf_done(&text);
    } else {
        (void)str_copy(str_of(given->place), place, sizeof place);
    }
    struct suggest suggest = {.word = name};
    property_suggest(&suggest);
    source_key_suggest(&suggest);
    struct buf quoted;
    buf_init(&quoted, 256);
    config_value_add_quoted(&quoted, given->path);
    if (suggest.best != NULL) {
        err_set(loader->err, ERR_CONFIG, "%s: there is no property %s; did you mean %s?", place,
                buf_text(&quoted), suggest.best);
    } else {
        err_set(loader->err, ERR_CONFIG,
                "%s: there is no property %s; ddb2pulsar config reference lists all", place,
                buf_text(&quoted));
    }
    buf_done(&quoted);
    return false;
}

static bool set_text(struct loader *loader, enum config_key key, struct str text,
                     struct config_origin origin) {
    char *copy = str_dup(text);
    if (copy == NULL) {
        return err_set(loader->err, ERR_NOMEM, "out of memory");
    }
    free(loader->config->texts[key]);
    loader->config->texts[key] = copy;
    loader->config->origins[key] = origin;
    return true;
}

static bool give_property(struct loader *loader, enum config_key key, const struct given *given) {
    if (given->kind == CONFIG_ENTRY_LIST || given->kind == CONFIG_ENTRY_MAP) {
        return fail_given(loader, given, "a single value is allowed");
    }
    struct str text = given->kind == CONFIG_ENTRY_SCALAR ? str_trim(given->value) : STR_NONE;
    const struct config_origin *before = &loader->config->origins[key];
    if (text.len == 0) {
        if (given->origin.source < CONFIG_SOURCE_SET) {
            return true; /* blank is absent */
        }
        struct config_origin origin = {.source = CONFIG_SOURCE_DEFAULT};
        loader->reset[key] = true;
        return set_text(loader, key, str_of(property_of(key)->default_text), origin);
    }
    if (before->source == CONFIG_SOURCE_FILE && given->origin.source == CONFIG_SOURCE_FILE) {
        return err_set(loader->err, ERR_CONFIG,
                       "%s: %.*s is given twice, first in line %u (both mean the property %s)",
                       given->place, STR_FMT(given->path), before->line, property_of(key)->name);
    }
    return set_text(loader, key, text, given->origin);
}

static bool is_absent(const struct given *given) {
    return given->kind == CONFIG_ENTRY_NULL ||
           (given->kind == CONFIG_ENTRY_SCALAR && config_value_is_blank(given->value));
}

static void note_ignored(struct loader *loader, struct str name) {
    if (loader->ignored.len > 0) {
        buf_add_text(&loader->ignored, ", ");
    }
    buf_add_str(&loader->ignored, name);
}

/* As Pulsar's providers give secrets to a source: the text itself or, for a mapping, the variable of its name. */
static bool give_secret(struct loader *loader, const struct given *given, struct str name) {
    enum config_key key;
    if (!property_find(name, &key) || !property_of(key)->secret) {
        note_ignored(loader, given->path);
        return true;
    }
    if (given->kind == CONFIG_ENTRY_LIST) {
        return fail_given(loader, given, "a text or a mapping is allowed");
    }
    struct str value = given->kind == CONFIG_ENTRY_SCALAR ? str_trim(given->value) : STR_NONE;
    if (given->kind == CONFIG_ENTRY_MAP) {
        value =
            str_trim(str_of(config_value_variable(loader->environment, property_of(key)->name)));
        if (value.len == 0) {
            return err_set(loader->err, ERR_CONFIG,
                           "%s: %.*s is a mapping, so its value is expected in the environment "
                           "variable %s, which is not set",
                           given->place, STR_FMT(given->path), property_of(key)->name);
        }
    }
    return value.len == 0 || set_text(loader, key, value, given->origin);
}

/* Sets *ret_whole when what lies below the key is settled too. */
static bool give(struct loader *loader, const struct given *given, bool *ret_whole) {
    struct str name = given->path;
    enum config_key key;
    *ret_whole = false;
    if (str_starts(name, "configs.")) {
        name = str_make(name.ptr + 8, name.len - 8);
    }
    if (property_find(name, &key)) {
        return give_property(loader, key, given);
    }
    const struct source_key *row = source_key_find(name);
    if (row == NULL) {
        return fail_unknown(loader, given, name);
    }
    switch (row->kind) {
    case SOURCE_KEY_CONTAINER:
        return given->kind == CONFIG_ENTRY_MAP || is_absent(given) ||
               fail_given(loader, given, "keys and values are allowed");
    case SOURCE_KEY_ALIAS:
        return give_property(loader, row->key, given);
    case SOURCE_KEY_IGNORED:
        *ret_whole = true;
        if (!is_absent(given)) {
            note_ignored(loader, name);
        }
        return true;
    case SOURCE_KEY_REFUSED:
        *ret_whole = true;
        return is_absent(given) || err_set(loader->err, ERR_CONFIG, "%s: %.*s: %s", given->place,
                                           STR_FMT(name), row->text);
    case SOURCE_KEY_SECRETS:
        *ret_whole = true; /* the second pass has them */
        return given->kind == CONFIG_ENTRY_MAP || is_absent(given) ||
               err_set(loader->err, ERR_CONFIG, "%s: secrets: keys and values are allowed",
                       given->place);
    }
    return true;
}

typedef bool take_entry(struct loader *loader, const struct given *given, bool *ret_whole);

/* Gives the entries to take, but for those below one that it settled as a whole. */
static bool each_entry(struct loader *loader, const struct config_file *file, take_entry *take) {
    struct str done = STR_NONE;
    for (size_t i = 0; i < file->count; i++) {
        const struct config_entry *entry = &file->entries[i];
        struct str path = str_of(entry->path);
        if (done.len > 0 && path.len > done.len && path.ptr[done.len] == '.' &&
            memcmp(path.ptr, done.ptr, done.len) == 0) {
            continue;
        }
        struct buf place;
        buf_init(&place, 256);
        buf_add_format(&place, "%s:%u:%u", loader->config->file, entry->line, entry->column);
        const struct given given = {
            .place = buf_text(&place),
            .path = path,
            .kind = entry->kind,
            .value = str_of(entry->value),
            .key_line = entry->key_line,
            .key_column = entry->key_column,
            .origin = {CONFIG_SOURCE_FILE, entry->line, entry->column},
        };
        bool whole = false;
        bool ok = take(loader, &given, &whole);
        buf_done(&place);
        if (!ok) {
            return false;
        }
        done = whole ? path : STR_NONE;
    }
    return true;
}

/* Of the second pass: a secret counts more than what the file gives under `configs`, wherever it stands. */
static bool take_secret(struct loader *loader, const struct given *given, bool *ret_whole) {
    if (!str_starts(given->path, "secrets.")) {
        return true;
    }
    *ret_whole = true;
    return give_secret(loader, given, str_make(given->path.ptr + 8, given->path.len - 8));
}

static bool load_file(struct loader *loader, const struct config_file *file) {
    loader->config->source_file = config_file_find(file, STR("configs")) != NULL;
    return each_entry(loader, file, give) && each_entry(loader, file, take_secret);
}

static bool take_client_setting(struct loader *loader, const struct client_conf *conf,
                                struct str name, struct str value) {
    const struct source_key *row = client_conf_find(name);
    if (value.len == 0 || str_equal_nocase(value, STR("null"))) { /* some tools write null */
        return true;
    }
    if (row == NULL || row->kind == SOURCE_KEY_IGNORED) {
        note_ignored(loader, name);
        return true;
    }
    if (row->kind == SOURCE_KEY_REFUSED) {
        return str_equal_nocase(value, STR("false")) ||
               err_set(loader->err, ERR_CONFIG, "%s:%u: %.*s: %s", conf->path, conf->line,
                       STR_FMT(name), row->text);
    }
    struct config_origin origin = {.source = CONFIG_SOURCE_CLIENT_CONF, .line = conf->line};
    enum config_source before = loader->config->origins[row->key].source;
    bool wanted = before <= CONFIG_SOURCE_CLIENT_CONF && !loader->reset[row->key];
    return !wanted || set_text(loader, row->key, value, origin);
}

/* Comes last, when it is known which file it is, and takes only what nothing else has given. As in
 * Java, of a setting that is given twice the last one counts. */
static bool load_client_conf(struct loader *loader) {
    const char *path = loader->config->texts[CONFIG_KEY_client_conf];
    if (path[0] == '\0') {
        return true;
    }
    struct buf bytes;
    buf_init(&bytes, BUF_MAX_CONFIG);
    struct err broken = ERR_NONE;
    bool ok = config_file_load(path, &bytes, loader->err);
    struct client_conf conf = {.path = path, .rest = buf_str(&bytes)};
    struct str name;
    struct str value;
    while (ok && client_conf_next(&conf, &name, &value, &broken)) {
        ok = take_client_setting(loader, &conf, name, value);
    }
    buf_done(&bytes);
    if (err_is_set(&broken)) {
        *loader->err = broken;
        return false;
    }
    return ok;
}

/* A variable with our prefix that is none of ours. One that is nearly ours is a mistake; others happen (container
 * platforms make some up from service names). */
static bool load_foreign_variable(struct loader *loader, struct str name) {
    size_t prefix = sizeof ENV_PREFIX - 1;
    struct str word = str_make(name.ptr + prefix, name.len - prefix);
    for (size_t i = 0; i < CONFIG_KEY_COUNT; i++) {
        char known[PROPERTY_ENV_MAX];
        property_env_name((enum config_key)i, known);
        if (word.len > 5 && suggest_distance(word, str_of(known + prefix)) <= 2) {
            return err_set(loader->err, ERR_CONFIG,
                           "environment variable %.*s: there is no such property; did you mean %s?",
                           STR_FMT(name), known);
        }
    }
    note_ignored(loader, name);
    return true;
}

static bool load_environment(struct loader *loader) {
    const char *const *environment = loader->environment;
    for (; environment != NULL && *environment != NULL; environment++) {
        const char *equals = strchr(*environment, '=');
        if (equals == NULL || strncmp(*environment, ENV_PREFIX, sizeof ENV_PREFIX - 1) != 0) {
            continue;
        }
        struct str name = str_make(*environment, (size_t)(equals - *environment));
        struct str value = str_trim(str_of(equals + 1));
        enum config_key key;
        if (!property_find_env(name, &key)) {
            if (!load_foreign_variable(loader, name)) {
                return false;
            }
            continue;
        }
        if (value.len > 0 && loader->config->origins[key].source == CONFIG_SOURCE_ENVIRONMENT &&
            !str_is(value, loader->config->texts[key])) {
            return err_set(loader->err, ERR_CONFIG,
                           "environment variable %.*s: %s has another value under its other name",
                           STR_FMT(name), property_of(key)->name);
        }
        const struct given given = {
            .kind = CONFIG_ENTRY_SCALAR,
            .value = value,
            .origin = {.source = CONFIG_SOURCE_ENVIRONMENT},
        };
        if (!give_property(loader, key, &given)) {
            return false;
        }
    }
    return true;
}

/* Every user of the machine can read a command line. */
static bool check_public(struct loader *loader, const struct given *given) {
    enum config_key key;
    struct str value = str_trim(given->value);
    if (!property_find(given->path, &key) || !property_of(key)->secret || value.len == 0 ||
        str_starts(value, "file:") || str_starts(value, "env:")) {
        return true;
    }
    char variable[PROPERTY_ENV_MAX];
    property_env_name(key, variable);
    return err_set(loader->err, ERR_CONFIG,
                   "--set: %s is a secret, and others can read a command line; give it in the "
                   "configuration file or as environment variable %s",
                   property_of(key)->name, variable);
}

static bool load_sets(struct loader *loader, const char *const *sets, size_t count,
                      enum config_source source) {
    for (size_t i = 0; i < count; i++) {
        const char *equals = strchr(sets[i], '=');
        if (equals == NULL || equals == sets[i]) {
            /* Without '=' nobody knows whether it is a name or a secret. */
            return err_set(loader->err, ERR_CONFIG, "--set: expected KEY=VALUE");
        }
        const struct given given = {
            .place = "--set",
            .path = str_trim(str_make(sets[i], (size_t)(equals - sets[i]))),
            .kind = CONFIG_ENTRY_SCALAR,
            .value = str_of(equals + 1),
            .origin = {.source = source},
        };
        if (!check_public(loader, &given)) {
            return false;
        }
        bool whole;
        if (!give(loader, &given, &whole)) {
            return false;
        }
    }
    return true;
}

static bool load_sources(struct loader *loader, const struct config_input *input) {
    for (size_t i = 0; i < CONFIG_KEY_COUNT; i++) {
        struct config_origin origin = {.source = CONFIG_SOURCE_DEFAULT};
        struct str text = str_of(property_of((enum config_key)i)->default_text);
        if (!set_text(loader, (enum config_key)i, text, origin)) {
            return false;
        }
    }
    if (input->file != NULL) {
        loader->config->file = str_dup(str_of(input->file));
        if (loader->config->file == NULL) {
            return err_set(loader->err, ERR_NOMEM, "out of memory");
        }
        struct config_file file;
        if (input->text.ptr != NULL
                ? !config_file_parse(input->file, input->text, &file, loader->err)
                : !config_file_read(input->file, &file, loader->err)) {
            return false;
        }
        bool ok = load_file(loader, &file);
        config_file_done(&file);
        if (!ok) {
            return false;
        }
    }
    return load_environment(loader) &&
           load_sets(loader, input->sets, input->set_count, CONFIG_SOURCE_SET) &&
           load_sets(loader, input->forced, input->forced_count, CONFIG_SOURCE_COMMAND) &&
           load_client_conf(loader);
}

static bool store_all(struct loader *loader) {
    struct config *config = loader->config;
    for (size_t i = 0; i < CONFIG_KEY_COUNT; i++) {
        enum config_key key = (enum config_key)i;
        struct err reason = ERR_NONE;
        if (!property_store(key, str_of(config->texts[key]), config, &reason)) {
            return config_fail(config, key, loader->err, "%s", reason.text);
        }
    }
    return true;
}

struct config *config_load(const struct config_input *input, struct err *err) {
    struct config *config = calloc(1, sizeof *config);
    if (config == NULL) {
        err_set(err, ERR_NOMEM, "out of memory");
        return NULL;
    }
    struct loader loader = {.config = config, .environment = input->environment, .err = err};
    buf_init(&loader.ignored, 512);
    bool ok = load_sources(&loader, input) && store_all(&loader);
    if (ok && loader.ignored.len > 0) {
        ok = config_note(config, err, "without meaning here and ignored: %s",
                         buf_text(&loader.ignored));
    }
    ok = ok && config_check(config, input->environment, err);
    buf_done(&loader.ignored);
    if (!ok) {
        config_free(config);
        return NULL;
    }
    return config;
}

void config_free(struct config *config) {
    if (config == NULL) {
        return;
    }
    for (size_t i = 0; i < CONFIG_KEY_COUNT; i++) {
        const struct property *row = property_of((enum config_key)i);
        if (row->kind == PROPERTY_TEXT || row->kind == PROPERTY_URL) {
            free(*(char **)((char *)config + row->offset));
        }
        free(config->texts[i]);
    }
    for (size_t i = 0; i < config->note_count; i++) {
        free(config->notes[i]);
    }
    free(config->notes);
    free(config->streams_region);
    free(config->table_region);
    free(config->lease_table);
    free(config->sts_endpoint);
    free(config->ca_bundle);
    config_access_done(&config->access);
    config_access_done(&config->table_access);
    free(config->file);
    free(config);
}
