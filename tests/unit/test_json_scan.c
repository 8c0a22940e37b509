#include "base/buf.h"
#include "base/page.h"
#include "base/rng.h"
#include "source/json_scan.h"

#include <yyjson.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>

#include <cmocka.h>

/* ---- Images as services write them, then broken in places; yyjson is the judge. */

static void add_text(struct buf *buf, struct rng *rng) {
    static const char *const texts[] = {
        "",
        "a",
        "id",
        "n",
        "S",
        "\\\"",
        "\\\\",
        "\\n",
        "a longer text that goes over more than 64 bytes, as some do in a real table",
        "{'S':",
        "},",
        "0"};
    buf_add_char(buf, '"');
    for (uint64_t i = rng_below(rng, 2); i > 0; i--) {
        const char *text = texts[rng_below(rng, sizeof texts / sizeof texts[0] - 1)];
        buf_add_text(buf, text);
    }
    buf_add_char(buf, '"');
}

static void add_attributes(struct buf *buf, struct rng *rng, unsigned depth);

static void add_value(struct buf *buf, struct rng *rng, unsigned depth) {
    switch (rng_below(rng, depth > 4 ? 3 : 6)) {
    case 0:
        buf_add_text(buf, "{\"BOOL\":true}");
        break;
    case 1:
        buf_add_text(buf, "{\"N\":\"-1.5\"}");
        break;
    case 2:
        buf_add_text(buf, "{\"NULL\": false }");
        break;
    case 3:
        buf_add_text(buf, "{\"L\":[");
        for (uint64_t i = rng_below(rng, 2); i > 0; i--) {
            add_value(buf, rng, depth + 1);
            buf_add_text(buf, i > 1 ? "," : "");
        }
        buf_add_text(buf, "]}");
        break;
    case 4:
        buf_add_text(buf, "{\"M\":");
        add_attributes(buf, rng, depth + 1);
        buf_add_text(buf, "}");
        break;
    default:
        buf_add_text(buf, "{\"S\":");
        add_text(buf, rng);
        buf_add_text(buf, "}");
        break;
    }
}

static void add_attributes(struct buf *buf, struct rng *rng, unsigned depth) {
    buf_add_char(buf, '{');
    for (uint64_t i = rng_below(rng, 4); i > 0; i--) {
        add_text(buf, rng);
        buf_add_char(buf, ':');
        add_value(buf, rng, depth);
        buf_add_text(buf, i > 1 ? "," : "");
    }
    buf_add_char(buf, '}');
}

/* One byte changed, doubled or left out. */
static void mutate(struct buf *buf, struct rng *rng) {
    static const char likely[] = "\"\\{}[],: S0a\x01";
    size_t at = rng_below(rng, buf->len - 1);
    switch (rng_below(rng, 2)) {
    case 0:
        buf->data[at] = likely[rng_below(rng, sizeof likely - 2)];
        break;
    case 1:
        buf_add_char(buf, buf->data[buf->len - 1]);
        memmove(buf->data + at + 1, buf->data + at, buf->len - 1 - at);
        break;
    default:
        buf->len--;
        memmove(buf->data + at, buf->data + at + 1, buf->len - at);
        break;
    }
}

/* All of the text is one value. */
static bool accepted(struct str text) {
    struct json_scan scan = json_scan_make(text);
    struct str value;
    return json_scan_value(&scan, &value) && scan.at == scan.end && value.ptr == text.ptr;
}

static bool accepted_by_yyjson(struct str text) {
    yyjson_read_err err;
    yyjson_doc *doc =
        yyjson_read_opts((char *)(uintptr_t)text.ptr, text.len, YYJSON_READ_NOFLAG, NULL, &err);
    yyjson_doc_free(doc);
    return doc != NULL;
}

static void test_agrees_with_yyjson(void **state) {
    (void)state;
    struct rng rng = {.state = 11};
    struct buf buf;
    buf_init(&buf, 1 << 20);
    unsigned good = 0;
    unsigned bad = 0;
    for (int round = 0; round < 100000; round++) {
        buf_reset(&buf);
        add_attributes(&buf, &rng, 0);
        for (uint64_t i = rng_below(&rng, 2); i > 0 && buf.len > 1; i--) {
            mutate(&buf, &rng);
        }
        struct str text = buf_str(&buf);
        assert_non_null(buf_reserve(&buf, PAGE_PADDING));
        memset(buf.data + text.len, round % 2 == 0 ? '"' : '}', PAGE_PADDING);
        text = str_make(buf.data, text.len);
        bool expected = accepted_by_yyjson(text);
        good += expected;
        bad += !expected;
        /* White space is not passed around a value, so a text that begins or ends with it is none here. */
        bool space = text.ptr[0] == ' ' || text.ptr[text.len - 1] == ' ';
        if (accepted(text) != (expected && !space)) {
            fail_msg("yyjson says %d of %.*s", expected, STR_FMT(text));
        }
    }
    assert_true(good > 20000);
    assert_true(bad > 20000);
    buf_done(&buf);
}

/* ---- Small things that are passed. */

static struct json_scan scan_of(char *to, const char *text) {
    size_t len = strlen(text);
    memcpy(to, text, len);
    memset(to + len, '7', PAGE_PADDING);
    return json_scan_make(str_make(to, len));
}

static void test_natural_numbers(void **state) {
    (void)state;
    static const struct {
        const char *text;
        bool natural;
        uint64_t value;
    } cases[] = {
        {"0,", true, 0},
        {"7}", true, 7},
        {"1795441620,", true, 1795441620},
        {"999999999999999 ", true, 999999999999999},
        {"9999999999999999,", false, 0},
        {"12", false, 0}, /* the end: perhaps there is more of it */
        {"", false, 0},
        {",", false, 0},
        {"-1,", false, 0},
        {"01,", false, 0},
        {"1.0,", false, 0},
        {"1e3,", false, 0},
        {"1E3,", false, 0},
        {"\"1\"", false, 0},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        char memory[128];
        struct json_scan scan = scan_of(memory, cases[i].text);
        uint64_t value = 0;
        assert_int_equal(json_scan_natural(&scan, &value), cases[i].natural);
        size_t passed = cases[i].natural ? strlen(cases[i].text) - 1 : 0;
        assert_ptr_equal(scan.at, memory + passed);
        assert_int_equal(value, cases[i].value);
    }
}

static void test_pass(void **state) {
    (void)state;
    char memory[128];
    struct json_scan scan = scan_of(memory, ",\"Keys\":{}");
    assert_false(json_scan_pass(&scan, STR(",\"Key\":")));
    assert_false(json_scan_pass(&scan, STR(",\"Keys\":{}7"))); /* one byte behind the end */
    assert_ptr_equal(scan.at, memory);
    assert_true(json_scan_pass(&scan, STR(",\"Keys\":")));
    assert_ptr_equal(scan.at, memory + 8);
    assert_true(json_scan_pass(&scan, STR("{}")));
    assert_false(json_scan_pass(&scan, STR("7")));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_agrees_with_yyjson),
        cmocka_unit_test(test_natural_numbers),
        cmocka_unit_test(test_pass),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
