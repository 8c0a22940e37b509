#include "fakes/fake_stream.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

enum { DEFAULT_KEYS_MAX = 1000000 };

int fake_sequence_compare(struct str a, struct str b) {
    while (a.len > 0 && a.ptr[0] == '0') {
        a = str_make(a.ptr + 1, a.len - 1);
    }
    while (b.len > 0 && b.ptr[0] == '0') {
        b = str_make(b.ptr + 1, b.len - 1);
    }
    if (a.len != b.len) {
        return a.len < b.len ? -1 : 1;
    }
    return a.len == 0 ? 0 : memcmp(a.ptr, b.ptr, a.len);
}

/* The part of arn behind `marker` up to the next '/', or to the end; empty when there is none. */
static struct str arn_part(struct str arn, const char *marker, bool to_end) {
    const char *found = memmem(arn.ptr, arn.len, marker, strlen(marker));
    if (found == NULL) {
        return STR_NONE;
    }
    found += strlen(marker);
    size_t left = (size_t)(arn.ptr + arn.len - found);
    const char *slash = to_end ? NULL : memchr(found, '/', left);
    return str_make(found, slash == NULL ? left : (size_t)(slash - found));
}

struct fake_stream *fake_stream_new(struct str arn, struct err *err) {
    struct fake_stream *stream = calloc(1, sizeof *stream);
    if (stream == NULL) {
        err_set(err, ERR_NOMEM, "a stream");
        return NULL;
    }
    struct str region = arn_part(arn, ":dynamodb:", true);
    const char *colon = region.len > 0 ? memchr(region.ptr, ':', region.len) : NULL;
    region.len = colon == NULL ? 0 : (size_t)(colon - region.ptr);
    struct str table = arn_part(arn, ":table/", false);
    struct str label = arn_part(arn, "/stream/", true);
    if (region.len == 0 || table.len == 0 || label.len == 0 ||
        !str_copy(arn, stream->arn, sizeof stream->arn) ||
        !str_copy(region, stream->shape.region, sizeof stream->shape.region) ||
        !str_copy(table, stream->table_name, sizeof stream->table_name) ||
        !str_copy(label, stream->label, sizeof stream->label)) {
        err_set(err, ERR_CONFIG, "'%.*s' is not a stream's ARN", STR_FMT(arn));
        free(stream);
        return NULL;
    }
    (void)str_copy(STR("ENABLED"), stream->status, sizeof stream->status);
    (void)str_copy(STR("id"), stream->shape.hash_key, sizeof stream->shape.hash_key);
    (void)str_copy(STR("NEW_AND_OLD_IMAGES"), stream->shape.view_type,
                   sizeof stream->shape.view_type);
    (void)str_copy(STR("100000000000000000000"), stream->next_sequence,
                   sizeof stream->next_sequence);
    (void)str_copy(STR("plain"), stream->time_format, sizeof stream->time_format);
    return stream;
}

static void shard_free(struct fake_shard *shard) {
    for (uint64_t i = 0; i < shard->count; i++) {
        free(shard->records[i].json);
    }
    free(shard->records);
    fake_pages_free(shard->pages);
    free(shard);
}

void fake_stream_free(struct fake_stream *stream) {
    if (stream == NULL) {
        return;
    }
    for (size_t i = 0; i < stream->shard_count; i++) {
        shard_free(stream->shards[i]);
    }
    free(stream->shards);
    free(stream->series);
    free(stream);
}

/* Where the shard of that id is, or would be. */
static size_t shard_place(const struct fake_stream *stream, struct str id, bool *ret_found) {
    size_t low = 0;
    size_t high = stream->shard_count;
    *ret_found = false;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        struct str other = str_of(stream->shards[middle]->id);
        size_t shorter = id.len < other.len ? id.len : other.len;
        int order = memcmp(id.ptr, other.ptr, shorter);
        if (order == 0) {
            order = (id.len > other.len) - (id.len < other.len);
        }
        if (order == 0) {
            *ret_found = true;
            return middle;
        }
        if (order < 0) {
            high = middle;
        } else {
            low = middle + 1;
        }
    }
    return low;
}

struct fake_shard *fake_stream_shard(const struct fake_stream *stream, struct str id) {
    if (id.len == 0) {
        return NULL;
    }
    bool found;
    size_t place = shard_place(stream, id, &found);
    return found && !stream->shards[place]->vanished ? stream->shards[place] : NULL;
}

void fake_stream_next_sequence(struct fake_stream *stream, char to[FAKE_SEQUENCE_MAX]) {
    memcpy(to, stream->next_sequence, FAKE_SEQUENCE_MAX);
    char *digits = stream->next_sequence;
    size_t len = strlen(digits);
    for (size_t i = len; i > 0; i--) {
        if (digits[i - 1] != '9') {
            digits[i - 1]++;
            return;
        }
        digits[i - 1] = '0';
    }
    if (len + 1 < FAKE_SEQUENCE_MAX) {
        memmove(digits + 1, digits, len + 1);
        digits[0] = '1';
    }
}

struct fake_shard *fake_stream_add_shard(struct fake_stream *stream, struct str id,
                                         struct str parent, struct err *err) {
    bool found = false;
    size_t place = id.len == 0 ? 0 : shard_place(stream, id, &found);
    if (found || id.len == 0) {
        err_set(err, ERR_CONFIG, "shard '%.*s' exists, or has no name", STR_FMT(id));
        return NULL;
    }
    if (stream->shard_count == stream->shard_capacity) {
        size_t capacity = stream->shard_capacity == 0 ? 16 : stream->shard_capacity * 2;
        struct fake_shard **shards = realloc(stream->shards, capacity * sizeof(*shards));
        if (shards == NULL) {
            err_set(err, ERR_NOMEM, "a shard");
            return NULL;
        }
        stream->shards = shards;
        stream->shard_capacity = capacity;
    }
    struct fake_shard *shard = calloc(1, sizeof *shard);
    if (shard == NULL) {
        err_set(err, ERR_NOMEM, "a shard");
        return NULL;
    }
    if (!str_copy(id, shard->id, sizeof shard->id) ||
        !str_copy(parent, shard->parent, sizeof shard->parent)) {
        err_set(err, ERR_CONFIG, "a shard's name is too long");
        free(shard);
        return NULL;
    }
    fake_stream_next_sequence(stream, shard->starting);
    memmove(stream->shards + place + 1, stream->shards + place,
            (stream->shard_count - place) * sizeof(struct fake_shard *));
    stream->shards[place] = shard;
    stream->shard_count++;
    return shard;
}

void fake_stream_close_shard(struct fake_stream *stream, struct fake_shard *shard) {
    if (shard->ending[0] != '\0') {
        return;
    }
    if (shard->count > 0) {
        memcpy(shard->ending, shard->records[shard->count - 1].sequence_number,
               sizeof shard->ending);
    } else if (shard->pages != NULL && fake_pages_end(shard->pages) != UINT64_MAX) {
        fake_pages_sequence(fake_pages_end(shard->pages) - 1, shard->ending);
    } else {
        fake_stream_next_sequence(stream, shard->ending);
    }
}

bool fake_stream_add_record(struct fake_stream *stream, struct fake_shard *shard, struct str json,
                            const char *sequence_number, int64_t created_ms, struct err *err) {
    (void)stream;
    if (shard->ending[0] != '\0' || shard->pages != NULL) {
        return err_set(err, ERR_CONFIG, "shard '%s' takes no records", shard->id);
    }
    if (shard->count == shard->capacity) {
        uint64_t capacity = shard->capacity == 0 ? 64 : shard->capacity * 2;
        struct fake_stored_record *records =
            realloc(shard->records, capacity * sizeof(struct fake_stored_record));
        if (records == NULL) {
            return err_set(err, ERR_NOMEM, "records");
        }
        shard->records = records;
        shard->capacity = capacity;
    }
    struct fake_stored_record *record = &shard->records[shard->count];
    *record = (struct fake_stored_record){.len = (uint32_t)json.len, .created_ms = created_ms};
    if (json.len > UINT32_MAX || !str_copy(str_of(sequence_number), record->sequence_number,
                                           sizeof record->sequence_number)) {
        return err_set(err, ERR_CONFIG, "a record or its sequence number is too long");
    }
    record->json = str_dup(json);
    if (record->json == NULL) {
        return err_set(err, ERR_NOMEM, "a record");
    }
    shard->count++;
    return true;
}

static struct fake_series *find_series(struct fake_stream *stream, struct str name,
                                       struct err *err) {
    for (size_t i = 0; i < stream->series_count; i++) {
        if (str_is(name, stream->series[i].name)) {
            return &stream->series[i];
        }
    }
    struct fake_series *series =
        realloc(stream->series, (stream->series_count + 1) * sizeof(struct fake_series));
    if (series == NULL) {
        err_set(err, ERR_NOMEM, "a series");
        return NULL;
    }
    stream->series = series;
    series = &stream->series[stream->series_count];
    *series = (struct fake_series){.filled = 0};
    if (!str_copy(name, series->name, sizeof series->name)) {
        err_set(err, ERR_CONFIG, "the name '%.*s' is too long", STR_FMT(name));
        return NULL;
    }
    stream->series_count++;
    return series;
}

/* As the service and its emulators spell times: see `time-format`. */
static void format_time(const char *format, int64_t ms, char to[40]) {
    int64_t seconds = ms / 1000;
    if (strcmp(format, "fraction") == 0) {
        (void)snprintf(to, 40, "%" PRId64 ".%03" PRId64, seconds, ms % 1000);
    } else if (strcmp(format, "exponent") == 0) {
        (void)snprintf(to, 40, "%.9E", (double)seconds);
    } else {
        (void)snprintf(to, 40, "%" PRId64, seconds);
    }
}

bool fake_stream_fill(struct fake_stream *stream, struct fake_shard *shard,
                      const struct fake_fill *fill, struct err *err) {
    if (fill->keys == 0 || fill->keys > DEFAULT_KEYS_MAX) {
        return err_set(err, ERR_CONFIG, "KEYS must be 1 to %d", DEFAULT_KEYS_MAX);
    }
    struct fake_series *series = find_series(stream, fill->series, err);
    if (series == NULL) {
        return false;
    }
    struct buf json;
    buf_init(&json, BUF_MAX_PAGE);
    bool ok = true;
    for (uint64_t i = 0; ok && i < fill->count; i++, series->filled++) {
        int64_t created_ms = fill->at_ms + (int64_t)(i * fill->every_ms);
        char key[FAKE_SHARD_ID_MAX + 32];
        char created[40];
        char sequence_number[FAKE_SEQUENCE_MAX];
        (void)snprintf(key, sizeof key, "%s-%06" PRIu64, series->name, series->filled % fill->keys);
        format_time(stream->time_format, created_ms, created);
        fake_stream_next_sequence(stream, sequence_number);
        struct fake_record_spec spec = {
            .key = str_of(key),
            .version = series->filled / fill->keys,
            .event = stream->events++,
            .sequence_number = str_of(sequence_number),
            .created = str_of(created),
            .size = fill->size,
        };
        struct fake_record_offsets at;
        buf_reset(&json);
        ok =
            fake_record_write(&stream->shape, &spec, &json, &at, err) &&
            fake_stream_add_record(stream, shard, buf_str(&json), sequence_number, created_ms, err);
    }
    buf_done(&json);
    return ok;
}

bool fake_stream_memory_pages(struct fake_stream *stream, struct fake_shard *shard, uint64_t count,
                              size_t size, uint64_t keys, struct err *err) {
    if (shard->count > 0 || shard->pages != NULL || shard->ending[0] != '\0') {
        return err_set(err, ERR_CONFIG, "shard '%s' must be open and empty", shard->id);
    }
    shard->pages = fake_pages_new(&stream->shape, fake_shard_tail(shard), count, size, keys, err);
    if (shard->pages == NULL) {
        return false;
    }
    fake_pages_sequence(0, shard->starting);
    return true;
}

struct str fake_shard_tail(const struct fake_shard *shard) {
    const char *dash = strrchr(shard->id, '-');
    return str_of(dash == NULL ? shard->id : dash + 1);
}

uint64_t fake_shard_end(const struct fake_shard *shard) {
    return shard->pages != NULL ? fake_pages_end(shard->pages) : shard->count;
}

uint64_t fake_shard_find(const struct fake_shard *shard, struct str sequence_number, bool after) {
    if (shard->pages != NULL) {
        return fake_pages_find(shard->pages, sequence_number, after);
    }
    uint64_t low = 0;
    uint64_t high = shard->count;
    while (low < high) {
        uint64_t middle = low + (high - low) / 2;
        int order =
            fake_sequence_compare(str_of(shard->records[middle].sequence_number), sequence_number);
        if (order < 0 || (order == 0 && after)) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    return low;
}

uint64_t fake_shard_find_time(const struct fake_shard *shard, int64_t ms) {
    uint64_t i = shard->trimmed;
    while (shard->pages == NULL && i < shard->count && shard->records[i].created_ms < ms) {
        i++;
    }
    return i;
}

bool fake_shard_is_trimmed(const struct fake_shard *shard, struct str sequence_number) {
    return shard->trimmed > 0 && fake_shard_find(shard, sequence_number, false) < shard->trimmed;
}

void fake_shard_trim(struct fake_shard *shard, struct str sequence_number) {
    uint64_t number = fake_shard_find(shard, sequence_number, true);
    if (number > shard->trimmed) {
        shard->trimmed = number;
    }
}
