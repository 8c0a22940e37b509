/* The question whether deduplication is on, against an admin API that answers what each test says. */
#include "unit/cmocka_all.h"

#include "fakes/fake_http.h"
#include "pulsar/admin.h"
#include "unit/certificates.h"

#include <aws/common/thread.h>
#include <aws/io/io.h>

#include <assert.h>
#include <pthread.h>
#include <stdio.h>
#include <time.h>

#define STATE                                                                                      \
    "/stats?getPreciseBacklog=false&subscriptionBacklogSize=false&excludePublishers=true&"         \
    "excludeConsumers=true"
#define TOPIC "/admin/v2/persistent/a/b/t"
#define NAMESPACE "/admin/v2/namespaces/a/b/deduplication"
#define BROKER "/admin/v2/brokers/configuration/runtime"
#define ENABLED "{\"deduplicationStatus\":\"Enabled\",\"x\":1}"

enum { PATIENCE_S = 30, PAGES = 8, ASKED_MAX = 8 };

struct page {
    const char *path;
    unsigned status; /* 0: no answer */
    const char *body;
    char location[128]; /* "": none */
};

/* The API, and who asks it. The server's and the lane's thread write, the test waits. */
struct rig {
    struct fake_server *server;
    uint16_t port;
    uint16_t tls_port;
    struct certificates certificates;
    struct page pages[PAGES]; /* all else is 404 */
    char asked[ASKED_MAX][256];
    size_t asked_count;
    char authorization[128]; /* of the last request */
    bool length_untold;      /* by answers of status 200 */

    struct lane *lane;
    struct pulsar_client_options client;
    char url[128];
    const char *topic;
    struct pulsar_admin *admin;
    bool cancel; /* at once */
    struct lane_message message;
    pthread_mutex_t lock;
    pthread_cond_t changed;
    int told; /* -1: did not even start */
    enum pulsar_deduplication state;
    struct err err;
};

/* ---- The API. */

static void respond(struct fake_conn *conn, const struct page *page, bool length_untold) {
    char head[256];
    if (length_untold && page->status == 200) {
        (void)snprintf(head, sizeof head, "HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n%s",
                       page->body);
        fake_conn_write(conn, head, strlen(head));
        fake_conn_close(conn);
        return;
    }
    (void)snprintf(head, sizeof head, "HTTP/1.1 %u %s\r\nContent-Length: %zu\r\n%s%s%s\r\n",
                   page->status, fake_http_reason(page->status), strlen(page->body),
                   page->location[0] != '\0' ? "LOCATION: " : "", page->location,
                   page->location[0] != '\0' ? "\r\n" : "");
    fake_conn_write(conn, head, strlen(head));
    fake_conn_write(conn, page->body, strlen(page->body));
}

static void answer(struct rig *rig, const struct fake_http_request *request,
                   struct fake_conn *conn) {
    static const struct page missing = {.status = 404, .body = "{\"reason\":\"it is not there\"}"};
    assert(str_is(request->method, "GET"));
    assert(rig->asked_count < ASKED_MAX);
    assert(str_copy(request->path, rig->asked[rig->asked_count], sizeof rig->asked[0]));
    rig->asked_count++;
    (void)str_copy(fake_http_header(request, "Authorization"), rig->authorization,
                   sizeof rig->authorization);
    const struct page *found = &missing;
    for (size_t i = 0; i < PAGES && rig->pages[i].path != NULL; i++) {
        if (str_is(request->path, rig->pages[i].path)) {
            found = &rig->pages[i];
        }
    }
    if (found->status != 0) {
        respond(conn, found, rig->length_untold);
    }
}

static void *opened(void *ctx, struct fake_conn *conn) {
    (void)conn;
    return ctx;
}

static void received(void *ctx, struct fake_conn *conn) {
    struct fake_http_request request;
    while (fake_http_parse(fake_conn_input(conn), &request) == FAKE_HTTP_OK) {
        answer(ctx, &request, conn);
        fake_conn_consume(conn, request.len);
    }
}

static void closed(void *ctx, struct fake_conn *conn) {
    (void)ctx;
    (void)conn;
}

static const struct fake_handler handler = {
    .opened = opened, .received = received, .closed = closed};

/* ---- Who asks. */

static void tell(struct rig *rig, int told) {
    (void)pthread_mutex_lock(&rig->lock);
    rig->told = told;
    (void)pthread_cond_signal(&rig->changed);
    (void)pthread_mutex_unlock(&rig->lock);
}

static void on_state(void *ctx, enum pulsar_deduplication state, const struct err *err) {
    struct rig *rig = ctx;
    rig->state = state;
    rig->err = err != NULL ? *err : ERR_NONE;
    tell(rig, rig->told + 1);
}

static void start(void *ctx) {
    struct rig *rig = ctx;
    const struct pulsar_admin_options options = {
        .client = &rig->client,
        .web_service_url = str_of(rig->url),
        .topic = str_of(rig->topic),
    };
    rig->err = ERR_NONE;
    rig->admin = pulsar_admin_deduplication(rig->lane, &options, on_state, rig, &rig->err);
    if (rig->cancel) {
        pulsar_admin_cancel(rig->admin);
    }
    if (rig->admin == NULL || rig->cancel) {
        tell(rig, -1);
    }
}

static void cancel(void *ctx) {
    struct rig *rig = ctx;
    pulsar_admin_cancel(rig->admin);
    tell(rig, -1);
}

static void run_on_lane(struct rig *rig, lane_fn *fn) {
    struct timespec until;
    (void)clock_gettime(CLOCK_REALTIME, &until);
    until.tv_sec += PATIENCE_S;
    rig->told = 0;
    lane_post(rig->lane, &rig->message, fn, rig);
    int waited = 0;
    (void)pthread_mutex_lock(&rig->lock);
    while (rig->told == 0 && waited == 0) {
        waited = pthread_cond_timedwait(&rig->changed, &rig->lock, &until);
    }
    (void)pthread_mutex_unlock(&rig->lock);
    assert_int_equal(waited, 0);
}

static void ask(struct rig *rig) {
    rig->asked_count = 0;
    run_on_lane(rig, start);
    assert_int_equal(rig->told, 1);
}

static void expect_asked(const struct rig *rig, const char *const *paths, size_t count) {
    for (size_t i = 0; i < count && i < rig->asked_count; i++) {
        assert_string_equal(rig->asked[i], paths[i]);
    }
    assert_int_equal(rig->asked_count, count);
}

static void expect_on(struct rig *rig) {
    ask(rig);
    assert_string_equal(rig->err.text, "");
    assert_int_equal(rig->state, PULSAR_DEDUPLICATION_ON);
}

static void expect_text(struct rig *rig, enum pulsar_deduplication state, enum err_code code,
                        const char *text) {
    ask(rig);
    assert_int_equal(rig->state, state);
    assert_int_equal(rig->err.code, code);
    if (strstr(rig->err.text, text) == NULL) {
        fail_msg("\"%s\" should say \"%s\"", rig->err.text, text);
    }
}

static void expect_off(struct rig *rig, const char *text) {
    expect_text(rig, PULSAR_DEDUPLICATION_OFF, ERR_PULSAR_REFUSED, text);
    assert_int_equal(err_exit_code(rig->err.code), 4);
}

static void expect_unknown(struct rig *rig, enum err_code code, const char *text) {
    expect_text(rig, PULSAR_DEDUPLICATION_UNKNOWN, code, text);
    assert_non_null(strstr(rig->err.text, "whether deduplication is on for persistent://a/b/t "
                                          "cannot be seen: "));
}

/* ---- Rigs. */

static void rig_init(struct rig *rig) {
    struct err err = ERR_NONE;
    *rig = (struct rig){.topic = "a/b/t", .client = {.operation_timeout_ms = 20000}};
    (void)pthread_mutex_init(&rig->lock, NULL);
    (void)pthread_cond_init(&rig->changed, NULL);
    certificates_make(&rig->certificates);
    rig->server = fake_server_new(&err);
    assert_non_null(rig->server);
    assert_true(fake_server_identity(rig->server, rig->certificates.server,
                                     rig->certificates.server_key, NULL, &err));
    rig->port = fake_server_listen(rig->server, 0, &handler, rig, &err);
    rig->tls_port = fake_server_listen_tls(rig->server, 0, &handler, rig, &err);
    assert_true(rig->port != 0 && rig->tls_port != 0);
    assert_true(fake_server_start(rig->server, &err));
    (void)snprintf(rig->url, sizeof rig->url, "http://127.0.0.1:%u", rig->port);
    rig->lane = lane_new(0, &err);
    assert_non_null(rig->lane);
}

static void rig_done(struct rig *rig) {
    lane_free(rig->lane);
    fake_server_free(rig->server);
    certificates_remove(&rig->certificates);
    (void)pthread_cond_destroy(&rig->changed);
    (void)pthread_mutex_destroy(&rig->lock);
}

static int setup(void **state) {
    static struct rig rig;
    rig_init(&rig);
    *state = &rig;
    return 0;
}

static int teardown(void **state) {
    rig_done(*state);
    return 0;
}

/* ---- What is asked, and what the answers mean. */

static void topic_is_there(void **state) {
    static const char *const asked[] = {TOPIC STATE};
    struct rig *rig = *state;
    rig->pages[0] = (struct page){TOPIC STATE, 200, ENABLED, ""};
    expect_on(rig);
    expect_asked(rig, asked, 1);
    rig->pages[0].body = "{\"deduplicationStatus\":\"Recovering\"}";
    expect_on(rig);
    rig->pages[0].body = "{\"deduplicationStatus\":\"Disabled\"}";
    expect_off(rig, "deduplication is off for persistent://a/b/t; switch it on with \"pulsar-admin "
                    "namespaces set-deduplication --enable a/b\" or, where topics have policies of "
                    "their own, \"pulsar-admin topicPolicies set-deduplication --enable "
                    "persistent://a/b/t\"");
    rig->pages[0].body = "{\"deduplicationStatus\":\"Removing\"}";
    expect_off(rig, "deduplication is off");
}

static void topic_has_partitions(void **state) {
    static const char *const asked[] = {TOPIC STATE, TOPIC "-partition-0" STATE};
    struct rig *rig = *state;
    rig->pages[0] = (struct page){TOPIC "-partition-0" STATE, 200, ENABLED, ""};
    expect_on(rig);
    expect_asked(rig, asked, 2);
}

static void topic_is_not_there(void **state) {
    static const char *const asked[] = {TOPIC STATE, TOPIC "-partition-0" STATE, NAMESPACE, BROKER};
    struct rig *rig = *state;
    rig->pages[0] = (struct page){NAMESPACE, 200, "true", ""};
    expect_on(rig);
    expect_asked(rig, asked, 3);
    rig->pages[0].body = "false";
    expect_off(rig, "deduplication is off for persistent://a/b/t by its namespace's policy; ");
    rig->pages[0].body = ""; /* nobody has said anything */
    rig->pages[1] =
        (struct page){BROKER, 200, "{\"a\":\"b\",\"brokerDeduplicationEnabled\":\"true\"}", ""};
    expect_on(rig);
    expect_asked(rig, asked, 4);
    rig->pages[1].body = "{\"brokerDeduplicationEnabled\":\"false\"}";
    expect_off(rig, "by the broker's default");
}

/* The broker has only just opened the topic. */
static void topic_is_not_settled(void **state) {
    static const char *const asked[] = {TOPIC STATE, NAMESPACE};
    struct rig *rig = *state;
    rig->pages[0] =
        (struct page){TOPIC STATE, 200, "{\"deduplicationStatus\":\"Initialized\"}", ""};
    rig->pages[1] = (struct page){NAMESPACE, 200, "true", ""};
    expect_on(rig);
    expect_asked(rig, asked, 2);
}

static void cannot_be_seen(void **state) {
    struct rig *rig = *state;
    char host[32];
    (void)snprintf(host, sizeof host, "127.0.0.1:%u", rig->port);
    rig->pages[0] = (struct page){TOPIC STATE, 401, "<html>who?</html>", ""};
    expect_unknown(rig, ERR_PULSAR_DENIED, host);
    assert_non_null(strstr(rig->err.text, "answered status 401"));
    rig->pages[0].status = 500;
    expect_unknown(rig, ERR_PULSAR_PROTOCOL, "answered status 500");
    rig->pages[0] = (struct page){NAMESPACE, 403, "{\"reason\":\"Unauthorized\\nfor you\"}", ""};
    expect_unknown(rig, ERR_PULSAR_DENIED, "answered status 403: Unauthorized for you");
    rig->pages[0] = (struct page){NAMESPACE, 200, "maybe", ""};
    expect_unknown(rig, ERR_PULSAR_PROTOCOL, "answered status 200");
    rig->pages[0].body = "null";
    expect_unknown(rig, ERR_PULSAR_PROTOCOL, "answered status 404: it is not there");
    rig->pages[1] = (struct page){BROKER, 200, "{}", ""};
    expect_unknown(rig, ERR_PULSAR_PROTOCOL, "answered status 200");

    rig->pages[0] = (struct page){TOPIC STATE, 0, "", ""};
    rig->client.operation_timeout_ms = 50;
    expect_unknown(rig, ERR_TIMEOUT, "within 50 ms");
    rig->url[0] = '\0';
    expect_unknown(rig, ERR_CONFIG, "webServiceUrl is not set");
    (void)strcpy(rig->url, "http://127.0.0.1:1");
    expect_unknown(rig, ERR_PULSAR_TRANSPORT, "cannot reach http://127.0.0.1:1: ");
}

/* Its body would be taken for an empty one, and so for a namespace without a policy. */
static void length_untold(void **state) {
    struct rig *rig = *state;
    rig->pages[0] = (struct page){NAMESPACE, 200, "false", ""};
    rig->length_untold = true;
    expect_unknown(rig, ERR_PULSAR_TRANSPORT, "says nothing about its length");
}

static void redirects(void **state) {
    struct rig *rig = *state;
    rig->pages[0] = (struct page){TOPIC STATE, 307, "", ""};
    struct page *page = &rig->pages[0];
    (void)snprintf(page->location, sizeof page->location, "http://localhost:%u/elsewhere?a=b",
                   rig->port);
    rig->pages[1] = (struct page){"/elsewhere?a=b", 200, ENABLED, ""};
    expect_on(rig);
    assert_int_equal(rig->asked_count, 2);
    rig->pages[1] = *page;
    rig->pages[1].path = "/elsewhere?a=b"; /* to itself */
    expect_unknown(rig, ERR_PULSAR_PROTOCOL, "answered status 307");
    assert_int_equal(rig->asked_count, 5);
    (void)strcpy(page->location, "nowhere");
    expect_unknown(rig, ERR_PULSAR_PROTOCOL, "answered status 307");
}

static void another_host(void **state) {
    struct rig *rig = *state;
    rig->pages[0] = (struct page){TOPIC STATE, 200, ENABLED, ""};
    (void)snprintf(rig->url, sizeof rig->url, "http://127.0.0.1:1,127.0.0.1:%u/", rig->port);
    expect_on(rig);
}

static void names_are_encoded(void **state) {
    struct rig *rig = *state;
    rig->topic = "persistent://a/b/t?x%\xc3\xa4";
    rig->pages[0] = (struct page){TOPIC "%3Fx%25%C3%A4" STATE, 200, ENABLED, ""};
    expect_on(rig);
}

static void shows_credentials(void **state) {
    static const struct {
        const char *plugin;
        const char *params;
        const char *header;
    } cases[] = {
        {"", "", ""},
        {"token", "token:abc", "Bearer abc"},
        {"basic", "{\"userId\":\"me\",\"password\":\"pass word\"}", "Basic bWU6cGFzcyB3b3Jk"},
        {"tls", "tlsCertFile:/c,tlsKeyFile:/k", ""},
    };
    struct rig *rig = *state;
    rig->pages[0] = (struct page){TOPIC STATE, 200, ENABLED, ""};
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        rig->client.auth_plugin = str_of(cases[i].plugin);
        rig->client.auth_params = str_of(cases[i].params);
        expect_on(rig);
        assert_string_equal(rig->authorization, cases[i].header);
    }
    rig->client.auth_plugin = STR("token");
    rig->client.auth_params = STR("env:NO_SUCH_VARIABLE");
    expect_unknown(rig, ERR_PULSAR_AUTH, "NO_SUCH_VARIABLE");
    assert_int_equal(rig->asked_count, 0);
}

static void with_tls(void **state) {
    struct rig *rig = *state;
    struct page *page = &rig->pages[0];
    *page = (struct page){TOPIC STATE, 200, ENABLED, ""};
    (void)snprintf(rig->url, sizeof rig->url, "https://localhost:%u", rig->tls_port);
    rig->client.tls_trust_certs_file = str_of(rig->certificates.ca);
    expect_on(rig);

    /* One that wants to see a certificate. */
    const struct certificates *files = &rig->certificates;
    struct err err = ERR_NONE;
    fake_server_lock(rig->server);
    assert_true(
        fake_server_identity(rig->server, files->server, files->server_key, files->ca, &err));
    fake_server_unlock(rig->server);
    rig->client.tls_certificate_file = str_of(files->client);
    rig->client.tls_key_file = str_of(files->client_key);
    expect_on(rig);
    char params[300];
    (void)snprintf(params, sizeof params, "tlsCertFile:%s,tlsKeyFile:%s", files->client,
                   files->client_key);
    rig->client.tls_certificate_file = STR_NONE;
    rig->client.tls_key_file = STR_NONE;
    rig->client.auth_plugin = STR("tls");
    rig->client.auth_params = str_of(params);
    expect_on(rig);

    /* What is asked with TLS is not asked without. */
    page->status = 307;
    (void)snprintf(page->location, sizeof page->location, "http://localhost:%u" TOPIC, rig->port);
    expect_unknown(rig, ERR_PULSAR_PROTOCOL, "answered status 307");
    assert_int_equal(rig->asked_count, 1);

    rig->client.auth_params = STR("tlsCertFile:/nowhere.pem,tlsKeyFile:/k");
    expect_unknown(rig, ERR_CONFIG, "/nowhere.pem");
    rig->client.auth_plugin = STR_NONE;
    rig->client.auth_params = STR_NONE;
    rig->client.tls_trust_certs_file = STR("/nowhere.pem");
    expect_unknown(rig, ERR_CONFIG, "/nowhere.pem");
}

/* Told at once, while the TLS library takes its time to close, for which only the end of all tests waits. */
static void untrusted(void **state) {
    struct rig *rig = *state;
    (void)snprintf(rig->url, sizeof rig->url, "https://localhost:%u", rig->tls_port);
    rig->client.tls_trust_certs_file = str_of(rig->certificates.stranger);
    expect_unknown(rig, ERR_PULSAR_TRANSPORT, "TLS handshake with https://localhost:");
    assert_int_equal(rig->asked_count, 0);
    rig->pages[0] = (struct page){TOPIC STATE, 200, ENABLED, ""};
    rig->client.tls_allow_insecure = true;
    expect_on(rig);
}

static void not_even_started(void **state) {
    static const struct {
        const char *topic;
        const char *url;
        const char *plugin;
        const char *text;
    } cases[] = {
        {"a b/c/d", "", "", "topic name"},
        {"t", "ftp://h", "", "webServiceUrl: not a usable URL"},
        {"t", "", "kerberos", "authPlugin"},
    };
    struct rig *rig = *state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        rig->topic = cases[i].topic;
        (void)str_copy(str_of(cases[i].url), rig->url, sizeof rig->url);
        rig->client.auth_plugin = str_of(cases[i].plugin);
        run_on_lane(rig, start);
        assert_int_equal(rig->told, -1);
        assert_int_equal(rig->err.code, ERR_CONFIG);
        if (strstr(rig->err.text, cases[i].text) == NULL) {
            fail_msg("\"%s\" should say \"%s\"", rig->err.text, cases[i].text);
        }
    }
}

static size_t asked_so_far(struct rig *rig) {
    fake_server_lock(rig->server);
    size_t count = rig->asked_count;
    fake_server_unlock(rig->server);
    return count;
}

static void start_only(void *ctx) {
    struct rig *rig = ctx;
    start(rig);
    tell(rig, -1);
}

static void cancelled(void **state) {
    struct rig *rig = *state;
    rig->pages[0] = (struct page){TOPIC STATE, 0, "", ""};
    rig->cancel = true;
    run_on_lane(rig, start);
    rig->cancel = false;
    run_on_lane(rig, start_only);
    while (asked_so_far(rig) == 0) { /* its answer does not come */
        (void)nanosleep(&(struct timespec){.tv_nsec = 1000000}, NULL);
    }
    run_on_lane(rig, cancel);
    assert_int_equal(rig->told, -1);
    pulsar_admin_cancel(NULL);
}

/* ---- The URL. */

static void urls(void **state) {
    (void)state;
    static const char *const good[] = {
        "http://h",
        "http://h:8080/",
        "https://a:8443,b",
        "HTTP://a,[::1]:80,c:1/",
    };
    static const char *const bad[] = {
        "",          "h:8080",      "pulsar://h", "http://",
        "http://a,", "http://a,,b", "http://a/b", "http://u@h",
    };
    struct err err;
    for (size_t i = 0; i < sizeof good / sizeof good[0]; i++) {
        assert_true(pulsar_admin_url_check(str_of(good[i]), &err));
    }
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        assert_false(pulsar_admin_url_check(str_of(bad[i]), &err));
        assert_int_equal(err.code, ERR_CONFIG);
    }
}

static int setup_all(void **state) {
    (void)state;
    aws_io_library_init(aws_default_allocator());
    return 0;
}

static int teardown_all(void **state) {
    (void)state;
    aws_thread_join_all_managed();
    aws_io_library_clean_up();
    return 0;
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(int argc, char **argv) {
    const struct CMUnitTest tests[] = {
        TEST(untrusted),
        TEST(topic_is_there),
        TEST(topic_has_partitions),
        TEST(topic_is_not_there),
        TEST(topic_is_not_settled),
        TEST(cannot_be_seen),
        TEST(length_untold),
        TEST(redirects),
        TEST(another_host),
        TEST(names_are_encoded),
        TEST(shows_credentials),
        TEST(with_tls),
        TEST(not_even_started),
        TEST(cancelled),
        cmocka_unit_test(urls),
    };
    if (argc > 1) {
        cmocka_set_test_filter(argv[1]);
    }
    return cmocka_run_group_tests_name("admin", tests, setup_all, teardown_all);
}
