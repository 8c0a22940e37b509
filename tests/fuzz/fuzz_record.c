/*
 * fuzz_record: a page of GetRecords, on its way to messages. The scanner looks beyond what it is given, into the page's
 * padding; what lies there must not matter.
 *
 * Input: a byte of options, then the page.
 */
#include "base/page.h"
#include "fuzz/fuzz.h"
#include "source/mapping.h"

#include <aws/common/common.h>

struct page_text {
    char *data; /* size and PAGE_PADDING bytes */
    size_t size;
};

static struct page_text make_page(struct str bytes, char padding) {
    struct page_text page = {.data = malloc(bytes.len + PAGE_PADDING), .size = bytes.len};
    assert(page.data != NULL);
    if (bytes.len > 0) {
        memcpy(page.data, bytes.ptr, bytes.len);
    }
    memset(page.data + bytes.len, padding, PAGE_PADDING);
    return page;
}

static bool is_within(const struct page_text *page, struct str part) {
    return part.ptr == NULL ||
           (part.ptr >= page->data && part.ptr + part.len <= page->data + page->size);
}

static void check_slices(const struct page_text *page, const struct record *record) {
    const struct str parts[] = {record->event_id,      record->event_name,
                                record->event_version, record->event_source,
                                record->aws_region,    record->stream_view_type,
                                record->keys,          record->sequence_number,
                                record->new_image,     record->old_image,
                                record->size_bytes,    record->principal_id,
                                record->head,          record->tail,
                                record->identity_type};
    for (size_t i = 0; i < sizeof parts / sizeof parts[0]; i++) {
        assert(is_within(page, parts[i]));
    }
    assert(seqno_is_set(&record->seqno));
}

/* The value as one text; the caller frees it. */
static char *join(const struct sink_message *message, size_t *ret_len) {
    size_t len = 0;
    for (size_t i = 0; i < message->value_parts; i++) {
        len += message->value[i].len;
    }
    char *text = malloc(len + 1);
    assert(text != NULL);
    *ret_len = 0;
    for (size_t i = 0; i < message->value_parts; i++) {
        if (message->value[i].len > 0) {
            memcpy(text + *ret_len, message->value[i].ptr, message->value[i].len);
        }
        *ret_len += message->value[i].len;
    }
    return text;
}

/* The way without the record's own head and tail, which is for every record, gives the same value. */
static void check_both_ways(struct mapping *mapping, const struct record *record) {
    struct sink_message message;
    struct err err = ERR_NONE;
    if (!mapping_map(mapping, record, &message, &err)) {
        assert(err_is_set(&err) && err.text[0] != '\0');
        return;
    }
    assert(message.value_parts <= SINK_MESSAGE_PARTS);
    assert(message.property_count <= SINK_MESSAGE_PROPERTIES);
    size_t len = 0;
    char *value = join(&message, &len);
    assert(len > 2 && value[0] == '{' && value[len - 1] == '}');
    struct record slow = *record;
    slow.head = slow.tail = STR_NONE;
    size_t again_len = 0;
    assert(mapping_map(mapping, &slow, &message, &err));
    char *again = join(&message, &again_len);
    assert(again_len == len && memcmp(again, value, len) == 0);
    free(again);
    free(value);
}

/* How many records there are, and whether the page is whole. */
static size_t walk(const struct page_text *page, enum message_key key, bool *ret_whole) {
    struct mapping mapping;
    mapping_init(&mapping);
    mapping.key = key;
    mapping.hash_key = STR("id");
    mapping.range_key = STR("at");
    mapping.table_name = STR("t");
    mapping.shard_id = STR("s");
    struct record_page walk;
    struct record record;
    struct err err = ERR_NONE;
    size_t count = 0;
    *ret_whole = record_page_open(&walk, str_make(page->data, page->size), &err);
    while (*ret_whole && record_page_next(&walk, &record, &err)) {
        check_slices(page, &record);
        check_both_ways(&mapping, &record);
        count++;
    }
    *ret_whole = *ret_whole && !err_is_set(&err);
    assert(!*ret_whole || is_within(page, walk.next_iterator));
    mapping_done(&mapping);
    return count;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    struct str input = fuzz_input(data, size);
    enum message_key key = (enum message_key)(fuzz_take_byte(&input) % 3);
    static const char paddings[] = {'\0', '"', '}', '\\', '0', ' '};
    bool first_whole = false;
    size_t first = 0;
    for (size_t i = 0; i < sizeof paddings; i++) {
        struct page_text page = make_page(input, paddings[i]);
        bool whole = false;
        size_t count = walk(&page, key, &whole);
        if (i == 0) {
            first = count;
            first_whole = whole;
        }
        assert(count == first && whole == first_whole);
        free(page.data);
    }
    return 0;
}
