/*
 * sender: a producer on a stage. Everything is written down: which message was taken, what was
 * reported of it and in which order; at the end it is compared with what the double has stored.
 * Functions are for the test's thread.
 */
#ifndef TESTS_SENDER_H
#define TESTS_SENDER_H

#include "unit/stage.h"

enum { SENDER_MESSAGES = 50000, SENDER_PARTITIONS = 16 };

struct sender;

/* What became of a message. */
enum fate { FATE_OPEN, FATE_STORED, FATE_DUPLICATE, FATE_REFUSED, FATE_LOST, FATE_MAYBE };

struct sender_report {
    enum fate fate;
    uint32_t partition;
    size_t order; /* of all reports of its sender */
    enum err_code code;
    uint64_t entry_id;
};

/* Changes the message of that token before it is sent; on the lane. What it borrows may be in the
 * sender's scratch. */
typedef void sender_make_fn(struct sender *sender, uint64_t token, struct pulsar_message *message);

/* A producer, and what came of its messages. */
struct sender {
    struct stage *stage;
    char id; /* in every value: 'a', 'b', ... */
    struct pulsar_producer *producer;

    /* Set before sender_open: */
    struct pulsar_producer_options options;
    size_t keys; /* so many take turns; 0: none */
    size_t value_len;
    sender_make_fn *make; /* NULL: nothing to change */
    uint64_t first_token; /* with explicit ids: token and sequence id of the first message */
    bool double_is_fine;  /* at least once: a message may be stored again */
    bool may_call_off;    /* it asks whether it may send */

    /* Guarded by the stage's lock: */
    uint64_t next_token;
    uint64_t wanted; /* tokens below are to be sent */
    size_t taken;
    size_t reported;
    size_t receipts; /* events */
    size_t fates[FATE_MAYBE + 1];
    struct sender_report reports[SENDER_MESSAGES];
    int ready_count;
    uint32_t partitions;
    int grown_count;
    int writable_count;
    int failed_count;
    struct err failure;
    struct err last_undelivered;
    size_t refused_count; /* PULSAR_SEND_REFUSED */
    struct err refusal;
    size_t full_count;
    int lost_count;
    int again_count;
    uint64_t off_from; /* what is sent together with a token from here on is called off ... */
    uint64_t off_to;   /* ... and below this */
    struct err last_lost;
    struct pulsar_producer_stats stats; /* after the last event */
    bool closed;
    bool refuse_open; /* pulsar_producer_open returned NULL */

    char value[64];
    char key[64];
    char scratch[256];
};

/* Its topic is STAGE_TOPIC, its messages have 20 keys, short values and no names. */
struct sender *sender_new(struct stage *stage);
/* Opens its producer; the client too, if it is the first. */
void sender_open(struct sender *sender);
/* And waits for `ready`. */
void sender_open_ready(struct sender *sender);
/* So many more messages are to be sent, as fast as they are taken. */
void sender_send(struct sender *sender, size_t count);
void sender_flush(struct sender *sender);
/* Waits until all that was wanted is taken and reported. */
void sender_drain(struct sender *sender);
void sender_close(struct sender *sender, uint32_t timeout_ms);
/* The same, and false in vain. */
bool sender_shut(struct sender *sender, uint32_t timeout_ms);
/* Every message that was taken was reported once, those of a partition in order; each receipt's
 * message is stored once, or at least once, and in order; nothing else is, but for FATE_MAYBE. With
 * key-based batches the order is another matter: sender_check_keys. After sender_close. */
void sender_check(struct sender *sender);

/* Drains, closes, checks. */
void sender_finish(struct sender *sender);
/* Those of a key were stored in their order, whatever the partition. */
void sender_check_keys(struct sender *sender);
/* Of one stored message; false when it is not there. The store must be locked. */
bool sender_find(const struct sender *sender, const struct fake_broker_store *store, uint64_t token,
                 const struct fake_message **ret_message);

#endif
