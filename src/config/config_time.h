/*
 * config_time: points in time as people write them, in the forms that Java's Jackson takes for a Date, since files of
 * the Java connector have them. Pure.
 *
 *     1551814138000                   milliseconds since 1970
 *     2019-03-05                      its first moment, UTC
 *     2019-03-05T19:28[:58[.123]]     up to 9 digits of fraction, cut to milliseconds
 *     ...Z, ...+01, ...+0100, ...+01:00   without a zone it is UTC
 *     Tue, 05 Mar 2019 19:28:58 GMT
 */
#ifndef CONFIG_CONFIG_TIME_H
#define CONFIG_CONFIG_TIME_H

#include "config/config_value.h"

/* OUT_OF_BOUNDS: a well-formed time that does not exist (February 30th), or is before 1970. */
enum config_value_result config_time_parse(struct str text, int64_t *ret_ms);

/* "2019-03-05T19:28:58.000Z". ms is not negative; NUL-terminated. */
enum { CONFIG_TIME_MAX = 32 };
void config_time_format(int64_t ms, char to[CONFIG_TIME_MAX]);

#endif
