#include "unit/cmocka_all.h"

#include "pulsar/command.h"
#include "pulsar/frame.h"
#include "pulsar/wire.h"
#include "pulsar_api.pb-c.h"

#include <stdlib.h>

enum { LIMIT = 100 };

struct seen {
    char commands[8][128];
    size_t lens[8];
    size_t count;
    size_t stop_after; /* 0: never */
};

static bool collect(void *ctx, struct str command) {
    struct seen *seen = ctx;
    assert_true(seen->count < 8 && command.len <= sizeof seen->commands[0]);
    if (command.len > 0) {
        memcpy(seen->commands[seen->count], command.ptr, command.len);
    }
    seen->lens[seen->count++] = command.len;
    return seen->count != seen->stop_after;
}

/* Feeds the bytes in pieces, each in memory of its own size,
 * so that a sanitizer sees a step too far. */
static bool feed(struct frame_reader *reader, struct str bytes, size_t piece, struct seen *seen,
                 struct err *err) {
    for (size_t at = 0; at < bytes.len; at += piece) {
        size_t len = bytes.len - at < piece ? bytes.len - at : piece;
        char *copy = malloc(len);
        assert_non_null(copy);
        memcpy(copy, bytes.ptr + at, len);
        bool ok = frame_reader_feed(reader, str_make(copy, len), collect, seen, err);
        free(copy);
        if (!ok) {
            return false;
        }
    }
    return true;
}

#define PING "\0\0\0\x09\0\0\0\x05\x08\x12\x92\x01\0"
#define PONG "\0\0\0\x09\0\0\0\x05\x08\x13\x9a\x01\0"
/* A command of two bytes with three bytes of payload behind it, and one of no bytes at all. */
#define WITH_PAYLOAD                                                                               \
    "\0\0\0\x09\0\0\0\x02"                                                                         \
    "cmPAY"
#define EMPTY "\0\0\0\x04\0\0\0\0"

static void any_chunks(void **state) {
    (void)state;
    struct str bytes = STR(PING WITH_PAYLOAD EMPTY PONG);
    for (size_t piece = 1; piece <= bytes.len; piece++) {
        struct frame_reader reader;
        frame_reader_init(&reader, LIMIT);
        struct seen seen = {.count = 0};
        struct err err = ERR_NONE;
        assert_true(feed(&reader, bytes, piece, &seen, &err));
        assert_int_equal(seen.count, 4);
        assert_int_equal(seen.lens[0], 5);
        assert_memory_equal(seen.commands[0], "\x08\x12\x92\x01\0", 5);
        assert_int_equal(seen.lens[1], 2);
        assert_memory_equal(seen.commands[1], "cm", 2);
        assert_int_equal(seen.lens[2], 0);
        assert_int_equal(seen.lens[3], 5);
        assert_memory_equal(seen.commands[3], "\x08\x13\x9a\x01\0", 5);
        frame_reader_done(&reader);
    }
}

static void known_bytes_of_commands(void **state) {
    (void)state;
    struct outgoing *ping = command_ping();
    struct outgoing *pong = command_pong();
    assert_true(str_equal(str_make(ping->data, ping->len), STR(PING)));
    assert_true(str_equal(str_make(pong->data, pong->len), STR(PONG)));
    outgoing_unref(ping);
    outgoing_unref(pong);
}

static void size_limit(void **state) {
    (void)state;
    char bytes[4 + LIMIT + 1] = {0};
    for (size_t total = LIMIT; total <= LIMIT + 1; total++) {
        for (size_t piece = 1; piece <= sizeof bytes; piece += sizeof bytes - 1) {
            struct frame_reader reader;
            frame_reader_init(&reader, LIMIT);
            struct seen seen = {.count = 0};
            struct err err = ERR_NONE;
            (void)wire_put_be32(bytes, (uint32_t)total);
            bool ok = feed(&reader, str_make(bytes, 4 + total), piece, &seen, &err);
            assert_int_equal(ok, total == LIMIT);
            assert_int_equal(seen.count, total == LIMIT ? 1 : 0);
            assert_int_equal(err.code, total == LIMIT ? ERR_OK : ERR_PULSAR_PROTOCOL);
            frame_reader_done(&reader);
        }
    }
}

static void garbage(void **state) {
    (void)state;
    static const struct str bad[] = {
        {"HTTP/1.1 400 Bad Request\r\n", 26},
        {"\0\0\0\0\0\0\0\0", 8},        /* no room for commandSize */
        {"\0\0\0\x03\0\0\0", 7},        /* nor here */
        {"\0\0\0\x05\0\0\0\x02xx", 10}, /* the command is longer than its frame */
        {"\0\0\0\x04\xff\xff\xff\xff", 8},
        {"\xff\xff\xff\xff", 4},
    };
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        for (size_t piece = 1; piece <= bad[i].len; piece++) {
            struct frame_reader reader;
            frame_reader_init(&reader, LIMIT);
            struct seen seen = {.count = 0};
            struct err err = ERR_NONE;
            assert_false(feed(&reader, bad[i], piece, &seen, &err));
            assert_int_equal(err.code, ERR_PULSAR_PROTOCOL);
            assert_int_equal(seen.count, 0);
            frame_reader_done(&reader);
        }
    }
}

/* The partial frame's buffer refuses as it does when memory is out: in totalSize, behind it, at the
 * end; with and without bytes of an earlier piece. */
static void no_memory(void **state) {
    (void)state;
    struct str bytes = STR(PING);
    for (size_t room = 1; room < bytes.len; room++) {
        for (size_t piece = 1; piece < bytes.len; piece++) {
            struct frame_reader reader;
            frame_reader_init(&reader, LIMIT);
            reader.partial.max = room;
            struct seen seen = {.count = 0};
            struct err err = ERR_NONE;
            bool ok = feed(&reader, bytes, piece, &seen, &err);
            assert_false(ok);
            assert_int_equal(err.code, ERR_NOMEM);
            assert_int_equal(seen.count, 0);
            frame_reader_done(&reader);
        }
    }
}

static void stops_when_told(void **state) {
    (void)state;
    struct frame_reader reader;
    frame_reader_init(&reader, LIMIT);
    struct seen seen = {.stop_after = 1};
    struct err err = ERR_NONE;
    assert_true(frame_reader_feed(&reader, STR(PING PONG), collect, &seen, &err));
    assert_int_equal(seen.count, 1);
    frame_reader_done(&reader);
}

static size_t pack_receipt(uint8_t *to, uint64_t sequence_id, bool with_id) {
    Pulsar__MessageIdData id = PULSAR__MESSAGE_ID_DATA__INIT;
    id.ledger_id = 123456789012;
    id.entry_id = 0;
    Pulsar__CommandSendReceipt receipt = PULSAR__COMMAND_SEND_RECEIPT__INIT;
    receipt.producer_id = 300;
    receipt.sequence_id = sequence_id;
    receipt.message_id = with_id ? &id : NULL;
    receipt.has_highest_sequence_id = 1;
    receipt.highest_sequence_id = sequence_id + 5;
    Pulsar__BaseCommand command = PULSAR__BASE_COMMAND__INIT;
    command.type = PULSAR__BASE_COMMAND__TYPE__SEND_RECEIPT;
    command.send_receipt = &receipt;
    return pulsar__base_command__pack(&command, to);
}

static void receipts(void **state) {
    (void)state;
    uint8_t bytes[128];
    struct frame_receipt receipt;
    size_t len = pack_receipt(bytes, UINT64_MAX - 5, true);
    assert_true(frame_parse_receipt(str_make((char *)bytes, len), &receipt));
    assert_int_equal(receipt.producer_id, 300);
    assert_true(receipt.sequence_id == UINT64_MAX - 5);
    assert_true(receipt.ledger_id == 123456789012);
    assert_true(receipt.entry_id == 0);

    len = pack_receipt(bytes, 7, false);
    assert_true(frame_parse_receipt(str_make((char *)bytes, len), &receipt));
    assert_true(receipt.ledger_id == UINT64_MAX && receipt.entry_id == UINT64_MAX);

    /* Cut anywhere, it is none. */
    len = pack_receipt(bytes, 7, true);
    for (size_t cut = 0; cut < len; cut++) {
        char *copy = malloc(cut + 1);
        assert_non_null(copy);
        memcpy(copy, bytes, cut);
        assert_false(frame_parse_receipt(str_make(copy, cut), &receipt));
        free(copy);
    }
    assert_false(frame_parse_receipt(STR("\x08\x12\x92\x01\0"), &receipt));
}

static void unknown_fields_are_skipped(void **state) {
    (void)state;
    struct frame_receipt receipt;
    /* fixed32 15, then the receipt with a fixed64 9, a text 10 and a varint 11 around what counts
     */
    struct str command = STR("\x08\x07\x7d"
                             "abcd"
                             "\x3a\x13\x49"
                             "12345678"
                             "\x08\x01\x52\x02xy\x10\x02\x58\x00");
    assert_true(frame_parse_receipt(command, &receipt));
    assert_int_equal(receipt.producer_id, 1);
    assert_int_equal(receipt.sequence_id, 2);
    /* group tags and field 0 are not Pulsar's */
    assert_false(frame_parse_receipt(STR("\x08\x07\x0b\x08\x01"), &receipt));
    assert_false(frame_parse_receipt(STR("\x08\x07\x00\x01"), &receipt));
}

static void varints(void **state) {
    (void)state;
    static const uint64_t values[] = {0,     1,          127,       128,       16383,
                                      16384, UINT32_MAX, INT64_MAX, UINT64_MAX};
    for (size_t i = 0; i < sizeof values / sizeof values[0]; i++) {
        char bytes[WIRE_VARINT_MAX];
        size_t len = (size_t)(wire_put_varint(bytes, values[i]) - bytes);
        assert_int_equal(len, wire_varint_size(values[i]));
        struct str rest = str_make(bytes, len);
        uint64_t value = 0;
        assert_true(wire_take_varint(&rest, &value));
        assert_true(value == values[i] && rest.len == 0);
    }
    struct str endless = STR("\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01");
    uint64_t value;
    assert_false(wire_take_varint(&endless, &value));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(any_chunks), cmocka_unit_test(known_bytes_of_commands),
        cmocka_unit_test(size_limit), cmocka_unit_test(garbage),
        cmocka_unit_test(no_memory),  cmocka_unit_test(stops_when_told),
        cmocka_unit_test(receipts),   cmocka_unit_test(unknown_fields_are_skipped),
        cmocka_unit_test(varints),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
