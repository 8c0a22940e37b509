#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/man.h"
#include "cli/manual.h"
#include "cli/options.h"

#include <stdio.h>

static size_t count_of(const char *text, const char *part) {
    size_t count = 0;
    for (const char *p = strstr(text, part); p != NULL; p = strstr(p + 1, part)) {
        count++;
    }
    return count;
}

/* The part of the manual from one heading to the next. */
static const char *section(struct buf *manual, const char *title, struct buf *to) {
    char heading[64];
    (void)snprintf(heading, sizeof heading, "\n.SH %s\n", title);
    const char *start = strstr(buf_text(manual), heading);
    assert_non_null(start);
    start += strlen(heading);
    const char *end = strstr(start, "\n.SH ");
    buf_reset(to);
    buf_add(to, start, end != NULL ? (size_t)(end - start) + 1 : strlen(start));
    return buf_text(to);
}

static void commands_options_and_errors_are_there_once(void **state) {
    (void)state;
    struct buf manual;
    struct buf part;
    struct buf line;
    buf_init(&manual, BUF_MAX_REQUEST);
    buf_init(&part, BUF_MAX_REQUEST);
    buf_init(&line, BUF_MAX_REQUEST);
    manual_add(&manual);
    assert_false(manual.failed);

    const char *text = section(&manual, "COMMANDS", &part);
    for (const struct command *command = command_all(); command->name != NULL; command++) {
        buf_reset(&line);
        man_add_item(&line, command->name, "");
        man_add(&line, command->summary);
        assert_int_equal(count_of(text, buf_text(&line)), 1);
    }
    text = section(&manual, "OPTIONS", &part);
    for (const struct option *option = options_all(); option->name != NULL; option++) {
        buf_reset(&line);
        buf_add_char(&line, '\n');
        man_add(&line, option->text);
        buf_add_char(&line, '\n');
        assert_int_equal(count_of(text, buf_text(&line)), 1);
    }
    text = section(&manual, "EXIT STATUS", &part);
    for (int code = ERR_OK + 1; code < ERR_CODE_COUNT; code++) {
        buf_reset(&line);
        man_add(&line, err_code_meaning((enum err_code)code));
        assert_true(count_of(text, buf_text(&line)) >= 1);
        assert_in_range(err_exit_code((enum err_code)code), 1, 5);
    }
    assert_int_equal(count_of(text, ".TP\n"), 6);
    buf_done(&manual);
    buf_done(&part);
    buf_done(&line);
}

/* Text that a formatter would take for something else. */
static void no_text_is_a_request(void **state) {
    (void)state;
    struct buf text;
    buf_init(&text, 256);
    man_add(&text, "`a-b` \\n \"c\"\n.d\n'e");
    assert_string_equal(buf_text(&text), "a\\-b \\en \\(dqc\\(dq\n\\&.d\n\\&'e");
    buf_reset(&text);
    man_add_item(&text, "--set KEY", " (\"x\")");
    assert_string_equal(buf_text(&text), ".TP\n.BR \"\\-\\-set KEY\" \" (\\(dqx\\(dq)\"\n");
    buf_reset(&text);
    man_add_item(&text, "run", "");
    assert_string_equal(buf_text(&text), ".TP\n.B \"run\"\n");
    buf_done(&text);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(commands_options_and_errors_are_there_once),
        cmocka_unit_test(no_text_is_a_request),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
