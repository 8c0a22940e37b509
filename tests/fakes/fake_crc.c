#include "fakes/fake_crc.h"

#include <zlib.h>

void fake_crc_shift_init(struct fake_crc_shift *shift, size_t bytes) {
    uLong operator= crc32_combine_gen((z_off_t)bytes);
    for (unsigned i = 0; i < 4; i++) {
        for (uint32_t byte = 0; byte < 256; byte++) {
            shift->table[i][byte] = (uint32_t)crc32_combine_op(byte << (8 * i), 0, operator);
        }
    }
}

void fake_crc_digits_init(struct fake_crc_digits *digits, const char *text, size_t len, size_t end,
                          unsigned count) {
    const z_crc_t *table = get_crc_table();
    digits->count = count;
    for (unsigned i = 0; i < count; i++) {
        uLong operator= crc32_combine_gen((z_off_t)(len - end + i));
        for (unsigned digit = 0; digit < 10; digit++) {
            unsigned change = (unsigned char)text[end - 1 - i] ^ ('0' + digit);
            digits->effect[i][digit] = (uint32_t)crc32_combine_op(table[change], 0, operator);
        }
    }
}

uint32_t fake_crc_digits_effect(const struct fake_crc_digits *digits, uint64_t value) {
    uint32_t effect = 0;
    for (unsigned i = 0; i < digits->count; i++) {
        effect ^= digits->effect[i][value % 10];
        value /= 10;
    }
    return effect;
}
