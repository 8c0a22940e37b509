/*
 * lookup: asks the service one question about a topic: which broker serves it, or how many
 * partitions it has. Follows redirects. One try: repeating it is the caller's.
 */
#ifndef PULSAR_LOOKUP_H
#define PULSAR_LOOKUP_H

#include "pulsar/client.h"

enum lookup_kind {
    LOOKUP_BROKER,
    LOOKUP_PARTITIONS,           /* may create the topic, if the broker does so */
    LOOKUP_PARTITIONS_UNCREATED, /* does not, if the broker can be told */
};

/* A broker that has moved a topic this often is lost itself. */
enum { LOOKUP_MAX_REDIRECTS = 20 };

struct lookup_result {
    struct address logical;  /* the broker */
    struct address physical; /* where to connect for it: the same, or a proxy */
    uint32_t partitions;     /* 0: a plain topic */
};

/* Embedded in its owner; all-zero before the first use. */
struct lookup {
    struct connection_user user;
    struct connection_request request;
    struct lane_timer deadline;
    struct pulsar_client *client;
    enum lookup_kind kind;
    const char *topic;
    bool running;
    bool authoritative;
    unsigned redirects;
    struct address service;  /* where it began */
    struct lookup_result at; /* whom it asks now */
    void (*done)(struct lookup *lookup, const struct err *err, const struct lookup_result *result);
};

/* topic lives until the end of the lookup. service: NULL for the client's. done comes later, once,
 * within operation_timeout_ms; the lookup may be started again in it. */
void lookup_start(struct lookup *lookup, struct pulsar_client *client, enum lookup_kind kind,
                  const char *topic, const struct address *service,
                  void (*done)(struct lookup *lookup, const struct err *err,
                               const struct lookup_result *result));
/* done will not come. Not running is fine. */
void lookup_cancel(struct lookup *lookup);

#endif
