#include "aws/table.h"

#include "aws/control.h"
#include "base/json.h"

static void finished(control_fn *done, void *ctx, const struct err *err,
                     struct control_reply *reply) {
    table_done *fn = (table_done *)done;
    /* With a failed condition the body is the error's, and only of use when it holds the item. */
    bool useful = err == NULL || json_get(reply->json, "Item") != NULL;
    fn(ctx, err, useful ? reply->json : NULL);
}

static void begin(struct buf *body, struct str table) {
    buf_init(body, BUF_MAX_REQUEST);
    buf_add_char(body, '{');
    control_add_str(body, "TableName", table);
}

static struct service_call *end(struct service *service, struct str target, struct buf *body,
                                table_done *done, void *ctx) {
    struct control_options options = {.target = target, .reader = finished};
    buf_add_char(body, '}');
    return control_call(service, &options, body, (control_fn *)done, ctx);
}

struct service_call *table_describe(struct service *service, struct str table, table_done *done,
                                    void *ctx) {
    struct buf body;
    begin(&body, table);
    return end(service, STR("DynamoDB_20120810.DescribeTable"), &body, done, ctx);
}

struct service_call *table_create(struct service *service, struct str table, struct str hash_key,
                                  enum table_billing billing, table_done *done, void *ctx) {
    struct buf body;
    begin(&body, table);
    buf_add_text(&body, ",\"AttributeDefinitions\":[{");
    control_add_str(&body, "AttributeName", hash_key);
    buf_add_text(&body, ",\"AttributeType\":\"S\"}],\"KeySchema\":[{");
    control_add_str(&body, "AttributeName", hash_key);
    buf_add_text(&body, ",\"KeyType\":\"HASH\"}]");
    if (billing == TABLE_BILLING_PROVISIONED) {
        control_add_str(&body, "BillingMode", STR("PROVISIONED"));
        control_add_json(&body, "ProvisionedThroughput",
                         STR("{\"ReadCapacityUnits\":10,\"WriteCapacityUnits\":10}"));
    } else {
        control_add_str(&body, "BillingMode", STR("PAY_PER_REQUEST"));
    }
    return end(service, STR("DynamoDB_20120810.CreateTable"), &body, done, ctx);
}

struct service_call *table_scan(struct service *service, struct str table, struct str start_key,
                                table_done *done, void *ctx) {
    struct buf body;
    begin(&body, table);
    control_add_json(&body, "ConsistentRead", STR("true"));
    control_add_json(&body, "ExclusiveStartKey", start_key);
    return end(service, STR("DynamoDB_20120810.Scan"), &body, done, ctx);
}

struct service_call *table_get(struct service *service, struct str table, struct str key_json,
                               table_done *done, void *ctx) {
    struct buf body;
    begin(&body, table);
    control_add_json(&body, "Key", key_json);
    control_add_json(&body, "ConsistentRead", STR("true"));
    return end(service, STR("DynamoDB_20120810.GetItem"), &body, done, ctx);
}

static void add_expression(struct buf *body, const struct table_expression *expression) {
    if (expression == NULL) {
        return;
    }
    control_add_str(body, "UpdateExpression", expression->update);
    control_add_str(body, "ConditionExpression", expression->condition);
    control_add_json(body, "ExpressionAttributeNames", expression->names_json);
    control_add_json(body, "ExpressionAttributeValues", expression->values_json);
    if (expression->return_new) {
        control_add_str(body, "ReturnValues", STR("ALL_NEW"));
    }
    if (expression->return_old_on_failure) {
        control_add_str(body, "ReturnValuesOnConditionCheckFailure", STR("ALL_OLD"));
    }
}

/* which: the table's item by its key, or the item as it shall be. */
static struct service_call *change(struct service *service, struct str target, struct str table,
                                   const char *which, struct str json,
                                   const struct table_expression *expression, table_done *done,
                                   void *ctx) {
    struct buf body;
    begin(&body, table);
    control_add_json(&body, which, json);
    add_expression(&body, expression);
    return end(service, target, &body, done, ctx);
}

struct service_call *table_put(struct service *service, struct str table, struct str item_json,
                               const struct table_expression *expression, table_done *done,
                               void *ctx) {
    return change(service, STR("DynamoDB_20120810.PutItem"), table, "Item", item_json, expression,
                  done, ctx);
}

struct service_call *table_update(struct service *service, struct str table, struct str key_json,
                                  const struct table_expression *expression, table_done *done,
                                  void *ctx) {
    return change(service, STR("DynamoDB_20120810.UpdateItem"), table, "Key", key_json, expression,
                  done, ctx);
}

struct service_call *table_delete(struct service *service, struct str table, struct str key_json,
                                  const struct table_expression *expression, table_done *done,
                                  void *ctx) {
    return change(service, STR("DynamoDB_20120810.DeleteItem"), table, "Key", key_json, expression,
                  done, ctx);
}
