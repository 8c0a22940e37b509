/*
 * runtime: everything that a source needs around it in this process: the CRT, TLS, credentials, lanes, services and
 * sinks, made from the configuration. One at a time; main thread.
 */
#ifndef CLI_RUNTIME_H
#define CLI_RUNTIME_H

#include "aws/credentials.h"
#include "aws/service_http.h"
#include "cli/worker_id.h"
#include "config/config.h"
#include "source/source.h"

struct runtime;

/* Starts the CRT, fetches credentials, makes lane 0. Borrows the configuration. NULL and err on failure. */
struct runtime *runtime_new(const struct config *config, struct err *err);
/* After all services, clients and sources have ended. Waits for the threads. NULL is fine. */
void runtime_free(struct runtime *runtime);

struct lane *runtime_lane(struct runtime *runtime);
/* Where the keys come from: those of the stream, and those of the lease table when it has its own. */
void runtime_credentials_source(const struct runtime *runtime, struct buf *to);

/* On a lane: the services and the client's options as configured. */
struct service *runtime_streams_service(struct runtime *runtime, struct lane *lane,
                                        struct page_pool *pages, struct err *err);
struct service *runtime_table_service(struct runtime *runtime, struct lane *lane,
                                      struct page_pool *pages, struct err *err);
struct pulsar_client_options runtime_pulsar_options(const struct runtime *runtime);

/* The endpoints in use, for messages. Borrowed. */
const char *runtime_streams_endpoint(const struct runtime *runtime);
const char *runtime_table_endpoint(const struct runtime *runtime);
const char *runtime_metrics_endpoint(const struct runtime *runtime); /* empty: none are published */

struct runtime_run {
    bool keep_leases; /* else: nothing is kept, every start is a first start */
    bool until_caught_up;
    bool show_progress; /* live line or log lines */
    bool monitored;     /* httpListen, systemd and CloudWatch are told how it goes */
};

/* Reads the stream into the configured sink until a signal, the end, or an error. err is set when it did not end well;
 * returns the exit code. */
int runtime_run(struct runtime *runtime, const struct runtime_run *run, struct err *err);

#endif
