#include "aws/http_date.h"

#include <time.h>

/* "d" is a digit, "a" a letter; everything else stands for itself. */
static const char form[] = "aaa, dd aaa dddd dd:dd:dd GMT";
static const char months[] = "JanFebMarAprMayJunJulAugSepOctNovDec";

static bool has_form(struct str text) {
    if (text.len != sizeof form - 1) {
        return false;
    }
    for (size_t i = 0; i < text.len; i++) {
        char c = text.ptr[i];
        char letter = (char)(c | 0x20);
        bool fits = form[i] == 'd'   ? c >= '0' && c <= '9'
                    : form[i] == 'a' ? letter >= 'a' && letter <= 'z'
                                     : c == form[i];
        if (!fits) {
            return false;
        }
    }
    return true;
}

static int number(struct str text, size_t at, size_t digits) {
    int value = 0;
    for (size_t i = at; i < at + digits; i++) {
        value = value * 10 + (text.ptr[i] - '0');
    }
    return value;
}

bool http_date_parse(struct str text, int64_t *ret_ms) {
    if (!has_form(text)) {
        return false;
    }
    struct tm tm = {
        .tm_mday = number(text, 5, 2),
        .tm_mon = -1,
        .tm_year = number(text, 12, 4) - 1900,
        .tm_hour = number(text, 17, 2),
        .tm_min = number(text, 20, 2),
        .tm_sec = number(text, 23, 2),
    };
    for (int i = 0; i < 12; i++) {
        if (memcmp(months + (size_t)i * 3, text.ptr + 8, 3) == 0) {
            tm.tm_mon = i;
        }
    }
    /* Second 60 is a leap second. */
    if (tm.tm_year < 70 || tm.tm_mon < 0 || tm.tm_mday < 1 || tm.tm_mday > 31 || tm.tm_hour > 23 ||
        tm.tm_min > 59 || tm.tm_sec > 60) {
        return false;
    }
    *ret_ms = (int64_t)timegm(&tm) * 1000;
    return true;
}
