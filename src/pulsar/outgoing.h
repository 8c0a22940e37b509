/*
 * outgoing: bytes on their way to a broker, shared between who made them (and may have to send them
 * again) and the writes that are still reading them. Counted by one lane, so the count is a plain
 * number.
 */
#ifndef PULSAR_OUTGOING_H
#define PULSAR_OUTGOING_H

#include <stddef.h>
#include <stdint.h>

struct outgoing {
    char *data; /* a whole frame, or several */
    size_t len;
    uint32_t refs;
    void (*release)(struct outgoing *outgoing); /* when the last reference is gone */
};

static inline struct outgoing *outgoing_ref(struct outgoing *outgoing) {
    outgoing->refs++;
    return outgoing;
}

static inline void outgoing_unref(struct outgoing *outgoing) {
    if (--outgoing->refs == 0) {
        outgoing->release(outgoing);
    }
}

#endif
