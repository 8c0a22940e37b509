/*
 * fake_broker_state: what the files of fake_broker share: fake_broker.c, its connections
 * (fake_broker_conn.c), producers (fake_broker_producer.c), messages (fake_broker_send.c) and
 * scenario commands (fake_broker_script.c). Nobody else includes it. Everything is guarded by the server's lock.
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
    /* Only SEND: */
    FAKE_BROKER_FAULT_RECEIPT_STALE,     /* the receipt comes twice */
    FAKE_BROKER_FAULT_RECEIPT_FUTURE,    /* it is for an id that was not sent yet */
    FAKE_BROKER_FAULT_RECEIPT_LAST,      /* it has the id of the entry's last message */
    FAKE_BROKER_FAULT_RECEIPT_DUPLICATE, /* it says -1:-1 of what was stored */
};

/* What became of a producer. */
enum fake_broker_standing {
    FAKE_BROKER_LIVES,
    FAKE_BROKER_WAITS,  /* for its turn to be the only one */
    FAKE_BROKER_FENCED, /* a write failed: nothing more is taken until it is made anew */
    FAKE_BROKER_EVICTED /* thrown out, and does not know it */
};

struct fake_broker_producer {
    struct fake_broker_producer *next;
    uint64_t id;
    uint64_t epoch;
    char *topic;
    char *name;
    enum fake_broker_standing standing;
    bool exclusive;
    uint64_t request_id;      /* of its PRODUCER */
    uint64_t since;           /* waiters' turns are in this order */
    int64_t topic_epoch;      /* -1: none */
    int64_t schema_version;   /* -1: none */
    int64_t last_sequence_id; /* sent; -1: nothing yet */
    char *uuid;               /* of a message whose last chunk has not come; NULL: none */
};

/* A frame to the client whose time has not come. */
struct fake_broker_later {
    struct fake_broker_later *next;
    uint64_t due_ms;
    size_t len;
    char frame[];
};

/* An entry on its way to the disks. Its connection may be gone when it arrives. */
struct fake_broker_write {
    struct fake_broker_write *next;
    uint64_t due_ms;
    int64_t sequence_id; /* its highest */
    char *topic;
    char *name;
};

struct fake_broker_conn {
    struct fake_broker *broker;
    struct fake_conn *conn;
    struct fake_broker_conn *next;
    struct fake_broker_conn *previous;
    size_t number; /* of the broker that it talks to */
    bool at_proxy; /* it talks to the proxy itself */
    bool connected;
    struct fake_broker_producer *producers;
    struct fake_broker_later *later; /* by due time */
    uint64_t receipt_due_ms;         /* of the last receipt: none may overtake another */
};

/* What the scenario says about a topic, and its epoch. `partitions` are those of a name without
 * "-partition-N"; `owner` and `epoch` belong to a name as it stands; the rest to either. */
struct fake_broker_topic {
    char name[512];
    bool has_partitions;
    uint32_t partitions;
    size_t owner;
    int64_t epoch; /* -1: none */
    bool terminated;
    bool deleted;
    Pulsar__ServerError quota; /* PRODUCER gets it; 0: none */
};

enum { FAKE_BROKER_TOPICS = 256 };

struct fake_broker {
    struct fake_server *server;
    uint16_t ports[FAKE_BROKER_MAX];
    uint16_t tls_ports[FAKE_BROKER_MAX]; /* 0: none */
    size_t port_count;
    char tls_host[256]; /* in the URLs that are told; empty: there is no TLS */
    bool proxy;         /* brokers cannot be reached but through each other */
    uint16_t control_port;
    struct fake_control_listener control;

    struct fake_broker_store store;
    struct fake_faults faults;
    struct fake_broker_conn *conns;
    struct fake_broker_conn nobody; /* without a connection: the producers of others */
    struct fake_broker_counts counts;
    struct fake_broker_connect last_connect;
    struct fake_broker_write *writes;
    char violation[512]; /* the first */
    uint64_t names_given;
    uint64_t next_entry;
    uint64_t next_request;
    uint64_t next_turn;

    struct fake_broker_topic topics[FAKE_BROKER_TOPICS];
    size_t topic_count;
    uint32_t default_partitions;
    int32_t max_message_size;
    uint64_t receipt_delay_ms;
    uint64_t persist_delay_ms;
    bool dedup;
    bool count_only;
    bool key_based; /* messages of different keys in a batch are a violation */
    bool strict;    /* so is an order or a second sending that no good client makes */
    size_t drip;
    uint64_t pause_until_ms;
    char auth_method[16]; /* empty: everybody may connect */
    char auth_data[1024];
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
/* All brokers have a port with TLS, and show this certificate from now on. */
bool fake_broker_tls(struct fake_broker *broker, const char *certificate, const char *key,
                     const char *ca, struct err *err);
/* "pulsar://127.0.0.1:PORT"; hidden: what a client behind a proxy is told. */
void fake_broker_url(const struct fake_broker *broker, size_t number, bool hidden, char to[64]);
/* "pulsar+ssl://HOST:PORT"; "" without TLS. */
void fake_broker_url_tls(const struct fake_broker *broker, size_t number, bool hidden,
                         char to[320]);
/* What the scenario says about the topic, or NULL. */
struct fake_broker_topic *fake_broker_find_topic(struct fake_broker *broker, struct str name);
/* The same of one with "-partition-N", or else of the topic as a whole. */
struct fake_broker_topic *fake_broker_find_any(struct fake_broker *broker, struct str name);
size_t fake_broker_owner(struct fake_broker *broker, struct str topic);

/* ---- fake_broker_conn.c */

/* What serves the connections of all brokers; its ctx is the struct fake_broker. */
extern const struct fake_handler fake_broker_handler;
/* Notes what a client did wrong, and cuts it off, as a broker does. */
void fake_broker_wrong(struct fake_broker_conn *conn, const char *what);
/* Sends a command that no request asked for. */
void fake_broker_send(struct fake_broker_conn *conn, const Pulsar__BaseCommand *command);
/* Answers a request in delay_ms, as far as the scenario lets it. */
void fake_broker_answer(struct fake_broker_conn *conn, const char *op, struct str topic,
                        const Pulsar__BaseCommand *command, uint64_t delay_ms);
void fake_broker_answer_error(struct fake_broker_conn *conn, uint64_t request_id,
                              Pulsar__ServerError error, const char *message);
/* The scripted failure of a request, or NULL. */
const struct fake_fault *fake_broker_failure(struct fake_broker_conn *conn, const char *op,
                                             struct str topic);
/* Whether the scenario resets the connection before the request is carried out. */
bool fake_broker_dropped(struct fake_broker_conn *conn, const char *op, struct str topic);

/* ---- fake_broker_producer.c */

struct fake_broker_producer *fake_broker_find_producer(const struct fake_broker_conn *conn,
                                                       uint64_t id);
void fake_broker_on_producer(struct fake_broker_conn *conn, const Pulsar__CommandProducer *request);
void fake_broker_on_close_producer(struct fake_broker_conn *conn,
                                   const Pulsar__CommandCloseProducer *request);
/* Takes the producer from its connection without a word. The next one that waits may have its
 * turn. */
void fake_broker_drop_producer(struct fake_broker_conn *conn,
                               struct fake_broker_producer *producer);
/* Somebody else's producer comes, without being asked, or goes. False when out of memory. */
bool fake_broker_stranger(struct fake_broker *broker, struct str topic, struct str name,
                          bool comes);

/* ---- fake_broker_send.c */

void fake_broker_on_send(struct fake_broker_conn *conn, const Pulsar__CommandSend *send,
                         const struct fake_frame *frame);
void fake_broker_drop_writes(struct fake_broker *broker);

#endif
