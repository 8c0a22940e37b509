/*
 * dial: from a host and a port to a connected TCP socket. The lane's resolver says which addresses
 * the host has; they are tried in turn, IPv6 and IPv4 alternating: the next one as soon as one
 * fails, or when nothing answers for DIAL_STAGGER_MS, with the slow ones still in the race. The
 * first that connects wins.
 */
#ifndef PULSAR_DIAL_H
#define PULSAR_DIAL_H

#include "base/lane.h"
#include "pulsar/address.h"

enum {
    DIAL_STAGGER_MS = 250,
    DIAL_MAX_ADDRESSES = 16, /* of one host, for one connection */
};

struct dial;

/* fd: connected, non-blocking, without delay and with keep-alive, the receiver's from now on; or -1
 * and why, borrowed for the call. */
typedef void dial_fn(void *ctx, int fd, const char *why);

/* done comes exactly once, in a later turn of the loop; the dial frees itself then. It has no
 * deadline of its own. NULL when out of memory. */
struct dial *dial_start(struct lane *lane, const struct address *address, dial_fn *done, void *ctx);
/* done comes without a socket, at once in a later turn. */
void dial_cancel(struct dial *dial);
/* What it waits for, in words, for whoever loses patience. */
void dial_describe(const struct dial *dial, char *to, size_t size);

#endif
