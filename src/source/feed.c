#include "source/feed.h"

#include "base/log.h"
#include "source/shard.h"
#include "source/worker.h"

#include <stdio.h>
#include <stdlib.h>

static const struct source_options *options_of(const struct feed *feed) {
    return &feed->worker->common->options;
}

/* ---- the window and its memory ---- */

static void tell_window(struct feed *feed, size_t before) {
    size_t after = window_bytes(&feed->window);
    if (before != after) {
        worker_window_changed(feed->worker, before, after);
    }
}

static bool push(struct feed *feed, uint64_t *ret_ordinal) {
    size_t before = window_bytes(&feed->window);
    bool pushed = window_push(&feed->window, &feed->record.seqno, ret_ordinal);
    tell_window(feed, before);
    return pushed;
}

void feed_acked(struct feed *feed, uint64_t ordinal) {
    size_t before = window_bytes(&feed->window);
    uint32_t unacked = feed->window.unacked;
    (void)window_ack(&feed->window, ordinal); /* false: of the slot's reader before this one */
    if (feed->window.unacked < unacked) {
        worker_count(&feed->worker->stats.records_acked, 1);
    }
    tell_window(feed, before);
}

void feed_rewind(struct feed *feed, bool anew) {
    if (anew) {
        delivery_break(&feed->delivery, feed->window.next);
    }
    delivery_close(&feed->delivery); /* ids go back too */
    size_t before = window_bytes(&feed->window);
    window_rewind(&feed->window);
    tell_window(feed, before);
    feed->called_off = 0;
    feed->read_anything = false;
}

void feed_break(struct feed *feed) {
    delivery_break(&feed->delivery, feed->window.next);
}

bool feed_position(const struct feed *feed, struct position *ret_position) {
    if (!seqno_is_set(&feed->window.acked)) {
        return false;
    }
    *ret_position = (struct position){
        .kind = POSITION_SEQUENCE_NUMBER,
        .seqno = feed->window.acked,
    };
    delivery_mark(&feed->delivery, feed->window.head - 1, ret_position);
    return true;
}

/* ---- one record ---- */

static void taken(struct feed *feed) {
    feed->has_record = false;
    feed->page_records++;
    feed->read_anything = true;
    feed->last_read = feed->record.seqno;
    if (feed->record.has_created) {
        feed->last_created_ms = feed->record.created_ms;
    }
    worker_count(&feed->worker->stats.records_read, 1);
}

/* Counts a record as done without sending it. FEED_DONE: go on. */
static enum feed_result pass_over(struct feed *feed, atomic_uint_fast64_t *counter) {
    uint64_t ordinal;
    if (!push(feed, &ordinal)) {
        return FEED_NO_ROOM;
    }
    taken(feed);
    worker_count(counter, 1);
    feed_acked(feed, ordinal);
    return FEED_DONE;
}

static void log_skipped(const struct feed *feed, struct str position, const struct err *err) {
    LOG_ERROR("shard", "record-skipped", LOG_TEXT("shard", feed->shard->node->id),
              LOG_STR("sequence_number", position), LOG_ERR(err));
}

/* One that can't be sent. */
static enum feed_result bad_record(struct feed *feed, struct err *err) {
    if (!options_of(feed)->skip_bad_records) {
        err_context(err, "record %.*s", STR_FMT(feed->record.sequence_number));
        return FEED_FAILED;
    }
    enum feed_result result = pass_over(feed, &feed->worker->stats.record_errors);
    if (result == FEED_DONE) {
        log_skipped(feed, feed->record.sequence_number, err);
        *err = ERR_NONE;
    }
    return result;
}

static enum feed_result put(struct feed *feed, struct err *err) {
    struct record *record = &feed->record;
    if (feed->skip_before_ms > 0 && record->has_created &&
        record->created_ms < feed->skip_before_ms) {
        return pass_over(feed, &feed->worker->stats.records_skipped);
    }
    struct sink_message message;
    if (!mapping_map(&feed->mapping, record, &message, err)) {
        return bad_record(feed, err);
    }
    uint64_t ordinal;
    if (!push(feed, &ordinal)) {
        return FEED_NO_ROOM;
    }
    switch (delivery_put(&feed->delivery, &message, &record->seqno, ordinal,
                         worker_token(feed->slot, ordinal), err)) {
    case DELIVERY_TAKEN:
        taken(feed);
        return FEED_DONE;
    case DELIVERY_LATER:
        window_pop(&feed->window);
        return delivery_tells(&feed->delivery) ? FEED_WAITS : FEED_NO_ROOM;
    case DELIVERY_REFUSED:
        window_pop(&feed->window);
        return bad_record(feed, err);
    case DELIVERY_FAILED:
        break;
    }
    window_pop(&feed->window);
    return FEED_FAILED;
}

/* ---- a page ---- */

void feed_drop_page(struct feed *feed) {
    page_free(feed->page);
    feed->page = NULL;
    feed->has_record = false;
}

bool feed_open(struct feed *feed, struct page *page, struct err *err) {
    feed->page = page;
    feed->page_records = 0;
    feed->has_record = false;
    worker_count(&feed->worker->stats.bytes_read, page->len);
    if (!record_page_open(&feed->walk, str_make(page->data, page->len), err)) {
        feed_drop_page(feed);
        return false;
    }
    return true;
}

/* Why the walk gave no further record. */
static enum feed_result walk_ended(const struct err *err) {
    if (!err_is_set(err)) {
        return FEED_DONE;
    }
    /* Fatal: a record without a usable sequence number. */
    return err->class == ERR_CLASS_FATAL ? FEED_FAILED : FEED_BROKEN;
}

static bool is_in_order(const struct feed *feed, struct err *err) {
    return !feed->read_anything || seqno_compare(&feed->record.seqno, &feed->last_read) > 0 ||
           err_set(err, ERR_STREAM,
                   "sequence number %.*s is not above the one before it: the stream's order is "
                   "broken",
                   STR_FMT(feed->record.sequence_number));
}

enum feed_result feed_run(struct feed *feed, struct err *err) {
    *err = ERR_NONE; /* once, not for each record: a large struct */
    while (feed->called_off == 0) {
        if (!feed->has_record) {
            if (!record_page_next(&feed->walk, &feed->record, err)) {
                return walk_ended(err);
            }
            if (!is_in_order(feed, err)) {
                return FEED_FAILED;
            }
            feed->has_record = true;
        }
        enum feed_result result = put(feed, err);
        if (result != FEED_DONE) {
            return result;
        }
    }
    return FEED_HALTED;
}

/* ---- what comes back ---- */

bool feed_has(const struct feed *feed, uint64_t ordinal) {
    return window_seqno(&feed->window, ordinal) != NULL;
}

bool feed_refused(struct feed *feed, uint64_t ordinal, const struct err *why, struct err *err) {
    const struct seqno *seqno = window_seqno(&feed->window, ordinal);
    if (seqno == NULL) {
        return true; /* of the slot's reader before this one */
    }
    char text[SEQNO_MAX_DIGITS + 1];
    struct str position = str_make(text, seqno_format(seqno, text));
    if (options_of(feed)->skip_bad_records) {
        log_skipped(feed, position, why);
        worker_count(&feed->worker->stats.record_errors, 1);
        feed_acked(feed, ordinal);
        return true;
    }
    *err = *why;
    err_context(err, "shard %s: record %.*s", feed->shard->node->id, STR_FMT(position));
    return false;
}

/* ---- life ---- */

void feed_init(struct feed *feed, struct worker *worker, const struct shard *shard, uint32_t slot,
               uint64_t first_ordinal) {
    const struct source_common *common = worker->common;
    *feed = (struct feed){.worker = worker, .shard = shard, .slot = slot};
    if (shard->lease.start_ms > 0) {
        int64_t grain = (int64_t)common->options.time_granularity_ms;
        feed->skip_before_ms = shard->lease.start_ms - shard->lease.start_ms % grain;
    }
    window_init(&feed->window, first_ordinal);
    mapping_init(&feed->mapping);
    feed->mapping.key = common->options.message_key;
    feed->mapping.hash_key = str_of(common->hash_key);
    feed->mapping.range_key = common->range_key == NULL ? STR("") : str_of(common->range_key);
    feed->mapping.table_name = str_of(common->table_name);
    feed->mapping.shard_id = str_of(shard->node->id);
}

static bool name_session(struct feed *feed, struct str prefix) {
    const char *shard = feed->shard->node->id;
    size_t size = prefix.len + strlen(shard) + 1;
    feed->session = malloc(size);
    if (feed->session == NULL) {
        return false;
    }
    (void)snprintf(feed->session, size, "%.*s%s", STR_FMT(prefix), shard);
    return true;
}

bool feed_start(struct feed *feed, struct lease_holder *holder, const struct sink_events *events,
                void *ctx) {
    const struct source_options *options = options_of(feed);
    if (options->session_prefix.ptr != NULL && !name_session(feed, options->session_prefix)) {
        return false;
    }
    struct delivery_options delivery_options = {
        .sink = feed->worker->parts.sink,
        .holder = holder,
        .session = feed->session != NULL ? str_of(feed->session) : STR_NONE,
        .routing = options->routing,
    };
    delivery_init(&feed->delivery, &delivery_options, events, ctx, feed->window.next);
    return true;
}

void feed_done(struct feed *feed) {
    feed_drop_page(feed);
    delivery_close(&feed->delivery);
    worker_window_changed(feed->worker, window_bytes(&feed->window), 0);
    window_done(&feed->window);
    mapping_done(&feed->mapping);
    free(feed->session);
}
