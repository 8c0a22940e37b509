/*
 * err: the one error type. A failing function fills it and returns false (or calls back with it);
 * every caller on the way up may prepend what it was doing; exactly one place reports it.
 * Callers decide by class, never by text.
 */
#ifndef BASE_ERR_H
#define BASE_ERR_H

#include <stdarg.h>
#include <stdbool.h>

enum err_class {
    ERR_CLASS_NONE = 0, /* no error */
    ERR_CLASS_RETRY,    /* may succeed when tried again */
    ERR_CLASS_THROTTLE, /* too fast: try again, slower */
    ERR_CLASS_EXPIRED,  /* a token or iterator must be taken anew first */
    ERR_CLASS_AUTH,     /* credentials or permission */
    ERR_CLASS_LOST,     /* what was asked for is not there (any more) */
    ERR_CLASS_FATAL,    /* will not succeed however often it is tried */
};

enum err_code {
    ERR_OK = 0,
#define ERR(name, class, exit, text) ERR_##name,
#include "base/errors.def"
#undef ERR
    ERR_CODE_COUNT,
};

/* Holds its text inline: errors are rare and must not depend on memory being left. */
struct err {
    enum err_code code;
    enum err_class class;
    char text[640];
};

/* No error; the value to initialise with. */
#define ERR_NONE ((struct err){.code = ERR_OK, .class = ERR_CLASS_NONE, .text = ""})

static inline bool err_is_set(const struct err *err) {
    return err->code != ERR_OK;
}

/* Sets code, its class from errors.def, and a text, which is one line whatever goes into it: control
 * characters become spaces. Always returns false, so that `return err_set(err, ...)` reads well in
 * functions returning bool. err may be NULL. */
bool err_set(struct err *err, enum err_code code, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/* Prepends "<context>: " to the text, cleaned in the same way. Cuts the end of the text when it does not fit. */
void err_context(struct err *err, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* The code's name as in errors.def, e.g. "AWS_THROTTLED"; "OK" for none. Static storage. */
const char *err_code_name(enum err_code code);
/* The class in lower case, e.g. "throttle". Static storage. */
const char *err_class_name(enum err_class class);
/* The sentence of errors.def. Static storage. */
const char *err_code_meaning(enum err_code code);
/* The exit code that a program which ends because of this error returns. */
int err_exit_code(enum err_code code);

#endif
