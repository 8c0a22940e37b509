/* A producer's options: what 0 means, and what does not go together. */
#include "unit/cmocka_all.h"

#include "pulsar/producer_options.h"

static void zero_means_the_default(void **state) {
    (void)state;
    struct pulsar_producer_options options = {.topic = STR("t")};
    assert_true(producer_options_complete(&options, NULL));
    assert_int_equal(options.batch_max_messages, 1000);
    assert_int_equal(options.batch_max_bytes, 128 * 1024);
    assert_int_equal(options.batch_max_delay_ms, 10);
    assert_int_equal(options.max_pending_messages, 65536);
    assert_int_equal(options.max_pending_bytes, 64 * 1024 * 1024);
    assert_int_equal(options.partitions_update_ms, 60000);
    assert_int_equal(options.send_timeout_ms, 0); /* none */
    assert_int_equal(options.create_timeout_ms, 0);
    assert_int_equal(options.partitions, 0);
}

static void what_is_said_stays(void **state) {
    (void)state;
    struct pulsar_producer_options options = {
        .batch_max_messages = 1,
        .batch_max_bytes = 2,
        .batch_max_delay_ms = 3,
        .max_pending_messages = 4,
        .max_pending_bytes = 5,
        .partitions_update_ms = 6,
    };
    assert_true(producer_options_complete(&options, NULL));
    assert_int_equal(options.batch_max_messages, 1);
    assert_int_equal(options.batch_max_bytes, 2);
    assert_int_equal(options.batch_max_delay_ms, 3);
    assert_int_equal(options.max_pending_messages, 4);
    assert_int_equal(options.max_pending_bytes, 5);
    assert_int_equal(options.partitions_update_ms, 6);
}

static void refused(struct pulsar_producer_options options, const char *why) {
    struct err err = ERR_NONE;
    assert_false(producer_options_complete(&options, &err));
    assert_int_equal(err.code, ERR_CONFIG);
    assert_non_null(strstr(err.text, why));
}

static void ids_of_ones_own_have_conditions(void **state) {
    (void)state;
    struct pulsar_producer_options options = {.explicit_sequence_ids = true};
    refused(options, "producer name");
    options.name = STR("p");
    assert_true(producer_options_complete(&options, NULL));
    options.send_timeout_ms = 1;
    refused(options, "sendTimeout");
    options.batching = PULSAR_BATCHING_KEY_BASED;
    refused(options, "key-based");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(zero_means_the_default),
        cmocka_unit_test(what_is_said_stays),
        cmocka_unit_test(ids_of_ones_own_have_conditions),
    };
    return cmocka_run_group_tests_name("producer_options", tests, NULL, NULL);
}
