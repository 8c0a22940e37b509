/*
 * fake_broker: a scripted double of Pulsar brokers, as a producer meets them: connect, lookup,
 * producers, messages with receipts, and all that can go wrong. One thread; several ports are
 * several brokers of one cluster. Every SEND is checked, and what breaks the protocol is noted as a
 * violation, which tests look for.
 *
 * The scenario's commands are described in README.md.
 */
#ifndef FAKES_FAKE_BROKER_H
#define FAKES_FAKE_BROKER_H

#include "fakes/fake_broker_store.h"
#include "fakes/fake_server.h"

struct fake_broker;

enum { FAKE_BROKER_MAX = 8 };

struct fake_broker_options {
    uint16_t port;         /* of the first broker; 0: a free one */
    uint16_t control_port; /* 0: a free one */
    const char *scenario;  /* path of a file; NULL: none */
};

/* NULL and err on failure. */
struct fake_broker *fake_broker_new(const struct fake_broker_options *options, struct err *err);
/* NULL is fine. */
void fake_broker_free(struct fake_broker *broker);

/* Of one of the brokers, numbered from 0; 0 when there is none of that number. */
uint16_t fake_broker_port(const struct fake_broker *broker, size_t number);
/* The same with TLS; 0 without. */
uint16_t fake_broker_tls_port(const struct fake_broker *broker, size_t number);
uint16_t fake_broker_control_port(const struct fake_broker *broker);

struct fake_broker_counts {
    uint64_t connections; /* open now */
    uint64_t connects;
    uint64_t partitioned_metadata;
    uint64_t lookups;
    uint64_t authoritative_lookups; /* of these */
    uint64_t producers;             /* created */
    uint64_t live_producers;
    uint64_t closed_producers; /* by the client */
    uint64_t sends;
    uint64_t messages; /* stored, or only counted */
    uint64_t bytes;    /* of SEND frames */
    uint64_t duplicates;
    uint64_t send_errors;
    uint64_t pings;
    uint64_t pongs;
    uint64_t auth_responses;
    uint64_t violations;
};

/* How a client introduced itself. */
struct fake_broker_connect {
    char method[32]; /* auth_method_name */
    char data[4096]; /* auth_data; what is longer is cut off */
    char proxy_to[256];
    char client_version[128];
    int32_t protocol_version;
    bool tls;
    char server_name[256]; /* that it asked for by TLS */
    char certificate[256]; /* the common name of the one it showed */
};

/* These may be called from any thread. */
bool fake_broker_script(struct fake_broker *broker, const char *lines, struct err *err);
void fake_broker_counts(struct fake_broker *broker, struct fake_broker_counts *ret_counts);
/* The last CONNECT; all empty before the first. */
void fake_broker_last_connect(struct fake_broker *broker, struct fake_broker_connect *ret_connect);
/* What broke the protocol first; "" when nothing did. */
void fake_broker_violation(struct fake_broker *broker, char *to, size_t capacity);
/* Waits until so many messages are stored or counted; false after timeout_ms. */
bool fake_broker_wait_messages(struct fake_broker *broker, uint64_t messages, uint64_t timeout_ms);
/* The messages: only between lock and unlock. */
const struct fake_broker_store *fake_broker_lock(struct fake_broker *broker);
void fake_broker_unlock(struct fake_broker *broker);

#endif
