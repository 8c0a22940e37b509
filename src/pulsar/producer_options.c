#include "pulsar/producer_options.h"

enum {
    DEFAULT_BATCH_MESSAGES = 1000,
    DEFAULT_BATCH_BYTES = 128 * 1024,
    DEFAULT_BATCH_DELAY_MS = 10,
    DEFAULT_PENDING_MESSAGES = 65536,
    DEFAULT_PENDING_BYTES = 64 * 1024 * 1024,
    DEFAULT_UPDATE_MS = 60000,
};

static void complete(uint32_t *value, uint32_t by_default) {
    *value = *value != 0 ? *value : by_default;
}

bool producer_options_complete(struct pulsar_producer_options *options, struct err *err) {
    complete(&options->batch_max_messages, DEFAULT_BATCH_MESSAGES);
    complete(&options->batch_max_bytes, DEFAULT_BATCH_BYTES);
    complete(&options->batch_max_delay_ms, DEFAULT_BATCH_DELAY_MS);
    complete(&options->max_pending_messages, DEFAULT_PENDING_MESSAGES);
    complete(&options->partitions_update_ms, DEFAULT_UPDATE_MS);
    if (options->max_pending_bytes == 0) {
        options->max_pending_bytes = DEFAULT_PENDING_BYTES;
    }
    if (!options->explicit_sequence_ids) {
        return true;
    }
    if (options->name.len == 0) {
        return err_set(err, ERR_CONFIG,
                       "sequence ids of one's own mean something only together with a producer "
                       "name");
    }
    if (options->batching == PULSAR_BATCHING_KEY_BASED) {
        return err_set(err, ERR_CONFIG,
                       "key-based batches mix the order of sequence ids, so that the broker would "
                       "take messages for duplicates");
    }
    return options->send_timeout_ms == 0 ||
           err_set(err, ERR_CONFIG,
                   "a message given up for sendTimeout could not follow later ones with its "
                   "sequence id; set sendTimeout to 0");
}
