#include "base/page.h"

#include <stdlib.h>

struct page_pool {
    struct page *free_list;
    size_t free_bytes;
    size_t total_bytes;
    size_t keep_bytes;
};

struct page_pool *page_pool_new(size_t keep_bytes) {
    struct page_pool *pool = calloc(1, sizeof *pool);
    if (pool != NULL) {
        pool->keep_bytes = keep_bytes;
    }
    return pool;
}

static void destroy(struct page *page) {
    page->pool->total_bytes -= page->capacity;
    free(page->data);
    free(page);
}

void page_pool_free(struct page_pool *pool) {
    if (pool == NULL) {
        return;
    }
    while (pool->free_list != NULL) {
        struct page *page = pool->free_list;
        pool->free_list = page->next;
        destroy(page);
    }
    free(pool);
}

size_t page_pool_bytes(const struct page_pool *pool) {
    return pool->total_bytes - pool->free_bytes;
}

struct page *page_take(struct page_pool *pool) {
    struct page *page = pool->free_list;
    if (page != NULL) {
        pool->free_list = page->next;
        pool->free_bytes -= page->capacity;
        page->next = NULL;
        page->len = 0;
        return page;
    }
    page = calloc(1, sizeof *page);
    if (page != NULL) {
        page->pool = pool;
    }
    return page;
}

void page_free(struct page *page) {
    if (page == NULL) {
        return;
    }
    struct page_pool *pool = page->pool;
    if (pool->free_bytes + page->capacity > pool->keep_bytes) {
        destroy(page);
        return;
    }
    page->next = pool->free_list;
    pool->free_list = page;
    pool->free_bytes += page->capacity;
}

bool page_reserve(struct page *page, size_t capacity, size_t max) {
    if (capacity > max) {
        return false;
    }
    if (capacity <= page->capacity) {
        return true;
    }
    char *data = realloc(page->data, capacity + PAGE_PADDING);
    if (data == NULL) {
        return false;
    }
    page->pool->total_bytes += capacity - page->capacity;
    page->data = data;
    page->capacity = capacity;
    return true;
}

bool page_add(struct page *page, const void *bytes, size_t len, size_t max) {
    if (len > max || page->len > max - len) {
        return false;
    }
    size_t needed = page->len + len;
    if (needed > page->capacity) {
        size_t capacity = page->capacity < 4096 ? 4096 : page->capacity;
        while (capacity < needed) {
            capacity *= 2;
        }
        if (!page_reserve(page, capacity < max ? capacity : max, max)) {
            return false;
        }
    }
    if (len > 0) {
        memcpy(page->data + page->len, bytes, len);
        page->len = needed;
    }
    return true;
}
