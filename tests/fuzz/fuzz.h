/*
 * fuzz: what the fuzz targets share. A target takes its choices off the front of the input and the
 * rest as the bytes under test; what must hold is asserted.
 */
#ifndef TESTS_FUZZ_H
#define TESTS_FUZZ_H

#include "base/str.h"

#include <assert.h>
#include <stdlib.h>

/* The target: libFuzzer calls it with each input. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static inline struct str fuzz_input(const uint8_t *data, size_t size) {
    return str_make((const char *)data, size);
}

/* Takes a byte off the front; 0 behind the end. */
static inline uint8_t fuzz_take_byte(struct str *rest) {
    if (rest->len == 0) {
        return 0;
    }
    uint8_t byte = (uint8_t)rest->ptr[0];
    *rest = str_make(rest->ptr + 1, rest->len - 1);
    return byte;
}

/* A copy in memory of exactly its size, so that a step too far is seen. The caller frees it. */
static inline char *fuzz_copy(struct str bytes) {
    char *copy = malloc(bytes.len);
    assert(copy != NULL);
    if (bytes.len > 0) {
        memcpy(copy, bytes.ptr, bytes.len);
    }
    return copy;
}

/* One line for a terminal, and not an empty one. */
static inline void fuzz_check_line(const char *text) {
    assert(text[0] != '\0');
    for (const unsigned char *p = (const unsigned char *)text; *p != '\0'; p++) {
        assert(*p >= ' ' && *p != 0x7f);
    }
}

#endif
