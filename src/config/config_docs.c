#include "config/config_docs.h"

#include "base/man.h"
#include "config/client_conf.h"
#include "config/property.h"
#include "config/source_key.h"

/* properties.def in its order: a section when there is a title, else a property. */
struct item {
    const char *title;
    const char *text;
    enum config_key key;
};

static const struct item items[] = {
#define SECTION(title_, text_) {.title = (title_), .text = (text_)},
#define PROPERTY(field, ...) {.key = CONFIG_KEY_##field},
#include "config/properties.def"
};
static const size_t item_count = sizeof items / sizeof items[0];

static const char *const intro =
    "A configuration is a JSON or YAML file, given with -c FILE. It is either a bare object of "
    "these "
    "properties, or the file of `pulsar-admin sources create --source-config-file` as it is, with "
    "the properties under `configs`.\n";

static const char *const values =
    "Precedence: `--set key=value`, environment, file, Pulsar's client.conf, default. The "
    "environment variable of a property is "
    "`DDB2PULSAR_` and its name in capitals, with or without '_' between its words: `awsRegion` is "
    "`DDB2PULSAR_AWS_REGION`. Numbers may be strings. A blank value is the same as none; `--set "
    "key=` "
    "goes back to the default. Secrets are refused in `--set`, as others can read a command line, "
    "but for those that only say where the secret is (`file:`, `env:`). Times are milliseconds or "
    "have a unit (ms, s, min, h), sizes are "
    "bytes or "
    "have a unit (KiB, MiB, GiB; KB, MB, GB are powers of 1000).\n";

/* Words of text in lines of at most 96 characters behind an indent. '`' is Markdown's and left out. */
static void add_wrapped(struct buf *to, const char *indent, const char *text) {
    enum { LINE = 96 };
    size_t column = 0;
    for (const char *word = text; *word != '\0';) {
        size_t len = strcspn(word, " \n");
        if (column > 0 && column + 1 + len > LINE) {
            buf_add_char(to, '\n');
            column = 0;
        }
        buf_add_text(to, column == 0 ? indent : " ");
        column += (column == 0 ? strlen(indent) : 1) + len;
        for (size_t i = 0; i < len; i++) {
            if (word[i] != '`') {
                buf_add_char(to, word[i]);
            }
        }
        word += len + (word[len] == '\0' ? 0 : 1);
    }
    buf_add_char(to, '\n');
}

/* "count: 0 to 1000". */
static void add_kind(struct buf *to, enum config_key key) {
    const struct property *row = property_of(key);
    buf_add_text(to, property_kind_name(row->kind));
    if (row->kind != PROPERTY_TEXT && row->kind != PROPERTY_FLAG) {
        buf_add_text(to, ": ");
        property_add_allowed(to, key);
    }
}

static void add_text_property(struct buf *to, enum config_key key) {
    const struct property *row = property_of(key);
    buf_add_format(to, "\n  %s (", row->name);
    add_kind(to, key);
    if (row->default_text[0] != '\0') {
        buf_add_format(to, "; default %s", row->default_text);
    }
    buf_add_text(to, row->secret ? "; secret)\n" : ")\n");
    add_wrapped(to, "      ", row->text);
}

/* client.conf has some properties by their own names, which the reference has already. */
static bool is_news(const struct source_key *row) {
    return row->kind != SOURCE_KEY_CONTAINER &&
           (row->kind != SOURCE_KEY_ALIAS || strcmp(row->path, property_of(row->key)->name) != 0);
}

static void add_text_keys(struct buf *to, const char *title, const struct source_key *row) {
    buf_add_format(to, "\n%s\n", title);
    for (; row->path != NULL; row++) {
        if (!is_news(row)) {
            continue;
        }
        if (row->kind == SOURCE_KEY_ALIAS) {
            buf_add_format(to, "\n  %s\n      the property %s\n", row->path,
                           property_of(row->key)->name);
        } else {
            buf_add_format(to, "\n  %s%s\n", row->path,
                           row->kind == SOURCE_KEY_IGNORED   ? " (ignored)"
                           : row->kind == SOURCE_KEY_REFUSED ? " (refused)"
                                                             : "");
            add_wrapped(to, "      ", row->text);
        }
    }
}

void config_docs_text(struct buf *to) {
    add_wrapped(to, "", intro);
    buf_add_char(to, '\n');
    add_wrapped(to, "", values);
    for (size_t i = 0; i < item_count; i++) {
        if (items[i].title != NULL) {
            buf_add_format(to, "\n%s\n", items[i].title);
        } else {
            add_text_property(to, items[i].key);
        }
    }
    add_text_keys(to, "Keys of a Pulsar source file", source_key_all());
    add_text_keys(to, "Keys of client.conf", client_conf_keys());
}

/* A table's cell cannot have '|'. */
static void add_cell(struct buf *to, const char *text) {
    for (; *text != '\0'; text++) {
        if (*text == '|') {
            buf_add_char(to, '\\');
        }
        buf_add_char(to, *text);
    }
}

static void add_markdown_property(struct buf *to, enum config_key key) {
    const struct property *row = property_of(key);
    buf_add_format(to, "| `%s` | ", row->name);
    add_kind(to, key);
    buf_add_text(to, row->secret ? ", secret | " : " | ");
    if (row->default_text[0] != '\0') {
        buf_add_format(to, "`%s`", row->default_text);
    }
    buf_add_format(to, " | %s | ", row->since);
    add_cell(to, row->text);
    buf_add_text(to, " |\n");
}

static void add_markdown_keys(struct buf *to, const char *title, const struct source_key *row) {
    buf_add_format(to, "\n## %s\n\n| key | here |\n|---|---|\n", title);
    for (; row->path != NULL; row++) {
        if (!is_news(row)) {
            continue;
        }
        switch (row->kind) {
        case SOURCE_KEY_CONTAINER:
            break;
        case SOURCE_KEY_ALIAS:
            buf_add_format(to, "| `%s` | the property `%s` |\n", row->path,
                           property_of(row->key)->name);
            break;
        case SOURCE_KEY_IGNORED:
            buf_add_format(to, "| `%s` | ignored: %s |\n", row->path, row->text);
            break;
        case SOURCE_KEY_REFUSED:
            buf_add_format(to, "| `%s` | refused: %s |\n", row->path, row->text);
            break;
        case SOURCE_KEY_SECRETS:
            buf_add_format(to, "| `%s` | %s |\n", row->path, row->text);
            break;
        }
    }
}

void config_docs_markdown(struct buf *to) {
    buf_add_text(to, "<!-- Written by `ddb2pulsar config reference --markdown` from "
                     "src/config/properties.def; edit that. -->\n"
                     "# Configuration\n\n");
    buf_add_format(to, "%s\n%s", intro, values);
    for (size_t i = 0; i < item_count; i++) {
        if (items[i].title == NULL) {
            add_markdown_property(to, items[i].key);
            continue;
        }
        buf_add_format(to, "\n## %s\n\n", items[i].title);
        if (items[i].text[0] != '\0') {
            buf_add_format(to, "%s\n\n", items[i].text);
        }
        buf_add_text(to, "| property | type | default | since | meaning |\n"
                         "|---|---|---|---|---|\n");
    }
    add_markdown_keys(to, "Keys of a Pulsar source file", source_key_all());
    add_markdown_keys(to, "Keys of client.conf", client_conf_keys());
}

static void add_man_property(struct buf *to, enum config_key key) {
    const struct property *row = property_of(key);
    struct buf kind;
    buf_init(&kind, 512);
    buf_add_text(&kind, " (");
    add_kind(&kind, key);
    if (row->default_text[0] != '\0') {
        buf_add_format(&kind, "; default %s", row->default_text);
    }
    buf_add_text(&kind, row->secret ? "; secret)" : ")");
    man_add_item(to, row->name, buf_text(&kind));
    man_add(to, row->text);
    buf_add_char(to, '\n');
    buf_done(&kind);
}

static void add_man_keys(struct buf *to, const char *title, const struct source_key *row) {
    buf_add_format(to, ".SH %s\n", title);
    for (; row->path != NULL; row++) {
        if (!is_news(row)) {
            continue;
        }
        man_add_item(to, row->path, "");
        if (row->kind == SOURCE_KEY_ALIAS) {
            buf_add_format(to, "the property %s", property_of(row->key)->name);
        } else {
            buf_add_text(to, row->kind == SOURCE_KEY_IGNORED   ? "Ignored: "
                             : row->kind == SOURCE_KEY_REFUSED ? "Refused: "
                                                               : "");
            man_add(to, row->text);
        }
        buf_add_char(to, '\n');
    }
}

void config_docs_man(struct buf *to) {
    buf_add_text(to, ".\\\" Written by `ddb2pulsar config reference --man` from "
                     "src/config/properties.def; edit that.\n"
                     ".TH DDB2PULSAR.YAML 5\n"
                     ".ad l\n" /* some words are as long as a line */
                     ".SH NAME\n"
                     "ddb2pulsar.yaml \\- configuration of ddb2pulsar\n"
                     ".SH DESCRIPTION\n");
    man_add(to, intro);
    buf_add_text(to, ".PP\n");
    man_add(to, values);
    for (size_t i = 0; i < item_count; i++) {
        if (items[i].title == NULL) {
            add_man_property(to, items[i].key);
        } else {
            buf_add_format(to, ".SH %s\n", items[i].title);
            man_add(to, items[i].text);
            buf_add_char(to, '\n');
        }
    }
    add_man_keys(to, "Keys of a Pulsar source file", source_key_all());
    add_man_keys(to, "Keys of client.conf", client_conf_keys());
}
