/*
 * channel: a TCP connection, with TLS or without, as bytes in both directions, on a lane. Writing
 * copies nothing: what is queued in one turn of the loop goes out with one system call, and the
 * bytes stay where they are until the kernel has them.
 */
#ifndef PULSAR_CHANNEL_H
#define PULSAR_CHANNEL_H

#include "base/lane.h"
#include "base/str.h"
#include "pulsar/address.h"
#include "pulsar/outgoing.h"
#include "pulsar/tls.h"

struct channel;

/* Pieces that wait to be written, at most; more ends the channel. The bytes of frames are bounded
 * by whoever writes them: see CONNECTION_MAX_WRITING. */
enum { CHANNEL_MAX_QUEUED = 256 * 1024 };

/* None of them is called inside a call of channel_open, channel_write or channel_close. */
struct channel_events {
    /* Connected, and with TLS the broker is the right one. */
    void (*opened)(void *ctx);
    /* Borrowed for the call. */
    void (*received)(void *ctx, struct str bytes);
    /* The kernel took some bytes. */
    void (*written)(void *ctx);
    /* Exactly once, last: the channel is freed after it. Why: PULSAR_TLS, CANCELLED by
     * channel_close, NOMEM, or PULSAR_TRANSPORT. */
    void (*ended)(void *ctx, const struct err *why);
};

struct channel_stats {
    uint64_t taken;   /* pieces, by channel_write */
    uint64_t written; /* those of them that the kernel has, in the same order */
    uint64_t written_bytes;
    uint64_t writes; /* calls that gave them to it; with TLS, of s2n */
};

/* Resolves, connects and, with tls, does the handshake, all within connect_timeout_ms. tls: NULL
 * for none; outlives the channel. NULL when out of memory; any other failure comes as `ended`. */
struct channel *channel_open(struct lane *lane, const struct address *address, struct tls *tls,
                             uint32_t connect_timeout_ms, const struct channel_events *events,
                             void *ctx);
/* `ended` follows in a later turn, and nothing else. What is not yet with the kernel is dropped. */
void channel_close(struct channel *channel);

/* Takes a reference until the kernel has the bytes or the channel ended. Only between opened and
 * ended. False when it cannot be written any more: `ended` follows. */
bool channel_write(struct channel *channel, struct outgoing *bytes);
/* Bytes written and not yet with the kernel. */
size_t channel_writing(const struct channel *channel);
struct channel_stats channel_stats(const struct channel *channel);

#endif
