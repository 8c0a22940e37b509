/*
 * config_file: a JSON or YAML file as a flat list of keys and values that know where they stood. JSON is read as
 * the YAML that it is, so both forms get the same messages. It knows no property.
 */
#ifndef CONFIG_CONFIG_FILE_H
#define CONFIG_CONFIG_FILE_H

#include "base/buf.h"
#include "base/err.h"
#include "base/str.h"

enum { CONFIG_FILE_MAX_ENTRIES = 1024, CONFIG_FILE_MAX_DEPTH = 16 };

enum config_entry_kind {
    CONFIG_ENTRY_SCALAR,
    CONFIG_ENTRY_NULL, /* null, ~ or nothing */
    CONFIG_ENTRY_LIST, /* its elements are not listed */
    CONFIG_ENTRY_MAP,  /* its members follow, with longer paths */
};

struct config_entry {
    char *path;  /* keys from the top, joined by '.', e.g. "configs.awsRegion" */
    char *value; /* of a scalar, else NULL */
    enum config_entry_kind kind;
    uint32_t key_line; /* all from 1; columns count characters */
    uint32_t key_column;
    uint32_t line; /* of the value */
    uint32_t column;
};

struct config_file {
    struct config_entry *entries; /* in the file's order */
    size_t count;
    size_t capacity;
};

/* Errors are ERR_CONFIG and start with "<path>: " or "<path>:<line>:<column>: ". Refused: files over
 * BUF_MAX_CONFIG, more than one document, a top that is no mapping, keys given twice, anchors and aliases.
 * On false nothing is to be freed. */
bool config_file_read(const char *path, struct config_file *ret_file, struct err *err);
/* The same of a text in memory; name stands for the path. */
bool config_file_parse(const char *name, struct str text, struct config_file *ret_file,
                       struct err *err);
/* The bytes of a configuration file, as they are, at most BUF_MAX_CONFIG. */
bool config_file_load(const char *path, struct buf *to, struct err *err);
void config_file_done(struct config_file *file);
/* NULL when there is none. */
const struct config_entry *config_file_find(const struct config_file *file, struct str path);

#endif
