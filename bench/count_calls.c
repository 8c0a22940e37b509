/*
 * count_calls: counts a process's memory allocations and the calls of its event loop to the kernel
 * (LD_PRELOAD). At the end it writes "allocations N system_calls N" to the file that
 * COUNT_CALLS_FILE names. Two runs of different length show what one message or frame costs.
 */
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/timerfd.h>
#include <sys/uio.h>
#include <unistd.h>

static atomic_ullong allocations;
static atomic_ullong system_calls;

#define VISIBLE __attribute__((visibility("default")))

/* glibc's own functions behind malloc and the like; finding them by dlsym would allocate. */
void *__libc_malloc(size_t size);
void *__libc_calloc(size_t count, size_t size);
void *__libc_realloc(void *memory, size_t size);
void *__libc_memalign(size_t alignment, size_t size);

static void count(atomic_ullong *what) {
    atomic_fetch_add_explicit(what, 1, memory_order_relaxed);
}

VISIBLE void *malloc(size_t size) {
    count(&allocations);
    return __libc_malloc(size);
}

VISIBLE void *calloc(size_t number, size_t size) {
    count(&allocations);
    return __libc_calloc(number, size);
}

VISIBLE void *realloc(void *memory, size_t size) {
    count(&allocations);
    return __libc_realloc(memory, size);
}

VISIBLE void *aligned_alloc(size_t alignment, size_t size) {
    count(&allocations);
    return __libc_memalign(alignment, size);
}

VISIBLE int posix_memalign(void **to, size_t alignment, size_t size) {
    count(&allocations);
    *to = __libc_memalign(alignment, size);
    return *to != NULL ? 0 : ENOMEM;
}

/* COUNTED(result, name, parameters, arguments): the wrapper of one system call. */
#define COUNTED(result, name, parameters, arguments)                                               \
    VISIBLE result name parameters {                                                               \
        static result(*next) parameters;                                                           \
        if (next == NULL) {                                                                        \
            *(void **)&next = dlsym(RTLD_NEXT, #name);                                             \
        }                                                                                          \
        count(&system_calls);                                                                      \
        return next arguments;                                                                     \
    }

COUNTED(ssize_t, send, (int fd, const void *from, size_t len, int flags), (fd, from, len, flags))
COUNTED(ssize_t, sendmsg, (int fd, const struct msghdr *message, int flags), (fd, message, flags))
COUNTED(ssize_t, write, (int fd, const void *from, size_t len), (fd, from, len))
COUNTED(ssize_t, writev, (int fd, const struct iovec *parts, int number), (fd, parts, number))
COUNTED(ssize_t, read, (int fd, void *to, size_t len), (fd, to, len))
COUNTED(ssize_t, readv, (int fd, const struct iovec *parts, int number), (fd, parts, number))
COUNTED(ssize_t, recv, (int fd, void *to, size_t len, int flags), (fd, to, len, flags))
COUNTED(ssize_t, recvmsg, (int fd, struct msghdr *message, int flags), (fd, message, flags))
COUNTED(int, epoll_wait, (int fd, struct epoll_event *to, int most, int timeout_ms),
        (fd, to, most, timeout_ms))
COUNTED(int, epoll_ctl, (int fd, int what, int of, struct epoll_event *event),
        (fd, what, of, event))
COUNTED(int, timerfd_settime,
        (int fd, int flags, const struct itimerspec *value, struct itimerspec *old),
        (fd, flags, value, old))

__attribute__((destructor)) static void report(void) {
    const char *path = getenv("COUNT_CALLS_FILE");
    if (path == NULL) {
        return;
    }
    unsigned long long allocated = atomic_load(&allocations);
    unsigned long long called = atomic_load(&system_calls);
    FILE *file = fopen(path, "w");
    if (file != NULL) {
        (void)fprintf(file, "allocations %llu system_calls %llu\n", allocated, called);
        (void)fclose(file);
    }
}
