/*
 * table: the few DynamoDB table operations that a lease table needs. Items and expression values are DynamoDB
 * JSON; replies are handed on as parsed JSON. Lane thread only; errors carry "<operation>: " and the request id.
 */
#ifndef AWS_TABLE_H
#define AWS_TABLE_H

#include "aws/service.h"

struct aws_json_value;

/* reply is borrowed for the callback. Exactly one of err and reply is set. For a failed condition with
 * return_old_on_failure, err is ERR_AWS_CONDITION and reply is set too when the service sent the item
 * ({"Item":...}). */
typedef void table_done(void *ctx, const struct err *err, const struct aws_json_value *reply);

/* reply: {"Table":{"TableStatus":...}}. A missing table is ERR_AWS_NOT_FOUND. */
struct service_call *table_describe(struct service *service, struct str table, table_done *done,
                                    void *ctx);

enum table_billing { TABLE_BILLING_PAY_PER_REQUEST, TABLE_BILLING_PROVISIONED };
/* With one HASH key of type S; PROVISIONED means 10/10 units, as KCL does. Existing: ERR_AWS_IN_USE. */
struct service_call *table_create(struct service *service, struct str table, struct str hash_key,
                                  enum table_billing billing, table_done *done, void *ctx);

/* One page. start_key: the LastEvaluatedKey of the page before as JSON text, or STR_NONE.
 * reply: {"Items":[...],"LastEvaluatedKey":...}. */
struct service_call *table_scan(struct service *service, struct str table, struct str start_key,
                                table_done *done, void *ctx);

/* reply: {"Item":...}, or {} when there is none. */
struct service_call *table_get(struct service *service, struct str table, struct str key_json,
                               table_done *done, void *ctx);

/* Writes are tried again after an answer was lost. So a condition may fail because the same call's first try made it
 * false: compare the item that comes back with what was to be written.
 *
 * Conditions and expressions: DynamoDB syntax; names_json and values_json are the JSON objects of
 * ExpressionAttributeNames and ...Values; any of the four may be STR_NONE. */
struct table_expression {
    struct str condition;
    struct str update; /* only for table_update */
    struct str names_json;
    struct str values_json;
    bool return_old_on_failure;
    bool return_new; /* of table_update: reply {"Attributes":...}, the item as it then is */
};

struct service_call *table_put(struct service *service, struct str table, struct str item_json,
                               const struct table_expression *expression, table_done *done,
                               void *ctx);
struct service_call *table_update(struct service *service, struct str table, struct str key_json,
                                  const struct table_expression *expression, table_done *done,
                                  void *ctx);
struct service_call *table_delete(struct service *service, struct str table, struct str key_json,
                                  const struct table_expression *expression, table_done *done,
                                  void *ctx);

#endif
