/*
 * batch_pool: batches that are not in use, kept with their memory for the next ones; and how that
 * memory grows. One lane.
 */
#ifndef PULSAR_BATCH_POOL_H
#define PULSAR_BATCH_POOL_H

#include "pulsar/batch.h"

struct batch_pool {
    struct batch *free_list;
    size_t free_bytes;
    size_t keep_bytes;
    size_t in_use; /* batches taken and not yet released */
};

/* keep_bytes: of batches that are not in use. */
void batch_pool_init(struct batch_pool *pool, size_t keep_bytes);
/* No batch may be in use. */
void batch_pool_done(struct batch_pool *pool);

/* An empty one of the pool, with one reference, its caller's. NULL when out of memory. */
struct batch *batch_take(struct batch_pool *pool);
/* Drops the caller's reference; a write may still hold one. With the last it is the pool's again. */
void batch_release(struct batch *batch);
/* Bytes that it holds. */
size_t batch_memory(const struct batch *batch);

/* For batch.c: memory of so many bytes at least, and room for one more token. budget: bytes by which
 * both may grow. BATCH_ADDED, BATCH_OVER_BUDGET or BATCH_NO_MEMORY. */
enum batch_add batch_grow(struct batch *batch, size_t needed, size_t budget);

#endif
