#include "unit/cmocka_all.h"

#include "pulsar/routing.h"

static void known_hashes(void **state) {
    (void)state;
    static const struct {
        const char *key;
        uint32_t murmur3;
        uint32_t java;
    } known[] = {
        {"", 0, 0},
        {"a", 1009084850, 97},
        {"key", 1654417988, 106079},
        {"my-key", 1844492593, 1086286526}, /* Java's hash has the sign bit set */
        {"user#123", 1918425555, 1879487866},
        {"k1", 2110152746, 3366},
        {"Z\xc3\xbcrich", 694770001, 665367486},
        {"\xe9\x8d\xb5", 1288634188, 37749},
        {"\xf0\x9f\x98\x80", 1051995898, 1772899}, /* two UTF-16 units */
        {"hello", 0x248bfa47, 0x5e918d2},
        {"test", 0x3a6bd213, 0x364492},
    };
    for (size_t i = 0; i < sizeof known / sizeof known[0]; i++) {
        struct str key = str_of(known[i].key);
        assert_int_equal(routing_murmur3(key), known[i].murmur3);
        assert_int_equal(routing_java_string(key), known[i].java);
    }
}

/* What Java's String hashes to when each unit is given by its number. */
static uint32_t hash_units(const uint32_t *units, size_t count) {
    uint32_t hash = 0;
    for (size_t i = 0; i < count; i++) {
        hash = 31 * hash + units[i];
    }
    return hash & 0x7fffffff;
}

static void malformed_utf8(void **state) {
    (void)state;
    static const struct {
        const char *key;
        uint32_t units[5];
        size_t count;
    } known[] = {
        {"\x80", {0xfffd}, 1},
        {"\xc3", {0xfffd}, 1},
        {"\xc3(", {0xfffd, '('}, 2},
        {"\xc0\x80", {0xfffd, 0xfffd}, 2},             /* overlong */
        {"\xe0\x80\x80", {0xfffd, 0xfffd, 0xfffd}, 3}, /* overlong */
        {"\xe2\x82", {0xfffd}, 1},                     /* cut off */
        {"\xe2\x82z", {0xfffd, 'z'}, 2},
        {"\xed\xa0\x80", {0xfffd, 0xfffd, 0xfffd}, 3}, /* a surrogate */
        {"\xf0\x9f\x98", {0xfffd}, 1},
        {"\xf4\x90\x80\x80", {0xfffd, 0xfffd, 0xfffd, 0xfffd}, 4}, /* beyond U+10FFFF */
        {"\xf5", {0xfffd}, 1},
        {"\xef\xbf\xbf", {0xffff}, 1},
        {"\xf4\x8f\xbf\xbf", {0xdbff, 0xdfff}, 2},
    };
    for (size_t i = 0; i < sizeof known / sizeof known[0]; i++) {
        assert_int_equal(routing_java_string(str_of(known[i].key)),
                         hash_units(known[i].units, known[i].count));
    }
}

static void every_tail_length_counts(void **state) {
    (void)state;
    /* The published values of MurmurHash3 x86 32 with seed 0, without the sign bit. */
    assert_int_equal(routing_murmur3(STR("\0")), 0x514e28b7);
    assert_int_equal(routing_murmur3(STR("\0\0")), 0x30f4c306);
    assert_int_equal(routing_murmur3(STR("\0\0\0")), 0x85f0b427 & 0x7fffffff);
    assert_int_equal(routing_murmur3(STR("\0\0\0\0")), 0x2362f9de);
    assert_int_equal(routing_murmur3(STR("\x21\x43\x65\x87")), 0xf55b516b & 0x7fffffff);
    assert_int_equal(routing_murmur3(STR("\x21\x43\x65")), 0x7e4a8634);
    assert_int_equal(routing_murmur3(STR("\x21\x43")), 0xa0f7b07a & 0x7fffffff);
    assert_int_equal(routing_murmur3(STR("\x21")), 0x72661cf4);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(known_hashes),
        cmocka_unit_test(malformed_utf8),
        cmocka_unit_test(every_tail_length_counts),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
