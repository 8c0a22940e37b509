#include "fakes/fake_reply.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

void fake_reply_init(struct fake_reply *reply) {
    *reply = (struct fake_reply){
        .status = 200,
        .content_type = "application/x-amz-json-1.0",
        .cut = SIZE_MAX,
    };
    buf_init(&reply->body, FAKE_REPLY_MAX);
}

void fake_reply_done(struct fake_reply *reply) {
    if (reply->page != NULL) {
        fake_page_release(reply->page);
        reply->page = NULL;
    }
    buf_done(&reply->body);
}

static const char *prefix_of(const char *code) {
    static const struct {
        const char *code;
        const char *prefix;
    } prefixes[] = {
        {"ValidationException", "com.amazon.coral.validate"},
        {"SerializationException", "com.amazon.coral.service"},
        {"UnknownOperationException", "com.amazon.coral.service"},
        {"UnrecognizedClientException", "com.amazon.coral.service"},
        {"InvalidSignatureException", "com.amazon.coral.service"},
        {"MissingAuthenticationTokenException", "com.amazon.coral.service"},
        {"IncompleteSignatureException", "com.amazon.coral.service"},
        {"AccessDeniedException", "com.amazon.coral.service"},
        {"ExpiredTokenException", "com.amazon.coral.service"},
        {"ThrottlingException", "com.amazon.coral.availability"},
    };
    for (size_t i = 0; i < sizeof prefixes / sizeof prefixes[0]; i++) {
        if (strcmp(prefixes[i].code, code) == 0) {
            return prefixes[i].prefix;
        }
    }
    return "com.amazonaws.dynamodb.v20120810";
}

void fake_reply_error(struct fake_reply *reply, unsigned status, const char *code,
                      const char *message) {
    reply->status = status;
    buf_reset(&reply->body);
    buf_add_format(&reply->body, "{\"__type\":\"%s#%s\"", prefix_of(code), code);
    if (message[0] != '\0') {
        buf_add_text(&reply->body, ",\"message\":");
        buf_add_json_string(&reply->body, str_of(message));
    }
    buf_add_char(&reply->body, '}');
}

static void error_v(struct fake_reply *reply, const char *code, const char *format, va_list args) {
    char message[1024];
    (void)vsnprintf(message, sizeof message, format, args);
    fake_reply_error(reply, 400, code, message);
}

void fake_reply_invalid(struct fake_reply *reply, const char *format, ...) {
    va_list args;
    va_start(args, format);
    error_v(reply, "ValidationException", format, args);
    va_end(args);
}

void fake_reply_not_found(struct fake_reply *reply, const char *format, ...) {
    va_list args;
    va_start(args, format);
    error_v(reply, "ResourceNotFoundException", format, args);
    va_end(args);
}

void fake_reply_add_json(struct fake_reply *reply, const yyjson_mut_val *value) {
    size_t len;
    char *text = yyjson_mut_val_write(value, YYJSON_WRITE_NOFLAG, &len);
    if (text == NULL) {
        reply->body.failed = true;
        return;
    }
    buf_add(&reply->body, text, len);
    free(text);
}

struct str fake_json_str(yyjson_val *object, const char *name) {
    yyjson_val *value = yyjson_obj_get(object, name);
    return yyjson_is_str(value) ? str_make(yyjson_get_str(value), yyjson_get_len(value)) : STR_NONE;
}
