/* Requests that wait for answers: found by id, in the order of their deadlines. */
#include "unit/cmocka_all.h"

#include "pulsar/requests.h"

#include <stdlib.h>

static void ids_are_new(void **state) {
    (void)state;
    struct requests requests;
    requests_init(&requests);
    uint64_t last = requests_new_id(&requests);
    assert_true(last > 0);
    for (int i = 0; i < 100; i++) {
        uint64_t id = requests_new_id(&requests);
        assert_true(id > last);
        last = id;
    }
    requests_done(&requests);
}

static void found_until_removed(void **state) {
    (void)state;
    struct requests requests;
    struct request a = {.id = 0};
    struct request b = {.id = 0};
    requests_init(&requests);
    assert_null(requests_find(&requests, 1));
    assert_null(requests_first(&requests));
    requests_add(&requests, &a, 1, 100);
    requests_add(&requests, &b, 1 + REQUESTS_FIRST_BUCKETS, 100); /* in the same bucket */
    assert_ptr_equal(requests_find(&requests, 1), &a);
    assert_ptr_equal(requests_find(&requests, 1 + REQUESTS_FIRST_BUCKETS), &b);
    assert_null(requests_find(&requests, 1 + 2 * REQUESTS_FIRST_BUCKETS));
    request_remove(&a);
    assert_null(requests_find(&requests, 1));
    assert_ptr_equal(requests_find(&requests, 1 + REQUESTS_FIRST_BUCKETS), &b);
    request_remove(&a); /* once more does no harm */
    assert_int_equal(requests.count, 1);
    requests_add(&requests, &a, 2, 50); /* another question */
    assert_null(requests_find(&requests, 1));
    assert_ptr_equal(requests_find(&requests, 2), &a);
    request_remove(&a);
    request_remove(&b);
    assert_null(requests_first(&requests));
    requests_done(&requests);
}

static void the_next_deadline_first(void **state) {
    (void)state;
    enum { COUNT = 6, FOREVER = 2 };
    static const uint64_t deadlines[COUNT] = {20, 20, REQUESTS_NO_DEADLINE, 10, 30, 20};
    static const size_t order[COUNT] = {3, 0, 1, 5, 4, FOREVER};
    struct requests requests;
    struct request all[COUNT] = {{.id = 0}};
    requests_init(&requests);
    for (size_t i = 0; i < COUNT; i++) {
        requests_add(&requests, &all[i], requests_new_id(&requests), deadlines[i]);
    }
    for (size_t i = 0; i < COUNT; i++) {
        struct request *expected = &all[order[i]];
        assert_ptr_equal(requests_first(&requests), expected);
        assert_ptr_equal(requests_next(&requests), order[i] == FOREVER ? NULL : expected);
        assert_ptr_equal(requests_find(&requests, expected->id), expected);
        request_remove(expected);
    }
    assert_null(requests_first(&requests));
    requests_done(&requests);
}

/* How many have to be looked at to find one, at most. */
static size_t longest_search(const struct requests *requests) {
    size_t longest = 0;
    for (size_t i = 0; i < requests->buckets; i++) {
        size_t len = 0;
        for (const struct request *at = requests->by_id[i]; at != NULL; at = at->next_with_hash) {
            len++;
        }
        longest = len > longest ? len : longest;
    }
    return longest;
}

/* In a list that would be 5,000,000,000 steps. */
static void a_hundred_thousand_answered_in_reverse(void **state) {
    (void)state;
    enum { COUNT = 100000 };
    struct requests requests;
    struct request *all = calloc(COUNT, sizeof *all);
    assert_non_null(all);
    requests_init(&requests);
    for (size_t i = 0; i < COUNT; i++) {
        requests_add(&requests, &all[i], requests_new_id(&requests), 1000 + i);
    }
    assert_int_equal(requests.count, COUNT);
    assert_int_equal(longest_search(&requests), 1);
    for (size_t i = COUNT; i-- > 0;) {
        uint64_t id = all[i].id;
        assert_ptr_equal(requests_find(&requests, id), &all[i]);
        request_remove(&all[i]);
        assert_null(requests_find(&requests, id));
    }
    assert_int_equal(requests.count, 0);
    requests_done(&requests);
    free(all);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(ids_are_new),
        cmocka_unit_test(found_until_removed),
        cmocka_unit_test(the_next_deadline_first),
        cmocka_unit_test(a_hundred_thousand_answered_in_reverse),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
