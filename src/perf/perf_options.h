/* perf_options: the command line of ddb2pulsar-perf: one table, parsed into one struct. Pure. */
#ifndef PERF_PERF_OPTIONS_H
#define PERF_PERF_OPTIONS_H

#include "base/buf.h"
#include "base/err.h"
#include "base/log.h"
#include "pulsar/producer.h"

#include <stdint.h>

/* Texts are argv's, or NULL; a number that was not given has the default that its row says. */
struct perf_options {
    const char *service_url;
    const char *topic;
    const char *listener_name;
    const char *auth_plugin;
    const char *auth_params;

    uint64_t size_bytes;
    uint64_t rate;     /* messages per second; 0: as fast as it goes */
    uint64_t seconds;  /* of the measurement; 0: until `messages` */
    uint64_t messages; /* sent in all; 0: any number */
    uint64_t warm_up_seconds;
    uint64_t partition_keys; /* 0: messages have no key */

    enum pulsar_compression compression;
    enum pulsar_batching batching;
    uint64_t batch_messages;
    uint64_t batch_bytes;
    uint64_t batch_delay_ms;
    uint64_t max_pending_messages;
    uint64_t max_pending_bytes;

    bool json;
    bool quiet;
    enum log_level log_level;
    bool help; /* then the rest is not checked */
    bool man;
    bool version;
};

/* ERR_USAGE with a sentence when it makes no sense. */
bool perf_options_parse(int argc, char **argv, struct perf_options *ret_options, struct err *err);

/* One line per option. */
void perf_options_add_help(struct buf *to);
/* The same as items of a manual page. */
void perf_options_add_man(struct buf *to);

#endif
