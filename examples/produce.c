/* produce URL TOPIC: sends ten messages. All but main runs on a lane, a thread of its own. */
#include "pulsar/producer.h"

#include <aws/io/io.h>
#include <semaphore.h>
#include <stdio.h>
#include <stdlib.h>

static struct lane *lane;
static struct pulsar_client *client;
static struct pulsar_producer *producer;
static uint64_t sent;
static sem_t done;
static struct err error;

static void client_closed(void *ctx) {
    (void)sem_post(&done);
}

static void producer_closed(void *ctx) {
    pulsar_client_close(client, client_closed, ctx);
}

static void writable(void *ctx) {
    struct pulsar_message message = {.key = STR("key"), .value = &STR("value"), .value_parts = 1};
    for (; sent < 10; sent++) {
        if (pulsar_producer_send(producer, &message, sent, NULL) == PULSAR_SEND_FULL) {
            return; /* until it is writable again; else the message was copied */
        }
    }
    pulsar_producer_close(producer, 10000, producer_closed, ctx); /* waits for the receipts */
}

static void ready(void *ctx, uint32_t partitions) {
    writable(ctx);
}

static void receipt(void *ctx, const struct pulsar_receipt *batch) {
    (void)printf("%zu stored as %lu:%lu\n", batch->count, batch->ledger_id, batch->entry_id);
}

static void failed(void *ctx, const struct err *err) { /* what may pass was tried again before */
    (void)fprintf(stderr, "%s\n", err->text);
    exit(1);
}

static void undelivered(void *ctx, const struct pulsar_undelivered *messages) {
    failed(ctx, messages->err);
}

static void start(void *argv) {
    struct pulsar_client_options to = {.service_url = str_of(((char **)argv)[1])};
    struct pulsar_producer_options options = {.topic = str_of(((char **)argv)[2])};
    struct pulsar_producer_events on = {.ready = ready,
                                        .receipt = receipt,
                                        .undelivered = undelivered,
                                        .writable = writable,
                                        .failed = failed};
    if ((client = pulsar_client_new(lane, &to, &error)) == NULL ||
        (producer = pulsar_producer_open(client, &options, &on, NULL, &error)) == NULL) {
        failed(NULL, &error);
    }
}

int main(int argc, char **argv) {
    struct lane_message message;
    aws_io_library_init(aws_default_allocator());
    if (argc != 3 || sem_init(&done, 0, 0) != 0 || (lane = lane_new(0, &error)) == NULL) {
        return 2;
    }
    lane_post(lane, &message, start, argv);
    (void)sem_wait(&done);
    lane_free(lane);
}
