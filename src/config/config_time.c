#include "config/config_time.h"

#include "aws/http_date.h"

#include <stdio.h>
#include <time.h>

enum {
    MS_OF_MINUTE = 60 * 1000,
    FRACTION_DIGITS = 9,
    ZONE_HOURS = 18, /* as far from UTC as Java lets a zone be */
};
static const int64_t LAST_MS = INT64_C(253402300799999); /* the end of the year 9999 */

/* What is left of the text. */
struct scan {
    struct str rest;
};

static bool take_char(struct scan *scan, char c) {
    if (scan->rest.len == 0 || scan->rest.ptr[0] != c) {
        return false;
    }
    scan->rest = str_make(scan->rest.ptr + 1, scan->rest.len - 1);
    return true;
}

static bool is_digit(const struct scan *scan, size_t at) {
    return at < scan->rest.len && scan->rest.ptr[at] >= '0' && scan->rest.ptr[at] <= '9';
}

/* Exactly so many digits. */
static bool take_number(struct scan *scan, size_t digits, int *ret_number) {
    int number = 0;
    for (size_t i = 0; i < digits; i++) {
        if (!is_digit(scan, i)) {
            return false;
        }
        number = number * 10 + (scan->rest.ptr[i] - '0');
    }
    scan->rest = str_make(scan->rest.ptr + digits, scan->rest.len - digits);
    *ret_number = number;
    return true;
}

/* The digits behind the point. */
static bool take_fraction(struct scan *scan, int *ret_ms) {
    int ms = 0;
    size_t count = 0;
    for (; is_digit(scan, count); count++) {
        if (count < 3) {
            ms = ms * 10 + (scan->rest.ptr[count] - '0');
        }
    }
    for (size_t i = count; i < 3; i++) {
        ms *= 10;
    }
    scan->rest = str_make(scan->rest.ptr + count, scan->rest.len - count);
    *ret_ms = ms;
    return count > 0 && count <= FRACTION_DIGITS;
}

/* "Z", "+hh", "+hhmm", "+hh:mm" or nothing, then the end. */
static bool take_zone(struct scan *scan, int *ret_minutes) {
    int hours = 0;
    int minutes = 0;
    *ret_minutes = 0;
    if (scan->rest.len == 0 || take_char(scan, 'Z')) {
        return scan->rest.len == 0;
    }
    bool west = take_char(scan, '-');
    if ((!west && !take_char(scan, '+')) || !take_number(scan, 2, &hours)) {
        return false;
    }
    if (scan->rest.len > 0) {
        (void)take_char(scan, ':');
        if (!take_number(scan, 2, &minutes)) {
            return false;
        }
    }
    *ret_minutes = (west ? -1 : 1) * (hours * 60 + minutes);
    return scan->rest.len == 0 && hours <= ZONE_HOURS && minutes < 60;
}

static enum config_value_result make(struct tm tm, int ms, int zone_minutes, int64_t *ret_ms) {
    struct tm same = tm;
    int64_t value = (int64_t)timegm(&same) * 1000;
    /* timegm turns what does not exist into what does. */
    bool exists = same.tm_year == tm.tm_year && same.tm_mon == tm.tm_mon &&
                  same.tm_mday == tm.tm_mday && same.tm_hour == tm.tm_hour &&
                  same.tm_min == tm.tm_min && same.tm_sec == tm.tm_sec;
    value += ms - (int64_t)zone_minutes * MS_OF_MINUTE;
    if (!exists || value < 0 || value > LAST_MS) {
        return CONFIG_VALUE_OUT_OF_BOUNDS;
    }
    *ret_ms = value;
    return CONFIG_VALUE_OK;
}

static enum config_value_result parse_iso(struct str text, int64_t *ret_ms) {
    struct scan scan = {.rest = text};
    struct tm tm = {.tm_sec = 0};
    int ms = 0;
    int zone_minutes = 0;
    bool fits = take_number(&scan, 4, &tm.tm_year) && take_char(&scan, '-') &&
                take_number(&scan, 2, &tm.tm_mon) && take_char(&scan, '-') &&
                take_number(&scan, 2, &tm.tm_mday);
    if (fits && scan.rest.len > 0) {
        fits = take_char(&scan, 'T') && take_number(&scan, 2, &tm.tm_hour) &&
               take_char(&scan, ':') && take_number(&scan, 2, &tm.tm_min) &&
               (!take_char(&scan, ':') || take_number(&scan, 2, &tm.tm_sec)) &&
               (!take_char(&scan, '.') || take_fraction(&scan, &ms)) &&
               take_zone(&scan, &zone_minutes);
    }
    if (!fits) {
        return CONFIG_VALUE_MALFORMED;
    }
    tm.tm_year -= 1900;
    tm.tm_mon -= 1;
    return make(tm, ms, zone_minutes, ret_ms);
}

enum config_value_result config_time_parse(struct str text, int64_t *ret_ms) {
    uint64_t number;
    struct str trimmed = str_trim(text);
    enum config_value_result result = config_value_count(trimmed, 0, (uint64_t)LAST_MS, &number);
    if (result == CONFIG_VALUE_OK) {
        *ret_ms = (int64_t)number;
    }
    if (result != CONFIG_VALUE_MALFORMED) {
        return result;
    }
    int64_t ms;
    if (!http_date_parse(trimmed, &ms)) {
        return parse_iso(trimmed, ret_ms);
    }
    if (ms < 0 || ms > LAST_MS) {
        return CONFIG_VALUE_OUT_OF_BOUNDS;
    }
    *ret_ms = ms;
    return CONFIG_VALUE_OK;
}

void config_time_format(int64_t ms, char to[CONFIG_TIME_MAX]) {
    time_t seconds = (time_t)(ms / 1000);
    struct tm tm;
    (void)gmtime_r(&seconds, &tm); /* no year that int cannot hold */
    size_t len = strftime(to, CONFIG_TIME_MAX, "%Y-%m-%dT%H:%M:%S", &tm);
    (void)snprintf(to + len, CONFIG_TIME_MAX - len, ".%03dZ", (int)(ms % 1000));
}
