#include "pulsar/report.h"

static void tell_receipt(struct partition *partition, struct batch *batch,
                         const struct frame_receipt *receipt) {
    struct pulsar_producer_stats *stats = &partition->shared->outbox.stats;
    bool duplicate = report_is_duplicate(receipt);
    outbox_uncount(&partition->outbox, batch);
    stats->acked += batch->count;
    stats->duplicates += duplicate ? batch->count : 0;
    if (batch->count > 0) {
        struct pulsar_receipt told = {
            .tokens = batch->tokens,
            .count = batch->count,
            .partition = partition->index,
            .ledger_id = receipt->ledger_id,
            .entry_id = receipt->entry_id,
            .duplicate = duplicate,
        };
        partition->shared->events->receipt(partition, &told);
    }
    batch_release(batch);
}

/* refused: the broker did not want this one. Else nobody knows, if it was sent. */
static void tell_undelivered(struct partition *partition, struct batch *batch,
                             const struct err *err, bool refused) {
    outbox_uncount(&partition->outbox, batch);
    partition->shared->outbox.stats.undelivered += batch->count;
    if (batch->count > 0) {
        struct pulsar_undelivered told = {
            .tokens = batch->tokens,
            .count = batch->count,
            .partition = partition->index,
            .err = err,
            .maybe_stored = batch->sent && !refused,
            .refused = refused,
        };
        partition->shared->events->undelivered(partition, &told);
    }
    batch_release(batch);
}

/* For a reason of its own, if it has one. */
static void tell_given_up(struct partition *partition, struct batch *batch, const struct err *err) {
    struct err called_off;
    if (batch->called_off) {
        err_set(&called_off, ERR_CANCELLED, "topic %s: called off before it was sent",
                partition->topic);
        tell_undelivered(partition, batch, &called_off, false);
    } else if (batch->refusal != NULL) {
        tell_undelivered(partition, batch, batch->refusal, true);
    } else {
        tell_undelivered(partition, batch, err, false);
    }
}

void report_oldest(struct partition *partition, struct batch *batch,
                   const struct frame_receipt *receipt) {
    if (batch->refusal != NULL) {
        tell_undelivered(partition, batch, batch->refusal, true);
    } else if (report_is_duplicate(receipt) && batch->checksum_refused) {
        /* Frames behind it were stored before it came again, so its ids had become old. */
        struct err err;
        err_set(&err, ERR_PULSAR_PROTOCOL,
                "topic %s: it was damaged on its way, and refused as a duplicate when it was sent "
                "again, because later messages had been stored",
                partition->topic);
        tell_undelivered(partition, batch, &err, true);
    } else {
        tell_receipt(partition, batch, receipt);
    }
}

void report_settled(struct partition *partition) {
    struct batch *batch;
    while ((batch = outbox_take_settled(&partition->outbox)) != NULL) {
        tell_given_up(partition, batch, NULL);
    }
}

void report_known(struct partition *partition) {
    struct batch *known = outbox_take_known(&partition->outbox);
    if (known != NULL) {
        tell_receipt(partition, known,
                     &(struct frame_receipt){.ledger_id = UINT64_MAX, .entry_id = UINT64_MAX});
    }
}

void report_all(struct partition *partition, const struct err *err) {
    struct batch *batch = outbox_take_all(&partition->outbox);
    while (batch != NULL) {
        struct batch *next = batch->next;
        tell_given_up(partition, batch, err);
        batch = next;
    }
}
