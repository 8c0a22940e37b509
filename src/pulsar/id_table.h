/*
 * id_table: things found by their ids at once, however many there are. It grows with them; ids that
 * follow each other do not collide. Pure, but for memory.
 */
#ifndef PULSAR_ID_TABLE_H
#define PULSAR_ID_TABLE_H

#include <stddef.h>
#include <stdint.h>

enum { ID_TABLE_FIRST_BUCKETS = 16 }; /* a power of two */

/* Embedded in its owner. */
struct id_entry {
    uint64_t id;
    struct id_entry *next;
};

struct id_table {
    struct id_entry **buckets;
    size_t bucket_count; /* a power of two */
    size_t count;
    struct id_entry *first_buckets[ID_TABLE_FIRST_BUCKETS];
};

/* It must not move afterwards. */
void id_table_init(struct id_table *table);
/* The entries stay their owners'. */
void id_table_done(struct id_table *table);

/* entry is in no table, and no other one with this id is in this. */
void id_table_add(struct id_table *table, struct id_entry *entry, uint64_t id);
/* entry is in it. */
void id_table_remove(struct id_table *table, struct id_entry *entry);

/* NULL: there is none. */
static inline struct id_entry *id_table_find(const struct id_table *table, uint64_t id) {
    struct id_entry *entry = table->buckets[id & (table->bucket_count - 1)];
    while (entry != NULL && entry->id != id) {
        entry = entry->next;
    }
    return entry;
}

#endif
