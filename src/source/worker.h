/*
 * worker: what one lane does for the source: its readers, the services and the sink they share, the memory budget, the
 * way from a receipt's token to its reader. Lives on its lane's thread, but for the functions marked otherwise.
 */
#ifndef SOURCE_WORKER_H
#define SOURCE_WORKER_H

#include "source/lease_table.h"
#include "source/reader.h"
#include "source/source.h"

#include <stdatomic.h>

/* Relaxed counters of lane 0, read by anybody. Each is what source_pulse says. */
struct coordinator_stats {
    atomic_uint_fast64_t sharing;
    atomic_uint_fast64_t making;
    atomic_uint_fast64_t describes;
    atomic_uint_fast64_t listings;
    atomic_uint_fast64_t scan_tries;
    atomic_uint_fast64_t scans;
};

/* What all lanes share, written before the first worker starts and constant since. */
struct source_common {
    struct source_options options;
    struct source_host host;
    void *host_ctx;
    struct lane *lane; /* the coordinator's */
    char *table_name;
    char *hash_key;
    char *range_key;    /* NULL when none */
    int64_t started_ms; /* server's clock where known */
    /* What changes all the same: */
    struct coordinator_stats *coordinator;
    struct measure *measures; /* MEASURE_LANE_COUNT of them: the coordinator's, on lane 0 */
};

/* Relaxed counters: written by the worker's lane, read by anybody. Each is what source_stats or source_pulse says. */
struct worker_stats {
    atomic_uint_fast64_t records_read;
    atomic_uint_fast64_t records_acked;
    atomic_uint_fast64_t records_skipped;
    atomic_uint_fast64_t record_errors;
    atomic_uint_fast64_t gaps;
    atomic_uint_fast64_t in_flight;
    atomic_uint_fast64_t bytes_read;
    atomic_uint_fast64_t shards_open;
    atomic_uint_fast64_t behind_ms;
    atomic_uint_fast64_t pages_read;
    atomic_uint_fast64_t read_failures;
    atomic_uint_fast64_t leases_lost;

    atomic_uint_fast64_t turns;
    atomic_uint_fast64_t life; /* enum source_lane_life */
    atomic_uint_fast64_t sink_ready;
    atomic_uint_fast64_t sink_lost;
    atomic_uint_fast64_t sink_reconnects;
    atomic_uint_fast64_t read_error;
    atomic_uint_fast64_t step_idle_ms;
    atomic_uint_fast64_t page_idle_ms;
    atomic_uint_fast64_t ack_idle_ms;
    atomic_uint_fast64_t lease_idle_ms;
    atomic_uint_fast64_t write_idle_ms;
};

/* To the coordinator's lane. */
struct worker_events {
    void (*opened)(void *ctx, struct worker *worker);
    void (*failed)(void *ctx, struct worker *worker,
                   const struct err *err);            /* once; it goes on draining */
    void (*closed)(void *ctx, struct worker *worker); /* after worker_stop; free it now */
};

struct worker {
    const struct source_common *common;
    struct lane *lane;
    struct worker_events events;
    void *events_ctx;
    struct source_parts parts;
    struct lease_table *leases; /* NULL when none are kept */
    struct reader **readers;    /* by slot; NULL where free */
    uint64_t *next_ordinals;    /* by slot: tokens of a slot never repeat */
    uint32_t *free_slots;       /* of slot_count; the last of them is taken next */
    uint32_t free_count;
    uint32_t slot_count;
    uint32_t open_readers;
    uint64_t window_bytes;
    struct aws_linked_list blocked; /* readers that wait for room in the sink, then for memory */
    struct lane_timer stats_timer;
    uint64_t stats_ms; /* when the last stats were taken */
    struct lane_timer memory_timer;
    struct lane_timer measure_timer;
    struct measure measures[MEASURE_LANE_COUNT];
    struct measures
        *measured; /* of readers that are gone, since the last were handed on; NULL: of none */
    struct lane_timer deadline;
    struct worker_stats stats;
    bool opened;
    bool sink_dead;
    bool stopping;
    bool closing;
    bool failed;
    struct err failure;
    uint32_t assigned; /* the coordinator's: shards given to this worker */
    struct lane_message open_message;
    struct lane_message turn_message;
    struct lane_message stop_message;
    struct lane_message opened_message;
    struct lane_message failed_message;
    struct lane_message closed_message;
};

/* On the coordinator's lane. Opens the parts on `lane`; `opened` follows, or `failed`. */
struct worker *worker_new(const struct source_common *common, struct lane *lane,
                          const struct worker_events *events, void *events_ctx);
/* On the coordinator's lane: read this shard, whose lease was just taken. */
void worker_open_shard(struct worker *worker, struct shard *shard);
/* On the coordinator's lane: the shard's children have leases; write its SHARD_END. */
void worker_finish_shard(struct worker *worker, struct shard *shard);
/* On the coordinator's lane: drain, release, close everything; `closed` follows. */
void worker_stop(struct worker *worker);
/* After `closed`. */
void worker_free(struct worker *worker);

/* For readers, on the worker's lane. */
enum { WORKER_SLOT_BITS = 24, WORKER_ORDINAL_BITS = 40 };
static inline uint64_t worker_token(uint32_t slot, uint64_t ordinal) {
    return (uint64_t)slot << WORKER_ORDINAL_BITS |
           (ordinal & ((UINT64_C(1) << WORKER_ORDINAL_BITS) - 1));
}
static inline uint64_t worker_ordinal(uint64_t token) {
    return token & ((UINT64_C(1) << WORKER_ORDINAL_BITS) - 1);
}
/* May another page be asked for now? When not, the reader waits in the worker's list. */
bool worker_has_memory(const struct worker *worker);
void worker_wait(struct worker *worker, struct reader *reader);
/* A page went back: those that wait for memory may go on. */
void worker_memory_freed(struct worker *worker);
void worker_window_changed(struct worker *worker, size_t before, size_t after);
/* The source cannot go on. Reported once. */
void worker_fail(struct worker *worker, const struct err *err);
/* The reader is done: tells the coordinator and frees it in a later turn. */
void worker_reader_closed(struct worker *worker, struct reader *reader);

static inline void worker_set(atomic_uint_fast64_t *counter, uint64_t value) {
    atomic_store_explicit(counter, value, memory_order_relaxed);
}

static inline void worker_count(atomic_uint_fast64_t *counter, uint64_t add) {
    atomic_store_explicit(counter, atomic_load_explicit(counter, memory_order_relaxed) + add,
                          memory_order_relaxed);
}

#endif
