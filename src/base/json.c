#include "base/json.h"

struct aws_json_value *json_parse(struct str text) {
    return text.len == 0
               ? NULL
               : aws_json_value_new_from_string(aws_default_allocator(),
                                                aws_byte_cursor_from_array(text.ptr, text.len));
}

void json_free(struct aws_json_value *value) {
    if (value != NULL) {
        aws_json_value_destroy(value);
    }
}

static int erase(const struct aws_byte_cursor *key, const struct aws_json_value *value,
                 bool *ret_continue, void *ctx) {
    (void)key;
    (void)ret_continue;
    (void)ctx;
    struct aws_byte_cursor text;
    if (aws_json_value_get_string(value, &text) == AWS_OP_SUCCESS) {
        explicit_bzero(text.ptr, text.len); /* the tree's own bytes */
    }
    return AWS_OP_SUCCESS;
}

void json_free_secret(struct aws_json_value *value) {
    if (value != NULL && aws_json_value_is_object(value)) {
        (void)aws_json_const_iterate_object(value, erase, NULL); /* cannot fail on an object */
    }
    json_free(value);
}

struct search {
    struct str name;
    const struct aws_json_value *found;
};

static int match(const struct aws_byte_cursor *key, const struct aws_json_value *value,
                 bool *ret_continue, void *ctx) {
    struct search *search = ctx;
    if (str_equal(str_make((const char *)key->ptr, key->len), search->name)) {
        search->found = value;
        *ret_continue = false;
    }
    return AWS_OP_SUCCESS;
}

/* The parser's own look-up takes "message" for "Message", and attribute names of items differ by case alone. */
const struct aws_json_value *json_get(const struct aws_json_value *object, const char *name) {
    if (object == NULL || !aws_json_value_is_object(object)) {
        return NULL;
    }
    struct search search = {.name = str_of(name)};
    (void)aws_json_const_iterate_object(object, match, &search); /* cannot fail on an object */
    if (search.found == NULL || aws_json_value_is_null(search.found)) {
        return NULL;
    }
    return search.found;
}

struct str json_str(const struct aws_json_value *object, const char *name) {
    const struct aws_json_value *value = json_get(object, name);
    struct aws_byte_cursor cursor;
    if (value == NULL || aws_json_value_get_string(value, &cursor) != AWS_OP_SUCCESS) {
        return STR_NONE;
    }
    return str_make((const char *)cursor.ptr, cursor.len);
}

const char *json_text(const struct aws_json_value *object, const char *name) {
    /* The parser keeps C strings, so there is a NUL behind the bytes. */
    return json_str(object, name).ptr;
}
