/*
 * sim_ledger: what was written to the stream and what has become of it, kept beside the source and without its help.
 * Every step is told to it, and it fails the test at the first one that breaks a promise:
 *
 *   put       the record was written, in this shard; the shard's parent is acknowledged to its end; the worker's last write
 *             to the shard's lease is no older than a lease lives, and it did not give it away
 *   refused   a worker whose policy is to stop puts no checkpoint behind a record that cannot be sent
 *   ended     where nothing kept it from that, a worker that ends, by a stop or an error, has put the checkpoint of each shard
 *             behind all that it sent of it, and given the lease away
 *   gone      an unfinished lease is deleted only with its shard gone, and by a worker that may lose data
 *   arrived   the lease still is so; of each item, what comes for the first time comes in the order of its writing
 *   start     what is older than the start, floored to the second, is not sent, unless it is below a shard that was read; all
 *             leases made before anything was read tell the same start
 *   lease     nobody takes a lease from an owner that lives and was not asked in time; only its owner moves a checkpoint,
 *             never back, and never past a record that was not acknowledged; a finished one stays finished
 */
#ifndef TESTS_SIM_LEDGER_H
#define TESTS_SIM_LEDGER_H

#include "sim_world.h"

#include <yyjson.h>

enum { SIM_ITEMS_A_FAMILY = 3, SIM_FAMILIES = 24 };

struct sim_ledger *sim_ledger_new(uint64_t seed, uint64_t failover_ms);
void sim_ledger_free(struct sim_ledger *ledger);

/* ---- what happens to the stream ---- */

/* Ids end in "-%08x", their number from 0 on. parent: NULL when none. */
void sim_ledger_add_shard(struct sim_ledger *ledger, const char *id, const char *parent);
void sim_ledger_close_shard(struct sim_ledger *ledger, const char *id);
/* So many records of one family, whose items take turns, with numbers from first on, all created at created_ms. */
void sim_ledger_write(struct sim_ledger *ledger, const char *shard, uint32_t family, uint64_t first,
                      uint64_t count, int64_t created_ms);
/* The stream is read from this time on: what was created before is not wanted. */
void sim_ledger_start_at(struct sim_ledger *ledger, int64_t start_ms);
/* It is read from when the first worker, which starts now, makes its leases. */
void sim_ledger_start_now(struct sim_ledger *ledger, int64_t now_ms);
/* Of the records written from now on, so many of a thousand cannot be sent. */
void sim_ledger_spoil(struct sim_ledger *ledger, uint32_t per_thousand);
/* All records up to this number are gone. */
void sim_ledger_trim(struct sim_ledger *ledger, const char *shard, uint64_t number);
/* All its records are gone, since they are more than a day old. */
void sim_ledger_age(struct sim_ledger *ledger, const char *shard);
/* The shard is gone with all its records. */
void sim_ledger_vanish(struct sim_ledger *ledger, const char *shard);
/* The shards and records that follow are another stream's. */
void sim_ledger_remake(struct sim_ledger *ledger);

/* ---- what the workers do ---- */

/* What the sink shall do with it. */
enum sim_refusal { SIM_NOT_REFUSED, SIM_REFUSED_AT_ONCE, SIM_REFUSED_LATER };
enum sim_refusal sim_ledger_put(struct sim_ledger *ledger, uint64_t number, struct str shard,
                                const struct sim_worker *worker, uint64_t now_ns);
void sim_ledger_arrived(struct sim_ledger *ledger, uint64_t number, const char *key,
                        const struct sim_worker *worker, uint64_t now_ns);
void sim_ledger_acked(struct sim_ledger *ledger, uint64_t number);
void sim_ledger_refused(struct sim_ledger *ledger, uint64_t number);
/* A worker has ended, and nothing kept it from its last writes. */
void sim_ledger_ended(struct sim_ledger *ledger, const struct sim_worker *worker, uint64_t now_ns);
/* A worker wrote this item, which is now so; NULL: it is gone. */
void sim_ledger_lease(struct sim_ledger *ledger, struct str key, yyjson_mut_val *item,
                      const struct sim_worker *worker, uint64_t now_ns);

/* ---- questions ---- */

/* The number of the shard's checkpoint; 0: none, or none yet. */
uint64_t sim_ledger_checkpoint(const struct sim_ledger *ledger, const char *shard);
/* The shard's last record; 0: none. */
uint64_t sim_ledger_last(const struct sim_ledger *ledger, const char *shard);
/* The last record that the shard's last owner has sent; 0: none. */
uint64_t sim_ledger_sent(const struct sim_ledger *ledger, const char *shard);
/* Of the unfinished leases, those that this worker owns. */
uint32_t sim_ledger_load(const struct sim_ledger *ledger, const char *worker_id);
/* Of the stream that is read now. */
bool sim_ledger_has_leases(const struct sim_ledger *ledger);
bool sim_ledger_is_finished(const struct sim_ledger *ledger, const char *shard);
/* It has no lease, and nothing that is wanted. */
bool sim_ledger_is_needless(const struct sim_ledger *ledger, const char *shard);

struct sim_totals {
    uint64_t records;
    uint64_t missing; /* not arrived, though it was there to be read */
    uint64_t lost;    /* not arrived, since it was trimmed */
    uint64_t
        untold; /* of these, in shards without a lease, or still at the horizon and within a day */
    uint64_t gaps;       /* shards that lost some of the others */
    uint64_t old;        /* older than the start, and not wanted */
    uint64_t early;      /* of these, sent all the same: from below a shard that was read */
    uint64_t skipped;    /* cannot be sent, and a checkpoint is behind them */
    uint64_t again;      /* arrivals of what had arrived */
    uint64_t taken_over; /* leases, from owners that had let them expire */
    uint64_t stolen;     /* from owners that were asked in vain */
    uint64_t handed_over;
    uint64_t after_loss; /* arrivals from a worker that had lost the lease */
    uint64_t old_ends;   /* items whose last arrival is not their newest record */
    uint64_t overlap_ms; /* longest time from a lease's taking to its former owner's last arrival */
};
void sim_ledger_sum(const struct sim_ledger *ledger, struct sim_totals *ret_totals);
uint64_t sim_ledger_missing(const struct sim_ledger *ledger);
/* A trim reached a checkpoint: workers may say that data was lost. */
bool sim_ledger_may_alarm(const struct sim_ledger *ledger);

#endif
