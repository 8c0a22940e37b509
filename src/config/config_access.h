/* config_access: what the credential properties say, for the stream and for the lease table. */
#ifndef CONFIG_CONFIG_ACCESS_H
#define CONFIG_CONFIG_ACCESS_H

#include "config/config.h"

/* Fills config->access and, if there is one, config->table_access. ERR_CONFIG; no message has any of a secret. */
bool config_access_check(struct config *config, struct err *err);
void config_access_done(struct config_access *access);
/* Where the keys will come from, as credentials_source says it. Static storage. */
const char *config_access_source(const struct config_access *access);

#endif
