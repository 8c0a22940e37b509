#include "pulsar/topic.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

enum { TOPIC_NAME_MAX = 4096 };

static bool refuse(struct str name, const char *why, struct err *err) {
    return err_set(err, ERR_CONFIG,
                   "topic name \"%.*s\": %s; it is \"topic\", \"tenant/namespace/topic\" or "
                   "\"persistent://tenant/namespace/topic\"",
                   (int)(name.len < 200 ? name.len : 200), name.ptr != NULL ? name.ptr : "", why);
}

/* Tenant and namespace as the broker allows them. */
static bool is_entity_name(struct str part) {
    for (size_t i = 0; i < part.len; i++) {
        char c = part.ptr[i];
        bool letter = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
        if (!letter && strchr("-=:._", c) == NULL) {
            return false;
        }
    }
    return part.len > 0;
}

static struct str take_until_slash(struct str *rest) {
    const char *slash = rest->len > 0 ? memchr(rest->ptr, '/', rest->len) : NULL;
    size_t len = slash != NULL ? (size_t)(slash - rest->ptr) : rest->len;
    struct str part = str_make(rest->ptr, len);
    size_t skip = slash != NULL ? len + 1 : len;
    *rest = str_make(rest->ptr + skip, rest->len - skip);
    return part;
}

static bool check_path(struct str name, struct str path, struct err *err) {
    struct str topic = path;
    struct str tenant = take_until_slash(&topic);
    struct str namespace = take_until_slash(&topic);
    if (!is_entity_name(tenant) || !is_entity_name(namespace)) {
        return refuse(name, "tenant and namespace consist of letters, digits and - = : . _", err);
    }
    if (topic.len == 0) {
        return refuse(name, "the topic's own name is missing", err);
    }
    for (size_t i = 0; i < topic.len; i++) {
        unsigned char c = (unsigned char)topic.ptr[i];
        if (c == '/') {
            return refuse(name, "too many slashes", err);
        }
        if (c <= 0x20 || c == 0x7f) {
            return refuse(name, "spaces and control characters are not allowed", err);
        }
    }
    return true;
}

char *topic_full_name(struct str name, struct err *err) {
    if (name.len == 0 || name.len > TOPIC_NAME_MAX || memchr(name.ptr, '\0', name.len) != NULL) {
        refuse(name, name.len == 0 ? "it is empty" : "too long, or with a NUL byte", err);
        return NULL;
    }
    const char *prefix = "";
    struct str path = name;
    if (str_starts(name, "persistent://")) {
        path = str_make(name.ptr + strlen("persistent://"), name.len - strlen("persistent://"));
    } else if (str_starts(name, "non-persistent://")) {
        path = str_make(name.ptr + strlen("non-persistent://"),
                        name.len - strlen("non-persistent://"));
    } else if (memmem(name.ptr, name.len, "://", 3) != NULL) {
        refuse(name, "unknown domain", err);
        return NULL;
    } else {
        bool is_short = memchr(name.ptr, '/', name.len) == NULL;
        prefix = is_short ? "persistent://public/default/" : "persistent://";
    }
    char *full = NULL;
    if (asprintf(&full, "%s%.*s", prefix, STR_FMT(name)) < 0) {
        err_set(err, ERR_NOMEM, "no memory for a topic name");
        return NULL;
    }
    if (prefix[0] != '\0') {
        path = str_of(full + strlen("persistent://"));
    }
    if (!check_path(name, path, err)) {
        free(full);
        return NULL;
    }
    return full;
}

char *topic_partition_name(const char *full_name, uint32_t index) {
    char *name = NULL;
    return asprintf(&name, "%s-partition-%" PRIu32, full_name, index) < 0 ? NULL : name;
}
