/*
 * fuzz_broker: a whole client with a producer, and brokers that answer what they like, when they
 * like. The CRT's sockets and clock are replaced here; all above them is the real thing.
 *
 * Input: options (4) | steps. A step is a byte, its kind in the lower three bits and `amount` in
 * the others, and what follows it, see take_step.
 */
#include "base/lane.h"
#include "fuzz/fuzz.h"
#include "pulsar/channel.h"
#include "pulsar/connection.h"
#include "pulsar/producer.h"
#include "pulsar/wire.h"

#include <aws/common/allocator.h>
#include <aws/common/linked_list.h>

enum {
    MAX_TOKENS = 4096,
    TRACKED_PARTITIONS = 16,
    TRACKED_PRODUCERS = 64,
    /* Turns of the loop in one step: so many mean that it never ends. */
    MAX_TURNS = 1000000,
    /* By then everything has ended: longer than any deadline below. */
    END_MS = 600000,
};

/* The messages in all frames written, each counted once. */
static struct {
    uint64_t next_sequence_id[TRACKED_PRODUCERS]; /* of a producer id, behind what was written */
    uint64_t messages;
} sent;

/* ---- A lane whose clock stands still between the steps. */

static struct {
    struct lane lane; /* first, so that a lane is this */
    struct aws_task_scheduler scheduler;
    uint64_t now_ns;
} loop;

static uint64_t loop_now_ns(struct lane *lane) {
    (void)lane;
    return loop.now_ns;
}

static int64_t loop_wall_ms(struct lane *lane) {
    (void)lane;
    return INT64_C(1700000000000) + (int64_t)(loop.now_ns / 1000000);
}

static void timer_task(struct aws_task *task, void *arg, enum aws_task_status status) {
    (void)task;
    struct lane_timer *timer = arg;
    if (status == AWS_TASK_STATUS_RUN_READY) {
        timer->armed = false;
        timer->fn(timer->ctx);
    }
}

static void loop_timer_set(struct lane *lane, struct lane_timer *timer) {
    (void)lane;
    aws_task_init(&timer->task, timer_task, timer, "timer");
    aws_task_scheduler_schedule_future(&loop.scheduler, &timer->task, timer->due_ns);
}

static void loop_timer_cancel(struct lane *lane, struct lane_timer *timer) {
    (void)lane;
    aws_task_scheduler_cancel_task(&loop.scheduler, &timer->task);
}

static void loop_post(struct lane *lane, struct lane_message *message) {
    (void)lane;
    (void)message;
    abort(); /* nobody posts within a client */
}

static const struct lane_ops loop_ops = {
    .now_ns = loop_now_ns,
    .wall_ms = loop_wall_ms,
    .timer_set = loop_timer_set,
    .timer_cancel = loop_timer_cancel,
    .post = loop_post,
};

static void loop_advance(uint64_t ms) {
    uint64_t until_ns = loop.now_ns + ms * 1000000;
    uint64_t next_ns;
    for (unsigned turns = 0;
         aws_task_scheduler_has_tasks(&loop.scheduler, &next_ns) && next_ns <= until_ns; turns++) {
        assert(turns < MAX_TURNS);
        loop.now_ns = next_ns > loop.now_ns ? next_ns : loop.now_ns;
        aws_task_scheduler_run_all(&loop.scheduler, loop.now_ns);
    }
    loop.now_ns = until_ns;
}

/* ---- Channels in place of pulsar/channel.c, with its contract. */

struct writing {
    struct outgoing *bytes;
    Pulsar__BaseCommand__Type type;
    struct writing *next;
};

struct channel {
    const struct channel_events *events;
    void *ctx;
    struct aws_linked_list_node node;
    bool opened;
    bool closing;
    struct err why;
    struct channel_stats stats;
    size_t writing_len;
    struct writing *first;
    struct writing **last;
    struct lane_timer open_timer;
    struct lane_timer end_timer;
};

static struct aws_linked_list channels; /* the newest first */
/* As how much a waiting byte counts: of many, few frames are as good as a full buffer. */
static size_t writing_scale;

static void channel_opens(void *ctx) {
    struct channel *channel = ctx;
    channel->opened = true;
    channel->events->opened(channel->ctx);
}

static void take_written(struct channel *channel) {
    struct writing *writing = channel->first;
    channel->first = writing->next;
    if (channel->first == NULL) {
        channel->last = &channel->first;
    }
    channel->writing_len -= writing->bytes->len;
    channel->stats.written++;
    outgoing_unref(writing->bytes);
    free(writing);
}

static void channel_ends(void *ctx) {
    struct channel *channel = ctx;
    while (channel->first != NULL) {
        take_written(channel);
    }
    aws_linked_list_remove(&channel->node);
    lane_timer_cancel(&channel->open_timer);
    channel->events->ended(channel->ctx, &channel->why);
    free(channel);
}

struct channel *channel_open(struct lane *lane, const struct address *address, struct tls *tls,
                             uint32_t connect_timeout_ms, const struct channel_events *events,
                             void *ctx) {
    assert(tls == NULL);
    assert(address->host[0] != '\0' && address->port != 0 && connect_timeout_ms > 0);
    struct channel *channel = calloc(1, sizeof *channel);
    assert(channel != NULL);
    channel->events = events;
    channel->ctx = ctx;
    channel->last = &channel->first;
    aws_linked_list_push_front(&channels, &channel->node);
    lane_timer_init(&channel->open_timer, lane, channel_opens, channel);
    lane_timer_init(&channel->end_timer, lane, channel_ends, channel);
    lane_timer_set_ms(&channel->open_timer, 1);
    return channel;
}

static void end_channel(struct channel *channel, enum err_code code, const char *why) {
    if (!channel->closing) {
        channel->closing = true;
        err_set(&channel->why, code, "%s", why);
        lane_timer_cancel(&channel->open_timer);
        lane_timer_set_ms(&channel->end_timer, 0);
    }
}

void channel_close(struct channel *channel) {
    end_channel(channel, ERR_CANCELLED, "closed by us");
}

static void count_sent(const Pulsar__CommandSend *send) {
    assert(send->producer_id > 0 && send->num_messages > 0);
    if (send->producer_id >= TRACKED_PRODUCERS) {
        sent.messages = UINT64_MAX / 2; /* so many partitions are not counted */
        return;
    }
    uint64_t *next = &sent.next_sequence_id[send->producer_id];
    if (send->sequence_id >= *next) {
        sent.messages += (uint64_t)send->num_messages;
        *next = send->sequence_id + (uint64_t)send->num_messages;
    }
}

/* What goes out is a frame with one command that can be read: of this type. */
static Pulsar__BaseCommand__Type check_frame(struct str frame) {
    assert(frame.len >= 8);
    size_t total = wire_get_be32(frame.ptr);
    size_t command_len = wire_get_be32(frame.ptr + 4);
    assert(total == frame.len - 4 && command_len <= total - 4);
    Pulsar__BaseCommand *command =
        pulsar__base_command__unpack(NULL, command_len, (const uint8_t *)frame.ptr + 8);
    assert(command != NULL);
    bool is_send = command->type == PULSAR__BASE_COMMAND__TYPE__SEND;
    assert(is_send == (command_len < total - 4));
    if (is_send) {
        count_sent(command->send);
    }
    Pulsar__BaseCommand__Type type = command->type;
    pulsar__base_command__free_unpacked(command, NULL);
    return type;
}

/* However often a broker asks, one answer at most waits to be written. */
static void check_answers(const struct channel *channel, Pulsar__BaseCommand__Type type) {
    bool answer = type == PULSAR__BASE_COMMAND__TYPE__PONG ||
                  type == PULSAR__BASE_COMMAND__TYPE__AUTH_RESPONSE;
    for (const struct writing *writing = channel->first; answer && writing != NULL;
         writing = writing->next) {
        assert(writing->type != type);
    }
}

bool channel_write(struct channel *channel, struct outgoing *bytes) {
    if (!channel->opened || channel->closing) {
        return false;
    }
    Pulsar__BaseCommand__Type type = check_frame(str_make(bytes->data, bytes->len));
    check_answers(channel, type);
    struct writing *writing = malloc(sizeof *writing);
    assert(writing != NULL);
    *writing = (struct writing){.bytes = outgoing_ref(bytes), .type = type};
    *channel->last = writing;
    channel->last = &writing->next;
    channel->writing_len += bytes->len;
    channel->stats.taken++;
    return true;
}

size_t channel_writing(const struct channel *channel) {
    return channel->writing_len * writing_scale;
}

struct channel_stats channel_stats(const struct channel *channel) {
    return channel->stats;
}

/* ---- The caller of the producer, who checks its promises. */

/* What the caller does within events. */
enum inside { INSIDE_NOTHING, INSIDE_SEND, INSIDE_FLUSH, INSIDE_CLOSE };

static struct {
    struct pulsar_client *client;
    struct pulsar_producer *producer; /* NULL once it closes */
    bool producer_gone;
    bool client_gone;
    bool ready;
    bool failed;
    bool by_key; /* batches of several keys overtake each other */
    enum inside inside;
    unsigned queries;
    uint64_t tokens;           /* taken; they count from 1 */
    bool told[MAX_TOKENS + 1]; /* by a receipt or as undelivered */
    uint64_t told_count;
    uint64_t stored_count;                  /* of these, said to be stored by this producer */
    uint64_t last_told[TRACKED_PARTITIONS]; /* tokens rise within a partition */
} caller;

/* A lane_fn. */
static void set_true(void *ctx) {
    bool *flag = ctx;
    assert(!*flag);
    *flag = true;
}

static void send_message(size_t amount) {
    static char bytes[31 * 31];
    if (caller.producer == NULL || caller.tokens == MAX_TOKENS) {
        return;
    }
    struct str value = str_make(bytes, amount * amount);
    struct pulsar_message message = {
        .key = amount % 4 != 0 ? str_make(&"abcdefghijklmnop"[amount % 16], 1) : STR_NONE,
        .sequence_id = 2 * caller.tokens,
        .value = &value,
        .value_parts = 1,
        .null_value = amount == 0,
    };
    struct err err = ERR_NONE;
    enum pulsar_send result =
        pulsar_producer_send(caller.producer, &message, caller.tokens + 1, &err);
    caller.tokens += result == PULSAR_SEND_TAKEN;
    assert((result == PULSAR_SEND_REFUSED) == err_is_set(&err));
}

static void close_producer(uint32_t timeout_ms) {
    if (caller.producer != NULL) {
        pulsar_producer_close(caller.producer, timeout_ms, set_true, &caller.producer_gone);
        caller.producer = NULL;
    }
}

static void act_inside(void) {
    if (caller.inside == INSIDE_SEND) {
        send_message(9);
    } else if (caller.inside == INSIDE_FLUSH && caller.producer != NULL) {
        pulsar_producer_flush(caller.producer);
    } else if (caller.inside == INSIDE_CLOSE) {
        close_producer(1000);
    }
}

static void check_told(const uint64_t *tokens, size_t count, uint32_t partition) {
    assert(caller.ready && !caller.failed && !caller.producer_gone && count > 0);
    for (size_t i = 0; i < count; i++) {
        assert(tokens[i] >= 1 && tokens[i] <= caller.tokens && !caller.told[tokens[i]]);
        caller.told[tokens[i]] = true;
        caller.told_count++;
        if (partition < TRACKED_PARTITIONS && !caller.by_key) {
            assert(tokens[i] > caller.last_told[partition]);
            caller.last_told[partition] = tokens[i];
        }
    }
}

static void on_ready(void *ctx, uint32_t partitions) {
    (void)ctx;
    assert(!caller.ready && !caller.failed && partitions > 0);
    caller.ready = true;
    act_inside();
}

static void on_receipt(void *ctx, const struct pulsar_receipt *receipt) {
    (void)ctx;
    check_told(receipt->tokens, receipt->count, receipt->partition);
    caller.stored_count += receipt->duplicate ? 0 : receipt->count;
    assert(caller.stored_count <= sent.messages);
    act_inside();
}

static void on_undelivered(void *ctx, const struct pulsar_undelivered *undelivered) {
    (void)ctx;
    check_told(undelivered->tokens, undelivered->count, undelivered->partition);
    assert(err_is_set(undelivered->err) && undelivered->err->text[0] != '\0');
    act_inside();
}

static void on_writable(void *ctx) {
    (void)ctx;
    assert(caller.ready && !caller.failed);
    act_inside();
}

static void on_failed(void *ctx, const struct err *err) {
    (void)ctx;
    assert(!caller.failed && err_is_set(err) && err->text[0] != '\0');
    assert(caller.told_count == caller.tokens);
    caller.failed = true;
    act_inside();
}

static void on_connection(void *ctx, uint32_t partition, const struct err *err) {
    (void)ctx;
    (void)partition;
    assert(err == NULL || (err_is_set(err) && err->text[0] != '\0'));
    act_inside();
}

static void on_grown(void *ctx, uint32_t partitions) {
    (void)ctx;
    assert(caller.ready && partitions > 1);
    act_inside();
}

static const struct pulsar_producer_events producer_events = {
    .ready = on_ready,
    .receipt = on_receipt,
    .undelivered = on_undelivered,
    .writable = on_writable,
    .failed = on_failed,
    .connection = on_connection,
    .grown = on_grown,
};

static void on_partitions(void *ctx, const struct err *err, uint32_t partitions) {
    (void)ctx;
    assert(err == NULL || partitions == 0);
    caller.queries--;
}

static void look(void) {
    if (caller.producer != NULL && caller.ready) {
        uint32_t partitions = pulsar_producer_partitions(caller.producer);
        assert(partitions > 0);
        assert(pulsar_producer_name(caller.producer, partitions - 1).ptr != NULL);
        assert(pulsar_producer_last_sequence_id(caller.producer, partitions - 1) >= -1);
        (void)pulsar_producer_can_send(caller.producer);
        struct pulsar_producer_stats stats;
        pulsar_producer_stats(caller.producer, &stats);
        assert(stats.messages == caller.tokens);
        assert(stats.in_flight == caller.tokens - caller.told_count);
        assert(stats.acked + stats.undelivered == caller.told_count);
    }
}

/* ---- Steps. */

static struct channel *find_channel(size_t index) {
    struct aws_linked_list_node *node = aws_linked_list_begin(&channels);
    for (; node != aws_linked_list_end(&channels); node = aws_linked_list_next(node)) {
        if (index-- == 0) {
            return AWS_CONTAINER_OF(node, struct channel, node);
        }
    }
    return NULL;
}

static void receive(struct channel *channel, struct str bytes) {
    if (channel != NULL && channel->opened && !channel->closing) {
        char *copy = fuzz_copy(bytes);
        channel->events->received(channel->ctx, str_make(copy, bytes.len));
        free(copy);
    }
}

/* The kernel takes what is first in line. */
static void take_from(struct channel *channel, size_t writes) {
    for (; channel != NULL && !channel->closing && channel->first != NULL && writes > 0; writes--) {
        take_written(channel);
        channel->events->written(channel->ctx);
    }
}

static void take_step(struct str *input) {
    enum { RECEIVE, RECEIVE_AND_TURN, WRITTEN, TIME, SEND, TURN, END, CALL };
    uint8_t step = fuzz_take_byte(input);
    size_t amount = step >> 3;
    switch (step & 7) {
    case RECEIVE: /* by the amount-th channel from the newest: size (2) | bytes */
    case RECEIVE_AND_TURN: {
        size_t size = (size_t)fuzz_take_byte(input) << 8;
        size |= fuzz_take_byte(input);
        size = size < input->len ? size : input->len;
        receive(find_channel(amount), str_make(input->ptr, size));
        *input = str_make(input->ptr + size, input->len - size);
        if ((step & 7) == RECEIVE_AND_TURN) {
            loop_advance(1);
        }
        break;
    }
    case WRITTEN:
        take_from(find_channel(amount & 3), 1 + (amount >> 2));
        break;
    case TIME: /* at most half a minute */
        loop_advance(UINT64_C(1) << (amount & 15));
        break;
    case SEND:
        send_message(amount);
        break;
    case TURN:
        loop_advance(0);
        break;
    case END:
        if (find_channel(amount) != NULL) {
            end_channel(find_channel(amount), ERR_PULSAR_TRANSPORT, "connection reset");
        }
        break;
    case CALL:
        if (amount == 0) {
            close_producer(10000);
        } else if (amount == 1 && caller.producer != NULL) {
            pulsar_producer_flush(caller.producer);
        } else if (amount == 2) {
            caller.queries++;
            pulsar_client_get_partitions(caller.client, STR("other"), on_partitions, NULL);
        } else if (amount == 3) {
            look();
        }
        break;
    }
}

/* options: flags | limits | kinds | more. */
static void open_all(struct str *input) {
    uint8_t flags = fuzz_take_byte(input);
    uint8_t limits = fuzz_take_byte(input);
    uint8_t kinds = fuzz_take_byte(input);
    uint8_t more = fuzz_take_byte(input);
    writing_scale = (flags & 0x80) != 0 ? CONNECTION_MAX_WRITING / 64 : 1;
    struct err err = ERR_NONE;
    struct pulsar_client_options client_options = {
        .service_url = STR("pulsar://one:6650,two:6650"),
        .auth_plugin = STR("token"),
        .auth_params = STR("token:secret"),
        .client_version = STR("fuzz"),
        .memory_budget = (flags & 0x40) != 0 ? 8192 : 0,
    };
    caller.client = pulsar_client_new(&loop.lane, &client_options, &err);
    assert(caller.client != NULL);
    bool explicit_ids = (flags & 0x20) != 0;
    struct pulsar_producer_options options = {
        .topic = STR("fuzz"),
        .name = (flags & 1) != 0 || explicit_ids ? STR("name") : STR_NONE,
        .wait_for_name = (flags & 2) != 0,
        .send_timeout_ms = (flags & 4) != 0 && !explicit_ids ? 2000 : 0,
        .create_timeout_ms = (flags & 8) != 0 ? 2000 : 0,
        .chunking = (flags & 0x10) != 0,
        .explicit_sequence_ids = explicit_ids,
        .batch_max_messages = 1 + (limits & 7),
        .max_pending_messages = 1 + (limits >> 3),
        .batching = (enum pulsar_batching)((kinds & 3) % 3),
        .access_mode = (enum pulsar_access_mode)(kinds >> 2 & 3),
        .compression = (enum pulsar_compression)((kinds >> 4) % 5),
        .partitions = more >> 2 & 3,
        .schema = {.type = (more & 16) != 0 ? PULSAR_SCHEMA_STRING : PULSAR_SCHEMA_BYTES},
    };
    if (explicit_ids && options.batching == PULSAR_BATCHING_KEY_BASED) {
        options.batching = PULSAR_BATCHING_DEFAULT; /* these contradict each other */
    }
    caller.by_key = options.batching == PULSAR_BATCHING_KEY_BASED;
    caller.inside = (enum inside)(more & 3);
    caller.producer = pulsar_producer_open(caller.client, &options, &producer_events, NULL, &err);
    assert(caller.producer != NULL);
    loop_advance(1);
    loop_advance(1);
}

/* Whatever the brokers did: all ends within the deadlines, and nothing is left (LeakSanitizer). */
static void close_all(void) {
    close_producer(0);
    loop_advance(END_MS);
    assert(caller.producer_gone && caller.told_count == caller.tokens);
    pulsar_client_close(caller.client, set_true, &caller.client_gone);
    loop_advance(END_MS);
    assert(caller.client_gone && caller.queries == 0);
    assert(aws_linked_list_empty(&channels));
    assert(!aws_task_scheduler_has_tasks(&loop.scheduler, NULL));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    struct str input = fuzz_input(data, size);
    memset(&caller, 0, sizeof caller);
    memset(&sent, 0, sizeof sent);
    loop.lane = (struct lane){.ops = &loop_ops};
    loop.now_ns = 1000000000;
    aws_task_scheduler_init(&loop.scheduler, aws_default_allocator());
    aws_linked_list_init(&channels);
    open_all(&input);
    while (input.len > 0) {
        take_step(&input);
    }
    close_all();
    aws_task_scheduler_clean_up(&loop.scheduler);
    return 0;
}
