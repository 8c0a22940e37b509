#include "source/lease_taker.h"

#include <stdlib.h>

void lease_watch_see(struct lease_watch *watch, uint64_t counter, uint64_t now_ns) {
    bool same = watch->seen && watch->counter == counter;
    watch->moved = watch->seen && !same;
    if (!same) {
        watch->counter = counter;
        watch->since_ns = now_ns;
    }
    watch->seen = true;
}

bool lease_watch_has_expired(const struct lease_watch *watch, uint64_t scan_began_ns,
                             uint64_t failover_ns) {
    return watch->seen && scan_began_ns > watch->since_ns &&
           scan_began_ns - watch->since_ns > failover_ns;
}

enum { ME = 0, NOBODY = UINT32_MAX };

/* One decision. */
struct round {
    struct taker_lease **leases; /* those to share, by owner at first, then in random order */
    size_t count;
    uint32_t *loads; /* by worker */
    uint32_t workers;
    uint32_t target;
    struct rng *rng;
};

static int compare_owners(const void *a, const void *b) {
    struct str one = (*(struct taker_lease *const *)a)->owner;
    struct str two = (*(struct taker_lease *const *)b)->owner;
    size_t len = one.len < two.len ? one.len : two.len;
    int order = len == 0 ? 0 : memcmp(one.ptr, two.ptr, len);
    return order != 0 ? order : (one.len > two.len) - (one.len < two.len);
}

/* Numbers the living owners. The leases are in order of owner. */
static void number_workers(struct round *round, size_t count, struct str me) {
    struct str last = STR_NONE;
    uint32_t number = ME;
    round->workers = 1;
    for (size_t i = 0; i < count; i++) {
        struct taker_lease *lease = round->leases[i];
        bool mine = str_equal(lease->owner, me);
        bool alive = !mine && lease->owner.len > 0 && !lease->expired;
        if (alive && (number == ME || !str_equal(lease->owner, last))) {
            last = lease->owner;
            number = round->workers++;
        }
        lease->worker = mine || lease->held ? ME : alive ? number : NOBODY;
    }
}

/* Leaves those that are to be shared, and counts them by worker. */
static void keep_shared(struct round *round, size_t count) {
    for (size_t i = 0; i < count; i++) {
        struct taker_lease *lease = round->leases[i];
        bool mine = lease->worker == ME;
        bool somebodys = lease->worker != NOBODY && (!mine || lease->held);
        if (lease->finished || (!lease->ready && !somebodys)) {
            continue;
        }
        if (mine && !lease->held) {
            lease->verdict = TAKER_TAKE;
        }
        if (lease->worker != NOBODY) {
            round->loads[lease->worker]++;
        }
        round->leases[round->count++] = lease;
    }
}

static void shuffle(struct round *round) {
    for (size_t i = round->count; i > 1; i--) {
        size_t other = (size_t)rng_below(round->rng, i - 1);
        struct taker_lease *lease = round->leases[i - 1];
        round->leases[i - 1] = round->leases[other];
        round->leases[other] = lease;
    }
}

/* Free leases up to the target. True when none is left. */
static bool take_free(struct round *round) {
    for (size_t i = 0; i < round->count; i++) {
        struct taker_lease *lease = round->leases[i];
        if (lease->worker != NOBODY) {
            continue;
        }
        if (round->loads[ME] >= round->target) {
            return false;
        }
        lease->verdict = TAKER_TAKE;
        lease->worker = ME;
        round->loads[ME]++;
    }
    return true;
}

static void ask(struct round *round, struct taker_lease *lease) {
    round->loads[lease->worker]--;
    round->loads[ME]++;
    lease->worker = ME;
    lease->verdict = TAKER_ASK;
}

/* As the adapter does: what is missing, evenly from those above the target. quotas: by worker, all zero. */
static void ask_loaded(struct round *round, uint32_t *quotas) {
    uint32_t loaded = 0;
    for (uint32_t i = ME + 1; i < round->workers; i++) {
        loaded += round->loads[i] > round->target ? 1 : 0;
    }
    if (loaded == 0 || round->loads[ME] >= round->target) {
        return;
    }
    uint32_t missing = round->target - round->loads[ME];
    for (uint32_t i = ME + 1; i < round->workers; i++) {
        quotas[i] = (missing + loaded - 1) / loaded;
    }
    for (size_t i = 0; i < round->count && round->loads[ME] < round->target; i++) {
        uint32_t worker = round->leases[i]->worker;
        if (worker != NOBODY && worker != ME && round->loads[worker] > round->target &&
            quotas[worker] > 0) {
            quotas[worker]--;
            ask(round, round->leases[i]);
        }
    }
}

/* A lease of the worker, in the random order. Only for workers with a load. */
static struct taker_lease *any_of(const struct round *round, uint32_t worker) {
    size_t i = 0;
    while (round->leases[i]->worker != worker) {
        i++;
    }
    return round->leases[i];
}

/* Ten leases and four workers make a target of three, and 3+3+3+1 would stay so. */
static void even_out(struct round *round) {
    while (round->workers > 1) {
        /* Starts anywhere, so that several idle workers do not all ask the same one. */
        uint32_t others = round->workers - 1;
        uint32_t first = (uint32_t)rng_below(round->rng, others - 1);
        uint32_t most = 1 + first;
        for (uint32_t i = 0; i < others; i++) {
            uint32_t worker = 1 + (first + i) % others;
            most = round->loads[worker] > round->loads[most] ? worker : most;
        }
        if (round->loads[most] < round->loads[ME] + 2) {
            return;
        }
        ask(round, any_of(round, most));
    }
}

static bool decide(struct round *round, size_t count, struct str me, struct err *err) {
    qsort(round->leases, count, sizeof(struct taker_lease *), compare_owners);
    number_workers(round, count, me);
    round->loads = calloc((size_t)round->workers * 2, sizeof(uint32_t));
    if (round->loads == NULL) {
        return err_set(err, ERR_NOMEM, "no memory to share leases");
    }
    keep_shared(round, count);
    size_t share = (round->count + round->workers - 1) / round->workers;
    round->target = share > 1 ? (uint32_t)share : 1;
    shuffle(round);
    if (take_free(round)) {
        ask_loaded(round, round->loads + round->workers);
        even_out(round);
    }
    return true;
}

bool lease_taker_decide(struct taker_lease *leases, size_t count, struct str me, struct rng *rng,
                        struct taker_result *ret_result, struct err *err) {
    struct round round = {.rng = rng};
    round.leases = calloc(count + 1, sizeof(struct taker_lease *));
    if (round.leases == NULL) {
        return err_set(err, ERR_NOMEM, "no memory to share leases");
    }
    for (size_t i = 0; i < count; i++) {
        leases[i].verdict = TAKER_LEAVE;
        round.leases[i] = &leases[i];
    }
    bool ok = decide(&round, count, me, err);
    if (ok) {
        *ret_result = (struct taker_result){
            .workers = round.workers,
            .leases = (uint32_t)round.count,
            .target = round.target,
            .mine = round.loads[ME],
        };
    }
    free(round.loads);
    free(round.leases);
    return ok;
}
