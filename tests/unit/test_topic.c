#include "unit/cmocka_all.h"

#include "pulsar/topic.h"

#include <stdlib.h>

static void full_names(void **state) {
    (void)state;
    static const char *const known[][2] = {
        {"t", "persistent://public/default/t"},
        {"my-topic.v1", "persistent://public/default/my-topic.v1"},
        {"acme/orders/changes", "persistent://acme/orders/changes"},
        {"persistent://acme/orders/changes", "persistent://acme/orders/changes"},
        {"non-persistent://acme/orders/changes", "non-persistent://acme/orders/changes"},
        {"a=b/c:d/t-partition-3", "persistent://a=b/c:d/t-partition-3"},
        {"persistent://acme/orders/Z\xc3\xbcrich", "persistent://acme/orders/Z\xc3\xbcrich"},
    };
    for (size_t i = 0; i < sizeof known / sizeof known[0]; i++) {
        struct err err = ERR_NONE;
        char *name = topic_full_name(str_of(known[i][0]), &err);
        assert_non_null(name);
        assert_string_equal(name, known[i][1]);
        free(name);
    }
}

static void wrong_names(void **state) {
    (void)state;
    static const char *const bad[] = {
        "",
        "tenant/topic",
        "a/b/c/d",
        "persistent://t",
        "persistent://a/b",
        "persistent://a/b/",
        "persistent:///b/c",
        "persistent://a//c",
        "persistent://cluster/a/b/c", /* the old form with a cluster: four parts */
        "kafka://a/b/c",
        "has space",
        "a b/c/d",
        "a/b/tab\t",
        "a/b*/c",
    };
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        struct err err = ERR_NONE;
        assert_null(topic_full_name(str_of(bad[i]), &err));
        assert_int_equal(err.code, ERR_CONFIG);
        char shown[64]; /* an error's text is one clean line */
        assert_true(str_copy(str_of(bad[i]), shown, sizeof shown));
        str_clean(shown);
        assert_non_null(strstr(err.text, shown));
    }
    struct err err = ERR_NONE;
    assert_null(topic_full_name(STR("with\0nul"), &err));
    assert_int_equal(err.code, ERR_CONFIG);
}

static void length_limit(void **state) {
    (void)state;
    char name[4097];
    memset(name, 'x', sizeof name);
    struct err err = ERR_NONE;
    char *full = topic_full_name(str_make(name, 4096), &err);
    assert_non_null(full);
    free(full);
    assert_null(topic_full_name(str_make(name, 4097), &err));
    assert_int_equal(err.code, ERR_CONFIG);
}

static void partition_names(void **state) {
    (void)state;
    char *name = topic_partition_name("persistent://public/default/t", 12);
    assert_non_null(name);
    assert_string_equal(name, "persistent://public/default/t-partition-12");
    free(name);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(full_names),
        cmocka_unit_test(wrong_names),
        cmocka_unit_test(length_limit),
        cmocka_unit_test(partition_names),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
