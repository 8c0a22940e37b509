#include "cli/deduplication.h"

#include "base/lane_wait.h"
#include "base/log.h"
#include "pulsar/admin.h"

struct question {
    struct runtime *runtime;
    const struct config *config;
    struct lane_wait wait;
    struct err err;
};

static void got(void *ctx, enum pulsar_deduplication state, const struct err *err) {
    struct question *question = ctx;
    switch (state) {
    case PULSAR_DEDUPLICATION_ON:
        break;
    case PULSAR_DEDUPLICATION_OFF:
        question->err = *err;
        break;
    case PULSAR_DEDUPLICATION_UNKNOWN:
        LOG_WARN("pulsar", "deduplication-unseen", LOG_TEXT("topic", question->config->topic_name),
                 LOG_ERR(err));
        break;
    }
    lane_wait_done(&question->wait);
}

static void ask(void *ctx) {
    struct question *question = ctx;
    struct pulsar_client_options client = runtime_pulsar_options(question->runtime);
    const struct pulsar_admin_options options = {
        .client = &client,
        .web_service_url = str_of(question->config->web_service_url),
        .topic = str_of(question->config->topic_name),
    };
    if (pulsar_admin_deduplication(runtime_lane(question->runtime), &options, got, question,
                                   &question->err) == NULL) {
        lane_wait_done(&question->wait);
    }
}

bool deduplication_check(struct runtime *runtime, const struct config *config, struct err *err) {
    struct question question = {.runtime = runtime, .config = config, .err = ERR_NONE};
    lane_wait_run(&question.wait, runtime_lane(runtime), ask, &question);
    *err = question.err;
    return !err_is_set(err);
}
