/*
 * fake_streams: the DynamoDB Streams operations over the streams of one double. An iterator holds
 * where its reader stands, veiled so that nobody is tempted to read it; the double remembers none.
 * Pure.
 */
#ifndef FAKES_FAKE_STREAMS_H
#define FAKES_FAKE_STREAMS_H

#include "fakes/fake_reply.h"
#include "fakes/fake_stream.h"

struct fake_streams {
    struct fake_stream **streams; /* owned */
    size_t count;
    struct fake_stream *current; /* the one that the scenario talks of; NULL before the first */
    uint64_t page_shards;        /* of a DescribeStream page */
    uint64_t page_bytes;         /* of a GetRecords page, at least one record */
    uint64_t iterator_life_ms;
    bool child_shards; /* whether ShardFilter is obeyed */
    bool at_timestamp; /* whether AT_TIMESTAMP is known; else 500, as DynamoDB Local answers */
    bool
        end_with_records; /* whether a closed shard's last records come without NextShardIterator */
};

void fake_streams_init(struct fake_streams *streams);
void fake_streams_done(struct fake_streams *streams);
struct fake_stream *fake_streams_find(const struct fake_streams *streams, struct str arn);
/* Makes it the current one. Takes ownership, also on failure. */
bool fake_streams_add(struct fake_streams *streams, struct fake_stream *stream, struct err *err);

/* The shard that a request of GetShardIterator or GetRecords is about; empty when it can't be told.
 * Copies into `to`. */
void fake_streams_subject(yyjson_val *in, char *to, size_t capacity);

/* `of` is the struct fake_streams. */
fake_operation fake_streams_describe;
fake_operation fake_streams_get_iterator;
fake_operation fake_streams_get_records;

#endif
