#include "base/err.h"

#include "base/str.h"

#include <stdio.h>
#include <string.h>

struct row {
    const char *name;
    enum err_class class;
    int exit_code;
    const char *meaning;
};

static const struct row rows[ERR_CODE_COUNT] = {
    [ERR_OK] = {"OK", ERR_CLASS_NONE, 0, "no error"},
#define ERR(name, class, exit, text) [ERR_##name] = {#name, ERR_CLASS_##class, exit, text},
#include "base/errors.def"
#undef ERR
};

static const struct row *row_of(enum err_code code) {
    return code >= 0 && code < ERR_CODE_COUNT ? &rows[code] : &rows[ERR_INTERNAL];
}

bool err_set(struct err *err, enum err_code code, const char *format, ...) {
    if (err != NULL) {
        err->code = code;
        err->class = row_of(code)->class;
        va_list args;
        va_start(args, format);
        (void)vsnprintf(err->text, sizeof err->text, format, args); /* cut text is still text */
        va_end(args);
        str_clean(err->text);
    }
    return false;
}

void err_context(struct err *err, const char *format, ...) {
    if (err == NULL || !err_is_set(err)) {
        return;
    }
    char context[256];
    va_list args;
    va_start(args, format);
    (void)vsnprintf(context, sizeof context, format, args);
    va_end(args);
    str_clean(context);

    size_t room = sizeof err->text - 1;
    size_t head = strlen(context) + 2;
    if (head > room) {
        return; /* cannot happen with the sizes above; keep the innermost text */
    }
    size_t tail = strlen(err->text);
    if (tail > room - head) {
        tail = room - head;
    }
    memmove(err->text + head, err->text, tail);
    memcpy(err->text, context, head - 2);
    memcpy(err->text + head - 2, ": ", 2);
    err->text[head + tail] = '\0';
}

const char *err_code_name(enum err_code code) {
    return row_of(code)->name;
}

const char *err_code_meaning(enum err_code code) {
    return row_of(code)->meaning;
}

int err_exit_code(enum err_code code) {
    return row_of(code)->exit_code;
}

const char *err_class_name(enum err_class class) {
    switch (class) {
    case ERR_CLASS_NONE:
        return "none";
    case ERR_CLASS_RETRY:
        return "retry";
    case ERR_CLASS_THROTTLE:
        return "throttle";
    case ERR_CLASS_EXPIRED:
        return "expired";
    case ERR_CLASS_AUTH:
        return "auth";
    case ERR_CLASS_LOST:
        return "lost";
    case ERR_CLASS_FATAL:
        return "fatal";
    }
    return "fatal";
}
