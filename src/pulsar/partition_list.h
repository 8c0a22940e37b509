/*
 * partition_list: the partitions of a producer's topic. More may be made than are used: while a
 * topic grows, the new ones are at the end, and not used yet.
 */
#ifndef PULSAR_PARTITION_LIST_H
#define PULSAR_PARTITION_LIST_H

#include "pulsar/partition.h"

/* All-zero is empty. */
struct partition_list {
    struct partition **items; /* pointers, since timers and lists point into them */
    uint32_t used;            /* to which messages go */
    uint32_t made;
    uint32_t ready; /* those that have been ready */
};

/* Makes those that are missing. count: as the broker says, 0 for a plain topic. pinned: so many at
 * most, and exactly so many are wanted; 0: all. False and err (CONFIG, NOMEM). */
bool partition_list_make(struct partition_list *list, struct partition_shared *shared,
                         const char *topic, uint32_t count, uint32_t pinned, struct err *err);
/* Opens those that are not open yet. */
void partition_list_open(struct partition_list *list);
/* One that is ready, or that is not to be counted as such any more. */
void partition_list_count(struct partition_list *list, struct partition *partition, bool ready);
/* Grown, and all of the new ones have been ready. */
static inline bool partition_list_has_grown(const struct partition_list *list) {
    return list->made > list->used && list->ready == list->made;
}
void partition_list_flush(struct partition_list *list);
/* Everything in them is undelivered, and they close. Raises events. */
void partition_list_end(struct partition_list *list, const struct err *err);
bool partition_list_is_closed(const struct partition_list *list);
/* Not below an event of one of them. */
void partition_list_done(struct partition_list *list);

#endif
