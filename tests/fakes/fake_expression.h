/*
 * fake_expression: DynamoDB's condition and update expressions, as far as a lease table needs them:
 * conditions with attribute_exists, attribute_not_exists, = <> < <= > >=, NOT, AND, OR,
 * parentheses; updates with SET (a value, an attribute, their sum or difference, if_not_exists),
 * REMOVE, and ADD of numbers. Attributes are top-level ones, written as they are or as #names;
 * numbers are 64-bit integers. Pure.
 *
 * As strict as the service: an unknown name or value, and one that no expression uses, is an error.
 */
#ifndef FAKES_FAKE_EXPRESSION_H
#define FAKES_FAKE_EXPRESSION_H

#include "base/err.h"
#include "base/str.h"

#include <yyjson.h>

/* The expressions of one request. */
struct fake_expression {
    yyjson_mut_doc *doc;    /* borrowed: everything of this request */
    yyjson_mut_val *names;  /* ExpressionAttributeNames, or NULL */
    yyjson_mut_val *values; /* ExpressionAttributeValues, or NULL */
    uint64_t names_used;    /* one bit for each member */
    uint64_t values_used;
};

/* All return false with ERR_AWS_INVALID and the service's kind of message if it is wrong. */

/* names and values may be NULL. Copies them into doc. */
bool fake_expression_init(struct fake_expression *expression, yyjson_mut_doc *doc,
                          yyjson_val *names, yyjson_val *values, struct err *err);
/* item is NULL when there is none. */
bool fake_expression_check(struct fake_expression *expression, struct str condition,
                           yyjson_mut_val *item, bool *ret_holds, struct err *err);
/* Changes item, which belongs to doc. key is the attribute that must not change. On failure item
 * may be half changed: give it a copy. */
bool fake_expression_update(struct fake_expression *expression, struct str update, const char *key,
                            yyjson_mut_val *item, struct err *err);
/* When all expressions have been evaluated: whether every name and value was used. */
bool fake_expression_finish(const struct fake_expression *expression, struct err *err);

#endif
