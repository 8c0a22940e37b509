#include "cli/progress.h"

#include "base/log.h"

#include <stdio.h>
#include <unistd.h>

enum { LIVE_MS = 500, LOG_MS = 10000 };

void progress_start(struct progress *progress, uint64_t now_ms) {
    *progress = (struct progress){
        .live = isatty(STDERR_FILENO) == 1,
        .shown_ms = now_ms,
        .began_ms = now_ms,
    };
}

static uint64_t period_ms(const struct progress *progress) {
    return progress->live ? LIVE_MS : LOG_MS;
}

uint64_t progress_wait_ms(const struct progress *progress, uint64_t now_ms) {
    uint64_t due = progress->shown_ms + period_ms(progress);
    return due > now_ms ? due - now_ms : 0;
}

/* 1234567 as "1,234,567". */
static const char *grouped(uint64_t value, char to[32]) {
    char digits[24];
    int len = snprintf(digits, sizeof digits, "%llu", (unsigned long long)value);
    char *out = to;
    for (int i = 0; i < len; i++) {
        if (i > 0 && (len - i) % 3 == 0) {
            *out++ = ',';
        }
        *out++ = digits[i];
    }
    *out = '\0';
    return to;
}

static void show_live(const struct source_stats *stats, uint64_t rate) {
    char rate_text[32];
    char acked[32];
    char in_flight[32];
    char line[200];
    (void)snprintf(line, sizeof line,
                   "%s records/s | %s delivered | %s in flight | %llu.%llu s behind | %llu shard%s",
                   grouped(rate, rate_text), grouped(stats->records_acked, acked),
                   grouped(stats->in_flight, in_flight),
                   (unsigned long long)stats->behind_ms / 1000,
                   (unsigned long long)stats->behind_ms % 1000 / 100,
                   (unsigned long long)stats->shards_open, stats->shards_open == 1 ? "" : "s");
    log_live_line(line);
}

void progress_show(struct progress *progress, const struct source_stats *stats, uint64_t now_ms) {
    uint64_t elapsed = now_ms - progress->shown_ms;
    if (elapsed < period_ms(progress)) {
        return;
    }
    uint64_t rate = (stats->records_acked - progress->acked) * 1000 / elapsed;
    progress->shown_ms = now_ms;
    progress->acked = stats->records_acked;
    if (progress->live) {
        show_live(stats, rate);
        return;
    }
    LOG_INFO("source", "progress", LOG_U64("records_per_s", rate),
             LOG_U64("delivered", stats->records_acked), LOG_U64("in_flight", stats->in_flight),
             LOG_U64("behind_ms", stats->behind_ms), LOG_U64("shards", stats->shards_open));
}

void progress_end(struct progress *progress, const struct source_stats *stats, uint64_t now_ms) {
    if (progress->live) {
        log_live_line(NULL);
    }
    LOG_INFO("source", "ended", LOG_U64("read", stats->records_read),
             LOG_U64("delivered", stats->records_acked), LOG_U64("skipped", stats->records_skipped),
             LOG_U64("record_errors", stats->record_errors), LOG_U64("gaps", stats->gaps),
             LOG_U64("seconds", (now_ms - progress->began_ms) / 1000));
}
