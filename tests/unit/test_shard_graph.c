#include "base/buf.h"
#include "base/rng.h"
#include "source/shard_graph.h"

#include <aws/common/common.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

static struct shard_graph *graph_new(void) {
    struct shard_graph *graph = shard_graph_new();
    assert_non_null(graph);
    return graph;
}

static struct stream_shard shard(const char *id, const char *parent, bool ended) {
    return (struct stream_shard){
        .id = id, .parent_id = parent, .ending_sequence_number = ended ? "9" : NULL};
}

static void add(struct shard_graph *graph, const char *id, const char *parent, bool ended) {
    struct stream_shard one = shard(id, parent, ended);
    struct err err = ERR_NONE;
    assert_true(shard_graph_add(graph, &one, 1, &err));
}

/* Notes in a buffer what was dropped: "id id id ". */
static void note_dropped(void *ctx, struct shard_node *node) {
    buf_add_format(ctx, "%s ", node->id);
}

static void assert_buf(struct buf *buf, const char *expected) {
    assert_false(buf->failed);
    assert_string_equal(buf_text(buf), expected);
    buf_done(buf);
}

static struct shard_node *find(struct shard_graph *graph, const char *id) {
    return shard_graph_find(graph, str_of(id));
}

static void assert_order(struct shard_graph *graph, const char *expected) {
    struct buf text;
    buf_init(&text, BUF_MAX_REQUEST);
    size_t count = 0;
    struct err err = ERR_NONE;
    struct shard_node *const *order = shard_graph_sorted(graph, &count, &err);
    assert_non_null(order);
    for (size_t i = 0; i < count; i++) {
        buf_add_format(&text, "%s ", order[i]->id);
    }
    assert_buf(&text, expected);
}

/* Leases by name: " a b -c " has those of a and b, and one of c that is unread. */
static enum shard_lease lease_of(void *ctx, const struct shard_node *node) {
    char key[64];
    (void)snprintf(key, sizeof key, " -%s ", node->id);
    if (strstr(ctx, key) != NULL) {
        return SHARD_LEASE_UNREAD;
    }
    (void)snprintf(key, sizeof key, " %s ", node->id);
    return strstr(ctx, key) != NULL ? SHARD_LEASE_READ : SHARD_LEASE_NONE;
}

/* "a:T b:L c:T@5000 " for TRIM_HORIZON, LATEST, and TRIM_HORIZON with a start's time. */
static void assert_missing_from(struct shard_graph *graph, struct shard_start start,
                                const char *leases, const char *expected) {
    struct shard_missing *missing = NULL;
    size_t count = 0;
    struct err err = ERR_NONE;
    char held[256];
    (void)snprintf(held, sizeof held, "%s", leases);
    assert_true(shard_graph_missing(graph, start, lease_of, held, &missing, &count, &err));
    struct buf text;
    buf_init(&text, BUF_MAX_REQUEST);
    for (size_t i = 0; i < count; i++) {
        buf_add_format(&text, "%s:%s", missing[i].node->id,
                       missing[i].at == POSITION_LATEST ? "L" : "T");
        if (missing[i].start_ms != 0) {
            buf_add_format(&text, "@%lld", (long long)missing[i].start_ms);
        }
        buf_add_char(&text, ' ');
    }
    free(missing);
    assert_buf(&text, expected);
}

static void assert_missing(struct shard_graph *graph, enum position_kind initial,
                           const char *leases, const char *expected) {
    assert_missing_from(graph, (struct shard_start){.initial = initial}, leases, expected);
}

/* a(closed) -> b(closed) -> { d(open), e(open) };  c(open, alone) */
static struct shard_graph *sample(void) {
    struct shard_graph *graph = graph_new();
    shard_graph_begin(graph);
    add(graph, "a", NULL, true);
    add(graph, "b", "a", true);
    add(graph, "c", "trimmed", false);
    add(graph, "d", "b", false);
    add(graph, "e", "b", false);
    shard_graph_end(graph, NULL, NULL);
    return graph;
}

static void test_links_lineage(void **state) {
    (void)state;
    struct shard_graph *graph = sample();
    assert_int_equal(shard_graph_count(graph), 5);
    struct shard_node *a = find(graph, "a");
    struct shard_node *b = find(graph, "b");
    struct shard_node *c = find(graph, "c");
    struct shard_node *d = find(graph, "d");
    struct shard_node *e = find(graph, "e");
    assert_null(find(graph, "f"));
    assert_null(find(graph, "trimmed"));
    assert_null(find(graph, ""));
    assert_null(a->parent);
    assert_ptr_equal(a->first_child, b);
    assert_ptr_equal(b->parent, a);
    assert_ptr_equal(b->first_child, d);
    assert_ptr_equal(d->next_sibling, e);
    assert_null(e->next_sibling);
    assert_null(c->parent);
    assert_true(c->open && d->open && e->open);
    assert_false(a->open || b->open);
    assert_true(a->listed && c->listed);
    assert_order(graph, "a b c d e ");
    shard_graph_free(graph);
    shard_graph_free(NULL);
}

static void test_empty_graph(void **state) {
    (void)state;
    struct shard_graph *graph = graph_new();
    assert_order(graph, "");
    assert_missing(graph, POSITION_TRIM_HORIZON, "", "");
    shard_graph_begin(graph);
    shard_graph_end(graph, NULL, NULL);
    assert_int_equal(shard_graph_count(graph), 0);
    shard_graph_free(graph);
}

static void test_listing_that_is_out_of_order(void **state) {
    (void)state;
    struct shard_graph *graph = graph_new();
    shard_graph_begin(graph);
    add(graph, "a-grandchild", "m-child", false); /* ids against the lineage, children first */
    add(graph, "m-child", "z-parent", true);
    add(graph, "m-child", NULL, false); /* repeated, and knowing less */
    add(graph, "b-child", "z-parent", false);
    add(graph, "z-parent", NULL, false); /* a parent without an end is closed all the same */
    add(graph, "z-parent", NULL, false);
    shard_graph_end(graph, NULL, NULL);
    assert_int_equal(shard_graph_count(graph), 4);
    assert_false(find(graph, "z-parent")->open);
    assert_false(find(graph, "m-child")->open);
    assert_true(find(graph, "b-child")->open);
    assert_ptr_equal(find(graph, "z-parent")->first_child, find(graph, "b-child"));
    assert_ptr_equal(find(graph, "b-child")->next_sibling, find(graph, "m-child"));
    assert_order(graph, "z-parent m-child a-grandchild b-child ");
    shard_graph_free(graph);
}

static void test_cycles_do_no_harm(void **state) {
    (void)state;
    struct shard_graph *graph = graph_new();
    shard_graph_begin(graph);
    add(graph, "s", "s", false); /* its own parent */
    add(graph, "b", "c", false);
    add(graph, "c", "a", false);
    add(graph, "a", "b", false);
    add(graph, "x", "c", false); /* hangs on the cycle */
    shard_graph_end(graph, NULL, NULL);
    assert_null(find(graph, "s")->parent);
    assert_true(find(graph, "s")->open);
    assert_null(find(graph, "a")->parent); /* the oldest is made the root */
    assert_ptr_equal(find(graph, "c")->parent, find(graph, "a"));
    assert_ptr_equal(find(graph, "b")->parent, find(graph, "c"));
    assert_order(graph, "a c b s x ");
    assert_missing(graph, POSITION_TRIM_HORIZON, "", "a:T c:T b:T s:T x:T ");
    struct buf dropped;
    buf_init(&dropped, BUF_MAX_REQUEST);
    shard_graph_begin(graph);
    shard_graph_end(graph, note_dropped, &dropped);
    assert_int_equal(shard_graph_count(graph), 0);
    assert_buf(&dropped, "b x c a s ");
    shard_graph_free(graph);
}

static void test_drops_what_is_not_listed(void **state) {
    (void)state;
    struct shard_graph *graph = sample();
    int user;
    find(graph, "d")->user = &user;
    struct buf dropped;
    buf_init(&dropped, BUF_MAX_REQUEST);
    shard_graph_begin(graph);
    assert_true(find(graph, "a")->listed); /* until the listing is complete */
    add(graph, "b", "a", true);
    add(graph, "d", "b", true); /* ended meanwhile */
    add(graph, "f", "d", false);
    shard_graph_end(graph, note_dropped, &dropped);
    assert_buf(&dropped, "e a c ");
    assert_int_equal(shard_graph_count(graph), 3);
    assert_null(find(graph, "a"));
    assert_null(find(graph, "b")->parent); /* its parent is trimmed */
    assert_false(find(graph, "d")->open);
    assert_ptr_equal(find(graph, "d")->user, &user);
    assert_ptr_equal(find(graph, "f")->parent, find(graph, "d"));
    assert_order(graph, "b d f ");

    /* what was dropped may come back */
    shard_graph_begin(graph);
    add(graph, "a", NULL, true);
    add(graph, "b", "a", true);
    add(graph, "d", "b", true);
    add(graph, "f", "d", false);
    shard_graph_end(graph, note_dropped, &dropped);
    assert_buf(&dropped, "");
    assert_ptr_equal(find(graph, "b")->parent, find(graph, "a"));
    shard_graph_free(graph);
}

static void test_add_one(void **state) {
    (void)state;
    struct shard_graph *graph = sample();
    struct err err = ERR_NONE;
    struct stream_shard one = shard("d2", "d", false);
    struct shard_node *d2 = shard_graph_add_one(graph, &one, &err);
    assert_non_null(d2);
    assert_true(d2->open);
    assert_false(d2->listed);
    assert_ptr_equal(d2->parent, find(graph, "d"));
    assert_false(find(graph, "d")->open);
    assert_ptr_equal(shard_graph_add_one(graph, &one, &err), d2);
    one = shard("d1", "d", false);
    struct shard_node *d1 = shard_graph_add_one(graph, &one, &err);
    assert_ptr_equal(find(graph, "d")->first_child, d1);
    assert_ptr_equal(d1->next_sibling, d2);
    assert_order(graph, "a b c d d1 d2 e ");

    /* a parent that comes after its child; one that is its own parent; a ring of two */
    one = shard("trimmed", NULL, true);
    struct shard_node *trimmed = shard_graph_add_one(graph, &one, &err);
    assert_ptr_equal(find(graph, "c")->parent, trimmed);
    assert_order(graph, "a b trimmed c d d1 d2 e ");
    one = shard("s", "s", false);
    assert_null(shard_graph_add_one(graph, &one, &err)->parent);
    one = shard("r1", "r2", false);
    struct shard_node *r1 = shard_graph_add_one(graph, &one, &err);
    one = shard("r2", "r1", false);
    struct shard_node *r2 = shard_graph_add_one(graph, &one, &err);
    assert_ptr_equal(r2->parent, r1);
    assert_null(r1->parent);
    assert_int_equal(shard_graph_count(graph), 11);
    shard_graph_free(graph);
}

static void test_found_during_a_listing_survives_it(void **state) {
    (void)state;
    struct shard_graph *graph = sample();
    struct err err = ERR_NONE;
    shard_graph_begin(graph);
    add(graph, "a", NULL, true);
    add(graph, "b", "a", true);
    add(graph, "d", "b", false);
    add(graph, "e", "b", false);
    struct stream_shard new_child = shard("n", "d", false); /* split after that page was made */
    struct stream_shard known = shard("c", "trimmed", false);
    assert_non_null(shard_graph_add_one(graph, &new_child, &err));
    assert_non_null(shard_graph_add_one(graph, &known, &err));
    struct buf dropped;
    buf_init(&dropped, BUF_MAX_REQUEST);
    shard_graph_end(graph, note_dropped, &dropped);
    assert_buf(&dropped, "");
    assert_false(find(graph, "n")->listed);
    assert_false(find(graph, "c")->listed);
    assert_true(find(graph, "d")->listed);
    assert_ptr_equal(find(graph, "n")->parent, find(graph, "d"));
    assert_false(find(graph, "d")->open);

    shard_graph_begin(graph); /* the next listing has the last word */
    add(graph, "a", NULL, true);
    add(graph, "n", "d", false);
    shard_graph_end(graph, note_dropped, &dropped);
    assert_buf(&dropped, "d e b c ");
    assert_true(find(graph, "n")->listed);
    assert_int_equal(shard_graph_count(graph), 2);
    shard_graph_free(graph);
}

static void test_missing_leases(void **state) {
    (void)state;
    struct shard_graph *graph = sample();
    /* nobody has a lease */
    assert_missing(graph, POSITION_LATEST, "", "c:L d:L e:L ");
    assert_missing(graph, POSITION_TRIM_HORIZON, "", "a:T b:T c:T d:T e:T ");
    /* under a leased ancestor the whole path, from its start */
    assert_missing(graph, POSITION_LATEST, " a ", "b:T c:L d:T e:T ");
    assert_missing(graph, POSITION_LATEST, " b ", "c:L d:T e:T ");
    assert_missing(graph, POSITION_TRIM_HORIZON, " b ", "c:T d:T e:T ");
    /* a brother's lease tells nothing about the parent: as KCL has it */
    assert_missing(graph, POSITION_LATEST, " d ", "c:L e:L ");
    assert_missing(graph, POSITION_TRIM_HORIZON, " d e ", "c:T ");
    assert_missing(graph, POSITION_TRIM_HORIZON, " b d e ", "c:T ");
    assert_missing(graph, POSITION_LATEST, " a d e ", "c:L ");
    assert_missing(graph, POSITION_TRIM_HORIZON, " a b c d e ", "");
    assert_missing(graph, POSITION_LATEST, " c d e ", "");
    shard_graph_free(graph);
}

/* A disabled stream: everything is closed. KCL would read nothing of it. */
static void test_missing_leases_of_closed_shards(void **state) {
    (void)state;
    struct shard_graph *graph = graph_new();
    shard_graph_begin(graph);
    add(graph, "a", NULL, true);
    add(graph, "b", "a", true);
    add(graph, "c", "b", true);
    add(graph, "d", "b", true);
    add(graph, "e", NULL, true);
    shard_graph_end(graph, NULL, NULL);
    assert_missing(graph, POSITION_TRIM_HORIZON, "", "a:T b:T c:T d:T e:T ");
    assert_missing(graph, POSITION_LATEST, "", "");
    /* what follows a leased shard is read from its start, to the end of the lineage */
    assert_missing(graph, POSITION_LATEST, " a ", "b:T c:T d:T ");
    assert_missing(graph, POSITION_LATEST, " b ", "c:T d:T ");
    /* but what came before one is done: a second reading would put old changes behind new ones */
    assert_missing(graph, POSITION_TRIM_HORIZON, " c d e ", "");
    assert_missing(graph, POSITION_TRIM_HORIZON, " c e ", "d:T ");
    assert_missing(graph, POSITION_LATEST, " a c d ", "");
    shard_graph_free(graph);
}

/* ---- a start by time ---- */

/* Four generations, an hour each: OLD (0 h) -> MID (1 h) -> { NEW (2 h), TWIN (2 h) } -> LAST (3 h, of NEW) */
#define HOUR INT64_C(3600000)
#define OLD "shardId-00000000000000000001-0000000a"
#define MID "shardId-00000000000003600000-0000000b"
#define NEW "shardId-00000000000007200000-0000000c"
#define TWIN "shardId-00000000000007200000-0000000d"
#define LAST "shardId-00000000000010800000-0000000e"

static struct shard_graph *generations(void) {
    struct shard_graph *graph = graph_new();
    shard_graph_begin(graph);
    add(graph, OLD, NULL, true);
    add(graph, MID, OLD, true);
    add(graph, NEW, MID, true);
    add(graph, TWIN, MID, false);
    add(graph, LAST, NEW, false);
    shard_graph_end(graph, NULL, NULL);
    return graph;
}

static struct shard_start start_at(int64_t ms) {
    return (struct shard_start){.initial = POSITION_TRIM_HORIZON, .ms = ms};
}

static void test_a_start_by_time_leaves_out_what_had_ended(void **state) {
    (void)state;
    struct shard_graph *graph = generations();
    assert_missing_from(graph, start_at(HOUR / 2), "",
                        OLD ":T@1800000 " MID ":T@1800000 " NEW ":T@1800000 " TWIN
                            ":T@1800000 " LAST ":T@1800000 ");
    /* an end must lie well before the start to be believed */
    assert_missing_from(graph, start_at(2 * HOUR + HOUR / 10), "",
                        MID ":T@7560000 " NEW ":T@7560000 " TWIN ":T@7560000 " LAST ":T@7560000 ");
    assert_missing_from(graph, start_at(2 * HOUR + HOUR / 2), "",
                        NEW ":T@9000000 " TWIN ":T@9000000 " LAST ":T@9000000 ");
    assert_missing_from(graph, start_at(9 * HOUR), "", TWIN ":T@32400000 " LAST ":T@32400000 ");
    /* with all leases made, the next listing finds nothing missing */
    assert_missing_from(graph, start_at(9 * HOUR), " -" TWIN " -" LAST " ", "");
    shard_graph_free(graph);
}

static void test_a_start_that_broke_off_is_completed(void **state) {
    (void)state;
    struct shard_graph *graph = generations();
    /* below a lease that nobody has read from, the start still counts */
    assert_missing_from(graph, start_at(HOUR / 2), " -" OLD " -" MID " ",
                        NEW ":T@1800000 " TWIN ":T@1800000 " LAST ":T@1800000 ");
    /* below one that was read, a shard begins at its beginning, whatever its age */
    assert_missing_from(graph, start_at(9 * HOUR), " " MID " ", NEW ":T " TWIN ":T " LAST ":T ");
    assert_missing_from(graph, start_at(9 * HOUR), " " OLD " " MID " -" NEW " ",
                        TWIN ":T " LAST ":T@32400000 ");
    shard_graph_free(graph);
}

static void test_ids_that_tell_no_time_leave_nothing_out(void **state) {
    (void)state;
    struct shard_graph *graph = sample();
    assert_missing_from(graph, start_at(9 * HOUR), "",
                        "a:T@32400000 b:T@32400000 c:T@32400000 d:T@32400000 e:T@32400000 ");
    shard_graph_free(graph);
}

/* NEW is listed, its parent MID is not yet: not while MID cannot have been trimmed. */
static void test_a_parent_yet_to_be_listed_is_waited_for(void **state) {
    (void)state;
    struct shard_graph *graph = graph_new();
    struct shard_start start = {.initial = POSITION_TRIM_HORIZON, .now_ms = 3 * HOUR};
    for (int listing = 0; listing < 7; listing++) {
        shard_graph_begin(graph);
        add(graph, OLD, NULL, true);
        add(graph, NEW, MID, true);
        add(graph, LAST, NEW, false);
        shard_graph_end(graph, NULL, NULL);
        assert_missing_from(graph, start, "", OLD ":T ");
        assert_true(shard_graph_is_waiting(graph));
    }
    /* one that has a lease is read, and what follows it */
    assert_missing_from(graph, start, " " OLD " " NEW " ", LAST ":T ");
    assert_false(shard_graph_is_waiting(graph));
    /* a day later it is trimmed */
    start.now_ms = 25 * HOUR + 1;
    assert_missing_from(graph, start, " " OLD " ", NEW ":T " LAST ":T ");
    start.now_ms = 3 * HOUR;
    /* and it is not waited for for ever */
    shard_graph_begin(graph);
    add(graph, NEW, MID, true);
    add(graph, LAST, NEW, false);
    shard_graph_end(graph, NULL, NULL);
    assert_missing_from(graph, start, "", NEW ":T " LAST ":T ");
    shard_graph_free(graph);
}

/* MID is trimmed. Its lease brings it back after each listing, and each listing drops it again. */
static void test_a_parent_known_by_its_lease_alone_is_not_waited_for_for_ever(void **state) {
    (void)state;
    struct shard_graph *graph = graph_new();
    struct shard_start start = {.initial = POSITION_TRIM_HORIZON, .now_ms = 3 * HOUR};
    const struct stream_shard by_lease = {.id = MID, .parent_id = OLD};
    for (int listing = 0; listing < 8; listing++) {
        shard_graph_begin(graph);
        add(graph, OLD, NULL, true);
        add(graph, NEW, MID, false);
        shard_graph_end(graph, NULL, NULL);
        assert_missing_from(graph, start, " " OLD " ", listing < 7 ? "" : NEW ":T ");
        struct err err = ERR_NONE;
        assert_non_null(shard_graph_add_one(graph, &by_lease, &err));
    }
    shard_graph_free(graph);
}

static void test_a_parent_that_comes_late_goes_first(void **state) {
    (void)state;
    struct shard_graph *graph = graph_new();
    struct shard_start start = {.initial = POSITION_TRIM_HORIZON, .now_ms = 3 * HOUR};
    shard_graph_begin(graph);
    add(graph, NEW, MID, false);
    shard_graph_end(graph, NULL, NULL);
    assert_missing_from(graph, start, "", "");
    shard_graph_begin(graph);
    add(graph, MID, OLD, true);
    add(graph, OLD, NULL, true);
    add(graph, NEW, MID, false);
    shard_graph_end(graph, NULL, NULL);
    assert_missing_from(graph, start, "", OLD ":T " MID ":T " NEW ":T ");
    assert_false(shard_graph_is_waiting(graph));
    shard_graph_free(graph);
}

static void test_times_of_ids(void **state) {
    (void)state;
    static const char *const without[] = {
        "",
        "shardId-",
        "shardId-0000000141457657362-f55eea83",
        "shardId-00000001414576573621",
        "shardId-000000014145765736210-f55eea83",
        "shardId-0000000141457657362x-f55eea83",
        "shardId-99999999999999999999-f55eea83",
        "H 1234:0a0b",
        "shardid-00000001414576573621-f55eea83",
    };
    int64_t ms = -1;
    for (size_t i = 0; i < sizeof without / sizeof without[0]; i++) {
        assert_false(shard_id_created_ms(str_of(without[i]), &ms));
    }
    assert_int_equal(ms, -1);
    assert_true(shard_id_created_ms(STR("shardId-00000001414576573621-f55eea83"), &ms));
    assert_int_equal(ms, 1414576573621);
}

/* ---- large and random graphs ---- */

static enum shard_lease no_lease(void *ctx, const struct shard_node *node) {
    (void)node;
    ++*(size_t *)ctx;
    return SHARD_LEASE_NONE;
}

static void count_dropped(void *ctx, struct shard_node *node) {
    (void)node;
    ++*(size_t *)ctx;
}

enum { MANY = 50000 };

struct names {
    char id[MANY][24];
};

static void list_chain(struct shard_graph *graph, struct names *names, bool backwards) {
    shard_graph_begin(graph);
    for (size_t n = 0; n < MANY; n++) {
        size_t i = backwards ? MANY - 1 - n : n;
        add(graph, names->id[i], i > 0 ? names->id[i - 1] : NULL, i + 1 < MANY);
    }
    shard_graph_end(graph, NULL, NULL);
}

static void test_long_lineages(void **state) {
    (void)state;
    struct names *names = malloc(sizeof *names);
    assert_non_null(names);
    for (size_t round = 0; round < 2; round++) {
        for (size_t i = 0; i < MANY; i++) { /* ids rise in one round and fall in the other */
            (void)snprintf(names->id[i], sizeof names->id[i], "shard-%08zu",
                           round == 0 ? i : MANY - i);
        }
        struct shard_graph *graph = graph_new();
        list_chain(graph, names, false);
        list_chain(graph, names, true); /* again: nothing changes */
        assert_int_equal(shard_graph_count(graph), MANY);
        size_t count = 0;
        struct err err = ERR_NONE;
        struct shard_node *const *order = shard_graph_sorted(graph, &count, &err);
        assert_non_null(order);
        for (size_t i = 0; i < MANY; i++) {
            assert_string_equal(order[i]->id, names->id[i]);
            assert_int_equal(order[i]->open, i + 1 == MANY);
        }
        struct shard_missing *missing = NULL;
        size_t asked = 0;
        struct shard_start start = {.initial = POSITION_TRIM_HORIZON};
        assert_true(shard_graph_missing(graph, start, no_lease, &asked, &missing, &count, &err));
        assert_int_equal(asked, MANY);
        assert_int_equal(count, MANY);
        free(missing);
        start.initial = POSITION_LATEST;
        assert_true(shard_graph_missing(graph, start, no_lease, &asked, &missing, &count, &err));
        assert_int_equal(count, 1);
        assert_int_equal(missing[0].at, POSITION_LATEST);
        free(missing);
        size_t dropped = 0;
        shard_graph_begin(graph);
        shard_graph_end(graph, count_dropped, &dropped);
        assert_int_equal(dropped, MANY);
        shard_graph_free(graph);
    }
    free(names);
}

/* One ring of all shards, and all shards below one. */
static void test_wide_and_round_graphs(void **state) {
    (void)state;
    struct names *names = malloc(sizeof *names);
    assert_non_null(names);
    for (size_t i = 0; i < MANY; i++) {
        (void)snprintf(names->id[i], sizeof names->id[i], "shard-%08zu", i);
    }
    struct shard_graph *graph = graph_new();
    shard_graph_begin(graph);
    for (size_t i = 0; i < MANY; i++) {
        add(graph, names->id[i], names->id[(i + 7) % MANY], false);
    }
    shard_graph_end(graph, NULL, NULL);
    size_t roots = 0;
    size_t count = 0;
    struct err err = ERR_NONE;
    struct shard_node *const *order = shard_graph_sorted(graph, &count, &err);
    assert_non_null(order);
    for (size_t i = 0; i < count; i++) {
        roots += order[i]->parent == NULL;
    }
    assert_int_equal(count, MANY);
    assert_int_equal(roots, 1); /* 7 and MANY have no common divisor: one ring, cut once */
    shard_graph_free(graph);

    graph = graph_new();
    shard_graph_begin(graph);
    for (size_t i = MANY; i-- > 0;) {
        add(graph, names->id[i], i > 0 ? names->id[0] : NULL, false);
    }
    shard_graph_end(graph, NULL, NULL);
    struct shard_node *child = find(graph, names->id[0])->first_child;
    for (size_t i = 1; i < MANY; i++, child = child->next_sibling) {
        assert_string_equal(child->id, names->id[i]);
    }
    assert_null(child);
    shard_graph_free(graph);
    free(names);
}

static void test_random_graphs_keep_their_rules(void **state) {
    (void)state;
    struct rng rng = {.state = 99};
    for (int round = 0; round < 300; round++) {
        struct shard_graph *graph = graph_new();
        struct err err = ERR_NONE;
        uint64_t ids = 1 + rng_below(&rng, 40);
        for (int listing = 0; listing < 4; listing++) {
            shard_graph_begin(graph);
            uint64_t adds = rng_below(&rng, 60);
            for (uint64_t i = 0; i < adds; i++) {
                char id[16];
                char parent[16];
                (void)snprintf(id, sizeof id, "s%02u", (unsigned)rng_below(&rng, ids));
                (void)snprintf(parent, sizeof parent, "s%02u", (unsigned)rng_below(&rng, ids));
                struct stream_shard one =
                    shard(id, rng_below(&rng, 4) > 0 ? parent : NULL, rng_below(&rng, 1) == 0);
                if (rng_below(&rng, 9) == 0) {
                    assert_non_null(shard_graph_add_one(graph, &one, &err));
                } else {
                    assert_true(shard_graph_add(graph, &one, 1, &err));
                }
            }
            size_t dropped = 0;
            size_t before = shard_graph_count(graph);
            shard_graph_end(graph, count_dropped, &dropped);
            assert_int_equal(shard_graph_count(graph), before - dropped);
        }
        /* each node once, parents first, children where their parents say */
        size_t count = 0;
        struct shard_node *const *order = shard_graph_sorted(graph, &count, &err);
        assert_non_null(order);
        assert_int_equal(count, shard_graph_count(graph));
        size_t children = 0;
        size_t with_parent = 0;
        for (size_t i = 0; i < count; i++) {
            assert_ptr_equal(find(graph, order[i]->id), order[i]);
            order[i]->user = &order[i]->user; /* "came by" */
            if (order[i]->parent != NULL) {
                with_parent++;
                assert_non_null(order[i]->parent->user);
            }
            assert_false(order[i]->open && order[i]->first_child != NULL);
            for (struct shard_node *child = order[i]->first_child; child != NULL;
                 child = child->next_sibling) {
                children++;
                assert_ptr_equal(child->parent, order[i]);
                assert_true(child->next_sibling == NULL ||
                            strcmp(child->id, child->next_sibling->id) < 0);
            }
        }
        assert_int_equal(children, with_parent);
        shard_graph_free(graph);
    }
}

int main(void) {
    aws_common_library_init(aws_default_allocator());
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_links_lineage),
        cmocka_unit_test(test_empty_graph),
        cmocka_unit_test(test_listing_that_is_out_of_order),
        cmocka_unit_test(test_cycles_do_no_harm),
        cmocka_unit_test(test_drops_what_is_not_listed),
        cmocka_unit_test(test_add_one),
        cmocka_unit_test(test_found_during_a_listing_survives_it),
        cmocka_unit_test(test_missing_leases),
        cmocka_unit_test(test_missing_leases_of_closed_shards),
        cmocka_unit_test(test_a_start_by_time_leaves_out_what_had_ended),
        cmocka_unit_test(test_a_start_that_broke_off_is_completed),
        cmocka_unit_test(test_ids_that_tell_no_time_leave_nothing_out),
        cmocka_unit_test(test_a_parent_yet_to_be_listed_is_waited_for),
        cmocka_unit_test(test_a_parent_known_by_its_lease_alone_is_not_waited_for_for_ever),
        cmocka_unit_test(test_a_parent_that_comes_late_goes_first),
        cmocka_unit_test(test_times_of_ids),
        cmocka_unit_test(test_long_lineages),
        cmocka_unit_test(test_wide_and_round_graphs),
        cmocka_unit_test(test_random_graphs_keep_their_rules),
    };
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    aws_common_library_clean_up();
    return failed;
}
