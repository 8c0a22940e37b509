/*
 * deduplication: does the broker deduplicate the topic, as effectively once needs it? Asked once, before anything is sent.
 */
#ifndef CLI_DEDUPLICATION_H
#define CLI_DEDUPLICATION_H

#include "cli/runtime.h"

/* Main thread. False and err (with the commands that help) when it is off, or when the question makes no sense; that it cannot be
 * seen is a line in the log. */
bool deduplication_check(struct runtime *runtime, const struct config *config, struct err *err);

#endif
