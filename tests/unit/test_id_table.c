/* Things by their ids. */
#include "unit/cmocka_all.h"

#include "pulsar/id_table.h"

#include <stdlib.h>

static void found_until_removed(void **state) {
    (void)state;
    struct id_table table;
    struct id_entry a;
    struct id_entry b;
    struct id_entry c;
    id_table_init(&table);
    assert_null(id_table_find(&table, 0));
    id_table_add(&table, &a, 0);
    id_table_add(&table, &b, ID_TABLE_FIRST_BUCKETS); /* in the same bucket */
    id_table_add(&table, &c, UINT64_MAX);
    assert_ptr_equal(id_table_find(&table, 0), &a);
    assert_ptr_equal(id_table_find(&table, ID_TABLE_FIRST_BUCKETS), &b);
    assert_ptr_equal(id_table_find(&table, UINT64_MAX), &c);
    assert_null(id_table_find(&table, 2 * ID_TABLE_FIRST_BUCKETS));
    id_table_remove(&table, &a);
    assert_null(id_table_find(&table, 0));
    assert_ptr_equal(id_table_find(&table, ID_TABLE_FIRST_BUCKETS), &b);
    id_table_add(&table, &a, 7); /* under another id */
    assert_ptr_equal(id_table_find(&table, 7), &a);
    assert_null(id_table_find(&table, 0));
    assert_int_equal(table.count, 3);
    id_table_done(&table);
}

/* How many have to be looked at to find one, at most. */
static size_t longest_search(const struct id_table *table) {
    size_t longest = 0;
    for (size_t i = 0; i < table->bucket_count; i++) {
        size_t len = 0;
        for (const struct id_entry *at = table->buckets[i]; at != NULL; at = at->next) {
            len++;
        }
        longest = len > longest ? len : longest;
    }
    return longest;
}

/* In a list that would be 5,000,000,000 steps. */
static void a_hundred_thousand_removed_in_reverse(void **state) {
    (void)state;
    enum { COUNT = 100000 };
    struct id_table table;
    struct id_entry *all = calloc(COUNT, sizeof *all);
    assert_non_null(all);
    id_table_init(&table);
    for (size_t i = 0; i < COUNT; i++) {
        id_table_add(&table, &all[i], 1000 + i);
    }
    assert_int_equal(table.count, COUNT);
    assert_int_equal(longest_search(&table), 1);
    for (size_t i = COUNT; i-- > 0;) {
        assert_ptr_equal(id_table_find(&table, 1000 + i), &all[i]);
        id_table_remove(&table, &all[i]);
        assert_null(id_table_find(&table, 1000 + i));
    }
    assert_int_equal(table.count, 0);
    id_table_done(&table);
    free(all);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(found_until_removed),
        cmocka_unit_test(a_hundred_thousand_removed_in_reverse),
    };
    return cmocka_run_group_tests_name("id_table", tests, NULL, NULL);
}
