#include "aws/table.h"

#include "base/json.h"
#include "fake_service.h"

#include "cmocka_all.h"

struct seen {
    int calls;
    struct err err;
    bool has_reply;
    char status[32];
    char item_owner[32];
};

static void done(void *ctx, const struct err *err, const struct aws_json_value *reply) {
    struct seen *seen = ctx;
    seen->calls++;
    seen->err = err != NULL ? *err : ERR_NONE;
    seen->has_reply = reply != NULL;
    (void)str_copy(json_str(json_get(reply, "Table"), "TableStatus"), seen->status,
                   sizeof seen->status);
    (void)str_copy(json_str(json_get(json_get(reply, "Item"), "leaseOwner"), "S"), seen->item_owner,
                   sizeof seen->item_owner);
}

static int setup(void **state) {
    static struct fake_service service;
    fake_service_init(&service);
    *state = &service;
    return 0;
}

static int teardown(void **state) {
    fake_service_done(*state);
    return 0;
}

static void sent(struct fake_service *service, const char *target, const char *body) {
    assert_string_equal(service->target, target);
    assert_string_equal(fake_service_body(service), body);
    fake_service_answer(service, "{}");
}

static void describe(void **state) {
    struct fake_service *service = *state;
    struct seen seen = {0};
    (void)table_describe(&service->base, STR("T"), done, &seen);
    assert_string_equal(service->target, "DynamoDB_20120810.DescribeTable");
    assert_string_equal(fake_service_body(service), "{\"TableName\":\"T\"}");
    fake_service_answer(service, "{\"Table\":{\"TableStatus\":\"CREATING\"}}");
    assert_string_equal(seen.status, "CREATING");
    (void)table_describe(&service->base, STR("T"), done, &seen);
    fake_service_fail(service, ERR_AWS_NOT_FOUND, "none", NULL);
    assert_int_equal(seen.err.code, ERR_AWS_NOT_FOUND);
    assert_string_equal(seen.err.text, "DescribeTable: none");
    assert_false(seen.has_reply);
}

static void create(void **state) {
    struct fake_service *service = *state;
    struct seen seen = {0};
    (void)table_create(&service->base, STR("T"), STR("leaseKey"), TABLE_BILLING_PAY_PER_REQUEST,
                       done, &seen);
    sent(service, "DynamoDB_20120810.CreateTable",
         "{\"TableName\":\"T\",\"AttributeDefinitions\":[{\"AttributeName\":\"leaseKey\","
         "\"AttributeType\":\"S\"}],\"KeySchema\":[{\"AttributeName\":\"leaseKey\",\"KeyType\":"
         "\"HASH\"}],\"BillingMode\":\"PAY_PER_REQUEST\"}");
    (void)table_create(&service->base, STR("T"), STR("k"), TABLE_BILLING_PROVISIONED, done, &seen);
    sent(service, "DynamoDB_20120810.CreateTable",
         "{\"TableName\":\"T\",\"AttributeDefinitions\":[{\"AttributeName\":\"k\","
         "\"AttributeType\":\"S\"}],\"KeySchema\":[{\"AttributeName\":\"k\",\"KeyType\":"
         "\"HASH\"}],\"BillingMode\":\"PROVISIONED\",\"ProvisionedThroughput\":"
         "{\"ReadCapacityUnits\":10,\"WriteCapacityUnits\":10}}");
    assert_int_equal(seen.calls, 2);
}

static void reads(void **state) {
    struct fake_service *service = *state;
    struct seen seen = {0};
    (void)table_scan(&service->base, STR("T"), STR_NONE, done, &seen);
    sent(service, "DynamoDB_20120810.Scan", "{\"TableName\":\"T\",\"ConsistentRead\":true}");
    (void)table_scan(&service->base, STR("T"), STR("{\"k\":{\"S\":\"x\"}}"), done, &seen);
    sent(service, "DynamoDB_20120810.Scan",
         "{\"TableName\":\"T\",\"ConsistentRead\":true,\"ExclusiveStartKey\":{\"k\":{\"S\":\"x\"}}"
         "}");
    (void)table_get(&service->base, STR("T"), STR("{\"k\":{\"S\":\"x\"}}"), done, &seen);
    sent(service, "DynamoDB_20120810.GetItem",
         "{\"TableName\":\"T\",\"Key\":{\"k\":{\"S\":\"x\"}},\"ConsistentRead\":true}");
    assert_true(seen.has_reply);
    assert_int_equal(seen.calls, 3);
}

static void write_items(void **state) {
    struct fake_service *service = *state;
    struct seen seen = {0};
    struct table_expression absent = {.condition = STR("attribute_not_exists(k)")};
    (void)table_put(&service->base, STR("T"), STR("{\"k\":{\"S\":\"x\"}}"), &absent, done, &seen);
    sent(service, "DynamoDB_20120810.PutItem",
         "{\"TableName\":\"T\",\"Item\":{\"k\":{\"S\":\"x\"}},\"ConditionExpression\":"
         "\"attribute_not_exists(k)\"}");
    struct table_expression all = {
        .condition = STR("c = :c"),
        .update = STR("SET #a = :a"),
        .names_json = STR("{\"#a\":\"n\"}"),
        .values_json = STR("{\":a\":{\"N\":\"1\"}}"),
        .return_old_on_failure = true,
    };
    (void)table_update(&service->base, STR("T"), STR("{\"k\":{\"S\":\"x\"}}"), &all, done, &seen);
    sent(service, "DynamoDB_20120810.UpdateItem",
         "{\"TableName\":\"T\",\"Key\":{\"k\":{\"S\":\"x\"}},\"UpdateExpression\":\"SET #a = :a\","
         "\"ConditionExpression\":\"c = :c\",\"ExpressionAttributeNames\":{\"#a\":\"n\"},"
         "\"ExpressionAttributeValues\":{\":a\":{\"N\":\"1\"}},"
         "\"ReturnValuesOnConditionCheckFailure\":\"ALL_OLD\"}");
    (void)table_delete(&service->base, STR("T"), STR("{\"k\":{\"S\":\"x\"}}"), NULL, done, &seen);
    sent(service, "DynamoDB_20120810.DeleteItem",
         "{\"TableName\":\"T\",\"Key\":{\"k\":{\"S\":\"x\"}}}");
    assert_int_equal(seen.calls, 3);
}

static void a_failed_condition_hands_on_the_item(void **state) {
    struct fake_service *service = *state;
    struct seen seen = {0};
    struct table_expression expression = {.condition = STR("c"), .return_old_on_failure = true};
    (void)table_put(&service->base, STR("T"), STR("{}"), &expression, done, &seen);
    fake_service_fail(service, ERR_AWS_CONDITION, "ConditionalCheckFailedException",
                      "{\"__type\":\"x#ConditionalCheckFailedException\",\"Item\":{\"leaseOwner\":"
                      "{\"S\":\"me\"}}}");
    assert_int_equal(seen.err.code, ERR_AWS_CONDITION);
    assert_string_equal(seen.err.text, "PutItem: ConditionalCheckFailedException");
    assert_string_equal(seen.item_owner, "me");

    (void)table_put(&service->base, STR("T"), STR("{}"), &expression, done, &seen);
    fake_service_fail(service, ERR_AWS_CONDITION, "c", "{\"__type\":\"x\",\"message\":\"m\"}");
    assert_false(seen.has_reply); /* there was no item */
    (void)table_put(&service->base, STR("T"), STR("{}"), &expression, done, &seen);
    fake_service_fail(service, ERR_AWS_CONDITION, "c", "<html>");
    assert_false(seen.has_reply);
    assert_int_equal(seen.err.code, ERR_AWS_CONDITION); /* not a complaint about the body */
    assert_int_equal(seen.calls, 3);
}

static void a_reply_must_be_an_object(void **state) {
    struct fake_service *service = *state;
    struct seen seen = {0};
    (void)table_get(&service->base, STR("T"), STR("{}"), done, &seen);
    fake_service_answer(service, "[1]");
    assert_int_equal(seen.err.code, ERR_AWS_REPLY);
    assert_string_equal(seen.err.text, "GetItem: the reply is no JSON object (request id REQ1)");
    assert_false(seen.has_reply);
}

static int common_up(void **state) {
    (void)state;
    aws_common_library_init(aws_default_allocator());
    return 0;
}

static int common_down(void **state) {
    (void)state;
    aws_common_library_clean_up();
    return 0;
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(describe, setup, teardown),
        cmocka_unit_test_setup_teardown(create, setup, teardown),
        cmocka_unit_test_setup_teardown(reads, setup, teardown),
        cmocka_unit_test_setup_teardown(write_items, setup, teardown),
        cmocka_unit_test_setup_teardown(a_failed_condition_hands_on_the_item, setup, teardown),
        cmocka_unit_test_setup_teardown(a_reply_must_be_an_object, setup, teardown),
    };
    return cmocka_run_group_tests_name("table", tests, common_up, common_down);
}
