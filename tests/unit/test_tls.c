/* TLS against OpenSSL: who is trusted and who is not, and what is said about it; whole streams in
 * both directions; and servers that misbehave. */
#include "unit/cmocka_all.h"

#include "unit/caller.h"
#include "unit/tls_peer.h"

#include <aws/common/thread.h>
#include <aws/io/io.h>

#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

enum { TIMEOUT_MS = 30000 };

/* Certificates and files of all tests. */
static char folder[64];
static struct cert authority;
static struct cert stranger; /* another authority */
static struct cert between;  /* issued by authority, an authority itself */
static struct cert good;     /* for localhost, 127.0.0.1, ::1 and *.wild.test */
static struct cert client;

struct path {
    char text[128];
};

static struct path path_of(const char *name) {
    struct path path;
    (void)snprintf(path.text, sizeof path.text, "%s/%s", folder, name);
    return path;
}

static struct cert issue(const char *name, const char *names, const struct cert *issuer) {
    struct cert_options options = {.name = name, .names = names, .issuer = issuer};
    return cert_make(&options);
}

static struct cert make_authority(const char *name, const struct cert *issuer) {
    struct cert_options options = {.name = name, .issuer = issuer, .authority = true};
    return cert_make(&options);
}

static void write_text(const char *name, const char *text) {
    FILE *file = fopen(path_of(name).text, "w");
    assert_non_null(file);
    (void)fputs(text, file);
    (void)fclose(file);
}

static int group_setup(void **state) {
    (void)state;
    const char *tmp = getenv("TMPDIR");
    (void)snprintf(folder, sizeof folder, "%s/test_tls.XXXXXX", tmp != NULL ? tmp : "/tmp");
    assert_non_null(mkdtemp(folder));
    aws_io_library_init(aws_default_allocator());
    authority = make_authority("The authority", NULL);
    stranger = make_authority("A stranger", NULL);
    between = make_authority("Between", &authority);
    good = issue("good", "DNS:localhost,IP:127.0.0.1,IP:::1,DNS:*.wild.test,DNS:Mixed.Case.test",
                 &authority);
    client = issue("the client", NULL, &authority);
    cert_write(&authority, NULL, path_of("ca").text, NULL);
    cert_write(&stranger, NULL, path_of("stranger").text, NULL);
    cert_write(&client, NULL, path_of("cert").text, path_of("key").text);
    return 0;
}

static int group_teardown(void **state) {
    (void)state;
    static const char *const files[] = {"ca", "stranger", "cert", "key", "other", "moving"};
    for (size_t i = 0; i < sizeof files / sizeof files[0]; i++) {
        (void)unlink(path_of(files[i]).text);
    }
    assert_int_equal(rmdir(folder), 0);
    struct cert *certs[] = {&authority, &stranger, &between, &good, &client};
    for (size_t i = 0; i < sizeof certs / sizeof certs[0]; i++) {
        cert_free(certs[i]);
    }
    aws_io_library_clean_up();
    return 0;
}

/* ---- One session, without a lane. */

static int connect_to(uint16_t port) {
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    struct sockaddr_in address = {
        .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK), .sin_port = htons(port)};
    assert_true(fd >= 0);
    assert_int_equal(connect(fd, (struct sockaddr *)&address, sizeof address), 0);
    return fd;
}

static void wait_readable(int fd) {
    struct pollfd poll_fd = {.fd = fd, .events = POLLIN};
    assert_int_equal(poll(&poll_fd, 1, CALLER_PATIENCE_S * 1000), 1);
}

/* The handshake as host, and in TLS 1.3 the server's word on our certificate: one byte there and
 * back. Nothing blocks but the wait for the socket. */
static bool shake(struct tls *tls, const char *host, uint16_t port, struct err *err) {
    int fd = connect_to(port);
    *err = ERR_NONE;
    struct tls_session *session = tls_session_new(tls, host, fd, err);
    bool ok = session != NULL;
    assert_int_equal(fcntl(fd, F_SETFL, O_NONBLOCK), 0);
    while (ok) {
        enum tls_handshake now = tls_session_handshake(session, err);
        if (now == TLS_DONE) {
            break;
        }
        ok = now == TLS_BLOCKED;
        if (ok) {
            wait_readable(fd);
        }
    }
    if (ok) {
        char byte = caller_byte(0);
        struct iovec part = {.iov_base = &byte, .iov_len = 1};
        ok = tls_session_write(session, &part, 1, err) == 1;
    }
    while (ok) {
        char byte;
        ssize_t got = tls_session_read(session, &byte, 1, err);
        if (got > 0) {
            assert_int_equal(byte, caller_byte(0));
            tls_session_end(session);
            break;
        }
        ok = got == 0;
        if (ok) {
            wait_readable(fd);
        }
    }
    tls_session_free(session);
    (void)close(fd);
    assert_int_equal(ok, !err_is_set(err));
    return ok;
}

static struct tls *make(const struct tls_options *options) {
    struct err err = ERR_NONE;
    struct tls *tls = tls_new(options, &err);
    if (tls == NULL) {
        fail_msg("%s", err.text);
    }
    return tls;
}

static void expect_text(const struct err *err, enum err_code code, const char *text) {
    assert_string_equal(err_code_name(err->code), err_code_name(code));
    if (strstr(err->text, text) == NULL) {
        fail_msg("\"%s\" is not in \"%s\"", text, err->text);
    }
}

/* How one attempt ends; text NULL: well. */
static void expect(const struct tls_options *options, const struct tls_peer_options *peer_options,
                   const char *host, enum err_code code, const char *text) {
    struct tls_peer *peer = tls_peer_start(peer_options);
    struct tls *tls = make(options);
    struct err err;
    bool ok = shake(tls, host, peer->port, &err);
    if (text == NULL) {
        if (!ok) {
            fail_msg("%s", err.text);
        }
    } else {
        assert_false(ok);
        expect_text(&err, code, text);
    }
    tls_free(tls);
    tls_peer_free(peer);
}

/* ---- Trust. */

static void a_trusted_one(void **state) {
    (void)state;
    struct path ca = path_of("ca");
    struct tls_options options = {.trust_certs_file = str_of(ca.text)};
    for (int version = TLS1_2_VERSION; version <= TLS1_3_VERSION; version++) {
        struct tls_peer_options peer_options = {.cert = &good, .max_version = version};
        struct tls_peer *peer = tls_peer_start(&peer_options);
        struct tls *tls = make(&options);
        struct err err;
        assert_true(shake(tls, "localhost", peer->port, &err));
        tls_free(tls);
        tls_peer_stop(peer);
        assert_int_equal(peer->handshakes, 1);
        assert_string_equal(peer->server_name, "localhost");
        assert_string_equal(peer->client_name, "");
        assert_int_equal(peer->bytes, 1);
        assert_true(peer->told_end);
        tls_peer_free(peer);
    }
}

static void by_way_of_another(void **state) {
    (void)state;
    struct path ca = path_of("ca");
    struct tls_options options = {.trust_certs_file = str_of(ca.text)};
    struct cert cert = issue("behind", "DNS:localhost", &between);
    struct tls_peer_options with = {.cert = &cert, .chain = &between};
    struct tls_peer_options without = {.cert = &cert};
    expect(&options, &with, "localhost", ERR_OK, NULL);
    expect(&options, &without, "localhost", ERR_PULSAR_TLS, "signed by nobody");
    cert_free(&cert);
}

static void an_unknown_authority(void **state) {
    (void)state;
    struct path file = path_of("stranger");
    struct tls_options named = {.trust_certs_file = str_of(file.text)};
    struct tls_options system_store = {.allow_insecure = false};
    struct tls_options any = {.trust_certs_file = str_of(file.text), .allow_insecure = true};
    struct tls_options any_host = {.trust_certs_file = str_of(file.text),
                                   .skip_hostname_verification = true};
    struct tls_peer_options peer = {.cert = &good};
    expect(&named, &peer, "localhost", ERR_PULSAR_TLS, file.text);
    expect(&system_store, &peer, "localhost", ERR_PULSAR_TLS, "the system's store");
    expect(&any_host, &peer, "localhost", ERR_PULSAR_TLS, "signed by nobody");
    expect(&any, &peer, "localhost", ERR_OK, NULL);
    expect(&any, &peer, "elsewhere.test", ERR_OK, NULL);
}

static void signed_by_itself(void **state) {
    (void)state;
    struct cert cert = issue("itself", "DNS:localhost", NULL);
    struct path ca = path_of("ca");
    struct path other = path_of("other");
    cert_write(&cert, NULL, other.text, NULL);
    struct tls_options without = {.trust_certs_file = str_of(ca.text)};
    struct tls_options with = {.trust_certs_file = str_of(other.text)};
    struct tls_peer_options peer = {.cert = &cert};
    expect(&without, &peer, "localhost", ERR_PULSAR_TLS, "signed by nobody");
    expect(&with, &peer, "localhost", ERR_OK, NULL);
    cert_free(&cert);
}

static void two_in_one_file(void **state) {
    (void)state;
    struct path other = path_of("other");
    cert_write(&stranger, &authority, other.text, NULL);
    struct tls_options options = {.trust_certs_file = str_of(other.text)};
    struct tls_peer_options peer = {.cert = &good};
    expect(&options, &peer, "localhost", ERR_OK, NULL);
}

static void out_of_time(void **state) {
    (void)state;
    struct path ca = path_of("ca");
    struct tls_options options = {.trust_certs_file = str_of(ca.text)};
    struct cert_options expired_options = {.name = "old",
                                           .names = "DNS:localhost",
                                           .issuer = &authority,
                                           .from_days = -20,
                                           .to_days = -2};
    struct cert_options future_options = {
        .name = "young", .names = "DNS:localhost", .issuer = &authority, .from_days = 5};
    struct cert expired = cert_make(&expired_options);
    struct cert future = cert_make(&future_options);
    struct tls_peer_options expired_peer = {.cert = &expired};
    struct tls_peer_options future_peer = {.cert = &future};
    expect(&options, &expired_peer, "localhost", ERR_PULSAR_TLS, "its certificate has expired");
    expect(&options, &future_peer, "localhost", ERR_PULSAR_TLS, "not valid yet");
    options.skip_hostname_verification = true;
    expect(&options, &expired_peer, "localhost", ERR_PULSAR_TLS, "its certificate has expired");
    options.allow_insecure = true;
    expect(&options, &expired_peer, "localhost", ERR_OK, NULL);
    cert_free(&expired);
    cert_free(&future);
}

/* ---- Names. */

static void names(void **state) {
    (void)state;
    static const struct {
        const char *host;
        bool fits;
    } known[] = {
        {"localhost", true},       {"LOCALHOST", true},  {"localhost.", true},
        {"mixed.case.TEST", true}, {"127.0.0.1", true},  {"::1", true},
        {"0:0:0:0:0:0:0:1", true}, {"::1%lo", true},     {"a.wild.test", true},
        {"A.Wild.Test", true},     {"wild.test", false}, {"a.b.wild.test", false},
        {".wild.test", false},     {"localhos", false},  {"localhost.test", false},
        {"127.0.0.2", false},      {"::2", false},       {"good", false},
        {"*.wild.test", true}, /* as a host it is nonsense, but the name is there */
    };
    struct path ca = path_of("ca");
    struct tls_options options = {.trust_certs_file = str_of(ca.text)};
    struct tls_peer_options peer = {.cert = &good};
    for (size_t i = 0; i < sizeof known / sizeof known[0]; i++) {
        expect(&options, &peer, known[i].host, ERR_PULSAR_TLS,
               known[i].fits ? NULL : "its certificate is for localhost, 127.0.0.1, ::1");
    }
    options.skip_hostname_verification = true;
    expect(&options, &peer, "elsewhere.test", ERR_OK, NULL);
}

static void a_wrong_name_is_explained(void **state) {
    (void)state;
    struct path ca = path_of("ca");
    struct tls_options options = {.trust_certs_file = str_of(ca.text)};
    struct tls_peer_options peer = {.cert = &good};
    expect(&options, &peer, "broker-3.example.com", ERR_PULSAR_TLS, "not for broker-3.example.com");
    expect(&options, &peer, "broker-3.example.com", ERR_PULSAR_TLS, "*.wild.test");
    expect(&options, &peer, "broker-3.example.com", ERR_PULSAR_TLS,
           "tlsEnableHostnameVerification");
}

/* Without other names the common name counts, but not for an address. */
static void common_names(void **state) {
    (void)state;
    struct path ca = path_of("ca");
    struct tls_options options = {.trust_certs_file = str_of(ca.text)};
    struct cert plain = issue("plain.test", NULL, &authority);
    struct cert address = issue("127.0.0.1", NULL, &authority);
    struct cert wide = issue("wide", "DNS:*.test,DNS:*", &authority);
    struct tls_peer_options plain_peer = {.cert = &plain};
    struct tls_peer_options address_peer = {.cert = &address};
    struct tls_peer_options wide_peer = {.cert = &wide};
    expect(&options, &plain_peer, "plain.test", ERR_OK, NULL);
    expect(&options, &plain_peer, "other.test", ERR_PULSAR_TLS, "plain.test");
    expect(&options, &address_peer, "127.0.0.1", ERR_PULSAR_TLS, "its certificate");
    expect(&options, &wide_peer, "a.test", ERR_PULSAR_TLS, "not for a.test");
    expect(&options, &wide_peer, "test", ERR_PULSAR_TLS, "not for test");
    cert_free(&plain);
    cert_free(&address);
    cert_free(&wide);
}

static void no_server_name_for_an_address(void **state) {
    (void)state;
    struct path ca = path_of("ca");
    struct tls_options options = {.trust_certs_file = str_of(ca.text)};
    struct tls_peer_options peer_options = {.cert = &good};
    struct tls_peer *peer = tls_peer_start(&peer_options);
    struct tls *tls = make(&options);
    struct err err;
    assert_true(shake(tls, "127.0.0.1", peer->port, &err));
    tls_free(tls);
    tls_peer_stop(peer);
    assert_int_equal(peer->handshakes, 1);
    assert_string_equal(peer->server_name, "");
    tls_peer_free(peer);
}

/* ---- Client certificates. */

static void a_client_certificate(void **state) {
    (void)state;
    struct path ca = path_of("ca");
    struct path cert = path_of("cert");
    struct path key = path_of("key");
    struct tls_options options = {.trust_certs_file = str_of(ca.text),
                                  .certificate_file = str_of(cert.text),
                                  .key_file = str_of(key.text)};
    for (int version = TLS1_2_VERSION; version <= TLS1_3_VERSION; version++) {
        struct tls_peer_options peer_options = {
            .cert = &good, .client_issuer = &authority, .max_version = version};
        struct tls_peer *peer = tls_peer_start(&peer_options);
        struct tls *tls = make(&options);
        struct err err;
        assert_true(shake(tls, "localhost", peer->port, &err));
        tls_free(tls);
        tls_peer_stop(peer);
        assert_string_equal(peer->client_name, "the client");
        tls_peer_free(peer);
    }
    struct tls_peer_options not_wanted = {.cert = &good};
    expect(&options, &not_wanted, "localhost", ERR_OK, NULL);
}

static void a_client_certificate_is_missing(void **state) {
    (void)state;
    struct path ca = path_of("ca");
    struct path cert = path_of("cert");
    struct path key = path_of("key");
    struct tls_options without = {.trust_certs_file = str_of(ca.text)};
    struct tls_options with = {.trust_certs_file = str_of(ca.text),
                               .certificate_file = str_of(cert.text),
                               .key_file = str_of(key.text)};
    struct tls_peer_options peer13 = {.cert = &good, .client_issuer = &authority};
    struct tls_peer_options peer12 = {
        .cert = &good, .client_issuer = &authority, .max_version = TLS1_2_VERSION};
    struct tls_peer_options other_issuer = {.cert = &good, .client_issuer = &stranger};
    expect(&without, &peer13, "localhost", ERR_PULSAR_TLS, "it wants a client certificate");
    expect(&without, &peer12, "localhost", ERR_PULSAR_TLS, "it wants a client certificate");
    expect(&with, &other_issuer, "localhost", ERR_PULSAR_TLS,
           "it does not trust our certificate's authority");
}

/* ---- Files. */

static void expect_config_error(const struct tls_options *options, const char *text) {
    struct err err = ERR_NONE;
    assert_null(tls_new(options, &err));
    expect_text(&err, ERR_CONFIG, text);
}

static void unusable_files(void **state) {
    (void)state;
    struct path none = path_of("none");
    struct path here = path_of(".");
    struct path ca = path_of("ca");
    struct path cert = path_of("cert");
    struct path key = path_of("key");
    struct path other = path_of("other");
    struct tls_options trust = {.trust_certs_file = str_of(none.text)};
    expect_config_error(&trust, none.text);
    trust.trust_certs_file = str_of(here.text);
    expect_config_error(&trust, "is not a file");
    write_text("other", "nothing in it");
    trust.trust_certs_file = str_of(other.text);
    expect_config_error(&trust, "no certificate");
    write_text("other", "");
    expect_config_error(&trust, "no certificate");
    assert_int_equal(truncate(other.text, TLS_FILE_MAX + 1), 0);
    expect_config_error(&trust, "longer than");

    struct tls_options identity = {.trust_certs_file = str_of(ca.text),
                                   .certificate_file = str_of(cert.text)};
    expect_config_error(&identity, "tlsKeyFilePath is not");
    identity.certificate_file = STR_NONE;
    identity.key_file = str_of(key.text);
    expect_config_error(&identity, "tlsCertificateFilePath is not");
    identity.certificate_file = str_of(cert.text);
    identity.key_file = str_of(none.text);
    expect_config_error(&identity, none.text);
    cert_write(&good, NULL, NULL, other.text); /* another one's key */
    identity.key_file = str_of(other.text);
    expect_config_error(&identity, other.text);
    write_text("other", "-----BEGIN ENCRYPTED PRIVATE KEY-----\nAAAA\n"
                        "-----END ENCRYPTED PRIVATE KEY-----\n");
    expect_config_error(&identity, "is encrypted");
    write_text("other", "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n");
    expect_config_error(&identity, other.text);
    identity.key_file = str_of(key.text);
    identity.certificate_file = str_of(key.text);
    expect_config_error(&identity, key.text);
}

/* Other contents of the same paths count from the next session on; a file that is not there for a
 * while is an error of that session only. */
static void files_that_change(void **state) {
    (void)state;
    struct path moving = path_of("moving");
    struct cert new_cert = issue("new", "DNS:localhost", &stranger);
    struct tls_peer_options old_options = {.cert = &good};
    struct tls_peer_options new_options = {.cert = &new_cert};
    struct tls_peer *old_peer = tls_peer_start(&old_options);
    struct tls_peer *new_peer = tls_peer_start(&new_options);
    cert_write(&authority, NULL, moving.text, NULL);
    struct tls_options options = {.trust_certs_file = str_of(moving.text)};
    struct tls *tls = make(&options);
    struct err err;
    assert_true(shake(tls, "localhost", old_peer->port, &err));
    assert_false(shake(tls, "localhost", new_peer->port, &err));
    cert_write(&stranger, NULL, moving.text, NULL);
    assert_true(shake(tls, "localhost", new_peer->port, &err));
    assert_false(shake(tls, "localhost", old_peer->port, &err));
    assert_int_equal(unlink(moving.text), 0);
    assert_false(shake(tls, "localhost", new_peer->port, &err));
    expect_text(&err, ERR_PULSAR_TLS, moving.text);
    cert_write(&stranger, &authority, moving.text, NULL);
    assert_true(shake(tls, "localhost", new_peer->port, &err));
    assert_true(shake(tls, "localhost", old_peer->port, &err));
    tls_free(tls);
    tls_peer_free(old_peer);
    tls_peer_free(new_peer);
    cert_free(&new_cert);
}

/* ---- Strange servers. */

static void old_versions(void **state) {
    (void)state;
    struct path ca = path_of("ca");
    struct tls_options options = {.trust_certs_file = str_of(ca.text), .allow_insecure = true};
    struct tls_peer_options peer = {
        .cert = &good, .min_version = TLS1_VERSION, .max_version = TLS1_1_VERSION};
    expect(&options, &peer, "localhost", ERR_PULSAR_TLS, "does not speak TLS 1.2 or later");
}

static void no_tls(void **state) {
    (void)state;
    struct path ca = path_of("ca");
    struct tls_options options = {.trust_certs_file = str_of(ca.text)};
    struct tls_peer_options hangs_up = {.habit = TLS_PEER_HANGS_UP};
    struct tls_peer_options babbles = {.habit = TLS_PEER_BABBLES};
    expect(&options, &hangs_up, "localhost", ERR_PULSAR_TRANSPORT,
           "it closed the connection during the TLS handshake (is it a port for TLS?)");
    expect(&options, &babbles, "localhost", ERR_PULSAR_TLS, "it does not speak TLS on this port");
}

/* ---- Streams, on a channel. */

static struct tls *trusting(void) {
    struct path ca = path_of("ca");
    struct tls_options options = {.trust_certs_file = str_of(ca.text)};
    return make(&options);
}

static uint64_t wanted;

static bool has_wanted(const struct caller *caller) {
    return caller->received >= wanted || caller->ended > 0;
}

/* So many bytes there and back, checked on both sides. */
static void round_trip(size_t total, size_t piece, size_t step, int version) {
    struct caller *caller = caller_new();
    struct tls *tls = trusting();
    struct tls_peer_options peer_options = {.cert = &good, .step = step, .max_version = version};
    struct tls_peer *peer = tls_peer_start(&peer_options);
    caller_open(caller, "127.0.0.1", peer->port, tls, TIMEOUT_MS);
    caller_wait(caller, caller_has_opened);
    assert_true(caller_send(caller, 0, total, piece));
    wanted = total;
    caller_wait(caller, has_wanted);
    assert_int_equal(caller->received, total);
    assert_false(caller->wrong_bytes);
    assert_int_equal(caller_writing(caller), 0);
    caller_close(caller);
    caller_expect_end(caller, ERR_CANCELLED, "closed by us");
    assert_int_equal(caller->stats.written_bytes, total);
    tls_peer_stop(peer);
    assert_int_equal(peer->bytes, total);
    assert_true(peer->told_end);
    tls_peer_free(peer);
    caller_free(caller);
    tls_free(tls);
}

static void whole_streams(void **state) {
    (void)state;
    round_trip(64 * 1024 * 1024, 128 * 1024, 0, TLS1_3_VERSION);
    round_trip(16 * 1024 * 1024, 1000003, 0, TLS1_2_VERSION);
    round_trip(2 * 1024 * 1024, 61, 0, TLS1_3_VERSION);
}

/* Handshake and all, a byte at a time. */
static void byte_by_byte(void **state) {
    (void)state;
    round_trip(20000, 333, 1, TLS1_3_VERSION);
    round_trip(20000, 7777, 1, TLS1_2_VERSION);
    round_trip(300000, 50000, 7, TLS1_3_VERSION);
}

static bool has_written(const struct caller *caller) {
    return caller->written > 0;
}

static void close_and_count(struct caller *caller, void *ctx) {
    size_t *writing = ctx;
    *writing = channel_writing(caller->channel);
    channel_close(caller->channel);
}

/* What channel_writing does not count has left: the broker can read it, though nothing more
 * comes. */
static void writing_is_not_early(void **state) {
    enum { TOTAL = 48 * 1024 * 1024 };
    (void)state;
    struct caller *caller = caller_new();
    struct tls *tls = trusting();
    struct tls_peer_options peer_options = {.cert = &good, .habit = TLS_PEER_SINKS};
    struct tls_peer *peer = tls_peer_start(&peer_options);
    caller_open(caller, "localhost", peer->port, tls, TIMEOUT_MS);
    caller_wait(caller, caller_has_opened);
    assert_true(caller_send(caller, 0, TOTAL, 4 * 1024 * 1024));
    caller_wait(caller, has_written);
    size_t writing;
    caller_run(caller, close_and_count, &writing);
    assert_true(writing > 0 && writing < TOTAL);
    caller_expect_end(caller, ERR_CANCELLED, "closed by us");
    tls_peer_drain(peer);
    tls_peer_stop(peer);
    /* Records that were in the kernel, but not whole with those encrypted along, count later. */
    assert_true(peer->bytes >= TOTAL - writing && peer->bytes < TOTAL);
    tls_peer_free(peer);
    caller_free(caller);
    tls_free(tls);
}

static void a_handshake_has_a_deadline(void **state) {
    (void)state;
    struct caller *caller = caller_new();
    struct tls *tls = trusting();
    struct tls_peer_options peer_options = {.habit = TLS_PEER_IS_SILENT};
    struct tls_peer *peer = tls_peer_start(&peer_options);
    caller_open(caller, "127.0.0.1", peer->port, tls, 300);
    caller_expect_end(caller, ERR_PULSAR_TRANSPORT,
                      "no connection within 300 ms: connected, but the TLS handshake did not end");
    assert_int_equal(caller->opened, 0);
    caller_open(caller, "127.0.0.1", peer->port, tls, TIMEOUT_MS);
    caller_close(caller); /* somewhere on the way */
    caller_expect_end(caller, ERR_CANCELLED, "closed by us");
    tls_peer_free(peer);
    caller_free(caller);
    tls_free(tls);
}

/* The reason comes at once, and not after the pause that s2n would make. */
static void a_channel_says_why(void **state) {
    (void)state;
    struct caller *caller = caller_new();
    struct path file = path_of("stranger");
    struct tls_options options = {.trust_certs_file = str_of(file.text)};
    struct tls *tls = make(&options);
    struct tls_peer_options peer_options = {.cert = &good};
    struct tls_peer *peer = tls_peer_start(&peer_options);
    uint64_t start = lane_now_ms(caller->lane);
    for (int i = 0; i < 5; i++) {
        caller_open(caller, "127.0.0.1", peer->port, tls, TIMEOUT_MS);
        caller_expect_end(caller, ERR_PULSAR_TLS, "signed by nobody");
        assert_int_equal(caller->opened, 0);
    }
    assert_true(lane_now_ms(caller->lane) - start < 20000); /* s2n's pause is 10 s and more, each */
    tls_peer_stop(peer);
    assert_int_equal(peer->connections, 5);
    assert_int_equal(peer->handshakes, 0);
    tls_peer_free(peer);
    caller_free(caller);
    tls_free(tls);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_trusted_one),
        cmocka_unit_test(by_way_of_another),
        cmocka_unit_test(an_unknown_authority),
        cmocka_unit_test(signed_by_itself),
        cmocka_unit_test(two_in_one_file),
        cmocka_unit_test(out_of_time),
        cmocka_unit_test(names),
        cmocka_unit_test(a_wrong_name_is_explained),
        cmocka_unit_test(common_names),
        cmocka_unit_test(no_server_name_for_an_address),
        cmocka_unit_test(a_client_certificate),
        cmocka_unit_test(a_client_certificate_is_missing),
        cmocka_unit_test(unusable_files),
        cmocka_unit_test(files_that_change),
        cmocka_unit_test(old_versions),
        cmocka_unit_test(no_tls),
        cmocka_unit_test(whole_streams),
        cmocka_unit_test(byte_by_byte),
        cmocka_unit_test(writing_is_not_early),
        cmocka_unit_test(a_handshake_has_a_deadline),
        cmocka_unit_test(a_channel_says_why),
    };
    return cmocka_run_group_tests(tests, group_setup, group_teardown);
}
