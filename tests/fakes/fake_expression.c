#include "fakes/fake_expression.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

enum { DEPTH_MAX = 32, USED_BITS = 64 };

enum token_kind {
    TOKEN_END,
    TOKEN_NAME,  /* also #name and key words */
    TOKEN_VALUE, /* :value */
    TOKEN_MARK,  /* ( ) , = <> < <= > >= + - */
};

struct parser {
    struct fake_expression *expression;
    struct str left;
    enum token_kind kind;
    struct str token;
    yyjson_mut_val *item; /* or NULL */
    int depth;
    struct err *err;
};

static bool is_word(char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_';
}

static bool invalid(struct parser *parser) {
    return err_set(parser->err, ERR_AWS_INVALID,
                   "Invalid expression: Syntax error; token: \"%.*s\", near: \"%.*s\"",
                   STR_FMT(parser->token), STR_FMT(parser->left));
}

static void advance(struct parser *parser) {
    parser->left = str_trim(parser->left);
    const char *p = parser->left.ptr;
    size_t left = parser->left.len;
    size_t len = left > 0 ? 1 : 0;
    parser->kind = left > 0 ? TOKEN_MARK : TOKEN_END;
    if (left > 0 && (is_word(p[0]) || p[0] == '#' || p[0] == ':')) {
        parser->kind = p[0] == ':' ? TOKEN_VALUE : TOKEN_NAME;
        while (len < left && is_word(p[len])) {
            len++;
        }
    } else if (left > 1 && (p[0] == '<' || p[0] == '>') &&
               (p[1] == '=' || (p[0] == '<' && p[1] == '>'))) {
        len = 2;
    }
    parser->token = str_make(p, len);
    parser->left = str_make(len > 0 ? p + len : p, left - len);
}

static bool at_mark(const struct parser *parser, const char *mark) {
    return parser->kind == TOKEN_MARK && str_is(parser->token, mark);
}

static bool at_word(const struct parser *parser, const char *word) {
    return parser->kind == TOKEN_NAME && str_equal_nocase(parser->token, str_of(word));
}

static bool take_mark(struct parser *parser, const char *mark) {
    if (!at_mark(parser, mark)) {
        return invalid(parser);
    }
    advance(parser);
    return true;
}

/* A member of names or values; notes that it was used. */
static yyjson_mut_val *placeholder(yyjson_mut_val *of, struct str name, uint64_t *used) {
    size_t index;
    size_t max;
    yyjson_mut_val *key;
    yyjson_mut_val *value;
    yyjson_mut_obj_foreach(of, index, max, key, value) {
        if (yyjson_mut_equals_strn(key, name.ptr, name.len)) {
            *used |= UINT64_C(1) << index;
            return value;
        }
    }
    return NULL;
}

/* An attribute's name, written as it is or as #name. */
static bool take_name(struct parser *parser, struct str *ret_name) {
    struct fake_expression *expression = parser->expression;
    if (parser->kind != TOKEN_NAME) {
        return invalid(parser);
    }
    *ret_name = parser->token;
    if (parser->token.ptr[0] == '#') {
        yyjson_mut_val *name =
            placeholder(expression->names, parser->token, &expression->names_used);
        if (!yyjson_mut_is_str(name)) {
            return err_set(parser->err, ERR_AWS_INVALID,
                           "Invalid expression: An expression attribute name used in the document "
                           "path is not defined; attribute name: %.*s",
                           STR_FMT(parser->token));
        }
        *ret_name = str_make(yyjson_mut_get_str(name), yyjson_mut_get_len(name));
    }
    advance(parser);
    return true;
}

static yyjson_mut_val *attribute(const struct parser *parser, struct str name) {
    return parser->item == NULL ? NULL : yyjson_mut_obj_getn(parser->item, name.ptr, name.len);
}

/* A :value or an attribute; NULL when the item lacks it. */
static bool take_operand(struct parser *parser, yyjson_mut_val **ret_value) {
    if (parser->kind == TOKEN_VALUE) {
        struct fake_expression *expression = parser->expression;
        *ret_value = placeholder(expression->values, parser->token, &expression->values_used);
        if (!yyjson_mut_is_obj(*ret_value)) {
            return err_set(parser->err, ERR_AWS_INVALID,
                           "Invalid expression: An expression attribute value used in expression "
                           "is not defined; attribute value: %.*s",
                           STR_FMT(parser->token));
        }
        advance(parser);
        return true;
    }
    struct str name;
    if (!take_name(parser, &name)) {
        return false;
    }
    *ret_value = attribute(parser, name);
    return true;
}

/* The text of an attribute value of that type ("N", "S"); ptr NULL when it has another type. */
static struct str text_of(yyjson_mut_val *value, const char *type) {
    yyjson_mut_val *text = yyjson_mut_obj_get(value, type);
    return yyjson_mut_is_str(text) ? str_make(yyjson_mut_get_str(text), yyjson_mut_get_len(text))
                                   : STR_NONE;
}

static bool number_of(yyjson_mut_val *value, int64_t *ret_number) {
    struct str text = text_of(value, "N");
    bool negative = text.len > 0 && text.ptr[0] == '-';
    uint64_t magnitude;
    if (!str_to_u64(negative ? str_make(text.ptr + 1, text.len - 1) : text, &magnitude) ||
        magnitude > INT64_MAX) {
        return false;
    }
    *ret_number = negative ? -(int64_t)magnitude : (int64_t)magnitude;
    return true;
}

static bool values_equal(yyjson_mut_val *a, yyjson_mut_val *b) {
    int64_t x;
    int64_t y;
    if (a == NULL || b == NULL) {
        return false;
    }
    return number_of(a, &x) && number_of(b, &y) ? x == y : yyjson_mut_equals(a, b);
}

/* False, and no order, for values that have none among each other. */
static bool values_order(yyjson_mut_val *a, yyjson_mut_val *b, int *ret_order) {
    int64_t x;
    int64_t y;
    if (number_of(a, &x) && number_of(b, &y)) {
        *ret_order = (x > y) - (x < y);
        return true;
    }
    struct str s = text_of(a, "S");
    struct str t = text_of(b, "S");
    if (s.ptr == NULL || t.ptr == NULL) {
        return false;
    }
    int order = memcmp(s.ptr, t.ptr, s.len < t.len ? s.len : t.len);
    *ret_order = order != 0 ? order : (s.len > t.len) - (s.len < t.len);
    return true;
}

static bool compare(struct parser *parser, yyjson_mut_val *a, struct str operator,
                    yyjson_mut_val * b, bool *ret_holds) {
    int order = 0;
    bool ordered = values_order(a, b, &order);
    if (str_is(operator, "=")) {
        *ret_holds = values_equal(a, b);
    } else if (str_is(operator, "<>")) {
        *ret_holds = !values_equal(a, b);
    } else if (str_is(operator, "<")) {
        *ret_holds = ordered && order < 0;
    } else if (str_is(operator, "<=")) {
        *ret_holds = ordered && order <= 0;
    } else if (str_is(operator, ">")) {
        *ret_holds = ordered && order > 0;
    } else if (str_is(operator, ">=")) {
        *ret_holds = ordered && order >= 0;
    } else {
        return invalid(parser);
    }
    return true;
}

static bool parse_or(struct parser *parser, bool *ret_holds);

static bool parse_single(struct parser *parser, bool *ret_holds) {
    if (at_word(parser, "NOT")) {
        advance(parser);
        bool holds = false;
        bool ok = parser->depth < DEPTH_MAX ? (parser->depth++, parse_single(parser, &holds))
                                            : invalid(parser);
        parser->depth--;
        *ret_holds = !holds;
        return ok;
    }
    if (at_mark(parser, "(")) {
        if (parser->depth == DEPTH_MAX) {
            return invalid(parser);
        }
        parser->depth++;
        advance(parser);
        bool ok = parse_or(parser, ret_holds) && take_mark(parser, ")");
        parser->depth--;
        return ok;
    }
    bool exists = parser->kind == TOKEN_NAME && str_is(parser->token, "attribute_exists");
    bool missing = parser->kind == TOKEN_NAME && str_is(parser->token, "attribute_not_exists");
    if (exists || missing) {
        struct str name;
        advance(parser);
        if (!take_mark(parser, "(") || !take_name(parser, &name) || !take_mark(parser, ")")) {
            return false;
        }
        *ret_holds = (attribute(parser, name) != NULL) == exists;
        return true;
    }
    yyjson_mut_val *a;
    yyjson_mut_val *b;
    if (!take_operand(parser, &a)) {
        return false;
    }
    struct str operator= parser->token;
    if (parser->kind != TOKEN_MARK) {
        return invalid(parser);
    }
    advance(parser);
    return take_operand(parser, &b) && compare(parser, a, operator, b, ret_holds);
}

/* Every part is evaluated, also where the result is known: it must be valid, and its names are
 * used. */
static bool parse_and(struct parser *parser, bool *ret_holds) {
    if (!parse_single(parser, ret_holds)) {
        return false;
    }
    while (at_word(parser, "AND")) {
        bool holds;
        advance(parser);
        if (!parse_single(parser, &holds)) {
            return false;
        }
        *ret_holds = *ret_holds && holds;
    }
    return true;
}

static bool parse_or(struct parser *parser, bool *ret_holds) {
    if (!parse_and(parser, ret_holds)) {
        return false;
    }
    while (at_word(parser, "OR")) {
        bool holds;
        advance(parser);
        if (!parse_and(parser, &holds)) {
            return false;
        }
        *ret_holds = *ret_holds || holds;
    }
    return true;
}

static void parser_init(struct parser *parser, struct fake_expression *expression, struct str text,
                        yyjson_mut_val *item, struct err *err) {
    *parser = (struct parser){.expression = expression, .left = text, .item = item, .err = err};
    advance(parser);
}

bool fake_expression_init(struct fake_expression *expression, yyjson_mut_doc *doc,
                          yyjson_val *names, yyjson_val *values, struct err *err) {
    *expression = (struct fake_expression){
        .doc = doc,
        .names = yyjson_val_mut_copy(doc, names),
        .values = yyjson_val_mut_copy(doc, values),
    };
    if (yyjson_obj_size(names) > USED_BITS || yyjson_obj_size(values) > USED_BITS) {
        return err_set(err, ERR_AWS_INVALID, "more than %d expression attributes", USED_BITS);
    }
    return true;
}

bool fake_expression_check(struct fake_expression *expression, struct str condition,
                           yyjson_mut_val *item, bool *ret_holds, struct err *err) {
    struct parser parser;
    parser_init(&parser, expression, condition, item, err);
    return parse_or(&parser, ret_holds) && (parser.kind == TOKEN_END || invalid(&parser));
}

/* ---- updates ---- */

struct update {
    struct parser parser; /* its item is the one before the update */
    yyjson_mut_val *item;
    const char *key;
    struct str changed[USED_BITS];
    size_t changed_count;
};

/* The attribute that a clause changes: no other clause may, and never the key. */
static bool take_target(struct update *update, struct str *ret_name) {
    struct parser *parser = &update->parser;
    if (!take_name(parser, ret_name)) {
        return false;
    }
    if (str_is(*ret_name, update->key)) {
        return err_set(parser->err, ERR_AWS_INVALID,
                       "One or more parameter values were invalid: Cannot update attribute %s. "
                       "This attribute is part of the key",
                       update->key);
    }
    for (size_t i = 0; i < update->changed_count; i++) {
        if (str_equal(update->changed[i], *ret_name)) {
            return err_set(parser->err, ERR_AWS_INVALID,
                           "Invalid UpdateExpression: Two document paths overlap with each other; "
                           "must remove or rewrite one of these paths; path one: [%.*s]",
                           STR_FMT(*ret_name));
        }
    }
    if (update->changed_count == USED_BITS) {
        return err_set(parser->err, ERR_AWS_INVALID, "more than %d changes", USED_BITS);
    }
    update->changed[update->changed_count++] = *ret_name;
    return true;
}

static yyjson_mut_val *number_value(yyjson_mut_doc *doc, int64_t number) {
    char text[24];
    (void)snprintf(text, sizeof text, "%" PRId64, number);
    yyjson_mut_val *value = yyjson_mut_obj(doc);
    (void)yyjson_mut_obj_add_strcpy(doc, value, "N", text);
    return value;
}

static bool set_attribute(struct update *update, struct str name, yyjson_mut_val *value) {
    yyjson_mut_doc *doc = update->parser.expression->doc;
    yyjson_mut_val *key = yyjson_mut_strncpy(doc, name.ptr, name.len);
    /* A copy, since one value can stand in only one place. */
    return yyjson_mut_obj_put(update->item, key, yyjson_mut_val_mut_copy(doc, value)) ||
           err_set(update->parser.err, ERR_NOMEM, "an update");
}

static bool take_set_operand(struct parser *parser, yyjson_mut_val **ret_value) {
    if (parser->kind == TOKEN_NAME && str_is(parser->token, "if_not_exists")) {
        struct str name;
        yyjson_mut_val *otherwise;
        advance(parser);
        if (!take_mark(parser, "(") || !take_name(parser, &name) || !take_mark(parser, ",") ||
            !take_operand(parser, &otherwise) || !take_mark(parser, ")")) {
            return false;
        }
        yyjson_mut_val *present = attribute(parser, name);
        *ret_value = present != NULL ? present : otherwise;
    } else if (!take_operand(parser, ret_value)) {
        return false;
    }
    return *ret_value != NULL ||
           err_set(parser->err, ERR_AWS_INVALID,
                   "The provided expression refers to an attribute that does not exist in the "
                   "item");
}

static bool take_set(struct update *update) {
    struct parser *parser = &update->parser;
    struct str name;
    yyjson_mut_val *value;
    if (!take_target(update, &name) || !take_mark(parser, "=") ||
        !take_set_operand(parser, &value)) {
        return false;
    }
    bool plus = at_mark(parser, "+");
    if (plus || at_mark(parser, "-")) {
        yyjson_mut_val *second;
        int64_t a;
        int64_t b;
        int64_t sum;
        advance(parser);
        if (!take_set_operand(parser, &second)) {
            return false;
        }
        if (!number_of(value, &a) || !number_of(second, &b) ||
            (plus ? __builtin_add_overflow(a, b, &sum) : __builtin_sub_overflow(a, b, &sum))) {
            return err_set(parser->err, ERR_AWS_INVALID,
                           "An operand in the update expression has an incorrect data type");
        }
        value = number_value(parser->expression->doc, sum);
    }
    return set_attribute(update, name, value);
}

static bool take_remove(struct update *update) {
    struct str name;
    if (!take_target(update, &name)) {
        return false;
    }
    (void)yyjson_mut_obj_remove_keyn(update->item, name.ptr, name.len);
    return true;
}

static bool take_add(struct update *update) {
    struct parser *parser = &update->parser;
    struct str name;
    yyjson_mut_val *value;
    int64_t a = 0;
    int64_t b;
    int64_t sum;
    if (!take_target(update, &name) || !take_operand(parser, &value)) {
        return false;
    }
    yyjson_mut_val *present = attribute(parser, name);
    if ((present != NULL && !number_of(present, &a)) || !number_of(value, &b) ||
        __builtin_add_overflow(a, b, &sum)) {
        return err_set(parser->err, ERR_AWS_INVALID,
                       "An operand in the update expression has an incorrect data type");
    }
    return set_attribute(update, name, number_value(parser->expression->doc, sum));
}

bool fake_expression_update(struct fake_expression *expression, struct str text, const char *key,
                            yyjson_mut_val *item, struct err *err) {
    static const struct {
        const char *word;
        bool (*take)(struct update *update);
    } clauses[] = {{"SET", take_set}, {"REMOVE", take_remove}, {"ADD", take_add}};
    enum { CLAUSES = sizeof clauses / sizeof clauses[0] };

    struct update update = {.item = item, .key = key};
    struct parser *parser = &update.parser;
    /* Every right-hand side means the item as it was. */
    parser_init(parser, expression, text, yyjson_mut_val_mut_copy(expression->doc, item), err);
    bool seen[CLAUSES] = {false};
    do {
        size_t i = 0;
        while (i < CLAUSES && !at_word(parser, clauses[i].word)) {
            i++;
        }
        if (i == CLAUSES || seen[i]) {
            return invalid(parser);
        }
        seen[i] = true;
        do {
            advance(parser); /* over the key word or the comma */
            if (!clauses[i].take(&update)) {
                return false;
            }
        } while (at_mark(parser, ","));
    } while (parser->kind != TOKEN_END);
    return true;
}

static bool all_used(yyjson_mut_val *of, uint64_t used, const char *what, struct err *err) {
    size_t index;
    size_t max;
    yyjson_mut_val *key;
    yyjson_mut_val *value;
    yyjson_mut_obj_foreach(of, index, max, key, value) {
        if ((used >> index & 1) == 0) {
            return err_set(err, ERR_AWS_INVALID,
                           "Value provided in %s unused in expressions: keys: {%s}", what,
                           yyjson_mut_get_str(key));
        }
    }
    return true;
}

bool fake_expression_finish(const struct fake_expression *expression, struct err *err) {
    return all_used(expression->names, expression->names_used, "ExpressionAttributeNames", err) &&
           all_used(expression->values, expression->values_used, "ExpressionAttributeValues", err);
}
