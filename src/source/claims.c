#include "source/claims.h"

#include "base/log.h"

#include <stdlib.h>

enum { AT_ONCE = 32 };

static uint64_t now_ns(const struct claims *claims) {
    return lane_now_ns(claims->common->lane);
}

static uint64_t failover_ns(const struct claims *claims) {
    return claims->common->options.failover_ms * UINT64_C(1000000);
}

static void pump(struct claims *claims);

/* ---- taking ---- */

static void settled(struct claims *claims) {
    claims->under_way--;
    pump(claims);
    claims->events.settled(claims->ctx);
}

static bool is_mine(const struct claims *claims, const struct shard *shard) {
    return str_equal(str_of(shard->lease.owner), claims->common->options.worker_id);
}

/* By this worker. */
static bool is_wanted(const struct claims *claims, const struct shard *shard) {
    return str_equal(str_of(shard->lease.wanted_by), claims->common->options.worker_id);
}

static void given_back(void *ctx, const struct err *err, bool earlier);

static void give_back(struct claims *claims, struct shard *shard) {
    lease_table_change(claims->table, LEASE_RELEASE, &shard->lease, NULL, given_back, shard);
}

static void given_back(void *ctx, const struct err *err, bool earlier) {
    struct shard *shard = ctx;
    if (err == NULL && earlier && is_mine(shard->claims, shard)) {
        /* An earlier write stood in the way, whose reply was lost. */
        give_back(shard->claims, shard);
        return;
    }
    if (err != NULL) {
        LOG_WARN("lease", "not-released", LOG_TEXT("shard", shard->node->id), LOG_ERR(err));
    }
    shard_set_state(shard, SHARD_IDLE);
    settled(shard->claims);
}

/* The item differs from what was known: it is seen now. Its owner may just have renewed it and still
 * not answer, so the question stands as long as the item shows it. */
static void seen_now(struct claims *claims, struct shard *shard) {
    shard->has_lease = shard->lease.key[0] != '\0';
    shard->expired = false;
    if (!is_wanted(claims, shard)) {
        shard->asked_ns = 0;
    } else if (shard->asked_ns == 0) {
        shard->asked_ns = now_ns(claims);
    }
    lease_watch_see(&shard->watch, shard->lease.counter, now_ns(claims));
    shard_settle(shard);
}

/* Of a write that failed. */
static void not_claimed(struct claims *claims, struct shard *shard, const struct err *err) {
    if (err->code == ERR_LEASE_LOST) {
        LOG_INFO("lease", "not-taken", LOG_TEXT("shard", shard->node->id), LOG_ERR(err));
        seen_now(claims, shard);
        return;
    }
    shard->asked_ns = now_ns(claims);
    shard->unclear = true;
    shard_settle(shard);
    if (err->class == ERR_CLASS_FATAL || err->code == ERR_AWS_DENIED) {
        claims->events.failed(claims->ctx, err);
    } else { /* nobody's fault: the next scan decides anew */
        LOG_WARN("lease", "take-failed", LOG_TEXT("shard", shard->node->id), LOG_ERR(err));
    }
}

/* At a stop: its owner has been told, or has handed it over a moment ago. */
static void not_asked(void *ctx, const struct err *err, bool earlier) {
    (void)earlier;
    struct shard *shard = ctx;
    struct claims *claims = shard->claims;
    if (err != NULL && err->code == ERR_LEASE_LOST && is_mine(claims, shard)) {
        give_back(claims, shard);
        return;
    }
    shard_set_state(shard, SHARD_IDLE);
    settled(claims);
}

static void start(struct claims *claims, struct shard *shard) {
    shard_set_state(shard, SHARD_CLAIMING);
    shard->claims = claims;
    claims->under_way++;
}

/* Nobody else would look after it before it looks abandoned. */
static void leave(struct claims *claims, struct shard *shard) {
    start(claims, shard);
    if (is_mine(claims, shard)) {
        give_back(claims, shard);
    } else {
        lease_table_change(claims->table, LEASE_UNWANT, &shard->lease, NULL, not_asked, shard);
    }
}

/* A take or a wish is over, which may have come too late. */
static void tried(struct claims *claims, struct shard *shard) {
    if (claims->stopping && shard->asked_ns != 0 && shard->state == SHARD_IDLE) {
        leave(claims, shard);
    }
    settled(claims);
}

static void claimed(void *ctx, const struct err *err, bool earlier);

static void take(struct claims *claims, struct shard *shard) {
    shard->claimed_ns = now_ns(claims);
    lease_table_change(claims->table, LEASE_TAKE, &shard->lease, NULL, claimed, shard);
}

static void claimed(void *ctx, const struct err *err, bool earlier) {
    struct shard *shard = ctx;
    struct claims *claims = shard->claims;
    if (err != NULL) {
        not_claimed(claims, shard, err);
    } else if (claims->stopping) {
        give_back(claims, shard);
        return;
    } else if (earlier) {
        take(claims, shard); /* nobody knows how long ago the write was that made it ours */
        return;
    } else if (shard->lease.checkpoint.kind == POSITION_SHARD_END) {
        shard_settle(shard); /* finished meanwhile */
    } else {
        LOG_INFO("lease", "taken", LOG_TEXT("shard", shard->node->id),
                 LOG_U64("counter", shard->lease.counter));
        shard->asked_ns = 0;
        claims->events.taken(claims->ctx, shard);
    }
    tried(claims, shard);
}

static void asked(void *ctx, const struct err *err, bool earlier) {
    (void)earlier;
    struct shard *shard = ctx;
    struct claims *claims = shard->claims;
    if (err != NULL) {
        not_claimed(claims, shard, err);
    } else {
        LOG_INFO("lease", "asked-for", LOG_TEXT("shard", shard->node->id),
                 LOG_TEXT("owner", shard->lease.owner));
        shard->asked_ns = now_ns(claims);
        shard->unclear = false;
        claims->asking = true;
        shard_settle(shard);
    }
    tried(claims, shard);
}

static void begin(struct claims *claims, struct shard *shard) {
    if (claims->stopping) {
        leave(claims, shard);
        return;
    }
    bool takes = shard->verdict == TAKER_TAKE;
    if (shard->state != SHARD_IDLE || !shard->has_lease || (takes && !shard_is_ready(shard))) {
        return; /* things have changed */
    }
    start(claims, shard);
    if (takes) {
        take(claims, shard);
    } else {
        lease_table_change(claims->table, LEASE_WANT, &shard->lease, NULL, asked, shard);
    }
}

static void pump(struct claims *claims) {
    while (claims->under_way < AT_ONCE && !aws_linked_list_empty(&claims->queue)) {
        struct aws_linked_list_node *node = aws_linked_list_pop_front(&claims->queue);
        struct shard *shard = AWS_CONTAINER_OF(node, struct shard, claim_node);
        shard_set_queued(shard, false);
        begin(claims, shard);
    }
}

static void clear(struct claims *claims) {
    while (!aws_linked_list_empty(&claims->queue)) {
        struct aws_linked_list_node *node = aws_linked_list_pop_front(&claims->queue);
        shard_set_queued(AWS_CONTAINER_OF(node, struct shard, claim_node), false);
    }
}

/* In another order than other workers, which want the same ones just now. */
static void enqueue(struct claims *claims, struct shard *shard, enum taker_verdict verdict) {
    shard->verdict = verdict;
    if (shard->queued) {
        return;
    }
    shard_set_queued(shard, true);
    if (rng_below(&claims->common->lane->rng, 1) == 0) {
        aws_linked_list_push_front(&claims->queue, &shard->claim_node);
    } else {
        aws_linked_list_push_back(&claims->queue, &shard->claim_node);
    }
}

/* ---- sharing ---- */

/* Does the shard still wait for its owner to hand it over? In vain when it does so for too long: then it is taken as KCL
 * takes it. */
static bool waits_for_owner(struct claims *claims, struct shard *shard) {
    const struct lease *lease = &shard->lease;
    if (shard->asked_ns > claims->seen_ns) {
        claims->asking = true; /* no scan can have seen what became of it */
        return true;
    }
    if (shard->unclear) { /* it may have come late: its owner has its time from now on */
        shard->unclear = false;
        shard->asked_ns = is_wanted(claims, shard) ? now_ns(claims) : 0;
    }
    bool asks = shard->asked_ns != 0 && lease->owner[0] != '\0' && !shard->expired &&
                !is_mine(claims, shard) && is_wanted(claims, shard);
    if (!asks) {
        shard->asked_ns = 0;
        return false;
    }
    if (now_ns(claims) - shard->asked_ns > 2 * failover_ns(claims) && shard_is_ready(shard)) {
        LOG_INFO("lease", "not-handed-over", LOG_TEXT("shard", shard->node->id),
                 LOG_TEXT("owner", lease->owner));
        enqueue(claims, shard, TAKER_TAKE);
    }
    claims->asking = true;
    return true;
}

static struct taker_lease describe(struct claims *claims, struct shard *shard) {
    if (shard->state != SHARD_IDLE && shard->state != SHARD_FINISHED) {
        return (struct taker_lease){
            .owner = claims->common->options.worker_id,
            .ready = true,
            .held = true,
            /* A finished one that is being deleted. The lease of an open shard is its lane's. */
            .finished = shard->state == SHARD_CLAIMING &&
                        shard->lease.checkpoint.kind == POSITION_SHARD_END,
        };
    }
    bool idle = shard->state == SHARD_IDLE;
    return (struct taker_lease){
        .owner = str_of(shard->lease.owner),
        .expired = shard->expired,
        .finished = !idle,
        .ready = idle && shard_is_ready(shard),
        .held = idle && waits_for_owner(claims, shard),
    };
}

static bool decide(struct claims *claims, struct taker_lease *leases, struct shard **shards,
                   struct shard_node *const *nodes, size_t count, struct err *err) {
    size_t leased = 0;
    for (size_t i = 0; i < count; i++) {
        struct shard *shard = nodes[i]->user;
        if (shard != NULL && shard->has_lease) {
            shards[leased] = shard;
            leases[leased++] = describe(claims, shard);
        }
    }
    struct taker_result result;
    if (!lease_taker_decide(leases, leased, claims->common->options.worker_id,
                            &claims->common->lane->rng, &result, err)) {
        return false;
    }
    for (size_t i = 0; i < leased; i++) {
        if (leases[i].verdict != TAKER_LEAVE) {
            enqueue(claims, shards[i], leases[i].verdict);
        }
    }
    LOG_DEBUG("lease", "shared", LOG_U64("workers", result.workers),
              LOG_U64("leases", result.leases), LOG_U64("target", result.target),
              LOG_U64("mine", result.mine));
    return true;
}

void claims_share(struct claims *claims, uint64_t seen_ns) {
    if (claims->stopping) {
        return;
    }
    claims->seen_ns = seen_ns;
    clear(claims);
    claims->asking = false;
    size_t count = 0;
    struct err err = ERR_NONE;
    struct shard_node *const *nodes = shard_graph_sorted(claims->graph, &count, &err);
    struct taker_lease *leases = calloc(count + 1, sizeof *leases);
    struct shard **shards = calloc(count + 1, sizeof(struct shard *));
    if (nodes == NULL || leases == NULL || shards == NULL) {
        err_set(&err, ERR_NOMEM, "no memory to share leases");
    } else if (decide(claims, leases, shards, nodes, count, &err)) {
        pump(claims);
    }
    free(leases);
    free(shards);
    if (err_is_set(&err)) {
        claims->events.failed(claims->ctx, &err);
    }
}

bool claims_are_asking(const struct claims *claims) {
    return claims->asking;
}

void claims_follow(struct claims *claims, const struct shard *parent) {
    for (struct shard_node *node = parent->node->first_child; node != NULL && !claims->stopping;
         node = node->next_sibling) {
        struct shard *shard = node->user;
        bool is_free = shard != NULL && shard->has_lease &&
                       (shard->lease.owner[0] == '\0' || shard->expired || is_mine(claims, shard));
        if (is_free && shard->state == SHARD_IDLE) {
            enqueue(claims, shard, TAKER_TAKE);
        }
    }
    pump(claims);
}

bool claims_are_idle(const struct claims *claims) {
    return claims->under_way == 0 && aws_linked_list_empty(&claims->queue);
}

/* ---- life ---- */

void claims_init(struct claims *claims, const struct source_common *common,
                 struct lease_table *table, struct shard_graph *graph,
                 const struct claims_events *events, void *ctx) {
    *claims = (struct claims){
        .common = common,
        .table = table,
        .graph = graph,
        .events = *events,
        .ctx = ctx,
    };
    aws_linked_list_init(&claims->queue);
}

void claims_stop(struct claims *claims) {
    claims->stopping = true;
    clear(claims);
    if (claims->table == NULL) {
        return;
    }
    size_t count = 0;
    struct err err;
    struct shard_node *const *nodes = shard_graph_sorted(claims->graph, &count, &err);
    for (size_t i = 0; nodes != NULL && i < count; i++) {
        struct shard *shard = nodes[i]->user;
        if (shard != NULL && shard->state == SHARD_IDLE && shard->has_lease &&
            (shard->asked_ns != 0 || is_wanted(claims, shard) || is_mine(claims, shard))) {
            enqueue(claims, shard, TAKER_LEAVE);
        }
    }
    pump(claims);
}
