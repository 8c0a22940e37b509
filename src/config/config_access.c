#include "config/config_access.h"

#include "aws/sts.h"
#include "config/config_file.h"
#include "config/config_report.h"
#include "config/config_value.h"
#include "config/property.h"

#include <stdlib.h>

/* A Java class may be named in full or by its last part. */
static bool is_class(const char *name, const char *class_name) {
    const char *dot = strrchr(name, '.');
    return strcmp(dot == NULL ? name : dot + 1, class_name) == 0;
}

static const char *param_member(const struct config_file *param, const char *name) {
    const struct config_entry *entry = config_file_find(param, str_of(name));
    return entry != NULL && entry->kind == CONFIG_ENTRY_SCALAR ? entry->value : "";
}

static bool open_param(const struct config *config, enum config_key key, const char *allowed,
                       struct config_file *ret_param, struct err *err) {
    struct str text = str_of(config->texts[key]);
    if (text.len == 0 || text.ptr[0] != '{' || !config_file_parse("param", text, ret_param, NULL)) {
        return config_fail(config, key, err, "not a JSON object; %s", allowed);
    }
    return true;
}

static bool copy_member(char **field, const struct config_file *param, const char *name,
                        struct err *err) {
    return config_derive(field, str_of(param_member(param, name)), err);
}

/* They need the text itself, since a list is lost in param. */
static bool check_tags(const struct config *config, enum config_key key,
                       const struct config_file *param, const char *allowed,
                       struct config_access *to, struct err *err) {
    if (config_file_find(param, STR("tags")) == NULL &&
        config_file_find(param, STR("transitiveTagKeys")) == NULL) {
        return true;
    }
    struct str text = str_of(config->texts[key]);
    struct buf form;
    struct err why = ERR_NONE;
    buf_init(&form, BUF_MAX_REQUEST);
    bool good = sts_add_tags(&form, text, &why);
    buf_done(&form);
    return good ? config_derive(&to->role_tags, text, err)
                : config_fail(config, key, err, "%s; %s", why.text, allowed);
}

/* With STSAssumeRoleProviderPlugin: the role, assumed with the default chain's keys. */
static bool check_role(const struct config *config, enum config_key key, struct config_access *to,
                       struct err *err) {
    static const char allowed[] = "allowed: {\"roleArn\":\"...\",\"roleSessionName\":\"...\"}, "
                                  "optionally with \"externalId\", \"tags\":{\"KEY\":\"VALUE\"} "
                                  "and \"transitiveTagKeys\":[\"KEY\"]";
    struct config_file param;
    if (!open_param(config, key, allowed, &param, err)) {
        return false;
    }
    bool ok;
    if (config_value_is_blank(str_of(param_member(&param, "roleArn")))) {
        ok = config_fail(config, key, err, "\"roleArn\" is missing; %s", allowed);
    } else {
        ok = copy_member(&to->role_arn, &param, "roleArn", err) &&
             copy_member(&to->role_session, &param, "roleSessionName", err) &&
             copy_member(&to->external_id, &param, "externalId", err) &&
             check_tags(config, key, &param, allowed, to, err);
    }
    config_file_done(&param);
    return ok;
}

/* No message shows more of a secret than the names that we expect in it. */
static bool check_static_keys(const struct config *config, enum config_key key, const char *plugin,
                              struct config_access *to, struct err *err) {
    static const char allowed[] =
        "allowed: {\"accessKey\":\"...\",\"secretKey\":\"...\"}, optionally with \"sessionToken\"";
    struct config_file param;
    if (!open_param(config, key, allowed, &param, err)) {
        return false;
    }
    bool ok;
    if (config_file_find(&param, STR("roleArn")) != NULL) {
        ok = config_fail(config, key, err, "\"roleArn\" needs %s STSAssumeRoleProviderPlugin; %s",
                         plugin, allowed);
    } else if (config_value_is_blank(str_of(param_member(&param, "accessKey"))) ||
               config_value_is_blank(str_of(param_member(&param, "secretKey")))) {
        ok =
            config_fail(config, key, err, "\"accessKey\" or \"secretKey\" is missing; %s", allowed);
    } else {
        ok = copy_member(&to->access_key, &param, "accessKey", err) &&
             copy_member(&to->secret_key, &param, "secretKey", err) &&
             copy_member(&to->session_token, &param, "sessionToken", err);
    }
    config_file_done(&param);
    return ok;
}

/* plugin and param: awsCredentialPluginName and awsCredentialPluginParam, or those of the lease table. */
static bool check_access(struct config *config, enum config_key plugin, enum config_key param,
                         struct config_access *to, struct err *err) {
    char **const fields[] = {&to->plugin,       &to->plugin_param,  &to->access_key,
                             &to->secret_key,   &to->session_token, &to->role_arn,
                             &to->role_session, &to->external_id,   &to->role_tags};
    for (size_t i = 0; i < sizeof fields / sizeof fields[0]; i++) {
        if (!config_derive(fields[i], STR_NONE, err)) {
            return false;
        }
    }
    const char *name = config->texts[plugin];
    bool has_param = config->texts[param][0] != '\0';
    if (is_class(name, "STSAssumeRoleProviderPlugin")) {
        return check_role(config, param, to, err);
    }
    if (is_class(name, "AwsDefaultProviderChainPlugin")) {
        return !has_param ||
               config_note(config, err, "%s is ignored: AwsDefaultProviderChainPlugin takes none",
                           property_of(param)->name);
    }
    if (name[0] == '/') {
        return config_derive(&to->plugin, str_of(name), err) &&
               config_derive(&to->plugin_param, str_of(config->texts[param]), err);
    }
    if (name[0] != '\0') {
        return config_fail(config, plugin, err,
                           "no credential plugin that is known here; allowed: nothing (keys in "
                           "%s, or the default chain), AwsDefaultProviderChainPlugin, "
                           "STSAssumeRoleProviderPlugin, or the absolute path of a shared object",
                           property_of(param)->name);
    }
    return !has_param || check_static_keys(config, param, property_of(plugin)->name, to, err);
}

bool config_access_check(struct config *config, struct err *err) {
    enum config_key plugin = CONFIG_KEY_credential_plugin;
    enum config_key param = CONFIG_KEY_credential_param;
    if (!check_access(config, plugin, param, &config->access, err)) {
        return false;
    }
    config->has_table_access =
        config->table_credential_plugin[0] != '\0' || config->table_credential_param[0] != '\0';
    return !config->has_table_access ||
           check_access(config, CONFIG_KEY_table_credential_plugin,
                        CONFIG_KEY_table_credential_param, &config->table_access, err);
}

void config_access_done(struct config_access *access) {
    free(access->plugin);
    free(access->plugin_param);
    free(access->access_key);
    free(access->secret_key);
    free(access->session_token);
    free(access->role_arn);
    free(access->role_session);
    free(access->external_id);
    free(access->role_tags);
}

const char *config_access_source(const struct config_access *access) {
    return access->plugin[0] != '\0'       ? "plugin"
           : access->access_key[0] != '\0' ? "static keys"
           : access->role_arn[0] != '\0'   ? "role by default chain"
                                           : "default chain";
}
