#include "fakes/fake_tls.h"

#include <errno.h>
#include <limits.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <openssl/x509.h>

static SSL_CTX *context_of(const struct fake_tls_identity *identity) {
    return (SSL_CTX *)(uintptr_t)identity; /* OpenSSL counts the references to it */
}

static SSL *ssl_of(const struct fake_tls *tls) {
    return (SSL *)(uintptr_t)tls;
}

struct fake_tls_identity *fake_tls_identity_new(const char *certificate, const char *key,
                                                const char *ca, struct err *err) {
    SSL_CTX *context = SSL_CTX_new(TLS_server_method());
    if (context == NULL) {
        err_set(err, ERR_NOMEM, "TLS");
        return NULL;
    }
    (void)SSL_CTX_set_min_proto_version(context, TLS1_2_VERSION);
    (void)SSL_CTX_set_mode(context,
                           SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
    /* The socket's end is the end; not everybody says farewell first. */
    (void)SSL_CTX_set_options(context, SSL_OP_IGNORE_UNEXPECTED_EOF);
    const char *bad = NULL;
    if (SSL_CTX_use_certificate_chain_file(context, certificate) != 1) {
        bad = certificate;
    } else if (SSL_CTX_use_PrivateKey_file(context, key, SSL_FILETYPE_PEM) != 1 ||
               SSL_CTX_check_private_key(context) != 1) {
        bad = key;
    } else if (ca != NULL && SSL_CTX_load_verify_file(context, ca) != 1) {
        bad = ca;
    }
    if (bad != NULL) {
        err_set(err, ERR_CONFIG, "%s: %s", bad, ERR_reason_error_string(ERR_peek_last_error()));
        ERR_clear_error();
        SSL_CTX_free(context);
        return NULL;
    }
    if (ca != NULL) {
        SSL_CTX_set_verify(context, SSL_VERIFY_PEER | SSL_VERIFY_FAIL_IF_NO_PEER_CERT, NULL);
    }
    return (struct fake_tls_identity *)context;
}

void fake_tls_identity_free(struct fake_tls_identity *identity) {
    SSL_CTX_free(context_of(identity));
}

struct fake_tls *fake_tls_new(const struct fake_tls_identity *identity, int fd) {
    SSL *ssl = SSL_new(context_of(identity));
    if (ssl != NULL && SSL_set_fd(ssl, fd) != 1) {
        SSL_free(ssl);
        ssl = NULL;
    }
    if (ssl != NULL) {
        SSL_set_accept_state(ssl);
    }
    return (struct fake_tls *)ssl;
}

void fake_tls_free(struct fake_tls *tls) {
    SSL_free(ssl_of(tls));
}

/* What a result at or below zero means. */
static ssize_t failed(SSL *ssl, int result) {
    int error = SSL_get_error(ssl, result);
    ERR_clear_error();
    if (error == SSL_ERROR_ZERO_RETURN) {
        return 0;
    }
    errno = error == SSL_ERROR_WANT_READ || error == SSL_ERROR_WANT_WRITE ? EAGAIN : EPROTO;
    return -1;
}

ssize_t fake_tls_read(struct fake_tls *tls, void *to, size_t size) {
    int got = SSL_read(ssl_of(tls), to, size > INT_MAX ? INT_MAX : (int)size);
    return got > 0 ? got : failed(ssl_of(tls), got);
}

ssize_t fake_tls_write(struct fake_tls *tls, const void *bytes, size_t len) {
    int sent = SSL_write(ssl_of(tls), bytes, len > INT_MAX ? INT_MAX : (int)len);
    if (sent > 0) {
        return sent;
    }
    ssize_t result = failed(ssl_of(tls), sent);
    if (result == 0) {
        errno = EPROTO; /* the other side has said farewell */
    }
    return -1;
}

void fake_tls_peer_name(const struct fake_tls *tls, char *to, size_t size) {
    X509 *certificate = SSL_get0_peer_certificate(ssl_of(tls));
    to[0] = '\0';
    if (certificate != NULL) {
        (void)X509_NAME_get_text_by_NID(X509_get_subject_name(certificate), NID_commonName, to,
                                        (int)size);
    }
}

const char *fake_tls_server_name(const struct fake_tls *tls) {
    const char *name = SSL_get_servername(ssl_of(tls), TLSEXT_NAMETYPE_host_name);
    return name == NULL ? "" : name;
}
