/* A channel against plain sockets: connecting and its failures, many pieces per write, writes in
 * parts, a flood, and its end in every state. */
#include "unit/cmocka_all.h"

#include "unit/caller.h"

#include <aws/io/io.h>

#include <arpa/inet.h>
#include <errno.h>
#include <netdb.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

enum { TIMEOUT_MS = 30000 };

static int group_setup(void **state) {
    (void)state;
    aws_io_library_init(aws_default_allocator());
    return 0;
}

static int group_teardown(void **state) {
    (void)state;
    aws_io_library_clean_up();
    return 0;
}

static int setup(void **state) {
    *state = caller_new();
    return 0;
}

static int teardown(void **state) {
    caller_free(*state);
    return 0;
}

/* ---- Names, instead of libc's, so that they do not depend on the machine. */

static pthread_mutex_t names_lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t names_changed = PTHREAD_COND_INITIALIZER;
static bool slow_name_waits;
static bool slow_name_may_go = true;

static const struct {
    const char *name;
    const char *addresses[5];
} names[] = {
    {"both.test", {"::1", "127.0.0.1"}},
    {"many.test", {"127.0.0.4", "127.0.0.3", "::1", "127.0.0.2", "127.0.0.1"}},
    {"slow.test", {"127.0.0.1"}},
    {"127.0.0.1", {"127.0.0.1"}},
    {"127.0.0.2", {"127.0.0.2"}},
    {"127.0.0.3", {"127.0.0.3"}},
    {"127.0.0.4", {"127.0.0.4"}},
    {"::1", {"::1"}},
};

struct entry {
    struct addrinfo info;
    struct sockaddr_in6 address;
};

static struct addrinfo *make_entry(const char *text, const char *port, struct addrinfo *next) {
    struct entry *entry = calloc(1, sizeof *entry);
    assert_non_null(entry);
    struct sockaddr_in *v4 = (struct sockaddr_in *)&entry->address;
    bool is_v6 = inet_pton(AF_INET6, text, &entry->address.sin6_addr) == 1;
    entry->address.sin6_family = is_v6 ? AF_INET6 : AF_INET;
    entry->address.sin6_port = htons((uint16_t)(port != NULL ? atoi(port) : 0));
    if (!is_v6) {
        assert_int_equal(inet_pton(AF_INET, text, &v4->sin_addr), 1);
    }
    entry->info = (struct addrinfo){
        .ai_family = is_v6 ? AF_INET6 : AF_INET,
        .ai_socktype = SOCK_STREAM,
        .ai_addr = (struct sockaddr *)&entry->address,
        .ai_addrlen = is_v6 ? sizeof(struct sockaddr_in6) : sizeof(struct sockaddr_in),
        .ai_next = next,
    };
    return &entry->info;
}

int getaddrinfo(const char *node, const char *service, const struct addrinfo *hints,
                struct addrinfo **ret_info) {
    bool numeric = (hints->ai_flags & AI_NUMERICHOST) != 0;
    *ret_info = NULL;
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        bool is_address = strstr(names[i].name, ".test") == NULL;
        if (strcmp(node, names[i].name) != 0 || (numeric && !is_address)) {
            continue;
        }
        if (strcmp(node, "slow.test") == 0) {
            (void)pthread_mutex_lock(&names_lock);
            slow_name_waits = true;
            (void)pthread_cond_broadcast(&names_changed);
            while (!slow_name_may_go) {
                (void)pthread_cond_wait(&names_changed, &names_lock);
            }
            slow_name_waits = false;
            (void)pthread_mutex_unlock(&names_lock);
        }
        for (size_t j = 5; j-- > 0;) {
            if (names[i].addresses[j] != NULL) {
                *ret_info = make_entry(names[i].addresses[j], service, *ret_info);
            }
        }
        return 0;
    }
    return strcmp(node, "server-down.test") == 0 && !numeric ? EAI_AGAIN : EAI_NONAME;
}

void freeaddrinfo(struct addrinfo *info) {
    while (info != NULL) {
        struct addrinfo *next = info->ai_next;
        free(info); /* the first member of its entry */
        info = next;
    }
}

static void hold_slow_name(void) {
    (void)pthread_mutex_lock(&names_lock);
    slow_name_may_go = false;
    (void)pthread_mutex_unlock(&names_lock);
}

static void wait_for_slow_name(void) {
    (void)pthread_mutex_lock(&names_lock);
    while (!slow_name_waits) {
        (void)pthread_cond_wait(&names_changed, &names_lock);
    }
    (void)pthread_mutex_unlock(&names_lock);
}

static void release_slow_name(void) {
    (void)pthread_mutex_lock(&names_lock);
    slow_name_may_go = true;
    (void)pthread_cond_broadcast(&names_changed);
    (void)pthread_mutex_unlock(&names_lock);
}

/* A port on which nobody listens. */
static uint16_t free_port(const char *host) {
    uint16_t port = 0;
    (void)close(caller_listen(host, 1, &port));
    return port;
}

/* ---- Connecting. */

static void refused(void **state) {
    struct caller *caller = *state;
    caller_open(caller, "127.0.0.1", free_port("127.0.0.1"), NULL, TIMEOUT_MS);
    caller_expect_end(caller, ERR_PULSAR_TRANSPORT, "127.0.0.1: Connection refused");
    caller_open(caller, "::1", free_port("::1"), NULL, TIMEOUT_MS);
    caller_expect_end(caller, ERR_PULSAR_TRANSPORT, "::1: Connection refused");
    assert_int_equal(caller->opened, 0);
}

static void unknown_names(void **state) {
    struct caller *caller = *state;
    caller_open(caller, "nobody.test", 6650, NULL, TIMEOUT_MS);
    caller_expect_end(caller, ERR_PULSAR_TRANSPORT, "cannot connect: name not found");
    caller_open(caller, "server-down.test", 6650, NULL, TIMEOUT_MS);
    caller_expect_end(caller, ERR_PULSAR_TRANSPORT, "the name server gives no answer");
}

static void a_name_that_takes_too_long(void **state) {
    struct caller *caller = *state;
    hold_slow_name();
    caller_open(caller, "slow.test", 6650, NULL, 200);
    wait_for_slow_name();
    caller_expect_end(caller, ERR_PULSAR_TRANSPORT, "within 200 ms: the name was not resolved");
    caller_open(caller, "slow.test", 6650, NULL, TIMEOUT_MS);
    caller_close(caller); /* nobody waits for the resolver */
    caller_expect_end(caller, ERR_CANCELLED, "closed by us");
    release_slow_name();
}

static void connects_by(struct caller *caller, const char *listen_host, const char *host) {
    uint16_t port = 0;
    int listener = caller_listen(listen_host, 1, &port);
    caller_open(caller, host, port, NULL, TIMEOUT_MS);
    caller_wait(caller, caller_has_opened);
    caller_close(caller);
    caller_expect_end(caller, ERR_CANCELLED, "closed by us");
    (void)close(listener);
}

/* The name has both; only one of them listens. */
static void both_families(void **state) {
    struct caller *caller = *state;
    connects_by(caller, "127.0.0.1", "127.0.0.1");
    connects_by(caller, "::1", "::1");
    connects_by(caller, "127.0.0.1", "both.test");
    connects_by(caller, "::1", "both.test");
}

static void both_families_refuse(void **state) {
    struct caller *caller = *state;
    caller_open(caller, "both.test", free_port("127.0.0.1"), NULL, TIMEOUT_MS);
    caller_expect_end(caller, ERR_PULSAR_TRANSPORT,
                      "::1: Connection refused, 127.0.0.1: Connection refused");
}

/* The resolver gives one of each family at a time; all of them get their chance. */
static void the_last_of_many_addresses(void **state) {
    struct caller *caller = *state;
    for (int i = 1; i <= 4; i++) {
        char host[] = "127.0.0.0";
        host[8] = (char)('0' + i);
        connects_by(caller, host, "many.test");
    }
    connects_by(caller, "::1", "many.test");
}

/* A listener whose queue is full lets further connections wait. */
struct full {
    int listener;
    uint16_t port;
    int fds[8];
};

static void fill(struct full *full, const char *host) {
    full->port = 0;
    full->listener = caller_listen(host, 0, &full->port);
    struct sockaddr_storage address;
    socklen_t len = sizeof address;
    assert_int_equal(getsockname(full->listener, (struct sockaddr *)&address, &len), 0);
    for (size_t i = 0; i < sizeof full->fds / sizeof full->fds[0]; i++) {
        full->fds[i] = socket(address.ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
        (void)connect(full->fds[i], (struct sockaddr *)&address, len);
    }
}

static void drain(struct full *full) {
    for (size_t i = 0; i < sizeof full->fds / sizeof full->fds[0]; i++) {
        (void)close(full->fds[i]);
    }
    (void)close(full->listener);
}

static void connecting_has_a_deadline(void **state) {
    struct caller *caller = *state;
    struct full full;
    fill(&full, "127.0.0.1");
    caller_open(caller, "127.0.0.1", full.port, NULL, 300);
    caller_expect_end(caller, ERR_PULSAR_TRANSPORT,
                      "no connection within 300 ms: no answer from 127.0.0.1");
    drain(&full);
}

/* One family hangs, the other is tried all the same. */
static void a_slow_address_is_overtaken(void **state) {
    static const char *const hosts[] = {"127.0.0.1", "::1"};
    struct caller *caller = *state;
    for (int slow = 0; slow < 2; slow++) {
        struct full full;
        fill(&full, hosts[slow]);
        uint16_t port = full.port;
        int listener = caller_listen(hosts[1 - slow], 4, &port);
        caller_open(caller, "both.test", port, NULL, TIMEOUT_MS);
        caller_wait(caller, caller_has_opened);
        caller_close(caller);
        caller_expect_end(caller, ERR_CANCELLED, "closed by us");
        (void)close(listener);
        drain(&full);
    }
}

/* ---- Its end. */

static void closed_while_connecting(void **state) {
    struct caller *caller = *state;
    struct full full;
    fill(&full, "127.0.0.1");
    for (int i = 0; i < 20; i++) {
        caller_open(caller, "127.0.0.1", full.port, NULL, TIMEOUT_MS);
        caller_close(caller); /* at once, or with the connection on its way */
        caller_expect_end(caller, ERR_CANCELLED, "closed by us");
        caller_open(caller, "both.test", full.port, NULL, TIMEOUT_MS);
        caller_close(caller); /* with the resolver at work, or when it knows, or refused by one */
        caller_wait(caller, caller_has_ended);
        assert_int_equal(caller->ended, 1);
        caller_open(caller, "nobody.test", full.port, NULL, TIMEOUT_MS);
        caller_close(caller);
        caller_wait(caller, caller_has_ended);
        assert_int_equal(caller->ended, 1);
    }
    drain(&full);
}

static void close_it(struct caller *caller) {
    channel_close(caller->channel);
}

static void closed_in_events(void **state) {
    struct caller *caller = *state;
    uint16_t port = 0;
    int listener = caller_listen("127.0.0.1", 4, &port);
    caller->on_opened = close_it;
    caller_open(caller, "127.0.0.1", port, NULL, TIMEOUT_MS);
    (void)close(caller_accept(listener));
    caller_expect_end(caller, ERR_CANCELLED, "closed by us");

    caller->on_opened = NULL;
    caller->on_received = close_it;
    caller_open(caller, "127.0.0.1", port, NULL, TIMEOUT_MS);
    int fd = caller_accept(listener);
    struct outgoing *piece = caller_piece(0, 1000);
    assert_int_equal(send(fd, piece->data, piece->len, MSG_NOSIGNAL), 1000);
    caller_expect_end(caller, ERR_CANCELLED, "closed by us");
    assert_int_equal(caller->received, 1000);
    (void)close(fd);

    caller->on_received = NULL;
    caller->on_written = close_it;
    caller_open(caller, "127.0.0.1", port, NULL, TIMEOUT_MS);
    fd = caller_accept(listener);
    caller_wait(caller, caller_has_opened);
    assert_true(caller_send(caller, 0, 100000, 1000));
    caller_expect_end(caller, ERR_CANCELLED, "closed by us");
    assert_int_equal(caller->written, 1);
    (void)close(fd);
    outgoing_unref(piece);
    (void)close(listener);
}

static void closed_by_peer(void **state) {
    struct caller *caller = *state;
    uint16_t port = 0;
    int listener = caller_listen("127.0.0.1", 1, &port);
    caller_open(caller, "127.0.0.1", port, NULL, TIMEOUT_MS);
    int fd = caller_accept(listener);
    caller_wait(caller, caller_has_opened);
    struct outgoing *piece = caller_piece(0, 100000); /* its last words are heard */
    assert_int_equal(send(fd, piece->data, piece->len, MSG_NOSIGNAL), 100000);
    (void)close(fd);
    caller_expect_end(caller, ERR_PULSAR_TRANSPORT, "it closed the connection");
    assert_int_equal(caller->received, 100000);
    assert_false(caller->wrong_bytes);
    outgoing_unref(piece);
    (void)close(listener);
}

static void reset_by_peer(void **state) {
    struct caller *caller = *state;
    uint16_t port = 0;
    int listener = caller_listen("127.0.0.1", 1, &port);
    for (int busy = 0; busy < 2; busy++) {
        caller_open(caller, "127.0.0.1", port, NULL, TIMEOUT_MS);
        int fd = caller_accept(listener);
        caller_wait(caller, caller_has_opened);
        if (busy) {
            assert_true(caller_send(caller, 0, 16 * 1024 * 1024, 64 * 1024));
        }
        struct linger linger = {.l_onoff = 1};
        assert_int_equal(setsockopt(fd, SOL_SOCKET, SO_LINGER, &linger, sizeof linger), 0);
        (void)close(fd);
        caller_expect_end(caller, ERR_PULSAR_TRANSPORT,
                          "connection lost: Connection reset by peer");
    }
    (void)close(listener);
}

/* ---- Writing. */

/* Reads until the end or until it has this many bytes, and checks them. */
static uint64_t read_stream(int fd, uint64_t place, uint64_t until) {
    char bytes[65536];
    while (place < until) {
        uint64_t left = until - place;
        ssize_t got = recv(fd, bytes, left < sizeof bytes ? (size_t)left : sizeof bytes, 0);
        assert_true(got >= 0);
        if (got == 0) {
            break;
        }
        for (ssize_t i = 0; i < got; i++) {
            if (bytes[i] != caller_byte(place + (uint64_t)i)) {
                fail_msg("wrong byte at %llu", (unsigned long long)place + (unsigned long long)i);
            }
        }
        place += (uint64_t)got;
    }
    return place;
}

static void many_pieces_in_few_writes(void **state) {
    enum { PIECES = 20000, PIECE = 90 };
    struct caller *caller = *state;
    uint16_t port = 0;
    int listener = caller_listen("127.0.0.1", 1, &port);
    caller_open(caller, "127.0.0.1", port, NULL, TIMEOUT_MS);
    int fd = caller_accept(listener);
    caller_wait(caller, caller_has_opened);
    assert_true(caller_send(caller, 0, (size_t)PIECES * PIECE, PIECE));
    assert_int_equal(read_stream(fd, 0, (uint64_t)PIECES * PIECE), PIECES * PIECE);
    caller_close(caller);
    caller_expect_end(caller, ERR_CANCELLED, "");
    assert_int_equal(caller->stats.written, PIECES);
    assert_int_equal(caller->stats.written_bytes, PIECES * PIECE);
    assert_true(caller->stats.writes < PIECES / 20);
    (void)close(fd);
    (void)close(listener);
}

static bool has_written(const struct caller *caller) {
    return caller->written > 0;
}

static void close_and_count(struct caller *caller, void *ctx) {
    size_t *writing = ctx;
    *writing = channel_writing(caller->channel);
    channel_close(caller->channel); /* drops the rest */
}

/* What channel_writing does not count is what arrives, to the byte. */
static void writing_is_exact(void **state) {
    enum { TOTAL = 32 * 1024 * 1024 };
    static const size_t pieces[] = {1000003, 64 * 1024, 777};
    struct caller *caller = *state;
    uint16_t port = 0;
    int listener = caller_listen("127.0.0.1", 1, &port);
    for (size_t i = 0; i < sizeof pieces / sizeof pieces[0]; i++) {
        caller->written = 0;
        caller_open(caller, "127.0.0.1", port, NULL, TIMEOUT_MS);
        int fd = caller_accept(listener);
        caller_wait(caller, caller_has_opened);
        assert_true(caller_send(caller, 0, TOTAL, pieces[i]));
        caller_wait(caller, has_written);
        size_t writing;
        caller_run(caller, close_and_count, &writing);
        assert_true(writing > 0 && writing < TOTAL);
        assert_int_equal(read_stream(fd, 0, UINT64_MAX), TOTAL - writing);
        caller_expect_end(caller, ERR_CANCELLED, "");
        (void)close(fd);
    }
    (void)close(listener);
}

static void a_slow_reader_gets_all(void **state) {
    enum { TOTAL = 24 * 1024 * 1024 };
    struct caller *caller = *state;
    uint16_t port = 0;
    int listener = caller_listen("127.0.0.1", 1, &port);
    int small = 4096;
    (void)setsockopt(listener, SOL_SOCKET, SO_RCVBUF, &small, sizeof small);
    caller_open(caller, "127.0.0.1", port, NULL, TIMEOUT_MS);
    int fd = caller_accept(listener);
    caller_wait(caller, caller_has_opened);
    assert_true(caller_send(caller, 0, TOTAL / 2, 100001));
    uint64_t place = read_stream(fd, 0, 12345);
    assert_true(caller_send(caller, TOTAL / 2, TOTAL / 2, 10007));
    assert_int_equal(read_stream(fd, place, TOTAL), TOTAL);
    assert_int_equal(caller_writing(caller), 0);
    (void)close(fd);
    caller_expect_end(caller, ERR_PULSAR_TRANSPORT, "it closed the connection");
    (void)close(listener);
}

static void the_queue_has_an_end(void **state) {
    struct caller *caller = *state;
    uint16_t port = 0;
    int listener = caller_listen("127.0.0.1", 1, &port);
    caller_open(caller, "127.0.0.1", port, NULL, TIMEOUT_MS);
    int fd = caller_accept(listener);
    caller_wait(caller, caller_has_opened);
    assert_false(caller_send(caller, 0, (size_t)CHANNEL_MAX_QUEUED + 1, 1)); /* within one turn */
    caller_expect_end(caller, ERR_PULSAR_TRANSPORT,
                      "more is waiting to be written than can be kept");
    (void)close(fd);
    (void)close(listener);
}

/* ---- Reading. */

static bool has_all(const struct caller *caller) {
    return caller->received == 64 * 1024 * 1024;
}

static void count_turns(struct caller *caller, void *ctx) {
    (void)ctx;
    caller->count_turns = true;
    lane_timer_set_ms(&caller->turn_timer, 0);
}

static void a_flood_leaves_turns_to_others(void **state) {
    enum { TOTAL = 64 * 1024 * 1024 };
    struct caller *caller = *state;
    uint16_t port = 0;
    int listener = caller_listen("127.0.0.1", 1, &port);
    caller_open(caller, "127.0.0.1", port, NULL, TIMEOUT_MS);
    int fd = caller_accept(listener);
    caller_wait(caller, caller_has_opened);
    caller_run(caller, count_turns, NULL);
    struct outgoing *piece = caller_piece(0, TOTAL);
    for (size_t sent = 0; sent < TOTAL;) {
        ssize_t now = send(fd, piece->data + sent, TOTAL - sent, MSG_NOSIGNAL);
        assert_true(now > 0);
        sent += (size_t)now;
    }
    caller_wait(caller, has_all);
    assert_false(caller->wrong_bytes);
    /* An event's reads and those left over from the turn before. */
    assert_true(caller->biggest_turn <= 2 * 8 * 32 * 1024);
    outgoing_unref(piece);
    (void)close(fd);
    caller_expect_end(caller, ERR_PULSAR_TRANSPORT, "it closed the connection");
    (void)close(listener);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(refused, setup, teardown),
        cmocka_unit_test_setup_teardown(unknown_names, setup, teardown),
        cmocka_unit_test_setup_teardown(both_families, setup, teardown),
        cmocka_unit_test_setup_teardown(both_families_refuse, setup, teardown),
        cmocka_unit_test_setup_teardown(a_name_that_takes_too_long, setup, teardown),
        cmocka_unit_test_setup_teardown(the_last_of_many_addresses, setup, teardown),
        cmocka_unit_test_setup_teardown(connecting_has_a_deadline, setup, teardown),
        cmocka_unit_test_setup_teardown(a_slow_address_is_overtaken, setup, teardown),
        cmocka_unit_test_setup_teardown(closed_while_connecting, setup, teardown),
        cmocka_unit_test_setup_teardown(closed_in_events, setup, teardown),
        cmocka_unit_test_setup_teardown(closed_by_peer, setup, teardown),
        cmocka_unit_test_setup_teardown(reset_by_peer, setup, teardown),
        cmocka_unit_test_setup_teardown(many_pieces_in_few_writes, setup, teardown),
        cmocka_unit_test_setup_teardown(writing_is_exact, setup, teardown),
        cmocka_unit_test_setup_teardown(a_slow_reader_gets_all, setup, teardown),
        cmocka_unit_test_setup_teardown(the_queue_has_an_end, setup, teardown),
        cmocka_unit_test_setup_teardown(a_flood_leaves_turns_to_others, setup, teardown),
    };
    return cmocka_run_group_tests(tests, group_setup, group_teardown);
}
