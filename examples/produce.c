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

static void client_closed(void *ctx) {
    (void)sem_post(&done);
}

static void producer_closed(void *ctx) {
    pulsar_client_close(client, client_closed, ctx);
}

static void send_more(void *ctx) {
    struct pulsar_message message = {.key = STR("key"), .value = &STR("value"), .value_parts = 1};
    for (; sent < 10; sent++) {
        if (pulsar_producer_send(producer, &message, sent, NULL) == PULSAR_SEND_FULL) {
            return; /* `writable` brings us back; otherwise the message was copied to a batch */
        }
    }
    pulsar_producer_close(producer, 10000, producer_closed, ctx); /* waits for the receipts */
}

static void ready(void *ctx, uint32_t partitions) {
    send_more(ctx);
}

static void receipt(void *ctx, const struct pulsar_receipt *batch) {
    (void)printf("messages %lu to %lu are stored as entry %lu:%lu\n", batch->tokens[0],
                 batch->tokens[batch->count - 1], batch->ledger_id, batch->entry_id);
}

static void failed(void *ctx, const struct err *err) { /* for good, after what it tried itself */
    (void)fprintf(stderr, "%s\n", err->text);
    exit(1);
}

static void start(void *ctx) {
    char **argv = ctx;
    struct err err;
    struct pulsar_client_options to = {.service_url = str_of(argv[1])};
    struct pulsar_producer_options options = {.topic = str_of(argv[2])};
    struct pulsar_producer_events events = {
        .ready = ready, .receipt = receipt, .writable = send_more, .failed = failed};
    if ((client = pulsar_client_new(lane, &to, &err)) == NULL ||
        (producer = pulsar_producer_open(client, &options, &events, NULL, &err)) == NULL) {
        failed(NULL, &err);
    }
}

int main(int argc, char **argv) {
    struct err err;
    struct lane_message message;
    aws_io_library_init(aws_default_allocator());
    if (argc != 3 || sem_init(&done, 0, 0) != 0 || (lane = lane_new(0, &err)) == NULL) {
        return 2;
    }
    lane_post(lane, &message, start, argv);
    (void)sem_wait(&done);
    lane_free(lane);
    return 0;
}
