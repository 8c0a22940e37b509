#include "pulsar/secret.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

void secret_free(char *text) {
    if (text != NULL) {
        explicit_bzero(text, strlen(text));
        free(text);
    }
}

void secret_wipe(struct buf *buf) {
    if (buf->data != NULL) {
        explicit_bzero(buf->data, buf->capacity);
    }
    buf_done(buf);
}

bool secret_add_trimmed(struct str text, const char *what, const char *where, struct buf *buf,
                        struct err *err) {
    text = str_trim(text);
    if (text.len == 0) {
        return err_set(err, ERR_PULSAR_AUTH, "the %s %s is empty", what, where);
    }
    return buf_add_str(buf, text) ||
           err_set(err, ERR_PULSAR_AUTH, "the %s %s is longer than %zu bytes", what, where,
                   buf->max);
}

bool secret_read_file(const char *path, const char *what, struct buf *buf, struct err *err) {
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK); /* a pipe must not block the lane */
    if (fd < 0) {
        return err_set(err, ERR_PULSAR_AUTH, "cannot open the %s %s: %s", what, path,
                       strerrordesc_np(errno));
    }
    size_t size = buf->max + 1;
    char *bytes = malloc(size);
    size_t len = 0;
    ssize_t got = 0;
    do {
        got = bytes == NULL ? 0 : read(fd, bytes + len, size - len);
        len += got > 0 ? (size_t)got : 0;
    } while ((got > 0 && len < size) || (got < 0 && errno == EINTR));
    int failed = got < 0 ? errno : 0;
    (void)close(fd);
    bool ok;
    if (bytes == NULL) {
        ok = err_set(err, ERR_NOMEM, "no memory for the %s", what);
    } else if (failed != 0) {
        ok = err_set(err, ERR_PULSAR_AUTH, "cannot read the %s %s: %s", what, path,
                     strerrordesc_np(failed));
    } else if (len == size) {
        ok = err_set(err, ERR_PULSAR_AUTH, "the %s %s is longer than %zu bytes", what, path,
                     buf->max);
    } else {
        ok = secret_add_trimmed(str_make(bytes, len), what, path, buf, err);
    }
    if (bytes != NULL) {
        explicit_bzero(bytes, len);
        free(bytes);
    }
    return ok;
}

struct str secret_file_url_path(struct str url) {
    if (!str_starts(url, "file:")) {
        return STR_NONE;
    }
    size_t skip = strlen(str_starts(url, "file://") ? "file://" : "file:");
    return str_make(url.ptr + skip, url.len - skip);
}
