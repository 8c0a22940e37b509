/*
 * oauth2: the access token of a client, by OAuth2's client credentials flow: finds the issuer's token
 * endpoint, gets a token, and renews it when 80 to 90 % of its life have passed. One attempt at a
 * time, whoever needs it; a token is kept as long as it is valid, whatever happens to its renewal.
 * All of it runs on one lane and never blocks it, but for reading the key file.
 */
#ifndef PULSAR_OAUTH2_H
#define PULSAR_OAUTH2_H

#include "base/backoff.h"
#include "base/err.h"
#include "base/lane.h"
#include "base/str.h"
#include "pulsar/auth_params.h"

struct oauth2;

struct oauth2_options {
    const struct oauth2_params *params; /* outlives it */
    uint32_t timeout_ms;                /* of an attempt, from discovery to token */
    struct backoff backoff;             /* between attempts to renew a token */
    /* An attempt has ended; err NULL: there is a new token. Class RETRY: the issuer can't be had or
     * has a problem of its own; PULSAR_AUTH: it refuses us, or our key cannot be read. */
    void (*ended)(void *ctx, const struct err *err);
    void *ctx;
};

/* Starts nothing but reads the certificates to trust. NULL and err (CONFIG, NOMEM). */
struct oauth2 *oauth2_new(struct lane *lane, const struct oauth2_options *options, struct err *err);
/* Erases and frees; ended will not come. NULL is fine. */
void oauth2_free(struct oauth2 *oauth2);

/* The token, if there is one that has not expired; else 0. Tokens are numbered from 1. Borrowed
 * until the next turn of the loop. */
uint64_t oauth2_token(const struct oauth2 *oauth2, struct str *ret_token);
/* Whether the token may be shown without asking the issuer first. One of unknown life is asked for at
 * each need, but not more often than every 10 s. fresh: nor one that is due to be renewed. */
bool oauth2_may_show(const struct oauth2 *oauth2, bool fresh);
/* Starts an attempt unless one is under way; ended comes later. */
void oauth2_renew(struct oauth2 *oauth2);
/* The broker refused this token: it is not shown again. */
void oauth2_drop(struct oauth2 *oauth2, uint64_t number);

#endif
