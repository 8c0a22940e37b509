#include "fakes/fake_server.h"

#include "fakes/fake_tls.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum {
    READ_SIZE = 1024 * 1024,
    INPUT_MAX = 64 * 1024 * 1024, /* a peer that sends more without an end is cut off */
    READS_IN_A_ROW = 8,           /* so that one loud peer does not starve the others */
    CHUNK_MIN = 4096,
    DRIP_MS = 10,
    EVENTS = 64,
};

/* What an epoll event belongs to. */
enum source_kind { SOURCE_WAKE, SOURCE_LISTENER, SOURCE_CONN };

struct source {
    enum source_kind kind;
    int fd;
};

struct listener {
    struct source source;
    uint16_t port;
    bool tls;
    const struct fake_handler *handler;
    void *ctx;
    struct listener *next;
};

struct chunk {
    struct chunk *next;
    const char *bytes;
    size_t len;
    size_t capacity; /* of copy; 0: borrowed */
    void (*release)(void *ctx);
    void *ctx;
    char copy[]; /* the bytes, unless borrowed */
};

struct fake_conn {
    struct source source;
    struct fake_server *server;
    const struct listener *listener;
    struct fake_tls *tls; /* NULL: none */
    void *state;
    char *input;
    size_t input_start;
    size_t input_end;
    size_t input_capacity;
    struct chunk *first_chunk;
    struct chunk *last_chunk;
    size_t written; /* of the first chunk */
    size_t drip;
    uint64_t drip_at_ms; /* no output before */
    bool paused;
    bool closing; /* when the output is written */
    bool dead;    /* to be freed when the current round is over */
    bool reset;
    uint32_t events; /* as epoll knows them */
    struct fake_conn *next;
    struct fake_conn *previous;
};

struct timer {
    struct timer *next;
    uint64_t due_ms;
    fake_timer_fn *fn;
    void *ctx;
    struct fake_conn *conn;
};

struct fake_server {
    pthread_mutex_t lock;
    pthread_t thread;
    bool started;
    bool stopping;
    int epoll;
    struct source wake;
    struct fake_tls_identity *identity;
    struct listener *listeners;
    struct fake_conn *conns;
    struct timer *timers; /* by due time */
};

uint64_t fake_server_now_ms(void) {
    struct timespec now;
    (void)clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

int64_t fake_server_wall_ms(void) {
    struct timespec now;
    (void)clock_gettime(CLOCK_REALTIME, &now);
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

void fake_server_lock(struct fake_server *server) {
    (void)pthread_mutex_lock(&server->lock);
}

/* The thread looks at everything anew: another thread may have queued output or a timer. */
static void wake(struct fake_server *server) {
    uint64_t one = 1;
    ssize_t written = write(server->wake.fd, &one, sizeof one);
    (void)written; /* only fails when the counter is full, and then it is awake */
}

void fake_server_unlock(struct fake_server *server) {
    wake(server);
    (void)pthread_mutex_unlock(&server->lock);
}

struct fake_server *fake_server_new(struct err *err) {
    struct fake_server *server = calloc(1, sizeof *server);
    if (server == NULL) {
        err_set(err, ERR_NOMEM, "a server");
        return NULL;
    }
    (void)pthread_mutex_init(&server->lock, NULL);
    server->epoll = epoll_create1(EPOLL_CLOEXEC);
    server->wake =
        (struct source){.kind = SOURCE_WAKE, .fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)};
    struct epoll_event event = {.events = EPOLLIN, .data.ptr = &server->wake};
    if (server->epoll < 0 || server->wake.fd < 0 ||
        epoll_ctl(server->epoll, EPOLL_CTL_ADD, server->wake.fd, &event) != 0) {
        err_set(err, ERR_INTERNAL, "epoll: %s", strerror(errno));
        fake_server_free(server);
        return NULL;
    }
    return server;
}

static uint16_t server_listen(struct fake_server *server, uint16_t port, bool tls,
                              const struct fake_handler *handler, void *ctx, struct err *err) {
    struct listener *listener = calloc(1, sizeof *listener);
    struct sockaddr_in address = {
        .sin_family = AF_INET,
        .sin_port = htons(port),
        .sin_addr.s_addr = htonl(INADDR_LOOPBACK),
    };
    socklen_t len = sizeof address;
    int on = 1;
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    struct epoll_event event = {.events = EPOLLIN, .data.ptr = listener};
    if (listener == NULL || fd < 0 ||
        setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on) != 0 ||
        bind(fd, (struct sockaddr *)&address, sizeof address) != 0 || listen(fd, 256) != 0 ||
        getsockname(fd, (struct sockaddr *)&address, &len) != 0 ||
        epoll_ctl(server->epoll, EPOLL_CTL_ADD, fd, &event) != 0) {
        err_set(err, ERR_CONFIG, "127.0.0.1:%u: %s", port, strerror(errno));
        if (fd >= 0) {
            (void)close(fd);
        }
        free(listener);
        return 0;
    }
    *listener = (struct listener){
        .source = {.kind = SOURCE_LISTENER, .fd = fd},
        .port = ntohs(address.sin_port),
        .tls = tls,
        .handler = handler,
        .ctx = ctx,
        .next = server->listeners,
    };
    server->listeners = listener;
    return listener->port;
}

uint16_t fake_server_listen(struct fake_server *server, uint16_t port,
                            const struct fake_handler *handler, void *ctx, struct err *err) {
    return server_listen(server, port, false, handler, ctx, err);
}

uint16_t fake_server_listen_tls(struct fake_server *server, uint16_t port,
                                const struct fake_handler *handler, void *ctx, struct err *err) {
    return server_listen(server, port, true, handler, ctx, err);
}

bool fake_server_identity(struct fake_server *server, const char *certificate, const char *key,
                          const char *ca, struct err *err) {
    struct fake_tls_identity *identity = fake_tls_identity_new(certificate, key, ca, err);
    if (identity != NULL) {
        fake_tls_identity_free(server->identity);
        server->identity = identity;
    }
    return identity != NULL;
}

/* ---- timers ---- */

bool fake_server_after(struct fake_server *server, uint64_t delay_ms, fake_timer_fn *fn, void *ctx,
                       struct fake_conn *conn) {
    struct timer *timer = malloc(sizeof *timer);
    if (timer == NULL) {
        return false;
    }
    *timer = (struct timer){
        .due_ms = fake_server_now_ms() + delay_ms, .fn = fn, .ctx = ctx, .conn = conn};
    struct timer **place = &server->timers;
    while (*place != NULL && (*place)->due_ms <= timer->due_ms) {
        place = &(*place)->next;
    }
    timer->next = *place;
    *place = timer;
    return true;
}

static void run_timers(struct fake_server *server) {
    /* Those due now are taken off first: one that sets itself anew must not hold up the sockets. */
    uint64_t now = fake_server_now_ms();
    struct timer *due = server->timers;
    struct timer **end = &due;
    while (*end != NULL && (*end)->due_ms <= now) {
        end = &(*end)->next;
    }
    server->timers = *end;
    *end = NULL;
    while (due != NULL) {
        struct timer *timer = due;
        due = timer->next;
        if (timer->conn == NULL || !timer->conn->dead) {
            timer->fn(timer->ctx, timer->conn);
        }
        free(timer);
    }
}

static void drop_timers_of(struct fake_server *server, const struct fake_conn *conn) {
    for (struct timer **place = &server->timers; *place != NULL;) {
        struct timer *timer = *place;
        if (timer->conn == conn) {
            *place = timer->next;
            free(timer);
        } else {
            place = &timer->next;
        }
    }
}

/* ---- connections ---- */

void *fake_conn_state(struct fake_conn *conn) {
    return conn->state;
}

uint16_t fake_conn_port(const struct fake_conn *conn) {
    return conn->listener->port;
}

const struct fake_tls *fake_conn_tls(const struct fake_conn *conn) {
    return conn->tls;
}

struct str fake_conn_input(const struct fake_conn *conn) {
    return str_make(conn->input + conn->input_start, conn->input_end - conn->input_start);
}

void fake_conn_consume(struct fake_conn *conn, size_t len) {
    conn->input_start += len;
    if (conn->input_start == conn->input_end) {
        conn->input_start = conn->input_end = 0;
    }
}

void fake_conn_pause(struct fake_conn *conn, bool paused) {
    conn->paused = paused;
}

void fake_conn_poke(struct fake_conn *conn) {
    if (!fake_conn_is_dead(conn)) {
        conn->listener->handler->received(conn->listener->ctx, conn);
    }
}

static void queue(struct fake_conn *conn, struct chunk *chunk) {
    if (conn->last_chunk != NULL) {
        conn->last_chunk->next = chunk;
    } else {
        conn->first_chunk = chunk;
    }
    conn->last_chunk = chunk;
}

static void pop_chunk(struct fake_conn *conn) {
    struct chunk *chunk = conn->first_chunk;
    conn->first_chunk = chunk->next;
    if (conn->first_chunk == NULL) {
        conn->last_chunk = NULL;
    }
    conn->written = 0;
    if (chunk->release != NULL) {
        chunk->release(chunk->ctx);
    }
    free(chunk);
}

void fake_conn_write(struct fake_conn *conn, const void *bytes, size_t len) {
    if (conn->closing || conn->dead || len == 0) {
        return;
    }
    /* Small writes share a chunk, and so a system call. */
    struct chunk *chunk = conn->last_chunk;
    if (chunk != NULL && chunk->len + len <= chunk->capacity) {
        memcpy(chunk->copy + chunk->len, bytes, len);
        chunk->len += len;
        return;
    }
    size_t capacity = len > CHUNK_MIN ? len : CHUNK_MIN;
    chunk = malloc(sizeof *chunk + capacity);
    if (chunk == NULL) {
        fake_conn_abort(conn);
        return;
    }
    *chunk = (struct chunk){.bytes = chunk->copy, .len = len, .capacity = capacity};
    memcpy(chunk->copy, bytes, len);
    queue(conn, chunk);
}

void fake_conn_write_borrowed(struct fake_conn *conn, const void *bytes, size_t len,
                              void (*release)(void *ctx), void *ctx) {
    struct chunk *chunk = conn->closing || conn->dead ? NULL : malloc(sizeof *chunk);
    if (chunk == NULL) {
        release(ctx);
        return;
    }
    *chunk = (struct chunk){.bytes = bytes, .len = len, .release = release, .ctx = ctx};
    queue(conn, chunk);
}

void fake_conn_drip(struct fake_conn *conn, size_t bytes) {
    conn->drip = bytes;
}

bool fake_conn_is_dead(const struct fake_conn *conn) {
    return conn->dead || conn->closing;
}

void fake_conn_close(struct fake_conn *conn) {
    conn->closing = true;
}

void fake_conn_abort(struct fake_conn *conn) {
    conn->dead = true;
    conn->reset = true;
}

static void conn_free(struct fake_conn *conn) {
    conn->dead = true;
    conn->listener->handler->closed(conn->listener->ctx, conn);
    drop_timers_of(conn->server, conn);
    while (conn->first_chunk != NULL) {
        pop_chunk(conn);
    }
    if (conn->reset) {
        struct linger now = {.l_onoff = 1, .l_linger = 0};
        (void)setsockopt(conn->source.fd, SOL_SOCKET, SO_LINGER, &now, sizeof now);
    }
    fake_tls_free(conn->tls);
    (void)close(conn->source.fd);
    free(conn->input);
    if (conn->previous != NULL) {
        conn->previous->next = conn->next;
    } else {
        conn->server->conns = conn->next;
    }
    if (conn->next != NULL) {
        conn->next->previous = conn->previous;
    }
    free(conn);
}

static void accept_all(struct fake_server *server, struct listener *listener) {
    int fd;
    while ((fd = accept4(listener->source.fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC)) >= 0) {
        struct fake_conn *conn = calloc(1, sizeof *conn);
        struct epoll_event event = {.events = EPOLLIN, .data.ptr = conn};
        struct fake_tls *tls = listener->tls ? fake_tls_new(server->identity, fd) : NULL;
        int on = 1;
        (void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
        if (conn == NULL || (listener->tls && tls == NULL) ||
            epoll_ctl(server->epoll, EPOLL_CTL_ADD, fd, &event) != 0) {
            fake_tls_free(tls);
            free(conn);
            (void)close(fd);
            continue;
        }
        *conn = (struct fake_conn){
            .source = {.kind = SOURCE_CONN, .fd = fd},
            .server = server,
            .listener = listener,
            .tls = tls,
            .events = EPOLLIN,
            .next = server->conns,
        };
        if (server->conns != NULL) {
            server->conns->previous = conn;
        }
        server->conns = conn;
        conn->state = listener->handler->opened(listener->ctx, conn);
    }
}

/* Room for a read at the end of the input; false when the peer has sent too much. */
static bool make_room(struct fake_conn *conn) {
    if (conn->input_start > 0) {
        memmove(conn->input, conn->input + conn->input_start, conn->input_end - conn->input_start);
        conn->input_end -= conn->input_start;
        conn->input_start = 0;
    }
    if (conn->input_capacity - conn->input_end >= READ_SIZE) {
        return true;
    }
    size_t capacity = conn->input_end + 2 * (size_t)READ_SIZE;
    char *input = capacity > INPUT_MAX ? NULL : realloc(conn->input, capacity);
    if (input == NULL) {
        return false;
    }
    conn->input = input;
    conn->input_capacity = capacity;
    return true;
}

static void read_some(struct fake_conn *conn) {
    for (int i = 0; i < READS_IN_A_ROW && !conn->paused && !conn->dead; i++) {
        if (!make_room(conn)) {
            fake_conn_abort(conn);
            return;
        }
        char *to = conn->input + conn->input_end;
        ssize_t got = conn->tls != NULL ? fake_tls_read(conn->tls, to, READ_SIZE)
                                        : recv(conn->source.fd, to, READ_SIZE, 0);
        if (got < 0 && (errno == EAGAIN || errno == EINTR)) {
            return;
        }
        if (got <= 0) {
            conn->dead = true;
            return;
        }
        conn->input_end += (size_t)got;
        if (!conn->closing) {
            conn->listener->handler->received(conn->listener->ctx, conn);
        } else {
            fake_conn_consume(conn, conn->input_end - conn->input_start);
        }
    }
}

static void write_some(struct fake_conn *conn, uint64_t now) {
    while (conn->first_chunk != NULL && !conn->dead) {
        size_t left = conn->first_chunk->len - conn->written;
        if (conn->drip > 0) {
            if (now < conn->drip_at_ms) {
                return;
            }
            left = left < conn->drip ? left : conn->drip;
            conn->drip_at_ms = now + DRIP_MS;
        }
        const char *from = conn->first_chunk->bytes + conn->written;
        ssize_t sent = conn->tls != NULL ? fake_tls_write(conn->tls, from, left)
                                         : send(conn->source.fd, from, left, MSG_NOSIGNAL);
        if (sent < 0) {
            conn->dead = errno != EAGAIN && errno != EINTR;
            return;
        }
        conn->written += (size_t)sent;
        if (conn->written == conn->first_chunk->len) {
            pop_chunk(conn);
        }
    }
    if (conn->closing && conn->first_chunk == NULL) {
        conn->dead = true;
    }
}

/* Writes what can be written, tells epoll what to wait for, frees the dead. Returns when something
 * is due. */
static uint64_t settle(struct fake_server *server) {
    uint64_t now = fake_server_now_ms();
    uint64_t due = UINT64_MAX;
    struct fake_conn *next;
    for (struct fake_conn *conn = server->conns; conn != NULL; conn = next) {
        next = conn->next;
        write_some(conn, now);
        if (conn->dead) {
            conn_free(conn);
            continue;
        }
        bool dripping = conn->drip > 0 && conn->first_chunk != NULL;
        if (dripping && conn->drip_at_ms < due) {
            due = conn->drip_at_ms;
        }
        uint32_t events = (conn->paused ? 0U : (uint32_t)EPOLLIN) |
                          (conn->first_chunk != NULL && !dripping ? (uint32_t)EPOLLOUT : 0U);
        if (events != conn->events) {
            struct epoll_event event = {.events = events, .data.ptr = conn};
            (void)epoll_ctl(server->epoll, EPOLL_CTL_MOD, conn->source.fd, &event);
            conn->events = events;
        }
    }
    return server->timers != NULL && server->timers->due_ms < due ? server->timers->due_ms : due;
}

static int wait_ms(uint64_t due_ms) {
    uint64_t now = fake_server_now_ms();
    return due_ms == UINT64_MAX   ? -1
           : due_ms <= now        ? 0
           : due_ms - now > 60000 ? 60000
                                  : (int)(due_ms - now);
}

static void handle_event(struct fake_server *server, const struct epoll_event *event) {
    struct source *source = event->data.ptr;
    if (source->kind == SOURCE_WAKE) {
        uint64_t count;
        ssize_t got = read(source->fd, &count, sizeof count);
        (void)got; /* nothing to read means that it was read already */
    } else if (source->kind == SOURCE_LISTENER) {
        accept_all(server, (struct listener *)source);
    } else {
        struct fake_conn *conn = (struct fake_conn *)source;
        if ((event->events & (EPOLLERR | EPOLLHUP)) != 0 && conn->paused) {
            conn->dead = true; /* it will not be noticed by reading */
        } else if ((event->events & (EPOLLIN | EPOLLERR | EPOLLHUP)) != 0) {
            read_some(conn);
        }
    }
}

static void *run(void *arg) {
    struct fake_server *server = arg;
    struct epoll_event events[EVENTS];
    sigset_t set; /* OpenSSL writes without MSG_NOSIGNAL */
    (void)sigemptyset(&set);
    (void)sigaddset(&set, SIGPIPE);
    (void)pthread_sigmask(SIG_BLOCK, &set, NULL);
    fake_server_lock(server);
    while (!server->stopping) {
        int timeout = wait_ms(settle(server));
        (void)pthread_mutex_unlock(&server->lock);
        int count = epoll_wait(server->epoll, events, EVENTS, timeout);
        fake_server_lock(server);
        for (int i = 0; i < count; i++) {
            handle_event(server, &events[i]);
        }
        run_timers(server);
    }
    (void)pthread_mutex_unlock(&server->lock);
    return NULL;
}

bool fake_server_start(struct fake_server *server, struct err *err) {
    int failed = pthread_create(&server->thread, NULL, run, server);
    if (failed != 0) {
        return err_set(err, ERR_INTERNAL, "pthread_create: %s", strerror(failed));
    }
    server->started = true;
    return true;
}

void fake_server_free(struct fake_server *server) {
    if (server == NULL) {
        return;
    }
    if (server->started) {
        fake_server_lock(server);
        server->stopping = true;
        fake_server_unlock(server);
        (void)pthread_join(server->thread, NULL);
    }
    while (server->conns != NULL) {
        conn_free(server->conns);
    }
    while (server->timers != NULL) {
        struct timer *timer = server->timers;
        server->timers = timer->next;
        free(timer);
    }
    while (server->listeners != NULL) {
        struct listener *listener = server->listeners;
        server->listeners = listener->next;
        (void)close(listener->source.fd);
        free(listener);
    }
    fake_tls_identity_free(server->identity);
    if (server->wake.fd >= 0) {
        (void)close(server->wake.fd);
    }
    if (server->epoll >= 0) {
        (void)close(server->epoll);
    }
    (void)pthread_mutex_destroy(&server->lock);
    free(server);
}
