/*
 * seqno: DynamoDB sequence numbers and checkpoints. A number is 1 to 40 decimal digits, leading zeros possible and
 * kept; it is compared as a number, never as text and never in 64 or 128 bits. Pure.
 */
#ifndef SOURCE_SEQNO_H
#define SOURCE_SEQNO_H

#include "base/str.h"

enum { SEQNO_MAX_DIGITS = 40 };

/* The text as it came, packed two digits a byte. All zero means "none". */
struct seqno {
    uint8_t digits[SEQNO_MAX_DIGITS / 2];
    uint8_t count;
};

static inline bool seqno_is_set(const struct seqno *seqno) {
    return seqno->count > 0;
}
/* False when text is not 1 to 40 digits. */
bool seqno_parse(struct str text, struct seqno *ret_seqno);
/* The same digits again; NUL-terminated; returns their count. */
size_t seqno_format(const struct seqno *seqno, char to[SEQNO_MAX_DIGITS + 1]);
/* <0, 0, >0 by value; leading zeros do not count. Both must be set. */
int seqno_compare(const struct seqno *a, const struct seqno *b);

/* A lease's checkpoint: all records up to it are done. Ordered as KCL orders them. */
enum position_kind {
    POSITION_AT_TIMESTAMP,
    POSITION_TRIM_HORIZON,
    POSITION_LATEST,
    POSITION_SEQUENCE_NUMBER,
    POSITION_SHARD_END,
};

struct position {
    enum position_kind kind;
    struct seqno seqno; /* with POSITION_SEQUENCE_NUMBER */
    bool numbered;      /* its record's id is known: see numbering.h */
    uint64_t id;
};

/* Of the text in a lease item. False when it is neither a sentinel nor a number. */
bool position_parse(struct str text, struct position *ret_position);
/* NUL-terminated; returns the length. */
size_t position_format(const struct position *position, char to[SEQNO_MAX_DIGITS + 1]);
int position_compare(const struct position *a, const struct position *b);

#endif
