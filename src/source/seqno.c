#include "source/seqno.h"

/* Digit i of a packed number: the even ones sit in the high halves, so that bytes compare like digits. */
static unsigned digit_at(const struct seqno *seqno, size_t i) {
    unsigned pair = seqno->digits[i / 2];
    return i % 2 == 0 ? pair >> 4 : pair & 15;
}

#if __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__
/* Packs eight digits at once, as the loop below does two. False when one is none. */
static bool pack_eight(const char *text, uint8_t to[4]) {
    uint64_t x;
    memcpy(&x, text, sizeof x);
    const uint64_t high = 0xf0f0f0f0f0f0f0f0;
    const uint64_t zeros = 0x3030303030303030;
    if ((x & high) != zeros || ((x + 0x0606060606060606) & high) != zeros) {
        return false;
    }
    x &= ~high;
    x = (x << 4 | x >> 8) & 0x00ff00ff00ff00ff;
    x = (x | x >> 8) & 0x0000ffff0000ffff;
    uint32_t packed = (uint32_t)(x | x >> 16);
    memcpy(to, &packed, sizeof packed);
    return true;
}
#endif

bool seqno_parse(struct str text, struct seqno *ret_seqno) {
    if (text.len == 0 || text.len > SEQNO_MAX_DIGITS) {
        return false;
    }
    struct seqno seqno = {.count = (uint8_t)text.len};
    size_t i = 0;
#if __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__
    for (; text.len - i >= 8; i += 8) {
        if (!pack_eight(text.ptr + i, seqno.digits + i / 2)) {
            return false;
        }
    }
#endif
    for (; i < text.len; i += 2) {
        unsigned high = (unsigned)(unsigned char)text.ptr[i] - '0';
        unsigned low = i + 1 < text.len ? (unsigned)(unsigned char)text.ptr[i + 1] - '0' : 0;
        if (high > 9 || low > 9) {
            return false;
        }
        seqno.digits[i / 2] = (uint8_t)(high << 4 | low);
    }
    *ret_seqno = seqno;
    return true;
}

size_t seqno_format(const struct seqno *seqno, char to[SEQNO_MAX_DIGITS + 1]) {
    for (size_t i = 0; i < seqno->count; i++) {
        to[i] = (char)('0' + digit_at(seqno, i));
    }
    to[seqno->count] = '\0';
    return seqno->count;
}

static size_t leading_zeros(const struct seqno *seqno) {
    size_t zeros = 0;
    while (zeros < seqno->count && digit_at(seqno, zeros) == 0) {
        zeros++;
    }
    return zeros;
}

int seqno_compare(const struct seqno *a, const struct seqno *b) {
    if (a->count == b->count) {
        return memcmp(a->digits, b->digits,
                      sizeof a->digits); /* the usual case: one stream pads alike */
    }
    size_t skip_a = leading_zeros(a);
    size_t skip_b = leading_zeros(b);
    size_t len_a = a->count - skip_a;
    size_t len_b = b->count - skip_b;
    if (len_a != len_b) {
        return len_a < len_b ? -1 : 1;
    }
    for (size_t i = 0; i < len_a; i++) {
        unsigned digit_a = digit_at(a, skip_a + i);
        unsigned digit_b = digit_at(b, skip_b + i);
        if (digit_a != digit_b) {
            return digit_a < digit_b ? -1 : 1;
        }
    }
    return 0;
}

static const struct {
    enum position_kind kind;
    struct str text;
} sentinels[] = {
    {POSITION_AT_TIMESTAMP, {.ptr = "AT_TIMESTAMP", .len = 12}},
    {POSITION_TRIM_HORIZON, {.ptr = "TRIM_HORIZON", .len = 12}},
    {POSITION_LATEST, {.ptr = "LATEST", .len = 6}},
    {POSITION_SHARD_END, {.ptr = "SHARD_END", .len = 9}},
};
enum { SENTINELS = sizeof sentinels / sizeof sentinels[0] };

bool position_parse(struct str text, struct position *ret_position) {
    for (size_t i = 0; i < SENTINELS; i++) {
        if (str_equal(text, sentinels[i].text)) {
            *ret_position = (struct position){.kind = sentinels[i].kind};
            return true;
        }
    }
    struct position position = {.kind = POSITION_SEQUENCE_NUMBER};
    if (!seqno_parse(text, &position.seqno)) {
        return false;
    }
    *ret_position = position;
    return true;
}

size_t position_format(const struct position *position, char to[SEQNO_MAX_DIGITS + 1]) {
    for (size_t i = 0; i < SENTINELS; i++) {
        if (sentinels[i].kind == position->kind) {
            (void)str_copy(sentinels[i].text, to, SEQNO_MAX_DIGITS + 1); /* all are short */
            return sentinels[i].text.len;
        }
    }
    return seqno_format(&position->seqno, to);
}

int position_compare(const struct position *a, const struct position *b) {
    if (a->kind != b->kind) {
        return a->kind < b->kind ? -1 : 1;
    }
    return a->kind == POSITION_SEQUENCE_NUMBER ? seqno_compare(&a->seqno, &b->seqno) : 0;
}
