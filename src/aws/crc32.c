#include "aws/crc32.h"

#include <zlib.h>

#ifdef __x86_64__
#include <immintrin.h>

enum { LANE = 16, STEP = 4 * LANE };

/* a * x^n + b, both halves of a by the multiplier for their distance from b. */
__attribute__((target("pclmul"))) static inline __m128i fold(__m128i a, __m128i multipliers,
                                                             __m128i b) {
    __m128i low = _mm_clmulepi64_si128(a, multipliers, 0x00);
    __m128i high = _mm_clmulepi64_si128(a, multipliers, 0x11);
    return _mm_xor_si128(_mm_xor_si128(low, high), b);
}

static inline __m128i load(const unsigned char *at) {
    return _mm_loadu_si128((const __m128i *)(const void *)at);
}

/* Sums up all whole steps of 64 bytes, at least one, and returns how many bytes those were. The text is a polynomial
 * whose remainder is wanted: a multiplication without carries moves 16 bytes on to where they can be added to later
 * ones, with the same remainder. What is left in the end are 16 bytes, which zlib then sums up. */
__attribute__((target("pclmul"))) static size_t fold_steps(uint32_t *crc, const unsigned char *text,
                                                           size_t len) {
    /* x^n modulo the polynomial, bits reversed as those of the text, for n = the distance + 32 (low half) and
     * the distance - 32 (high half). */
    const __m128i by_512 = _mm_set_epi64x(0x01c6e41596, 0x0154442bd4);
    const __m128i by_128 = _mm_set_epi64x(0x00ccaa009e, 0x01751997d0);
    __m128i sum[STEP / LANE];
    for (size_t i = 0; i < STEP / LANE; i++) {
        sum[i] = load(text + i * LANE);
    }
    sum[0] = _mm_xor_si128(sum[0], _mm_cvtsi32_si128((int)~*crc));
    size_t at = STEP;
    for (; len - at >= STEP; at += STEP) {
        for (size_t i = 0; i < STEP / LANE; i++) {
            sum[i] = fold(sum[i], by_512, load(text + at + i * LANE));
        }
    }
    for (size_t i = 1; i < STEP / LANE; i++) {
        sum[i] = fold(sum[i - 1], by_128, sum[i]);
    }
    unsigned char rest[LANE];
    _mm_storeu_si128((__m128i *)(void *)rest, sum[STEP / LANE - 1]);
    *crc = (uint32_t)crc32_z(UINT32_MAX, rest, sizeof rest); /* that is a register of zeros */
    return at;
}

uint32_t crc32_update(uint32_t crc, const void *bytes, size_t len) {
    const unsigned char *text = bytes;
    if (len >= STEP && __builtin_cpu_supports("pclmul")) {
        size_t done = fold_steps(&crc, text, len);
        text += done;
        len -= done;
    }
    return len > 0 ? (uint32_t)crc32_z(crc, text, len) : crc;
}
#else
uint32_t crc32_update(uint32_t crc, const void *bytes, size_t len) {
    return len > 0 ? (uint32_t)crc32_z(crc, bytes, len) : crc;
}
#endif
