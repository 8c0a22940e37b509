#include "monitor/publisher.h"

#include "aws/cloudwatch.h"
#include "base/backoff.h"
#include "base/log.h"

#include <stdlib.h>

enum {
    WAIT_MAX_MS = 120 * 1000, /* then it is dropped; alarms would not wait for it either */
    LOG_MS = 60 * 1000,
    REFUSED_MS = 60 * 1000, /* after a refusal, which the next call would get, too */
};

struct row {
    const char *operation;
    const char *name;
    enum cloudwatch_unit unit;
    bool detailed;
};

static const struct row shard_rows[MEASURE_SHARD_COUNT] = {
#define SHARD_MEASURE(id, detailed, operation, name, unit)                                         \
    [MEASURE_SHARD_##id] = {operation, name, CLOUDWATCH_##unit, detailed},
#include "source/measures.def"
};

static const struct row lane_rows[MEASURE_LANE_COUNT] = {
#define LANE_MEASURE(id, detailed, operation, name, unit)                                          \
    [MEASURE_LANE_##id] = {operation, name, CLOUDWATCH_##unit, detailed},
#include "source/measures.def"
};

/* A place in the queue: the next datum to be sent. */
struct cursor {
    struct measures *measures;
    size_t index; /* over its shards' measures, one shard after the other, and then the lane's */
};

struct publisher {
    struct publisher_options options;
    struct lane *lane;
    struct measure process[MEASURE_LANE_COUNT]; /* since they were queued last */
    struct source_stats counted;                /* as the counters stood in the last sample */
    struct measures *queue;                     /* the oldest first */
    struct measures **queue_end;
    struct cursor sent; /* up to here, within the oldest */
    struct cursor next; /* behind what the call under way has */
    size_t call_data;
    struct service_call *call;
    struct lane_timer timer; /* the next call */
    struct backoff backoff;
    uint64_t logged_ms; /* when a failure was logged last; 0: never */
    bool failing;
    struct publisher_stats stats;

    bool closing;
    struct lane_timer close_timer;
    lane_fn *closed;
    void *closed_ctx;
};

static void pump(void *ctx);

/* ---- The queue. */

static void enqueue(struct publisher *publisher, struct measures *measures) {
    struct cursor *const at_end[] = {&publisher->sent, &publisher->next};
    measures->next = NULL;
    *publisher->queue_end = measures;
    publisher->queue_end = &measures->next;
    for (size_t i = 0; i < sizeof at_end / sizeof at_end[0]; i++) {
        if (at_end[i]->measures == NULL) {
            *at_end[i] = (struct cursor){.measures = measures};
        }
    }
}

/* Frees all in front of the place up to which it is sent. */
static void forget_sent(struct publisher *publisher) {
    while (publisher->queue != publisher->sent.measures) {
        struct measures *first = publisher->queue;
        publisher->queue = first->next;
        measures_free(first);
    }
    if (publisher->queue == NULL) {
        publisher->queue_end = &publisher->queue;
    }
}

static const struct measure *measure_at(const struct cursor *at, const struct row **ret_row,
                                        const char **ret_shard) {
    const struct measures *measures = at->measures;
    size_t shard = at->index / MEASURE_SHARD_COUNT;
    if (shard < measures->shard_count) {
        size_t which = at->index % MEASURE_SHARD_COUNT;
        *ret_row = &shard_rows[which];
        *ret_shard = measures->shards[shard].id;
        return &measures->shards[shard].of[which];
    }
    size_t which = at->index - measures->shard_count * MEASURE_SHARD_COUNT;
    *ret_row = &lane_rows[which];
    *ret_shard = NULL;
    return &measures->lane[which];
}

static void step(struct cursor *at) {
    const struct measures *measures = at->measures;
    if (++at->index == measures->shard_count * MEASURE_SHARD_COUNT + MEASURE_LANE_COUNT) {
        *at = (struct cursor){.measures = measures->next};
    }
}

/* Puts data into a request until it is full or there are no more. */
static void fill(struct publisher *publisher, struct cloudwatch_request *request) {
    struct cursor *at = &publisher->next;
    while (at->measures != NULL) {
        const struct row *row;
        const char *shard;
        const struct measure *measure = measure_at(at, &row, &shard);
        if (measure->count > 0 && (publisher->options.detailed || !row->detailed)) {
            struct cloudwatch_datum datum = {
                .name = str_of(row->name),
                .unit = row->unit,
                .dimensions = {{STR("Operation"), str_of(row->operation)},
                               {STR("ShardId"), str_of(shard)}},
                .dimension_count = shard != NULL ? 2 : 1,
                .at_ms = at->measures->at_ms,
                .count = measure->count,
                .sum = measure->sum,
                .min = measure->min,
                .max = measure->max,
            };
            if (!cloudwatch_add(request, &datum)) {
                return;
            }
        }
        step(at);
    }
}

/* What is still to be sent of one. */
static uint64_t data_left(const struct publisher *publisher, struct cursor at) {
    const struct measures *measures = at.measures;
    uint64_t left = 0;
    while (at.measures == measures) {
        const struct row *row;
        const char *shard;
        const struct measure *measure = measure_at(&at, &row, &shard);
        left += measure->count > 0 && (publisher->options.detailed || !row->detailed);
        step(&at);
    }
    return left;
}

static void drop_first(struct publisher *publisher) {
    struct cursor *sent = &publisher->sent;
    publisher->stats.dropped += data_left(publisher, *sent);
    *sent = (struct cursor){.measures = sent->measures->next};
    forget_sent(publisher);
}

static void drop_old(struct publisher *publisher) {
    int64_t now_ms = lane_wall_ms(publisher->lane);
    while (publisher->queue != NULL && now_ms - publisher->queue->at_ms > WAIT_MAX_MS) {
        drop_first(publisher);
    }
}

/* ---- Calls. */

static void log_failure(struct publisher *publisher, const struct err *err) {
    uint64_t now_ms = lane_now_ms(publisher->lane);
    if (publisher->logged_ms == 0 || now_ms - publisher->logged_ms >= LOG_MS) {
        publisher->logged_ms = now_ms;
        LOG_WARN("monitor", "metrics-not-published", LOG_U64("failures", publisher->stats.failures),
                 LOG_U64("dropped", publisher->stats.dropped), LOG_ERR(err));
    }
}

static bool may_pass(const struct err *err) {
    return err->class == ERR_CLASS_RETRY || err->class == ERR_CLASS_THROTTLE;
}

static void call_failed(struct publisher *publisher, const struct err *err) {
    publisher->stats.failures++;
    publisher->failing = true;
    uint64_t delay_ms = REFUSED_MS;
    if (may_pass(err)) {
        delay_ms = backoff_next_ms(&publisher->backoff, &publisher->lane->rng);
    } else { /* these data, or this caller: the same again would only stand in the way of others */
        publisher->stats.dropped += publisher->call_data;
        publisher->sent = publisher->next;
        forget_sent(publisher);
    }
    log_failure(publisher, err);
    lane_timer_set_ms(&publisher->timer, delay_ms);
}

static void on_put(void *ctx, const struct err *err) {
    struct publisher *publisher = ctx;
    publisher->call = NULL;
    if (err != NULL) {
        call_failed(publisher, err);
        return;
    }
    publisher->stats.published += publisher->call_data;
    publisher->sent = publisher->next;
    forget_sent(publisher);
    backoff_reset(&publisher->backoff);
    if (publisher->failing) {
        publisher->failing = false;
        publisher->logged_ms = 0;
        LOG_INFO("monitor", "metrics-published", LOG_U64("dropped", publisher->stats.dropped));
    }
    pump(publisher);
}

static void tell_closed(void *ctx) {
    struct publisher *publisher = ctx;
    service_cancel(publisher->options.service, publisher->call);
    lane_timer_cancel(&publisher->timer);
    while (publisher->queue != NULL) {
        drop_first(publisher);
    }
    lane_fn *closed = publisher->closed;
    void *closed_ctx = publisher->closed_ctx;
    free(publisher);
    closed(closed_ctx);
}

static void send(struct publisher *publisher) {
    struct cloudwatch_request request;
    cloudwatch_begin(&request, publisher->options.name_space);
    publisher->next = publisher->sent;
    fill(publisher, &request);
    publisher->call_data = request.count;
    if (request.count > 0) {
        publisher->call = cloudwatch_put(publisher->options.service, &request, on_put, publisher);
        if (publisher->call == NULL) {
            struct err err;
            err_set(&err, ERR_NOMEM, "no memory for a call");
            call_failed(publisher, &err);
        }
        return;
    }
    cloudwatch_drop(&request);
    publisher->sent = publisher->next; /* of these, the level wants nothing */
    forget_sent(publisher);
}

/* Of a lane_timer, too. */
static void pump(void *ctx) {
    struct publisher *publisher = ctx;
    if (publisher->call != NULL || publisher->timer.armed) {
        return;
    }
    drop_old(publisher);
    if (publisher->queue != NULL) {
        send(publisher);
    }
    if (publisher->queue == NULL && publisher->closing) {
        lane_timer_set_ms(&publisher->close_timer, 0);
    }
}

/* ---- What comes in. */

struct publisher *publisher_new(struct lane *lane, const struct publisher_options *options) {
    struct publisher *publisher = calloc(1, sizeof *publisher);
    if (publisher == NULL) {
        return NULL;
    }
    publisher->options = *options;
    publisher->lane = lane;
    publisher->queue_end = &publisher->queue;
    publisher->backoff = backoff_make(1000, 60000);
    lane_timer_init(&publisher->timer, lane, pump, publisher);
    lane_timer_init(&publisher->close_timer, lane, tell_closed, publisher);
    return publisher;
}

void publisher_take(struct publisher *publisher, struct measures *measures) {
    for (size_t i = 0; i < MEASURE_LANE_COUNT; i++) {
        measure_move(&publisher->process[i], &measures->lane[i]);
    }
    if (measures->shard_count == 0) {
        measures_free(measures);
        return;
    }
    enqueue(publisher, measures);
    pump(publisher);
}

void publisher_sample(struct publisher *publisher, const struct source_stats *stats) {
    struct measure *process = publisher->process;
    const struct source_stats *counted = &publisher->counted;
    measure_add(&process[MEASURE_LANE_LEASES], stats->shards_open);
    measure_add(&process[MEASURE_LANE_LEASES_LOST], stats->leases_lost - counted->leases_lost);
    measure_add(&process[MEASURE_LANE_APPLICATION_BEHIND], stats->behind_ms);
    measure_add(&process[MEASURE_LANE_GAPS], stats->gaps - counted->gaps);
    measure_add(&process[MEASURE_LANE_RECORD_ERRORS],
                stats->record_errors - counted->record_errors);
    measure_add(&process[MEASURE_LANE_IN_FLIGHT], stats->in_flight);
    publisher->counted = *stats;
}

void publisher_publish(struct publisher *publisher) {
    struct measures *measures = measures_new();
    if (measures == NULL) {
        return; /* it is all in the next one */
    }
    measures_take_lane(measures, publisher->process);
    measures->at_ms = lane_wall_ms(publisher->lane);
    enqueue(publisher, measures);
    pump(publisher);
}

void publisher_get_stats(const struct publisher *publisher, struct publisher_stats *ret_stats) {
    *ret_stats = publisher->stats;
}

void publisher_close(struct publisher *publisher, uint64_t timeout_ms, lane_fn *done, void *ctx) {
    publisher->closing = true;
    publisher->closed = done;
    publisher->closed_ctx = ctx;
    lane_timer_set_ms(&publisher->close_timer, timeout_ms);
    lane_timer_cancel(&publisher->timer); /* the last chance, whatever came of the one before */
    pump(publisher);
}
