#include "source/lease.h"

#include <aws/common/json.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>

#include <cmocka.h>

#define ARN "arn:aws:dynamodb:eu-west-1:1:table/t/stream/x"

static const char full_item[] =
    "{\"leaseKey\":{\"S\":\"shardId-00000001541626099285-f35f62ef\"},"
    "\"leaseOwner\":{\"S\":\"host:6a5b\"},\"leaseCounter\":{\"N\":\"41\"},"
    "\"ownerSwitchesSinceCheckpoint\":{\"N\":\"3\"},"
    "\"checkpoint\":{\"S\":\"000000000000000032468\"},"
    "\"checkpointSubSequenceNumber\":{\"N\":\"0\"},"
    "\"parentShardId\":{\"SS\":[\"shardId-00000001541626000000-aaaaaaaa\"]},"
    "\"d2pStream\":{\"S\":\"arn:aws:dynamodb:eu-west-1:1:table/t/stream/x\"},"
    "\"d2pStart\":{\"N\":\"1795441620000\"},\"d2pWantedBy\":{\"S\":\"other:1\"},"
    "\"d2pRead\":{\"N\":\"1795441700000\"},"
    "\"childShardIds\":{\"SS\":[\"c\"]},"
    "\"unknown\":{\"M\":{}}}";

static enum lease_item read_item(const char *text, struct lease *lease, struct err *err) {
    *err = ERR_NONE;
    struct aws_json_value *item =
        aws_json_value_new_from_string(aws_default_allocator(), aws_byte_cursor_from_c_str(text));
    assert_non_null(item);
    enum lease_item result = lease_from_item(item, STR(ARN), lease, err);
    aws_json_value_destroy(item);
    assert_int_equal(err_is_set(err), result == LEASE_ITEM_BROKEN);
    return result;
}

static void test_reads_a_full_item(void **state) {
    (void)state;
    struct lease lease;
    struct err err;
    assert_int_equal(read_item(full_item, &lease, &err), LEASE_ITEM_OK);
    assert_string_equal(lease.key, "shardId-00000001541626099285-f35f62ef");
    assert_string_equal(lease.owner, "host:6a5b");
    assert_int_equal(lease.counter, 41);
    assert_int_equal(lease.owner_switches, 3);
    assert_int_equal(lease.checkpoint.kind, POSITION_SEQUENCE_NUMBER);
    char text[SEQNO_MAX_DIGITS + 1];
    position_format(&lease.checkpoint, text);
    assert_string_equal(text, "000000000000000032468");
    assert_string_equal(lease.parent, "shardId-00000001541626000000-aaaaaaaa");
    assert_int_equal(lease.stream, LEASE_STREAM_OURS);
    assert_string_equal(lease.wanted_by, "other:1");
    assert_int_equal(lease.start_ms, 1795441620000);
    assert_int_equal(lease.read_ms, 1795441700000);
}

static void test_reads_a_javas_smallest_item(void **state) {
    (void)state;
    struct lease lease;
    struct err err;
    assert_int_equal(read_item("{\"leaseKey\":{\"S\":\"s\"},\"leaseCounter\":{\"N\":\"0\"},"
                               "\"checkpoint\":{\"S\":\"TRIM_HORIZON\"}}",
                               &lease, &err),
                     LEASE_ITEM_OK);
    assert_string_equal(lease.owner, "");
    assert_string_equal(lease.parent, "");
    assert_int_equal(lease.stream, LEASE_STREAM_NONE);
    assert_string_equal(lease.wanted_by, "");
    assert_int_equal(lease.counter, 0);
    assert_int_equal(lease.owner_switches, 0);
    assert_int_equal(lease.start_ms, 0);
    assert_int_equal(lease.checkpoint.kind, POSITION_TRIM_HORIZON);
    assert_int_equal(
        read_item("{\"leaseKey\":{\"S\":\"s\"},\"leaseCounter\":{\"N\":\"0\"},"
                  "\"entityType\":{\"S\":\"LEASE\"},\"checkpoint\":{\"S\":\"SHARD_END\"}}",
                  &lease, &err),
        LEASE_ITEM_OK);
    assert_int_equal(lease.checkpoint.kind, POSITION_SHARD_END);
    assert_int_equal(read_item("{\"leaseKey\":{\"S\":\"s\"},\"leaseCounter\":{\"N\":\"0\"},"
                               "\"checkpoint\":{\"S\":\"7\"},\"d2pStream\":{\"S\":\"" ARN "y\"}}",
                               &lease, &err),
                     LEASE_ITEM_OK);
    assert_int_equal(lease.stream, LEASE_STREAM_OTHER);
}

static void test_skips_what_is_no_lease(void **state) {
    (void)state;
    static const char *const items[] = {
        "{}",
        "[]",
        "{\"leaseKey\":{\"S\":\"s\"},\"leaseCounter\":{\"N\":\"0\"}}",
        "{\"leaseKey\":{\"S\":\"s\"},\"checkpoint\":{\"S\":\"LATEST\"}}",
        "{\"leaseKey\":{\"S\":\"s\"},\"leaseCounter\":null,\"checkpoint\":{\"S\":\"LATEST\"}}",
        "{\"leaseKey\":{\"S\":\"Leader\"},\"entityType\":{\"S\":\"LEADER\"},"
        "\"leaseCounter\":{\"N\":\"0\"},\"checkpoint\":{\"S\":\"LATEST\"}}",
        "{\"leaseKey\":{\"S\":\"x\"},\"entityType\":{\"N\":\"1\"},"
        "\"leaseCounter\":{\"N\":\"0\"},\"checkpoint\":{\"S\":\"LATEST\"}}",
    };
    for (size_t i = 0; i < sizeof items / sizeof items[0]; i++) {
        struct lease lease;
        struct err err;
        assert_int_equal(read_item(items[i], &lease, &err), LEASE_ITEM_OTHER);
    }
}

static void expect_broken(const char *attributes, const char *name) {
    char item[2048];
    (void)snprintf(item, sizeof item, "{%s}", attributes);
    struct lease lease;
    struct err err;
    if (read_item(item, &lease, &err) != LEASE_ITEM_BROKEN) {
        fail_msg("not broken: %s", item);
    }
    if (strstr(err.text, name) == NULL) {
        fail_msg("\"%s\" does not name %s", err.text, name);
    }
}

#define KEY "\"leaseKey\":{\"S\":\"s\"},"
#define COUNTER "\"leaseCounter\":{\"N\":\"1\"},"
#define CHECKPOINT "\"checkpoint\":{\"S\":\"LATEST\"}"

/* Java moves the checkpoint and leaves our attributes as they were. */
static void test_an_id_counts_beside_its_checkpoint_only(void **state) {
    (void)state;
    struct lease lease;
    struct err err;
#define NUMBERED(checkpoint)                                                                       \
    "{\"leaseKey\":{\"S\":\"s\"},\"leaseCounter\":{\"N\":\"1\"},\"checkpoint\":{\"S\":"            \
    "\"" checkpoint                                                                                \
    "\"},\"d2pBase\":{\"S\":\"0070 9 4 itemKey/murmur3\"},\"d2pPos\":{\"S\":\"0075 14\"}}"
    assert_int_equal(read_item(NUMBERED("0075"), &lease, &err), LEASE_ITEM_OK);
    assert_true(lease.checkpoint.numbered);
    assert_int_equal(lease.checkpoint.id, 14);
    assert_int_equal(lease.base.id, 9);
    assert_int_equal(lease.base.partitions, 4);
    assert_string_equal(lease.base.routing, "itemKey/murmur3");
    assert_int_equal(read_item(NUMBERED("0076"), &lease, &err), LEASE_ITEM_OK);
    assert_false(lease.checkpoint.numbered);
    assert_int_equal(read_item(NUMBERED("SHARD_END"), &lease, &err), LEASE_ITEM_OK);
    assert_false(lease.checkpoint.numbered);
}

static void test_since_when_nothing_was_read(void **state) {
    (void)state;
    const int64_t hour = 3600 * 1000;
    const int64_t now = 1700000000000 + 30 * hour;
    struct lease lease = {.key = "shardId-00000001700000000000-0000000a"};
    assert_int_equal(lease_unread_since_ms(&lease, now), 1700000000000);
    assert_int_equal(lease_unread_since_ms(&lease, 0), 0);
    assert_int_equal(lease_unread_since_ms(&lease, now + 67 * hour),
                     0); /* its id means something else */
    lease.start_ms = now - 40 * hour;
    assert_int_equal(lease_unread_since_ms(&lease, now), 1700000000000);
    assert_int_equal(lease_unread_since_ms(&lease, 0), now - 40 * hour);
    lease.read_ms = now - 5 * hour;
    assert_int_equal(lease_unread_since_ms(&lease, now), now - 5 * hour);
    lease.start_ms = now - 4 * hour;
    assert_int_equal(lease_unread_since_ms(&lease, now), now - 4 * hour);
    (void)str_copy(STR("shardId-none"), lease.key, sizeof lease.key);
    assert_int_equal(lease_unread_since_ms(&lease, now), now - 4 * hour);
}

static void test_names_what_is_broken(void **state) {
    (void)state;
    expect_broken(COUNTER CHECKPOINT, "leaseKey");
    expect_broken("\"leaseKey\":{\"S\":\"\"}," COUNTER CHECKPOINT, "leaseKey");
    expect_broken("\"leaseKey\":{\"N\":\"1\"}," COUNTER CHECKPOINT, "leaseKey");
    expect_broken("\"leaseKey\":\"s\"," COUNTER CHECKPOINT, "leaseKey");
    expect_broken(KEY "\"leaseCounter\":{\"S\":\"1\"}," CHECKPOINT, "leaseCounter");
    expect_broken(KEY "\"leaseCounter\":{\"N\":\"-1\"}," CHECKPOINT, "leaseCounter");
    expect_broken(KEY "\"leaseCounter\":{\"N\":\"1.5\"}," CHECKPOINT, "leaseCounter");
    expect_broken(KEY "\"leaseCounter\":{\"N\":1}," CHECKPOINT, "leaseCounter");
    expect_broken(KEY COUNTER "\"checkpoint\":{\"S\":\"soon\"}", "checkpoint");
    expect_broken(KEY COUNTER "\"checkpoint\":{\"S\":\"\"}", "checkpoint");
    expect_broken(KEY COUNTER "\"checkpoint\":{\"N\":\"1\"}", "checkpoint");
    expect_broken(KEY COUNTER CHECKPOINT ",\"parentShardId\":{\"S\":\"p\"}", "parentShardId");
    expect_broken(KEY COUNTER CHECKPOINT ",\"parentShardId\":{\"SS\":[]}", "parentShardId");
    expect_broken(KEY COUNTER CHECKPOINT ",\"parentShardId\":{\"SS\":[1]}", "parentShardId");
    expect_broken(KEY COUNTER CHECKPOINT ",\"parentShardId\":{\"SS\":\"p\"}", "parentShardId");
    expect_broken(KEY COUNTER CHECKPOINT ",\"leaseOwner\":{\"NULL\":true}", "leaseOwner");
    expect_broken(KEY COUNTER CHECKPOINT ",\"ownerSwitchesSinceCheckpoint\":{\"N\":\"x\"}",
                  "ownerSwitchesSinceCheckpoint");
    expect_broken(KEY COUNTER CHECKPOINT ",\"d2pStart\":{\"N\":\"9223372036854775808\"}",
                  "d2pStart");
    expect_broken(KEY COUNTER CHECKPOINT ",\"d2pBase\":{\"S\":\"7 1 0 r\"}", "d2pBase");
    expect_broken(KEY COUNTER CHECKPOINT ",\"d2pPos\":{\"S\":\"7\"}", "d2pPos");
    expect_broken(KEY COUNTER CHECKPOINT ",\"d2pPos\":{\"S\":\"7 x\"}", "d2pPos");
    expect_broken(KEY COUNTER CHECKPOINT ",\"d2pRead\":{\"N\":\"9223372036854775808\"}", "d2pRead");
    char owner[512];
    char item[1024];
    memset(owner, 'o', LEASE_OWNER_MAX);
    owner[LEASE_OWNER_MAX] = '\0'; /* one more than fits with its NUL */
    (void)snprintf(item, sizeof item, KEY COUNTER CHECKPOINT ",\"leaseOwner\":{\"S\":\"%s\"}",
                   owner);
    expect_broken(item, "leaseOwner");
}

/* ---- writes ---- */

static void assert_text(struct str text, const char *expected) {
    char copy[4096];
    assert_true(str_copy(text, copy, sizeof copy));
    assert_string_equal(copy, expected);
}

/* DynamoDB refuses a placeholder that is declared and not used, or used and not declared. */
static bool used(const struct table_expression *expression, struct str placeholder) {
    struct str texts[] = {expression->condition, expression->update};
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
        for (size_t at = 0; at + placeholder.len <= texts[i].len; at++) {
            struct str part = str_make(texts[i].ptr + at, placeholder.len);
            char next = at + placeholder.len < texts[i].len ? part.ptr[part.len] : ' ';
            bool ends = !(next >= 'a' && next <= 'z') && !(next >= 'A' && next <= 'Z');
            if (ends && str_equal(part, placeholder)) {
                return true;
            }
        }
    }
    return false;
}

struct declared {
    const struct table_expression *expression;
    size_t count;
};

static int check_declared(const struct aws_byte_cursor *key, const struct aws_json_value *value,
                          bool *go_on, void *ctx) {
    (void)value;
    *go_on = true;
    struct declared *declared = ctx;
    if (!used(declared->expression, str_make((const char *)key->ptr, key->len))) {
        fail_msg("%.*s is not used", (int)key->len, (const char *)key->ptr);
    }
    declared->count++;
    return AWS_OP_SUCCESS;
}

static size_t count_declared(const struct table_expression *expression, struct str json) {
    struct aws_json_value *object = aws_json_value_new_from_string(
        aws_default_allocator(), aws_byte_cursor_from_array(json.ptr, json.len));
    assert_non_null(object);
    struct declared declared = {.expression = expression};
    assert_int_equal(aws_json_const_iterate_object(object, check_declared, &declared),
                     AWS_OP_SUCCESS);
    aws_json_value_destroy(object);
    return declared.count;
}

static size_t count_used(struct str text, char mark, struct str *seen, size_t count) {
    for (size_t i = 0; i < text.len; i++) {
        if (text.ptr[i] != mark) {
            continue;
        }
        size_t end = i + 1;
        while (end < text.len && ((text.ptr[end] >= 'a' && text.ptr[end] <= 'z') ||
                                  (text.ptr[end] >= 'A' && text.ptr[end] <= 'Z'))) {
            end++;
        }
        struct str one = str_make(text.ptr + i, end - i);
        size_t at = 0;
        while (at < count && !str_equal(seen[at], one)) {
            at++;
        }
        if (at == count) {
            assert_true(count < 16);
            seen[count++] = one;
        }
    }
    return count;
}

static void assert_placeholders(const struct table_expression *expression) {
    struct str seen[16];
    size_t names = count_used(expression->condition, '#', seen, 0);
    names = count_used(expression->update, '#', seen, names);
    assert_int_equal(count_declared(expression, expression->names_json), names);
    if (expression->values_json.ptr != NULL) {
        size_t values = count_used(expression->condition, ':', seen, 0);
        values = count_used(expression->update, ':', seen, values);
        assert_int_equal(count_declared(expression, expression->values_json), values);
    }
}

static struct lease sample(void) {
    struct lease lease;
    struct err err;
    assert_int_equal(read_item(full_item, &lease, &err), LEASE_ITEM_OK);
    (void)str_copy(STR("shard-1"), lease.key, sizeof lease.key);
    return lease;
}

static struct position at(const char *text) {
    struct position position;
    assert_true(position_parse(str_of(text), &position));
    return position;
}

static void test_create(void **state) {
    (void)state;
    struct lease_write write;
    struct err err = ERR_NONE;
    lease_write_init(&write);
    struct lease lease = sample();
    lease.checkpoint = at("TRIM_HORIZON");
    assert_true(lease_write_create(&write, &lease, STR(ARN), &err));
    assert_text(write.key_json,
                "{\"leaseKey\":{\"S\":\"shard-1\"},\"leaseCounter\":{\"N\":\"0\"},"
                "\"ownerSwitchesSinceCheckpoint\":{\"N\":\"0\"},"
                "\"checkpoint\":{\"S\":\"TRIM_HORIZON\"},"
                "\"checkpointSubSequenceNumber\":{\"N\":\"0\"},"
                "\"parentShardId\":{\"SS\":[\"shardId-00000001541626000000-aaaaaaaa\"]},"
                "\"d2pStream\":{\"S\":\"arn:aws:dynamodb:eu-west-1:1:table/t/stream/x\"},"
                "\"d2pStart\":{\"N\":\"1795441620000\"},"
                "\"d2pRead\":{\"N\":\"1795441700000\"}}");
    assert_text(write.expression.condition, "attribute_not_exists(#key)");
    assert_int_equal(write.expression.update.len, 0);
    assert_placeholders(&write.expression);

    struct lease root = {.key = "a \"b\"", .checkpoint = {.kind = POSITION_LATEST}};
    assert_true(lease_write_create(&write, &root, STR(ARN), &err));
    assert_text(write.key_json,
                "{\"leaseKey\":{\"S\":\"a \\\"b\\\"\"},\"leaseCounter\":{\"N\":\"0\"},"
                "\"ownerSwitchesSinceCheckpoint\":{\"N\":\"0\"},"
                "\"checkpoint\":{\"S\":\"LATEST\"},"
                "\"checkpointSubSequenceNumber\":{\"N\":\"0\"},\"d2pStream\":{\"S\":\"" ARN "\"}}");

    /* what is written is what is read */
    char item[4096];
    assert_true(lease_write_create(&write, &lease, STR(ARN), &err));
    assert_true(str_copy(write.key_json, item, sizeof item));
    struct lease again;
    assert_int_equal(read_item(item, &again, &err), LEASE_ITEM_OK);
    assert_string_equal(again.key, lease.key);
    assert_string_equal(again.owner, "");
    assert_string_equal(again.parent, lease.parent);
    assert_int_equal(again.stream, LEASE_STREAM_OURS);
    assert_int_equal(again.start_ms, lease.start_ms);
    assert_int_equal(again.read_ms, lease.read_ms);
    assert_int_equal(again.counter, 0);
    lease_write_done(&write);
}

static void test_take(void **state) {
    (void)state;
    struct lease_write write;
    struct err err = ERR_NONE;
    lease_write_init(&write);
    struct lease lease = sample();
    assert_true(lease_write_take(&write, &lease, STR("me:1"), &err));
    assert_text(write.key_json, "{\"leaseKey\":{\"S\":\"shard-1\"}}");
    assert_text(write.expression.condition, "#counter = :old");
    assert_text(write.expression.update,
                "SET #counter = :new, #owner = :me REMOVE #wanted ADD #switches :one");
    assert_text(
        write.expression.names_json,
        "{\"#counter\":\"leaseCounter\",\"#owner\":\"leaseOwner\",\"#wanted\":\"d2pWantedBy\","
        "\"#switches\":\"ownerSwitchesSinceCheckpoint\"}");
    assert_text(write.expression.values_json,
                "{\":old\":{\"N\":\"41\"},\":new\":{\"N\":\"42\"},\":me\":{\"S\":\"me:1\"},"
                "\":one\":{\"N\":\"1\"}}");
    assert_placeholders(&write.expression);

    /* nobody's, or mine before: no switch */
    static const char *const owners[] = {"", "me:1"};
    for (size_t i = 0; i < 2; i++) {
        (void)str_copy(str_of(owners[i]), lease.owner, sizeof lease.owner);
        assert_true(lease_write_take(&write, &lease, STR("me:1"), &err));
        assert_text(write.expression.update, "SET #counter = :new, #owner = :me REMOVE #wanted");
        assert_placeholders(&write.expression);
    }
    lease_write_done(&write);
}

static void test_renew_and_key(void **state) {
    (void)state;
    struct lease_write write;
    struct err err = ERR_NONE;
    lease_write_init(&write);
    struct lease lease = sample();
    assert_true(lease_write_renew(&write, &lease, &err));
    assert_text(write.key_json, "{\"leaseKey\":{\"S\":\"shard-1\"}}");
    assert_text(write.expression.condition, "#counter = :old");
    assert_text(write.expression.update, "SET #counter = :new");
    assert_true(write.expression.return_new);
    assert_text(write.expression.values_json, "{\":old\":{\"N\":\"41\"},\":new\":{\"N\":\"42\"}}");
    assert_placeholders(&write.expression);

    /* until there is a number */
    lease.checkpoint = at("TRIM_HORIZON");
    assert_true(lease_write_renew(&write, &lease, &err));
    assert_text(write.expression.update, "SET #counter = :new, #read = :read");
    assert_text(write.expression.names_json,
                "{\"#counter\":\"leaseCounter\",\"#read\":\"d2pRead\"}");
    assert_text(write.expression.values_json, "{\":old\":{\"N\":\"41\"},\":new\":{\"N\":\"42\"},"
                                              "\":read\":{\"N\":\"1795441700000\"}}");
    assert_placeholders(&write.expression);
    lease.read_ms = 0;
    assert_true(lease_write_renew(&write, &lease, &err));
    assert_text(write.expression.update, "SET #counter = :new");
    assert_placeholders(&write.expression);

    assert_true(lease_write_key(&write, &lease, &err));
    assert_text(write.key_json, "{\"leaseKey\":{\"S\":\"shard-1\"}}");
    assert_int_equal(write.expression.condition.len, 0);
    assert_int_equal(write.expression.values_json.len, 0);
    lease_write_done(&write);
}

static void test_checkpoint(void **state) {
    (void)state;
    struct lease_write write;
    struct err err = ERR_NONE;
    lease_write_init(&write);
    struct lease lease = sample();
    struct position position = at("000000000000000032470");
    assert_true(lease_write_checkpoint(&write, &lease, &position, &err));
    assert_text(write.expression.condition, "#counter = :old AND #checkpoint <> :end");
    assert_text(write.expression.update,
                "SET #counter = :new, #checkpoint = :checkpoint, #sub = :zero, #switches = :zero "
                "REMOVE #pending, #pendingSub");
    assert_text(write.expression.values_json,
                "{\":old\":{\"N\":\"41\"},\":new\":{\"N\":\"42\"},"
                "\":checkpoint\":{\"S\":\"000000000000000032470\"},\":zero\":{\"N\":\"0\"},"
                "\":end\":{\"S\":\"SHARD_END\"}}");
    assert_placeholders(&write.expression);

    position = at("SHARD_END");
    assert_true(lease_write_checkpoint(&write, &lease, &position, &err));
    assert_text(write.expression.condition, "#counter = :old");
    assert_text(write.expression.values_json,
                "{\":old\":{\"N\":\"41\"},\":new\":{\"N\":\"42\"},"
                "\":checkpoint\":{\"S\":\"SHARD_END\"},\":zero\":{\"N\":\"0\"}}");
    assert_placeholders(&write.expression);
    lease_write_done(&write);
}

/* The id goes with every write of a checkpoint. */
static void test_numbered(void **state) {
    (void)state;
    struct lease_write write;
    struct err err = ERR_NONE;
    lease_write_init(&write);
    struct lease lease = sample();
    struct position position = at("0075");
    position.numbered = true;
    position.id = 14;
    assert_true(lease_write_checkpoint(&write, &lease, &position, &err));
    assert_text(write.expression.update,
                "SET #counter = :new, #checkpoint = :checkpoint, #sub = :zero, #switches = :zero, "
                "#pos = :pos REMOVE #pending, #pendingSub");
    assert_text(write.expression.values_json,
                "{\":old\":{\"N\":\"41\"},\":new\":{\"N\":\"42\"},"
                "\":checkpoint\":{\"S\":\"0075\"},\":zero\":{\"N\":\"0\"},"
                "\":end\":{\"S\":\"SHARD_END\"},\":pos\":{\"S\":\"0075 14\"}}");
    assert_placeholders(&write.expression);
    assert_true(lease_write_release(&write, &lease, &position, &err));
    assert_placeholders(&write.expression);
    assert_true(lease_write_hand_over(&write, &lease, STR("other:1"), &position, &err));
    assert_placeholders(&write.expression);

    struct numbering_base base = {.id = 9, .partitions = 4, .routing = "itemKey/murmur3"};
    base.seqno = at("0070").seqno;
    assert_true(lease_write_base(&write, &lease, &base, &err));
    assert_text(write.expression.condition, "#counter = :old");
    assert_text(write.expression.update, "SET #counter = :new, #base = :base");
    assert_text(write.expression.values_json, "{\":old\":{\"N\":\"41\"},\":new\":{\"N\":\"42\"},"
                                              "\":base\":{\"S\":\"0070 9 4 itemKey/murmur3\"}}");
    assert_placeholders(&write.expression);
    lease_write_done(&write);
}

static void test_release(void **state) {
    (void)state;
    struct lease_write write;
    struct err err = ERR_NONE;
    lease_write_init(&write);
    struct lease lease = sample();
    assert_true(lease_write_release(&write, &lease, NULL, &err));
    assert_text(write.expression.condition, "#counter = :old");
    assert_text(write.expression.update, "SET #counter = :new REMOVE #owner, #wanted");
    assert_placeholders(&write.expression);

    struct position position = at("77");
    assert_true(lease_write_release(&write, &lease, &position, &err));
    assert_text(write.expression.condition, "#counter = :old AND #checkpoint <> :end");
    assert_text(write.expression.update,
                "SET #counter = :new, #checkpoint = :checkpoint, #sub = :zero, #switches = :zero "
                "REMOVE #pending, #pendingSub, #owner, #wanted");
    assert_placeholders(&write.expression);

    position = at("SHARD_END");
    assert_true(lease_write_release(&write, &lease, &position, &err));
    assert_text(write.expression.condition, "#counter = :old");
    assert_placeholders(&write.expression);
    lease_write_done(&write);
}

static void test_want_and_hand_over(void **state) {
    (void)state;
    struct lease_write write;
    struct err err = ERR_NONE;
    lease_write_init(&write);
    struct lease lease = sample();
    assert_true(lease_write_want(&write, &lease, STR("me:1"), &err));
    assert_text(write.key_json, "{\"leaseKey\":{\"S\":\"shard-1\"}}");
    assert_text(write.expression.condition, "#owner = :owner");
    assert_text(write.expression.update, "SET #wanted = :me");
    assert_text(write.expression.values_json,
                "{\":owner\":{\"S\":\"host:6a5b\"},\":me\":{\"S\":\"me:1\"}}");
    assert_placeholders(&write.expression);

    assert_true(lease_write_unwant(&write, &lease, STR("me:1"), &err));
    assert_text(write.expression.condition, "#wanted = :me");
    assert_text(write.expression.update, "REMOVE #wanted");
    assert_placeholders(&write.expression);

    assert_true(lease_write_hand_over(&write, &lease, STR("other:1"), NULL, &err));
    assert_text(write.expression.condition, "#counter = :old AND #wanted = :to");
    assert_text(write.expression.update,
                "SET #counter = :new, #owner = :to REMOVE #wanted ADD #switches :one");
    assert_text(write.expression.values_json,
                "{\":old\":{\"N\":\"41\"},\":new\":{\"N\":\"42\"},\":to\":{\"S\":\"other:1\"},"
                "\":one\":{\"N\":\"1\"}}");
    assert_placeholders(&write.expression);

    struct position position = at("77");
    assert_true(lease_write_hand_over(&write, &lease, STR("other:1"), &position, &err));
    assert_text(write.expression.condition,
                "#counter = :old AND #checkpoint <> :end AND #wanted = :to");
    assert_text(write.expression.update,
                "SET #counter = :new, #checkpoint = :checkpoint, #sub = :zero, #switches = :zero, "
                "#owner = :to REMOVE #pending, #pendingSub, #wanted");
    assert_placeholders(&write.expression);
    lease_write_done(&write);
}

static void test_reset(void **state) {
    (void)state;
    struct lease_write write;
    struct err err = ERR_NONE;
    lease_write_init(&write);
    struct lease lease = sample();
    struct lease_place place = {.checkpoint = at("TRIM_HORIZON"), .read_ms = 1690000000000};
    assert_true(lease_write_reset(&write, &lease, &place, &err));
    assert_text(write.expression.condition, "#counter = :old"); /* SHARD_END is written over */
    assert_text(write.expression.update,
                "SET #counter = :new, #checkpoint = :checkpoint, #sub = :zero, #switches = :zero, "
                "#read = :read REMOVE #pending, #pendingSub, #owner, #wanted, #base, #pos, #start");
    assert_placeholders(&write.expression);
    place.checkpoint = at("LATEST");
    place.start_ms = 1700000000000;
    assert_true(lease_write_reset(&write, &lease, &place, &err));
    assert_text(write.expression.update,
                "SET #counter = :new, #checkpoint = :checkpoint, #sub = :zero, #switches = :zero, "
                "#read = :read, #start = :start REMOVE #pending, #pendingSub, #owner, #wanted, "
                "#base, #pos");
    assert_text(write.expression.values_json,
                "{\":old\":{\"N\":\"41\"},\":new\":{\"N\":\"42\"},"
                "\":checkpoint\":{\"S\":\"LATEST\"},\":read\":{\"N\":\"1690000000000\"},"
                "\":zero\":{\"N\":\"0\"},"
                "\":start\":{\"N\":\"1700000000000\"}}");
    assert_placeholders(&write.expression);
    lease_write_done(&write);
}

static void test_delete(void **state) {
    (void)state;
    struct lease_write write;
    struct err err = ERR_NONE;
    lease_write_init(&write);
    struct lease lease = sample();
    assert_true(lease_write_delete(&write, &lease, &err));
    assert_text(write.key_json, "{\"leaseKey\":{\"S\":\"shard-1\"}}");
    assert_text(write.expression.condition, "#counter = :old");
    assert_text(write.expression.values_json, "{\":old\":{\"N\":\"41\"}}");
    assert_int_equal(write.expression.update.len, 0);
    assert_placeholders(&write.expression);
    lease_write_done(&write);
}

static void test_too_large_is_an_error(void **state) {
    (void)state;
    struct lease_write write;
    lease_write_init(&write);
    buf_done(&write.buf);
    buf_init(&write.buf, 64);
    struct lease lease = sample();
    struct position position = at("5");
    struct err err = ERR_NONE;
    assert_false(lease_write_create(&write, &lease, STR(ARN), &err));
    assert_int_equal(err.code, ERR_INTERNAL);
    err = ERR_NONE;
    assert_false(lease_write_checkpoint(&write, &lease, &position, &err));
    assert_int_equal(err.code, ERR_INTERNAL);
    assert_true(lease_write_key(&write, &lease, &err)); /* that fits again */
    lease_write_done(&write);
}

int main(void) {
    aws_common_library_init(aws_default_allocator());
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_reads_a_full_item),
        cmocka_unit_test(test_reads_a_javas_smallest_item),
        cmocka_unit_test(test_skips_what_is_no_lease),
        cmocka_unit_test(test_since_when_nothing_was_read),
        cmocka_unit_test(test_names_what_is_broken),
        cmocka_unit_test(test_an_id_counts_beside_its_checkpoint_only),
        cmocka_unit_test(test_create),
        cmocka_unit_test(test_take),
        cmocka_unit_test(test_renew_and_key),
        cmocka_unit_test(test_checkpoint),
        cmocka_unit_test(test_numbered),
        cmocka_unit_test(test_release),
        cmocka_unit_test(test_want_and_hand_over),
        cmocka_unit_test(test_delete),
        cmocka_unit_test(test_reset),
        cmocka_unit_test(test_too_large_is_an_error),
    };
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    aws_common_library_clean_up();
    return failed;
}
