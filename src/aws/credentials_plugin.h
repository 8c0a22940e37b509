/* credentials_plugin: a shared object that gives keys (include/ddb2pulsar/credentials_plugin.h). Its calls may block. */
#ifndef AWS_CREDENTIALS_PLUGIN_H
#define AWS_CREDENTIALS_PLUGIN_H

#include "base/err.h"

struct aws_credentials;
struct credentials_plugin;

/* Loads and opens it. ERR_CONFIG with its path and why. */
struct credentials_plugin *credentials_plugin_open(const char *path, const char *param,
                                                   struct err *err);
/* NULL and err (ERR_AWS_NO_CREDENTIALS) when it has none; else with a reference of the caller's. */
struct aws_credentials *credentials_plugin_get(struct credentials_plugin *plugin, struct err *err);
/* NULL is fine. */
void credentials_plugin_close(struct credentials_plugin *plugin);

#endif
