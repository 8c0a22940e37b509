/* lease_taker: every small table, then many workers until they are even. */
#include "source/lease_taker.h"

#include "cmocka_all.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- the watch ---- */

static void a_watch_counts_from_the_last_change(void **state) {
    (void)state;
    struct lease_watch watch = {.seen = false};
    assert_false(lease_watch_has_expired(&watch, UINT64_MAX, 10));
    lease_watch_see(&watch, 7, 100);
    assert_false(watch.moved);
    assert_false(lease_watch_has_expired(&watch, 110, 10));
    lease_watch_see(&watch, 7, 111);
    assert_false(watch.moved);
    assert_true(lease_watch_has_expired(&watch, 111, 10));
    lease_watch_see(&watch, 8, 112);
    assert_true(watch.moved);
    assert_false(lease_watch_has_expired(&watch, 122, 10));
    assert_true(lease_watch_has_expired(&watch, 123, 10));
    lease_watch_see(&watch, 8, 113);
    assert_false(watch.moved);
    /* a scan that began before the counter was seen proves nothing */
    assert_false(lease_watch_has_expired(&watch, 50, 10));
    lease_watch_see(&watch, 3, 300); /* backwards is a change too: the item was made anew */
    assert_true(watch.moved);
    assert_false(lease_watch_has_expired(&watch, 300, 10));
}

/* ---- decisions ---- */

enum { MAX = 64 };

struct table {
    struct taker_lease leases[MAX];
    size_t count;
    struct taker_result result;
};

/* One letter a lease: m mine and held, r mine and not held (restart), A B C of a living worker, a b c of a dead one,
 * . nobody's; behind it '!' not ready, '$' finished, '?' asked for by me. */
static void decide(struct table *table, const char *text, uint64_t seed) {
    static const char *const owners[] = {"A", "B", "C"};
    *table = (struct table){.count = 0};
    for (const char *p = text; *p != '\0'; p++) {
        if (*p == ' ') {
            continue;
        }
        struct taker_lease *lease = &table->leases[table->count++];
        *lease = (struct taker_lease){.ready = true, .owner = STR("me")};
        if (*p == 'm') {
            lease->held = true;
        } else if (*p == '.') {
            lease->owner = STR_NONE;
        } else if (*p != 'r') {
            lease->expired = *p >= 'a';
            lease->owner = str_of(owners[(lease->expired ? *p - 'a' : *p - 'A')]);
        }
        if (p[1] == '!' || p[1] == '$' || p[1] == '?') {
            p++;
            lease->ready = *p != '!';
            lease->finished = *p == '$';
            lease->held = lease->held || *p == '?';
        }
    }
    struct rng rng = {.state = seed};
    struct err err = ERR_NONE;
    assert_true(
        lease_taker_decide(table->leases, table->count, STR("me"), &rng, &table->result, &err));
}

static size_t count(const struct table *table, enum taker_verdict verdict) {
    size_t found = 0;
    for (size_t i = 0; i < table->count; i++) {
        found += table->leases[i].verdict == verdict;
    }
    return found;
}

static void assert_decision(const char *text, size_t taken, size_t asked) {
    for (uint64_t seed = 0; seed < 50; seed++) {
        struct table table;
        decide(&table, text, seed);
        if (count(&table, TAKER_TAKE) != taken || count(&table, TAKER_ASK) != asked) {
            fail_msg("\"%s\": takes %zu and asks for %zu, not %zu and %zu", text,
                     count(&table, TAKER_TAKE), count(&table, TAKER_ASK), taken, asked);
        }
    }
}

/* What the adapter's own tests say, and what it lacks. */
static void as_the_adapter_decides(void **state) {
    (void)state;
    assert_decision("", 0, 0);
    assert_decision("mm AA", 0, 0);          /* balanced */
    assert_decision("mm AA ..", 1, 0);       /* up to the target, no further */
    assert_decision("....", 4, 0);           /* alone */
    assert_decision("aabb", 4, 0);           /* the others are dead */
    assert_decision("AAAA", 0, 2);           /* a worker that joins */
    assert_decision("AAAA b", 1, 1);         /* what is free first, then down to the target */
    assert_decision("AAAAAA .", 1, 2);       /* the target is 4: A keeps so many */
    assert_decision("AAA BBB CC", 0, 2);     /* one of each above the target */
    assert_decision("mmmm A", 0, 0);         /* giving is not our affair */
    assert_decision("A B C", 0, 0);          /* nothing to even out */
    assert_decision("AAA BBB CCC m", 0, 1);  /* the rounded-up target is 3: 3+3+3+1 */
    assert_decision("AAA BBB CCC mm", 0, 0); /* within one */
    assert_decision("A$A$A$ AA", 0, 1);      /* finished ones are not shared */
    assert_decision("A$ mmm", 0, 0);         /* but their owner lives */
    assert_decision("A$ mm .", 0, 0);        /* and is left its share */
    assert_decision("a$ mm .", 1, 0);        /* a dead one is not */
    assert_decision(".! .! m", 0, 0);        /* what waits for its parent cannot be read */
    assert_decision("A!A!A! m", 0, 1);       /* unless somebody has it: then it is a load */
    assert_decision("r r! .", 2, 0);         /* a restart */
    assert_decision("rrrrrr", 6, 0);
    assert_decision("rrrr A", 4, 0);  /* all of mine, above the target too */
    assert_decision("A? AA m", 0, 0); /* what was asked for counts */
    assert_decision("A? m", 0, 0);    /* and its owner lives until it is here */
}

static void it_says_what_it_counted(void **state) {
    (void)state;
    struct table table;
    decide(&table, "AAA BB . .! m$ C$ b", 1);
    assert_int_equal(table.result.workers, 4);
    assert_int_equal(table.result.leases, 7);
    assert_int_equal(table.result.target, 2);
    assert_int_equal(table.result.mine, 2);
}

/* The text of table number n: one of the kinds for each of the leases. */
static bool next_table(unsigned *digits, size_t length) {
    static const unsigned kinds = 10;
    for (size_t i = 0; i < length; i++) {
        if (++digits[i] < kinds) {
            return true;
        }
        digits[i] = 0;
    }
    return false;
}

static void check_rules(const char *text, const struct table *table) {
    static const char owners[] = "ABC";
    unsigned before[3] = {0};
    unsigned asked[3] = {0};
    bool free_left = false;
    unsigned mine = 0;
    unsigned forced = 0;
    for (size_t i = 0; i < table->count; i++) {
        const struct taker_lease *lease = &table->leases[i];
        bool alive = lease->owner.len == 1 && !lease->expired;
        bool is_me = str_is(lease->owner, "me");
        bool may_take = lease->ready && !lease->finished && !lease->held && !alive;
        bool may_ask = !lease->finished && !lease->held && alive;
        if (lease->verdict == TAKER_TAKE) {
            assert_true(may_take);
        } else if (lease->verdict == TAKER_ASK) {
            assert_true(may_ask);
        } else if (may_take) {
            assert_false(is_me); /* what is mine is taken back */
            free_left = true;
        }
        forced += is_me && may_take;
        mine += (lease->held && !lease->finished) || lease->verdict != TAKER_LEAVE;
        if (alive && !lease->finished && !lease->held) {
            size_t owner = (size_t)(strchr(owners, lease->owner.ptr[0]) - owners);
            before[owner]++;
            asked[owner] += lease->verdict == TAKER_ASK;
        }
    }
    if (table->result.mine != mine) {
        fail_msg("\"%s\": counted %u, not %u", text, table->result.mine, mine);
    }
    unsigned asks = asked[0] + asked[1] + asked[2];
    /* Nothing free is left while there is room, and nobody is asked while something is free. */
    assert_true(!free_left || mine >= table->result.target);
    assert_true(!free_left || asks == 0);
    /* No more than the target, but for what was here before. */
    unsigned taken = (unsigned)count(table, TAKER_TAKE) - forced;
    assert_true(taken + asks == 0 || mine <= table->result.target);
    for (size_t i = 0; i < 3; i++) {
        /* Nobody who is asked ends up below whoever asks, but by the one that could be either's. */
        assert_true(asked[i] == 0 || before[i] - asked[i] + 1 >= mine);
        /* And nobody is left with two more. */
        assert_true(free_left || before[i] - asked[i] <= mine + 1);
    }
}

static void every_small_table(void **state) {
    (void)state;
    static const char *const kinds[] = {"m", "r", ".", "A", "B", "a", ".!", "A!", "B$", "A?"};
    for (size_t length = 1; length <= 5; length++) {
        unsigned digits[5] = {0};
        do {
            char text[32] = "";
            for (size_t i = 0; i < length; i++) {
                strcat(text, kinds[digits[i]]);
            }
            struct table table;
            decide(&table, text, 1 + digits[0]);
            check_rules(text, &table);
        } while (next_table(digits, length));
    }
}

/* ---- until they are even ---- */

enum { WORKERS = 9, LEASES = 200 };

struct fleet {
    int owner[LEASES]; /* -1: nobody */
    size_t leases;
    int workers;
    char names[WORKERS][16];
};

/* One worker's turn; what it asks for is handed over at once. How many leases changed hands. */
static size_t turn(struct fleet *fleet, int worker, struct rng *rng) {
    struct taker_lease seen[LEASES];
    for (size_t i = 0; i < fleet->leases; i++) {
        seen[i] = (struct taker_lease){.ready = true, .held = fleet->owner[i] == worker};
        seen[i].owner = fleet->owner[i] < 0 ? STR_NONE : str_of(fleet->names[fleet->owner[i]]);
    }
    struct taker_result result;
    struct err err = ERR_NONE;
    assert_true(
        lease_taker_decide(seen, fleet->leases, str_of(fleet->names[worker]), rng, &result, &err));
    size_t moved = 0;
    for (size_t i = 0; i < fleet->leases; i++) {
        if (seen[i].verdict != TAKER_LEAVE) {
            fleet->owner[i] = worker;
            moved++;
        }
    }
    return moved;
}

static void assert_even(const struct fleet *fleet) {
    size_t most = 0;
    size_t least = LEASES;
    for (int worker = 0; worker < fleet->workers; worker++) {
        size_t load = 0;
        for (size_t i = 0; i < fleet->leases; i++) {
            load += fleet->owner[i] == worker;
        }
        most = load > most ? load : most;
        least = load < least ? load : least;
    }
    assert_true(most - least <= 1);
}

static void workers_become_even_in_two_rounds_and_stay_so(void **state) {
    (void)state;
    for (uint64_t seed = 0; seed < 400; seed++) {
        struct rng rng = {.state = seed};
        struct fleet fleet = {
            .leases = 1 + rng_below(&rng, LEASES - 1),
            .workers = 1 + (int)rng_below(&rng, WORKERS - 1),
        };
        for (int worker = 0; worker < WORKERS; worker++) {
            (void)snprintf(fleet.names[worker], sizeof fleet.names[0], "w%d", worker);
        }
        for (size_t i = 0; i < fleet.leases; i++) { /* some have many, some none, some are free */
            uint64_t at = rng_below(&rng, (uint64_t)fleet.workers * 2);
            fleet.owner[i] = at > (uint64_t)fleet.workers ? 0 : (int)at - 1;
        }
        for (int round = 0; round < 2; round++) {
            for (int worker = 0; worker < fleet.workers; worker++) {
                turn(&fleet, worker, &rng);
            }
        }
        assert_even(&fleet);
        for (int worker = 0; worker < fleet.workers; worker++) {
            assert_int_equal(turn(&fleet, worker, &rng), 0);
        }
    }
}

/* A dead worker's leases, or a new worker: what moves is what must move. */
static void no_lease_moves_without_need(void **state) {
    (void)state;
    struct rng rng = {.state = 5};
    struct fleet fleet = {.leases = 100, .workers = 4, .names = {"a", "b", "c", "d"}};
    for (size_t i = 0; i < 100; i++) {
        fleet.owner[i] = (int)i % 4;
    }
    for (size_t i = 0; i < 100; i++) { /* d dies */
        fleet.owner[i] = fleet.owner[i] == 3 ? -1 : fleet.owner[i];
    }
    fleet.workers = 3;
    size_t moved = 0;
    for (int worker = 0; worker < 3; worker++) {
        moved += turn(&fleet, worker, &rng);
    }
    assert_in_range(moved, 25, 26); /* 34+34+32 is evened out */
    assert_even(&fleet);
    fleet.workers = 4; /* and comes back */
    assert_int_equal(turn(&fleet, 3, &rng), 25);
    assert_even(&fleet);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_watch_counts_from_the_last_change),
        cmocka_unit_test(as_the_adapter_decides),
        cmocka_unit_test(it_says_what_it_counted),
        cmocka_unit_test(every_small_table),
        cmocka_unit_test(workers_become_even_in_two_rounds_and_stay_so),
        cmocka_unit_test(no_lease_moves_without_need),
    };
    return cmocka_run_group_tests_name("lease_taker", tests, NULL, NULL);
}
