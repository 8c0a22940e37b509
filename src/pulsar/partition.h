/*
 * partition: one topic partition's producer: creation and re-creation at the broker, sequence ids,
 * the open batch and those that wait for their receipt. Its life, in README.md's diagram, goes
 * through one function.
 */
#ifndef PULSAR_PARTITION_H
#define PULSAR_PARTITION_H

#include "pulsar/client.h"
#include "pulsar/lookup.h"
#include "pulsar/outbox.h"
#include "pulsar/registration.h"

struct partition;

/* None but the question is called inside partition_open, _send, _flush or _close. */
struct partition_events {
    /* It has its producer: for the first time, or again. */
    void (*ready)(struct partition *partition);
    void (*receipt)(struct partition *partition, const struct pulsar_receipt *receipt);
    void (*undelivered)(struct partition *partition, const struct pulsar_undelivered *undelivered);
    /* An attempt to create it failed, or it was lost; it goes on trying. */
    void (*lost)(struct partition *partition, const struct err *err);
    /* The broker lets it wait for exclusive access. */
    void (*queued)(struct partition *partition);
    /* It gave up: state is PARTITION_CLOSED. What waits in it was not reported. */
    void (*failed)(struct partition *partition, const struct err *err);
    /* After partition_close. */
    void (*closed)(struct partition *partition);
    /* The question of producer.h, asked inside calls too. */
    bool (*may_send)(const struct partition *partition, const uint64_t *tokens, size_t count);
};

/* What the partitions of a producer have in common; outlives them. */
struct partition_shared {
    struct pulsar_client *client;
    const struct partition_events *events;
    struct registration_options registration;
    bool wait_for_name;
    uint32_t batch_max_delay_ms;
    struct outbox_shared outbox;
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
    bool was_ready;          /* at least once: from then on nearly every error passes */
    enum err_code told_lost; /* for the owner: the last reason told */
    bool counted_ready;      /* for the owner */

    struct connection_user user;
    struct connection_request request;
    struct lookup lookup;
    bool through_proxy; /* the last lookup said so */
    bool has_migrated;
    struct address migrated; /* the other cluster's service */
    struct backoff backoff;
    struct lane_timer retry_timer;

    struct registration registration;
    int64_t last_sequence_id; /* what the broker said when it was made */

    struct outbox outbox;
    struct lane_timer batch_timer;
    struct lane_timer report_timer; /* what needs no receipt waits to be reported */
};

/* Does nothing yet. False when out of memory. topic is copied. */
bool partition_init(struct partition *partition, struct partition_shared *shared, uint32_t index,
                    const char *topic);
void partition_open(struct partition *partition);
enum pulsar_send partition_send(struct partition *partition, const struct pulsar_message *message,
                                uint64_t token, struct err *err);
/* Seals the open batches, if the broker is there to take them. */
void partition_flush(struct partition *partition);
/* Closes the producer at the broker; `closed` comes later, or never when the broker is silent.
 * Sends nothing more. */
void partition_close(struct partition *partition);
/* In its event `failed`, with nothing in it: it can be opened again, as if it were new. */
void partition_reset(struct partition *partition);
/* No event comes any more; the broker is not told. All-zero is fine. */
void partition_done(struct partition *partition);

#endif
