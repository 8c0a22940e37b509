#include "base/json.h"

#include "cmocka_all.h"

static void reads_members(void **state) {
    (void)state;
    struct aws_json_value *json = json_parse(STR("{\"a\":\"x\\u00e4\",\"A\":\"other\",\"n\":null,"
                                                 "\"i\":7,\"o\":{\"b\":\"\"}}"));
    assert_non_null(json);
    assert_string_equal(json_text(json, "a"), "x\xc3\xa4");
    assert_string_equal(json_text(json, "A"), "other"); /* by exact name */
    assert_true(str_is(json_str(json, "a"), "x\xc3\xa4"));
    assert_null(json_get(json, "n"));
    assert_null(json_get(json, "missing"));
    assert_null(json_text(json, "i"));
    assert_non_null(json_get(json, "i"));
    assert_string_equal(json_text(json_get(json, "o"), "b"), "");
    assert_null(json_text(json_get(json, "i"), "b")); /* no object */
    assert_null(json_text(NULL, "b"));
    json_free(json);
}

static void exact_names_do_not_depend_on_order(void **state) {
    (void)state;
    struct aws_json_value *json = json_parse(STR("{\"Message\":\"upper\"}"));
    assert_null(json_text(json, "message"));
    assert_string_equal(json_text(json, "Message"), "upper");
    json_free(json);
}

static void refuses_what_is_no_json(void **state) {
    (void)state;
    assert_null(json_parse(STR_NONE));
    assert_null(json_parse(STR("")));
    assert_null(json_parse(STR("<html>")));
    assert_null(json_parse(STR("{\"a\":")));
    json_free(NULL);
}

static int setup(void **state) {
    (void)state;
    aws_common_library_init(aws_default_allocator());
    return 0;
}

static int teardown(void **state) {
    (void)state;
    aws_common_library_clean_up();
    return 0;
}

static void secrets_are_erased(void **state) {
    (void)state;
    json_free_secret(NULL);
    json_free_secret(json_parse(STR("7")));
    json_free_secret(json_parse(STR("{\"a\":\"x\",\"b\":[\"y\"],\"c\":null,\"d\":\"\"}")));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(reads_members),
        cmocka_unit_test(exact_names_do_not_depend_on_order),
        cmocka_unit_test(secrets_are_erased),
        cmocka_unit_test(refuses_what_is_no_json),
    };
    return cmocka_run_group_tests_name("json", tests, setup, teardown);
}
