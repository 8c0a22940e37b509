#include "source/reset.h"

#include <stdlib.h>

enum {
    AT_ONCE = 16,
    FRESH_MS = 30 * 60 * 1000, /* a d2pRead that leaves half an hour to begin in is as good */
    LATEST_SLACK_MS = 1000,    /* as at a first start: creation times are floored to the second */
};

/* One of the writes under way. */
struct writer {
    struct reset *reset;
    struct lease lease; /* of a lease that is made */
};

struct reset {
    struct reset_options options;
    reset_done *done;
    void *ctx;
    struct survey *survey;
    struct lease_table *leases;
    const struct survey_result *found;
    size_t next;
    struct writer writers[AT_ONCE];
    uint32_t writing;
    struct reset_result result;
    struct err err;
};

static void finish(struct reset *reset, const struct err *err) {
    reset->done(reset->ctx, err, err == NULL ? &reset->result : NULL);
}

bool reset_position(const struct reset_options *options, bool open, int64_t now_ms,
                    struct position *ret_position, int64_t *ret_start_ms) {
    *ret_start_ms = 0;
    switch (options->to) {
    case RESET_TRIM_HORIZON:
        *ret_position = (struct position){.kind = POSITION_TRIM_HORIZON};
        return true;
    case RESET_TIME:
        *ret_position = (struct position){.kind = POSITION_TRIM_HORIZON};
        *ret_start_ms = options->time_ms;
        return true;
    case RESET_NUMBER:
        *ret_position =
            (struct position){.kind = POSITION_SEQUENCE_NUMBER, .seqno = options->number};
        return true;
    case RESET_LATEST:
        break;
    }
    *ret_position = (struct position){.kind = open ? POSITION_LATEST : POSITION_SHARD_END};
    *ret_start_ms = open ? now_ms - LATEST_SLACK_MS : 0;
    return open;
}

/* ---- writing ---- */

static void write_next(struct writer *writer);

static void written(void *ctx, const struct err *err) {
    struct writer *writer = ctx;
    if (err != NULL && !err_is_set(&writer->reset->err)) {
        writer->reset->err = *err;
    }
    write_next(writer);
}

/* The parent stays what the item of a made lease says, so that KCL knows the lineage too. */
static bool make(struct writer *writer, const struct shard_node *node,
                 const struct lease_place *place) {
    struct reset *reset = writer->reset;
    writer->lease = (struct lease){
        .checkpoint = place->checkpoint,
        .start_ms = place->start_ms,
        .read_ms = place->read_ms,
        .stream = LEASE_STREAM_OURS,
    };
    if (!str_copy(str_of(node->id), writer->lease.key, sizeof writer->lease.key) ||
        (node->parent != NULL &&
         !str_copy(str_of(node->parent->id), writer->lease.parent, sizeof writer->lease.parent))) {
        err_set(&reset->err, ERR_STREAM, "shard id too long for a lease: %s", node->id);
        return false;
    }
    reset->result.made++;
    lease_table_create(reset->leases, &writer->lease, written, writer);
    return true;
}

static bool is_chosen(const struct reset *reset, const struct survey_shard *shard) {
    return shard->node != NULL && (reset->options.shard.ptr == NULL ||
                                   str_equal(reset->options.shard, str_of(shard->node->id)));
}

/* Begins the write for a shard. False when there is nothing to write. */
static bool write_shard(struct writer *writer, const struct survey_shard *shard) {
    struct reset *reset = writer->reset;
    int64_t now_ms = reset->found->server_time_ms;
    struct lease_place place = {.read_ms = shard_read_from_horizon_ms(now_ms)};
    bool needed = reset_position(&reset->options, shard->node->open, now_ms, &place.checkpoint,
                                 &place.start_ms);
    if (!shard->has_lease) {
        return needed && make(writer, shard->node, &place);
    }
    bool from_start = place.checkpoint.kind != POSITION_SEQUENCE_NUMBER;
    if (position_compare(&shard->lease.checkpoint, &place.checkpoint) == 0 &&
        shard->lease.start_ms == place.start_ms && shard->lease.owner[0] == '\0' &&
        (!from_start || shard->lease.read_ms > place.read_ms - FRESH_MS)) {
        reset->result.kept++;
        return false;
    }
    reset->result.changed++;
    lease_table_reset(reset->leases, &shard->lease, &place, written, writer);
    return true;
}

static void write_next(struct writer *writer) {
    struct reset *reset = writer->reset;
    while (reset->next < reset->found->count && !err_is_set(&reset->err)) {
        const struct survey_shard *shard = &reset->found->shards[reset->next++];
        if (is_chosen(reset, shard) && write_shard(writer, shard)) {
            return;
        }
    }
    reset->writing--;
    if (reset->writing == 0) {
        finish(reset, err_is_set(&reset->err) ? &reset->err : NULL);
    }
}

static void table_ready(void *ctx, const struct err *err) {
    struct reset *reset = ctx;
    if (err != NULL) {
        finish(reset, err);
        return;
    }
    reset->writing = AT_ONCE;
    for (size_t i = 0; i < AT_ONCE; i++) {
        reset->writers[i].reset = reset;
        write_next(&reset->writers[i]);
    }
}

/* ---- looking ---- */

static void surveyed(void *ctx, const struct err *err, const struct survey_result *result) {
    struct reset *reset = ctx;
    struct err refused = ERR_NONE;
    bool found = reset->options.shard.ptr == NULL;
    if (err != NULL) {
        finish(reset, err);
        return;
    }
    for (size_t i = 0; i < result->count && !err_is_set(&refused); i++) {
        const struct survey_shard *shard = &result->shards[i];
        found = found || is_chosen(reset, shard);
        if (shard->watch.moved) {
            err_set(&refused, ERR_CONFIG,
                    "worker %s reads shard %s: stop all workers of %.*s before a reset",
                    shard->lease.owner[0] != '\0' ? shard->lease.owner : "nobody", shard->lease.key,
                    STR_FMT(reset->options.survey.lease_table));
        }
    }
    if (!found && !err_is_set(&refused)) {
        err_set(&refused, ERR_CONFIG, "the stream has no shard %.*s",
                STR_FMT(reset->options.shard));
    }
    if (err_is_set(&refused)) {
        finish(reset, &refused);
        return;
    }
    reset->found = result;
    lease_table_ensure(reset->leases, table_ready, reset);
}

/* ---- life ---- */

struct reset *reset_start(const struct reset_options *options, reset_done *done, void *ctx) {
    struct reset *reset = calloc(1, sizeof *reset);
    if (reset == NULL) {
        return NULL;
    }
    reset->options = *options;
    reset->done = done;
    reset->ctx = ctx;
    reset->err = ERR_NONE;
    struct lease_table_options table_options = {
        .service = options->survey.table,
        .name = options->survey.lease_table,
        .worker_id = STR("reset"), /* takes nothing */
        .stream_arn = options->survey.stream_arn,
        .billing = options->billing,
    };
    reset->leases = lease_table_new(&table_options);
    reset->survey = survey_start(&options->survey, surveyed, reset);
    if (reset->leases == NULL || reset->survey == NULL) {
        reset_free(reset);
        return NULL;
    }
    return reset;
}

void reset_free(struct reset *reset) {
    if (reset == NULL) {
        return;
    }
    lease_table_free(reset->leases);
    survey_free(reset->survey);
    free(reset);
}
