#include "unit/certificates.h"

#include "cmocka_all.h"
#include "unit/tls_peer.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

static void write_signed(const char *name, const char *names, const struct cert *issuer,
                         const char *path, const char *key_path) {
    struct cert cert =
        cert_make(&(struct cert_options){.name = name, .names = names, .issuer = issuer});
    cert_write(&cert, NULL, path, key_path);
    cert_free(&cert);
}

static struct cert write_authority(const char *name, const char *path) {
    struct cert cert = cert_make(&(struct cert_options){.name = name, .authority = true});
    cert_write(&cert, NULL, path, NULL);
    return cert;
}

static void place(const struct certificates *certificates, const char *name, char to[128]) {
    (void)snprintf(to, 128, "%s/%s.pem", certificates->folder, name);
}

void certificates_make(struct certificates *certificates) {
    const char *temporary = getenv("TMPDIR");
    (void)snprintf(certificates->folder, sizeof certificates->folder, "%s/certificates-XXXXXX",
                   temporary != NULL && strlen(temporary) < 32 ? temporary : "/tmp");
    assert_non_null(mkdtemp(certificates->folder));
    place(certificates, "ca", certificates->ca);
    place(certificates, "server", certificates->server);
    place(certificates, "server-key", certificates->server_key);
    place(certificates, "elsewhere", certificates->elsewhere);
    place(certificates, "elsewhere-key", certificates->elsewhere_key);
    place(certificates, "client", certificates->client);
    place(certificates, "client-key", certificates->client_key);
    place(certificates, "stranger", certificates->stranger);
    struct cert ca = write_authority("authority", certificates->ca);
    struct cert stranger = write_authority("stranger", certificates->stranger);
    write_signed("server", "IP:127.0.0.1,DNS:localhost", &ca, certificates->server,
                 certificates->server_key);
    write_signed("elsewhere", "DNS:other.example", &ca, certificates->elsewhere,
                 certificates->elsewhere_key);
    write_signed("client", NULL, &ca, certificates->client, certificates->client_key);
    cert_free(&ca);
    cert_free(&stranger);
}

void certificates_remove(const struct certificates *certificates) {
    (void)unlink(certificates->ca);
    (void)unlink(certificates->server);
    (void)unlink(certificates->server_key);
    (void)unlink(certificates->elsewhere);
    (void)unlink(certificates->elsewhere_key);
    (void)unlink(certificates->client);
    (void)unlink(certificates->client_key);
    (void)unlink(certificates->stranger);
    (void)rmdir(certificates->folder);
}
