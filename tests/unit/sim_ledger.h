/*
 * sim_ledger: what was written to the stream and what has become of it, kept beside the source and without its help.
 * Every step is told to it, and it fails the test at the first one that breaks a promise:
 *
 *   put       the record was written, in this shard; the shard's parent is acknowledged to its end; the worker's last write
 *             to the shard's lease is no older than a lease lives, and it did not give it away
 *   arrived   the lease still is so; of each item, what comes for the first time comes in the order of its writing
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
/* So many records of one family, whose items take turns, with numbers from first on. */
void sim_ledger_write(struct sim_ledger *ledger, const char *shard, uint32_t family, uint64_t first,
                      uint64_t count);
/* All records up to this number are gone. */
void sim_ledger_trim(struct sim_ledger *ledger, const char *shard, uint64_t number);

/* ---- what the workers do ---- */

void sim_ledger_put(struct sim_ledger *ledger, uint64_t number, struct str shard,
                    const struct sim_worker *worker, uint64_t now_ns);
void sim_ledger_arrived(struct sim_ledger *ledger, uint64_t number, const char *key,
                        const struct sim_worker *worker, uint64_t now_ns);
void sim_ledger_acked(struct sim_ledger *ledger, uint64_t number);
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
bool sim_ledger_is_finished(const struct sim_ledger *ledger, const char *shard);

struct sim_totals {
    uint64_t records;
    uint64_t missing;    /* not arrived, though it was there to be read */
    uint64_t lost;       /* not arrived, since it was trimmed */
    uint64_t untold;     /* of these, none that a reader could know of */
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
