/* config_report: how loading a configuration tells what is wrong with a property, and what it does differently. */
#ifndef CONFIG_CONFIG_REPORT_H
#define CONFIG_CONFIG_REPORT_H

#include "config/config.h"

/* ERR_CONFIG "<place>: <name> is <value>: <reason>", secrets masked. Always returns false. */
bool config_fail(const struct config *config, enum config_key key, struct err *err,
                 const char *reason, ...) __attribute__((format(printf, 4, 5)));
/* ERR_CONFIG: the property has no value and needs one; why names what for. Always returns false. */
bool config_fail_missing(enum config_key key, struct err *err, const char *why);

/* Replaces a derived text, which is freed with the configuration. False with ERR_NOMEM. */
bool config_derive(char **field, struct str text, struct err *err);

/* Adds a sentence to config->notes. False with ERR_NOMEM. */
bool config_note(struct config *config, struct err *err, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

#endif
