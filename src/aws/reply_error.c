#include "aws/reply_error.h"

#include "aws/xml.h"
#include "base/json.h"

#include <aws/http/http.h>
#include <aws/http/status_code.h>

enum {
    BODY_MAX_BYTES = 256 * 1024, /* a longer body is no AWS error; do not parse it */
    CODE_MAX_BYTES = 100,
    MESSAGE_MAX_BYTES = 320, /* so that the request id behind it still fits into an error's text */
};

struct meaning {
    const char *name;
    enum err_code code;
    enum reply_advice advice;
};

static const struct meaning meanings[] = {
    {"ExpiredIteratorException", ERR_AWS_ITERATOR_EXPIRED, REPLY_ADVICE_NONE},
    {"TrimmedDataAccessException", ERR_AWS_TRIMMED, REPLY_ADVICE_NONE},
    {"ResourceNotFoundException", ERR_AWS_NOT_FOUND, REPLY_ADVICE_NONE},
    {"TableNotFoundException", ERR_AWS_NOT_FOUND, REPLY_ADVICE_NONE},
    {"ResourceInUseException", ERR_AWS_IN_USE, REPLY_ADVICE_NONE},
    {"TableInUseException", ERR_AWS_IN_USE, REPLY_ADVICE_NONE},
    {"ConditionalCheckFailedException", ERR_AWS_CONDITION, REPLY_ADVICE_NONE},

    {"LimitExceededException", ERR_AWS_THROTTLED, REPLY_ADVICE_NONE},
    {"ThrottlingException", ERR_AWS_THROTTLED, REPLY_ADVICE_NONE},
    {"Throttling", ERR_AWS_THROTTLED, REPLY_ADVICE_NONE},
    {"ThrottledException", ERR_AWS_THROTTLED, REPLY_ADVICE_NONE},
    {"RequestThrottled", ERR_AWS_THROTTLED, REPLY_ADVICE_NONE},
    {"RequestThrottledException", ERR_AWS_THROTTLED, REPLY_ADVICE_NONE},
    {"TooManyRequestsException", ERR_AWS_THROTTLED, REPLY_ADVICE_NONE},
    {"ProvisionedThroughputExceededException", ERR_AWS_THROTTLED, REPLY_ADVICE_NONE},
    {"RequestLimitExceeded", ERR_AWS_THROTTLED, REPLY_ADVICE_NONE},
    {"TransactionInProgressException", ERR_AWS_THROTTLED, REPLY_ADVICE_NONE},
    {"BandwidthLimitExceeded", ERR_AWS_THROTTLED, REPLY_ADVICE_NONE},
    {"SlowDown", ERR_AWS_THROTTLED, REPLY_ADVICE_NONE},

    {"InternalServerError", ERR_AWS_SERVER, REPLY_ADVICE_NONE},
    {"InternalFailure", ERR_AWS_SERVER, REPLY_ADVICE_NONE},
    {"InternalServiceFault", ERR_AWS_SERVER, REPLY_ADVICE_NONE},
    {"ServiceUnavailable", ERR_AWS_SERVER, REPLY_ADVICE_NONE},
    {"ServiceUnavailableException", ERR_AWS_SERVER, REPLY_ADVICE_NONE},
    {"RequestTimeout", ERR_AWS_SERVER, REPLY_ADVICE_NONE},
    {"RequestTimeoutException", ERR_AWS_SERVER, REPLY_ADVICE_NONE},
    {"PriorRequestNotComplete", ERR_AWS_SERVER, REPLY_ADVICE_NONE},
    {"TransactionConflictException", ERR_AWS_SERVER, REPLY_ADVICE_NONE},
    {"ReplicatedWriteConflictException", ERR_AWS_SERVER, REPLY_ADVICE_NONE},

    {"ExpiredTokenException", ERR_AWS_TOKEN_EXPIRED, REPLY_ADVICE_NEW_KEYS},
    {"ExpiredToken", ERR_AWS_TOKEN_EXPIRED, REPLY_ADVICE_NEW_KEYS},
    {"UnrecognizedClientException", ERR_AWS_DENIED, REPLY_ADVICE_NEW_KEYS},
    {"InvalidClientTokenId", ERR_AWS_DENIED, REPLY_ADVICE_NEW_KEYS},
    {"InvalidSignatureException", ERR_AWS_DENIED, REPLY_ADVICE_CLOCK},
    {"SignatureDoesNotMatch", ERR_AWS_DENIED, REPLY_ADVICE_CLOCK},
    {"AuthFailure", ERR_AWS_DENIED, REPLY_ADVICE_CLOCK},
    {"RequestExpired", ERR_AWS_DENIED, REPLY_ADVICE_CLOCK},
    {"RequestTimeTooSkewed", ERR_AWS_DENIED, REPLY_ADVICE_CLOCK},
    {"RequestInTheFuture", ERR_AWS_DENIED, REPLY_ADVICE_CLOCK},
    {"AccessDeniedException", ERR_AWS_DENIED, REPLY_ADVICE_NONE},
    {"AccessDenied", ERR_AWS_DENIED, REPLY_ADVICE_NONE},
    {"MissingAuthenticationToken", ERR_AWS_DENIED, REPLY_ADVICE_NONE},
    {"MissingAuthenticationTokenException", ERR_AWS_DENIED, REPLY_ADVICE_NONE},
    {"IncompleteSignature", ERR_AWS_DENIED, REPLY_ADVICE_NONE},
    {"IncompleteSignatureException", ERR_AWS_DENIED, REPLY_ADVICE_NONE},
    {"OptInRequired", ERR_AWS_DENIED, REPLY_ADVICE_NONE},
};

/* For a reply without a code, or with one that nobody has heard of. */
static enum err_code code_of_status(int status) {
    switch (status) {
    case 401:
    case 403:
        return ERR_AWS_DENIED;
    case 408:
        return ERR_AWS_SERVER;
    case 429:
        return ERR_AWS_THROTTLED;
    default:
        return status >= 500 ? ERR_AWS_SERVER : ERR_AWS_INVALID;
    }
}

/* "com.amazonaws.dynamodb.v20120810#ThrottlingException:http://..." is "ThrottlingException". */
static struct str bare_code(struct str type) {
    const char *colon = type.len > 0 ? memchr(type.ptr, ':', type.len) : NULL;
    if (colon != NULL) {
        type.len = (size_t)(colon - type.ptr);
    }
    const char *hash = type.len > 0 ? memrchr(type.ptr, '#', type.len) : NULL;
    if (hash != NULL) {
        type = str_make(hash + 1, type.len - (size_t)(hash + 1 - type.ptr));
    }
    return str_is_visible(type) ? type : STR_NONE; /* whatever else it is, it is no code */
}

enum reply_advice reply_error(int status, struct str error_type, struct str body, struct err *err) {
    struct buf xml_code;
    struct buf xml_message;
    buf_init(&xml_code, BODY_MAX_BYTES);
    buf_init(&xml_message, BODY_MAX_BYTES);
    struct aws_json_value *json = body.len <= BODY_MAX_BYTES ? json_parse(body) : NULL;
    struct str type = json_str(json, "__type");
    if (type.len == 0) {
        type = json_str(json, "code"); /* some front ends and emulators */
    }
    struct str message = json_str(json, "message");
    if (message.len == 0) {
        message = json_str(json, "Message");
    }
    if (json == NULL && body.len <= BODY_MAX_BYTES && xml_add_text(&xml_code, body, "Code")) {
        (void)xml_add_text(&xml_message, body, "Message");
        type = buf_str(&xml_code);
        message = buf_str(&xml_message);
    }
    struct str code = bare_code(type.len > 0 ? type : error_type);

    struct meaning meaning = {.code = code_of_status(status), .advice = REPLY_ADVICE_NONE};
    for (size_t i = 0; i < sizeof meanings / sizeof meanings[0]; i++) {
        if (str_is(code, meanings[i].name)) {
            meaning = meanings[i];
        }
    }

    code = str_cut(code, CODE_MAX_BYTES);
    message = str_cut(message, MESSAGE_MAX_BYTES);
    if (code.len > 0) {
        err_set(err, meaning.code, "%.*s%s%.*s", STR_FMT(code), message.len > 0 ? ": " : "",
                STR_FMT(message));
    } else {
        const char *hint = json == NULL && status < 500 && status != 429
                               ? "; this is no AWS answer: is the endpoint right?"
                               : "";
        err_set(err, meaning.code, "HTTP %d %s%s%.*s%s", status, aws_http_status_text(status),
                message.len > 0 ? ": " : "", STR_FMT(message), hint);
    }
    json_free(json);
    buf_done(&xml_code);
    buf_done(&xml_message);
    return meaning.advice;
}
