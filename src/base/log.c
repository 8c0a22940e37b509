#include "base/log.h"

#include "base/buf.h"

#include <pthread.h>
#include <stdio.h>
#include <time.h>
#include <unistd.h>

enum { LINE_MAX_BYTES = 4096, LIVE_MAX_BYTES = 256 };

static struct {
    enum log_level level;
    enum log_format format;
    pthread_mutex_t lock; /* the live line and the order of writes; never on the data path */
    char live[LIVE_MAX_BYTES];
} logger = {.level = LOG_LEVEL_INFO, .format = LOG_FORMAT_TEXT, .lock = PTHREAD_MUTEX_INITIALIZER};

static const char *const level_names[] = {"error", "warn", "info", "debug"};

void log_setup(enum log_level level, enum log_format format) {
    logger.level = level;
    logger.format = format;
}

bool log_enabled(enum log_level level) {
    return level <= logger.level;
}

bool log_level_parse(struct str name, enum log_level *ret_level) {
    for (size_t i = 0; i < sizeof level_names / sizeof level_names[0]; i++) {
        if (str_is(name, level_names[i])) {
            *ret_level = (enum log_level)i;
            return true;
        }
    }
    return false;
}

bool log_format_parse(struct str name, enum log_format *ret_format) {
    if (str_is(name, "text")) {
        *ret_format = LOG_FORMAT_TEXT;
    } else if (str_is(name, "json")) {
        *ret_format = LOG_FORMAT_JSON;
    } else {
        return false;
    }
    return true;
}

static void add_time(struct buf *line) {
    struct timespec now;
    struct tm tm;
    (void)clock_gettime(CLOCK_REALTIME, &now); /* cannot fail for this clock */
    (void)gmtime_r(&now.tv_sec, &tm);
    buf_add_format(line, "%04d-%02d-%02dT%02d:%02d:%02d.%03dZ", tm.tm_year + 1900, tm.tm_mon + 1,
                   tm.tm_mday, tm.tm_hour, tm.tm_min, tm.tm_sec, (int)(now.tv_nsec / 1000000));
}

static bool is_bare(struct str s) {
    for (size_t i = 0; i < s.len; i++) {
        char c = s.ptr[i];
        if (c <= ' ' || c == '"' || c == '=' || c == '\\' || c == 0x7f) {
            return false;
        }
    }
    return s.len > 0;
}

static void add_text(struct buf *line, bool json, struct str s) {
    if (json || !is_bare(s)) {
        buf_add_json_string(line, s);
    } else {
        buf_add_str(line, s);
    }
}

static void add_pair(struct buf *line, bool json, const char *key, struct str text) {
    buf_add_format(line, json ? ",\"%s\":" : " %s=", key);
    add_text(line, json, text);
}

static void add_field(struct buf *line, bool json, const struct log_field *field) {
    if (field->kind == LOG_KIND_STR) {
        add_pair(line, json, field->key, field->text);
        return;
    }
    if (field->kind == LOG_KIND_ERR) {
        add_pair(line, json, "error", str_of(err_code_name(field->err->code)));
        add_pair(line, json, "class", str_of(err_class_name(field->err->class)));
        add_pair(line, json, "text", str_of(field->err->text));
        return;
    }
    buf_add_format(line, json ? ",\"%s\":" : " %s=", field->key);
    if (field->kind == LOG_KIND_U64) {
        buf_add_format(line, "%llu", (unsigned long long)field->u64);
    } else if (field->kind == LOG_KIND_I64) {
        buf_add_format(line, "%lld", (long long)field->i64);
    } else {
        buf_add_format(line, "%.3f", field->f64);
    }
}

/* Lock held. A log that cannot be written has nowhere to complain: the result is ignored. */
static void write_all(const char *bytes, size_t len) {
    ssize_t written = write(STDERR_FILENO, bytes, len);
    (void)written;
}

void log_write(enum log_level level, const char *area, const char *event,
               const struct log_field *fields, size_t field_count) {
    bool json = logger.format == LOG_FORMAT_JSON;
    struct buf line;
    buf_init(&line, LINE_MAX_BYTES * 4);
    if (json) {
        buf_add_text(&line, "{\"time\":\"");
        add_time(&line);
        buf_add_format(&line, "\",\"level\":\"%s\",\"area\":\"%s\",\"event\":\"%s\"",
                       level_names[level], area, event);
    } else {
        add_time(&line);
        buf_add_format(&line, " %-5s %s %s", level_names[level], area, event);
    }
    for (size_t i = 0; i < field_count; i++) {
        add_field(&line, json, &fields[i]);
    }
    buf_add_text(&line, json ? "}\n" : "\n");

    pthread_mutex_lock(&logger.lock);
    if (logger.live[0] != '\0') {
        write_all("\r\033[K", 4);
    }
    if (line.failed) {
        static const char lost[] = "error log line-lost\n";
        write_all(lost, sizeof lost - 1);
    } else {
        write_all(line.data, line.len);
    }
    write_all(logger.live, strlen(logger.live));
    pthread_mutex_unlock(&logger.lock);
    buf_done(&line);
}

void log_live_line(const char *text) {
    pthread_mutex_lock(&logger.lock);
    if (logger.live[0] != '\0' || (text != NULL && text[0] != '\0')) {
        write_all("\r\033[K", 4);
    }
    (void)snprintf(logger.live, sizeof logger.live, "%s", text == NULL ? "" : text);
    write_all(logger.live, strlen(logger.live));
    pthread_mutex_unlock(&logger.lock);
}
