#include "pulsar/auth.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

#define JAVA_TOKEN_CLASS "org.apache.pulsar.client.impl.auth.AuthenticationToken"

static bool is_token_plugin(struct str plugin) {
    return str_is(plugin, "token") || str_is(plugin, JAVA_TOKEN_CLASS) ||
           str_is(plugin, "AuthenticationToken");
}

static bool strip(struct str *text, const char *prefix) {
    if (!str_starts(*text, prefix)) {
        return false;
    }
    size_t len = strlen(prefix);
    *text = str_make(text->ptr + len, text->len - len);
    return true;
}

bool auth_init(struct auth *auth, struct str plugin, struct str params, struct err *err) {
    *auth = (struct auth){.source = AUTH_NONE};
    plugin = str_trim(plugin);
    params = str_trim(params);
    if (plugin.len == 0) {
        if (params.len > 0) {
            return err_set(err, ERR_CONFIG,
                           "authParams is set, but authPlugin is not (supported: \"token\")");
        }
        return true;
    }
    if (!is_token_plugin(plugin)) {
        return err_set(err, ERR_CONFIG,
                       "authPlugin \"%.*s\" is not supported by this version; supported is "
                       "\"token\" (or \"" JAVA_TOKEN_CLASS "\")",
                       STR_FMT(plugin));
    }
    auth->source = AUTH_TOKEN;
    if (strip(&params, "file:")) {
        auth->source = AUTH_TOKEN_FILE;
        (void)strip(&params, "//"); /* file:///path and file:/path name the same file */
    } else if (strip(&params, "env:")) {
        auth->source = AUTH_TOKEN_ENV;
    } else {
        (void)strip(&params, "token:");
    }
    params = str_trim(params);
    if (params.len == 0 || memchr(params.ptr, '\0', params.len) != NULL) {
        return err_set(err, ERR_CONFIG,
                       "authParams names no token; it is \"token:<token>\", \"file:///path\" or "
                       "\"env:NAME\"");
    }
    if (params.len > AUTH_TOKEN_MAX) {
        return err_set(err, ERR_CONFIG, "the token in authParams is longer than %d bytes",
                       AUTH_TOKEN_MAX);
    }
    auth->value = str_dup(params);
    return auth->value != NULL || err_set(err, ERR_NOMEM, "no memory for the token");
}

void auth_done(struct auth *auth) {
    if (auth != NULL && auth->value != NULL) {
        explicit_bzero(auth->value, strlen(auth->value));
        free(auth->value);
        auth->value = NULL;
    }
}

const char *auth_method(const struct auth *auth) {
    return auth->source == AUTH_NONE ? "none" : "token";
}

/* Token files end in a newline more often than not; a broker refuses a token with one. */
static bool add_trimmed(struct buf *data, struct str token, const char *what, const char *name,
                        struct err *err) {
    token = str_trim(token);
    if (token.len == 0) {
        return err_set(err, ERR_PULSAR_AUTH, "the token %s %s is empty", what, name);
    }
    return buf_add_str(data, token) ||
           err_set(err, ERR_PULSAR_AUTH, "the token %s %s is longer than %zu bytes", what, name,
                   data->max);
}

static bool read_file(const char *path, struct buf *data, struct err *err) {
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK); /* a pipe must not block the lane */
    if (fd < 0) {
        return err_set(err, ERR_PULSAR_AUTH, "cannot open the token file %s: %s", path,
                       strerrordesc_np(errno));
    }
    char bytes[AUTH_TOKEN_MAX + 1];
    size_t len = 0;
    ssize_t got = 0;
    do {
        got = read(fd, bytes + len, sizeof bytes - len);
        len += got > 0 ? (size_t)got : 0;
    } while ((got > 0 && len < sizeof bytes) || (got < 0 && errno == EINTR));
    int failed = got < 0 ? errno : 0;
    (void)close(fd);
    bool ok;
    if (failed != 0) {
        ok = err_set(err, ERR_PULSAR_AUTH, "cannot read the token file %s: %s", path,
                     strerrordesc_np(failed));
    } else if (len == sizeof bytes) {
        ok = err_set(err, ERR_PULSAR_AUTH, "the token file %s is longer than %d bytes", path,
                     AUTH_TOKEN_MAX);
    } else {
        ok = add_trimmed(data, str_make(bytes, len), "file", path, err);
    }
    explicit_bzero(bytes, sizeof bytes);
    return ok;
}

bool auth_data(const struct auth *auth, struct buf *data, struct err *err) {
    switch (auth->source) {
    case AUTH_NONE:
        return true;
    case AUTH_TOKEN:
        return buf_add_text(data, auth->value) || err_set(err, ERR_NOMEM, "no memory for a token");
    case AUTH_TOKEN_FILE:
        return read_file(auth->value, data, err);
    case AUTH_TOKEN_ENV: {
        const char *value = getenv(auth->value);
        if (value == NULL) {
            return err_set(err, ERR_PULSAR_AUTH,
                           "the environment variable %s, which should hold the token, is not set",
                           auth->value);
        }
        return add_trimmed(data, str_of(value), "variable", auth->value, err);
    }
    }
    return err_set(err, ERR_INTERNAL, "unknown source of a token");
}

void auth_wipe(struct buf *data) {
    if (data->data != NULL) {
        explicit_bzero(data->data, data->capacity);
    }
    buf_done(data);
}
