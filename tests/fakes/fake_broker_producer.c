/* The producers of fake_broker: who may send to a topic, and who has to wait or go. */
#include "fakes/fake_broker_state.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

struct fake_broker_producer *fake_broker_find_producer(const struct fake_broker_conn *conn,
                                                       uint64_t id) {
    struct fake_broker_producer *producer = conn->producers;
    while (producer != NULL && producer->id != id) {
        producer = producer->next;
    }
    return producer;
}

/* ---- walking over the producers of a topic, those of strangers too ---- */

struct walk {
    struct fake_broker_conn *conn;
    struct fake_broker_producer *producer;
    struct fake_broker_producer *next;
};

static struct walk walk_begin(struct fake_broker *broker) {
    return (struct walk){.conn = &broker->nobody, .next = broker->nobody.producers};
}

/* False at the end. The producer may be dropped before the next step. */
static bool walk_on(struct walk *walk, struct str topic) {
    do {
        walk->producer = walk->next;
        while (walk->producer == NULL) {
            const struct fake_broker *broker = walk->conn->broker;
            walk->conn = walk->conn == &broker->nobody ? broker->conns : walk->conn->next;
            if (walk->conn == NULL) {
                return false;
            }
            walk->producer = walk->conn->producers;
        }
        walk->next = walk->producer->next;
    } while (!str_is(topic, walk->producer->topic));
    return true;
}

/* Who has a topic. */
struct occupancy {
    size_t producers; /* of any kind */
    bool exclusive;
    bool waiting;
};

static struct occupancy occupancy_of(struct fake_broker *broker, struct str topic,
                                     const struct fake_broker_producer *except) {
    struct occupancy occupancy = {.producers = 0};
    for (struct walk walk = walk_begin(broker); walk_on(&walk, topic);) {
        if (walk.producer == except) {
            continue;
        }
        if (walk.producer->standing == FAKE_BROKER_WAITS) {
            occupancy.waiting = true;
        } else if (walk.producer->standing != FAKE_BROKER_EVICTED) {
            occupancy.producers++;
            occupancy.exclusive = occupancy.exclusive || walk.producer->exclusive;
        }
    }
    return occupancy;
}

/* ---- coming and going ---- */

static void answer_success(struct fake_broker_conn *conn,
                           const struct fake_broker_producer *producer) {
    struct fake_broker *broker = conn->broker;
    struct str topic = str_of(producer->topic);
    uint8_t version[8];
    for (size_t i = 0; i < sizeof version; i++) {
        version[i] = (uint8_t)((uint64_t)producer->schema_version >> (56 - 8 * i));
    }
    Pulsar__BaseCommand command = PULSAR__BASE_COMMAND__INIT;
    Pulsar__CommandProducerSuccess body = PULSAR__COMMAND_PRODUCER_SUCCESS__INIT;
    command.type = PULSAR__BASE_COMMAND__TYPE__PRODUCER_SUCCESS;
    command.producer_success = &body;
    body.request_id = producer->request_id;
    body.producer_name = producer->name;
    body.has_last_sequence_id = 1;
    body.last_sequence_id =
        broker->dedup ? fake_broker_store_persisted(&broker->store, topic, str_of(producer->name))
                      : -1;
    body.has_schema_version = 1; /* brokers send an empty one for "none" */
    body.schema_version.data = version;
    body.schema_version.len = producer->schema_version < 0 ? 0 : sizeof version;
    body.has_topic_epoch = producer->topic_epoch >= 0;
    body.topic_epoch = (uint64_t)producer->topic_epoch;
    body.has_producer_ready = 1;
    body.producer_ready = producer->standing != FAKE_BROKER_WAITS;
    fake_broker_answer(conn, "PRODUCER", topic, &command, 0);
}

/* Gives the topic to the producer alone. False when there are too many topics. */
static bool occupy(struct fake_broker *broker, struct fake_broker_producer *producer) {
    struct err ignored = ERR_NONE;
    struct fake_broker_topic *topic = fake_broker_topic(broker, str_of(producer->topic), &ignored);
    if (topic == NULL) {
        return false;
    }
    /* One that had the topic before comes with the epoch of then. */
    topic->epoch = producer->topic_epoch >= 0 ? producer->topic_epoch : topic->epoch + 1;
    producer->topic_epoch = topic->epoch;
    producer->standing = FAKE_BROKER_LIVES;
    return true;
}

/* Nobody has the topic any more: the one that waits longest may have it. */
static void next_turn(struct fake_broker *broker, struct str topic) {
    struct walk first = {.producer = NULL};
    for (struct walk walk = walk_begin(broker); walk_on(&walk, topic);) {
        if (walk.producer->standing == FAKE_BROKER_WAITS &&
            (first.producer == NULL || walk.producer->since < first.producer->since)) {
            first = walk;
        }
    }
    if (first.producer != NULL && occupancy_of(broker, topic, NULL).producers == 0) {
        if (occupy(broker, first.producer)) {
            answer_success(first.conn, first.producer);
        } else {
            fake_conn_abort(first.conn->conn);
        }
    }
}

static void producer_free(struct fake_broker_producer *producer) {
    free(producer->topic);
    free(producer->name);
    free(producer->uuid);
    free(producer);
}

void fake_broker_drop_producer(struct fake_broker_conn *conn,
                               struct fake_broker_producer *producer) {
    struct fake_broker_producer **place = &conn->producers;
    while (*place != producer) {
        place = &(*place)->next;
    }
    *place = producer->next;
    conn->broker->counts.live_producers--;
    next_turn(conn->broker, str_of(producer->topic));
    producer_free(producer);
}

static struct fake_broker_producer *add_producer(struct fake_broker_conn *conn, struct str topic,
                                                 struct str name) {
    struct fake_broker *broker = conn->broker;
    struct fake_broker_producer *producer = calloc(1, sizeof *producer);
    if (producer == NULL) {
        return NULL;
    }
    *producer = (struct fake_broker_producer){
        .topic = str_dup(topic),
        .name = str_dup(name),
        .since = broker->next_turn++,
        .topic_epoch = -1,
        .schema_version = -1,
        .last_sequence_id = -1,
    };
    if (producer->topic == NULL || producer->name == NULL) {
        producer_free(producer);
        return NULL;
    }
    producer->next = conn->producers;
    conn->producers = producer;
    broker->counts.live_producers++;
    return producer;
}

bool fake_broker_stranger(struct fake_broker *broker, struct str topic, struct str name,
                          bool comes) {
    if (comes) {
        return add_producer(&broker->nobody, topic, name) != NULL;
    }
    for (struct walk walk = walk_begin(broker); walk_on(&walk, topic);) {
        if (walk.conn == &broker->nobody && str_is(name, walk.producer->name)) {
            fake_broker_drop_producer(walk.conn, walk.producer);
            break;
        }
    }
    return true;
}

/* ---- PRODUCER ---- */

/* Whether another one has the name on the topic. */
static bool name_is_taken(struct fake_broker *broker, const Pulsar__CommandProducer *request,
                          const struct fake_broker_producer *former) {
    for (struct walk walk = walk_begin(broker); walk_on(&walk, str_of(request->topic));) {
        const struct fake_broker_producer *producer = walk.producer;
        if (producer != former && producer->standing != FAKE_BROKER_WAITS &&
            producer->standing != FAKE_BROKER_EVICTED &&
            strcmp(producer->name, request->producer_name) == 0) {
            return true;
        }
    }
    return false;
}

/* Whether the request makes the producer that has its id anew: of the same name, a later epoch. */
static bool succeeds(const Pulsar__CommandProducer *request,
                     const struct fake_broker_producer *former) {
    return former->standing == FAKE_BROKER_EVICTED ||
           (strcmp(former->topic, request->topic) == 0 && request->producer_name != NULL &&
            strcmp(former->name, request->producer_name) == 0 && request->epoch > former->epoch);
}

/* What the topic's state says of any new producer. */
static const char *topic_refuses(struct fake_broker_conn *conn, struct str name,
                                 Pulsar__ServerError *ret_error) {
    const struct fake_broker_topic *topic = fake_broker_find_any(conn->broker, name);
    if (fake_broker_owner(conn->broker, name) != conn->number) {
        *ret_error = PULSAR__SERVER_ERROR__ServiceNotReady;
        return "Namespace bundle is not owned by this broker";
    }
    if (topic != NULL && topic->deleted) {
        *ret_error = PULSAR__SERVER_ERROR__TopicNotFound;
        return "Topic does not exist";
    }
    if (topic != NULL && topic->quota != 0) {
        *ret_error = topic->quota;
        return "Cannot create producer on topic with backlog quota exceeded";
    }
    if (topic != NULL && topic->terminated) {
        *ret_error = PULSAR__SERVER_ERROR__TopicTerminatedError;
        return "Topic was already terminated";
    }
    return NULL;
}

/* What the others on the topic, but for its former self, leave to one of this access mode. */
static const char *others_refuse(struct fake_broker *broker, const Pulsar__CommandProducer *request,
                                 const struct fake_broker_producer *former,
                                 Pulsar__ServerError *ret_error, bool *ret_waits) {
    struct str name = str_of(request->topic);
    const struct fake_broker_topic *topic = fake_broker_find_topic(broker, name);
    struct occupancy others = occupancy_of(broker, name, former);
    if (request->producer_access_mode == PULSAR__PRODUCER_ACCESS_MODE__Shared) {
        *ret_error = PULSAR__SERVER_ERROR__ProducerBusy;
        return others.exclusive || others.waiting ? "Topic has an existing exclusive producer"
                                                  : NULL;
    }
    *ret_error = PULSAR__SERVER_ERROR__ProducerFenced;
    if (request->has_topic_epoch && topic != NULL && topic->epoch >= 0 &&
        request->topic_epoch < (uint64_t)topic->epoch) {
        return "Topic epoch has already moved on";
    }
    if (request->producer_access_mode == PULSAR__PRODUCER_ACCESS_MODE__Exclusive) {
        return others.producers > 0 || others.waiting ? "Topic has existing producers" : NULL;
    }
    *ret_waits = request->producer_access_mode == PULSAR__PRODUCER_ACCESS_MODE__WaitForExclusive &&
                 (others.producers > 0 || others.waiting);
    return NULL;
}

static void evict_all(struct fake_broker *broker, struct str topic,
                      const struct fake_broker_producer *except) {
    for (struct walk walk = walk_begin(broker); walk_on(&walk, topic);) {
        if (walk.producer == except) {
            continue;
        }
        if (walk.producer->standing == FAKE_BROKER_WAITS) {
            fake_broker_answer_error(walk.conn, walk.producer->request_id,
                                     PULSAR__SERVER_ERROR__ProducerFenced, "Fenced out");
        }
        if (walk.conn == &broker->nobody || walk.producer->standing == FAKE_BROKER_WAITS) {
            fake_broker_drop_producer(walk.conn, walk.producer);
        } else {
            walk.producer->standing = FAKE_BROKER_EVICTED;
        }
    }
}

static const char *schema_refuses(struct fake_broker *broker,
                                  const Pulsar__CommandProducer *request, int64_t *ret_version) {
    int32_t partition;
    *ret_version = -1;
    if (request->schema == NULL) {
        return NULL;
    }
    *ret_version = fake_schemas_register(&broker->store.schemas,
                                         fake_topic_split(str_of(request->topic), &partition),
                                         request->schema);
    return *ret_version < 0 ? "Incompatible schema used" : NULL;
}

/* What no client does. */
static const char *is_wrong(const struct fake_broker_conn *conn,
                            const Pulsar__CommandProducer *request) {
    bool has_name = request->producer_name != NULL && request->producer_name[0] != '\0';
    if (conn->at_proxy) {
        return "a PRODUCER at the proxy, without proxy_to_broker_url in CONNECT";
    }
    if (request->schema != NULL && request->schema->type == 0) {
        return "a schema of type BYTES is sent, which means none";
    }
    if (has_name && !request->user_provided_producer_name &&
        strncmp(request->producer_name, "fake-", 5) != 0) {
        return "a name that no broker gave is said to be a broker's";
    }
    return NULL;
}

static void make_producer(struct fake_broker_conn *conn, const Pulsar__CommandProducer *request,
                          struct fake_broker_producer *former, int64_t schema_version, bool waits) {
    struct fake_broker *broker = conn->broker;
    char given[64];
    (void)snprintf(given, sizeof given, "fake-%zu-%" PRIu64, conn->number, broker->names_given);
    bool has_name = request->producer_name != NULL && request->producer_name[0] != '\0';
    struct str topic = str_of(request->topic);
    struct fake_broker_producer *producer =
        add_producer(conn, topic, str_of(has_name ? request->producer_name : given));
    if (producer == NULL) {
        fake_conn_abort(conn->conn);
        return;
    }
    if (former != NULL) {
        fake_broker_drop_producer(conn, former);
    }
    broker->names_given += has_name ? 0 : 1;
    broker->counts.producers++;
    producer->id = request->producer_id;
    producer->epoch = request->epoch;
    producer->request_id = request->request_id;
    producer->exclusive = request->producer_access_mode != PULSAR__PRODUCER_ACCESS_MODE__Shared;
    producer->topic_epoch = request->has_topic_epoch ? (int64_t)request->topic_epoch : -1;
    producer->schema_version = schema_version;
    if (request->producer_access_mode == PULSAR__PRODUCER_ACCESS_MODE__ExclusiveWithFencing) {
        evict_all(broker, topic, producer);
    }
    if (waits) {
        producer->standing = FAKE_BROKER_WAITS;
    } else if (producer->exclusive && !occupy(broker, producer)) {
        fake_conn_abort(conn->conn);
        return;
    }
    answer_success(conn, producer);
}

void fake_broker_on_producer(struct fake_broker_conn *conn,
                             const Pulsar__CommandProducer *request) {
    struct fake_broker *broker = conn->broker;
    struct str topic = str_of(request->topic);
    bool has_name = request->producer_name != NULL && request->producer_name[0] != '\0';
    const struct fake_fault *fault;
    const char *why;
    Pulsar__ServerError error;
    int64_t schema_version;
    bool waits = false;
    if (fake_broker_dropped(conn, "PRODUCER", topic)) {
        return;
    }
    struct fake_broker_producer *former = fake_broker_find_producer(conn, request->producer_id);
    bool follows = former != NULL && succeeds(request, former);
    bool takes_all =
        request->producer_access_mode == PULSAR__PRODUCER_ACCESS_MODE__ExclusiveWithFencing;
    if ((why = is_wrong(conn, request)) != NULL) {
        fake_broker_wrong(conn, why);
    } else if ((fault = fake_broker_failure(conn, "PRODUCER", topic)) != NULL) {
        fake_broker_answer_error(conn, request->request_id, (Pulsar__ServerError)fault->number,
                                 fault->text);
    } else if ((why = topic_refuses(conn, topic, &error)) != NULL) {
        fake_broker_answer_error(conn, request->request_id, error, why);
    } else if ((why = schema_refuses(broker, request, &schema_version)) != NULL) {
        fake_broker_answer_error(conn, request->request_id,
                                 PULSAR__SERVER_ERROR__IncompatibleSchema, why);
    } else if ((why = others_refuse(broker, request, former, &error, &waits)) != NULL) {
        fake_broker_answer_error(conn, request->request_id, error, why);
    } else if (has_name && !takes_all && name_is_taken(broker, request, follows ? former : NULL)) {
        fake_broker_answer_error(conn, request->request_id, PULSAR__SERVER_ERROR__ProducerBusy,
                                 "Producer with that name is already connected to topic");
    } else if (former != NULL && !follows) {
        fake_broker_wrong(conn, "a PRODUCER uses the id of a living one");
    } else {
        make_producer(conn, request, former, schema_version, waits);
    }
}

void fake_broker_on_close_producer(struct fake_broker_conn *conn,
                                   const Pulsar__CommandCloseProducer *request) {
    struct fake_broker_producer *producer = fake_broker_find_producer(conn, request->producer_id);
    char name[512] = "";
    if (producer != NULL) {
        (void)str_copy(str_of(producer->topic), name, sizeof name);
        if (fake_broker_dropped(conn, "CLOSE_PRODUCER", str_of(name))) {
            return;
        }
        fake_broker_drop_producer(conn, producer);
        conn->broker->counts.closed_producers++;
    }
    Pulsar__BaseCommand command = PULSAR__BASE_COMMAND__INIT;
    Pulsar__CommandSuccess body = PULSAR__COMMAND_SUCCESS__INIT;
    command.type = PULSAR__BASE_COMMAND__TYPE__SUCCESS;
    command.success = &body;
    body.request_id = request->request_id;
    fake_broker_answer(conn, "CLOSE_PRODUCER", str_of(name), &command, 0);
}
