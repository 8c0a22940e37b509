/*
 * config: everything a user can set, checked, with typed fields. Loaded once, before anything starts, and
 * constant from then on.
 *
 * Precedence: --set, environment, file, Pulsar's client.conf, default. Blank values are absent; `--set key=` goes back to the default.
 */
#ifndef CONFIG_CONFIG_H
#define CONFIG_CONFIG_H

#include "aws/table.h"
#include "base/err.h"
#include "config/arn.h"
#include "pulsar/producer.h"
#include "source/mapping.h"

enum config_position {
    CONFIG_POSITION_LATEST,
    CONFIG_POSITION_TRIM_HORIZON,
    CONFIG_POSITION_AT_TIMESTAMP, /* start_at_ms */
};
enum config_sink { CONFIG_SINK_PULSAR, CONFIG_SINK_STDOUT, CONFIG_SINK_PIPE, CONFIG_SINK_NONE };
enum config_guarantees { CONFIG_ATLEAST_ONCE, CONFIG_EFFECTIVELY_ONCE };
enum config_metrics { CONFIG_METRICS_NONE, CONFIG_METRICS_SUMMARY, CONFIG_METRICS_DETAILED };
enum config_policy { CONFIG_POLICY_FAIL, CONFIG_POLICY_GO_ON };

/* One per row of properties.def: CONFIG_KEY_stream_arn, ... */
enum config_key {
#define PROPERTY(field, type, kind, name, def, min, max, choices, secret, since, text)             \
    CONFIG_KEY_##field,
#include "config/properties.def"
    CONFIG_KEY_COUNT,
};

enum config_source {
    CONFIG_SOURCE_DEFAULT,
    CONFIG_SOURCE_CLIENT_CONF,
    CONFIG_SOURCE_FILE,
    CONFIG_SOURCE_ENVIRONMENT,
    CONFIG_SOURCE_SET,
    CONFIG_SOURCE_COMMAND, /* the command cannot do otherwise, e.g. `tail` never sends to Pulsar */
};

/* Where a value comes from. */
struct config_origin {
    enum config_source source;
    uint32_t line;   /* with CONFIG_SOURCE_CLIENT_CONF and CONFIG_SOURCE_FILE; from 1 */
    uint32_t column; /* with CONFIG_SOURCE_FILE */
};

/* Whose keys sign requests. Texts are never NULL. */
struct config_access {
    char *plugin; /* path of a shared object that gives the keys; empty: none */
    char *plugin_param;
    char *access_key; /* all three empty: the default chain */
    char *secret_key;
    char *session_token;
    char *role_arn; /* not empty: the keys of this role, assumed with the default chain's */
    char *role_session;
    char *external_id;
    char *role_tags; /* JSON with the role's session tags, see aws/sts.h; may be empty */
};

/* There is one of it, and its fields stand as the reference has them. NOLINTNEXTLINE(*-optin.performance.Padding) */
struct config {
    /* The properties. Texts are never NULL, but empty when absent; a count of 0 stands for "auto". */
#define PROPERTY(field, type, kind, name, def, min, max, choices, secret, since, text) type field;
#include "config/properties.def"

    /* Derived. */
    struct arn arn;       /* of stream_arn, borrows from it */
    char *streams_region; /* signs requests to DynamoDB Streams and names its default endpoint */
    char *table_region;   /* the same for the lease table */
    char *lease_table;    /* applicationName as a table name */
    struct config_access access;
    struct config_access table_access; /* with has_table_access; else it is the same */
    bool has_table_access;
    char *sts_endpoint; /* by AWS's variables; empty: the region's */
    char *ca_bundle;    /* by AWS's variable; empty: the system's store */
    bool use_fips;      /* by AWS's variables, for endpoints that are not given */
    bool use_dualstack;
    bool publishes;   /* something to CloudWatch */
    bool source_file; /* the file has the form of Pulsar's SourceConfig */

    char *file;                    /* NULL when there is none */
    char *texts[CONFIG_KEY_COUNT]; /* the values as they were given, trimmed */
    struct config_origin origins[CONFIG_KEY_COUNT];
    char **
        notes; /* sentences for the log: what was ignored or is done differently; without secrets */
    size_t note_count;
};

struct config_input {
    const char *file;        /* NULL: none */
    struct str text;         /* ptr not NULL: what is in it; then `file` is only its name */
    const char *const *sets; /* "key=value"; the last one of a key counts */
    size_t set_count;
    const char *const *forced; /* the same, by the command itself; above all others */
    size_t forced_count;
    const char *const *environment; /* as environ; NULL: empty */
};

/* NULL and err (ERR_CONFIG: one message with place, key, value and what is allowed) when anything is wrong. */
struct config *config_load(const struct config_input *input, struct err *err);
/* NULL is fine. */
void config_free(struct config *config);

/* "FILE:LINE:COLUMN", "CLIENT.CONF:LINE", "environment variable NAME", "--set", "default"; a C string, cut when it does not fit. */
void config_origin_text(const struct config *config, enum config_key key, char *to,
                        size_t capacity);
/* The value as it was given, or "***" when it is a secret that is set. */
const char *config_shown_value(const struct config *config, enum config_key key);

#endif
