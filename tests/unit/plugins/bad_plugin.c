/* A credential plugin that does one thing wrong: that which the environment variable BAD_PLUGIN says. */
#include <ddb2pulsar/credentials_plugin.h>

#include <stdlib.h>
#include <string.h>

static bool does(const char *what) {
    const char *wanted = getenv("BAD_PLUGIN");
    return wanted != NULL && strcmp(wanted, what) == 0;
}

static bool open_nothing(const char *param, void **ret_plugin, char *error, size_t size) {
    (void)param;
    *ret_plugin = NULL;
    if (does("babble")) {
        memset(error, 'x', size); /* without its end */
    }
    return !does("babble") && !does("say nothing");
}

static bool get(void *plugin, struct d2p_credentials *ret_credentials, char *error, size_t size) {
    (void)plugin;
    (void)error;
    (void)size;
    if (does("empty keys")) {
        *ret_credentials = (struct d2p_credentials){.access_key = "", .secret_key = ""};
    }
    return true; /* else without keys */
}

static void close_nothing(void *plugin) {
    (void)plugin;
}

const struct d2p_credentials_plugin *d2p_credentials_plugin(void) {
    static struct d2p_credentials_plugin functions = {
        .open = open_nothing, .get = get, .close = close_nothing};
    functions.version = D2P_CREDENTIALS_PLUGIN_VERSION + (does("be newer") ? 1 : 0);
    return does("give nothing") ? NULL : &functions;
}
