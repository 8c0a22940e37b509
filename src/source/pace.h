/*
 * pace: how fast a shard is read, and how many records are asked for. Pure: pages and errors in, delays out.
 */
#ifndef SOURCE_PACE_H
#define SOURCE_PACE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { PACE_LIMIT_MAX = 1000 /* the service's */ };

struct pace_options {
    uint64_t min_ms;
    uint64_t max_ms;
    uint32_t limit_max;
    bool hurry; /* until_caught_up: do not slow down before the tip is proven */
};

struct pace {
    struct pace_options options;
    uint32_t limit;       /* of the next GetRecords */
    uint64_t idle_ms;     /* the next delay after an empty page: grows from min to max */
    uint64_t floor_ms;    /* raised by throttling, lowered by success */
    uint32_t empty_pages; /* in a row */
    uint64_t empty_since_ms;
    bool at_tip; /* proven once */
};

/* What a page was. */
struct pace_page {
    uint32_t records;
    size_t bytes;
    bool after_start;  /* its last record was created after the program's start */
    bool shard_closed; /* the shard is known to have an end: nobody writes to it */
    uint64_t asked_ms; /* monotonic: when it was asked for */
};

void pace_init(struct pace *pace, const struct pace_options *options);
/* From now on (monotonic), how many ms until the next read. 0 for a full page: more is waiting. */
uint64_t pace_page(struct pace *pace, const struct pace_page *page, uint64_t now_ms);
/* The page was cut by its size or by the limit. */
bool pace_is_full(const struct pace *pace, const struct pace_page *page);
/* The service asks for less: halves the rate; how long to wait now. */
uint64_t pace_throttled(struct pace *pace);
/* A page would have been too large: halves the limit. False when it is 1 already. */
bool pace_too_large(struct pace *pace);

#endif
