#include "config/config_value.h"

struct unit {
    const char *name;
    uint64_t factor;
};

static const struct unit time_units[] = {
    {"ms", 1}, {"s", 1000}, {"min", 60 * 1000}, {"h", 60 * 60 * 1000}, {NULL, 0},
};

static const struct unit size_units[] = {
    {"B", 1},
    {"KiB", UINT64_C(1) << 10},
    {"MiB", UINT64_C(1) << 20},
    {"GiB", UINT64_C(1) << 30},
    {"KB", 1000},
    {"MB", 1000 * 1000},
    {"GB", 1000 * 1000 * 1000},
    {NULL, 0},
};

bool config_value_is_blank(struct str text) {
    return str_trim(text).len == 0;
}

static enum config_value_result check_bounds(uint64_t value, uint64_t min, uint64_t max,
                                             uint64_t *ret_value) {
    if (value < min || value > max) {
        return CONFIG_VALUE_OUT_OF_BOUNDS;
    }
    *ret_value = value;
    return CONFIG_VALUE_OK;
}

static bool all_digits(struct str text) {
    for (size_t i = 0; i < text.len; i++) {
        if (text.ptr[i] < '0' || text.ptr[i] > '9') {
            return false;
        }
    }
    return text.len > 0;
}

enum config_value_result config_value_count(struct str text, uint64_t min, uint64_t max,
                                            uint64_t *ret_count) {
    uint64_t value;
    struct str number = str_trim(text);
    if (!all_digits(number)) {
        return CONFIG_VALUE_MALFORMED;
    }
    if (!str_to_u64(number, &value)) {
        return CONFIG_VALUE_OUT_OF_BOUNDS;
    }
    return check_bounds(value, min, max, ret_count);
}

/* A number, and behind it an optional unit; without one the factor is 1. */
static enum config_value_result parse_with_unit(struct str text, const struct unit *units,
                                                uint64_t min, uint64_t max, uint64_t *ret_value) {
    struct str number = str_trim(text);
    struct str unit_name = STR_NONE;
    for (size_t i = 0; i < number.len; i++) {
        if (number.ptr[i] < '0' || number.ptr[i] > '9') {
            unit_name = str_trim(str_make(number.ptr + i, number.len - i));
            number = str_make(number.ptr, i);
            break;
        }
    }
    uint64_t factor = unit_name.len == 0 ? 1 : 0;
    for (const struct unit *unit = units; unit->name != NULL && factor == 0; unit++) {
        if (str_equal_nocase(unit_name, str_of(unit->name))) {
            factor = unit->factor;
        }
    }
    if (factor == 0 || number.len == 0) {
        return CONFIG_VALUE_MALFORMED;
    }
    uint64_t value;
    if (!str_to_u64(number, &value) || value > UINT64_MAX / factor) {
        return CONFIG_VALUE_OUT_OF_BOUNDS;
    }
    return check_bounds(value * factor, min, max, ret_value);
}

enum config_value_result config_value_ms(struct str text, uint64_t min, uint64_t max,
                                         uint64_t *ret_ms) {
    return parse_with_unit(text, time_units, min, max, ret_ms);
}

enum config_value_result config_value_bytes(struct str text, uint64_t min, uint64_t max,
                                            uint64_t *ret_bytes) {
    return parse_with_unit(text, size_units, min, max, ret_bytes);
}

enum config_value_result config_value_flag(struct str text, bool *ret_flag) {
    struct str word = str_trim(text);
    bool is_true = str_equal_nocase(word, STR("true"));
    if (!is_true && !str_equal_nocase(word, STR("false"))) {
        return CONFIG_VALUE_MALFORMED;
    }
    *ret_flag = is_true;
    return CONFIG_VALUE_OK;
}

static bool is_host_char(char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' ||
           c == '.' || c == '_';
}

static const char *port_defect(struct str port) {
    uint64_t number;
    if (config_value_count(port, 1, 65535, &number) != CONFIG_VALUE_OK) {
        return "its port is not a number from 1 to 65535";
    }
    return NULL;
}

const char *config_value_url_defect(struct str text) {
    struct str rest = text;
    if (str_starts(rest, "http://")) {
        rest = str_make(rest.ptr + 7, rest.len - 7);
    } else if (str_starts(rest, "https://")) {
        rest = str_make(rest.ptr + 8, rest.len - 8);
    } else if (memmem(text.ptr, text.len, "://", 3) != NULL) {
        return "its scheme is neither http nor https";
    }
    if (rest.len > 0 && rest.ptr[rest.len - 1] == '/') {
        rest.len--;
    }
    size_t host_len = 0;
    if (rest.len > 0 && rest.ptr[0] == '[') { /* an IPv6 address */
        const char *end = memchr(rest.ptr, ']', rest.len);
        if (end == NULL) {
            return "its \"[\" is never closed";
        }
        host_len = (size_t)(end - rest.ptr) + 1;
    } else {
        while (host_len < rest.len && is_host_char(rest.ptr[host_len])) {
            host_len++;
        }
    }
    if (host_len == 0) {
        return "it has no host name";
    }
    if (host_len == rest.len) {
        return NULL;
    }
    if (rest.ptr[host_len] != ':') {
        return "it may only have a scheme, a host and a port";
    }
    return port_defect(str_make(rest.ptr + host_len + 1, rest.len - host_len - 1));
}

const char *config_value_region_defect(struct str text) {
    for (size_t i = 0; i < text.len; i++) {
        char c = text.ptr[i];
        if (!((c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || (c == '-' && i > 0))) {
            return "a region has only lower-case letters, digits and '-'";
        }
    }
    if (text.len == 0) {
        return "a region has at least one character";
    }
    return text.len > 63 ? "a region has at most 63 characters" : NULL;
}

const char *config_value_variable(const char *const *environment, const char *name) {
    size_t len = strlen(name);
    for (; environment != NULL && *environment != NULL; environment++) {
        if (strncmp(*environment, name, len) == 0 && (*environment)[len] == '=') {
            const char *value = *environment + len + 1;
            return value[0] != '\0' ? value : NULL;
        }
    }
    return NULL;
}

void config_value_add_bytes(struct buf *to, uint64_t bytes) {
    static const char *const names[] = {"", " KiB", " MiB", " GiB", " TiB"};
    size_t i = 0;
    while (i < 4 && bytes >= 1024 && bytes % 1024 == 0) {
        bytes /= 1024;
        i++;
    }
    buf_add_format(to, "%llu%s", (unsigned long long)bytes, names[i]);
}

void config_value_add_quoted(struct buf *to, struct str text) {
    enum { SHOWN_BYTES = 100 };
    size_t len = str_cut(text, SHOWN_BYTES).len;
    buf_add_char(to, '"');
    for (size_t i = 0; i < len; i++) {
        unsigned char c = (unsigned char)text.ptr[i];
        buf_add_char(to, c < 0x20 || c == 0x7f ? '?' : (char)c);
    }
    buf_add_text(to, len < text.len ? "...\"" : "\"");
}
