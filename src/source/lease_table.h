/*
 * lease_table: the lease table over the network: create it, scan it, and write one lease under its condition. A write
 * whose condition failed is looked at again, since it may have been our own write whose reply was lost.
 *
 * Lane thread only. Callbacks are never made inside the call that starts them.
 */
#ifndef SOURCE_LEASE_TABLE_H
#define SOURCE_LEASE_TABLE_H

#include "source/lease.h"

struct lease_table;

struct lease_table_options {
    struct service *service; /* DynamoDB; outlives the table */
    struct str name;         /* copied */
    struct str worker_id;    /* copied: the owner that takes and keeps leases */
    struct str stream_arn;   /* copied: d2pStream */
    enum table_billing billing;
};

/* NULL when out of memory. */
struct lease_table *lease_table_new(const struct lease_table_options *options);
/* Cancels what is under way without callbacks. NULL is fine. */
void lease_table_free(struct lease_table *table);

/* err is NULL on success; borrowed for the callback. */
typedef void lease_table_done(void *ctx, const struct err *err);

/* Makes sure that the table exists and is ACTIVE; creates it when it is missing. */
void lease_table_ensure(struct lease_table *table, lease_table_done *done, void *ctx);

/* A lease of a scan and the ARN in its d2pStream, or STR_NONE; both borrowed. */
typedef void lease_table_saw(void *ctx, const struct lease *lease, struct str stream);
/* saw: once per lease found, before done; items that are no leases are skipped, broken ones logged and skipped. */
void lease_table_scan(struct lease_table *table, lease_table_saw *saw, lease_table_done *done,
                      void *ctx);

/* A lease that is there already is success: *lease, which the caller keeps alive until done, then shows it. */
void lease_table_create(struct lease_table *table, struct lease *lease, lease_table_done *done,
                        void *ctx);

/* Unless its counter has moved (ERR_AWS_CONDITION); one that is gone is success. lease: only read in the call. */
void lease_table_delete(struct lease_table *table, const struct lease *lease,
                        lease_table_done *done, void *ctx);

/* Puts a lease there, whoever had it, as lease_write_reset; ERR_AWS_CONDITION when it was written
 * meanwhile. lease: only read in the call. */
void lease_table_reset(struct lease_table *table, const struct lease *lease,
                       const struct lease_place *place, lease_table_done *done, void *ctx);

enum lease_change {
    LEASE_TAKE,       /* become its owner */
    LEASE_RENEW,      /* counter, and how far what has no checkpoint yet was read */
    LEASE_CHECKPOINT, /* counter and checkpoint */
    LEASE_BASE,       /* counter and d2pBase: see lease_table_set_base */
    LEASE_RELEASE,    /* no owner any more; with checkpoint when it is not NULL */
    LEASE_HAND_OVER, /* to wanted_by, or no owner if that does not want it any more; with checkpoint as above */
    LEASE_WANT, /* ask its owner, another worker, for it */
    LEASE_UNWANT, /* do not ask any more; ERR_LEASE_LOST when it is not asked for, as after a hand-over */
};

/* earlier: an earlier write of this worker, whose reply was lost, is what made the condition fail. *lease shows it; what
 * was to be written now may not be in it. */
typedef void lease_table_changed(void *ctx, const struct err *err, bool earlier);
/* Changes *lease, which the caller keeps alive until done, to what the table then holds. ERR_LEASE_LOST when another
 * has written it meanwhile (*lease then shows the item as it is, or has an empty key when it is gone).
 * ERR_TABLE_GONE when the table does not exist. */
void lease_table_change(struct lease_table *table, enum lease_change change, struct lease *lease,
                        const struct position *checkpoint, lease_table_changed *done, void *ctx);
/* The same for LEASE_BASE; whether it is in *lease then is for the caller to look at. */
void lease_table_set_base(struct lease_table *table, struct lease *lease,
                          const struct numbering_base *base, lease_table_changed *done, void *ctx);
bool lease_table_is_mine(const struct lease_table *table, const struct lease *lease);

#endif
