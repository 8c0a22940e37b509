/*
 * reply_error: what an AWS reply with an error status means: one of our error codes, a text with the service's own
 * code and message, and whether newer keys or a corrected clock may help. Pure. The same for all operations, since
 * no code means different things to two of them.
 */
#ifndef AWS_REPLY_ERROR_H
#define AWS_REPLY_ERROR_H

#include "base/err.h"
#include "base/str.h"

enum reply_advice {
    REPLY_ADVICE_NONE,
    REPLY_ADVICE_NEW_KEYS, /* the keys may just be out of date */
    REPLY_ADVICE_CLOCK,    /* the signature's time may be wrong */
};

/* status: of HTTP, not 200. error_type: the header x-amzn-ErrorType, used when the body names no code; may be empty.
 * body: JSON, XML of the query protocol, HTML, anything or nothing. The AWS common library must be initialised. */
enum reply_advice reply_error(int status, struct str error_type, struct str body, struct err *err);

#endif
