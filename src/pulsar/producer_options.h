/*
 * producer_options: the defaults of a producer's options, and which do not go together. Pure.
 */
#ifndef PULSAR_PRODUCER_OPTIONS_H
#define PULSAR_PRODUCER_OPTIONS_H

#include "pulsar/producer.h"

/* Puts defaults where 0 means one. False and err (CONFIG) when they contradict each other. */
bool producer_options_complete(struct pulsar_producer_options *options, struct err *err);

#endif
