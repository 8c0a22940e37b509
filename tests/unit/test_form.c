#include "base/form.h"

#include "unit/cmocka_all.h"

static void everything_else_is_encoded(void **state) {
    (void)state;
    struct buf form;
    buf_init(&form, 64);
    assert_true(form_add(&form, "a", STR("Az09-_.~")));
    assert_true(form_add(&form, "b.1", STR(" &=+%/\xc3\xa4")));
    assert_true(form_add(&form, "c", STR_NONE));
    assert_string_equal(buf_text(&form), "a=Az09-_.~&b.1=%20%26%3D%2B%25%2F%C3%A4&c=");
    buf_reset(&form);
    assert_true(form_encode(&form, STR("x y")));
    assert_string_equal(buf_text(&form), "x%20y");
    buf_done(&form);
}

static void what_does_not_fit(void **state) {
    (void)state;
    struct buf form;
    buf_init(&form, 8);
    assert_false(form_add(&form, "name", STR("long value")));
    assert_false(form_add(&form, "a", STR("b"))); /* nor anything after it */
    buf_done(&form);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(everything_else_is_encoded),
        cmocka_unit_test(what_does_not_fit),
    };
    return cmocka_run_group_tests_name("form", tests, NULL, NULL);
}
