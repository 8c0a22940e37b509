/*
 * open_set: the batches of a partition that still take messages: one for all, or one for each key.
 * Pure.
 */
#ifndef PULSAR_OPEN_SET_H
#define PULSAR_OPEN_SET_H

#include "pulsar/batch.h"

struct open_set {
    struct batch *first; /* by `next`, in the order in which they were opened */
    struct batch *last;
    uint32_t messages;      /* in all of them */
    size_t bytes;           /* of their payloads */
    struct batch **buckets; /* by key; NULL: one batch for all */
};

/* False when out of memory. */
bool open_set_init(struct open_set *set, bool by_key);
/* It must be empty. All-zero is fine. */
void open_set_done(struct open_set *set);

/* The batch that this message belongs to; NULL: none yet. */
struct batch *open_set_find(const struct open_set *set, const struct pulsar_message *message);
/* A batch that got its first message. */
void open_set_add(struct open_set *set, struct batch *batch, const struct pulsar_message *message);
/* The batch that was opened first leaves the set; NULL: there is none. */
struct batch *open_set_take(struct open_set *set);

#endif
