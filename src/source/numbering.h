/*
 * numbering: the ids of a shard's messages where the broker deduplicates. A record has the same id and goes to the same
 * partition whoever sends it and however often, so that the broker keeps what it has not stored yet; two records never
 * share an id. Ids follow the window's ordinals, at a distance that the first record sent fixes:
 *
 *     the checkpoint has an id (d2pPos),     the next record's is one more
 *     not below the base's
 *     else, the first record is d2pBase's    it has the id that is written there
 *     else                                   a new base, above all ids that the broker or an owner before may know:
 *                                            the first start, a Java worker's checkpoint, a gap, another routing
 *
 * Pure.
 */
#ifndef SOURCE_NUMBERING_H
#define SOURCE_NUMBERING_H

#include "source/seqno.h"

/* d2pBase: "SEQUENCE-NUMBER ID PARTITIONS ROUTING". seqno not set: there is none. */
enum { NUMBERING_ROUTING_MAX = 48, NUMBERING_BASE_TEXT_MAX = 140 };
struct numbering_base {
    struct seqno seqno; /* the first record that was sent under this numbering */
    uint64_t id;        /* its */
    uint32_t partitions;
    char
        routing[NUMBERING_ROUTING_MAX]; /* how a record's key and partition are chosen; no spaces */
};

/* False when the text is malformed. */
bool numbering_base_parse(struct str text, struct numbering_base *ret_base);
/* NUL-terminated; returns the length. */
size_t numbering_base_format(const struct numbering_base *base, char to[NUMBERING_BASE_TEXT_MAX]);
bool numbering_base_equal(const struct numbering_base *a, const struct numbering_base *b);

struct numbering {
    struct numbering_base base; /* as it is, or has to be, in the lease */
    struct str routing;         /* of this process; borrowed */
    uint64_t above;             /* new ids are not below this */
    uint64_t offset;            /* with `fixed`: id = ordinal + offset, modulo 2^64 */
    bool fixed;
};

/* Of a lease just taken: its base and checkpoint. next_ordinal is that of the first record behind the checkpoint. */
void numbering_start(struct numbering *numbering, const struct numbering_base *base,
                     const struct position *checkpoint, struct str routing, uint64_t next_ordinal);
/* Records are missing in front of the next one: ids are not to be told from positions any more. next_ordinal as above. */
void numbering_break(struct numbering *numbering, uint64_t next_ordinal);
/* For how many partitions the shard's messages are; 0: as many as there are. */
uint32_t numbering_partitions(const struct numbering *numbering);
/* In front of each record that is to be sent. last_stored is the highest id that the broker has of this shard, -1 when it has
 * none; partitions, how many there are. True when the base is a new one, which must be in the lease before anything is sent. */
bool numbering_fix(struct numbering *numbering, const struct seqno *seqno, uint64_t ordinal,
                   int64_t last_stored, uint32_t partitions);
/* Of a record, when fixed. */
static inline uint64_t numbering_id(const struct numbering *numbering, uint64_t ordinal) {
    return ordinal + numbering->offset;
}
/* Gives the checkpoint, whose record had this ordinal, its id; none when that is not known. */
void numbering_mark(const struct numbering *numbering, uint64_t ordinal, struct position *position);

#endif
