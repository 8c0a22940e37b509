/*
 * tls_front: TLS in front of a plain server of 127.0.0.1, with a certificate of its own for localhost
 * and 127.0.0.1, signed by a CA of its own. One thread, one connection at a time.
 */
#ifndef TESTS_TLS_FRONT_H
#define TESTS_TLS_FRONT_H

#include <stdint.h>

struct tls_front;

struct tls_front *tls_front_new(uint16_t behind);
void tls_front_free(struct tls_front *front);

uint16_t tls_front_port(const struct tls_front *front);
/* PEM, in a temporary file. */
const char *tls_front_ca(const struct tls_front *front);

#endif
