/* The scenario commands of fake_aws: see README.md. */
#include "fakes/fake_aws.h"

#include <inttypes.h>
#include <stdio.h>

/* ---- streams ---- */

static struct fake_stream *current(const struct fake_aws *aws, struct err *err) {
    if (aws->streams.current == NULL) {
        err_set(err, ERR_CONFIG, "there is no stream yet");
    }
    return aws->streams.current;
}

/* The shard that word 1 names, in the current stream. */
static bool named_shard(const struct fake_aws *aws, const struct fake_line *line,
                        struct fake_stream **ret_stream, struct fake_shard **ret_shard,
                        struct err *err) {
    *ret_stream = current(aws, err);
    *ret_shard = *ret_stream == NULL ? NULL : fake_stream_shard(*ret_stream, line->words[1]);
    return *ret_shard != NULL ||
           (*ret_stream != NULL &&
            err_set(err, ERR_CONFIG, "no shard is called '%.*s'", STR_FMT(line->words[1])));
}

static bool copy_option(const struct fake_line *line, const char *name, char *to, size_t capacity,
                        struct err *err) {
    struct str value = fake_line_option(line, 2, name);
    return value.ptr == NULL || str_copy(value, to, capacity) ||
           err_set(err, ERR_CONFIG, "%s is too long", name);
}

static bool run_stream(void *ctx, struct fake_line *line, struct err *err) {
    struct fake_aws *aws = ctx;
    struct fake_stream *stream = fake_stream_new(line->words[1], err);
    if (stream == NULL || !fake_streams_add(&aws->streams, stream, err)) {
        return false;
    }
    struct fake_record_shape *shape = &stream->shape;
    return fake_line_options(line, 2, "hash range view", err) &&
           copy_option(line, "hash", shape->hash_key, sizeof shape->hash_key, err) &&
           copy_option(line, "range", shape->range_key, sizeof shape->range_key, err) &&
           copy_option(line, "view", shape->view_type, sizeof shape->view_type, err);
}

static bool run_use(void *ctx, struct fake_line *line, struct err *err) {
    struct fake_aws *aws = ctx;
    struct fake_stream *stream = fake_streams_find(&aws->streams, line->words[1]);
    if (stream == NULL) {
        return err_set(err, ERR_CONFIG, "no stream '%.*s'", STR_FMT(line->words[1]));
    }
    aws->streams.current = stream;
    return true;
}

static bool run_stream_status(void *ctx, struct fake_line *line, struct err *err) {
    struct fake_stream *stream = current(ctx, err);
    return stream != NULL && fake_line_text(line, 1, stream->status, sizeof stream->status, err);
}

static bool run_time_format(void *ctx, struct fake_line *line, struct err *err) {
    struct fake_stream *stream = current(ctx, err);
    return stream != NULL &&
           fake_line_text(line, 1, stream->time_format, sizeof stream->time_format, err);
}

static bool run_sequence(void *ctx, struct fake_line *line, struct err *err) {
    struct fake_stream *stream = current(ctx, err);
    struct str number = line->words[1];
    for (size_t i = 0; i < number.len; i++) {
        if (number.ptr[i] < '0' || number.ptr[i] > '9') {
            return err_set(err, ERR_CONFIG, "'%.*s' is not a number", STR_FMT(number));
        }
    }
    return stream != NULL &&
           fake_line_text(line, 1, stream->next_sequence, sizeof stream->next_sequence, err);
}

static bool run_shard(void *ctx, struct fake_line *line, struct err *err) {
    struct fake_stream *stream = current(ctx, err);
    if (stream == NULL || !fake_line_options(line, 2, "parent start", err)) {
        return false;
    }
    struct fake_shard *shard =
        fake_stream_add_shard(stream, line->words[1], fake_line_option(line, 2, "parent"), err);
    return shard != NULL &&
           copy_option(line, "start", shard->starting, sizeof shard->starting, err);
}

static bool run_shards(void *ctx, struct fake_line *line, struct err *err) {
    struct fake_stream *stream = current(ctx, err);
    uint64_t count;
    if (stream == NULL || !fake_line_u64(line, 1, &count, err)) {
        return false;
    }
    struct str prefix = line->count > 2 ? line->words[2] : STR("shardId-");
    for (uint64_t i = 0; i < count; i++) {
        char id[FAKE_SHARD_ID_MAX + 64];
        (void)snprintf(id, sizeof id, "%.*s%020" PRIu64 "-%08" PRIx64, STR_FMT(prefix),
                       UINT64_C(1700000000000) + i, i);
        if (fake_stream_add_shard(stream, str_of(id), STR_NONE, err) == NULL) {
            return false;
        }
    }
    return true;
}

static bool run_close(void *ctx, struct fake_line *line, struct err *err) {
    struct fake_stream *stream;
    struct fake_shard *shard;
    if (!named_shard(ctx, line, &stream, &shard, err)) {
        return false;
    }
    fake_stream_close_shard(stream, shard);
    return true;
}

static bool run_split(void *ctx, struct fake_line *line, struct err *err) {
    struct fake_stream *stream;
    struct fake_shard *shard;
    uint64_t hidden = 0;
    size_t words = line->count;
    if (words > 4 && str_is(line->words[words - 2], "hidden")) {
        if (!fake_line_u64(line, words - 1, &hidden, err)) {
            return false;
        }
        words -= 2;
    }
    if (!named_shard(ctx, line, &stream, &shard, err)) {
        return false;
    }
    fake_stream_close_shard(stream, shard);
    for (size_t i = 2; i < words; i++) {
        struct fake_shard *child =
            fake_stream_add_shard(stream, line->words[i], line->words[1], err);
        if (child == NULL) {
            return false;
        }
        child->listed_after = hidden;
    }
    return true;
}

static bool run_hide(void *ctx, struct fake_line *line, struct err *err) {
    struct fake_stream *stream;
    struct fake_shard *shard;
    return named_shard(ctx, line, &stream, &shard, err) &&
           fake_line_u64(line, 2, &shard->listed_after, err);
}

static bool run_vanish(void *ctx, struct fake_line *line, struct err *err) {
    struct fake_stream *stream;
    struct fake_shard *shard;
    if (!named_shard(ctx, line, &stream, &shard, err)) {
        return false;
    }
    shard->vanished = true;
    return true;
}

static bool run_empty_pages(void *ctx, struct fake_line *line, struct err *err) {
    struct fake_stream *stream;
    struct fake_shard *shard;
    return named_shard(ctx, line, &stream, &shard, err) &&
           fake_line_u64(line, 2, &shard->empty_pages, err);
}

static bool run_trim(void *ctx, struct fake_line *line, struct err *err) {
    struct fake_stream *stream;
    struct fake_shard *shard;
    if (!named_shard(ctx, line, &stream, &shard, err)) {
        return false;
    }
    fake_shard_trim(shard, line->words[2]);
    return true;
}

static bool run_expire(void *ctx, struct fake_line *line, struct err *err) {
    struct fake_stream *stream;
    struct fake_shard *shard;
    if (line->count > 1) {
        if (!named_shard(ctx, line, &stream, &shard, err)) {
            return false;
        }
        shard->generation++;
        return true;
    }
    stream = current(ctx, err);
    for (size_t i = 0; stream != NULL && i < stream->shard_count; i++) {
        stream->shards[i]->generation++;
    }
    return stream != NULL;
}

static bool run_record(void *ctx, struct fake_line *line, struct err *err) {
    struct fake_stream *stream;
    struct fake_shard *shard;
    if (!named_shard(ctx, line, &stream, &shard, err)) {
        return false;
    }
    struct str json = line->words[2];
    yyjson_doc *doc = yyjson_read(json.ptr, json.len, YYJSON_READ_NOFLAG);
    yyjson_val *dynamodb = yyjson_obj_get(yyjson_doc_get_root(doc), "dynamodb");
    struct str number = fake_json_str(dynamodb, "SequenceNumber");
    double seconds = yyjson_get_num(yyjson_obj_get(dynamodb, "ApproximateCreationDateTime"));
    bool ok = number.ptr == NULL
                  ? err_set(err, ERR_CONFIG, "the record is not JSON, or has no SequenceNumber")
                  : fake_stream_add_record(stream, shard, json, number.ptr,
                                           (int64_t)(seconds * 1000), err);
    yyjson_doc_free(doc);
    return ok;
}

static bool run_fill(void *ctx, struct fake_line *line, struct err *err) {
    struct fake_stream *stream;
    struct fake_shard *shard;
    uint64_t size;
    uint64_t at_ms;
    struct fake_fill fill = {.keys = 0};
    if (!named_shard(ctx, line, &stream, &shard, err) ||
        !fake_line_u64(line, 2, &fill.count, err) || !fake_line_u64(line, 3, &size, err) ||
        !fake_line_options(line, 4, "keys name at every", err) ||
        !fake_line_option_u64(line, 4, "keys", 100, &fill.keys, err) ||
        !fake_line_option_u64(line, 4, "at", (uint64_t)line->now_ms, &at_ms, err) ||
        !fake_line_option_u64(line, 4, "every", 0, &fill.every_ms, err)) {
        return false;
    }
    fill.size = size;
    fill.at_ms = (int64_t)at_ms;
    fill.series = fake_line_option(line, 4, "name");
    if (fill.series.ptr == NULL) {
        fill.series = fake_shard_tail(shard);
    }
    return fake_stream_fill(stream, shard, &fill, err);
}

static bool run_memory_pages(void *ctx, struct fake_line *line, struct err *err) {
    struct fake_stream *stream;
    struct fake_shard *shard;
    uint64_t count;
    uint64_t size;
    uint64_t keys = FAKE_PAGE_RECORDS;
    return named_shard(ctx, line, &stream, &shard, err) && fake_line_u64(line, 2, &count, err) &&
           fake_line_u64(line, 3, &size, err) &&
           (line->count < 5 || fake_line_u64(line, 4, &keys, err)) &&
           fake_stream_memory_pages(stream, shard, count, size, keys, err);
}

/* ---- how the double behaves ---- */

static bool run_page_shards(void *ctx, struct fake_line *line, struct err *err) {
    struct fake_aws *aws = ctx;
    return fake_line_u64(line, 1, &aws->streams.page_shards, err);
}

static bool run_page_bytes(void *ctx, struct fake_line *line, struct err *err) {
    struct fake_aws *aws = ctx;
    return fake_line_u64(line, 1, &aws->streams.page_bytes, err);
}

static bool run_iterator_life(void *ctx, struct fake_line *line, struct err *err) {
    struct fake_aws *aws = ctx;
    return fake_line_u64(line, 1, &aws->streams.iterator_life_ms, err);
}

static bool run_child_shards(void *ctx, struct fake_line *line, struct err *err) {
    struct fake_aws *aws = ctx;
    return fake_line_bool(line, 1, &aws->streams.child_shards, err);
}

static bool run_at_timestamp(void *ctx, struct fake_line *line, struct err *err) {
    struct fake_aws *aws = ctx;
    return fake_line_bool(line, 1, &aws->streams.at_timestamp, err);
}

static bool run_end_with_records(void *ctx, struct fake_line *line, struct err *err) {
    struct fake_aws *aws = ctx;
    return fake_line_bool(line, 1, &aws->streams.end_with_records, err);
}

static bool run_gzip(void *ctx, struct fake_line *line, struct err *err) {
    struct fake_aws *aws = ctx;
    return fake_line_bool(line, 1, &aws->gzip, err);
}

static bool run_clock_skew(void *ctx, struct fake_line *line, struct err *err) {
    struct fake_aws *aws = ctx;
    return fake_line_i64(line, 1, &aws->skew_ms, err);
}

static bool run_signature_window(void *ctx, struct fake_line *line, struct err *err) {
    struct fake_aws *aws = ctx;
    return fake_line_u64(line, 1, &aws->signature_ms, err);
}

static bool run_credentials(void *ctx, struct fake_line *line, struct err *err) {
    struct fake_aws *aws = ctx;
    aws->access_key_count = 0;
    for (size_t i = 1; i < line->count && !str_is(line->words[i], "any"); i++) {
        if (!fake_line_text(line, i, aws->access_keys[i - 1], sizeof aws->access_keys[0], err)) {
            return false;
        }
        aws->access_key_count = i;
    }
    return true;
}

/* ---- tables ---- */

static bool run_table_create_ms(void *ctx, struct fake_line *line, struct err *err) {
    struct fake_aws *aws = ctx;
    return fake_line_u64(line, 1, &aws->tables.create_ms, err);
}

static bool run_scan_items(void *ctx, struct fake_line *line, struct err *err) {
    struct fake_aws *aws = ctx;
    return fake_line_u64(line, 1, &aws->tables.scan_items, err);
}

static bool run_delete_table(void *ctx, struct fake_line *line, struct err *err) {
    struct fake_aws *aws = ctx;
    return fake_tables_drop(&aws->tables, line->words[1]) ||
           err_set(err, ERR_CONFIG, "no table '%.*s'", STR_FMT(line->words[1]));
}

static bool run_item(void *ctx, struct fake_line *line, struct err *err) {
    struct fake_aws *aws = ctx;
    return fake_tables_store(&aws->tables, line->words[1], line->words[2], err);
}

/* ---- faults ---- */

static bool known_op(struct str name) {
    for (int i = 0; i < FAKE_AWS_OP_COUNT; i++) {
        if (str_is(name, fake_aws_op_name((enum fake_aws_op)i))) {
            return true;
        }
    }
    return str_is(name, "*");
}

static bool add_fault(struct fake_aws *aws, const struct fake_fault *fault, struct err *err) {
    return known_op(str_of(fault->op))
               ? fake_faults_add(&aws->faults, fault, err)
               : err_set(err, ERR_CONFIG, "no operation is called '%s'", fault->op);
}

static bool run_throttle(void *ctx, struct fake_line *line, struct err *err) {
    struct fake_fault fault;
    if (!fake_fault_read(line, 3, FAKE_AWS_FAULT_FAIL, &fault, err)) {
        return false;
    }
    fault.number = 400;
    (void)str_copy(STR("ThrottlingException"), fault.code, sizeof fault.code);
    (void)str_copy(STR("Rate exceeded"), fault.text, sizeof fault.text);
    return add_fault(ctx, &fault, err);
}

static bool run_fail(void *ctx, struct fake_line *line, struct err *err) {
    struct fake_fault fault;
    /* The message is there when an odd number of words follows the code. */
    size_t options = line->count > 5 && (line->count - 5) % 2 == 1 ? 6 : 5;
    return fake_fault_read(line, options, FAKE_AWS_FAULT_FAIL, &fault, err) &&
           fake_line_u64(line, 3, &fault.number, err) &&
           fake_line_text(line, 4, fault.code, sizeof fault.code, err) &&
           (options == 5 || fake_line_text(line, 5, fault.text, sizeof fault.text, err)) &&
           add_fault(ctx, &fault, err);
}

static const struct {
    const char *command;
    int kind; /* enum fake_aws_fault */
    bool has_number;
} faults[] = {
    {"delay", FAKE_AWS_FAULT_DELAY, true},
    {"cut", FAKE_AWS_FAULT_CUT, true},
    {"drip", FAKE_AWS_FAULT_DRIP, true},
    {"length", FAKE_AWS_FAULT_LENGTH, true},
    {"empty", FAKE_AWS_FAULT_EMPTY, true},
    {"crc", FAKE_AWS_FAULT_CRC, false},
    {"no-crc", FAKE_AWS_FAULT_NO_CRC, false},
    {"html", FAKE_AWS_FAULT_HTML, false},
    {"drop-before", FAKE_AWS_FAULT_DROP_BEFORE, false},
    {"drop-after", FAKE_AWS_FAULT_DROP_AFTER, false},
};

static bool run_fault(void *ctx, struct fake_line *line, struct err *err) {
    size_t i = 0;
    while (!str_is(line->words[0], faults[i].command)) {
        i++; /* the command table holds only these */
    }
    struct fake_fault fault;
    int64_t number = 0;
    if (!fake_fault_read(line, faults[i].has_number ? 4 : 3, faults[i].kind, &fault, err) ||
        (faults[i].has_number && !fake_line_i64(line, 3, &number, err))) {
        return false;
    }
    fault.number = (uint64_t)number;
    return add_fault(ctx, &fault, err);
}

static bool run_rate(void *ctx, struct fake_line *line, struct err *err) {
    struct fake_aws *aws = ctx;
    for (int i = 0; i < FAKE_AWS_OP_COUNT; i++) {
        if (str_is(line->words[1], fake_aws_op_name((enum fake_aws_op)i))) {
            return fake_line_u64(line, 2, &aws->rates[i], err);
        }
    }
    return err_set(err, ERR_CONFIG, "no operation is called '%.*s'", STR_FMT(line->words[1]));
}

static bool run_clear(void *ctx, struct fake_line *line, struct err *err) {
    struct fake_aws *aws = ctx;
    (void)line;
    (void)err;
    aws->faults.count = 0;
    memset(aws->rates, 0, sizeof aws->rates);
    return true;
}

static bool run_reset_counts(void *ctx, struct fake_line *line, struct err *err) {
    struct fake_aws *aws = ctx;
    (void)line;
    (void)err;
    memset(aws->counts, 0, sizeof aws->counts);
    return true;
}

#define FAULT_USAGE "OP COUNT|always [on SUBJECT] [after CALLS]"
#define FAULT_USAGE_NUMBER "OP COUNT|always NUMBER [on SUBJECT] [after CALLS]"

static const struct fake_command commands[] = {
    {"stream", 1, 7, "ARN [hash NAME] [range NAME] [view TYPE]", 0, run_stream},
    {"use", 1, 1, "ARN", 0, run_use},
    {"stream-status", 1, 1, "STATUS", 0, run_stream_status},
    {"time-format", 1, 1, "plain|fraction|exponent", 0, run_time_format},
    {"sequence", 1, 1, "NUMBER", 0, run_sequence},
    {"shard", 1, 5, "SHARD [parent SHARD] [start NUMBER]", 0, run_shard},
    {"shards", 1, 2, "COUNT [PREFIX]", 0, run_shards},
    {"close", 1, 1, "SHARD", 0, run_close},
    {"split", 2, FAKE_LINE_WORDS, "SHARD CHILD... [hidden LISTINGS]", 0, run_split},
    {"hide", 2, 2, "SHARD LISTINGS", 0, run_hide},
    {"vanish", 1, 1, "SHARD", 0, run_vanish},
    {"empty-pages", 2, 2, "SHARD COUNT", 0, run_empty_pages},
    {"trim", 2, 2, "SHARD SEQUENCE_NUMBER", 0, run_trim},
    {"expire-iterators", 0, 1, "[SHARD]", 0, run_expire},
    {"record", 2, 2, "SHARD JSON", 2, run_record},
    {"fill", 3, 11, "SHARD COUNT SIZE [keys N] [name NAME] [at MS] [every MS]", 0, run_fill},
    {"memory-pages", 3, 4, "SHARD COUNT SIZE [KEYS]", 0, run_memory_pages},
    {"page-shards", 1, 1, "COUNT", 0, run_page_shards},
    {"page-bytes", 1, 1, "BYTES", 0, run_page_bytes},
    {"iterator-life", 1, 1, "MS", 0, run_iterator_life},
    {"child-shards", 1, 1, "on|off", 0, run_child_shards},
    {"at-timestamp", 1, 1, "on|off", 0, run_at_timestamp},
    {"end-with-records", 1, 1, "on|off", 0, run_end_with_records},
    {"gzip", 1, 1, "on|off", 0, run_gzip},
    {"clock-skew", 1, 1, "MS", 0, run_clock_skew},
    {"signature-window", 1, 1, "MS", 0, run_signature_window},
    {"credentials", 1, FAKE_AWS_KEYS, "any|ACCESS_KEY...", 0, run_credentials},
    {"table-create-time", 1, 1, "MS", 0, run_table_create_ms},
    {"scan-items", 1, 1, "COUNT", 0, run_scan_items},
    {"delete-table", 1, 1, "TABLE", 0, run_delete_table},
    {"item", 2, 2, "TABLE JSON", 2, run_item},
    {"throttle", 2, 6, FAULT_USAGE, 0, run_throttle},
    {"fail", 4, 9, "OP COUNT|always STATUS CODE [MESSAGE] [on SUBJECT] [after CALLS]", 0, run_fail},
    {"delay", 3, 7, FAULT_USAGE_NUMBER, 0, run_fault},
    {"cut", 3, 7, FAULT_USAGE_NUMBER, 0, run_fault},
    {"drip", 3, 7, FAULT_USAGE_NUMBER, 0, run_fault},
    {"length", 3, 7, FAULT_USAGE_NUMBER, 0, run_fault},
    {"empty", 3, 7, FAULT_USAGE_NUMBER, 0, run_fault},
    {"crc", 2, 6, FAULT_USAGE, 0, run_fault},
    {"no-crc", 2, 6, FAULT_USAGE, 0, run_fault},
    {"html", 2, 6, FAULT_USAGE, 0, run_fault},
    {"drop-before", 2, 6, FAULT_USAGE, 0, run_fault},
    {"drop-after", 2, 6, FAULT_USAGE, 0, run_fault},
    {"rate", 2, 2, "OP CALLS_PER_SECOND", 0, run_rate},
    {"clear", 0, 0, "", 0, run_clear},
    {"reset-counts", 0, 0, "", 0, run_reset_counts},
};

static struct fake_script script_of(struct fake_aws *aws) {
    return (struct fake_script){
        .commands = commands, .count = sizeof commands / sizeof commands[0], .ctx = aws};
}

bool fake_aws_script(struct fake_aws *aws, struct str lines, int64_t now_ms, struct err *err) {
    struct fake_script script = script_of(aws);
    return fake_script_run(&script, lines, now_ms, err);
}

bool fake_aws_script_file(struct fake_aws *aws, const char *path, int64_t now_ms, struct err *err) {
    struct fake_script script = script_of(aws);
    return fake_script_run_file(&script, path, now_ms, err);
}
