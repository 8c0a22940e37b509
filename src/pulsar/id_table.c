#include "pulsar/id_table.h"

#include <stdlib.h>

static struct id_entry **bucket_of(const struct id_table *table, uint64_t id) {
    return &table->buckets[id & (table->bucket_count - 1)];
}

void id_table_init(struct id_table *table) {
    *table = (struct id_table){.bucket_count = ID_TABLE_FIRST_BUCKETS};
    table->buckets = table->first_buckets;
}

static void free_buckets(struct id_table *table, struct id_entry **buckets) {
    if (buckets != table->first_buckets) {
        free(buckets);
    }
}

void id_table_done(struct id_table *table) {
    free_buckets(table, table->buckets);
    table->buckets = NULL;
}

static void put(struct id_table *table, struct id_entry *entry) {
    struct id_entry **bucket = bucket_of(table, entry->id);
    entry->next = *bucket;
    *bucket = entry;
}

/* Without memory for it the search gets slower, and nothing else. */
static void grow(struct id_table *table) {
    struct id_entry **old = table->buckets;
    size_t old_count = table->bucket_count;
    struct id_entry **buckets = calloc(2 * old_count, sizeof(struct id_entry *));
    if (buckets == NULL) {
        return;
    }
    table->buckets = buckets;
    table->bucket_count = 2 * old_count;
    for (size_t i = 0; i < old_count; i++) {
        for (struct id_entry *entry = old[i], *next; entry != NULL; entry = next) {
            next = entry->next;
            put(table, entry);
        }
    }
    free_buckets(table, old);
}

void id_table_add(struct id_table *table, struct id_entry *entry, uint64_t id) {
    if (table->count == table->bucket_count) {
        grow(table);
    }
    entry->id = id;
    put(table, entry);
    table->count++;
}

void id_table_remove(struct id_table *table, struct id_entry *entry) {
    struct id_entry **at = bucket_of(table, entry->id);
    while (*at != entry) {
        at = &(*at)->next;
    }
    *at = entry->next;
    table->count--;
}
