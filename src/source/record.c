#include "source/record.h"

#include "source/json_scan.h"

/* Not false when the value at hand is null, which is passed: null means absent. */
static bool pass_null(struct json_scan *scan) {
    if (json_scan_peek(scan) != 'n') {
        return false;
    }
    struct json_scan word = *scan;
    if (!json_scan_value(&word, NULL)) {
        return false; /* the caller finds it wrong too */
    }
    *scan = word;
    return true;
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

/* The members of one object; reads the value of those that it knows. */
typedef bool read_member(struct json_scan *scan, struct str name, struct record *record);

static bool walk(struct json_scan *scan, struct record *record, read_member *read) {
    if (json_scan_peek(scan) != '{') {
        return json_scan_fail(scan, "an object expected");
    }
    scan->at++;
    for (bool first = true;; first = false) {
        struct str name;
        switch (json_scan_member(scan, first, &name)) {
        case JSON_SCAN_BROKEN:
            return false;
        case JSON_SCAN_END:
            return true;
        case JSON_SCAN_MEMBER:
            if (!read(scan, name, record)) {
                return false;
            }
        }
    }
}

static bool read_change_member(struct json_scan *scan, struct str name, struct record *record) {
    switch (name.len) {
    case 4:
        if (str_is(name, "Keys")) {
            return read_object(scan, &record->keys);
        }
        break;
    case 8:
        if (str_is(name, "NewImage")) {
            return read_object(scan, &record->new_image);
        }
        if (str_is(name, "OldImage")) {
            return read_object(scan, &record->old_image);
        }
        break;
    case 9:
        if (str_is(name, "SizeBytes")) {
            return read_number(scan, &record->size_bytes);
        }
        break;
    case 14:
        if (str_is(name, "SequenceNumber")) {
            return read_string(scan, &record->sequence_number);
        }
        if (str_is(name, "StreamViewType")) {
            return read_string(scan, &record->stream_view_type);
        }
        break;
    case 27:
        if (str_is(name, "ApproximateCreationDateTime")) {
            return read_created(scan, record);
        }
        break;
    default:
        break;
    }
    return json_scan_value(scan, NULL);
}

static bool read_identity_member(struct json_scan *scan, struct str name, struct record *record) {
    /* The API's model has capitals, its documentation and captured events have not. */
    if (str_is(name, "principalId") || str_is(name, "PrincipalId")) {
        return read_string(scan, &record->principal_id);
    }
    if (str_is(name, "type") || str_is(name, "Type")) {
        return read_string(scan, &record->identity_type);
    }
    return json_scan_value(scan, NULL);
}

/* The last of repeated members wins, so a second one starts from nothing. */
static bool read_change(struct json_scan *scan, struct record *record) {
    record->keys = record->new_image = record->old_image = STR_NONE;
    record->size_bytes = record->sequence_number = record->stream_view_type = STR_NONE;
    record->has_created = false;
    record->created_ms = 0;
    return pass_null(scan) || walk(scan, record, read_change_member);
}

static bool read_identity(struct json_scan *scan, struct record *record) {
    record->principal_id = record->identity_type = STR_NONE;
    record->has_user_identity = false;
    if (pass_null(scan)) {
        return true;
    }
    record->has_user_identity = true;
    return walk(scan, record, read_identity_member);
}

static bool read_record_member(struct json_scan *scan, struct str name, struct record *record) {
    switch (name.len) {
    case 7:
        if (str_is(name, "eventID")) {
            return read_string(scan, &record->event_id);
        }
        break;
    case 8:
        if (str_is(name, "dynamodb")) {
            return read_change(scan, record);
        }
        break;
    case 9:
        if (str_is(name, "eventName")) {
            return read_string(scan, &record->event_name);
        }
        if (str_is(name, "awsRegion")) {
            return read_string(scan, &record->aws_region);
        }
        break;
    case 11:
        if (str_is(name, "eventSource")) {
            return read_string(scan, &record->event_source);
        }
        break;
    case 12:
        if (str_is(name, "eventVersion")) {
            return read_string(scan, &record->event_version);
        }
        if (str_is(name, "userIdentity")) {
            return read_identity(scan, record);
        }
        break;
    default:
        break;
    }
    return json_scan_value(scan, NULL);
}

static bool broken(const struct record_page *page, const struct json_scan *scan, struct err *err) {
    return err_set(err, ERR_AWS_REPLY, "GetRecords response: %s at byte %zu", scan->wrong,
                   (size_t)(scan->at - page->start));
}

static struct json_scan scan_of(const struct record_page *page) {
    return (struct json_scan){.at = page->at, .end = page->end};
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
    size_t offset = (size_t)(scan.at - page->start);
    *ret_record = (struct record){.has_created = false};
    if (!walk(&scan, ret_record, read_record_member) || !pass_comma(&scan)) {
        return broken(page, &scan, err);
    }
    page->at = scan.at;
    struct str number = ret_record->sequence_number;
    if (!seqno_parse(number, &ret_record->seqno)) {
        return err_set(err, ERR_RECORD, "the record at byte %zu of its page has %s", offset,
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
