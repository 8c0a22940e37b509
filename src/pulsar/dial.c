#include "pulsar/dial.h"

#include "base/watch.h"

#include <aws/common/string.h>
#include <aws/io/host_resolver.h>
#include <aws/io/io.h>

#include <arpa/inet.h>
#include <errno.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

enum {
    ANSWER_MAX = 2, /* the resolver gives one address of each family at a time */
    KEEP_IDLE_S = 60,
    KEEP_INTERVAL_S = 6,
    KEEP_PROBES = 10,
};

union endpoint {
    struct sockaddr any;
    struct sockaddr_in v4;
    struct sockaddr_in6 v6;
};

struct attempt {
    union endpoint to;
    int fd; /* -1: over */
    struct watch watch;
    struct dial *dial;
};

enum query_state { QUERY_ASKED, QUERY_ANSWERED, QUERY_ABANDONED };

/* A question to the resolver. Its thread cannot be called off, so the question has memory of its
 * own. A dial may leave it alone while it is ASKED; once it is ANSWERED the dial waits for the
 * message, so that the lane is there to take it. */
struct query {
    struct lane_message message;
    struct lane *lane;
    struct dial *dial; /* not for the resolver's thread */
    uint16_t port;
    _Atomic(int) state;
    int error;
    union endpoint found[ANSWER_MAX];
    size_t found_count;
};

struct dial {
    struct lane *lane;
    struct address address;
    dial_fn *done;
    void *ctx;
    struct query *query; /* NULL: nothing asked */
    bool asked_all;      /* the resolver has no more */
    bool cancelled;
    size_t known;
    size_t begun;
    size_t live;
    int fd; /* the winner, until it is handed over */
    struct attempt attempts[DIAL_MAX_ADDRESSES];
    struct lane_timer timer; /* the beginning, the next attempt, the end */
    char why[256];
};

static void advance(struct dial *dial, bool next);

static bool is_same(const union endpoint *a, const union endpoint *b) {
    if (a->any.sa_family != b->any.sa_family) {
        return false;
    }
    if (a->any.sa_family == AF_INET) {
        return a->v4.sin_port == b->v4.sin_port && a->v4.sin_addr.s_addr == b->v4.sin_addr.s_addr;
    }
    return a->v6.sin6_port == b->v6.sin6_port && a->v6.sin6_scope_id == b->v6.sin6_scope_id &&
           memcmp(&a->v6.sin6_addr, &b->v6.sin6_addr, sizeof a->v6.sin6_addr) == 0;
}

/* ---- Words. */

static void note(struct dial *dial, const char *subject, const char *what) {
    size_t len = strlen(dial->why);
    (void)snprintf(dial->why + len, sizeof dial->why - len, "%s%s%s%s", len > 0 ? ", " : "",
                   subject, subject[0] != '\0' ? ": " : "", what);
}

static void endpoint_text(const union endpoint *endpoint, char text[INET6_ADDRSTRLEN]) {
    const void *bytes = endpoint->any.sa_family == AF_INET6 ? (const void *)&endpoint->v6.sin6_addr
                                                            : (const void *)&endpoint->v4.sin_addr;
    if (inet_ntop(endpoint->any.sa_family, bytes, text, INET6_ADDRSTRLEN) == NULL) {
        text[0] = '\0';
    }
}

static void note_failure(struct attempt *attempt, int error) {
    char text[INET6_ADDRSTRLEN];
    endpoint_text(&attempt->to, text);
    note(attempt->dial, text, strerrordesc_np(error));
}

void dial_describe(const struct dial *dial, char *to, size_t size) {
    if (dial->query != NULL && dial->live == 0) {
        (void)snprintf(to, size, "the name was not resolved");
        return;
    }
    size_t len = (size_t)snprintf(to, size, "no answer from");
    const char *separator = " ";
    for (size_t i = 0; i < dial->begun && len < size; i++) {
        if (dial->attempts[i].fd >= 0) {
            char text[INET6_ADDRSTRLEN];
            endpoint_text(&dial->attempts[i].to, text);
            len += (size_t)snprintf(to + len, size - len, "%s%s", separator, text);
            separator = ", ";
        }
    }
    if (dial->why[0] != '\0' && len < size) {
        (void)snprintf(to + len, size - len, "; %s", dial->why);
    }
}

/* ---- The end. */

static void hang_up(struct attempt *attempt) {
    watch_stop(&attempt->watch);
    (void)close(attempt->fd);
    attempt->fd = -1;
    attempt->dial->live--;
}

static void finish(struct dial *dial) {
    lane_timer_cancel(&dial->timer);
    for (size_t i = 0; i < dial->begun; i++) {
        if (dial->attempts[i].fd >= 0) {
            hang_up(&dial->attempts[i]);
        }
    }
    if (dial->query != NULL) {
        int asked = QUERY_ASKED;
        if (!atomic_compare_exchange_strong(&dial->query->state, &asked, QUERY_ABANDONED)) {
            return; /* its message is on the way, and ends the dial */
        }
    }
    if (dial->cancelled && dial->fd >= 0) {
        (void)close(dial->fd);
        dial->fd = -1;
    }
    dial->done(dial->ctx, dial->fd, dial->fd >= 0 ? NULL : dial->why);
    free(dial);
}

void dial_cancel(struct dial *dial) {
    dial->cancelled = true;
    lane_timer_set_ms(&dial->timer, 0);
}

/* ---- Attempts. */

/* A port out of the ephemeral range on this machine, on which nobody listens, can connect to
 * itself: both ends are then the same. */
static bool is_itself(int fd) {
    union endpoint here = {.any.sa_family = AF_UNSPEC};
    union endpoint there = {.any.sa_family = AF_UNSPEC};
    socklen_t here_len = sizeof here;
    socklen_t there_len = sizeof there;
    return getsockname(fd, &here.any, &here_len) == 0 &&
           getpeername(fd, &there.any, &there_len) == 0 && is_same(&here, &there);
}

static void settle(struct attempt *attempt, int error) {
    struct dial *dial = attempt->dial;
    int fd = attempt->fd;
    if (error == 0 && is_itself(fd)) {
        error = ECONNREFUSED;
    }
    if (error != 0) {
        note_failure(attempt, error);
        hang_up(attempt);
        return;
    }
    watch_stop(&attempt->watch);
    attempt->fd = -1;
    dial->live--;
    dial->fd = fd;
}

/* A watch_fn. */
static void on_event(void *ctx, unsigned events) {
    (void)events; /* connected or not, and why not, the socket knows better */
    struct attempt *attempt = ctx;
    if (attempt->dial->cancelled) {
        return;
    }
    int error = 0;
    socklen_t len = sizeof error;
    if (getsockopt(attempt->fd, SOL_SOCKET, SO_ERROR, &error, &len) != 0) {
        error = errno;
    }
    settle(attempt, error);
    advance(attempt->dial, true);
}

static bool set_option(int fd, int level, int name, int value) {
    return setsockopt(fd, level, name, &value, sizeof value) == 0;
}

static int begin(struct attempt *attempt) {
    struct dial *dial = attempt->dial;
    int family = attempt->to.any.sa_family;
    int fd = socket(family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd < 0) {
        return errno;
    }
    attempt->fd = fd;
    dial->live++;
    if (!set_option(fd, IPPROTO_TCP, TCP_NODELAY, 1) ||
        !set_option(fd, SOL_SOCKET, SO_KEEPALIVE, 1) ||
        !set_option(fd, IPPROTO_TCP, TCP_KEEPIDLE, KEEP_IDLE_S) ||
        !set_option(fd, IPPROTO_TCP, TCP_KEEPINTVL, KEEP_INTERVAL_S) ||
        !set_option(fd, IPPROTO_TCP, TCP_KEEPCNT, KEEP_PROBES)) {
        return errno;
    }
    socklen_t len = family == AF_INET6 ? sizeof attempt->to.v6 : sizeof attempt->to.v4;
    if (connect(fd, &attempt->to.any, len) == 0) {
        settle(attempt, 0);
        return 0;
    }
    if (errno != EINPROGRESS) {
        return errno;
    }
    return watch_start(&attempt->watch, dial->lane, fd, on_event, attempt) ? 0 : ENOMEM;
}

static void begin_next(struct dial *dial) {
    struct attempt *attempt = &dial->attempts[dial->begun++];
    attempt->dial = dial;
    attempt->fd = -1;
    int error = begin(attempt);
    if (error != 0) {
        note_failure(attempt, error);
        if (attempt->fd >= 0) {
            hang_up(attempt);
        }
    }
}

/* ---- Addresses. */

static bool add(struct dial *dial, const union endpoint *endpoint) {
    for (size_t i = 0; i < dial->known; i++) {
        if (is_same(&dial->attempts[i].to, endpoint)) {
            return false;
        }
    }
    if (dial->known == DIAL_MAX_ADDRESSES) {
        return false;
    }
    dial->attempts[dial->known++].to = *endpoint;
    return true;
}

/* An address as text, without asking anybody; IPv6 may have a zone. */
static bool read_endpoint(const char *host, uint16_t port, union endpoint *endpoint) {
    char service[8];
    (void)snprintf(service, sizeof service, "%u", port);
    struct addrinfo hints = {.ai_family = AF_UNSPEC,
                             .ai_socktype = SOCK_STREAM,
                             .ai_flags = AI_NUMERICHOST | AI_NUMERICSERV};
    struct addrinfo *info = NULL;
    if (getaddrinfo(host, service, &hints, &info) != 0) {
        return false;
    }
    bool fits = info->ai_addrlen <= sizeof *endpoint;
    memset(endpoint, 0, sizeof *endpoint);
    if (fits) {
        memcpy(endpoint, info->ai_addr, info->ai_addrlen);
    }
    freeaddrinfo(info);
    return fits;
}

static const char *resolver_words(int error) {
    switch (error) {
    case AWS_IO_DNS_INVALID_NAME:
    case AWS_IO_DNS_NO_ADDRESS_FOR_HOST:
    case AWS_ERROR_SYS_CALL_FAILURE: /* so it calls a name without an address */
        return "name not found";
    case AWS_IO_DNS_QUERY_FAILED:
        return "the name server gives no answer";
    default:
        return aws_error_str(error);
    }
}

/* A lane_fn. */
static void answered(void *ctx) {
    struct query *query = ctx;
    struct dial *dial = query->dial;
    dial->query = NULL;
    bool more = false;
    for (size_t i = 0; i < query->found_count; i++) {
        more = add(dial, &query->found[i]) || more;
    }
    dial->asked_all = !more;
    if (dial->known == 0) {
        note(dial, "", resolver_words(query->error));
    }
    free(query);
    if (dial->cancelled || dial->fd >= 0) {
        finish(dial);
    } else {
        advance(dial, true);
    }
}

/* An aws_on_host_resolved_result_fn: on a thread of the resolver, or at once when it knows. */
static void resolved(struct aws_host_resolver *resolver, const struct aws_string *host, int error,
                     const struct aws_array_list *addresses, void *user_data) {
    (void)resolver;
    (void)host;
    struct query *query = user_data;
    query->error = error != AWS_ERROR_SUCCESS ? error : AWS_IO_DNS_NO_ADDRESS_FOR_HOST;
    size_t count = error == AWS_ERROR_SUCCESS ? aws_array_list_length(addresses) : 0;
    for (size_t i = 0; i < count && query->found_count < ANSWER_MAX; i++) {
        void *at = NULL;
        if (aws_array_list_get_at_ptr(addresses, &at, i) == AWS_OP_SUCCESS) {
            const struct aws_host_address *address = at;
            query->found_count += read_endpoint(aws_string_c_str(address->address), query->port,
                                                &query->found[query->found_count]);
        }
    }
    if (atomic_exchange(&query->state, QUERY_ANSWERED) == QUERY_ABANDONED) {
        free(query);
    } else {
        lane_post(query->lane, &query->message, answered, query);
    }
}

static void ask(struct dial *dial) {
    struct query *query = calloc(1, sizeof *query);
    struct aws_string *host =
        aws_string_new_from_c_str(aws_default_allocator(), dial->address.host);
    bool asked = false;
    if (query != NULL && host != NULL) {
        query->lane = dial->lane;
        query->dial = dial;
        query->port = dial->address.port;
        struct aws_host_resolution_config config =
            aws_host_resolver_init_default_resolution_config();
        dial->query = query;
        asked = aws_host_resolver_resolve_host(lane_resolver(dial->lane), host, resolved, &config,
                                               query) == AWS_OP_SUCCESS;
    }
    aws_string_destroy(host);
    if (!asked) {
        free(query);
        dial->query = NULL;
        dial->asked_all = true;
        note(dial, "", "no memory to resolve the name");
    }
}

/* ---- The race. next: another address shall be tried, even though one is being tried. */

static void advance(struct dial *dial, bool next) {
    next = next || dial->live == 0;
    while (next && dial->fd < 0 && dial->begun < dial->known) {
        begin_next(dial);
        next = dial->live == 0;
    }
    if (dial->fd >= 0) {
        finish(dial);
        return;
    }
    if (next && dial->query == NULL && !dial->asked_all) {
        ask(dial);
    }
    if (dial->live == 0 && dial->query == NULL) {
        finish(dial);
    } else if (dial->live > 0 && (dial->begun < dial->known || !dial->asked_all)) {
        lane_timer_set_ms(&dial->timer, DIAL_STAGGER_MS);
    }
}

/* A lane_fn. */
static void on_timer(void *ctx) {
    struct dial *dial = ctx;
    if (dial->cancelled) {
        finish(dial);
        return;
    }
    union endpoint endpoint;
    if (dial->known == 0 && dial->query == NULL &&
        read_endpoint(dial->address.host, dial->address.port, &endpoint)) {
        dial->asked_all = true;
        (void)add(dial, &endpoint);
    }
    advance(dial, true);
}

struct dial *dial_start(struct lane *lane, const struct address *address, dial_fn *done,
                        void *ctx) {
    struct dial *dial = calloc(1, sizeof *dial);
    if (dial == NULL) {
        return NULL;
    }
    dial->lane = lane;
    dial->address = *address;
    dial->done = done;
    dial->ctx = ctx;
    dial->fd = -1;
    lane_timer_init(&dial->timer, lane, on_timer, dial);
    lane_timer_set_ms(&dial->timer, 0);
    return dial;
}
