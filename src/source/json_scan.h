/*
 * json_scan: walks JSON text in place and validates it on the way: the full grammar, but for one thing: bytes above
 * 0x7f are passed as they are (UTF-8 is the sender's business, the checksum's to guard). No tree, no recursion. Pure.
 *
 * The text must have PAGE_PADDING readable bytes behind its end; they are looked at, never believed.
 */
#ifndef SOURCE_JSON_SCAN_H
#define SOURCE_JSON_SCAN_H

#include "base/str.h"

enum { JSON_SCAN_MAX_DEPTH = 128 };

struct json_scan {
    const char *at; /* next byte; after a failure, the byte that is wrong */
    const char *end;
    const char *wrong; /* after a failure: what is. Static storage */
    const char *block; /* where the 64 bytes start that `special` tells of; NULL: none yet */
    uint64_t special;  /* one bit per byte: it ends a run of plain bytes in a string */
};

static inline struct json_scan json_scan_make(struct str text) {
    /* An absent text is an empty one; nothing may be added to NULL, be it 0. */
    return (struct json_scan){.at = text.ptr, .end = text.len > 0 ? text.ptr + text.len : text.ptr};
}

/* The byte at hand, or NUL (never part of the grammar) at the end. */
static inline char json_scan_peek(const struct json_scan *scan) {
    return scan->at < scan->end ? *scan->at : '\0';
}

/* Passes this text if it is what comes next. */
static inline bool json_scan_pass(struct json_scan *scan, struct str text) {
    bool next =
        (size_t)(scan->end - scan->at) >= text.len && memcmp(scan->at, text.ptr, text.len) == 0;
    scan->at += next ? text.len : 0;
    return next;
}

/* Notes what is wrong here; always false. */
bool json_scan_fail(struct json_scan *scan, const char *wrong);
/* Passes white space. */
void json_scan_space(struct json_scan *scan);
/* Passes one value of any kind; ret (may be NULL) is its text. At its first byte. False on broken JSON and when it is
 * nested deeper than JSON_SCAN_MAX_DEPTH. */
bool json_scan_value(struct json_scan *scan, struct str *ret);
/* Passes a string; ret is what is between the quotes, escapes untouched (but checked). */
static inline bool json_scan_string(struct json_scan *scan, struct str *ret_raw);

enum json_scan_step { JSON_SCAN_MEMBER, JSON_SCAN_END, JSON_SCAN_BROKEN };
/* Walks an object: first call at the byte after '{' with first true, later calls behind a member's value. MEMBER: name is
 * set and the scan is at the value's first byte. END: behind the '}'. */
enum json_scan_step json_scan_member(struct json_scan *scan, bool first, struct str *ret_name);

/* Passes a number of at most 15 digits and nothing else, as most are. False, and nothing is passed, when it is not that. */
static inline bool json_scan_natural(struct json_scan *scan, uint64_t *ret_value) {
    const char *p = scan->at;
    const char *end = scan->end - p < 16 ? scan->end : p + 16;
    uint64_t value = 0;
    for (; p < end && *p >= '0' && *p <= '9'; p++) {
        value = value * 10 + (uint64_t)(*p - '0');
    }
    size_t digits = (size_t)(p - scan->at);
    if (p == end || digits == 0 || (digits > 1 && *scan->at == '0') || *p == '.' ||
        (*p | 0x20) == 'e') {
        return false;
    }
    scan->at = p;
    *ret_value = value;
    return true;
}

/* ---- What is called for every string, in the usual case without a call. ---- */

bool json_scan_any_string(struct json_scan *scan, struct str *ret_raw);
const char *json_scan_next_special(struct json_scan *scan, const char *p);

/* The first quote, backslash or control character from p on, or a place at or behind the end. DynamoDB's JSON has a
 * string every few bytes: so 64 bytes are looked at together, and the strings that end in them share that work. */
static inline const char *json_scan_plain_end(struct json_scan *scan, const char *p) {
    size_t offset = (uintptr_t)p - (uintptr_t)scan->block;
    uint64_t special = offset < 64 ? scan->special >> offset : 0;
    return special != 0 ? p + __builtin_ctzll(special) : json_scan_next_special(scan, p);
}

static inline bool json_scan_string(struct json_scan *scan, struct str *ret_raw) {
    if (json_scan_peek(scan) == '"') {
        const char *start = scan->at + 1;
        const char *end = json_scan_plain_end(scan, start);
        if (end < scan->end && *end == '"') {
            scan->at = end + 1;
            *ret_raw = str_make(start, (size_t)(end - start));
            return true;
        }
    }
    return json_scan_any_string(scan, ret_raw);
}

#endif
