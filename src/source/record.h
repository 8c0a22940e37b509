/*
 * record: slices a GetRecords response into records without copying: one validating pass over the bytes, no tree.
 * Every slice is the member's JSON as it came, borrowed from the page. Pure.
 *
 * JSON strings are given raw (between the quotes, escapes untouched) with a flag where an escape may matter.
 * Unknown members are skipped; an absent member and null are the same. Nesting is bounded (RECORD_MAX_DEPTH).
 */
#ifndef SOURCE_RECORD_H
#define SOURCE_RECORD_H

#include "base/err.h"
#include "base/str.h"
#include "source/json_scan.h"
#include "source/seqno.h"

enum {
    RECORD_MAX_DEPTH = JSON_SCAN_MAX_DEPTH
}; /* of one member's value; DynamoDB's 32 levels need 66 */

struct record {
    /* String members, raw between the quotes; ptr NULL when absent. */
    struct str event_id;
    struct str event_name;
    struct str event_version;
    struct str event_source;
    struct str aws_region;
    struct str stream_view_type;
    struct str sequence_number;
    struct str principal_id;  /* of userIdentity, PrincipalId or principalId */
    struct str identity_type; /* of userIdentity, Type or type */
    bool has_user_identity;
    /* Values as JSON text, `{...}` included; ptr NULL when absent. */
    struct str keys;
    struct str new_image;
    struct str old_image;
    struct str size_bytes; /* a JSON number as spelt */
    int64_t
        created_ms; /* ApproximateCreationDateTime in epoch ms, any JSON number spelling; 0 when absent */
    bool has_created;
    struct seqno seqno; /* of sequence_number */
    /* The record's text in front of its creation time and behind it, when it looks as its message's value will: known
     * members only, in the mapping's order, none null, no white space, no userIdentity. Else ptr is NULL. */
    struct str head;
    struct str tail;
};

enum { RECORD_LEVELS = 3, RECORD_LEVEL_MEMBERS = 8 };

/* Walks the records of one page. */
struct record_page {
    const char *at; /* next byte */
    const char *end;
    const char *start;
    struct str
        next_iterator; /* raw; ptr NULL: end of a closed shard (absent, null and "" alike). Only to be looked
                                 at when the walk has ended. */
    bool has_records; /* the array was found */
    bool in_records;  /* `at` is at a record or at the array's end */
    bool ended;       /* all of it is read and valid */
    /* Which member is expected behind which, as in the records before. */
    uint8_t follows[RECORD_LEVELS][RECORD_LEVEL_MEMBERS];
};

/* body must stay in place and have PAGE_PADDING bytes of readable memory behind it. */
bool record_page_open(struct record_page *page, struct str body, struct err *err);
/* The next record; false at the end (err untouched) or on broken JSON (err set: ERR_AWS_REPLY with the offset, or
 * ERR_RECORD for a record without sequence number or with one that is not a number).
 * After the last record the rest of the page is validated, `ended` is true and next_iterator is set. After broken
 * JSON the walk stays where it is; after ERR_RECORD (ret_record holds what there is of it) the next call goes on. */
bool record_page_next(struct record_page *page, struct record *ret_record, struct err *err);

/* Undoes JSON escapes of a raw string into `to` (never longer than raw). Lone surrogates become U+FFFD. Returns the
 * length. */
size_t record_unescape(struct str raw, char *to);

#endif
