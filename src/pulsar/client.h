/*
 * client: what the producers of one lane share: the service's addresses, the connections, ids, and
 * memory. The inner side of struct pulsar_client; the outer one is producer.h.
 */
#ifndef PULSAR_CLIENT_H
#define PULSAR_CLIENT_H

#include "base/backoff.h"
#include "pulsar/connection.h"
#include "pulsar/outbox.h"
#include "pulsar/producer.h"

struct lane *client_lane(const struct pulsar_client *client);
uint32_t client_operation_timeout_ms(const struct pulsar_client *client);
struct backoff client_backoff(const struct pulsar_client *client);
struct batch_pool *client_batches(struct pulsar_client *client);
struct memory_budget *client_memory(struct pulsar_client *client);
/* NULL when there is none. */
char *client_listener_name(const struct pulsar_client *client);
/* Never 0; unique within the client, so that one connection can carry them all. */
uint64_t client_new_producer_id(struct pulsar_client *client);

/* The host of the service URL that is tried now. */
const struct address *client_service(const struct pulsar_client *client);
/* It could not be used: the next one is tried from now on. */
void client_service_failed(struct pulsar_client *client, const struct address *service);

/* Where a broker is that others name by these URLs, of which either may be NULL: the one for how
 * this client connects, with TLS or without. False and err (which may be NULL) when it is missing
 * (REFUSED) or makes no sense (PROTOCOL). */
bool client_broker_address(const struct pulsar_client *client, const char *url, const char *url_tls,
                           struct address *ret_address, struct err *err);

/* The one connection to logical by way of physical, a new one
 * if there is none. NULL when out of memory. */
struct connection *client_connection(struct pulsar_client *client, const struct address *logical,
                                     const struct address *physical);

/* A quarter of the memory budget is free. */
bool client_has_memory(const struct pulsar_client *client);
/* Embedded in who waits for that; all-zero at first. */
struct client_waiter {
    struct aws_linked_list_node node;
    bool waiting;
    void (*freed)(struct client_waiter *waiter);
};
/* `freed` comes once, in a later turn of the loop. Waiting already is fine. */
void client_wait_for_memory(struct pulsar_client *client, struct client_waiter *waiter);
/* Not waiting is fine. */
void client_forget_waiter(struct client_waiter *waiter);
/* The budget was charged less than before. */
void client_memory_freed(struct pulsar_client *client);

/* After PULSAR_AUTH, before it is taken for final: whether showing credentials once more can end
 * otherwise. Of an OAuth2 token, true after the first refusal since the last success, as another token
 * is had then; of a file or variable, if it says something else than what was refused. */
bool client_may_retry_auth(struct pulsar_client *client);

/* Producers count themselves, so that closing the client under one is noticed. */
void client_count_producer(struct pulsar_client *client, int change);

#endif
