#include "pulsar/open_set.h"

#include "pulsar/routing.h"

#include <assert.h>
#include <stdlib.h>

enum { BUCKETS = 1024 }; /* a power of two, about the messages of a full set */

bool open_set_init(struct open_set *set, bool by_key) {
    *set = (struct open_set){.first = NULL};
    if (by_key) {
        set->buckets = calloc(BUCKETS, sizeof(struct batch *));
    }
    return !by_key || set->buckets != NULL;
}

void open_set_done(struct open_set *set) {
    assert(set->first == NULL);
    free(set->buckets);
    set->buckets = NULL;
}

static uint32_t hash_of(const struct pulsar_message *message) {
    return routing_murmur3(message->ordering_key.ptr != NULL ? message->ordering_key
                                                             : message->key);
}

struct batch *open_set_find(const struct open_set *set, const struct pulsar_message *message) {
    if (set->buckets == NULL || set->first == NULL) {
        return set->first;
    }
    uint32_t hash = hash_of(message);
    struct batch *batch = set->buckets[hash % BUCKETS];
    while (batch != NULL && (batch->key_hash != hash || !batch_has_key_of(batch, message))) {
        batch = batch->next_key;
    }
    return batch;
}

void open_set_add(struct open_set *set, struct batch *batch, const struct pulsar_message *message) {
    batch->next = NULL;
    if (set->first == NULL) {
        set->first = batch;
    } else {
        set->last->next = batch;
    }
    set->last = batch;
    if (set->buckets != NULL) {
        batch->key_hash = hash_of(message);
        batch->next_key = set->buckets[batch->key_hash % BUCKETS];
        set->buckets[batch->key_hash % BUCKETS] = batch;
    }
}

struct batch *open_set_take(struct open_set *set) {
    struct batch *batch = set->first;
    if (batch == NULL) {
        return NULL;
    }
    set->first = batch->next;
    batch->next = NULL;
    set->messages -= batch->count;
    set->bytes -= batch_payload_len(batch);
    if (set->buckets != NULL) {
        struct batch **at = &set->buckets[batch->key_hash % BUCKETS];
        while (*at != batch) {
            at = &(*at)->next_key;
        }
        *at = batch->next_key;
    }
    return batch;
}
