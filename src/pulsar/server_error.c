#include "pulsar/server_error.h"

#include "base/str.h"
#include "pulsar_api.pb-c.h"

#include <string.h>

enum { SHOWN_BYTES = 300 };

struct meaning {
    enum err_code code;
    const char *name;
    const char *remedy; /* "" when it passes by itself, or nothing can be said */
};

#define E(name_, code_, remedy_)                                                                   \
    [PULSAR__SERVER_ERROR__##name_] = {.code = ERR_##code_, .name = #name_, .remedy = remedy_}

/* Consumer's and transactions' errors cannot answer a producer; they count as a broken protocol. */
static const struct meaning meanings[] = {
    E(UnknownError, PULSAR_NOT_READY, ""),
    E(MetadataError, PULSAR_NOT_READY, ""),
    E(PersistenceError, PULSAR_NOT_READY, ""),
    E(AuthenticationError, PULSAR_AUTH, "check authPlugin and authParams"),
    E(AuthorizationError, PULSAR_DENIED, "grant the role of the token the permission 'produce'"),
    E(ConsumerBusy, PULSAR_PROTOCOL, ""),
    E(ServiceNotReady, PULSAR_NOT_READY, ""),
    E(ProducerBlockedQuotaExceededError, PULSAR_QUOTA,
      "consume the topic's backlog or raise its backlog quota"),
    E(ProducerBlockedQuotaExceededException, PULSAR_QUOTA_REFUSED,
      "consume the topic's backlog or raise its backlog quota"),
    E(ChecksumError, PULSAR_PROTOCOL, ""),
    E(UnsupportedVersionError, PULSAR_REFUSED, "the broker is too old for this client"),
    E(TopicNotFound, PULSAR_NO_TOPIC,
      "create the topic, or allow its automatic creation in the namespace"),
    E(SubscriptionNotFound, PULSAR_PROTOCOL, ""),
    E(ConsumerNotFound, PULSAR_PROTOCOL, ""),
    E(TooManyRequests, PULSAR_NOT_READY, ""),
    E(TopicTerminatedError, PULSAR_TERMINATED,
      "a terminated topic takes no more messages: use another topic"),
    E(ProducerBusy, PULSAR_BUSY,
      "another producer of this name is connected, or the topic is at its maximum of producers"),
    E(InvalidTopicName, PULSAR_REFUSED, "correct the topic's name"),
    E(IncompatibleSchema, PULSAR_REFUSED,
      "the topic has a schema and enforces it; this producer writes plain bytes"),
    E(ConsumerAssignError, PULSAR_PROTOCOL, ""),
    E(TransactionCoordinatorNotFound, PULSAR_PROTOCOL, ""),
    E(InvalidTxnStatus, PULSAR_PROTOCOL, ""),
    E(NotAllowedError, PULSAR_REFUSED,
      "the broker's or the topic's policies forbid it (a smaller maxMessageSize of the topic, "
      "perhaps)"),
    E(TransactionConflict, PULSAR_PROTOCOL, ""),
    E(TransactionNotFound, PULSAR_PROTOCOL, ""),
    E(ProducerFenced, PULSAR_FENCED, "another producer has taken this topic exclusively"),
};

#undef E

bool server_error_set(struct err *err, int error, const char *message) {
    struct meaning meaning = {
        .code = ERR_PULSAR_NOT_READY, .name = "an unknown error", .remedy = ""};
    if (error >= 0 && (size_t)error < sizeof meanings / sizeof meanings[0]) {
        meaning = meanings[error];
    }
    message = message != NULL ? message : "";
    /* The broker has no code of its own for the one permanent kind of metadata error. */
    if (error == PULSAR__SERVER_ERROR__MetadataError &&
        strcasestr(message, "encryption is required") != NULL) {
        meaning.code = ERR_PULSAR_REFUSED;
        meaning.remedy = "this producer does not encrypt: use a topic that does not require it";
    }
    /* Long messages are Java stack traces; the first line says it. */
    struct str text = str_trim(str_of(message));
    size_t line = strcspn(text.ptr, "\r\n");
    text = str_cut(line < text.len ? str_make(text.ptr, line) : text, SHOWN_BYTES);
    if (text.len == 0) {
        text = str_of(err_code_meaning(meaning.code));
    }
    return err_set(err, meaning.code, "%.*s (%s)%s%s", STR_FMT(text), meaning.name,
                   meaning.remedy[0] != '\0' ? "; " : "", meaning.remedy);
}
