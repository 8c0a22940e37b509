/*
 * caller: who opened a channel, on a lane of its own, and what it was told; the test's thread waits
 * for it, or runs functions on the lane. For the tests of channel and tls.
 */
#ifndef TESTS_CALLER_H
#define TESTS_CALLER_H

#include "pulsar/channel.h"

#include <pthread.h>

enum { CALLER_PATIENCE_S = 60 };

struct caller {
    struct lane *lane;
    struct channel *channel; /* NULL after `ended` */
    pthread_mutex_t lock;
    pthread_cond_t changed;

    /* Guarded by lock; written on the lane. */
    int opened;
    int ended;
    uint64_t written;      /* times */
    uint64_t received;     /* bytes */
    uint64_t biggest_turn; /* bytes received between two turns of the loop, at most */
    bool wrong_bytes;      /* received is not caller_byte of its place */
    struct err why;
    struct channel_stats stats; /* at the end */

    /* What else shall be done in an event; may be NULL. */
    void (*on_opened)(struct caller *caller);
    void (*on_received)(struct caller *caller);
    void (*on_written)(struct caller *caller);

    struct lane_timer turn_timer;
    uint64_t turn;
    bool count_turns;
};

/* The AWS I/O library must be initialised. */
struct caller *caller_new(void);
/* Closes the channel if it has not ended. */
void caller_free(struct caller *caller);

void caller_open(struct caller *caller, const char *host, uint16_t port, struct tls *tls,
                 uint32_t connect_timeout_ms);
/* Runs fn on the lane and waits until it has returned. */
void caller_run(struct caller *caller, void (*fn)(struct caller *caller, void *ctx), void *ctx);
void caller_close(struct caller *caller);
/* Fails the test when it takes too long. */
void caller_wait(struct caller *caller, bool (*reached)(const struct caller *caller));
bool caller_has_opened(const struct caller *caller);
bool caller_has_ended(const struct caller *caller);
/* Waits for the end, and checks that it came once, and after some turns nothing else. */
void caller_expect_end(struct caller *caller, enum err_code code, const char *text);
/* Bytes not with the kernel, asked on the lane. */
size_t caller_writing(struct caller *caller);

/* The stream that both sides send: the byte at this place. */
static inline char caller_byte(uint64_t place) {
    return (char)((place * 2654435761U) >> 16);
}
/* A piece of it on the heap, with one reference. */
struct outgoing *caller_piece(uint64_t place, size_t len);
/* len bytes from place on, in pieces of at most piece bytes, written on the lane. False when the
 * channel refused one. */
bool caller_send(struct caller *caller, uint64_t place, size_t len, size_t piece);

/* A listening socket on this loopback address, "127.0.0.1" or "::1". */
int caller_listen(const char *host, int backlog, uint16_t *ret_port);
/* Its next connection, with a receive time-out. */
int caller_accept(int listener);

#endif
