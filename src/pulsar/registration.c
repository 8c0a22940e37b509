#include "pulsar/registration.h"

#include <stdlib.h>

bool registration_options_init(struct registration_options *registration,
                               const struct pulsar_producer_options *options, struct err *err) {
    *registration = (struct registration_options){.access_mode = options->access_mode};
    if (!schema_command_init(&registration->schema, &options->schema, err)) {
        return false;
    }
    if (options->name.len > 0) {
        registration->name = str_dup(options->name);
    }
    bool ok =
        (options->name.len == 0 || registration->name != NULL) &&
        key_values_add_all(&registration->properties, options->properties, options->property_count);
    return ok || err_set(err, ERR_NOMEM, "no memory for a producer");
}

void registration_options_done(struct registration_options *options) {
    schema_command_done(&options->schema);
    key_values_done(&options->properties);
    free(options->name);
    options->name = NULL;
}

void registration_ask(struct registration *registration, struct registration_options *options,
                      Pulsar__CommandProducer *producer) {
    producer->producer_name = registration->name != NULL ? registration->name : options->name;
    producer->has_epoch = 1;
    producer->epoch = registration->epoch++;
    /* Sent also when false, as brokers take true for granted: a generated name may be succeeded by
     * itself. */
    producer->has_user_provided_producer_name = 1;
    producer->user_provided_producer_name = options->name != NULL;
    producer->metadata = options->properties.items;
    producer->n_metadata = options->properties.count;
    producer->schema = schema_command_get(&options->schema);
    /* Our enum is in the order of the protocol's. */
    producer->has_producer_access_mode = options->access_mode != PULSAR_ACCESS_SHARED;
    producer->producer_access_mode = (Pulsar__ProducerAccessMode)options->access_mode;
    producer->has_topic_epoch = registration->has_topic_epoch;
    producer->topic_epoch = registration->topic_epoch;
}

struct str registration_version_in(const Pulsar__CommandProducerSuccess *success) {
    return success->has_schema_version
               ? str_make((const char *)success->schema_version.data, success->schema_version.len)
               : STR_NONE;
}

bool registration_is_valid(const Pulsar__CommandProducerSuccess *success) {
    /* No id could follow the largest. */
    return success->last_sequence_id >= -1 && success->last_sequence_id < INT64_MAX &&
           registration_version_in(success).len <= SCHEMA_VERSION_MAX;
}

bool registration_take(struct registration *registration,
                       const Pulsar__CommandProducerSuccess *success, struct err *err) {
    if (registration->name == NULL) {
        registration->name = str_dup(str_of(success->producer_name));
    }
    if (registration->name == NULL) {
        return err_set(err, ERR_NOMEM, "no memory for a producer's name");
    }
    struct str version = registration_version_in(success);
    registration->schema_version_len = version.len;
    if (version.len > 0) {
        memcpy(registration->schema_version, version.ptr, version.len);
    }
    registration->has_topic_epoch = success->has_topic_epoch;
    registration->topic_epoch = success->topic_epoch;
    return true;
}

void registration_reset(struct registration *registration) {
    free(registration->name);
    *registration = (struct registration){.epoch = registration->epoch};
}
