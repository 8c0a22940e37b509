/* Requests that wait for answers: found by id, in the order of their deadlines. */
#include "unit/cmocka_all.h"

#include "pulsar/requests.h"

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
    struct request a = {.requests = NULL};
    struct request b = {.requests = NULL};
    requests_init(&requests);
    assert_null(requests_find(&requests, 1));
    assert_null(requests_first(&requests));
    requests_add(&requests, &a, 1, 100);
    requests_add(&requests, &b, 1 + ID_TABLE_FIRST_BUCKETS, 100); /* in the same bucket */
    assert_ptr_equal(requests_find(&requests, 1), &a);
    assert_ptr_equal(requests_find(&requests, 1 + ID_TABLE_FIRST_BUCKETS), &b);
    assert_null(requests_find(&requests, 1 + 2 * ID_TABLE_FIRST_BUCKETS));
    request_remove(&a);
    assert_null(requests_find(&requests, 1));
    assert_ptr_equal(requests_find(&requests, 1 + ID_TABLE_FIRST_BUCKETS), &b);
    request_remove(&a); /* once more does no harm */
    assert_int_equal(requests.by_id.count, 1);
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
    struct request all[COUNT] = {{.requests = NULL}};
    requests_init(&requests);
    for (size_t i = 0; i < COUNT; i++) {
        requests_add(&requests, &all[i], requests_new_id(&requests), deadlines[i]);
    }
    for (size_t i = 0; i < COUNT; i++) {
        struct request *expected = &all[order[i]];
        assert_ptr_equal(requests_first(&requests), expected);
        assert_ptr_equal(requests_next(&requests), order[i] == FOREVER ? NULL : expected);
        assert_ptr_equal(requests_find(&requests, expected->entry.id), expected);
        request_remove(expected);
    }
    assert_null(requests_first(&requests));
    requests_done(&requests);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(ids_are_new),
        cmocka_unit_test(found_until_removed),
        cmocka_unit_test(the_next_deadline_first),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
