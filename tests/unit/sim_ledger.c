#include "sim_ledger.h"

#include "cmocka_all.h"
#include "sim_process.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

enum { ITEMS = SIM_FAMILIES * SIM_ITEMS_A_FAMILY, MARGIN_MS = 1000 };
static const uint64_t MS = 1000000;

struct entry {
    uint32_t shard; /* 1 and up; 0: no record has this number */
    uint8_t item;
    bool arrived;
    bool acked;
    bool trimmed;
    bool knowable; /* trimmed where its reader must notice */
    bool old;      /* than the start: not wanted */
    bool bad;      /* cannot be sent */
    bool refused;  /* that was tried */
    int64_t created_ms;
};

/* A lease as the table has it. */
struct lease {
    bool exists;
    uint64_t counter;
    char owner[64];
    char wanted_by[64];
    uint64_t checkpoint; /* 0: at a beginning */
    bool finished;
    bool at_horizon;
    int64_t start_ms;    /* 0: none */
    uint64_t changed_ns; /* its counter */
    uint64_t owned_ns;   /* by this owner */
};

/* A worker's newest write to a lease: as its owner, or as one that asks for it. */
struct hold {
    uint32_t worker; /* 0: it gave it away, or never had it */
    uint64_t written_ns;
};

struct shard {
    char id[64];
    uint32_t parent; /* 1 and up; 0: none */
    bool closed;
    bool vanished;
    bool was_read;     /* its checkpoint was once another than TRIM_HORIZON */
    uint64_t pending;  /* records that are neither acknowledged, nor trimmed, nor old */
    uint64_t *numbers; /* of its records */
    size_t count;
    size_t capacity;
    size_t judged;   /* of these, so many are covered by the checkpoint */
    size_t passed;   /* of these, so many may a checkpoint pass */
    uint64_t sent;   /* the last record that its owner has sent; 0: none yet */
    uint32_t sender; /* that one */
    struct lease lease;
    struct hold holds[SIM_PROCESSES];
    struct hold wishes[SIM_PROCESSES]; /* of its owner */
};

struct item {
    uint64_t newest; /* to arrive */
    uint64_t last;
};

struct sim_ledger {
    uint64_t seed;
    uint64_t failover_ns;
    uint64_t now_ns;
    int64_t start_ms;      /* not before which the start may be; 0: everything is wanted */
    bool starts_exactly;   /* the start is that */
    struct entry *records; /* by number */
    size_t record_capacity;
    struct shard *shards;
    size_t shard_count;
    size_t shard_capacity;
    size_t first_shard; /* of the present stream */
    struct item items[ITEMS];
    uint64_t filled[SIM_FAMILIES];
    uint32_t spoiled; /* of a thousand records */
    uint64_t missing;
    bool may_alarm;
    struct sim_totals totals;
};

static void broken(const struct sim_ledger *ledger, const char *format, ...)
    __attribute__((format(printf, 2, 3), noreturn));

static void broken(const struct sim_ledger *ledger, const char *format, ...) {
    char text[512];
    va_list args;
    va_start(args, format);
    (void)vsnprintf(text, sizeof text, format, args);
    va_end(args);
    fail_msg("seed %" PRIu64 ", %" PRIu64 " ms: %s", ledger->seed, ledger->now_ns / MS, text);
    abort();
}

static struct shard *find_shard(const struct sim_ledger *ledger, struct str id) {
    uint64_t index = id.len > 8 ? strtoull(id.ptr + id.len - 8, NULL, 16) : UINT64_MAX;
    if (index >= ledger->shard_count || !str_is(id, ledger->shards[index].id)) {
        broken(ledger, "there is no shard %.*s", STR_FMT(id));
    }
    return &ledger->shards[index];
}

static struct entry *find_record(const struct sim_ledger *ledger, uint64_t number) {
    if (number >= ledger->record_capacity || ledger->records[number].shard == 0) {
        broken(ledger, "record %" PRIu64 " was never written", number);
    }
    return &ledger->records[number];
}

static struct shard *shard_of(const struct sim_ledger *ledger, const struct entry *record) {
    return &ledger->shards[record->shard - 1];
}

/* ---- what happens to the stream ---- */

void sim_ledger_add_shard(struct sim_ledger *ledger, const char *id, const char *parent) {
    uint32_t above = 0;
    if (parent != NULL) {
        above = (uint32_t)(find_shard(ledger, str_of(parent)) - ledger->shards) + 1;
    }
    ledger->shards = sim_grown(ledger->shards, ledger->shard_count, &ledger->shard_capacity,
                               sizeof *ledger->shards);
    struct shard *shard = &ledger->shards[ledger->shard_count++];
    *shard = (struct shard){.parent = above};
    assert_true(str_copy(str_of(id), shard->id, sizeof shard->id));
}

void sim_ledger_close_shard(struct sim_ledger *ledger, const char *id) {
    find_shard(ledger, str_of(id))->closed = true;
}

static void make_room(struct sim_ledger *ledger, uint64_t end) {
    size_t capacity = ledger->record_capacity == 0 ? 4096 : ledger->record_capacity;
    while (capacity < end) {
        capacity *= 2;
    }
    if (capacity > ledger->record_capacity) {
        ledger->records = realloc(ledger->records, capacity * sizeof *ledger->records);
        assert_non_null(ledger->records);
        memset(ledger->records + ledger->record_capacity, 0,
               (capacity - ledger->record_capacity) * sizeof *ledger->records);
        ledger->record_capacity = capacity;
    }
}

void sim_ledger_spoil(struct sim_ledger *ledger, uint32_t per_thousand) {
    ledger->spoiled = per_thousand;
}

static bool is_spoiled(const struct sim_ledger *ledger, uint64_t number) {
    struct rng rng = {.state = ledger->seed * 1000003 + number};
    return ledger->spoiled > 0 && rng_below(&rng, 999) < ledger->spoiled;
}

static bool is_before(const struct entry *record, int64_t start_ms) {
    return record->created_ms < start_ms - start_ms % 1000;
}

void sim_ledger_write(struct sim_ledger *ledger, const char *id, uint32_t family, uint64_t first,
                      uint64_t count, int64_t created_ms) {
    struct shard *shard = find_shard(ledger, str_of(id));
    make_room(ledger, first + count);
    for (uint64_t number = first; number < first + count; number++) {
        struct entry *record = &ledger->records[number];
        assert_int_equal(record->shard, 0);
        uint64_t turn = ledger->filled[family]++ % SIM_ITEMS_A_FAMILY;
        *record = (struct entry){
            .shard = (uint32_t)(shard - ledger->shards) + 1,
            .item = (uint8_t)(family * SIM_ITEMS_A_FAMILY + turn),
            .created_ms = created_ms,
            .bad = is_spoiled(ledger, number),
        };
        shard->numbers =
            sim_grown(shard->numbers, shard->count, &shard->capacity, sizeof(uint64_t));
        shard->numbers[shard->count++] = number;
    }
    shard->pending += count;
    ledger->missing += count;
    ledger->totals.records += count;
}

/* Nobody waits for its receipt. */
static bool is_done(const struct entry *record) {
    return record->acked || record->trimmed || record->old || record->refused;
}

/* Over what is done with. */
static void move_passed(const struct sim_ledger *ledger, struct shard *shard) {
    while (shard->passed < shard->count) {
        const struct entry *record = &ledger->records[shard->numbers[shard->passed]];
        if (!is_done(record)) {
            return;
        }
        shard->passed++;
    }
}

/* What of this shard is older. */
static void retire(struct sim_ledger *ledger, struct shard *shard, int64_t start_ms) {
    for (size_t i = 0; i < shard->count; i++) {
        struct entry *record = &ledger->records[shard->numbers[i]];
        if (record->old || !is_before(record, start_ms)) {
            continue;
        }
        shard->pending -= is_done(record) ? 0 : 1;
        ledger->missing -= record->arrived || is_done(record) ? 0 : 1;
        record->old = true;
    }
    move_passed(ledger, shard);
}

void sim_ledger_start_at(struct sim_ledger *ledger, int64_t start_ms) {
    ledger->start_ms = start_ms;
    ledger->starts_exactly = true;
    for (size_t i = 0; i < ledger->shard_count; i++) {
        retire(ledger, &ledger->shards[i], start_ms);
    }
}

void sim_ledger_start_now(struct sim_ledger *ledger, int64_t now_ms) {
    ledger->start_ms = now_ms - MARGIN_MS; /* creation times are floored */
}

static void trim(struct sim_ledger *ledger, struct shard *shard, uint64_t number, bool known) {
    for (size_t i = 0; i < shard->count && shard->numbers[i] <= number; i++) {
        struct entry *record = &ledger->records[shard->numbers[i]];
        if (record->trimmed) {
            continue;
        }
        shard->pending -= is_done(record) ? 0 : 1;
        ledger->missing -= record->arrived || is_done(record) ? 0 : 1;
        record->trimmed = true;
        record->knowable = known;
    }
    move_passed(ledger, shard);
}

void sim_ledger_trim(struct sim_ledger *ledger, const char *id, uint64_t number) {
    struct shard *shard = find_shard(ledger, str_of(id));
    ledger->may_alarm = ledger->may_alarm || number >= shard->lease.checkpoint;
    trim(ledger, shard, number, shard->lease.checkpoint > 0);
}

void sim_ledger_age(struct sim_ledger *ledger, const char *id) {
    struct shard *shard = find_shard(ledger, str_of(id));
    ledger->may_alarm = true;
    trim(ledger, shard, UINT64_MAX, shard->lease.exists && !shard->lease.finished);
}

void sim_ledger_vanish(struct sim_ledger *ledger, const char *id) {
    struct shard *shard = find_shard(ledger, str_of(id));
    shard->vanished = true;
    ledger->may_alarm = ledger->may_alarm || !shard->lease.finished;
    trim(ledger, shard, UINT64_MAX, shard->lease.exists);
}

void sim_ledger_remake(struct sim_ledger *ledger) {
    ledger->first_shard = ledger->shard_count;
    memset(ledger->filled, 0, sizeof ledger->filled);
}

/* ---- records ---- */

static bool was_given_away(const struct hold *hold, const struct sim_worker *worker) {
    return hold->worker != worker->serial;
}

/* Whoever takes a record into a batch, or sends it, holds its shard's lease as far as it can know. */
static void check_lease(const struct sim_ledger *ledger, uint64_t number, const struct shard *shard,
                        const struct sim_worker *worker, const char *what) {
    const struct hold *hold = &shard->holds[worker->place];
    if (was_given_away(hold, worker)) {
        broken(ledger, "%s %s record %" PRIu64 " of %s, whose lease is not its own", worker->id,
               what, number, shard->id);
    }
    if (ledger->now_ns - hold->written_ns >= ledger->failover_ns - MARGIN_MS * MS) {
        broken(ledger, "%s %s record %" PRIu64 " of %s, whose lease it renewed %" PRIu64 " ms ago",
               worker->id, what, number, shard->id, (ledger->now_ns - hold->written_ns) / MS);
    }
}

enum sim_refusal sim_ledger_put(struct sim_ledger *ledger, uint64_t number, struct str id,
                                const struct sim_worker *worker, uint64_t now_ns) {
    ledger->now_ns = now_ns;
    const struct entry *record = find_record(ledger, number);
    struct shard *shard = shard_of(ledger, record);
    if (!str_is(id, shard->id)) {
        broken(ledger, "record %" PRIu64 " is of %s, not of %.*s", number, shard->id, STR_FMT(id));
    }
    const struct shard *parent = shard->parent > 0 ? &ledger->shards[shard->parent - 1] : NULL;
    if (parent != NULL && (!parent->closed || parent->pending > 0)) {
        broken(ledger,
               "%s sends record %" PRIu64 " of %s, while of its parent %s %" PRIu64
               " are not acknowledged",
               worker->id, number, shard->id, parent->id, parent->pending);
    }
    check_lease(ledger, number, shard, worker, "takes");
    if (record->old && is_before(record, shard->lease.start_ms)) {
        broken(ledger, "%s sends record %" PRIu64 " of %s, which is older than the start",
               worker->id, number, shard->id);
    }
    ledger->totals.early += record->old && shard->lease.start_ms == 0 ? 1 : 0;
    if (!record->bad) {
        return SIM_NOT_REFUSED;
    }
    return number % 2 == 0 ? SIM_REFUSED_AT_ONCE : SIM_REFUSED_LATER;
}

void sim_ledger_arrived(struct sim_ledger *ledger, uint64_t number, const char *key,
                        const struct sim_worker *worker, uint64_t now_ns) {
    ledger->now_ns = now_ns;
    struct entry *record = find_record(ledger, number);
    struct item *item = &ledger->items[record->item];
    char expected[48];
    (void)snprintf(expected, sizeof expected, "f%d-%06d", record->item / SIM_ITEMS_A_FAMILY,
                   record->item % SIM_ITEMS_A_FAMILY);
    if (strcmp(key, expected) != 0) {
        broken(ledger, "record %" PRIu64 " came with key %s instead of %s", number, key, expected);
    }
    if (record->bad) {
        broken(ledger, "record %" PRIu64 " came, which cannot be sent", number);
    }
    /* Of two workers that start at the same time the later start is further. */
    bool late = record->old && number < item->newest;
    item->last = late ? item->last : number;
    struct shard *shard = shard_of(ledger, record);
    check_lease(ledger, number, shard, worker, "sends");
    if (strcmp(shard->lease.owner, worker->id) == 0) {
        shard->sent = number;
        shard->sender = worker->serial;
    } else { /* it was asked in vain */
        ledger->totals.after_loss++;
        uint64_t overlap_ms = (now_ns - shard->lease.owned_ns) / MS;
        if (overlap_ms > ledger->totals.overlap_ms) {
            ledger->totals.overlap_ms = overlap_ms;
        }
    }
    if (record->arrived) {
        ledger->totals.again++;
        return;
    }
    record->arrived = true;
    ledger->missing -= record->trimmed || record->old ? 0 : 1;
    if (late) {
        return;
    }
    if (number < item->newest) {
        broken(ledger, "%s got record %" PRIu64 " after %" PRIu64, key, number, item->newest);
    }
    item->newest = number;
}

void sim_ledger_acked(struct sim_ledger *ledger, uint64_t number) {
    struct entry *record = find_record(ledger, number);
    struct shard *shard = shard_of(ledger, record);
    if (record->acked) {
        return;
    }
    record->acked = true;
    shard->pending -= record->trimmed || record->old ? 0 : 1;
    move_passed(ledger, shard);
}

void sim_ledger_refused(struct sim_ledger *ledger, uint64_t number) {
    struct entry *record = find_record(ledger, number);
    struct shard *shard = &ledger->shards[record->shard - 1];
    bool done = is_done(record);
    record->refused = true;
    shard->pending -= done ? 0 : 1;
    ledger->missing -= done ? 0 : 1;
    move_passed(ledger, shard);
}

/* ---- leases ---- */

static const char *text_of(yyjson_mut_val *item, const char *name, const char *type) {
    const char *text = yyjson_mut_get_str(yyjson_mut_obj_get(yyjson_mut_obj_get(item, name), type));
    return text != NULL ? text : "";
}

static struct lease read_lease(yyjson_mut_val *item) {
    struct lease lease = {.exists = item != NULL};
    if (item != NULL) {
        const char *checkpoint = text_of(item, "checkpoint", "S");
        lease.counter = strtoull(text_of(item, "leaseCounter", "N"), NULL, 10);
        (void)str_copy(str_of(text_of(item, "leaseOwner", "S")), lease.owner, sizeof lease.owner);
        (void)str_copy(str_of(text_of(item, "d2pWantedBy", "S")), lease.wanted_by,
                       sizeof lease.wanted_by);
        lease.finished = strcmp(checkpoint, "SHARD_END") == 0;
        lease.at_horizon = strcmp(checkpoint, "TRIM_HORIZON") == 0;
        lease.start_ms = (int64_t)strtoull(text_of(item, "d2pStart", "N"), NULL, 10);
        lease.checkpoint = strtoull(checkpoint, NULL, 10); /* 0 for words */
    }
    return lease;
}

static void check_checkpoint(const struct sim_ledger *ledger, const struct shard *shard,
                             const struct lease *now, const struct sim_worker *worker) {
    const struct lease *before = &shard->lease;
    bool moved = now->checkpoint != before->checkpoint || now->finished != before->finished;
    if (!moved) {
        return;
    }
    if (strcmp(before->owner, worker->id) != 0) {
        broken(ledger, "%s moved the checkpoint of %s, which %s owns", worker->id, shard->id,
               before->owner[0] != '\0' ? before->owner : "nobody");
    }
    if (before->finished || (!now->finished && now->checkpoint < before->checkpoint)) {
        broken(ledger, "%s put the checkpoint of %s back from %" PRIu64 " to %" PRIu64, worker->id,
               shard->id, before->checkpoint, now->checkpoint);
    }
    if (now->finished && (!shard->closed || shard->pending > 0)) {
        broken(ledger, "%s ended %s, of which %" PRIu64 " records are not acknowledged", worker->id,
               shard->id, shard->pending);
    }
    if (!now->finished && shard->passed < shard->count &&
        now->checkpoint >= shard->numbers[shard->passed]) {
        broken(ledger,
               "%s put the checkpoint of %s to %" PRIu64 ", but record %" PRIu64
               " is not acknowledged",
               worker->id, shard->id, now->checkpoint, shard->numbers[shard->passed]);
    }
}

/* What the checkpoint has passed was sent, or its loss was accepted. */
static void check_passed(struct sim_ledger *ledger, struct shard *shard, const struct lease *now,
                         const struct sim_worker *worker) {
    while (shard->judged < shard->count &&
           (now->finished || shard->numbers[shard->judged] <= now->checkpoint)) {
        uint64_t number = shard->numbers[shard->judged++];
        const struct entry *record = &ledger->records[number];
        ledger->totals.skipped += record->refused && !record->trimmed ? 1 : 0;
        bool gone = record->trimmed && worker->continues;
        if (record->refused && !worker->skips && !gone) {
            broken(ledger,
                   "%s put the checkpoint of %s behind record %" PRIu64 ", which it must not skip",
                   worker->id, shard->id, number);
        }
        bool done = record->acked || record->old || record->refused;
        bool lost = record->trimmed && record->knowable && !done;
        if (lost && !worker->continues) {
            broken(ledger,
                   "%s put the checkpoint of %s behind record %" PRIu64 ", which it must not lose",
                   worker->id, shard->id, number);
        }
    }
}

/* May the worker make itself the owner in another's place? */
static void check_taking(struct sim_ledger *ledger, const struct shard *shard,
                         const struct sim_worker *worker) {
    const struct lease *before = &shard->lease;
    bool expired = ledger->now_ns - before->changed_ns >= ledger->failover_ns;
    const struct hold *wish = &shard->wishes[worker->place]; /* another's may have come since */
    bool asked = wish->worker == worker->serial &&
                 ledger->now_ns - wish->written_ns >= 2 * ledger->failover_ns;
    if (!expired && !asked) {
        broken(ledger, "%s took %s from %s, which renewed it %" PRIu64 " ms ago", worker->id,
               shard->id, before->owner, (ledger->now_ns - before->changed_ns) / MS);
    }
    ledger->totals.taken_over += expired ? 1 : 0;
    ledger->totals.stolen += expired ? 0 : 1;
}

/* Its checkpoint has moved, or it has no more to be read. */
static bool is_read(const struct shard *shard) {
    return shard->was_read || (shard->lease.exists && shard->closed && shard->pending == 0);
}

/* A new lease tells the start, or is below a shard that was read. */
static void check_start(const struct sim_ledger *ledger, const struct shard *shard,
                        const struct lease *now, const struct sim_worker *worker) {
    bool read_above = false;
    for (uint32_t at = shard->parent; at > 0 && !read_above; at = ledger->shards[at - 1].parent) {
        read_above = is_read(&ledger->shards[at - 1]);
    }
    bool right = ledger->starts_exactly || ledger->start_ms == 0
                     ? now->start_ms == ledger->start_ms
                     : now->start_ms >= ledger->start_ms;
    if (!right && (now->start_ms > 0 || !read_above)) {
        broken(ledger,
               "%s made the lease of %s with the start %" PRId64 ", which should be %" PRId64,
               worker->id, shard->id, now->start_ms, ledger->start_ms);
    }
}

/* What is older is not wanted; at the tip, nothing of what is above is. */
static void note_start(struct sim_ledger *ledger, struct shard *shard, const struct lease *now) {
    retire(ledger, shard, now->start_ms);
    for (uint32_t at = shard->parent; at > 0; at = ledger->shards[at - 1].parent) {
        if (!ledger->shards[at - 1].lease.exists) {
            retire(ledger, &ledger->shards[at - 1], now->at_horizon ? now->start_ms : INT64_MAX);
        }
    }
}

static void check_change(struct sim_ledger *ledger, const struct shard *shard,
                         const struct lease *now, const struct sim_worker *worker) {
    const struct lease *before = &shard->lease;
    if (!now->exists) {
        if (!before->finished && !(shard->vanished && worker->continues)) {
            broken(ledger, "%s deleted the unfinished lease of %s", worker->id, shard->id);
        }
        return;
    }
    if (!before->exists) {
        check_start(ledger, shard, now, worker);
        return;
    }
    bool mine = strcmp(before->owner, worker->id) == 0;
    bool new_owner = strcmp(before->owner, now->owner) != 0;
    if (now->counter < before->counter || now->counter > before->counter + 1) {
        broken(ledger, "%s moved the counter of %s from %" PRIu64 " to %" PRIu64, worker->id,
               shard->id, before->counter, now->counter);
    }
    if (!mine && now->counter != before->counter && strcmp(now->owner, worker->id) != 0) {
        broken(ledger, "%s wrote the lease of %s, which %s owns", worker->id, shard->id,
               before->owner);
    }
    if (new_owner && !mine && before->owner[0] != '\0') {
        check_taking(ledger, shard, worker);
    }
    ledger->totals.handed_over += new_owner && mine && now->owner[0] != '\0' ? 1 : 0;
    check_checkpoint(ledger, shard, now, worker);
}

void sim_ledger_lease(struct sim_ledger *ledger, struct str key, yyjson_mut_val *item,
                      const struct sim_worker *worker, uint64_t now_ns) {
    ledger->now_ns = now_ns;
    struct shard *shard = find_shard(ledger, key);
    struct lease now = read_lease(item);
    check_change(ledger, shard, &now, worker);
    check_passed(ledger, shard, &now, worker);
    const struct lease *before = &shard->lease;
    if (!before->exists && now.start_ms > 0) {
        note_start(ledger, shard, &now);
    }
    shard->was_read = shard->was_read || (now.exists && !now.at_horizon);
    bool same_owner = strcmp(now.owner, before->owner) == 0;
    bool counted = now.counter != before->counter || !before->exists;
    now.changed_ns = counted ? now_ns : before->changed_ns;
    now.owned_ns = same_owner ? before->owned_ns : now_ns;
    if (!same_owner) {
        memset(shard->wishes, 0, sizeof shard->wishes);
    } else if (!counted && strcmp(now.wanted_by, worker->id) == 0 &&
               shard->wishes[worker->place].worker != worker->serial) {
        shard->wishes[worker->place] = (struct hold){
            .worker = worker->serial,
            .written_ns = now_ns,
        };
    }
    if (counted) {
        bool mine = strcmp(now.owner, worker->id) == 0;
        shard->holds[worker->place] = (struct hold){
            .worker = mine ? worker->serial : 0,
            .written_ns = now_ns,
        };
    }
    shard->sent = same_owner || now.owner[0] == '\0' ? shard->sent : 0;
    shard->lease = now;
}

void sim_ledger_ended(struct sim_ledger *ledger, const struct sim_worker *worker, uint64_t now_ns) {
    ledger->now_ns = now_ns;
    for (size_t i = 0; i < ledger->shard_count; i++) {
        const struct shard *shard = &ledger->shards[i];
        const struct lease *lease = &shard->lease;
        if (!lease->exists || lease->finished) {
            continue;
        }
        if (strcmp(lease->owner, worker->id) == 0) {
            broken(ledger, "%s ended and still owns %s", worker->id, shard->id);
        }
        if (shard->sender == worker->serial && lease->checkpoint < shard->sent) {
            broken(ledger, "%s ended and left the checkpoint of %s at %" PRIu64 ", below %" PRIu64,
                   worker->id, shard->id, lease->checkpoint, shard->sent);
        }
    }
}

/* ---- questions ---- */

uint64_t sim_ledger_checkpoint(const struct sim_ledger *ledger, const char *shard) {
    return find_shard(ledger, str_of(shard))->lease.checkpoint;
}

uint64_t sim_ledger_last(const struct sim_ledger *ledger, const char *id) {
    const struct shard *shard = find_shard(ledger, str_of(id));
    return shard->count > 0 ? shard->numbers[shard->count - 1] : 0;
}

uint64_t sim_ledger_sent(const struct sim_ledger *ledger, const char *shard) {
    return find_shard(ledger, str_of(shard))->sent;
}

uint32_t sim_ledger_load(const struct sim_ledger *ledger, const char *worker_id) {
    uint32_t load = 0;
    for (size_t i = 0; i < ledger->shard_count; i++) {
        const struct lease *lease = &ledger->shards[i].lease;
        load += lease->exists && !lease->finished && strcmp(lease->owner, worker_id) == 0;
    }
    return load;
}

bool sim_ledger_has_leases(const struct sim_ledger *ledger) {
    bool has = false;
    for (size_t i = ledger->first_shard; i < ledger->shard_count; i++) {
        has = has || ledger->shards[i].lease.exists;
    }
    return has;
}

bool sim_ledger_is_finished(const struct sim_ledger *ledger, const char *shard) {
    return find_shard(ledger, str_of(shard))->lease.finished;
}

bool sim_ledger_is_needless(const struct sim_ledger *ledger, const char *id) {
    const struct shard *shard = find_shard(ledger, str_of(id));
    return !shard->lease.exists && shard->pending == 0;
}

uint64_t sim_ledger_missing(const struct sim_ledger *ledger) {
    return ledger->missing;
}

bool sim_ledger_may_alarm(const struct sim_ledger *ledger) {
    return ledger->may_alarm;
}

static void sum_shard(const struct sim_ledger *ledger, const struct shard *shard,
                      struct sim_totals *totals) {
    bool gap = false;
    for (size_t i = 0; i < shard->count; i++) {
        const struct entry *record = &ledger->records[shard->numbers[i]];
        totals->old += record->old ? 1 : 0;
        if (record->trimmed && !record->arrived && !record->old && !record->refused) {
            totals->lost++;
            totals->untold += record->knowable ? 0 : 1;
            gap = gap || record->knowable;
        }
    }
    totals->gaps += gap ? 1 : 0;
}

void sim_ledger_sum(const struct sim_ledger *ledger, struct sim_totals *ret_totals) {
    *ret_totals = ledger->totals;
    ret_totals->missing = ledger->missing;
    for (size_t i = 0; i < ledger->shard_count; i++) {
        sum_shard(ledger, &ledger->shards[i], ret_totals);
    }
    for (size_t i = 0; i < ITEMS; i++) {
        const struct item *item = &ledger->items[i];
        /* A repetition may end where the rest of it is gone. */
        bool gone = item->newest > 0 && ledger->records[item->newest].trimmed;
        ret_totals->old_ends += item->last < item->newest && !gone ? 1 : 0;
    }
}

/* ---- life ---- */

struct sim_ledger *sim_ledger_new(uint64_t seed, uint64_t failover_ms) {
    struct sim_ledger *ledger = calloc(1, sizeof *ledger);
    assert_non_null(ledger);
    ledger->seed = seed;
    ledger->failover_ns = failover_ms * MS;
    return ledger;
}

void sim_ledger_free(struct sim_ledger *ledger) {
    for (size_t i = 0; i < ledger->shard_count; i++) {
        free(ledger->shards[i].numbers);
    }
    free(ledger->shards);
    free(ledger->records);
    free(ledger);
}
