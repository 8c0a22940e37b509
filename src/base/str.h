/*
 * str: a borrowed piece of text or bytes, pointer and length by value. Never owns, never NUL-terminated
 * by promise. `{NULL, 0}` means "absent" where a function says so, else it is just empty.
 */
#ifndef BASE_STR_H
#define BASE_STR_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

struct str {
    const char *ptr;
    size_t len;
};

/* Of a string literal. */
#define STR(literal) ((struct str){.ptr = "" literal, .len = sizeof(literal) - 1})
#define STR_NONE ((struct str){.ptr = NULL, .len = 0})

/* For printf's "%.*s". */
#define STR_FMT(s) (int)(s).len, (s).ptr != NULL ? (s).ptr : ""

static inline struct str str_make(const char *ptr, size_t len) {
    return (struct str){.ptr = ptr, .len = len};
}

static inline struct str str_of(const char *text) {
    return text == NULL ? STR_NONE : (struct str){.ptr = text, .len = strlen(text)};
}

static inline bool str_equal(struct str a, struct str b) {
    return a.len == b.len && (a.len == 0 || memcmp(a.ptr, b.ptr, a.len) == 0);
}

static inline bool str_is(struct str a, const char *text) {
    return str_equal(a, str_of(text));
}

static inline bool str_starts(struct str s, const char *prefix) {
    size_t len = strlen(prefix);
    return s.len >= len && memcmp(s.ptr, prefix, len) == 0;
}

/* ASCII letters compare without case. */
bool str_equal_nocase(struct str a, struct str b);

/* A NUL-terminated copy on the heap; the caller frees it. NULL when out of memory. */
char *str_dup(struct str s);

/* Copies into a fixed array and terminates it. False, and an empty array, when it does not fit. */
bool str_copy(struct str s, char *to, size_t capacity);

/* Decimal number without sign, whole text, no overflow. */
bool str_to_u64(struct str s, uint64_t *ret_value);

/* Cuts white space (space, tab, CR, LF) on both sides. */
struct str str_trim(struct str s);

/* Its first max bytes at most, not cut within a UTF-8 character. */
struct str str_cut(struct str s, size_t max);

/* Makes a text that somebody else may have written fit to be shown: every control character, of ASCII
 * or of the C1 set in UTF-8, becomes a space. */
void str_clean(char *text);

/* Printable ASCII without spaces, or empty. */
bool str_is_visible(struct str text);

#endif
