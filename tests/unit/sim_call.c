#include "sim_call.h"

#include "aws/reply_error.h"
#include "cmocka_all.h"
#include "sim_ledger.h"

#include <stdlib.h>

enum { TRIES = 3, RETRY_MS = 100, TIMEOUT_MS = 1500 };

static void call_free(struct sim_call *call) {
    struct sim_world *world = call->thread->process->world;
    for (size_t i = 0; i < world->call_count; i++) {
        if (world->calls[i] == call) {
            world->calls[i] = world->calls[--world->call_count];
            break;
        }
    }
    fake_reply_done(&call->reply);
    free(call->body);
    free(call);
}

static void set_due(struct sim_call *call, uint64_t delay_ms) {
    call->due_ns = call->thread->process->world->now_ns + delay_ms * 1000000;
}

static struct sim_call *call_new(struct sim_thread *thread, struct str target, struct str body) {
    struct sim_world *world = thread->process->world;
    struct sim_call *call = calloc(1, sizeof *call);
    assert_non_null(call);
    call->thread = thread;
    call->body = str_dup(body);
    assert_true(str_copy(target, call->target, sizeof call->target));
    fake_reply_init(&call->reply);
    world->calls = sim_grown(world->calls, world->call_count, &world->call_capacity,
                             sizeof(struct sim_call *));
    world->calls[world->call_count++] = call;
    return call;
}

/* Mostly quick, at times slow. */
static uint64_t latency_ms(struct sim_world *world) {
    return sim_chance(world, 30) ? sim_between(world, 50, 900) : sim_between(world, 1, 15);
}

static struct service_call *call_start(struct service *base, const struct service_request *request,
                                       service_done *done, void *ctx) {
    struct sim_service *service = (struct sim_service *)base;
    struct sim_world *world = service->thread->process->world;
    struct sim_call *call = call_new(service->thread, request->target, request->body);
    call->done = done;
    call->dropped = request->dropped;
    call->ctx = ctx;
    call->state = service->thread->process->dead ? SIM_CALL_FAILED : SIM_CALL_SENT;
    set_due(call, latency_ms(world));
    return (struct service_call *)call;
}

/* What was sent arrives all the same. */
static void call_cancel(struct service_call *handle) {
    struct sim_call *call = (struct sim_call *)handle;
    call->done = NULL;
    if (call->dropped != NULL) {
        call->dropped(call->ctx);
    }
}

const struct service_ops sim_service_ops = {.call = call_start, .cancel = call_cancel};

static bool is_write(const struct sim_call *call) {
    return strstr(call->target, "UpdateItem") != NULL || strstr(call->target, "PutItem") != NULL ||
           strstr(call->target, "DeleteItem") != NULL;
}

/* ---- there ---- */

/* A write to a lease was carried out: shows the ledger the item as it is now. */
static void show_lease(const struct sim_call *call) {
    static const char mark[] = "\"leaseKey\":{\"S\":\"";
    struct sim_world *world = call->thread->process->world;
    const char *at = strstr(call->body, mark);
    assert_non_null(at);
    at += sizeof mark - 1;
    struct str key = str_make(at, strcspn(at, "\""));
    const struct fake_table *table = fake_tables_find(&world->aws.tables, STR(SIM_TABLE));
    yyjson_mut_val *item = NULL;
    for (size_t i = 0; table != NULL && i < table->count; i++) {
        if (str_is(key, table->items[i].key)) {
            item = yyjson_mut_doc_get_root(table->items[i].doc);
        }
    }
    sim_ledger_lease(world->ledger, key, item, &call->thread->process->worker, world->now_ns);
}

/* The service's own judgement: would another try help? */
static bool is_passing(const struct fake_reply *reply) {
    struct err err = ERR_NONE;
    if (reply->status == 200) {
        return false;
    }
    (void)reply_error((int)reply->status, STR_NONE, buf_str(&reply->body), &err);
    return err.class == ERR_CLASS_THROTTLE || err.class == ERR_CLASS_RETRY;
}

/* The caller gives up before it arrives. */
static void call_is_late(struct sim_call *call) {
    struct sim_call *late = call_new(call->thread, str_of(call->target), str_of(call->body));
    late->tries = TRIES;
    set_due(late, sim_between(call->thread->process->world, TIMEOUT_MS, SIM_LATE_MS));
    call->state = SIM_CALL_FAILED;
    set_due(call, TIMEOUT_MS);
}

static void call_arrives(struct sim_call *call) {
    struct sim_world *world = call->thread->process->world;
    if (is_write(call) && call->tries < TRIES && sim_chance(world, world->weather.late_writes)) {
        call_is_late(call);
        return;
    }
    struct fake_aws_request request = {
        .target = str_of(call->target),
        .body = str_of(call->body),
    };
    fake_reply_done(&call->reply);
    fake_reply_init(&call->reply);
    fake_aws_handle(&world->aws, &request, sim_world_wall_ms(world), &call->reply);
    bool carried_out = !call->reply.drop && call->reply.status == 200;
    if (world->ledger != NULL && carried_out && is_write(call)) {
        show_lease(call);
    }
    bool again = ++call->tries < TRIES;
    if (again && !call->reply.drop && is_passing(&call->reply)) {
        set_due(call, RETRY_MS);
        return;
    }
    const struct sim_weather *weather = &world->weather;
    uint32_t lost = is_write(call) ? weather->lost_writes : weather->lost_reads;
    if (!call->reply.drop && !sim_chance(world, lost)) {
        call->state = SIM_CALL_ANSWERED;
        set_due(call, latency_ms(world));
    } else if (again && sim_chance(world, 500)) {
        set_due(call, RETRY_MS); /* the service's own next try */
    } else {
        call->state = SIM_CALL_FAILED;
        set_due(call, TIMEOUT_MS);
    }
}

/* ---- back ---- */

static void call_returns(struct sim_call *call) {
    struct sim_world *world = call->thread->process->world;
    struct service_reply reply = {
        .request_id = STR("SIM"),
        .server_time_ms = sim_world_wall_ms(world),
    };
    struct err err = ERR_NONE;
    struct str body = buf_str(&call->reply.body);
    bool whole = call->state == SIM_CALL_ANSWERED && call->reply.status == 200;
    if (call->thread->process->dead) {
        err_set(&err, ERR_CANCELLED, "the process is dead");
    } else if (call->state == SIM_CALL_FAILED) {
        err_set(&err, ERR_TIMEOUT, "no answer");
    } else if (!whole) {
        (void)reply_error((int)call->reply.status, STR_NONE, body, &err);
    } else if (sim_chance(world, world->weather.broken_replies)) {
        body.len = sim_between(world, 0, body.len - 1);
    }
    if (call->done != NULL) {
        if (whole || err.code == ERR_AWS_CONDITION) {
            reply.body = page_take(call->thread->pages);
            assert_true(page_add(reply.body, body.ptr, body.len, BUF_MAX_PAGE));
        }
        bool given = reply.body != NULL;
        call->done(call->ctx, err_is_set(&err) ? &err : NULL, given ? &reply : NULL);
        page_free(reply.body);
    }
    call_free(call);
}

void sim_call_happens(struct sim_call *call) {
    if (call->state == SIM_CALL_SENT) {
        call_arrives(call);
    } else {
        call_returns(call);
    }
}

void sim_calls_orphan(struct sim_process *process) {
    struct sim_world *world = process->world;
    for (size_t i = world->call_count; i-- > 0;) {
        struct sim_call *call = world->calls[i];
        if (call->thread->process == process && call->state == SIM_CALL_SENT &&
            sim_chance(world, 500)) {
            call_arrives(call);
        }
    }
    for (size_t i = 0; i < world->call_count; i++) {
        if (world->calls[i]->thread->process == process) {
            world->calls[i]->state = SIM_CALL_FAILED;
        }
    }
}

void sim_calls_free(struct sim_process *process) {
    struct sim_world *world = process->world;
    for (size_t i = world->call_count; i-- > 0;) {
        if (world->calls[i]->thread->process == process) {
            call_free(world->calls[i]);
        }
    }
}
