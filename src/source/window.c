#include "source/window.h"

#include <stdlib.h>

/* The ring that an idle shard may keep: small, since there may be ten thousands of shards. */
enum { WINDOW_KEPT = 64 };

static struct window_slot *slot_at(const struct window *window, uint64_t ordinal) {
    return &window->slots[ordinal & (window->capacity - 1)];
}

/* Moves what is held to a ring of another size; false, and nothing changed, when memory is out. */
static bool resize(struct window *window, uint32_t capacity) {
    struct window_slot *slots = malloc(capacity * sizeof *slots);
    if (slots == NULL) {
        return false;
    }
    for (uint64_t ordinal = window->head; ordinal < window->next; ordinal++) {
        slots[ordinal & (capacity - 1)] = *slot_at(window, ordinal);
    }
    free(window->slots);
    window->slots = slots;
    window->capacity = capacity;
    return true;
}

/* Halving at an eighth: at least three eighths of the ring must be pushed before it grows again, so the copies cost
 * a constant per record. A window that cannot shrink for lack of memory stays as it is. */
static void shrink(struct window *window) {
    while (window->capacity > WINDOW_KEPT && window_held(window) <= window->capacity / 8) {
        if (!resize(window, window->capacity / 2)) {
            return;
        }
    }
}

void window_init(struct window *window, uint64_t first_ordinal) {
    *window = (struct window){.head = first_ordinal, .next = first_ordinal};
}

void window_done(struct window *window) {
    free(window->slots);
    window_init(window, window->next);
}

bool window_push(struct window *window, const struct seqno *seqno, uint64_t *ret_ordinal) {
    uint32_t held = window_held(window);
    if (held >= WINDOW_MAX_RECORDS) {
        return false;
    }
    if (held == window->capacity) {
        if (!resize(window, held == 0 ? WINDOW_KEPT : window->capacity * 2)) {
            return false;
        }
    }
    *slot_at(window, window->next) = (struct window_slot){.seqno = *seqno};
    *ret_ordinal = window->next++;
    window->unacked++;
    return true;
}

void window_pop(struct window *window) {
    if (!window_is_empty(window)) {
        window->next--;
        if (!slot_at(window, window->next)->acked) {
            window->unacked--;
        }
    }
}

bool window_ack(struct window *window, uint64_t ordinal) {
    if (ordinal < window->head || ordinal >= window->next || slot_at(window, ordinal)->acked) {
        return false;
    }
    slot_at(window, ordinal)->acked = true;
    window->unacked--;
    if (ordinal != window->head) {
        return false;
    }
    while (window->head < window->next && slot_at(window, window->head)->acked) {
        window->acked = slot_at(window, window->head)->seqno;
        window->head++;
    }
    shrink(window);
    return true;
}

void window_rewind(struct window *window) {
    window->next = window->head;
    window->unacked = 0;
    shrink(window);
}

const struct seqno *window_seqno(const struct window *window, uint64_t ordinal) {
    bool waits =
        ordinal >= window->head && ordinal < window->next && !slot_at(window, ordinal)->acked;
    return waits ? &slot_at(window, ordinal)->seqno : NULL;
}

size_t window_bytes(const struct window *window) {
    return window->capacity * sizeof *window->slots;
}
