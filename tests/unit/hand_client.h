/*
 * hand_client: a client of the broker double that makes its frames by hand, also wrong ones. One
 * double at a time; whatever fails, fails the test.
 */
#ifndef TESTS_HAND_CLIENT_H
#define TESTS_HAND_CLIENT_H

#include "fakes/fake_broker.h"
#include "fakes/fake_frame.h"

#define TOPIC "persistent://public/default/t"

enum { HAND_INPUT_MAX = 1 << 20, HAND_PATIENCE_MS = 10000 };

extern struct fake_broker *hand_broker;
/* What came in and was not understood yet. */
extern char hand_input[HAND_INPUT_MAX];
extern size_t hand_input_len;
/* The last command received. */
extern Pulsar__BaseCommand *hand_got;

/* A new double, for cmocka. */
int hand_setup(void **state);
int hand_teardown(void **state);

void hand_script(const char *lines);
struct fake_broker_counts hand_counts(void);
/* "": there is none. */
void hand_assert_violation(const char *wanted);

int hand_dial(uint16_t port);
/* token NULL: none. */
void hand_send_connect(int fd, const char *token);
/* Dials the broker of that number and is let in. */
int hand_dial_connected(size_t number);

void hand_send_bytes(int fd, const void *bytes, size_t len);
/* "00000009 0812 ..." */
void hand_send_hex(int fd, const char *hex);
void hand_send_command(int fd, const Pulsar__BaseCommand *command);
/* False when the connection has ended. */
bool hand_read_more(int fd);
/* The next command, hand_got; NULL when the connection has ended. */
const Pulsar__BaseCommand *hand_receive(int fd);

/* Request id 100 + id. */
void hand_send_producer(int fd, const char *topic, uint64_t id, const char *name, uint64_t epoch);
/* The same with whatever else is in *producer. */
void hand_request_producer(int fd, const char *topic, uint64_t id, const char *name,
                           Pulsar__CommandProducer *producer);
/* And is told of its success. */
void hand_open_producer(int fd, const char *topic, uint64_t id, const char *name);
void hand_send_lookup(int fd, const char *topic);

/* An entry as a client makes it: `wrong` names what is not right about it. */
struct hand_entry {
    uint64_t producer_id;
    const char *name;
    uint64_t sequence_id;
    uint64_t highest; /* 0: one message, not in batch format */
    const char *wrong;
    const Pulsar__MessageMetadata
        *metadata;           /* what else there is; NULL: nothing. A uuid: a chunk */
    const char *value;       /* not in batch format; NULL: bytes that are no text */
    const char *const *keys; /* of a batch's messages; NULL: "key" */
    const uint64_t *ids;     /* of a batch's messages; NULL: all from sequence_id to highest */
    size_t id_count;
};

void hand_send_entry(int fd, const struct hand_entry *entry);
/* One message of producer 1, "p". */
void hand_send_one(int fd, uint64_t sequence_id);
void hand_assert_receipt(int fd, uint64_t sequence_id);

#endif
