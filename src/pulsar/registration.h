/*
 * registration: a producer's entry at its broker: what the PRODUCER command asks for, and what
 * PRODUCER_SUCCESS grants. Pure.
 */
#ifndef PULSAR_REGISTRATION_H
#define PULSAR_REGISTRATION_H

#include "base/err.h"
#include "pulsar/producer.h"
#include "pulsar/schema_command.h"

/* The same for all partitions of a producer; outlives their registrations. */
struct registration_options {
    char *name; /* given by the user, or NULL; owned */
    enum pulsar_access_mode access_mode;
    struct schema_command schema;
    struct key_values properties; /* shown by the broker */
};

/* All-zero before the first attempt. */
struct registration {
    uint64_t epoch; /* of the next attempt */
    char *name;     /* from the first success on; owned */
    char schema_version[SCHEMA_VERSION_MAX];
    size_t schema_version_len;
    bool has_topic_epoch; /* of exclusive access */
    uint64_t topic_epoch;
};

/* False and err (CONFIG, NOMEM); registration_options_done in any case. */
bool registration_options_init(struct registration_options *registration,
                               const struct pulsar_producer_options *options, struct err *err);
void registration_options_done(struct registration_options *options);

/* Fills all but topic and ids. Borrowed from both; counts an attempt. */
void registration_ask(struct registration *registration, struct registration_options *options,
                      Pulsar__CommandProducer *producer);
/* Whether the answer makes sense. */
bool registration_is_valid(const Pulsar__CommandProducerSuccess *success);
/* Empty: none. Borrowed. */
struct str registration_version_in(const Pulsar__CommandProducerSuccess *success);
/* A valid answer; the name stays that of the first. False and err (NOMEM). */
bool registration_take(struct registration *registration,
                       const Pulsar__CommandProducerSuccess *success, struct err *err);
static inline struct str registration_version(const struct registration *registration) {
    return str_make(registration->schema_version, registration->schema_version_len);
}
/* As if it had never been registered. */
void registration_reset(struct registration *registration);

#endif
