#include "pulsar/admin.h"

#include "base/form.h"
#include "base/http_url.h"
#include "base/json.h"
#include "pulsar/auth.h"
#include "pulsar/http_call.h"
#include "pulsar/secret.h"
#include "pulsar/topic.h"

#include <aws/common/encoding.h>
#include <aws/io/tls_channel_handler.h>

#include <inttypes.h>
#include <stdlib.h>

enum {
    DEFAULT_TIMEOUT_MS = 30000,
    BACKOFF_MS = 1000,
    MAX_REDIRECTS = 4,
    AUTHORIZATION_MAX = 2 * AUTH_TOKEN_MAX,
    REASON_SHOWN_BYTES = 200, /* of the broker's words */
    TOPIC_SHOWN_BYTES = 150,
};

/* In the order in which they are asked. */
enum question { ASK_TOPIC, ASK_FIRST_PARTITION, ASK_NAMESPACE, ASK_BROKER };

enum phase {
    PHASE_NEW,     /* the timer begins */
    PHASE_ASKING,  /* the timer is the deadline */
    PHASE_DECIDED, /* the timer tells */
};

struct pulsar_admin {
    struct lane *lane;
    pulsar_deduplication_got *done;
    void *ctx;
    char *topic; /* its full name */
    char *urls;  /* of the admin API; "": none */
    size_t host_count;
    size_t host_index; /* of the one that is asked */
    uint32_t timeout_ms;
    enum phase phase;
    struct lane_timer timer;
    struct auth *auth;
    struct auth_request auth_request;
    struct buf authorization; /* the header's value */
    struct aws_tls_ctx *tls;  /* NULL until an https URL is met */
    struct http_call_tls tls_options;
    char *tls_files[3]; /* what tls_options points to */

    enum question question;
    struct http_url url;
    int redirects;
    struct http_call *call; /* under way */
    enum pulsar_deduplication state;
    struct err err;
};

/* ---- URLs. */

/* How many hosts the text names, and the URL of the index-th of them; 0 and err (CONFIG) when it cannot be read. */
static size_t read_url(struct str text, size_t index, struct http_url *ret_url, struct err *err) {
    const char *colon = text.len > 0 ? memmem(text.ptr, text.len, "://", 3) : NULL;
    size_t scheme_len = colon != NULL ? (size_t)(colon - text.ptr) + 3 : 0;
    struct str rest = str_make(text.ptr + scheme_len, text.len - scheme_len);
    size_t count = 0;
    for (bool more = true; more; count++) {
        const char *comma = rest.len > 0 ? memchr(rest.ptr, ',', rest.len) : NULL;
        more = comma != NULL;
        size_t len = more ? (size_t)(comma - rest.ptr) : rest.len;
        struct http_url url;
        struct buf one;
        buf_init(&one, HTTP_URL_PATH_MAX);
        buf_add(&one, text.ptr, scheme_len);
        bool ok = buf_add(&one, rest.ptr, len) && http_url_parse(buf_str(&one), &url, err);
        buf_done(&one);
        if (ok && strcmp(url.path, "/") != 0) {
            ok = err_set(err, ERR_CONFIG, "not a usable URL: it has a path or query");
        }
        if (!ok) {
            return 0;
        }
        if (count == index) {
            *ret_url = url;
        }
        rest = more ? str_make(comma + 1, rest.len - len - 1) : rest;
    }
    return count;
}

bool pulsar_admin_url_check(struct str text, struct err *err) {
    struct http_url url;
    return read_url(text, 0, &url, err) > 0;
}

/* ---- The end. */

static void free_admin(struct pulsar_admin *admin) {
    lane_timer_cancel(&admin->timer);
    if (admin->call != NULL) {
        http_call_cancel(admin->call);
    }
    auth_forget(&admin->auth_request);
    auth_free(admin->auth);
    aws_tls_ctx_release(admin->tls);
    secret_wipe(&admin->authorization);
    for (size_t i = 0; i < sizeof admin->tls_files / sizeof admin->tls_files[0]; i++) {
        free(admin->tls_files[i]);
    }
    free(admin->topic);
    free(admin->urls);
    free(admin);
}

void pulsar_admin_cancel(struct pulsar_admin *admin) {
    if (admin != NULL) {
        free_admin(admin);
    }
}

/* Told from the timer, so that nothing is freed under those who called this. */
static void decide(struct pulsar_admin *admin, enum pulsar_deduplication state) {
    admin->phase = PHASE_DECIDED;
    admin->state = state;
    lane_timer_set_ms(&admin->timer, 0);
}

static void decide_unknown(struct pulsar_admin *admin, const struct err *err) {
    struct str topic = str_cut(str_of(admin->topic), TOPIC_SHOWN_BYTES);
    admin->err = *err;
    err_context(&admin->err, "whether deduplication is on for %.*s cannot be seen", STR_FMT(topic));
    decide(admin, PULSAR_DEDUPLICATION_UNKNOWN);
}

/* "tenant/namespace" within the topic's full name. */
static struct str namespace_of(const struct pulsar_admin *admin) {
    const char *begin = strstr(admin->topic, "://") + 3;
    const char *end = strrchr(begin, '/');
    return str_make(begin, (size_t)(end - begin));
}

static void decide_off(struct pulsar_admin *admin, const char *whose) {
    struct str topic = str_cut(str_of(admin->topic), TOPIC_SHOWN_BYTES);
    struct str namespace = str_cut(namespace_of(admin), TOPIC_SHOWN_BYTES);
    err_set(&admin->err, ERR_PULSAR_REFUSED,
            "deduplication is off for %.*s%s; switch it on with \"pulsar-admin namespaces "
            "set-deduplication --enable %.*s\" or, where topics have policies of their own, "
            "\"pulsar-admin topicPolicies set-deduplication --enable %.*s\"",
            STR_FMT(topic), whose, STR_FMT(namespace), STR_FMT(topic));
    decide(admin, PULSAR_DEDUPLICATION_OFF);
}

/* ---- The questions. */

static void ask(struct pulsar_admin *admin);

static void ask_next(struct pulsar_admin *admin) {
    admin->question++;
    ask(admin);
}

/* What could not be understood, or is no success. */
static void decide_by_status(struct pulsar_admin *admin, const struct http_call_answer *answer) {
    bool refused = answer->status == 401 || answer->status == 403;
    struct aws_json_value *json = json_parse(answer->body);
    struct str reason = str_cut(json_str(json, "reason"), REASON_SHOWN_BYTES);
    struct err err;
    err_set(&err, refused ? ERR_PULSAR_DENIED : ERR_PULSAR_PROTOCOL,
            "the admin API at %s answered status %d%s%.*s", admin->url.authority, answer->status,
            reason.len > 0 ? ": " : "", STR_FMT(reason));
    json_free(json);
    decide_unknown(admin, &err);
}

/* The state of a topic that the broker has opened. */
static void read_topic(struct pulsar_admin *admin, const struct http_call_answer *answer) {
    struct aws_json_value *json = json_parse(answer->body);
    struct str status = json_str(json, "deduplicationStatus");
    if (str_is(status, "Enabled") || str_is(status, "Recovering")) {
        decide(admin, PULSAR_DEDUPLICATION_ON);
    } else if (str_is(status, "Disabled") || str_is(status, "Removing")) {
        decide_off(admin, "");
    } else {
        admin->question = ASK_NAMESPACE; /* not settled yet */
        ask(admin);
    }
    json_free(json);
}

/* A body that is empty: nobody has said anything of it. */
static void read_namespace(struct pulsar_admin *admin, const struct http_call_answer *answer) {
    struct str flag = str_trim(answer->body);
    if (str_is(flag, "true")) {
        decide(admin, PULSAR_DEDUPLICATION_ON);
    } else if (str_is(flag, "false")) {
        decide_off(admin, " by its namespace's policy");
    } else if (flag.len == 0 || str_is(flag, "null")) {
        ask_next(admin);
    } else {
        decide_by_status(admin, answer);
    }
}

static void read_broker(struct pulsar_admin *admin, const struct http_call_answer *answer) {
    struct aws_json_value *json = json_parse(answer->body);
    struct str flag = json_str(json, "brokerDeduplicationEnabled");
    if (str_is(flag, "true")) {
        decide(admin, PULSAR_DEDUPLICATION_ON);
    } else if (str_is(flag, "false")) {
        decide_off(admin, " by the broker's default");
    } else {
        decide_by_status(admin, answer);
    }
    json_free(json);
}

/* Whether it leads somewhere. What is asked with TLS is not asked without. */
static bool follow(struct pulsar_admin *admin, const struct http_call_answer *answer) {
    struct http_url url;
    if (answer->location.len == 0 || admin->redirects >= MAX_REDIRECTS ||
        !http_url_parse(answer->location, &url, NULL) || (admin->url.tls && !url.tls)) {
        return false;
    }
    admin->redirects++;
    admin->url = url;
    return true;
}

static void start_call(struct pulsar_admin *admin);

static void set_path(struct pulsar_admin *admin) {
    static const char state[] = "/stats?getPreciseBacklog=false&subscriptionBacklogSize=false"
                                "&excludePublishers=true&excludeConsumers=true";
    struct str namespace = namespace_of(admin);
    struct buf path;
    buf_init(&path, sizeof admin->url.path - 1);
    buf_add_text(&path, "/admin/v2/");
    switch (admin->question) {
    case ASK_TOPIC:
    case ASK_FIRST_PARTITION:
        buf_add(&path, admin->topic, strcspn(admin->topic, ":"));
        buf_add_format(&path, "/%.*s/", STR_FMT(namespace));
        (void)form_encode(&path, str_of(namespace.ptr + namespace.len + 1)); /* the topic's own */
        buf_add_text(&path, admin->question == ASK_FIRST_PARTITION ? "-partition-0" : "");
        buf_add_text(&path, state);
        break;
    case ASK_NAMESPACE:
        buf_add_format(&path, "namespaces/%.*s/deduplication", STR_FMT(namespace));
        break;
    case ASK_BROKER:
        buf_add_text(&path, "brokers/configuration/runtime");
        break;
    }
    (void)str_copy(buf_str(&path), admin->url.path, sizeof admin->url.path); /* else "" */
    buf_done(&path);
}

static void answered(void *ctx, const struct err *err, const struct http_call_answer *answer) {
    static void (*const readers[])(struct pulsar_admin *, const struct http_call_answer *) = {
        [ASK_TOPIC] = read_topic,
        [ASK_FIRST_PARTITION] = read_topic,
        [ASK_NAMESPACE] = read_namespace,
        [ASK_BROKER] = read_broker,
    };
    struct pulsar_admin *admin = ctx;
    admin->call = NULL;
    if (err != NULL) {
        admin->host_index++;
        if (admin->host_index < admin->host_count) {
            ask(admin);
        } else {
            decide_unknown(admin, err);
        }
    } else if (answer->status == 200) {
        readers[admin->question](admin, answer);
    } else if (answer->status / 100 == 3 && follow(admin, answer)) {
        start_call(admin);
    } else if (answer->status == 404 && admin->question < ASK_NAMESPACE) {
        ask_next(admin); /* it is not there, or has partitions */
    } else {
        decide_by_status(admin, answer);
    }
}

static void start_call(struct pulsar_admin *admin) {
    struct err err = ERR_NONE;
    if (admin->url.tls && admin->tls == NULL) {
        admin->tls = http_call_tls_new(&admin->tls_options, &err);
    }
    if (!err_is_set(&err)) {
        const struct http_call_request request = {
            .url = &admin->url,
            .authorization = buf_str(&admin->authorization),
            .tls = admin->tls,
            .connect_timeout_ms =
                admin->timeout_ms / (uint32_t)admin->host_count, /* each a chance */
            .failure = ERR_PULSAR_TRANSPORT,
        };
        admin->call = http_call_start(admin->lane, &request, answered, admin);
        if (admin->call == NULL) {
            err_set(&err, ERR_NOMEM, "no memory for a request");
        }
    }
    if (err_is_set(&err)) {
        decide_unknown(admin, &err);
    }
}

static void ask(struct pulsar_admin *admin) {
    (void)read_url(str_of(admin->urls), admin->host_index, &admin->url, NULL);
    admin->redirects = 0;
    set_path(admin);
    start_call(admin);
}

/* ---- Credentials. */

/* As the header has them. */
static bool set_authorization(struct pulsar_admin *admin, struct str data) {
    struct buf *to = &admin->authorization;
    buf_init(to, AUTHORIZATION_MAX);
    /* All at once: a buffer that grows leaves copies of secrets behind. */
    if (data.len == 0 || buf_reserve(to, AUTHORIZATION_MAX) == NULL) {
        return data.len == 0;
    }
    if (strcmp(auth_method(admin->auth), "basic") != 0) {
        return buf_add_text(to, "Bearer ") && buf_add_str(to, data);
    }
    buf_add_text(to, "Basic ");
    struct aws_byte_cursor plain = aws_byte_cursor_from_array(data.ptr, data.len);
    struct aws_byte_buf encoded =
        aws_byte_buf_from_empty_array(to->data + to->len, AUTHORIZATION_MAX - to->len);
    bool ok = aws_base64_encode(&plain, &encoded) == AWS_OP_SUCCESS;
    to->len += ok ? strnlen(to->data + to->len, encoded.len) : 0;
    return ok;
}

static void authenticated(struct pulsar_admin *admin, const struct err *err, struct str data) {
    struct err fault;
    if (err != NULL) {
        decide_unknown(admin, err);
    } else if (!set_authorization(admin, data)) {
        err_set(&fault, ERR_PULSAR_AUTH, "the credentials are too long for HTTP");
        decide_unknown(admin, &fault);
    } else {
        ask(admin);
    }
}

static void on_credentials(struct auth_request *request, const struct err *err, struct str data) {
    authenticated(AWS_CONTAINER_OF(request, struct pulsar_admin, auth_request), err, data);
}

static void begin(struct pulsar_admin *admin) {
    struct err err = ERR_NONE;
    if (admin->urls[0] == '\0') {
        err_set(&err, ERR_CONFIG, "webServiceUrl is not set");
        decide_unknown(admin, &err);
        return;
    }
    admin->phase = PHASE_ASKING;
    lane_timer_set_ms(&admin->timer, admin->timeout_ms);
    struct buf data;
    buf_init(&data, AUTH_TOKEN_MAX);
    if (buf_reserve(&data, AUTH_TOKEN_MAX) == NULL) {
        err_set(&err, ERR_NOMEM, "no memory for credentials");
        authenticated(admin, &err, STR_NONE);
        return;
    }
    switch (auth_get(admin->auth, &admin->auth_request, false, &data, &err)) {
    case AUTH_GIVEN:
        authenticated(admin, NULL, buf_str(&data));
        break;
    case AUTH_FAILED:
        authenticated(admin, &err, STR_NONE);
        break;
    case AUTH_LATER:
        break;
    }
    secret_wipe(&data);
}

/* A lane_fn. */
static void on_timer(void *ctx) {
    struct pulsar_admin *admin = ctx;
    if (admin->phase == PHASE_NEW) {
        begin(admin);
        return;
    }
    if (admin->phase == PHASE_ASKING) {
        struct err err;
        err_set(&err, ERR_TIMEOUT, "no answer of %s within %" PRIu32 " ms", admin->urls,
                admin->timeout_ms);
        decide_unknown(admin, &err);
    }
    pulsar_deduplication_got *done = admin->done;
    void *done_ctx = admin->ctx;
    enum pulsar_deduplication state = admin->state;
    struct err err = admin->err;
    free_admin(admin);
    done(done_ctx, state, state == PULSAR_DEDUPLICATION_ON ? NULL : &err);
}

/* ---- Starting. */

/* The certificate of authPlugin tls goes before that of the options. */
static bool copy_tls(struct pulsar_admin *admin, const struct pulsar_client_options *client) {
    const char *certificate;
    const char *key;
    auth_tls_files(admin->auth, &certificate, &key);
    const struct str files[] = {
        client->tls_trust_certs_file,
        certificate != NULL ? str_of(certificate) : client->tls_certificate_file,
        certificate != NULL ? str_of(key) : client->tls_key_file,
    };
    for (size_t i = 0; i < sizeof files / sizeof files[0]; i++) {
        admin->tls_files[i] = files[i].len > 0 ? str_dup(files[i]) : NULL;
        if (files[i].len > 0 && admin->tls_files[i] == NULL) {
            return false;
        }
    }
    admin->tls_options = (struct http_call_tls){
        .trust_certs_file = admin->tls_files[0],
        .certificate_file = admin->tls_files[1],
        .key_file = admin->tls_files[2],
        .allow_insecure = client->tls_allow_insecure,
    };
    return true;
}

static bool copy_options(struct pulsar_admin *admin, const struct pulsar_admin_options *options,
                         struct err *err) {
    const struct pulsar_client_options *client = options->client;
    struct http_url url;
    if (options->web_service_url.len > 0) {
        admin->host_count = read_url(options->web_service_url, 0, &url, err);
        if (admin->host_count == 0) {
            err_context(err, "webServiceUrl");
            return false;
        }
    }
    uint32_t timeout_ms = client->operation_timeout_ms;
    admin->timeout_ms = timeout_ms != 0 ? timeout_ms : DEFAULT_TIMEOUT_MS;
    admin->topic = topic_full_name(options->topic, err);
    const struct auth_options auth = {
        .plugin = client->auth_plugin,
        .params = client->auth_params,
        .timeout_ms = admin->timeout_ms,
        .backoff = backoff_make(BACKOFF_MS, BACKOFF_MS),
    };
    admin->auth = admin->topic != NULL ? auth_new(admin->lane, &auth, err) : NULL;
    if (admin->auth == NULL) {
        return false;
    }
    admin->urls = str_dup(options->web_service_url);
    return (admin->urls != NULL && copy_tls(admin, client)) ||
           err_set(err, ERR_NOMEM, "no memory for a question to Pulsar");
}

struct pulsar_admin *pulsar_admin_deduplication(struct lane *lane,
                                                const struct pulsar_admin_options *options,
                                                pulsar_deduplication_got *done, void *ctx,
                                                struct err *err) {
    struct pulsar_admin *admin = calloc(1, sizeof *admin);
    if (admin == NULL) {
        err_set(err, ERR_NOMEM, "no memory for a question to Pulsar");
        return NULL;
    }
    admin->lane = lane;
    admin->done = done;
    admin->ctx = ctx;
    admin->auth_request.done = on_credentials;
    lane_timer_init(&admin->timer, lane, on_timer, admin);
    if (!copy_options(admin, options, err)) {
        free_admin(admin);
        return NULL;
    }
    lane_timer_set_ms(&admin->timer, 0);
    return admin;
}
