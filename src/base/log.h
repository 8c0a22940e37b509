/*
 * log: one line per event on stderr: level, area, stable event name, key=value pairs; or one JSON object per
 * line (--log-format json). Any thread. A line is written with one write(2), so lines never mix.
 * Secrets are never passed to it. Errors are logged once, where they are handled, not where they arise.
 *
 *     LOG_INFO("lease", "taken", LOG_STR("shard", shard_id), LOG_U64("counter", counter));
 */
#ifndef BASE_LOG_H
#define BASE_LOG_H

#include "base/err.h"
#include "base/str.h"

enum log_level { LOG_LEVEL_ERROR, LOG_LEVEL_WARN, LOG_LEVEL_INFO, LOG_LEVEL_DEBUG };
enum log_format { LOG_FORMAT_TEXT, LOG_FORMAT_JSON };

enum log_kind { LOG_KIND_STR, LOG_KIND_U64, LOG_KIND_I64, LOG_KIND_F64, LOG_KIND_ERR };

struct log_field {
    const char *key;
    enum log_kind kind;
    struct str text;
    uint64_t u64;
    int64_t i64;
    double f64;
    const struct err *err;
};

#define LOG_STR(k, s) ((struct log_field){.key = (k), .kind = LOG_KIND_STR, .text = (s)})
#define LOG_TEXT(k, s) ((struct log_field){.key = (k), .kind = LOG_KIND_STR, .text = str_of(s)})
#define LOG_U64(k, v) ((struct log_field){.key = (k), .kind = LOG_KIND_U64, .u64 = (v)})
#define LOG_I64(k, v) ((struct log_field){.key = (k), .kind = LOG_KIND_I64, .i64 = (v)})
#define LOG_F64(k, v) ((struct log_field){.key = (k), .kind = LOG_KIND_F64, .f64 = (v)})
/* Writes error=<code>, class=<class>, text=<text>. */
#define LOG_ERR(e) ((struct log_field){.key = "error", .kind = LOG_KIND_ERR, .err = (e)})

#define LOG(level, area, event, ...)                                                               \
    do {                                                                                           \
        if (log_enabled(level)) {                                                                  \
            const struct log_field log_fields_[] = {{.key = NULL}, ##__VA_ARGS__};                 \
            log_write(level, area, event, log_fields_ + 1,                                         \
                      sizeof log_fields_ / sizeof log_fields_[0] - 1);                             \
        }                                                                                          \
    } while (0)
#define LOG_ERROR(area, event, ...) LOG(LOG_LEVEL_ERROR, area, event, ##__VA_ARGS__)
#define LOG_WARN(area, event, ...) LOG(LOG_LEVEL_WARN, area, event, ##__VA_ARGS__)
#define LOG_INFO(area, event, ...) LOG(LOG_LEVEL_INFO, area, event, ##__VA_ARGS__)
#define LOG_DEBUG(area, event, ...) LOG(LOG_LEVEL_DEBUG, area, event, ##__VA_ARGS__)

/* Before threads start. Default: INFO, text. */
void log_setup(enum log_level level, enum log_format format);
bool log_enabled(enum log_level level);
bool log_level_parse(struct str name, enum log_level *ret_level);
bool log_format_parse(struct str name, enum log_format *ret_format);

void log_write(enum log_level level, const char *area, const char *event,
               const struct log_field *fields, size_t field_count);

/* Shows one live line on the terminal, redrawn below the log lines; NULL or "" takes it away.
 * Only call it when stderr is a terminal. Copies. */
void log_live_line(const char *text);

#endif
