/*
 * fuzz_lease: an item of the lease table, which anybody may have written, and what we would write over it.
 *
 * Input: the item as DynamoDB's JSON.
 */
#include "fuzz/fuzz.h"
#include "source/lease.h"

#include <aws/common/json.h>

#define ARN STR("arn:aws:dynamodb:us-east-1:1:table/t/stream/x")

static void check_json(struct str text) {
    struct aws_json_value *value = aws_json_value_new_from_string(
        aws_default_allocator(), aws_byte_cursor_from_array(text.ptr, text.len));
    assert(value != NULL);
    aws_json_value_destroy(value);
}

static void check_write(bool ok, const struct lease_write *write, const struct err *err) {
    assert(ok != err_is_set(err));
    if (ok) {
        check_json(write->key_json);
        check_json(write->expression.names_json);
        if (write->expression.values_json.len > 0) {
            check_json(write->expression.values_json);
        }
    }
}

/* What is written of it is what was read. */
static void check_again(struct lease_write *write, const struct lease *lease) {
    struct err err = ERR_NONE;
    if (!lease_write_create(write, lease, ARN, &err)) {
        return;
    }
    struct aws_json_value *item = aws_json_value_new_from_string(
        aws_default_allocator(),
        aws_byte_cursor_from_array(write->key_json.ptr, write->key_json.len));
    struct lease again;
    assert(item != NULL && lease_from_item(item, ARN, &again, &err) == LEASE_ITEM_OK);
    assert(strcmp(again.key, lease->key) == 0 && strcmp(again.parent, lease->parent) == 0);
    assert(position_compare(&again.checkpoint, &lease->checkpoint) == 0);
    assert(again.start_ms == lease->start_ms && again.counter == 0);
    aws_json_value_destroy(item);
}

static void write_all(const struct lease *lease) {
    struct lease_write write;
    lease_write_init(&write);
    struct position position = lease->checkpoint;
    struct err err = ERR_NONE;
    check_write(lease_write_take(&write, lease, STR("me:1"), &err), &write, &err);
    check_write(lease_write_renew(&write, lease, &err), &write, &err);
    check_write(lease_write_checkpoint(&write, lease, &position, &err), &write, &err);
    check_write(lease_write_release(&write, lease, &position, &err), &write, &err);
    check_write(lease_write_want(&write, lease, STR("me:1"), &err), &write, &err);
    check_write(lease_write_hand_over(&write, lease, str_of(lease->wanted_by), &position, &err),
                &write, &err);
    struct lease_place place = {
        .checkpoint = position, .start_ms = lease->start_ms, .read_ms = lease->read_ms};
    check_write(lease_write_reset(&write, lease, &place, &err), &write, &err);
    if (seqno_is_set(&lease->base.seqno)) {
        check_write(lease_write_base(&write, lease, &lease->base, &err), &write, &err);
    }
    check_again(&write, lease);
    lease_write_done(&write);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    static bool ready = false;
    if (!ready) {
        aws_common_library_init(aws_default_allocator());
        ready = true;
    }
    struct aws_json_value *item = aws_json_value_new_from_string(
        aws_default_allocator(), aws_byte_cursor_from_array(data, size));
    if (item == NULL) {
        return 0;
    }
    struct lease lease;
    struct err err = ERR_NONE;
    enum lease_item kind = lease_from_item(item, ARN, &lease, &err);
    assert((kind == LEASE_ITEM_BROKEN) == err_is_set(&err));
    if (kind == LEASE_ITEM_OK) {
        assert(lease.key[0] != '\0' && lease.start_ms >= 0);
        write_all(&lease);
    }
    (void)lease_item_stream(item);
    aws_json_value_destroy(item);
    return 0;
}
