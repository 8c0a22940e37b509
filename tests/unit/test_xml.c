#include "aws/xml.h"

#include <aws/common/common.h>

#include "unit/cmocka_all.h"

static void texts_of_elements(void **state) {
    (void)state;
    static const struct {
        const char *document;
        const char *name;
        const char *text; /* NULL: not found */
    } cases[] = {
        {"<a>x</a>", "a", "x"},
        {"<?xml version=\"1.0\"?><a><b>1</b><c>2</c></a>", "c", "2"},
        {"<a xmlns=\"u\"><b><c>first</c></b><c>second</c></a>", "c", "first"},
        {"<a>\n <b>a &lt;b&gt; &amp;&quot;c&apos;</b>\n</a>", "b", "a <b> &\"c'"},
        {"<a><b></b></a>", "b", ""},
        {"<a><ab>x</ab></a>", "b", NULL},
        {"<a>x</a>", "b", NULL},
        {"", "a", NULL},
        {"text", "a", NULL},
        {"<a><b>x</a>", "b", NULL},
        {"<a", "a", NULL},
        {"{\"a\":\"x\"}", "a", NULL},
        {"<l1><l2><l3><l4><l5><l6><l7><l8><l9><l10><l11><a>x</a></l11></l10></l9></l8></l7></l6></"
         "l5>"
         "</l4></l3></l2></l1>",
         "a", NULL}, /* deeper than any reply is */
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct buf text;
        buf_init(&text, 64);
        bool found = xml_add_text(&text, str_of(cases[i].document), cases[i].name);
        if (found != (cases[i].text != NULL)) {
            fail_msg("%s", cases[i].document);
        }
        if (found) {
            assert_string_equal(buf_text(&text), cases[i].text);
        }
        buf_done(&text);
    }
}

static void a_text_that_does_not_fit(void **state) {
    (void)state;
    struct buf text;
    buf_init(&text, 3);
    assert_true(xml_add_text(&text, STR("<a>123</a>"), "a"));
    buf_reset(&text);
    assert_false(xml_add_text(&text, STR("<a>1234</a>"), "a"));
    buf_done(&text);
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

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(texts_of_elements),
        cmocka_unit_test(a_text_that_does_not_fit),
    };
    return cmocka_run_group_tests_name("xml", tests, setup, teardown);
}
