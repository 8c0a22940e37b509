/*
 * monitor: looks every second at how the source goes, from a lane of its own, and tells whoever wants to know: probes and
 * scrapers over HTTP, systemd, the log. What it does never holds up the lanes that it looks at: it reads their counters.
 *
 * Main thread, but for what is said otherwise.
 */
#ifndef MONITOR_MONITOR_H
#define MONITOR_MONITOR_H

#include "aws/service_http.h"
#include "base/lane.h"
#include "monitor/notify.h"
#include "source/source.h"

struct monitor_options {
    struct lane *lane;      /* the monitor's alone; outlives it */
    struct str http_listen; /* "host:port"; empty: nowhere */
    struct notify notify;   /* taken over */
    const char *version;

    /* CloudWatch; an endpoint without pointer: nothing is published. All of it is borrowed for the monitor's life; pages are
     * its own. */
    struct service_http_options cloudwatch;
    struct str name_space;
    bool detailed;
};

struct monitor;

/* Listens already, and answers from monitor_start on. NULL and err (CONFIG) when the address cannot be had. */
struct monitor *monitor_new(const struct monitor_options *options, struct err *err);
/* The source's options are read in the call. The source outlives monitor_stop. */
void monitor_start(struct monitor *monitor, const struct source *source,
                   const struct source_options *source_options);
/* What a lane measured, to be published; taken over. Any thread, until monitor_stop. Without CloudWatch it is freed. */
void monitor_take(struct monitor *monitor, struct measures *measures);
/* Publishes what is left, for two seconds at most, ends what it does on the lane, waits for that, and frees it. Also without a start. NULL is fine. */
void monitor_stop(struct monitor *monitor);

#endif
