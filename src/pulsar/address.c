#include "pulsar/address.h"

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
        struct address *address = &addresses[*ret_count];
        if (!host_port_parse(part, default_port, address->host, &address->port)) {
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
    host_port_write(address->host, address->port, text.text);
    return text;
}
