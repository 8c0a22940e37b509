/*
 * mapping: one stream record as one message: key, properties, event time and the Java connector's JSON value, member
 * for member, images byte for byte. The value is given as parts; only the key and the unescaped texts need
 * memory, which comes from a scratch buffer that is reset per record. Pure.
 */
#ifndef SOURCE_MAPPING_H
#define SOURCE_MAPPING_H

#include "base/buf.h"
#include "sink/sink.h"
#include "source/record.h"

enum message_key { MESSAGE_KEY_ITEM, MESSAGE_KEY_EVENT_ID, MESSAGE_KEY_NONE };

/* The same for all records of a shard. */
struct mapping {
    enum message_key key;
    struct str
        hash_key; /* attribute names of the stream's KeySchema; borrowed, must outlive the mapping */
    struct str range_key; /* empty when there is none */
    struct str table_name;
    struct str shard_id;
    struct buf scratch; /* the last message's key and texts */
    /* The last creation time, as a number and as text: a whole page often has the same. */
    int64_t created_ms;
    char created[24];
    size_t created_len;
};

void mapping_init(struct mapping *mapping);
void mapping_done(struct mapping *mapping);

/* ret_message borrows from the record, the mapping's scratch and static text, until the next call. ERR_RECORD with
 * the reason (a key attribute that is absent or of a type that no key can have) when it cannot be mapped. */
bool mapping_map(struct mapping *mapping, const struct record *record,
                 struct sink_message *ret_message, struct err *err);

#endif
