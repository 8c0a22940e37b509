/*
 * micro_record: what slicing pages and mapping records costs, on one core, data in the cache. One JSON object per
 * line; best of five runs, by CPU time.
 */
#include "base/buf.h"
#include "base/page.h"
#include "base/rng.h"
#include "source/mapping.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

enum { RECORDS = 1000, RECORD_BYTES = 600, RUNS = 5, ROUNDS = 50 };

/* Of this process only: what else runs on the machine disturbs less. */
static double cpu_seconds(void) {
    struct timespec now;
    (void)clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &now);
    return (double)now.tv_sec + (double)now.tv_nsec * 1e-9;
}

static void report(const char *bench, double value, const char *unit, const char *better) {
    printf("{\"bench\":\"%s\",\"value\":%.4g,\"unit\":\"%s\",\"better\":\"%s\"}\n", bench, value,
           unit, better);
}

static void add_attribute(struct buf *buf, struct rng *rng, unsigned i) {
    static const char *const names[] = {"status", "customer", "total",  "createdAt",
                                        "items",  "currency", "address"};
    buf_add_format(buf, "%s\"%s\":", i > 0 ? "," : "", names[i % 7]);
    switch (i % 4) {
    case 0:
        buf_add_format(buf, "{\"S\":\"%s\"}", rng_below(rng, 1) == 0 ? "SHIPPED" : "PAID");
        break;
    case 1:
        buf_add_format(buf, "{\"S\":\"customer-%08" PRIx64 "\"}", rng_below(rng, UINT32_MAX));
        break;
    case 2:
        buf_add_format(buf, "{\"N\":\"%" PRIu64 ".%02" PRIu64 "\"}", rng_below(rng, 99999),
                       rng_below(rng, 99));
        break;
    default:
        buf_add_format(buf, "{\"L\":[{\"S\":\"sku-%" PRIu64 "\"},{\"BOOL\":true}]}",
                       rng_below(rng, 9999));
        break;
    }
}

/* A record like those of a small table with both images, filled up to RECORD_BYTES by one longer text. */
static void add_record(struct buf *page, struct rng *rng, unsigned number) {
    size_t start = page->len;
    buf_add_format(page,
                   "{\"eventID\":\"%016" PRIx64 "%016" PRIx64 "\",\"eventName\":\"MODIFY\","
                   "\"eventVersion\":\"1.1\",\"eventSource\":\"aws:dynamodb\",\"awsRegion\":"
                   "\"eu-west-1\",\"dynamodb\":{\"ApproximateCreationDateTime\":1.795441620E9,"
                   "\"Keys\":{\"sk\":{\"N\":\"%u\"},\"pk\":{\"S\":\"order-%08u\"}},\"NewImage\":{",
                   rng_next(rng), rng_next(rng), number % 10, number);
    for (unsigned i = 0; i < 4; i++) {
        add_attribute(page, rng, i);
    }
    buf_add_format(page,
                   ",\"note\":{\"S\":\"%%\"}},\"SequenceNumber\":\"%024u\",\"SizeBytes\":321,"
                   "\"StreamViewType\":\"NEW_IMAGE\"}}",
                   1000000 + number);
    size_t len = page->len - start;
    if (len < RECORD_BYTES) {
        size_t fill = RECORD_BYTES - len;
        char *mark = memchr(page->data + start, '%', len);
        if (mark != NULL && buf_reserve(page, fill) != NULL) {
            mark = memchr(page->data + start, '%', len);
            memmove(mark + fill, mark, (size_t)(page->data + page->len - mark));
            memset(mark, 'n', fill);
            page->len += fill;
        }
    }
}

static struct str make_page(struct buf *buf) {
    struct rng rng = {.state = 1};
    buf_add_text(buf, "{\"Records\":[");
    for (unsigned i = 0; i < RECORDS; i++) {
        if (i > 0) {
            buf_add_char(buf, ',');
        }
        add_record(buf, &rng, i);
    }
    buf_add_text(buf, "],\"NextShardIterator\":\"arn:aws:dynamodb:eu-west-1:1:table/t|1|c2hh\"}");
    struct str page = buf_str(buf);
    if (buf_reserve(buf, PAGE_PADDING) == NULL) {
        abort();
    }
    memset(buf->data + page.len, 0, PAGE_PADDING);
    return str_make(buf->data, page.len);
}

/* What was seen, so that nothing is optimised away. */
static uint64_t seen;

static void slice_page(struct str body, struct record *records) {
    struct record_page page;
    struct err err = ERR_NONE;
    size_t count = 0;
    if (record_page_open(&page, body, &err)) {
        while (count < RECORDS && record_page_next(&page, &records[count], &err)) {
            seen += records[count++].new_image.len;
        }
        (void)record_page_next(&page, &records[0], &err); /* the rest of the page */
    }
    if (!page.ended || count != RECORDS) {
        (void)fprintf(stderr, "%s\n", err.text);
        exit(1);
    }
}

static void map_records(struct mapping *mapping, const struct record *records) {
    for (size_t i = 0; i < RECORDS; i++) {
        struct sink_message message;
        struct err err = ERR_NONE;
        if (!mapping_map(mapping, &records[i], &message, &err)) {
            (void)fprintf(stderr, "%s\n", err.text);
            exit(1);
        }
        seen += message.key.len + message.value_parts;
    }
}

int main(void) {
    struct buf buf;
    buf_init(&buf, BUF_MAX_PAGE);
    struct str body = make_page(&buf);
    struct record *records = calloc(RECORDS, sizeof *records);
    if (records == NULL) {
        return 1;
    }
    struct mapping mapping;
    mapping_init(&mapping);
    mapping.hash_key = STR("pk");
    mapping.range_key = STR("sk");
    mapping.table_name = STR("orders");
    mapping.shard_id = STR("shardId-00000001795441644891-4e88e043");

    double slice_s = 1e9; /* per page */
    double map_s = 1e9;
    for (int run = 0; run < RUNS; run++) {
        double start = cpu_seconds();
        for (int round = 0; round < ROUNDS; round++) {
            slice_page(body, records);
        }
        double sliced = cpu_seconds();
        for (int round = 0; round < ROUNDS; round++) {
            map_records(&mapping, records);
        }
        double mapped = cpu_seconds();
        slice_s = (sliced - start) / ROUNDS < slice_s ? (sliced - start) / ROUNDS : slice_s;
        map_s = (mapped - sliced) / ROUNDS < map_s ? (mapped - sliced) / ROUNDS : map_s;
    }
    report("record_slice_rate", (double)body.len / slice_s / 1e9, "GB/s", "higher");
    report("record_slice_records", RECORDS / slice_s, "records/s", "higher");
    report("mapping_time", map_s / RECORDS * 1e9, "ns/record", "lower");
    mapping_done(&mapping);
    free(records);
    buf_done(&buf);
    return seen == 0;
}
