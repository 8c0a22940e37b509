#include "config/config_check.h"

#include "base/host_port.h"
#include "config/config_access.h"
#include "config/config_file.h"
#include "config/config_report.h"
#include "config/config_time.h"
#include "config/config_value.h"
#include "config/property.h"
#include "pulsar/admin.h"
#include "pulsar/auth_params.h"

#include <stdlib.h>

static bool is_set(const char *text) {
    return text[0] != '\0';
}

static bool check_stream(struct config *config, struct err *err) {
    if (!is_set(config->stream_arn)) {
        return config_fail_missing(CONFIG_KEY_stream_arn, err, "it names the stream to read");
    }
    const char *defect = arn_parse(str_of(config->stream_arn), &config->arn);
    if (defect != NULL) {
        return config_fail(config, CONFIG_KEY_stream_arn, err,
                           "not a DynamoDB stream's ARN, %s; allowed: arn:<partition>:dynamodb:"
                           "<region>:<account>:table/<table>/stream/<label>",
                           defect);
    }
    return true;
}

/* Of a variable. */
static bool is_true(const char *const *environment, const char *name) {
    const char *value = config_value_variable(environment, name);
    return value != NULL && strcasecmp(value, "true") == 0;
}

/* The address of a service by AWS's own variables, that of the service before that of all; or NULL. */
static const char *variable_endpoint(const char *const *environment, const char *of_service,
                                     const char **ret_name) {
    const char *const names[] = {of_service, "AWS_ENDPOINT_URL"};
    if (is_true(environment, "AWS_IGNORE_CONFIGURED_ENDPOINT_URLS")) {
        return NULL;
    }
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        const char *url = config_value_variable(environment, names[i]);
        if (url != NULL) {
            *ret_name = names[i];
            return url;
        }
    }
    return NULL;
}

static bool default_endpoint(struct config *config, enum config_key key, const char *of_service,
                             const char *const *environment, struct err *err) {
    const char *name;
    const char *url = variable_endpoint(environment, of_service, &name);
    if (is_set(config->texts[key]) || url == NULL) {
        return true;
    }
    struct err why = ERR_NONE;
    if (!property_store(key, str_of(url), config, &why)) {
        return err_set(err, why.code, "environment variable %s: %s", name, why.text);
    }
    return config_derive(&config->texts[key], str_of(url), err) &&
           config_note(config, err, "%s is %s, by the environment variable %s",
                       property_of(key)->name, url, name);
}

/* Only roles need it, and it has no property. */
static bool set_sts_endpoint(struct config *config, const char *const *environment,
                             struct err *err) {
    const char *name;
    const char *url = variable_endpoint(environment, "AWS_ENDPOINT_URL_STS", &name);
    const char *defect = url != NULL ? config_value_url_defect(str_of(url)) : NULL;
    return defect == NULL ? config_derive(&config->sts_endpoint, str_of(url), err)
                          : err_set(err, ERR_CONFIG,
                                    "environment variable %s: not a usable URL, %s; allowed: "
                                    "http[s]://host[:port]",
                                    name, defect);
}

static bool check_endpoints(struct config *config, const char *const *environment,
                            struct err *err) {
    config->use_fips = is_true(environment, "AWS_USE_FIPS_ENDPOINT");
    config->use_dualstack = is_true(environment, "AWS_USE_DUALSTACK_ENDPOINT");
    if (!config_derive(&config->ca_bundle,
                       str_of(config_value_variable(environment, "AWS_CA_BUNDLE")), err)) {
        return false;
    }
    if (!set_sts_endpoint(config, environment, err) ||
        !default_endpoint(config, CONFIG_KEY_aws_endpoint, "AWS_ENDPOINT_URL_DYNAMODB_STREAMS",
                          environment, err) ||
        !default_endpoint(config, CONFIG_KEY_dynamo_endpoint, "AWS_ENDPOINT_URL_DYNAMODB",
                          environment, err) ||
        !default_endpoint(config, CONFIG_KEY_cloudwatch_endpoint, "AWS_ENDPOINT_URL_CLOUDWATCH",
                          environment, err)) {
        return false;
    }
    enum config_key given = is_set(config->aws_endpoint)      ? CONFIG_KEY_aws_endpoint
                            : is_set(config->dynamo_endpoint) ? CONFIG_KEY_dynamo_endpoint
                                                              : CONFIG_KEY_cloudwatch_endpoint;
    if ((config->use_fips || config->use_dualstack) && is_set(config->texts[given])) {
        return config_fail(config, given, err, "a contradiction to %s, which asks for AWS's own",
                           config->use_fips ? "AWS_USE_FIPS_ENDPOINT"
                                            : "AWS_USE_DUALSTACK_ENDPOINT");
    }
    return true;
}

static bool check_region_name(const struct config *config, enum config_key key, struct err *err) {
    const char *text = config->texts[key];
    const char *defect = is_set(text) ? config_value_region_defect(str_of(text)) : NULL;
    return defect == NULL || config_fail(config, key, err, "%s; allowed: e.g. us-east-1", defect);
}

/* The stream is where its ARN says, unless its endpoint is overridden: then whoever set that knows better. */
static bool check_region(struct config *config, struct err *err) {
    if (!check_region_name(config, CONFIG_KEY_aws_region, err) ||
        !check_region_name(config, CONFIG_KEY_table_aws_region, err)) {
        return false;
    }
    struct str own = str_of(config->aws_region);
    struct str table_own = str_of(config->table_aws_region);
    struct str general = own.len > 0 ? own : config->arn.region;
    struct str table = table_own.len > 0 ? table_own : general;
    struct str streams = is_set(config->aws_endpoint) ? general : config->arn.region;
    if (!config_derive(&config->table_region, table, err) ||
        !config_derive(&config->streams_region, streams, err)) {
        return false;
    }
    if (str_equal(table, config->arn.region) || table_own.len > 0) {
        return true;
    }
    return config_note(config, err,
                       "awsRegion %.*s is not the ARN's region %.*s: the lease table is in %.*s, "
                       "the stream is read in %.*s",
                       STR_FMT(table), STR_FMT(config->arn.region), STR_FMT(table),
                       STR_FMT(streams));
}

static bool is_table_char(char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' ||
           c == '-' || c == '.';
}

static bool check_lease_table(struct config *config, struct err *err) {
    struct str name = str_of(config->application_name);
    if (!config_derive(&config->lease_table, name, err)) {
        return false;
    }
    size_t len = 0;
    for (size_t i = 0; i < name.len; i++) {
        if (((unsigned char)name.ptr[i] & 0xc0) !=
            0x80) { /* one '-' for a character of many bytes */
            config->lease_table[len++] = is_table_char(name.ptr[i]) ? name.ptr[i] : '-';
        }
    }
    config->lease_table[len] = '\0';
    if (len < 3 || len > 255) {
        return config_fail(config, CONFIG_KEY_application_name, err,
                           "not usable as the lease table's name; allowed: 3 to 255 characters");
    }
    if (str_is(name, config->lease_table)) {
        return true;
    }
    return config_note(config, err, "the lease table of applicationName %s is %s",
                       config->application_name, config->lease_table);
}

static bool has_tls(const struct config *config) {
    return str_starts(str_of(config->service_url), "pulsar+ssl://");
}

static bool check_service_url(const struct config *config, struct err *err) {
    struct str url = str_of(config->service_url);
    if ((!str_starts(url, "pulsar://") && !has_tls(config)) || str_is(url, "pulsar://") ||
        str_is(url, "pulsar+ssl://")) {
        return config_fail(config, CONFIG_KEY_service_url, err,
                           "not the URL of a Pulsar service; allowed: "
                           "pulsar://host[:port][,host[:port]...] or pulsar+ssl://...");
    }
    return true;
}

static bool check_web_service_url(const struct config *config, struct err *err) {
    struct err why = ERR_NONE;
    return !is_set(config->web_service_url) ||
           pulsar_admin_url_check(str_of(config->web_service_url), &why) ||
           config_fail(config, CONFIG_KEY_web_service_url, err,
                       "%s; allowed: http[s]://host[:port][,host[:port]...]", why.text);
}

static bool check_tls(struct config *config, struct err *err) {
    static const enum config_key keys[] = {
        CONFIG_KEY_tls_trust_certs_file, CONFIG_KEY_tls_certificate_file, CONFIG_KEY_tls_key_file,
        CONFIG_KEY_tls_verify_hostname, CONFIG_KEY_tls_allow_insecure};
    bool used = has_tls(config) || str_starts(str_of(config->web_service_url), "https://");
    for (size_t i = 0; !used && i < sizeof keys / sizeof keys[0]; i++) {
        if (config->origins[keys[i]].source != CONFIG_SOURCE_DEFAULT &&
            !config_note(config, err,
                         "%s is ignored: neither serviceUrl nor webServiceUrl is with TLS",
                         property_of(keys[i])->name)) {
            return false;
        }
    }
    if (has_tls(config) && (config->tls_allow_insecure || !config->tls_verify_hostname) &&
        !config_note(config, err, "%s: others can pass for the Pulsar broker",
                     config->tls_allow_insecure ? "tlsAllowInsecureConnection true"
                                                : "tlsEnableHostnameVerification false")) {
        return false;
    }
    bool certificate = is_set(config->tls_certificate_file);
    if (certificate != is_set(config->tls_key_file)) {
        return config_fail(
            config, certificate ? CONFIG_KEY_tls_certificate_file : CONFIG_KEY_tls_key_file, err,
            "it needs %s", certificate ? "tlsKeyFilePath" : "tlsCertificateFilePath");
    }
    return true;
}

static bool check_pulsar_auth(const struct config *config, struct err *err) {
    enum auth_fault fault;
    struct err why = ERR_NONE;
    if (auth_params_check(str_of(config->auth_plugin), str_of(config->auth_params), has_tls(config),
                          &fault, &why)) {
        return true;
    }
    return config_fail(config,
                       fault == AUTH_FAULT_PLUGIN ? CONFIG_KEY_auth_plugin : CONFIG_KEY_auth_params,
                       err, "%s", why.text);
}

static bool check_pulsar(struct config *config, struct err *err) {
    if (config->sink != CONFIG_SINK_PULSAR) {
        return true;
    }
    if (!is_set(config->topic_name)) {
        return config_fail_missing(CONFIG_KEY_topic_name, err,
                                   "sink pulsar needs a topic to send to");
    }
    return check_service_url(config, err) && check_web_service_url(config, err) &&
           check_tls(config, err) && check_pulsar_auth(config, err);
}

/* A record's key and partition must be the same whenever it is sent. */
static bool check_guarantees(struct config *config, struct err *err) {
    enum config_key key = CONFIG_KEY_guarantees;
    if (config->guarantees == CONFIG_ATLEAST_ONCE) {
        struct str given = str_of(config->texts[key]);
        return given.len == 0 || str_equal_nocase(given, STR("ATLEAST_ONCE")) ||
               config_note(config, err, "processingGuarantees %.*s runs as ATLEAST_ONCE",
                           STR_FMT(given));
    }
    if (config->sink != CONFIG_SINK_PULSAR) {
        config->guarantees = CONFIG_ATLEAST_ONCE;
        return config->origins[CONFIG_KEY_sink].source == CONFIG_SOURCE_COMMAND ||
               config_note(config, err,
                           "processingGuarantees EFFECTIVELY_ONCE is ignored: it only counts with "
                           "sink pulsar");
    }
    if (config->message_key == MESSAGE_KEY_NONE) {
        return config_fail(config, key, err,
                           "a contradiction to messageKey none: without a key a message that is "
                           "sent again may go to another partition; allowed: messageKey itemKey or "
                           "eventId");
    }
    return true;
}

static bool check_poll_interval(const struct config *config, struct err *err) {
    if (config->min_poll_interval_ms <= config->max_poll_interval_ms) {
        return true;
    }
    bool blame_min = config->origins[CONFIG_KEY_min_poll_interval_ms].source >=
                     config->origins[CONFIG_KEY_max_poll_interval_ms].source;
    enum config_key key =
        blame_min ? CONFIG_KEY_min_poll_interval_ms : CONFIG_KEY_max_poll_interval_ms;
    enum config_key other =
        blame_min ? CONFIG_KEY_max_poll_interval_ms : CONFIG_KEY_min_poll_interval_ms;
    char place[256];
    config_origin_text(config, other, place, sizeof place);
    return config_fail(config, key, err,
                       "a contradiction to %s %s (%s); allowed: minPollInterval up to "
                       "maxPollInterval",
                       property_of(other)->name, config->texts[other], place);
}

/* Jackson takes a bare number for milliseconds; who counts in seconds would read everything and not know why. */
static bool note_seconds(struct config *config, struct err *err) {
    static const int64_t before_streams_ms = INT64_C(100000000000); /* in 1973 */
    if (config->start_at_ms >= before_streams_ms) {
        return true;
    }
    char text[CONFIG_TIME_MAX];
    config_time_format(config->start_at_ms, text);
    return config_note(config, err,
                       "startAtTime %s is %s, so everything is read; numbers are milliseconds",
                       config->texts[CONFIG_KEY_start_at_ms], text);
}

static bool check_start(struct config *config, struct err *err) {
    enum config_key key = CONFIG_KEY_start_at_ms;
    bool given = is_set(config->texts[key]);
    if (config->initial_position == CONFIG_POSITION_AT_TIMESTAMP) {
        return given ? note_seconds(config, err)
                     : config_fail_missing(key, err,
                                           "initialPositionInStream AT_TIMESTAMP starts there");
    }
    return !given || config_note(config, err,
                                 "startAtTime is ignored: it only counts with "
                                 "initialPositionInStream AT_TIMESTAMP");
}

/* Stays empty when the environment says nothing: then the worker has no name that lasts. */
static bool default_state_directory(struct config *config, const char *const *environment,
                                    struct err *err) {
    if (is_set(config->state_directory)) {
        return true;
    }
    const char *systemd = config_value_variable(environment, "STATE_DIRECTORY");
    const char *state_home = config_value_variable(environment, "XDG_STATE_HOME");
    const char *home = config_value_variable(environment, "HOME");
    struct buf path;
    buf_init(&path, 4096);
    if (systemd != NULL) {
        buf_add(&path, systemd, strcspn(systemd, ":")); /* systemd joins several by ':' */
    } else if (state_home != NULL) {
        buf_add_format(&path, "%s/ddb2pulsar", state_home);
    } else if (home != NULL) {
        buf_add_format(&path, "%s/.local/state/ddb2pulsar", home);
    }
    enum config_key key = CONFIG_KEY_state_directory;
    bool ok = config_derive(&config->texts[key], buf_str(&path), err) &&
              property_store(key, buf_str(&path), config, err);
    buf_done(&path);
    return ok;
}

/* Whoever comes from the Java connector gets other keys than before, and should know. */
static bool note_message_key(struct config *config, struct err *err) {
    if (!config->source_file ||
        config->origins[CONFIG_KEY_message_key].source != CONFIG_SOURCE_DEFAULT) {
        return true;
    }
    return config_note(config, err,
                       "messages have the item's primary key as their key, where the Java "
                       "connector takes the event's id; messageKey eventId does as it does");
}

/* Whoever reads from a stand-in of AWS has no account where it could be published. */
static bool check_metrics(struct config *config, struct err *err) {
    bool stand_in = str_starts(str_of(config->aws_endpoint), "http://");
    bool wanted = config->metrics_level != CONFIG_METRICS_NONE;
    config->publishes = wanted && (is_set(config->cloudwatch_endpoint) || !stand_in);
    if (!wanted || config->publishes ||
        config->origins[CONFIG_KEY_metrics_level].source == CONFIG_SOURCE_DEFAULT) {
        return true;
    }
    return config_note(config, err,
                       "metricsLevel %s publishes nothing: awsEndpoint is http://, which is no "
                       "AWS, and cloudwatchEndpoint is not set",
                       config->texts[CONFIG_KEY_metrics_level]);
}

static bool check_listen(const struct config *config, struct err *err) {
    char host[HOST_PORT_HOST_MAX];
    uint16_t port = 0;
    struct str text = str_of(config->http_listen);
    if (text.len == 0 || (host_port_parse(text, 0, host, &port) && port > 0)) {
        return true;
    }
    return config_fail(config, CONFIG_KEY_http_listen, err,
                       "not an address to listen at; allowed: host:port, as 127.0.0.1:8080, "
                       "0.0.0.0:8080 or [::]:8080");
}

bool config_check(struct config *config, const char *const *environment, struct err *err) {
    return check_stream(config, err) && check_endpoints(config, environment, err) &&
           check_region(config, err) && check_lease_table(config, err) &&
           config_access_check(config, err) && check_pulsar(config, err) &&
           check_guarantees(config, err) && check_start(config, err) &&
           check_poll_interval(config, err) && check_metrics(config, err) &&
           check_listen(config, err) && default_state_directory(config, environment, err) &&
           note_message_key(config, err);
}
