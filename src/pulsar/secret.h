/*
 * secret: texts that are erased when they go, and files that hold such texts. Reading is done on the
 * caller's thread: the files are small and local.
 */
#ifndef PULSAR_SECRET_H
#define PULSAR_SECRET_H

#include "base/buf.h"
#include "base/err.h"

/* Erase and free. NULL and all-zero are fine. */
void secret_free(char *text);
void secret_wipe(struct buf *buf);

/* Adds the file's bytes without white space around them. what names it in messages: "token file".
 * False and err (PULSAR_AUTH) when it cannot be read, is empty, or does not fit. */
bool secret_read_file(const char *path, const char *what, struct buf *buf, struct err *err);
/* Adds a text without white space around it; where says where it came from. As above. */
bool secret_add_trimmed(struct str text, const char *what, const char *where, struct buf *buf,
                        struct err *err);

/* The path that "file:/path" or "file:///path" names; STR_NONE when url is no such URL. */
struct str secret_file_url_path(struct str url);

#endif
