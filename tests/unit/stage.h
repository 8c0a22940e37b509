/*
 * stage: producers on a real lane against broker doubles, for tests of what producer.h
 * promises. Everything is written down: which message was taken, what was reported of it and in
 * which order; at the end it is compared with what the double has stored.
 *
 * Functions are for the test's thread. Whatever goes wrong on the lane is noted and fails the test
 * in stage_free.
 */
#ifndef TESTS_STAGE_H
#define TESTS_STAGE_H

#include "fakes/fake_broker.h"
#include "pulsar/producer.h"

#include <pthread.h>

enum { STAGE_MESSAGES = 50000, STAGE_PARTITIONS = 16, STAGE_SENDERS = 4, STAGE_PATIENCE_S = 30 };

#define STAGE_TOPIC "persistent://public/default/t"

struct stage;
struct sender;

/* What became of a message. */
enum fate { FATE_OPEN, FATE_STORED, FATE_DUPLICATE, FATE_REFUSED, FATE_LOST, FATE_MAYBE };

struct stage_report {
    enum fate fate;
    uint32_t partition;
    size_t order; /* of all reports of its sender */
    enum err_code code;
    uint64_t entry_id;
};

/* Changes the message of that token before it is sent; on the lane. What it borrows may be in the
 * sender's scratch. */
typedef void stage_make_fn(struct sender *sender, uint64_t token, struct pulsar_message *message);

/* A producer, and what came of its messages. */
struct sender {
    struct stage *stage;
    char id; /* in every value: 'a', 'b', ... */
    struct pulsar_producer *producer;

    /* Set before sender_open: */
    struct pulsar_producer_options options;
    size_t keys; /* so many take turns; 0: none */
    size_t value_len;
    stage_make_fn *make;  /* NULL: nothing to change */
    uint64_t first_token; /* with explicit ids: token and sequence id of the first message */
    bool double_is_fine;  /* at least once: a message may be stored again */

    /* Guarded by the stage's lock: */
    uint64_t next_token;
    uint64_t wanted; /* tokens below are to be sent */
    size_t taken;
    size_t reported;
    size_t receipts; /* events */
    size_t fates[FATE_MAYBE + 1];
    struct stage_report reports[STAGE_MESSAGES];
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
    struct err last_lost;
    struct pulsar_producer_stats stats; /* after the last event */
    bool closed;
    bool refuse_open; /* pulsar_producer_open returned NULL */

    char value[64];
    char key[64];
    char scratch[256];
};

struct stage {
    struct stage *next; /* that lives */
    struct fake_broker *broker;
    bool borrowed; /* the double is another stage's */
    struct lane *lane;
    struct pulsar_client *client;
    struct pulsar_client_options client_options; /* set before the first sender_open */
    char url[128];
    struct sender *senders[STAGE_SENDERS];
    size_t sender_count;
    pthread_mutex_t lock;
    pthread_cond_t changed;
    bool in_call; /* of producer.h: no event may come */
    char wrong[256];
    bool client_closed;
};

/* A double with one broker, strict, and a lane. */
struct stage *stage_new(void);
/* Another lane and client, at the same double. It goes first. */
struct stage *stage_beside(struct stage *stage);
/* Closes what is open; fails when anything was wrong, or when the double saw a violation. */
void stage_free(struct stage *stage);

void stage_script(struct stage *stage, const char *format, ...)
    __attribute__((format(printf, 2, 3)));
struct fake_broker_counts stage_counts(struct stage *stage);
/* Waits until the double has counted so many of a member of its counts. */
#define STAGE_WAIT_COUNT(stage, member, at_least)                                                  \
    stage_wait_count((stage), offsetof(struct fake_broker_counts, member), (at_least), #member)
void stage_wait_count(struct stage *stage, size_t member, uint64_t at_least, const char *name);
/* Runs fn on the lane and waits for its end. */
void stage_run(struct stage *stage, lane_fn *fn, void *ctx);

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

/* Waits until the condition holds; fails after STAGE_PATIENCE_S. */
#define STAGE_WAIT(stage_, condition)                                                              \
    do {                                                                                           \
        struct timespec until = stage_deadline();                                                  \
        int waited = 0;                                                                            \
        (void)pthread_mutex_lock(&(stage_)->lock);                                                 \
        while (!(condition) && waited == 0) {                                                      \
            waited = pthread_cond_timedwait(&(stage_)->changed, &(stage_)->lock, &until);          \
        }                                                                                          \
        bool holds = (condition);                                                                  \
        (void)pthread_mutex_unlock(&(stage_)->lock);                                               \
        if (!holds) {                                                                              \
            stage_fail((stage_), "%s:%d: in vain: %s", __FILE__, __LINE__, #condition);            \
        }                                                                                          \
    } while (0)

/* That it holds now. What events write is not read without the lock, nor a test left with it. */
#define STAGE_CHECK(stage_, condition)                                                             \
    do {                                                                                           \
        (void)pthread_mutex_lock(&(stage_)->lock);                                                 \
        bool holds = (condition);                                                                  \
        (void)pthread_mutex_unlock(&(stage_)->lock);                                               \
        if (!holds) {                                                                              \
            stage_fail((stage_), "%s:%d: not so: %s", __FILE__, __LINE__, #condition);             \
        }                                                                                          \
    } while (0)

struct timespec stage_deadline(void);
void stage_fail(struct stage *stage, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* For cmocka: of a group, and of each test, so that one that fails does not hold up the next. */
int stage_setup(void **state);
int stage_teardown(void **state);
int stage_sweep(void **state);
#define STAGE_TEST(name) cmocka_unit_test_teardown(name, stage_sweep)

#endif
