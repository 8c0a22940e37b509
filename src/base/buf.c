#include "base/buf.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

void buf_init(struct buf *buf, size_t max) {
    *buf = (struct buf){.max = max};
}

void buf_done(struct buf *buf) {
    if (buf != NULL) {
        free(buf->data);
        buf_init(buf, buf->max);
    }
}

void buf_reset(struct buf *buf) {
    buf->len = 0;
    buf->failed = false;
}

char *buf_reserve(struct buf *buf, size_t len) {
    if (buf->failed || len > buf->max || buf->len > buf->max - len) {
        buf->failed = true;
        return NULL;
    }
    size_t needed = buf->len + len;
    if (needed > buf->capacity || buf->data == NULL) {
        size_t capacity = buf->capacity < 128 ? 128 : buf->capacity;
        while (capacity < needed) {
            capacity = capacity > buf->max / 2 ? buf->max : capacity * 2;
        }
        char *data = realloc(buf->data, capacity + 1); /* one more for buf_text's NUL */
        if (data == NULL) {
            buf->failed = true;
            return NULL;
        }
        buf->data = data;
        buf->capacity = capacity;
    }
    return buf->data + buf->len;
}

bool buf_add(struct buf *buf, const void *bytes, size_t len) {
    char *room = buf_reserve(buf, len);
    if (room == NULL) {
        return false;
    }
    if (len > 0) {
        memcpy(room, bytes, len);
        buf->len += len;
    }
    return true;
}

bool buf_add_str(struct buf *buf, struct str s) {
    return buf_add(buf, s.ptr, s.len);
}

bool buf_add_text(struct buf *buf, const char *text) {
    return buf_add(buf, text, strlen(text));
}

bool buf_add_char(struct buf *buf, char c) {
    return buf_add(buf, &c, 1);
}

bool buf_add_format(struct buf *buf, const char *format, ...) {
    va_list args;
    va_start(args, format);
    int needed = vsnprintf(NULL, 0, format, args);
    va_end(args);
    char *room = needed < 0 ? NULL : buf_reserve(buf, (size_t)needed);
    if (room == NULL) {
        buf->failed = true;
        return false;
    }
    va_start(args, format);
    (void)vsnprintf(room, (size_t)needed + 1, format, args); /* the spare byte takes the NUL */
    va_end(args);
    buf->len += (size_t)needed;
    return true;
}

bool buf_add_json_string(struct buf *buf, struct str s) {
    static const char hex[] = "0123456789abcdef";
    buf_add_char(buf, '"');
    size_t run = 0; /* start of the bytes not yet copied */
    for (size_t i = 0; i < s.len; i++) {
        unsigned char c = (unsigned char)s.ptr[i];
        if (c >= 0x20 && c != '"' && c != '\\') {
            continue;
        }
        buf_add(buf, s.ptr + run, i - run);
        run = i + 1;
        char escape[6] = {'\\', 'u', '0', '0', hex[c >> 4], hex[c & 15]};
        const char *shorts = "\"\"\\\\\bb\tt\nn\ff\rr"; /* pairs: byte, letter */
        size_t len = sizeof escape;
        for (const char *p = shorts; *p != '\0'; p += 2) {
            if ((unsigned char)*p == c) {
                escape[1] = p[1];
                len = 2;
            }
        }
        buf_add(buf, escape, len);
    }
    buf_add(buf, s.ptr + run, s.len - run);
    return buf_add_char(buf, '"');
}

struct str buf_str(const struct buf *buf) {
    return str_make(buf->data, buf->failed ? 0 : buf->len);
}

const char *buf_text(struct buf *buf) {
    if (buf->failed || buf->data == NULL) {
        return "";
    }
    buf->data[buf->len] = '\0';
    return buf->data;
}
