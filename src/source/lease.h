/*
 * lease: one item of the lease table in KCL 1.x's layout, and the expressions of every write to it. Pure: items and
 * expressions are built and read here, sent elsewhere (lease_table.h).
 *
 * Our own attributes have the prefix d2p; attributes that we do not know survive, since every write after the
 * creation is an update.
 */
#ifndef SOURCE_LEASE_H
#define SOURCE_LEASE_H

#include "aws/table.h"
#include "base/buf.h"
#include "source/numbering.h"

enum { LEASE_KEY_MAX = 128, LEASE_OWNER_MAX = 192 };

/* Whose d2pStream an item carries. */
enum lease_stream {
    LEASE_STREAM_NONE, /* it has none: a Java worker made it */
    LEASE_STREAM_OURS,
    LEASE_STREAM_OTHER,
};

struct lease {
    char key[LEASE_KEY_MAX];         /* = shard id */
    char owner[LEASE_OWNER_MAX];     /* empty: nobody */
    char wanted_by[LEASE_OWNER_MAX]; /* d2pWantedBy: who asks its owner to hand it over; or empty */
    uint64_t counter;
    uint64_t owner_switches;
    struct position checkpoint;
    char parent[LEASE_KEY_MAX]; /* the first of parentShardId; empty when there is none */
    enum lease_stream stream;
    int64_t start_ms; /* d2pStart; 0: absent */
    /* d2pRead, while the checkpoint is no number: by the service's clock, what was created before is not there to be read
     * any more. 0: absent */
    int64_t read_ms;
    struct numbering_base base; /* d2pBase */
};

enum lease_item { LEASE_ITEM_OK, LEASE_ITEM_OTHER, LEASE_ITEM_BROKEN };

/* OTHER: not a lease (entityType other than LEASE, or no leaseCounter or checkpoint): skip it.
 * BROKEN: err says which attribute is wrong. */
enum lease_item lease_from_item(const struct aws_json_value *item, struct str stream_arn,
                                struct lease *ret_lease, struct err *err);
/* While nothing of its shard was read: no record that is wanted was created before, as the lease tells, or the shard's id. By
 * the service's clock, which is at now_ms (0: not known, then the id tells nothing). 0: not known. */
int64_t lease_unread_since_ms(const struct lease *lease, int64_t now_ms);
/* The ARN in d2pStream; borrowed. STR_NONE when there is none. */
struct str lease_item_stream(const struct aws_json_value *item);

/* Texts of one request, built in one buffer; valid until the next use of the same lease_write. */
struct lease_write {
    struct buf buf;
    struct str key_json; /* or the whole item for lease_write_create */
    struct table_expression expression;
};
void lease_write_init(struct lease_write *write);
void lease_write_done(struct lease_write *write);

/* Each returns false only when the texts do not fit (ERR_INTERNAL). `lease` is the item as last read. */
/* PutItem, if absent: counter 0, nobody's. stream_arn becomes d2pStream. */
bool lease_write_create(struct lease_write *write, const struct lease *lease, struct str stream_arn,
                        struct err *err);
/* leaseCounter = N: N+1, owner = me; one more owner switch when there was another owner; d2pWantedBy removed. */
bool lease_write_take(struct lease_write *write, const struct lease *lease, struct str me,
                      struct err *err);
/* leaseCounter = N: N+1, and d2pRead as the lease has it (and, when it moved, the checkpoint: see lease_write_checkpoint). */
bool lease_write_renew(struct lease_write *write, const struct lease *lease, struct err *err);
/* leaseCounter = N and checkpoint <> SHARD_END (unless SHARD_END is written): N+1, checkpoint,
 * checkpointSubSequenceNumber 0, ownerSwitches 0, pendingCheckpoint removed; of a numbered one also d2pPos, its "SEQUENCE-NUMBER
 * ID", which counts only beside that checkpoint: Java moves one without the other. */
bool lease_write_checkpoint(struct lease_write *write, const struct lease *lease,
                            const struct position *checkpoint, struct err *err);
/* leaseCounter = N: N+1, d2pBase = base. */
bool lease_write_base(struct lease_write *write, const struct lease *lease,
                      const struct numbering_base *base, struct err *err);
/* leaseCounter = N: N+1, leaseOwner removed, and with checkpoint not NULL the checkpoint as above: a clean stop. */
bool lease_write_release(struct lease_write *write, const struct lease *lease,
                         const struct position *checkpoint, struct err *err);
/* What a reset puts a lease to. */
struct lease_place {
    struct position checkpoint;
    int64_t start_ms; /* 0: none */
    int64_t read_ms;
};
/* leaseCounter = N: N+1, checkpoint as above but over SHARD_END too, d2pStart (0: removed), d2pRead, leaseOwner and
 * d2pWantedBy removed, d2pBase and d2pPos too, so that what comes again has new ids: as if nobody had read it behind that.
 * Only for `reset`, while no worker lives. */
bool lease_write_reset(struct lease_write *write, const struct lease *lease,
                       const struct lease_place *place, struct err *err);
/* leaseOwner = its owner: d2pWantedBy = me. The counter is its owner's and stays. */
bool lease_write_want(struct lease_write *write, const struct lease *lease, struct str me,
                      struct err *err);
/* d2pWantedBy = me: it is removed. */
bool lease_write_unwant(struct lease_write *write, const struct lease *lease, struct str me,
                        struct err *err);
/* leaseCounter = N and d2pWantedBy = to: N+1, owner = to, d2pWantedBy removed, and with checkpoint not NULL the checkpoint as above. */
bool lease_write_hand_over(struct lease_write *write, const struct lease *lease, struct str to,
                           const struct position *checkpoint, struct err *err);
/* leaseCounter = N: DeleteItem. */
bool lease_write_delete(struct lease_write *write, const struct lease *lease, struct err *err);
/* {"leaseKey":{"S":...}} only. */
bool lease_write_key(struct lease_write *write, const struct lease *lease, struct err *err);

#endif
