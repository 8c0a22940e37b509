#include "pulsar/outbox.h"

#include <inttypes.h>
#include <stdlib.h>

/* ---- Memory. */

static void hold(struct outbox *outbox, size_t more, size_t less) {
    outbox->shared->stats.in_flight_bytes += more - less;
    outbox->shared->budget->held_bytes += more - less;
}

static size_t memory_left(const struct outbox *outbox) {
    const struct outbox_shared *shared = outbox->shared;
    const struct memory_budget *budget = shared->budget;
    if (shared->stats.in_flight == 0) {
        return SIZE_MAX; /* one message must always be possible */
    }
    size_t own = shared->stats.in_flight_bytes < shared->max_pending_bytes
                     ? shared->max_pending_bytes - shared->stats.in_flight_bytes
                     : 0;
    size_t all =
        budget->held_bytes < budget->max_bytes ? budget->max_bytes - budget->held_bytes : 0;
    return own < all ? own : all;
}

void outbox_uncount(struct outbox *outbox, const struct batch *batch) {
    outbox->shared->stats.in_flight -= batch->count;
    hold(outbox, 0, batch_memory(batch));
}

/* ---- Life. */

bool outbox_init(struct outbox *outbox, struct outbox_shared *shared) {
    *outbox = (struct outbox){.shared = shared, .limits = shared->limits, .last_stored = -1};
    outbox->unproven = shared->explicit_ids;
    return open_set_init(&outbox->open, shared->by_key);
}

void outbox_done(struct outbox *outbox) {
    if (outbox->shared == NULL) {
        return;
    }
    for (struct batch *batch = outbox_take_all(outbox); batch != NULL;) {
        struct batch *next = batch->next;
        outbox_uncount(outbox, batch);
        batch_release(batch);
        batch = next;
    }
    open_set_done(&outbox->open);
    outbox->shared = NULL;
}

/* ---- Sealing. */

static void append(struct outbox *outbox, struct batch *batch) {
    if (outbox->pending == NULL) {
        outbox->pending = batch;
    } else {
        outbox->last_pending->next = batch;
    }
    outbox->last_pending = batch;
    if (outbox->unsent == NULL) {
        outbox->unsent = batch;
    }
}

static const struct batch_header *header_now(struct outbox *outbox) {
    outbox->header.publish_time_ms = (uint64_t)lane_wall_ms(outbox->shared->lane);
    outbox->header.schema_version = outbox->limits.schema_version;
    return &outbox->header;
}

static void seal_one(struct outbox *outbox, struct batch *batch) {
    if (outbox->limits.late_ids) {
        batch_number(batch, outbox->next_sequence_id);
        outbox->next_sequence_id += batch->count;
    }
    size_t before = batch_memory(batch);
    batch_seal(&batch, &outbox->shared->compressor, header_now(outbox));
    hold(outbox, batch_memory(batch), before);
    batch->next = NULL;
    append(outbox, batch);
}

void outbox_seal(struct outbox *outbox) {
    struct batch *batch;
    while ((batch = open_set_take(&outbox->open)) != NULL) {
        seal_one(outbox, batch);
    }
}

/* ---- Taking messages. */

static void count_taken(struct outbox *outbox, const struct pulsar_message *message,
                        uint64_t sequence_id) {
    struct pulsar_producer_stats *stats = &outbox->shared->stats;
    stats->messages++;
    stats->in_flight++;
    for (size_t i = 0; i < message->value_parts; i++) {
        stats->bytes += message->value[i].len;
    }
    if (!outbox->limits.late_ids) {
        outbox->next_sequence_id = sequence_id + 1;
    }
}

/* A batch from the pool, if there is memory for it. */
static struct batch *new_batch(struct outbox *outbox) {
    struct batch *batch = batch_take(outbox->shared->pool);
    if (batch != NULL && batch_memory(batch) > memory_left(outbox)) {
        batch_release(batch);
        return NULL;
    }
    if (batch != NULL) {
        batch->opened_ns = lane_now_ns(outbox->shared->lane);
        hold(outbox, batch_memory(batch), 0);
    }
    return batch;
}

static void drop(struct outbox *outbox, struct batch *batch) {
    hold(outbox, 0, batch_memory(batch));
    batch_release(batch);
}

/* batch_add within the bounds. */
static enum batch_add add(struct outbox *outbox, struct batch *batch,
                          const struct batch_limits *limits, const struct pulsar_message *message,
                          uint64_t sequence_id, uint64_t token, struct err *err) {
    size_t before = batch_memory(batch);
    enum batch_add added =
        batch_add(batch, limits, message, sequence_id, token, memory_left(outbox), err);
    hold(outbox, batch_memory(batch), before);
    return added;
}

/* Receipts will free some, if any are to come. */
static enum pulsar_send no_memory(const struct outbox *outbox, struct err *err) {
    if (outbox->shared->stats.in_flight > 0) {
        return PULSAR_SEND_FULL;
    }
    err_set(err, ERR_NOMEM, "no memory for a batch");
    return PULSAR_SEND_REFUSED;
}

static enum pulsar_send not_added(const struct outbox *outbox, enum batch_add added,
                                  struct err *err) {
    if (added == BATCH_TOO_LARGE) {
        return PULSAR_SEND_REFUSED;
    }
    return added == BATCH_OVER_BUDGET ? PULSAR_SEND_FULL : no_memory(outbox, err);
}

/* An entry of its own, behind what is open; in chunks if it must be. */
static enum pulsar_send put_alone(struct outbox *outbox, const struct pulsar_message *message,
                                  uint64_t sequence_id, uint64_t token, struct err *err) {
    struct batch *batch = new_batch(outbox);
    if (batch == NULL) {
        return no_memory(outbox, err);
    }
    struct batch_limits limits = outbox->limits;
    limits.raw = true;
    enum batch_add added = add(outbox, batch, &limits, message, sequence_id, token, err);
    if (added != BATCH_ADDED) {
        drop(outbox, batch);
        return not_added(outbox, added, err);
    }
    outbox_seal(outbox);
    if (outbox->limits.late_ids) { /* what was open has taken ids in front of it */
        sequence_id = outbox->next_sequence_id++;
        batch_number(batch, sequence_id);
    }
    size_t before = batch_memory(batch);
    if (!batch_seal_in_chunks(&batch, limits.max_message_size, &outbox->shared->compressor,
                              header_now(outbox))) {
        hold(outbox, batch_memory(batch), before);
        drop(outbox, batch);
        return no_memory(outbox, err);
    }
    size_t after = 0;
    for (struct batch *next; batch != NULL; batch = next) {
        next = batch->next;
        batch->next = NULL;
        after += batch_memory(batch);
        append(outbox, batch);
    }
    hold(outbox, after, before);
    count_taken(outbox, message, sequence_id);
    return PULSAR_SEND_TAKEN;
}

/* It joins others. */
static enum pulsar_send put_in_batch(struct outbox *outbox, const struct pulsar_message *message,
                                     uint64_t sequence_id, uint64_t token, struct err *err) {
    struct open_set *open = &outbox->open;
    struct batch *batch = open_set_find(open, message);
    bool is_new = batch == NULL;
    if (is_new) {
        batch = new_batch(outbox);
        if (batch == NULL) {
            return no_memory(outbox, err);
        }
    }
    size_t payload = batch_payload_len(batch);
    enum batch_add added = add(outbox, batch, &outbox->limits, message, sequence_id, token, err);
    if (added == BATCH_FULL) { /* so it was not new */
        outbox_seal(outbox);
        return put_in_batch(outbox, message, sequence_id, token, err);
    }
    if (added != BATCH_ADDED) {
        if (is_new) {
            drop(outbox, batch);
        }
        if (added != BATCH_TOO_LARGE || outbox->limits.max_whole_size == 0) {
            return not_added(outbox, added, err);
        }
        if (err != NULL) {
            *err = ERR_NONE;
        }
        return put_alone(outbox, message, sequence_id, token, err);
    }
    if (is_new) {
        open_set_add(open, batch, message);
    }
    open->messages++;
    open->bytes += batch_payload_len(batch) - payload;
    count_taken(outbox, message, sequence_id);
    if (batch_is_full(batch, &outbox->limits) || open->messages >= outbox->limits.max_messages ||
        open->bytes >= outbox->limits.max_bytes) {
        outbox_seal(outbox);
    }
    return PULSAR_SEND_TAKEN;
}

/* It is in the topic already: its token waits to be reported. */
static enum pulsar_send put_known(struct outbox *outbox, const struct pulsar_message *message,
                                  uint64_t token, struct err *err) {
    if (outbox->known == NULL) {
        outbox->known = new_batch(outbox);
    }
    if (outbox->known == NULL) {
        return no_memory(outbox, err);
    }
    size_t before = batch_memory(outbox->known);
    if (!batch_add_token(outbox->known, token)) {
        return no_memory(outbox, err);
    }
    hold(outbox, batch_memory(outbox->known), before);
    count_taken(outbox, message, message->sequence_id);
    return PULSAR_SEND_TAKEN;
}

bool outbox_can_put(const struct outbox *outbox) {
    return !outbox->unproven || (outbox->pending == NULL && outbox->open.first == NULL);
}

enum pulsar_send outbox_put(struct outbox *outbox, const struct pulsar_message *message,
                            uint64_t token, struct err *err) {
    if (!outbox->shared->explicit_ids) {
        return message->deliver_at_ms > 0 || outbox->limits.raw
                   ? put_alone(outbox, message, outbox->next_sequence_id, token, err)
                   : put_in_batch(outbox, message, outbox->next_sequence_id, token, err);
    }
    uint64_t id = message->sequence_id;
    if (id < outbox->next_sequence_id || id > INT64_MAX) {
        err_set(err, ERR_CONFIG,
                "sequence id %" PRIu64 " cannot follow: it must be at least %" PRIu64
                " and at most 2^63 - 1",
                id, outbox->next_sequence_id);
        return PULSAR_SEND_REFUSED;
    }
    if (!outbox_can_put(outbox)) {
        return PULSAR_SEND_FULL;
    }
    if ((int64_t)id <= outbox->last_stored) {
        return put_known(outbox, message, token, err);
    }
    enum pulsar_send sent = message->deliver_at_ms > 0 || outbox->limits.raw
                                ? put_alone(outbox, message, id, token, err)
                                : put_in_batch(outbox, message, id, token, err);
    if (sent == PULSAR_SEND_TAKEN && outbox->unproven) {
        outbox_seal(outbox);
    }
    return sent;
}

uint64_t outbox_oldest_ns(const struct outbox *outbox) {
    const struct batch *oldest = outbox->pending != NULL ? outbox->pending : outbox->open.first;
    return oldest != NULL ? oldest->opened_ns : 0;
}

/* ---- Sending. */

struct batch *outbox_next_unsent(struct outbox *outbox) {
    struct batch *batch = outbox->unsent;
    while (batch != NULL && batch->settled) {
        batch = batch->next;
    }
    outbox->unsent = batch != NULL ? batch->next : NULL;
    return batch;
}

void outbox_call_off(struct batch *batch) {
    batch->settled = true;
    batch->called_off = true;
}

void outbox_rewind(struct outbox *outbox) {
    outbox->unsent = outbox->pending;
}

size_t outbox_largest_frame(const struct outbox *outbox) {
    size_t largest = 0;
    for (const struct batch *batch = outbox->pending; batch != NULL; batch = batch->next) {
        largest = batch->frame.len > largest ? batch->frame.len : largest;
    }
    return largest;
}

/* ---- Reporting. */

static struct batch *take_oldest(struct outbox *outbox) {
    struct batch *batch = outbox->pending;
    outbox->pending = batch->next;
    if (outbox->unsent == batch) {
        outbox->unsent = batch->next;
    }
    batch->next = NULL;
    return batch;
}

enum outbox_match outbox_match(struct outbox *outbox, uint64_t sequence_id,
                               struct batch **ret_batch) {
    const struct batch *batch = outbox->pending;
    if (batch == NULL || sequence_id < batch->first_sequence_id) {
        return OUTBOX_OLD;
    }
    if (sequence_id > batch->last_sequence_id || !batch->sent) {
        return OUTBOX_FUTURE;
    }
    *ret_batch = take_oldest(outbox);
    return OUTBOX_OLDEST;
}

struct batch *outbox_find(const struct outbox *outbox, uint64_t sequence_id) {
    struct batch *batch = outbox->pending;
    while (batch != NULL && (batch->settled || batch->last_sequence_id < sequence_id)) {
        batch = batch->next;
    }
    return batch != NULL && batch->first_sequence_id <= sequence_id ? batch : NULL;
}

bool outbox_refuse(struct batch *batch, const struct err *err) {
    /* Of a message in chunks the rest is of no use: what was not sent stays unsent, and the last
     * one, which has the token, carries the reason. */
    batch->settled = true;
    while (batch->is_chunk && batch->count == 0) {
        batch = batch->next;
        batch->settled = batch->settled || !batch->sent;
    }
    if (batch->refusal == NULL) {
        batch->refusal = malloc(sizeof *batch->refusal);
    }
    if (batch->refusal == NULL) {
        return false;
    }
    *batch->refusal = *err;
    return true;
}

struct batch *outbox_take_settled(struct outbox *outbox) {
    return outbox_has_settled(outbox) ? take_oldest(outbox) : NULL;
}

struct batch *outbox_take_known(struct outbox *outbox) {
    struct batch *known = outbox->known;
    outbox->known = NULL;
    return known;
}

struct batch *outbox_take_all(struct outbox *outbox) {
    struct batch *first = outbox_take_known(outbox);
    struct batch **end = first != NULL ? &first->next : &first;
    *end = outbox->pending;
    outbox->pending = NULL;
    outbox->unsent = NULL;
    while (*end != NULL) {
        end = &(*end)->next;
    }
    while ((*end = open_set_take(&outbox->open)) != NULL) {
        end = &(*end)->next;
    }
    return first;
}
