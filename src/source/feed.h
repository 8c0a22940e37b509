/*
 * feed: one shard's records on their way into the sink, and what comes back of them: out of the page, passed over or made
 * messages, numbered by the window, put into the delivery; acknowledged, refused or called off.
 *
 * Lane thread only. It does not decide what becomes of its reader: it says what happened.
 */
#ifndef SOURCE_FEED_H
#define SOURCE_FEED_H

#include "base/page.h"
#include "source/delivery.h"
#include "source/mapping.h"
#include "source/window.h"

struct shard;
struct worker;

struct feed {
    struct worker *worker;
    const struct shard *shard;
    uint32_t slot; /* part of each record's token */
    struct mapping mapping;
    struct window window;
    char *session; /* the name of its session in the sink; NULL: it has none */
    struct delivery delivery;
    int64_t skip_before_ms; /* records created before are passed over; 0: none */

    struct page *page; /* NULL: there is none */
    struct record_page walk;
    struct record record; /* not yet taken by the sink */
    bool has_record;
    uint32_t page_records; /* taken so far */

    struct seqno last_read; /* of the newest record read, with read_anything */
    bool read_anything;
    int64_t last_created_ms;
    /* Of the window, what the sink took and did not send, since the lease had run out. While there is some, nothing more
     * is sent; it is read again once the rest is acknowledged and the lease is held. */
    uint32_t called_off;
};

/* worker and shard outlive it. Numbers records from first_ordinal on. */
void feed_init(struct feed *feed, struct worker *worker, const struct shard *shard, uint32_t slot,
               uint64_t first_ordinal);
/* holder: of the shard's lease, started; NULL when none is kept. events and ctx: of a session of its own, if the source delivers
 * effectively once. False when out of memory. */
bool feed_start(struct feed *feed, struct lease_holder *holder, const struct sink_events *events,
                void *ctx);
void feed_done(struct feed *feed);

/* Takes the page, also when it is broken: false and err. */
bool feed_open(struct feed *feed, struct page *page, struct err *err);
void feed_drop_page(struct feed *feed);

enum feed_result {
    FEED_DONE,    /* every record of the page was taken */
    FEED_NO_ROOM, /* in the window or the lane's sink */
    FEED_WAITS,   /* for its session, which tells */
    FEED_HALTED,  /* something was called off */
    FEED_BROKEN,  /* the page; what came before was taken. err */
    FEED_FAILED,  /* a record that cannot be delivered, or no record can be: err */
};
/* The page's records, from the first that was not taken on. */
enum feed_result feed_run(struct feed *feed, struct err *err);

void feed_acked(struct feed *feed, uint64_t ordinal);
/* False and err when the checkpoint cannot pass the record. */
bool feed_refused(struct feed *feed, uint64_t ordinal, const struct err *why, struct err *err);
/* Whether the record is one of its own and waits: a slot's tokens may be of the reader before. */
bool feed_has(const struct feed *feed, uint64_t ordinal);
/* Nothing of the shard is on its way: all is acknowledged or called off. */
static inline bool feed_is_settled(const struct feed *feed) {
    return feed->window.unacked <= feed->called_off;
}
/* Goes back to the acknowledged position, when settled. anew: there is none, nor a checkpoint, and what is read next may be passed
 * over that was not seen before; ids are then found again by the first record sent. */
void feed_rewind(struct feed *feed, bool anew);
/* Records are missing in front of the next one. */
void feed_break(struct feed *feed);
/* The contiguous acknowledged position; false when there is none yet. */
bool feed_position(const struct feed *feed, struct position *ret_position);

#endif
