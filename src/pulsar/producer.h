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
 * every message taken is reported exactly once, by a receipt or by `failed`.
 */
#ifndef PULSAR_PRODUCER_H
#define PULSAR_PRODUCER_H

#include "base/err.h"
#include "base/lane.h"
#include "base/str.h"

struct pulsar_client;
struct pulsar_producer;

struct pulsar_client_options {
    struct str service_url;      /* "pulsar://host[:port][,host[:port]...]", port 6650 by default */
    struct str auth_plugin;      /* "" or "token", or Java's class name
                                    org.apache.pulsar.client.impl.auth.AuthenticationToken */
    struct str auth_params;      /* "token:<jwt>", "file:///path" (read at every connect, trimmed),
                                    "env:NAME", or the bare token */
    struct str listener_name;    /* advertised listener; may be empty */
    struct str client_version;   /* as shown by the broker, e.g. "ddb2pulsar-0.1.0" */
    uint32_t connect_timeout_ms; /* TCP to CONNECTED; 0 means 10,000 */
    uint32_t operation_timeout_ms; /* lookup, producer creation; 0 means 30,000 */
    uint32_t keep_alive_ms;      /* silence until a PING, and again until the end; 0 means 30,000 */
    uint32_t backoff_initial_ms; /* 0 means 100 */
    uint32_t backoff_max_ms;     /* 0 means 30,000 */
};

/* Copies the options; opens nothing yet. NULL and err
 * (ERR_CONFIG for a bad URL or auth) on failure. */
struct pulsar_client *pulsar_client_new(struct lane *lane,
                                        const struct pulsar_client_options *options,
                                        struct err *err);
/* After all its producers were closed. Closes the connections; done comes on the lane when all are
 * gone. The lane must run until then. */
void pulsar_client_close(struct pulsar_client *client, lane_fn *done, void *ctx);

enum pulsar_compression {
    PULSAR_COMPRESSION_NONE,
    PULSAR_COMPRESSION_LZ4,
    PULSAR_COMPRESSION_ZLIB,
    PULSAR_COMPRESSION_ZSTD,
    PULSAR_COMPRESSION_SNAPPY,
};

enum pulsar_hashing { PULSAR_HASHING_MURMUR3, PULSAR_HASHING_JAVA_STRING };

struct pulsar_producer_options {
    struct str topic; /* full name, or short: "t" means persistent://public/default/t */
    struct str name;  /* producer name; empty: the broker gives one per partition */
    enum pulsar_compression compression;
    enum pulsar_hashing hashing; /* of the key, to a partition; without key: round robin by batch */
    bool batching_disabled;
    uint32_t batch_max_messages;   /* 0 means 1,000 */
    uint32_t batch_max_bytes;      /* before compression; 0 means 128 KiB */
    uint32_t batch_max_delay_ms;   /* 0 means 10; a batch goes at once while nothing is in flight on
                                      its partition */
    uint32_t max_pending_messages; /* over all partitions; 0 means 65,536 */
    uint64_t max_pending_bytes;    /* memory of open and unacknowledged batches; 0 means 64 MiB */
    uint32_t send_timeout_ms;      /* 0 means never: a message waits until it is acknowledged */
    uint32_t create_timeout_ms; /* until `ready`, else `failed` with the last error; 0 means never
                                   give up on errors that may pass */
};

struct pulsar_receipt {
    const uint64_t *tokens; /* of the batch's messages, in order */
    size_t count;
    uint32_t partition;
    uint64_t ledger_id;
    uint64_t entry_id;
    bool duplicate; /* the broker had them already (ids -1:-1) */
};

struct pulsar_producer_events {
    /* Every partition has its producer for the first time; sending may begin. */
    void (*ready)(void *ctx, uint32_t partitions);
    void (*receipt)(void *ctx, const struct pulsar_receipt *receipt);
    /* After PULSAR_SEND_FULL: there is room again. */
    void (*writable)(void *ctx);
    /* For good; every unacknowledged message counts as unknown, no further receipt comes. */
    void (*failed)(void *ctx, const struct err *err);
    /* A partition lost its broker (err set) or has it again (err NULL). For logs. May be NULL. */
    void (*connection)(void *ctx, uint32_t partition, const struct err *err);
};

/* Starts lookup and creation. Copies options and events. NULL
 * and err (ERR_CONFIG) on a bad topic name. */
struct pulsar_producer *pulsar_producer_open(struct pulsar_client *client,
                                             const struct pulsar_producer_options *options,
                                             const struct pulsar_producer_events *events, void *ctx,
                                             struct err *err);

struct pulsar_property {
    struct str name;
    struct str value;
};

/* Borrowed for the call. */
struct pulsar_message {
    struct str key; /* ptr NULL: none */
    bool key_is_base64;
    struct str ordering_key; /* ptr NULL: none */
    int64_t event_time_ms;   /* 0: none */
    const struct pulsar_property *properties;
    size_t property_count;
    const struct str *value; /* parts, joined */
    size_t value_parts;
    bool null_value;
};

enum pulsar_send {
    PULSAR_SEND_TAKEN,
    PULSAR_SEND_FULL,    /* nothing taken; also before `ready` */
    PULSAR_SEND_REFUSED, /* this message can never be sent: err */
};

/* Copies the message into the open batch of its partition. token comes back in the receipt. */
enum pulsar_send pulsar_producer_send(struct pulsar_producer *producer,
                                      const struct pulsar_message *message, uint64_t token,
                                      struct err *err);
/* Sends the open batches now. */
void pulsar_producer_flush(struct pulsar_producer *producer);

struct pulsar_producer_stats {
    uint64_t messages; /* taken */
    uint64_t bytes;    /* of their values */
    uint64_t frames;
    uint64_t acked;
    uint64_t in_flight;       /* messages taken and not acknowledged */
    uint64_t in_flight_bytes; /* memory of their batches */
    uint64_t resent_frames;
    uint64_t reconnects;
};
void pulsar_producer_stats(const struct pulsar_producer *producer,
                           struct pulsar_producer_stats *ret_stats);

/* Flushes, waits at most timeout_ms for the receipts (0: not at all), closes the producers at the
 * broker, frees, then calls done on the lane. What is not acknowledged by then is reported by
 * nobody: the caller counts. */
void pulsar_producer_close(struct pulsar_producer *producer, uint32_t timeout_ms, lane_fn *done,
                           void *ctx);

/* Asks the service for a topic's partition count, without a producer: 0 for a plain topic. */
typedef void pulsar_partitions_got(void *ctx, const struct err *err, uint32_t partitions);
/* One answer or error within operation_timeout_ms; not repeated. Does not create the topic, if the
 * broker is new enough to be told so (Pulsar 3.3). */
void pulsar_client_get_partitions(struct pulsar_client *client, struct str topic,
                                  pulsar_partitions_got *done, void *ctx);

#endif
