#include "fakes/fake_script.h"

#include "base/buf.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

static bool is_blank(char c) {
    return c == ' ' || c == '\t';
}

/* Reads one word that starts at *at; puts unescaped text at *copy. */
static bool read_word(struct str text, size_t *at, char **copy, struct str *ret_word,
                      struct err *err) {
    size_t i = *at;
    char quote = text.ptr[i];
    if (quote != '"' && quote != '\'') {
        while (i < text.len && !is_blank(text.ptr[i])) {
            i++;
        }
        *ret_word = str_make(text.ptr + *at, i - *at);
        *at = i;
        return true;
    }
    char *start = *copy;
    for (i++; i < text.len && text.ptr[i] != quote; i++) {
        if (quote == '"' && text.ptr[i] == '\\' && i + 1 < text.len) {
            i++;
        }
        *(*copy)++ = text.ptr[i];
    }
    if (i == text.len) {
        return err_set(err, ERR_CONFIG, "a %c is not closed", quote);
    }
    *ret_word = str_make(start, (size_t)(*copy - start));
    *at = i + 1;
    return true;
}

static const struct fake_command *find_command(const struct fake_script *script, struct str name) {
    for (size_t i = 0; i < script->count; i++) {
        if (str_is(name, script->commands[i].name)) {
            return &script->commands[i];
        }
    }
    return NULL;
}

/* Splits the line; *ret_command is NULL for an empty one. */
static bool line_parse(const struct fake_script *script, struct str text, struct fake_line *line,
                       const struct fake_command **ret_command, struct err *err) {
    *line = (struct fake_line){.usage = ""};
    *ret_command = NULL;
    text = str_trim(text);
    char *copy = line->copy = malloc(text.len + 1);
    if (copy == NULL) {
        return err_set(err, ERR_NOMEM, "a script line");
    }
    for (size_t i = 0; i < text.len && (is_blank(text.ptr[i]) || text.ptr[i] != '#');) {
        if (is_blank(text.ptr[i])) {
            i++;
            continue;
        }
        if (line->count == FAKE_LINE_WORDS) {
            return err_set(err, ERR_CONFIG, "more than %d words", FAKE_LINE_WORDS);
        }
        struct str *word = &line->words[line->count++];
        if (line->count > 1 && line->count - 1 == (*ret_command)->raw_from) {
            *word = str_make(text.ptr + i, text.len - i);
            break;
        }
        if (!read_word(text, &i, &copy, word, err)) {
            return false;
        }
        if (line->count == 1) {
            *ret_command = find_command(script, *word);
            if (*ret_command == NULL) {
                return err_set(err, ERR_CONFIG, "no command is called '%.*s'", STR_FMT(*word));
            }
            line->usage = (*ret_command)->usage;
        }
    }
    return true;
}

static bool run_line(const struct fake_script *script, struct str text, int64_t now_ms,
                     struct err *err) {
    struct fake_line line;
    const struct fake_command *command;
    bool ok = line_parse(script, text, &line, &command, err);
    if (ok && command != NULL) {
        line.now_ms = now_ms;
        ok = line.count - 1 < command->min_words || line.count - 1 > command->max_words
                 ? err_set(err, ERR_CONFIG, "usage: %s %s", command->name, command->usage)
                 : command->run(script->ctx, &line, err);
    }
    free(line.copy);
    return ok;
}

bool fake_script_run(const struct fake_script *script, struct str text, int64_t now_ms,
                     struct err *err) {
    size_t number = 0;
    while (text.len > 0) {
        const char *end = memchr(text.ptr, '\n', text.len);
        size_t len = end == NULL ? text.len : (size_t)(end - text.ptr);
        struct str one = str_make(text.ptr, len);
        size_t used = end == NULL ? len : len + 1;
        text = str_make(text.ptr + used, text.len - used);
        number++;

        if (!run_line(script, one, now_ms, err)) {
            err_context(err, "line %zu", number);
            return false;
        }
    }
    return true;
}

bool fake_script_run_file(const struct fake_script *script, const char *path, int64_t now_ms,
                          struct err *err) {
    FILE *file = fopen(path, "re");
    if (file == NULL) {
        return err_set(err, ERR_CONFIG, "%s: %s", path, strerror(errno));
    }
    struct buf text;
    buf_init(&text, 64 * (size_t)BUF_MAX_CONFIG);
    char *room;
    size_t got = 0;
    while ((room = buf_reserve(&text, 65536)) != NULL && (got = fread(room, 1, 65536, file)) > 0) {
        text.len += got;
    }
    bool ok = !ferror(file) && !text.failed;
    (void)fclose(file);
    if (!ok) {
        err_set(err, ERR_CONFIG, "cannot be read, or is too large");
    } else {
        ok = fake_script_run(script, buf_str(&text), now_ms, err);
    }
    if (!ok) {
        err_context(err, "%s", path);
    }
    buf_done(&text);
    return ok;
}

static bool bad_word(const struct fake_line *line, size_t index, const char *wanted,
                     struct err *err) {
    return err_set(err, ERR_CONFIG, "'%.*s' is not %s; usage: %.*s %s", STR_FMT(line->words[index]),
                   wanted, STR_FMT(line->words[0]), line->usage);
}

bool fake_line_u64(const struct fake_line *line, size_t index, uint64_t *ret_value,
                   struct err *err) {
    return str_to_u64(line->words[index], ret_value) || bad_word(line, index, "a number", err);
}

bool fake_line_i64(const struct fake_line *line, size_t index, int64_t *ret_value,
                   struct err *err) {
    struct str text = line->words[index];
    bool negative = text.len > 0 && text.ptr[0] == '-';
    uint64_t magnitude;
    if (!str_to_u64(negative ? str_make(text.ptr + 1, text.len - 1) : text, &magnitude) ||
        magnitude > INT64_MAX) {
        return bad_word(line, index, "a number", err);
    }
    *ret_value = negative ? -(int64_t)magnitude : (int64_t)magnitude;
    return true;
}

bool fake_line_bool(const struct fake_line *line, size_t index, bool *ret_value, struct err *err) {
    *ret_value = str_is(line->words[index], "on");
    return *ret_value || str_is(line->words[index], "off") ||
           bad_word(line, index, "on or off", err);
}

bool fake_line_text(const struct fake_line *line, size_t index, char *to, size_t capacity,
                    struct err *err) {
    return str_copy(line->words[index], to, capacity) || bad_word(line, index, "short enough", err);
}

bool fake_line_options(const struct fake_line *line, size_t first, const char *names,
                       struct err *err) {
    for (size_t i = first; i < line->count; i += 2) {
        struct str word = line->words[i];
        bool known = false;
        for (const char *name = names; *name != '\0' && !known;) {
            size_t len = strcspn(name, " ");
            known = str_equal(word, str_make(name, len));
            name += len + strspn(name + len, " ");
        }
        if (!known || i + 1 == line->count) {
            return bad_word(line, i, "an option with a value", err);
        }
    }
    return true;
}

struct str fake_line_option(const struct fake_line *line, size_t first, const char *name) {
    for (size_t i = first; i + 1 < line->count; i += 2) {
        if (str_is(line->words[i], name)) {
            return line->words[i + 1];
        }
    }
    return STR_NONE;
}

bool fake_line_option_u64(const struct fake_line *line, size_t first, const char *name,
                          uint64_t otherwise, uint64_t *ret_value, struct err *err) {
    struct str text = fake_line_option(line, first, name);
    *ret_value = otherwise;
    return text.ptr == NULL || str_to_u64(text, ret_value) ||
           err_set(err, ERR_CONFIG, "%s '%.*s' is not a number", name, STR_FMT(text));
}
