/*
 * config_value: texts of a configuration as values, and values as texts. Pure.
 */
#ifndef CONFIG_CONFIG_VALUE_H
#define CONFIG_CONFIG_VALUE_H

#include "base/buf.h"

enum config_value_result {
    CONFIG_VALUE_OK,
    CONFIG_VALUE_MALFORMED,
    CONFIG_VALUE_OUT_OF_BOUNDS, /* well-formed, but not within min and max (both inclusive) */
};

/* Nothing but white space: the same as absent. */
bool config_value_is_blank(struct str text);

/* A whole number: "3". */
enum config_value_result config_value_count(struct str text, uint64_t min, uint64_t max,
                                            uint64_t *ret_count);
/* Milliseconds: "30000", "500 ms", "30s", "5 min", "1 h". min and max in ms. */
enum config_value_result config_value_ms(struct str text, uint64_t min, uint64_t max,
                                         uint64_t *ret_ms);
/* Bytes: "1048576", "64 KiB", "24MiB", "1 GiB"; KB, MB and GB are powers of 1000. min and max in bytes. */
enum config_value_result config_value_bytes(struct str text, uint64_t min, uint64_t max,
                                            uint64_t *ret_bytes);
/* "true" or "false", in any case. */
enum config_value_result config_value_flag(struct str text, bool *ret_flag);

/* NULL when text is an http or https URL of scheme, host and port only, else what is wrong with it.
 * A host without a scheme is fine: it means https. Static storage. */
const char *config_value_url_defect(struct str text);
/* NULL when text can be a region's name (it becomes part of host names), else what is wrong. Static storage. */
const char *config_value_region_defect(struct str text);

/* A variable of an environment as environ (NULL: empty one). NULL when it is absent or empty. */
const char *config_value_variable(const char *const *environment, const char *name);

/* "24 MiB" for whole multiples of 1024, else the plain number. */
void config_value_add_bytes(struct buf *to, uint64_t bytes);
/* The text in double quotes as an error message shows it: on one line, cut when long. */
void config_value_add_quoted(struct buf *to, struct str text);

#endif
