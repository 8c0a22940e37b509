/*
 * crc32: the CRC-32 of x-amz-crc32 (zlib's and Ethernet's), in pieces. Pure. Thread: any.
 */
#ifndef AWS_CRC32_H
#define AWS_CRC32_H

#include <stddef.h>
#include <stdint.h>

/* The sum of what `crc` is the sum of (0: nothing), followed by these bytes. */
uint32_t crc32_update(uint32_t crc, const void *bytes, size_t len);

#endif
