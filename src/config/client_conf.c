#include "config/client_conf.h"

#define ALIAS(path, field)                                                                         \
    { path, SOURCE_KEY_ALIAS, CONFIG_KEY_##field, NULL }
#define IGNORED(path, text)                                                                        \
    { path, SOURCE_KEY_IGNORED, CONFIG_KEY_COUNT, text }
#define REFUSED(path, text)                                                                        \
    { path, SOURCE_KEY_REFUSED, CONFIG_KEY_COUNT, text }

#define KEY_STORE_TEXT "it counts only with useKeyStoreTls"

/* clang-format off */
static const struct source_key rows[] = {
    ALIAS("brokerServiceUrl", service_url),
    ALIAS("webServiceUrl", web_service_url),
    ALIAS("authPlugin", auth_plugin),
    ALIAS("authParams", auth_params),
    ALIAS("listenerName", listener_name),
    ALIAS("tlsTrustCertsFilePath", tls_trust_certs_file),
    ALIAS("tlsCertificateFilePath", tls_certificate_file),
    ALIAS("tlsKeyFilePath", tls_key_file),
    ALIAS("tlsEnableHostnameVerification", tls_verify_hostname),
    ALIAS("tlsAllowInsecureConnection", tls_allow_insecure),

    REFUSED("useKeyStoreTls",
            "key stores are Java's; write their content to PEM files and name those by tlsTrustCertsFilePath, "
            "tlsCertificateFilePath and tlsKeyFilePath"),
    REFUSED("proxyServiceUrl", "a proxy that goes by SNI is not supported; Pulsar's own proxy is a serviceUrl"),

    IGNORED("proxyProtocol", "it counts only with proxyServiceUrl"),
    IGNORED("memoryLimit", "memoryBudget is the limit here"),
    IGNORED("webserviceTlsProvider", "it is Java's"),
    IGNORED("sslFactoryPlugin", "it is Java's"),
    IGNORED("sslFactoryPluginParams", "it is Java's"),
    IGNORED("tlsTrustStoreType", KEY_STORE_TEXT),
    IGNORED("tlsTrustStorePath", KEY_STORE_TEXT),
    IGNORED("tlsTrustStorePassword", KEY_STORE_TEXT),
    IGNORED("tlsKeyStoreType", KEY_STORE_TEXT),
    IGNORED("tlsKeyStorePath", KEY_STORE_TEXT),
    IGNORED("tlsKeyStorePassword", KEY_STORE_TEXT),
    {NULL, SOURCE_KEY_IGNORED, CONFIG_KEY_COUNT, NULL},
};
/* clang-format on */

const struct source_key *client_conf_keys(void) {
    return rows;
}

const struct source_key *client_conf_find(struct str name) {
    return source_key_find_in(rows, name);
}

static struct str next_line(struct client_conf *conf) {
    const char *end = memchr(conf->rest.ptr, '\n', conf->rest.len);
    size_t len = end != NULL ? (size_t)(end - conf->rest.ptr) : conf->rest.len;
    struct str line = str_make(conf->rest.ptr, len);
    size_t taken = len + (end != NULL ? 1 : 0);
    conf->rest = str_make(conf->rest.ptr + taken, conf->rest.len - taken);
    conf->line++;
    return str_trim(line);
}

/* A key ends at the first '=', ':' or blank; of blanks around a '=' or ':' nothing is left. */
static void split(struct str line, struct str *ret_name, struct str *ret_value) {
    size_t len = 0;
    while (len < line.len && memchr("=: \t", line.ptr[len], 4) == NULL) {
        len++;
    }
    *ret_name = str_make(line.ptr, len);
    struct str value = str_trim(str_make(line.ptr + len, line.len - len));
    if (value.len > 0 && (value.ptr[0] == '=' || value.ptr[0] == ':')) {
        value = str_trim(str_make(value.ptr + 1, value.len - 1));
    }
    *ret_value = value;
}

bool client_conf_next(struct client_conf *conf, struct str *ret_name, struct str *ret_value,
                      struct err *err) {
    struct str line;
    do {
        if (conf->rest.len == 0) {
            return false;
        }
        line = next_line(conf);
    } while (line.len == 0 || line.ptr[0] == '#' || line.ptr[0] == '!');
    if (memchr(line.ptr, '\\', line.len) != NULL || memchr(line.ptr, '\0', line.len) != NULL) {
        return err_set(err, ERR_CONFIG,
                       "%s:%u: a backslash or U+0000 is not understood here; give this setting in "
                       "the configuration file",
                       conf->path, conf->line);
    }
    split(line, ret_name, ret_value);
    return true;
}
