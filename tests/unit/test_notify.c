/* notify: what a socket in systemd's place gets. */
#include "monitor/notify.h"

#include "cmocka_all.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

struct rig {
    struct notify notify;
    char folder[32];
    char path[64];
    int socket;
};

static int setup(void **state) {
    struct rig *rig = calloc(1, sizeof *rig);
    assert_non_null(rig);
    strcpy(rig->folder, "/tmp/notify-XXXXXX");
    assert_non_null(mkdtemp(rig->folder));
    (void)snprintf(rig->path, sizeof rig->path, "%s/socket", rig->folder);
    rig->notify.fd = -1;
    rig->socket = socket(AF_UNIX, SOCK_DGRAM, 0);
    assert_true(rig->socket >= 0);
    *state = rig;
    return 0;
}

static int teardown(void **state) {
    struct rig *rig = *state;
    notify_close(&rig->notify);
    (void)close(rig->socket);
    (void)unlink(rig->path);
    (void)rmdir(rig->folder);
    free(rig);
    return 0;
}

static void listen_at(struct rig *rig, const char *path, bool abstract) {
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    strcpy(address.sun_path, path);
    size_t len = offsetof(struct sockaddr_un, sun_path) + strlen(path) + (abstract ? 0 : 1);
    if (abstract) {
        address.sun_path[0] = '\0';
    }
    assert_int_equal(bind(rig->socket, (struct sockaddr *)&address, (socklen_t)len), 0);
}

static void assert_got(struct rig *rig, const char *expected) {
    char text[512];
    ssize_t len = recv(rig->socket, text, sizeof text - 1, MSG_DONTWAIT);
    assert_true(len >= 0);
    text[len] = '\0';
    assert_string_equal(text, expected);
}

static void assert_opens(struct rig *rig, const char *path, const char *usec, const char *pid) {
    struct err err = ERR_NONE;
    if (!notify_open(&rig->notify, path, usec, pid, &err)) {
        fail_msg("%s", err.text);
    }
}

static void without_a_socket_nothing_is_sent(void **state) {
    struct rig *rig = *state;
    assert_opens(rig, NULL, "1000000", NULL);
    assert_false(notify_is_open(&rig->notify));
    assert_int_equal(rig->notify.watchdog_ms, 0);
    notify_send(&rig->notify, "READY=1");
    assert_opens(rig, "", NULL, NULL);
    assert_false(notify_is_open(&rig->notify));
}

static void a_path_gets_datagrams(void **state) {
    struct rig *rig = *state;
    listen_at(rig, rig->path, false);
    assert_opens(rig, rig->path, NULL, NULL);
    notify_send(&rig->notify, "READY=1");
    notify_status(&rig->notify, "4 shards");
    assert_got(rig, "READY=1");
    assert_got(rig, "STATUS=4 shards");
}

static void an_abstract_socket_gets_them_too(void **state) {
    struct rig *rig = *state;
    char name[64];
    (void)snprintf(name, sizeof name, "@test-notify-%d", (int)getpid());
    listen_at(rig, name, true);
    assert_opens(rig, name, NULL, NULL);
    notify_send(&rig->notify, "STOPPING=1");
    assert_got(rig, "STOPPING=1");
}

static void a_long_status_is_cut_between_characters(void **state) {
    struct rig *rig = *state;
    listen_at(rig, rig->path, false);
    assert_opens(rig, rig->path, NULL, NULL);
    char text[400];
    memset(text, 'a', sizeof text);
    memcpy(text + NOTIFY_STATUS_MAX - 1, "\xc3\xbc", 2);
    text[sizeof text - 1] = '\0';
    notify_status(&rig->notify, text);
    char expected[sizeof "STATUS=" + NOTIFY_STATUS_MAX] = "STATUS=";
    memset(expected + 7, 'a', NOTIFY_STATUS_MAX - 1);
    assert_got(rig, expected);
}

static void nobody_there_and_a_full_queue_hold_nothing_up(void **state) {
    struct rig *rig = *state;
    assert_opens(rig, rig->path, NULL, NULL);
    notify_send(&rig->notify, "READY=1"); /* there is no such file yet */
    listen_at(rig, rig->path, false);
    for (int i = 0; i < 100000; i++) {
        notify_send(&rig->notify, "WATCHDOG=1");
    }
    assert_got(rig, "WATCHDOG=1");
}

static void the_watchdog_is_this_process_s(void **state) {
    struct rig *rig = *state;
    char own[16];
    char other[16];
    (void)snprintf(own, sizeof own, "%d", (int)getpid());
    (void)snprintf(other, sizeof other, "%d", (int)getppid());
    static const struct {
        const char *usec;
        int pid; /* 0: not told, 1: own, 2: another's, 3: none */
        uint64_t ms;
    } cases[] = {
        {"30000000", 0, 30000}, {"30000000", 1, 30000}, {"30000000", 2, 0},
        {"30000000", 3, 0},     {NULL, 1, 0},           {"", 1, 0},
        {"soon", 1, 0},         {"999", 1, 0},
    };
    const char *const pids[] = {NULL, own, other, "me"};
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        assert_opens(rig, rig->path, cases[i].usec, pids[cases[i].pid]);
        assert_int_equal(rig->notify.watchdog_ms, cases[i].ms);
        notify_close(&rig->notify);
    }
}

static void what_cannot_be_a_socket_is_told(void **state) {
    struct rig *rig = *state;
    char long_path[sizeof rig->notify.address.sun_path + 1];
    memset(long_path, 'a', sizeof long_path);
    long_path[0] = '/';
    long_path[sizeof long_path - 1] = '\0';
    const char *const bad[] = {"run/notify", "/", "@", "vsock:2:5", long_path};
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        struct err err = ERR_NONE;
        assert_false(notify_open(&rig->notify, bad[i], NULL, NULL, &err));
        assert_int_equal(err.code, ERR_CONFIG);
        assert_non_null(strstr(err.text, "NOTIFY_SOCKET"));
        assert_false(notify_is_open(&rig->notify));
    }
    long_path[sizeof long_path - 2] = '\0';
    assert_opens(rig, long_path, NULL, NULL); /* with its NUL it just fits */
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void) {
    const struct CMUnitTest tests[] = {
        TEST(without_a_socket_nothing_is_sent),
        TEST(a_path_gets_datagrams),
        TEST(an_abstract_socket_gets_them_too),
        TEST(a_long_status_is_cut_between_characters),
        TEST(nobody_there_and_a_full_queue_hold_nothing_up),
        TEST(the_watchdog_is_this_process_s),
        TEST(what_cannot_be_a_socket_is_told),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
