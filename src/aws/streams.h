/*
 * streams: the DynamoDB Streams operations, typed. Requests are built and replies read here; nothing else in
 * the program spells their member names (but for records, which source/record.c slices).
 * Lane thread only; errors carry "<operation>: " and the request id.
 */
#ifndef AWS_STREAMS_H
#define AWS_STREAMS_H

#include "aws/service.h"

enum stream_status {
    STREAM_STATUS_ENABLING,
    STREAM_STATUS_ENABLED,
    STREAM_STATUS_DISABLING,
    STREAM_STATUS_DISABLED,
    STREAM_STATUS_UNKNOWN,
};

/* One shard of a listing. Strings are NUL-terminated and owned by the listing. */
struct stream_shard {
    const char *id;
    const char *parent_id;                /* NULL when none */
    const char *starting_sequence_number; /* NULL when absent */
    const char *ending_sequence_number;   /* NULL while open */
};

struct stream_description {
    enum stream_status status;
    const char *table_name;
    const char *view_type;
    const char *hash_key;  /* attribute name */
    const char *range_key; /* NULL when the table has none */
    const struct stream_shard *shards;
    size_t shard_count;
    const char *last_evaluated_shard_id; /* NULL on the last page */
    int64_t server_time_ms;              /* from the Date header; 0 when absent */
};

/* Everything passed to a callback is borrowed for the callback. Exactly one of err and the result is set. */
typedef void streams_described(void *ctx, const struct err *err,
                               const struct stream_description *description);
/* One page of at most 100 shards. exclusive_start and children_of may be STR_NONE. */
struct service_call *streams_describe(struct service *service, struct str stream_arn,
                                      struct str exclusive_start_shard_id, struct str children_of,
                                      streams_described *done, void *ctx);

enum iterator_type {
    ITERATOR_TRIM_HORIZON,
    ITERATOR_LATEST,
    ITERATOR_AT_SEQUENCE_NUMBER,
    ITERATOR_AFTER_SEQUENCE_NUMBER,
};

/* server_time_ms as in struct service_reply. */
typedef void streams_iterator_got(void *ctx, const struct err *err, struct str iterator,
                                  int64_t server_time_ms);
/* sequence_number only with the two types that take one. */
struct service_call *streams_get_iterator(struct service *service, struct str stream_arn,
                                          struct str shard_id, enum iterator_type type,
                                          struct str sequence_number, streams_iterator_got *done,
                                          void *ctx);

/* Points at the first record whose creation time is not before timestamp_ms. Not every service that speaks this
 * protocol knows this type; the refusals differ, so any error but throttling or credentials may mean that. */
struct service_call *streams_get_iterator_at(struct service *service, struct str stream_arn,
                                             struct str shard_id, int64_t timestamp_ms,
                                             streams_iterator_got *done, void *ctx);

/* The page is the response body as it came (crc verified); its ownership goes to the receiver. */
typedef void streams_records_got(void *ctx, const struct err *err, struct page *page);
/* limit 1 to 1,000. A body over BUF_MAX_PAGE is ERR_AWS_TOO_LARGE: ask again with half the limit. */
struct service_call *streams_get_records(struct service *service, struct str iterator,
                                         uint32_t limit, streams_records_got *done, void *ctx);

#endif
