/* config_check: what no property can know alone: contradictions, what is missing, and what follows from the rest. */
#ifndef CONFIG_CONFIG_CHECK_H
#define CONFIG_CONFIG_CHECK_H

#include "config/config.h"

/* Fills the derived fields of a configuration whose properties are stored, and notes what is worth a log line. */
bool config_check(struct config *config, const char *const *environment, struct err *err);

#endif
