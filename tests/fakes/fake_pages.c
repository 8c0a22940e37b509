#include "fakes/fake_pages.h"

#include "fakes/fake_crc.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <zlib.h>

/* Any run of 1,000 records must lie in one piece wherever a reader starts, so there are twice as
 * many slots. */
enum { SLOTS = 2 * FAKE_PAGE_RECORDS, TAIL = FAKE_PAGE_MAX_NEXT + 64 };

static const uint64_t VERSION_BASE = 1000000000000; /* keeps the versions at 13 digits */
static const char OPENING[] = "{\"Records\":[";

struct fake_pages {
    char *template; /* head room, then SLOTS times record and comma, then room for the tail */
    size_t template_len;
    size_t stride;
    struct fake_record_offsets at;
    uint64_t end;
    uint64_t keys;
    struct fake_page *free;
    size_t under_way;
    bool closed;

    uint32_t slot_crc[SLOTS];       /* of the template's records */
    uint32_t comma_crc;             /* what a comma in front adds to a record's sum */
    struct fake_crc_shift by_first; /* by a record */
    struct fake_crc_shift by_next;  /* by comma and record */
    struct fake_crc_digits event_digits;
    struct fake_crc_digits sequence_digits;
    struct fake_crc_digits created_digits;
    struct fake_crc_digits new_digits;
    struct fake_crc_digits old_digits;
};

/* Digits that are renewed. 16 of the sequence number's 21 are more than can ever be served. */
enum { NUMBER_DIGITS = 16, CREATED_DIGITS = 10, VERSION_DIGITS = 13 };

static const size_t front = FAKE_PAGE_HEADROOM + sizeof OPENING - 1;

/* Every record of the template differs from the others in its key only, so the digits' effects are
 * the same in all. */
static void init_sums(struct fake_pages *pages) {
    const struct fake_record_offsets *at = &pages->at;
    const char *record = pages->template + front;
    size_t len = pages->stride - 1;
    for (size_t i = 0; i < SLOTS; i++) {
        pages->slot_crc[i] =
            (uint32_t)crc32(0, (const Bytef *)record + i * pages->stride, (uInt)len);
    }
    fake_crc_shift_init(&pages->by_first, len);
    fake_crc_shift_init(&pages->by_next, len + 1);
    pages->comma_crc = fake_crc_shift(&pages->by_first, (uint32_t)crc32(0, (const Bytef *)",", 1));
    fake_crc_digits_init(&pages->event_digits, record, len, at->event + NUMBER_DIGITS,
                         NUMBER_DIGITS);
    fake_crc_digits_init(&pages->sequence_digits, record, len, at->sequence_number + 21,
                         NUMBER_DIGITS);
    fake_crc_digits_init(&pages->created_digits, record, len, at->created + CREATED_DIGITS,
                         CREATED_DIGITS);
    if (at->new_version > 0) {
        fake_crc_digits_init(&pages->new_digits, record, len, at->new_version + VERSION_DIGITS,
                             VERSION_DIGITS);
    }
    if (at->old_version > 0) {
        fake_crc_digits_init(&pages->old_digits, record, len, at->old_version + VERSION_DIGITS,
                             VERSION_DIGITS);
    }
}

struct fake_pages *fake_pages_new(const struct fake_record_shape *shape, struct str key_prefix,
                                  uint64_t count, size_t size, uint64_t keys, struct err *err) {
    if (keys == 0 || FAKE_PAGE_RECORDS % keys != 0) {
        err_set(err, ERR_CONFIG, "KEYS of memory pages must divide %d", FAKE_PAGE_RECORDS);
        return NULL;
    }
    struct fake_pages *pages = calloc(1, sizeof *pages);
    if (pages == NULL) {
        err_set(err, ERR_NOMEM, "memory pages");
        return NULL;
    }
    pages->end = count == 0 ? UINT64_MAX : count;
    pages->keys = keys;
    struct buf out;
    buf_init(&out, SIZE_MAX / 2);
    bool ok = buf_reserve(&out, front) != NULL;
    if (ok) {
        memset(out.data, ' ', front);
        out.len = front;
    }
    for (uint64_t i = 0; ok && i < SLOTS; i++) {
        char key[192];
        char sequence_number[41];
        (void)snprintf(key, sizeof key, "%.*s-%06" PRIu64, STR_FMT(key_prefix), i % keys);
        fake_pages_sequence(0, sequence_number);
        struct fake_record_spec spec = {
            .key = str_of(key),
            .version = VERSION_BASE + 1,
            .sequence_number = str_of(sequence_number),
            .created = STR("1000000000"),
            .size = size,
        };
        size_t start = out.len;
        ok = fake_record_write(shape, &spec, &out, &pages->at, err) && buf_add_char(&out, ',');
        pages->stride = out.len - start;
    }
    pages->template = out.data;
    pages->template_len = out.len;
    if (ok && buf_reserve(&out, TAIL) == NULL) {
        ok = err_set(err, ERR_NOMEM, "memory pages");
    }
    pages->template = out.data; /* the reservation may have moved it */
    if (!ok) {
        fake_pages_free(pages);
        return NULL;
    }
    memset(pages->template + pages->template_len, ' ', TAIL);
    init_sums(pages);
    return pages;
}

static void destroy(struct fake_pages *pages) {
    while (pages->free != NULL) {
        struct fake_page *page = pages->free;
        pages->free = page->next;
        free(page->data);
        free(page);
    }
    free(pages->template);
    free(pages);
}

void fake_pages_free(struct fake_pages *pages) {
    if (pages == NULL) {
        return;
    }
    pages->closed = true;
    if (pages->under_way == 0) {
        destroy(pages);
    }
}

uint64_t fake_pages_end(const struct fake_pages *pages) {
    return pages->end;
}

void fake_pages_sequence(uint64_t number, char to[41]) {
    (void)snprintf(to, 41, "1%020" PRIu64, number + 1);
}

uint64_t fake_pages_find(const struct fake_pages *pages, struct str sequence_number, bool after) {
    uint64_t number;
    /* Ours have 21 digits and begin with 1; anything else lies before or behind them all. */
    if (sequence_number.len != 21 || sequence_number.ptr[0] != '1' ||
        !str_to_u64(str_make(sequence_number.ptr + 1, 20), &number)) {
        return sequence_number.len < 21 ? 0 : pages->end;
    }
    if (number == 0) {
        return 0;
    }
    number = after ? number : number - 1;
    return number < pages->end ? number : pages->end;
}

/* Writes the last `digits` decimal digits of value, which end at `end`; two at a time, since this
 * is most of the work. */
static void put_digits(char *end, unsigned digits, uint64_t value) {
    char *p = end;
    for (; digits > 1; digits -= 2) {
        unsigned pair = (unsigned)(value % 100);
        value /= 100;
        *--p = (char)('0' + pair % 10);
        *--p = (char)('0' + pair / 10);
    }
    if (digits == 1) {
        *--p = (char)('0' + value % 10);
    }
}

/* What all records of one page, or those of one version, have in common. */
struct renewal {
    char created[CREATED_DIGITS];
    uint32_t created_effect;
    uint64_t version;
    uint32_t version_effect;
};

/* Writes record `number` over the one in place, which is the template's slot `slot`; returns its
 * sum. */
static uint32_t renew_record(const struct fake_pages *pages, char *record, size_t slot,
                             uint64_t number, struct renewal *renewal) {
    const struct fake_record_offsets *at = &pages->at;
    uint64_t version = VERSION_BASE + 1 + number / pages->keys;
    if (renewal->version != version) {
        renewal->version = version;
        renewal->version_effect = fake_crc_digits_effect(&pages->new_digits, version) ^
                                  fake_crc_digits_effect(&pages->old_digits, version - 1);
    }
    put_digits(record + at->event + NUMBER_DIGITS, NUMBER_DIGITS, number);
    memcpy(record + at->created, renewal->created, CREATED_DIGITS);
    put_digits(record + at->sequence_number + 21, NUMBER_DIGITS, number + 1);
    if (at->new_version > 0) {
        put_digits(record + at->new_version + VERSION_DIGITS, VERSION_DIGITS, version);
    }
    if (at->old_version > 0) {
        put_digits(record + at->old_version + VERSION_DIGITS, VERSION_DIGITS, version - 1);
    }
    return pages->slot_crc[slot] ^ renewal->created_effect ^ renewal->version_effect ^
           fake_crc_digits_effect(&pages->event_digits, number) ^
           fake_crc_digits_effect(&pages->sequence_digits, number + 1);
}

static struct fake_page *page_new(struct fake_pages *pages) {
    struct fake_page *page = calloc(1, sizeof *page);
    char *data = malloc(pages->template_len + TAIL);
    if (page == NULL || data == NULL) {
        free(page);
        free(data);
        return NULL;
    }
    memcpy(data, pages->template, pages->template_len + TAIL);
    page->pages = pages;
    page->data = data;
    return page;
}

struct fake_page *fake_pages_take(struct fake_pages *pages, uint64_t first, uint64_t records,
                                  struct str next_iterator, int64_t now_ms) {
    if (next_iterator.len > FAKE_PAGE_MAX_NEXT) {
        return NULL;
    }
    struct fake_page *page = pages->free;
    if (page != NULL) {
        pages->free = page->next;
    } else if ((page = page_new(pages)) == NULL) {
        return NULL;
    }
    pages->under_way++;

    uint64_t seconds = (uint64_t)(now_ms / 1000);
    struct renewal renewal = {.created_effect =
                                  fake_crc_digits_effect(&pages->created_digits, seconds)};
    put_digits(renewal.created + CREATED_DIGITS, CREATED_DIGITS, seconds);
    size_t slot = first % FAKE_PAGE_RECORDS;
    char *run = page->data + front + slot * pages->stride;
    uint32_t sum = (uint32_t)crc32(0, (const Bytef *)OPENING, sizeof OPENING - 1);
    for (uint64_t i = 0; i < records; i++) {
        uint32_t record =
            renew_record(pages, run + i * pages->stride, slot + i, first + i, &renewal);
        sum = i == 0 ? fake_crc_shift(&pages->by_first, sum) ^ record
                     : fake_crc_shift(&pages->by_next, sum) ^ pages->comma_crc ^ record;
    }
    page->body = run - (sizeof OPENING - 1);
    memcpy(page->body, OPENING, sizeof OPENING - 1);
    char *tail = run + records * pages->stride - 1; /* over the last comma */
    int len = next_iterator.len > 0 ? snprintf(tail, TAIL, "],\"NextShardIterator\":\"%.*s\"}",
                                               STR_FMT(next_iterator))
                                    : snprintf(tail, TAIL, "]}");
    page->body_len = (size_t)(tail + len - page->body);
    page->crc32 =
        (uint32_t)crc32_combine(sum, crc32(0, (const Bytef *)tail, (uInt)len), (z_off_t)len);
    return page;
}

void fake_page_release(struct fake_page *page) {
    struct fake_pages *pages = page->pages;
    pages->under_way--;
    /* What head, opening and tail have overwritten comes back from the template. */
    size_t body = (size_t)(page->body - page->data);
    size_t head = body - FAKE_PAGE_HEADROOM;
    size_t tail = body + page->body_len > TAIL ? body + page->body_len - TAIL : 0;
    memcpy(page->data + head, pages->template + head, front);
    memcpy(page->data + tail, pages->template + tail, TAIL + 1);
    page->next = pages->free;
    pages->free = page;
    if (pages->closed && pages->under_way == 0) {
        destroy(pages);
    }
}
