/* manual: the manual page ddb2pulsar(1), from the tables of commands, options and errors. */
#ifndef CLI_MANUAL_H
#define CLI_MANUAL_H

#include "base/buf.h"

void manual_add(struct buf *to);

#endif
