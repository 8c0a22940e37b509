/*
 * credentials_chain: the places where AWS's clients look for keys, in their order: environment variables, the profile's
 * SSO, the profile, web identity, and the container's endpoint or, without one, the instance's metadata.
 */
#ifndef AWS_CREDENTIALS_CHAIN_H
#define AWS_CREDENTIALS_CHAIN_H

#include "base/buf.h"

struct aws_client_bootstrap;
struct aws_credentials_provider;
struct aws_tls_ctx;

enum credentials_place {
    CREDENTIALS_ENVIRONMENT,
    CREDENTIALS_SSO,
    CREDENTIALS_PROFILE,
    CREDENTIALS_WEB_IDENTITY,
    CREDENTIALS_CONTAINER,
    CREDENTIALS_INSTANCE,
    CREDENTIALS_PLACE_COUNT,
};

/* The provider of one place, as the environment and the profile's files are now. NULL when there is nothing of its
 * kind. May read files. Any thread. */
struct aws_credentials_provider *credentials_chain_new(enum credentials_place place,
                                                       struct aws_client_bootstrap *bootstrap,
                                                       struct aws_tls_ctx *tls);

/* For people: `profile "team-a"`. Names of variables and profiles, never a value that could be secret. */
void credentials_chain_add_name(struct buf *to, enum credentials_place place);
/* Why credentials_chain_new gave NULL, the CRT's error being what aws_last_error said then. */
void credentials_chain_add_absence(struct buf *to, enum credentials_place place, int error);

#endif
