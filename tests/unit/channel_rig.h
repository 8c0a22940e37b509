/*
 * channel_rig: a channel on a lane of its own, and what it has told; the test's thread waits for
 * it, or runs functions on the lane. For the tests of channel and tls.
 */
#ifndef TESTS_CHANNEL_RIG_H
#define TESTS_CHANNEL_RIG_H

#include "pulsar/channel.h"

#include <pthread.h>

enum { RIG_PATIENCE_S = 60 };

struct rig {
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
    bool wrong_bytes;      /* received is not rig_byte of its place */
    struct err why;
    struct channel_stats stats; /* at the end */

    /* What else shall be done in an event; may be NULL. */
    void (*on_opened)(struct rig *rig);
    void (*on_received)(struct rig *rig);
    void (*on_written)(struct rig *rig);

    struct lane_timer turn_timer;
    uint64_t turn;
    bool count_turns;
};

/* The AWS I/O library must be initialised. */
struct rig *rig_new(void);
/* Closes the channel if it has not ended. */
void rig_free(struct rig *rig);

void rig_open(struct rig *rig, const char *host, uint16_t port, struct tls *tls,
              uint32_t connect_timeout_ms);
/* Runs fn on the lane and waits until it has returned. */
void rig_run(struct rig *rig, void (*fn)(struct rig *rig, void *ctx), void *ctx);
void rig_close(struct rig *rig);
/* Fails the test when it takes too long. */
void rig_wait(struct rig *rig, bool (*reached)(const struct rig *rig));
bool rig_has_opened(const struct rig *rig);
bool rig_has_ended(const struct rig *rig);
/* Waits for the end, and checks that it came once, and after some turns nothing else. */
void rig_expect_end(struct rig *rig, enum err_code code, const char *text);
/* Bytes not with the kernel, asked on the lane. */
size_t rig_writing(struct rig *rig);

/* The stream that both sides send: the byte at this place. */
static inline char rig_byte(uint64_t place) {
    return (char)((place * 2654435761U) >> 16);
}
/* A piece of it on the heap, with one reference. */
struct outgoing *rig_piece(uint64_t place, size_t len);
/* len bytes from place on, in pieces of at most piece bytes, written on the lane. False when the
 * channel refused one. */
bool rig_send(struct rig *rig, uint64_t place, size_t len, size_t piece);

/* A listening socket on this loopback address, "127.0.0.1" or "::1". */
int rig_listen(const char *host, int backlog, uint16_t *ret_port);
/* Its next connection, with a receive time-out. */
int rig_accept(int listener);

#endif
