/*
 * fake_tls: TLS of a test double's connections, by OpenSSL on the double's own sockets; the program
 * under test has another implementation. Nothing here waits: a handshake goes on as bytes come.
 */
#ifndef FAKES_FAKE_TLS_H
#define FAKES_FAKE_TLS_H

#include "base/err.h"

#include <sys/types.h>

/* The certificate to show, and whom to trust. */
struct fake_tls_identity;
/* One connection. */
struct fake_tls;

/* Files are PEM. ca: the client must show a certificate that it signed; NULL: none is asked for.
 * NULL and err when a file is no good. */
struct fake_tls_identity *fake_tls_identity_new(const char *certificate, const char *key,
                                                const char *ca, struct err *err);
/* Connections made from it live on. NULL is fine. */
void fake_tls_identity_free(struct fake_tls_identity *identity);

/* fd is a non-blocking socket, and stays the caller's. NULL when out of memory. */
struct fake_tls *fake_tls_new(const struct fake_tls_identity *identity, int fd);
void fake_tls_free(struct fake_tls *tls);

/* As recv and send, errno too: EAGAIN also while the handshake is not over, EPROTO when TLS
 * failed. SIGPIPE must be blocked. */
ssize_t fake_tls_read(struct fake_tls *tls, void *to, size_t size);
ssize_t fake_tls_write(struct fake_tls *tls, const void *bytes, size_t len);

/* The common name in the client's certificate; "" without one. */
void fake_tls_peer_name(const struct fake_tls *tls, char *to, size_t size);
/* The name that the client asked for (SNI); "" without. */
const char *fake_tls_server_name(const struct fake_tls *tls);

#endif
