/*
 * control: one JSON call with a typed result. It keeps the caller's callback, puts the operation's name in front of
 * errors and parses the reply, so that streams.c and table.c only build requests and read replies.
 */
#ifndef AWS_CONTROL_H
#define AWS_CONTROL_H

#include "aws/service.h"
#include "base/buf.h"

struct aws_json_value;

/* The caller's callback; only the operation's own reader knows its type. */
typedef void control_fn(void);

struct control_reply {
    const struct aws_json_value *json; /* an object; NULL with an error, and when not asked for */
    struct page *page;                 /* the body; set it to NULL to keep it */
    int64_t server_time_ms;
};

/* Reads the reply and calls done(ctx, ...), once. err is NULL for success; it may be replaced by the reader's own. */
typedef void control_reader(control_fn *done, void *ctx, const struct err *err,
                            struct control_reply *reply);

struct control_options {
    struct str target; /* "<version>.<operation>"; static storage */
    control_reader *reader;
    bool raw;               /* do not parse the reply */
    size_t max_reply_bytes; /* 0: the service's */
    uint32_t attempts;      /* 0: the service's */
};

/* NULL when out of memory, which a body that did not fit counts as. Empties body's memory. */
struct service_call *control_call(struct service *service, const struct control_options *options,
                                  struct buf *body, control_fn *done, void *ctx);

/* Adds `"name":"value"`, with a comma in front unless it is an object's first; nothing for a value without pointer. */
void control_add_str(struct buf *body, const char *name, struct str value);
/* The same with a value that is JSON already. */
void control_add_json(struct buf *body, const char *name, struct str value);

#endif
