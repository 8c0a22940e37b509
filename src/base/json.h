/*
 * json: reading small JSON texts as trees of the CRT's parser. An absent member, null and a value of another type
 * are all "not there", as in AWS's own clients. Numbers are doubles there; what must be exact comes as a string.
 */
#ifndef BASE_JSON_H
#define BASE_JSON_H

#include "base/str.h"

#include <aws/common/json.h>

/* NULL when it is not JSON (or out of memory). */
struct aws_json_value *json_parse(struct str text);
/* NULL is fine. */
void json_free(struct aws_json_value *value);
/* The same; the texts of an object's string members are erased first. */
void json_free_secret(struct aws_json_value *value);

/* A member, or NULL. object may be NULL or no object. */
const struct aws_json_value *json_get(const struct aws_json_value *object, const char *name);
/* A string member, or STR_NONE. NUL-terminated; lives as long as the tree. */
struct str json_str(const struct aws_json_value *object, const char *name);
/* The same as a C string, or NULL. */
const char *json_text(const struct aws_json_value *object, const char *name);

#endif
