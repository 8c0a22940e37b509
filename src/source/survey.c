#include "source/survey.h"

#include "source/record.h"

#include <stdlib.h>

enum { LAGS_AT_ONCE = 8 };

/* Asks for the first record behind one checkpoint after the other. */
struct probe {
    struct survey *survey;
    struct survey_shard *shard;
    struct service_call *call;
};

struct survey {
    struct survey_options options;
    survey_done *done;
    void *ctx;
    struct shard_graph *graph;
    struct lease_table *leases;
    struct service_call *call;
    struct lane_timer timer;
    char *list_from;
    int64_t server_time_ms;
    struct survey_shard *shards;
    size_t count;
    size_t capacity;
    uint32_t scans;
    struct probe probes[LAGS_AT_ONCE];
    size_t next_probe; /* the next shard to probe */
    uint32_t probing;
    struct survey_result result;
};

static void finish(struct survey *survey, const struct err *err) {
    survey->result.server_time_ms = survey->server_time_ms;
    survey->result.shards = survey->shards;
    survey->result.count = survey->count;
    survey->done(survey->ctx, err, err == NULL ? &survey->result : NULL);
}

static void finish_memory(struct survey *survey) {
    struct err err;
    err_set(&err, ERR_NOMEM, "no memory for the shards of the stream");
    finish(survey, &err);
}

/* ---- lags ---- */

static void probe_next(struct probe *probe);

static void probed(struct probe *probe, enum survey_lag lag, uint64_t behind_ms) {
    probe->shard->lag = lag;
    probe->shard->behind_ms = behind_ms;
    probe_next(probe);
}

static void records_got(void *ctx, const struct err *err, struct page *page) {
    struct probe *probe = ctx;
    probe->call = NULL;
    if (err != NULL) {
        probed(probe, err->code == ERR_AWS_TRIMMED ? SURVEY_LAG_LOST : SURVEY_LAG_UNKNOWN, 0);
        return;
    }
    struct record_page walk;
    struct record record;
    struct err broken = ERR_NONE;
    enum survey_lag lag = SURVEY_LAG_UNKNOWN;
    uint64_t behind_ms = 0;
    if (record_page_open(&walk, str_make(page->data, page->len), &broken)) {
        if (record_page_next(&walk, &record, &broken)) {
            int64_t age_ms = probe->survey->server_time_ms - record.created_ms;
            lag = record.has_created ? SURVEY_LAG_BEHIND : SURVEY_LAG_UNKNOWN;
            behind_ms = age_ms > 0 ? (uint64_t)age_ms : 0;
        } else if (!err_is_set(&broken)) {
            lag = SURVEY_LAG_NONE;
        }
    }
    page_free(page);
    probed(probe, lag, behind_ms);
}

static void iterator_got(void *ctx, const struct err *err, struct str iterator,
                         int64_t server_time_ms) {
    struct probe *probe = ctx;
    struct survey *survey = probe->survey;
    probe->call = NULL;
    if (err != NULL) {
        bool lost = err->code == ERR_AWS_TRIMMED || err->code == ERR_AWS_NOT_FOUND;
        probed(probe, lost ? SURVEY_LAG_LOST : SURVEY_LAG_UNKNOWN, 0);
        return;
    }
    survey->server_time_ms = server_time_ms > 0 ? server_time_ms : survey->server_time_ms;
    probe->call = streams_get_records(survey->options.streams, iterator, 1, records_got, probe);
    if (probe->call == NULL) {
        probed(probe, SURVEY_LAG_UNKNOWN, 0);
    }
}

static bool wants_lag(const struct survey_shard *shard) {
    enum position_kind at = shard->lease.checkpoint.kind;
    return shard->node != NULL && shard->has_lease &&
           (at == POSITION_SEQUENCE_NUMBER || at == POSITION_TRIM_HORIZON);
}

static void probe_next(struct probe *probe) {
    struct survey *survey = probe->survey;
    while (survey->next_probe < survey->count) {
        probe->shard = &survey->shards[survey->next_probe++];
        if (!wants_lag(probe->shard)) {
            continue;
        }
        const struct position *at = &probe->shard->lease.checkpoint;
        bool number = at->kind == POSITION_SEQUENCE_NUMBER;
        char text[SEQNO_MAX_DIGITS + 1];
        size_t len = position_format(at, text);
        probe->call = streams_get_iterator(
            survey->options.streams, survey->options.stream_arn, str_of(probe->shard->node->id),
            number ? ITERATOR_AFTER_SEQUENCE_NUMBER : ITERATOR_TRIM_HORIZON,
            number ? str_make(text, len) : STR_NONE, iterator_got, probe);
        if (probe->call != NULL) {
            return;
        }
    }
    survey->probing--;
    if (survey->probing == 0) {
        finish(survey, NULL);
    }
}

static void probe_all(struct survey *survey) {
    survey->probing = LAGS_AT_ONCE;
    for (size_t i = 0; i < LAGS_AT_ONCE; i++) {
        survey->probes[i].survey = survey;
        probe_next(&survey->probes[i]);
    }
}

/* ---- leases ---- */

static struct survey_shard *add_shard(struct survey *survey, struct shard_node *node) {
    if (survey->shards == NULL || survey->count == survey->capacity) {
        size_t capacity = survey->capacity == 0 ? 64 : survey->capacity * 2;
        struct survey_shard *shards = realloc(survey->shards, capacity * sizeof *shards);
        if (shards == NULL) {
            return NULL;
        }
        survey->shards = shards;
        survey->capacity = capacity;
    }
    struct survey_shard *shard = &survey->shards[survey->count++];
    *shard = (struct survey_shard){.node = node};
    return shard;
}

/* By number, since the array moves while it grows. */
static struct survey_shard *find_shard(struct survey *survey, const struct lease *lease) {
    struct str key = str_of(lease->key);
    struct shard_node *node = shard_graph_find(survey->graph, key);
    if (node != NULL) {
        return &survey->shards[(size_t)(uintptr_t)node->user];
    }
    for (size_t i = survey->count; i > 0 && survey->shards[i - 1].node == NULL; i--) {
        struct survey_shard *shard = &survey->shards[i - 1];
        if (str_is(key, shard->lease.key)) {
            return shard;
        }
    }
    return NULL;
}

static void saw(void *ctx, const struct lease *lease, struct str stream) {
    (void)stream;
    struct survey *survey = ctx;
    struct survey_shard *shard = find_shard(survey, lease);
    if (shard == NULL && lease->stream == LEASE_STREAM_OTHER) {
        survey->result.other_leases += survey->scans == 0 ? 1 : 0;
        return;
    }
    if (shard == NULL) {
        shard = add_shard(survey, NULL);
    }
    if (shard != NULL) { /* out of memory: it is left out */
        shard->has_lease = true;
        shard->lease = *lease;
        lease_watch_see(&shard->watch, lease->counter, lane_now_ns(survey->options.lane));
    }
}

static void scanned(void *ctx, const struct err *err);

static void scan(void *ctx) {
    struct survey *survey = ctx;
    lease_table_scan(survey->leases, saw, scanned, survey);
}

static void scanned(void *ctx, const struct err *err) {
    struct survey *survey = ctx;
    survey->scans++;
    if (err != NULL && err->code != ERR_TABLE_GONE) {
        finish(survey, err);
        return;
    }
    survey->result.has_table = err == NULL;
    if (err == NULL && survey->scans == 1 && survey->options.watch_ms > 0) {
        lane_timer_init(&survey->timer, survey->options.lane, scan, survey);
        lane_timer_set_ms(&survey->timer, survey->options.watch_ms);
    } else if (survey->options.lags) {
        probe_all(survey);
    } else {
        finish(survey, NULL);
    }
}

/* ---- shards ---- */

static void listed(struct survey *survey) {
    shard_graph_end(survey->graph, NULL, NULL);
    size_t count = 0;
    struct err err = ERR_NONE;
    struct shard_node *const *nodes = shard_graph_sorted(survey->graph, &count, &err);
    if (nodes == NULL) {
        finish(survey, &err);
        return;
    }
    for (size_t i = 0; i < count; i++) {
        /* Its number. NOLINTNEXTLINE(performance-no-int-to-ptr) */
        nodes[i]->user = (void *)(uintptr_t)i;
        if (add_shard(survey, nodes[i]) == NULL) {
            finish_memory(survey);
            return;
        }
    }
    scan(survey);
}

static void list_page(void *ctx);

static void page_got(void *ctx, const struct err *err,
                     const struct stream_description *description) {
    struct survey *survey = ctx;
    struct err broken = ERR_NONE;
    survey->call = NULL;
    if (err != NULL) {
        finish(survey, err);
        return;
    }
    survey->result.status = description->status;
    survey->server_time_ms = description->server_time_ms > 0 ? description->server_time_ms
                                                             : lane_wall_ms(survey->options.lane);
    if (!shard_graph_add(survey->graph, description->shards, description->shard_count, &broken)) {
        finish(survey, &broken);
        return;
    }
    const char *next = description->last_evaluated_shard_id;
    bool repeats =
        next != NULL && survey->list_from != NULL && strcmp(next, survey->list_from) == 0;
    if (next == NULL || repeats) {
        listed(survey);
        return;
    }
    free(survey->list_from);
    survey->list_from = str_dup(str_of(next));
    if (survey->list_from == NULL) {
        finish_memory(survey);
        return;
    }
    lane_timer_init(&survey->timer, survey->options.lane, list_page, survey);
    lane_timer_set_ms(&survey->timer, 1000 / survey->options.describe_rate);
}

static void list_page(void *ctx) {
    struct survey *survey = ctx;
    survey->call = streams_describe(survey->options.streams, survey->options.stream_arn,
                                    str_of(survey->list_from), STR_NONE, page_got, survey);
    if (survey->call == NULL) {
        finish_memory(survey);
    }
}

/* ---- life ---- */

struct survey *survey_start(const struct survey_options *options, survey_done *done, void *ctx) {
    struct survey *survey = calloc(1, sizeof *survey);
    if (survey == NULL) {
        return NULL;
    }
    survey->options = *options;
    survey->done = done;
    survey->ctx = ctx;
    survey->graph = shard_graph_new();
    struct lease_table_options table_options = {
        .service = options->table,
        .name = options->lease_table,
        .worker_id = STR("survey"), /* takes nothing */
        .stream_arn = options->stream_arn,
    };
    survey->leases = lease_table_new(&table_options);
    if (survey->graph == NULL || survey->leases == NULL) {
        survey_free(survey);
        return NULL;
    }
    shard_graph_begin(survey->graph);
    lane_timer_init(&survey->timer, options->lane, list_page, survey);
    lane_timer_set_ms(&survey->timer, 0);
    return survey;
}

void survey_free(struct survey *survey) {
    if (survey == NULL) {
        return;
    }
    lane_timer_cancel(&survey->timer);
    service_cancel(survey->options.streams, survey->call);
    for (size_t i = 0; i < LAGS_AT_ONCE; i++) {
        service_cancel(survey->options.streams, survey->probes[i].call);
    }
    lease_table_free(survey->leases);
    shard_graph_free(survey->graph);
    free(survey->list_from);
    free(survey->shards);
    free(survey);
}
