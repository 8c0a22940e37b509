#include "source/sweep.h"

#include "base/log.h"

#include <aws/common/byte_buf.h>

#include <stdlib.h>

enum {
    LISTINGS_ENOUGH = 2,
    LISTINGS_YOUNG = 8, /* for an id that tells a time at which it cannot be trimmed */
    DELETES_AT_ONCE = 8,
};
static const int64_t FINISHED_AGE_MS = INT64_C(6) * 60 * 60 * 1000; /* KCL's */

struct stray {
    struct aws_byte_cursor key; /* of lease.key */
    struct sweep *sweep;
    struct lease lease;
    char *stream; /* its ARN; empty when it has none */
    enum stray_kind kind;
    struct lease_watch watch;
    uint32_t scan;  /* that saw it last */
    uint32_t since; /* listings before it was first seen */
    bool told;      /* its loss was told */
    bool deleting;
};

/* ---- judging ---- */

/* "arn:...:table/name" of a stream's ARN; the whole text when it has another form. */
static struct str table_of(struct str arn) {
    static const char mark[] = "/stream/";
    const char *at = arn.len > 0 ? memmem(arn.ptr, arn.len, mark, sizeof mark - 1) : NULL;
    return at != NULL ? str_make(arn.ptr, (size_t)(at - arn.ptr)) : arn;
}

enum stray_kind stray_kind_of(enum lease_stream stream, struct str theirs, struct str ours) {
    switch (stream) {
    case LEASE_STREAM_OURS:
        return STRAY_OURS;
    case LEASE_STREAM_NONE:
        return STRAY_UNNAMED;
    case LEASE_STREAM_OTHER:
        break;
    }
    /* Labels are times. A newer one of this table is no loss to whoever reads the older to its end. */
    size_t len = theirs.len < ours.len ? theirs.len : ours.len;
    bool older = memcmp(theirs.ptr, ours.ptr, len) < 0;
    return older && str_equal(table_of(theirs), table_of(ours)) ? STRAY_OLDER : STRAY_FOREIGN;
}

enum stray_verdict stray_judge(const struct stray_facts *facts) {
    bool named_other = facts->kind == STRAY_OLDER || facts->kind == STRAY_FOREIGN;
    bool young = facts->may_be_young && !named_other;
    bool unlisted = facts->listings >= (young ? LISTINGS_YOUNG : LISTINGS_ENOUGH);
    if (facts->kind == STRAY_OURS && facts->moved) { /* a worker may know of a shard before we do */
        return unlisted ? STRAY_LEAVE : STRAY_WAIT;
    }
    if (facts->moved && !facts->finished) {
        return named_other || unlisted ? STRAY_CONFLICT : STRAY_WAIT;
    }
    if (facts->moved || facts->kind == STRAY_FOREIGN) {
        return STRAY_LEAVE; /* Java workers go on renewing what is finished */
    }
    if (!facts->expired || !unlisted) {
        return facts->finished ? STRAY_LEAVE : STRAY_WAIT;
    }
    return facts->finished ? STRAY_GARBAGE : STRAY_LOST;
}

/* ---- the strays ---- */

static void stray_free(void *value) {
    struct stray *stray = value;
    free(stray->stream);
    free(stray);
}

static struct stray *find(struct sweep *sweep, struct str id) {
    struct aws_byte_cursor key = aws_byte_cursor_from_array(id.ptr, id.len);
    struct aws_hash_element *element = NULL;
    if (sweep->has_strays) {
        (void)aws_hash_table_find(&sweep->strays, &key, &element); /* cannot fail */
    }
    return element != NULL ? element->value : NULL;
}

static void forget(struct sweep *sweep, struct stray *stray) {
    (void)aws_hash_table_remove(&sweep->strays, &stray->key, NULL, NULL);
}

static struct stray *add(struct sweep *sweep, const struct lease *lease, struct str stream) {
    struct stray *stray = calloc(1, sizeof *stray);
    char *copy = str_dup(stream);
    if (stray == NULL || copy == NULL) {
        free(stray);
        free(copy);
        return NULL;
    }
    stray->sweep = sweep;
    stray->lease = *lease;
    stray->stream = copy;
    stray->key = aws_byte_cursor_from_c_str(stray->lease.key);
    stray->kind = stray_kind_of(lease->stream, stream, sweep->common->options.stream_arn);
    stray->since = sweep->listings;
    if (aws_hash_table_put(&sweep->strays, &stray->key, stray, NULL) != AWS_OP_SUCCESS) {
        stray_free(stray);
        return NULL;
    }
    LOG_INFO("lease", "of-unlisted-shard", LOG_TEXT("shard", lease->key),
             LOG_STR("stream", stream));
    return stray;
}

void sweep_see(struct sweep *sweep, const struct lease *lease, struct str stream) {
    struct stray *stray = find(sweep, str_of(lease->key));
    if (stray == NULL) {
        stray = add(sweep, lease, stream);
    }
    if (stray == NULL) {
        return; /* out of memory: it is seen again */
    }
    stray->scan = sweep->scan;
    if (!stray->deleting) {
        stray->lease = *lease;
    }
    lease_watch_see(&stray->watch, lease->counter, lane_now_ns(sweep->common->lane));
}

static void deleted(void *ctx, const struct err *err) {
    struct stray *stray = ctx;
    struct sweep *sweep = stray->sweep;
    sweep->deletes--;
    stray->deleting = false;
    if (err == NULL) {
        LOG_INFO("lease", "deleted", LOG_TEXT("shard", stray->lease.key));
        forget(sweep, stray);
    } else { /* the next scan shows what is */
        LOG_WARN("lease", "not-deleted", LOG_TEXT("shard", stray->lease.key), LOG_ERR(err));
    }
}

static void drop(struct sweep *sweep, struct stray *stray) {
    if (!stray->deleting && sweep->deletes < DELETES_AT_ONCE) {
        stray->deleting = true;
        sweep->deletes++;
        lease_table_delete(sweep->table, &stray->lease, deleted, stray);
    }
}

/* ---- what is told ---- */

/* True: go on without what was lost. */
static bool tell_lost(struct sweep *sweep, const struct stray *stray) {
    const struct source_options *options = &sweep->common->options;
    char after[SEQNO_MAX_DIGITS + 1];
    position_format(&stray->lease.checkpoint, after);
    LOG_ERROR("shard", "data-lost", LOG_TEXT("shard", stray->lease.key), LOG_TEXT("after", after),
              LOG_TEXT("stream", stray->stream));
    sweep->events.gap(sweep->ctx);
    if (options->continue_after_loss) {
        return true;
    }
    struct err err;
    if (stray->kind == STRAY_OLDER) {
        err_set(&err, ERR_DATA_LOSS,
                "lease table %.*s has unfinished leases of %s, the stream that the table had "
                "before (shard %s, read up to %s): to read what it still holds, run with that ARN "
                "until all is caught up; to go on without: onDataLoss: continue",
                STR_FMT(options->lease_table), stray->stream, stray->lease.key, after);
    } else {
        err_set(&err, ERR_DATA_LOSS,
                "shard %s is gone from the stream, and only read up to %s; its checkpoint is left "
                "as it is; to go on without: onDataLoss: continue",
                stray->lease.key, after);
    }
    sweep->events.failed(sweep->ctx, &err);
    return false;
}

static void tell_conflict(struct sweep *sweep, const struct stray *stray) {
    const struct source_options *options = &sweep->common->options;
    struct err err;
    err_set(&err, ERR_CONFIG,
            "lease table %.*s is in use for another stream%s%s: worker %s reads shard %s; give "
            "each stream an applicationName of its own",
            STR_FMT(options->lease_table), stray->stream[0] != '\0' ? ", " : "", stray->stream,
            stray->lease.owner[0] != '\0' ? stray->lease.owner : "nobody", stray->lease.key);
    sweep->events.failed(sweep->ctx, &err);
}

static bool is_finished(const struct lease *lease) {
    return lease->checkpoint.kind == POSITION_SHARD_END;
}

static bool has_expired(const struct sweep *sweep, const struct stray *stray,
                        uint64_t scan_began_ns) {
    return lease_watch_has_expired(&stray->watch, scan_began_ns,
                                   sweep->common->options.failover_ms * UINT64_C(1000000));
}

static enum stray_verdict judge(const struct sweep *sweep, const struct stray *stray,
                                uint64_t scan_began_ns, int64_t now_ms) {
    int64_t created_ms;
    struct stray_facts facts = {
        .kind = stray->kind,
        .finished = is_finished(&stray->lease),
        .moved = stray->watch.moved,
        .expired = lease_watch_has_expired(&stray->watch, scan_began_ns,
                                           sweep->common->options.failover_ms * UINT64_C(1000000)),
        .may_be_young = shard_id_created_ms(str_of(stray->lease.key), &created_ms) &&
                        created_ms > now_ms - SHARD_RETENTION_MS,
        /* The first listing to end may have begun before it was seen. */
        .listings = sweep->listings > stray->since ? sweep->listings - stray->since - 1 : 0,
    };
    return stray_judge(&facts);
}

struct judgement {
    struct sweep *sweep;
    uint64_t scan_began_ns;
    int64_t now_ms;
};

static int act(void *ctx, struct aws_hash_element *element) {
    const struct judgement *judgement = ctx;
    struct sweep *sweep = judgement->sweep;
    struct stray *stray = element->value;
    if (stray->scan != sweep->scan && !stray->deleting) {
        stray_free(stray); /* an iteration that deletes does not free */
        return AWS_COMMON_HASH_TABLE_ITER_CONTINUE | AWS_COMMON_HASH_TABLE_ITER_DELETE;
    }
    if (sweep->stopped) {
        return 0; /* an event has ended it */
    }
    enum stray_verdict verdict = judge(sweep, stray, judgement->scan_began_ns, judgement->now_ms);
    bool living =
        stray->lease.owner[0] != '\0' && !has_expired(sweep, stray, judgement->scan_began_ns);
    bool seen_once = living && !stray->watch.moved && !is_finished(&stray->lease);
    sweep->unsure = sweep->unsure || (stray->kind != STRAY_OURS && seen_once) ||
                    (stray->kind == STRAY_UNNAMED && stray->watch.moved && verdict == STRAY_WAIT);
    switch (verdict) {
    case STRAY_WAIT:
        sweep->waiting = true;
        break;
    case STRAY_LEAVE:
        break;
    case STRAY_GARBAGE:
        drop(sweep, stray);
        break;
    case STRAY_LOST:
        stray->told = stray->told || tell_lost(sweep, stray);
        if (stray->told) {
            drop(sweep, stray);
        }
        break;
    case STRAY_CONFLICT:
        tell_conflict(sweep, stray);
        break;
    }
    return AWS_COMMON_HASH_TABLE_ITER_CONTINUE;
}

void sweep_begin_scan(struct sweep *sweep) {
    sweep->scan++;
    sweep->finished = 0;
}

void sweep_end_scan(struct sweep *sweep, uint64_t scan_began_ns, int64_t now_ms) {
    struct judgement judgement = {
        .sweep = sweep,
        .scan_began_ns = scan_began_ns,
        .now_ms = now_ms,
    };
    sweep->waiting = false;
    sweep->unsure = false;
    if (sweep->has_strays) {
        (void)aws_hash_table_foreach(&sweep->strays, act, &judgement);
    }
}

void sweep_listed(struct sweep *sweep) {
    sweep->listings++;
}

bool sweep_is_waiting(const struct sweep *sweep) {
    return sweep->waiting;
}

bool sweep_is_unsure(const struct sweep *sweep) {
    return sweep->unsure;
}

bool sweep_awaits(struct sweep *sweep, struct str id) {
    const struct stray *stray = id.len > 0 ? find(sweep, id) : NULL;
    bool ours = stray != NULL && (stray->kind == STRAY_OURS || stray->kind == STRAY_UNNAMED);
    return ours && !stray->told && !is_finished(&stray->lease);
}

/* ---- finished ones ---- */

static void finished_deleted(void *ctx, const struct err *err) {
    struct shard *shard = ctx;
    if (err == NULL) {
        LOG_INFO("lease", "deleted", LOG_TEXT("shard", shard->node->id));
        shard->has_lease = false;
    } else {
        LOG_WARN("lease", "not-deleted", LOG_TEXT("shard", shard->node->id), LOG_ERR(err));
    }
    shard_settle(shard);
}

void sweep_finished(struct sweep *sweep, struct shard *shard, int64_t now_ms) {
    int64_t created_ms;
    bool held = shard->lease.owner[0] != '\0' && !shard->expired;
    if (shard->state != SHARD_FINISHED || !shard->has_lease || held ||
        sweep->finished == DELETES_AT_ONCE || shard->node->first_child == NULL ||
        !shard_id_created_ms(str_of(shard->node->id), &created_ms) ||
        created_ms > now_ms - FINISHED_AGE_MS) {
        return;
    }
    for (const struct shard_node *node = shard->node->first_child; node != NULL;
         node = node->next_sibling) {
        const struct shard *child = node->user;
        if (child == NULL || !child->has_lease || child->state != SHARD_FINISHED) {
            return;
        }
    }
    sweep->finished++;
    shard_set_state(shard, SHARD_CLAIMING); /* the node stays until the answer is here */
    lease_table_delete(sweep->table, &shard->lease, finished_deleted, shard);
}

/* ---- life ---- */

bool sweep_init(struct sweep *sweep, const struct source_common *common, struct lease_table *table,
                const struct sweep_events *events, void *ctx) {
    *sweep = (struct sweep){
        .common = common,
        .table = table,
        .events = *events,
        .ctx = ctx,
    };
    sweep->has_strays =
        aws_hash_table_init(&sweep->strays, aws_default_allocator(), 16, aws_hash_byte_cursor_ptr,
                            aws_byte_cursor_eq_cb, NULL, stray_free) == AWS_OP_SUCCESS;
    return sweep->has_strays;
}

void sweep_stop(struct sweep *sweep) {
    sweep->stopped = true;
}

void sweep_done(struct sweep *sweep) {
    if (sweep->has_strays) {
        aws_hash_table_clean_up(&sweep->strays);
        sweep->has_strays = false;
    }
}
