#include "pulsar/channel.h"

#include <aws/io/channel.h>
#include <aws/io/channel_bootstrap.h>
#include <aws/io/event_loop.h>
#include <aws/io/io.h>
#include <aws/io/socket.h>

#include <stdio.h>
#include <stdlib.h>

struct channel {
    const struct channel_events *events;
    void *ctx;
    struct aws_channel_handler handler;
    struct aws_channel *crt; /* NULL before setup and after shutdown */
    struct aws_channel_slot *slot;
    bool connecting;      /* the bootstrap will call back */
    bool handler_is_used; /* the CRT's channel will call destroy */
    bool closing;
    struct write *free_writes;
    size_t writing;
    struct lane_timer end_timer; /* the end is never told from within the CRT's own clean-up */
    char why[256];
};

/* A message of the CRT around bytes that are somebody else's: the socket handler reads them in
 * place, then "frees" the message through its allocator, which is the last time that it is touched.
 */
struct write {
    struct aws_io_message message;
    struct channel *channel;
    struct outgoing *bytes;
    struct write *next;
};

/* The first reason is the cause, later ones its consequences. */
static void set_why(struct channel *channel, const char *what, int error_code) {
    if (channel->why[0] == '\0') {
        const char *text = error_code != AWS_ERROR_SUCCESS ? aws_error_str(error_code) : "";
        int len = (int)strcspn(text, "."); /* the CRT ends its sentences, we go on */
        (void)snprintf(channel->why, sizeof channel->why, "%s%.*s", what, len, text);
    }
}

/* ---- Writing. */

static void recycle(struct write *write) {
    struct channel *channel = write->channel;
    struct outgoing *bytes = write->bytes;
    channel->writing -= bytes->len;
    write->bytes = NULL;
    write->next = channel->free_writes;
    channel->free_writes = write;
    outgoing_unref(bytes);
}

/* Success or not: recycle does not care, as the channel's end follows a failure. */
static void release_message(struct aws_allocator *allocator, void *memory) {
    (void)allocator;
    struct write *write = memory; /* message is its first member */
    struct channel *channel = write->channel;
    recycle(write);
    if (!channel->closing) {
        channel->events->written(channel->ctx);
    }
}

static struct aws_allocator message_allocator = {.mem_release = release_message};

static void on_completion(struct aws_channel *crt, struct aws_io_message *message, int error_code,
                          void *user_data) {
    (void)crt;
    (void)message;
    struct channel *channel = user_data;
    if (error_code != AWS_ERROR_SUCCESS) {
        set_why(channel, "connection lost: ", error_code);
        channel->closing = true;
    }
}

static struct write *take_write(struct channel *channel) {
    struct write *write = channel->free_writes;
    if (write != NULL) {
        channel->free_writes = write->next;
        return write;
    }
    return malloc(sizeof *write);
}

bool channel_write(struct channel *channel, struct outgoing *bytes) {
    if (channel->crt == NULL || channel->closing) {
        return false;
    }
    struct write *write = take_write(channel);
    if (write == NULL) {
        set_why(channel, "no memory to write", AWS_ERROR_SUCCESS);
        channel_close(channel);
        return false;
    }
    *write = (struct write){
        .message =
            {
                .allocator = &message_allocator,
                .message_data = aws_byte_buf_from_array(bytes->data, bytes->len),
                .message_type = AWS_IO_MESSAGE_APPLICATION_DATA,
                .owning_channel = channel->crt,
                .on_completion = on_completion,
                .user_data = channel,
            },
        .channel = channel,
        .bytes = outgoing_ref(bytes),
    };
    channel->writing += bytes->len;
    if (aws_channel_slot_send_message(channel->slot, &write->message, AWS_CHANNEL_DIR_WRITE) !=
        AWS_OP_SUCCESS) {
        set_why(channel, "connection lost: ", aws_last_error());
        recycle(write); /* a message that was not accepted is still ours */
        channel_close(channel);
        return false;
    }
    return true;
}

size_t channel_writing(const struct channel *channel) {
    return channel->writing;
}

/* ---- The handler: the last one in the CRT's channel. */

static struct channel *of_handler(struct aws_channel_handler *handler) {
    return handler->impl;
}

static int process_read_message(struct aws_channel_handler *handler, struct aws_channel_slot *slot,
                                struct aws_io_message *message) {
    (void)slot;
    struct channel *channel = of_handler(handler);
    if (!channel->closing) {
        channel->events->received(channel->ctx, str_make((const char *)message->message_data.buffer,
                                                         message->message_data.len));
    }
    aws_mem_release(message->allocator, message);
    return AWS_OP_SUCCESS;
}

static int process_write_message(struct aws_channel_handler *handler, struct aws_channel_slot *slot,
                                 struct aws_io_message *message) {
    (void)handler;
    (void)slot;
    (void)message;
    return aws_raise_error(AWS_ERROR_INVALID_STATE); /* nobody is to the right of us */
}

static int increment_read_window(struct aws_channel_handler *handler, struct aws_channel_slot *slot,
                                 size_t size) {
    (void)handler;
    return aws_channel_slot_increment_read_window(slot, size);
}

static int shut_down(struct aws_channel_handler *handler, struct aws_channel_slot *slot,
                     enum aws_channel_direction dir, int error_code, bool immediately) {
    (void)handler;
    return aws_channel_slot_on_handler_shutdown_complete(slot, dir, error_code, immediately);
}

static size_t initial_window_size(struct aws_channel_handler *handler) {
    (void)handler;
    return SIZE_MAX; /* what is received is consumed at once */
}

static size_t message_overhead(struct aws_channel_handler *handler) {
    (void)handler;
    return 0;
}

static void destroy_handler(struct aws_channel_handler *handler) {
    struct channel *channel = of_handler(handler);
    channel->handler_is_used = false;
    lane_timer_set_ms(&channel->end_timer, 0);
}

static struct aws_channel_handler_vtable handler_vtable = {
    .process_read_message = process_read_message,
    .process_write_message = process_write_message,
    .increment_read_window = increment_read_window,
    .shutdown = shut_down,
    .initial_window_size = initial_window_size,
    .message_overhead = message_overhead,
    .destroy = destroy_handler,
};

/* ---- Life. */

/* A lane_fn: frees the channel once neither bootstrap nor CRT channel know it. */
static void end(void *ctx) {
    struct channel *channel = ctx;
    if (channel->connecting || channel->crt != NULL || channel->handler_is_used) {
        return;
    }
    while (channel->free_writes != NULL) {
        struct write *write = channel->free_writes;
        channel->free_writes = write->next;
        free(write);
    }
    channel->events->ended(channel->ctx, channel->why);
    free(channel);
}

void channel_close(struct channel *channel) {
    channel->closing = true;
    set_why(channel, "closed by us", AWS_ERROR_SUCCESS);
    if (channel->crt != NULL) {
        aws_channel_shutdown(channel->crt, AWS_ERROR_SUCCESS);
    }
}

static void on_setup(struct aws_client_bootstrap *bootstrap, int error_code,
                     struct aws_channel *crt, void *user_data) {
    (void)bootstrap;
    struct channel *channel = user_data;
    channel->connecting = false;
    if (error_code != AWS_ERROR_SUCCESS) {
        set_why(channel, "cannot connect: ", error_code);
        lane_timer_set_ms(&channel->end_timer, 0);
        return;
    }
    channel->crt = crt;
    if (channel->closing) { /* given up in the meantime */
        aws_channel_shutdown(crt, AWS_ERROR_SUCCESS);
        return;
    }
    channel->slot = aws_channel_slot_new(crt);
    if (channel->slot != NULL &&
        aws_channel_slot_insert_end(crt, channel->slot) == AWS_OP_SUCCESS) {
        channel->handler_is_used = true;
        if (aws_channel_slot_set_handler(channel->slot, &channel->handler) == AWS_OP_SUCCESS) {
            channel->events->opened(channel->ctx);
            return;
        }
    }
    set_why(channel, "cannot connect: ", aws_last_error());
    channel_close(channel);
}

static void on_shutdown(struct aws_client_bootstrap *bootstrap, int error_code,
                        struct aws_channel *crt, void *user_data) {
    (void)bootstrap;
    (void)crt;
    struct channel *channel = user_data;
    set_why(channel,
            error_code == AWS_ERROR_SUCCESS ? "connection lost" : "connection lost: ", error_code);
    channel->closing = true;
    channel->crt = NULL;
    channel->slot = NULL;
    /* The handler is destroyed after this, if it was ever used. */
    lane_timer_set_ms(&channel->end_timer, 0);
}

struct channel *channel_open(struct lane *lane, const struct address *address,
                             uint32_t connect_timeout_ms, const struct channel_events *events,
                             void *ctx) {
    struct channel *channel = calloc(1, sizeof *channel);
    if (channel == NULL) {
        return NULL;
    }
    channel->events = events;
    channel->ctx = ctx;
    channel->handler = (struct aws_channel_handler){
        .vtable = &handler_vtable, .alloc = aws_default_allocator(), .impl = channel};
    lane_timer_init(&channel->end_timer, lane, end, channel);
    struct aws_socket_options socket_options = {
        .type = AWS_SOCKET_STREAM,
        .domain = AWS_SOCKET_IPV4, /* names resolve to both families all the same */
        .connect_timeout_ms = connect_timeout_ms,
        .tcp_nodelay = AWS_SOCKET_TCP_NODELAY_ON,
        .keepalive = true,
        .keep_alive_interval_sec = 60, /* TCP_KEEPIDLE, in spite of its name */
        .keep_alive_timeout_sec = 6,   /* TCP_KEEPINTVL */
        .keep_alive_max_failed_probes = 10,
    };
    struct aws_socket_channel_bootstrap_options options = {
        .bootstrap = lane_bootstrap(lane),
        .host_name = address->host,
        .port = address->port,
        .socket_options = &socket_options,
        .setup_callback = on_setup,
        .shutdown_callback = on_shutdown,
        .user_data = channel,
        .requested_event_loop = lane_event_loop(lane),
    };
    channel->connecting = true;
    if (aws_client_bootstrap_new_socket_channel(&options) != AWS_OP_SUCCESS) {
        channel->connecting = false;
        set_why(channel, "cannot connect: ", aws_last_error());
        lane_timer_set_ms(&channel->end_timer, 0);
    }
    return channel;
}
