/*
 * source: reads one DynamoDB stream and feeds a sink, keeping leases and checkpoints. It runs on lanes and knows
 * AWS only as services and Pulsar only as a sink; whoever starts it provides both (struct source_host).
 *
 * source_start and source_stop may be called by any thread; the host's functions are called as said there.
 */
#ifndef SOURCE_SOURCE_H
#define SOURCE_SOURCE_H

#include "aws/table.h"
#include "sink/sink.h"
#include "source/mapping.h"
#include "source/measures.h"
#include "source/seqno.h"

struct source;

/* Constant while the source runs; texts are borrowed and must outlive it. Times in milliseconds. */
struct source_options {
    struct str stream_arn;
    struct str lease_table; /* ptr NULL: no leases are kept (tail) */
    struct str worker_id;
    enum table_billing billing;
    enum position_kind initial; /* TRIM_HORIZON, LATEST or AT_TIMESTAMP */
    int64_t start_at_ms;        /* with AT_TIMESTAMP: the wall clock's */
    enum message_key message_key;
    bool skip_bad_records;    /* onRecordError: skip */
    bool continue_after_loss; /* onDataLoss: continue */
    bool until_caught_up;
    uint64_t time_granularity_ms; /* of ApproximateCreationDateTime: 1,000; DynamoDB Local 60,000 */
    uint64_t failover_ms;
    uint64_t checkpoint_interval_ms;
    uint64_t backoff_ms;
    uint32_t retries;
    uint64_t min_poll_ms;
    uint64_t max_poll_ms;
    uint32_t receive_queue; /* records; below 1,000 it lowers the Limit */
    uint32_t describe_rate; /* DescribeStream calls a second */
    uint64_t stop_timeout_ms;
    uint64_t memory_budget; /* bytes, over all lanes */
    uint32_t lanes;         /* at most */
    /* Effectively once: each shard has a session in the sink, of this name with the shard's id behind it. ptr NULL: not. */
    struct str session_prefix;
    struct str
        routing; /* with it: what decides over a record's key and partition, without spaces */
    uint64_t measure_ms; /* how often measures are handed on; 0: never */
};

/* What one lane works with. */
struct source_parts {
    struct service *streams;
    struct service *table;
    struct sink *sink;
};

struct source_host {
    /* A new lane, or NULL and err. Called on lane 0; index 0 is made before source_start. */
    struct lane *(*lane)(void *ctx, uint32_t index, struct err *err);
    /* The parts of a lane, made on it. */
    bool (*open)(void *ctx, struct lane *lane, const struct sink_events *events, void *events_ctx,
                 struct source_parts *ret_parts, struct err *err);
    /* Ends the services of a lane, on it; the sink was closed before. Also after an open that failed, for what it has
     * made until then. Then calls done. */
    void (*close)(void *ctx, struct lane *lane, lane_fn *done, void *done_ctx);
    /* On its lane: what a lane measured in the last measure_ms, or until it closed; to be freed. NULL with measure_ms 0. */
    void (*measured)(void *ctx, struct measures *measures);
    /* On lane 0, once: all lanes have closed. err is NULL after a clean end, else why it ended. */
    void (*done)(void *ctx, const struct err *err);
};

enum { SOURCE_LANES_MAX = 256 };

/* Read by any thread at any time. Sums over all shards that this process reads. */
struct source_stats {
    uint64_t records_read;
    uint64_t records_acked;
    uint64_t records_skipped; /* older than the start position */
    uint64_t record_errors;   /* skipped by onRecordError */
    uint64_t gaps;            /* times that data was lost before it was read */
    uint64_t in_flight;       /* read and not acknowledged */
    uint64_t bytes_read;
    uint64_t shards_open; /* being read now */
    uint64_t behind_ms;   /* the largest lag of a shard; 0 at the tip */
    uint64_t pages_read;
    uint64_t read_failures; /* reads that failed after all their tries */
    uint64_t leases_lost;   /* to other workers, without a hand-over */
    uint64_t sink_reconnects;
};

enum source_lane_life {
    SOURCE_LANE_OPENING,
    SOURCE_LANE_OPEN,
    SOURCE_LANE_CLOSING, /* nothing turns any more */
};

/* What one lane has told last of how it moves. Idle times are the longest of its shards, in the lane's own time: while the
 * lane itself does not turn, they do not grow. */
struct source_lane_pulse {
    enum source_lane_life life;
    uint64_t turns; /* rises while the lane runs its timers and takes its messages */
    bool sink_ready;
    uint32_t sink_lost; /* connections of its sink that are to be made anew */
    uint64_t shards;
    uint64_t in_flight;
    uint64_t behind_ms;
    uint64_t step_idle_ms; /* a shard that nothing holds up, without any step of ours */
    uint64_t page_idle_ms; /* the same, without a page */
    uint64_t
        ack_idle_ms; /* an acknowledged position, with records in flight and no connection lost */
    uint64_t lease_idle_ms;   /* a held lease, without being renewed */
    uint64_t write_idle_ms;   /* the same, without a try */
    enum err_code read_error; /* of the last read that failed; ERR_OK: none has */
};

/* Read by any thread at any time: whether the source moves. Counters rise with what they are named after. */
struct source_pulse {
    bool sharing;  /* the shards are listed, the leases looked at: what is ours is being read */
    bool stopping; /* source_stop, or it ends by itself */
    bool making;   /* leases are being made; listings wait for that */
    uint64_t describes; /* answers to DescribeStream, good or bad */
    uint64_t listings;  /* full ones */
    uint64_t scan_tries;
    uint64_t scans; /* of the lease table, to their end */
    uint32_t lane_count;
    struct source_lane_pulse lanes[SOURCE_LANES_MAX];
};

/* lane is lane 0. host and options are copied. NULL when out of memory. */
struct source *source_start(struct lane *lane, const struct source_options *options,
                            const struct source_host *host, void *host_ctx);
/* Stop reading, drain, checkpoint, release; host.done follows within stop_timeout_ms and a few seconds. Any thread. */
void source_stop(struct source *source);
/* After host.done. */
void source_free(struct source *source);
void source_get_stats(const struct source *source, struct source_stats *ret_stats);
void source_get_pulse(const struct source *source, struct source_pulse *ret_pulse);

#endif
