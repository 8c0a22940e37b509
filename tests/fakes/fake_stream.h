/*
 * fake_stream: DynamoDB streams as they are stored: shards with their lineage, records, trim
 * horizons, and iterators that say where a reader stands. Knows nothing of requests and sockets.
 * Pure.
 */
#ifndef FAKES_FAKE_STREAM_H
#define FAKES_FAKE_STREAM_H

#include "fakes/fake_pages.h"
#include "fakes/fake_record.h"

enum { FAKE_SHARD_ID_MAX = 128, FAKE_SEQUENCE_MAX = 41, FAKE_ARN_MAX = 1024 };

struct fake_stored_record {
    char *json; /* owned */
    uint32_t len;
    int64_t created_ms;
    char sequence_number[FAKE_SEQUENCE_MAX];
};

struct fake_shard {
    char id[FAKE_SHARD_ID_MAX];
    char parent[FAKE_SHARD_ID_MAX]; /* empty when there is none */
    char starting[FAKE_SEQUENCE_MAX];
    char ending[FAKE_SEQUENCE_MAX]; /* of the last record; empty while open */
    struct fake_stored_record *records;
    uint64_t count;
    uint64_t capacity;
    uint64_t trimmed;         /* records before this one are gone */
    struct fake_pages *pages; /* owned; instead of records: a shard at memory speed, or NULL */
    uint64_t listed_after;    /* DescribeStream listings that do not show it yet */
    uint64_t empty_pages;     /* reads that shall find nothing */
    uint64_t generation;      /* iterators of an older one have expired */
    uint64_t served;          /* records given out */
    bool vanished;            /* neither listed nor readable */
};

/* A set of items that `fill` goes on changing, so that versions rise across shards. */
struct fake_series {
    char name[FAKE_SHARD_ID_MAX];
    uint64_t filled;
};

struct fake_stream {
    char arn[FAKE_ARN_MAX];
    char table_name[256];
    char label[64];
    char status[16];
    struct fake_record_shape shape;
    struct fake_shard **shards; /* in the order of their ids, owned */
    size_t shard_count;
    size_t shard_capacity;
    struct fake_series *series;
    size_t series_count;
    char next_sequence[FAKE_SEQUENCE_MAX];
    char time_format[16]; /* plain, fraction or exponent */
    uint64_t events;
};

/* The stream of an ARN "...:table/NAME/stream/LABEL"; ERR_CONFIG for another text. */
struct fake_stream *fake_stream_new(struct str arn, struct err *err);
void fake_stream_free(struct fake_stream *stream);

/* NULL when it is not there or has vanished. */
struct fake_shard *fake_stream_shard(const struct fake_stream *stream, struct str id);
/* An open shard. parent may be empty and need not exist. NULL and err when the id is taken or too
 * long. */
struct fake_shard *fake_stream_add_shard(struct fake_stream *stream, struct str id,
                                         struct str parent, struct err *err);
/* Gives it its ending number. Closing twice changes nothing. */
void fake_stream_close_shard(struct fake_stream *stream, struct fake_shard *shard);
/* Takes the next sequence number of the stream. */
void fake_stream_next_sequence(struct fake_stream *stream, char to[FAKE_SEQUENCE_MAX]);

/* Appends a record as it stands. ERR_CONFIG when the shard is closed or at memory speed. */
bool fake_stream_add_record(struct fake_stream *stream, struct fake_shard *shard, struct str json,
                            const char *sequence_number, int64_t created_ms, struct err *err);

struct fake_fill {
    uint64_t count;
    size_t size;
    uint64_t keys;     /* items that take turns */
    struct str series; /* name of the set of items */
    int64_t at_ms;     /* creation time of the first record */
    uint64_t every_ms; /* between two records */
};
bool fake_stream_fill(struct fake_stream *stream, struct fake_shard *shard,
                      const struct fake_fill *fill, struct err *err);
/* Makes an empty shard serve records at memory speed: count of them, 0 for no end. */
bool fake_stream_memory_pages(struct fake_stream *stream, struct fake_shard *shard, uint64_t count,
                              size_t size, uint64_t keys, struct err *err);

/* The id behind its last '-': what the keys of its generated items begin with. */
struct str fake_shard_tail(const struct fake_shard *shard);
/* Records up to and with this number are gone. */
void fake_shard_trim(struct fake_shard *shard, struct str sequence_number);
/* Records that exist or existed; UINT64_MAX: no end. */
uint64_t fake_shard_end(const struct fake_shard *shard);
/* The number of the first record at or above (after: above) this sequence number. */
uint64_t fake_shard_find(const struct fake_shard *shard, struct str sequence_number, bool after);
/* Whether that number lies in the part that is gone. */
bool fake_shard_is_trimmed(const struct fake_shard *shard, struct str sequence_number);
/* The number of the first record created at or after that time. */
uint64_t fake_shard_find_time(const struct fake_shard *shard, int64_t ms);

/* Compares decimal numbers of any length. */
int fake_sequence_compare(struct str a, struct str b);

#endif
