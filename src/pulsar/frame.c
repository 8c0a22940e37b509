#include "pulsar/frame.h"

#include "pulsar/wire.h"

#include <stdint.h>

void frame_reader_init(struct frame_reader *reader, size_t max) {
    reader->max = max;
    buf_init(&reader->partial, FRAME_SIZE_BYTES + max);
}

void frame_reader_done(struct frame_reader *reader) {
    buf_done(&reader->partial);
}

/* What totalSize says, once it is there. */
static bool read_total(const struct frame_reader *reader, struct str bytes, size_t *ret_total,
                       struct err *err) {
    *ret_total = wire_get_be32(bytes.ptr);
    if (*ret_total < FRAME_SIZE_BYTES) {
        return err_set(err, ERR_PULSAR_PROTOCOL, "a frame of %zu bytes has no room for a command",
                       *ret_total);
    }
    if (*ret_total > reader->max) {
        return err_set(err, ERR_PULSAR_PROTOCOL,
                       "a frame of %zu bytes is over the limit of %zu bytes (is this a Pulsar "
                       "broker without TLS?)",
                       *ret_total, reader->max);
    }
    return true;
}

/* frame: without totalSize. */
static bool read_command(struct str frame, struct str *ret_command, struct err *err) {
    size_t len = wire_get_be32(frame.ptr);
    if (len > frame.len - FRAME_SIZE_BYTES) {
        return err_set(err, ERR_PULSAR_PROTOCOL, "a command of %zu bytes in a frame of %zu bytes",
                       len, frame.len);
    }
    *ret_command = str_make(frame.ptr + FRAME_SIZE_BYTES, len);
    return true;
}

/* Moves bytes into the partial frame until it has `wanted` of
 * them; false when the input or the memory ends before. */
static bool fill(struct frame_reader *reader, struct str *bytes, size_t wanted) {
    size_t missing = wanted - reader->partial.len;
    size_t len = missing < bytes->len ? missing : bytes->len;
    buf_add(&reader->partial, bytes->ptr, len);
    *bytes = str_make(bytes->ptr + len, bytes->len - len);
    return len == missing && !reader->partial.failed;
}

/* Completes the partial frame as far as the bytes reach. */
static bool feed_partial(struct frame_reader *reader, struct str *bytes, bool *ret_complete,
                         struct err *err) {
    *ret_complete = false;
    if (reader->partial.len < FRAME_SIZE_BYTES && !fill(reader, bytes, FRAME_SIZE_BYTES)) {
        return true;
    }
    size_t total;
    if (!read_total(reader, buf_str(&reader->partial), &total, err)) {
        return false;
    }
    *ret_complete = fill(reader, bytes, FRAME_SIZE_BYTES + total);
    return true;
}

bool frame_reader_feed(struct frame_reader *reader, struct str bytes, frame_fn *fn, void *ctx,
                       struct err *err) {
    while (bytes.len > 0) {
        struct str frame;
        bool complete = false;
        size_t total;
        if (reader->partial.len == 0 && bytes.len >= FRAME_SIZE_BYTES) {
            if (!read_total(reader, bytes, &total, err)) {
                return false;
            }
            complete = bytes.len - FRAME_SIZE_BYTES >= total;
        }
        if (complete) { /* the usual case: read in place */
            frame = str_make(bytes.ptr + FRAME_SIZE_BYTES, total);
            bytes = str_make(frame.ptr + total, bytes.len - FRAME_SIZE_BYTES - total);
        } else {
            if (!feed_partial(reader, &bytes, &complete, err)) {
                return false;
            }
            if (reader->partial.failed) {
                return err_set(err, ERR_NOMEM, "no memory for a frame");
            }
            if (!complete) {
                return true; /* wants more */
            }
            frame = buf_str(&reader->partial);
            frame = str_make(frame.ptr + FRAME_SIZE_BYTES, frame.len - FRAME_SIZE_BYTES);
            /* Its bytes stay where they are until the next write, which is after fn. */
            buf_reset(&reader->partial);
        }
        struct str command = STR_NONE;
        if (!read_command(frame, &command, err)) {
            return false;
        }
        if (!fn(ctx, command)) {
            return true;
        }
    }
    return true;
}

static bool parse_message_id(struct str rest, struct frame_receipt *receipt) {
    while (rest.len > 0) {
        struct wire_field field;
        if (!wire_take_field(&rest, &field)) {
            return false;
        }
        if (field.type == WIRE_VARINT && field.number == 1) {
            receipt->ledger_id = field.value;
        } else if (field.type == WIRE_VARINT && field.number == 2) {
            receipt->entry_id = field.value;
        }
    }
    return true;
}

static bool parse_receipt(struct str rest, struct frame_receipt *receipt) {
    bool has_producer = false;
    bool has_sequence = false;
    while (rest.len > 0) {
        struct wire_field field;
        if (!wire_take_field(&rest, &field)) {
            return false;
        }
        if (field.type == WIRE_VARINT && field.number == 1) {
            receipt->producer_id = field.value;
            has_producer = true;
        } else if (field.type == WIRE_VARINT && field.number == 2) {
            receipt->sequence_id = field.value;
            has_sequence = true;
        } else if (field.type == WIRE_BYTES && field.number == 3 &&
                   !parse_message_id(field.bytes, receipt)) {
            return false;
        }
    }
    return has_producer && has_sequence;
}

bool frame_parse_receipt(struct str command, struct frame_receipt *ret_receipt) {
    enum { SEND_RECEIPT = 7 }; /* the command's type, and the number of its field */
    *ret_receipt = (struct frame_receipt){.ledger_id = UINT64_MAX, .entry_id = UINT64_MAX};
    bool is_receipt = false;
    bool parsed = false;
    while (command.len > 0) {
        struct wire_field field;
        if (!wire_take_field(&command, &field)) {
            return false;
        }
        if (field.number == 1) {
            is_receipt = field.type == WIRE_VARINT && field.value == SEND_RECEIPT;
            if (!is_receipt) {
                return false; /* the type comes first in practice: leave early */
            }
        } else if (field.number == SEND_RECEIPT && field.type == WIRE_BYTES) {
            parsed = parse_receipt(field.bytes, ret_receipt);
        }
    }
    return is_receipt && parsed;
}
