/* The messages of fake_broker: every SEND is checked, judged, stored and answered. */
#include "fakes/fake_broker_state.h"

#include <stdlib.h>

enum { LEDGER = 7 };

/* ---- answers ---- */

static bool takes(struct fake_broker_conn *conn, enum fake_broker_fault kind, struct str topic) {
    return fake_faults_take(&conn->broker->faults, kind, STR("SEND"), topic) != NULL;
}

static uint64_t highest_of(const Pulsar__CommandSend *send) {
    return send->highest_sequence_id > send->sequence_id ? send->highest_sequence_id
                                                         : send->sequence_id;
}

/* duplicate: the ids of what is not stored, since it was before. */
static void answer_send(struct fake_broker_conn *conn, const Pulsar__CommandSend *send,
                        struct str topic, uint64_t entry, bool duplicate, uint64_t delay_ms) {
    Pulsar__BaseCommand command = PULSAR__BASE_COMMAND__INIT;
    Pulsar__CommandSendReceipt body = PULSAR__COMMAND_SEND_RECEIPT__INIT;
    Pulsar__MessageIdData id = PULSAR__MESSAGE_ID_DATA__INIT;
    command.type = PULSAR__BASE_COMMAND__TYPE__SEND_RECEIPT;
    command.send_receipt = &body;
    body.producer_id = send->producer_id;
    body.sequence_id = send->sequence_id;
    body.message_id = &id;
    body.has_highest_sequence_id = send->has_highest_sequence_id;
    body.highest_sequence_id = send->highest_sequence_id;
    bool twice = false;
    if (conn->broker->faults.count > 0) {
        if (takes(conn, FAKE_BROKER_FAULT_RECEIPT_FUTURE, topic)) {
            body.sequence_id = highest_of(send) + 1000;
        } else if (takes(conn, FAKE_BROKER_FAULT_RECEIPT_LAST, topic)) {
            body.sequence_id = highest_of(send);
        }
        duplicate = takes(conn, FAKE_BROKER_FAULT_RECEIPT_DUPLICATE, topic) || duplicate;
        twice = takes(conn, FAKE_BROKER_FAULT_RECEIPT_STALE, topic);
    }
    id.ledger_id = duplicate ? UINT64_MAX : LEDGER;
    id.entry_id = duplicate ? UINT64_MAX : entry;
    delay_ms += conn->broker->receipt_delay_ms;
    fake_broker_answer(conn, "SEND", topic, &command, delay_ms);
    if (twice) {
        fake_broker_answer(conn, "SEND", topic, &command, delay_ms);
    }
}

static void answer_send_error(struct fake_broker_conn *conn, const Pulsar__CommandSend *send,
                              Pulsar__ServerError error, const char *message) {
    Pulsar__BaseCommand command = PULSAR__BASE_COMMAND__INIT;
    Pulsar__CommandSendError body = PULSAR__COMMAND_SEND_ERROR__INIT;
    command.type = PULSAR__BASE_COMMAND__TYPE__SEND_ERROR;
    command.send_error = &body;
    body.producer_id = send->producer_id;
    body.sequence_id = highest_of(send); /* unlike a receipt */
    body.error = error;
    body.message = (char *)(uintptr_t)message; /* protobuf-c has no const, and does not write */
    conn->broker->counts.send_errors++;
    fake_broker_send(conn, &command);
}

/* ---- checks ---- */

/* The schema that was registered, as the 8 bytes that PRODUCER_SUCCESS told. */
static bool schema_is_right(const struct fake_broker_producer *producer,
                            const Pulsar__MessageMetadata *metadata) {
    if (producer->schema_version < 0 || !metadata->has_schema_version) {
        return producer->schema_version < 0 && !metadata->has_schema_version;
    }
    uint64_t version = 0;
    for (size_t i = 0; i < metadata->schema_version.len; i++) {
        version = version << 8 | metadata->schema_version.data[i];
    }
    return metadata->schema_version.len == 8 && version == (uint64_t)producer->schema_version;
}

/* The chunks of a message come one after the other. False when out of memory. */
static bool follow_chunks(struct fake_broker_producer *producer,
                          const Pulsar__MessageMetadata *metadata) {
    bool whole = metadata->uuid == NULL || metadata->chunk_id == metadata->num_chunks_from_msg - 1;
    free(producer->uuid);
    producer->uuid = whole ? NULL : str_dup(str_of(metadata->uuid));
    return whole || producer->uuid != NULL;
}

/* Whether the entry may come now. */
static bool fits(struct fake_broker *broker, struct fake_broker_producer *producer,
                 const Pulsar__MessageMetadata *metadata, struct str payload, struct err *err) {
    const char *wrong = NULL;
    bool goes_on = producer->uuid != NULL;
    if (goes_on && (metadata->uuid == NULL || strcmp(producer->uuid, metadata->uuid) != 0)) {
        wrong = "another entry comes between the chunks of a message";
    } else if (broker->strict && !goes_on &&
               (int64_t)metadata->sequence_id <= producer->last_sequence_id) {
        wrong = "sequence ids do not rise from entry to entry";
    } else if (!schema_is_right(producer, metadata)) {
        wrong = "schema_version is not what PRODUCER_SUCCESS said";
    }
    if (wrong != NULL) {
        return err_set(err, ERR_PULSAR_PROTOCOL, "%s", wrong);
    }
    producer->last_sequence_id = (int64_t)metadata->sequence_id;
    if (!follow_chunks(producer, metadata)) {
        return err_set(err, ERR_NOMEM, "a uuid");
    }
    return !broker->strict || fake_broker_store_same_again(&broker->store, str_of(producer->topic),
                                                           metadata, payload, err);
}

/* ---- storing ---- */

struct storing {
    struct fake_broker *broker;
    const struct fake_broker_producer *producer;
    bool duplicate; /* it is checked all the same */
    uint64_t entry;
};

/* What a Key_Shared consumer is chosen by. */
static struct str dispatch_key(const char *key, struct str ordering_key) {
    return ordering_key.ptr != NULL ? ordering_key : key != NULL ? str_of(key) : STR_NONE;
}

static bool store_message(void *ctx, const Pulsar__MessageMetadata *metadata,
                          const struct fake_decoded *message, struct err *err) {
    struct storing *storing = ctx;
    if (storing->broker->key_based && message->batch_index >= 0) {
        struct str ordering_key =
            metadata->has_ordering_key
                ? str_make((const char *)metadata->ordering_key.data, metadata->ordering_key.len)
                : STR_NONE;
        if (!str_equal(dispatch_key(metadata->partition_key, ordering_key),
                       dispatch_key(message->key, message->ordering_key))) {
            return err_set(err, ERR_PULSAR_PROTOCOL, "a batch holds messages of another key");
        }
    }
    return storing->duplicate ||
           fake_broker_store_add(&storing->broker->store, str_of(storing->producer->topic),
                                 metadata, message, storing->entry, err);
}

static void write_done(struct fake_broker_write *write) {
    free(write->topic);
    free(write->name);
    free(write);
}

void fake_broker_drop_writes(struct fake_broker *broker) {
    while (broker->writes != NULL) {
        struct fake_broker_write *write = broker->writes;
        broker->writes = write->next;
        write_done(write);
    }
}

static void written(void *ctx, struct fake_conn *unused) {
    struct fake_broker *broker = ctx;
    (void)unused;
    uint64_t now = fake_server_now_ms();
    for (struct fake_broker_write **place = &broker->writes; *place != NULL;) {
        struct fake_broker_write *write = *place;
        if (write->due_ms > now) {
            place = &write->next;
            continue;
        }
        (void)fake_broker_store_persist(&broker->store, str_of(write->topic), str_of(write->name),
                                        write->sequence_id);
        *place = write->next;
        write_done(write);
    }
}

/* Pushed now, safe in persist_delay_ms. False when out of memory. */
static bool write_entry(struct fake_broker *broker, const struct fake_broker_producer *producer,
                        int64_t sequence_id) {
    struct str topic = str_of(producer->topic);
    struct str name = str_of(producer->name);
    if (!fake_broker_store_push(&broker->store, topic, name, sequence_id)) {
        return false;
    }
    if (broker->persist_delay_ms == 0) {
        return fake_broker_store_persist(&broker->store, topic, name, sequence_id);
    }
    struct fake_broker_write *write = calloc(1, sizeof *write);
    if (write == NULL) {
        return false;
    }
    *write = (struct fake_broker_write){.next = broker->writes,
                                        .due_ms = fake_server_now_ms() + broker->persist_delay_ms,
                                        .sequence_id = sequence_id,
                                        .topic = str_dup(topic),
                                        .name = str_dup(name)};
    if (write->topic == NULL || write->name == NULL ||
        !fake_server_after(broker->server, broker->persist_delay_ms, written, broker, NULL)) {
        write_done(write);
        return false;
    }
    broker->writes = write;
    return true;
}

/* ---- SEND ---- */

enum verdict { NEW, DUPLICATE, UNKNOWN };

/* The whole entry is judged by its lowest id, and a message in chunks by its last one. */
static enum verdict judge(const struct fake_broker *broker,
                          const struct fake_broker_producer *producer,
                          const Pulsar__CommandSend *send) {
    struct str topic = str_of(producer->topic);
    struct str name = str_of(producer->name);
    int64_t id = (int64_t)send->sequence_id;
    return !broker->dedup || id > fake_broker_store_pushed(&broker->store, topic, name) ? NEW
           : id <= fake_broker_store_persisted(&broker->store, topic, name)             ? DUPLICATE
                                                                                        : UNKNOWN;
}

/* False with err: the client broke the protocol. */
static bool take_entry(struct fake_broker_conn *conn, struct fake_broker_producer *producer,
                       const Pulsar__CommandSend *send, const struct fake_entry *entry,
                       struct err *err) {
    struct fake_broker *broker = conn->broker;
    struct str topic = str_of(producer->topic);
    struct str body = entry->body;
    enum fake_chunk_result result = FAKE_CHUNK_WHOLE;
    if (send->is_chunk) {
        result = fake_chunks_add(&broker->store.chunks, topic, entry->metadata, body, &body, err);
    }
    if (result == FAKE_CHUNK_BAD) {
        return false;
    }
    enum verdict verdict = result == FAKE_CHUNK_MORE ? NEW : judge(broker, producer, send);
    if (verdict == UNKNOWN) {
        answer_send_error(conn, send, PULSAR__SERVER_ERROR__PersistenceError,
                          "Cannot determine whether the message is a duplicate at this time");
        return true;
    }
    if (result == FAKE_CHUNK_MORE || (result == FAKE_CHUNK_AGAIN && verdict == NEW)) {
        answer_send(conn, send, topic, broker->next_entry++, false, 0);
        return true;
    }
    struct storing storing = {.broker = broker,
                              .producer = producer,
                              .duplicate = verdict == DUPLICATE,
                              .entry = broker->next_entry};
    if (result != FAKE_CHUNK_AGAIN &&
        !fake_entry_decode(entry->metadata, body, store_message, &storing, err)) {
        return false;
    }
    if (send->is_chunk) {
        fake_chunks_end(&broker->store.chunks, topic, entry->metadata->uuid);
    }
    uint64_t messages = (uint64_t)send->num_messages;
    if (verdict == DUPLICATE) {
        broker->counts.duplicates += messages;
        answer_send(conn, send, topic, 0, true, 0);
        return true;
    }
    broker->counts.messages += messages;
    if (!write_entry(broker, producer, (int64_t)highest_of(send))) {
        return err_set(err, ERR_NOMEM, "an entry");
    }
    answer_send(conn, send, topic, broker->next_entry++, false, broker->persist_delay_ms);
    return true;
}

/* Answers what is not even looked at. False: go on. */
static bool refused(struct fake_broker_conn *conn, struct fake_broker_producer *producer,
                    const Pulsar__CommandSend *send) {
    struct str name = str_of(producer->topic);
    const struct fake_broker_topic *topic = fake_broker_find_any(conn->broker, name);
    const struct fake_fault *fault;
    if (producer->standing == FAKE_BROKER_EVICTED) {
        answer_send_error(conn, send, PULSAR__SERVER_ERROR__PersistenceError, "Producer is closed");
    } else if (producer->standing == FAKE_BROKER_FENCED) {
        answer_send_error(conn, send, PULSAR__SERVER_ERROR__PersistenceError, "fenced");
    } else if (topic != NULL && topic->terminated) {
        answer_send_error(conn, send, PULSAR__SERVER_ERROR__TopicTerminatedError,
                          "Topic was already terminated");
    } else if ((fault = fake_broker_failure(conn, "SEND", name)) != NULL) {
        /* What was sent behind a failed write must not be stored before it is sent again. */
        if (fault->number == PULSAR__SERVER_ERROR__PersistenceError) {
            producer->standing = FAKE_BROKER_FENCED;
        }
        answer_send_error(conn, send, (Pulsar__ServerError)fault->number, fault->text);
    } else {
        return false;
    }
    return true;
}

void fake_broker_on_send(struct fake_broker_conn *conn, const Pulsar__CommandSend *send,
                         const struct fake_frame *frame) {
    struct fake_broker *broker = conn->broker;
    struct fake_broker_producer *producer = fake_broker_find_producer(conn, send->producer_id);
    if (producer == NULL) {
        /* Can also be innocent: a SEND that crossed our CLOSE_PRODUCER. A broker closes the
         * connection too. */
        fake_conn_abort(conn->conn);
        return;
    }
    struct str topic = str_of(producer->topic);
    if (producer->standing == FAKE_BROKER_WAITS) {
        fake_broker_wrong(conn, "a SEND of a producer that is not ready");
        return;
    }
    if (fake_broker_dropped(conn, "SEND", topic)) {
        return;
    }
    broker->counts.sends++;
    broker->counts.bytes += frame->len;
    if (broker->count_only) {
        broker->counts.messages += (uint64_t)send->num_messages;
        answer_send(conn, send, topic, broker->next_entry++, false, 0);
        return;
    }
    struct err err = ERR_NONE;
    struct fake_entry entry;
    if (refused(conn, producer, send)) {
        return;
    }
    if (!fake_entry_open(frame->payload, send, producer->name, (size_t)broker->max_message_size,
                         &entry, &err)) {
        fake_broker_wrong(conn, err.text);
        return;
    }
    if (!fits(broker, producer, entry.metadata, frame->payload, &err) ||
        !take_entry(conn, producer, send, &entry, &err)) {
        fake_broker_wrong(conn, err.text);
    }
    fake_entry_done(&entry);
}
