#include "fakes/fake_aws.h"

#include <inttypes.h>
#include <stdlib.h>
#include <time.h>
#include <zlib.h>

static fake_operation put_metric_data;

enum part { PART_STREAMS, PART_TABLES, PART_METRICS };

static const struct {
    const char *name;
    const char *target;
    fake_operation *run;
    enum part part;
} ops[FAKE_AWS_OP_COUNT] = {
    [FAKE_AWS_DESCRIBE_STREAM] = {"DescribeStream", "DynamoDBStreams_20120810",
                                  fake_streams_describe, PART_STREAMS},
    [FAKE_AWS_GET_SHARD_ITERATOR] = {"GetShardIterator", "DynamoDBStreams_20120810",
                                     fake_streams_get_iterator, PART_STREAMS},
    [FAKE_AWS_GET_RECORDS] = {"GetRecords", "DynamoDBStreams_20120810", fake_streams_get_records,
                              PART_STREAMS},
    [FAKE_AWS_CREATE_TABLE] = {"CreateTable", "DynamoDB_20120810", fake_tables_create, PART_TABLES},
    [FAKE_AWS_DESCRIBE_TABLE] = {"DescribeTable", "DynamoDB_20120810", fake_tables_describe,
                                 PART_TABLES},
    [FAKE_AWS_DELETE_TABLE] = {"DeleteTable", "DynamoDB_20120810", fake_tables_delete, PART_TABLES},
    [FAKE_AWS_PUT_ITEM] = {"PutItem", "DynamoDB_20120810", fake_tables_put_item, PART_TABLES},
    [FAKE_AWS_UPDATE_ITEM] = {"UpdateItem", "DynamoDB_20120810", fake_tables_update_item,
                              PART_TABLES},
    [FAKE_AWS_DELETE_ITEM] = {"DeleteItem", "DynamoDB_20120810", fake_tables_delete_item,
                              PART_TABLES},
    [FAKE_AWS_GET_ITEM] = {"GetItem", "DynamoDB_20120810", fake_tables_get_item, PART_TABLES},
    [FAKE_AWS_SCAN] = {"Scan", "DynamoDB_20120810", fake_tables_scan, PART_TABLES},
    [FAKE_AWS_PUT_METRIC_DATA] = {"PutMetricData", "GraniteServiceVersion20100801", put_metric_data,
                                  PART_METRICS},
};

void fake_aws_init(struct fake_aws *aws) {
    *aws = (struct fake_aws){.signature_ms = 0};
    fake_streams_init(&aws->streams);
}

void fake_aws_done(struct fake_aws *aws) {
    fake_streams_done(&aws->streams);
    fake_tables_done(&aws->tables);
    for (size_t i = 0; i < FAKE_AWS_METRICS; i++) {
        free(aws->metrics[i]);
    }
    fake_aws_init(aws);
}

const char *fake_aws_op_name(enum fake_aws_op op) {
    return ops[op].name;
}

uint64_t fake_aws_count(const struct fake_aws *aws, enum fake_aws_op op) {
    return aws->counts[op];
}

void fake_aws_counts_json(const struct fake_aws *aws, struct buf *out) {
    for (size_t i = 0; i < FAKE_AWS_OP_COUNT; i++) {
        buf_add_format(out, "%s\"%s\":%" PRIu64, i == 0 ? "{" : ",", ops[i].name, aws->counts[i]);
    }
    buf_add_char(out, '}');
}

void fake_aws_metrics_json(const struct fake_aws *aws, struct buf *out) {
    uint64_t first =
        aws->metric_count > FAKE_AWS_METRICS ? aws->metric_count - FAKE_AWS_METRICS : 0;
    buf_add_char(out, '[');
    for (uint64_t i = first; i < aws->metric_count; i++) {
        buf_add_text(out, i > first ? "," : "");
        buf_add_text(out, aws->metrics[i % FAKE_AWS_METRICS]);
    }
    buf_add_char(out, ']');
}

static void put_metric_data(void *of, yyjson_val *in, int64_t now_ms, struct fake_reply *reply) {
    struct fake_aws *aws = of;
    (void)now_ms;
    size_t metrics = yyjson_arr_size(yyjson_obj_get(in, "MetricData"));
    char *text = yyjson_val_write(in, YYJSON_WRITE_NOFLAG, NULL);
    if (fake_json_str(in, "Namespace").len == 0 || metrics == 0 || metrics > 1000 || text == NULL) {
        free(text);
        fake_reply_error(reply, 400, "InvalidParameterValueException",
                         "Namespace and 1 to 1,000 MetricData are required");
        return;
    }
    char **slot = &aws->metrics[aws->metric_count++ % FAKE_AWS_METRICS];
    free(*slot);
    *slot = text;
    buf_add_text(&reply->body, "{}");
}

/* ---- who may call ---- */

/* The time of "20261123T223400Z" in ms; -1 for another text. */
static int64_t parse_amz_date(struct str text) {
    char copy[20];
    struct tm parts = {0};
    if (!str_copy(text, copy, sizeof copy)) {
        return -1;
    }
    const char *end = strptime(copy, "%Y%m%dT%H%M%SZ", &parts);
    return end == NULL || *end != '\0' ? -1 : (int64_t)timegm(&parts) * 1000;
}

static bool known_access_key(const struct fake_aws *aws, struct str authorization) {
    static const char mark[] = "Credential=";
    const char *found = memmem(authorization.ptr, authorization.len, mark, sizeof mark - 1);
    if (found == NULL) {
        return false;
    }
    found += sizeof mark - 1;
    struct str key = str_make(found, (size_t)(authorization.ptr + authorization.len - found));
    const char *slash = memchr(key.ptr, '/', key.len);
    key.len = slash == NULL ? key.len : (size_t)(slash - key.ptr);
    for (size_t i = 0; i < aws->access_key_count; i++) {
        if (str_is(key, aws->access_keys[i])) {
            return true;
        }
    }
    return false;
}

/* False and the reply set when the request is refused. */
static bool admit(const struct fake_aws *aws, const struct fake_aws_request *request,
                  int64_t clock_ms, struct fake_reply *reply) {
    if (aws->access_key_count > 0) {
        if (request->authorization.len == 0) {
            fake_reply_error(reply, 400, "MissingAuthenticationTokenException",
                             "Missing Authentication Token");
            return false;
        }
        if (!known_access_key(aws, request->authorization)) {
            fake_reply_error(reply, 400, "UnrecognizedClientException",
                             "The security token included in the request is invalid.");
            return false;
        }
    }
    int64_t signed_ms = parse_amz_date(request->amz_date);
    if (aws->signature_ms > 0 && signed_ms >= 0 &&
        llabs(signed_ms - clock_ms) > (int64_t)aws->signature_ms) {
        fake_reply_error(reply, 400, "InvalidSignatureException",
                         signed_ms < clock_ms ? "Signature expired: too early for this server"
                                              : "Signature not yet current: still later than the "
                                                "time of this server");
        return false;
    }
    return true;
}

/* ---- one call ---- */

static bool over_rate(struct fake_aws *aws, size_t op, int64_t now_ms) {
    if (aws->second[op] != now_ms / 1000) {
        aws->second[op] = now_ms / 1000;
        aws->in_second[op] = 0;
    }
    return aws->rates[op] > 0 && ++aws->in_second[op] > aws->rates[op];
}

static void run(struct fake_aws *aws, size_t op, yyjson_val *in, struct str subject, int64_t now_ms,
                struct fake_reply *reply) {
    struct str name = str_of(ops[op].name);
    const struct fake_fault *fault;
    if (fake_faults_take(&aws->faults, FAKE_AWS_FAULT_DROP_BEFORE, name, subject) != NULL) {
        reply->drop = true;
    } else if (over_rate(aws, op, now_ms)) {
        fake_reply_error(reply, 400, "ThrottlingException", "Rate exceeded");
    } else if ((fault = fake_faults_take(&aws->faults, FAKE_AWS_FAULT_FAIL, name, subject)) !=
               NULL) {
        fake_reply_error(reply, (unsigned)fault->number, fault->code, fault->text);
    } else if (fake_faults_take(&aws->faults, FAKE_AWS_FAULT_HTML, name, subject) != NULL) {
        reply->status = 503;
        reply->content_type = "text/html";
        buf_add_text(&reply->body, "<html><body><h1>503 Service Unavailable</h1></body></html>\n");
    } else if ((fault = fake_faults_take(&aws->faults, FAKE_AWS_FAULT_EMPTY, name, subject)) !=
               NULL) {
        reply->status = (unsigned)fault->number;
    } else {
        void *of = ops[op].part == PART_STREAMS  ? (void *)&aws->streams
                   : ops[op].part == PART_TABLES ? (void *)&aws->tables
                                                 : (void *)aws;
        ops[op].run(of, in, now_ms, reply);
    }
}

/* What happens to the reply on its way. */
static void spoil(struct fake_aws *aws, struct str op, struct str subject,
                  struct fake_reply *reply) {
    struct fake_faults *faults = &aws->faults;
    const struct fake_fault *fault;
    if (fake_faults_take(faults, FAKE_AWS_FAULT_DROP_AFTER, op, subject) != NULL) {
        reply->drop = true;
    }
    if ((fault = fake_faults_take(faults, FAKE_AWS_FAULT_DELAY, op, subject)) != NULL) {
        reply->delay_ms = fault->number;
    }
    if (fake_faults_take(faults, FAKE_AWS_FAULT_CRC, op, subject) != NULL) {
        reply->wrong_crc = true;
    }
    if (fake_faults_take(faults, FAKE_AWS_FAULT_NO_CRC, op, subject) != NULL) {
        reply->no_crc = true;
    }
    if ((fault = fake_faults_take(faults, FAKE_AWS_FAULT_CUT, op, subject)) != NULL) {
        reply->cut = fault->number;
    }
    if ((fault = fake_faults_take(faults, FAKE_AWS_FAULT_DRIP, op, subject)) != NULL) {
        reply->drip = fault->number;
    }
    if ((fault = fake_faults_take(faults, FAKE_AWS_FAULT_LENGTH, op, subject)) != NULL) {
        reply->length_off = (int64_t)fault->number;
    }
}

static bool compress_body(struct fake_reply *reply) {
    z_stream stream = {.next_in = (Bytef *)reply->body.data, .avail_in = (uInt)reply->body.len};
    struct buf out;
    buf_init(&out, FAKE_REPLY_MAX);
    if (deflateInit2(&stream, 1, Z_DEFLATED, 15 + 16, 8, Z_DEFAULT_STRATEGY) != Z_OK) {
        return false;
    }
    size_t room = deflateBound(&stream, (uLong)reply->body.len);
    stream.next_out = (Bytef *)buf_reserve(&out, room);
    stream.avail_out = (uInt)room;
    bool ok = stream.next_out != NULL && deflate(&stream, Z_FINISH) == Z_STREAM_END;
    out.len = ok ? room - stream.avail_out : 0;
    (void)deflateEnd(&stream);
    if (!ok) {
        buf_done(&out);
        return false;
    }
    buf_done(&reply->body);
    reply->body = out;
    return true;
}

/* "<service>.<operation>" */
static size_t find_op(struct str target) {
    for (size_t i = 0; i < FAKE_AWS_OP_COUNT; i++) {
        size_t len = strlen(ops[i].target);
        if (target.len > len + 1 && str_starts(target, ops[i].target) && target.ptr[len] == '.' &&
            str_is(str_make(target.ptr + len + 1, target.len - len - 1), ops[i].name)) {
            return i;
        }
    }
    return FAKE_AWS_OP_COUNT;
}

void fake_aws_handle(struct fake_aws *aws, const struct fake_aws_request *request, int64_t now_ms,
                     struct fake_reply *reply) {
    int64_t clock_ms = now_ms + aws->skew_ms;
    reply->date_ms = clock_ms;
    size_t op = find_op(request->target);
    if (op == FAKE_AWS_OP_COUNT) {
        fake_reply_error(reply, 400, "UnknownOperationException", "");
        return;
    }
    aws->counts[op]++;
    yyjson_doc *doc = yyjson_read(request->body.ptr, request->body.len, YYJSON_READ_NOFLAG);
    yyjson_val *in = yyjson_doc_get_root(doc);
    if (!yyjson_is_obj(in)) {
        fake_reply_error(reply, 400, "SerializationException", "");
    } else if (admit(aws, request, clock_ms, reply)) {
        char subject[256] = "";
        if (ops[op].part == PART_STREAMS) {
            fake_streams_subject(in, subject, sizeof subject);
        } else if (ops[op].part == PART_TABLES) {
            fake_tables_subject(&aws->tables, in, subject, sizeof subject);
        }
        run(aws, op, in, str_of(subject), clock_ms, reply);
        if (!reply->drop) {
            spoil(aws, str_of(ops[op].name), str_of(subject), reply);
        }
        if (aws->gzip && request->gzip && reply->page == NULL && reply->body.len > 0) {
            reply->gzip = compress_body(reply);
        }
    }
    yyjson_doc_free(doc);
    if (reply->body.failed) {
        fake_reply_error(reply, 500, "InternalServerError", "out of memory");
    }
}
