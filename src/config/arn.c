#include "config/arn.h"

#include "config/config_value.h"

/* Cuts the part before the next separator off *rest; false when there is none. */
static bool next_part(struct str *rest, char separator, struct str *ret_part) {
    const char *end = rest->len == 0 ? NULL : memchr(rest->ptr, separator, rest->len);
    if (end == NULL) {
        return false;
    }
    size_t len = (size_t)(end - rest->ptr);
    *ret_part = str_make(rest->ptr, len);
    *rest = str_make(end + 1, rest->len - len - 1);
    return true;
}

static bool is_table_name(struct str name) {
    for (size_t i = 0; i < name.len; i++) {
        char c = name.ptr[i];
        if (!((c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
              c == '_' || c == '-' || c == '.')) {
            return false;
        }
    }
    return name.len >= 3 && name.len <= 255;
}

static bool is_account(struct str account) {
    for (size_t i = 0; i < account.len; i++) {
        if (account.ptr[i] < '0' || account.ptr[i] > '9') {
            return false;
        }
    }
    return account.len == 12;
}

/* Labels are times, e.g. 2015-05-11T21:21:33.291; what AWS may choose one day is not ours to refuse. */
static bool is_label(struct str label) {
    for (size_t i = 0; i < label.len; i++) {
        if (label.ptr[i] <= ' ' || label.ptr[i] > '~' || label.ptr[i] == '/') {
            return false;
        }
    }
    return label.len > 0;
}

const char *arn_parse(struct str text, struct arn *ret_arn) {
    struct arn arn;
    struct str rest = text;
    struct str prefix, service, kind, word;
    if (text.len > ARN_MAX_BYTES) {
        return "it is longer than 1023 characters";
    }
    if (!next_part(&rest, ':', &prefix) || !str_is(prefix, "arn")) {
        return "it does not start with \"arn:\"";
    }
    if (!next_part(&rest, ':', &arn.partition) || !next_part(&rest, ':', &service) ||
        !next_part(&rest, ':', &arn.region) || !next_part(&rest, ':', &arn.account)) {
        return "it has too few parts";
    }
    if (arn.partition.len == 0) {
        return "its partition is empty";
    }
    if (!str_is(service, "dynamodb")) {
        return "its service is not dynamodb";
    }
    if (config_value_region_defect(arn.region) != NULL) {
        return "its region is not one";
    }
    if (!is_account(arn.account)) {
        return "its account is not 12 digits";
    }
    if (!next_part(&rest, '/', &kind) || !str_is(kind, "table")) {
        return "it does not name a table";
    }
    if (!next_part(&rest, '/', &arn.table)) {
        return is_table_name(rest) ? "it is a table's, not a stream's"
                                   : "its table name is not one";
    }
    if (!is_table_name(arn.table)) {
        return "its table name is not one";
    }
    if (!next_part(&rest, '/', &word) || !str_is(word, "stream") || !is_label(rest)) {
        return "it does not end in \"/stream/<label>\"";
    }
    arn.label = rest;
    *ret_arn = arn;
    return NULL;
}
