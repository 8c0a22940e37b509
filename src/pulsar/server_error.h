/*
 * server_error: what a broker's ServerError means to us, in one table. Pure.
 */
#ifndef PULSAR_SERVER_ERROR_H
#define PULSAR_SERVER_ERROR_H

#include "base/err.h"

/* Sets err by the ServerError's number: "<the broker's message> (<name>)", and what to do about it.
 * message may be NULL. Always returns false. */
bool server_error_set(struct err *err, int error, const char *message);

#endif
