/*
 * report: what became of a partition's batches, told through its events `receipt` and `undelivered`:
 * each batch once, in the order of taking. The batches are released.
 */
#ifndef PULSAR_REPORT_H
#define PULSAR_REPORT_H

#include "pulsar/frame.h"
#include "pulsar/partition.h"

/* The one that was the oldest: its receipt has come. */
void report_oldest(struct partition *partition, struct batch *batch,
                   const struct frame_receipt *receipt);
/* Those that need no receipt, now that they are the oldest. */
void report_settled(struct partition *partition);
/* The known duplicates, if there are any. */
void report_known(struct partition *partition);
/* Everything that is in it is undelivered. */
void report_all(struct partition *partition, const struct err *err);

/* What a broker says of a message that it had before. */
static inline bool report_is_duplicate(const struct frame_receipt *receipt) {
    return receipt->ledger_id == UINT64_MAX && receipt->entry_id == UINT64_MAX;
}

#endif
