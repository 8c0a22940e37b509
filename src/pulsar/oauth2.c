#include "pulsar/oauth2.h"

#include "base/form.h"
#include "base/json.h"
#include "base/log.h"
#include "pulsar/http_call.h"
#include "pulsar/oauth2_key.h"
#include "pulsar/secret.h"

#include <aws/io/tls_channel_handler.h>

#include <inttypes.h>
#include <math.h>
#include <stdlib.h>

enum {
    MIN_INTERVAL_MS = 500,     /* between the beginnings of two attempts */
    RENEW_PERCENT = 80,        /* of a token's life, and */
    RENEW_JITTER_PERCENT = 10, /* up to so much later */
    UNTOLD_LIFE_MS = 10000,    /* an issuer that says nothing of expiry is asked no more often */
    MAX_LIFE_S = 10 * 365 * 86400,
    FORM_MAX = 128 * 1024,
    ERROR_SHOWN_BYTES = 80, /* of the issuer's words */
    DESCRIPTION_SHOWN_BYTES = 300,
};

enum oauth2_phase {
    OAUTH2_IDLE,        /* the timer is for the next renewal, if there will be one */
    OAUTH2_DUE,         /* an attempt begins when the timer fires */
    OAUTH2_DISCOVERING, /* asks for the token endpoint; the timer is the deadline */
    OAUTH2_ASKING,      /* asks for the token; the same deadline */
};

struct oauth2 {
    struct lane *lane;
    struct oauth2_options options;
    struct aws_tls_ctx *tls; /* NULL until an https URL is met */
    enum oauth2_phase phase;
    struct lane_timer timer;
    struct http_call *http; /* under way */
    uint64_t begun_ns;      /* the last attempt; 0: none */
    struct backoff backoff;
    bool failing; /* the last attempt failed */

    struct http_url issuer;
    struct http_url token_endpoint;
    bool discovered;

    char *token; /* NULL: none */
    uint64_t number;
    bool has_expiry;
    uint64_t renew_ns;
    uint64_t expires_ns;
};

static uint64_t now_ns(const struct oauth2 *oauth2) {
    return lane_now_ns(oauth2->lane);
}

/* ---- The token. */

static bool is_valid(const struct oauth2 *oauth2) {
    return oauth2->token != NULL && (!oauth2->has_expiry || now_ns(oauth2) < oauth2->expires_ns);
}

uint64_t oauth2_token(const struct oauth2 *oauth2, struct str *ret_token) {
    if (!is_valid(oauth2)) {
        *ret_token = STR_NONE;
        return 0;
    }
    *ret_token = str_of(oauth2->token);
    return oauth2->number;
}

bool oauth2_may_show(const struct oauth2 *oauth2, bool fresh) {
    return is_valid(oauth2) &&
           (now_ns(oauth2) < oauth2->renew_ns || (oauth2->has_expiry && !fresh));
}

static void forget_token(struct oauth2 *oauth2) {
    secret_free(oauth2->token);
    oauth2->token = NULL;
}

void oauth2_drop(struct oauth2 *oauth2, uint64_t number) {
    if (number == oauth2->number) {
        forget_token(oauth2);
    }
}

/* life_s 0: unknown. */
static void keep_token(struct oauth2 *oauth2, char *token, double life_s) {
    forget_token(oauth2);
    oauth2->token = token;
    oauth2->number++;
    oauth2->has_expiry = life_s > 0;
    uint64_t now = now_ns(oauth2);
    uint64_t life_ms = UNTOLD_LIFE_MS;
    uint64_t renew_ms = UNTOLD_LIFE_MS;
    if (oauth2->has_expiry) {
        life_ms = (uint64_t)(life_s * 1000);
        uint64_t jitter_ms = rng_below(&oauth2->lane->rng, life_ms * RENEW_JITTER_PERCENT / 100);
        renew_ms = life_ms * RENEW_PERCENT / 100 + jitter_ms;
    }
    oauth2->expires_ns = now + life_ms * 1000000;
    oauth2->renew_ns = now + renew_ms * 1000000;
}

/* ---- The end of an attempt. */

/* For the next one, which must not follow too soon. */
static void set_timer(struct oauth2 *oauth2, uint64_t due_ns) {
    uint64_t earliest_ns = oauth2->begun_ns + (uint64_t)MIN_INTERVAL_MS * 1000000;
    bool soon = oauth2->begun_ns != 0 && due_ns < earliest_ns;
    lane_timer_set_at_ns(&oauth2->timer, soon ? earliest_ns : due_ns);
}

static void end_attempt(struct oauth2 *oauth2, const struct err *err) {
    oauth2->phase = OAUTH2_IDLE;
    lane_timer_cancel(&oauth2->timer);
    if (err == NULL) {
        backoff_reset(&oauth2->backoff);
        LOG_DEBUG("pulsar.oauth2", "token", LOG_U64("number", oauth2->number),
                  LOG_U64("renewed_in_ms", (oauth2->renew_ns - now_ns(oauth2)) / 1000000));
    } else if (is_valid(oauth2) && !oauth2->failing) {
        /* Nobody may be waiting, and there is still time to do something about it. */
        LOG_WARN("pulsar.oauth2", "not_renewed", LOG_ERR(err),
                 LOG_U64("valid_for_ms",
                         oauth2->has_expiry ? (oauth2->expires_ns - now_ns(oauth2)) / 1000000 : 0));
    }
    oauth2->failing = err != NULL;
    /* Without a token the next attempt is made when one is needed. */
    if (oauth2->token != NULL && oauth2->has_expiry) {
        uint64_t delay_ms = err == NULL ? 0 : backoff_next_ms(&oauth2->backoff, &oauth2->lane->rng);
        set_timer(oauth2, err == NULL ? oauth2->renew_ns : now_ns(oauth2) + delay_ms * 1000000);
    }
    oauth2->options.ended(oauth2->options.ctx, err);
}

static void fail(struct oauth2 *oauth2, struct err *err) {
    err_context(err, "OAuth2 issuer %s", oauth2->options.params->issuer_url);
    end_attempt(oauth2, err);
}

/* ---- What the issuer says. */

static bool may_pass(int status, struct str error) {
    return status >= 500 || status == 408 || status == 425 || status == 429 ||
           str_is(error, "temporarily_unavailable") || str_is(error, "server_error") ||
           str_is(error, "slow_down");
}

/* An answer that is no success. Always false. */
static bool refusal(int status, const char *what, struct str body, struct err *err) {
    struct aws_json_value *json = json_parse(body);
    struct str error = str_cut(json_str(json, "error"), ERROR_SHOWN_BYTES);
    struct str description = str_cut(json_str(json, "error_description"), DESCRIPTION_SHOWN_BYTES);
    bool passes = may_pass(status, error);
    enum err_code code = passes ? ERR_PULSAR_NO_TOKEN : ERR_PULSAR_AUTH;
    if (error.len == 0) {
        err_set(err, code, "status %d to the request for %s%s", status, what,
                passes ? "" : " (check issuerUrl)");
    } else {
        err_set(err, code, "%.*s%s%.*s (status %d to the request for %s)%s", STR_FMT(error),
                description.len > 0 ? ": " : "", STR_FMT(description), status, what,
                passes ? "" : "; check privateKey, audience and scope");
    }
    json_free(json);
    return false;
}

static bool read_discovery(struct oauth2 *oauth2, const struct http_call_answer *answer,
                           struct err *err) {
    static const char what[] = "its configuration";
    if (answer->status != 200) {
        return refusal(answer->status, what, answer->body, err);
    }
    struct aws_json_value *json = json_parse(answer->body);
    struct str endpoint = json_str(json, "token_endpoint");
    bool ok = true;
    struct err fault;
    if (endpoint.len == 0) {
        ok = err_set(err, ERR_PULSAR_NO_TOKEN, "its configuration is %s",
                     json == NULL ? "not JSON" : "without a token_endpoint");
    } else if (!http_url_parse(endpoint, &oauth2->token_endpoint, &fault)) {
        ok = err_set(err, ERR_PULSAR_NO_TOKEN, "its token_endpoint is %s", fault.text);
    } else if (oauth2->issuer.tls && !oauth2->token_endpoint.tls) {
        ok = err_set(err, ERR_PULSAR_AUTH,
                     "its token_endpoint is without TLS: the client's secret is not sent there");
    }
    json_free(json);
    return ok;
}

/* Seconds, as a number or, with some issuers, as its text. 0: nothing usable. */
static double read_life(const struct aws_json_value *json) {
    const struct aws_json_value *value = json_get(json, "expires_in");
    double life = 0;
    if (value != NULL && aws_json_value_get_number(value, &life) != AWS_OP_SUCCESS) {
        const char *text = json_text(json, "expires_in");
        life = text != NULL ? strtod(text, NULL) : 0;
    }
    if (!isfinite(life) || life <= 0) {
        return 0;
    }
    return life < MAX_LIFE_S ? life : MAX_LIFE_S;
}

static bool is_token(struct str token) {
    for (size_t i = 0; i < token.len; i++) {
        if (token.ptr[i] <= ' ' || token.ptr[i] > '~') {
            return false;
        }
    }
    return token.len > 0 && token.len <= AUTH_TOKEN_MAX;
}

static bool read_token(struct oauth2 *oauth2, const struct http_call_answer *answer,
                       struct err *err) {
    static const char what[] = "a token";
    if (answer->status != 200) {
        return refusal(answer->status, what, answer->body, err);
    }
    struct aws_json_value *json = json_parse(answer->body);
    struct str text = json_str(json, "access_token");
    char *token = is_token(text) ? str_dup(text) : NULL;
    bool ok = token != NULL;
    if (ok) {
        keep_token(oauth2, token, read_life(json));
    } else if (json == NULL) {
        err_set(err, ERR_PULSAR_NO_TOKEN, "its answer to the request for a token is not JSON");
    } else {
        err_set(err, ERR_PULSAR_NO_TOKEN, "its answer has no usable access_token");
    }
    json_free_secret(json);
    return ok;
}

/* ---- Asking. */

static bool make_tls(struct oauth2 *oauth2, struct err *err) {
    const struct http_call_tls options = {
        .trust_certs_file = oauth2->options.params->trust_certs_file,
    };
    oauth2->tls = http_call_tls_new(&options, err);
    if (oauth2->tls == NULL) {
        err_context(err, "no TLS with the issuer (trustCertsFilePath)");
    }
    return oauth2->tls != NULL;
}

static void start_http(struct oauth2 *oauth2, const struct http_url *url, struct str form,
                       http_call_done *done) {
    struct err err = ERR_NONE;
    /* An http issuer may have an https token endpoint. */
    if (!url->tls || oauth2->tls != NULL || make_tls(oauth2, &err)) {
        oauth2->http = http_call_start(oauth2->lane,
                                       &(struct http_call_request){
                                           .url = url,
                                           .form = form,
                                           .tls = oauth2->tls,
                                           .connect_timeout_ms = oauth2->options.timeout_ms,
                                           .failure = ERR_PULSAR_NO_TOKEN,
                                       },
                                       done, oauth2);
        if (oauth2->http == NULL) {
            err_set(&err, ERR_NOMEM, "no memory for a request");
        }
    }
    if (err_is_set(&err)) {
        fail(oauth2, &err);
    }
}

static void token_answered(void *ctx, const struct err *failure,
                           const struct http_call_answer *answer) {
    struct oauth2 *oauth2 = ctx;
    struct err err = failure != NULL ? *failure : ERR_NONE;
    oauth2->http = NULL;
    if (failure == NULL && read_token(oauth2, answer, &err)) {
        end_attempt(oauth2, NULL);
        return;
    }
    if (failure != NULL || answer->status == 404 || answer->status == 405 ||
        answer->status == 410) {
        oauth2->discovered = false; /* perhaps the endpoint has moved */
    }
    fail(oauth2, &err);
}

static bool write_form(struct oauth2 *oauth2, struct buf *form, struct err *err) {
    const struct oauth2_params *params = oauth2->options.params;
    struct oauth2_key key;
    bool ok = oauth2_key_read(params->private_key, &key, err);
    if (ok) {
        /* All at once: a buffer that grows leaves copies of secrets behind. */
        ok = buf_reserve(form, FORM_MAX) != NULL &&
             form_add(form, "grant_type", STR("client_credentials")) &&
             form_add(form, "client_id", str_of(key.client_id)) &&
             form_add(form, "client_secret", str_of(key.client_secret)) &&
             (params->audience == NULL || form_add(form, "audience", str_of(params->audience))) &&
             (params->scope == NULL || form_add(form, "scope", str_of(params->scope)));
        if (!ok) {
            err_set(err, ERR_PULSAR_AUTH, "the key, audience and scope are longer than %d bytes",
                    FORM_MAX);
        }
    }
    oauth2_key_done(&key);
    return ok;
}

static void ask(struct oauth2 *oauth2) {
    oauth2->phase = OAUTH2_ASKING;
    struct err err = ERR_NONE;
    struct buf form;
    buf_init(&form, FORM_MAX);
    if (write_form(oauth2, &form, &err)) {
        start_http(oauth2, &oauth2->token_endpoint, buf_str(&form), token_answered);
    } else {
        end_attempt(oauth2, &err); /* ours, not the issuer's */
    }
    secret_wipe(&form);
}

static void discovery_answered(void *ctx, const struct err *failure,
                               const struct http_call_answer *answer) {
    struct oauth2 *oauth2 = ctx;
    struct err err = failure != NULL ? *failure : ERR_NONE;
    oauth2->http = NULL;
    if (failure == NULL && read_discovery(oauth2, answer, &err)) {
        oauth2->discovered = true;
        ask(oauth2);
    } else {
        fail(oauth2, &err);
    }
}

static void discover(struct oauth2 *oauth2) {
    static const char suffix[] = "/.well-known/openid-configuration";
    oauth2->phase = OAUTH2_DISCOVERING;
    struct http_url url = oauth2->issuer;
    size_t len = strlen(url.path);
    if (url.path[len - 1] == '/') {
        len--;
    }
    if (len + sizeof suffix > sizeof url.path) {
        struct err err;
        err_set(&err, ERR_PULSAR_AUTH, "its URL is too long");
        fail(oauth2, &err);
        return;
    }
    memcpy(url.path + len, suffix, sizeof suffix);
    start_http(oauth2, &url, STR_NONE, discovery_answered);
}

/* A lane_fn: an attempt is due, or takes too long. */
static void on_timer(void *ctx) {
    struct oauth2 *oauth2 = ctx;
    if (oauth2->phase == OAUTH2_DISCOVERING || oauth2->phase == OAUTH2_ASKING) {
        http_call_cancel(oauth2->http);
        oauth2->http = NULL;
        struct err err;
        err_set(&err, ERR_PULSAR_NO_TOKEN, "no %s within %" PRIu32 " ms",
                oauth2->phase == OAUTH2_ASKING ? "token" : "configuration",
                oauth2->options.timeout_ms);
        fail(oauth2, &err);
        return;
    }
    oauth2->begun_ns = now_ns(oauth2);
    lane_timer_set_ms(&oauth2->timer, oauth2->options.timeout_ms);
    if (oauth2->discovered) {
        ask(oauth2);
    } else {
        discover(oauth2);
    }
}

void oauth2_renew(struct oauth2 *oauth2) {
    if (oauth2->phase != OAUTH2_IDLE) {
        return;
    }
    oauth2->phase = OAUTH2_DUE;
    set_timer(oauth2, now_ns(oauth2));
}

/* ---- Life. */

struct oauth2 *oauth2_new(struct lane *lane, const struct oauth2_options *options,
                          struct err *err) {
    struct oauth2 *oauth2 = calloc(1, sizeof *oauth2);
    if (oauth2 == NULL) {
        err_set(err, ERR_NOMEM, "no memory for OAuth2");
        return NULL;
    }
    oauth2->lane = lane;
    oauth2->options = *options;
    oauth2->backoff = options->backoff;
    lane_timer_init(&oauth2->timer, lane, on_timer, oauth2);
    bool ok = http_url_parse(str_of(options->params->issuer_url), &oauth2->issuer, err);
    if (ok && oauth2->issuer.tls) {
        ok = make_tls(oauth2, err);
    }
    if (!ok) {
        oauth2_free(oauth2);
        return NULL;
    }
    return oauth2;
}

void oauth2_free(struct oauth2 *oauth2) {
    if (oauth2 == NULL) {
        return;
    }
    lane_timer_cancel(&oauth2->timer);
    if (oauth2->http != NULL) {
        http_call_cancel(oauth2->http);
    }
    forget_token(oauth2);
    aws_tls_ctx_release(oauth2->tls);
    free(oauth2);
}
