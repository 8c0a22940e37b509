#include "source/record.h"

#include "source/json_scan.h"

/* Not false when the value at hand is null, which is passed: null means absent. Else the caller finds it wrong, too. */
static inline bool pass_null(struct json_scan *scan) {
    return json_scan_pass(scan, STR("null"));
}

static bool read_string(struct json_scan *scan, struct str *ret_raw) {
    *ret_raw = STR_NONE;
    return pass_null(scan) || json_scan_string(scan, ret_raw);
}

static bool read_object(struct json_scan *scan, struct str *ret) {
    *ret = STR_NONE;
    if (pass_null(scan)) {
        return true;
    }
    if (json_scan_peek(scan) != '{') {
        return json_scan_fail(scan, "an object expected");
    }
    return json_scan_value(scan, ret);
}

static bool read_number(struct json_scan *scan, struct str *ret) {
    uint64_t value;
    const char *start = scan->at;
    if (json_scan_natural(scan, &value)) {
        *ret = str_make(start, (size_t)(scan->at - start));
        return true;
    }
    *ret = STR_NONE;
    if (pass_null(scan)) {
        return true;
    }
    char c = json_scan_peek(scan);
    if (c != '-' && (c < '0' || c > '9')) {
        return json_scan_fail(scan, "a number expected");
    }
    return json_scan_value(scan, ret);
}

/* The exponent of a number's text from behind its 'e', held to a range in which nothing overflows. */
static int64_t exponent_of(struct str digits) {
    int64_t exponent = 0;
    bool negative = digits.ptr[0] == '-';
    for (size_t i = 0; i < digits.len; i++) {
        if (digits.ptr[i] >= '0' && digits.ptr[i] <= '9' && exponent < 1000000) {
            exponent = exponent * 10 + (digits.ptr[i] - '0');
        }
    }
    return negative ? -exponent : exponent;
}

/* Seconds, as a valid JSON number in any spelling, to milliseconds, cutting what is smaller. Digits only, no floating
 * point: 1.795441620123E9 is exact. False when they do not fit. */
static bool seconds_to_ms(struct str number, int64_t *ret_ms) {
    bool negative = number.ptr[0] == '-';
    int64_t whole_digits = 0; /* in front of the point, then those of the milliseconds */
    int64_t exponent = 0;
    size_t end = number.len; /* of the mantissa */
    bool in_fraction = false;
    for (size_t i = negative; i < number.len; i++) {
        char c = number.ptr[i];
        if (c == 'e' || c == 'E') {
            end = i;
            exponent = exponent_of(str_make(number.ptr + i + 1, number.len - i - 1));
            break;
        }
        in_fraction = in_fraction || c == '.';
        whole_digits += !in_fraction;
    }
    whole_digits += exponent + 3;

    int64_t ms = 0;
    int64_t taken = 0;
    for (size_t i = negative; i < end && taken < whole_digits; i++) {
        if (number.ptr[i] == '.') {
            continue;
        }
        if (__builtin_mul_overflow(ms, 10, &ms) ||
            __builtin_add_overflow(ms, number.ptr[i] - '0', &ms)) {
            return false;
        }
        taken++;
    }
    for (; taken < whole_digits && ms != 0; taken++) {
        if (__builtin_mul_overflow(ms, 10, &ms)) {
            return false;
        }
    }
    *ret_ms = negative ? -ms : ms;
    return true;
}

static bool read_created(struct json_scan *scan, struct record *record) {
    const char *start = scan->at;
    uint64_t seconds;
    if (json_scan_natural(scan, &seconds)) {
        record->created_ms = (int64_t)seconds * 1000;
        record->has_created = true;
        return true;
    }
    struct str number;
    if (!read_number(scan, &number)) {
        return false;
    }
    record->created_ms = 0;
    record->has_created = number.ptr != NULL;
    if (record->has_created && !seconds_to_ms(number, &record->created_ms)) {
        scan->at = start;
        return json_scan_fail(scan, "a time out of range");
    }
    return true;
}

/* ---- members ---- */

enum level { LEVEL_RECORD, LEVEL_CHANGE, LEVEL_IDENTITY };

enum kind {
    KIND_UNKNOWN,
    KIND_STRING,
    KIND_OBJECT,
    KIND_NUMBER,
    KIND_CREATED,
    KIND_CHANGE,
    KIND_IDENTITY
};

struct member {
    char text[40]; /* with what stands around it: ,"name": */
    uint8_t text_len;
    enum kind kind;
    size_t slot; /* in struct record, of a struct str */
};

#define MEMBER(member_name, member_kind, member_slot)                                              \
    {                                                                                              \
        .text = ",\"" member_name "\":", .text_len = sizeof(member_name) + 3,                      \
        .kind = (member_kind), .slot = offsetof(struct record, member_slot)                        \
    }

/* Number 0 is what is unknown; in front of the first member stands number 0, too. The order is the mapping's. The API's
 * model of userIdentity has capitals, its documentation and captured events have not. */
static const struct member members[RECORD_LEVELS][RECORD_LEVEL_MEMBERS] = {
    [LEVEL_RECORD] =
        {
            {.kind = KIND_UNKNOWN},
            MEMBER("eventID", KIND_STRING, event_id),
            MEMBER("eventName", KIND_STRING, event_name),
            MEMBER("eventVersion", KIND_STRING, event_version),
            MEMBER("eventSource", KIND_STRING, event_source),
            MEMBER("awsRegion", KIND_STRING, aws_region),
            MEMBER("dynamodb", KIND_CHANGE, keys),
            MEMBER("userIdentity", KIND_IDENTITY, principal_id),
        },
    [LEVEL_CHANGE] =
        {
            {.kind = KIND_UNKNOWN},
            MEMBER("ApproximateCreationDateTime", KIND_CREATED, keys),
            MEMBER("Keys", KIND_OBJECT, keys),
            MEMBER("NewImage", KIND_OBJECT, new_image),
            MEMBER("OldImage", KIND_OBJECT, old_image),
            MEMBER("SequenceNumber", KIND_STRING, sequence_number),
            MEMBER("SizeBytes", KIND_NUMBER, size_bytes),
            MEMBER("StreamViewType", KIND_STRING, stream_view_type),
        },
    [LEVEL_IDENTITY] =
        {
            {.kind = KIND_UNKNOWN},
            MEMBER("principalId", KIND_STRING, principal_id),
            MEMBER("type", KIND_STRING, identity_type),
            MEMBER("PrincipalId", KIND_STRING, principal_id),
            MEMBER("Type", KIND_STRING, identity_type),
        },
};

static uint8_t member_number(enum level level, struct str name) {
    for (size_t i = 1; i < RECORD_LEVEL_MEMBERS; i++) {
        const struct member *member = &members[level][i];
        if (member->text_len == name.len + 4 && memcmp(member->text + 2, name.ptr, name.len) == 0) {
            return (uint8_t)i;
        }
    }
    return 0;
}

/* One record on its way out of the page. */
struct walk {
    struct json_scan scan;
    struct record *record;
    uint8_t (*follows)[RECORD_LEVEL_MEMBERS];
    bool plain; /* so far it looks as it will look in the message, but for the creation time */
    struct str created;
};

static bool walk_object(struct walk *walk, enum level level);

/* The last of repeated members wins, so a second one starts from nothing. */
static bool read_change(struct walk *walk) {
    struct record *record = walk->record;
    record->keys = record->new_image = record->old_image = STR_NONE;
    record->size_bytes = record->sequence_number = record->stream_view_type = STR_NONE;
    record->has_created = false;
    record->created_ms = 0;
    return pass_null(&walk->scan) || walk_object(walk, LEVEL_CHANGE);
}

static bool read_identity(struct walk *walk) {
    struct record *record = walk->record;
    walk->plain = false; /* its names may differ in case */
    record->principal_id = record->identity_type = STR_NONE;
    record->has_user_identity = false;
    if (pass_null(&walk->scan)) {
        return true;
    }
    record->has_user_identity = true;
    return walk_object(walk, LEVEL_IDENTITY);
}

static bool read_value(struct walk *walk, const struct member *member) {
    struct json_scan *scan = &walk->scan;
    const char *start = scan->at;
    struct str *slot = (struct str *)(void *)((char *)walk->record + member->slot);
    bool good = false;
    switch (member->kind) {
    case KIND_STRING:
        good = read_string(scan, slot);
        break;
    case KIND_OBJECT:
        good = read_object(scan, slot);
        break;
    case KIND_NUMBER:
        good = read_number(scan, slot);
        break;
    case KIND_CREATED:
        good = read_created(scan, walk->record);
        walk->created = str_make(start, (size_t)(scan->at - start));
        walk->plain = walk->plain && walk->record->has_created;
        return good;
    case KIND_CHANGE:
        return read_change(walk);
    case KIND_IDENTITY:
        return read_identity(walk);
    case KIND_UNKNOWN:
        walk->plain = false;
        return json_scan_value(scan, NULL);
    }
    walk->plain = walk->plain && slot->ptr != NULL;
    return good;
}

/* All members of an object. Services write them in the same order again and again, so the one that is expected next is
 * compared with first. */
static bool walk_object(struct walk *walk, enum level level) {
    struct json_scan *scan = &walk->scan;
    if (json_scan_peek(scan) != '{') {
        return json_scan_fail(scan, "an object expected");
    }
    scan->at++;
    uint8_t last = 0;
    for (bool first = true;; first = false) {
        const char *start = scan->at;
        uint8_t number = walk->follows[level][last];
        const struct member *member = &members[level][number];
        struct str text = str_make(member->text + first, member->text_len - first);
        if (number == 0 || !json_scan_pass(scan, text)) {
            struct str name;
            enum json_scan_step step = json_scan_member(scan, first, &name);
            if (step == JSON_SCAN_BROKEN) {
                return false;
            }
            if (step == JSON_SCAN_END) {
                walk->plain = walk->plain && scan->at == start + 1;
                return true;
            }
            number = member_number(level, name);
            walk->follows[level][last] = number;
            member = &members[level][number];
            walk->plain = walk->plain && scan->at == start + member->text_len - first;
        }
        walk->plain = walk->plain && number > last;
        last = number;
        if (!read_value(walk, member)) {
            return false;
        }
    }
}

static bool broken(const struct record_page *page, const struct json_scan *scan, struct err *err) {
    return err_set(err, ERR_AWS_REPLY, "GetRecords response: %s at byte %zu", scan->wrong,
                   (size_t)(scan->at - page->start));
}

static struct json_scan scan_of(const struct record_page *page) {
    return (struct json_scan){.at = page->at, .end = page->end};
}

/* At first the mapping's order is expected. */
static void expect_usual_order(struct record_page *page) {
    for (size_t level = 0; level < RECORD_LEVELS; level++) {
        for (uint8_t i = 0; i + 1 < RECORD_LEVEL_MEMBERS; i++) {
            page->follows[level][i] = members[level][i + 1].text_len > 0 ? i + 1 : 0;
        }
    }
}

/* The page's own members: up to the first record (then at the array's first element or ']'), else to the end. */
static bool walk_page(struct record_page *page, struct json_scan *scan, bool first) {
    struct str iterator = page->next_iterator;
    for (;; first = false) {
        struct str name;
        enum json_scan_step step = json_scan_member(scan, first, &name);
        if (step == JSON_SCAN_BROKEN) {
            return false;
        }
        if (step == JSON_SCAN_END) {
            break;
        }
        if (str_is(name, "NextShardIterator")) {
            if (!read_string(scan, &iterator)) {
                return false;
            }
        } else if (str_is(name, "Records") && !pass_null(scan)) {
            if (page->has_records) {
                return json_scan_fail(scan, "a second array of records");
            }
            if (json_scan_peek(scan) != '[') {
                return json_scan_fail(scan, "an array expected");
            }
            scan->at++;
            json_scan_space(scan);
            page->at = scan->at;
            page->next_iterator = iterator;
            page->has_records = page->in_records = true;
            return true;
        } else if (!str_is(name, "Records") && !json_scan_value(scan, NULL)) {
            return false;
        }
    }
    json_scan_space(scan);
    if (scan->at != scan->end) {
        return json_scan_fail(scan, "more text behind the response");
    }
    page->at = scan->at;
    page->next_iterator = iterator.len > 0 ? iterator : STR_NONE;
    page->in_records = false;
    page->ended = true;
    return true;
}

bool record_page_open(struct record_page *page, struct str body, struct err *err) {
    *page = (struct record_page){
        .at = body.ptr,
        .end = body.ptr + body.len,
        .start = body.ptr,
    };
    expect_usual_order(page);
    struct json_scan scan = scan_of(page);
    json_scan_space(&scan);
    if (json_scan_peek(&scan) != '{') {
        json_scan_fail(&scan, "an object expected");
        return broken(page, &scan, err);
    }
    scan.at++;
    return walk_page(page, &scan, true) || broken(page, &scan, err);
}

/* Behind a record: to the next one, or to the array's ']'. */
static bool pass_comma(struct json_scan *scan) {
    json_scan_space(scan);
    char c = json_scan_peek(scan);
    if (c == ']') {
        return true;
    }
    if (c != ',') {
        return json_scan_fail(scan, "',' or ']' expected");
    }
    scan->at++;
    json_scan_space(scan);
    return json_scan_peek(scan) == '{' || json_scan_fail(scan, "a record expected");
}

/* page->at moves only over what was understood: a page that is broken stays broken at the same byte. */
bool record_page_next(struct record_page *page, struct record *ret_record, struct err *err) {
    if (page->ended || !page->in_records) {
        return false;
    }
    struct json_scan scan = scan_of(page);
    if (json_scan_peek(&scan) == ']') {
        scan.at++;
        if (!walk_page(page, &scan, false)) {
            broken(page, &scan, err);
        }
        return false;
    }
    const char *start = scan.at;
    *ret_record = (struct record){.has_created = false};
    struct walk walk = {
        .scan = scan, .record = ret_record, .follows = page->follows, .plain = true};
    if (!walk_object(&walk, LEVEL_RECORD)) {
        return broken(page, &walk.scan, err);
    }
    const char *behind = walk.scan.at;
    if (!pass_comma(&walk.scan)) {
        return broken(page, &walk.scan, err);
    }
    page->at = walk.scan.at;
    if (walk.plain && walk.created.ptr != NULL) {
        const char *created_end = walk.created.ptr + walk.created.len;
        ret_record->head = str_make(start, (size_t)(walk.created.ptr - start));
        ret_record->tail = str_make(created_end, (size_t)(behind - created_end));
    }
    struct str number = ret_record->sequence_number;
    if (!seqno_parse(number, &ret_record->seqno)) {
        return err_set(err, ERR_RECORD, "the record at byte %zu of its page has %s",
                       (size_t)(start - page->start),
                       number.ptr == NULL ? "no sequence number"
                                          : "a sequence number that is not 1 to 40 digits");
    }
    return true;
}

static unsigned hex_value(char c) {
    return c <= '9' ? (unsigned)(c - '0') : (unsigned)((c | 0x20) - 'a' + 10);
}

/* The 16 bits of a \uXXXX at `at`. */
static uint32_t unit_at(const char *at) {
    uint32_t unit = 0;
    for (size_t i = 2; i < 6; i++) {
        unit = unit << 4 | (hex_value(at[i]) & 15);
    }
    return unit;
}

static size_t put_utf8(uint32_t code, char *to) {
    if (code < 0x80) {
        to[0] = (char)code;
        return 1;
    }
    if (code < 0x800) {
        to[0] = (char)(0xc0 | code >> 6);
        to[1] = (char)(0x80 | (code & 0x3f));
        return 2;
    }
    if (code < 0x10000) {
        to[0] = (char)(0xe0 | code >> 12);
        to[1] = (char)(0x80 | (code >> 6 & 0x3f));
        to[2] = (char)(0x80 | (code & 0x3f));
        return 3;
    }
    to[0] = (char)(0xf0 | code >> 18);
    to[1] = (char)(0x80 | (code >> 12 & 0x3f));
    to[2] = (char)(0x80 | (code >> 6 & 0x3f));
    to[3] = (char)(0x80 | (code & 0x3f));
    return 4;
}

static bool is_unit(const char *at, const char *end) {
    return end - at >= 6 && at[0] == '\\' && at[1] == 'u';
}

/* A \uXXXX, or two that are one surrogate pair; sets how many bytes that took. */
static uint32_t code_at(const char *at, const char *end, size_t *ret_taken) {
    uint32_t code = unit_at(at);
    *ret_taken = 6;
    if (code < 0xd800 || code > 0xdfff) {
        return code;
    }
    if (code < 0xdc00 && is_unit(at + 6, end)) {
        uint32_t low = unit_at(at + 6);
        if (low >= 0xdc00 && low <= 0xdfff) {
            *ret_taken = 12;
            return 0x10000 + ((code - 0xd800) << 10) + (low - 0xdc00);
        }
    }
    return 0xfffd;
}

size_t record_unescape(struct str raw, char *to) {
    const char *at = raw.ptr;
    const char *end = raw.ptr + raw.len;
    char *out = to;
    while (at < end) {
        if (*at != '\\' || at + 1 == end) {
            *out++ = *at++;
            continue;
        }
        if (is_unit(at, end)) {
            size_t taken = 0;
            uint32_t code = code_at(at, end, &taken);
            out += put_utf8(code, out);
            at += taken;
            continue;
        }
        static const char letters[] = "bfnrt";
        static const char bytes[] = "\b\f\n\r\t";
        const char *letter = memchr(letters, at[1], sizeof letters - 1);
        *out++ = letter != NULL ? bytes[letter - letters] : at[1];
        at += 2;
    }
    return (size_t)(out - to);
}
