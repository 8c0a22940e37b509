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
    return (struct json_scan){.at = text.ptr, .end = text.ptr + text.len};
}

/* The byte at hand, or NUL (never part of the grammar) at the end. */
static inline char json_scan_peek(const struct json_scan *scan) {
    return scan->at < scan->end ? *scan->at : '\0';
}

/* Notes what is wrong here; always false. */
bool json_scan_fail(struct json_scan *scan, const char *wrong);
/* Passes white space. */
void json_scan_space(struct json_scan *scan);
/* Passes one value of any kind; ret (may be NULL) is its text. At its first byte. False on broken JSON and when it is
 * nested deeper than JSON_SCAN_MAX_DEPTH. */
bool json_scan_value(struct json_scan *scan, struct str *ret);
/* Passes a string; ret is what is between the quotes, escapes untouched (but checked). */
bool json_scan_string(struct json_scan *scan, struct str *ret_raw);

enum json_scan_step { JSON_SCAN_MEMBER, JSON_SCAN_END, JSON_SCAN_BROKEN };
/* Walks an object: first call at the byte after '{' with first true, later calls behind a member's value. MEMBER: name is
 * set and the scan is at the value's first byte. END: behind the '}'. */
enum json_scan_step json_scan_member(struct json_scan *scan, bool first, struct str *ret_name);

#endif
