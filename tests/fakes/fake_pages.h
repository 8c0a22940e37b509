/*
 * fake_pages: GetRecords pages at memory speed. A page is rendered once; to serve it again only the
 * digits that must differ (sequence number, version, event id, time) are written anew in place, and
 * its CRC-32 is put together from what each digit adds to it. A page that is on its way to a socket
 * is not touched: each one under way has a buffer of its own, and buffers are used again.
 */
#ifndef FAKES_FAKE_PAGES_H
#define FAKES_FAKE_PAGES_H

#include "fakes/fake_record.h"

enum {
    FAKE_PAGE_RECORDS = 1000, /* of one page at most */
    FAKE_PAGE_HEADROOM = 512, /* bytes in front of the body that may be written: the HTTP head */
    FAKE_PAGE_MAX_NEXT = 2048,
};

struct fake_pages;

/* A body; the bytes from body - FAKE_PAGE_HEADROOM on may be written until it is released. */
struct fake_page {
    struct fake_pages *pages;
    struct fake_page *next;
    char *data;
    char *body;
    size_t body_len;
    uint32_t crc32;
};

/* count records of size bytes (0: no end), keys items in turn. The sequence number of record i is
 * 10^20 + i + 1. */
struct fake_pages *fake_pages_new(const struct fake_record_shape *shape, struct str key_prefix,
                                  uint64_t count, size_t size, uint64_t keys, struct err *err);
/* Pages still under way keep it alive until they are released. NULL is fine. */
void fake_pages_free(struct fake_pages *pages);

/* Records in all; UINT64_MAX for no end. */
uint64_t fake_pages_end(const struct fake_pages *pages);
/* The number of the first record at or above (after: above) a sequence number. */
uint64_t fake_pages_find(const struct fake_pages *pages, struct str sequence_number, bool after);
void fake_pages_sequence(uint64_t number, char to[41]);

/* The page of `records` (1 to 1,000) records from number `first` on, created now, with that
 * NextShardIterator (empty: none). NULL when out of memory. */
struct fake_page *fake_pages_take(struct fake_pages *pages, uint64_t first, uint64_t records,
                                  struct str next_iterator, int64_t now_ms);
void fake_page_release(struct fake_page *page);

#endif
