/* base: err, io_error, str, buf, backoff, page. */
#include "base/backoff.h"
#include "base/buf.h"
#include "base/err.h"
#include "base/io_error.h"
#include "base/page.h"
#include "base/str.h"

#include <aws/io/io.h>

#include "cmocka_all.h"

/* ---- err ---- */

static void err_takes_its_class_from_the_table(void **state) {
    (void)state;
    struct err err = ERR_NONE;
    assert_false(err_is_set(&err));
    assert_false(err_set(&err, ERR_AWS_THROTTLED, "GetRecords: %d", 400));
    assert_true(err_is_set(&err));
    assert_int_equal(err.class, ERR_CLASS_THROTTLE);
    assert_string_equal(err.text, "GetRecords: 400");
    assert_string_equal(err_code_name(err.code), "AWS_THROTTLED");
    assert_string_equal(err_class_name(err.class), "throttle");
    assert_int_equal(err_exit_code(ERR_DATA_LOSS), 5);
    assert_int_equal(err_exit_code(ERR_CONFIG), 2);
    assert_int_equal(err_exit_code(ERR_OK), 0);
}

static void err_context_goes_in_front(void **state) {
    (void)state;
    struct err err = ERR_NONE;
    err_context(&err, "nothing happened");
    assert_string_equal(err.text, "");
    err_set(&err, ERR_TIMEOUT, "no answer");
    err_context(&err, "shard %s", "s-1");
    err_context(&err, "stream %s", "a");
    assert_string_equal(err.text, "stream a: shard s-1: no answer");
}

static void err_context_cuts_the_end_not_the_start(void **state) {
    (void)state;
    struct err err = ERR_NONE;
    char big[sizeof err.text];
    memset(big, 'x', sizeof big - 1);
    big[sizeof big - 1] = '\0';
    err_set(&err, ERR_INTERNAL, "%s", big);
    err_context(&err, "ctx");
    assert_int_equal(strlen(err.text), sizeof err.text - 1);
    assert_memory_equal(err.text, "ctx: xxx", 8);
}

static void err_is_one_clean_line(void **state) {
    (void)state;
    struct err err = ERR_NONE;
    err_set(&err, ERR_INTERNAL, "said %s", "a\r\nlevel=ERROR\x1b[2J\x7f");
    err_context(&err, "at %s", "b\n");
    assert_string_equal(err.text, "at b : said a  level=ERROR [2J ");
}

static void every_error_has_a_sentence_and_an_exit_code(void **state) {
    (void)state;
    for (int code = 1; code < ERR_CODE_COUNT; code++) {
        assert_true(strlen(err_code_meaning((enum err_code)code)) > 8);
        assert_in_range(err_exit_code((enum err_code)code), 1, 5);
    }
}

static void io_errors_have_words(void **state) {
    (void)state;
    assert_string_equal(io_error_text(AWS_IO_SOCKET_CONNECTION_REFUSED), "connection refused");
    assert_string_equal(io_error_text(AWS_IO_DNS_QUERY_AGAIN),
                        "the host name could not be resolved");
    assert_string_equal(io_error_text(AWS_IO_SOCKET_CLOSED), "closed by the other side");
    assert_string_equal(io_error_text(AWS_ERROR_OOM), aws_error_str(AWS_ERROR_OOM));
}

/* ---- str ---- */

static void str_compares_and_copies(void **state) {
    (void)state;
    assert_true(str_equal(STR(""), STR_NONE));
    assert_true(str_is(STR("abc"), "abc"));
    assert_false(str_is(STR("abc"), "ab"));
    assert_true(str_starts(STR("https://x"), "https:"));
    assert_false(str_starts(STR("h"), "https:"));
    assert_true(str_equal_nocase(STR("Content-Length"), STR("content-LENGTH")));
    assert_false(str_equal_nocase(STR("a"), STR("b")));
    char to[4];
    assert_true(str_copy(STR("abc"), to, sizeof to));
    assert_string_equal(to, "abc");
    assert_false(str_copy(STR("abcd"), to, sizeof to));
    assert_string_equal(to, "");
    struct str trimmed = str_trim(STR(" \t\r\n x y \n"));
    assert_true(str_is(trimmed, "x y"));
    assert_int_equal(str_trim(STR(" \n")).len, 0);
}

static void str_to_u64_refuses_what_is_no_number(void **state) {
    (void)state;
    uint64_t value = 7;
    assert_true(str_to_u64(STR("18446744073709551615"), &value));
    assert_true(value == UINT64_MAX);
    value = 7;
    assert_false(str_to_u64(STR("18446744073709551616"), &value));
    assert_false(str_to_u64(STR(""), &value));
    assert_false(str_to_u64(STR("-1"), &value));
    assert_false(str_to_u64(STR("1 "), &value));
    assert_true(value == 7);
}

static void str_cuts_between_characters(void **state) {
    (void)state;
    struct str text = STR("a\xc3\xa4\xe2\x82\xac!");
    static const size_t cut[] = {0, 1, 1, 3, 3, 3, 6, 7, 7};
    for (size_t max = 0; max < sizeof cut / sizeof cut[0]; max++) {
        assert_int_equal(str_cut(text, max).len, cut[max]);
    }
    assert_int_equal(str_cut(STR("\x80\x80\x80"), 2).len, 0); /* no UTF-8 at all */
    assert_null(str_cut(STR_NONE, 5).ptr);
}

static void str_cleans_control_characters(void **state) {
    (void)state;
    static const struct {
        const char *from;
        const char *to;
    } known[] = {
        {"", ""},
        {"a b~", "a b~"},
        {"\x01\t\n\r\x1b\x1f\x7f", "       "},
        {"\xc2\x80\xc2\x9b\xc2\x9f", "      "}, /* C1 */
        {"\xc2\xa0\xc3\x9b\xe2\x82\xac", "\xc2\xa0\xc3\x9b\xe2\x82\xac"},
        {"\xc2", "\xc2"},
        {"\xc2\n", "\xc2 "},
    };
    for (size_t i = 0; i < sizeof known / sizeof known[0]; i++) {
        char text[32];
        assert_true(str_copy(str_of(known[i].from), text, sizeof text));
        str_clean(text);
        assert_string_equal(text, known[i].to);
    }
}

/* ---- buf ---- */

static void buf_grows_to_its_maximum_and_no_further(void **state) {
    (void)state;
    struct buf buf;
    buf_init(&buf, 10);
    assert_true(buf_add_text(&buf, "")); /* nothing, before there is any memory */
    assert_true(buf_add_text(&buf, "0123456789"));
    assert_string_equal(buf_text(&buf), "0123456789");
    assert_false(buf_add_char(&buf, 'x'));
    assert_true(buf.failed);
    assert_int_equal(buf_str(&buf).len, 0);
    assert_string_equal(buf_text(&buf), "");
    assert_false(buf_add_text(&buf, ""));
    buf_reset(&buf);
    assert_true(buf_add_format(&buf, "%s-%d", "a", 42));
    assert_string_equal(buf_text(&buf), "a-42");
    assert_false(buf_add_format(&buf, "%s", "more than there is room for"));
    buf_done(&buf);
    assert_null(buf.data);
}

static void buf_takes_nothing_at_first(void **state) {
    (void)state;
    struct buf buf;
    buf_init(&buf, 10);
    assert_true(buf_add(&buf, NULL, 0));
    assert_true(buf_add_text(&buf, ""));
    assert_non_null(buf_reserve(&buf, 0));
    assert_int_equal(buf_str(&buf).len, 0);
    assert_true(buf_add_char(&buf, 'x'));
    assert_string_equal(buf_text(&buf), "x");
    buf_done(&buf);
}

static void buf_formats_into_exactly_the_last_byte(void **state) {
    (void)state;
    for (int room = 0; room < 300; room++) {
        struct buf buf;
        buf_init(&buf, (size_t)room);
        assert_int_equal(buf_add_format(&buf, "%0*d", 128, 5), room >= 128);
        buf_done(&buf);
    }
}

static void buf_escapes_json(void **state) {
    (void)state;
    struct buf buf;
    buf_init(&buf, 200);
    const char text[] = "a\"b\\c/\b\t\n\f\r\x01\x1f\x7f\xc3\xa9";
    assert_true(buf_add_json_string(&buf, str_make(text, sizeof text - 1)));
    assert_string_equal(buf_text(&buf),
                        "\"a\\\"b\\\\c/\\b\\t\\n\\f\\r\\u0001\\u001f\x7f\xc3\xa9\"");
    buf_reset(&buf);
    assert_true(buf_add_json_string(&buf, str_make("\0", 1)));
    assert_string_equal(buf_text(&buf), "\"\\u0000\"");
    buf_reset(&buf);
    assert_true(buf_add_json_string(&buf, STR_NONE));
    assert_string_equal(buf_text(&buf), "\"\"");
    buf_done(&buf);
}

/* ---- backoff ---- */

static void backoff_doubles_to_its_maximum(void **state) {
    (void)state;
    struct backoff backoff = backoff_make(100, 1000);
    struct rng rng = {.state = 1};
    const uint64_t bounds[] = {100, 200, 400, 800, 1000, 1000};
    for (size_t i = 0; i < sizeof bounds / sizeof bounds[0]; i++) {
        assert_int_equal(backoff_bound_ms(&backoff), bounds[i]);
        assert_in_range(backoff_next_ms(&backoff, &rng), 0, bounds[i]);
    }
    backoff_reset(&backoff);
    assert_int_equal(backoff_bound_ms(&backoff), 100);
    backoff.attempts = UINT32_MAX;
    assert_in_range(backoff_next_ms(&backoff, &rng), 0, 1000);
    assert_int_equal(backoff.attempts, UINT32_MAX);
}

static void backoff_jitter_is_full(void **state) {
    (void)state;
    struct rng rng = {.state = 42};
    uint64_t low = UINT64_MAX;
    uint64_t high = 0;
    for (int i = 0; i < 1000; i++) {
        struct backoff backoff = backoff_make(1000, 1000);
        uint64_t delay = backoff_next_ms(&backoff, &rng);
        low = delay < low ? delay : low;
        high = delay > high ? delay : high;
    }
    assert_in_range(low, 0, 50);
    assert_in_range(high, 950, 1000);
}

/* ---- page ---- */

static void pages_come_back_to_their_pool(void **state) {
    (void)state;
    struct page_pool *pool = page_pool_new(10000);
    struct page *page = page_take(pool);
    assert_true(page_add(page, "abc", 3, 100000));
    assert_int_equal(page->len, 3);
    size_t used = page_pool_bytes(pool);
    assert_true(used >= 3);
    const char *data = page->data;
    page_free(page);
    assert_int_equal(page_pool_bytes(pool), 0);
    page = page_take(pool);
    assert_ptr_equal(page->data, data);
    assert_int_equal(page->len, 0);
    page_free(page);
    page_free(NULL);
    page_pool_free(pool);
    page_pool_free(NULL);
}

static void a_page_has_a_bound_and_padding(void **state) {
    (void)state;
    struct page_pool *pool = page_pool_new(0);
    struct page *page = page_take(pool);
    assert_false(page_reserve(page, 101, 100));
    assert_true(page_reserve(page, 100, 100));
    char bytes[100] = {0};
    assert_true(page_add(page, bytes, 100, 100));
    assert_false(page_add(page, bytes, 1, 100));
    assert_int_equal(page->len, 100);
    memset(page->data + page->len, 'x', PAGE_PADDING); /* a sanitizer watches the end */
    page_free(page);
    page_pool_free(pool);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(err_takes_its_class_from_the_table),
        cmocka_unit_test(err_context_goes_in_front),
        cmocka_unit_test(err_context_cuts_the_end_not_the_start),
        cmocka_unit_test(err_is_one_clean_line),
        cmocka_unit_test(every_error_has_a_sentence_and_an_exit_code),
        cmocka_unit_test(io_errors_have_words),
        cmocka_unit_test(str_compares_and_copies),
        cmocka_unit_test(str_to_u64_refuses_what_is_no_number),
        cmocka_unit_test(str_cuts_between_characters),
        cmocka_unit_test(str_cleans_control_characters),
        cmocka_unit_test(buf_grows_to_its_maximum_and_no_further),
        cmocka_unit_test(buf_takes_nothing_at_first),
        cmocka_unit_test(buf_formats_into_exactly_the_last_byte),
        cmocka_unit_test(buf_escapes_json),
        cmocka_unit_test(backoff_doubles_to_its_maximum),
        cmocka_unit_test(backoff_jitter_is_full),
        cmocka_unit_test(pages_come_back_to_their_pool),
        cmocka_unit_test(a_page_has_a_bound_and_padding),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
