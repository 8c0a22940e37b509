/*
 * topic: a topic's name in its full form. Pure.
 */
#ifndef PULSAR_TOPIC_H
#define PULSAR_TOPIC_H

#include "base/err.h"
#include "base/str.h"

/* Allows "persistent://tenant/namespace/topic" (also non-persistent), "tenant/namespace/topic" and
 * "topic", which means persistent://public/default/topic. A new C string that the caller frees;
 * NULL and err (CONFIG, NOMEM). */
char *topic_full_name(struct str name, struct err *err);

/* The topic of one partition, "<topic>-partition-<index>";
 * the caller frees it. NULL when out of memory. */
char *topic_partition_name(const char *full_name, uint32_t index);

#endif
