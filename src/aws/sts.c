#include "aws/sts.h"

#include "aws/service_http.h"
#include "aws/xml.h"
#include "base/form.h"
#include "base/json.h"

#include <aws/auth/credentials.h>
#include <aws/common/date_time.h>

#include <stdio.h>
#include <stdlib.h>

#define ROLE_SECONDS "3600"

enum {
    DEADLINE_MS = 25000,
    TAGS_MAX = 50, /* AWS's own limit */
    REPLY_MAX_BYTES = 256 * 1024,
    KEY_MAX_BYTES = 64 * 1024, /* of a session token, above all */
};

struct sts {
    struct service *service;
    struct page_pool *pages;
    struct service_call *call; /* NULL when it has ended */
    struct lane_timer close_timer;
    struct err err;
    struct aws_credentials *keys;
    sts_done *done;
    void *ctx;
};

/* ---- Tags. */

struct tags {
    struct buf *form;
    size_t count;
    bool good;
};

static void add_member(struct tags *tags, const char *list, const char *part, struct str text) {
    char name[64];
    (void)snprintf(name, sizeof name, "%s.member.%zu%s", list, tags->count, part);
    tags->good = tags->good && form_add(tags->form, name, text);
}

static struct str text_of(const struct aws_json_value *value) {
    struct aws_byte_cursor text = {0};
    (void)aws_json_value_get_string(value, &text);
    return str_make((const char *)text.ptr, text.len);
}

static int on_tag(const struct aws_byte_cursor *key, const struct aws_json_value *value,
                  bool *ret_continue, void *ctx) {
    (void)ret_continue;
    struct tags *tags = ctx;
    tags->count++;
    tags->good = tags->good && key->len > 0 && aws_json_value_is_string(value);
    add_member(tags, "Tags", ".Key", str_make((const char *)key->ptr, key->len));
    add_member(tags, "Tags", ".Value", text_of(value));
    return AWS_OP_SUCCESS;
}

static int on_transitive(size_t index, const struct aws_json_value *value, bool *ret_continue,
                         void *ctx) {
    (void)index;
    (void)ret_continue;
    struct tags *tags = ctx;
    struct str key = text_of(value);
    tags->count++;
    tags->good = tags->good && key.len > 0;
    add_member(tags, "TransitiveTagKeys", "", key);
    return AWS_OP_SUCCESS;
}

bool sts_add_tags(struct buf *form, struct str json, struct err *err) {
    struct aws_json_value *object = json_parse(json);
    const struct aws_json_value *map = json_get(object, "tags");
    const struct aws_json_value *list = json_get(object, "transitiveTagKeys");
    struct tags tags = {.form = form, .good = true};
    struct tags transitive = {.form = form, .good = true};
    bool ok = true;
    if (object == NULL) {
        ok = err_set(err, ERR_CONFIG, "not a JSON object");
    } else if (map != NULL &&
               (aws_json_const_iterate_object(map, on_tag, &tags) != AWS_OP_SUCCESS || !tags.good ||
                tags.count > TAGS_MAX)) {
        ok = err_set(err, ERR_CONFIG,
                     "\"tags\" is no object of at most %d texts with names, all in all of at most "
                     "%zu bytes",
                     TAGS_MAX, form->max);
    } else if (list != NULL &&
               (aws_json_const_iterate_array(list, on_transitive, &transitive) != AWS_OP_SUCCESS ||
                !transitive.good || transitive.count > TAGS_MAX)) {
        ok = err_set(err, ERR_CONFIG,
                     "\"transitiveTagKeys\" is no list of at most %d names of tags", TAGS_MAX);
    }
    json_free_secret(object);
    return ok;
}

/* ---- The reply. */

static void wipe(struct buf *buf) {
    if (buf->data != NULL) {
        explicit_bzero(buf->data, buf->capacity);
    }
    buf_done(buf);
}

static struct aws_byte_cursor cursor_of(const struct buf *buf) {
    return aws_byte_cursor_from_array(buf->data, buf->len);
}

struct aws_credentials *sts_read(struct str reply, struct err *err) {
    enum { ACCESS_KEY, SECRET_KEY, SESSION_TOKEN, EXPIRY, PARTS };
    static const char *const names[PARTS] = {"AccessKeyId", "SecretAccessKey", "SessionToken",
                                             "Expiration"};
    struct buf parts[PARTS];
    const char *missing = NULL;
    for (size_t i = 0; i < PARTS; i++) {
        buf_init(&parts[i], KEY_MAX_BYTES);
        /* All at once: a buffer that grows leaves copies of secrets behind. */
        bool there = buf_reserve(&parts[i], KEY_MAX_BYTES) != NULL &&
                     xml_add_text(&parts[i], reply, names[i]);
        missing = missing == NULL && (!there || parts[i].len == 0) ? names[i] : missing;
    }
    struct aws_date_time expiry = {0};
    struct aws_byte_cursor time = cursor_of(&parts[EXPIRY]);
    struct aws_credentials *keys = NULL;
    if (missing != NULL) {
        err_set(err, ERR_AWS_REPLY, "the reply has no %s", missing);
    } else if (aws_date_time_init_from_str_cursor(&expiry, &time, AWS_DATE_FORMAT_ISO_8601) !=
                   AWS_OP_SUCCESS ||
               aws_date_time_as_epoch_secs(&expiry) < 0) {
        err_set(err, ERR_AWS_REPLY, "the reply's Expiration is no time");
    } else {
        keys = aws_credentials_new(aws_default_allocator(), cursor_of(&parts[ACCESS_KEY]),
                                   cursor_of(&parts[SECRET_KEY]), cursor_of(&parts[SESSION_TOKEN]),
                                   (uint64_t)aws_date_time_as_epoch_secs(&expiry));
        if (keys == NULL) {
            err_set(err, ERR_NOMEM, "no memory for credentials");
        }
    }
    for (size_t i = 0; i < PARTS; i++) {
        wipe(&parts[i]);
    }
    return keys;
}

/* ---- The call. */

static void free_sts(struct sts *sts) {
    aws_credentials_release(sts->keys);
    page_pool_free(sts->pages);
    free(sts);
}

static void on_closed(void *ctx) {
    struct sts *sts = ctx;
    sts->done(sts->ctx, sts->keys == NULL ? &sts->err : NULL, sts->keys);
    free_sts(sts);
}

/* A lane_fn: not inside the service's own callback. */
static void close_service(void *ctx) {
    struct sts *sts = ctx;
    service_http_close(sts->service, on_closed, sts);
}

static void on_reply(void *ctx, const struct err *err, struct service_reply *reply) {
    struct sts *sts = ctx;
    sts->call = NULL;
    if (err != NULL) {
        sts->err = *err;
    } else {
        struct page *body = reply->body;
        sts->keys = sts_read(str_make(body->data, body->len), &sts->err);
        if (body->len > 0) {
            explicit_bzero(body->data, body->len);
        }
    }
    lane_timer_set_ms(&sts->close_timer, 0);
}

void sts_cancel(struct sts *sts) {
    if (sts->call != NULL) {
        service_cancel(sts->service, sts->call);
        sts->call = NULL;
        err_set(&sts->err, ERR_CANCELLED, "given up");
        lane_timer_set_ms(&sts->close_timer, 0);
    }
}

static bool write_form(struct buf *form, const struct sts_options *options, struct err *err) {
    bool fits =
        form_add(form, "Action", STR("AssumeRole")) &&
        form_add(form, "Version", STR("2011-06-15")) &&
        form_add(form, "RoleArn", options->role_arn) &&
        form_add(form, "RoleSessionName", options->role_session) &&
        form_add(form, "DurationSeconds", STR(ROLE_SECONDS)) &&
        (options->external_id.len == 0 || form_add(form, "ExternalId", options->external_id));
    return (fits || err_set(err, ERR_CONFIG, "the role's parameters are too long")) &&
           (options->tags.len == 0 || sts_add_tags(form, options->tags, err));
}

static bool start(struct sts *sts, struct lane *lane, const struct sts_options *options,
                  struct err *err) {
    const struct service_http_options service_options = {
        .endpoint = options->endpoint,
        .region = options->region,
        .signing_name = STR("sts"),
        .user_agent = options->user_agent,
        .credentials = options->credentials,
        .tls = options->tls,
        .pages = sts->pages,
        .max_connections = 1,
    };
    struct buf form;
    buf_init(&form, BUF_MAX_REQUEST);
    bool ok = write_form(&form, options, err);
    if (ok) {
        sts->service = service_http_new(lane, &service_options, err);
        ok = sts->service != NULL;
    }
    if (ok) {
        const struct service_request request = {
            .body = buf_str(&form),
            .deadline_ms = DEADLINE_MS,
            .max_reply_bytes = REPLY_MAX_BYTES,
        };
        sts->call = service_call(sts->service, &request, on_reply, sts);
        if (sts->call ==
            NULL) { /* told like a failure of the call, as the service must be closed */
            err_set(&sts->err, ERR_NOMEM, "no memory for a request");
            lane_timer_set_ms(&sts->close_timer, 0);
        }
    }
    buf_done(&form);
    return ok;
}

struct sts *sts_assume_role(struct lane *lane, const struct sts_options *options, sts_done *done,
                            void *ctx, struct err *err) {
    struct sts *sts = calloc(1, sizeof *sts);
    if (sts != NULL) {
        sts->done = done;
        sts->ctx = ctx;
        lane_timer_init(&sts->close_timer, lane, close_service, sts);
        sts->pages = page_pool_new(0);
    }
    if (sts == NULL || sts->pages == NULL) {
        err_set(err, ERR_NOMEM, "no memory to assume a role");
        free(sts);
        return NULL;
    }
    if (!start(sts, lane, options, err)) {
        free_sts(sts);
        return NULL;
    }
    return sts;
}
