#include "base/host_port.h"

#include <inttypes.h>
#include <stdio.h>

/* In bytes of ASCII; names of other letters are written in Punycode. */
static bool is_host(struct str host) {
    for (size_t i = 0; i < host.len; i++) {
        unsigned char c = (unsigned char)host.ptr[i];
        if (c <= 0x20 || c >= 0x7f || strchr("/@?#[]", c) != NULL) {
            return false;
        }
    }
    return host.len > 0;
}

/* port.ptr NULL: there is none. */
static bool split(struct str text, struct str *host, struct str *port) {
    const char *end = text.ptr + text.len;
    *port = STR_NONE;
    if (text.len > 0 && text.ptr[0] == '[') {
        const char *bracket = memchr(text.ptr, ']', text.len);
        if (bracket == NULL) {
            return false;
        }
        *host = str_make(text.ptr + 1, (size_t)(bracket - text.ptr) - 1);
        /* What gets its brackets back when it is written. */
        bool ipv6 = host->len > 0 && memchr(host->ptr, ':', host->len) != NULL;
        if (bracket + 1 < end) {
            *port = str_make(bracket + 2, (size_t)(end - bracket) - 2);
        }
        return ipv6 && (port->ptr == NULL || bracket[1] == ':');
    }
    const char *colon = text.len > 0 ? memchr(text.ptr, ':', text.len) : NULL;
    *host = text;
    if (colon != NULL) {
        *host = str_make(text.ptr, (size_t)(colon - text.ptr));
        *port = str_make(colon + 1, (size_t)(end - colon) - 1);
    }
    return true;
}

bool host_port_parse(struct str text, uint16_t default_port,
                     char ret_host[static HOST_PORT_HOST_MAX], uint16_t *ret_port) {
    struct str host;
    struct str port;
    uint64_t number = default_port;
    if (!split(text, &host, &port) || !is_host(host) ||
        (port.ptr != NULL && (!str_to_u64(port, &number) || number == 0 || number > UINT16_MAX))) {
        return false;
    }
    *ret_port = (uint16_t)number;
    return str_copy(host, ret_host, HOST_PORT_HOST_MAX);
}

void host_port_write(const char *host, uint16_t port, char text[static HOST_PORT_TEXT_MAX]) {
    const char *format = strchr(host, ':') != NULL ? "[%s]" : "%s";
    int len = snprintf(text, HOST_PORT_TEXT_MAX, format, host);
    if (port != 0) {
        (void)snprintf(text + len, HOST_PORT_TEXT_MAX - (size_t)len, ":%" PRIu16, port);
    }
}
