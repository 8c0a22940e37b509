#include "unit/tls_front.h"

#include "unit/cmocka_all.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>
#include <poll.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

struct tls_front {
    int listener;
    int stop[2]; /* a pipe: readable when it shall end */
    uint16_t port;
    uint16_t behind;
    char ca[40];
    SSL_CTX *tls;
    pthread_t thread;
};

/* ---- Certificates. */

static void extend(X509 *certificate, X509 *issuer, int what, const char *value) {
    X509V3_CTX context;
    X509V3_set_ctx(&context, issuer, certificate, NULL, NULL, 0);
    X509_EXTENSION *extension = X509V3_EXT_conf_nid(NULL, &context, what, value);
    assert_non_null(extension);
    assert_int_equal(X509_add_ext(certificate, extension, -1), 1);
    X509_EXTENSION_free(extension);
}

/* issuer NULL: signed by itself. */
static X509 *certify(const char *name, EVP_PKEY *key, X509 *issuer, EVP_PKEY *issuer_key) {
    X509 *certificate = X509_new();
    assert_non_null(certificate);
    (void)X509_set_version(certificate, X509_VERSION_3);
    (void)ASN1_INTEGER_set(X509_get_serialNumber(certificate), issuer == NULL ? 1 : 2);
    (void)X509_gmtime_adj(X509_getm_notBefore(certificate), -3600);
    (void)X509_gmtime_adj(X509_getm_notAfter(certificate), 86400);
    (void)X509_set_pubkey(certificate, key);
    (void)X509_NAME_add_entry_by_txt(X509_get_subject_name(certificate), "CN", MBSTRING_ASC,
                                     (const unsigned char *)name, -1, -1, 0);
    X509 *signer = issuer != NULL ? issuer : certificate;
    (void)X509_set_issuer_name(certificate, X509_get_subject_name(signer));
    if (issuer == NULL) {
        extend(certificate, signer, NID_basic_constraints, "critical,CA:TRUE");
        extend(certificate, signer, NID_key_usage, "critical,keyCertSign");
    } else {
        extend(certificate, signer, NID_subject_alt_name, "DNS:localhost,IP:127.0.0.1");
    }
    assert_true(X509_sign(certificate, issuer_key, EVP_sha256()) > 0);
    return certificate;
}

static void make_certificates(struct tls_front *front) {
    EVP_PKEY *ca_key = EVP_EC_gen("P-256");
    EVP_PKEY *key = EVP_EC_gen("P-256");
    X509 *ca = certify("test CA", ca_key, NULL, ca_key);
    X509 *certificate = certify("localhost", key, ca, ca_key);
    (void)strcpy(front->ca, "/tmp/d2p_ca_XXXXXX");
    int fd = mkstemp(front->ca);
    assert_true(fd >= 0);
    FILE *file = fdopen(fd, "w");
    assert_non_null(file);
    assert_int_equal(PEM_write_X509(file, ca), 1);
    assert_int_equal(fclose(file), 0);
    front->tls = SSL_CTX_new(TLS_server_method());
    assert_non_null(front->tls);
    assert_int_equal(SSL_CTX_use_certificate(front->tls, certificate), 1);
    assert_int_equal(SSL_CTX_use_PrivateKey(front->tls, key), 1);
    X509_free(ca);
    X509_free(certificate);
    EVP_PKEY_free(ca_key);
    EVP_PKEY_free(key);
}

/* ---- Relaying. */

static int connect_behind(const struct tls_front *front) {
    struct sockaddr_in address = {.sin_family = AF_INET,
                                  .sin_port = htons(front->behind),
                                  .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_true(fd >= 0);
    assert_int_equal(connect(fd, (struct sockaddr *)&address, sizeof address), 0);
    return fd;
}

static void relay(const struct tls_front *front, SSL *ssl, int outside) {
    int inside = connect_behind(front);
    char bytes[4096];
    for (;;) {
        struct pollfd fds[] = {{.fd = outside, .events = POLLIN},
                               {.fd = inside, .events = POLLIN},
                               {.fd = front->stop[0], .events = POLLIN}};
        if (SSL_pending(ssl) == 0 && (poll(fds, 3, -1) < 0 || fds[2].revents != 0)) {
            break;
        }
        if (SSL_pending(ssl) > 0 || fds[0].revents != 0) {
            int len = SSL_read(ssl, bytes, sizeof bytes);
            if (len <= 0 || send(inside, bytes, (size_t)len, MSG_NOSIGNAL) != len) {
                break;
            }
        } else if (fds[1].revents != 0) {
            ssize_t len = recv(inside, bytes, sizeof bytes, 0);
            if (len <= 0 || SSL_write(ssl, bytes, (int)len) != len) {
                break;
            }
        }
    }
    (void)close(inside);
}

static void *serve(void *arg) {
    struct tls_front *front = arg;
    for (;;) {
        struct pollfd fds[] = {{.fd = front->listener, .events = POLLIN},
                               {.fd = front->stop[0], .events = POLLIN}};
        if (poll(fds, 2, -1) < 0 || fds[1].revents != 0) {
            return NULL;
        }
        int fd = accept(front->listener, NULL, NULL);
        if (fd < 0) {
            continue;
        }
        SSL *ssl = SSL_new(front->tls);
        (void)SSL_set_fd(ssl, fd);
        if (SSL_accept(ssl) == 1) {
            relay(front, ssl, fd);
            (void)SSL_shutdown(ssl);
        }
        SSL_free(ssl);
        (void)close(fd);
    }
}

struct tls_front *tls_front_new(uint16_t behind) {
    struct tls_front *front = calloc(1, sizeof *front);
    assert_non_null(front);
    front->behind = behind;
    make_certificates(front);
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t len = sizeof address;
    front->listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_true(front->listener >= 0);
    assert_int_equal(bind(front->listener, (struct sockaddr *)&address, len), 0);
    assert_int_equal(listen(front->listener, 8), 0);
    assert_int_equal(getsockname(front->listener, (struct sockaddr *)&address, &len), 0);
    front->port = ntohs(address.sin_port);
    assert_int_equal(pipe(front->stop), 0);
    assert_int_equal(pthread_create(&front->thread, NULL, serve, front), 0);
    return front;
}

void tls_front_free(struct tls_front *front) {
    assert_int_equal(write(front->stop[1], "x", 1), 1);
    (void)pthread_join(front->thread, NULL);
    (void)close(front->stop[0]);
    (void)close(front->stop[1]);
    (void)close(front->listener);
    (void)unlink(front->ca);
    SSL_CTX_free(front->tls);
    free(front);
}

uint16_t tls_front_port(const struct tls_front *front) {
    return front->port;
}

const char *tls_front_ca(const struct tls_front *front) {
    return front->ca;
}
