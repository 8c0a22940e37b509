/*
 * fuzz_address: a service URL, ours or one that a broker names.
 *
 * Input: how many addresses there is room for (1) | the URL.
 */
#include "fuzz/fuzz.h"
#include "pulsar/address.h"

#include <stdio.h>

enum { ROOM = 4 };

/* What was read, written as a URL, is the same address. */
static void check_again(const struct address *address, bool tls) {
    char url[HOST_PORT_TEXT_MAX + 16];
    (void)snprintf(url, sizeof url, "pulsar%s://%s", tls ? "+ssl" : "", address_text(address).text);
    struct address again;
    size_t count = 0;
    bool again_tls = !tls;
    assert(address_parse_url(str_of(url), &again, 1, &count, &again_tls, NULL));
    assert(count == 1 && address_equal(address, &again) && again_tls == tls);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    struct str bytes = fuzz_input(data, size);
    size_t max = 1 + fuzz_take_byte(&bytes) % ROOM;
    char *url = fuzz_copy(bytes);
    struct address *addresses = calloc(max, sizeof addresses[0]);
    assert(addresses != NULL);
    size_t count = 0;
    struct err err = ERR_NONE;
    bool tls = false;
    bool ok = address_parse_url(str_make(url, bytes.len), addresses, max, &count, &tls, &err);
    assert(ok == !err_is_set(&err));
    assert(ok || err.text[0] != '\0');
    assert(count <= max && (!ok || count > 0));
    for (size_t i = 0; ok && i < count; i++) {
        assert(addresses[i].host[0] != '\0' && addresses[i].port != 0);
        check_again(&addresses[i], tls);
    }
    free(addresses);
    free(url);
    return 0;
}
