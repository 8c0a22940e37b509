/*
 * stage: a lane, a client and a broker double, for tests of what producer.h promises; the producers
 * on it are `sender`s. Functions are for the test's thread, unless the lane is named. Whatever goes
 * wrong on the lane is noted and fails the test in stage_free.
 */
#ifndef TESTS_STAGE_H
#define TESTS_STAGE_H

#include "fakes/fake_broker.h"
#include "pulsar/producer.h"

#include <pthread.h>

enum { STAGE_SENDERS = 4, STAGE_PATIENCE_S = 30, STAGE_FILLER = 8 * 1024 * 1024 };

#define STAGE_TOPIC "persistent://public/default/t"

struct sender;

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

/* Anything to send: it does not compress. */
extern char stage_filler[STAGE_FILLER];
/* On the lane: notes the first thing that goes wrong. */
void stage_wrong(struct stage *stage, const char *format, ...)
    __attribute__((format(printf, 2, 3)));
/* Like stage_run and STAGE_WAIT, but false in vain. */
bool stage_try_run(struct stage *stage, lane_fn *fn, void *ctx);
bool stage_wait_flag(struct stage *stage, const bool *flag);

struct timespec stage_deadline(void);
void stage_fail(struct stage *stage, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* For cmocka: of a group, and of each test, so that one that fails does not hold up the next. */
int stage_setup(void **state);
int stage_teardown(void **state);
int stage_sweep(void **state);
#define STAGE_TEST(name) cmocka_unit_test_teardown(name, stage_sweep)

#endif
