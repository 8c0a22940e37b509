/*
 * tls_peer: certificates made on the spot, and a TLS server on OpenSSL that takes one connection
 * after the other and sends back what it gets, or does what no good server does.
 */
#ifndef TESTS_TLS_PEER_H
#define TESTS_TLS_PEER_H

#include <openssl/ssl.h>
#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* A certificate with its key. */
struct cert {
    EVP_PKEY *key;
    X509 *x509;
};

struct cert_options {
    const char *name;  /* the subject's common name */
    const char *names; /* subjectAltName as OpenSSL writes it: "DNS:a.b,IP:127.0.0.1"; NULL: none */
    const struct cert *issuer; /* NULL: by itself */
    bool authority;
    int from_days; /* from today */
    int to_days;   /* 0: 30 */
};

struct cert cert_make(const struct cert_options *options);
void cert_free(struct cert *cert);
/* PEM files; key_path or cert_path may be NULL. A second certificate goes behind the first. */
void cert_write(const struct cert *cert, const struct cert *second, const char *cert_path,
                const char *key_path);

/* A server's, that shows this certificate. */
SSL_CTX *cert_server_context(const struct cert *cert);

enum peer_habit {
    TLS_PEER_ECHO,
    TLS_PEER_HANGS_UP,  /* after it has read the first bytes */
    TLS_PEER_BABBLES,   /* answers with bytes that are no TLS */
    TLS_PEER_IS_SILENT, /* takes the connection and says nothing */
    TLS_PEER_SINKS,     /* reads nothing after the handshake until tls_peer_drain */
};

struct tls_peer_options {
    const struct cert *cert;
    const struct cert *chain;         /* of the issuer between, sent along; may be NULL */
    const struct cert *client_issuer; /* a client certificate of it is required; NULL: none */
    int max_version;                  /* TLS1_1_VERSION; 0: the newest */
    int min_version;                  /* 0: TLS 1.2 */
    size_t step;                      /* bytes per send and recv on the socket; 0: many */
    enum peer_habit habit;
};

struct tls_peer {
    struct tls_peer_options options;
    uint16_t port;
    int listener;
    SSL_CTX *context;
    pthread_t thread;
    /* Written by its thread; to be read after tls_peer_stop. */
    int connections;
    int handshakes;
    char server_name[256]; /* of the last one; "": none */
    char client_name[256]; /* common name of its certificate */
    uint64_t bytes;        /* of the last connection */
    bool told_end;         /* by close_notify */
    pthread_mutex_t lock;
    pthread_cond_t changed;
    bool may_drain;
    bool stopping;
    int fd; /* of the connection that is served; -1: none */
};

/* Listens on 127.0.0.1. cert and so on live until tls_peer_stop. */
struct tls_peer *tls_peer_start(const struct tls_peer_options *options);
void tls_peer_drain(struct tls_peer *peer);
/* Ends its thread. */
void tls_peer_stop(struct tls_peer *peer);
void tls_peer_free(struct tls_peer *peer);

#endif
