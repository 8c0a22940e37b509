#include "pulsar/client.h"

#include "pulsar/batch_pool.h"
#include "pulsar/lookup.h"
#include "pulsar/topic.h"

#include <aws/checksums/checksums.h>

#include <assert.h>
#include <pthread.h>
#include <stdlib.h>

enum {
    MAX_SERVICES = 64,
    POOL_KEEP_BYTES = 8 * 1024 * 1024,
    DEFAULT_CONNECT_TIMEOUT_MS = 10000,
    DEFAULT_OPERATION_TIMEOUT_MS = 30000,
    DEFAULT_KEEP_ALIVE_MS = 30000,
    DEFAULT_BACKOFF_INITIAL_MS = 100,
    DEFAULT_BACKOFF_MAX_MS = 5000,
};

/* pulsar_client_get_partitions. */
struct query {
    struct lookup lookup;
    struct aws_linked_list_node node;
    struct pulsar_client *client;
    char *topic;
    pulsar_partitions_got *done;
    void *ctx;
    struct err err; /* of a name that cannot be asked for, or of a client that closes: told from the
                       timer */
    struct lane_timer refuse_timer;
};

struct pooled {
    struct connection *connection;
    struct pooled *next;
};

struct pulsar_client {
    struct connection_config config;
    char *listener_name;
    struct backoff backoff;
    struct address services[MAX_SERVICES];
    size_t service_count;
    size_t service_index;
    struct pooled *pool;     /* connections that take users */
    size_t connection_count; /* all that are not freed */
    struct batch_pool batches;
    struct memory_budget memory;
    struct aws_linked_list waiters; /* for memory; first come, first served */
    struct lane_timer memory_timer;
    uint64_t last_producer_id;
    int producer_count;
    struct aws_linked_list queries;
    lane_fn *close_done; /* set: closing */
    void *close_ctx;
    struct lane_timer close_timer;
};

struct lane *client_lane(const struct pulsar_client *client) {
    return client->config.lane;
}

uint32_t client_operation_timeout_ms(const struct pulsar_client *client) {
    return client->config.operation_timeout_ms;
}

struct backoff client_backoff(const struct pulsar_client *client) {
    return client->backoff;
}

struct batch_pool *client_batches(struct pulsar_client *client) {
    return &client->batches;
}

struct memory_budget *client_memory(struct pulsar_client *client) {
    return &client->memory;
}

char *client_listener_name(const struct pulsar_client *client) {
    return client->listener_name;
}

uint64_t client_new_producer_id(struct pulsar_client *client) {
    return ++client->last_producer_id;
}

const struct address *client_service(const struct pulsar_client *client) {
    return &client->services[client->service_index];
}

void client_service_failed(struct pulsar_client *client, const struct address *service) {
    if (address_equal(service, client_service(client))) { /* else another one has said so already */
        client->service_index = (client->service_index + 1) % client->service_count;
    }
}

bool client_may_retry_auth(struct pulsar_client *client) {
    return auth_may_retry(client->config.auth);
}

bool client_broker_address(const struct pulsar_client *client, const char *url, const char *url_tls,
                           struct address *ret_address, struct err *err) {
    bool tls = client->config.tls != NULL;
    struct str ours = str_of(tls ? url_tls : url);
    if (ours.len == 0) {
        return err_set(err, ERR_PULSAR_REFUSED,
                       tls ? "the broker has no address with TLS (brokerServicePortTls), which a "
                             "service URL with pulsar+ssl:// wants"
                           : "the broker has an address with TLS only: the service URL must begin "
                             "with pulsar+ssl://");
    }
    /* Its scheme does not matter: a proxy gives one address for both, with the scheme by which it
     * reaches the broker itself. */
    bool url_wants_tls;
    size_t count;
    if (!address_parse_url(ours, ret_address, 1, &count, &url_wants_tls, err)) {
        if (err != NULL) { /* it is not our configuration */
            err->code = ERR_PULSAR_PROTOCOL;
            err->class = ERR_CLASS_RETRY;
        }
        return false;
    }
    return true;
}

void client_count_producer(struct pulsar_client *client, int change) {
    client->producer_count += change;
}

/* ---- Memory. */

uint64_t pulsar_client_held_bytes(const struct pulsar_client *client) {
    return client->memory.held_bytes;
}

bool client_has_memory(const struct pulsar_client *client) {
    return client->memory.held_bytes <= client->memory.max_bytes - client->memory.max_bytes / 4;
}

void client_wait_for_memory(struct pulsar_client *client, struct client_waiter *waiter) {
    if (!waiter->waiting) {
        waiter->waiting = true;
        aws_linked_list_push_back(&client->waiters, &waiter->node);
    }
}

void client_forget_waiter(struct client_waiter *waiter) {
    if (waiter->waiting) {
        waiter->waiting = false;
        aws_linked_list_remove(&waiter->node);
    }
}

void client_memory_freed(struct pulsar_client *client) {
    if (!aws_linked_list_empty(&client->waiters) && client_has_memory(client) &&
        !client->memory_timer.armed) {
        lane_timer_set_ms(&client->memory_timer, 0);
    }
}

/* A lane_fn. Who cannot use it up waits again, at the end of the list. */
static void tell_waiters(void *ctx) {
    struct pulsar_client *client = ctx;
    struct aws_linked_list turn;
    aws_linked_list_init(&turn);
    aws_linked_list_swap_contents(&turn, &client->waiters);
    while (!aws_linked_list_empty(&turn)) {
        struct client_waiter *waiter =
            AWS_CONTAINER_OF(aws_linked_list_front(&turn), struct client_waiter, node);
        client_forget_waiter(waiter);
        if (client_has_memory(client)) {
            waiter->freed(waiter);
        } else {
            client_wait_for_memory(client, waiter);
        }
    }
}

/* ---- Connections. */

static void free_client(struct pulsar_client *client) {
    lane_timer_cancel(&client->close_timer);
    lane_timer_cancel(&client->memory_timer);
    batch_pool_done(&client->batches);
    auth_free(client->config.auth);
    tls_free(client->config.tls);
    free(client->config.client_version);
    free(client->listener_name);
    free(client);
}

/* A lane_fn. */
static void finish_close(void *ctx) {
    struct pulsar_client *client = ctx;
    if (client->connection_count > 0 || !aws_linked_list_empty(&client->queries)) {
        return;
    }
    lane_fn *done = client->close_done;
    void *done_ctx = client->close_ctx;
    free_client(client);
    done(done_ctx);
}

static void advance_close(struct pulsar_client *client) {
    if (client->close_done != NULL) {
        lane_timer_set_ms(&client->close_timer, 0);
    }
}

static void connection_gone(struct connection *connection, void *ctx) {
    (void)connection;
    struct pulsar_client *client = ctx;
    client->connection_count--;
    advance_close(client);
}

static void connection_closing(struct connection *connection, void *ctx) {
    struct pulsar_client *client = ctx;
    struct pooled **at = &client->pool;
    while (*at != NULL && (*at)->connection != connection) {
        at = &(*at)->next;
    }
    if (*at != NULL) {
        struct pooled *gone = *at;
        *at = gone->next;
        free(gone);
    }
}

struct connection *client_connection(struct pulsar_client *client, const struct address *logical,
                                     const struct address *physical) {
    for (struct pooled *at = client->pool; at != NULL; at = at->next) {
        if (address_equal(connection_logical(at->connection), logical) &&
            address_equal(connection_physical(at->connection), physical)) {
            return at->connection;
        }
    }
    struct pooled *pooled = malloc(sizeof *pooled);
    if (pooled == NULL) {
        return NULL;
    }
    pooled->connection = connection_new(&client->config, logical, physical);
    if (pooled->connection == NULL) {
        free(pooled);
        return NULL;
    }
    pooled->next = client->pool;
    client->pool = pooled;
    client->connection_count++;
    return pooled->connection;
}

/* ---- Partitions of a topic. */

static void end_query(struct query *query, const struct err *err, uint32_t partitions) {
    struct pulsar_client *client = query->client;
    aws_linked_list_remove(&query->node);
    query->done(query->ctx, err, partitions);
    free(query->topic);
    free(query);
    advance_close(client);
}

static void query_answered(struct lookup *lookup, const struct err *err,
                           const struct lookup_result *result) {
    struct query *query = AWS_CONTAINER_OF(lookup, struct query, lookup);
    if (err == NULL) {
        end_query(query, NULL, result->partitions);
        return;
    }
    struct err with_topic = *err;
    err_context(&with_topic, "topic %s", query->topic);
    end_query(query, &with_topic, 0);
}

static void query_refused(void *ctx) {
    struct query *query = ctx;
    end_query(query, &query->err, 0);
}

void pulsar_client_get_partitions(struct pulsar_client *client, struct str topic,
                                  pulsar_partitions_got *done, void *ctx) {
    struct query *query = calloc(1, sizeof *query);
    if (query == NULL) {
        abort(); /* there is nothing left to tell it with */
    }
    query->client = client;
    query->done = done;
    query->ctx = ctx;
    aws_linked_list_push_back(&client->queries, &query->node);
    lane_timer_init(&query->refuse_timer, client->config.lane, query_refused, query);
    query->topic = topic_full_name(topic, &query->err);
    if (query->topic == NULL) {
        lane_timer_set_ms(&query->refuse_timer, 0);
        return;
    }
    lookup_start(&query->lookup, client, LOOKUP_PARTITIONS_UNCREATED, query->topic, NULL,
                 query_answered);
}

/* ---- Life. */

static uint32_t or_default(uint32_t value, uint32_t default_value) {
    return value != 0 ? value : default_value;
}

/* Finds out what the processor can do. Without it the first
 * frame would, which is a race between lanes. */
static void init_checksums(void) {
    aws_checksums_library_init(aws_default_allocator());
}

/* The certificate of authPlugin tls goes before that of the options. */
static bool set_tls(struct pulsar_client *client, const struct pulsar_client_options *options,
                    bool wanted, struct err *err) {
    const char *certificate;
    const char *key;
    auth_tls_files(client->config.auth, &certificate, &key);
    if (!wanted) {
        return certificate == NULL ||
               err_set(err, ERR_CONFIG, "authPlugin tls needs a serviceUrl with pulsar+ssl://");
    }
    struct tls_options tls_options = {
        .trust_certs_file = options->tls_trust_certs_file,
        .certificate_file =
            certificate != NULL ? str_of(certificate) : options->tls_certificate_file,
        .key_file = certificate != NULL ? str_of(key) : options->tls_key_file,
        .allow_insecure = options->tls_allow_insecure,
        .skip_hostname_verification = options->tls_skip_hostname_verification,
    };
    client->config.tls = tls_new(&tls_options, err);
    return client->config.tls != NULL;
}

struct pulsar_client *pulsar_client_new(struct lane *lane,
                                        const struct pulsar_client_options *options,
                                        struct err *err) {
    static pthread_once_t checksums = PTHREAD_ONCE_INIT;
    (void)pthread_once(&checksums, init_checksums);
    struct pulsar_client *client = calloc(1, sizeof *client);
    if (client == NULL) {
        err_set(err, ERR_NOMEM, "no memory for a Pulsar client");
        return NULL;
    }
    client->config = (struct connection_config){
        .lane = lane,
        .connect_timeout_ms = or_default(options->connect_timeout_ms, DEFAULT_CONNECT_TIMEOUT_MS),
        .operation_timeout_ms =
            or_default(options->operation_timeout_ms, DEFAULT_OPERATION_TIMEOUT_MS),
        .keep_alive_ms = or_default(options->keep_alive_ms, DEFAULT_KEEP_ALIVE_MS),
        .gone = connection_gone,
        .closing = connection_closing,
        .ctx = client,
    };
    client->backoff =
        backoff_make(or_default(options->backoff_initial_ms, DEFAULT_BACKOFF_INITIAL_MS),
                     or_default(options->backoff_max_ms, DEFAULT_BACKOFF_MAX_MS));
    batch_pool_init(&client->batches, POOL_KEEP_BYTES);
    client->memory.max_bytes = options->memory_budget != 0 ? options->memory_budget : SIZE_MAX;
    aws_linked_list_init(&client->waiters);
    aws_linked_list_init(&client->queries);
    lane_timer_init(&client->memory_timer, lane, tell_waiters, client);
    lane_timer_init(&client->close_timer, lane, finish_close, client);
    struct auth_options auth = {
        .plugin = options->auth_plugin,
        .params = options->auth_params,
        .timeout_ms = client->config.operation_timeout_ms,
        .backoff = client->backoff,
    };
    bool tls = false;
    if (!address_parse_url(str_trim(options->service_url), client->services, MAX_SERVICES,
                           &client->service_count, &tls, err) ||
        (client->config.auth = auth_new(lane, &auth, err)) == NULL ||
        !set_tls(client, options, tls, err)) {
        free_client(client);
        return NULL;
    }
    client->config.client_version = str_dup(options->client_version);
    if (options->listener_name.len > 0) {
        client->listener_name = str_dup(options->listener_name);
    }
    if (client->config.client_version == NULL ||
        (options->listener_name.len > 0 && client->listener_name == NULL)) {
        err_set(err, ERR_NOMEM, "no memory for a Pulsar client");
        free_client(client);
        return NULL;
    }
    /* Many clients with the same URL shall not all begin at its first host. */
    client->service_index = (size_t)rng_below(&lane->rng, client->service_count - 1);
    return client;
}

void pulsar_client_close(struct pulsar_client *client, lane_fn *done, void *ctx) {
    assert(client->producer_count == 0);
    client->close_done = done;
    client->close_ctx = ctx;
    struct err err;
    err_set(&err, ERR_CANCELLED, "the client closes");
    struct aws_linked_list_node *node = aws_linked_list_begin(&client->queries);
    for (; node != aws_linked_list_end(&client->queries); node = aws_linked_list_next(node)) {
        struct query *query = AWS_CONTAINER_OF(node, struct query, node);
        if (query->lookup.running) {
            lookup_cancel(&query->lookup);
            query->err = err;
            lane_timer_set_ms(&query->refuse_timer, 0);
        }
    }
    while (client->pool != NULL) {
        connection_close(client->pool->connection, &err); /* takes it out of the pool */
    }
    advance_close(client);
}
