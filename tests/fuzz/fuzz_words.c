/*
 * fuzz_words: small texts of many kinds: ARNs, dates, sequence numbers, checkpoints, the base of a numbering, requests to the
 * health port.
 *
 * Input: a byte that says which, then the text.
 */
#include "aws/http_date.h"
#include "config/arn.h"
#include "config/config_time.h"
#include "fuzz/fuzz.h"
#include "monitor/http_request.h"
#include "source/numbering.h"

static bool is_within(struct str part, struct str text) {
    return part.ptr >= text.ptr && part.ptr + part.len <= text.ptr + text.len;
}

static void try_arn(struct str text) {
    struct arn arn;
    const char *defect = arn_parse(text, &arn);
    if (defect == NULL) {
        const struct str parts[] = {arn.partition, arn.region, arn.account, arn.table, arn.label};
        for (size_t i = 0; i < sizeof parts / sizeof parts[0]; i++) {
            assert(parts[i].len > 0 && is_within(parts[i], text));
        }
    } else {
        assert(defect[0] != '\0');
    }
}

static void try_time(struct str text) {
    int64_t ms = -1;
    char again[CONFIG_TIME_MAX];
    int64_t ms_again = -1;
    if (config_time_parse(text, &ms) == CONFIG_VALUE_OK) {
        assert(ms >= 0);
        config_time_format(ms, again);
        if (strlen(again) == strlen("2019-03-05T19:28:58.000Z")) { /* of a year with four digits */
            assert(config_time_parse(str_of(again), &ms_again) == CONFIG_VALUE_OK);
            assert(ms_again == ms);
        }
    }
}

static void try_http_date(struct str text) {
    int64_t ms = 0;
    if (http_date_parse(text, &ms)) {
        assert(ms >= 0 && ms % 1000 == 0);
    }
}

static void try_position(struct str text) {
    struct position position;
    char again[SEQNO_MAX_DIGITS + 1];
    if (position_parse(text, &position)) {
        assert(position_format(&position, again) == text.len);
        assert(memcmp(again, text.ptr, text.len) == 0);
        assert(position_compare(&position, &position) == 0);
    }
}

static void try_base(struct str text) {
    struct numbering_base base;
    struct numbering_base again;
    char written[NUMBERING_BASE_TEXT_MAX];
    if (numbering_base_parse(text, &base)) {
        size_t len = numbering_base_format(&base, written);
        assert(len < sizeof written && numbering_base_parse(str_make(written, len), &again));
        assert(numbering_base_equal(&base, &again));
    }
}

/* However it comes: once it is told for what it is, more bytes do not change that. */
static void try_request(struct str text) {
    struct str path = STR_NONE;
    enum http_request_state state = HTTP_REQUEST_MORE;
    for (size_t len = 0; len <= text.len && state == HTTP_REQUEST_MORE; len++) {
        state = http_request_parse(str_make(text.ptr, len), &path);
    }
    struct str whole = STR_NONE;
    assert(http_request_parse(text, &whole) == state);
    if (state == HTTP_REQUEST_GET || state == HTTP_REQUEST_HEAD) {
        assert(is_within(whole, text) && str_equal(path, whole));
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    static void (*const tries[])(struct str text) = {try_arn,      try_time, try_http_date,
                                                     try_position, try_base, try_request};
    struct str input = fuzz_input(data, size);
    uint8_t kind = fuzz_take_byte(&input);
    char *text = fuzz_copy(input);
    tries[kind % (sizeof tries / sizeof tries[0])](str_make(text, input.len));
    free(text);
    return 0;
}
