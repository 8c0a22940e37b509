/*
 * pulsar_peer: a broker of a few lines for the producer's own tests: a listening socket and a
 * thread for each connection, which serves it with blocking calls by a script. It keeps every frame
 * it gets.
 */
#ifndef TESTS_PULSAR_PEER_H
#define TESTS_PULSAR_PEER_H

#include "pulsar_api.pb-c.h"

#include <openssl/types.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { PEER_EVENTS = 8192, PEER_NEVER = -1 };

/* Set between peer_new and peer_start; read-only after that. */
struct peer_script {
    SSL_CTX *tls; /* all connections are with TLS, and so are the URLs; NULL: none */
    uint32_t partitions;
    int max_message_size;
    uint16_t redirect_port; /* LOOKUP: redirect there (0: no) */
    uint16_t connect_port;  /* LOOKUP: the broker is there (0: here) */
    bool proxy; /* LOOKUP: the broker is the host "broker.invalid", to be had through here */
    int refuse_metadata;      /* so many times; PEER_NEVER: always */
    int refuse_metadata_with; /* a ServerError */
    int refuse_lookups;       /* so many times */
    int refuse_lookups_with;
    int refuse_producers; /* so many times */
    int refuse_producers_with;
    bool silent_producers;   /* PRODUCER gets no answer */
    int refuse_connect_with; /* a ServerError; 0: none */
    bool challenge;          /* AUTH_CHALLENGE instead of CONNECTED; AUTH_RESPONSE gets that */
    bool silent;             /* no SEND, CLOSE_PRODUCER or PING gets an answer */
    bool strange;            /* a command of an unknown type, and PING, in front of CONNECTED */
    bool duplicates;         /* receipts with -1:-1 */
    bool future_receipt; /* the first SEND of the first connection gets a receipt for a later id */
    /* On the first connection, after so many SENDs, which get no receipt (0: never): */
    int cut_after; /* read half of another frame, then close */
    int close_producer_after;
    uint16_t assigned_port; /* in that CLOSE_PRODUCER (0: none) */
    int migrate_after;      /* TOPIC_MIGRATED to assigned_port */
    int send_error_after;
    int send_error_with;
};

struct peer_event {
    int connection;               /* counted from 1 */
    Pulsar__BaseCommand *command; /* owned */
    char *frame;                  /* owned; of SEND: all its bytes */
    size_t len;
};

struct peer {
    struct peer_script script;
    uint16_t port;
    struct peer_event events[PEER_EVENTS];
    size_t event_count;
    struct peer_inner *inner;
};

/* All peers that are made from now on have this in their scripts. NULL: no TLS again. */
void peer_use_tls(SSL_CTX *tls);
/* Listens on a free port of 127.0.0.1. */
struct peer *peer_new(void);
void peer_start(struct peer *peer);
/* Ends its thread; after that the events may be read. */
void peer_stop(struct peer *peer);
void peer_free(struct peer *peer);

/* So many events of this type. After peer_stop. */
size_t peer_count(const struct peer *peer, Pulsar__BaseCommand__Type type);
/* The n-th of a connection (0: of any), from 0; NULL if there are fewer. After peer_stop. */
const struct peer_event *peer_find(const struct peer *peer, int connection,
                                   Pulsar__BaseCommand__Type type, size_t n);

#endif
