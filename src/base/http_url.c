#include "base/http_url.h"

enum { HTTP_PORT = 80, HTTPS_PORT = 443 };

static bool cut_scheme(struct str *text, bool *ret_tls) {
    static const struct str schemes[] = {STR("http://"), STR("https://")};
    for (size_t i = 0; i < 2; i++) {
        struct str scheme = schemes[i];
        if (text->len >= scheme.len && str_equal_nocase(str_make(text->ptr, scheme.len), scheme)) {
            *text = str_make(text->ptr + scheme.len, text->len - scheme.len);
            *ret_tls = i == 1;
            return true;
        }
    }
    return false;
}

static bool is_printable(struct str text) {
    for (size_t i = 0; i < text.len; i++) {
        if (text.ptr[i] <= ' ' || text.ptr[i] >= 0x7f) { /* also when char is signed */
            return false;
        }
    }
    return true;
}

static size_t find_any(struct str text, const char *set) {
    size_t at = 0;
    while (at < text.len && strchr(set, text.ptr[at]) == NULL) {
        at++;
    }
    return at;
}

static bool fault(struct err *err, const char *what) {
    return err_set(err, ERR_CONFIG, "not a usable URL: %s", what);
}

bool http_url_parse(struct str text, struct http_url *ret_url, struct err *err) {
    if (!is_printable(text)) {
        return fault(err, "it has spaces, control characters or letters beyond ASCII");
    }
    struct str rest = text;
    if (!cut_scheme(&rest, &ret_url->tls)) {
        return fault(err, "it does not start with https:// or http://");
    }
    size_t end = find_any(rest, "/?#");
    struct str authority = str_make(rest.ptr, end);
    struct str path = str_make(rest.ptr + end, rest.len - end);
    if (find_any(authority, "@") < authority.len) {
        return fault(err, "it names a user");
    }
    uint16_t standard_port = ret_url->tls ? HTTPS_PORT : HTTP_PORT;
    if (!host_port_parse(authority, standard_port, ret_url->host, &ret_url->port)) {
        return fault(err, "between // and the path there is no host[:port]");
    }
    host_port_write(ret_url->host, ret_url->port == standard_port ? 0 : ret_url->port,
                    ret_url->authority);
    if (path.len > 0 && path.ptr[0] == '?') {
        return fault(err, "there is no / in front of its query");
    }
    if (find_any(path, "#") < path.len) {
        return fault(err, "it has a fragment (#)");
    }
    if (!str_copy(path.len > 0 ? path : STR("/"), ret_url->path, sizeof ret_url->path)) {
        return fault(err, "it is too long");
    }
    return true;
}
