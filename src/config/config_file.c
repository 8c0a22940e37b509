#include "config/config_file.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <yaml.h>

struct reader {
    yaml_parser_t parser;
    yaml_event_t event;
    bool has_event;
    const char *name;
    struct config_file *file;
    struct buf path; /* of the entry that is being read */
    struct err *err;
};

/* An error at a place of the file. */
static bool fail_at(struct reader *reader, yaml_mark_t mark, const char *reason) {
    return err_set(reader->err, ERR_CONFIG, "%s:%zu:%zu: %s", reader->name, mark.line + 1,
                   mark.column + 1, reason);
}

static bool fail_parse(struct reader *reader) {
    const yaml_parser_t *parser = &reader->parser;
    if (parser->error == YAML_MEMORY_ERROR) {
        return err_set(reader->err, ERR_NOMEM, "%s: out of memory", reader->name);
    }
    const char *problem = parser->problem != NULL ? parser->problem : "it cannot be read";
    if (parser->error == YAML_READER_ERROR) {
        return err_set(reader->err, ERR_CONFIG, "%s: neither JSON nor YAML: %s (byte %zu)",
                       reader->name, problem, parser->problem_offset);
    }
    return err_set(reader->err, ERR_CONFIG, "%s:%zu:%zu: neither JSON nor YAML: %s", reader->name,
                   parser->problem_mark.line + 1, parser->problem_mark.column + 1, problem);
}

static bool has_anchor(const yaml_event_t *event) {
    switch (event->type) {
    case YAML_ALIAS_EVENT:
        return true;
    case YAML_SCALAR_EVENT:
        return event->data.scalar.anchor != NULL;
    case YAML_SEQUENCE_START_EVENT:
        return event->data.sequence_start.anchor != NULL;
    case YAML_MAPPING_START_EVENT:
        return event->data.mapping_start.anchor != NULL;
    default:
        return false;
    }
}

static bool next(struct reader *reader) {
    if (reader->has_event) {
        yaml_event_delete(&reader->event);
        reader->has_event = false;
    }
    if (!yaml_parser_parse(&reader->parser, &reader->event)) {
        return fail_parse(reader);
    }
    reader->has_event = true;
    if (has_anchor(&reader->event)) {
        return fail_at(reader, reader->event.start_mark,
                       "anchors and aliases (& and *) are not allowed here");
    }
    return true;
}

static bool is_null(const yaml_event_t *event) {
    if (event->data.scalar.style != YAML_PLAIN_SCALAR_STYLE) {
        return false;
    }
    struct str value = str_make((const char *)event->data.scalar.value, event->data.scalar.length);
    return value.len == 0 || str_is(value, "~") || str_is(value, "null") || str_is(value, "Null") ||
           str_is(value, "NULL");
}

static struct str scalar_of(const yaml_event_t *event) {
    return str_make((const char *)event->data.scalar.value, event->data.scalar.length);
}

static uint32_t one_based(size_t n) {
    return (uint32_t)(n + 1); /* the file's size bounds it */
}

/* The path so far as a new entry; NULL with err set when it is there already or does not fit. */
static struct config_entry *add_entry(struct reader *reader, yaml_mark_t key_mark) {
    struct config_file *file = reader->file;
    const struct config_entry *twin = config_file_find(file, buf_str(&reader->path));
    if (twin != NULL) {
        err_set(reader->err, ERR_CONFIG, "%s:%zu:%zu: %s is given twice, first in line %u",
                reader->name, key_mark.line + 1, key_mark.column + 1, twin->path, twin->key_line);
        return NULL;
    }
    if (file->count == CONFIG_FILE_MAX_ENTRIES) {
        fail_at(reader, key_mark, "more than 1024 keys are too many for a configuration");
        return NULL;
    }
    if (file->count == file->capacity) {
        size_t capacity = file->capacity == 0 ? 32 : file->capacity * 2;
        struct config_entry *entries = realloc(file->entries, capacity * sizeof *entries);
        if (entries == NULL) {
            err_set(reader->err, ERR_NOMEM, "%s: out of memory", reader->name);
            return NULL;
        }
        file->entries = entries;
        file->capacity = capacity;
    }
    char *path = str_dup(buf_str(&reader->path));
    if (path == NULL) {
        err_set(reader->err, ERR_NOMEM, "%s: out of memory", reader->name);
        return NULL;
    }
    struct config_entry *entry = &file->entries[file->count++];
    *entry = (struct config_entry){
        .path = path,
        .key_line = one_based(key_mark.line),
        .key_column = one_based(key_mark.column),
        .line = one_based(reader->event.start_mark.line),
        .column = one_based(reader->event.start_mark.column),
    };
    return entry;
}

/* Reads on to the end of the list that has just begun. */
static bool skip_list(struct reader *reader) {
    size_t depth = 1;
    while (depth > 0) {
        if (!next(reader)) {
            return false;
        }
        switch (reader->event.type) {
        case YAML_SEQUENCE_START_EVENT:
        case YAML_MAPPING_START_EVENT:
            if (++depth > CONFIG_FILE_MAX_DEPTH) {
                return fail_at(reader, reader->event.start_mark, "this is nested too deeply");
            }
            break;
        case YAML_SEQUENCE_END_EVENT:
        case YAML_MAPPING_END_EVENT:
            depth--;
            break;
        default:
            break;
        }
    }
    return true;
}

static bool read_scalar(struct reader *reader, struct config_entry *entry) {
    if (is_null(&reader->event)) {
        entry->kind = CONFIG_ENTRY_NULL;
        return true;
    }
    struct str value = scalar_of(&reader->event);
    if (memchr(value.ptr, '\0', value.len) != NULL) {
        return fail_at(reader, reader->event.start_mark,
                       "a value cannot have the character U+0000");
    }
    entry->kind = CONFIG_ENTRY_SCALAR;
    entry->value = str_dup(value);
    return entry->value != NULL ||
           err_set(reader->err, ERR_NOMEM, "%s: out of memory", reader->name);
}

/* The members of the mapping that has just begun. Its depth is bounded, so that recursion is. */
static bool read_map(struct reader *reader, size_t depth) { /* NOLINT(misc-no-recursion) */
    if (depth > CONFIG_FILE_MAX_DEPTH) {
        return fail_at(reader, reader->event.start_mark, "this is nested too deeply");
    }
    size_t path_len = reader->path.len;
    for (;;) {
        if (!next(reader)) {
            return false;
        }
        if (reader->event.type == YAML_MAPPING_END_EVENT) {
            return true;
        }
        yaml_mark_t key_mark = reader->event.start_mark;
        if (reader->event.type != YAML_SCALAR_EVENT || reader->event.data.scalar.length == 0 ||
            memchr(reader->event.data.scalar.value, '\0', reader->event.data.scalar.length)) {
            return fail_at(reader, key_mark, "a key must be a plain text");
        }
        if (path_len > 0) {
            buf_add_char(&reader->path, '.');
        }
        if (!buf_add_str(&reader->path, scalar_of(&reader->event))) {
            return fail_at(reader, key_mark, "this key is too long");
        }
        if (!next(reader)) {
            return false;
        }
        struct config_entry *entry = add_entry(reader, key_mark);
        if (entry == NULL) {
            return false;
        }
        bool ok = true;
        if (reader->event.type == YAML_SCALAR_EVENT) {
            ok = read_scalar(reader, entry);
        } else if (reader->event.type == YAML_SEQUENCE_START_EVENT) {
            entry->kind = CONFIG_ENTRY_LIST;
            ok = skip_list(reader);
        } else {
            entry->kind = CONFIG_ENTRY_MAP;
            ok = read_map(reader, depth + 1);
        }
        if (!ok) {
            return false;
        }
        reader->path.len = path_len;
    }
}

static bool advance(struct reader *reader, int events) {
    bool ok = true;
    for (int i = 0; i < events && ok; i++) {
        ok = next(reader);
    }
    return ok;
}

static bool read_document(struct reader *reader) {
    if (!advance(reader, 2)) { /* the stream's start; then a document's, or the stream's end */
        return false;
    }
    if (reader->event.type == YAML_STREAM_END_EVENT) {
        return err_set(reader->err, ERR_CONFIG, "%s: the file is empty", reader->name);
    }
    if (!next(reader)) {
        return false;
    }
    if (reader->event.type != YAML_MAPPING_START_EVENT) {
        return fail_at(reader, reader->event.start_mark, "expected keys and values here");
    }
    if (!read_map(reader, 1) || !advance(reader, 2)) { /* the document's end, and on */
        return false;
    }
    if (reader->event.type != YAML_STREAM_END_EVENT) {
        return fail_at(reader, reader->event.start_mark,
                       "only one document is allowed in the file");
    }
    return true;
}

bool config_file_parse(const char *name, struct str text, struct config_file *ret_file,
                       struct err *err) {
    enum { MAX_PATH_BYTES = 512 };
    *ret_file = (struct config_file){.entries = NULL};
    if (text.len > BUF_MAX_CONFIG) {
        return err_set(err, ERR_CONFIG, "%s: larger than 1 MiB, too large for a configuration",
                       name);
    }
    struct reader reader = {.name = name, .file = ret_file, .err = err};
    if (!yaml_parser_initialize(&reader.parser)) {
        return err_set(err, ERR_NOMEM, "%s: out of memory", name);
    }
    buf_init(&reader.path, MAX_PATH_BYTES);
    yaml_parser_set_input_string(&reader.parser, (const unsigned char *)text.ptr, text.len);
    bool ok = read_document(&reader);
    if (reader.has_event) {
        yaml_event_delete(&reader.event);
    }
    yaml_parser_delete(&reader.parser);
    buf_done(&reader.path);
    if (!ok) {
        config_file_done(ret_file);
    }
    return ok;
}

/* One byte more than allowed is enough to know that a file is too large. */
bool config_file_load(const char *path, struct buf *to, struct err *err) {
    FILE *stream = fopen(path, "re");
    if (stream == NULL) {
        return err_set(err, ERR_CONFIG, "%s: cannot be opened: %s", path, strerror(errno));
    }
    char chunk[4096];
    size_t got;
    while ((got = fread(chunk, 1, sizeof chunk, stream)) > 0 && buf_add(to, chunk, got)) {
    }
    bool failed = ferror(stream) != 0;
    int reason = errno;
    (void)fclose(stream); /* only read from */
    if (failed) {
        return err_set(err, ERR_CONFIG, "%s: cannot be read: %s", path, strerror(reason));
    }
    if (to->failed) {
        return err_set(err, ERR_CONFIG, "%s: larger than 1 MiB, too large for a configuration",
                       path);
    }
    return true;
}

bool config_file_read(const char *path, struct config_file *ret_file, struct err *err) {
    *ret_file = (struct config_file){.entries = NULL};
    struct buf bytes;
    buf_init(&bytes, BUF_MAX_CONFIG);
    bool ok = config_file_load(path, &bytes, err) &&
              config_file_parse(path, str_make(buf_text(&bytes), bytes.len), ret_file, err);
    buf_done(&bytes);
    return ok;
}

void config_file_done(struct config_file *file) {
    for (size_t i = 0; i < file->count; i++) {
        free(file->entries[i].path);
        free(file->entries[i].value);
    }
    free(file->entries);
    *file = (struct config_file){.entries = NULL};
}

const struct config_entry *config_file_find(const struct config_file *file, struct str path) {
    for (size_t i = 0; i < file->count; i++) {
        if (str_is(path, file->entries[i].path)) {
            return &file->entries[i];
        }
    }
    return NULL;
}
