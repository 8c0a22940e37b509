#include "pulsar/auth.h"

#include "pulsar/oauth2.h"
#include "pulsar/secret.h"

#include <stdlib.h>

struct auth {
    struct auth_params params;
    struct oauth2 *oauth2; /* with AUTH_OAUTH2 */
    struct aws_linked_list waiting;
    uint64_t refused;  /* which credentials were refused last; 0: none since the last success */
    unsigned refusals; /* of different ones since then */
};

const char *auth_method(const struct auth *auth) {
    switch (auth->params.kind) {
    case AUTH_NONE:
        return "none";
    case AUTH_BASIC:
        return "basic";
    case AUTH_TLS:
        return "tls";
    default:
        return "token";
    }
}

void auth_tls_files(const struct auth *auth, const char **ret_certificate, const char **ret_key) {
    *ret_certificate = auth->params.tls_certificate_file;
    *ret_key = auth->params.tls_key_file;
}

/* ---- Credentials that are here. */

/* Tells credentials apart (FNV-1a); 0 stands for none. */
static uint64_t number_of(struct str data) {
    uint64_t hash = UINT64_C(0xcbf29ce484222325);
    for (size_t i = 0; i < data.len; i++) {
        hash = (hash ^ (unsigned char)data.ptr[i]) * UINT64_C(0x100000001b3);
    }
    return hash != 0 ? hash : 1;
}

static bool read_variable(const char *name, struct buf *data, struct err *err) {
    const char *value = getenv(name);
    if (value == NULL) {
        return err_set(err, ERR_PULSAR_AUTH,
                       "the environment variable %s, which should hold the token, is not set",
                       name);
    }
    return secret_add_trimmed(str_of(value), "token variable", name, data, err);
}

static bool read_now(const struct auth *auth, struct buf *data, struct err *err) {
    const char *value = auth->params.value;
    switch (auth->params.kind) {
    case AUTH_TOKEN:
    case AUTH_BASIC:
        return buf_add_text(data, value) || err_set(err, ERR_NOMEM, "no memory for credentials");
    case AUTH_TOKEN_FILE:
        return secret_read_file(value, "token file", data, err);
    case AUTH_TOKEN_ENV:
        return read_variable(value, data, err);
    default:
        return true; /* nothing to show */
    }
}

/* ---- Credentials that an issuer gives. */

static void wait_for_token(struct auth *auth, struct auth_request *request) {
    request->auth = auth;
    aws_linked_list_push_back(&auth->waiting, &request->node);
    oauth2_renew(auth->oauth2);
}

static void on_attempt(void *ctx, const struct err *err) {
    struct auth *auth = ctx;
    if (err != NULL && err->code == ERR_PULSAR_AUTH) {
        auth->refusals++;
    }
    struct err expired;
    if (err == NULL) {
        err_set(&expired, ERR_PULSAR_NO_TOKEN, "the OAuth2 issuer's token has expired already");
        err = &expired; /* told only if the token is not there */
    }
    /* Those who ask again from within wait for another attempt. */
    struct aws_linked_list waiting;
    aws_linked_list_init(&waiting);
    aws_linked_list_swap_contents(&waiting, &auth->waiting);
    while (!aws_linked_list_empty(&waiting)) {
        struct auth_request *request =
            AWS_CONTAINER_OF(aws_linked_list_front(&waiting), struct auth_request, node);
        auth_forget(request);
        struct str token;
        uint64_t number = oauth2_token(auth->oauth2, &token);
        if (number != 0) { /* the old one if it could not be renewed */
            request->shown = number;
            request->done(request, NULL, token);
        } else {
            request->done(request, err, STR_NONE);
        }
    }
}

static enum auth_answer get_token(struct auth *auth, struct auth_request *request, bool fresh,
                                  struct buf *data, struct err *err) {
    struct str token;
    uint64_t number = oauth2_token(auth->oauth2, &token);
    if (!oauth2_may_show(auth->oauth2, fresh) || (fresh && number == request->shown)) {
        wait_for_token(auth, request);
        return AUTH_LATER;
    }
    request->shown = number;
    if (!buf_add_str(data, token)) {
        err_set(err, ERR_NOMEM, "no memory for a token");
        return AUTH_FAILED;
    }
    return AUTH_GIVEN;
}

/* ---- Both. */

enum auth_answer auth_get(struct auth *auth, struct auth_request *request, bool fresh,
                          struct buf *data, struct err *err) {
    if (auth->oauth2 != NULL) {
        return get_token(auth, request, fresh, data, err);
    }
    if (!read_now(auth, data, err)) {
        return AUTH_FAILED;
    }
    request->shown = number_of(buf_str(data));
    return AUTH_GIVEN;
}

void auth_forget(struct auth_request *request) {
    if (request->auth != NULL) {
        request->auth = NULL;
        aws_linked_list_remove(&request->node);
    }
}

void auth_refused(struct auth *auth, const struct auth_request *request) {
    if (request->shown != auth->refused) { /* else several brokers refuse the same ones */
        auth->refused = request->shown;
        auth->refusals++;
    }
    if (auth->oauth2 != NULL) {
        oauth2_drop(auth->oauth2, request->shown);
    }
}

void auth_accepted(struct auth *auth) {
    auth->refused = 0;
    auth->refusals = 0;
}

/* Whether file or variable say something else than what was refused. */
static bool has_changed(const struct auth *auth) {
    struct buf data;
    buf_init(&data, AUTH_TOKEN_MAX);
    bool changed = read_now(auth, &data, NULL) && number_of(buf_str(&data)) != auth->refused;
    secret_wipe(&data);
    return changed;
}

bool auth_may_retry(struct auth *auth) {
    switch (auth->params.kind) {
    case AUTH_OAUTH2:
        return auth->refusals == 1;
    case AUTH_TOKEN_FILE:
    case AUTH_TOKEN_ENV:
        return auth->refused != 0 && has_changed(auth);
    default:
        return false;
    }
}

struct auth *auth_new(struct lane *lane, const struct auth_options *options, struct err *err) {
    struct auth *auth = calloc(1, sizeof *auth);
    if (auth == NULL) {
        err_set(err, ERR_NOMEM, "no memory for credentials");
        return NULL;
    }
    aws_linked_list_init(&auth->waiting);
    enum auth_fault fault;
    bool ok = auth_params_parse(options->plugin, options->params, &auth->params, &fault, err);
    if (!ok) {
        err_context(err, fault == AUTH_FAULT_PLUGIN ? "authPlugin" : "authParams");
    } else if (auth->params.kind == AUTH_OAUTH2) {
        auth->oauth2 = oauth2_new(lane,
                                  &(struct oauth2_options){
                                      .params = &auth->params.oauth2,
                                      .timeout_ms = options->timeout_ms,
                                      .backoff = options->backoff,
                                      .ended = on_attempt,
                                      .ctx = auth,
                                  },
                                  err);
        ok = auth->oauth2 != NULL;
    }
    if (!ok) {
        auth_free(auth);
        return NULL;
    }
    return auth;
}

void auth_free(struct auth *auth) {
    if (auth != NULL) {
        oauth2_free(auth->oauth2);
        auth_params_done(&auth->params);
        free(auth);
    }
}
