/*
 * host_port: "host[:port]" as it stands in URLs of any scheme, an IPv6 address in brackets. Pure.
 */
#ifndef BASE_HOST_PORT_H
#define BASE_HOST_PORT_H

#include "base/str.h"

enum {
    HOST_PORT_HOST_MAX = 254,                    /* of a host, with its NUL */
    HOST_PORT_TEXT_MAX = HOST_PORT_HOST_MAX + 9, /* with brackets and port */
};

/* The whole text, without user, path, query or fragment; a port is a number from 1 to 65535. The host
 * comes without brackets. */
bool host_port_parse(struct str text, uint16_t default_port,
                     char ret_host[static HOST_PORT_HOST_MAX], uint16_t *ret_port);

/* "host:port", "[::1]:port"; with port 0 "host", "[::1]". */
void host_port_write(const char *host, uint16_t port, char text[static HOST_PORT_TEXT_MAX]);

#endif
