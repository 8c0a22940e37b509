/*
 * fake_table: DynamoDB tables with one HASH key of type S, as a lease table is, and their
 * operations. Strict where the service is: attribute values, keys and expressions are checked.
 * Pure.
 */
#ifndef FAKES_FAKE_TABLE_H
#define FAKES_FAKE_TABLE_H

#include "base/err.h"
#include "fakes/fake_reply.h"

struct fake_table_item {
    char *key;
    yyjson_mut_doc *doc; /* its root is the item */
};

struct fake_table {
    char name[256];
    char hash_key[256];
    char billing[32];
    int64_t active_at_ms;          /* CREATING until then */
    struct fake_table_item *items; /* in the order of their keys */
    size_t count;
    size_t capacity;
};

struct fake_tables {
    struct fake_table **tables;
    size_t count;
    uint64_t create_ms;  /* how long a table is CREATING */
    uint64_t scan_items; /* items of a Scan page; 0: as many as asked for */
};

void fake_tables_done(struct fake_tables *tables);

struct fake_table *fake_tables_find(const struct fake_tables *tables, struct str name);
/* False when it is not there. */
bool fake_tables_drop(struct fake_tables *tables, struct str name);
/* Stores an item as it is, over an older one. ERR_CONFIG when the table or its key is not there. */
bool fake_tables_store(struct fake_tables *tables, struct str table, struct str item_json,
                       struct err *err);
/* The item as JSON text on the heap, or NULL; for tests. */
char *fake_tables_item(const struct fake_tables *tables, struct str table, struct str key);

/* What a request is about: the key of its item, else the name of its table. Copies into `to`. */
void fake_tables_subject(const struct fake_tables *tables, yyjson_val *in, char *to,
                         size_t capacity);

/* `of` is the struct fake_tables. */
fake_operation fake_tables_create;
fake_operation fake_tables_describe;
fake_operation fake_tables_delete;
fake_operation fake_tables_put_item;
fake_operation fake_tables_update_item;
fake_operation fake_tables_delete_item;
fake_operation fake_tables_get_item;
fake_operation fake_tables_scan;

#endif
