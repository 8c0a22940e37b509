/*
 * arn: the parts of a DynamoDB stream's ARN,
 * arn:<partition>:dynamodb:<region>:<account>:table/<table>/stream/<label>. Pure.
 */
#ifndef CONFIG_ARN_H
#define CONFIG_ARN_H

#include "base/str.h"

enum { ARN_MAX_BYTES = 1023 };

/* Borrows from the text that was parsed. */
struct arn {
    struct str partition;
    struct str region;
    struct str account;
    struct str table;
    struct str label; /* the time at which the stream was enabled */
};

/* NULL when it is one, else what is wrong with it, as the end of a sentence. Static storage. */
const char *arn_parse(struct str text, struct arn *ret_arn);

#endif
