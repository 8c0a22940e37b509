#include "aws/crc32.h"
#include "base/rng.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>
#include <zlib.h>

#include <cmocka.h>

enum { MAX = 1500 };

static void test_known_sums(void **state) {
    (void)state;
    assert_int_equal(crc32_update(0, NULL, 0), 0);
    assert_int_equal(crc32_update(0, "", 0), 0);
    assert_int_equal(crc32_update(0, "123456789", 9), 0xcbf43926);
    assert_int_equal(crc32_update(0x12345678, "", 0), 0x12345678);
    unsigned char text[MAX] = {0};
    assert_int_equal(crc32_update(0, text, 64), 0x758d6336);
    memset(text, 0xff, sizeof text);
    assert_int_equal(crc32_update(0, text, 64), 0x0f6187ba);
}

/* Every length and every distance from a multiple of 16, from any sum on: as zlib sums up. */
static void test_agrees_with_zlib(void **state) {
    (void)state;
    struct rng rng = {.state = 5};
    unsigned char text[MAX + 16];
    for (size_t i = 0; i < sizeof text; i++) {
        text[i] = (unsigned char)rng_next(&rng);
    }
    for (size_t len = 0; len <= MAX; len++) {
        const unsigned char *at = text + rng_below(&rng, 15);
        uint32_t crc = len % 3 == 0 ? 0 : (uint32_t)rng_next(&rng);
        assert_int_equal(crc32_update(crc, at, len), crc32_z(crc, at, len));
    }
}

static void test_pieces_are_the_whole(void **state) {
    (void)state;
    struct rng rng = {.state = 6};
    unsigned char text[MAX];
    for (size_t i = 0; i < sizeof text; i++) {
        text[i] = (unsigned char)rng_next(&rng);
    }
    for (int round = 0; round < 1000; round++) {
        uint32_t crc = 0;
        for (size_t at = 0; at < MAX;) {
            size_t len = rng_below(&rng, 300);
            len = len < MAX - at ? len : MAX - at;
            crc = crc32_update(crc, text + at, len);
            at += len;
        }
        assert_int_equal(crc, crc32_z(0, text, MAX));
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_known_sums),
        cmocka_unit_test(test_agrees_with_zlib),
        cmocka_unit_test(test_pieces_are_the_whole),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
