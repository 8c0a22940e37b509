/*
 * http_date: the HTTP Date header as milliseconds since 1970. Pure.
 */
#ifndef AWS_HTTP_DATE_H
#define AWS_HTTP_DATE_H

#include "base/str.h"

/* Reads the one form that servers may send, "Sun, 06 Nov 1994 08:49:37 GMT"; false for anything else, and before 1970. The name of
 * the day is not compared with the date. */
bool http_date_parse(struct str text, int64_t *ret_ms);

#endif
