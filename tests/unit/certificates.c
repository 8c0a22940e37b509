#include "unit/certificates.h"

#include "cmocka_all.h"

#include <openssl/ec.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* Somebody with a key. */
struct party {
    EVP_PKEY *key;
    X509 *certificate;
};

static void add_extension(X509 *certificate, int kind, const char *value) {
    X509_EXTENSION *extension = X509V3_EXT_conf_nid(NULL, NULL, kind, value);
    assert_non_null(extension);
    assert_int_equal(X509_add_ext(certificate, extension, -1), 1);
    X509_EXTENSION_free(extension);
}

/* issuer NULL: signed by itself, an authority. names NULL: of no server. */
static struct party party_new(const char *name, const char *names, const struct party *issuer) {
    static long serial = 1;
    struct party party = {.key = EVP_EC_gen("P-256"), .certificate = X509_new()};
    assert_non_null(party.key);
    assert_non_null(party.certificate);
    if (issuer == NULL) {
        issuer = &party;
    }
    X509 *certificate = party.certificate;
    assert_int_equal(X509_set_version(certificate, 2), 1);
    assert_int_equal(ASN1_INTEGER_set(X509_get_serialNumber(certificate), serial++), 1);
    assert_non_null(X509_gmtime_adj(X509_getm_notBefore(certificate), -3600));
    assert_non_null(X509_gmtime_adj(X509_getm_notAfter(certificate), 86400));
    assert_int_equal(X509_NAME_add_entry_by_txt(X509_get_subject_name(certificate), "CN",
                                                MBSTRING_ASC, (const unsigned char *)name, -1, -1,
                                                0),
                     1);
    assert_int_equal(X509_set_issuer_name(certificate, X509_get_subject_name(issuer->certificate)),
                     1);
    assert_int_equal(X509_set_pubkey(certificate, party.key), 1);
    if (issuer == &party) {
        add_extension(certificate, NID_basic_constraints, "critical,CA:TRUE");
        add_extension(certificate, NID_key_usage, "critical,keyCertSign,cRLSign");
    } else {
        add_extension(certificate, NID_basic_constraints, "critical,CA:FALSE");
        add_extension(certificate, NID_key_usage, "critical,digitalSignature");
        add_extension(certificate, NID_ext_key_usage, names != NULL ? "serverAuth" : "clientAuth");
    }
    if (names != NULL) {
        add_extension(certificate, NID_subject_alt_name, names);
    }
    assert_true(X509_sign(certificate, issuer->key, EVP_sha256()) > 0);
    return party;
}

static void write_certificate(const struct party *party, const char *path) {
    FILE *file = fopen(path, "we");
    assert_non_null(file);
    assert_int_equal(PEM_write_X509(file, party->certificate), 1);
    assert_int_equal(fclose(file), 0);
}

static void write_key(const struct party *party, const char *path) {
    FILE *file = fopen(path, "we");
    assert_non_null(file);
    assert_int_equal(PEM_write_PrivateKey(file, party->key, NULL, NULL, 0, NULL, NULL), 1);
    assert_int_equal(fclose(file), 0);
}

static void party_done(struct party *party) {
    EVP_PKEY_free(party->key);
    X509_free(party->certificate);
}

static void write_party(const char *name, const char *names, const struct party *issuer,
                        const char *certificate, const char *key) {
    struct party party = party_new(name, names, issuer);
    write_certificate(&party, certificate);
    write_key(&party, key);
    party_done(&party);
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
    struct party ca = party_new("authority", NULL, NULL);
    struct party stranger = party_new("stranger", NULL, NULL);
    write_certificate(&ca, certificates->ca);
    write_certificate(&stranger, certificates->stranger);
    write_party("server", "IP:127.0.0.1,DNS:localhost", &ca, certificates->server,
                certificates->server_key);
    write_party("elsewhere", "DNS:other.example", &ca, certificates->elsewhere,
                certificates->elsewhere_key);
    write_party("client", NULL, &ca, certificates->client, certificates->client_key);
    party_done(&ca);
    party_done(&stranger);
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
