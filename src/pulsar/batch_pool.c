#include "pulsar/batch_pool.h"

#include <assert.h>
#include <stdlib.h>

enum { MEMORY_MIN = 4096, TOKENS_MIN = 64 };

void batch_pool_init(struct batch_pool *pool, size_t keep_bytes) {
    *pool = (struct batch_pool){.keep_bytes = keep_bytes};
}

static void destroy(struct batch *batch) {
    free(batch->memory);
    free(batch->tokens);
    free(batch);
}

void batch_pool_done(struct batch_pool *pool) {
    assert(pool->in_use == 0);
    while (pool->free_list != NULL) {
        struct batch *batch = pool->free_list;
        pool->free_list = batch->next;
        destroy(batch);
    }
    pool->free_bytes = 0;
}

size_t batch_memory(const struct batch *batch) {
    return sizeof *batch + batch->capacity + batch->token_capacity * sizeof batch->tokens[0];
}

static void give_back(struct outgoing *frame) {
    struct batch *batch = (struct batch *)frame; /* its first member */
    struct batch_pool *pool = batch->pool;
    pool->in_use--;
    free(batch->refusal);
    batch->refusal = NULL;
    if (pool->free_bytes + batch_memory(batch) > pool->keep_bytes) {
        destroy(batch);
        return;
    }
    pool->free_bytes += batch_memory(batch);
    batch->next = pool->free_list;
    pool->free_list = batch;
}

struct batch *batch_take(struct batch_pool *pool) {
    struct batch *batch = pool->free_list;
    struct batch fresh = {.pool = pool};
    if (batch != NULL) {
        pool->free_list = batch->next;
        pool->free_bytes -= batch_memory(batch);
        fresh.memory = batch->memory;
        fresh.capacity = batch->capacity;
        fresh.tokens = batch->tokens;
        fresh.token_capacity = batch->token_capacity;
    } else {
        batch = malloc(sizeof *batch);
        if (batch == NULL) {
            return NULL;
        }
    }
    fresh.frame = (struct outgoing){.refs = 1, .release = give_back};
    *batch = fresh;
    pool->in_use++;
    return batch;
}

void batch_release(struct batch *batch) {
    outgoing_unref(&batch->frame);
}

/* ---- Growth. */

static size_t grown_capacity(size_t capacity, size_t needed) {
    if (needed <= capacity) {
        return capacity;
    }
    capacity = capacity < MEMORY_MIN ? MEMORY_MIN : capacity;
    while (capacity < needed) {
        capacity *= 2;
    }
    return capacity;
}

enum batch_add batch_grow(struct batch *batch, size_t needed, size_t budget) {
    size_t capacity = grown_capacity(batch->capacity, needed);
    size_t token_capacity = batch->token_capacity;
    if (batch->count == token_capacity) {
        token_capacity = token_capacity == 0 ? TOKENS_MIN : 2 * token_capacity;
    }
    size_t growth = capacity - batch->capacity +
                    (token_capacity - batch->token_capacity) * sizeof batch->tokens[0];
    if (growth > budget) {
        return BATCH_OVER_BUDGET;
    }
    if (capacity > batch->capacity) {
        char *memory = realloc(batch->memory, capacity);
        if (memory == NULL) {
            return BATCH_NO_MEMORY;
        }
        batch->memory = memory;
        batch->capacity = capacity;
    }
    if (token_capacity > batch->token_capacity) {
        uint64_t *tokens = realloc(batch->tokens, token_capacity * sizeof tokens[0]);
        if (tokens == NULL) {
            return BATCH_NO_MEMORY;
        }
        batch->tokens = tokens;
        batch->token_capacity = token_capacity;
    }
    return BATCH_ADDED;
}
