#include "fakes/fake_table.h"

#include "fakes/fake_expression.h"

#include <stdlib.h>

/* ---- items ---- */

static int compare_keys(struct str a, struct str b) {
    int order = memcmp(a.ptr, b.ptr, a.len < b.len ? a.len : b.len);
    return order != 0 ? order : (a.len > b.len) - (a.len < b.len);
}

static size_t item_place(const struct fake_table *table, struct str key, bool *ret_found) {
    size_t low = 0;
    size_t high = table->count;
    *ret_found = false;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        int order = compare_keys(key, str_of(table->items[middle].key));
        if (order == 0) {
            *ret_found = true;
            return middle;
        }
        if (order < 0) {
            high = middle;
        } else {
            low = middle + 1;
        }
    }
    return low;
}

static yyjson_mut_val *find_item(const struct fake_table *table, struct str key) {
    bool found;
    size_t place = item_place(table, key, &found);
    return found ? yyjson_mut_doc_get_root(table->items[place].doc) : NULL;
}

static void remove_item(struct fake_table *table, struct str key) {
    bool found;
    size_t place = item_place(table, key, &found);
    if (found) {
        free(table->items[place].key);
        yyjson_mut_doc_free(table->items[place].doc);
        table->count--;
        memmove(table->items + place, table->items + place + 1,
                (table->count - place) * sizeof(struct fake_table_item));
    }
}

/* Copies item into a document of its own, so that what an update left behind is not kept. */
static bool store_item(struct fake_table *table, struct str key, yyjson_mut_val *item) {
    yyjson_mut_doc *doc = yyjson_mut_doc_new(NULL);
    yyjson_mut_val *root = yyjson_mut_val_mut_copy(doc, item);
    if (root == NULL) {
        yyjson_mut_doc_free(doc);
        return false;
    }
    yyjson_mut_doc_set_root(doc, root);

    bool found;
    size_t place = item_place(table, key, &found);
    if (found) {
        yyjson_mut_doc_free(table->items[place].doc);
        table->items[place].doc = doc;
        return true;
    }
    if (table->count == table->capacity) {
        size_t capacity = table->capacity == 0 ? 16 : table->capacity * 2;
        struct fake_table_item *items = realloc(table->items, capacity * sizeof *items);
        if (items == NULL) {
            yyjson_mut_doc_free(doc);
            return false;
        }
        table->items = items;
        table->capacity = capacity;
    }
    char *copy = str_dup(key);
    if (copy == NULL) {
        yyjson_mut_doc_free(doc);
        return false;
    }
    memmove(table->items + place + 1, table->items + place,
            (table->count - place) * sizeof(struct fake_table_item));
    table->items[place] = (struct fake_table_item){.key = copy, .doc = doc};
    table->count++;
    return true;
}

/* ---- tables ---- */

static void table_free(struct fake_table *table) {
    for (size_t i = 0; i < table->count; i++) {
        free(table->items[i].key);
        yyjson_mut_doc_free(table->items[i].doc);
    }
    free(table->items);
    free(table);
}

void fake_tables_done(struct fake_tables *tables) {
    for (size_t i = 0; i < tables->count; i++) {
        table_free(tables->tables[i]);
    }
    free(tables->tables);
    *tables = (struct fake_tables){0};
}

struct fake_table *fake_tables_find(const struct fake_tables *tables, struct str name) {
    for (size_t i = 0; i < tables->count; i++) {
        if (str_is(name, tables->tables[i]->name)) {
            return tables->tables[i];
        }
    }
    return NULL;
}

bool fake_tables_drop(struct fake_tables *tables, struct str name) {
    for (size_t i = 0; i < tables->count; i++) {
        if (str_is(name, tables->tables[i]->name)) {
            table_free(tables->tables[i]);
            tables->tables[i] = tables->tables[--tables->count];
            return true;
        }
    }
    return false;
}

char *fake_tables_item(const struct fake_tables *tables, struct str table, struct str key) {
    const struct fake_table *found = fake_tables_find(tables, table);
    yyjson_mut_val *item = found == NULL ? NULL : find_item(found, key);
    return item == NULL ? NULL : yyjson_mut_val_write(item, YYJSON_WRITE_NOFLAG, NULL);
}

/* ---- what requests hold ---- */

/* The text of {"S": text}, neither absent nor empty. */
static bool key_text(yyjson_val *value, struct str *ret_key) {
    *ret_key = fake_json_str(value, "S");
    return ret_key->len > 0 && yyjson_obj_size(value) == 1;
}

static bool is_number(struct str text) {
    size_t digits = 0;
    for (size_t i = 0; i < text.len; i++) {
        if (text.ptr[i] >= '0' && text.ptr[i] <= '9') {
            digits++;
        } else if (strchr("+-.eE", text.ptr[i]) == NULL) {
            return false;
        }
    }
    return digits > 0;
}

/* Whether value is one AttributeValue. */
static bool check_value(yyjson_val *value, int depth) {
    yyjson_obj_iter members = yyjson_obj_iter_with(value);
    yyjson_val *name = yyjson_obj_iter_next(&members);
    if (depth > 32 || yyjson_obj_size(value) != 1) {
        return false;
    }
    const char *type = yyjson_get_str(name);
    yyjson_val *of = yyjson_obj_iter_get_val(name);
    size_t index;
    size_t max;
    yyjson_val *key;
    yyjson_val *element;
    if (strcmp(type, "M") == 0) {
        bool ok = yyjson_is_obj(of);
        yyjson_obj_foreach(of, index, max, key, element) {
            ok = ok && check_value(element, depth + 1);
        }
        return ok;
    }
    if (strcmp(type, "L") == 0) {
        bool ok = yyjson_is_arr(of);
        yyjson_arr_foreach(of, index, max, element) {
            ok = ok && check_value(element, depth + 1);
        }
        return ok;
    }
    if (strcmp(type, "N") == 0) {
        return is_number(fake_json_str(value, "N"));
    }
    if (strcmp(type, "NULL") == 0 || strcmp(type, "BOOL") == 0) {
        return yyjson_is_bool(of);
    }
    if (strlen(type) == 2) { /* a set: never empty */
        bool ok = yyjson_is_arr(of) && yyjson_arr_size(of) > 0;
        yyjson_arr_foreach(of, index, max, element) {
            ok = ok && yyjson_is_str(element);
        }
        return ok && strchr("SNB", type[0]) != NULL && type[1] == 'S';
    }
    return strlen(type) == 1 && strchr("SB", type[0]) != NULL && yyjson_is_str(of);
}

/* Checks every AttributeValue of an object: an item, or expression values. */
static bool check_values(yyjson_val *object, const char *what, struct fake_reply *reply) {
    size_t index;
    size_t max;
    yyjson_val *name;
    yyjson_val *value;
    yyjson_obj_foreach(object, index, max, name, value) {
        if (!check_value(value, 0)) {
            fake_reply_invalid(reply, "%s holds a value that is none: %s", what,
                               yyjson_get_str(name));
            return false;
        }
    }
    return true;
}

/* The table that a request for items names, when it can be used; else the reply is set. */
static struct fake_table *active_table(const struct fake_tables *tables, yyjson_val *in,
                                       int64_t now_ms, struct fake_reply *reply) {
    static const char *const unknown[] = {"FilterExpression", "ProjectionExpression", "Expected",
                                          "AttributeUpdates", "ScanFilter",           "Segment"};
    for (size_t i = 0; i < sizeof unknown / sizeof unknown[0]; i++) {
        if (yyjson_obj_get(in, unknown[i]) != NULL) {
            fake_reply_invalid(reply, "this test double does not know %s", unknown[i]);
            return NULL;
        }
    }
    struct fake_table *table = fake_tables_find(tables, fake_json_str(in, "TableName"));
    if (table == NULL || now_ms < table->active_at_ms) {
        fake_reply_not_found(reply, "Requested resource not found");
        return NULL;
    }
    return table;
}

/* The key of the request's Key member, which must be all of it; else the reply is set. */
static bool request_key(const struct fake_table *table, yyjson_val *in, struct str *ret_key,
                        struct fake_reply *reply) {
    yyjson_val *key = yyjson_obj_get(in, "Key");
    if (yyjson_obj_size(key) != 1 || !key_text(yyjson_obj_get(key, table->hash_key), ret_key)) {
        fake_reply_invalid(reply, "The provided key element does not match the schema");
        return false;
    }
    return true;
}

bool fake_tables_store(struct fake_tables *tables, struct str name, struct str item_json,
                       struct err *err) {
    struct fake_table *table = fake_tables_find(tables, name);
    if (table == NULL) {
        return err_set(err, ERR_CONFIG, "no table '%.*s'", STR_FMT(name));
    }
    yyjson_doc *doc = yyjson_read(item_json.ptr, item_json.len, YYJSON_READ_NOFLAG);
    yyjson_mut_doc *copy = yyjson_doc_mut_copy(doc, NULL);
    struct str key;
    bool ok = key_text(yyjson_obj_get(yyjson_doc_get_root(doc), table->hash_key), &key) &&
              store_item(table, key, yyjson_mut_doc_get_root(copy));
    yyjson_mut_doc_free(copy);
    yyjson_doc_free(doc);
    return ok || err_set(err, ERR_CONFIG, "the item is not JSON, or has no key");
}

void fake_tables_subject(const struct fake_tables *tables, yyjson_val *in, char *to,
                         size_t capacity) {
    struct str name = fake_json_str(in, "TableName");
    const struct fake_table *table = fake_tables_find(tables, name);
    yyjson_val *item = yyjson_obj_get(in, "Item");
    struct str key;
    if (item == NULL) {
        item = yyjson_obj_get(in, "Key");
    }
    if (table == NULL || !key_text(yyjson_obj_get(item, table->hash_key), &key)) {
        key = name;
    }
    (void)str_copy(key, to, capacity);
}

/* ---- operations on tables ---- */

static void add_description(const struct fake_table *table, const char *member, int64_t now_ms,
                            struct fake_reply *reply) {
    struct buf *body = &reply->body;
    buf_add_format(body, "{\"%s\":{\"TableName\":\"%s\",\"TableStatus\":\"%s\",", member,
                   table->name, now_ms < table->active_at_ms ? "CREATING" : "ACTIVE");
    buf_add_format(body,
                   "\"TableArn\":\"arn:aws:dynamodb:us-east-1:000000000000:table/%s\","
                   "\"KeySchema\":[{\"AttributeName\":\"%s\",\"KeyType\":\"HASH\"}],"
                   "\"AttributeDefinitions\":[{\"AttributeName\":\"%s\",\"AttributeType\":\"S\"}],"
                   "\"BillingModeSummary\":{\"BillingMode\":\"%s\"},\"ItemCount\":%zu}}",
                   table->name, table->hash_key, table->hash_key, table->billing, table->count);
}

static bool is_table_name(struct str name) {
    bool ok = name.len >= 3 && name.len <= 255;
    for (size_t i = 0; ok && i < name.len; i++) {
        char c = name.ptr[i];
        ok = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
             c == '_' || c == '-' || c == '.';
    }
    return ok;
}

void fake_tables_create(void *of, yyjson_val *in, int64_t now_ms, struct fake_reply *reply) {
    struct fake_tables *tables = of;
    struct str name = fake_json_str(in, "TableName");
    yyjson_val *schema = yyjson_arr_get_first(yyjson_obj_get(in, "KeySchema"));
    struct str key = fake_json_str(schema, "AttributeName");
    yyjson_val *attribute = yyjson_arr_get_first(yyjson_obj_get(in, "AttributeDefinitions"));
    struct str billing = fake_json_str(in, "BillingMode");
    bool on_demand = str_is(billing, "PAY_PER_REQUEST");
    yyjson_val *throughput = yyjson_obj_get(in, "ProvisionedThroughput");

    if (!is_table_name(name)) {
        fake_reply_invalid(reply, "TableName must be 3 to 255 of [a-zA-Z0-9_.-]");
    } else if (yyjson_arr_size(yyjson_obj_get(in, "KeySchema")) != 1 || key.len == 0 ||
               key.len > 255 || !str_is(fake_json_str(schema, "KeyType"), "HASH") ||
               !str_equal(fake_json_str(attribute, "AttributeName"), key) ||
               !str_is(fake_json_str(attribute, "AttributeType"), "S")) {
        fake_reply_invalid(reply, "this test double wants one HASH key of type S");
    } else if (on_demand == (throughput != NULL) ||
               (!on_demand &&
                (yyjson_get_uint(yyjson_obj_get(throughput, "ReadCapacityUnits")) < 1 ||
                 yyjson_get_uint(yyjson_obj_get(throughput, "WriteCapacityUnits")) < 1))) {
        fake_reply_invalid(reply, "ProvisionedThroughput must be given, unless BillingMode is "
                                  "PAY_PER_REQUEST");
    } else if (fake_tables_find(tables, name) != NULL) {
        fake_reply_error(reply, 400, "ResourceInUseException", "Table already exists");
    } else {
        struct fake_table *table = calloc(1, sizeof *table);
        struct fake_table **all =
            realloc(tables->tables, (tables->count + 1) * sizeof(struct fake_table *));
        if (all != NULL) {
            tables->tables = all;
        }
        if (table == NULL || all == NULL) {
            free(table);
            fake_reply_error(reply, 500, "InternalServerError", "out of memory");
            return;
        }
        (void)str_copy(name, table->name, sizeof table->name);
        (void)str_copy(key, table->hash_key, sizeof table->hash_key);
        (void)str_copy(on_demand ? billing : STR("PROVISIONED"), table->billing,
                       sizeof table->billing);
        table->active_at_ms = now_ms + (int64_t)tables->create_ms;
        tables->tables[tables->count++] = table;
        add_description(table, "TableDescription", now_ms, reply);
    }
}

void fake_tables_describe(void *of, yyjson_val *in, int64_t now_ms, struct fake_reply *reply) {
    struct str name = fake_json_str(in, "TableName");
    const struct fake_table *table = fake_tables_find(of, name);
    if (table == NULL) {
        fake_reply_not_found(reply, "Requested resource not found: Table: %.*s not found",
                             STR_FMT(name));
    } else {
        add_description(table, "Table", now_ms, reply);
    }
}

void fake_tables_delete(void *of, yyjson_val *in, int64_t now_ms, struct fake_reply *reply) {
    struct fake_table *table = active_table(of, in, now_ms, reply);
    if (table != NULL) {
        add_description(table, "TableDescription", now_ms, reply);
        (void)fake_tables_drop(of, str_of(table->name));
    }
}

/* ---- operations on items ---- */

void fake_tables_get_item(void *of, yyjson_val *in, int64_t now_ms, struct fake_reply *reply) {
    struct str key;
    struct fake_table *table = active_table(of, in, now_ms, reply);
    if (table == NULL || !request_key(table, in, &key, reply)) {
        return;
    }
    yyjson_mut_val *item = find_item(table, key);
    buf_add_char(&reply->body, '{');
    if (item != NULL) {
        buf_add_text(&reply->body, "\"Item\":");
        fake_reply_add_json(reply, item);
    }
    buf_add_char(&reply->body, '}');
}

void fake_tables_scan(void *of, yyjson_val *in, int64_t now_ms, struct fake_reply *reply) {
    struct fake_tables *tables = of;
    struct fake_table *table = active_table(of, in, now_ms, reply);
    if (table == NULL) {
        return;
    }
    yyjson_val *start = yyjson_obj_get(in, "ExclusiveStartKey");
    yyjson_val *limit_value = yyjson_obj_get(in, "Limit");
    uint64_t limit = limit_value == NULL ? UINT64_MAX : yyjson_get_uint(limit_value);
    size_t i = 0;
    if (start != NULL) {
        struct str key;
        bool found;
        if (!key_text(yyjson_obj_get(start, table->hash_key), &key)) {
            fake_reply_invalid(reply, "The provided starting key is invalid");
            return;
        }
        i = item_place(table, key, &found);
        i += found ? 1 : 0;
    }
    if (limit == 0) {
        fake_reply_invalid(reply, "Limit must be at least 1");
        return;
    }
    if (tables->scan_items > 0 && tables->scan_items < limit) {
        limit = tables->scan_items;
    }
    uint64_t count = 0;
    buf_add_text(&reply->body, "{\"Items\":[");
    for (; i < table->count && count < limit; i++, count++) {
        buf_add_text(&reply->body, count > 0 ? "," : "");
        fake_reply_add_json(reply, yyjson_mut_doc_get_root(table->items[i].doc));
    }
    buf_add_format(&reply->body, "],\"Count\":%zu,\"ScannedCount\":%zu", (size_t)count,
                   (size_t)count);
    /* A full page names its last key even when nothing follows, as the service does. */
    if (count == limit && i > 0) {
        buf_add_format(&reply->body, ",\"LastEvaluatedKey\":{\"%s\":{\"S\":", table->hash_key);
        buf_add_json_string(&reply->body, str_of(table->items[i - 1].key));
        buf_add_text(&reply->body, "}}");
    }
    buf_add_char(&reply->body, '}');
}

enum write_kind { WRITE_PUT, WRITE_UPDATE, WRITE_DELETE };

static void reply_condition_failed(yyjson_val *in, yyjson_mut_val *old, struct fake_reply *reply) {
    fake_reply_error(reply, 400, "ConditionalCheckFailedException",
                     "The conditional request failed");
    if (old != NULL &&
        str_is(fake_json_str(in, "ReturnValuesOnConditionCheckFailure"), "ALL_OLD")) {
        reply->body.len--; /* the closing brace */
        buf_add_text(&reply->body, ",\"Item\":");
        fake_reply_add_json(reply, old);
        buf_add_char(&reply->body, '}');
    }
}

/* The item as it will be; NULL for a deletion. */
static bool new_item(enum write_kind kind, const struct fake_table *table, yyjson_val *in,
                     struct fake_expression *expression, yyjson_mut_val *old,
                     yyjson_mut_val **ret_item, struct err *err) {
    yyjson_mut_doc *doc = expression->doc;
    *ret_item = NULL;
    if (kind == WRITE_DELETE) {
        return true;
    }
    *ret_item = kind == WRITE_PUT ? yyjson_val_mut_copy(doc, yyjson_obj_get(in, "Item"))
                : old != NULL     ? yyjson_mut_val_mut_copy(doc, old)
                                  : yyjson_val_mut_copy(doc, yyjson_obj_get(in, "Key"));
    struct str update = fake_json_str(in, "UpdateExpression");
    if (kind == WRITE_PUT || update.ptr == NULL) {
        return true;
    }
    return fake_expression_update(expression, update, table->hash_key, *ret_item, err);
}

static void write_in_doc(enum write_kind kind, struct fake_table *table, struct str key,
                         yyjson_val *in, yyjson_mut_doc *doc, struct fake_reply *reply) {
    struct err err = ERR_NONE;
    struct fake_expression expression;
    struct str condition = fake_json_str(in, "ConditionExpression");
    struct str returns = fake_json_str(in, "ReturnValues");
    yyjson_mut_val *stored = find_item(table, key);
    yyjson_mut_val *old = stored == NULL ? NULL : yyjson_mut_val_mut_copy(doc, stored);
    yyjson_mut_val *item = NULL;
    bool holds = true;
    if (!fake_expression_init(&expression, doc, yyjson_obj_get(in, "ExpressionAttributeNames"),
                              yyjson_obj_get(in, "ExpressionAttributeValues"), &err) ||
        (condition.ptr != NULL &&
         !fake_expression_check(&expression, condition, old, &holds, &err))) {
        fake_reply_invalid(reply, "%s", err.text);
        return;
    }
    /* An update that cannot be carried out is only noticed when the condition holds. */
    if (!holds) {
        reply_condition_failed(in, old, reply);
        return;
    }
    if (!new_item(kind, table, in, &expression, old, &item, &err) ||
        !fake_expression_finish(&expression, &err)) {
        fake_reply_invalid(reply, "%s", err.text);
        return;
    }
    if (kind == WRITE_DELETE) {
        remove_item(table, key);
    } else if (!store_item(table, key, item)) {
        fake_reply_error(reply, 500, "InternalServerError", "out of memory");
        return;
    }
    yyjson_mut_val *attributes = str_is(returns, "ALL_NEW")   ? item
                                 : str_is(returns, "ALL_OLD") ? old
                                                              : NULL;
    buf_add_char(&reply->body, '{');
    if (attributes != NULL) {
        buf_add_text(&reply->body, "\"Attributes\":");
        fake_reply_add_json(reply, attributes);
    }
    buf_add_char(&reply->body, '}');
}

static void write_item(enum write_kind kind, struct fake_tables *tables, yyjson_val *in,
                       int64_t now_ms, struct fake_reply *reply) {
    struct fake_table *table = active_table(tables, in, now_ms, reply);
    struct str key;
    if (table == NULL) {
        return;
    }
    if (kind != WRITE_PUT) {
        if (!request_key(table, in, &key, reply)) {
            return;
        }
    } else if (!key_text(yyjson_obj_get(yyjson_obj_get(in, "Item"), table->hash_key), &key)) {
        fake_reply_invalid(reply,
                           "One or more parameter values were invalid: Missing the key %s in the "
                           "item",
                           table->hash_key);
        return;
    }
    struct str returns = fake_json_str(in, "ReturnValues");
    bool known = returns.ptr == NULL || str_is(returns, "NONE") || str_is(returns, "ALL_OLD") ||
                 (kind == WRITE_UPDATE && str_is(returns, "ALL_NEW"));
    if (!known) {
        fake_reply_invalid(reply, "ReturnValues can't be %.*s", STR_FMT(returns));
        return;
    }
    if (!check_values(yyjson_obj_get(in, "Item"), "Item", reply) ||
        !check_values(yyjson_obj_get(in, "ExpressionAttributeValues"), "ExpressionAttributeValues",
                      reply)) {
        return;
    }
    yyjson_mut_doc *doc = yyjson_mut_doc_new(NULL);
    if (doc == NULL) {
        fake_reply_error(reply, 500, "InternalServerError", "out of memory");
        return;
    }
    write_in_doc(kind, table, key, in, doc, reply);
    yyjson_mut_doc_free(doc);
}

void fake_tables_put_item(void *of, yyjson_val *in, int64_t now_ms, struct fake_reply *reply) {
    write_item(WRITE_PUT, of, in, now_ms, reply);
}

void fake_tables_update_item(void *of, yyjson_val *in, int64_t now_ms, struct fake_reply *reply) {
    write_item(WRITE_UPDATE, of, in, now_ms, reply);
}

void fake_tables_delete_item(void *of, yyjson_val *in, int64_t now_ms, struct fake_reply *reply) {
    write_item(WRITE_DELETE, of, in, now_ms, reply);
}
