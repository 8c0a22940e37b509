/*
 * routing: from a message's key to its partition, exactly as Pulsar's Java client does it. Pure.
 */
#ifndef PULSAR_ROUTING_H
#define PULSAR_ROUTING_H

#include "base/str.h"

/* MurmurHash3 x86 32 with seed 0 over the bytes, without the sign bit. */
uint32_t routing_murmur3(struct str key);

/* Java's String.hashCode over the UTF-16 of a UTF-8 key, without the sign bit. A malformed sequence
 * counts as U+FFFD, one for each longest prefix of a character that could have become one, as Java
 * decodes it. */
uint32_t routing_java_string(struct str key);

#endif
