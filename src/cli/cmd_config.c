#include "cli/command.h"

#include "config/config_access.h"
#include "config/config_docs.h"
#include "config/config_schema.h"
#include "config/property.h"

enum { ORIGIN_MAX = 512 };

int cmd_config_reference(const struct command_args *args) {
    struct buf text;
    struct err err = ERR_NONE;
    buf_init(&text, CONFIG_DOCS_MAX);
    static void (*const writers[])(struct buf * to) = {
        [COMMAND_FORM_TEXT] = config_docs_text,
        [COMMAND_FORM_MARKDOWN] = config_docs_markdown,
        [COMMAND_FORM_MAN] = config_docs_man,
        [COMMAND_FORM_JSON_SCHEMA] = config_schema,
    };
    writers[args->form](&text);
    int code = cli_print(&text, &err) ? 0 : cli_fail(args, &err);
    buf_done(&text);
    return code;
}

/* What follows from the properties, by names that no property has. */
struct derived {
    const char *name;
    const char *value;
};
enum { DERIVED_COUNT = 5 };

static void list_derived(const struct config *config, struct derived to[DERIVED_COUNT]) {
    to[0] = (struct derived){"leaseTable", config->lease_table};
    to[1] = (struct derived){"leaseTableRegion", config->table_region};
    to[2] = (struct derived){"streamRegion", config->streams_region};
    to[3] = (struct derived){"credentials", config_access_source(&config->access)};
    to[4] = (struct derived){
        "leaseTableCredentials",
        config_access_source(config->has_table_access ? &config->table_access : &config->access)};
}

/* YAML that can be used as a configuration again, but for the masked secrets; origins are comments. */
static void show_text(const struct config *config, struct buf *to) {
    char origin[ORIGIN_MAX];
    for (size_t i = 0; i < CONFIG_KEY_COUNT; i++) {
        enum config_key key = (enum config_key)i;
        config_origin_text(config, key, origin, sizeof origin);
        buf_add_format(to, "%s: ", property_of(key)->name);
        buf_add_json_string(to, str_of(config_shown_value(config, key)));
        buf_add_format(to, "  # %s\n", origin);
    }
    struct derived derived[DERIVED_COUNT];
    list_derived(config, derived);
    for (size_t i = 0; i < DERIVED_COUNT; i++) {
        buf_add_format(to, "# %s: %s\n", derived[i].name, derived[i].value);
    }
}

static void show_json(const struct config *config, struct buf *to) {
    char origin[ORIGIN_MAX];
    buf_add_text(to, "{\"properties\":{");
    for (size_t i = 0; i < CONFIG_KEY_COUNT; i++) {
        enum config_key key = (enum config_key)i;
        config_origin_text(config, key, origin, sizeof origin);
        buf_add_format(to, "%s\n  \"%s\":{\"value\":", i > 0 ? "," : "", property_of(key)->name);
        buf_add_json_string(to, str_of(config_shown_value(config, key)));
        buf_add_text(to, ",\"from\":");
        buf_add_json_string(to, str_of(origin));
        buf_add_char(to, '}');
    }
    buf_add_text(to, "},\n \"derived\":{");
    struct derived derived[DERIVED_COUNT];
    list_derived(config, derived);
    for (size_t i = 0; i < DERIVED_COUNT; i++) {
        buf_add_format(to, "%s\n  \"%s\":", i > 0 ? "," : "", derived[i].name);
        buf_add_json_string(to, str_of(derived[i].value));
    }
    buf_add_text(to, "}}\n");
}

int cmd_config_show(const struct command_args *args) {
    struct config *config;
    struct err err = ERR_NONE;
    if (!cli_load_config(args, NULL, &config, &err)) {
        return cli_fail(args, &err);
    }
    struct buf text;
    buf_init(&text, BUF_MAX_CONFIG * 4);
    if (args->json) {
        show_json(config, &text);
    } else {
        show_text(config, &text);
    }
    int code = cli_print(&text, &err) ? 0 : cli_fail(args, &err);
    buf_done(&text);
    config_free(config);
    return code;
}
