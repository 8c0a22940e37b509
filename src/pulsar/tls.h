/*
 * tls: TLS to brokers, on s2n: what a client trusts and shows, and its sessions on connected
 * sockets. TLS 1.2 or later. Files are PEM and looked at again for each session; what was made of
 * them is used as long as their contents are the same. The system's store is read once.
 *
 * One lane. The AWS I/O library must be initialised: it initialises s2n.
 */
#ifndef PULSAR_TLS_H
#define PULSAR_TLS_H

#include "base/err.h"
#include "base/str.h"

#include <sys/types.h>
#include <sys/uio.h>

/* Bytes of a file: a bundle of all public authorities has a quarter of it. */
enum { TLS_FILE_MAX = 1024 * 1024 };

struct tls;
struct tls_session;

struct tls_options {
    struct str trust_certs_file; /* empty: the system's store */
    struct str certificate_file; /* of ours, with the chain behind it, and its key: both or none */
    struct str key_file;
    bool allow_insecure;             /* any certificate will do */
    bool skip_hostname_verification; /* any host's certificate will do, if it is trusted */
};

/* Reads the files, to find defects early. NULL and err (CONFIG, with the path). */
struct tls *tls_new(const struct tls_options *options, struct err *err);
/* After its sessions. NULL is fine. */
void tls_free(struct tls *tls);

/* A client's session on a connected, non-blocking socket, which stays the caller's. host: whom the
 * certificate must name. NULL and err (PULSAR_TLS when the files are not usable now). */
struct tls_session *tls_session_new(struct tls *tls, const char *host, int fd, struct err *err);
/* NULL is fine. */
void tls_session_free(struct tls_session *session);

enum tls_handshake { TLS_DONE, TLS_BLOCKED, TLS_FAILED };

/* To be called again when the socket is ready, until it is done or has failed. err: PULSAR_TLS, or
 * PULSAR_TRANSPORT when the connection broke. */
enum tls_handshake tls_session_handshake(struct tls_session *session, struct err *err);
/* Bytes read; 0: no more for now; -1 and err: it is over. Read until it gives 0: the socket does
 * not know what waits here. */
ssize_t tls_session_read(struct tls_session *session, void *to, size_t size, struct err *err);
/* Bytes of the parts that the kernel has, encrypted; -1 and err: it is over. Fewer than all: the
 * socket is full, and the next call must begin with the rest. */
ssize_t tls_session_write(struct tls_session *session, const struct iovec *parts, size_t count,
                          struct err *err);
/* Encrypted bytes that the kernel has taken so far. */
uint64_t tls_session_sent(const struct tls_session *session);
/* Tells the broker, if the socket has room, that nothing comes any more. */
void tls_session_end(struct tls_session *session);

#endif
