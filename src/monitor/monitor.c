#include "monitor/monitor.h"

#include "base/lane_wait.h"
#include "base/log.h"
#include "monitor/health.h"
#include "monitor/http_listen.h"
#include "monitor/prometheus.h"
#include "monitor/publisher.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <unistd.h>

enum {
    LOOK_MS = 1000,
    STATUS_MS = 10000,
    EXTEND_MS = 5000,             /* how often systemd is asked for more time, */
    STARTING_MAX_MS = 300 * 1000, /* and for how long at a start */
    LAST_PUBLISH_MS = 2000,       /* at the end */
};
#define EXTEND "EXTEND_TIMEOUT_USEC=30000000"

struct monitor {
    struct notify notify;
    struct http_listen *http; /* NULL: nowhere */
    const char *version;
    double started_s;

    struct lane *lane;
    const struct source *source; /* NULL: not started */
    struct source_stats stats;
    struct source_pulse pulse;
    struct health health;
    struct lane_timer timer;
    uint64_t look_ms;   /* between two looks */
    uint64_t looked_ms; /* when the last one was */
    uint64_t began_ms;
    uint64_t status_ms; /* when the last status was told, and how much was delivered then */
    uint64_t status_acked;
    uint64_t watchdog_ms; /* when the last WATCHDOG=1 went */
    uint64_t extended_ms;
    bool told_ready;
    bool told_stopping;
    bool was_alive;
    bool was_ready;
    struct lane_message message;

    /* CloudWatch; the first two are NULL without it. */
    struct service *service;
    struct publisher *publisher;
    struct page_pool *pages;
    struct service_http_options cloudwatch;
    struct str name_space;
    bool detailed;
    struct lane_timer publish_timer;
    uint64_t publish_ms;

    struct lane_wait wait; /* for the end */
};

/* ---- The log. */

static void log_change(const struct monitor *monitor) {
    const struct health *health = &monitor->health;
    if (!health->alive) {
        LOG_ERROR("health", "not-alive", LOG_TEXT("reason", health->reason));
    } else if (health->ready) {
        LOG_INFO("health", "ready");
    } else if (!monitor->pulse.stopping) {
        LOG_WARN("health", "not-ready", LOG_TEXT("reason", health->reason));
    }
}

/* ---- systemd. */

static bool is_due(uint64_t *last_ms, uint64_t now_ms, uint64_t every_ms) {
    if (now_ms - *last_ms < every_ms) {
        return false;
    }
    *last_ms = now_ms;
    return true;
}

static void tell_status(struct monitor *monitor, uint64_t now_ms, bool changed) {
    uint64_t elapsed_ms = now_ms - monitor->status_ms;
    if (!changed && elapsed_ms < STATUS_MS) {
        return;
    }
    const struct source_stats *stats = &monitor->stats;
    char text[NOTIFY_STATUS_MAX];
    uint64_t acked = stats->records_acked - monitor->status_acked;
    (void)snprintf(text, sizeof text, "%llu shards, %llu records/s, %llu.%llu s behind",
                   (unsigned long long)stats->shards_open,
                   (unsigned long long)(elapsed_ms > 0 ? acked * 1000 / elapsed_ms : 0),
                   (unsigned long long)stats->behind_ms / 1000,
                   (unsigned long long)stats->behind_ms % 1000 / 100);
    notify_status(&monitor->notify, monitor->health.ready ? text : monitor->health.reason);
    monitor->status_ms = now_ms;
    monitor->status_acked = stats->records_acked;
}

static void tell_systemd(struct monitor *monitor, uint64_t now_ms, bool changed) {
    const struct health *health = &monitor->health;
    const struct notify *notify = &monitor->notify;
    if (health->ready && !monitor->told_ready) {
        monitor->told_ready = true;
        notify_send(notify, "READY=1");
    }
    if (monitor->pulse.stopping && !monitor->told_stopping) {
        monitor->told_stopping = true;
        notify_send(notify, "STOPPING=1");
    }
    bool starting = !monitor->told_ready && now_ms - monitor->began_ms < STARTING_MAX_MS;
    if (health->alive && (starting || monitor->told_stopping) &&
        is_due(&monitor->extended_ms, now_ms, EXTEND_MS)) {
        notify_send(notify, EXTEND);
    }
    if (health->alive && notify->watchdog_ms > 0 &&
        is_due(&monitor->watchdog_ms, now_ms, notify->watchdog_ms / 2 - monitor->look_ms)) {
        notify_send(notify, "WATCHDOG=1");
    }
    tell_status(monitor, now_ms, changed);
}

/* ---- Looking. */

static void look(struct monitor *monitor) {
    uint64_t now_ms = lane_now_ms(monitor->lane);
    source_get_stats(monitor->source, &monitor->stats);
    source_get_pulse(monitor->source, &monitor->pulse);
    health_look(&monitor->health, &monitor->pulse, now_ms - monitor->looked_ms);
    monitor->looked_ms = now_ms;
    bool changed =
        monitor->health.alive != monitor->was_alive || monitor->health.ready != monitor->was_ready;
    if (changed) {
        log_change(monitor);
    }
    if (notify_is_open(&monitor->notify)) {
        tell_systemd(monitor, now_ms, changed);
    }
    monitor->was_alive = monitor->health.alive;
    monitor->was_ready = monitor->health.ready;
}

/* ---- HTTP. */

static uint64_t resident_bytes(void) {
    unsigned long long size = 0;
    unsigned long long resident = 0;
    FILE *file = fopen("/proc/self/statm", "re");
    if (file != NULL) {
        if (fscanf(file, "%llu %llu", &size, &resident) != 2) {
            resident = 0;
        }
        (void)fclose(file);
    }
    return resident * (uint64_t)sysconf(_SC_PAGESIZE);
}

static double cpu_s(void) {
    struct rusage usage;
    (void)getrusage(RUSAGE_SELF, &usage); /* cannot fail for oneself */
    return (double)(usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) +
           (double)(usage.ru_utime.tv_usec + usage.ru_stime.tv_usec) / 1000000;
}

static void answer_verdict(const struct monitor *monitor, bool well, struct http_answer *answer) {
    answer->status = well ? 200 : 503;
    buf_add_format(answer->body, "%s\n", well ? "ok" : monitor->health.reason);
}

static void answer_metrics(struct monitor *monitor, struct http_answer *answer) {
    struct publisher_stats published = {.published = 0};
    if (monitor->publisher != NULL) {
        publisher_get_stats(monitor->publisher, &published);
    }
    const struct prometheus_facts facts = {
        .stats = &monitor->stats,
        .pulse = &monitor->pulse,
        .health = &monitor->health,
        .published = &published,
        .version = monitor->version,
        .started_s = monitor->started_s,
        .cpu_s = cpu_s(),
        .resident_bytes = resident_bytes(),
    };
    answer->status = 200;
    answer->content_type = PROMETHEUS_CONTENT_TYPE;
    prometheus_write(&facts, answer->body);
}

/* A http_listen_fn. */
static void on_request(void *ctx, struct str path, struct http_answer *answer) {
    struct monitor *monitor = ctx;
    look(monitor);
    if (str_is(path, "/healthz")) {
        answer_verdict(monitor, monitor->health.alive, answer);
    } else if (str_is(path, "/readyz")) {
        answer_verdict(monitor, monitor->health.ready, answer);
    } else if (str_is(path, "/metrics")) {
        answer_metrics(monitor, answer);
    }
}

/* ---- CloudWatch. */

static void on_publish_timer(void *ctx) {
    struct monitor *monitor = ctx;
    publisher_publish(monitor->publisher);
    lane_timer_set_ms(&monitor->publish_timer, monitor->publish_ms);
}

static void start_publishing(struct monitor *monitor) {
    struct err err = ERR_NONE;
    monitor->pages = page_pool_new(0);
    monitor->cloudwatch.pages = monitor->pages;
    if (monitor->pages != NULL) {
        monitor->service = service_http_new(monitor->lane, &monitor->cloudwatch, &err);
    }
    if (monitor->service != NULL) {
        struct publisher_options options = {
            .service = monitor->service,
            .name_space = monitor->name_space,
            .detailed = monitor->detailed,
        };
        monitor->publisher = publisher_new(monitor->lane, &options);
    }
    if (monitor->publisher == NULL) {
        LOG_ERROR("monitor", "cannot-publish", LOG_ERR(&err));
        return;
    }
    lane_timer_init(&monitor->publish_timer, monitor->lane, on_publish_timer, monitor);
    lane_timer_set_ms(&monitor->publish_timer, monitor->publish_ms);
}

/* On their way to the lane. */
struct taken {
    struct lane_message message;
    struct monitor *monitor;
    struct measures *measures;
};

static void take(void *ctx) {
    struct taken *taken = ctx;
    if (taken->monitor->publisher != NULL) {
        publisher_take(taken->monitor->publisher, taken->measures);
    } else {
        measures_free(taken->measures);
    }
    free(taken);
}

void monitor_take(struct monitor *monitor, struct measures *measures) {
    struct taken *taken = calloc(1, sizeof *taken);
    if (taken == NULL) {
        measures_free(measures); /* as with all of them when memory is out */
        return;
    }
    taken->monitor = monitor;
    taken->measures = measures;
    lane_post(monitor->lane, &taken->message, take, taken);
}

/* ---- Life. */

static void on_timer(void *ctx) {
    struct monitor *monitor = ctx;
    look(monitor);
    if (monitor->publisher != NULL) {
        publisher_sample(monitor->publisher, &monitor->stats);
    }
    lane_timer_set_ms(&monitor->timer, monitor->look_ms);
}

/* Twice in a watchdog's half, so that a late look is not one too late. */
static uint64_t choose_look_ms(uint64_t watchdog_ms) {
    uint64_t quarter_ms = watchdog_ms / 4;
    return watchdog_ms == 0 || quarter_ms > LOOK_MS ? LOOK_MS : quarter_ms > 0 ? quarter_ms : 1;
}

struct monitor *monitor_new(const struct monitor_options *options, struct err *err) {
    struct monitor *monitor = calloc(1, sizeof *monitor);
    struct notify notify = options->notify;
    if (monitor == NULL) {
        notify_close(&notify);
        err_set(err, ERR_NOMEM, "no memory for the monitor");
        return NULL;
    }
    monitor->notify = notify;
    monitor->lane = options->lane;
    monitor->version = options->version;
    monitor->cloudwatch = options->cloudwatch;
    monitor->name_space = options->name_space;
    monitor->detailed = options->detailed;
    if (options->http_listen.len > 0) {
        monitor->http = http_listen_open(options->http_listen, err);
        if (monitor->http == NULL) {
            err_context(err, "httpListen");
            monitor_stop(monitor);
            return NULL;
        }
        LOG_INFO("monitor", "listening", LOG_TEXT("address", http_listen_address(monitor->http)));
    }
    return monitor;
}

static void begin(void *ctx) {
    struct monitor *monitor = ctx;
    uint64_t now_ms = lane_now_ms(monitor->lane);
    monitor->looked_ms = now_ms;
    monitor->began_ms = now_ms;
    monitor->status_ms = now_ms;
    if (monitor->http != NULL &&
        !http_listen_start(monitor->http, monitor->lane, on_request, monitor)) {
        LOG_ERROR("monitor", "cannot-listen");
    }
    if (monitor->cloudwatch.endpoint.ptr != NULL) {
        start_publishing(monitor);
    }
    lane_timer_init(&monitor->timer, monitor->lane, on_timer, monitor);
    on_timer(monitor);
}

void monitor_start(struct monitor *monitor, const struct source *source,
                   const struct source_options *source_options) {
    monitor->source = source;
    monitor->started_s = (double)lane_wall_ms(monitor->lane) / 1000;
    monitor->look_ms = choose_look_ms(monitor->notify.watchdog_ms);
    monitor->publish_ms = source_options->measure_ms;
    health_init(&monitor->health, source_options);
    monitor->was_alive = true;
    lane_post(monitor->lane, &monitor->message, begin, monitor);
}

static void all_closed(void *ctx) {
    struct monitor *monitor = ctx;
    page_pool_free(monitor->pages);
    lane_wait_done(&monitor->wait);
}

static void publisher_closed(void *ctx) {
    struct monitor *monitor = ctx;
    service_http_close(monitor->service, all_closed, monitor);
}

static void end(void *ctx) {
    struct monitor *monitor = ctx;
    lane_timer_cancel(&monitor->timer);
    http_listen_close(monitor->http);
    monitor->http = NULL;
    if (monitor->source != NULL && !monitor->told_stopping) { /* faster than the looks come */
        notify_send(&monitor->notify, "STOPPING=1");
    }
    if (monitor->publisher == NULL) {
        publisher_closed(monitor);
        return;
    }
    lane_timer_cancel(&monitor->publish_timer);
    source_get_stats(monitor->source, &monitor->stats);
    publisher_sample(monitor->publisher, &monitor->stats);
    publisher_publish(monitor->publisher);
    publisher_close(monitor->publisher, LAST_PUBLISH_MS, publisher_closed, monitor);
}

void monitor_stop(struct monitor *monitor) {
    if (monitor == NULL) {
        return;
    }
    lane_wait_run(&monitor->wait, monitor->lane, end, monitor);
    notify_close(&monitor->notify);
    free(monitor);
}
