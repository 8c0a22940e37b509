#include "source/lease_holder.h"

#include "base/log.h"

static const int64_t NOTE_MS = INT64_C(60) * 60 * 1000;

static void write_now(void *ctx);

static uint64_t interval_ms(const struct lease_holder *holder) {
    uint64_t renew = holder->options.failover_ms / 3;
    renew = renew > 25 ? renew - 25 : renew; /* KCL's epsilon */
    uint64_t checkpoint = holder->options.checkpoint_interval_ms;
    return checkpoint > 0 && checkpoint < renew ? checkpoint : renew;
}

void lease_holder_start(struct lease_holder *holder, const struct lease_holder_options *options,
                        const struct lease_holder_events *events, void *ctx,
                        const struct lease *lease, uint64_t taken_ns) {
    *holder = (struct lease_holder){
        .options = *options,
        .events = *events,
        .ctx = ctx,
        .lease = *lease,
        .renewed_ns = taken_ns,
        .backoff = backoff_make(100, options->failover_ms / 3),
    };
    lane_timer_init(&holder->timer, options->lane, write_now, holder);
    /* Spread over the interval, so that thousands of leases are not written in one burst. */
    uint64_t spread = rng_below(&options->lane->rng, interval_ms(holder) / 4);
    lane_timer_set_ms(&holder->timer, interval_ms(holder) - spread);
}

bool lease_holder_is_valid(const struct lease_holder *holder) {
    uint64_t margin_ms =
        holder->options.failover_ms > 2000 ? 1000 : holder->options.failover_ms / 2;
    uint64_t until_ns =
        holder->renewed_ns + (holder->options.failover_ms - margin_ms) * UINT64_C(1000000);
    return !holder->stopped && lane_now_ns(holder->options.lane) < until_ns;
}

static void on_closed(struct lease_holder *holder, const struct err *err) {
    holder->stopped = true;
    holder->events.closed(holder->ctx, err);
}

/* A write failed for a reason that may pass. */
static void try_again(struct lease_holder *holder, const struct err *err) {
    holder->tries++;
    if (holder->unclear_since_ns == 0) {
        /* Also when it was throttled: that may have been a repetition, and the first try applied. */
        holder->unclear_since_ns = holder->write_started_ns;
    }
    bool give_up = holder->tries > holder->options.retries;
    if (holder->tries == 1 || give_up) {
        LOG_WARN("lease", give_up ? "write-put-off" : "write-failed",
                 LOG_TEXT("shard", holder->lease.key), LOG_U64("tries", holder->tries),
                 LOG_ERR(err));
    }
    if (holder->releasing && give_up) {
        on_closed(holder, err);
        return;
    }
    uint64_t delay = err->class == ERR_CLASS_THROTTLE
                         ? holder->options.backoff_ms
                         : backoff_next_ms(&holder->backoff, &holder->options.lane->rng);
    if (give_up) {
        holder->tries = 0;
        delay = interval_ms(holder);
    }
    lane_timer_set_ms(&holder->timer, delay);
}

/* The write that was to be the last one is in the table. */
static bool has_closed(const struct lease_holder *holder) {
    bool finished = holder->lease.checkpoint.kind == POSITION_SHARD_END;
    return finished || !lease_table_is_mine(holder->options.table, &holder->lease);
}

static bool wants_base(const struct lease_holder *holder) {
    return seqno_is_set(&holder->base.seqno) &&
           !numbering_base_equal(&holder->base, &holder->lease.base);
}

static void renewed(struct lease_holder *holder, bool earlier) {
    /* The lease lives from when the write was applied; of an earlier one, only the first moment is known. */
    bool unclear = earlier && holder->unclear_since_ns != 0;
    holder->renewed_ns = unclear ? holder->unclear_since_ns : holder->write_started_ns;
    holder->unclear_since_ns = 0;
    holder->tries = 0;
    backoff_reset(&holder->backoff);
    if (has_closed(holder)) {
        on_closed(holder, NULL);
        return;
    }
    if (holder->closing || unclear || wants_base(holder)) {
        write_now(holder);
    } else {
        lane_timer_set_ms(&holder->timer, interval_ms(holder));
    }
    if (!holder->closing && holder->lease.wanted_by[0] != '\0' && !holder->told_wanted) {
        holder->told_wanted = true;
        holder->events.wanted(holder->ctx);
    }
    if (!holder->closing && lease_holder_is_valid(holder)) {
        holder->events.renewed(holder->ctx);
    }
}

static void measure_write(struct lease_holder *holder, bool success) {
    uint64_t ms = (lane_now_ns(holder->options.lane) - holder->write_started_ns) / 1000000;
    measure_add(&holder->write_success, success);
    measure_add(&holder->write_ms, ms);
    if (holder->moves_checkpoint) {
        measure_add(&holder->checkpoint_success, success);
        measure_add(&holder->checkpoint_ms, ms);
    }
}

static void written(void *ctx, const struct err *err, bool earlier) {
    struct lease_holder *holder = ctx;
    holder->writing = false;
    measure_write(holder, err == NULL);
    if (holder->stopped) {
        return;
    }
    if (err == NULL) {
        renewed(holder, earlier);
    } else if (err->code == ERR_LEASE_LOST) {
        holder->stopped = true;
        holder->events.lost(holder->ctx, err);
    } else if (err->code == ERR_TABLE_GONE || err->class == ERR_CLASS_FATAL ||
               err->code == ERR_AWS_DENIED) {
        holder->stopped = true;
        holder->events.failed(holder->ctx, err);
    } else {
        try_again(holder, err);
    }
}

/* The position, if it is ahead of what the table holds. */
static bool newer_position(struct lease_holder *holder, struct position *ret_position) {
    return holder->events.position(holder->ctx, ret_position) &&
           position_compare(ret_position, &holder->lease.checkpoint) > 0;
}

static void write_now(void *ctx) {
    struct lease_holder *holder = ctx;
    if (holder->writing || holder->stopped) {
        return;
    }
    lane_timer_cancel(&holder->timer);
    holder->writing = true;
    holder->write_started_ns = lane_now_ns(holder->options.lane);
    if (wants_base(holder) && !holder->closing) {
        lease_table_set_base(holder->options.table, &holder->lease, &holder->base, written, holder);
        return;
    }
    struct position position;
    bool moved = newer_position(holder, &position);
    enum lease_change change = moved ? LEASE_CHECKPOINT : LEASE_RENEW;
    if (holder->finish) {
        change = LEASE_CHECKPOINT;
        position = (struct position){.kind = POSITION_SHARD_END};
        moved = true;
    } else if (holder->closing) {
        bool asked = holder->hand_over && holder->lease.wanted_by[0] != '\0';
        change = asked ? LEASE_HAND_OVER : LEASE_RELEASE;
    }
    holder->moves_checkpoint = moved;
    lease_table_change(holder->options.table, change, &holder->lease, moved ? &position : NULL,
                       written, holder);
}

bool lease_holder_has_base(struct lease_holder *holder, const struct numbering_base *base) {
    if (numbering_base_equal(base, &holder->lease.base)) {
        return true;
    }
    if (!numbering_base_equal(base, &holder->base)) {
        holder->base = *base;
        if (!holder->writing && !holder->stopped) {
            lane_timer_set_ms(&holder->timer, 0);
        }
    }
    return false;
}

static void close_soon(struct lease_holder *holder) {
    if (holder->closing || holder->stopped) {
        return;
    }
    holder->closing = true;
    holder->tries = 0;
    if (!holder->writing) {
        lane_timer_set_ms(&holder->timer, 0);
    }
}

void lease_holder_note_read(struct lease_holder *holder, int64_t until_ms) {
    if (until_ms > holder->lease.read_ms + NOTE_MS) {
        holder->lease.read_ms = until_ms;
    }
}

void lease_holder_finish(struct lease_holder *holder) {
    holder->finish = true;
    close_soon(holder);
}

void lease_holder_release(struct lease_holder *holder) {
    if (!holder->releasing) {
        holder->releasing = true;
        holder->tries = 0;
    }
    close_soon(holder);
}

void lease_holder_hand_over(struct lease_holder *holder) {
    holder->hand_over = true;
    close_soon(holder);
}

void lease_holder_stop(struct lease_holder *holder) {
    holder->stopped = true;
    lane_timer_cancel(&holder->timer);
}
