/*
 * fuzz_http_url: a URL of HTTP: an endpoint's of the configuration, or one that an OAuth2 issuer names.
 *
 * Input: the URL.
 */
#include "base/http_url.h"
#include "fuzz/fuzz.h"

#include <stdio.h>

/* What a request is made of must hold no byte that ends a line or a word. */
static void check_bytes(const char *text) {
    for (const char *p = text; *p != '\0'; p++) {
        assert(*p > ' ' && *p < 0x7f);
    }
}

/* What was read, written as a URL, is the same. */
static void check_again(const struct http_url *url) {
    char text[sizeof "https://" + HOST_PORT_TEXT_MAX + HTTP_URL_PATH_MAX];
    (void)snprintf(text, sizeof text, "%s://%s%s", url->tls ? "https" : "http", url->authority,
                   url->path);
    struct http_url again;
    assert(http_url_parse(str_of(text), &again, NULL));
    assert(again.tls == url->tls && again.port == url->port);
    assert(strcmp(again.host, url->host) == 0);
    assert(strcmp(again.authority, url->authority) == 0);
    assert(strcmp(again.path, url->path) == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    char *text = fuzz_copy(fuzz_input(data, size));
    struct http_url url;
    struct err err = ERR_NONE;
    bool ok = http_url_parse(str_make(text, size), &url, &err);
    assert(ok == !err_is_set(&err));
    assert(ok || err.text[0] != '\0');
    if (ok) {
        assert(url.host[0] != '\0' && url.port != 0 && url.path[0] == '/');
        check_bytes(url.authority);
        check_bytes(url.path);
        check_again(&url);
    }
    free(text);
    return 0;
}
