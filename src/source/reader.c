#include "source/reader.h"

#include "base/log.h"
#include "source/worker.h"

#include <stdlib.h>

enum {
    ITERATOR_MAX_BYTES = 2048,
    HORIZON_MOVES = 5, /* 3 s in all */
    HORIZON_FIRST_MS = 100,
};

static void take_iterator(void *ctx);
static void poll_now(void *ctx);
static void feed(struct reader *reader);

static const struct source_options *options_of(const struct reader *reader) {
    return &reader->worker->common->options;
}

static bool keeps_lease(const struct reader *reader) {
    return reader->worker->leases != NULL;
}

static uint64_t now_ms(const struct reader *reader) {
    return lane_now_ms(reader->worker->lane);
}

/* By the monotonic clock, now. */
static bool holds_lease(const struct reader *reader) {
    return !keeps_lease(reader) || lease_holder_is_valid(&reader->holder);
}

static void set_state(struct reader *reader, enum reader_state state, const char *why) {
    static const char *const names[] = {"ITERATOR", "WAITING", "READING", "FEEDING",
                                        "DRAINING", "ENDED",   "CLOSING", "CLOSED"};
    bool polling =
        reader->state <= READER_FEEDING && state > READER_ITERATOR && state <= READER_FEEDING;
    if (!polling) { /* the round of polling is not worth a line each */
        LOG_DEBUG("shard", "state", LOG_TEXT("shard", reader->shard->node->id),
                  LOG_TEXT("from", names[reader->state]), LOG_TEXT("to", names[state]),
                  LOG_TEXT("why", why));
    }
    reader->state = state;
    reader->pulse.steps++;
    if (state == READER_CLOSING) {
        reader->clock.closing_ms = now_ms(reader);
    }
}

static void set_timer(struct reader *reader, uint64_t delay_ms, lane_fn *fn) {
    lane_timer_cancel(&reader->timer);
    lane_timer_init(&reader->timer, reader->worker->lane, fn, reader);
    lane_timer_set_ms(&reader->timer, delay_ms);
    reader->pulse.steps++;
}

/* ---- the end: draining, ended, closing ---- */

static void close_as(struct reader *reader, enum shard_result result) {
    if (reader->state == READER_CLOSED) {
        return;
    }
    delivery_close(&reader->feed.delivery);
    set_state(reader, READER_CLOSED, "done");
    reader->result = result;
    lane_timer_cancel(&reader->timer);
    shard_clock_close(&reader->clock, result != SHARD_RESULT_LOST, now_ms(reader));
    worker_reader_closed(reader->worker, reader);
}

static void release(struct reader *reader) {
    set_state(reader, READER_CLOSING, "release");
    delivery_close(&reader->feed.delivery); /* first, as the next owner waits for its name */
    if (keeps_lease(reader)) {
        lease_holder_release(&reader->holder);
    } else {
        close_as(reader, SHARD_RESULT_RELEASED);
    }
}

static void drop_reading(struct reader *reader) {
    service_cancel(reader->worker->parts.streams, reader->call);
    reader->call = NULL;
    lane_timer_cancel(&reader->timer);
    if (reader->queued) {
        aws_linked_list_remove(&reader->queue_node);
        reader->queued = false;
    }
    feed_drop_page(&reader->feed);
}

/* Goes back to the acknowledged position, with a lease. No token of what lies behind it is on its way any more. */
static void read_again(struct reader *reader) {
    if (reader->state > READER_DRAINING || !holds_lease(reader)) {
        return; /* goes on when it was renewed, ends when it is lost */
    }
    LOG_INFO("shard", "read-again", LOG_TEXT("shard", reader->shard->node->id),
             LOG_U64("records", reader->feed.called_off));
    drop_reading(reader);
    bool acked = seqno_is_set(&reader->feed.window.acked);
    feed_rewind(&reader->feed, !acked && reader->start.kind != POSITION_SEQUENCE_NUMBER);
    if (acked) {
        reader->start =
            (struct position){.kind = POSITION_SEQUENCE_NUMBER, .seqno = reader->feed.window.acked};
    }
    set_state(reader, READER_ITERATOR, "read again");
    set_timer(reader, 0, take_iterator);
}

/* Called whenever the last receipt may have come. */
static void check_drained(struct reader *reader) {
    if (!feed_is_settled(&reader->feed)) {
        return;
    }
    bool again = reader->feed.called_off > 0 && !reader->stopping && !reader->handing_over;
    if (again) {
        read_again(reader);
        return;
    }
    if (reader->state != READER_DRAINING) {
        return;
    }
    if (reader->stopping) {
        release(reader);
        return;
    }
    delivery_close(&reader->feed.delivery);
    if (reader->handing_over) {
        set_state(reader, READER_CLOSING, "hand over");
        lease_holder_hand_over(&reader->holder);
        return;
    }
    set_state(reader, READER_ENDED, "acknowledged to the end");
    bool dated = reader->feed.last_created_ms > 0 || !keeps_lease(reader);
    reader->shard->newest_ms =
        dated ? reader->feed.last_created_ms : lease_unread_since_ms(&reader->holder.lease, 0);
    LOG_INFO("shard", "ended", LOG_TEXT("shard", reader->shard->node->id));
    lane_post(reader->worker->common->lane, &reader->shard->ended_message,
              reader->shard->ended_message.fn, reader->shard);
}

static void drain(struct reader *reader, const char *why) {
    drop_reading(reader);
    set_state(reader, READER_DRAINING, why);
    delivery_flush(&reader->feed.delivery);
    check_drained(reader);
}

void reader_stop(struct reader *reader) {
    reader->stopping = true;
    if (reader->state < READER_DRAINING) {
        drain(reader, "stop");
    } else if (reader->state == READER_DRAINING) {
        check_drained(reader);
    } else if (reader->state == READER_ENDED) {
        release(reader);
    } else if (reader->state == READER_CLOSING && keeps_lease(reader)) {
        lease_holder_release(&reader->holder); /* it does not try for ever any more */
    }
}

void reader_stop_now(struct reader *reader) {
    reader->stopping = true;
    if (reader->state < READER_CLOSING) {
        drop_reading(reader);
        release(reader);
    }
}

void reader_finish(struct reader *reader) {
    if (reader->state != READER_ENDED || reader->stopping) {
        return;
    }
    set_state(reader, READER_CLOSING, "children have leases");
    if (keeps_lease(reader)) {
        lease_holder_finish(&reader->holder);
    } else {
        close_as(reader, SHARD_RESULT_FINISHED);
    }
}

/* ---- trouble ---- */

static struct str last_position(const struct reader *reader, char to[SEQNO_MAX_DIGITS + 1]) {
    struct position position = reader->start;
    if (reader->feed.read_anything) {
        position =
            (struct position){.kind = POSITION_SEQUENCE_NUMBER, .seqno = reader->feed.last_read};
    }
    size_t len = position_format(&position, to);
    return str_make(to, len);
}

static void fail(struct reader *reader, const struct err *err) {
    struct err copy = *err;
    err_context(&copy, "shard %s", reader->shard->node->id);
    drop_reading(reader);
    set_state(reader, READER_DRAINING, "failed");
    reader->stopping = true;
    worker_fail(reader->worker, &copy);
    check_drained(reader);
}

/* An iterator at the horizon stands at a record that may be trimmed before it is read; DynamoDB Local does so even with a
 * new table. Whoever begins at the oldest record has lost nothing by that: the horizon is only taken anew. */
static bool horizon_moved(struct reader *reader, const struct err *err) {
    if (err->code != ERR_AWS_TRIMMED || reader->feed.read_anything ||
        reader->start.kind != POSITION_TRIM_HORIZON || reader->horizon_moves == HORIZON_MOVES) {
        return false;
    }
    uint64_t delay_ms = (uint64_t)HORIZON_FIRST_MS << reader->horizon_moves++;
    LOG_WARN("shard", "horizon-moved", LOG_TEXT("shard", reader->shard->node->id), LOG_ERR(err));
    set_state(reader, READER_ITERATOR, "the horizon moved");
    set_timer(reader, delay_ms, take_iterator);
    return true;
}

/* Reports where. True: go on without, as onDataLoss says. what: "were", or "may have been" lost. */
static bool tell_loss(struct reader *reader, const char *what, const struct err *err) {
    char text[SEQNO_MAX_DIGITS + 1];
    struct str after = last_position(reader, text);
    reader->told_gap = true;
    worker_count(&reader->worker->stats.gaps, 1);
    LOG_ERROR("shard", "data-lost", LOG_TEXT("shard", reader->shard->node->id),
              LOG_STR("after", after), LOG_ERR(err));
    if (!options_of(reader)->continue_after_loss) {
        struct err loss;
        err_set(&loss, ERR_DATA_LOSS,
                "records after %.*s %s lost before they could be read (%s); the checkpoint is "
                "left as it is; to go on without them: onDataLoss: continue",
                STR_FMT(after), what, err->text);
        fail(reader, &loss);
        return false;
    }
    return true;
}

/* Its next owner may have read what is gone, and it was trimmed since: look again when the lease was renewed. */
static bool waits_for_lease(struct reader *reader) {
    if (!holds_lease(reader)) {
        set_state(reader, READER_ITERATOR, "without a lease");
        return true;
    }
    return false;
}

/* Records that were never read are gone. */
static void lose(struct reader *reader, const struct err *err) {
    if (horizon_moved(reader, err) || waits_for_lease(reader) || !tell_loss(reader, "were", err)) {
        return;
    }
    bool from_horizon = !reader->feed.read_anything && reader->start.kind == POSITION_TRIM_HORIZON;
    if (err->code == ERR_AWS_NOT_FOUND || from_horizon) {
        drain(reader, "the shard is gone");
        return;
    }
    reader->start = (struct position){.kind = POSITION_TRIM_HORIZON};
    reader->feed.read_anything = false;
    feed_break(&reader->feed);
    set_state(reader, READER_ITERATOR, "after a gap");
    set_timer(reader, 0, take_iterator);
}

/* An AWS call failed after its own retries. `again` repeats it. */
static void call_failed(struct reader *reader, const struct err *err, lane_fn *again) {
    worker_count(&reader->worker->stats.read_failures, 1);
    worker_set(&reader->worker->stats.read_error, err->code);
    switch (err->class) {
    case ERR_CLASS_THROTTLE:
        set_timer(reader, pace_throttled(&reader->pace), again);
        LOG_WARN("shard", "throttled", LOG_TEXT("shard", reader->shard->node->id),
                 LOG_U64("interval_ms", reader->pace.floor_ms), LOG_ERR(err));
        return;
    case ERR_CLASS_EXPIRED:
        shard_clock_expired(&reader->clock);
        LOG_INFO("shard", "iterator-expired", LOG_TEXT("shard", reader->shard->node->id));
        set_state(reader, READER_ITERATOR, "expired");
        set_timer(reader, 0, take_iterator);
        return;
    case ERR_CLASS_LOST:
        lose(reader, err);
        return;
    case ERR_CLASS_FATAL:
        fail(reader, err);
        return;
    case ERR_CLASS_AUTH:
        if (err->code == ERR_AWS_DENIED) {
            fail(reader, err);
            return;
        }
        break;
    case ERR_CLASS_RETRY:
    case ERR_CLASS_NONE:
        break;
    }
    LOG_WARN("shard", "read-failed", LOG_TEXT("shard", reader->shard->node->id), LOG_ERR(err));
    set_timer(reader, backoff_next_ms(&reader->backoff, &reader->worker->lane->rng), again);
}

/* ---- the beginning ---- */

/* An iterator at the horizon does not tell where the shard began. But when nobody has read the shard for longer than records
 * are kept, what it held at first is gone, if it held anything: that cannot be known any more, as of a shard that is gone
 * as a whole. False when reading must not go on now. */
static bool check_beginning(struct reader *reader, int64_t now_ms) {
    bool from_start =
        reader->start.kind == POSITION_TRIM_HORIZON || reader->feed.skip_before_ms > 0;
    if (!keeps_lease(reader) || reader->told_gap || reader->feed.read_anything || !from_start ||
        now_ms == 0 || reader->start.kind == POSITION_SEQUENCE_NUMBER) {
        return true;
    }
    int64_t since_ms = lease_unread_since_ms(&reader->holder.lease, now_ms);
    if (since_ms == 0 || now_ms - since_ms <= SHARD_RETENTION_MS) {
        return true;
    }
    struct err err;
    err_set(&err, ERR_AWS_TRIMMED, "nobody has read it for %lld h, and records are kept for 24 h",
            (long long)((now_ms - since_ms) / 3600000));
    if (waits_for_lease(reader) || !tell_loss(reader, "may have been", &err)) {
        return false;
    }
    lease_holder_note_read(&reader->holder, now_ms); /* its next reader need not tell it again */
    feed_break(&reader->feed);
    return true;
}

/* A page without records at the tip, and there was none before: until it was asked for there was nothing to read. */
static void note_nothing(struct reader *reader) {
    if (keeps_lease(reader) && !reader->feed.read_anything && reader->service_ms > 0) {
        uint64_t later_ms = reader->clock.polled_ms - reader->service_at_ms;
        lease_holder_note_read(&reader->holder, reader->service_ms + (int64_t)later_ms);
    }
}

/* ---- iterator ---- */

static void iterator_got(void *ctx, const struct err *err, struct str iterator,
                         int64_t server_time_ms) {
    struct reader *reader = ctx;
    reader->call = NULL;
    shard_clock_iterator(&reader->clock, err == NULL, now_ms(reader));
    if (err != NULL) {
        call_failed(reader, err, take_iterator);
        return;
    }
    if (!check_beginning(reader, server_time_ms)) {
        return;
    }
    reader->service_ms = server_time_ms;
    reader->service_at_ms = lane_now_ms(reader->worker->lane);
    buf_reset(&reader->iterator);
    buf_add_str(&reader->iterator, iterator);
    backoff_reset(&reader->backoff);
    set_state(reader, READER_WAITING, "iterator");
    set_timer(reader, 0, poll_now);
}

static bool may_not_know_the_type(const struct err *err) {
    return err->class != ERR_CLASS_THROTTLE && err->class != ERR_CLASS_AUTH;
}

static void timestamp_iterator_got(void *ctx, const struct err *err, struct str iterator,
                                   int64_t server_time_ms) {
    struct reader *reader = ctx;
    if (err == NULL || !may_not_know_the_type(err)) {
        iterator_got(ctx, err, iterator, server_time_ms);
        return;
    }
    LOG_DEBUG("shard", "no-timestamp-iterator", LOG_TEXT("shard", reader->shard->node->id),
              LOG_ERR(err));
    reader->call = NULL;
    take_iterator(reader);
}

/* A start by time saves reading what is passed over anyway, where the service can do it; the passing over stays. */
static bool take_timestamp_iterator(struct reader *reader) {
    if (reader->tried_timestamp || reader->feed.skip_before_ms == 0 || reader->feed.read_anything ||
        reader->start.kind == POSITION_SEQUENCE_NUMBER) {
        return false;
    }
    reader->tried_timestamp = true;
    reader->call =
        streams_get_iterator_at(reader->worker->parts.streams, options_of(reader)->stream_arn,
                                str_of(reader->shard->node->id), reader->feed.skip_before_ms,
                                timestamp_iterator_got, reader);
    return reader->call != NULL;
}

static void take_iterator(void *ctx) {
    struct reader *reader = ctx;
    if (!holds_lease(reader)) {
        return; /* goes on when it was renewed, ends when it is lost */
    }
    reader->clock.asked_ms = now_ms(reader);
    if (take_timestamp_iterator(reader)) {
        return;
    }
    char text[SEQNO_MAX_DIGITS + 1] = "";
    enum iterator_type type = ITERATOR_TRIM_HORIZON;
    struct str number = STR_NONE;
    if (reader->feed.read_anything || reader->start.kind == POSITION_SEQUENCE_NUMBER) {
        type = ITERATOR_AFTER_SEQUENCE_NUMBER;
        number = last_position(reader, text);
    } else if (reader->start.kind == POSITION_LATEST && reader->feed.skip_before_ms == 0) {
        type =
            ITERATOR_LATEST; /* nobody noted when this start was: its own words are all there is */
    }
    reader->call =
        streams_get_iterator(reader->worker->parts.streams, options_of(reader)->stream_arn,
                             str_of(reader->shard->node->id), type, number, iterator_got, reader);
    if (reader->call == NULL) {
        set_timer(reader, 1000, take_iterator);
    }
}

/* ---- polling ---- */

static void page_got(void *ctx, const struct err *err, struct page *page);

static void poll_now(void *ctx) {
    struct reader *reader = ctx;
    set_state(reader, READER_WAITING, "poll");
    if (!holds_lease(reader)) {
        return; /* goes on when it was renewed, ends when it is lost */
    }
    if (!worker_has_memory(reader->worker) ||
        window_held(&reader->feed.window) > WINDOW_MAX_RECORDS - PACE_LIMIT_MAX) {
        worker_wait(reader->worker, reader);
        return;
    }
    reader->clock.polled_ms = now_ms(reader);
    set_state(reader, READER_READING, "poll");
    reader->call = streams_get_records(reader->worker->parts.streams, buf_str(&reader->iterator),
                                       reader->pace.limit, page_got, reader);
    if (reader->call == NULL) {
        set_timer(reader, 1000, poll_now);
    }
}

static void tell_tip(struct reader *reader) {
    if (!reader->told_tip) {
        reader->told_tip = true;
        lane_post(reader->worker->common->lane, &reader->shard->tip_message,
                  reader->shard->tip_message.fn, reader->shard);
    }
}

static void page_end(struct reader *reader) {
    struct pace_page page = {
        .records = reader->feed.page_records,
        .bytes = reader->feed.page->len,
        .after_start = reader->feed.last_created_ms > reader->worker->common->started_ms,
        .shard_closed = reader->shard->closed,
        .asked_ms = reader->clock.polled_ms,
    };
    bool full = pace_is_full(&reader->pace, &page);
    bool last =
        reader->feed.walk.next_iterator.ptr == NULL || reader->feed.walk.next_iterator.len == 0;
    if (!last) {
        buf_reset(&reader->iterator);
        char *room = buf_reserve(&reader->iterator, reader->feed.walk.next_iterator.len);
        if (room == NULL) {
            struct err err;
            err_set(&err, ERR_AWS_REPLY, "GetRecords: NextShardIterator has %zu bytes",
                    reader->feed.walk.next_iterator.len);
            fail(reader, &err);
            return;
        }
        reader->iterator.len += record_unescape(reader->feed.walk.next_iterator, room);
    }
    uint64_t delay_ms = pace_page(&reader->pace, &page, now_ms(reader));
    reader->drained = reader->feed.page_records == 0;
    shard_clock_page(&reader->clock, &page, reader_behind_ms(reader), now_ms(reader));
    if (reader->pace.at_tip) {
        tell_tip(reader);
        note_nothing(reader);
    }
    feed_drop_page(&reader->feed);
    worker_memory_freed(reader->worker);
    if (last) {
        drain(reader, "end of the shard");
        return;
    }
    if (!full) {
        delivery_flush(&reader->feed.delivery); /* nothing follows at once: do not let it wait */
    }
    set_state(reader, READER_WAITING, "page done");
    set_timer(reader, delay_ms, poll_now);
}

static void page_got(void *ctx, const struct err *err, struct page *page) {
    struct reader *reader = ctx;
    reader->call = NULL;
    shard_clock_read(&reader->clock, err == NULL, now_ms(reader));
    if (err != NULL) {
        if (err->code == ERR_AWS_TOO_LARGE && pace_too_large(&reader->pace)) {
            LOG_INFO("shard", "page-too-large", LOG_TEXT("shard", reader->shard->node->id),
                     LOG_U64("limit", reader->pace.limit));
            set_timer(reader, 0, poll_now);
            return;
        }
        call_failed(reader, err, poll_now);
        return;
    }
    backoff_reset(&reader->backoff);
    reader->pulse.pages++;
    worker_count(&reader->worker->stats.pages_read, 1);
    reader->horizon_moves = 0;
    struct err broken = ERR_NONE;
    if (!feed_open(&reader->feed, page, &broken)) {
        call_failed(reader, &broken, poll_now);
        return;
    }
    set_state(reader, READER_FEEDING, "page");
    feed(reader);
}

/* ---- feeding ---- */

static void broken_page(struct reader *reader, const struct err *err) {
    /* What came before it was taken: the page must be asked for again from there. */
    feed_drop_page(&reader->feed);
    set_state(reader, READER_ITERATOR, "broken page");
    call_failed(reader, err, take_iterator);
}

static void feed(struct reader *reader) {
    reader->waits = false;
    if (!holds_lease(reader)) {
        return; /* goes on when it was renewed */
    }
    struct err err; /* set where it is looked at */
    switch (feed_run(&reader->feed, &err)) {
    case FEED_DONE:
        page_end(reader);
        return;
    case FEED_NO_ROOM:
        worker_wait(reader->worker, reader);
        return;
    case FEED_WAITS:
        reader->waits = true;
        return;
    case FEED_HALTED:
        return; /* goes on when what was called off is read again */
    case FEED_BROKEN:
        broken_page(reader, &err);
        return;
    case FEED_FAILED:
        fail(reader, &err);
        return;
    }
}

void reader_resume(struct reader *reader) {
    if (reader->state == READER_FEEDING) {
        feed(reader);
    } else if (reader->timer.armed) {
        return;
    } else if (reader->state == READER_WAITING) {
        poll_now(reader);
    } else if (reader->state == READER_ITERATOR && reader->call == NULL) {
        take_iterator(reader);
    }
}

bool reader_may_send(const struct reader *reader, uint64_t ordinal) {
    return feed_has(&reader->feed, ordinal) && reader->feed.called_off == 0 &&
           reader->state < READER_CLOSING && holds_lease(reader);
}

/* A lane_fn. */
static void was_called_off(void *ctx) {
    check_drained(ctx);
}

void reader_call_off(struct reader *reader, uint64_t ordinal) {
    if (!feed_has(&reader->feed, ordinal)) {
        return;
    }
    reader->feed.called_off++;
    if (reader->state < READER_CLOSING) {
        /* In a later turn, since the reader may be on the stack. */
        set_timer(reader, 0, was_called_off);
    }
}

void reader_acked(struct reader *reader, uint64_t ordinal) {
    feed_acked(&reader->feed, ordinal);
    check_drained(reader);
}

void reader_refused(struct reader *reader, uint64_t ordinal, const struct err *err) {
    struct err why;
    if (feed_refused(&reader->feed, ordinal, err, &why)) {
        check_drained(reader);
        return;
    }
    worker_fail(reader->worker, &why);
    reader_stop_now(reader); /* the checkpoint cannot pass it: nothing to wait for */
}

/* ---- lease ---- */

static bool holder_position(void *ctx, struct position *ret_position) {
    const struct reader *reader = ctx;
    return feed_position(&reader->feed, ret_position);
}

static void holder_renewed(void *ctx) {
    struct reader *reader = ctx;
    if (reader->feed.called_off > 0) {
        check_drained(reader);
    } else if (!reader->queued && reader->call == NULL) {
        reader_resume(reader);
    }
}

/* Acknowledged to here and checkpointed, so that the next owner repeats nothing. What is near its end stays. */
static void holder_wanted(void *ctx) {
    struct reader *reader = ctx;
    if (reader->state < READER_DRAINING) {
        LOG_INFO("lease", "wanted", LOG_TEXT("shard", reader->shard->node->id),
                 LOG_TEXT("by", reader->holder.lease.wanted_by));
        reader->handing_over = true;
        drain(reader, "another worker wants it");
    }
}

static void holder_lost(void *ctx, const struct err *err) {
    struct reader *reader = ctx;
    LOG_WARN("lease", "lost", LOG_TEXT("shard", reader->shard->node->id), LOG_ERR(err));
    worker_count(&reader->worker->stats.leases_lost, 1);
    drop_reading(reader);
    close_as(reader, SHARD_RESULT_LOST);
}

static void holder_closed(void *ctx, const struct err *err) {
    struct reader *reader = ctx;
    if (err != NULL) {
        LOG_ERROR("lease", "last-write-failed", LOG_TEXT("shard", reader->shard->node->id),
                  LOG_ERR(err));
        struct err copy = *err;
        worker_fail(reader->worker, &copy);
    }
    bool finished = reader->holder.lease.checkpoint.kind == POSITION_SHARD_END;
    close_as(reader, finished ? SHARD_RESULT_FINISHED : SHARD_RESULT_RELEASED);
}

static void holder_failed(void *ctx, const struct err *err) {
    struct reader *reader = ctx;
    worker_fail(reader->worker, err);
    drop_reading(reader);
    close_as(reader, SHARD_RESULT_LOST);
}

static const struct lease_holder_events holder_events = {
    .position = holder_position,
    .renewed = holder_renewed,
    .wanted = holder_wanted,
    .lost = holder_lost,
    .closed = holder_closed,
    .failed = holder_failed,
};

/* ---- the events of a session of its own ---- */

static void session_acked(void *ctx, const uint64_t *tokens, size_t count) {
    struct reader *reader = ctx;
    for (size_t i = 0; i < count; i++) {
        reader_acked(reader, worker_ordinal(tokens[i]));
    }
    worker_memory_freed(reader->worker);
}

static void session_refused(void *ctx, const uint64_t *tokens, size_t count,
                            const struct err *err) {
    struct reader *reader = ctx;
    for (size_t i = 0; i < count; i++) {
        reader_refused(reader, worker_ordinal(tokens[i]), err);
    }
    worker_memory_freed(reader->worker);
}

static void session_writable(void *ctx) {
    struct reader *reader = ctx;
    if (reader->state == READER_FEEDING && !reader->queued) {
        feed(reader);
    }
}

static void session_failed(void *ctx, const struct err *err) {
    struct reader *reader = ctx;
    struct err copy = *err;
    err_context(&copy, "shard %s", reader->shard->node->id);
    worker_fail(reader->worker, &copy);
    reader_stop_now(reader);
}

static bool session_may_send(void *ctx, const uint64_t *tokens, size_t count) {
    struct reader *reader = ctx;
    bool may = count == 0 || reader_may_send(reader, worker_ordinal(tokens[0]));
    for (size_t i = 0; i < count && !may; i++) {
        reader_call_off(reader, worker_ordinal(tokens[i]));
    }
    return may;
}

static const struct sink_events session_events = {
    .acked = session_acked,
    .refused = session_refused,
    .writable = session_writable,
    .ready = session_writable,
    .failed = session_failed,
    .may_send = session_may_send,
};

/* ---- life ---- */

static void start_lease(struct reader *reader) {
    const struct source_options *options = options_of(reader);
    struct lease_holder_options holder_options = {
        .table = reader->worker->leases,
        .lane = reader->worker->lane,
        .failover_ms = options->failover_ms,
        .checkpoint_interval_ms = options->checkpoint_interval_ms,
        .backoff_ms = options->backoff_ms,
        .retries = options->retries,
    };
    lease_holder_start(&reader->holder, &holder_options, &holder_events, reader,
                       &reader->shard->lease, reader->shard->claimed_ns);
}

struct reader *reader_new(struct worker *worker, uint32_t slot, struct shard *shard,
                          uint64_t first_ordinal) {
    struct reader *reader = calloc(1, sizeof *reader);
    if (reader == NULL) {
        return NULL;
    }
    const struct source_common *common = worker->common;
    reader->worker = worker;
    reader->shard = shard;
    reader->slot = slot;
    reader->start = shard->lease.checkpoint;
    shard_clock_open(&reader->clock, worker->measures, now_ms(reader));
    reader->backoff = backoff_make(100, 10000);
    struct pace_options pace = {
        .min_ms = common->options.min_poll_ms,
        .max_ms = common->options.max_poll_ms,
        .limit_max = common->options.receive_queue,
        .hurry = common->options.until_caught_up,
    };
    pace_init(&reader->pace, &pace);
    buf_init(&reader->iterator, ITERATOR_MAX_BYTES);
    feed_init(&reader->feed, worker, shard, slot, first_ordinal);
    if (keeps_lease(reader)) {
        start_lease(reader);
    }
    struct lease_holder *holder = keeps_lease(reader) ? &reader->holder : NULL;
    if (!feed_start(&reader->feed, holder, &session_events, reader)) {
        reader_free(reader);
        return NULL;
    }
    char text[SEQNO_MAX_DIGITS + 1];
    LOG_INFO("shard", "open", LOG_TEXT("shard", shard->node->id),
             LOG_STR("after", last_position(reader, text)), LOG_U64("lane", worker->lane->index));
    set_timer(reader, 0, take_iterator);
    return reader;
}

void reader_free(struct reader *reader) {
    drop_reading(reader);
    if (keeps_lease(reader)) {
        lease_holder_stop(&reader->holder);
    }
    feed_done(&reader->feed);
    buf_done(&reader->iterator);
    free(reader);
}

bool reader_should_read(const struct reader *reader) {
    return reader->state < READER_DRAINING && !reader->queued && !reader->waits &&
           reader->feed.called_off == 0 && holds_lease(reader);
}

uint64_t reader_behind_ms(const struct reader *reader) {
    if (reader->drained || reader->state >= READER_ENDED || reader->feed.last_created_ms == 0) {
        return 0;
    }
    int64_t behind = lane_wall_ms(reader->worker->lane) - reader->feed.last_created_ms;
    return behind > 0 ? (uint64_t)behind : 0;
}
