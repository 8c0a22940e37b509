/*
 * fake_record: stream records made to measure: one change of one item as the JSON that GetRecords
 * carries, of exactly the wanted number of bytes. Every varying member has a fixed place, so that a
 * record can be renewed in place at memory speed. Pure.
 */
#ifndef FAKES_FAKE_RECORD_H
#define FAKES_FAKE_RECORD_H

#include "base/buf.h"
#include "base/err.h"

/* What all records of a stream share. */
struct fake_record_shape {
    char hash_key[64];
    char range_key[64]; /* empty when there is none */
    char view_type[24];
    char region[32];
};

struct fake_record_spec {
    struct str key;   /* of the item */
    uint64_t version; /* of the item: 0 is its INSERT, later ones are MODIFY */
    uint64_t event;   /* goes into eventID */
    struct str sequence_number;
    struct str created; /* JSON number */
    size_t size;        /* bytes in all; 0: as few as possible */
};

/* Where the varying members are, from the record's first byte; 0: not there. */
struct fake_record_offsets {
    size_t event; /* the last 16 digits of eventID */
    size_t created;
    size_t new_version; /* the digits of "n" */
    size_t old_version;
    size_t sequence_number;
};

/* Appends the record. False with ERR_CONFIG when it cannot have that size. */
bool fake_record_write(const struct fake_record_shape *shape, const struct fake_record_spec *spec,
                       struct buf *out, struct fake_record_offsets *ret_offsets, struct err *err);

#endif
