/*
 * sts: the keys of a role, by one AssumeRole of AWS's Security Token Service, with session tags and at any address, neither
 * of which the CRT's own provider knows. Lane thread only.
 */
#ifndef AWS_STS_H
#define AWS_STS_H

#include "base/buf.h"
#include "base/lane.h"

struct aws_credentials;
struct aws_tls_ctx;
struct credentials;
struct sts;

/* Borrowed for the call of sts_assume_role, but for credentials and tls. */
struct sts_options {
    struct str endpoint; /* URL */
    struct str region;   /* for the signature */
    struct str user_agent;
    struct str role_arn;
    struct str role_session;
    struct str external_id;          /* may be empty */
    struct str tags;                 /* see sts_add_tags; may be empty */
    struct credentials *credentials; /* who assumes it; outlives the call */
    struct aws_tls_ctx *tls;
};

/* keys are borrowed for the call, and NULL with an err. */
typedef void sts_done(void *ctx, const struct err *err, struct aws_credentials *keys);

/* done comes later, once, within half a minute, when everything is closed. NULL and err (CONFIG, NOMEM). */
struct sts *sts_assume_role(struct lane *lane, const struct sts_options *options, sts_done *done,
                            void *ctx, struct err *err);
/* done comes soon, with ERR_CANCELLED if there is no answer yet. */
void sts_cancel(struct sts *sts);

/* Adds the session tags that a JSON object names, to a form that is not empty:
 *     {"tags":{"Team":"orders", ...},"transitiveTagKeys":["Team", ...]}
 * Other members count for nothing. False and err (CONFIG), which repeats neither key nor value. Pure. */
bool sts_add_tags(struct buf *form, struct str json, struct err *err);
/* Reads the reply: keys with a reference of the caller's, or NULL and err (AWS_REPLY). Pure. */
struct aws_credentials *sts_read(struct str reply, struct err *err);

#endif
