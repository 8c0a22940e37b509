/*
 * address: a broker's host and port, and the URLs in which brokers are named. Pure.
 */
#ifndef PULSAR_ADDRESS_H
#define PULSAR_ADDRESS_H

#include "base/err.h"
#include "base/host_port.h"

enum {
    ADDRESS_DEFAULT_PORT = 6650,
    ADDRESS_DEFAULT_TLS_PORT = 6651,
};

struct address {
    char host[HOST_PORT_HOST_MAX]; /* an IPv6 address without brackets */
    uint16_t port;
};

/* "pulsar://host[:port][,host[:port]...]", with or without a slash at the end, or the same with
 * pulsar+ssl://, which means TLS. Fills at most max addresses. False and err (CONFIG) for anything
 * else. */
bool address_parse_url(struct str url, struct address *addresses, size_t max, size_t *ret_count,
                       bool *ret_tls, struct err *err);

bool address_equal(const struct address *a, const struct address *b);

struct address_text {
    char text[HOST_PORT_TEXT_MAX];
};
/* "host:port", "[::1]:port". */
struct address_text address_text(const struct address *address);

#endif
