/*
 * channel: a TCP connection as bytes in both directions, on a lane; the one place that knows the
 * AWS CRT's channels. Writing copies nothing: the bytes stay where they are until the kernel has
 * them.
 */
#ifndef PULSAR_CHANNEL_H
#define PULSAR_CHANNEL_H

#include "base/lane.h"
#include "base/str.h"
#include "pulsar/address.h"
#include "pulsar/outgoing.h"

struct channel;

/* None of them is called inside a call of channel_open, channel_write or channel_close. */
struct channel_events {
    void (*opened)(void *ctx);
    /* Borrowed for the call. */
    void (*received)(void *ctx, struct str bytes);
    /* The kernel took what one channel_write gave. */
    void (*written)(void *ctx);
    /* Exactly once, last: the channel is freed after it. Why, in words. */
    void (*ended)(void *ctx, const char *why);
};

/* Resolves and connects. NULL when out of memory; any other failure comes as `ended`. */
struct channel *channel_open(struct lane *lane, const struct address *address,
                             uint32_t connect_timeout_ms, const struct channel_events *events,
                             void *ctx);
/* `ended` follows, unless connecting hangs: that cannot be called off, and it comes when that ends.
 * What is not yet with the kernel is dropped. */
void channel_close(struct channel *channel);

/* Takes a reference until the kernel has the bytes or the channel ended. Only between opened and
 * ended. False when it cannot be written any more: `ended` follows. */
bool channel_write(struct channel *channel, struct outgoing *bytes);
/* Bytes written and not yet with the kernel. */
size_t channel_writing(const struct channel *channel);

#endif
