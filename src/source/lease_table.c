#include "source/lease_table.h"

#include "base/json.h"
#include "base/log.h"

#include <aws/common/linked_list.h>

#include <stdlib.h>

enum {
    CREATE_POLL_MS = 100,
    CREATE_DEADLINE_MS = 600 * 1000, /* as long as KCL waits */
};

/* One operation under way. */
struct op {
    struct lease_table *table;
    struct aws_linked_list_node node; /* in the table's list */
    struct service_call *call;
    struct lane_timer
        timer; /* the next poll, or a failure that must not be reported inside the call */
    lease_table_done *done;
    lease_table_changed *changed; /* instead, of a change */
    bool earlier;
    void *ctx;
    struct err err;

    lease_table_saw *saw; /* scan */
    struct buf start_key; /* scan: LastEvaluatedKey as JSON */
    struct lease *lease;  /* change, create */
    enum lease_change change;
    struct lease wanted;        /* change: the item if the write was applied */
    struct position checkpoint; /* change: to be written, if has_checkpoint */
    bool has_checkpoint;
    struct numbering_base base; /* LEASE_BASE: to be written */
    uint64_t give_up_ms;        /* ensure */
};

struct lease_table {
    struct service *service;
    char *name;
    char *worker_id;
    char *stream_arn;
    enum table_billing billing;
    struct aws_linked_list ops; /* under way */
    struct lease_write write;   /* texts of the request being built */
};

struct lease_table *lease_table_new(const struct lease_table_options *options) {
    struct lease_table *table = calloc(1, sizeof *table);
    if (table == NULL) {
        return NULL;
    }
    table->service = options->service;
    table->billing = options->billing;
    aws_linked_list_init(&table->ops);
    lease_write_init(&table->write);
    table->name = str_dup(options->name);
    table->worker_id = str_dup(options->worker_id);
    table->stream_arn = str_dup(options->stream_arn);
    if (table->name == NULL || table->worker_id == NULL || table->stream_arn == NULL) {
        lease_table_free(table);
        return NULL;
    }
    return table;
}

/* The caller takes it out of the list. */
static void op_free(struct op *op) {
    lane_timer_cancel(&op->timer);
    buf_done(&op->start_key);
    free(op);
}

void lease_table_free(struct lease_table *table) {
    if (table == NULL) {
        return;
    }
    struct aws_linked_list_node *node = aws_linked_list_begin(&table->ops);
    while (node != aws_linked_list_end(&table->ops)) {
        struct op *op = AWS_CONTAINER_OF(node, struct op, node);
        node = aws_linked_list_next(node);
        service_cancel(table->service, op->call);
        op_free(op);
    }
    lease_write_done(&table->write);
    free(table->name);
    free(table->worker_id);
    free(table->stream_arn);
    free(table);
}

/* Frees the operation first: done may free the table. */
static void op_finish(struct op *op, const struct err *err) {
    lease_table_done *done = op->done;
    lease_table_changed *changed = op->changed;
    bool earlier = op->earlier;
    void *ctx = op->ctx;
    struct err copy = err != NULL ? *err : ERR_NONE;
    if (err != NULL) {
        err_context(&copy, "lease table %s", op->table->name);
    }
    aws_linked_list_remove(&op->node);
    op_free(op);
    if (changed != NULL) {
        changed(ctx, err != NULL ? &copy : NULL, earlier);
    } else {
        done(ctx, err != NULL ? &copy : NULL);
    }
}

/* Never a silent new start. */
static void table_gone(struct op *op, const struct err *err) {
    struct err gone;
    err_set(&gone, ERR_TABLE_GONE, "the table was deleted while running (%s)", err->text);
    op_finish(op, &gone);
}

static void op_fail_later(void *ctx) {
    struct op *op = ctx;
    op_finish(op, &op->err);
}

static struct op *op_new(struct lease_table *table, lease_table_done *done, void *ctx) {
    struct op *op = calloc(1, sizeof *op);
    if (op == NULL) {
        /* Without these few bytes nothing can even be reported on the lane. */
        LOG_ERROR("lease", "out-of-memory");
        abort();
    }
    op->table = table;
    op->done = done;
    op->ctx = ctx;
    op->err = ERR_NONE;
    buf_init(&op->start_key, BUF_MAX_REQUEST);
    lane_timer_init(&op->timer, table->service->lane, op_fail_later, op);
    aws_linked_list_push_back(&table->ops, &op->node);
    return op;
}

/* After a call was started: when it could not be, fails the operation in a later turn of the loop. */
static void op_started(struct op *op, struct service_call *call) {
    op->call = call;
    if (call == NULL) {
        if (!err_is_set(&op->err)) {
            err_set(&op->err, ERR_NOMEM, "no memory for a request");
        }
        lane_timer_init(&op->timer, op->table->service->lane, op_fail_later, op);
        lane_timer_set_ms(&op->timer, 0);
    }
}

static struct str name_of(const struct lease_table *table) {
    return str_of(table->name);
}

/* ---- ensure: describe; create when missing; describe until ACTIVE ---- */

static void ensure_describe(void *ctx);

static void ensure_again(struct op *op) {
    struct lane *lane = op->table->service->lane;
    if (lane_now_ms(lane) > op->give_up_ms) {
        struct err err;
        err_set(&err, ERR_TIMEOUT, "not ACTIVE %d s after its creation", CREATE_DEADLINE_MS / 1000);
        op_finish(op, &err);
        return;
    }
    lane_timer_init(&op->timer, lane, ensure_describe, op);
    lane_timer_set_ms(&op->timer, CREATE_POLL_MS);
}

static void ensure_created(void *ctx, const struct err *err, const struct aws_json_value *reply) {
    (void)reply;
    struct op *op = ctx;
    op->call = NULL;
    if (err != NULL && err->code != ERR_AWS_IN_USE) { /* in use: somebody else has just made it */
        op_finish(op, err);
        return;
    }
    if (err == NULL) {
        LOG_INFO("lease", "table-created", LOG_TEXT("table", op->table->name));
    }
    ensure_describe(op);
}

static void ensure_described(void *ctx, const struct err *err, const struct aws_json_value *reply) {
    struct op *op = ctx;
    op->call = NULL;
    if (err != NULL && err->code == ERR_AWS_NOT_FOUND) {
        op_started(op, table_create(op->table->service, name_of(op->table), STR("leaseKey"),
                                    op->table->billing, ensure_created, op));
        return;
    }
    if (err != NULL) {
        op_finish(op, err);
        return;
    }
    struct str status = json_str(json_get(reply, "Table"), "TableStatus");
    if (str_is(status, "ACTIVE") || str_is(status, "UPDATING")) {
        op_finish(op, NULL);
    } else {
        ensure_again(op);
    }
}

static void ensure_describe(void *ctx) {
    struct op *op = ctx;
    op_started(op, table_describe(op->table->service, name_of(op->table), ensure_described, op));
}

void lease_table_ensure(struct lease_table *table, lease_table_done *done, void *ctx) {
    struct op *op = op_new(table, done, ctx);
    op->give_up_ms = lane_now_ms(table->service->lane) + CREATE_DEADLINE_MS;
    ensure_describe(op);
}

/* ---- scan ---- */

static void scan_page(struct op *op);

static int scan_item(size_t index, const struct aws_json_value *item, bool *ret_continue,
                     void *ctx) {
    (void)index;
    struct op *op = ctx;
    struct lease lease;
    struct err err = ERR_NONE;
    switch (lease_from_item(item, str_of(op->table->stream_arn), &lease, &err)) {
    case LEASE_ITEM_OK:
        op->saw(op->ctx, &lease, lease_item_stream(item));
        break;
    case LEASE_ITEM_BROKEN:
        LOG_WARN("lease", "item-broken", LOG_TEXT("table", op->table->name), LOG_ERR(&err));
        break;
    case LEASE_ITEM_OTHER:
        break;
    }
    *ret_continue = true;
    return AWS_OP_SUCCESS;
}

/* Keeps the LastEvaluatedKey as JSON text; false when there is none. */
static bool scan_take_key(struct op *op, const struct aws_json_value *reply) {
    const struct aws_json_value *key = json_get(reply, "LastEvaluatedKey");
    buf_reset(&op->start_key);
    if (key == NULL || !aws_json_value_is_object(key)) {
        return false;
    }
    struct aws_byte_buf text;
    aws_byte_buf_init(&text, aws_default_allocator(), 256);
    if (aws_byte_buf_append_json_string(key, &text) == AWS_OP_SUCCESS) {
        buf_add(&op->start_key, text.buffer, text.len);
    } else {
        op->start_key.failed = true;
    }
    aws_byte_buf_clean_up(&text);
    return true;
}

static void scan_got(void *ctx, const struct err *err, const struct aws_json_value *reply) {
    struct op *op = ctx;
    op->call = NULL;
    if (err != NULL) {
        if (err->code == ERR_AWS_NOT_FOUND) {
            table_gone(op, err);
            return;
        }
        op_finish(op, err);
        return;
    }
    const struct aws_json_value *items = json_get(reply, "Items");
    if (items != NULL && aws_json_value_is_array(items)) {
        (void)aws_json_const_iterate_array(items, scan_item, op); /* scan_item never fails */
    }
    if (!scan_take_key(op, reply)) {
        op_finish(op, NULL);
        return;
    }
    if (op->start_key.failed) {
        struct err broken;
        err_set(&broken, ERR_AWS_REPLY, "Scan: LastEvaluatedKey could not be read");
        op_finish(op, &broken);
        return;
    }
    scan_page(op);
}

static void scan_page(struct op *op) {
    struct str start = op->start_key.len > 0 ? buf_str(&op->start_key) : STR_NONE;
    op_started(op, table_scan(op->table->service, name_of(op->table), start, scan_got, op));
}

void lease_table_scan(struct lease_table *table, lease_table_saw *saw, lease_table_done *done,
                      void *ctx) {
    struct op *op = op_new(table, done, ctx);
    op->saw = saw;
    scan_page(op);
}

/* ---- create, delete ---- */

/* The lease in the item; false when it is none of ours to read. */
static bool read_item(const struct op *op, const struct aws_json_value *item,
                      struct lease *ret_lease) {
    struct err broken = ERR_NONE;
    return item != NULL && lease_from_item(item, str_of(op->table->stream_arn), ret_lease,
                                           &broken) == LEASE_ITEM_OK;
}

static void created(void *ctx, const struct err *err, const struct aws_json_value *reply) {
    struct op *op = ctx;
    op->call = NULL;
    struct lease there;
    bool exists = err != NULL && err->code == ERR_AWS_CONDITION;
    if (exists && read_item(op, json_get(reply, "Item"), &there)) {
        *op->lease = there;
    }
    op_finish(op, exists ? NULL : err);
}

void lease_table_create(struct lease_table *table, struct lease *lease, lease_table_done *done,
                        void *ctx) {
    struct op *op = op_new(table, done, ctx);
    struct service_call *call = NULL;
    op->lease = lease;
    if (lease_write_create(&table->write, lease, str_of(table->stream_arn), &op->err)) {
        call = table_put(table->service, name_of(table), table->write.key_json,
                         &table->write.expression, created, op);
    }
    op_started(op, call);
}

static void deleted(void *ctx, const struct err *err, const struct aws_json_value *reply) {
    (void)reply;
    struct op *op = ctx;
    op->call = NULL;
    op_finish(op, err);
}

void lease_table_delete(struct lease_table *table, const struct lease *lease,
                        lease_table_done *done, void *ctx) {
    struct op *op = op_new(table, done, ctx);
    struct service_call *call = NULL;
    if (lease_write_delete(&table->write, lease, &op->err)) {
        call = table_delete(table->service, name_of(table), table->write.key_json,
                            &table->write.expression, deleted, op);
    }
    op_started(op, call);
}

static void was_reset(void *ctx, const struct err *err, const struct aws_json_value *reply) {
    (void)reply;
    struct op *op = ctx;
    op->call = NULL;
    op_finish(op, err);
}

void lease_table_reset(struct lease_table *table, const struct lease *lease,
                       const struct lease_place *place, lease_table_done *done, void *ctx) {
    struct op *op = op_new(table, done, ctx);
    struct service_call *call = NULL;
    if (lease_write_reset(&table->write, lease, place, &op->err)) {
        call = table_update(table->service, name_of(table), table->write.key_json,
                            &table->write.expression, was_reset, op);
    }
    op_started(op, call);
}

/* ---- change ---- */

bool lease_table_is_mine(const struct lease_table *table, const struct lease *lease) {
    return strcmp(lease->owner, table->worker_id) == 0;
}

static void changed(void *ctx, const struct err *err, const struct aws_json_value *reply);

static bool is_about_wishes(enum lease_change change) {
    return change == LEASE_WANT || change == LEASE_UNWANT; /* the counter is its owner's */
}

static bool write_change(struct op *op) {
    struct lease_table *table = op->table;
    const struct position *checkpoint = op->has_checkpoint ? &op->checkpoint : NULL;
    struct lease_write *write = &table->write;
    struct lease *wanted = &op->wanted;
    struct str me = str_of(table->worker_id);
    *wanted = *op->lease;
    wanted->counter += is_about_wishes(op->change) ? 0 : 1;
    if (checkpoint != NULL) {
        wanted->checkpoint = *checkpoint;
        wanted->owner_switches = 0;
    }
    switch (op->change) {
    case LEASE_TAKE:
        if (wanted->owner[0] != '\0' && !lease_table_is_mine(table, wanted)) {
            wanted->owner_switches++;
        }
        wanted->wanted_by[0] = '\0';
        (void)str_copy(me, wanted->owner, sizeof wanted->owner);
        return lease_write_take(write, op->lease, me, &op->err);
    case LEASE_RENEW:
        return lease_write_renew(write, op->lease, &op->err);
    case LEASE_CHECKPOINT:
        return lease_write_checkpoint(write, op->lease, checkpoint, &op->err);
    case LEASE_BASE:
        wanted->base = op->base;
        return lease_write_base(write, op->lease, &op->base, &op->err);
    case LEASE_RELEASE:
        wanted->owner[0] = '\0';
        wanted->wanted_by[0] = '\0';
        return lease_write_release(write, op->lease, checkpoint, &op->err);
    case LEASE_HAND_OVER:
        memcpy(wanted->owner, wanted->wanted_by, sizeof wanted->owner);
        wanted->wanted_by[0] = '\0';
        return lease_write_hand_over(write, op->lease, str_of(op->lease->wanted_by), checkpoint,
                                     &op->err);
    case LEASE_WANT:
        (void)str_copy(me, wanted->wanted_by, sizeof wanted->wanted_by);
        return lease_write_want(write, op->lease, me, &op->err);
    case LEASE_UNWANT:
        wanted->wanted_by[0] = '\0';
        return lease_write_unwant(write, op->lease, me, &op->err);
    }
    return err_set(&op->err, ERR_INTERNAL, "unknown lease change %d", (int)op->change);
}

static void start_change(struct op *op) {
    const struct lease_table *table = op->table;
    struct service_call *call = NULL;
    if (write_change(op)) {
        call = table_update(table->service, name_of(table), table->write.key_json,
                            &table->write.expression, changed, op);
    }
    op_started(op, call);
}

/* The item (NULL: gone) differs from what was expected: was it our own write, whose reply was lost? Nobody else raises
 * the counter of what is ours and leaves it ours. */
static void judge(struct op *op, const struct aws_json_value *item) {
    struct lease now;
    if (!read_item(op, item, &now)) {
        now.key[0] = '\0';
    }
    bool next = now.key[0] != '\0' && now.counter == op->wanted.counter;
    bool applied = next && strcmp(now.owner, op->wanted.owner) == 0;
    bool kept = next && lease_table_is_mine(op->table, &now);
    bool unwritten = now.key[0] != '\0' && now.counter + 1 == op->wanted.counter &&
                     lease_table_is_mine(op->table, &now);
    *op->lease = now;
    if (op->change == LEASE_HAND_OVER && unwritten) {
        /* Whoever wanted it does not any more, and may be gone. */
        op->change = now.wanted_by[0] != '\0' ? LEASE_HAND_OVER : LEASE_RELEASE;
        start_change(op);
        return;
    }
    if (!is_about_wishes(op->change) && (applied || kept)) {
        op->earlier = true;
        op_finish(op, NULL);
        return;
    }
    struct err lost;
    if (now.key[0] == '\0') {
        err_set(&lost, ERR_LEASE_LOST, "lease %s is gone", op->wanted.key);
    } else {
        err_set(&lost, ERR_LEASE_LOST, "lease %s was taken by %s (counter %llu)", now.key,
                now.owner[0] != '\0' ? now.owner : "nobody", (unsigned long long)now.counter);
    }
    op_finish(op, &lost);
}

static void change_looked(void *ctx, const struct err *err, const struct aws_json_value *reply) {
    struct op *op = ctx;
    op->call = NULL;
    if (err != NULL) {
        op_finish(op, err);
        return;
    }
    judge(op, json_get(reply, "Item"));
}

static void changed(void *ctx, const struct err *err, const struct aws_json_value *reply) {
    struct op *op = ctx;
    op->call = NULL;
    if (err == NULL) {
        if (!read_item(op, json_get(reply, "Attributes"), op->lease)) {
            *op->lease = op->wanted;
        }
        op_finish(op, NULL);
        return;
    }
    if (err->code == ERR_AWS_NOT_FOUND) {
        table_gone(op, err);
        return;
    }
    if (err->code != ERR_AWS_CONDITION) {
        op_finish(op, err);
        return;
    }
    if (json_get(reply, "Item") != NULL) {
        judge(op, json_get(reply, "Item"));
        return;
    }
    /* Gone, or a server that does not send the item along. */
    struct service_call *call = NULL;
    if (lease_write_key(&op->table->write, op->lease, &op->err)) {
        call = table_get(op->table->service, name_of(op->table), op->table->write.key_json,
                         change_looked, op);
    }
    op_started(op, call);
}

static struct op *new_change(struct lease_table *table, enum lease_change change,
                             struct lease *lease, lease_table_changed *done, void *ctx) {
    struct op *op = op_new(table, NULL, ctx);
    op->changed = done;
    op->change = change;
    op->lease = lease;
    return op;
}

void lease_table_change(struct lease_table *table, enum lease_change change, struct lease *lease,
                        const struct position *checkpoint, lease_table_changed *done, void *ctx) {
    struct op *op = new_change(table, change, lease, done, ctx);
    op->has_checkpoint = checkpoint != NULL;
    if (checkpoint != NULL) {
        op->checkpoint = *checkpoint;
    }
    start_change(op);
}

void lease_table_set_base(struct lease_table *table, struct lease *lease,
                          const struct numbering_base *base, lease_table_changed *done, void *ctx) {
    struct op *op = new_change(table, LEASE_BASE, lease, done, ctx);
    op->base = *base;
    start_change(op);
}
