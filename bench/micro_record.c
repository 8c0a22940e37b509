/*
 * micro_record: what slicing pages and mapping records costs, on one core, data in the cache. One JSON object per
 * line; best of five runs.
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

static double seconds_now(void) {
    struct timespec now;
    (void)clock_gettime(CLOCK_MONOTONIC, &now);
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

struct result {
    double slice_s; /* per page */
    double both_s;
    uint64_t sum; /* of what was seen, so that nothing is optimised away */
};

static void slice(struct str body, struct mapping *mapping, struct result *result) {
    struct record_page page;
    struct record record;
    struct err err = ERR_NONE;
    uint64_t count = 0;
    bool ok = record_page_open(&page, body, &err);
    while (ok && record_page_next(&page, &record, &err)) {
        count++;
        result->sum += record.new_image.len;
        if (mapping != NULL) {
            struct sink_message message;
            ok = mapping_map(mapping, &record, &message, &err);
            result->sum += message.key.len + message.value_parts;
        }
    }
    if (!page.ended || count != RECORDS) {
        (void)fprintf(stderr, "%s\n", err.text);
        exit(1);
    }
}

static double time_pages(struct str body, struct mapping *mapping, struct result *result) {
    double best = 1e9;
    for (int run = 0; run < RUNS; run++) {
        double start = seconds_now();
        for (int round = 0; round < ROUNDS; round++) {
            slice(body, mapping, result);
        }
        double each = (seconds_now() - start) / ROUNDS;
        best = each < best ? each : best;
    }
    return best;
}

int main(void) {
    struct buf buf;
    buf_init(&buf, BUF_MAX_PAGE);
    struct str body = make_page(&buf);
    struct mapping mapping;
    mapping_init(&mapping);
    mapping.hash_key = STR("pk");
    mapping.range_key = STR("sk");
    mapping.table_name = STR("orders");
    mapping.shard_id = STR("shardId-00000001795441644891-4e88e043");

    struct result result = {.sum = 0};
    result.slice_s = time_pages(body, NULL, &result);
    result.both_s = time_pages(body, &mapping, &result);
    report("record_slice_rate", (double)body.len / result.slice_s / 1e9, "GB/s", "higher");
    report("record_slice_records", RECORDS / result.slice_s, "records/s", "higher");
    report("mapping_time", (result.both_s - result.slice_s) / RECORDS * 1e9, "ns/record", "lower");
    report("slice_and_map_records", RECORDS / result.both_s, "records/s", "higher");
    if (result.sum == 0) {
        return 1;
    }
    mapping_done(&mapping);
    buf_done(&buf);
    return 0;
}
