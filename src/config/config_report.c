#include "config/config_report.h"

#include "config/config_value.h"
#include "config/property.h"

#include <stdio.h>
#include <stdlib.h>

void config_origin_text(const struct config *config, enum config_key key, char *to,
                        size_t capacity) {
    const struct config_origin *origin = &config->origins[key];
    char variable[PROPERTY_ENV_MAX];
    switch (origin->source) {
    case CONFIG_SOURCE_DEFAULT:
        (void)str_copy(STR("default"), to, capacity);
        break;
    case CONFIG_SOURCE_CLIENT_CONF:
        (void)snprintf(to, capacity, "%s:%u", config->texts[CONFIG_KEY_client_conf], origin->line);
        break;
    case CONFIG_SOURCE_FILE:
        (void)snprintf(to, capacity, "%s:%u:%u", config->file, origin->line, origin->column);
        break;
    case CONFIG_SOURCE_ENVIRONMENT:
        property_env_name(key, variable);
        (void)snprintf(to, capacity, "environment variable %s", variable);
        break;
    case CONFIG_SOURCE_SET:
        (void)str_copy(STR("--set"), to, capacity);
        break;
    case CONFIG_SOURCE_COMMAND:
        (void)str_copy(STR("this command"), to, capacity);
        break;
    }
}

const char *config_shown_value(const struct config *config, enum config_key key) {
    const char *text = config->texts[key];
    return property_of(key)->secret && text[0] != '\0' ? "***" : text;
}

bool config_fail(const struct config *config, enum config_key key, struct err *err,
                 const char *reason, ...) {
    char place[256];
    char why[384];
    va_list args;
    va_start(args, reason);
    (void)vsnprintf(why, sizeof why, reason, args);
    va_end(args);
    config_origin_text(config, key, place, sizeof place);
    struct buf shown;
    buf_init(&shown, 256);
    if (property_of(key)->secret) {
        buf_add_text(&shown, config_shown_value(config, key));
    } else {
        config_value_add_quoted(&shown, str_of(config->texts[key]));
    }
    err_set(err, ERR_CONFIG, "%s: %s is %s: %s", place, property_of(key)->name, buf_text(&shown),
            why);
    buf_done(&shown);
    return false;
}

bool config_fail_missing(enum config_key key, struct err *err, const char *why) {
    char variable[PROPERTY_ENV_MAX];
    property_env_name(key, variable);
    const char *name = property_of(key)->name;
    return err_set(err, ERR_CONFIG,
                   "%s is missing: %s; give it in the configuration file, as environment variable "
                   "%s, or with --set %s=...",
                   name, why, variable, name);
}

bool config_derive(char **field, struct str text, struct err *err) {
    free(*field);
    *field = str_dup(text);
    return *field != NULL || err_set(err, ERR_NOMEM, "out of memory");
}

bool config_note(struct config *config, struct err *err, const char *format, ...) {
    char text[640];
    va_list args;
    va_start(args, format);
    (void)vsnprintf(text, sizeof text, format, args);
    va_end(args);
    char **notes = realloc(config->notes, (config->note_count + 1) * sizeof *notes);
    if (notes != NULL) {
        config->notes = notes;
        notes[config->note_count] = str_dup(str_of(text));
    }
    if (notes == NULL || notes[config->note_count] == NULL) {
        return err_set(err, ERR_NOMEM, "out of memory");
    }
    config->note_count++;
    return true;
}
