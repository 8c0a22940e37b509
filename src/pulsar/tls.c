#include "pulsar/tls.h"

#include "base/buf.h"

#include <arpa/inet.h>
#include <assert.h>
#include <aws/cal/hash.h>
#include <errno.h>
#include <fcntl.h>
#include <s2n.h>
#include <stdio.h>
#include <stdlib.h>
#include <strings.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#define CIPHERS "default_tls13" /* TLS 1.3 and 1.2, forward secrecy only */

enum {
    SEND_BUFFER = 64 * 1024, /* records are gathered up to this much for one send */
    NAMES_MAX = 160,
    BLINDING_S = 1, /* see tls_session_free */
    RECORD_ALERT = 0x15,
    RECORD_HANDSHAKE = 0x16,
};

/* What the files said, made ready for s2n. Kept by the sessions that use it. */
struct material {
    struct s2n_config *config;
    struct s2n_cert_chain_and_key *identity; /* NULL: none */
    uint8_t digest[AWS_SHA256_LEN];
    size_t refs;
};

struct tls {
    char *trust_path;       /* NULL: the system's store */
    char *certificate_path; /* NULL: none */
    char *key_path;
    bool allow_insecure;
    bool skip_hostname_verification;
    struct material *material; /* the newest */
};

struct tls_session {
    const struct tls *tls;
    struct material *material;
    struct s2n_connection *s2n;
    int fd;
    int io_error; /* of the last send or recv */
    uint64_t sent;
    bool heard;            /* its first byte */
    bool babbles;          /* which was none of TLS */
    bool done;             /* the handshake */
    char host[256];        /* without a dot at the end, or a zone */
    char names[NAMES_MAX]; /* that the certificate has instead */
};

/* ---- Files. */

struct file {
    char *bytes; /* with a NUL behind them */
    size_t len;
};

static void wipe(struct file *file) {
    if (file->bytes != NULL) {
        explicit_bzero(file->bytes, file->len);
        free(file->bytes);
        file->bytes = NULL;
    }
}

static bool read_all(int fd, const char *path, size_t size, struct file *file, struct err *err) {
    file->bytes = malloc(size + 1);
    if (file->bytes == NULL) {
        return err_set(err, ERR_NOMEM, "no memory for %s", path);
    }
    while (file->len < size) {
        ssize_t got = read(fd, file->bytes + file->len, size - file->len);
        if (got < 0 && errno != EINTR) {
            return err_set(err, ERR_PULSAR_TLS, "cannot read %s: %s", path, strerrordesc_np(errno));
        }
        if (got == 0) {
            break; /* it has become shorter */
        }
        file->len += got > 0 ? (size_t)got : 0;
    }
    file->bytes[file->len] = '\0';
    return true;
}

/* A path that is NULL leaves the file empty. */
static bool read_file(const char *path, struct file *file, struct err *err) {
    if (path == NULL) {
        return true;
    }
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK); /* a pipe must not block the lane */
    struct stat stat;
    if (fd < 0 || fstat(fd, &stat) != 0) {
        err_set(err, ERR_PULSAR_TLS, "cannot open %s: %s", path, strerrordesc_np(errno));
        if (fd >= 0) {
            (void)close(fd);
        }
        return false;
    }
    bool ok;
    if (!S_ISREG(stat.st_mode)) {
        ok = err_set(err, ERR_PULSAR_TLS, "%s is not a file", path);
    } else if (stat.st_size > TLS_FILE_MAX) {
        ok = err_set(err, ERR_PULSAR_TLS, "%s is longer than %d bytes", path, TLS_FILE_MAX);
    } else {
        ok = read_all(fd, path, (size_t)stat.st_size, file, err);
    }
    (void)close(fd);
    return ok;
}

/* ---- What the files mean. */

static void drop(struct material *material) {
    if (material != NULL && --material->refs == 0) {
        (void)s2n_config_free(material->config);
        (void)s2n_cert_chain_and_key_free(material->identity);
        free(material);
    }
}

static const char *last_words(void) {
    return s2n_strerror(s2n_errno, "EN");
}

static bool set_trust(const struct tls *tls, struct material *material, struct err *err) {
    if (tls->allow_insecure) {
        return s2n_config_disable_x509_verification(material->config) == S2N_SUCCESS ||
               err_set(err, ERR_PULSAR_TLS, "TLS: %s", last_words());
    }
    if (tls->trust_path == NULL) {
        return s2n_config_load_system_certs(material->config) == S2N_SUCCESS ||
               err_set(err, ERR_PULSAR_TLS,
                       "the system has no usable store of trusted certificates (name a file with "
                       "tlsTrustCertsFilePath)");
    }
    /* By path and not by what was read: libcrypto takes bundles with remarks in them. Should the
     * file have changed since, then its digest is that of the old one, and the next session loads
     * it again. */
    return s2n_config_set_verification_ca_location(material->config, tls->trust_path, NULL) ==
               S2N_SUCCESS ||
           err_set(err, ERR_PULSAR_TLS, "there is no certificate in PEM in %s", tls->trust_path);
}

static bool set_identity(const struct tls *tls, struct material *material,
                         const struct file *certificate, const struct file *key, struct err *err) {
    if (tls->certificate_path == NULL) {
        return true;
    }
    material->identity = s2n_cert_chain_and_key_new();
    if (material->identity == NULL) {
        return err_set(err, ERR_NOMEM, "no memory for a certificate");
    }
    assert(key->bytes != NULL);
    if (strstr(key->bytes, "ENCRYPTED") != NULL) {
        return err_set(err, ERR_PULSAR_TLS, "the key in %s is encrypted; it must not be",
                       tls->key_path);
    }
    if (s2n_cert_chain_and_key_load_pem_bytes(material->identity, (uint8_t *)certificate->bytes,
                                              (uint32_t)certificate->len, (uint8_t *)key->bytes,
                                              (uint32_t)key->len) != S2N_SUCCESS ||
        s2n_config_add_cert_chain_and_key_to_store(material->config, material->identity) !=
            S2N_SUCCESS) {
        return err_set(err, ERR_PULSAR_TLS, "the certificate in %s with the key in %s: %s",
                       tls->certificate_path, tls->key_path, last_words());
    }
    return true;
}

static struct material *make(const struct tls *tls, const struct file *certificate,
                             const struct file *key, struct err *err) {
    struct material *material = calloc(1, sizeof *material);
    if (material == NULL) {
        err_set(err, ERR_NOMEM, "no memory for TLS");
        return NULL;
    }
    material->refs = 1;
    material->config = s2n_config_new_minimal(); /* without the system's store */
    if (material->config == NULL) {
        err_set(err, ERR_NOMEM, "no memory for TLS");
        free(material);
        return NULL;
    }
    if (s2n_config_set_cipher_preferences(material->config, CIPHERS) != S2N_SUCCESS ||
        s2n_config_set_send_buffer_size(material->config, SEND_BUFFER) != S2N_SUCCESS ||
        s2n_config_set_recv_multi_record(material->config, true) != S2N_SUCCESS ||
        s2n_config_set_max_blinding_delay(material->config, BLINDING_S) != S2N_SUCCESS) {
        err_set(err, ERR_PULSAR_TLS, "TLS: %s", last_words());
    } else if (set_trust(tls, material, err) &&
               set_identity(tls, material, certificate, key, err)) {
        return material;
    }
    drop(material);
    return NULL;
}

static bool digest_files(const struct file *files, size_t count, uint8_t digest[AWS_SHA256_LEN]) {
    struct aws_hash *hash = aws_sha256_new(aws_default_allocator());
    bool ok = hash != NULL;
    for (size_t i = 0; ok && i < count; i++) {
        struct aws_byte_cursor len = aws_byte_cursor_from_array(&files[i].len, sizeof files[i].len);
        struct aws_byte_cursor bytes = aws_byte_cursor_from_array(files[i].bytes, files[i].len);
        ok = aws_hash_update(hash, &len) == AWS_OP_SUCCESS &&
             aws_hash_update(hash, &bytes) == AWS_OP_SUCCESS;
    }
    struct aws_byte_buf out = aws_byte_buf_from_empty_array(digest, AWS_SHA256_LEN);
    ok = ok && aws_hash_finalize(hash, &out, 0) == AWS_OP_SUCCESS;
    aws_hash_destroy(hash);
    return ok;
}

/* Makes tls->material that of the files as they are now. */
static bool refresh(struct tls *tls, struct err *err) {
    enum { TRUST, CERTIFICATE, KEY, FILES };
    struct file files[FILES] = {{.bytes = NULL}};
    uint8_t digest[AWS_SHA256_LEN] = {0};
    bool ok = read_file(tls->trust_path, &files[TRUST], err) &&
              read_file(tls->certificate_path, &files[CERTIFICATE], err) &&
              read_file(tls->key_path, &files[KEY], err);
    if (ok && !digest_files(files, FILES, digest)) {
        ok = err_set(err, ERR_INTERNAL, "SHA-256 failed");
    }
    if (ok &&
        (tls->material == NULL || memcmp(digest, tls->material->digest, sizeof digest) != 0)) {
        struct material *material = make(tls, &files[CERTIFICATE], &files[KEY], err);
        ok = material != NULL;
        if (ok) {
            memcpy(material->digest, digest, sizeof digest);
            drop(tls->material);
            tls->material = material;
        }
    }
    for (size_t i = 0; i < FILES; i++) {
        wipe(&files[i]);
    }
    return ok;
}

static bool set_path(char **field, struct str path, struct err *err) {
    if (path.len == 0) {
        return true;
    }
    *field = str_dup(path);
    return *field != NULL || err_set(err, ERR_NOMEM, "no memory for TLS");
}

struct tls *tls_new(const struct tls_options *options, struct err *err) {
    struct tls *tls = calloc(1, sizeof *tls);
    if (tls == NULL) {
        err_set(err, ERR_NOMEM, "no memory for TLS");
        return NULL;
    }
    tls->allow_insecure = options->allow_insecure;
    tls->skip_hostname_verification = options->skip_hostname_verification;
    bool ok = true;
    if ((options->certificate_file.len == 0) != (options->key_file.len == 0)) {
        ok = err_set(err, ERR_CONFIG,
                     options->key_file.len == 0
                         ? "tlsCertificateFilePath is set, but tlsKeyFilePath is not"
                         : "tlsKeyFilePath is set, but tlsCertificateFilePath is not");
    }
    ok = ok && set_path(&tls->trust_path, options->trust_certs_file, err) &&
         set_path(&tls->certificate_path, options->certificate_file, err) &&
         set_path(&tls->key_path, options->key_file, err);
    struct err cause = ERR_NONE;
    if (ok && !refresh(tls, &cause)) {
        ok = cause.code == ERR_PULSAR_TLS ? err_set(err, ERR_CONFIG, "TLS: %s", cause.text)
                                          : err_set(err, cause.code, "%s", cause.text);
    }
    if (!ok) {
        tls_free(tls);
        return NULL;
    }
    return tls;
}

void tls_free(struct tls *tls) {
    if (tls != NULL) {
        drop(tls->material);
        free(tls->trust_path);
        free(tls->certificate_path);
        free(tls->key_path);
        free(tls);
    }
}

/* ---- Whose certificate it is. */

static bool is_ip(const char *text, uint8_t bytes[16]) {
    memset(bytes, 0, 16);
    return inet_pton(AF_INET, text, bytes) == 1 || inet_pton(AF_INET6, text, bytes) == 1;
}

/* "*.b.c" is for "a.b.c", neither for "b.c" nor for "x.a.b.c", and there is none for a whole top
 * domain. */
static bool wildcard_covers(const char *pattern, const char *host) {
    const char *dot = strchr(host, '.');
    return pattern[0] == '*' && pattern[1] == '.' && strchr(pattern + 2, '.') != NULL &&
           dot != NULL && dot != host && strcasecmp(pattern + 1, dot) == 0;
}

static bool name_covers(const char *name, const char *host) {
    uint8_t name_ip[16];
    uint8_t host_ip[16];
    if (is_ip(host, host_ip)) {
        return is_ip(name, name_ip) && memcmp(name_ip, host_ip, sizeof name_ip) == 0;
    }
    return strcasecmp(name, host) == 0 || wildcard_covers(name, host);
}

/* An s2n_verify_host_fn: called for each name of the certificate until one fits. */
static uint8_t verify_host(const char *name, size_t len, void *data) {
    struct tls_session *session = data;
    if (session->tls->skip_hostname_verification) {
        return 1;
    }
    char text[256];
    if (len == 0 || len >= sizeof text || memchr(name, '\0', len) != NULL) {
        return 0;
    }
    for (size_t i = 0; i < len; i++) {
        text[i] = name[i] > 0x20 && name[i] < 0x7f ? name[i] : '?'; /* it may end up in a log */
    }
    text[len] = '\0';
    if (name_covers(text, session->host)) {
        return 1;
    }
    size_t used = strlen(session->names);
    if (used + sizeof ", " + len < sizeof session->names) {
        if (used > 0) {
            memcpy(session->names + used, ", ", 2);
            used += 2;
        }
        memcpy(session->names + used, text, len + 1);
    }
    return 0;
}

/* ---- Words. */

static const char *alert_words(uint8_t alert) {
    switch (alert) {
    case 40:
        return "no version of TLS or cipher in common, or it wants a client certificate "
               "(handshake failure)";
    case 42:
        return "it does not accept our certificate, or wants one (bad certificate)";
    case 43:
        return "it does not accept our kind of certificate (unsupported certificate)";
    case 44:
        return "our certificate is revoked";
    case 45:
        return "our certificate has expired";
    case 46:
        return "it does not accept our certificate (certificate unknown)";
    case 48:
        return "it does not trust our certificate's authority (unknown CA)";
    case 49:
        return "access denied";
    case 70:
        return "it does not speak TLS 1.2 or later (protocol version)";
    case 71:
        return "it wants stronger ciphers (insufficient security)";
    case 112:
        return "it does not know this host name (unrecognized name)";
    case 116:
        return "it wants a client certificate (tlsCertificateFilePath and tlsKeyFilePath)";
    default:
        return NULL;
    }
}

static void set_alert(const struct tls_session *session, struct err *err) {
    int alert = s2n_connection_get_alert(session->s2n);
    const char *words = alert >= 0 ? alert_words((uint8_t)alert) : NULL;
    if (words != NULL) {
        err_set(err, ERR_PULSAR_TLS, "TLS refused by it: %s", words);
    } else {
        err_set(err, ERR_PULSAR_TLS, "TLS refused by it with alert %d", alert);
    }
}

static void set_untrusted(const struct tls_session *session, struct err *err) {
    const char *path = session->tls->trust_path;
    err_set(err, ERR_PULSAR_TLS,
            "its certificate is signed by nobody whom %s %s (tlsTrustCertsFilePath)",
            path != NULL ? path : "the system's store", path != NULL ? "names" : "trusts");
}

static void set_wrong_host(const struct tls_session *session, struct err *err) {
    err_set(err, ERR_PULSAR_TLS,
            "its certificate is for %s and not for %s (is it the right address in serviceUrl, or "
            "in the broker's advertised one? tlsEnableHostnameVerification=false takes any)",
            session->names[0] != '\0' ? session->names : "no name", session->host);
}

static void set_failure(const struct tls_session *session, struct err *err) {
    int code = s2n_errno;
    const char *during = session->done ? "" : " during the TLS handshake";
    const char *name = s2n_strerror_name(code);
    if (session->babbles) {
        err_set(err, ERR_PULSAR_TLS, "it does not speak TLS on this port (pulsar://)");
        return;
    }
    switch (s2n_error_get_type(code)) {
    case S2N_ERR_T_ALERT:
        set_alert(session, err);
        return;
    case S2N_ERR_T_CLOSED:
        err_set(err, ERR_PULSAR_TRANSPORT, "it closed the connection%s%s", during,
                session->done ? "" : " (is it a port for TLS?)");
        return;
    case S2N_ERR_T_IO:
        err_set(err, ERR_PULSAR_TRANSPORT, "connection lost%s: %s", during,
                strerrordesc_np(session->io_error));
        return;
    default:
        break;
    }
    if (strcmp(name, "S2N_ERR_CERT_UNTRUSTED") == 0) {
        set_untrusted(session, err);
    } else if (strcmp(name, "S2N_ERR_CERT_INVALID_HOSTNAME") == 0) {
        set_wrong_host(session, err);
    } else if (strcmp(name, "S2N_ERR_CERT_EXPIRED") == 0) {
        err_set(err, ERR_PULSAR_TLS, "its certificate has expired");
    } else if (strcmp(name, "S2N_ERR_CERT_NOT_YET_VALID") == 0) {
        err_set(err, ERR_PULSAR_TLS, "its certificate is not valid yet (is the clock right?)");
    } else if (strcmp(name, "S2N_ERR_PROTOCOL_VERSION_UNSUPPORTED") == 0) {
        err_set(err, ERR_PULSAR_TLS, "it does not speak TLS 1.2 or later");
    } else {
        err_set(err, ERR_PULSAR_TLS, "TLS failed: %s (%s)", s2n_strerror(code, "EN"), name);
    }
}

/* ---- Sessions. */

/* An s2n_send_fn, without the signal that s2n's own would raise. */
static int send_bytes(void *io_context, const uint8_t *bytes, uint32_t len) {
    struct tls_session *session = io_context;
    ssize_t sent;
    do {
        sent = send(session->fd, bytes, len, MSG_NOSIGNAL);
    } while (sent < 0 && errno == EINTR);
    if (sent < 0) {
        session->io_error = errno;
    } else {
        session->sent += (uint64_t)sent;
    }
    return (int)sent;
}

/* An s2n_recv_fn. s2n would take the beginning of whatever comes for a length, and wait for that
 * much. */
static int receive_bytes(void *io_context, uint8_t *bytes, uint32_t len) {
    struct tls_session *session = io_context;
    ssize_t got;
    do {
        got = recv(session->fd, bytes, len, 0);
    } while (got < 0 && errno == EINTR);
    if (got < 0) {
        session->io_error = errno;
    } else if (got > 0 && !session->heard) {
        session->heard = true;
        if (bytes[0] != RECORD_HANDSHAKE && bytes[0] != RECORD_ALERT) {
            session->babbles = true;
            errno = EPROTO;
            return -1;
        }
    }
    return (int)got;
}

static bool set_up(struct tls_session *session) {
    uint8_t ip[16];
    struct s2n_connection *s2n = session->s2n;
    return s2n_connection_set_config(s2n, session->material->config) == S2N_SUCCESS &&
           s2n_connection_set_blinding(s2n, S2N_SELF_SERVICE_BLINDING) == S2N_SUCCESS &&
           s2n_connection_prefer_throughput(s2n) == S2N_SUCCESS &&
           s2n_connection_set_dynamic_buffers(s2n, true) == S2N_SUCCESS &&
           s2n_connection_set_recv_buffering(s2n, true) == S2N_SUCCESS &&
           s2n_connection_set_verify_host_callback(s2n, verify_host, session) == S2N_SUCCESS &&
           s2n_connection_set_send_cb(s2n, send_bytes) == S2N_SUCCESS &&
           s2n_connection_set_send_ctx(s2n, session) == S2N_SUCCESS &&
           s2n_connection_set_recv_cb(s2n, receive_bytes) == S2N_SUCCESS &&
           s2n_connection_set_recv_ctx(s2n, session) == S2N_SUCCESS &&
           (is_ip(session->host, ip) || /* an address is no server name */
            s2n_set_server_name(s2n, session->host) == S2N_SUCCESS);
}

struct tls_session *tls_session_new(struct tls *tls, const char *host, int fd, struct err *err) {
    if (!refresh(tls, err)) {
        return NULL;
    }
    struct tls_session *session = calloc(1, sizeof *session);
    if (session == NULL) {
        err_set(err, ERR_NOMEM, "no memory for a TLS session");
        return NULL;
    }
    struct str name = str_make(host, strcspn(host, "%")); /* an address without its zone */
    if (name.len > 0 && name.ptr[name.len - 1] == '.') {
        name.len--;
    }
    session->tls = tls;
    session->material = tls->material;
    session->material->refs++;
    session->fd = fd;
    session->s2n = s2n_connection_new(S2N_CLIENT);
    if (!str_copy(name, session->host, sizeof session->host) || session->s2n == NULL ||
        !set_up(session)) {
        err_set(err, ERR_PULSAR_TLS, "TLS: %s", last_words());
        tls_session_free(session);
        return NULL;
    }
    return session;
}

/* s2n asks to let some time pass between a failure and the end of the connection, since timing can
 * tell an attacker what in his bytes was wrong. We end it at once: what he could guess are the
 * secrets of one session out of one try, as the next has others. */
void tls_session_free(struct tls_session *session) {
    if (session != NULL) {
        (void)s2n_connection_free(session->s2n);
        drop(session->material);
        free(session);
    }
}

static bool is_blocked(void) {
    return s2n_error_get_type(s2n_errno) == S2N_ERR_T_BLOCKED;
}

enum tls_handshake tls_session_handshake(struct tls_session *session, struct err *err) {
    s2n_blocked_status blocked = S2N_NOT_BLOCKED;
    if (s2n_negotiate(session->s2n, &blocked) != S2N_SUCCESS) {
        if (is_blocked()) {
            return TLS_BLOCKED;
        }
        set_failure(session, err);
        return TLS_FAILED;
    }
    session->done = true;
    (void)s2n_connection_free_handshake(session->s2n); /* only memory */
    return TLS_DONE;
}

ssize_t tls_session_read(struct tls_session *session, void *to, size_t size, struct err *err) {
    s2n_blocked_status blocked = S2N_NOT_BLOCKED;
    ssize_t got = s2n_recv(session->s2n, to, (ssize_t)size, &blocked);
    if (got > 0) {
        return got;
    }
    if (got == 0) {
        err_set(err, ERR_PULSAR_TRANSPORT, "it closed the connection");
        return -1;
    }
    if (is_blocked()) {
        return 0;
    }
    set_failure(session, err);
    return -1;
}

ssize_t tls_session_write(struct tls_session *session, const struct iovec *parts, size_t count,
                          struct err *err) {
    s2n_blocked_status blocked = S2N_NOT_BLOCKED;
    ssize_t sent = s2n_sendv(session->s2n, parts, (ssize_t)count, &blocked);
    if (sent >= 0) {
        return sent;
    }
    if (is_blocked()) {
        return 0;
    }
    set_failure(session, err);
    return -1;
}

uint64_t tls_session_sent(const struct tls_session *session) {
    return session->sent;
}

void tls_session_end(struct tls_session *session) {
    s2n_blocked_status blocked = S2N_NOT_BLOCKED;
    if (session->done) {
        (void)s2n_shutdown_send(session->s2n, &blocked);
    }
}
