#include "cli/survey_report.h"

#include <inttypes.h>
#include <stdlib.h>

/* ---- what is counted ---- */

struct worker_load {
    struct str id;
    uint32_t shards; /* unfinished leases */
    bool alive;
};

struct totals {
    struct worker_load *workers;
    size_t worker_count;
    uint32_t open;
    uint32_t finished;
    uint32_t unfinished;
    uint32_t unowned; /* of these */
    uint32_t no_lease;
    uint32_t unlisted; /* leases without a shard */
    uint32_t lost;
    uint64_t behind_ms;
    const char *most_behind; /* NULL: none */
};

static bool is_finished(const struct survey_shard *shard) {
    return shard->has_lease && shard->lease.checkpoint.kind == POSITION_SHARD_END;
}

static void count_owner(struct totals *totals, const struct survey_shard *shard) {
    struct str owner = str_of(shard->lease.owner);
    size_t i = 0;
    while (i < totals->worker_count && !str_equal(totals->workers[i].id, owner)) {
        i++;
    }
    if (i == totals->worker_count) {
        totals->workers[totals->worker_count++] = (struct worker_load){.id = owner};
    }
    totals->workers[i].shards++;
    totals->workers[i].alive = totals->workers[i].alive || shard->watch.moved;
}

static void count_shard(struct totals *totals, const struct survey_shard *shard) {
    totals->open += shard->node != NULL && shard->node->open;
    totals->no_lease += !shard->has_lease;
    totals->unlisted += shard->node == NULL;
    totals->finished += is_finished(shard);
    totals->lost += shard->lag == SURVEY_LAG_LOST;
    if (!shard->has_lease || is_finished(shard)) {
        return;
    }
    totals->unfinished++;
    if (shard->lease.owner[0] == '\0') {
        totals->unowned++;
    } else {
        count_owner(totals, shard);
    }
    if (shard->lag == SURVEY_LAG_BEHIND &&
        (totals->most_behind == NULL || shard->behind_ms > totals->behind_ms)) {
        totals->behind_ms = shard->behind_ms;
        totals->most_behind = shard->lease.key;
    }
}

static bool count_all(struct totals *totals, const struct survey_result *result) {
    *totals = (struct totals){.open = 0};
    totals->workers = calloc(result->count + 1, sizeof *totals->workers);
    for (size_t i = 0; i < result->count && totals->workers != NULL; i++) {
        count_shard(totals, &result->shards[i]);
    }
    return totals->workers != NULL;
}

/* ---- words ---- */

static const char *status_name(enum stream_status status) {
    static const char *const names[] = {"ENABLING", "ENABLED", "DISABLING", "DISABLED", "UNKNOWN"};
    return names[status];
}

static const char *state_of(const struct survey_shard *shard) {
    return shard->node == NULL ? "unlisted" : shard->node->open ? "open" : "closed";
}

static void add_checkpoint(struct buf *to, const struct survey_shard *shard) {
    char text[SEQNO_MAX_DIGITS + 1] = "";
    if (shard->has_lease) {
        position_format(&shard->lease.checkpoint, text);
    }
    buf_add_text(to, shard->has_lease ? text : "no lease");
}

static void add_duration(struct buf *to, uint64_t ms) {
    uint64_t s = ms / 1000;
    if (s < 120) {
        buf_add_format(to, "%" PRIu64 " s", s);
    } else if (s < 7200) {
        buf_add_format(to, "%" PRIu64 " min", s / 60);
    } else {
        buf_add_format(to, "%" PRIu64 " h %" PRIu64 " min", s / 3600, s / 60 % 60);
    }
}

static void add_lag(struct buf *to, const struct survey_shard *shard) {
    switch (shard->lag) {
    case SURVEY_LAG_BEHIND:
        buf_add_text(to, "  behind ");
        add_duration(to, shard->behind_ms);
        break;
    case SURVEY_LAG_LOST:
        buf_add_text(to, "  what follows is trimmed");
        break;
    case SURVEY_LAG_NONE:
    case SURVEY_LAG_UNKNOWN:
        break;
    }
}

static void add_json_text(struct buf *to, const char *name, const char *text) {
    buf_add_format(to, ",\"%s\":", name);
    buf_add_json_string(to, str_of(text));
}

/* ---- shards ---- */

static void add_shard_json(struct buf *to, const struct survey_shard *shard) {
    const struct lease *lease = &shard->lease;
    buf_add_text(to, "{\"shardId\":");
    buf_add_json_string(to, str_of(shard->node != NULL ? shard->node->id : lease->key));
    add_json_text(to, "state", state_of(shard));
    if (shard->node != NULL && shard->node->parent != NULL) {
        add_json_text(to, "parentShardId", shard->node->parent->id);
    }
    if (shard->has_lease) {
        char checkpoint[SEQNO_MAX_DIGITS + 1];
        position_format(&lease->checkpoint, checkpoint);
        add_json_text(to, "checkpoint", checkpoint);
        buf_add_format(to, ",\"counter\":%" PRIu64, lease->counter);
        if (lease->owner[0] != '\0') {
            add_json_text(to, "owner", lease->owner);
        }
        if (lease->wanted_by[0] != '\0') {
            add_json_text(to, "wantedBy", lease->wanted_by);
        }
    }
    if (shard->lag == SURVEY_LAG_BEHIND) {
        buf_add_format(to, ",\"behindMs\":%" PRIu64, shard->behind_ms);
    } else if (shard->lag != SURVEY_LAG_UNKNOWN) {
        buf_add_text(to, shard->lag == SURVEY_LAG_LOST ? ",\"lost\":true" : ",\"behindMs\":0");
    }
    buf_add_char(to, '}');
}

static void add_shard_text(struct buf *to, const struct survey_shard *shard) {
    buf_add_format(to, "%-8s  %s", state_of(shard),
                   shard->node != NULL ? shard->node->id : shard->lease.key);
    if (shard->node != NULL && shard->node->parent != NULL) {
        buf_add_format(to, "  of %s", shard->node->parent->id);
    }
    buf_add_text(to, "  ");
    add_checkpoint(to, shard);
    if (shard->has_lease && shard->lease.owner[0] != '\0' && !is_finished(shard)) {
        buf_add_format(to, "  %s", shard->lease.owner);
    }
    add_lag(to, shard);
    buf_add_char(to, '\n');
}

void survey_report_shards(struct buf *to, const struct config *config,
                          const struct survey_result *result, bool json) {
    if (!json) {
        for (size_t i = 0; i < result->count; i++) {
            add_shard_text(to, &result->shards[i]);
        }
        return;
    }
    buf_add_text(to, "{\"stream\":");
    buf_add_json_string(to, str_of(config->stream_arn));
    add_json_text(to, "status", status_name(result->status));
    add_json_text(to, "leaseTable", config->lease_table);
    buf_add_text(to, ",\"shards\":[");
    for (size_t i = 0; i < result->count; i++) {
        buf_add_text(to, i > 0 ? ",\n" : "\n");
        add_shard_json(to, &result->shards[i]);
    }
    buf_add_text(to, "]}\n");
}

/* ---- status ---- */

/* An idle shard is read every maxPollInterval. Prices of us-east-1; a month has 30 days. */
struct polling {
    double reads; /* a month */
    double dollars;
};

static struct polling polling_of(const struct config *config, uint32_t open) {
    static const double month_ms = 30.0 * 24 * 3600 * 1000;
    static const double free_reads = 2500000;
    struct polling polling = {.reads = month_ms / config->max_poll_interval_ms * open};
    double paid = polling.reads > free_reads ? polling.reads - free_reads : 0;
    polling.dollars = paid / 100000 * 0.02;
    return polling;
}

static void add_status_json(struct buf *to, const struct config *config,
                            const struct survey_result *result, const struct totals *totals) {
    struct polling polling = polling_of(config, totals->open);
    buf_add_text(to, "{\"stream\":");
    buf_add_json_string(to, str_of(config->stream_arn));
    add_json_text(to, "status", status_name(result->status));
    add_json_text(to, "leaseTable", config->lease_table);
    buf_add_format(to,
                   ",\"leaseTableExists\":%s,\"openShards\":%u,\"finishedShards\":%u"
                   ",\"unfinishedShards\":%u,\"shardsWithoutOwner\":%u,\"shardsWithoutLease\":%u"
                   ",\"leasesWithoutShard\":%u,\"leasesOfOtherStreams\":%zu,\"shardsWithLoss\":%u"
                   ",\"behindMs\":%" PRIu64 ",\"idleReadsPerMonth\":%.0f"
                   ",\"idleDollarsPerMonth\":%.2f,\"workers\":[",
                   result->has_table ? "true" : "false", totals->open, totals->finished,
                   totals->unfinished, totals->unowned, totals->no_lease, totals->unlisted,
                   result->other_leases, totals->lost, totals->behind_ms, polling.reads,
                   polling.dollars);
    for (size_t i = 0; i < totals->worker_count; i++) {
        buf_add_text(to, i > 0 ? ",{\"id\":" : "{\"id\":");
        buf_add_json_string(to, totals->workers[i].id);
        buf_add_format(to, ",\"shards\":%u,\"alive\":%s}", totals->workers[i].shards,
                       totals->workers[i].alive ? "true" : "false");
    }
    buf_add_text(to, "]}\n");
}

static void add_status_text(struct buf *to, const struct config *config,
                            const struct survey_result *result, const struct totals *totals) {
    struct polling polling = polling_of(config, totals->open);
    buf_add_format(to, "stream    %s (%s)\n", config->stream_arn, status_name(result->status));
    buf_add_format(to, "leases    %s%s\n", config->lease_table,
                   result->has_table ? "" : " (does not exist yet)");
    if (result->other_leases > 0) {
        buf_add_format(to, "          %zu leases of other streams are in this table\n",
                       result->other_leases);
    }
    buf_add_format(to, "shards    %u open; %u read to their end, %u not, %u without a lease\n",
                   totals->open, totals->finished, totals->unfinished, totals->no_lease);
    if (totals->unlisted > 0) {
        buf_add_format(to, "          %u leases have no shard any more\n", totals->unlisted);
    }
    for (size_t i = 0; i < totals->worker_count; i++) {
        buf_add_format(to, "worker    %.*s: %u shards%s\n", STR_FMT(totals->workers[i].id),
                       totals->workers[i].shards,
                       totals->workers[i].alive ? "" : ", no sign of life");
    }
    if (totals->unowned > 0) {
        buf_add_format(to, "nobody    %u shards\n", totals->unowned);
    }
    if (totals->lost > 0) {
        buf_add_format(to, "lost      behind the checkpoints of %u shards, records are trimmed\n",
                       totals->lost);
    }
    buf_add_text(to, "behind    ");
    if (totals->most_behind != NULL) {
        add_duration(to, totals->behind_ms);
        buf_add_format(to, " at most, by checkpoint (%s)\n", totals->most_behind);
    } else {
        buf_add_text(to, "nothing that is not checkpointed was found\n");
    }
    buf_add_format(to,
                   "cost      idle, %.1f million reads a month, about $%.2f (at $0.02 per 100,000 "
                   "behind 2.5 million; maxPollInterval %u ms)\n",
                   polling.reads / 1e6, polling.dollars, config->max_poll_interval_ms);
}

void survey_report_status(struct buf *to, const struct config *config,
                          const struct survey_result *result, bool json) {
    struct totals totals;
    if (!count_all(&totals, result)) {
        to->failed = true;
    } else if (json) {
        add_status_json(to, config, result, &totals);
    } else {
        add_status_text(to, config, result, &totals);
    }
    free(totals.workers);
}
