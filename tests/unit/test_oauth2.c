/* OAuth2's client credentials against an issuer of our own: what it is asked, how long its tokens are
 * kept, and what happens when it does not do what it should. Then with a producer. */
#include "unit/cmocka_all.h"

#include "fakes/fake_broker.h"
#include "pulsar/auth.h"
#include "pulsar/producer.h"
#include "pulsar/secret.h"
#include "unit/issuer.h"

#include <aws/common/encoding.h>
#include <aws/common/thread.h>
#include <aws/io/io.h>

#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

enum { REQUESTS = 10, PATIENCE_S = 30 };

/* What somebody who asked was told. */
struct asker {
    struct auth_request request;
    struct rig *rig;
    bool at_once; /* inside auth_get */
    int told;
    char data[64];
    struct err err;
};

/* One auth on a lane. The lane's thread writes, the test waits. */
struct rig {
    struct issuer *issuer;
    char params[1024];
    uint32_t timeout_ms;
    struct lane *lane;
    struct auth *auth;
    struct asker askers[REQUESTS];
    size_t askers_used;
    bool fresh;
    bool may_retry;
    struct lane_timer tick;
    int ticks;
    pthread_mutex_t lock;
    pthread_cond_t changed;
    bool ran;
    char key_path[32];
};

/* ---- On the lane. */

static void note(struct asker *asker, const struct err *err, struct str data) {
    struct rig *rig = asker->rig;
    (void)pthread_mutex_lock(&rig->lock);
    asker->err = err != NULL ? *err : ERR_NONE;
    assert(str_copy(data, asker->data, sizeof asker->data));
    asker->told++;
    (void)pthread_cond_signal(&rig->changed);
    (void)pthread_mutex_unlock(&rig->lock);
}

static void ran(struct rig *rig) {
    (void)pthread_mutex_lock(&rig->lock);
    rig->ran = true;
    (void)pthread_cond_signal(&rig->changed);
    (void)pthread_mutex_unlock(&rig->lock);
}

static void on_credentials(struct auth_request *request, const struct err *err, struct str data) {
    struct asker *asker = AWS_CONTAINER_OF(request, struct asker, request);
    assert(!asker->at_once); /* never inside auth_get */
    note(asker, err, data);
}

static void ask_all(void *ctx) {
    struct rig *rig = ctx;
    for (size_t i = 0; i < rig->askers_used; i++) {
        struct asker *asker = &rig->askers[i];
        struct err err = ERR_NONE;
        struct buf data;
        buf_init(&data, AUTH_TOKEN_MAX);
        asker->rig = rig;
        asker->request.done = on_credentials;
        asker->at_once = true;
        switch (auth_get(rig->auth, &asker->request, rig->fresh, &data, &err)) {
        case AUTH_GIVEN:
            note(asker, NULL, buf_str(&data));
            break;
        case AUTH_FAILED:
            note(asker, &err, STR_NONE);
            break;
        case AUTH_LATER:
            asker->at_once = false;
            break;
        }
        secret_wipe(&data);
    }
    ran(rig);
}

static void open_auth(void *ctx) {
    struct rig *rig = ctx;
    struct err err = ERR_NONE;
    struct auth_options options = {
        .plugin = STR("oauth2"),
        .params = str_of(rig->params),
        .timeout_ms = rig->timeout_ms,
        .backoff = backoff_make(5, 20),
    };
    rig->auth = auth_new(rig->lane, &options, &err);
    assert_string_equal(err.text, "");
    assert_string_equal(auth_method(rig->auth), "token");
    ran(rig);
}

static void close_auth(void *ctx) {
    struct rig *rig = ctx;
    lane_timer_cancel(&rig->tick);
    for (size_t i = 0; i < REQUESTS; i++) {
        auth_forget(&rig->askers[i].request);
    }
    auth_free(rig->auth);
    ran(rig);
}

static void refuse_first(void *ctx) {
    struct rig *rig = ctx;
    auth_refused(rig->auth, &rig->askers[0].request);
    rig->may_retry = auth_may_retry(rig->auth);
    ran(rig);
}

static void accept_first(void *ctx) {
    struct rig *rig = ctx;
    auth_accepted(rig->auth);
    rig->may_retry = auth_may_retry(rig->auth);
    ran(rig);
}

static void look_at_retry(void *ctx) {
    struct rig *rig = ctx;
    rig->may_retry = auth_may_retry(rig->auth);
    ran(rig);
}

static void tick(void *ctx) {
    struct rig *rig = ctx;
    (void)pthread_mutex_lock(&rig->lock);
    rig->ticks++;
    (void)pthread_mutex_unlock(&rig->lock);
    lane_timer_set_ms(&rig->tick, 5);
}

static void start_ticking(void *ctx) {
    struct rig *rig = ctx;
    lane_timer_init(&rig->tick, rig->lane, tick, rig);
    lane_timer_set_ms(&rig->tick, 5);
    ran(rig);
}

/* ---- The test's thread. */

#define WAIT_FOR(rig, condition)                                                                   \
    do {                                                                                           \
        struct timespec until;                                                                     \
        (void)clock_gettime(CLOCK_REALTIME, &until);                                               \
        until.tv_sec += PATIENCE_S;                                                                \
        int waited = 0;                                                                            \
        (void)pthread_mutex_lock(&(rig)->lock);                                                    \
        while (!(condition) && waited == 0) {                                                      \
            waited = pthread_cond_timedwait(&(rig)->changed, &(rig)->lock, &until);                \
        }                                                                                          \
        bool holds = (condition);                                                                  \
        (void)pthread_mutex_unlock(&(rig)->lock);                                                  \
        assert_true(holds);                                                                        \
    } while (0)

static int locked(struct rig *rig, const int *number) {
    (void)pthread_mutex_lock(&rig->lock);
    int value = *number;
    (void)pthread_mutex_unlock(&rig->lock);
    return value;
}

static void on_lane(struct rig *rig, lane_fn *fn) {
    struct lane_message message;
    rig->ran = false;
    lane_post(rig->lane, &message, fn, rig);
    WAIT_FOR(rig, rig->ran);
}

static bool all_told(const struct rig *rig) {
    for (size_t i = 0; i < rig->askers_used; i++) {
        if (rig->askers[i].told == 0) {
            return false;
        }
    }
    return true;
}

/* Asks for so many at the same time; all are told once. */
static void get(struct rig *rig, size_t count, bool fresh) {
    for (size_t i = 0; i < count; i++) {
        rig->askers[i].told = 0;
    }
    rig->askers_used = count;
    rig->fresh = fresh;
    on_lane(rig, ask_all);
    WAIT_FOR(rig, all_told(rig));
}

static void expect_token(struct rig *rig, bool fresh, const char *token) {
    get(rig, 1, fresh);
    assert_string_equal(rig->askers[0].err.text, "");
    assert_string_equal(rig->askers[0].data, token);
    assert_int_equal(rig->askers[0].told, 1);
}

static void expect_failure(struct rig *rig, enum err_code code, const char *text) {
    get(rig, 1, false);
    const struct err *err = &rig->askers[0].err;
    assert_int_equal(err->code, code);
    if (strstr(err->text, text) == NULL) {
        fail_msg("\"%s\" should say \"%s\"", err->text, text);
    }
    assert_null(strstr(err->text, "s3cret"));
    assert_string_equal(rig->askers[0].data, "");
}

static void write_key(const struct rig *rig, const char *secret) {
    FILE *file = fopen(rig->key_path, "w");
    assert_non_null(file);
    (void)fprintf(file,
                  "{\"type\":\"client_credentials\",\"client_id\":\"a client\","
                  "\"client_secret\":\"%s\",\"issuer_url\":\"x\"}\n",
                  secret);
    assert_int_equal(fclose(file), 0);
}

/* With an issuer at port; more: further members of the params, with a comma in front. */
static void set_params(struct rig *rig, const char *scheme_and_host, unsigned port,
                       const char *more) {
    (void)snprintf(rig->params, sizeof rig->params,
                   "{\"issuerUrl\":\"%s:%u/tenant\",\"privateKey\":\"%s\"%s}", scheme_and_host,
                   port, rig->key_path, more);
}

static struct rig *rig_prepare(void) {
    struct rig *rig = calloc(1, sizeof *rig);
    struct err err = ERR_NONE;
    assert_non_null(rig);
    rig->issuer = issuer_new();
    rig->timeout_ms = 20000;
    (void)pthread_mutex_init(&rig->lock, NULL);
    (void)pthread_cond_init(&rig->changed, NULL);
    (void)strcpy(rig->key_path, "/tmp/d2p_key_XXXXXX");
    int fd = mkstemp(rig->key_path);
    assert_true(fd >= 0);
    (void)close(fd);
    write_key(rig, "s3cret&more");
    set_params(rig, "http://127.0.0.1", rig->issuer->port, "");
    rig->lane = lane_new(0, &err);
    assert_non_null(rig->lane);
    return rig;
}

static struct rig *rig_new(void) {
    struct rig *rig = rig_prepare();
    on_lane(rig, open_auth);
    return rig;
}

static void rig_free(struct rig *rig) {
    if (rig->auth != NULL) {
        on_lane(rig, close_auth);
    }
    lane_free(rig->lane); /* its thread may live on, see untrusted */
    issuer_free(rig->issuer);
    (void)unlink(rig->key_path);
    (void)pthread_cond_destroy(&rig->changed);
    (void)pthread_mutex_destroy(&rig->lock);
    free(rig);
}

/* ---- Tokens. */

static void discovered_and_asked(void **state) {
    (void)state;
    struct rig *rig = rig_prepare();
    set_params(rig, "http://127.0.0.1", rig->issuer->port,
               ",\"audience\":\"urn:a b\",\"scope\":\"x+y z\"");
    on_lane(rig, open_auth);
    expect_token(rig, false, "token-1");
    assert_string_equal(rig->issuer->form,
                        "grant_type=client_credentials&client_id=a%20client&"
                        "client_secret=s3cret%26more&audience=urn%3Aa%20b&scope=x%2By%20z");
    expect_token(rig, false, "token-1");
    assert_true(rig->askers[0].at_once);
    /* Somebody who has seen it already and wants another. */
    expect_token(rig, true, "token-2");
    assert_false(rig->askers[0].at_once);
    assert_int_equal(issuer_count(rig->issuer, &rig->issuer->discoveries), 1);
    assert_int_equal(issuer_count(rig->issuer, &rig->issuer->asked), 2);
    rig_free(rig);
}

static void asked_once_for_all(void **state) {
    (void)state;
    struct rig *rig = rig_new();
    get(rig, REQUESTS, false);
    for (size_t i = 0; i < REQUESTS; i++) {
        assert_string_equal(rig->askers[i].data, "token-1");
        assert_int_equal(rig->askers[i].told, 1);
    }
    get(rig, REQUESTS, true);
    for (size_t i = 0; i < REQUESTS; i++) {
        assert_string_equal(rig->askers[i].data, "token-2");
    }
    assert_int_equal(issuer_count(rig->issuer, &rig->issuer->discoveries), 1);
    assert_int_equal(issuer_count(rig->issuer, &rig->issuer->asked), 2);
    rig_free(rig);
}

/* Nobody asks, and the token is renewed all the same. */
static void renewed_ahead(void **state) {
    (void)state;
    static const char *const lives[] = {"1", "0.7", "\"1\""};
    for (size_t i = 0; i < sizeof lives / sizeof lives[0]; i++) {
        struct rig *rig = rig_prepare();
        rig->issuer->expires_in = lives[i];
        on_lane(rig, open_auth);
        expect_token(rig, false, "token-1");
        issuer_wait(rig->issuer, &rig->issuer->tokens, 3);
        get(rig, 1, false);
        assert_string_not_equal(rig->askers[0].data, "token-1");
        assert_string_equal(rig->askers[0].err.text, "");
        rig_free(rig);
    }
}

/* Of a token without expiry nothing is renewed ahead, and not every need asks anew. */
static void expiry_untold(void **state) {
    (void)state;
    static const char *const lives[] = {NULL, "0", "-5", "null", "\"soon\"", "{}"};
    for (size_t i = 0; i < sizeof lives / sizeof lives[0]; i++) {
        struct rig *rig = rig_prepare();
        rig->issuer->expires_in = lives[i];
        on_lane(rig, open_auth);
        expect_token(rig, false, "token-1");
        expect_token(rig, false, "token-1");
        expect_token(rig, true, "token-2");
        assert_int_equal(issuer_count(rig->issuer, &rig->issuer->asked), 2);
        rig_free(rig);
    }
}

static void kept_during_an_outage(void **state) {
    (void)state;
    struct rig *rig = rig_new();
    expect_token(rig, false, "token-1");
    issuer_set_fault(rig->issuer, ISSUER_STATUS, ISSUER_STATUS, 503, "down");
    expect_token(rig, true, "token-1"); /* there is none newer */
    unsigned asked = issuer_count(rig->issuer, &rig->issuer->asked);
    assert_true(asked >= 2);
    /* The renewal is tried again without anybody's asking, and then it works. */
    issuer_wait(rig->issuer, &rig->issuer->asked, asked + 2);
    expect_token(rig, false, "token-1");
    assert_true(rig->askers[0].at_once);
    issuer_set_fault(rig->issuer, ISSUER_WELL, ISSUER_WELL, 0, NULL);
    issuer_wait(rig->issuer, &rig->issuer->tokens, 2);
    get(rig, 1, true);
    assert_string_not_equal(rig->askers[0].data, "token-1");
    rig_free(rig);
}

/* ---- What can go wrong. */

static void passing_failures(void **state) {
    (void)state;
    static const struct {
        enum issuer_fault discovery;
        enum issuer_fault token;
        unsigned status;
        const char *body;
        const char *text;
    } faults[] = {
        {ISSUER_STATUS, ISSUER_WELL, 500, "", "status 500 to the request for its configuration"},
        {ISSUER_STATUS, ISSUER_WELL, 429, "", "status 429"},
        {ISSUER_STATUS, ISSUER_WELL, 200, "<html>", "its configuration is not JSON"},
        {ISSUER_STATUS, ISSUER_WELL, 200, "[]", "its configuration is without a token_endpoint"},
        {ISSUER_STATUS, ISSUER_WELL, 200, "{\"token_endpoint\":\"/token\"}",
         "its token_endpoint is not a usable URL"},
        {ISSUER_ENDLESS, ISSUER_WELL, 0, NULL, "is larger than 262144 bytes"},
        {ISSUER_CUT, ISSUER_WELL, 0, NULL, "no whole answer from"},
        {ISSUER_WELL, ISSUER_STATUS, 500, "{\"error\":\"invalid_client\"}", "invalid_client"},
        {ISSUER_WELL, ISSUER_STATUS, 503, "<html>", "status 503 to the request for a token"},
        {ISSUER_WELL, ISSUER_STATUS, 400,
         "{\"error\":\"temporarily_unavailable\",\"error_description\":\"later\"}",
         "temporarily_unavailable: later"},
        {ISSUER_WELL, ISSUER_STATUS, 200, "", "is not JSON"},
        {ISSUER_WELL, ISSUER_STATUS, 200, "{\"access_token\":7}", "no usable access_token"},
        {ISSUER_WELL, ISSUER_STATUS, 200, "{\"access_token\":\"a b\"}", "no usable access_token"},
        {ISSUER_WELL, ISSUER_ENDLESS, 0, NULL, "is larger than 262144 bytes"},
        {ISSUER_WELL, ISSUER_CUT, 0, NULL, "no whole answer from"},
    };
    for (size_t i = 0; i < sizeof faults / sizeof faults[0]; i++) {
        struct rig *rig = rig_new();
        issuer_set_fault(rig->issuer, faults[i].discovery, faults[i].token, faults[i].status,
                         faults[i].body);
        expect_failure(rig, ERR_PULSAR_NO_TOKEN, faults[i].text);
        assert_int_equal(rig->askers[0].err.class, ERR_CLASS_RETRY);
        assert_non_null(strstr(rig->askers[0].err.text, "OAuth2 issuer http://127.0.0.1:"));
        on_lane(rig, look_at_retry);
        assert_false(rig->may_retry);
        issuer_set_fault(rig->issuer, ISSUER_WELL, ISSUER_WELL, 0, NULL);
        expect_token(rig, false, "token-1");
        rig_free(rig);
    }
}

static void lasting_failures(void **state) {
    (void)state;
    static const struct {
        enum issuer_fault discovery;
        enum issuer_fault token;
        unsigned status;
        const char *body;
        const char *text;
    } faults[] = {
        {ISSUER_STATUS, ISSUER_WELL, 404, "what?",
         "status 404 to the request for its configuration (check issuerUrl)"},
        {ISSUER_STATUS, ISSUER_WELL, 302, "", "status 302"},
        {ISSUER_WELL, ISSUER_STATUS, 405, "", "status 405 to the request for a token"},
        {ISSUER_WELL, ISSUER_STATUS, 400,
         "{\"error\":\"invalid_scope\",\"error_description\":\"no\\nsuch scope\"}",
         "invalid_scope: no such scope (status 400 to the request for a token); check privateKey"},
    };
    for (size_t i = 0; i < sizeof faults / sizeof faults[0]; i++) {
        struct rig *rig = rig_new();
        issuer_set_fault(rig->issuer, faults[i].discovery, faults[i].token, faults[i].status,
                         faults[i].body);
        expect_failure(rig, ERR_PULSAR_AUTH, faults[i].text);
        rig_free(rig);
    }
}

static void discovery_is_forgotten_when_the_endpoint_is_gone(void **state) {
    (void)state;
    struct rig *rig = rig_new();
    (void)snprintf(rig->issuer->token_endpoint, sizeof rig->issuer->token_endpoint,
                   "http://127.0.0.1:%u/moved", rig->issuer->port);
    expect_failure(rig, ERR_PULSAR_AUTH, "status 404 to the request for a token");
    (void)pthread_mutex_lock(&rig->issuer->lock);
    rig->issuer->token_endpoint[0] = '\0';
    (void)pthread_mutex_unlock(&rig->issuer->lock);
    expect_token(rig, false, "token-1");
    assert_int_equal(issuer_count(rig->issuer, &rig->issuer->discoveries), 2);
    rig_free(rig);
}

/* Refused, but the key has been replaced since; then for good. */
static void refused_client(void **state) {
    (void)state;
    struct rig *rig = rig_prepare();
    write_key(rig, "old s3cret");
    on_lane(rig, open_auth);
    expect_failure(rig, ERR_PULSAR_AUTH, "invalid_client: nobody we know (status 401");
    assert_int_equal(rig->askers[0].err.class, ERR_CLASS_AUTH);
    on_lane(rig, look_at_retry);
    assert_true(rig->may_retry);
    expect_failure(rig, ERR_PULSAR_AUTH, "invalid_client: nobody we know (status 401");
    on_lane(rig, look_at_retry);
    assert_false(rig->may_retry);
    write_key(rig, "s3cret&more");
    expect_token(rig, false, "token-1");
    on_lane(rig, accept_first);
    assert_false(rig->may_retry);

    /* Without a key at all. */
    (void)unlink(rig->key_path);
    expect_token(rig, true, "token-1");
    on_lane(rig, refuse_first); /* by the broker */
    expect_failure(rig, ERR_PULSAR_AUTH, rig->key_path);
    assert_non_null(strstr(rig->askers[0].err.text, "cannot open the key file"));
    rig_free(rig);
}

/* A token that a broker refused is not shown again, and once another is tried. */
static void refused_token(void **state) {
    (void)state;
    struct rig *rig = rig_new();
    expect_token(rig, false, "token-1");
    on_lane(rig, refuse_first);
    assert_true(rig->may_retry);
    on_lane(rig, refuse_first); /* the same one, by another broker */
    assert_true(rig->may_retry);
    expect_token(rig, false, "token-2");
    on_lane(rig, refuse_first);
    assert_false(rig->may_retry);
    expect_token(rig, false, "token-3");
    on_lane(rig, accept_first);
    assert_false(rig->may_retry);
    on_lane(rig, refuse_first);
    assert_true(rig->may_retry);
    rig_free(rig);
}

static void nobody_there(void **state) {
    (void)state;
    struct rig *rig = rig_prepare();
    struct issuer *other = issuer_new();
    set_params(rig, "http://127.0.0.1", other->port, "");
    issuer_free(other);
    on_lane(rig, open_auth);
    expect_failure(rig, ERR_PULSAR_NO_TOKEN, "connection refused");
    rig_free(rig);

    rig = rig_prepare();
    set_params(rig, "http://issuer.invalid", 80, "");
    on_lane(rig, open_auth);
    expect_failure(rig, ERR_PULSAR_NO_TOKEN, "issuer.invalid");
    rig_free(rig);
}

/* It says nothing: the attempt ends by its deadline, and the lane has other things to do meanwhile. */
static void silent_issuer(void **state) {
    (void)state;
    for (int asking = 0; asking < 2; asking++) {
        struct rig *rig = rig_prepare();
        rig->timeout_ms = 500;
        on_lane(rig, open_auth);
        on_lane(rig, start_ticking);
        issuer_set_fault(rig->issuer, asking ? ISSUER_WELL : ISSUER_SILENT, ISSUER_SILENT, 0, NULL);
        expect_failure(rig, ERR_PULSAR_NO_TOKEN,
                       asking ? "no token within 500 ms" : "no configuration within 500 ms");
        assert_true(locked(rig, &rig->ticks) >= 3);
        issuer_set_fault(rig->issuer, ISSUER_WELL, ISSUER_WELL, 0, NULL);
        expect_token(rig, false, "token-1");
        rig_free(rig);
    }
}

/* Freed in the midst of discovery, of asking, of a connect; nobody is told. */
static void closed_while_asking(void **state) {
    (void)state;
    for (int phase = 0; phase < 3; phase++) {
        struct rig *rig = rig_new();
        issuer_set_fault(rig->issuer, phase == 1 ? ISSUER_SILENT : ISSUER_WELL, ISSUER_SILENT, 0,
                         NULL);
        rig->askers_used = REQUESTS;
        on_lane(rig, ask_all);
        if (phase > 0) {
            issuer_wait(rig->issuer, phase == 1 ? &rig->issuer->discoveries : &rig->issuer->asked,
                        1);
        }
        on_lane(rig, close_auth);
        rig->auth = NULL;
        for (size_t i = 0; i < REQUESTS; i++) {
            assert_int_equal(rig->askers[i].told, 0);
        }
        rig_free(rig);
    }
}

static void key_in_all_places(void **state) {
    (void)state;
    static const char json[] = "{\"client_id\":\"a client\",\"client_secret\":\"s3cret&more\"}";
    char base64[256];
    struct aws_byte_cursor bytes = aws_byte_cursor_from_array(json, sizeof json - 1);
    struct aws_byte_buf out = aws_byte_buf_from_empty_array(base64, sizeof base64 - 1);
    assert_int_equal(aws_base64_encode(&bytes, &out), AWS_OP_SUCCESS);
    base64[out.len] = '\0';
    static const char *const forms[] = {"%s", "file:%s", "file://%s",
                                        "data:application/json;base64,%s"};
    for (size_t i = 0; i < sizeof forms / sizeof forms[0]; i++) {
        struct rig *rig = rig_prepare();
        bool data = strncmp(forms[i], "data:", 5) == 0;
        char key[320];
        (void)snprintf(key, sizeof key, "%.*s%s", (int)strlen(forms[i]) - 2, forms[i],
                       data ? base64 : rig->key_path);
        (void)snprintf(rig->params, sizeof rig->params,
                       "{\"issuer_url\":\"http://127.0.0.1:%u/tenant/\",\"private_key\":\"%s\"}",
                       rig->issuer->port, key);
        on_lane(rig, open_auth);
        expect_token(rig, false, "token-1");
        rig_free(rig);
    }
}

/* ---- TLS. */

static void with_tls(void **state) {
    (void)state;
    struct rig *rig = rig_prepare();
    char more[96];
    (void)snprintf(more, sizeof more, ",\"trustCertsFilePath\":\"%s\"", rig->issuer->ca_path);
    set_params(rig, "https://localhost", rig->issuer->tls_port, more);
    (void)snprintf(rig->issuer->token_endpoint, sizeof rig->issuer->token_endpoint,
                   "https://localhost:%u/token?v=2", rig->issuer->tls_port);
    on_lane(rig, open_auth);
    expect_token(rig, false, "token-1");
    expect_token(rig, true, "token-2");
    rig_free(rig);

    /* The secret does not go where everybody can read it. */
    rig = rig_prepare();
    (void)snprintf(more, sizeof more, ",\"trustCertsFilePath\":\"%s\"", rig->issuer->ca_path);
    set_params(rig, "https://localhost", rig->issuer->tls_port, more);
    on_lane(rig, open_auth);
    expect_failure(rig, ERR_PULSAR_AUTH, "its token_endpoint is without TLS");
    assert_int_equal(issuer_count(rig->issuer, &rig->issuer->asked), 0);
    rig_free(rig);
}

static void open_fails(void *ctx) {
    struct rig *rig = ctx;
    struct err err = ERR_NONE;
    struct auth_options options = {.plugin = STR("oauth2"), .params = str_of(rig->params)};
    assert_null(auth_new(rig->lane, &options, &err));
    assert_int_equal(err.code, ERR_CONFIG);
    assert_non_null(strstr(err.text, "no TLS with the issuer (trustCertsFilePath)"));
    ran(rig);
}

/* Told at once, while the TLS library takes its time to close: 10 to 30 s, for which only the end of
 * all tests waits. So this one goes first. */
static void untrusted(void **state) {
    (void)state;
    struct rig *rig = rig_prepare();
    set_params(rig, "https://localhost", 1, ",\"trustCertsFilePath\":\"/nowhere.pem\"");
    on_lane(rig, open_fails);
    set_params(rig, "https://localhost", rig->issuer->tls_port, "");
    on_lane(rig, open_auth);
    struct timespec start;
    struct timespec end;
    (void)clock_gettime(CLOCK_MONOTONIC, &start);
    expect_failure(rig, ERR_PULSAR_NO_TOKEN, "TLS handshake with https://localhost:");
    (void)clock_gettime(CLOCK_MONOTONIC, &end);
    assert_true(end.tv_sec - start.tv_sec < 9); /* the TLS library's delay is 10 s at least */
    rig_free(rig);
}

/* ---- A producer that shows such tokens. */

struct app {
    struct rig *rig;
    struct pulsar_client *client;
    struct pulsar_producer *producer;
    char url[64];
    int ready;
    int failed;
    int lost;
    struct err err;
    bool closed;
};

static void changed(struct app *app, int *counter, const struct err *err) {
    (void)pthread_mutex_lock(&app->rig->lock);
    (*counter)++;
    if (err != NULL) {
        app->err = *err;
    }
    (void)pthread_cond_signal(&app->rig->changed);
    (void)pthread_mutex_unlock(&app->rig->lock);
}

static void on_ready(void *ctx, uint32_t partitions) {
    (void)partitions;
    struct app *app = ctx;
    changed(app, &app->ready, NULL);
}

static void on_failed(void *ctx, const struct err *err) {
    struct app *app = ctx;
    changed(app, &app->failed, err);
}

static void on_connection(void *ctx, uint32_t partition, const struct err *err) {
    (void)partition;
    struct app *app = ctx;
    if (err != NULL) {
        changed(app, &app->lost, NULL);
    }
}

static void on_receipt(void *ctx, const struct pulsar_receipt *receipt) {
    (void)ctx;
    (void)receipt;
}

static void on_writable(void *ctx) {
    (void)ctx;
}

static const struct pulsar_producer_events app_events = {
    .ready = on_ready,
    .receipt = on_receipt,
    .writable = on_writable,
    .failed = on_failed,
    .connection = on_connection,
};

static void open_app(void *ctx) {
    struct app *app = ctx;
    struct err err = ERR_NONE;
    struct pulsar_client_options options = {
        .service_url = str_of(app->url),
        .auth_plugin = STR("oauth2"),
        .auth_params = str_of(app->rig->params),
        .client_version = STR("test-1"),
        .backoff_initial_ms = 5,
        .backoff_max_ms = 20,
    };
    app->client = pulsar_client_new(app->rig->lane, &options, &err);
    assert_string_equal(err.text, "");
    struct pulsar_producer_options producer = {.topic = STR("t")};
    app->producer = pulsar_producer_open(app->client, &producer, &app_events, app, &err);
    assert_non_null(app->producer);
}

static void client_closed(void *ctx) {
    struct app *app = ctx;
    (void)pthread_mutex_lock(&app->rig->lock);
    app->closed = true;
    (void)pthread_cond_signal(&app->rig->changed);
    (void)pthread_mutex_unlock(&app->rig->lock);
}

static void producer_closed(void *ctx) {
    struct app *app = ctx;
    pulsar_client_close(app->client, client_closed, app);
}

static void close_app(void *ctx) {
    struct app *app = ctx;
    pulsar_producer_close(app->producer, 1000, producer_closed, app);
}

static struct fake_broker *broker_new(const char *scenario) {
    struct err err = ERR_NONE;
    struct fake_broker *broker = fake_broker_new(&(struct fake_broker_options){0}, &err);
    assert_non_null(broker);
    assert_true(fake_broker_script(broker, scenario, &err));
    return broker;
}

static struct app *app_new(const struct fake_broker *broker) {
    struct app *app = calloc(1, sizeof *app);
    assert_non_null(app);
    app->rig = rig_prepare();
    (void)snprintf(app->url, sizeof app->url, "pulsar://127.0.0.1:%u", fake_broker_port(broker, 0));
    return app;
}

static void app_post(struct app *app, lane_fn *fn) {
    static struct lane_message messages[2];
    static size_t next;
    lane_post(app->rig->lane, &messages[next++ % 2], fn, app);
}

static void app_free(struct app *app, struct fake_broker *broker) {
    char violation[128];
    app_post(app, close_app);
    WAIT_FOR(app->rig, app->closed);
    fake_broker_violation(broker, violation, sizeof violation);
    assert_string_equal(violation, "");
    rig_free(app->rig);
    fake_broker_free(broker);
    free(app);
}

/* Until the broker has counted so many; it has nothing to wait on. */
static void wait_counted(struct fake_broker *broker, size_t offset, uint64_t least) {
    const struct timespec pause = {.tv_nsec = 2000000};
    uint64_t until = fake_server_now_ms() + (uint64_t)PATIENCE_S * 1000;
    for (;;) {
        struct fake_broker_counts counts;
        fake_broker_counts(broker, &counts);
        uint64_t value;
        memcpy(&value, (const char *)&counts + offset, sizeof value);
        if (value >= least) {
            return;
        }
        assert_true(fake_server_now_ms() < until);
        (void)nanosleep(&pause, NULL);
    }
}

#define WAIT_COUNTED(broker, name, least)                                                          \
    wait_counted(broker, offsetof(struct fake_broker_counts, name), least)

static void script(struct fake_broker *broker, const char *lines) {
    struct err err = ERR_NONE;
    assert_true(fake_broker_script(broker, lines, &err));
}

static void producer_shows_tokens(void **state) {
    (void)state;
    struct fake_broker *broker = broker_new("token token-1\n");
    struct app *app = app_new(broker);
    app_post(app, open_app);
    WAIT_FOR(app->rig, app->ready == 1);

    /* Several times, each answered with a token that it has not seen. */
    script(broker, "token token-2\nauth-challenge\n");
    WAIT_COUNTED(broker, auth_responses, 1);
    script(broker, "token token-3\nauth-challenge\n");
    WAIT_COUNTED(broker, auth_responses, 2);

    /* The issuer is down: the one that is still valid will do. */
    issuer_set_fault(app->rig->issuer, ISSUER_STATUS, ISSUER_STATUS, 500, "");
    script(broker, "auth-challenge\n");
    WAIT_COUNTED(broker, auth_responses, 3);

    /* Also on a new connection. */
    struct fake_broker_counts counts;
    fake_broker_counts(broker, &counts);
    assert_int_equal(locked(app->rig, &app->lost), 0);
    assert_int_equal(counts.live_producers, 1);
    script(broker, "disconnect\n");
    WAIT_COUNTED(broker, connects, counts.connects + 1);
    WAIT_COUNTED(broker, producers, counts.producers + 1);
    assert_int_equal(locked(app->rig, &app->failed), 0);
    app_free(app, broker);
}

/* The broker wants another token than the first: the second is tried, and no third. */
static void producer_is_refused(void **state) {
    (void)state;
    struct fake_broker *broker = broker_new("token token-2\n");
    struct app *app = app_new(broker);
    app_post(app, open_app);
    WAIT_FOR(app->rig, app->ready == 1);
    assert_int_equal(locked(app->rig, &app->lost), 0);

    /* After the first success it is tried for ever. */
    script(broker, "token token-7\ndisconnect\n");
    WAIT_COUNTED(broker, producers, 2);
    assert_int_equal(locked(app->rig, &app->failed), 0);
    assert_true(issuer_count(app->rig->issuer, &app->rig->issuer->tokens) >= 7);
    app_free(app, broker);

    /* So does the broker that has the topic, on a connection of its own. */
    broker = broker_new("brokers 2\nowner persistent://public/default/t 1\n"
                        "fail CONNECT 1 AuthenticationError expired after 1\n");
    app = app_new(broker);
    app_post(app, open_app);
    WAIT_FOR(app->rig, app->ready == 1);
    assert_int_equal(locked(app->rig, &app->lost), 1);
    assert_int_equal(issuer_count(app->rig->issuer, &app->rig->issuer->tokens), 2);
    app_free(app, broker);

    broker = broker_new("token another\n");
    app = app_new(broker);
    app_post(app, open_app);
    WAIT_FOR(app->rig, app->failed == 1);
    assert_int_equal(app->err.code, ERR_PULSAR_AUTH);
    assert_non_null(strstr(app->err.text, "authParams"));
    assert_null(strstr(app->err.text, "token-"));
    assert_int_equal(issuer_count(app->rig->issuer, &app->rig->issuer->tokens), 2);
    app_free(app, broker);

    /* Refused by the issuer, twice. */
    broker = broker_new("token token-1\n");
    app = app_new(broker);
    write_key(app->rig, "old");
    app_post(app, open_app);
    WAIT_FOR(app->rig, app->failed == 1);
    assert_int_equal(app->err.code, ERR_PULSAR_AUTH);
    assert_non_null(strstr(app->err.text, "invalid_client: nobody we know"));
    assert_int_equal(issuer_count(app->rig->issuer, &app->rig->issuer->asked), 2);
    app_free(app, broker);
}

/* The issuer comes late: the producer waits for it as it waits for a broker. */
static void producer_waits_for_the_issuer(void **state) {
    (void)state;
    struct fake_broker *broker = broker_new("token token-1\n");
    struct app *app = app_new(broker);
    issuer_set_fault(app->rig->issuer, ISSUER_STATUS, ISSUER_STATUS, 503, "");
    app_post(app, open_app);
    issuer_wait(app->rig->issuer, &app->rig->issuer->discoveries, 2);
    issuer_set_fault(app->rig->issuer, ISSUER_WELL, ISSUER_WELL, 0, NULL);
    WAIT_FOR(app->rig, app->ready == 1);
    assert_int_equal(locked(app->rig, &app->failed), 0);
    app_free(app, broker);

    /* Closed while it waits. */
    broker = broker_new("token token-1\n");
    app = app_new(broker);
    issuer_set_fault(app->rig->issuer, ISSUER_SILENT, ISSUER_SILENT, 0, NULL);
    app_post(app, open_app);
    issuer_wait(app->rig->issuer, &app->rig->issuer->discoveries, 1);
    app_free(app, broker);
}

static int setup(void **state) {
    (void)state;
    aws_io_library_init(aws_default_allocator());
    return 0;
}

static int teardown(void **state) {
    (void)state;
    aws_thread_join_all_managed();
    aws_io_library_clean_up();
    return 0;
}

int main(int argc, char **argv) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(untrusted),
        cmocka_unit_test(discovered_and_asked),
        cmocka_unit_test(asked_once_for_all),
        cmocka_unit_test(renewed_ahead),
        cmocka_unit_test(expiry_untold),
        cmocka_unit_test(kept_during_an_outage),
        cmocka_unit_test(passing_failures),
        cmocka_unit_test(lasting_failures),
        cmocka_unit_test(discovery_is_forgotten_when_the_endpoint_is_gone),
        cmocka_unit_test(refused_client),
        cmocka_unit_test(refused_token),
        cmocka_unit_test(nobody_there),
        cmocka_unit_test(silent_issuer),
        cmocka_unit_test(closed_while_asking),
        cmocka_unit_test(key_in_all_places),
        cmocka_unit_test(with_tls),
        cmocka_unit_test(producer_shows_tokens),
        cmocka_unit_test(producer_is_refused),
        cmocka_unit_test(producer_waits_for_the_issuer),
    };
    if (argc > 1) {
        cmocka_set_test_filter(argv[1]);
    }
    return cmocka_run_group_tests_name("oauth2", tests, setup, teardown);
}
