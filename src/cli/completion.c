#include "cli/completion.h"

#include "cli/options.h"
#include "config/property.h"

static void add(struct buf *to, struct str before, const char *word, const char *behind) {
    buf_add_str(to, before);
    buf_add_format(to, "%s%s\n", word, behind);
}

/* The first words, or the second ones behind such a half of a name. */
static void add_commands(struct buf *to, const char *half) {
    struct str last = STR_NONE;
    for (const struct command *command = command_all(); command->name != NULL; command++) {
        size_t first = strcspn(command->name, " ");
        struct str word = str_make(command->name, first);
        const char *second = command->name[first] == ' ' ? command->name + first + 1 : NULL;
        if (half != NULL && second != NULL && str_is(word, half)) {
            add(to, STR_NONE, second, "");
        } else if (half == NULL && !str_equal(word, last)) {
            buf_add_str(to, word);
            buf_add_char(to, '\n');
        }
        last = word;
    }
}

/* KEY=VALUE: the keys, or once there is one its values as far as they can be listed. */
static void add_properties(struct buf *to, struct str before, const char *typed) {
    size_t len = strcspn(typed, "=");
    enum config_key key;
    if (typed[len] == '\0') {
        for (size_t i = 0; i < CONFIG_KEY_COUNT; i++) {
            add(to, before, property_of((enum config_key)i)->name, "=");
        }
        return;
    }
    if (!property_find(str_make(typed, len), &key)) {
        return;
    }
    const struct property *row = property_of(key);
    before.len += len + 1; /* typed is what follows it */
    if (row->kind == PROPERTY_FLAG) {
        add(to, before, "true", "");
        add(to, before, "false", "");
    }
    for (const struct property_choice *c = row->choices; c != NULL && c->name != NULL; c++) {
        if (c->refusal == NULL) {
            add(to, before, c->name, "");
        }
    }
}

/* The values of an option. The word being typed is `before` and, right behind it, `typed`. */
static void add_values(struct buf *to, const struct option *option, struct str before,
                       const char *typed) {
    if (option->bit == OPTION_SET) {
        add_properties(to, before, typed);
        return;
    }
    for (const char *const *choice = option->choices; choice != NULL && *choice != NULL; choice++) {
        add(to, before, *choice, "");
    }
}

void completion_add(struct buf *to, int count, char **words) {
    if (count == 0) {
        return;
    }
    int used;
    const char *typed = words[count - 1];
    const struct command *command = command_find(count - 1, words, &used);
    if (command == NULL) {
        if (count <= 2) {
            add_commands(to, count == 2 ? words[0] : NULL);
        }
        return;
    }
    unsigned allowed = command->options | OPTION_HELP;
    const char *value;
    const struct option *option = options_find(allowed, words[count - 2], &value);
    if (used < count - 1 && option != NULL && option->value != NULL && value == NULL) {
        add_values(to, option, str_make(typed, 0), typed);
        return;
    }
    option = options_find(allowed, typed, &value);
    if (option != NULL && option->value != NULL && value != NULL) {
        add_values(to, option, str_make(typed, (size_t)(value - typed)), value);
        return;
    }
    for (option = options_all(); option->name != NULL; option++) {
        if ((option->bit & allowed) != 0) {
            add(to, STR_NONE, option->name, "");
        }
    }
}
