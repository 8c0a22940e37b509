/*
 * fuzz_pipe_frame: frames from the program that started this one, and a record's frame as it would read it.
 *
 * Input: limit (1) | first (1) | the bytes. They are cut into frames twice: as they stand, and when the first so many of
 * them have come before the others. Then they become a message.
 */
#include "fuzz/fuzz.h"
#include "pulsar/wire.h"
#include "sink/pipe_frame.h"

/* ---- to this program ---- */

struct cut {
    size_t frames;
    size_t taken; /* bytes */
    uint64_t sum; /* of all numbers and texts */
    bool broken;
};

static void take_frames(struct str bytes, size_t max, struct cut *cut) {
    char *copy = fuzz_copy(bytes);
    struct str rest = str_make(copy, bytes.len);
    struct pipe_frame frame;
    struct err err = ERR_NONE;
    enum pipe_frame_cut result;
    while ((result = pipe_frame_take(&rest, max, &frame, &err)) == PIPE_FRAME_WHOLE) {
        assert(frame.body.len < max);
        cut->frames++;
        if (frame.type == PIPE_FRAME_ACKED) {
            assert(pipe_frame_count(&frame) > 0);
            for (size_t i = 0; i < pipe_frame_count(&frame); i++) {
                cut->sum += pipe_frame_number(&frame, i);
            }
        } else {
            assert(frame.type == PIPE_FRAME_CONFIG);
            for (size_t i = 0; i < frame.body.len; i++) {
                cut->sum += (unsigned char)frame.body.ptr[i];
            }
        }
    }
    cut->broken = result == PIPE_FRAME_BROKEN;
    assert(cut->broken == err_is_set(&err));
    assert(cut->broken || rest.len < PIPE_FRAME_SIZE_BYTES + max);
    cut->taken += bytes.len - rest.len;
    free(copy);
}

static void check_cuts(struct str bytes, size_t max, size_t first) {
    struct cut whole = {.frames = 0};
    take_frames(bytes, max, &whole);
    struct cut parts = {.frames = 0};
    take_frames(str_make(bytes.ptr, first < bytes.len ? first : bytes.len), max, &parts);
    if (!parts.broken) {
        take_frames(str_make(bytes.ptr + parts.taken, bytes.len - parts.taken), max, &parts);
    }
    assert(whole.frames == parts.frames && whole.taken == parts.taken);
    assert(whole.sum == parts.sum && whole.broken == parts.broken);
}

/* ---- from this program ---- */

static struct str take_text(struct str *rest) {
    size_t len = fuzz_take_byte(rest);
    len = len < rest->len ? len : rest->len;
    struct str text = str_make(rest->ptr, len);
    *rest = str_make(rest->ptr + len, rest->len - len);
    return text;
}

/* Takes a sized text off the front of a frame; it must be this one. */
static void expect_text(struct str *frame, struct str expected) {
    assert(frame->len >= 4 && wire_get_be32(frame->ptr) == expected.len);
    assert(frame->len - 4 >= expected.len);
    assert(str_equal(str_make(frame->ptr + 4, expected.len), expected));
    *frame = str_make(frame->ptr + 4 + expected.len, frame->len - 4 - expected.len);
}

static void check_record(struct str bytes, size_t room) {
    struct sink_message message = {.event_time_ms = (int64_t)bytes.len};
    unsigned shape = fuzz_take_byte(&bytes);
    if ((shape & 1) != 0) {
        message.key = take_text(&bytes);
    }
    for (; message.property_count < (shape >> 1) % (SINK_MESSAGE_PROPERTIES + 1);) {
        struct sink_property *property = &message.properties[message.property_count++];
        property->name = take_text(&bytes);
        property->value = take_text(&bytes);
    }
    while (message.value_parts < SINK_MESSAGE_PARTS && bytes.len > 0) {
        message.value[message.value_parts++] = take_text(&bytes);
    }
    struct buf to;
    buf_init(&to, room);
    if (!pipe_frame_add_record(&to, 7, &message)) {
        assert(to.len == 0 && pipe_frame_record_bytes(&message) > room);
        buf_done(&to);
        return;
    }
    assert(to.len == pipe_frame_record_bytes(&message));
    struct str frame = buf_str(&to);
    assert(wire_get_be32(frame.ptr) == frame.len - 4 && frame.ptr[4] == 'R');
    assert(wire_get_be32(frame.ptr + 9) == 7);
    assert((frame.ptr[21] != 0) == (message.key.ptr != NULL));
    assert((size_t)frame.ptr[22] == message.property_count);
    frame = str_make(frame.ptr + 23, frame.len - 23);
    expect_text(&frame, message.key);
    for (size_t i = 0; i < message.property_count; i++) {
        expect_text(&frame, message.properties[i].name);
        expect_text(&frame, message.properties[i].value);
    }
    for (size_t i = 0; i < message.value_parts; i++) {
        struct str part = message.value[i];
        assert(frame.len >= part.len && str_equal(str_make(frame.ptr, part.len), part));
        frame = str_make(frame.ptr + part.len, frame.len - part.len);
    }
    assert(frame.len == 0);
    buf_done(&to);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    struct str rest = fuzz_input(data, size);
    size_t limit = fuzz_take_byte(&rest);
    size_t first = fuzz_take_byte(&rest);
    check_cuts(rest, limit, first);
    check_record(rest, 8 * limit);
    return 0;
}
