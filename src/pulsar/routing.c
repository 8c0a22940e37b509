#include "pulsar/routing.h"

static uint32_t rotate_left(uint32_t value, unsigned bits) {
    return (value << bits) | (value >> (32 - bits));
}

static uint32_t scramble(uint32_t block) {
    return rotate_left(block * 0xcc9e2d51u, 15) * 0x1b873593u;
}

uint32_t routing_murmur3(struct str key) {
    uint32_t hash = 0;
    size_t blocks = key.len / 4;
    for (size_t i = 0; i < blocks; i++) {
        uint32_t block; /* little-endian, as the machine (wire.h checks) */
        memcpy(&block, key.ptr + 4 * i, sizeof block);
        hash = rotate_left(hash ^ scramble(block), 13) * 5 + 0xe6546b64u;
    }
    uint32_t tail = 0;
    for (size_t i = key.len; i > 4 * blocks; i--) {
        tail = (tail << 8) | (unsigned char)key.ptr[i - 1];
    }
    hash ^= scramble(tail); /* of 0 it is 0 */
    hash ^= (uint32_t)key.len;
    hash = (hash ^ (hash >> 16)) * 0x85ebca6bu;
    hash = (hash ^ (hash >> 13)) * 0xc2b2ae35u;
    return (hash ^ (hash >> 16)) & 0x7fffffffu;
}

enum { REPLACEMENT = 0xfffd };

/* The next character of well-formed UTF-8, else U+FFFD for the bytes that cannot be one; moves *at
 * behind it. */
static uint32_t next_character(struct str text, size_t *at) {
    unsigned char first = (unsigned char)text.ptr[(*at)++];
    if (first < 0x80) {
        return first;
    }
    /* The second byte's range depends on the first: no overlong forms, surrogates, or beyond
     * U+10FFFF. */
    unsigned continuation;
    unsigned char low = 0x80;
    unsigned char high = 0xbf;
    uint32_t character;
    if (first >= 0xc2 && first <= 0xdf) {
        continuation = 1;
        character = first & 0x1fu;
    } else if (first >= 0xe0 && first <= 0xef) {
        continuation = 2;
        character = first & 0x0fu;
        low = first == 0xe0 ? 0xa0 : low;
        high = first == 0xed ? 0x9f : high;
    } else if (first >= 0xf0 && first <= 0xf4) {
        continuation = 3;
        character = first & 0x07u;
        low = first == 0xf0 ? 0x90 : low;
        high = first == 0xf4 ? 0x8f : high;
    } else {
        return REPLACEMENT;
    }
    for (; continuation > 0; continuation--) {
        if (*at == text.len) {
            return REPLACEMENT;
        }
        unsigned char byte = (unsigned char)text.ptr[*at];
        if (byte < low || byte > high) {
            return REPLACEMENT;
        }
        character = (character << 6) | (byte & 0x3fu);
        low = 0x80;
        high = 0xbf;
        (*at)++;
    }
    return character;
}

uint32_t routing_java_string(struct str key) {
    uint32_t hash = 0;
    for (size_t at = 0; at < key.len;) {
        uint32_t character = next_character(key, &at);
        if (character >= 0x10000) {
            character -= 0x10000;
            hash = 31 * hash + (0xd800u | (character >> 10));
            character = 0xdc00u | (character & 0x3ffu);
        }
        hash = 31 * hash + character;
    }
    return hash & 0x7fffffffu;
}
