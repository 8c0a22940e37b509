/* worker_id: what a restart keeps, and what two processes must not share. */
#include "cli/worker_id.h"

#include "base/log.h"

#include "cmocka_all.h"

#include <stdio.h>
#include <stdlib.h>

#include <sys/stat.h>
#include <unistd.h>

static char folder[64];

static int setup(void **state) {
    (void)state;
    log_setup(LOG_LEVEL_ERROR,
              LOG_FORMAT_TEXT); /* the warnings are wanted here, not on the screen */
    (void)snprintf(folder, sizeof folder, "/tmp/worker-id-XXXXXX");
    return mkdtemp(folder) == NULL ? -1 : 0;
}

static int teardown(void **state) {
    (void)state;
    char path[128];
    (void)snprintf(path, sizeof path, "%s/a/b/app.worker", folder);
    unlink(path);
    (void)snprintf(path, sizeof path, "%s/a/b", folder);
    rmdir(path);
    (void)snprintf(path, sizeof path, "%s/a", folder);
    rmdir(path);
    return rmdir(folder) == 0 || access(folder, F_OK) != 0 ? 0 : -1;
}

static struct worker_id open_in(const char *below) {
    char path[128];
    struct worker_id id;
    struct err err = ERR_NONE;
    (void)snprintf(path, sizeof path, "%s%s", folder, below);
    assert_true(worker_id_open(&id, str_of(path), STR("app"), &err));
    return id;
}

static void a_restart_keeps_the_name(void **state) {
    (void)state;
    struct worker_id first = open_in("/a/b");
    assert_false(first.kept);
    assert_true(strlen(first.text) > 37);
    assert_int_equal(first.text[strlen(first.text) - 37], ':');
    worker_id_close(&first);
    struct worker_id second = open_in("/a/b");
    assert_true(second.kept);
    assert_string_equal(second.text, first.text);
    worker_id_close(&second);
}

static void a_second_process_has_another_name(void **state) {
    (void)state;
    struct worker_id first = open_in("/a/b");
    struct worker_id second =
        open_in("/a/b"); /* the lock is of the open file, so this process will do */
    assert_false(second.kept);
    assert_int_equal(second.fd, -1);
    assert_string_not_equal(second.text, first.text);
    worker_id_close(&second);
    worker_id_close(&first);
    struct worker_id third = open_in("/a/b");
    assert_string_equal(third.text, first.text);
    worker_id_close(&third);
}

static void a_damaged_file_is_written_anew(void **state) {
    (void)state;
    struct worker_id first = open_in("/a/b");
    assert_int_equal(pwrite(first.fd, "not a uuid", 10, 0), 10);
    worker_id_close(&first);
    struct worker_id second = open_in("/a/b");
    assert_false(second.kept);
    worker_id_close(&second);
    struct worker_id third = open_in("/a/b");
    assert_true(third.kept);
    assert_string_equal(third.text, second.text);
    worker_id_close(&third);
}

static void without_a_folder_the_name_is_fresh(void **state) {
    (void)state;
    struct worker_id id;
    struct err err = ERR_NONE;
    assert_true(worker_id_open(&id, STR("/proc/nowhere"), STR("app"), &err));
    assert_int_equal(id.fd, -1);
    assert_false(id.kept);
    worker_id_close(&id);
}

static void the_file_is_private(void **state) {
    (void)state;
    struct worker_id id = open_in("/a/b");
    struct stat stat;
    assert_int_equal(fstat(id.fd, &stat), 0);
    assert_int_equal(stat.st_mode & 0777, 0600);
    worker_id_close(&id);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(a_restart_keeps_the_name, setup, teardown),
        cmocka_unit_test_setup_teardown(a_second_process_has_another_name, setup, teardown),
        cmocka_unit_test_setup_teardown(a_damaged_file_is_written_anew, setup, teardown),
        cmocka_unit_test_setup_teardown(without_a_folder_the_name_is_fresh, setup, teardown),
        cmocka_unit_test_setup_teardown(the_file_is_private, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
