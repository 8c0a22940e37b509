#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/buf.h"
#include "config/config_file.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

static struct config_file parse(const char *text) {
    struct config_file file;
    struct err err = ERR_NONE;
    if (!config_file_parse("f", str_of(text), &file, &err)) {
        fail_msg("%s", err.text);
    }
    return file;
}

static void assert_refused(const char *text, const char *expected) {
    struct config_file file;
    struct err err = ERR_NONE;
    assert_false(config_file_parse("f", str_of(text), &file, &err));
    assert_string_equal(err.text, expected);
    assert_int_equal(err.code, ERR_CONFIG);
}

static const struct config_entry *entry(const struct config_file *file, const char *path) {
    const struct config_entry *found = config_file_find(file, str_of(path));
    assert_non_null(found);
    return found;
}

static void json_and_yaml_give_the_same_entries(void **state) {
    (void)state;
    static const char *const texts[] = {
        "{\n\t\"configs\": {\"awsRegion\": "
        "\"us-east-1\",\"numRetries\":3},\n\t\"list\":[1,{\"a\":2}]}",
        "# comment\nconfigs:\n  awsRegion: us-east-1\n  numRetries: 3\nlist:\n- 1\n- a: 2\n",
    };
    for (size_t i = 0; i < 2; i++) {
        struct config_file file = parse(texts[i]);
        assert_int_equal(file.count, 4);
        assert_string_equal(file.entries[0].path, "configs");
        assert_int_equal(file.entries[0].kind, CONFIG_ENTRY_MAP);
        assert_null(file.entries[0].value);
        assert_string_equal(file.entries[1].path, "configs.awsRegion");
        assert_string_equal(file.entries[1].value, "us-east-1");
        assert_string_equal(file.entries[2].path, "configs.numRetries");
        assert_string_equal(file.entries[2].value, "3");
        assert_string_equal(file.entries[3].path, "list");
        assert_int_equal(file.entries[3].kind, CONFIG_ENTRY_LIST);
        config_file_done(&file);
    }
}

static void places_are_lines_and_columns_from_one(void **state) {
    (void)state;
    struct config_file file = parse("a: 1\nb:\n  c:   \"x\"\n");
    const struct config_entry *c = entry(&file, "b.c");
    assert_int_equal(c->key_line, 3);
    assert_int_equal(c->key_column, 3);
    assert_int_equal(c->line, 3);
    assert_int_equal(c->column, 8);
    assert_int_equal(entry(&file, "a")->line, 1);
    assert_int_equal(entry(&file, "a")->column, 4);
    config_file_done(&file);
}

static void null_is_not_the_text_null(void **state) {
    (void)state;
    struct config_file file = parse("a: null\nb: ~\nc:\nd: \"null\"\ne: ''\n");
    assert_int_equal(entry(&file, "a")->kind, CONFIG_ENTRY_NULL);
    assert_int_equal(entry(&file, "b")->kind, CONFIG_ENTRY_NULL);
    assert_int_equal(entry(&file, "c")->kind, CONFIG_ENTRY_NULL);
    assert_string_equal(entry(&file, "d")->value, "null");
    assert_string_equal(entry(&file, "e")->value, "");
    config_file_done(&file);
}

static void escapes_and_the_byte_order_mark_are_understood(void **state) {
    (void)state;
    struct config_file file = parse("\xef\xbb\xbf{\"a\":\"x\\\"\\/\\u00e9\\n\"}");
    assert_string_equal(entry(&file, "a")->value, "x\"/\xc3\xa9\n");
    config_file_done(&file);
}

static void malformed_files_are_refused_with_their_place(void **state) {
    (void)state;
    assert_refused("", "f: the file is empty");
    assert_refused("# nothing\n", "f: the file is empty");
    assert_refused("[1, 2]", "f:1:1: expected keys and values here");
    assert_refused("just text", "f:1:1: expected keys and values here");
    assert_refused("a: 1\na: 2\n", "f:2:1: a is given twice, first in line 1");
    assert_refused("x:\n  a: 1\n  a: 2\n", "f:3:3: x.a is given twice, first in line 2");
    assert_refused("a: 1\n---\nb: 2\n", "f:2:1: only one document is allowed in the file");
    assert_refused("a: &x 1\n", "f:1:4: anchors and aliases (& and *) are not allowed here");
    assert_refused("a: *x\n", "f:1:4: anchors and aliases (& and *) are not allowed here");
    assert_refused("a: &x [1]\n", "f:1:4: anchors and aliases (& and *) are not allowed here");
    assert_refused("a: &x {b: 1}\n", "f:1:4: anchors and aliases (& and *) are not allowed here");
    assert_refused("l: [&x 1]\n", "f:1:5: anchors and aliases (& and *) are not allowed here");
    assert_refused("[a, b]: 1\n", "f:1:1: a key must be a plain text");
    assert_refused("{\"\": 1}", "f:1:2: a key must be a plain text");
    assert_refused("{\"a\": \"x\\0y\"}", "f:1:7: a value cannot have the character U+0000");
    assert_refused("{\"a\": 1,\n\"b\": ",
                   "f:3:1: neither JSON nor YAML: did not find expected node "
                   "content");
    assert_refused("a: b\n  c: d\n",
                   "f:2:4: neither JSON nor YAML: mapping values are not allowed in this context");
    assert_refused("a: \xff\n", "f: neither JSON nor YAML: invalid leading UTF-8 octet (byte 3)");
}

static void sizes_are_bounded(void **state) {
    (void)state;
    struct buf text;
    buf_init(&text, 4 * BUF_MAX_CONFIG);
    for (int i = 0; i < CONFIG_FILE_MAX_ENTRIES; i++) {
        buf_add_format(&text, "k%d: 1\n", i);
    }
    struct config_file file = parse(buf_text(&text));
    assert_int_equal(file.count, CONFIG_FILE_MAX_ENTRIES);
    config_file_done(&file);
    buf_add_text(&text, "more: 1\n");
    assert_refused(buf_text(&text),
                   "f:1025:1: more than 1024 keys are too many for a configuration");

    buf_reset(&text);
    for (int i = 0; i < CONFIG_FILE_MAX_DEPTH; i++) {
        buf_add_text(&text, "{a: ");
    }
    buf_add_text(&text, "{}");
    assert_refused(buf_text(&text), "f:1:65: this is nested too deeply");

    buf_reset(&text);
    buf_add_text(&text, "a: ");
    for (int i = 0; i <= CONFIG_FILE_MAX_DEPTH; i++) {
        buf_add_char(&text, '[');
    }
    assert_refused(buf_text(&text), "f:1:20: this is nested too deeply");

    buf_reset(&text);
    for (int i = 0; i < 600; i++) {
        buf_add_char(&text, 'k');
    }
    buf_add_text(&text, ": 1\n");
    assert_refused(buf_text(&text), "f:1:1: this key is too long");

    buf_reset(&text);
    memset(buf_reserve(&text, BUF_MAX_CONFIG + 1), ' ', BUF_MAX_CONFIG + 1);
    text.len = BUF_MAX_CONFIG + 1;
    assert_refused(buf_text(&text), "f: larger than 1 MiB, too large for a configuration");
    buf_done(&text);
}

static void files_are_read_or_say_why_not(void **state) {
    (void)state;
    char path[] = "/tmp/test_config_file.XXXXXX";
    int fd = mkstemp(path);
    assert_true(fd >= 0);
    assert_int_equal(write(fd, "a: 1\n", 5), 5);
    struct config_file file;
    struct err err = ERR_NONE;
    assert_true(config_file_read(path, &file, &err));
    assert_string_equal(entry(&file, "a")->value, "1");
    config_file_done(&file);

    char spaces[4096];
    memset(spaces, ' ', sizeof spaces);
    for (size_t i = 0; i <= BUF_MAX_CONFIG / sizeof spaces; i++) {
        assert_int_equal(write(fd, spaces, sizeof spaces), sizeof spaces);
    }
    (void)close(fd);
    assert_false(config_file_read(path, &file, &err));
    assert_non_null(strstr(err.text, ": larger than 1 MiB"));
    assert_int_equal(unlink(path), 0);
    assert_false(config_file_read(path, &file, &err));
    assert_non_null(strstr(err.text, ": cannot be opened: No such file or directory"));
    assert_false(config_file_read("/", &file, &err));
    assert_string_equal(err.text, "/: cannot be read: Is a directory");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(json_and_yaml_give_the_same_entries),
        cmocka_unit_test(places_are_lines_and_columns_from_one),
        cmocka_unit_test(null_is_not_the_text_null),
        cmocka_unit_test(escapes_and_the_byte_order_mark_are_understood),
        cmocka_unit_test(malformed_files_are_refused_with_their_place),
        cmocka_unit_test(sizes_are_bounded),
        cmocka_unit_test(files_are_read_or_say_why_not),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
