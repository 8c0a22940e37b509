/*
 * http_request: the head of an HTTP request, as far as three read-only addresses need it. Pure.
 */
#ifndef MONITOR_HTTP_REQUEST_H
#define MONITOR_HTTP_REQUEST_H

#include "base/str.h"

enum http_request_state {
    HTTP_REQUEST_MORE, /* its end is not there yet */
    HTTP_REQUEST_GET,
    HTTP_REQUEST_HEAD,
    HTTP_REQUEST_OTHER_METHOD,
    HTTP_REQUEST_BAD,
};

/* bytes: all that has come, from the request's first. With GET and HEAD *ret_path is the path without its query, as it
 * stands in bytes. A body is not waited for. */
enum http_request_state http_request_parse(struct str bytes, struct str *ret_path);

#endif
