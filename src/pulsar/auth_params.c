#include "pulsar/auth_params.h"

#include "base/http_url.h"
#include "base/json.h"
#include "pulsar/oauth2_key.h"
#include "pulsar/secret.h"

#include <ctype.h>
#include <stdlib.h>

enum { MAX_MEMBERS = 8, SHOWN_NAME_MAX = 40 };

/* One thing that a method wants to know, by the names that clients have for it; the first is ours. */
struct member {
    const char *names[4];
    char **to;
    bool required;
};

static bool store(struct str value, char **to, struct err *err) {
    *to = str_dup(value);
    return *to != NULL || err_set(err, ERR_NOMEM, "no memory for authParams");
}

/* ---- Members, from JSON or from a list. */

static const struct member *find_member(const struct member *members, size_t count,
                                        struct str name) {
    for (size_t i = 0; i < count; i++) {
        for (size_t j = 0; j < 4 && members[i].names[j] != NULL; j++) {
            if (str_is(name, members[i].names[j])) {
                return &members[i];
            }
        }
    }
    return NULL;
}

static const char *known_names(const struct member *members, size_t count, char to[256]) {
    struct buf text;
    buf_init(&text, 255);
    for (size_t i = 0; i < count; i++) {
        buf_add_format(&text, "%s%s",
                       i == 0           ? ""
                       : i + 1 == count ? " and "
                                        : ", ",
                       members[i].names[0]);
    }
    (void)str_copy(buf_str(&text), to, 256);
    buf_done(&text);
    return to;
}

#define COMMA_HINT "one of its names (a value with a comma in it needs the JSON form)"

/* The name of a JSON member may be shown. A part of a list may not: it can be a secret's second
 * half, behind a comma. */
static bool unknown(const struct member *members, size_t count, struct str name, bool show,
                    struct err *err) {
    char known[256];
    bool plain = show && name.len > 0 && name.len <= SHOWN_NAME_MAX;
    for (size_t i = 0; plain && i < name.len; i++) {
        plain = isalnum((unsigned char)name.ptr[i]) || strchr("_-.", name.ptr[i]) != NULL;
    }
    return err_set(err, ERR_CONFIG, "%s%.*s%s is not known here; known are %s",
                   plain  ? "\""
                   : show ? "one of its names"
                          : COMMA_HINT,
                   plain ? (int)name.len : 0, name.ptr, plain ? "\"" : "",
                   known_names(members, count, known));
}

static bool set_member(const struct member *member, struct str value, struct err *err) {
    if (*member->to != NULL) {
        return err_set(err, ERR_CONFIG, "\"%s\" is given twice", member->names[0]);
    }
    if (value.len == 0 || memchr(value.ptr, '\0', value.len) != NULL) {
        return err_set(err, ERR_CONFIG, "\"%s\" is empty", member->names[0]);
    }
    if (value.len > AUTH_TOKEN_MAX) {
        return err_set(err, ERR_CONFIG, "\"%s\" is longer than %d bytes", member->names[0],
                       AUTH_TOKEN_MAX);
    }
    return store(value, member->to, err);
}

struct reading {
    const struct member *members;
    size_t count;
    struct err *err;
};

static int read_json_member(const struct aws_byte_cursor *key, const struct aws_json_value *value,
                            bool *ret_continue, void *ctx) {
    (void)ret_continue;
    struct reading *reading = ctx;
    struct str name = str_make((const char *)key->ptr, key->len);
    const struct member *member = find_member(reading->members, reading->count, name);
    struct aws_byte_cursor text;
    bool ok;
    if (member == NULL) {
        ok = unknown(reading->members, reading->count, name, true, reading->err);
    } else if (aws_json_value_get_string(value, &text) != AWS_OP_SUCCESS) {
        ok = err_set(reading->err, ERR_CONFIG, "\"%s\" must be a text in quotes", member->names[0]);
    } else {
        ok = set_member(member, str_make((const char *)text.ptr, text.len), reading->err);
    }
    return ok ? AWS_OP_SUCCESS : AWS_OP_ERR;
}

static bool read_json(struct str params, const struct member *members, size_t count,
                      struct err *err) {
    struct aws_json_value *json = json_parse(params);
    struct reading reading = {.members = members, .count = count, .err = err};
    bool ok;
    if (json == NULL || !aws_json_value_is_object(json)) {
        ok = err_set(err, ERR_CONFIG, "it looks like a JSON object, but cannot be read as one");
    } else {
        ok = aws_json_const_iterate_object(json, read_json_member, &reading) == AWS_OP_SUCCESS;
    }
    json_free_secret(json);
    return ok;
}

/* "name:value,name:value". */
static bool read_list(struct str params, const struct member *members, size_t count,
                      struct err *err) {
    while (params.len > 0) {
        const char *comma = memchr(params.ptr, ',', params.len);
        size_t len = comma != NULL ? (size_t)(comma - params.ptr) : params.len;
        struct str part = str_make(params.ptr, len);
        size_t skip = comma != NULL ? len + 1 : len;
        params = str_make(params.ptr + skip, params.len - skip);
        const char *colon = memchr(part.ptr, ':', part.len);
        size_t name_len = colon != NULL ? (size_t)(colon - part.ptr) : part.len;
        struct str name = str_trim(str_make(part.ptr, name_len));
        const struct member *member = find_member(members, count, name);
        if (member == NULL) {
            return unknown(members, count, name, false, err);
        }
        size_t value_at = colon != NULL ? name_len + 1 : name_len;
        struct str value = str_make(part.ptr + value_at, part.len - value_at);
        if (!set_member(member, str_trim(value), err)) {
            return false;
        }
    }
    return true;
}

static bool is_json(struct str params) {
    return params.len > 0 && params.ptr[0] == '{';
}

static bool read_members(struct str params, const struct member *members, size_t count,
                         struct err *err) {
    if (!(is_json(params) ? read_json(params, members, count, err)
                          : read_list(params, members, count, err))) {
        return false;
    }
    for (size_t i = 0; i < count; i++) {
        if (members[i].required && *members[i].to == NULL) {
            return err_set(err, ERR_CONFIG, "\"%s\" is missing", members[i].names[0]);
        }
    }
    return true;
}

/* ---- The methods. */

#define TOKEN_FORMS "token:<token>, file:///path, env:NAME or {\"token\":\"...\"}"
#define BASIC_FORMS "{\"userId\":\"...\",\"password\":\"...\"} or user:password"
#define TLS_FORMS "tlsCertFile:/path,tlsKeyFile:/path or the same as JSON"
#define OAUTH2_FORMS                                                                               \
    "{\"issuerUrl\":\"https://...\",\"privateKey\":\"file:///path\",\"audience\":\"...\"}"

static bool strip(struct str *text, const char *prefix) {
    if (!str_starts(*text, prefix)) {
        return false;
    }
    size_t len = strlen(prefix);
    *text = str_trim(str_make(text->ptr + len, text->len - len));
    return true;
}

static bool read_token(struct str text, struct auth_params *params, struct err *err) {
    if (is_json(text)) {
        const struct member members[] = {{{"token"}, &params->value, true}};
        return read_members(text, members, 1, err);
    }
    if (str_starts(text, "file:")) {
        params->kind = AUTH_TOKEN_FILE;
        text = str_trim(secret_file_url_path(text));
    } else if (strip(&text, "env:")) {
        params->kind = AUTH_TOKEN_ENV;
    } else {
        (void)strip(&text, "token:");
    }
    if (text.len == 0 || memchr(text.ptr, '\0', text.len) != NULL) {
        return err_set(err, ERR_CONFIG, "it names no token; allowed: " TOKEN_FORMS);
    }
    if (text.len > AUTH_TOKEN_MAX) {
        return err_set(err, ERR_CONFIG, "the token is longer than %d bytes", AUTH_TOKEN_MAX);
    }
    return store(text, &params->value, err);
}

static bool join_user(const char *user, const char *password, char **to, struct err *err) {
    size_t size = strlen(user) + strlen(password) + 2;
    if (strchr(user, ':') != NULL || size > AUTH_TOKEN_MAX) {
        return err_set(err, ERR_CONFIG,
                       size > AUTH_TOKEN_MAX ? "the user and password are too long"
                                             : "a user's name cannot have a colon");
    }
    *to = malloc(size);
    if (*to == NULL) {
        return err_set(err, ERR_NOMEM, "no memory for authParams");
    }
    char *end = stpcpy(*to, user);
    *end = ':';
    (void)stpcpy(end + 1, password);
    return true;
}

static bool read_basic(struct str text, struct auth_params *params, struct err *err) {
    bool list = str_starts(text, "userId:") || str_starts(text, "username:") ||
                str_starts(text, "user_id:") || str_starts(text, "password:");
    if (is_json(text) || list) {
        char *user = NULL;
        char *password = NULL;
        const struct member members[] = {
            {{"userId", "username", "user_id"}, &user, true},
            {{"password"}, &password, true},
        };
        bool ok = read_members(text, members, 2, err) && user != NULL && password != NULL &&
                  join_user(user, password, &params->value, err);
        secret_free(user);
        secret_free(password);
        return ok;
    }
    const char *colon = memchr(text.ptr, ':', text.len);
    if (colon == NULL || colon == text.ptr || colon + 1 == text.ptr + text.len ||
        memchr(text.ptr, '\0', text.len) != NULL || text.len > AUTH_TOKEN_MAX) {
        return err_set(err, ERR_CONFIG, "it names no user and password; allowed: " BASIC_FORMS);
    }
    return store(text, &params->value, err);
}

static bool read_tls(struct str text, struct auth_params *params, struct err *err) {
    const struct member members[] = {
        {{"tlsCertFile", "tls_cert_file"}, &params->tls_certificate_file, true},
        {{"tlsKeyFile", "tls_key_file"}, &params->tls_key_file, true},
    };
    return read_members(text, members, 2, err);
}

static bool read_oauth2(struct str text, struct auth_params *params, struct err *err) {
    struct oauth2_params *oauth2 = &params->oauth2;
    char *type = NULL;
    const struct member members[] = {
        {{"issuerUrl", "issuer_url"}, &oauth2->issuer_url, true},
        {{"privateKey", "private_key"}, &oauth2->private_key, true},
        {{"audience"}, &oauth2->audience, false},
        {{"scope"}, &oauth2->scope, false},
        {{"trustCertsFilePath", "trust_certs_file_path"}, &oauth2->trust_certs_file, false},
        {{"type"}, &type, false},
    };
    if (!is_json(text)) {
        return err_set(err, ERR_CONFIG, "not a JSON object; allowed: " OAUTH2_FORMS);
    }
    bool ok = read_members(text, members, sizeof members / sizeof members[0], err);
    if (ok && type != NULL && strcmp(type, "client_credentials") != 0) {
        ok = err_set(err, ERR_CONFIG, "\"type\" must be client_credentials");
    }
    free(type);
    struct http_url url;
    if (ok && !http_url_parse(str_of(oauth2->issuer_url), &url, err)) {
        err_context(err, "\"issuerUrl\"");
        ok = false;
    } else if (ok && strchr(url.path, '?') != NULL) {
        ok = err_set(err, ERR_CONFIG, "\"issuerUrl\" must be without a query");
    }
    if (ok && !oauth2_key_check(oauth2->private_key, err)) {
        err_context(err, "\"privateKey\"");
        ok = false;
    }
    return ok;
}

/* ---- The whole. */

#define JAVA_PACKAGE "org.apache.pulsar.client.impl.auth."

static const struct plugin {
    const char *name;
    const char *java_package;
    const char *java_class;
    enum auth_kind kind;
    const char *forms; /* of its params */
} plugins[] = {
    {"none", JAVA_PACKAGE, "AuthenticationDisabled", AUTH_NONE, ""},
    {"disabled", JAVA_PACKAGE, "AuthenticationDisabled", AUTH_NONE, ""},
    {"token", JAVA_PACKAGE, "AuthenticationToken", AUTH_TOKEN, TOKEN_FORMS},
    {"basic", JAVA_PACKAGE, "AuthenticationBasic", AUTH_BASIC, BASIC_FORMS},
    {"tls", JAVA_PACKAGE, "AuthenticationTls", AUTH_TLS, TLS_FORMS},
    {"oauth2", JAVA_PACKAGE "oauth2.", "AuthenticationOAuth2", AUTH_OAUTH2, OAUTH2_FORMS},
};

static const struct plugin *find_plugin(struct str name) {
    if (name.len == 0) {
        return &plugins[0];
    }
    for (size_t i = 0; i < sizeof plugins / sizeof plugins[0]; i++) {
        const struct plugin *plugin = &plugins[i];
        size_t package_len = strlen(plugin->java_package);
        struct str in_package = str_starts(name, plugin->java_package)
                                    ? str_make(name.ptr + package_len, name.len - package_len)
                                    : name;
        if (str_is(name, plugin->name) || str_is(in_package, plugin->java_class)) {
            return plugin;
        }
    }
    return NULL;
}

bool auth_params_parse(struct str plugin, struct str params, struct auth_params *ret_params,
                       enum auth_fault *ret_fault, struct err *err) {
    *ret_params = (struct auth_params){.kind = AUTH_NONE};
    plugin = str_trim(plugin);
    params = str_trim(params);
    const struct plugin *found = find_plugin(plugin);
    *ret_fault = AUTH_FAULT_PLUGIN;
    if (found == NULL) {
        return err_set(
            err, ERR_CONFIG,
            "no authentication that is known here; allowed: nothing, none, token, basic, "
            "tls, oauth2, or Java's classes AuthenticationToken, AuthenticationBasic, "
            "AuthenticationTls and AuthenticationOAuth2");
    }
    if (found->kind != AUTH_NONE && params.len == 0) {
        return err_set(err, ERR_CONFIG, "it needs authParams; allowed there: %s", found->forms);
    }
    *ret_fault = AUTH_FAULT_PARAMS;
    ret_params->kind = found->kind;
    switch (found->kind) {
    case AUTH_NONE:
        return params.len == 0 || err_set(err, ERR_CONFIG,
                                          "it needs an authPlugin; allowed there: token, basic, "
                                          "tls or oauth2");
    case AUTH_BASIC:
        return read_basic(params, ret_params, err);
    case AUTH_TLS:
        return read_tls(params, ret_params, err);
    case AUTH_OAUTH2:
        return read_oauth2(params, ret_params, err);
    default:
        return read_token(params, ret_params, err);
    }
}

void auth_params_done(struct auth_params *params) {
    secret_free(params->value);
    free(params->tls_certificate_file);
    free(params->tls_key_file);
    free(params->oauth2.issuer_url);
    secret_free(params->oauth2.private_key); /* a data: URL is the key itself */
    free(params->oauth2.audience);
    free(params->oauth2.scope);
    free(params->oauth2.trust_certs_file);
    *params = (struct auth_params){.kind = AUTH_NONE};
}

bool auth_params_check(struct str plugin, struct str params, bool tls, enum auth_fault *ret_fault,
                       struct err *err) {
    struct auth_params parsed;
    bool ok = auth_params_parse(plugin, params, &parsed, ret_fault, err);
    if (ok && parsed.kind == AUTH_TLS && !tls) {
        *ret_fault = AUTH_FAULT_PLUGIN;
        ok = err_set(err, ERR_CONFIG, "it needs a serviceUrl with pulsar+ssl://");
    }
    auth_params_done(&parsed);
    return ok;
}
