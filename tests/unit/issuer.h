/*
 * issuer: an OAuth2 issuer of a few lines, on a thread of its own: discovery at /tenant and tokens
 * "token-1", "token-2", ... for one client. What it answers can be changed at any time.
 */
#ifndef TESTS_ISSUER_H
#define TESTS_ISSUER_H

#include "fakes/fake_server.h"

#include <pthread.h>

enum issuer_fault {
    ISSUER_WELL,
    ISSUER_STATUS,  /* fault_status, and fault_body */
    ISSUER_SILENT,  /* no answer */
    ISSUER_ENDLESS, /* a body without end */
    ISSUER_CUT,     /* the connection is reset in the body */
};

struct issuer {
    struct fake_server *server;
    uint16_t port;
    uint16_t tls_port; /* as localhost, with a certificate that ca_path can vouch for */
    char ca_path[40];
    pthread_cond_t changed;   /* with lock: something was counted */
    pthread_mutex_t lock;     /* of all below */
    char token_endpoint[128]; /* what discovery says; "": its own */
    enum issuer_fault discovery_fault;
    enum issuer_fault token_fault;
    unsigned fault_status;
    const char *fault_body;
    const char *expires_in;    /* as in JSON; NULL: absent */
    const char *client_secret; /* others are refused */
    unsigned discoveries;      /* requests so far, also those that fail */
    unsigned asked;
    unsigned tokens; /* given */
    char form[1024]; /* the last one */
};

/* Says "3600" of expiry; the client is "a client" with "s3cret&more". */
struct issuer *issuer_new(void);
void issuer_free(struct issuer *issuer);

/* Until *count (of the above) is at least that. Fails the test after half a minute. */
void issuer_wait(struct issuer *issuer, const unsigned *count, unsigned least);
unsigned issuer_count(struct issuer *issuer, const unsigned *count);
void issuer_set_fault(struct issuer *issuer, enum issuer_fault discovery, enum issuer_fault token,
                      unsigned status, const char *body);

#endif
