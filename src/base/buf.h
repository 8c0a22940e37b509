/*
 * buf: a growing byte buffer with a maximum given at birth. The first write that does not fit (over the
 * maximum, or out of memory) marks it failed; later writes do nothing. So a builder writes everything and
 * checks once.
 */
#ifndef BASE_BUF_H
#define BASE_BUF_H

#include "base/str.h"

struct buf {
    char *data; /* owned; NULL until the first write */
    size_t len;
    size_t capacity;
    size_t max; /* bytes */
    bool failed;
};

/* Limits of the buffers that this program builds, in one place. */
enum {
    BUF_MAX_REQUEST = 64 * 1024,     /* an AWS request body, a log line, a lease item */
    BUF_MAX_CONFIG = 1024 * 1024,    /* a configuration file */
    BUF_MAX_PAGE = 32 * 1024 * 1024, /* a GetRecords response (design: promise 6) */
    BUF_MAX_REPLY = 8 * 1024 * 1024, /* any other AWS response */
    BUF_MAX_COMMAND = 64 * 1024,     /* a Pulsar command without payload */
};

/* Allocates nothing. */
void buf_init(struct buf *buf, size_t max);
/* Frees the bytes; the buffer can be used again. NULL and all-zero are fine. */
void buf_done(struct buf *buf);
/* Empties it, keeps the memory, forgets a failure. */
void buf_reset(struct buf *buf);

/* All return false once the buffer has failed. */
bool buf_add(struct buf *buf, const void *bytes, size_t len);
bool buf_add_str(struct buf *buf, struct str s);
bool buf_add_text(struct buf *buf, const char *text);
bool buf_add_char(struct buf *buf, char c);
bool buf_add_format(struct buf *buf, const char *format, ...) __attribute__((format(printf, 2, 3)));
/* A JSON string with quotes; escapes '"', '\\' and U+0000 to U+001F (short forms, else \u00xx). */
bool buf_add_json_string(struct buf *buf, struct str s);

/* Room for len more bytes at the end, or NULL; write there, then add to buf->len. */
char *buf_reserve(struct buf *buf, size_t len);
/* Its bytes; valid until the next write. */
struct str buf_str(const struct buf *buf);
/* Its bytes as a C string (adds a NUL behind them); "" when failed or empty. Valid until the next write. */
const char *buf_text(struct buf *buf);

#endif
