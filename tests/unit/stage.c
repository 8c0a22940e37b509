#include "unit/stage.h"

#include "cmocka_all.h"
#include "unit/sender.h"

#include "base/log.h"

#include <aws/common/thread.h>
#include <aws/io/io.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

char stage_filler[STAGE_FILLER];
static struct stage *living; /* of the test that runs */

void stage_wrong(struct stage *stage, const char *format, ...) {
    va_list args;
    va_start(args, format);
    if (stage->wrong[0] == '\0') {
        (void)vsnprintf(stage->wrong, sizeof stage->wrong, format, args);
    }
    va_end(args);
}

static void client_closed(void *ctx) {
    struct stage *stage = ctx;
    (void)pthread_mutex_lock(&stage->lock);
    stage->client_closed = true;
    (void)pthread_cond_broadcast(&stage->changed);
    (void)pthread_mutex_unlock(&stage->lock);
}

static void close_client_on_lane(void *ctx) {
    struct stage *stage = ctx;
    pulsar_client_close(stage->client, client_closed, stage);
}

struct timespec stage_deadline(void) {
    struct timespec until;
    (void)clock_gettime(CLOCK_REALTIME, &until);
    until.tv_sec += STAGE_PATIENCE_S;
    return until;
}

void stage_fail(struct stage *stage, const char *format, ...) {
    char text[512];
    char violation[512];
    va_list args;
    va_start(args, format);
    (void)vsnprintf(text, sizeof text, format, args);
    va_end(args);
    fake_broker_violation(stage->broker, violation, sizeof violation);
    for (size_t i = 0; i < stage->sender_count; i++) {
        const struct sender *sender = stage->senders[i];
        print_message("sender %c: %zu taken, %zu reported, ready %d, lost %d, again %d, failed %d "
                      "(%s), last lost: %s\n",
                      sender->id, sender->taken, sender->reported, sender->ready_count,
                      sender->lost_count, sender->again_count, sender->failed_count,
                      sender->failure.text, sender->last_lost.text);
    }
    fail_msg("%s; on the lane: '%s'; violation: '%s'", text, stage->wrong, violation);
}

/* Waits until *flag is set, under the lock; false after STAGE_PATIENCE_S. */
bool stage_wait_flag(struct stage *stage, const bool *flag) {
    struct timespec until = stage_deadline();
    int waited = 0;
    (void)pthread_mutex_lock(&stage->lock);
    while (!*flag && waited == 0) {
        waited = pthread_cond_timedwait(&stage->changed, &stage->lock, &until);
    }
    bool set = *flag;
    (void)pthread_mutex_unlock(&stage->lock);
    return set;
}

struct task {
    struct lane_message message;
    struct stage *stage;
    lane_fn *fn;
    void *ctx;
    bool done;
};

static void run_task(void *ctx) {
    struct task *task = ctx;
    struct stage *stage = task->stage;
    task->fn(task->ctx);
    (void)pthread_mutex_lock(&stage->lock);
    task->done = true; /* after which it is gone */
    (void)pthread_cond_broadcast(&stage->changed);
    (void)pthread_mutex_unlock(&stage->lock);
}

bool stage_try_run(struct stage *stage, lane_fn *fn, void *ctx) {
    struct task *task = calloc(1, sizeof *task); /* outlives a wait in vain */
    if (task == NULL) {
        return false;
    }
    *task = (struct task){.stage = stage, .fn = fn, .ctx = ctx};
    lane_post(stage->lane, &task->message, run_task, task);
    bool done = stage_wait_flag(stage, &task->done);
    if (done) {
        free(task);
    }
    return done;
}

void stage_run(struct stage *stage, lane_fn *fn, void *ctx) {
    if (!stage_try_run(stage, fn, ctx)) {
        stage_fail(stage, "the lane stands still");
    }
}

static struct stage *stage_make(struct fake_broker *broker, bool borrowed) {
    struct stage *stage = calloc(1, sizeof *stage);
    struct err err = ERR_NONE;
    assert_non_null(stage);
    stage->broker = broker;
    stage->borrowed = borrowed;
    (void)snprintf(stage->url, sizeof stage->url, "pulsar://127.0.0.1:%u",
                   fake_broker_port(broker, 0));
    stage->client_options = (struct pulsar_client_options){
        .service_url = str_of(stage->url),
        .client_version = STR("stage"),
        .backoff_initial_ms = 5,
        .backoff_max_ms = 50,
    };
    (void)pthread_mutex_init(&stage->lock, NULL);
    (void)pthread_cond_init(&stage->changed, NULL);
    stage->lane = lane_new(0, &err);
    assert_non_null(stage->lane);
    stage->next = living;
    living = stage;
    return stage;
}

struct stage *stage_new(void) {
    struct err err = ERR_NONE;
    struct fake_broker_options options = {.port = 0};
    struct fake_broker *broker = fake_broker_new(&options, &err);
    assert_non_null(broker);
    struct stage *stage = stage_make(broker, false);
    stage_script(stage, "strict on");
    return stage;
}

struct stage *stage_beside(struct stage *stage) {
    return stage_make(stage->broker, true);
}

/* Closes all that is open, and the lane; false: something did not end. */
static bool shut_down(struct stage *stage) {
    bool ok = true;
    for (size_t i = 0; i < stage->sender_count; i++) {
        ok = sender_shut(stage->senders[i], 0) && ok;
    }
    ok = ok && (stage->client == NULL || (stage_try_run(stage, close_client_on_lane, stage) &&
                                          stage_wait_flag(stage, &stage->client_closed)));
    if (ok) {
        lane_free(stage->lane);
    }
    return ok;
}

void stage_free(struct stage *stage) {
    assert_ptr_equal(living, stage);
    if (!shut_down(stage)) {
        stage_fail(stage, "it cannot be closed");
    }
    living = stage->next;
    if (living == NULL) {
        aws_thread_join_all_managed();
    }
    char violation[512] = "";
    if (!stage->borrowed) {
        fake_broker_violation(stage->broker, violation, sizeof violation);
        fake_broker_free(stage->broker);
    }
    char wrong_on_lane[sizeof stage->wrong];
    memcpy(wrong_on_lane, stage->wrong, sizeof wrong_on_lane);
    for (size_t i = 0; i < stage->sender_count; i++) {
        free(stage->senders[i]);
    }
    (void)pthread_cond_destroy(&stage->changed);
    (void)pthread_mutex_destroy(&stage->lock);
    free(stage);
    assert_string_equal(violation, "");
    assert_string_equal(wrong_on_lane, "");
}

void stage_script(struct stage *stage, const char *format, ...) {
    char lines[2048];
    struct err err = ERR_NONE;
    va_list args;
    va_start(args, format);
    (void)vsnprintf(lines, sizeof lines, format, args);
    va_end(args);
    if (!fake_broker_script(stage->broker, lines, &err)) {
        stage_fail(stage, "%s", err.text);
    }
}

struct fake_broker_counts stage_counts(struct stage *stage) {
    struct fake_broker_counts counts;
    fake_broker_counts(stage->broker, &counts);
    return counts;
}

void stage_wait_count(struct stage *stage, size_t member, uint64_t at_least, const char *name) {
    struct timespec until = stage_deadline();
    struct timespec now;
    uint64_t count;
    for (;;) {
        struct fake_broker_counts counts = stage_counts(stage);
        memcpy(&count, (const char *)&counts + member, sizeof count);
        (void)clock_gettime(CLOCK_REALTIME, &now);
        if (count >= at_least) {
            return;
        }
        if (now.tv_sec > until.tv_sec) {
            stage_fail(stage, "%s is %" PRIu64 ", not %" PRIu64, name, count, at_least);
        }
        struct timespec pause = {.tv_nsec = 1000000};
        (void)nanosleep(&pause, NULL);
    }
}

int stage_setup(void **state) {
    (void)state;
    log_setup(getenv("RIG_DEBUG") != NULL ? LOG_LEVEL_DEBUG : LOG_LEVEL_ERROR, LOG_FORMAT_TEXT);
    uint64_t random = 88172645463325252;
    for (size_t i = 0; i < STAGE_FILLER; i += 8) { /* so that compression finds little */
        random ^= random << 13;
        random ^= random >> 7;
        random ^= random << 17;
        memcpy(stage_filler + i, &random, 8);
    }
    aws_io_library_init(aws_default_allocator());
    return 0;
}

int stage_sweep(void **state) {
    (void)state;
    bool failed = living != NULL;
    for (struct stage *stage = living; stage != NULL; stage = stage->next) {
        if (!shut_down(stage)) {
            _exit(1); /* nothing that follows could be trusted */
        }
    }
    while (living != NULL) { /* what else it holds is lost */
        if (!living->borrowed) {
            fake_broker_free(living->broker);
        }
        living = living->next;
    }
    if (failed) {
        aws_thread_join_all_managed();
    }
    return 0;
}

int stage_teardown(void **state) {
    (void)state;
    aws_io_library_clean_up();
    return 0;
}
