#include "source/json_scan.h"

#ifdef __SSE2__
#include <emmintrin.h>
#endif

bool json_scan_fail(struct json_scan *scan, const char *wrong) {
    scan->wrong = scan->at < scan->end ? wrong : "the text ends early";
    return false;
}

static inline char byte_at(const char *p, const char *end) {
    return p < end ? *p : '\0';
}

static const char *pass_more_space(const char *p, const char *end) {
    while (p < end && (*p == ' ' || *p == '\n' || *p == '\r' || *p == '\t')) {
        p++;
    }
    return p;
}

/* The service writes none, so the usual case is one comparison. */
static inline const char *pass_space(const char *p, const char *end) {
    return p < end && (unsigned char)*p > ' ' ? p : pass_more_space(p, end);
}

#ifdef __SSE2__
/* One bit per byte of the 16 at p: a quote, a backslash or a control character. */
static inline uint64_t special_16(const char *p) {
    __m128i bytes = _mm_loadu_si128((const __m128i *)(const void *)p);
    __m128i quote = _mm_cmpeq_epi8(bytes, _mm_set1_epi8('"'));
    __m128i backslash = _mm_cmpeq_epi8(bytes, _mm_set1_epi8('\\'));
    __m128i control = _mm_cmpeq_epi8(_mm_min_epu8(bytes, _mm_set1_epi8(0x1f)), bytes);
    return (uint64_t)(unsigned)_mm_movemask_epi8(
        _mm_or_si128(_mm_or_si128(quote, backslash), control));
}

static inline uint64_t special_64(const char *p) {
    return special_16(p) | special_16(p + 16) << 16 | special_16(p + 32) << 32 |
           special_16(p + 48) << 48;
}

/* The first quote, backslash or control character, or a place at or behind the end. DynamoDB's JSON has a string
 * every few bytes: so 64 bytes are looked at together, and the strings that end in them share that work. */
static inline const char *plain_end(struct json_scan *scan, const char *p) {
    if (p >= scan->end) {
        return p;
    }
    size_t offset = (uintptr_t)p - (uintptr_t)scan->block;
    if (offset >= 64) {
        scan->block = p;
        scan->special = special_64(p);
        offset = 0;
    }
    uint64_t special = scan->special >> offset;
    while (special == 0) {
        p = scan->block + 64;
        if (p >= scan->end) {
            return p;
        }
        scan->block = p;
        special = scan->special = special_64(p);
    }
    return p + __builtin_ctzll(special);
}
#else
static inline const char *plain_end(struct json_scan *scan, const char *p) {
    while (p < scan->end && *p != '"' && *p != '\\' && (unsigned char)*p >= 0x20) {
        p++;
    }
    return p;
}
#endif

static bool is_digit(char c) {
    return c >= '0' && c <= '9';
}

static bool is_hex(char c) {
    return is_digit(c) || (c >= 'a' && c <= 'f') || (c >= 'A' && c <= 'F');
}

/* Passes an escape, at its backslash; NULL when it is none. */
static const char *pass_escape(const char *p, const char *end) {
    switch (byte_at(p + 1, end)) {
    case '"':
    case '\\':
    case '/':
    case 'b':
    case 'f':
    case 'n':
    case 'r':
    case 't':
        return p + 2;
    case 'u':
        for (size_t i = 2; i < 6; i++) {
            if (!is_hex(byte_at(p + i, end))) {
                return NULL;
            }
        }
        return p + 6;
    default:
        return NULL;
    }
}

/* Goes on with a string at p, where there is no quote: an escape, or what may not be in a string. */
static const char *pass_string_from(struct json_scan *scan, const char *p) {
    for (;;) {
        if (p < scan->end && *p == '"') {
            return p + 1;
        }
        scan->at = p < scan->end ? p : scan->end;
        if (byte_at(p, scan->end) != '\\') {
            json_scan_fail(scan, "a control character in a string");
            return NULL;
        }
        p = pass_escape(p, scan->end);
        if (p == NULL) {
            json_scan_fail(scan, "a wrong escape in a string");
            return NULL;
        }
        p = plain_end(scan, p);
    }
}

/* Passes a string from the byte after its opening quote to the one after its closing quote. NULL, and scan set,
 * when there is none. */
static inline const char *pass_string(struct json_scan *scan, const char *p) {
    p = plain_end(scan, p);
    return p < scan->end && *p == '"' ? p + 1 : pass_string_from(scan, p);
}

static const char *pass_digits(const char *p, const char *end) {
    while (p < end && is_digit(*p)) {
        p++;
    }
    return p;
}

/* One or more digits. */
static const char *pass_number_part(struct json_scan *scan, const char *p) {
    const char *behind = pass_digits(p, scan->end);
    if (behind == p) {
        scan->at = p;
        json_scan_fail(scan, "a number lacks digits");
        return NULL;
    }
    return behind;
}

static const char *pass_number(struct json_scan *scan, const char *p) {
    if (*p == '-') {
        p++;
    }
    if (byte_at(p, scan->end) == '0') {
        p++; /* nothing may follow it but a fraction or exponent; the caller finds other digits */
    } else if ((p = pass_number_part(scan, p)) == NULL) {
        return NULL;
    }
    if (byte_at(p, scan->end) == '.' && (p = pass_number_part(scan, p + 1)) == NULL) {
        return NULL;
    }
    char c = byte_at(p, scan->end);
    if (c == 'e' || c == 'E') {
        c = byte_at(p + 1, scan->end);
        p = pass_number_part(scan, p + (c == '+' || c == '-' ? 2 : 1));
    }
    return p;
}

/* Numbers, true, false and null. */
static const char *pass_scalar(struct json_scan *scan, const char *p) {
    static const struct str words[] = {
        {.ptr = "true", .len = 4},
        {.ptr = "false", .len = 5},
        {.ptr = "null", .len = 4},
    };
    char c = byte_at(p, scan->end);
    if (c == '-' || is_digit(c)) {
        return pass_number(scan, p);
    }
    for (size_t i = 0; i < sizeof words / sizeof words[0]; i++) {
        if ((size_t)(scan->end - p) >= words[i].len && memcmp(p, words[i].ptr, words[i].len) == 0) {
            return p + words[i].len;
        }
    }
    scan->at = p;
    json_scan_fail(scan, "a value expected");
    return NULL;
}

static const char *fail_at(struct json_scan *scan, const char *p, const char *wrong) {
    scan->at = p < scan->end ? p : scan->end;
    json_scan_fail(scan, wrong);
    return NULL;
}

/* A member's name and its colon, at the name's quote; gives the first byte of the value. */
static inline const char *pass_name(struct json_scan *scan, const char *p, struct str *ret_name) {
    if (byte_at(p, scan->end) != '"') {
        return fail_at(scan, p, "a member's name expected");
    }
    const char *name = p + 1;
    p = pass_string(scan, name);
    if (p == NULL) {
        return NULL;
    }
    *ret_name = str_make(name, (size_t)(p - 1 - name));
    p = pass_space(p, scan->end);
    if (byte_at(p, scan->end) != ':') {
        return fail_at(scan, p, "':' expected");
    }
    return pass_space(p + 1, scan->end);
}

/* Passes {"S":"text"} at p, as nearly all attributes are: any capital letter, one string, no white space. NULL, with
 * nothing noted, when it looks different (or is broken: the general way finds out). */
static inline const char *pass_attribute(struct json_scan *scan, const char *p) {
    if (scan->end - p < 6 || p[1] != '"' || p[2] < 'A' || p[2] > 'Z' || p[3] != '"' ||
        p[4] != ':' || p[5] != '"') {
        return NULL;
    }
    p = plain_end(scan, p + 6);
    return scan->end - p >= 2 && p[0] == '"' && p[1] == '}' ? p + 2 : NULL;
}

/* Passes a value at p. One bit per open container says whether it is an object: a stack without recursion. */
static const char *pass_value(struct json_scan *scan, const char *p) {
    const char *end = scan->end;
    uint64_t objects[JSON_SCAN_MAX_DEPTH / 64] = {0};
    size_t depth = 0;
    struct str name; /* of no matter here */
    for (;;) {
        /* At the first byte of a value. */
        char c = byte_at(p, end);
        const char *behind;
        if (c == '"') {
            p = pass_string(scan, p + 1);
        } else if (c == '{' && depth < JSON_SCAN_MAX_DEPTH &&
                   (behind = pass_attribute(scan, p)) != NULL) {
            p = behind;
        } else if (c == '{' || c == '[') {
            if (depth == JSON_SCAN_MAX_DEPTH) {
                return fail_at(scan, p, "nested too deep");
            }
            uint64_t bit = (uint64_t)1 << (depth % 64);
            if (c == '{') {
                objects[depth / 64] |= bit;
            } else {
                objects[depth / 64] &= ~bit;
            }
            depth++;
            p = pass_space(p + 1, end);
            if (byte_at(p, end) != (c == '{' ? '}' : ']')) {
                if (c == '{' && (p = pass_name(scan, p, &name)) == NULL) {
                    return NULL;
                }
                continue;
            }
            depth--; /* empty */
            p++;
        } else {
            p = pass_scalar(scan, p);
        }
        if (p == NULL) {
            return NULL;
        }
        /* Behind a value: close what ends here, up to the next value. */
        for (;;) {
            if (depth == 0) {
                return p;
            }
            bool in_object = (objects[(depth - 1) / 64] >> ((depth - 1) % 64) & 1) != 0;
            p = pass_space(p, end);
            c = byte_at(p, end);
            if (c == ',') {
                p = pass_space(p + 1, end);
                if (in_object && (p = pass_name(scan, p, &name)) == NULL) {
                    return NULL;
                }
                break;
            }
            if (c != (in_object ? '}' : ']')) {
                return fail_at(scan, p, in_object ? "',' or '}' expected" : "',' or ']' expected");
            }
            p++;
            depth--;
        }
    }
}

void json_scan_space(struct json_scan *scan) {
    scan->at = pass_space(scan->at, scan->end);
}

bool json_scan_value(struct json_scan *scan, struct str *ret) {
    const char *start = scan->at;
    const char *behind = pass_value(scan, start);
    if (behind == NULL) {
        return false;
    }
    scan->at = behind;
    if (ret != NULL) {
        *ret = str_make(start, (size_t)(behind - start));
    }
    return true;
}

bool json_scan_string(struct json_scan *scan, struct str *ret_raw) {
    if (json_scan_peek(scan) != '"') {
        return json_scan_fail(scan, "a string expected");
    }
    const char *start = scan->at + 1;
    const char *behind = pass_string(scan, start);
    if (behind == NULL) {
        return false;
    }
    scan->at = behind;
    *ret_raw = str_make(start, (size_t)(behind - 1 - start));
    return true;
}

enum json_scan_step json_scan_member(struct json_scan *scan, bool first, struct str *ret_name) {
    const char *p = pass_space(scan->at, scan->end);
    char c = byte_at(p, scan->end);
    if (c == '}') {
        scan->at = p + 1;
        return JSON_SCAN_END;
    }
    if (!first) {
        if (c != ',') {
            fail_at(scan, p, "',' or '}' expected");
            return JSON_SCAN_BROKEN;
        }
        p = pass_space(p + 1, scan->end);
    }
    const char *value = pass_name(scan, p, ret_name);
    if (value == NULL) {
        return JSON_SCAN_BROKEN;
    }
    scan->at = value;
    return JSON_SCAN_MEMBER;
}
