/*
 * fake_script: the text that steers a test double: one command per line, `#` starts a comment. The
 * same lines come from a scenario file, from C and over HTTP. A double brings a table of its
 * commands. Pure.
 *
 * Words are separated by blanks. 'raw text' and "text with \" and \\" are one word.
 */
#ifndef FAKES_FAKE_SCRIPT_H
#define FAKES_FAKE_SCRIPT_H

#include "base/err.h"
#include "base/str.h"

enum { FAKE_LINE_WORDS = 32 };

/* One command, taken apart. Words borrow from the text or from copy. */
struct fake_line {
    struct str words[FAKE_LINE_WORDS];
    size_t count;
    char *copy; /* the words that had escapes */
    const char *usage;
    int64_t now_ms; /* wall clock of the double when the command came */
};

struct fake_command {
    const char *name;
    size_t min_words; /* behind the name */
    size_t max_words;
    const char *usage; /* what stands behind the name */
    size_t raw_from; /* the word from which on the line is one word as it stands (JSON); 0: none */
    bool (*run)(void *ctx, struct fake_line *line, struct err *err);
};

struct fake_script {
    const struct fake_command *commands;
    size_t count;
    void *ctx;
};

/* Runs every line of text; stops at the first that fails, with its number in err (ERR_CONFIG). */
bool fake_script_run(const struct fake_script *script, struct str text, int64_t now_ms,
                     struct err *err);
/* The whole file at path. */
bool fake_script_run_file(const struct fake_script *script, const char *path, int64_t now_ms,
                          struct err *err);

/* For commands. Word 0 is the command's name. */
bool fake_line_u64(const struct fake_line *line, size_t index, uint64_t *ret_value,
                   struct err *err);
/* May be negative. */
bool fake_line_i64(const struct fake_line *line, size_t index, int64_t *ret_value, struct err *err);
/* on or off. */
bool fake_line_bool(const struct fake_line *line, size_t index, bool *ret_value, struct err *err);
/* A name that must fit, copied and terminated. */
bool fake_line_text(const struct fake_line *line, size_t index, char *to, size_t capacity,
                    struct err *err);

/* Options are pairs of name and value from word `first` on. False when a name is not one of the
 * blank-separated names, or a value is missing. */
bool fake_line_options(const struct fake_line *line, size_t first, const char *names,
                       struct err *err);
/* The value of an option; {NULL, 0} when it is not given. */
struct str fake_line_option(const struct fake_line *line, size_t first, const char *name);
/* As a number; `otherwise` when it is not given. */
bool fake_line_option_u64(const struct fake_line *line, size_t first, const char *name,
                          uint64_t otherwise, uint64_t *ret_value, struct err *err);

#endif
