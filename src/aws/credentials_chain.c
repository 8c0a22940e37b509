#include "aws/credentials_chain.h"

#include <aws/auth/credentials.h>
#include <aws/http/proxy.h>

#include <stdlib.h>

static const struct proxy_env_var_settings proxy = {.env_var_type = AWS_HPEV_ENABLE};

static const char *variable(const char *name) {
    const char *value = getenv(name);
    return value != NULL && value[0] != '\0' ? value : NULL;
}

static const char *profile_name(void) {
    const char *name = variable("AWS_PROFILE");
    return name != NULL ? name : "default";
}

static bool is_in_container(void) {
    return variable("AWS_CONTAINER_CREDENTIALS_RELATIVE_URI") != NULL ||
           variable("AWS_CONTAINER_CREDENTIALS_FULL_URI") != NULL;
}

static bool is_metadata_off(void) {
    const char *disabled = variable("AWS_EC2_METADATA_DISABLED");
    return disabled != NULL && strcasecmp(disabled, "false") != 0;
}

static struct aws_credentials_provider *new_environment(struct aws_client_bootstrap *bootstrap,
                                                        struct aws_tls_ctx *tls) {
    (void)bootstrap;
    (void)tls;
    if (variable("AWS_ACCESS_KEY_ID") == NULL || variable("AWS_SECRET_ACCESS_KEY") == NULL) {
        return NULL;
    }
    struct aws_credentials_provider_environment_options options = {0};
    return aws_credentials_provider_new_environment(aws_default_allocator(), &options);
}

static struct aws_credentials_provider *new_sso(struct aws_client_bootstrap *bootstrap,
                                                struct aws_tls_ctx *tls) {
    struct aws_credentials_provider_sso_options options = {
        .bootstrap = bootstrap,
        .tls_ctx = tls,
        .proxy_ev_settings = &proxy,
    };
    return aws_credentials_provider_new_sso(aws_default_allocator(), &options);
}

static struct aws_credentials_provider *new_profile(struct aws_client_bootstrap *bootstrap,
                                                    struct aws_tls_ctx *tls) {
    struct proxy_env_var_settings for_roles = proxy; /* that type wants to change it */
    struct aws_credentials_provider_profile_options options = {
        .bootstrap = bootstrap,
        .tls_ctx = tls,
        .proxy_ev_settings = &for_roles,
    };
    return aws_credentials_provider_new_profile(aws_default_allocator(), &options);
}

static struct aws_credentials_provider *new_web_identity(struct aws_client_bootstrap *bootstrap,
                                                         struct aws_tls_ctx *tls) {
    struct aws_credentials_provider_sts_web_identity_options options = {
        .bootstrap = bootstrap,
        .tls_ctx = tls,
        .proxy_ev_settings = &proxy,
    };
    return aws_credentials_provider_new_sts_web_identity(aws_default_allocator(), &options);
}

static struct aws_credentials_provider *new_container(struct aws_client_bootstrap *bootstrap,
                                                      struct aws_tls_ctx *tls) {
    if (!is_in_container()) {
        return NULL;
    }
    struct aws_credentials_provider_ecs_environment_options options = {
        .bootstrap = bootstrap,
        .tls_ctx = tls,
        .proxy_ev_settings = &proxy,
    };
    return aws_credentials_provider_new_ecs_from_environment(aws_default_allocator(), &options);
}

/* A container must not get the keys of the machine below it. */
static struct aws_credentials_provider *new_instance(struct aws_client_bootstrap *bootstrap,
                                                     struct aws_tls_ctx *tls) {
    (void)tls;
    if (is_in_container() || is_metadata_off()) {
        return NULL;
    }
    struct aws_credentials_provider_imds_options options = {
        .bootstrap = bootstrap,
        .proxy_ev_settings = &proxy,
    };
    return aws_credentials_provider_new_imds(aws_default_allocator(), &options);
}

struct aws_credentials_provider *credentials_chain_new(enum credentials_place place,
                                                       struct aws_client_bootstrap *bootstrap,
                                                       struct aws_tls_ctx *tls) {
    static struct aws_credentials_provider *(*const makers[])(struct aws_client_bootstrap *,
                                                              struct aws_tls_ctx *) = {
        [CREDENTIALS_ENVIRONMENT] = new_environment, [CREDENTIALS_SSO] = new_sso,
        [CREDENTIALS_PROFILE] = new_profile,         [CREDENTIALS_WEB_IDENTITY] = new_web_identity,
        [CREDENTIALS_CONTAINER] = new_container,     [CREDENTIALS_INSTANCE] = new_instance,
    };
    aws_reset_error();
    return makers[place](bootstrap, tls);
}

void credentials_chain_add_name(struct buf *to, enum credentials_place place) {
    static const char *const names[] = {
        [CREDENTIALS_ENVIRONMENT] = "environment variables",
        [CREDENTIALS_SSO] = "SSO of profile",
        [CREDENTIALS_PROFILE] = "profile",
        [CREDENTIALS_WEB_IDENTITY] = "web identity",
        [CREDENTIALS_CONTAINER] = "container's endpoint",
        [CREDENTIALS_INSTANCE] = "instance metadata",
    };
    buf_add_text(to, names[place]);
    if (place == CREDENTIALS_SSO || place == CREDENTIALS_PROFILE) {
        buf_add_format(to, " \"%.64s\"", profile_name());
    }
}

static const char *set_or_not(const char *name) {
    return variable(name) != NULL ? "set" : "not set";
}

void credentials_chain_add_absence(struct buf *to, enum credentials_place place, int error) {
    if (place == CREDENTIALS_ENVIRONMENT) {
        buf_add_format(to, "AWS_ACCESS_KEY_ID %s, AWS_SECRET_ACCESS_KEY %s",
                       set_or_not("AWS_ACCESS_KEY_ID"), set_or_not("AWS_SECRET_ACCESS_KEY"));
    } else if (place == CREDENTIALS_PROFILE && error == AWS_ERROR_FILE_INVALID_PATH) {
        buf_add_text(to, "no config and no credentials file");
    } else if (place == CREDENTIALS_PROFILE && error != 0) {
        buf_add_text(to, aws_error_str(error));
    } else if (place == CREDENTIALS_INSTANCE && is_metadata_off()) {
        buf_add_text(to, "off by AWS_EC2_METADATA_DISABLED");
    } else {
        buf_add_text(to, "not configured");
    }
}
