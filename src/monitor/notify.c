#include "monitor/notify.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

static bool set_address(struct notify *notify, struct str path) {
    bool abstract = str_starts(path, "@");
    if (!abstract && !str_starts(path, "/")) {
        return false;
    }
    /* A path ends with its NUL, an abstract name begins with one instead of its '@'. */
    if (path.len < 2 || path.len + (abstract ? 0 : 1) > sizeof notify->address.sun_path) {
        return false;
    }
    notify->address.sun_family = AF_UNIX;
    memcpy(notify->address.sun_path, path.ptr, path.len);
    if (abstract) {
        notify->address.sun_path[0] = '\0';
    }
    notify->address_len =
        (socklen_t)(offsetof(struct sockaddr_un, sun_path) + path.len + (abstract ? 0 : 1));
    return true;
}

/* Of this process, and not of one that started it and left its environment behind. */
static uint64_t watchdog_ms(const char *usec, const char *pid) {
    uint64_t number = 0;
    if (pid != NULL && (!str_to_u64(str_of(pid), &number) || number != (uint64_t)getpid())) {
        return 0;
    }
    return usec != NULL && str_to_u64(str_of(usec), &number) ? number / 1000 : 0;
}

bool notify_open(struct notify *notify, const char *socket_path, const char *watchdog_usec,
                 const char *watchdog_pid, struct err *err) {
    *notify = (struct notify){.fd = -1};
    struct str path = str_of(socket_path);
    if (path.len == 0) {
        return true;
    }
    if (!set_address(notify, path)) {
        return err_set(err, ERR_CONFIG,
                       "NOTIFY_SOCKET %s: neither a path nor an abstract socket's name",
                       socket_path);
    }
    notify->fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (notify->fd < 0) {
        return err_set(err, ERR_INTERNAL, "no socket for NOTIFY_SOCKET: %s", strerror(errno));
    }
    notify->watchdog_ms = watchdog_ms(watchdog_usec, watchdog_pid);
    return true;
}

void notify_send(const struct notify *notify, const char *state) {
    if (notify->fd >= 0) {
        /* Whatever goes wrong with it (the queue is full, nobody is there), there is nothing to be done. */
        (void)sendto(notify->fd, state, strlen(state), MSG_NOSIGNAL,
                     (const struct sockaddr *)&notify->address, notify->address_len);
    }
}

void notify_status(const struct notify *notify, const char *text) {
    char state[sizeof "STATUS=" + NOTIFY_STATUS_MAX];
    struct str cut = str_cut(str_of(text), NOTIFY_STATUS_MAX);
    (void)snprintf(state, sizeof state, "STATUS=%.*s", STR_FMT(cut));
    notify_send(notify, state);
}

void notify_close(struct notify *notify) {
    if (notify->fd >= 0) {
        (void)close(notify->fd);
        notify->fd = -1;
    }
}
