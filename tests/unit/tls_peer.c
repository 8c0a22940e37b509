#include "unit/tls_peer.h"

#include "unit/caller.h"

#include <assert.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

/* ---- Certificates. */

static void add_extension(X509 *x509, X509 *issuer, int nid, const char *value) {
    X509V3_CTX context;
    X509V3_set_ctx(&context, issuer, x509, NULL, NULL, 0);
    X509_EXTENSION *extension = X509V3_EXT_conf_nid(NULL, &context, nid, value);
    assert(extension != NULL);
    int added = X509_add_ext(x509, extension, -1);
    assert(added == 1);
    (void)added;
    X509_EXTENSION_free(extension);
}

struct cert cert_make(const struct cert_options *options) {
    static long serial = 1;
    struct cert cert = {.key = EVP_EC_gen("P-256"), .x509 = X509_new()};
    assert(cert.key != NULL && cert.x509 != NULL);
    const struct cert *issuer = options->issuer != NULL ? options->issuer : &cert;
    (void)X509_set_version(cert.x509, 2);
    (void)ASN1_INTEGER_set(X509_get_serialNumber(cert.x509), serial++);
    (void)X509_time_adj_ex(X509_getm_notBefore(cert.x509), options->from_days, -3600, NULL);
    (void)X509_time_adj_ex(X509_getm_notAfter(cert.x509),
                           options->to_days != 0 ? options->to_days : 30, 0, NULL);
    (void)X509_NAME_add_entry_by_txt(X509_get_subject_name(cert.x509), "CN", MBSTRING_ASC,
                                     (const unsigned char *)options->name, -1, -1, 0);
    (void)X509_set_issuer_name(cert.x509, X509_get_subject_name(issuer->x509));
    (void)X509_set_pubkey(cert.x509, cert.key);
    add_extension(cert.x509, issuer->x509, NID_basic_constraints,
                  options->authority ? "critical,CA:TRUE" : "critical,CA:FALSE");
    if (options->names != NULL) {
        add_extension(cert.x509, issuer->x509, NID_subject_alt_name, options->names);
    }
    int signed_len = X509_sign(cert.x509, issuer->key, EVP_sha256());
    assert(signed_len > 0);
    (void)signed_len;
    return cert;
}

void cert_free(struct cert *cert) {
    EVP_PKEY_free(cert->key);
    X509_free(cert->x509);
}

void cert_write(const struct cert *cert, const struct cert *second, const char *cert_path,
                const char *key_path) {
    FILE *file;
    if (cert_path != NULL) {
        file = fopen(cert_path, "w");
        assert(file != NULL);
        (void)fprintf(file, "A remark, as bundles have them.\n");
        (void)PEM_write_X509(file, cert->x509);
        if (second != NULL) {
            (void)PEM_write_X509(file, second->x509);
        }
        (void)fclose(file);
    }
    if (key_path != NULL) {
        file = fopen(key_path, "w");
        assert(file != NULL);
        (void)PEM_write_PrivateKey(file, cert->key, NULL, NULL, 0, NULL, NULL);
        (void)fclose(file);
    }
}

SSL_CTX *cert_server_context(const struct cert *cert) {
    SSL_CTX *context = SSL_CTX_new(TLS_server_method());
    assert(context != NULL);
    int ok =
        SSL_CTX_use_certificate(context, cert->x509) & SSL_CTX_use_PrivateKey(context, cert->key);
    assert(ok == 1);
    (void)ok;
    return context;
}

/* ---- A connection: OpenSSL works on memory, and the bytes go over the socket in steps. */

struct line {
    struct tls_peer *peer;
    int fd;
    SSL *ssl;
    BIO *in;
    BIO *out;
};

static size_t step_of(const struct line *line, size_t most) {
    size_t step = line->peer->options.step;
    return step > 0 && step < most ? step : most;
}

static bool push(struct line *line) {
    char bytes[16384];
    for (int len; (len = BIO_read(line->out, bytes, (int)step_of(line, sizeof bytes))) > 0;) {
        for (int sent = 0; sent < len;) {
            ssize_t now = send(line->fd, bytes + sent, (size_t)(len - sent), MSG_NOSIGNAL);
            if (now <= 0) {
                return false;
            }
            sent += (int)now;
        }
    }
    return true;
}

static bool pull(struct line *line) {
    char bytes[16384];
    ssize_t got = recv(line->fd, bytes, step_of(line, sizeof bytes), 0);
    return got > 0 && BIO_write(line->in, bytes, (int)got) == got;
}

/* After each call of OpenSSL: false when it is over. */
static bool go_on(struct line *line, int result) {
    int error = SSL_get_error(line->ssl, result);
    bool pushed = push(line);
    return pushed && error == SSL_ERROR_WANT_READ && pull(line);
}

static void note_names(struct line *line) {
    struct tls_peer *peer = line->peer;
    const char *server_name = SSL_get_servername(line->ssl, TLSEXT_NAMETYPE_host_name);
    (void)snprintf(peer->server_name, sizeof peer->server_name, "%s",
                   server_name != NULL ? server_name : "");
    X509 *client = SSL_get0_peer_certificate(line->ssl);
    peer->client_name[0] = '\0';
    if (client != NULL) {
        (void)X509_NAME_get_text_by_NID(X509_get_subject_name(client), NID_commonName,
                                        peer->client_name, sizeof peer->client_name);
    }
}

static void wait_for_drain(struct tls_peer *peer) {
    (void)pthread_mutex_lock(&peer->lock);
    while (!peer->may_drain && !peer->stopping) {
        (void)pthread_cond_wait(&peer->changed, &peer->lock);
    }
    (void)pthread_mutex_unlock(&peer->lock);
}

static bool echo(struct line *line, const char *bytes, int len) {
    for (int sent = 0; sent < len;) {
        int now = SSL_write(line->ssl, bytes + sent, len - sent);
        if (now <= 0 || !push(line)) {
            return false;
        }
        sent += now;
    }
    return true;
}

static void serve_tls(struct line *line) {
    struct tls_peer *peer = line->peer;
    int result;
    while ((result = SSL_accept(line->ssl)) <= 0) {
        if (!go_on(line, result)) {
            return;
        }
    }
    note_names(line);
    peer->handshakes++;
    if (!push(line)) {
        return;
    }
    if (peer->options.habit == TLS_PEER_SINKS) {
        wait_for_drain(peer);
    }
    char bytes[16384];
    for (;;) {
        int got = SSL_read(line->ssl, bytes, sizeof bytes);
        if (got > 0) {
            for (int i = 0; i < got; i++) {
                assert(bytes[i] == caller_byte(peer->bytes + (uint64_t)i));
            }
            peer->bytes += (uint64_t)got;
            if (peer->options.habit == TLS_PEER_ECHO && !echo(line, bytes, got)) {
                return;
            }
        } else if (!go_on(line, got)) {
            peer->told_end = SSL_get_error(line->ssl, got) == SSL_ERROR_ZERO_RETURN;
            return;
        }
    }
}

static void serve(struct tls_peer *peer, int fd) {
    char bytes[1024];
    struct line line = {.peer = peer, .fd = fd};
    peer->connections++;
    peer->bytes = 0;
    peer->told_end = false;
    switch (peer->options.habit) {
    case TLS_PEER_IS_SILENT:
        while (recv(fd, bytes, sizeof bytes, 0) > 0) {
        }
        break;
    case TLS_PEER_HANGS_UP:
        (void)recv(fd, bytes, sizeof bytes, 0);
        break;
    case TLS_PEER_BABBLES:
        (void)recv(fd, bytes, sizeof bytes, 0);
        (void)send(fd, "HTTP/1.1 400 Bad Request\r\n\r\n", 28, MSG_NOSIGNAL);
        while (recv(fd, bytes, sizeof bytes, 0) > 0) {
        }
        break;
    case TLS_PEER_ECHO:
    case TLS_PEER_SINKS:
        line.ssl = SSL_new(peer->context);
        line.in = BIO_new(BIO_s_mem());
        line.out = BIO_new(BIO_s_mem());
        assert(line.ssl != NULL && line.in != NULL && line.out != NULL);
        SSL_set_bio(line.ssl, line.in, line.out);
        serve_tls(&line);
        SSL_free(line.ssl);
        ERR_clear_error();
        break;
    }
}

static void *run(void *arg) {
    struct tls_peer *peer = arg;
    for (int fd; (fd = accept(peer->listener, NULL, NULL)) >= 0;) {
        (void)pthread_mutex_lock(&peer->lock);
        peer->fd = fd;
        bool stopping = peer->stopping;
        (void)pthread_mutex_unlock(&peer->lock);
        if (!stopping) {
            serve(peer, fd);
        }
        (void)pthread_mutex_lock(&peer->lock);
        peer->fd = -1;
        (void)close(fd);
        (void)pthread_mutex_unlock(&peer->lock);
    }
    return NULL;
}

/* ---- Life. */

static void set_context(struct tls_peer *peer) {
    const struct tls_peer_options *options = &peer->options;
    peer->context = cert_server_context(options->cert);
    long ok = SSL_CTX_set_min_proto_version(
        peer->context, options->min_version != 0 ? options->min_version : TLS1_2_VERSION);
    ok &= SSL_CTX_set_max_proto_version(peer->context, options->max_version);
    if (options->max_version == TLS1_1_VERSION) {
        ok &= SSL_CTX_set_cipher_list(peer->context, "ALL:@SECLEVEL=0");
    }
    if (options->chain != NULL) {
        ok &= SSL_CTX_add1_chain_cert(peer->context, options->chain->x509);
    }
    if (options->client_issuer != NULL) {
        ok &= X509_STORE_add_cert(SSL_CTX_get_cert_store(peer->context),
                                  options->client_issuer->x509);
        SSL_CTX_set_verify(peer->context, SSL_VERIFY_PEER | SSL_VERIFY_FAIL_IF_NO_PEER_CERT, NULL);
    }
    assert(ok == 1);
    (void)ok;
}

struct tls_peer *tls_peer_start(const struct tls_peer_options *options) {
    struct tls_peer *peer = calloc(1, sizeof *peer);
    assert(peer != NULL);
    peer->options = *options;
    peer->fd = -1;
    (void)pthread_mutex_init(&peer->lock, NULL);
    (void)pthread_cond_init(&peer->changed, NULL);
    if (options->cert != NULL) {
        set_context(peer);
    }
    peer->listener = caller_listen("127.0.0.1", 16, &peer->port);
    int failed = pthread_create(&peer->thread, NULL, run, peer);
    assert(failed == 0);
    (void)failed;
    return peer;
}

void tls_peer_drain(struct tls_peer *peer) {
    (void)pthread_mutex_lock(&peer->lock);
    peer->may_drain = true;
    (void)pthread_cond_signal(&peer->changed);
    (void)pthread_mutex_unlock(&peer->lock);
}

void tls_peer_stop(struct tls_peer *peer) {
    (void)pthread_mutex_lock(&peer->lock);
    peer->stopping = true;
    (void)pthread_cond_signal(&peer->changed);
    if (peer->fd >= 0 && peer->options.habit != TLS_PEER_SINKS) {
        (void)shutdown(peer->fd, SHUT_RDWR); /* wakes recv */
    }
    (void)pthread_mutex_unlock(&peer->lock);
    (void)shutdown(peer->listener, SHUT_RDWR); /* wakes accept */
    (void)pthread_join(peer->thread, NULL);
    (void)close(peer->listener);
    peer->listener = -1;
}

void tls_peer_free(struct tls_peer *peer) {
    if (peer->listener >= 0) {
        tls_peer_stop(peer);
    }
    SSL_CTX_free(peer->context);
    (void)pthread_mutex_destroy(&peer->lock);
    (void)pthread_cond_destroy(&peer->changed);
    free(peer);
}
