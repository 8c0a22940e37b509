/*
 * notify: tells systemd how the service is: datagrams to the socket that NOTIFY_SOCKET names. What cannot be sent at once
 * is dropped: nothing ever waits for it.
 */
#ifndef MONITOR_NOTIFY_H
#define MONITOR_NOTIFY_H

#include "base/err.h"
#include "base/str.h"

#include <sys/socket.h>
#include <sys/un.h>

enum { NOTIFY_STATUS_MAX = 200 };

/* All-zero but fd -1: nobody listens. */
struct notify {
    int fd;
    struct sockaddr_un address;
    socklen_t address_len;
    uint64_t watchdog_ms; /* 0: none is wanted. Say that it is alive twice in that time */
};

/* From NOTIFY_SOCKET, WATCHDOG_USEC and WATCHDOG_PID; texts may be NULL. A path, or an abstract socket that begins with
 * '@'. False and err (CONFIG) when the socket cannot be one. */
bool notify_open(struct notify *notify, const char *socket_path, const char *watchdog_usec,
                 const char *watchdog_pid, struct err *err);
static inline bool notify_is_open(const struct notify *notify) {
    return notify->fd >= 0;
}
/* "READY=1", or several of these on lines of their own. */
void notify_send(const struct notify *notify, const char *state);
/* STATUS=text, cut to NOTIFY_STATUS_MAX. */
void notify_status(const struct notify *notify, const char *text);
void notify_close(struct notify *notify);

#endif
