/*
 * A native Apache Pulsar producer. Public header; nothing here knows of AWS.
 *
 * A client belongs to one lane (event loop) and owns the connections and lookups of that lane; a
 * producer sends to one topic, plain or partitioned. All functions are for the lane's thread; all
 * events come on it, never inside a call. No locks, no threads of its own, nothing allocated per
 * message.
 *
 * Promises: the messages of one partition are stored in the order of pulsar_producer_send; after a
 * reconnect the unacknowledged frames are sent again, byte for byte, in order, before anything new;
 * every message taken is reported exactly once, by `receipt` or by `undelivered`, and those of one
 * partition in the order in which they were taken.
 */
#ifndef PULSAR_PRODUCER_H
#define PULSAR_PRODUCER_H

#include "base/err.h"
#include "base/lane.h"
#include "base/str.h"
#include "pulsar/schema.h"

struct pulsar_client;
struct pulsar_producer;

/* ---- Client: how to reach the service. */

struct pulsar_client_options {
    struct str service_url; /* "pulsar://host[:port][,host[:port]...]", port 6650 by default;
                               "pulsar+ssl://..." with TLS, port 6651 */
    struct str auth_plugin; /* see auth_params.h; all forms of Java's client */
    struct str auth_params;
    struct str listener_name;  /* advertised listener; may be empty */
    struct str client_version; /* as shown by the broker, e.g. "ddb2pulsar-0.1.0" */
    /* With pulsar+ssl:// only. Files are PEM and read anew at every connect. */
    struct str tls_trust_certs_file; /* empty: the system's store */
    struct str
        tls_certificate_file; /* of ours, for mTLS, with its key: both or none. authPlugin tls
                                        may name them instead */
    struct str tls_key_file;
    bool tls_allow_insecure;             /* any certificate will do */
    bool tls_skip_hostname_verification; /* any host's certificate will do, if it is trusted */
    uint32_t connect_timeout_ms;         /* TCP to CONNECTED; 0 means 10,000 */
    uint32_t operation_timeout_ms;       /* lookup, producer creation; 0 means 30,000 */
    uint32_t keep_alive_ms;      /* silence until a PING, and again until the end; 0 means 30,000 */
    uint32_t backoff_initial_ms; /* 0 means 100 */
    uint32_t backoff_max_ms;     /* 0 means 5,000 */
    uint64_t memory_budget;      /* bytes of open and unacknowledged batches over all producers; one
                                    message of each may exceed it. 0: no limit but the producers' */
};

/* Copies the options; opens no connection yet. NULL and err
 * (ERR_CONFIG for a bad URL, auth or TLS file) on failure. */
struct pulsar_client *pulsar_client_new(struct lane *lane,
                                        const struct pulsar_client_options *options,
                                        struct err *err);
/* After all its producers were closed. Closes the connections; done comes on the lane when all are
 * gone. The lane must run until then. */
void pulsar_client_close(struct pulsar_client *client, lane_fn *done, void *ctx);

/* Memory of open and unacknowledged batches over all its producers, which memory_budget bounds. */
uint64_t pulsar_client_held_bytes(const struct pulsar_client *client);

/* Asks the service for a topic's partition count, without a producer: 0 for a plain topic. */
typedef void pulsar_partitions_got(void *ctx, const struct err *err, uint32_t partitions);
/* One answer or error within operation_timeout_ms; not repeated. Does not create the topic, if the
 * broker is new enough to be told so (Pulsar 3.3). */
void pulsar_client_get_partitions(struct pulsar_client *client, struct str topic,
                                  pulsar_partitions_got *done, void *ctx);

/* ---- Producer. */

enum pulsar_compression {
    PULSAR_COMPRESSION_NONE,
    PULSAR_COMPRESSION_LZ4,
    PULSAR_COMPRESSION_ZLIB,
    PULSAR_COMPRESSION_ZSTD,
    PULSAR_COMPRESSION_SNAPPY,
};

enum pulsar_hashing { PULSAR_HASHING_MURMUR3, PULSAR_HASHING_JAVA_STRING };

enum pulsar_batching {
    PULSAR_BATCHING_DEFAULT,   /* messages of all keys share a batch */
    PULSAR_BATCHING_KEY_BASED, /* a batch has one key (the ordering key, if there is one): for
                                  Key_Shared consumers */
    PULSAR_BATCHING_NONE,      /* each message is an entry of its own */
};

enum pulsar_access_mode {
    PULSAR_ACCESS_SHARED,
    PULSAR_ACCESS_EXCLUSIVE,              /* fails (FENCED) while there is another producer */
    PULSAR_ACCESS_WAIT_FOR_EXCLUSIVE,     /* `ready` comes when the others are gone */
    PULSAR_ACCESS_EXCLUSIVE_WITH_FENCING, /* the others are thrown out */
};

enum { PULSAR_PARTITIONS_MAX = 16384 }; /* that one producer uses; some 60 MB of memory */

/* All-zero but for the topic will do. */
struct pulsar_producer_options {
    struct str topic; /* full name, or short: "t" means persistent://public/default/t */
    struct str name;  /* producer name; empty: the broker gives one per partition */
    enum pulsar_compression compression;
    enum pulsar_hashing hashing; /* of the key, to a partition; without key: round robin by batch */
    enum pulsar_batching batching;
    enum pulsar_access_mode access_mode;
    struct pulsar_schema schema;
    const struct pulsar_property *properties; /* of the producer, shown by the broker */
    size_t property_count;

    uint32_t batch_max_messages; /* 0 means 1,000 */
    uint32_t batch_max_bytes;    /* before compression; 0 means 128 KiB */
    uint32_t batch_max_delay_ms; /* 0 means 10; a batch goes at once while at most one is in flight
                                    on its partition */

    uint32_t max_pending_messages; /* over all partitions; 0 means 65,536 */
    uint64_t max_pending_bytes;    /* memory of open and unacknowledged batches; 0 means 64 MiB */
    bool chunking; /* a message over the broker's limit is sent in pieces; else it is REFUSED */

    uint32_t send_timeout_ms;   /* when the oldest message of a partition is older, all of that
                                 partition are undelivered, in order; 0 means never: a message waits
                                 until it is acknowledged */
    uint32_t create_timeout_ms; /* until `ready`, else `failed` with the last error; 0 means never
                                   give up on errors that may pass */
    bool wait_for_name; /* ProducerBusy before the first `ready` passes: the name's former owner is
                           about to go */

    /* Messages go to so many, whatever the topic grows to; 0: all there are. PULSAR_PARTITIONS_MAX
     * at most in either case (ERR_CONFIG); a topic that grows beyond is used as it was. */
    uint32_t partitions;
    uint32_t partitions_update_ms; /* between looks for more; 0 means 60,000 */

    /* Deduplication over restarts, where the broker has it enabled: every message brings its
     * sequence_id, rising within a partition, and the same message has the same id and the same key
     * again after a restart. What the broker has stored under this name is not sent again, but
     * reported as a duplicate. Wants a name; goes with neither KEY_BASED nor send_timeout_ms
     * (ERR_CONFIG), and with growing topics only if `partitions` is set. */
    bool explicit_sequence_ids;
};

struct pulsar_receipt {
    const uint64_t *tokens; /* of messages that were sent together, in order */
    size_t count;
    uint32_t partition;
    uint64_t ledger_id;
    uint64_t entry_id;
    bool duplicate; /* the broker had them already (ids -1:-1) */
};

struct pulsar_undelivered {
    const uint64_t *tokens; /* in order */
    size_t count;
    uint32_t partition;
    const struct err *err;
    bool maybe_stored; /* they were sent, and nobody knows what became of them */
    bool refused;      /* the broker refused these for what they are; others are not concerned */
};

/* What they are given is borrowed for the call. Everything of producer.h may be called in them, except in
 * `may_send`. */
struct pulsar_producer_events {
    /* Every partition has its producer for the first time; sending may begin. */
    void (*ready)(void *ctx, uint32_t partitions);
    void (*receipt)(void *ctx, const struct pulsar_receipt *receipt);
    /* Given up, for the reason that it brings; others may follow them. */
    void (*undelivered)(void *ctx, const struct pulsar_undelivered *undelivered);
    /* After PULSAR_SEND_FULL: there is room again. */
    void (*writable)(void *ctx);
    /* For good, after all that was in flight has become undelivered. */
    void (*failed)(void *ctx, const struct err *err);
    /* A partition lost its broker (err set, and again when the reason becomes another one) or has
     * it again (err NULL). For logs. May be NULL. */
    void (*connection)(void *ctx, uint32_t partition, const struct err *err);
    /* The topic has grown, and keys go to other partitions from now on; all that was sent before is
     * stored. May be NULL. */
    void (*grown)(void *ctx, uint32_t partitions);
    /* A question, asked inside calls too, whenever messages are about to go to the broker together,
     * for the first time or again after a reconnect. False calls them off, all of them: they become
     * `undelivered` (ERR_CANCELLED), and what follows them goes on. For whoever may lose the right to
     * send while messages wait. May be NULL: always true. */
    bool (*may_send)(void *ctx, const uint64_t *tokens, size_t count);
};

/* Starts lookup and creation. Copies options and events. NULL
 * and err (ERR_CONFIG) on a bad topic name or options that contradict each other. */
struct pulsar_producer *pulsar_producer_open(struct pulsar_client *client,
                                             const struct pulsar_producer_options *options,
                                             const struct pulsar_producer_events *events, void *ctx,
                                             struct err *err);

/* Borrowed for the call. */
struct pulsar_message {
    struct str key;          /* ptr NULL: none. UTF-8, unless: */
    bool key_is_base64;      /* it is the base64 of a binary key */
    bool key_is_binary;      /* it is a binary key, to be encoded so */
    struct str ordering_key; /* ptr NULL: none */
    int64_t event_time_ms;   /* 0: none */
    int64_t deliver_at_ms;   /* 0: at once. A delayed message is an entry of its own */
    uint64_t sequence_id;    /* at most INT64_MAX; only with explicit_sequence_ids */
    const struct pulsar_property *properties;
    size_t property_count;
    const struct str *value; /* parts, joined */
    size_t value_parts;
    bool null_value; /* a tombstone */
    bool null_key;   /* of a PULSAR_KEY_SEPARATED message without a key */
};

enum pulsar_send {
    PULSAR_SEND_TAKEN,
    PULSAR_SEND_FULL,    /* nothing taken; `writable` follows, unless it failed or closes. Before
                            `ready` nothing is taken either */
    PULSAR_SEND_REFUSED, /* this message can never be sent: err */
};

/* Copies the message into the open batch of its partition. token comes back in the report. */
enum pulsar_send pulsar_producer_send(struct pulsar_producer *producer,
                                      const struct pulsar_message *message, uint64_t token,
                                      struct err *err);
/* Whether a message would find room now, if its partition has; false: `writable` follows, as after
 * PULSAR_SEND_FULL. */
bool pulsar_producer_can_send(struct pulsar_producer *producer);
/* Sends the open batches now. */
void pulsar_producer_flush(struct pulsar_producer *producer);

/* After `ready`: to how many partitions messages go. */
uint32_t pulsar_producer_partitions(const struct pulsar_producer *producer);
/* After `ready`: the name under which a partition's broker knows it. Borrowed from the producer. */
struct str pulsar_producer_name(const struct pulsar_producer *producer, uint32_t partition);
/* After `ready`: the last sequence id that the broker had stored under that name before this
 * producer's first message; -1: none that it knows of. */
int64_t pulsar_producer_last_sequence_id(const struct pulsar_producer *producer,
                                         uint32_t partition);

struct pulsar_producer_stats {
    uint64_t messages; /* taken */
    uint64_t bytes;    /* of their values */
    uint64_t frames;
    uint64_t acked;
    uint64_t duplicates; /* among them */
    uint64_t undelivered;
    uint64_t in_flight;       /* messages taken and not reported */
    uint64_t in_flight_bytes; /* memory of their batches */
    uint64_t resent_frames;
    uint64_t reconnects;
    uint32_t lost_partitions; /* without their broker now, and told so */
};
void pulsar_producer_stats(const struct pulsar_producer *producer,
                           struct pulsar_producer_stats *ret_stats);

/* Flushes, waits at most timeout_ms for the receipts (0: not at all), reports the rest as
 * undelivered (ERR_CANCELLED), closes the producers at the broker, frees, then calls done on the
 * lane. */
void pulsar_producer_close(struct pulsar_producer *producer, uint32_t timeout_ms, lane_fn *done,
                           void *ctx);

#endif
