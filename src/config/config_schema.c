#include "config/config_schema.h"

#include "config/property.h"
#include "config/source_key.h"

#include <inttypes.h>
#include <stdio.h>

static void add_member(struct buf *to, const char *name, const char *text) {
    buf_add_format(to, "\"%s\": ", name);
    buf_add_json_string(to, str_of(text));
}

static void add_choices(struct buf *to, const struct property_choice *choice) {
    const char *between = "";
    for (; choice != NULL && choice->name != NULL; choice++) {
        if (choice->refusal == NULL) {
            buf_add_format(to, "%s\"%s\"", between, choice->name);
            between = ", ";
        }
    }
}

/* A number, or its text, also with a unit; null and blank texts are absent. */
static void add_number(struct buf *to, const struct property *row) {
    buf_add_format(to,
                   "\"anyOf\": [{\"type\": \"integer\", \"minimum\": %" PRIu64
                   ", \"maximum\": %" PRIu64 "}, ",
                   row->min, row->max);
    if (row->choices != NULL) {
        buf_add_text(to, "{\"enum\": [");
        add_choices(to, row->choices);
        buf_add_text(to, "]}, ");
    }
    const char *unit = row->kind == PROPERTY_MS      ? "(\\\\s*(ms|s|min|h))?"
                       : row->kind == PROPERTY_BYTES ? "(\\\\s*[KMG]i?B)?"
                                                     : "";
    buf_add_format(to,
                   "{\"type\": \"string\", \"pattern\": \"^\\\\s*([0-9]+%s\\\\s*)?$\"}, "
                   "{\"type\": \"null\"}]",
                   unit);
}

static void add_type(struct buf *to, const struct property *row) {
    switch (row->kind) {
    case PROPERTY_TEXT:
    case PROPERTY_URL:
        buf_add_text(to, "\"type\": [\"string\", \"null\"]");
        break;
    case PROPERTY_COUNT:
    case PROPERTY_MS:
    case PROPERTY_BYTES:
        add_number(to, row);
        break;
    case PROPERTY_TIME:
        buf_add_text(to, "\"type\": [\"string\", \"integer\", \"null\"]");
        break;
    case PROPERTY_FLAG:
        buf_add_text(to, "\"enum\": [true, false, \"true\", \"false\", \"\", null]");
        break;
    case PROPERTY_CHOICE:
        buf_add_text(to, "\"enum\": [");
        add_choices(to, row->choices);
        buf_add_text(to, ", \"\", null]");
        break;
    }
}

static void add_property(struct buf *to, enum config_key key) {
    const struct property *row = property_of(key);
    buf_add_format(to, "      \"%s\": {", row->name);
    add_type(to, row);
    if (row->default_text[0] != '\0') {
        buf_add_text(to, ", ");
        add_member(to, "default", row->default_text);
    }
    buf_add_text(to, ", ");
    add_member(to, "description", row->text);
    buf_add_text(to, key + 1 < CONFIG_KEY_COUNT ? "},\n" : "}\n");
}

/* The keys directly below a container, "" being the file's top; containers of it come as objects. */
static void add_source_keys(struct buf *to, const char *parent, /* NOLINT(misc-no-recursion) */
                            const char *indent) {
    size_t len = strlen(parent);
    const char *between = "";
    for (const struct source_key *row = source_key_all(); row->path != NULL; row++) {
        const char *name = row->path + len + (len > 0 ? 1 : 0);
        bool below = strncmp(row->path, parent, len) == 0 && (len == 0 || row->path[len] == '.') &&
                     strchr(name, '.') == NULL;
        if (!below) {
            continue;
        }
        buf_add_format(to, "%s%s\"%s\": ", between, indent, name);
        between = ",\n";
        if (strcmp(row->path, "configs") == 0) {
            buf_add_text(to, "{\"type\": \"object\", \"$ref\": \"#/$defs/properties\", "
                             "\"unevaluatedProperties\": false}");
        } else if (row->kind == SOURCE_KEY_CONTAINER) {
            buf_add_text(to, "{\"type\": [\"object\", \"null\"], \"additionalProperties\": false, "
                             "\"properties\": {\n");
            char deeper[32];
            (void)snprintf(deeper, sizeof deeper, "%s  ", indent);
            add_source_keys(to, row->path, deeper);
            buf_add_format(to, "\n%s}}", indent);
        } else if (row->kind == SOURCE_KEY_ALIAS) {
            buf_add_format(to, "{\"$ref\": \"#/$defs/properties/properties/%s\"}",
                           property_of(row->key)->name);
        } else {
            buf_add_char(to, '{');
            add_member(to, "description", row->text);
            buf_add_text(to, row->kind == SOURCE_KEY_REFUSED ? ", \"type\": \"null\"}" : "}");
        }
    }
}

void config_schema(struct buf *to) {
    buf_add_text(to,
                 "{\n"
                 "  \"$schema\": \"https://json-schema.org/draft/2020-12/schema\",\n"
                 "  \"title\": \"Configuration of ddb2pulsar\",\n"
                 "  \"$comment\": \"Written by `ddb2pulsar config reference --json-schema` from "
                 "src/config/properties.def; edit that.\",\n"
                 "  \"type\": \"object\",\n"
                 "  \"$ref\": \"#/$defs/properties\",\n"
                 "  \"properties\": {\n");
    add_source_keys(to, "", "    ");
    buf_add_text(to, "\n  },\n"
                     "  \"unevaluatedProperties\": false,\n"
                     "  \"$defs\": {\"properties\": {\n"
                     "    \"properties\": {\n");
    for (size_t i = 0; i < CONFIG_KEY_COUNT; i++) {
        add_property(to, (enum config_key)i);
    }
    buf_add_text(to, "    }\n  }}\n}\n");
}
