/* pipe_config: one frame from a pipe, and not a byte more. */
#include "cli/pipe_config.h"

#include "cmocka_all.h"

#include <fcntl.h>
#include <unistd.h>

enum { PATIENCE_MS = 30000, MAX = 100 };

struct rig {
    int pipe[2];
    struct buf text;
    struct err err;
};

static struct rig make(struct str bytes, size_t max) {
    struct rig rig = {.err = ERR_NONE};
    assert_int_equal(pipe(rig.pipe), 0);
    assert_int_equal(write(rig.pipe[1], bytes.ptr, bytes.len), bytes.len);
    buf_init(&rig.text, max);
    return rig;
}

static void done(struct rig *rig) {
    buf_done(&rig->text);
    close(rig->pipe[0]);
    if (rig->pipe[1] >= 0) {
        close(rig->pipe[1]);
    }
}

static void reads_one_frame(void **state) {
    (void)state;
    struct rig rig = make(STR("\0\0\0\x05"
                              "Ca: b"
                              "next"),
                          MAX);
    assert_true(pipe_config_read(rig.pipe[0], PATIENCE_MS, &rig.text, &rig.err));
    assert_string_equal(buf_text(&rig.text), "a: b");
    char rest[8] = "";
    assert_int_equal(read(rig.pipe[0], rest, sizeof rest), 4);
    assert_string_equal(rest, "next");
    done(&rig);
}

static void assert_refused(struct str bytes, bool ends, uint32_t timeout_ms, enum err_code code,
                           const char *text) {
    struct rig rig = make(bytes, MAX);
    if (ends) {
        close(rig.pipe[1]);
        rig.pipe[1] = -1;
    }
    assert_false(pipe_config_read(rig.pipe[0], timeout_ms, &rig.text, &rig.err));
    assert_int_equal(rig.err.code, code);
    assert_string_equal(rig.err.text, text);
    assert_int_equal(rig.text.len, 0);
    done(&rig);
}

static void what_is_no_configuration(void **state) {
    (void)state;
    static const char early[] = "standard input: it ended before the configuration did";
    assert_refused(STR(""), true, PATIENCE_MS, ERR_CONFIG, early);
    assert_refused(STR("\0\0"), true, PATIENCE_MS, ERR_CONFIG, early);
    assert_refused(STR("\0\0\0\x05"
                       "Ca"),
                   true, PATIENCE_MS, ERR_CONFIG, early);
    assert_refused(STR("\0\0\0\x09"
                       "A12345678"),
                   false, PATIENCE_MS, ERR_CONFIG,
                   "standard input: its first frame is no configuration");
    assert_refused(STR("\0\0\0\x66"
                       "C"),
                   false, PATIENCE_MS, ERR_PIPE,
                   "standard input: a frame of 102 bytes; allowed: 1 to 101");
    assert_refused(STR("\0\0\0\0"), false, PATIENCE_MS, ERR_PIPE,
                   "standard input: a frame of 0 bytes; allowed: 1 to 101");
}

static void nothing_comes(void **state) {
    (void)state;
    static const char none[] = "standard input: no configuration came";
    assert_refused(STR(""), false, 1, ERR_CONFIG, none);
    assert_refused(STR("\0\0\0\x05"
                       "Ca"),
                   false, 1, ERR_CONFIG, none);
}

static void what_cannot_be_read(void **state) {
    (void)state;
    struct rig rig = make(STR(""), MAX);
    int folder = open("/", O_RDONLY | O_DIRECTORY);
    assert_false(pipe_config_read(folder, PATIENCE_MS, &rig.text, &rig.err));
    assert_string_equal(rig.err.text, "standard input: Is a directory");
    close(folder);
    done(&rig);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(reads_one_frame),
        cmocka_unit_test(what_is_no_configuration),
        cmocka_unit_test(nothing_comes),
        cmocka_unit_test(what_cannot_be_read),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
