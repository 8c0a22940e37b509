#include "fakes/fake_aws.h"

#include "cmocka_all.h"

#include <stdio.h>
#include <stdlib.h>

static struct fake_aws aws;
static char reply_text[65536];
static unsigned reply_status;

/* One call; the reply is in reply_status and reply_text. */
static void call_at(int64_t now_ms, const char *op, const char *body) {
    char target[64];
    (void)snprintf(target, sizeof target, "DynamoDB_20120810.%s", op);
    struct fake_aws_request request = {.target = str_of(target), .body = str_of(body)};
    struct fake_reply reply;
    fake_reply_init(&reply);
    fake_aws_handle(&aws, &request, now_ms, &reply);
    reply_status = reply.status;
    assert_true(str_copy(buf_str(&reply.body), reply_text, sizeof reply_text));
    fake_reply_done(&reply);
}

static void call(const char *op, const char *body) {
    call_at(1000, op, body);
}

static void assert_reply(unsigned status, const char *text) {
    if (reply_status != status || strstr(reply_text, text) == NULL) {
        fail_msg("%u %s, wanted %u with %s", reply_status, reply_text, status, text);
    }
}

static void put(const char *item) {
    struct err err = ERR_NONE;
    char line[1024];
    (void)snprintf(line, sizeof line, "item leases %s", item);
    if (!fake_aws_script(&aws, str_of(line), 0, &err)) {
        fail_msg("%s", err.text);
    }
}

static void assert_item(const char *key, const char *wanted) {
    char *item = fake_tables_item(&aws.tables, STR("leases"), str_of(key));
    if (wanted == NULL) {
        assert_null(item);
    } else {
        assert_non_null(item);
        assert_string_equal(item, wanted);
    }
    free(item);
}

static int setup(void **state) {
    (void)state;
    fake_aws_init(&aws);
    call("CreateTable", "{\"TableName\":\"leases\",\"BillingMode\":\"PAY_PER_REQUEST\","
                        "\"KeySchema\":[{\"AttributeName\":\"leaseKey\",\"KeyType\":\"HASH\"}],"
                        "\"AttributeDefinitions\":[{\"AttributeName\":\"leaseKey\","
                        "\"AttributeType\":\"S\"}]}");
    assert_reply(200, "\"TableStatus\":\"ACTIVE\"");
    put("{\"leaseKey\":{\"S\":\"a\"},\"leaseCounter\":{\"N\":\"7\"},\"leaseOwner\":{\"S\":\"me\"}"
        "}");
    return 0;
}

static int teardown(void **state) {
    (void)state;
    fake_aws_done(&aws);
    return 0;
}

#define UPDATE(rest) "{\"TableName\":\"leases\",\"Key\":{\"leaseKey\":{\"S\":\"a\"}}," rest "}"
#define VALUES(rest) "\"ExpressionAttributeValues\":{" rest "}"

/* ---- conditions ---- */

static void conditions_mean_what_they_say(void **state) {
    (void)state;
    static const struct {
        const char *condition;
        bool holds;
    } cases[] = {
        {"attribute_exists(leaseOwner)", true},
        {"attribute_not_exists(leaseOwner)", false},
        {"attribute_not_exists(nothing)", true},
        {"leaseCounter = :seven", true},
        {"leaseCounter <> :seven", false},
        {"leaseOwner = :me", true},
        {"leaseOwner = :seven", false}, /* another type */
        {"nothing = :me", false},
        {"nothing <> :me", true},
        {":me = leaseOwner", true},
        {"leaseCounter < :seven", false},
        {"leaseCounter <= :seven", true},
        {"leaseCounter > :seven", false},
        {"leaseCounter >= :seven", true},
        {"nothing < :me", false},
        {"leaseCounter=:seven AND leaseOwner=:me", true},
        {"leaseCounter = :seven and nothing = :me", false},
        {"leaseCounter <> :seven OR leaseOwner = :me", true},
        {"NOT leaseOwner = :me", false},
        {"NOT (leaseOwner = :me AND nothing = :me)", true},
        /* AND binds closer than OR. */
        {"leaseOwner = :me OR nothing = :me AND nothing = :me", true},
        {"(leaseOwner = :me OR nothing = :me) AND nothing = :me", false},
        {"#o = :me AND attribute_exists(#o)", true},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        char body[1024];
        /* The update uses all placeholders, so that no condition leaves one unused. */
        (void)snprintf(body, sizeof body,
                       UPDATE("\"ConditionExpression\":\"%s\","
                              "\"UpdateExpression\":\"SET x = :seven, y = :me REMOVE #z, #p\","
                              "\"ExpressionAttributeNames\":{\"#z\":\"z\",\"#p\":\"p\"%s}," VALUES(
                                  "\":seven\":{\"N\":\"7\"},\":me\":{\"S\":\"me\"}")),
                       cases[i].condition,
                       strchr(cases[i].condition, '#') ? ",\"#o\":\"leaseOwner\"" : "");
        call("UpdateItem", body);
        if (cases[i].holds) {
            assert_reply(200, "{}");
        } else {
            assert_reply(400, "dynamodb.v20120810#ConditionalCheckFailedException");
        }
    }
}

static void numbers_compare_by_value(void **state) {
    (void)state;
    call("UpdateItem",
         UPDATE("\"ConditionExpression\":\"leaseCounter = :c\"," VALUES("\":c\":{\"N\":\"007\"}")));
    assert_reply(200, "{}");
    call("UpdateItem", UPDATE("\"ConditionExpression\":\"leaseCounter > :c\"," VALUES(
                           "\":c\":{\"N\":\"-100\"}")));
    assert_reply(200, "{}");
}

static void broken_expressions_are_refused(void **state) {
    (void)state;
    static const char *const conditions[] = {
        "",        "leaseCounter",        "leaseCounter =", "= :c",          "leaseCounter = :d",
        "#n = :c", "leaseCounter = :c )", "(a = :c",        "a = :c AND",    "a == :c",
        "a ! :c",  "attribute_exists a",  "a = :c, b = :c", "a = :c b = :c", "NOT",
    };
    for (size_t i = 0; i < sizeof conditions / sizeof conditions[0]; i++) {
        char body[512];
        (void)snprintf(body, sizeof body,
                       UPDATE("\"ConditionExpression\":\"%s\"," VALUES("\":c\":{\"N\":\"7\"}")),
                       conditions[i]);
        call("UpdateItem", body);
        assert_reply(400, "com.amazon.coral.validate#ValidationException");
    }
    char deep[600] = "";
    memset(deep, '(', 100);
    (void)snprintf(deep + 100, sizeof deep - 100, "a = :c");
    memset(deep + 106, ')', 100);
    char body[1024];
    (void)snprintf(body, sizeof body,
                   UPDATE("\"ConditionExpression\":\"%s\"," VALUES("\":c\":{\"N\":\"7\"}")), deep);
    call("UpdateItem", body);
    assert_reply(400, "ValidationException");
}

static void what_no_expression_uses_is_refused(void **state) {
    (void)state;
    call("UpdateItem", UPDATE("\"UpdateExpression\":\"SET x = :x\"," VALUES(
                           "\":x\":{\"N\":\"1\"},\":y\":{\"N\":\"1\"}")));
    assert_reply(400, "unused in expressions: keys: {:y}");
    call("UpdateItem", UPDATE("\"UpdateExpression\":\"REMOVE x\","
                              "\"ExpressionAttributeNames\":{\"#n\":\"x\"}"));
    assert_reply(400, "unused in expressions: keys: {#n}");
    assert_item("a", "{\"leaseKey\":{\"S\":\"a\"},\"leaseCounter\":{\"N\":\"7\"},"
                     "\"leaseOwner\":{\"S\":\"me\"}}");
}

static void a_failed_condition_shows_the_item_on_request(void **state) {
    (void)state;
    call("UpdateItem", UPDATE("\"ConditionExpression\":\"leaseCounter = :c\","
                              "\"ReturnValuesOnConditionCheckFailure\":\"ALL_OLD\"," VALUES(
                                  "\":c\":{\"N\":\"1\"}")));
    assert_reply(400, "\"Item\":{\"leaseKey\":{\"S\":\"a\"},\"leaseCounter\":{\"N\":\"7\"}");
    call("UpdateItem",
         UPDATE("\"ConditionExpression\":\"leaseCounter = :c\"," VALUES("\":c\":{\"N\":\"1\"}")));
    assert_reply(400, "ConditionalCheckFailedException");
    assert_null(strstr(reply_text, "\"Item\""));
}

/* ---- updates ---- */

static void updates_change_what_they_name(void **state) {
    (void)state;
    call("UpdateItem",
         UPDATE("\"UpdateExpression\":\"SET leaseCounter = leaseCounter + :one, #c = :cp, "
                "first = if_not_exists(first, :one) REMOVE leaseOwner, nothing ADD switches :one\","
                "\"ReturnValues\":\"ALL_NEW\",\"ExpressionAttributeNames\":{\"#c\":\"checkpoint\"}"
                "," VALUES("\":one\":{\"N\":\"1\"},\":cp\":{\"S\":\"SHARD_END\"}")));
    assert_reply(200, "{\"Attributes\":{\"leaseKey\":{\"S\":\"a\"},\"leaseCounter\":{\"N\":\"8\"},"
                      "\"checkpoint\":{\"S\":\"SHARD_END\"},\"first\":{\"N\":\"1\"},"
                      "\"switches\":{\"N\":\"1\"}}}");
    call("UpdateItem", UPDATE("\"UpdateExpression\":\"SET leaseCounter = leaseCounter - :two ADD "
                              "switches :two\"," VALUES("\":two\":{\"N\":\"2\"}")));
    assert_reply(200, "{}");
    assert_item("a", "{\"leaseKey\":{\"S\":\"a\"},\"leaseCounter\":{\"N\":\"6\"},"
                     "\"checkpoint\":{\"S\":\"SHARD_END\"},\"first\":{\"N\":\"1\"},"
                     "\"switches\":{\"N\":\"3\"}}");
}

static void right_hand_sides_see_the_item_as_it_was(void **state) {
    (void)state;
    put("{\"leaseKey\":{\"S\":\"a\"},\"x\":{\"N\":\"1\"},\"y\":{\"N\":\"2\"}}");
    call("UpdateItem", UPDATE("\"UpdateExpression\":\"SET x = y, y = x\""));
    assert_reply(200, "{}");
    assert_item("a", "{\"leaseKey\":{\"S\":\"a\"},\"x\":{\"N\":\"2\"},\"y\":{\"N\":\"1\"}}");
}

static void wrong_updates_change_nothing(void **state) {
    (void)state;
    static const char *const updates[] = {
        "SET",
        "SET leaseCounter",
        "SET leaseCounter = nothing",         /* not in the item */
        "SET leaseCounter = leaseOwner + :c", /* no number */
        "SET leaseKey = :c",                  /* the key */
        "SET x = :c, x = :c",                 /* twice */
        "SET x = :c REMOVE x",                /* twice */
        "SET x = :c SET y = :c",              /* one clause of a kind */
        "DELETE x :c",                        /* not known here */
        "ADD leaseOwner :c",                  /* no number */
        "SET x = :c,",
        "x = :c",
    };
    for (size_t i = 0; i < sizeof updates / sizeof updates[0]; i++) {
        char body[512];
        (void)snprintf(body, sizeof body,
                       UPDATE("\"UpdateExpression\":\"%s\"," VALUES("\":c\":{\"N\":\"1\"}")),
                       updates[i]);
        call("UpdateItem", body);
        assert_reply(400, "ValidationException");
    }
    assert_item("a", "{\"leaseKey\":{\"S\":\"a\"},\"leaseCounter\":{\"N\":\"7\"},"
                     "\"leaseOwner\":{\"S\":\"me\"}}");
}

static void an_update_of_no_item_makes_one(void **state) {
    (void)state;
    call("UpdateItem", "{\"TableName\":\"leases\",\"Key\":{\"leaseKey\":{\"S\":\"new\"}},"
                       "\"UpdateExpression\":\"SET x = :x\"," VALUES("\":x\":{\"BOOL\":true}") "}");
    assert_reply(200, "{}");
    assert_item("new", "{\"leaseKey\":{\"S\":\"new\"},\"x\":{\"BOOL\":true}}");
    /* ... unless its condition wants one. */
    call("UpdateItem", "{\"TableName\":\"leases\",\"Key\":{\"leaseKey\":{\"S\":\"other\"}},"
                       "\"ConditionExpression\":\"attribute_exists(leaseKey)\"}");
    assert_reply(400, "ConditionalCheckFailedException");
    assert_item("other", NULL);
}

/* ---- the other operations ---- */

static void put_if_absent(void **state) {
    (void)state;
    const char *body = "{\"TableName\":\"leases\",\"Item\":{\"leaseKey\":{\"S\":\"b\"},"
                       "\"parentShardId\":{\"SS\":[\"p\"]}},"
                       "\"ConditionExpression\":\"attribute_not_exists(leaseKey)\"}";
    call("PutItem", body);
    assert_reply(200, "{}");
    call("PutItem", body);
    assert_reply(400, "ConditionalCheckFailedException");
    assert_item("b", "{\"leaseKey\":{\"S\":\"b\"},\"parentShardId\":{\"SS\":[\"p\"]}}");
}

static void items_are_checked(void **state) {
    (void)state;
    static const char *const items[] = {
        "{\"x\":{\"S\":\"no key\"}}",
        "{\"leaseKey\":{\"S\":\"\"}}",
        "{\"leaseKey\":{\"N\":\"1\"}}",
        "{\"leaseKey\":{\"S\":\"k\"},\"x\":\"bare\"}",
        "{\"leaseKey\":{\"S\":\"k\"},\"x\":{\"N\":1}}",
        "{\"leaseKey\":{\"S\":\"k\"},\"x\":{\"N\":\"one\"}}",
        "{\"leaseKey\":{\"S\":\"k\"},\"x\":{\"SS\":[]}}",
        "{\"leaseKey\":{\"S\":\"k\"},\"x\":{\"Q\":\"1\"}}",
        "{\"leaseKey\":{\"S\":\"k\"},\"x\":{\"S\":\"1\",\"N\":\"1\"}}",
        "{\"leaseKey\":{\"S\":\"k\"},\"x\":{\"M\":{\"y\":{\"N\":\"\"}}}}",
    };
    for (size_t i = 0; i < sizeof items / sizeof items[0]; i++) {
        char body[512];
        (void)snprintf(body, sizeof body, "{\"TableName\":\"leases\",\"Item\":%s}", items[i]);
        call("PutItem", body);
        assert_reply(400, "ValidationException");
    }
    call("PutItem",
         "{\"TableName\":\"leases\",\"Item\":{\"leaseKey\":{\"S\":\"k\"},\"d2pBase\":"
         "{\"M\":{\"seq\":{\"S\":\"1\"},\"l\":{\"L\":[{\"N\":\"1\"},{\"NULL\":true}]}}}}}");
    assert_reply(200, "{}");
}

static void get_and_delete(void **state) {
    (void)state;
    call("GetItem", UPDATE("\"ConsistentRead\":true"));
    assert_reply(200, "{\"Item\":{\"leaseKey\":{\"S\":\"a\"}");
    call("DeleteItem",
         UPDATE("\"ConditionExpression\":\"leaseCounter = :c\"," VALUES("\":c\":{\"N\":\"8\"}")));
    assert_reply(400, "ConditionalCheckFailedException");
    call("DeleteItem", UPDATE("\"ReturnValues\":\"ALL_OLD\""));
    assert_reply(200, "{\"Attributes\":{\"leaseKey\":{\"S\":\"a\"}");
    call("GetItem", UPDATE("\"ConsistentRead\":true"));
    assert_reply(200, "{}");
    assert_string_equal(reply_text, "{}");
    call("DeleteItem", UPDATE("\"ReturnValues\":\"NONE\""));
    assert_reply(200, "{}");
    call("GetItem", "{\"TableName\":\"leases\",\"Key\":{\"id\":{\"S\":\"a\"}}}");
    assert_reply(400, "does not match the schema");
}

/* Reads the table page by page; checks that every key comes once, in order. */
static size_t scan_all(const char *limit) {
    char start[128] = "";
    size_t items = 0;
    size_t pages = 0;
    for (;;) {
        char body[256];
        (void)snprintf(body, sizeof body, "{\"TableName\":\"leases\"%s%s}", start, limit);
        call("Scan", body);
        assert_int_equal(reply_status, 200);
        assert_true(++pages < 100);
        yyjson_doc *doc = yyjson_read(reply_text, strlen(reply_text), 0);
        yyjson_val *root = yyjson_doc_get_root(doc);
        size_t index;
        size_t max;
        yyjson_val *item;
        yyjson_arr_foreach(yyjson_obj_get(root, "Items"), index, max, item) {
            char key[8];
            (void)snprintf(key, sizeof key, "k%02zu", items++);
            assert_string_equal(
                yyjson_get_str(yyjson_obj_get(yyjson_obj_get(item, "leaseKey"), "S")), key);
        }
        const char *last = strstr(reply_text, "\"LastEvaluatedKey\":");
        (void)snprintf(start, sizeof start, ",\"ExclusiveStartKey\":%.*s",
                       last == NULL ? 0 : (int)strlen(last + 19) - 1,
                       last == NULL ? "" : last + 19);
        yyjson_doc_free(doc);
        if (last == NULL) {
            return items;
        }
    }
}

static void scans_come_in_pages(void **state) {
    (void)state;
    struct err err = ERR_NONE;
    call("DeleteItem", UPDATE("\"ReturnValues\":\"NONE\""));
    for (int i = 9; i >= 0; i--) {
        char item[64];
        (void)snprintf(item, sizeof item, "{\"leaseKey\":{\"S\":\"k%02d\"}}", i);
        put(item);
    }
    assert_int_equal(scan_all(""), 10);
    assert_int_equal(scan_all(",\"Limit\":3"), 10);
    assert_true(fake_aws_script(&aws, STR("scan-items 5"), 0, &err));
    assert_int_equal(scan_all(",\"Limit\":100"), 10);
    /* The key of a page's end may be deleted before the next page. */
    call("Scan",
         "{\"TableName\":\"leases\",\"ExclusiveStartKey\":{\"leaseKey\":{\"S\":\"k08x\"}}}");
    assert_reply(200, "\"Count\":1");
    call("Scan", "{\"TableName\":\"leases\",\"FilterExpression\":\"a = :b\"}");
    assert_reply(400, "FilterExpression");
}

static void tables_take_time_to_be_made(void **state) {
    (void)state;
    struct err err = ERR_NONE;
    const char *create =
        "{\"TableName\":\"other\",\"KeySchema\":[{\"AttributeName\":\"k\","
        "\"KeyType\":\"HASH\"}],\"AttributeDefinitions\":[{\"AttributeName\":\"k\","
        "\"AttributeType\":\"S\"}],\"ProvisionedThroughput\":"
        "{\"ReadCapacityUnits\":10,\"WriteCapacityUnits\":10}}";
    call("DescribeTable", "{\"TableName\":\"other\"}");
    assert_reply(400, "ResourceNotFoundException");
    assert_true(fake_aws_script(&aws, STR("table-create-time 500"), 0, &err));
    call_at(1000, "CreateTable", create);
    assert_reply(200, "\"TableStatus\":\"CREATING\"");
    call_at(1499, "DescribeTable", "{\"TableName\":\"other\"}");
    assert_reply(200, "\"TableStatus\":\"CREATING\"");
    call_at(1499, "Scan", "{\"TableName\":\"other\"}");
    assert_reply(400, "ResourceNotFoundException");
    call_at(1500, "DescribeTable", "{\"TableName\":\"other\"}");
    assert_reply(200, "\"TableStatus\":\"ACTIVE\"");
    call_at(1500, "CreateTable", create);
    assert_reply(400, "ResourceInUseException");
    call_at(1500, "Scan", "{\"TableName\":\"other\"}");
    assert_reply(200, "\"Items\":[]");
    assert_true(fake_aws_script(&aws, STR("delete-table other"), 0, &err));
    call_at(1500, "Scan", "{\"TableName\":\"other\"}");
    assert_reply(400, "ResourceNotFoundException");
    call("CreateTable", "{\"TableName\":\"no\"}");
    assert_reply(400, "ValidationException");
}

int main(void) {
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        TEST(conditions_mean_what_they_say),
        TEST(numbers_compare_by_value),
        TEST(broken_expressions_are_refused),
        TEST(what_no_expression_uses_is_refused),
        TEST(a_failed_condition_shows_the_item_on_request),
        TEST(updates_change_what_they_name),
        TEST(right_hand_sides_see_the_item_as_it_was),
        TEST(wrong_updates_change_nothing),
        TEST(an_update_of_no_item_makes_one),
        TEST(put_if_absent),
        TEST(items_are_checked),
        TEST(get_and_delete),
        TEST(scans_come_in_pages),
        TEST(tables_take_time_to_be_made),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
