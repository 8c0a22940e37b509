/*
 * fake_bytes: bytes that may be text, in a double's JSON. Pure.
 */
#ifndef FAKES_FAKE_BYTES_H
#define FAKES_FAKE_BYTES_H

#include "base/buf.h"

/* Appends the member "name" with the text when the bytes are UTF-8, else "nameBase64". */
void fake_bytes_json(struct buf *out, const char *name, struct str bytes);

#endif
