/*
 * http_url: "http[s]://host[:port][/path][?query]", taken apart for a request. Pure.
 */
#ifndef BASE_HTTP_URL_H
#define BASE_HTTP_URL_H

#include "base/err.h"
#include "base/host_port.h"

enum { HTTP_URL_PATH_MAX = 2048 };

struct http_url {
    bool tls;
    uint16_t port;
    char host[HOST_PORT_HOST_MAX]; /* an IPv6 address without brackets */
    char authority
        [HOST_PORT_TEXT_MAX];     /* as in the Host header: the port unless it is the scheme's */
    char path[HTTP_URL_PATH_MAX]; /* with the query; at least "/" */
};

/* False and err (CONFIG), which tells what is wrong without repeating the URL: it may hold a password.
 * A user, a fragment, and bytes that must be percent-encoded are refused. */
bool http_url_parse(struct str text, struct http_url *ret_url, struct err *err);

#endif
