#include "source/shard.h"

/* A node that a lane, a request or a queue refers to must outlive a listing without it. */
static void pin(struct shard *shard) {
    shard->node->pinned = shard->queued || shard->state == SHARD_CLAIMING ||
                          shard->state == SHARD_OPEN || shard->state == SHARD_ENDED;
}

void shard_set_state(struct shard *shard, enum shard_state state) {
    shard->state = state;
    pin(shard);
}

void shard_set_queued(struct shard *shard, bool queued) {
    shard->queued = queued;
    pin(shard);
}

void shard_settle(struct shard *shard) {
    bool finished = shard->has_lease && shard->lease.checkpoint.kind == POSITION_SHARD_END;
    shard_set_state(shard, finished ? SHARD_FINISHED : SHARD_IDLE);
}

bool shard_is_ready(const struct shard *shard) {
    const struct shard_node *parent = shard->node->parent;
    const struct shard *above = parent != NULL ? parent->user : NULL;
    /* One whose lease is just being made may have it already, made by another worker. */
    if (shard->blocked) {
        return false;
    }
    return above == NULL || (!above->has_lease && above->state == SHARD_IDLE) ||
           above->state == SHARD_FINISHED;
}
