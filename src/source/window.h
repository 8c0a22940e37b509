/*
 * window: a shard's records that were handed to the sink and are not all acknowledged. It numbers records
 * (ordinals) in reading order and is the one place that decides what a checkpoint may say: the highest *contiguous*
 * acknowledged position. Pure.
 */
#ifndef SOURCE_WINDOW_H
#define SOURCE_WINDOW_H

#include "source/seqno.h"

enum { WINDOW_MAX_RECORDS = 65536 };

struct window_slot {
    struct seqno seqno;
    bool acked;
};

struct window {
    struct window_slot
        *slots; /* ring, capacity a power of two; grows by doubling, shrinks when it drains */
    uint32_t capacity;
    uint64_t head;    /* ordinal of the oldest record not known to be done */
    uint64_t next;    /* ordinal of the next record */
    uint32_t unacked; /* records in [head, next) without acknowledgement */
    struct seqno
        acked; /* sequence number of record head - 1: the contiguous acknowledged position */
};

/* Numbering starts at first_ordinal; nothing acknowledged yet. Allocates nothing. */
void window_init(struct window *window, uint64_t first_ordinal);
void window_done(struct window *window);

/* Takes the next record in; its ordinal on success. False when WINDOW_MAX_RECORDS are held or memory is out.
 * Sequence numbers must rise (a record that does not is the caller's defect to detect with seqno_compare). */
bool window_push(struct window *window, const struct seqno *seqno, uint64_t *ret_ordinal);
/* Undoes the newest window_push, whose record was not taken by the sink after all. */
void window_pop(struct window *window);
/* The record is done. True when the contiguous position moved. False for an ordinal that is not in the window or
 * is acknowledged already (a defect of the caller or the broker; nothing changes). */
bool window_ack(struct window *window, uint64_t ordinal);
/* Takes out all that lies behind the contiguous position: it will be read again. */
void window_rewind(struct window *window);
/* Of a record that is in the window and not done; else NULL. */
const struct seqno *window_seqno(const struct window *window, uint64_t ordinal);
/* Records in [head, next): acknowledged or not. */
static inline uint32_t window_held(const struct window *window) {
    return (uint32_t)(window->next - window->head);
}
/* Everything that was pushed is acknowledged. */
static inline bool window_is_empty(const struct window *window) {
    return window->head == window->next;
}
/* Bytes on the heap, for the memory budget. */
size_t window_bytes(const struct window *window);

#endif
