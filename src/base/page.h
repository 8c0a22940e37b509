/*
 * page: the bytes of one response body, kept for as long as somebody reads from them. Pages come from a pool
 * that belongs to a lane and go back to it, so that a stream of full pages allocates nothing.
 */
#ifndef BASE_PAGE_H
#define BASE_PAGE_H

#include "base/str.h"

struct page_pool;

struct page {
    char *data; /* capacity + PAGE_PADDING bytes; those behind len are for scanners to over-read */
    size_t len;
    size_t capacity;
    struct page_pool *pool;
    struct page *next; /* in the pool's free list */
};

enum { PAGE_PADDING = 64 };

/* Keeps at most keep_bytes of free pages. Lives on one lane. NULL when out of memory. */
struct page_pool *page_pool_new(size_t keep_bytes);
/* Every page must have been returned. NULL is fine. */
void page_pool_free(struct page_pool *pool);
/* Bytes of the pages that are in use now, without free ones: for the memory budget. */
size_t page_pool_bytes(const struct page_pool *pool);

/* An empty page; the caller owns it. NULL when out of memory. */
struct page *page_take(struct page_pool *pool);
/* Gives it back. NULL is fine. */
void page_free(struct page *page);
/* Appends; false over max bytes or out of memory. */
bool page_add(struct page *page, const void *bytes, size_t len, size_t max);
/* Makes room ahead of time (a known Content-Length); false as page_add. */
bool page_reserve(struct page *page, size_t capacity, size_t max);

#endif
