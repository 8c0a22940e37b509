/*
 * partition: one topic partition's producer: creation and re-creation at the broker, sequence ids,
 * the open batch and those that wait for their receipt. Its life, in README.md's diagram, goes
 * through one function.
 */
#ifndef PULSAR_PARTITION_H
#define PULSAR_PARTITION_H

#include "pulsar/client.h"
#include "pulsar/lookup.h"

struct partition;

/* None is called inside partition_open, _send, _flush or _close. */
struct partition_events {
    /* It has its producer: for the first time, or again. */
    void (*ready)(struct partition *partition);
    /* A batch of it was closed, by size, time or partition_flush. Also inside partition_send and
     * _flush. */
    void (*sealed)(struct partition *partition);
    void (*receipt)(struct partition *partition, const struct pulsar_receipt *receipt);
    /* An attempt to create it failed, or it was lost; it goes on trying. */
    void (*lost)(struct partition *partition, const struct err *err);
    /* It gave up: state is PARTITION_CLOSED. */
    void (*failed)(struct partition *partition, const struct err *err);
    /* After partition_close. */
    void (*closed)(struct partition *partition);
};

/* What the partitions of a producer have in common; outlives them. */
struct partition_shared {
    struct pulsar_client *client;
    const struct partition_events *events;
    char *name; /* producer name given by the user, or NULL */
    struct compressor compressor;
    struct batch_limits limits; /* but name_len and max_message_size, which are each partition's */
    uint32_t batch_max_delay_ms;
    uint64_t max_pending_bytes;
    struct pulsar_producer_stats stats; /* kept up to date by the partitions */
};

enum partition_state {
    PARTITION_IDLE,
    PARTITION_LOOKUP,  /* asks which broker has the topic */
    PARTITION_CONNECT, /* waits for the connection to it */
    PARTITION_CREATE,  /* sent PRODUCER */
    PARTITION_READY,
    PARTITION_RETIRE,  /* sent CLOSE_PRODUCER to begin anew */
    PARTITION_WAIT,    /* for the next attempt */
    PARTITION_CLOSING, /* sent CLOSE_PRODUCER for good */
    PARTITION_CLOSED,
};

struct partition {
    struct partition_shared *shared;
    uint32_t index;
    char *topic; /* owned */
    enum partition_state state;
    bool was_ready;     /* at least once: from then on nearly every error passes */
    bool told_lost;     /* for the owner */
    bool counted_ready; /* for the owner */

    struct connection_user user;
    struct connection_request request;
    struct lookup lookup;
    bool through_proxy; /* the last lookup said so */
    bool has_migrated;
    struct address migrated; /* the other cluster's service */
    struct backoff backoff;
    struct lane_timer retry_timer;

    uint64_t epoch; /* of the next attempt to create */
    char *name;     /* of the producer, from the first success on; owned */
    uint64_t next_sequence_id;
    struct batch_limits limits;

    struct batch *open;    /* NULL or at least one message */
    struct batch *pending; /* sealed, oldest first, until their receipts */
    struct batch *last_pending;
    struct batch *unsent; /* the first one not handed to this connection */
    struct lane_timer batch_timer;
};

/* Does nothing yet. False when out of memory. topic is copied. */
bool partition_init(struct partition *partition, struct partition_shared *shared, uint32_t index,
                    const char *topic);
void partition_open(struct partition *partition);
enum pulsar_send partition_send(struct partition *partition, const struct pulsar_message *message,
                                uint64_t token, struct err *err);
/* Seals the open batch, if the broker is there to take it. */
void partition_flush(struct partition *partition);
/* When the oldest message that is not acknowledged was taken; 0 when there is none. */
uint64_t partition_oldest_ns(const struct partition *partition);
/* Closes the producer at the broker; `closed` comes later, or never when the broker is silent.
 * Sends nothing more. */
void partition_close(struct partition *partition);
/* No event comes any more; the broker is not told. All-zero is fine. */
void partition_done(struct partition *partition);

#endif
