/*
 * survey: one look at a stream, its lease table, and how far reading has come, for people. Only reads: all shards, all
 * leases, twice when it shall tell which workers are alive, and the first record behind each checkpoint.
 *
 * Lane thread only. The callback is never made inside the call that starts it.
 */
#ifndef SOURCE_SURVEY_H
#define SOURCE_SURVEY_H

#include "aws/streams.h"
#include "source/lease_table.h"
#include "source/lease_taker.h"
#include "source/shard_graph.h"

struct survey;

struct survey_options {
    struct lane *lane;
    struct service *streams; /* both outlive the survey */
    struct service *table;
    struct str stream_arn; /* borrowed, as is lease_table */
    struct str lease_table;
    uint32_t describe_rate; /* calls a second */
    uint64_t watch_ms; /* time between two scans; 0: one scan, and nothing is known of workers */
    bool lags;
};

enum survey_lag {
    SURVEY_LAG_UNKNOWN, /* not asked for, or it could not be told */
    SURVEY_LAG_NONE,    /* nothing was found behind the checkpoint */
    SURVEY_LAG_BEHIND,  /* behind_ms: age of the first record behind it */
    SURVEY_LAG_LOST,    /* what is behind it was trimmed */
};

struct survey_shard {
    struct shard_node *node; /* NULL: a lease of our stream, or of no named one, without a shard */
    bool has_lease;
    struct lease lease;
    struct lease_watch watch; /* moved: its owner is alive */
    enum survey_lag lag;
    uint64_t behind_ms;
};

struct survey_result {
    enum stream_status status;
    int64_t server_time_ms;
    bool has_table;
    size_t other_leases;               /* of other streams */
    const struct survey_shard *shards; /* parents first; leases without shard last */
    size_t count;
};

/* err NULL: the result is there until survey_free. */
typedef void survey_done(void *ctx, const struct err *err, const struct survey_result *result);

/* NULL when out of memory. */
struct survey *survey_start(const struct survey_options *options, survey_done *done, void *ctx);
/* Cancels what is under way, without a callback. NULL is fine. */
void survey_free(struct survey *survey);

#endif
