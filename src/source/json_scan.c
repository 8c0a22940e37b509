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
#else
static inline uint64_t special_64(const char *p) {
    uint64_t special = 0;
    for (size_t i = 0; i < 64; i++) {
        bool one = p[i] == '"' || p[i] == '\\' || (unsigned char)p[i] < 0x20;
        special |= (uint64_t)one << i;
    }
    return special;
}
#endif

const char *json_scan_next_special(struct json_scan *scan, const char *p) {
    size_t offset = (uintptr_t)p - (uintptr_t)scan->block;
    if (offset < 64) {
        p = scan->block + 64; /* the caller has seen the rest of these */
    }
    for (; p < scan->end; p += 64) {
        scan->block = p;
        scan->special = special_64(p);
        if (scan->special != 0) {
            return p + __builtin_ctzll(scan->special);
        }
    }
    return p;
}

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
        p = json_scan_plain_end(scan, p);
    }
}

/* Passes a string from the byte after its opening quote to the one after its closing quote. NULL, and scan set,
 * when there is none. */
static inline const char *pass_string(struct json_scan *scan, const char *p) {
    p = json_scan_plain_end(scan, p);
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

/* Between an attribute's name and its text: `":{"S":"`, with any capital letter. */
enum { TYPE_LEN = 8 };
static inline bool is_type(const char *p) {
    return memcmp(p, "\":{\"", 4) == 0 && p[4] >= 'A' && p[4] <= 'Z' &&
           memcmp(p + 5, "\":\"", 3) == 0;
}

/* Passes {"S":"text"} at p, as most elements of lists are. NULL, with nothing noted, when it looks different. */
static inline const char *pass_element(struct json_scan *scan, const char *p) {
    if (scan->end - p < TYPE_LEN || memcmp(p, "{\"", 2) != 0 || p[3] != '"' ||
        memcmp(p + 4, ":\"", 2) != 0 || p[2] < 'A' || p[2] > 'Z') {
        return NULL;
    }
    p = json_scan_plain_end(scan, p + 6);
    return scan->end - p >= 2 && p[0] == '"' && p[1] == '}' ? p + 2 : NULL;
}

/* At a member's name, in an object: passes "name":{"S":"text"},"name":{"N":"1"} as far as it goes on like this, which is
 * nearly all of most images. Then either at the name of a member that looks different (or is broken: the general way
 * finds out), or, with ret_behind, behind a member. */
static inline const char *pass_attributes(struct json_scan *scan, const char *p, bool *ret_behind) {
    const char *end = scan->end;
    *ret_behind = false;
    while (p < end && *p == '"') {
        const char *at = json_scan_plain_end(scan, p + 1);
        if (end - at < TYPE_LEN || !is_type(at)) {
            break;
        }
        at = json_scan_plain_end(scan, at + TYPE_LEN);
        if (end - at < 4 || at[0] != '"' || at[1] != '}') {
            break;
        }
        if (at[2] != ',' || at[3] != '"') {
            *ret_behind = true;
            return at + 2;
        }
        p = at + 3;
    }
    return p;
}

/* At a member's name: passes it and its colon, or with ret_behind whole members. NULL when it is broken. */
static inline const char *pass_members(struct json_scan *scan, const char *p, bool may_nest,
                                       bool *ret_behind) {
    *ret_behind = false;
    if (may_nest) {
        p = pass_attributes(scan, p, ret_behind);
    }
    struct str name; /* of no matter here */
    return *ret_behind ? p : pass_name(scan, p, &name);
}

/* Passes a value at p. One bit per open container says whether it is an object: a stack without recursion. */
static const char *pass_value(struct json_scan *scan, const char *p) {
    const char *end = scan->end;
    uint64_t objects[JSON_SCAN_MAX_DEPTH / 64] = {0};
    size_t depth = 0;
    for (;;) {
        /* At the first byte of a value. */
        char c = byte_at(p, end);
        const char *behind_element;
        if (c == '"') {
            p = pass_string(scan, p + 1);
        } else if (c == '{' && depth < JSON_SCAN_MAX_DEPTH &&
                   (behind_element = pass_element(scan, p)) != NULL) {
            p = behind_element;
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
            if (byte_at(p, end) == (c == '{' ? '}' : ']')) {
                depth--; /* empty */
                p++;
            } else if (c == '{') {
                bool behind;
                p = pass_members(scan, p, depth < JSON_SCAN_MAX_DEPTH, &behind);
                if (p != NULL && !behind) {
                    continue;
                }
            } else {
                continue;
            }
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
                bool behind = false;
                if (in_object &&
                    (p = pass_members(scan, p, depth < JSON_SCAN_MAX_DEPTH, &behind)) == NULL) {
                    return NULL;
                }
                if (!behind) {
                    break;
                }
                continue;
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

bool json_scan_any_string(struct json_scan *scan, struct str *ret_raw) {
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
