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

/* each: once per lease found, before done; items that are no leases are skipped, broken ones logged and skipped. */
void lease_table_scan(struct lease_table *table, void (*each)(void *ctx, const struct lease *lease),
                      lease_table_done *done, void *ctx);

/* A lease that is there already is success. */
void lease_table_create(struct lease_table *table, const struct lease *lease,
                        lease_table_done *done, void *ctx);

enum lease_change {
    LEASE_TAKE,       /* become its owner */
    LEASE_RENEW,      /* counter only */
    LEASE_CHECKPOINT, /* counter and checkpoint */
    LEASE_RELEASE,    /* no owner any more; with checkpoint when it is not NULL */
};

/* Changes *lease, which the caller keeps alive until done, to what the table then holds. ERR_LEASE_LOST when another
 * has written it meanwhile (*lease then shows the item as it is, or has an empty key when it is gone).
 * ERR_TABLE_GONE when the table does not exist. */
void lease_table_change(struct lease_table *table, enum lease_change change, struct lease *lease,
                        const struct position *checkpoint, lease_table_done *done, void *ctx);

#endif
