#include "monitor/http_request.h"

/* One or more characters of a token; RFC 9110 allows more of them, and no method has any. */
static bool is_method(struct str word) {
    for (size_t i = 0; i < word.len; i++) {
        if (word.ptr[i] < 'A' || word.ptr[i] > 'Z') {
            return false;
        }
    }
    return word.len > 0;
}

static bool is_version(struct str word) {
    return word.len == 8 && str_starts(word, "HTTP/1.") &&
           (word.ptr[7] == '0' || word.ptr[7] == '1');
}

/* Cuts what is in front of the next blank off; the whole text when there is none. */
static struct str take_word(struct str *line) {
    const char *blank = line->len == 0 ? NULL : memchr(line->ptr, ' ', line->len);
    size_t len = blank == NULL ? line->len : (size_t)(blank - line->ptr);
    struct str word = str_make(line->ptr, len);
    size_t gone = blank == NULL ? len : len + 1;
    *line = str_make(line->ptr + gone, line->len - gone);
    return word;
}

static enum http_request_state parse_line(struct str line, struct str *ret_path) {
    struct str method = take_word(&line);
    struct str target = take_word(&line);
    if (!is_method(method) || !is_version(line) || target.len == 0 || target.ptr[0] != '/') {
        return HTTP_REQUEST_BAD;
    }
    const char *query = memchr(target.ptr, '?', target.len);
    *ret_path = str_make(target.ptr, query == NULL ? target.len : (size_t)(query - target.ptr));
    return str_is(method, "GET")    ? HTTP_REQUEST_GET
           : str_is(method, "HEAD") ? HTTP_REQUEST_HEAD
                                    : HTTP_REQUEST_OTHER_METHOD;
}

enum http_request_state http_request_parse(struct str bytes, struct str *ret_path) {
    *ret_path = STR_NONE;
    const char *end = bytes.len == 0 ? NULL : memmem(bytes.ptr, bytes.len, "\r\n\r\n", 4);
    if (end == NULL) {
        return HTTP_REQUEST_MORE;
    }
    const char *line_end = memmem(bytes.ptr, bytes.len, "\r\n", 2);
    return parse_line(str_make(bytes.ptr, (size_t)(line_end - bytes.ptr)), ret_path);
}
