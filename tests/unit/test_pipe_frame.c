/* pipe_frame: what is written, what is read, and what is none. */
#include "sink/pipe_frame.h"

#include "cmocka_all.h"

#include <stdlib.h>

enum { MAX = 64 };

#define NUMBER_1 "\0\0\0\0\0\0\0\x01"
#define NUMBER_258 "\0\0\0\0\0\0\x01\x02"
#define ACKED_TWO                                                                                  \
    "\0\0\0\x11"                                                                                   \
    "A" NUMBER_1 NUMBER_258

static void assert_bytes(const struct buf *buf, struct str expected) {
    assert_int_equal(buf->len, expected.len);
    assert_memory_equal(buf->data, expected.ptr, expected.len);
}

static void writes_hello_and_alive(void **state) {
    (void)state;
    struct buf to;
    buf_init(&to, 100);
    assert_true(pipe_frame_add_hello(&to, STR("0.1")));
    assert_true(pipe_frame_add_alive(&to));
    assert_bytes(&to, STR("\0\0\0\x05"
                          "H\x01"
                          "0.1"
                          "\0\0\0\x01"
                          "L"));
    buf_done(&to);
}

static void writes_a_record(void **state) {
    (void)state;
    struct sink_message message = {
        .key = STR("key"),
        .event_time_ms = 0x0102030405,
        .properties = {{STR("a"), STR("xy")}, {STR("bc"), STR("")}},
        .property_count = 2,
        .value = {STR("{"), STR("1"), STR("}")},
        .value_parts = 3,
    };
    struct buf to;
    buf_init(&to, 200);
    assert_true(pipe_frame_add_record(&to, 258, &message));
    assert_bytes(&to, STR("\0\0\0\x32"
                          "R" NUMBER_258 "\0\0\0\x01\x02\x03\x04\x05"
                          "\x01\x02"
                          "\0\0\0\x03"
                          "key"
                          "\0\0\0\x01"
                          "a"
                          "\0\0\0\x02"
                          "xy"
                          "\0\0\0\x02"
                          "bc"
                          "\0\0\0\0"
                          "{1}"));
    assert_int_equal(pipe_frame_record_bytes(&message), to.len);
    buf_reset(&to);
    message = (struct sink_message){.key = STR_NONE};
    assert_true(pipe_frame_add_record(&to, 1, &message));
    assert_bytes(&to, STR("\0\0\0\x17"
                          "R" NUMBER_1 "\0\0\0\0\0\0\0\0"
                          "\0\0"
                          "\0\0\0\0"));
    buf_done(&to);
}

static void no_room_changes_nothing(void **state) {
    (void)state;
    struct sink_message message = {.value = {STR("0123456789")}, .value_parts = 1};
    struct buf to;
    buf_init(&to, 20);
    assert_true(pipe_frame_add_alive(&to));
    assert_false(pipe_frame_add_record(&to, 1, &message));
    assert_int_equal(to.len, 5);
    buf_done(&to);
}

static void takes_whole_frames_only(void **state) {
    (void)state;
    struct str all = STR(ACKED_TWO "\0\0\0\x06"
                                   "Ctext\n"
                                   "\0\0\0\x01"
                                   "C");
    for (size_t len = 0; len <= all.len; len++) {
        char *copy = malloc(len + 1); /* of its own size: a sanitizer sees a step too far */
        assert_non_null(copy);
        memcpy(copy, all.ptr, len);
        struct str rest = str_make(copy, len);
        struct pipe_frame frame = {.body = STR_NONE};
        struct err err = ERR_NONE;
        size_t frames = 0;
        while (pipe_frame_take(&rest, MAX, &frame, &err) == PIPE_FRAME_WHOLE) {
            frames++;
            if (frames == 1) {
                assert_int_equal(frame.type, PIPE_FRAME_ACKED);
                assert_int_equal(pipe_frame_count(&frame), 2);
                assert_int_equal(pipe_frame_number(&frame, 0), 1);
                assert_int_equal(pipe_frame_number(&frame, 1), 258);
            } else {
                assert_int_equal(frame.type, PIPE_FRAME_CONFIG);
                assert_true(str_is(frame.body, frames == 2 ? "text\n" : ""));
            }
        }
        assert_false(err_is_set(&err));
        size_t taken = len < 21 ? 0 : len < 31 ? 1 : len < 36 ? 2 : 3;
        static const size_t ends[] = {0, 21, 31, 36};
        assert_int_equal(frames, taken);
        assert_ptr_equal(rest.ptr, copy + ends[taken]);
        assert_int_equal(rest.len, len - ends[taken]);
        free(copy);
    }
}

static void assert_broken(struct str bytes, const char *text) {
    struct pipe_frame frame;
    struct err err = ERR_NONE;
    assert_int_equal(pipe_frame_take(&bytes, MAX, &frame, &err), PIPE_FRAME_BROKEN);
    assert_int_equal(err.code, ERR_PIPE);
    assert_string_equal(err.text, text);
}

static void what_is_no_frame(void **state) {
    (void)state;
    assert_broken(STR("\0\0\0\0"), "standard input: a frame of 0 bytes; allowed: 1 to 64");
    assert_broken(STR("\0\0\0\x41"), "standard input: a frame of 65 bytes; allowed: 1 to 64");
    assert_broken(STR("\xff\xff\xff\xff"),
                  "standard input: a frame of 4294967295 bytes; allowed: 1 to 64");
    assert_broken(STR("\0\0\0\x01"
                      "A"),
                  "standard input: a frame of type 0x41 and 1 bytes, which is none");
    assert_broken(STR("\0\0\0\x08"
                      "A1234567"),
                  "standard input: a frame of type 0x41 and 8 bytes, which is none");
    assert_broken(STR("\0\0\0\x01"
                      "L"),
                  "standard input: a frame of type 0x4c and 1 bytes, which is none");
    assert_broken(STR("\0\0\0\x02"
                      "\xff!"),
                  "standard input: a frame of type 0xff and 2 bytes, which is none");
}

static void too_many_numbers(void **state) {
    (void)state;
    size_t size = 1 + 8 * ((size_t)PIPE_FRAME_NUMBERS_MAX + 1);
    char *bytes = calloc(1, PIPE_FRAME_SIZE_BYTES + size);
    assert_non_null(bytes);
    bytes[2] = (char)(size >> 8);
    bytes[3] = (char)size;
    bytes[4] = 'A';
    struct str rest = str_make(bytes, PIPE_FRAME_SIZE_BYTES + size);
    struct pipe_frame frame;
    struct err err = ERR_NONE;
    assert_int_equal(pipe_frame_take(&rest, size, &frame, &err), PIPE_FRAME_BROKEN);
    bytes[3] = (char)(size - 8);
    assert_int_equal(pipe_frame_take(&rest, size, &frame, &err), PIPE_FRAME_WHOLE);
    assert_int_equal(pipe_frame_count(&frame), PIPE_FRAME_NUMBERS_MAX);
    free(bytes);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(writes_hello_and_alive),  cmocka_unit_test(writes_a_record),
        cmocka_unit_test(no_room_changes_nothing), cmocka_unit_test(takes_whole_frames_only),
        cmocka_unit_test(what_is_no_frame),        cmocka_unit_test(too_many_numbers),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
