/*
 * fake_broker_state: what fake_broker.c and its scenario commands (fake_broker_script.c) share.
 * Nobody else includes it. Everything is guarded by the server's lock.
 */
#ifndef FAKES_FAKE_BROKER_STATE_H
#define FAKES_FAKE_BROKER_STATE_H

#include "fakes/fake_broker.h"
#include "fakes/fake_fault.h"
#include "fakes/fake_http.h"

/* Kinds of struct fake_fault. */
enum fake_broker_fault {
    FAKE_BROKER_FAULT_FAIL,        /* number: ServerError; text: message */
    FAKE_BROKER_FAULT_SILENT,      /* no answer */
    FAKE_BROKER_FAULT_DELAY,       /* number: ms until the answer */
    FAKE_BROKER_FAULT_DROP_BEFORE, /* the connection resets, nothing was done */
    FAKE_BROKER_FAULT_DROP_AFTER,  /* it was done, then the connection resets */
    FAKE_BROKER_FAULT_CUT,         /* number: bytes of the answer, then the connection closes */
    FAKE_BROKER_FAULT_REDIRECT,    /* only LOOKUP; number: broker to go to */
};

struct fake_broker_producer {
    struct fake_broker_producer *next;
    uint64_t id;
    uint64_t epoch;
    char *topic;
    char *name;
    bool fenced; /* a write failed: the broker takes nothing more until it is made anew */
};

/* A frame to the client whose time has not come. */
struct fake_broker_later {
    struct fake_broker_later *next;
    uint64_t due_ms;
    size_t len;
    char frame[];
};

struct fake_broker_conn {
    struct fake_broker *broker;
    struct fake_conn *conn;
    struct fake_broker_conn *next;
    struct fake_broker_conn *previous;
    size_t number; /* of the broker that it talks to */
    bool connected;
    struct fake_broker_producer *producers;
    struct fake_broker_later *later; /* by due time */
    uint64_t receipt_due_ms;         /* of the last receipt: none may overtake another */
};

/* What the scenario says about a topic; by its name with "-partition-N" for `owner`, without for
 * `partitions`. */
struct fake_broker_topic {
    char name[512];
    bool has_partitions;
    uint32_t partitions;
    size_t owner;
};

enum { FAKE_BROKER_TOPICS = 256 };

struct fake_broker {
    struct fake_server *server;
    uint16_t ports[FAKE_BROKER_MAX];
    size_t port_count;
    uint16_t control_port;
    struct fake_control_listener control;

    struct fake_broker_store store;
    struct fake_faults faults;
    struct fake_broker_conn *conns;
    struct fake_broker_counts counts;
    char violation[512]; /* the first */
    uint64_t names_given;
    uint64_t next_entry;
    uint64_t next_request;

    struct fake_broker_topic topics[FAKE_BROKER_TOPICS];
    size_t topic_count;
    uint32_t default_partitions;
    int32_t max_message_size;
    uint64_t receipt_delay_ms;
    bool dedup;
    bool count_only;
    size_t drip;
    uint64_t pause_until_ms;
    char token[1024]; /* empty: everybody may connect */
};

bool fake_broker_script_run(struct fake_broker *broker, struct str lines, int64_t now_ms,
                            struct err *err);
bool fake_broker_script_file(struct fake_broker *broker, const char *path, struct err *err);

/* The topic's entry, made if need be. NULL and err when there are too many. */
struct fake_broker_topic *fake_broker_topic(struct fake_broker *broker, struct str name,
                                            struct err *err);
/* What serves the connections of all brokers; its ctx is the struct fake_broker. */
extern const struct fake_handler fake_broker_handler;

/* One more broker of the cluster; port 0: on a free one. */
bool fake_broker_add_port(struct fake_broker *broker, uint16_t port, struct err *err);
/* "pulsar://127.0.0.1:PORT" */
void fake_broker_url(const struct fake_broker *broker, size_t number, char to[64]);
/* What the scenario says about the topic, or NULL. */
struct fake_broker_topic *fake_broker_find_topic(struct fake_broker *broker, struct str name);
/* Sends a command that no request asked for. */
void fake_broker_send(struct fake_broker_conn *conn, const Pulsar__BaseCommand *command);
/* Takes the producer from its connection without a word. */
void fake_broker_drop_producer(struct fake_broker_conn *conn,
                               struct fake_broker_producer *producer);

#endif
