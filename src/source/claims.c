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

static void given_back(void *ctx, const struct err *err, bool earlier) {
    (void)earlier;
    struct shard *shard = ctx;
    if (err != NULL) {
        LOG_WARN("lease", "not-released", LOG_TEXT("shard", shard->node->id), LOG_ERR(err));
    }
    shard_set_state(shard, SHARD_IDLE);
    settled(shard->claims);
}

/* The item differs from what was known: it is seen now. */
static void seen_now(struct claims *claims, struct shard *shard) {
    shard->has_lease = shard->lease.key[0] != '\0';
    shard->expired = false;
    shard->asked_ns = 0;
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
    shard_settle(shard);
    if (err->class == ERR_CLASS_FATAL || err->code == ERR_AWS_DENIED) {
        claims->events.failed(claims->ctx, err);
    } else { /* nobody's fault: the next scan decides anew */
        LOG_WARN("lease", "take-failed", LOG_TEXT("shard", shard->node->id), LOG_ERR(err));
    }
}

static void claimed(void *ctx, const struct err *err, bool earlier) {
    (void)earlier; /* it is ours, whichever write made it so */
    struct shard *shard = ctx;
    struct claims *claims = shard->claims;
    if (err != NULL) {
        not_claimed(claims, shard, err);
    } else if (claims->stopping) {
        lease_table_change(claims->table, LEASE_RELEASE, &shard->lease, NULL, given_back, shard);
        return;
    } else if (shard->lease.checkpoint.kind == POSITION_SHARD_END) {
        shard_settle(shard); /* finished meanwhile */
    } else {
        LOG_INFO("lease", "taken", LOG_TEXT("shard", shard->node->id),
                 LOG_U64("counter", shard->lease.counter));
        shard->asked_ns = 0;
        claims->events.taken(claims->ctx, shard);
    }
    settled(claims);
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
        claims->asking = true;
        shard_settle(shard);
    }
    settled(claims);
}

static void begin(struct claims *claims, struct shard *shard) {
    bool take = shard->verdict == TAKER_TAKE;
    if (shard->state != SHARD_IDLE || !shard->has_lease || (take && !shard_is_ready(shard))) {
        return; /* things have changed */
    }
    shard_set_state(shard, SHARD_CLAIMING);
    shard->claims = claims;
    shard->claimed_ns = now_ns(claims);
    claims->under_way++;
    lease_table_change(claims->table, take ? LEASE_TAKE : LEASE_WANT, &shard->lease, NULL,
                       take ? claimed : asked, shard);
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

static bool is_mine(const struct claims *claims, const struct shard *shard) {
    return str_equal(str_of(shard->lease.owner), claims->common->options.worker_id);
}

/* Does the shard still wait for its owner to hand it over? In vain when it does so for too long: then it is taken as KCL
 * takes it. */
static bool waits_for_owner(struct claims *claims, struct shard *shard) {
    const struct lease *lease = &shard->lease;
    bool asks = shard->asked_ns != 0 && lease->owner[0] != '\0' && !shard->expired &&
                !is_mine(claims, shard) &&
                str_equal(str_of(lease->wanted_by), claims->common->options.worker_id);
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

void claims_share(struct claims *claims) {
    if (claims->stopping) {
        return;
    }
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
}
