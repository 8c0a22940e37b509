#include "fakes/fake_streams.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

enum { DEFAULT_PAGE_SHARDS = 100, MAX_RECORDS = 1000, ITERATOR_MAX = 2048, VEIL = 0x5a };

/* Where a reader stands. */
struct iterator {
    char arn[FAKE_ARN_MAX];
    char shard[FAKE_SHARD_ID_MAX];
    uint64_t position; /* number of the next record */
    int64_t issued_ms;
    uint64_t generation;
};

void fake_streams_init(struct fake_streams *streams) {
    *streams = (struct fake_streams){
        .page_shards = DEFAULT_PAGE_SHARDS,
        .page_bytes = 1024 * 1024,
        .iterator_life_ms = 15 * 60 * 1000,
        .child_shards = true,
        .at_timestamp = true,
        .end_with_records = true,
    };
}

void fake_streams_done(struct fake_streams *streams) {
    for (size_t i = 0; i < streams->count; i++) {
        fake_stream_free(streams->streams[i]);
    }
    free(streams->streams);
    fake_streams_init(streams);
}

struct fake_stream *fake_streams_find(const struct fake_streams *streams, struct str arn) {
    for (size_t i = 0; i < streams->count; i++) {
        if (str_is(arn, streams->streams[i]->arn)) {
            return streams->streams[i];
        }
    }
    return NULL;
}

bool fake_streams_add(struct fake_streams *streams, struct fake_stream *stream, struct err *err) {
    if (fake_streams_find(streams, str_of(stream->arn)) != NULL) {
        err_set(err, ERR_CONFIG, "stream '%s' exists", stream->arn);
        fake_stream_free(stream);
        return false;
    }
    struct fake_stream **all =
        realloc(streams->streams, (streams->count + 1) * sizeof(struct fake_stream *));
    if (all == NULL) {
        err_set(err, ERR_NOMEM, "a stream");
        fake_stream_free(stream);
        return false;
    }
    streams->streams = all;
    streams->streams[streams->count++] = stream;
    streams->current = stream;
    return true;
}

/* ---- iterators: "<arn>|1|<hex of veiled text>" ---- */

static void iterator_format(const struct fake_stream *stream, const struct fake_shard *shard,
                            uint64_t position, int64_t now_ms, char to[ITERATOR_MAX]) {
    char plain[FAKE_SHARD_ID_MAX + 80];
    int len = snprintf(plain, sizeof plain, "%s %" PRIu64 " %" PRId64 " %" PRIu64, shard->id,
                       position, now_ms, shard->generation);
    static const char digits[] = "0123456789abcdef";
    char *at = to + snprintf(to, ITERATOR_MAX, "%s|1|", stream->arn);
    for (int i = 0; i < len && at < to + ITERATOR_MAX - 3; i++) {
        unsigned char veiled = (unsigned char)plain[i] ^ VEIL;
        *at++ = digits[veiled >> 4];
        *at++ = digits[veiled & 15];
    }
    *at = '\0';
}

static int hex_value(char c) {
    return c >= '0' && c <= '9' ? c - '0' : c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

static bool iterator_parse(struct str text, struct iterator *ret_iterator) {
    const char *mark = text.len > 0 ? memmem(text.ptr, text.len, "|1|", 3) : NULL;
    if (mark == NULL || !str_copy(str_make(text.ptr, (size_t)(mark - text.ptr)), ret_iterator->arn,
                                  sizeof ret_iterator->arn)) {
        return false;
    }
    struct str hex = str_make(mark + 3, (size_t)(text.ptr + text.len - mark) - 3);
    char plain[FAKE_SHARD_ID_MAX + 80];
    if (hex.len % 2 != 0 || hex.len / 2 >= sizeof plain) {
        return false;
    }
    for (size_t i = 0; i < hex.len / 2; i++) {
        int high = hex_value(hex.ptr[2 * i]);
        int low = hex_value(hex.ptr[2 * i + 1]);
        if (high < 0 || low < 0) {
            return false;
        }
        plain[i] = (char)((high * 16 + low) ^ VEIL);
    }
    plain[hex.len / 2] = '\0';
    return sscanf(plain, "%127s %" SCNu64 " %" SCNd64 " %" SCNu64, ret_iterator->shard,
                  &ret_iterator->position, &ret_iterator->issued_ms,
                  &ret_iterator->generation) == 4;
}

void fake_streams_subject(yyjson_val *in, char *to, size_t capacity) {
    struct iterator iterator;
    struct str shard = fake_json_str(in, "ShardId");
    if (shard.ptr == NULL && iterator_parse(fake_json_str(in, "ShardIterator"), &iterator)) {
        shard = str_of(iterator.shard);
    }
    (void)str_copy(shard, to, capacity);
}

/* ---- operations ---- */

static struct fake_stream *request_stream(const struct fake_streams *streams, yyjson_val *in,
                                          struct fake_reply *reply) {
    struct str arn = fake_json_str(in, "StreamArn");
    if (arn.len < 37 || !str_starts(arn, "arn:")) {
        fake_reply_invalid(reply, "Invalid StreamArn");
        return NULL;
    }
    struct fake_stream *stream = fake_streams_find(streams, arn);
    if (stream == NULL) {
        fake_reply_not_found(reply, "Requested resource not found: Stream: %.*s not found",
                             STR_FMT(arn));
    }
    return stream;
}

/* Limit, which may be absent; false and the reply set when it is out of bounds. */
static bool request_limit(yyjson_val *in, uint64_t max, uint64_t *ret_limit,
                          struct fake_reply *reply) {
    yyjson_val *value = yyjson_obj_get(in, "Limit");
    *ret_limit = max;
    if (value == NULL) {
        return true;
    }
    *ret_limit = yyjson_get_uint(value);
    if (!yyjson_is_uint(value) || *ret_limit < 1 || *ret_limit > max) {
        fake_reply_invalid(reply,
                           "1 validation error detected: Value at 'limit' failed to satisfy "
                           "constraint: Member must be between 1 and %" PRIu64,
                           max);
        return false;
    }
    return true;
}

static void add_shard(const struct fake_shard *shard, struct buf *body) {
    buf_add_text(body, "{\"ShardId\":");
    buf_add_json_string(body, str_of(shard->id));
    buf_add_format(body, ",\"SequenceNumberRange\":{\"StartingSequenceNumber\":\"%s\"",
                   shard->starting);
    if (shard->ending[0] != '\0') {
        buf_add_format(body, ",\"EndingSequenceNumber\":\"%s\"", shard->ending);
    }
    buf_add_char(body, '}');
    if (shard->parent[0] != '\0') {
        buf_add_text(body, ",\"ParentShardId\":");
        buf_add_json_string(body, str_of(shard->parent));
    }
    buf_add_char(body, '}');
}

void fake_streams_describe(void *of, yyjson_val *in, int64_t now_ms, struct fake_reply *reply) {
    struct fake_streams *streams = of;
    uint64_t limit;
    struct fake_stream *stream = request_stream(streams, in, reply);
    if (stream == NULL || !request_limit(in, DEFAULT_PAGE_SHARDS, &limit, reply)) {
        return;
    }
    (void)now_ms;
    if (streams->page_shards < limit) {
        limit = streams->page_shards;
    }
    struct str start = fake_json_str(in, "ExclusiveStartShardId");
    yyjson_val *filter = yyjson_obj_get(in, "ShardFilter");
    struct str children_of = STR_NONE;
    if (filter != NULL && streams->child_shards) {
        children_of = fake_json_str(filter, "ShardId");
        if (!str_is(fake_json_str(filter, "Type"), "CHILD_SHARDS") || children_of.ptr == NULL) {
            fake_reply_invalid(reply, "Invalid ShardFilter");
            return;
        }
    }
    struct buf *body = &reply->body;
    buf_add_format(body,
                   "{\"StreamDescription\":{\"StreamArn\":\"%s\",\"StreamLabel\":\"%s\","
                   "\"StreamStatus\":\"%s\",\"StreamViewType\":\"%s\","
                   "\"CreationRequestDateTime\":1700000000.123,\"TableName\":\"%s\","
                   "\"KeySchema\":[{\"AttributeName\":\"%s\",\"KeyType\":\"HASH\"}",
                   stream->arn, stream->label, stream->status, stream->shape.view_type,
                   stream->table_name, stream->shape.hash_key);
    if (stream->shape.range_key[0] != '\0') {
        buf_add_format(body, ",{\"AttributeName\":\"%s\",\"KeyType\":\"RANGE\"}",
                       stream->shape.range_key);
    }
    buf_add_text(body, "],\"Shards\":[");
    uint64_t count = 0;
    /* A start that is not there gives an empty page, as on the service. */
    bool started = start.ptr == NULL;
    const struct fake_shard *last = NULL;
    for (size_t i = 0; i < stream->shard_count && count < limit; i++) {
        struct fake_shard *shard = stream->shards[i];
        if (!started) {
            started = str_is(start, shard->id);
            continue;
        }
        if (shard->vanished || (children_of.ptr != NULL && !str_is(children_of, shard->parent))) {
            continue;
        }
        if (shard->listed_after > 0) {
            shard->listed_after--;
            continue;
        }
        buf_add_text(body, count > 0 ? "," : "");
        add_shard(shard, body);
        last = shard;
        count++;
    }
    buf_add_char(body, ']');
    /* A full page names its last shard even when nothing follows: the name proves nothing. */
    if (count == limit && last != NULL) {
        buf_add_text(body, ",\"LastEvaluatedShardId\":");
        buf_add_json_string(body, str_of(last->id));
    }
    buf_add_text(body, "}}");
}

enum from { FROM_TRIM_HORIZON, FROM_LATEST, FROM_AT, FROM_AFTER, FROM_TIME, FROM_COUNT };

/* Reads the iterator's type; false and the reply set when it or what belongs to it is wrong. */
static bool request_from(const struct fake_streams *streams, yyjson_val *in, int64_t now_ms,
                         enum from *ret_from, struct str *ret_sequence, int64_t *ret_ms,
                         struct fake_reply *reply) {
    static const char *const types[FROM_COUNT] = {"TRIM_HORIZON", "LATEST", "AT_SEQUENCE_NUMBER",
                                                  "AFTER_SEQUENCE_NUMBER", "AT_TIMESTAMP"};
    struct str type = fake_json_str(in, "ShardIteratorType");
    size_t from = 0;
    while (from < FROM_COUNT && !str_is(type, types[from])) {
        from++;
    }
    *ret_from = (enum from)from;
    *ret_sequence = fake_json_str(in, "SequenceNumber");
    bool wants_sequence = from == FROM_AT || from == FROM_AFTER;
    if (from == FROM_COUNT || wants_sequence != (ret_sequence->ptr != NULL) ||
        (wants_sequence && strspn(ret_sequence->ptr, "0123456789") != ret_sequence->len)) {
        fake_reply_invalid(reply, "Invalid ShardIteratorType or SequenceNumber");
        return false;
    }
    if (from != FROM_TIME) {
        return true;
    }
    yyjson_val *time = yyjson_obj_get(in, "Timestamp");
    *ret_ms = (int64_t)(yyjson_get_num(time) * 1000);
    if (!streams->at_timestamp) {
        fake_reply_error(reply, 500, "InternalFailure", "");
        return false;
    }
    if (!yyjson_is_num(time) || *ret_ms > now_ms) {
        fake_reply_invalid(reply, "Invalid Timestamp");
        return false;
    }
    return true;
}

void fake_streams_get_iterator(void *of, yyjson_val *in, int64_t now_ms, struct fake_reply *reply) {
    const struct fake_streams *streams = of;
    const struct fake_stream *stream = request_stream(streams, in, reply);
    enum from from;
    struct str sequence;
    int64_t ms = 0;
    if (stream == NULL || !request_from(streams, in, now_ms, &from, &sequence, &ms, reply)) {
        return;
    }
    struct str shard_id = fake_json_str(in, "ShardId");
    const struct fake_shard *shard = fake_stream_shard(stream, shard_id);
    if (shard == NULL) {
        fake_reply_not_found(reply, "Requested resource not found: Shard does not exist: %.*s",
                             STR_FMT(shard_id));
        return;
    }
    uint64_t position = shard->trimmed;
    if (from == FROM_LATEST) {
        /* A shard without end has its tip where its readers are. */
        uint64_t end = fake_shard_end(shard);
        position = end == UINT64_MAX ? shard->served : end;
    } else if (from == FROM_TIME) {
        position = fake_shard_find_time(shard, ms);
    } else if (from != FROM_TRIM_HORIZON) {
        if (fake_shard_is_trimmed(shard, sequence)) {
            fake_reply_error(reply, 400, "TrimmedDataAccessException",
                             "The operation attempted to read past the oldest stream record in a "
                             "shard");
            return;
        }
        position = fake_shard_find(shard, sequence, from == FROM_AFTER);
    }
    char iterator[ITERATOR_MAX];
    iterator_format(stream, shard, position, now_ms, iterator);
    buf_add_text(&reply->body, "{\"ShardIterator\":");
    buf_add_json_string(&reply->body, str_of(iterator));
    buf_add_char(&reply->body, '}');
}

/* Checks the iterator; false and the reply set when it leads nowhere. */
static bool request_position(const struct fake_streams *streams, yyjson_val *in, int64_t now_ms,
                             struct fake_stream **ret_stream, struct fake_shard **ret_shard,
                             uint64_t *ret_position, struct fake_reply *reply) {
    struct iterator iterator;
    if (!iterator_parse(fake_json_str(in, "ShardIterator"), &iterator)) {
        fake_reply_invalid(reply, "Invalid ShardIterator");
        return false;
    }
    *ret_stream = fake_streams_find(streams, str_of(iterator.arn));
    *ret_shard =
        *ret_stream == NULL ? NULL : fake_stream_shard(*ret_stream, str_of(iterator.shard));
    *ret_position = iterator.position;
    if (*ret_shard == NULL) {
        fake_reply_not_found(reply, "Requested resource not found: Shard does not exist");
        return false;
    }
    if (iterator.generation != (*ret_shard)->generation ||
        now_ms - iterator.issued_ms >= (int64_t)streams->iterator_life_ms) {
        fake_reply_error(reply, 400, "ExpiredIteratorException", "");
        return false;
    }
    if (iterator.position < (*ret_shard)->trimmed) {
        fake_reply_error(reply, 400, "TrimmedDataAccessException",
                         "The operation attempted to read past the oldest stream record in a "
                         "shard");
        return false;
    }
    return true;
}

void fake_streams_get_records(void *of, yyjson_val *in, int64_t now_ms, struct fake_reply *reply) {
    const struct fake_streams *streams = of;
    struct fake_stream *stream;
    struct fake_shard *shard;
    uint64_t position;
    uint64_t limit;
    if (!request_limit(in, MAX_RECORDS, &limit, reply) ||
        !request_position(streams, in, now_ms, &stream, &shard, &position, reply)) {
        return;
    }
    uint64_t end = fake_shard_end(shard);
    uint64_t left = end > position ? end - position : 0;
    uint64_t count = left < limit ? left : limit;
    if (shard->empty_pages > 0) {
        shard->empty_pages--;
        count = 0;
    }
    size_t bytes = 0;
    for (uint64_t i = 0; shard->pages == NULL && i < count; i++) {
        bytes += shard->records[position + i].len;
        if (i > 0 && bytes > streams->page_bytes) {
            count = i;
        }
    }
    shard->served += count;
    bool ended =
        shard->ending[0] != '\0' && count == left && (count == 0 || streams->end_with_records);
    char next[ITERATOR_MAX] = "";
    if (!ended) {
        iterator_format(stream, shard, position + count, now_ms, next);
    }
    if (shard->pages != NULL && count > 0) {
        reply->page = fake_pages_take(shard->pages, position, count, str_of(next), now_ms);
        if (reply->page == NULL) {
            fake_reply_error(reply, 500, "InternalServerError", "out of memory");
        }
        return;
    }
    struct buf *body = &reply->body;
    buf_add_text(body, "{\"Records\":[");
    for (uint64_t i = 0; i < count; i++) {
        const struct fake_stored_record *record = &shard->records[position + i];
        buf_add_text(body, i > 0 ? "," : "");
        buf_add(body, record->json, record->len);
    }
    buf_add_char(body, ']');
    if (!ended) {
        buf_add_text(body, ",\"NextShardIterator\":");
        buf_add_json_string(body, str_of(next));
    }
    buf_add_char(body, '}');
}
