#include "unit/sender.h"

#include "cmocka_all.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

/* ---- on the lane ---- */

/* Every event begins and ends so. */
static struct sender *enter(void *ctx) {
    struct sender *sender = ctx;
    if (sender->stage->in_call) { /* and the lock is held */
        (void)fprintf(stderr, "an event inside a call\n");
        abort();
    }
    (void)pthread_mutex_lock(&sender->stage->lock);
    return sender;
}

static void leave(struct sender *sender) {
    if (sender->producer != NULL && !sender->closed) {
        pulsar_producer_stats(sender->producer, &sender->stats);
    }
    (void)pthread_cond_broadcast(&sender->stage->changed);
    (void)pthread_mutex_unlock(&sender->stage->lock);
}

static void send_more(struct sender *sender) {
    while (sender->next_token < sender->wanted && sender->ready_count > 0) {
        uint64_t token = sender->next_token;
        (void)snprintf(sender->key, sizeof sender->key, "key-%zu",
                       sender->keys == 0 ? 0 : (size_t)token % sender->keys);
        int len =
            snprintf(sender->value, sizeof sender->value, "%c:%" PRIu64 ":", sender->id, token);
        struct str value[] = {str_make(sender->value, (size_t)len),
                              str_make(stage_filler, sender->value_len)};
        struct pulsar_message message = {
            .key = sender->keys == 0 ? STR_NONE : str_of(sender->key),
            .sequence_id = token,
            .value = value,
            .value_parts = 2,
        };
        if (sender->make != NULL) {
            sender->make(sender, token, &message);
        }
        struct err err = ERR_NONE;
        sender->stage->in_call = true;
        enum pulsar_send sent = pulsar_producer_send(sender->producer, &message, token, &err);
        sender->stage->in_call = false;
        if (sent == PULSAR_SEND_FULL) {
            sender->full_count++;
            return;
        }
        sender->next_token++;
        if (sent == PULSAR_SEND_REFUSED) {
            sender->refused_count++;
            sender->refusal = err;
        } else {
            sender->taken++;
        }
    }
}

static void on_ready(void *ctx, uint32_t partitions) {
    struct sender *sender = enter(ctx);
    sender->ready_count++;
    sender->partitions = partitions;
    send_more(sender);
    leave(sender);
}

static void report(struct sender *sender, uint64_t token, const struct sender_report *what) {
    struct stage *stage = sender->stage;
    if (token < sender->first_token || token >= sender->next_token ||
        token - sender->first_token >= SENDER_MESSAGES) {
        stage_wrong(stage, "a report of token %" PRIu64 ", which was not sent", token);
        return;
    }
    struct sender_report *report = &sender->reports[token - sender->first_token];
    if (report->fate != FATE_OPEN) {
        stage_wrong(stage, "a second report of token %" PRIu64, token);
        return;
    }
    *report = *what;
    report->order = sender->reported++;
    sender->fates[what->fate]++;
}

static void on_receipt(void *ctx, const struct pulsar_receipt *receipt) {
    struct sender *sender = enter(ctx);
    sender->receipts++;
    for (size_t i = 0; i < receipt->count; i++) {
        struct sender_report what = {.fate = receipt->duplicate ? FATE_DUPLICATE : FATE_STORED,
                                     .partition = receipt->partition,
                                     .entry_id = receipt->entry_id};
        report(sender, receipt->tokens[i], &what);
    }
    leave(sender);
}

static void on_undelivered(void *ctx, const struct pulsar_undelivered *undelivered) {
    struct sender *sender = enter(ctx);
    if (!err_is_set(undelivered->err)) {
        stage_wrong(sender->stage, "undelivered without a reason");
    }
    sender->last_undelivered = *undelivered->err;
    for (size_t i = 0; i < undelivered->count; i++) {
        struct sender_report what = {.fate = undelivered->refused        ? FATE_REFUSED
                                             : undelivered->maybe_stored ? FATE_MAYBE
                                                                         : FATE_LOST,
                                     .partition = undelivered->partition,
                                     .code = undelivered->err->code};
        report(sender, undelivered->tokens[i], &what);
    }
    leave(sender);
}

static void on_writable(void *ctx) {
    struct sender *sender = enter(ctx);
    sender->writable_count++;
    send_more(sender);
    leave(sender);
}

static void on_failed(void *ctx, const struct err *err) {
    struct sender *sender = enter(ctx);
    if (sender->reported != sender->taken) {
        stage_wrong(sender->stage, "failed, and %zu of %zu messages are not reported",
                    sender->taken - sender->reported, sender->taken);
    }
    sender->failed_count++;
    sender->failure = *err;
    leave(sender);
}

static void on_connection(void *ctx, uint32_t partition, const struct err *err) {
    (void)partition;
    struct sender *sender = enter(ctx);
    if (err != NULL) {
        sender->lost_count++;
        sender->last_lost = *err;
    } else {
        sender->again_count++;
    }
    leave(sender);
}

static void on_grown(void *ctx, uint32_t partitions) {
    struct sender *sender = enter(ctx);
    sender->grown_count++;
    sender->partitions = partitions;
    leave(sender);
}

/* Asked inside calls, which have the lock, and outside of them. */
static bool may_send(void *ctx, const uint64_t *tokens, size_t count) {
    struct sender *sender = ctx;
    bool in_call = sender->stage->in_call;
    if (!in_call) {
        (void)pthread_mutex_lock(&sender->stage->lock);
    }
    bool may = true;
    for (size_t i = 0; i < count; i++) {
        may = may && (tokens[i] < sender->off_from || tokens[i] >= sender->off_to);
    }
    if (!in_call) {
        (void)pthread_mutex_unlock(&sender->stage->lock);
    }
    return may;
}

static const struct pulsar_producer_events events = {
    .ready = on_ready,
    .receipt = on_receipt,
    .undelivered = on_undelivered,
    .writable = on_writable,
    .failed = on_failed,
    .connection = on_connection,
    .grown = on_grown,
};

static void open_on_lane(void *ctx) {
    struct sender *sender = ctx;
    struct stage *stage = sender->stage;
    struct err err = ERR_NONE;
    stage->in_call = true;
    if (stage->client == NULL) {
        stage->client = pulsar_client_new(stage->lane, &stage->client_options, &err);
    }
    if (stage->client != NULL) {
        struct pulsar_producer_events mine = events;
        mine.may_send = sender->may_call_off ? may_send : NULL;
        sender->producer =
            pulsar_producer_open(stage->client, &sender->options, &mine, sender, &err);
    }
    stage->in_call = false;
    sender->refuse_open = sender->producer == NULL;
    sender->failure = err;
}

static void send_on_lane(void *ctx) {
    struct sender *sender = enter(ctx);
    send_more(sender);
    leave(sender);
}

static void flush_on_lane(void *ctx) {
    struct sender *sender = enter(ctx);
    sender->stage->in_call = true;
    pulsar_producer_flush(sender->producer);
    sender->stage->in_call = false;
    leave(sender);
}

static void sender_closed(void *ctx) {
    struct sender *sender = enter(ctx);
    sender->closed = true;
    leave(sender);
}

struct closing {
    struct sender *sender;
    uint32_t timeout_ms;
};

static void close_on_lane(void *ctx) {
    struct closing *closing = ctx;
    struct sender *sender = enter(closing->sender);
    sender->stage->in_call = true;
    pulsar_producer_close(sender->producer, closing->timeout_ms, sender_closed, sender);
    sender->stage->in_call = false;
    sender->wanted = sender->next_token;
    leave(sender);
}

/* ---- the test's thread ---- */

bool sender_shut(struct sender *sender, uint32_t timeout_ms) {
    struct closing closing = {.sender = sender, .timeout_ms = timeout_ms};
    return sender->producer == NULL || sender->closed ||
           (stage_try_run(sender->stage, close_on_lane, &closing) &&
            stage_wait_flag(sender->stage, &sender->closed));
}

struct sender *sender_new(struct stage *stage) {
    struct sender *sender = calloc(1, sizeof *sender);
    assert_non_null(sender);
    assert_true(stage->sender_count < STAGE_SENDERS);
    sender->stage = stage;
    sender->id = (char)('a' + stage->sender_count + (stage->borrowed ? STAGE_SENDERS : 0));
    sender->keys = 20;
    sender->options.topic = STR("t");
    stage->senders[stage->sender_count++] = sender;
    return sender;
}

void sender_open(struct sender *sender) {
    sender->next_token = sender->wanted = sender->first_token;
    stage_run(sender->stage, open_on_lane, sender);
}

void sender_open_ready(struct sender *sender) {
    sender_open(sender);
    STAGE_WAIT(sender->stage, sender->ready_count > 0 || sender->failed_count > 0);
    if (sender->ready_count == 0) {
        stage_fail(sender->stage, "it did not become ready");
    }
}

void sender_send(struct sender *sender, size_t count) {
    (void)pthread_mutex_lock(&sender->stage->lock);
    sender->wanted += count;
    assert_true(sender->wanted - sender->first_token <= SENDER_MESSAGES);
    (void)pthread_mutex_unlock(&sender->stage->lock);
    stage_run(sender->stage, send_on_lane, sender);
}

void sender_flush(struct sender *sender) {
    stage_run(sender->stage, flush_on_lane, sender);
}

void sender_drain(struct sender *sender) {
    STAGE_WAIT(sender->stage,
               (sender->next_token == sender->wanted && sender->reported == sender->taken) ||
                   sender->failed_count > 0);
    if (sender->next_token != sender->wanted) {
        stage_fail(sender->stage, "it failed before everything was sent");
    }
}

void sender_close(struct sender *sender, uint32_t timeout_ms) {
    if (!sender_shut(sender, timeout_ms)) {
        stage_fail(sender->stage, "it cannot be closed");
    }
}

/* ---- what came of it ---- */

static void check_reports(const struct sender *sender) {
    struct stage *stage = sender->stage;
    size_t order[SENDER_PARTITIONS] = {0};
    if (sender->reported != sender->taken) {
        stage_fail(stage, "%zu messages were taken, %zu reported", sender->taken, sender->reported);
    }
    for (uint64_t i = 0; i < sender->next_token - sender->first_token; i++) {
        const struct sender_report *report = &sender->reports[i];
        if (report->fate == FATE_OPEN) {
            continue; /* PULSAR_SEND_REFUSED, or the counts would differ */
        }
        assert_true(report->partition < SENDER_PARTITIONS);
        if (sender->options.batching == PULSAR_BATCHING_KEY_BASED) {
            continue; /* the order is each key's */
        }
        if (report->order + 1 <= order[report->partition]) {
            stage_fail(stage,
                       "token %" PRIu64 " was reported before an earlier one of its partition",
                       sender->first_token + i);
        }
        order[report->partition] = report->order + 1;
    }
}

/* The token of a stored message; false: another sender's. */
static bool token_of(const struct fake_message *message, char id, uint64_t *ret_token) {
    return message->value_len > 2 && message->value[0] == id && message->value[1] == ':' &&
           sscanf(message->value + 2, "%" SCNu64 ":", ret_token) == 1;
}

void sender_check(struct sender *sender) {
    struct stage *stage = sender->stage;
    check_reports(sender);
    size_t count = (size_t)(sender->next_token - sender->first_token);
    unsigned char *times = calloc(count + 1, 1);
    assert_non_null(times);
    uint64_t next[SENDER_PARTITIONS] = {
        0}; /* the lowest token that may come next for the first time */
    const char *wrong_with = NULL;
    bool by_key = sender->options.batching == PULSAR_BATCHING_KEY_BASED;
    uint64_t token = 0;
    const struct fake_broker_store *store = fake_broker_lock(stage->broker);
    for (size_t i = 0; i < store->count && wrong_with == NULL; i++) {
        const struct fake_message *message = &store->messages[i];
        if (!token_of(message, sender->id, &token)) {
            continue;
        }
        uint32_t partition = message->partition < 0 ? 0 : (uint32_t)message->partition;
        uint64_t index = token - sender->first_token;
        if (index >= count || partition >= SENDER_PARTITIONS) {
            wrong_with = "was never sent";
        } else if (times[index] == 0 && token < next[partition] && !by_key) {
            wrong_with = "was stored behind a later one";
        } else if (times[index] > 0 && !sender->double_is_fine) {
            wrong_with = "was stored twice";
        } else if (sender->reports[index].fate == FATE_STORED &&
                   sender->reports[index].partition != partition) {
            wrong_with = "is in another partition than was said";
        } else if (sender->reports[index].fate == FATE_STORED && !sender->double_is_fine &&
                   sender->reports[index].entry_id != message->entry) {
            wrong_with = "is in another entry than was said";
        } else {
            next[partition] = times[index] == 0 ? token + 1 : next[partition];
            times[index] = 1;
        }
    }
    fake_broker_unlock(stage->broker);
    for (size_t i = 0; i < count && wrong_with == NULL; i++) {
        enum fate fate = sender->reports[i].fate;
        token = sender->first_token + i;
        if ((fate == FATE_STORED || fate == FATE_DUPLICATE) && times[i] == 0) {
            wrong_with = "has a receipt and is not stored";
        } else if ((fate == FATE_LOST || fate == FATE_REFUSED || fate == FATE_OPEN) &&
                   times[i] > 0) {
            wrong_with = "is stored, though it was said that it is not";
        }
    }
    free(times);
    if (wrong_with != NULL) {
        stage_fail(stage, "sender %c: message %" PRIu64 " %s", sender->id, token, wrong_with);
    }
}

void sender_finish(struct sender *sender) {
    sender_drain(sender);
    sender_close(sender, 10000);
    sender_check(sender);
}

void sender_check_keys(struct sender *sender) {
    const struct fake_broker_store *store = fake_broker_lock(sender->stage->broker);
    uint64_t next[64] = {0};
    uint64_t token = 0;
    bool ok = sender->keys > 0 && sender->keys <= 64;
    for (size_t i = 0; ok && i < store->count; i++) {
        if (token_of(&store->messages[i], sender->id, &token)) {
            ok = token >= next[token % sender->keys];
            next[token % sender->keys] = token + 1;
        }
    }
    fake_broker_unlock(sender->stage->broker);
    if (!ok) {
        stage_fail(sender->stage, "message %" PRIu64 " was stored behind a later one of its key",
                   token);
    }
}

bool sender_find(const struct sender *sender, const struct fake_broker_store *store, uint64_t token,
                 const struct fake_message **ret_message) {
    uint64_t found;
    for (size_t i = 0; i < store->count; i++) {
        if (token_of(&store->messages[i], sender->id, &found) && found == token) {
            *ret_message = &store->messages[i];
            return true;
        }
    }
    return false;
}
