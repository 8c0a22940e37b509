/*
 * fake_crc: CRC-32 of long texts that differ only in some bytes, without reading all of them again.
 * CRC-32 is linear: what a changed byte adds depends only on the change and on how many bytes
 * follow. Pure.
 */
#ifndef FAKES_FAKE_CRC_H
#define FAKES_FAKE_CRC_H

#include <stddef.h>
#include <stdint.h>

/* Lengthens a sum by a fixed number of bytes. */
struct fake_crc_shift {
    uint32_t table[4][256];
};

void fake_crc_shift_init(struct fake_crc_shift *shift, size_t bytes);

/* The sum of A followed by B, from the sum of A: fake_crc_shift(len B, sum of A) ^ sum of B. */
static inline uint32_t fake_crc_shift(const struct fake_crc_shift *shift, uint32_t crc) {
    return shift->table[0][crc & 255] ^ shift->table[1][crc >> 8 & 255] ^
           shift->table[2][crc >> 16 & 255] ^ shift->table[3][crc >> 24];
}

/* Some digits at a fixed place of a text: what each digit there changes in the text's sum. */
enum { FAKE_CRC_DIGITS = 16 };
struct fake_crc_digits {
    uint32_t effect[FAKE_CRC_DIGITS][10]; /* the last digit first */
    unsigned count;
};

/* text holds `count` digits that end at `end`; its sum is the one to change. */
void fake_crc_digits_init(struct fake_crc_digits *digits, const char *text, size_t len, size_t end,
                          unsigned count);
/* What the sum changes by when value's last digits are written there. */
uint32_t fake_crc_digits_effect(const struct fake_crc_digits *digits, uint64_t value);

#endif
