#include "config/source_key.h"

#define ALIAS(path, field)                                                                         \
    { path, SOURCE_KEY_ALIAS, CONFIG_KEY_##field, NULL }
#define IGNORED(path, text)                                                                        \
    { path, SOURCE_KEY_IGNORED, CONFIG_KEY_COUNT, text }
#define CONTAINER(path)                                                                            \
    { path, SOURCE_KEY_CONTAINER, CONFIG_KEY_COUNT, NULL }

/* clang-format off */
static const struct source_key rows[] = {
    CONTAINER("configs"),
    CONTAINER("producerConfig"),
    CONTAINER("producerConfig.batchingConfig"),
    CONTAINER("leaseTable"),

    ALIAS("leaseTable.endpoint", dynamo_endpoint),
    ALIAS("producerConfig.compressionType", compression),
    ALIAS("producerConfig.hashingScheme", hashing),
    ALIAS("producerConfig.maxPendingMessages", max_pending_messages),
    ALIAS("producerConfig.batchingConfig.enabled", batching),
    ALIAS("producerConfig.batchingConfig.batchingMaxMessages", batching_max_messages),
    ALIAS("producerConfig.batchingConfig.batchingMaxBytes", batching_max_bytes),
    ALIAS("producerConfig.batchingConfig.batchingMaxPublishDelayMs", batching_max_delay_ms),

    {"secrets", SOURCE_KEY_SECRETS, CONFIG_KEY_COUNT,
     "values of awsCredentialPluginParam and authParams that go before those elsewhere in the file: the text itself or, "
     "as with Pulsar on Kubernetes, a mapping (with path and key): then the value is in the environment variable of the "
     "secret's name"},
    {"producerConfig.cryptoConfig", SOURCE_KEY_REFUSED, CONFIG_KEY_COUNT,
     "messages are not encrypted by this program; remove it only if they may be sent as they are"},

    IGNORED("tenant", "no Pulsar function is created"),
    IGNORED("namespace", "no Pulsar function is created"),
    IGNORED("name", "no Pulsar function is created"),
    IGNORED("className", "there is no Java"),
    IGNORED("archive", "there is no Java"),
    IGNORED("serdeClassName", "there is no Java"),
    IGNORED("schemaType", "values are sent as bytes, as the Java connector does"),
    IGNORED("parallelism", "it starts no processes, but inside Pulsar IO; start the program several times instead"),
    IGNORED("resources", "no container is started"),
    IGNORED("runtimeFlags", "there is no Java"),
    IGNORED("customRuntimeOptions", "no container is started"),
    IGNORED("batchSourceConfig", "this is no batch source"),
    IGNORED("batchBuilder", "batches mix keys; order per key is kept"),
    IGNORED("logTopic", "logs go to standard error"),
    IGNORED("producerConfig.batchBuilder", "batches mix keys; order per key is kept"),
    IGNORED("producerConfig.useThreadLocalProducers", "every lane has its own producer"),
    IGNORED("producerConfig.maxPendingMessagesAcrossPartitions", "maxPendingMessages holds over all partitions"),
    IGNORED("producerConfig.batchingConfig.batchBuilder", "batches mix keys; order per key is kept"),
    IGNORED("producerConfig.batchingConfig.roundRobinRouterBatchingPartitionSwitchFrequency",
            "the partition of a message without key changes with the batch"),
    {NULL, SOURCE_KEY_IGNORED, CONFIG_KEY_COUNT, NULL},
};
/* clang-format on */

const struct source_key *source_key_all(void) {
    return rows;
}

const struct source_key *source_key_find(struct str path) {
    return source_key_find_in(rows, path);
}

const struct source_key *source_key_find_in(const struct source_key *table, struct str path) {
    for (const struct source_key *row = table; row->path != NULL; row++) {
        if (str_is(path, row->path)) {
            return row;
        }
    }
    return NULL;
}

void source_key_suggest(struct suggest *suggest) {
    for (const struct source_key *row = rows; row->path != NULL; row++) {
        suggest_offer(suggest, row->path);
    }
}
