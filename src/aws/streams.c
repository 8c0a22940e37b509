#include "aws/streams.h"

#include "aws/control.h"
#include "base/json.h"

#include <stdio.h>
#include <stdlib.h>

/* ---- DescribeStream. */

static enum stream_status status_of(struct str text) {
    static const struct {
        const char *text;
        enum stream_status status;
    } all[] = {
        {"ENABLING", STREAM_STATUS_ENABLING},
        {"ENABLED", STREAM_STATUS_ENABLED},
        {"DISABLING", STREAM_STATUS_DISABLING},
        {"DISABLED", STREAM_STATUS_DISABLED},
    };
    for (size_t i = 0; i < sizeof all / sizeof all[0]; i++) {
        if (str_is(text, all[i].text)) {
            return all[i].status;
        }
    }
    return STREAM_STATUS_UNKNOWN;
}

/* "" means absent too: some services write members that others leave out. */
static const char *text_or_null(const struct aws_json_value *object, const char *name) {
    const char *text = json_text(object, name);
    return text != NULL && text[0] != '\0' ? text : NULL;
}

struct listing {
    struct stream_shard *shards;
    size_t count;
};

static int read_shard(size_t index, const struct aws_json_value *value, bool *ret_continue,
                      void *ctx) {
    (void)index;
    struct listing *listing = ctx;
    const struct aws_json_value *range = json_get(value, "SequenceNumberRange");
    struct stream_shard shard = {
        .id = text_or_null(value, "ShardId"),
        .parent_id = text_or_null(value, "ParentShardId"),
        .starting_sequence_number = text_or_null(range, "StartingSequenceNumber"),
        .ending_sequence_number = text_or_null(range, "EndingSequenceNumber"),
    };
    if (shard.id == NULL) {
        *ret_continue = false;
        return aws_raise_error(AWS_ERROR_INVALID_ARGUMENT);
    }
    listing->shards[listing->count++] = shard;
    return AWS_OP_SUCCESS;
}

static int read_key(size_t index, const struct aws_json_value *value, bool *ret_continue,
                    void *ctx) {
    (void)index;
    (void)ret_continue;
    struct stream_description *description = ctx;
    struct str type = json_str(value, "KeyType");
    if (str_is(type, "HASH")) {
        description->hash_key = text_or_null(value, "AttributeName");
    } else if (str_is(type, "RANGE")) {
        description->range_key = text_or_null(value, "AttributeName");
    }
    return AWS_OP_SUCCESS;
}

static bool read_description(const struct aws_json_value *json, struct listing *listing,
                             struct stream_description *description, struct err *err) {
    const struct aws_json_value *stream = json_get(json, "StreamDescription");
    if (stream == NULL || !aws_json_value_is_object(stream)) {
        return err_set(err, ERR_AWS_REPLY, "DescribeStream: the reply has no StreamDescription");
    }
    description->status = status_of(json_str(stream, "StreamStatus"));
    description->table_name = text_or_null(stream, "TableName");
    description->view_type = text_or_null(stream, "StreamViewType");
    description->last_evaluated_shard_id = text_or_null(stream, "LastEvaluatedShardId");
    const struct aws_json_value *keys = json_get(stream, "KeySchema");
    if (keys != NULL) {
        (void)aws_json_const_iterate_array(keys, read_key, description); /* not an array: no keys */
    }
    const struct aws_json_value *shards = json_get(stream, "Shards");
    if (shards != NULL && aws_json_value_is_array(shards)) {
        size_t size = aws_json_get_array_size(shards);
        listing->shards = calloc(size > 0 ? size : 1, sizeof *listing->shards);
        if (listing->shards == NULL) {
            return err_set(err, ERR_NOMEM, "DescribeStream: no memory for %zu shards", size);
        }
        if (aws_json_const_iterate_array(shards, read_shard, listing) != AWS_OP_SUCCESS) {
            return err_set(err, ERR_AWS_REPLY, "DescribeStream: the reply has a shard without id");
        }
    }
    description->shards = listing->shards;
    description->shard_count = listing->count;
    return true;
}

static void described(control_fn *done, void *ctx, const struct err *err,
                      struct control_reply *reply) {
    streams_described *fn = (streams_described *)done;
    struct stream_description description = {.server_time_ms = reply->server_time_ms};
    struct listing listing = {0};
    struct err own = ERR_NONE;
    if (err == NULL && !read_description(reply->json, &listing, &description, &own)) {
        err = &own;
    }
    fn(ctx, err, err == NULL ? &description : NULL);
    free(listing.shards);
}

struct service_call *streams_describe(struct service *service, struct str stream_arn,
                                      struct str exclusive_start_shard_id, struct str children_of,
                                      streams_described *done, void *ctx) {
    struct control_options options = {
        .target = STR("DynamoDBStreams_20120810.DescribeStream"),
        .reader = described,
    };
    struct buf body;
    buf_init(&body, BUF_MAX_REQUEST);
    buf_add_char(&body, '{');
    control_add_str(&body, "StreamArn", stream_arn);
    control_add_json(&body, "Limit", STR("100"));
    control_add_str(&body, "ExclusiveStartShardId", exclusive_start_shard_id);
    if (children_of.ptr != NULL) {
        control_add_json(&body, "ShardFilter", STR("{\"Type\":\"CHILD_SHARDS\""));
        control_add_str(&body, "ShardId", children_of);
        buf_add_char(&body, '}');
    }
    buf_add_char(&body, '}');
    return control_call(service, &options, &body, (control_fn *)done, ctx);
}

/* ---- GetShardIterator. */

static const char *const iterator_types[] = {
    [ITERATOR_TRIM_HORIZON] = "TRIM_HORIZON",
    [ITERATOR_LATEST] = "LATEST",
    [ITERATOR_AT_SEQUENCE_NUMBER] = "AT_SEQUENCE_NUMBER",
    [ITERATOR_AFTER_SEQUENCE_NUMBER] = "AFTER_SEQUENCE_NUMBER",
};

static void got_iterator(control_fn *done, void *ctx, const struct err *err,
                         struct control_reply *reply) {
    streams_iterator_got *fn = (streams_iterator_got *)done;
    struct str iterator = json_str(reply->json, "ShardIterator");
    struct err own;
    if (err == NULL && iterator.len == 0) {
        err_set(&own, ERR_AWS_REPLY, "GetShardIterator: the reply has no ShardIterator");
        err = &own;
    }
    fn(ctx, err, err == NULL ? iterator : STR_NONE, reply->server_time_ms);
}

static struct service_call *get_iterator(struct service *service, struct str stream_arn,
                                         struct str shard_id, const char *type,
                                         struct str sequence_number, struct str timestamp,
                                         uint32_t attempts, streams_iterator_got *done, void *ctx) {
    struct control_options options = {
        .target = STR("DynamoDBStreams_20120810.GetShardIterator"),
        .reader = got_iterator,
        .attempts = attempts,
    };
    struct buf body;
    buf_init(&body, BUF_MAX_REQUEST);
    buf_add_char(&body, '{');
    control_add_str(&body, "StreamArn", stream_arn);
    control_add_str(&body, "ShardId", shard_id);
    control_add_str(&body, "ShardIteratorType", str_of(type));
    control_add_str(&body, "SequenceNumber", sequence_number);
    control_add_json(&body, "Timestamp", timestamp);
    buf_add_char(&body, '}');
    return control_call(service, &options, &body, (control_fn *)done, ctx);
}

struct service_call *streams_get_iterator(struct service *service, struct str stream_arn,
                                          struct str shard_id, enum iterator_type type,
                                          struct str sequence_number, streams_iterator_got *done,
                                          void *ctx) {
    bool takes = type == ITERATOR_AT_SEQUENCE_NUMBER || type == ITERATOR_AFTER_SEQUENCE_NUMBER;
    return get_iterator(service, stream_arn, shard_id, iterator_types[type],
                        takes ? sequence_number : STR_NONE, STR_NONE, 0, done, ctx);
}

struct service_call *streams_get_iterator_at(struct service *service, struct str stream_arn,
                                             struct str shard_id, int64_t timestamp_ms,
                                             streams_iterator_got *done, void *ctx) {
    char seconds[32];
    int64_t ms = timestamp_ms > 0 ? timestamp_ms : 0;
    (void)snprintf(seconds, sizeof seconds, "%lld.%03d", (long long)(ms / 1000), (int)(ms % 1000));
    /* A service that does not know the type may call that an internal error: ask twice, not four times. */
    return get_iterator(service, stream_arn, shard_id, "AT_TIMESTAMP", STR_NONE, str_of(seconds), 2,
                        done, ctx);
}

/* ---- GetRecords. */

static void got_records(control_fn *done, void *ctx, const struct err *err,
                        struct control_reply *reply) {
    streams_records_got *fn = (streams_records_got *)done;
    struct page *page = NULL;
    if (err == NULL) {
        page = reply->page;
        reply->page = NULL;
    }
    fn(ctx, err, page);
}

struct service_call *streams_get_records(struct service *service, struct str iterator,
                                         uint32_t limit, streams_records_got *done, void *ctx) {
    struct control_options options = {
        .target = STR("DynamoDBStreams_20120810.GetRecords"),
        .reader = got_records,
        .raw = true,
        .max_reply_bytes = BUF_MAX_PAGE,
    };
    struct buf body;
    buf_init(&body, BUF_MAX_REQUEST);
    buf_add_char(&body, '{');
    control_add_str(&body, "ShardIterator", iterator);
    buf_add_format(&body, ",\"Limit\":%u}", limit);
    return control_call(service, &options, &body, (control_fn *)done, ctx);
}
