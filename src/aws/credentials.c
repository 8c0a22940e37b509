#include "aws/credentials.h"

#include "aws/credentials_chain.h"
#include "aws/credentials_plugin.h"
#include "aws/sts.h"
#include "base/backoff.h"
#include "base/lane.h"
#include "base/log.h"

#include <aws/auth/credentials.h>

#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#define GIVEN_KEYS "static keys"

enum {
    ASK_MS = 30000,              /* for one answer of a provider */
    JOIN_MS = 5000,              /* for a thread that a provider blocks */
    RECHECK_MS = 15 * 60 * 1000, /* keys without an expiry may be replaced in their file */
    AHEAD_S = 10 * 60,           /* before the expiry */
    MIN_GAP_MS = 1000,           /* between two fetches, however often a refresh is asked for */
    FAILED_BASE_MS = 1000,
    FAILED_MAX_MS = 60000,
    TRIED_MAX = 2048,
};

struct credentials {
    pthread_mutex_t lock;
    pthread_cond_t changed; /* of anything below */
    size_t references;      /* the owner, the thread, a provider's callback under way */
    bool stop;
    bool ended; /* the thread is on its last lines */
    bool refresh;
    struct aws_credentials *keys;        /* newest; NULL until the first success */
    char source[CREDENTIALS_SOURCE_MAX]; /* where they come from */
    struct err failure;                  /* of the newest fetch, else ERR_NONE */
    uint64_t asked;                      /* number of the newest question to a provider */
    uint64_t answered;                   /* number of the newest question that was answered */
    struct aws_credentials *answer;
    int answer_error;

    pthread_t thread;
    bool has_thread;
    struct credentials_plugin *plugin; /* NULL: none */
    char *access_key;                  /* NULL: the plugin or the chain */
    char *secret_key;
    char *session_token;
    char *role_arn; /* NULL: none */
    char *role_session;
    char *external_id;
    char *role_tags;
    char *sts_endpoint;
    char *sts_region;
    char *user_agent;
    struct aws_tls_ctx *tls;
};

/* ---- Memory. */

static void wipe(char *secret) {
    if (secret != NULL) {
        explicit_bzero(secret, strlen(secret));
        free(secret);
    }
}

static void unref(struct credentials *credentials) {
    pthread_mutex_lock(&credentials->lock);
    size_t left = --credentials->references;
    pthread_mutex_unlock(&credentials->lock);
    if (left > 0) {
        return;
    }
    aws_credentials_release(credentials->keys);
    aws_credentials_release(credentials->answer);
    credentials_plugin_close(credentials->plugin);
    wipe(credentials->access_key);
    wipe(credentials->secret_key);
    wipe(credentials->session_token);
    free(credentials->role_arn);
    free(credentials->role_session);
    free(credentials->external_id);
    wipe(credentials->role_tags); /* a copy of the whole parameter */
    free(credentials->sts_endpoint);
    free(credentials->sts_region);
    free(credentials->user_agent);
    pthread_cond_destroy(&credentials->changed);
    pthread_mutex_destroy(&credentials->lock);
    free(credentials);
}

static struct timespec deadline_in(uint64_t ms) {
    struct timespec now;
    (void)clock_gettime(CLOCK_MONOTONIC, &now); /* cannot fail for this clock */
    uint64_t ns = (uint64_t)now.tv_nsec + ms % 1000 * 1000000;
    now.tv_sec += (time_t)(ms / 1000 + ns / 1000000000);
    now.tv_nsec = (long)(ns % 1000000000);
    return now;
}

static struct aws_byte_cursor cursor_of(const char *text) {
    return text == NULL ? (struct aws_byte_cursor){0} : aws_byte_cursor_from_c_str(text);
}

static struct aws_credentials *new_given_keys(const struct credentials *credentials) {
    return aws_credentials_new(aws_default_allocator(), cursor_of(credentials->access_key),
                               cursor_of(credentials->secret_key),
                               cursor_of(credentials->session_token), UINT64_MAX);
}

/* ---- Fetching. */

/* What a provider's callback needs: an answer that comes too late must not be taken for a newer one's. */
struct question {
    struct credentials *credentials;
    uint64_t number;
};

static void on_answer(struct aws_credentials *keys, int error, void *ctx) {
    struct question *question = ctx;
    struct credentials *credentials = question->credentials;
    pthread_mutex_lock(&credentials->lock);
    if (question->number == credentials->asked) {
        credentials->answered = question->number;
        credentials->answer_error = error;
        if (keys != NULL) {
            aws_credentials_acquire(keys);
            credentials->answer = keys;
        }
        pthread_cond_broadcast(&credentials->changed);
    }
    pthread_mutex_unlock(&credentials->lock);
    unref(credentials);
    free(question);
}

/* With the lock held, but not while the provider is called, since its answer may come inside. Takes the provider over.
 * NULL and *ret_error on failure; 0: no answer in time. */
static struct aws_credentials *ask(struct credentials *credentials,
                                   struct aws_credentials_provider *provider, int *ret_error) {
    struct question *question = malloc(sizeof *question);
    uint64_t number = ++credentials->asked;
    credentials->references++; /* on_answer's */
    pthread_mutex_unlock(&credentials->lock);
    bool asked = false;
    if (question != NULL) {
        *question = (struct question){.credentials = credentials, .number = number};
        asked = aws_credentials_provider_get_credentials(provider, on_answer, question) == 0;
    }
    *ret_error = asked ? 0 : aws_last_error();
    aws_credentials_provider_release(provider);
    pthread_mutex_lock(&credentials->lock);
    if (!asked) {
        free(question);
        credentials->references--; /* the thread's is left */
        return NULL;
    }
    struct timespec deadline = deadline_in(ASK_MS);
    int waited = 0;
    while (credentials->answered != number && !credentials->stop && waited == 0) {
        waited = pthread_cond_timedwait(&credentials->changed, &credentials->lock, &deadline);
    }
    credentials->asked++; /* an answer that comes after this is for nobody */
    struct aws_credentials *keys = credentials->answer;
    credentials->answer = NULL;
    if (credentials->answered == number) {
        *ret_error = credentials->answer_error;
    }
    return keys;
}

static const char *reason_of(int error) {
    return error == 0 ? "no answer in time" : aws_error_str(error);
}

/* The first place that has keys. With the lock held. The providers are made anew for every fetch: a cache could only
 * give back what has just been called expired, and this way a changed profile is read too. */
static struct aws_credentials *search(struct credentials *credentials, struct lane *lane,
                                      struct buf *source, struct err *err) {
    struct buf tried;
    buf_init(&tried, TRIED_MAX);
    struct aws_credentials *keys = NULL;
    for (int i = 0; i < CREDENTIALS_PLACE_COUNT && !credentials->stop; i++) {
        enum credentials_place place = (enum credentials_place)i;
        pthread_mutex_unlock(&credentials->lock);
        struct aws_credentials_provider *provider =
            credentials_chain_new(place, lane_bootstrap(lane), credentials->tls);
        int error = aws_last_error();
        pthread_mutex_lock(&credentials->lock);
        bool made = provider != NULL;
        if (made) {
            keys = ask(credentials, provider, &error);
        }
        if (keys != NULL) {
            credentials_chain_add_name(source, place);
            break;
        }
        buf_add_text(&tried, i > 0 ? "; " : "");
        credentials_chain_add_name(&tried, place);
        buf_add_text(&tried, " (");
        if (made) {
            buf_add_text(&tried, reason_of(error));
        } else {
            credentials_chain_add_absence(&tried, place, error);
        }
        buf_add_char(&tried, ')');
    }
    if (keys == NULL) {
        err_set(err, ERR_AWS_NO_CREDENTIALS, "no AWS credentials; tried %s", buf_text(&tried));
    }
    buf_done(&tried);
    return keys;
}

/* ---- A role. */

/* The thread makes one and waits for its end; the lane works on it. */
struct assumption {
    struct credentials *credentials;
    struct lane *lane;
    struct sts_options options;
    struct lane_message start;
    struct lane_message cancel;
    struct sts *sts; /* on the lane; NULL when it has ended */
    /* With the credentials' lock. */
    bool ended;
    bool cancel_ended; /* no message of it is on its way */
    struct aws_credentials *keys;
    struct err err;
};

static void on_role(void *ctx, const struct err *err, struct aws_credentials *keys) {
    struct assumption *assumption = ctx;
    struct credentials *credentials = assumption->credentials;
    assumption->sts = NULL;
    pthread_mutex_lock(&credentials->lock);
    assumption->ended = true;
    if (keys != NULL) {
        aws_credentials_acquire(keys);
        assumption->keys = keys;
    } else {
        assumption->err = *err;
    }
    pthread_cond_broadcast(&credentials->changed);
    pthread_mutex_unlock(&credentials->lock);
}

static void start_assumption(void *ctx) {
    struct assumption *assumption = ctx;
    struct err err = ERR_NONE;
    assumption->sts =
        sts_assume_role(assumption->lane, &assumption->options, on_role, assumption, &err);
    if (assumption->sts == NULL) {
        on_role(assumption, &err, NULL);
    }
}

static void cancel_assumption(void *ctx) {
    struct assumption *assumption = ctx;
    struct credentials *credentials = assumption->credentials;
    if (assumption->sts != NULL) {
        sts_cancel(assumption->sts);
    }
    pthread_mutex_lock(&credentials->lock);
    assumption->cancel_ended = true;
    pthread_cond_broadcast(&credentials->changed);
    pthread_mutex_unlock(&credentials->lock);
}

/* With the lock held, but for the time of waiting. */
static void wait_for_end(struct assumption *assumption) {
    struct credentials *credentials = assumption->credentials;
    while (!assumption->ended && !credentials->stop) {
        pthread_cond_wait(&credentials->changed, &credentials->lock);
    }
    if (!assumption->ended) {
        lane_post(assumption->lane, &assumption->cancel, cancel_assumption, assumption);
        while (!assumption->ended || !assumption->cancel_ended) {
            pthread_cond_wait(&credentials->changed, &credentials->lock);
        }
    }
}

static struct str str_of_cursor(struct aws_byte_cursor cursor) {
    return str_make((const char *)cursor.ptr, cursor.len);
}

/* By these keys, which source names. With the lock held, but for the time of waiting. */
static struct aws_credentials *assume(struct credentials *credentials, struct lane *lane,
                                      struct aws_credentials *keys, const char *source,
                                      struct err *err) {
    const struct credentials_options by = {
        .access_key = str_of_cursor(aws_credentials_get_access_key_id(keys)),
        .secret_key = str_of_cursor(aws_credentials_get_secret_access_key(keys)),
        .session_token = str_of_cursor(aws_credentials_get_session_token(keys)),
    };
    struct credentials *base = credentials_new(&by, err);
    if (base == NULL) {
        return NULL;
    }
    struct assumption assumption = {
        .credentials = credentials,
        .lane = lane,
        .options =
            {
                .endpoint = str_of(credentials->sts_endpoint),
                .region = str_of(credentials->sts_region),
                .user_agent = str_of(credentials->user_agent),
                .role_arn = str_of(credentials->role_arn),
                .role_session = str_of(credentials->role_session),
                .external_id = str_of(credentials->external_id),
                .tags = str_of(credentials->role_tags),
                .credentials = base,
                .tls = credentials->tls,
            },
    };
    lane_post(lane, &assumption.start, start_assumption, &assumption);
    wait_for_end(&assumption);
    credentials_free(base);
    if (assumption.keys == NULL) {
        err_set(err, ERR_AWS_NO_CREDENTIALS, "the role %s cannot be assumed by %s: %s",
                credentials->role_arn, source, assumption.err.text);
    }
    return assumption.keys;
}

static struct aws_credentials *ask_plugin(struct credentials *credentials, struct err *err) {
    pthread_mutex_unlock(&credentials->lock);
    struct aws_credentials *keys = credentials_plugin_get(credentials->plugin, err);
    pthread_mutex_lock(&credentials->lock);
    return keys;
}

/* With the lock held, but for the time of waiting. NULL and err on failure. */
static struct aws_credentials *fetch_keys(struct credentials *credentials, struct lane *lane,
                                          struct err *err) {
    credentials->refresh = false;
    struct buf source;
    buf_init(&source, CREDENTIALS_SOURCE_MAX - 1);
    struct aws_credentials *keys;
    if (credentials->access_key != NULL) {
        keys = new_given_keys(credentials);
        buf_add_text(&source, GIVEN_KEYS);
        if (keys == NULL) {
            err_set(err, ERR_NOMEM, "no memory for credentials");
        }
    } else if (credentials->plugin != NULL) {
        keys = ask_plugin(credentials, err);
        buf_add_text(&source, "plugin");
    } else {
        keys = search(credentials, lane, &source, err);
    }
    if (keys != NULL && credentials->role_arn != NULL) {
        struct aws_credentials *base = keys;
        keys = assume(credentials, lane, base, buf_text(&source), err);
        aws_credentials_release(base);
    }
    if (keys != NULL) {
        (void)snprintf(credentials->source, sizeof credentials->source, "%s%s",
                       credentials->role_arn != NULL ? "role by " : "", buf_text(&source));
    }
    buf_done(&source);
    return keys;
}

uint64_t credentials_lifetime_ms(uint64_t now_s, uint64_t expiry_s) {
    if (expiry_s == UINT64_MAX) {
        return RECHECK_MS;
    }
    uint64_t left_s = expiry_s > now_s ? expiry_s - now_s : 0;
    /* Short-lived keys: half of what is left, and again. */
    uint64_t use_s = left_s > 2 * AHEAD_S ? left_s - AHEAD_S : left_s / 2;
    uint64_t ms = use_s * 1000;
    return ms < FAILED_BASE_MS ? FAILED_BASE_MS : ms;
}

/* With the lock held: until stop, or a refresh when one may wake it, or the time is over. */
static void pause_ms(struct credentials *credentials, uint64_t ms, bool wakes) {
    struct timespec deadline = deadline_in(ms);
    int waited = 0;
    while (!credentials->stop && !(wakes && credentials->refresh) && waited == 0) {
        waited = pthread_cond_timedwait(&credentials->changed, &credentials->lock, &deadline);
    }
}

static void *thread_main(void *arg) {
    struct credentials *credentials = arg;
    struct err err = ERR_NONE;
    struct lane *lane = lane_new(UINT32_MAX, &err);
    struct backoff backoff = backoff_make(FAILED_BASE_MS, FAILED_MAX_MS);
    pthread_mutex_lock(&credentials->lock);
    if (lane == NULL) {
        credentials->failure = err;
        pthread_cond_broadcast(&credentials->changed);
    }
    while (lane != NULL && !credentials->stop) {
        struct aws_credentials *keys = fetch_keys(credentials, lane, &err);
        uint64_t use_ms = 0;
        if (keys != NULL) {
            aws_credentials_release(credentials->keys);
            credentials->keys = keys;
            credentials->failure = ERR_NONE;
            backoff_reset(&backoff);
            use_ms = credentials_lifetime_ms(
                (uint64_t)time(NULL), aws_credentials_get_expiration_timepoint_seconds(keys));
        } else if (!credentials->stop) {
            credentials->failure = err;
            use_ms = backoff_bound_ms(&backoff);
            (void)backoff_next_ms(&backoff, &lane->rng);
            if (credentials->keys != NULL) {
                LOG_WARN("aws", "credentials-not-refreshed", LOG_ERR(&err));
            }
        }
        pthread_cond_broadcast(&credentials->changed);
        pause_ms(credentials, MIN_GAP_MS, false);
        pause_ms(credentials, use_ms > MIN_GAP_MS ? use_ms - MIN_GAP_MS : 0, true);
    }
    pthread_mutex_unlock(&credentials->lock);
    lane_free(lane);
    pthread_mutex_lock(&credentials->lock);
    credentials->ended = true;
    pthread_cond_broadcast(&credentials->changed);
    pthread_mutex_unlock(&credentials->lock);
    unref(credentials);
    return NULL;
}

/* ---- The interface. */

static char *dup_or_null(struct str text) {
    return text.len == 0 ? NULL : str_dup(text);
}

static bool copy_options(struct credentials *credentials,
                         const struct credentials_options *options) {
    bool given = options->access_key.len > 0 && options->secret_key.len > 0;
    bool role = options->role_arn.len > 0;
    if (given) {
        credentials->access_key = str_dup(options->access_key);
        credentials->secret_key = str_dup(options->secret_key);
        credentials->session_token = dup_or_null(options->session_token);
    }
    if (role) {
        credentials->role_arn = str_dup(options->role_arn);
        credentials->role_session =
            str_dup(options->role_session.len > 0 ? options->role_session : STR("ddb2pulsar"));
        credentials->external_id = dup_or_null(options->external_id);
        credentials->role_tags = dup_or_null(options->role_tags);
        credentials->sts_endpoint = str_dup(options->sts_endpoint);
        credentials->sts_region = str_dup(options->sts_region);
        credentials->user_agent = str_dup(options->user_agent);
    }
    credentials->tls = options->tls;
    return (!given || (credentials->access_key != NULL && credentials->secret_key != NULL)) &&
           (options->session_token.len == 0 || !given || credentials->session_token != NULL) &&
           (!role || (credentials->role_arn != NULL && credentials->role_session != NULL &&
                      credentials->sts_endpoint != NULL && credentials->sts_region != NULL &&
                      credentials->user_agent != NULL)) &&
           (options->external_id.len == 0 || !role || credentials->external_id != NULL) &&
           (options->role_tags.len == 0 || !role || credentials->role_tags != NULL);
}

static bool open_plugin(struct credentials *credentials, const struct credentials_options *options,
                        struct err *err) {
    char *path = str_dup(options->plugin);
    char *param = str_dup(options->plugin_param);
    if (path != NULL && param != NULL) {
        credentials->plugin = credentials_plugin_open(path, param, err);
    } else {
        err_set(err, ERR_NOMEM, "no memory for credentials");
    }
    free(path);
    wipe(param);
    return credentials->plugin != NULL;
}

static bool start(struct credentials *credentials) {
    if (credentials->access_key != NULL && credentials->role_arn == NULL) {
        (void)str_copy(STR(GIVEN_KEYS), credentials->source, sizeof credentials->source);
        credentials->keys = new_given_keys(credentials);
        return credentials->keys != NULL;
    }
    credentials->references++;
    credentials->has_thread =
        pthread_create(&credentials->thread, NULL, thread_main, credentials) == 0;
    if (!credentials->has_thread) {
        credentials->references--;
    }
    return credentials->has_thread;
}

struct credentials *credentials_new(const struct credentials_options *options, struct err *err) {
    struct credentials *credentials = calloc(1, sizeof *credentials);
    if (credentials == NULL) {
        err_set(err, ERR_NOMEM, "no memory for credentials");
        return NULL;
    }
    credentials->references = 1;
    pthread_condattr_t monotonic;
    pthread_condattr_init(&monotonic);
    pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
    pthread_mutex_init(&credentials->lock, NULL);
    pthread_cond_init(&credentials->changed, &monotonic);
    pthread_condattr_destroy(&monotonic);
    if (options->plugin.len > 0 && !open_plugin(credentials, options, err)) {
        unref(credentials);
        return NULL;
    }
    if (!copy_options(credentials, options) || !start(credentials)) {
        err_set(err, ERR_NOMEM, "no memory or no thread for credentials");
        unref(credentials);
        return NULL;
    }
    return credentials;
}

void credentials_free(struct credentials *credentials) {
    if (credentials == NULL) {
        return;
    }
    pthread_mutex_lock(&credentials->lock);
    credentials->stop = true;
    pthread_cond_broadcast(&credentials->changed);
    struct timespec deadline = deadline_in(JOIN_MS);
    int waited = 0;
    while (credentials->has_thread && !credentials->ended && waited == 0) {
        waited = pthread_cond_timedwait(&credentials->changed, &credentials->lock, &deadline);
    }
    bool ended = credentials->ended;
    pthread_mutex_unlock(&credentials->lock);
    if (ended) {
        pthread_join(credentials->thread, NULL);
    } else if (credentials->has_thread) {
        LOG_WARN("aws", "credentials-blocked",
                 LOG_TEXT("text", "a credentials provider does not return; it is left behind"));
        pthread_detach(credentials->thread);
    }
    unref(credentials);
}

bool credentials_wait(struct credentials *credentials, uint32_t timeout_ms, struct err *err) {
    struct timespec deadline = deadline_in(timeout_ms);
    int waited = 0;
    pthread_mutex_lock(&credentials->lock);
    while (credentials->keys == NULL && !err_is_set(&credentials->failure) && waited == 0) {
        waited = timeout_ms == 0
                     ? ETIMEDOUT
                     : pthread_cond_timedwait(&credentials->changed, &credentials->lock, &deadline);
    }
    bool there = credentials->keys != NULL;
    if (!there && err_is_set(&credentials->failure)) {
        *err = credentials->failure;
    } else if (!there) {
        err_set(err, ERR_TIMEOUT, "no AWS credentials within %u ms", timeout_ms);
    }
    pthread_mutex_unlock(&credentials->lock);
    return there;
}

struct aws_credentials *credentials_get(struct credentials *credentials) {
    pthread_mutex_lock(&credentials->lock);
    struct aws_credentials *keys = credentials->keys;
    if (keys != NULL) {
        aws_credentials_acquire(keys);
    }
    pthread_mutex_unlock(&credentials->lock);
    return keys;
}

bool credentials_refresh(struct credentials *credentials) {
    if (!credentials->has_thread) {
        return false;
    }
    pthread_mutex_lock(&credentials->lock);
    credentials->refresh = true;
    pthread_cond_broadcast(&credentials->changed);
    pthread_mutex_unlock(&credentials->lock);
    return true;
}

void credentials_source(struct credentials *credentials, char *to, size_t capacity) {
    pthread_mutex_lock(&credentials->lock);
    (void)str_copy(str_of(credentials->source), to, capacity);
    pthread_mutex_unlock(&credentials->lock);
}
