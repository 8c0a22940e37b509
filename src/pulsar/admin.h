/*
 * admin: the one question that this client has for Pulsar's admin API (HTTP), since the binary protocol
 * does not answer it: does the broker recognise and leave out messages of a topic that it has stored
 * already? Public header. One lane; credentials and TLS files are those of the binary protocol.
 *
 * Asked of the topic's own state first, which every role may read that may produce; a topic that does
 * not exist yet gets its namespace's policy or, without one, the broker's default.
 */
#ifndef PULSAR_ADMIN_H
#define PULSAR_ADMIN_H

#include "pulsar/producer.h"

struct pulsar_admin;

struct pulsar_admin_options {
    /* Of it count auth_plugin, auth_params, operation_timeout_ms (for the whole question) and, with
     * https, the TLS files and tls_allow_insecure: the certificate must name the host in any case. */
    const struct pulsar_client_options *client;
    struct str web_service_url; /* see pulsar_admin_url_check; empty: nobody is asked */
    struct str topic;           /* full name, or short */
};

enum pulsar_deduplication {
    PULSAR_DEDUPLICATION_ON,
    PULSAR_DEDUPLICATION_OFF,     /* err: PULSAR_REFUSED, with the commands that switch it on */
    PULSAR_DEDUPLICATION_UNKNOWN, /* err: why it cannot be seen */
};

typedef void pulsar_deduplication_got(void *ctx, enum pulsar_deduplication state,
                                      const struct err *err);

/* Copies the options. done comes later, once, and the handle is gone with it. NULL and err (CONFIG for
 * a bad topic, URL, auth or TLS file; NOMEM) on failure. */
struct pulsar_admin *pulsar_admin_deduplication(struct lane *lane,
                                                const struct pulsar_admin_options *options,
                                                pulsar_deduplication_got *done, void *ctx,
                                                struct err *err);
/* done will not come. NULL is fine. */
void pulsar_admin_cancel(struct pulsar_admin *admin);

/* "http[s]://host[:port][,host[:port]...]", with or without a slash at the end, as webServiceUrl is
 * written; false and err (CONFIG) for anything else. Pure. */
bool pulsar_admin_url_check(struct str text, struct err *err);

#endif
