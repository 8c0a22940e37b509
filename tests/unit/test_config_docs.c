#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "config/client_conf.h"
#include "config/config_docs.h"
#include "config/config_schema.h"
#include "config/property.h"
#include "config/source_key.h"

#include <stdio.h>
#include <yyjson.h>

static size_t count_of(const char *text, const char *part) {
    size_t count = 0;
    for (const char *p = strstr(text, part); p != NULL; p = strstr(p + 1, part)) {
        count++;
    }
    return count;
}

static void each_property_is_there_once(void **state) {
    (void)state;
    struct buf text;
    struct buf markdown;
    buf_init(&text, CONFIG_DOCS_MAX);
    buf_init(&markdown, CONFIG_DOCS_MAX);
    config_docs_text(&text);
    config_docs_markdown(&markdown);
    assert_false(text.failed);
    assert_false(markdown.failed);
    for (size_t i = 0; i < CONFIG_KEY_COUNT; i++) {
        char heading[128];
        const struct property *row = property_of((enum config_key)i);
        (void)snprintf(heading, sizeof heading, "\n  %s (", row->name);
        assert_int_equal(count_of(buf_text(&text), heading), 1);
        (void)snprintf(heading, sizeof heading, "\n| `%s` | ", row->name);
        assert_int_equal(count_of(buf_text(&markdown), heading), 1);
    }
    const struct source_key *const tables[] = {source_key_all(), client_conf_keys()};
    for (size_t i = 0; i < sizeof tables / sizeof tables[0]; i++) {
        for (const struct source_key *row = tables[i]; row->path != NULL; row++) {
            char heading[128];
            (void)snprintf(heading, sizeof heading, "\n| `%s` | ", row->path);
            assert_int_equal(count_of(buf_text(&markdown), heading),
                             row->kind == SOURCE_KEY_CONTAINER ? 0 : 1);
        }
    }
    buf_done(&text);
    buf_done(&markdown);
}

static void bounds_defaults_and_secrets_are_told(void **state) {
    (void)state;
    struct buf text;
    buf_init(&text, CONFIG_DOCS_MAX);
    config_docs_text(&text);
    assert_non_null(strstr(buf_text(&text), "\n  numRetries (count: 0 to 1000; default 3)\n"));
    assert_non_null(
        strstr(buf_text(&text), "\n  lanes (count: 1 to 256, or auto; default auto)\n"));
    assert_non_null(strstr(buf_text(&text), "\n  authParams (text; secret)\n"));
    assert_non_null(strstr(buf_text(&text), "\n  initialPositionInStream (choice: LATEST, "
                                            "TRIM_HORIZON or AT_TIMESTAMP; default LATEST)\n"));
    buf_done(&text);
}

static void tables_have_their_columns(void **state) {
    (void)state;
    struct buf markdown;
    buf_init(&markdown, CONFIG_DOCS_MAX);
    config_docs_markdown(&markdown);
    size_t columns = 0;
    size_t lines = 0;
    for (const char *line = buf_text(&markdown); *line != '\0';) {
        size_t len = strcspn(line, "\n");
        size_t bars = 0;
        for (size_t i = 0; i < len; i++) {
            bars += line[i] == '|' && (i == 0 || line[i - 1] != '\\') ? 1 : 0;
        }
        if (line[0] != '|') {
            columns = 0; /* the next table may have others */
        } else if (columns == 0) {
            columns = bars;
        } else {
            assert_int_equal(bars, columns);
            lines++;
        }
        line += len + (line[len] == '\n' ? 1 : 0);
    }
    assert_true(lines > CONFIG_KEY_COUNT);
    buf_done(&markdown);
}

static void terminal_lines_are_short(void **state) {
    (void)state;
    struct buf text;
    buf_init(&text, CONFIG_DOCS_MAX);
    config_docs_text(&text);
    for (const char *line = buf_text(&text); *line != '\0';) {
        size_t len = strcspn(line, "\n");
        assert_true(len <= 110);
        line += len + (line[len] == '\n' ? 1 : 0);
    }
    buf_done(&text);
}

static void the_manual_page_has_no_requests_of_its_texts(void **state) {
    (void)state;
    struct buf man;
    buf_init(&man, CONFIG_DOCS_MAX);
    config_docs_man(&man);
    assert_false(man.failed);
    const char *text = buf_text(&man);
    for (size_t i = 0; i < CONFIG_KEY_COUNT; i++) {
        char heading[128];
        (void)snprintf(heading, sizeof heading, "\n.TP\n.BR \"%s\" \" (",
                       property_of((enum config_key)i)->name);
        assert_int_equal(count_of(text, heading), 1);
    }
    static const char *const requests[] = {".\\\" ", ".TH ", ".SH ",  ".TP\n",
                                           ".BR ",   ".B ",  ".PP\n", ".ad l\n"};
    for (const char *line = text; *line != '\0'; line = strchr(line, '\n') + 1) {
        bool known = *line != '.' && *line != '\'';
        for (size_t i = 0; i < sizeof requests / sizeof requests[0]; i++) {
            known = known || strncmp(line, requests[i], strlen(requests[i])) == 0;
        }
        if (!known) {
            fail_msg("%.60s", line);
        }
        assert_null(memchr(line, '`', line == text ? 0 : strcspn(line, "\n")));
    }
    buf_done(&man);
}

static yyjson_val *member(yyjson_val *object, const char *name) {
    yyjson_val *value = yyjson_obj_get(object, name);
    assert_non_null(value);
    return value;
}

static void the_schema_knows_every_key(void **state) {
    (void)state;
    struct buf text;
    buf_init(&text, CONFIG_DOCS_MAX);
    config_schema(&text);
    assert_false(text.failed);
    yyjson_doc *doc = yyjson_read(buf_text(&text), text.len, YYJSON_READ_NOFLAG);
    yyjson_val *top = yyjson_doc_get_root(doc);
    assert_true(yyjson_is_obj(top));
    yyjson_val *properties = member(member(member(top, "$defs"), "properties"), "properties");
    assert_int_equal(yyjson_obj_size(properties), CONFIG_KEY_COUNT);
    for (size_t i = 0; i < CONFIG_KEY_COUNT; i++) {
        const struct property *row = property_of((enum config_key)i);
        yyjson_val *property = member(properties, row->name);
        assert_string_equal(yyjson_get_str(member(property, "description")), row->text);
        assert_int_equal(yyjson_get_uint(yyjson_ptr_get(property, "/anyOf/0/maximum")),
                         row->kind == PROPERTY_COUNT || row->kind == PROPERTY_MS ||
                                 row->kind == PROPERTY_BYTES
                             ? row->max
                             : 0);
    }
    for (const struct source_key *row = source_key_all(); row->path != NULL; row++) {
        char path[256] = "/properties/";
        size_t len = strlen(path);
        for (const char *p = row->path; *p != '\0'; p++) {
            len += (size_t)snprintf(path + len, sizeof path - len,
                                    *p == '.' ? "/properties/" : "%c", *p);
        }
        yyjson_val *key = yyjson_ptr_get(top, path);
        assert_non_null(key);
        if (row->kind == SOURCE_KEY_ALIAS) {
            (void)snprintf(path, sizeof path, "#/$defs/properties/properties/%s",
                           property_of(row->key)->name);
            assert_string_equal(yyjson_get_str(member(key, "$ref")), path);
        }
    }
    yyjson_doc_free(doc);
    buf_done(&text);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_property_is_there_once),
        cmocka_unit_test(bounds_defaults_and_secrets_are_told),
        cmocka_unit_test(tables_have_their_columns),
        cmocka_unit_test(terminal_lines_are_short),
        cmocka_unit_test(the_manual_page_has_no_requests_of_its_texts),
        cmocka_unit_test(the_schema_knows_every_key),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
