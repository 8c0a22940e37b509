/*
 * sweep: what becomes of leases that have no shard, or whose shard is done with. A shard that is no longer listed was
 * trimmed: its finished lease is deleted, an unfinished one means that records were lost. Leases of another stream are
 * not touched, but two streams cannot share a table.
 *
 * Lane 0 only. Events are raised inside sweep_end_scan.
 */
#ifndef SOURCE_SWEEP_H
#define SOURCE_SWEEP_H

#include "source/lease_table.h"
#include "source/shard.h"
#include "source/worker.h"

#include <aws/common/hash_table.h>

/* Whose lease it is that has no shard here. */
enum stray_kind {
    STRAY_OURS,    /* of our stream */
    STRAY_UNNAMED, /* a Java worker's: of our stream or another */
    STRAY_OLDER,   /* of the stream that the table had before it was disabled and enabled again */
    STRAY_FOREIGN, /* of any other stream */
};

enum stray_verdict {
    STRAY_WAIT,     /* not sure yet */
    STRAY_LEAVE,    /* nothing to do, at least for now */
    STRAY_GARBAGE,  /* finished and trimmed */
    STRAY_LOST,     /* trimmed and not finished */
    STRAY_CONFLICT, /* another stream uses the table, now */
};

/* What is known of one. */
struct stray_facts {
    enum stray_kind kind;
    bool finished;
    bool moved;        /* its counter, between two scans */
    bool expired;      /* it stood still for failoverTime */
    bool may_be_young; /* its id tells that it cannot have been trimmed yet */
    uint32_t
        listings; /* full ones that began after it was first seen, and did not show its shard */
};

/* Pure. */
enum stray_kind stray_kind_of(enum lease_stream stream, struct str theirs, struct str ours);
enum stray_verdict stray_judge(const struct stray_facts *facts);

struct sweep_events {
    /* A shard went with records that nobody had read. */
    void (*gap)(void *ctx);
    /* Of data that was lost, unless the configuration lets that pass; or the table is in use for another stream. */
    void (*failed)(void *ctx, const struct err *err);
};

struct sweep {
    const struct source_common *common;
    struct lease_table *table;
    struct sweep_events events;
    void *ctx;
    struct aws_hash_table strays; /* key -> struct stray */
    bool has_strays;              /* the table was made */
    uint32_t scan;
    uint32_t listings; /* full ones so far */
    uint32_t deletes;  /* of strays, under way */
    uint32_t finished; /* deleted since the last scan began */
    bool waiting;
    bool unsure;
    bool stopped;
};

/* table may be NULL: then nothing is ever seen. False when out of memory. */
bool sweep_init(struct sweep *sweep, const struct source_common *common, struct lease_table *table,
                const struct sweep_events *events, void *ctx);
/* No further event. */
void sweep_stop(struct sweep *sweep);
void sweep_done(struct sweep *sweep);

void sweep_begin_scan(struct sweep *sweep);
/* A lease without a shard in the graph. */
void sweep_see(struct sweep *sweep, const struct lease *lease, struct str stream);
/* All were seen: judges them. now_ms: the service's clock. */
void sweep_end_scan(struct sweep *sweep, uint64_t scan_began_ns, int64_t now_ms);
void sweep_listed(struct sweep *sweep);

/* Some stray is not judged yet: list and scan again soon. */
bool sweep_is_waiting(const struct sweep *sweep);
/* Somebody may be using the table for another stream: make no lease in it before that is known. */
bool sweep_is_unsure(const struct sweep *sweep);
/* The shard of this id has an unfinished lease and is not listed: what follows it must wait. */
bool sweep_awaits(struct sweep *sweep, struct str id);
/* By KCL's rule: its lease and those of all its children are finished, and it is six hours old. Deletes the lease then, unless
 * another worker keeps it: that one deletes it itself. */
void sweep_finished(struct sweep *sweep, struct shard *shard, int64_t now_ms);

#endif
