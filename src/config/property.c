#include "config/property.h"

#include "config/config_time.h"
#include "config/config_value.h"

#include <stdlib.h>

#define ENV_PREFIX "DDB2PULSAR_"

static const struct property_choice choices_position[] = {
    {"LATEST", CONFIG_POSITION_LATEST, NULL},
    {"TRIM_HORIZON", CONFIG_POSITION_TRIM_HORIZON, NULL},
    {"AT_TIMESTAMP", CONFIG_POSITION_AT_TIMESTAMP, NULL},
    {NULL, 0, NULL},
};
static const struct property_choice choices_loss[] = {
    {"fail", CONFIG_POLICY_FAIL, NULL},
    {"continue", CONFIG_POLICY_GO_ON, NULL},
    {NULL, 0, NULL},
};
static const struct property_choice choices_record[] = {
    {"fail", CONFIG_POLICY_FAIL, NULL},
    {"skip", CONFIG_POLICY_GO_ON, NULL},
    {NULL, 0, NULL},
};
static const struct property_choice choices_billing[] = {
    {"PAY_PER_REQUEST", TABLE_BILLING_PAY_PER_REQUEST, NULL},
    {"PROVISIONED", TABLE_BILLING_PROVISIONED, NULL},
    {NULL, 0, NULL},
};
static const struct property_choice choices_sink[] = {
    {"pulsar", CONFIG_SINK_PULSAR, NULL},
    {"stdout", CONFIG_SINK_STDOUT, NULL},
    {"pipe", CONFIG_SINK_PIPE, NULL},
    {"none", CONFIG_SINK_NONE, NULL},
    {NULL, 0, NULL},
};
static const struct property_choice choices_key[] = {
    {"itemKey", MESSAGE_KEY_ITEM, NULL},
    {"eventId", MESSAGE_KEY_EVENT_ID, NULL},
    {"none", MESSAGE_KEY_NONE, NULL},
    {NULL, 0, NULL},
};
static const struct property_choice choices_guarantees[] = {
    {"ATLEAST_ONCE", CONFIG_ATLEAST_ONCE, NULL},
    {"EFFECTIVELY_ONCE", CONFIG_EFFECTIVELY_ONCE, NULL},
    {"ATMOST_ONCE", CONFIG_ATLEAST_ONCE, NULL},
    {"MANUAL", CONFIG_ATLEAST_ONCE, NULL},
    {NULL, 0, NULL},
};
static const struct property_choice choices_compression[] = {
    {"NONE", PULSAR_COMPRESSION_NONE, NULL},     {"LZ4", PULSAR_COMPRESSION_LZ4, NULL},
    {"ZLIB", PULSAR_COMPRESSION_ZLIB, NULL},     {"ZSTD", PULSAR_COMPRESSION_ZSTD, NULL},
    {"SNAPPY", PULSAR_COMPRESSION_SNAPPY, NULL}, {NULL, 0, NULL},
};
static const struct property_choice choices_hashing[] = {
    {"Murmur3_32Hash", PULSAR_HASHING_MURMUR3, NULL},
    {"JavaStringHash", PULSAR_HASHING_JAVA_STRING, NULL},
    {NULL, 0, NULL},
};
static const struct property_choice choices_metrics[] = {
    {"NONE", CONFIG_METRICS_NONE, NULL},
    {"SUMMARY", CONFIG_METRICS_SUMMARY, NULL},
    {"DETAILED", CONFIG_METRICS_DETAILED, NULL},
    {NULL, 0, NULL},
};
static const struct property_choice choices_lanes[] = {
    {"auto", 0, NULL},
    {NULL, 0, NULL},
};

static const struct property rows[CONFIG_KEY_COUNT] = {
#define PROPERTY(field, type, kind_, name_, def, min_, max_, choices_, secret_, since_, text_)     \
    [CONFIG_KEY_##field] = {.name = (name_),                                                       \
                            .kind = (kind_),                                                       \
                            .offset = offsetof(struct config, field),                              \
                            .default_text = (def),                                                 \
                            .min = (min_),                                                         \
                            .max = (max_),                                                         \
                            .choices = (choices_),                                                 \
                            .secret = (secret_),                                                   \
                            .since = (since_),                                                     \
                            .text = (text_)},
#include "config/properties.def"
};

const struct property *property_of(enum config_key key) {
    return &rows[key];
}

bool property_find(struct str name, enum config_key *ret_key) {
    for (size_t i = 0; i < CONFIG_KEY_COUNT; i++) {
        if (str_is(name, rows[i].name)) {
            *ret_key = (enum config_key)i;
            return true;
        }
    }
    return false;
}

void property_suggest(struct suggest *suggest) {
    for (size_t i = 0; i < CONFIG_KEY_COUNT; i++) {
        suggest_offer(suggest, rows[i].name);
    }
}

/* "awsRegion" as DDB2PULSAR_AWS_REGION, or with glue as DDB2PULSAR_AWSREGION. */
static void env_name(const char *name, bool glue, char to[PROPERTY_ENV_MAX]) {
    size_t len = sizeof ENV_PREFIX - 1;
    memcpy(to, ENV_PREFIX, len);
    for (const char *p = name; *p != '\0' && len < PROPERTY_ENV_MAX - 2; p++) {
        bool is_upper = *p >= 'A' && *p <= 'Z';
        if (is_upper && !glue) {
            to[len++] = '_';
        }
        to[len++] = *p >= 'a' && *p <= 'z' ? (char)(*p - 'a' + 'A') : *p == '.' ? '_' : *p;
    }
    to[len] = '\0';
}

void property_env_name(enum config_key key, char to[PROPERTY_ENV_MAX]) {
    env_name(rows[key].name, false, to);
}

bool property_find_env(struct str variable, enum config_key *ret_key) {
    for (size_t i = 0; i < CONFIG_KEY_COUNT; i++) {
        char name[2][PROPERTY_ENV_MAX];
        env_name(rows[i].name, false, name[0]);
        env_name(rows[i].name, true, name[1]);
        if (str_is(variable, name[0]) || str_is(variable, name[1])) {
            *ret_key = (enum config_key)i;
            return true;
        }
    }
    return false;
}

static void add_choices(struct buf *to, const struct property_choice *choices) {
    for (const struct property_choice *choice = choices; choice->name != NULL; choice++) {
        if (choice->refusal != NULL) {
            continue;
        }
        if (choice != choices) {
            const struct property_choice *after = choice + 1;
            while (after->name != NULL && after->refusal != NULL) {
                after++;
            }
            buf_add_text(to, after->name == NULL ? " or " : ", ");
        }
        buf_add_text(to, choice->name);
    }
}

void property_add_allowed(struct buf *to, enum config_key key) {
    const struct property *row = &rows[key];
    unsigned long long min = row->min;
    unsigned long long max = row->max;
    switch (row->kind) {
    case PROPERTY_TEXT:
        buf_add_text(to, "a text");
        break;
    case PROPERTY_URL:
        buf_add_text(to, "http[s]://host[:port]");
        break;
    case PROPERTY_COUNT:
        buf_add_format(to, "%llu to %llu", min, max);
        if (row->choices != NULL) {
            buf_add_text(to, ", or ");
            add_choices(to, row->choices);
        }
        break;
    case PROPERTY_MS:
        buf_add_format(to, "%llu to %llu ms", min, max);
        break;
    case PROPERTY_BYTES:
        config_value_add_bytes(to, min);
        buf_add_text(to, " to ");
        config_value_add_bytes(to, max);
        break;
    case PROPERTY_TIME:
        buf_add_text(to, "milliseconds since 1970, or 2019-03-05T19:28:58.000Z");
        break;
    case PROPERTY_FLAG:
        buf_add_text(to, "true or false");
        break;
    case PROPERTY_CHOICE:
        add_choices(to, row->choices);
        break;
    }
}

const char *property_kind_name(enum property_kind kind) {
    switch (kind) {
    case PROPERTY_TEXT:
        return "text";
    case PROPERTY_URL:
        return "URL";
    case PROPERTY_COUNT:
        return "count";
    case PROPERTY_MS:
        return "time";
    case PROPERTY_BYTES:
        return "size";
    case PROPERTY_TIME:
        return "date";
    case PROPERTY_FLAG:
        return "flag";
    case PROPERTY_CHOICE:
        return "choice";
    }
    return "text";
}

static bool fail(enum config_key key, enum config_value_result result, const char *what,
                 struct err *err) {
    struct buf allowed;
    buf_init(&allowed, 256);
    property_add_allowed(&allowed, key);
    if (rows[key].kind == PROPERTY_MS) {
        buf_add_text(&allowed, ", also with a unit: ms, s, min, h");
    } else if (rows[key].kind == PROPERTY_BYTES) {
        buf_add_text(&allowed, ", in bytes or with a unit: KiB, MiB, GiB");
    }
    if (result == CONFIG_VALUE_OUT_OF_BOUNDS) {
        err_set(err, ERR_CONFIG, "out of bounds; allowed: %s", buf_text(&allowed));
    } else {
        err_set(err, ERR_CONFIG, "not %s; allowed: %s", what, buf_text(&allowed));
    }
    buf_done(&allowed);
    return false;
}

static const struct property_choice *find_choice(const struct property *row, struct str text) {
    for (const struct property_choice *c = row->choices; c != NULL && c->name != NULL; c++) {
        if (str_equal_nocase(text, str_of(c->name))) {
            return c;
        }
    }
    return NULL;
}

static bool store_text(struct str text, const char *prefix, char **field, struct err *err) {
    struct buf whole;
    buf_init(&whole, BUF_MAX_CONFIG);
    buf_add_text(&whole, prefix);
    buf_add_str(&whole, text);
    char *copy = whole.failed ? NULL : str_dup(buf_str(&whole));
    buf_done(&whole);
    if (copy == NULL) {
        return err_set(err, ERR_NOMEM, "out of memory");
    }
    free(*field);
    *field = copy;
    return true;
}

static bool store_url(struct str text, char **field, struct err *err) {
    const char *defect = text.len == 0 ? NULL : config_value_url_defect(text);
    if (defect != NULL) {
        return err_set(err, ERR_CONFIG, "not a usable URL, %s; allowed: http[s]://host[:port]",
                       defect);
    }
    bool bare = text.len > 0 && memmem(text.ptr, text.len, "://", 3) == NULL;
    return store_text(text, bare ? "https://" : "", field, err);
}

static bool store_choice(enum config_key key, struct str text, void *field, struct err *err) {
    const struct property_choice *choice = find_choice(&rows[key], text);
    if (choice == NULL) {
        return fail(key, CONFIG_VALUE_MALFORMED, "one of its values", err);
    }
    if (choice->refusal != NULL) {
        struct buf allowed;
        buf_init(&allowed, 256);
        property_add_allowed(&allowed, key);
        err_set(err, ERR_CONFIG, "%s; allowed: %s", choice->refusal, buf_text(&allowed));
        buf_done(&allowed);
        return false;
    }
    memcpy(field, &choice->value, sizeof choice->value); /* see the assertions below */
    return true;
}

static bool store_number(enum config_key key, struct str text, uint64_t *ret_value,
                         struct err *err) {
    const struct property *row = &rows[key];
    const struct property_choice *choice = find_choice(row, text);
    if (choice != NULL) {
        *ret_value = choice->value;
        return true;
    }
    enum config_value_result result;
    const char *what;
    if (row->kind == PROPERTY_MS) {
        what = "a time";
        result = config_value_ms(text, row->min, row->max, ret_value);
    } else if (row->kind == PROPERTY_BYTES) {
        what = "a size";
        result = config_value_bytes(text, row->min, row->max, ret_value);
    } else {
        what = "a whole number";
        result = config_value_count(text, row->min, row->max, ret_value);
    }
    return result == CONFIG_VALUE_OK || fail(key, result, what, err);
}

/* 0: none. */
static bool store_time(enum config_key key, struct str text, int64_t *field, struct err *err) {
    *field = 0;
    if (text.len == 0) {
        return true;
    }
    enum config_value_result result = config_time_parse(text, field);
    return result == CONFIG_VALUE_OK || fail(key, result, "a point in time", err);
}

/* Each kind has one C type; a row that says otherwise does not compile. */
#define SIZE_OF_PROPERTY_TEXT sizeof(char *)
#define SIZE_OF_PROPERTY_URL sizeof(char *)
#define SIZE_OF_PROPERTY_COUNT sizeof(uint32_t)
#define SIZE_OF_PROPERTY_MS sizeof(uint32_t)
#define SIZE_OF_PROPERTY_BYTES sizeof(uint64_t)
#define SIZE_OF_PROPERTY_TIME sizeof(int64_t)
#define SIZE_OF_PROPERTY_FLAG sizeof(bool)
#define SIZE_OF_PROPERTY_CHOICE sizeof(unsigned)
#define PROPERTY(field, type, kind, name, def, min, max, choices, secret, since, text)             \
    _Static_assert(sizeof(((struct config *)0)->field) == SIZE_OF_##kind, name);
#include "config/properties.def"

bool property_store(enum config_key key, struct str text, struct config *config, struct err *err) {
    const struct property *row = &rows[key];
    void *field = (char *)config + row->offset;
    uint64_t number;
    switch (row->kind) {
    case PROPERTY_TEXT:
        return store_text(text, "", field, err);
    case PROPERTY_URL:
        return store_url(text, field, err);
    case PROPERTY_COUNT:
    case PROPERTY_MS:
        if (!store_number(key, text, &number, err)) {
            return false;
        }
        *(uint32_t *)field = (uint32_t)number; /* max is below 2^32 for these kinds */
        return true;
    case PROPERTY_BYTES:
        return store_number(key, text, field, err);
    case PROPERTY_TIME:
        return store_time(key, text, field, err);
    case PROPERTY_FLAG:
        if (config_value_flag(text, field) != CONFIG_VALUE_OK) {
            return fail(key, CONFIG_VALUE_MALFORMED, "a truth value", err);
        }
        return true;
    case PROPERTY_CHOICE:
        return store_choice(key, text, field, err);
    }
    return err_set(err, ERR_INTERNAL, "%s has no kind", row->name);
}
