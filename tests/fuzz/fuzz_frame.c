/*
 * fuzz_frame: bytes from a broker, cut into frames and read as commands.
 *
 * Input: how (1) | amount (1) | stop_after (1) | room (1) | the bytes. See struct plan.
 */
#include "base/rng.h"
#include "fuzz/fuzz.h"
#include "pulsar/frame.h"
#include "pulsar/server_error.h"
#include "pulsar/wire.h"
#include "pulsar_api.pb-c.h"

enum { SMALL_LIMIT = 200 };

enum split { SPLIT_NONE, SPLIT_BYTES, SPLIT_EQUAL, SPLIT_RANDOM };

struct plan {
    enum split split;
    size_t amount;     /* bytes of a piece; of a random one at most, and its seed */
    size_t max;        /* of totalSize */
    size_t stop_after; /* commands; 0: never */
    size_t room;       /* for a partial frame, as if memory were short; 0: enough */
};

/* What must come out, found the plainest way. */
struct expected {
    struct str *commands;
    size_t count;
    bool broken; /* an error follows the commands */
};

static struct expected expect(struct str bytes, size_t max) {
    struct expected expected = {.commands = calloc(bytes.len / 8 + 1, sizeof(struct str))};
    assert(expected.commands != NULL);
    for (size_t at = 0; bytes.len - at >= 4;) {
        size_t total = wire_get_be32(bytes.ptr + at);
        if (total < 4 || total > max) {
            expected.broken = true;
            break;
        }
        if (total > bytes.len - at - 4) {
            break;
        }
        size_t command = wire_get_be32(bytes.ptr + at + 4);
        if (command > total - 4) {
            expected.broken = true;
            break;
        }
        expected.commands[expected.count++] = str_make(bytes.ptr + at + 8, command);
        at += 4 + total;
    }
    return expected;
}

/* ---- Framing. */

struct run {
    const struct plan *plan;
    const struct expected *expected;
    size_t seen;
    bool stopped;
};

/* A frame_fn. */
static bool on_command(void *ctx, struct str command) {
    struct run *run = ctx;
    assert(!run->stopped);
    assert(run->seen < run->expected->count);
    assert(str_equal(command, run->expected->commands[run->seen]));
    run->seen++;
    run->stopped = run->seen == run->plan->stop_after;
    return !run->stopped;
}

static size_t piece_size(const struct plan *plan, struct rng *rng, size_t left) {
    size_t size = left;
    if (plan->split == SPLIT_BYTES) {
        size = 1;
    } else if (plan->split == SPLIT_EQUAL) {
        size = plan->amount;
    } else if (plan->split == SPLIT_RANDOM) {
        size = 1 + (size_t)rng_below(rng, plan->amount - 1);
    }
    return size < left ? size : left;
}

static void check_framing(const struct plan *plan, struct str bytes,
                          const struct expected *expected) {
    struct frame_reader reader;
    frame_reader_init(&reader, plan->max);
    if (plan->room > 0 && plan->room < reader.partial.max) {
        reader.partial.max = plan->room;
    }
    struct run run = {.plan = plan, .expected = expected};
    struct rng rng = {.state = plan->amount};
    struct err err = ERR_NONE;
    bool ok = true;
    while (ok && !run.stopped && bytes.len > 0) {
        size_t size = piece_size(plan, &rng, bytes.len);
        char *piece = fuzz_copy(str_make(bytes.ptr, size));
        ok = frame_reader_feed(&reader, str_make(piece, size), on_command, &run, &err);
        free(piece);
        bytes = str_make(bytes.ptr + size, bytes.len - size);
        assert(reader.partial.len < FRAME_SIZE_BYTES + plan->max);
        assert(reader.partial.capacity <= FRAME_SIZE_BYTES + plan->max);
    }
    assert(err_is_set(&err) == !ok);
    if (run.stopped) {
        assert(ok);
    } else if (ok) {
        assert(run.seen == expected->count && !expected->broken);
    } else {
        assert(err.text[0] != '\0');
        bool short_of_memory = err.code == ERR_NOMEM && plan->room > 0;
        assert(short_of_memory || (err.code == ERR_PULSAR_PROTOCOL && expected->broken &&
                                   run.seen == expected->count));
    }
    frame_reader_done(&reader);
}

/* ---- Commands. */

static void check_receipt(const struct frame_receipt *fast, const Pulsar__BaseCommand *command) {
    assert(command->type == PULSAR__BASE_COMMAND__TYPE__SEND_RECEIPT);
    const Pulsar__CommandSendReceipt *slow = command->send_receipt;
    assert(slow != NULL);
    assert(fast->producer_id == slow->producer_id);
    assert(fast->sequence_id == slow->sequence_id);
    const Pulsar__MessageIdData *id = slow->message_id;
    assert(fast->ledger_id == (id != NULL ? id->ledger_id : UINT64_MAX));
    assert(fast->entry_id == (id != NULL ? id->entry_id : UINT64_MAX));
}

/* Whether it holds nothing that protobuf-c does not know, as that may be nonsense. */
static bool is_plain_receipt(const Pulsar__BaseCommand *command) {
    const Pulsar__CommandSendReceipt *receipt = command->send_receipt;
    return command->type == PULSAR__BASE_COMMAND__TYPE__SEND_RECEIPT && receipt != NULL &&
           command->base.n_unknown_fields == 0 && receipt->base.n_unknown_fields == 0 &&
           (receipt->message_id == NULL || receipt->message_id->base.n_unknown_fields == 0);
}

/* What protobuf-c writes must be read the fast way, since nobody reads it the slow way. */
static void check_packed(const Pulsar__BaseCommand *command) {
    size_t len = pulsar__base_command__get_packed_size(command);
    uint8_t *bytes = malloc(len);
    assert(bytes != NULL);
    assert(pulsar__base_command__pack(command, bytes) == len);
    struct frame_receipt receipt;
    assert(frame_parse_receipt(str_make((char *)bytes, len), &receipt));
    check_receipt(&receipt, command);
    free(bytes);
}

static void check_server_error(int error, const char *message) {
    struct err err = ERR_NONE;
    server_error_set(&err, error, message);
    assert(err_is_set(&err) && err.text[0] != '\0');
}

static void check_errors(const Pulsar__BaseCommand *command) {
    if (command->error != NULL) {
        check_server_error((int)command->error->error, command->error->message);
    }
    if (command->send_error != NULL) {
        check_server_error((int)command->send_error->error, command->send_error->message);
    }
    if (command->lookup_response != NULL) {
        check_server_error((int)command->lookup_response->error, command->lookup_response->message);
    }
    if (command->partitioned_metadata_response != NULL) {
        check_server_error((int)command->partitioned_metadata_response->error,
                           command->partitioned_metadata_response->message);
    }
}

static void check_command(struct str bytes) {
    char *copy = fuzz_copy(bytes);
    struct frame_receipt receipt;
    bool is_receipt = frame_parse_receipt(str_make(copy, bytes.len), &receipt);
    Pulsar__BaseCommand *command =
        pulsar__base_command__unpack(NULL, bytes.len, (const uint8_t *)copy);
    free(copy);
    if (command == NULL) {
        return;
    }
    if (is_receipt) {
        check_receipt(&receipt, command);
    }
    if (is_plain_receipt(command)) {
        check_packed(command);
    }
    check_errors(command);
    pulsar__base_command__free_unpacked(command, NULL);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    struct str bytes = fuzz_input(data, size);
    uint8_t how = fuzz_take_byte(&bytes);
    struct plan plan = {
        .split = (enum split)(how & 3),
        .amount = (size_t)fuzz_take_byte(&bytes) + 1,
        .max = (how & 4) != 0 ? SMALL_LIMIT : BUF_MAX_COMMAND,
        .stop_after = fuzz_take_byte(&bytes),
        .room = fuzz_take_byte(&bytes),
    };
    struct expected expected = expect(bytes, plan.max);
    check_framing(&plan, bytes, &expected);
    plan.split = SPLIT_NONE;
    check_framing(&plan, bytes, &expected);
    for (size_t i = 0; i < expected.count; i++) {
        check_command(expected.commands[i]);
    }
    free(expected.commands);
    return 0;
}
