#include "pulsar/address.h"

#include <inttypes.h>
#include <stdio.h>

static bool parse_host_port(struct str text, uint16_t default_port, struct address *address) {
    struct str host = text;
    struct str port = STR_NONE;
    if (text.len > 0 && text.ptr[0] == '[') {
        const char *close = memchr(text.ptr, ']', text.len);
        if (close == NULL) {
            return false;
        }
        host = str_make(text.ptr + 1, (size_t)(close - text.ptr) - 1);
        struct str rest = str_make(close + 1, (size_t)(text.ptr + text.len - close) - 1);
        if (rest.len > 0 && rest.ptr[0] != ':') {
            return false;
        }
        port = rest.len > 0 ? str_make(rest.ptr + 1, rest.len - 1) : STR_NONE;
    } else {
        const char *colon = text.len > 0 ? memchr(text.ptr, ':', text.len) : NULL;
        if (colon != NULL) {
            host = str_make(text.ptr, (size_t)(colon - text.ptr));
            port = str_make(colon + 1, text.len - host.len - 1);
        }
    }
    for (size_t i = 0; i < host.len; i++) {
        unsigned char c = (unsigned char)host.ptr[i];
        if (c <= 0x20 || c >= 0x7f || strchr("/@?#[]", c) != NULL) {
            return false;
        }
    }
    uint64_t number = default_port;
    if (port.ptr != NULL && (!str_to_u64(port, &number) || number == 0 || number > UINT16_MAX)) {
        return false;
    }
    address->port = (uint16_t)number;
    return host.len > 0 && str_copy(host, address->host, sizeof address->host);
}

bool address_parse_url(struct str url, struct address *addresses, size_t max, size_t *ret_count,
                       bool *ret_tls, struct err *err) {
    static const char plain[] = "pulsar://";
    static const char secure[] = "pulsar+ssl://";
    *ret_count = 0;
    *ret_tls = str_starts(url, secure);
    if (!*ret_tls && !str_starts(url, plain)) {
        return err_set(err, ERR_CONFIG,
                       "service URL \"%.*s\" does not start with pulsar:// (the binary protocol, "
                       "usually port 6650) or pulsar+ssl:// (the same with TLS, usually port 6651)",
                       STR_FMT(url));
    }
    uint16_t default_port = *ret_tls ? ADDRESS_DEFAULT_TLS_PORT : ADDRESS_DEFAULT_PORT;
    size_t scheme = strlen(*ret_tls ? secure : plain);
    struct str rest = str_make(url.ptr + scheme, url.len - scheme);
    if (rest.len > 0 && rest.ptr[rest.len - 1] == '/') {
        rest.len--;
    }
    for (bool more = true; more;) {
        const char *comma = rest.len > 0 ? memchr(rest.ptr, ',', rest.len) : NULL;
        struct str part = comma != NULL ? str_make(rest.ptr, (size_t)(comma - rest.ptr)) : rest;
        more = comma != NULL;
        if (more) {
            rest = str_make(comma + 1, rest.len - part.len - 1);
        }
        if (*ret_count == max) {
            return err_set(err, ERR_CONFIG, "service URL \"%.*s\": more than %zu hosts",
                           STR_FMT(url), max);
        }
        part = str_trim(part);
        if (!parse_host_port(part, default_port, &addresses[*ret_count])) {
            return err_set(err, ERR_CONFIG, "service URL \"%.*s\": \"%.*s\" is not host[:port]",
                           STR_FMT(url), STR_FMT(part));
        }
        (*ret_count)++;
    }
    return true;
}

bool address_equal(const struct address *a, const struct address *b) {
    return a->port == b->port && strcmp(a->host, b->host) == 0;
}

struct address_text address_text(const struct address *address) {
    struct address_text text;
    const char *format = strchr(address->host, ':') != NULL ? "[%s]:%" PRIu16 : "%s:%" PRIu16;
    (void)snprintf(text.text, sizeof text.text, format, address->host, address->port);
    return text;
}
