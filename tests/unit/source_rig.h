/*
 * source_rig: a whole source on real lanes between the AWS double and a sink that the test holds in its hand: what was
 * put, in which order, and when it is acknowledged.
 */
#ifndef TESTS_SOURCE_RIG_H
#define TESTS_SOURCE_RIG_H

#include "fakes/fake_aws_server.h"
#include "source/source.h"

#define RIG_ARN                                                                                    \
    "arn:aws:dynamodb:us-east-1:123456789012:table/orders/stream/2026-01-01T00:00:00.000"
#define RIG_TABLE "leases"

enum { RIG_LANES = 4 };

/* One message as the sink got it. */
struct rig_message {
    char shard[80];
    char key[64];
    char sequence_number[48];
    uint32_t lane;
    uint64_t token;
    bool acked;              /* or refused */
    bool unloved;            /* to be refused */
    uint64_t unacked_before; /* messages not acknowledged when it came */
};

struct source_rig {
    struct fake_aws_server *aws;
    struct source_options options; /* a test may change them before rig_run or rig_start */

    /* The sink's behaviour; change before the start, or with the lock held. */
    bool hold;                /* acknowledge nothing by itself */
    bool backwards;           /* acknowledge what waits in the wrong order */
    uint32_t room;            /* messages taken until SINK_FULL; 0: no bound */
    const char *refuse;       /* a key whose message is refused */
    const char *refuse_later; /* a key whose message is taken, and then refused */
    const char *call_off;     /* a key whose message is called off, the first time */

    struct rig_private *private;
};

/* A stream RIG_ARN with hash key "id" is there, without shards. */
struct source_rig *rig_new(void);
void rig_free(struct source_rig *rig);

/* Scenario lines of the AWS double; a wrong one fails the test. */
void rig_script(struct source_rig *rig, const char *lines);

void rig_start(struct source_rig *rig);
/* Asks for a clean stop and waits. The error it ended with, or ERR_NONE. */
struct err rig_stop(struct source_rig *rig);
/* Waits for an end of its own. */
struct err rig_wait_end(struct source_rig *rig);
/* Start with until_caught_up, wait for the end. */
struct err rig_run(struct source_rig *rig);

/* Waits until so many messages have been put; fails the test after a deadline. */
void rig_wait_messages(struct source_rig *rig, size_t count);
size_t rig_message_count(struct source_rig *rig);
/* A copy of message number i in the order of arrival. */
struct rig_message rig_message(struct source_rig *rig, size_t i);
/* Forgets the messages (a restart). */
void rig_forget(struct source_rig *rig);
/* With hold: acknowledges message i. */
void rig_ack(struct source_rig *rig, size_t i);
/* With hold: acknowledges all that wait, and from now on everything. */
void rig_ack_all(struct source_rig *rig);
/* From now on nothing is acknowledged by itself. */
void rig_hold(struct source_rig *rig);
void rig_stats(struct source_rig *rig, struct source_stats *ret_stats);
uint64_t rig_calls(struct source_rig *rig, enum fake_aws_op op);
/* With options.measure_ms: all that lanes have handed on so far, merged: of the lanes, and of one shard. */
struct measure rig_lane_measure(struct source_rig *rig, enum measure_of_lane which);
struct measure rig_shard_measure(struct source_rig *rig, const char *shard,
                                 enum measure_of_shard which);
/* Waits until an op was called so many times more than now. */
void rig_wait_calls(struct source_rig *rig, enum fake_aws_op op, uint64_t more);

/* Reads until so many messages are there, then stops. */
void rig_read_and_stop(struct source_rig *rig, size_t count);

void rig_assert_well(struct err err);
void rig_assert_error(struct err err, enum err_code code, const char *part);
/* Message i has this sequence number. */
void rig_assert_number(struct source_rig *rig, size_t i, unsigned long long number);
/* These are all: of one shard, filled after `sequence first`. */
void rig_assert_once_in_order(struct source_rig *rig, unsigned long long first, size_t count);

/* A lease as it is in the table. Fails the test when it is not there. */
struct lease;
struct lease rig_lease(struct source_rig *rig, const char *shard);
bool rig_has_lease(struct source_rig *rig, const char *shard);
/* Its checkpoint's text. Static storage. */
const char *rig_checkpoint(struct source_rig *rig, const char *shard);
/* Waits until a lease's checkpoint is this text; fails the test after a deadline. */
void rig_wait_checkpoint(struct source_rig *rig, const char *shard, const char *checkpoint);

#endif
