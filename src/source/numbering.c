#include "source/numbering.h"

#include "source/window.h"

#include <inttypes.h>
#include <stdio.h>

/* More than any owner had in flight: what it sent last may not be stored yet, and so not be known. */
enum { IN_FLIGHT_MAX = WINDOW_MAX_RECORDS };

static bool take_word(struct str *rest, struct str *ret_word) {
    const char *space = rest->len > 0 ? memchr(rest->ptr, ' ', rest->len) : NULL;
    size_t len = space != NULL ? (size_t)(space - rest->ptr) : rest->len;
    size_t skip = len + (space != NULL ? 1 : 0);
    *ret_word = str_make(rest->ptr, len);
    *rest = str_make(rest->ptr + skip, rest->len - skip);
    return len > 0;
}

bool numbering_base_parse(struct str text, struct numbering_base *ret_base) {
    struct numbering_base base = {.id = 0};
    struct str number, id, partitions, routing;
    uint64_t count = 0;
    if (!take_word(&text, &number) || !take_word(&text, &id) || !take_word(&text, &partitions) ||
        !take_word(&text, &routing) || text.len > 0 || !seqno_parse(number, &base.seqno) ||
        !str_to_u64(id, &base.id) || base.id > INT64_MAX || !str_to_u64(partitions, &count) ||
        count == 0 || count > UINT32_MAX || !str_is_visible(routing) ||
        !str_copy(routing, base.routing, sizeof base.routing)) {
        return false;
    }
    base.partitions = (uint32_t)count;
    *ret_base = base;
    return true;
}

size_t numbering_base_format(const struct numbering_base *base, char to[NUMBERING_BASE_TEXT_MAX]) {
    char number[SEQNO_MAX_DIGITS + 1];
    (void)seqno_format(&base->seqno, number);
    return (size_t)snprintf(to, NUMBERING_BASE_TEXT_MAX, "%s %" PRIu64 " %" PRIu32 " %s", number,
                            base->id, base->partitions, base->routing);
}

bool numbering_base_equal(const struct numbering_base *a, const struct numbering_base *b) {
    return seqno_is_set(&a->seqno) && seqno_is_set(&b->seqno) &&
           seqno_compare(&a->seqno, &b->seqno) == 0 && a->id == b->id &&
           a->partitions == b->partitions && strcmp(a->routing, b->routing) == 0;
}

static void raise_above(struct numbering *numbering, uint64_t id) {
    uint64_t above = id + 1 + IN_FLIGHT_MAX;
    numbering->above = above > numbering->above ? above : numbering->above;
}

void numbering_start(struct numbering *numbering, const struct numbering_base *base,
                     const struct position *checkpoint, struct str routing, uint64_t next_ordinal) {
    *numbering = (struct numbering){.routing = routing};
    if (checkpoint->numbered) {
        raise_above(numbering, checkpoint->id);
    }
    if (!seqno_is_set(&base->seqno)) {
        return;
    }
    raise_above(numbering, base->id);
    if (!str_is(routing, base->routing)) {
        return; /* the same record would go elsewhere: there, its id may be another's */
    }
    numbering->base = *base;
    if (checkpoint->numbered && checkpoint->id >= base->id) { /* else it is of an older base */
        numbering->fixed = true;
        numbering->offset = checkpoint->id + 1 - next_ordinal;
    }
}

void numbering_break(struct numbering *numbering, uint64_t next_ordinal) {
    if (numbering->fixed) {
        raise_above(numbering, numbering_id(numbering, next_ordinal));
        numbering->fixed = false;
    }
}

uint32_t numbering_partitions(const struct numbering *numbering) {
    return numbering->base.partitions;
}

bool numbering_fix(struct numbering *numbering, const struct seqno *seqno, uint64_t ordinal,
                   int64_t last_stored, uint32_t partitions) {
    if (numbering->fixed) {
        return false;
    }
    numbering->fixed = true;
    if (seqno_is_set(&numbering->base.seqno) && seqno_compare(&numbering->base.seqno, seqno) == 0) {
        numbering->offset = numbering->base.id - ordinal;
        return false;
    }
    if (last_stored >= 0) {
        raise_above(numbering, (uint64_t)last_stored);
    }
    numbering->base = (struct numbering_base){
        .seqno = *seqno,
        .id = numbering->above,
        .partitions = partitions,
    };
    (void)str_copy(numbering->routing, numbering->base.routing, sizeof numbering->base.routing);
    numbering->offset = numbering->base.id - ordinal;
    return true;
}

void numbering_mark(const struct numbering *numbering, uint64_t ordinal,
                    struct position *position) {
    uint64_t id = numbering_id(numbering, ordinal);
    position->numbered = numbering->fixed && id >= numbering->base.id && id <= INT64_MAX;
    position->id = position->numbered ? id : 0;
}
