/*
 * reset: puts the leases of a stream to another position, while no worker lives: all of what is listed, or one shard.
 * Leases that are missing for that are made, finished ones are opened again.
 *
 * Lane thread only. The callback is never made inside the call that starts it.
 */
#ifndef SOURCE_RESET_H
#define SOURCE_RESET_H

#include "source/survey.h"

struct reset;

enum reset_to { RESET_TRIM_HORIZON, RESET_LATEST, RESET_TIME, RESET_NUMBER };

struct reset_options {
    struct survey_options survey; /* its watch_ms is what proves that no worker lives */
    enum reset_to to;
    int64_t time_ms;     /* with RESET_TIME */
    struct seqno number; /* with RESET_NUMBER */
    struct str shard;    /* ptr NULL: all; borrowed */
    enum table_billing billing;
};

struct reset_result {
    size_t changed;
    size_t made;
    size_t kept; /* they were there already */
};

/* ERR_CONFIG when a worker lives, or there is no such shard. After another error some leases may be changed: it can be
 * repeated. */
typedef void reset_done(void *ctx, const struct err *err, const struct reset_result *result);

/* What a shard's lease shall be. False: it needs none, if it has none (a closed shard, and reading starts at the end).
 * Pure. */
bool reset_position(const struct reset_options *options, bool open, int64_t now_ms,
                    struct position *ret_position, int64_t *ret_start_ms);

/* NULL when out of memory. */
struct reset *reset_start(const struct reset_options *options, reset_done *done, void *ctx);
/* Cancels what is under way, without a callback. NULL is fine. */
void reset_free(struct reset *reset);

#endif
