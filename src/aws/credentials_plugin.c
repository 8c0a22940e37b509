#include "aws/credentials_plugin.h"

#include "base/str.h"

#include <aws/auth/credentials.h>
#include <ddb2pulsar/credentials_plugin.h>

#include <dlfcn.h>
#include <stdlib.h>

enum { ERROR_MAX = 256 };

struct credentials_plugin {
    char *path;
    void *object;
    const struct d2p_credentials_plugin *functions;
    void *own;
    bool opened;
};

typedef const struct d2p_credentials_plugin *entry_point(void);

/* What it offers; NULL and err when that is of no use. */
static const struct d2p_credentials_plugin *load(struct credentials_plugin *plugin,
                                                 struct err *err) {
    plugin->object = dlopen(plugin->path, RTLD_NOW | RTLD_LOCAL);
    if (plugin->object == NULL) {
        err_set(err, ERR_CONFIG, "%s", dlerror()); /* it names the path */
        return NULL;
    }
    /* ISO C has no cast from an object's address to a function's; POSIX has dlsym. */
    entry_point *entry;
    void *symbol = dlsym(plugin->object, "d2p_credentials_plugin");
    memcpy(&entry, &symbol, sizeof entry);
    if (symbol == NULL) {
        err_set(err, ERR_CONFIG, "%s has no function d2p_credentials_plugin", plugin->path);
        return NULL;
    }
    const struct d2p_credentials_plugin *functions = entry();
    if (functions == NULL) {
        err_set(err, ERR_CONFIG, "%s gives no functions", plugin->path);
        return NULL;
    }
    if (functions->version != D2P_CREDENTIALS_PLUGIN_VERSION) {
        err_set(err, ERR_CONFIG, "%s is of version %u; this program knows %d", plugin->path,
                functions->version, D2P_CREDENTIALS_PLUGIN_VERSION);
        return NULL;
    }
    return functions;
}

struct credentials_plugin *credentials_plugin_open(const char *path, const char *param,
                                                   struct err *err) {
    struct credentials_plugin *plugin = calloc(1, sizeof *plugin);
    if (plugin != NULL) {
        plugin->path = str_dup(str_of(path));
    }
    if (plugin == NULL || plugin->path == NULL) {
        free(plugin);
        err_set(err, ERR_NOMEM, "no memory for a credential plugin");
        return NULL;
    }
    char error[ERROR_MAX] = "it gives no reason";
    plugin->functions = load(plugin, err);
    if (plugin->functions != NULL) {
        plugin->opened = plugin->functions->open(param, &plugin->own, error, sizeof error);
        error[sizeof error - 1] = '\0';
        if (plugin->opened) {
            return plugin;
        }
        err_set(err, ERR_CONFIG, "%s: %s", path, error);
    }
    err_context(err, "awsCredentialPluginName");
    credentials_plugin_close(plugin);
    return NULL;
}

struct aws_credentials *credentials_plugin_get(struct credentials_plugin *plugin, struct err *err) {
    char error[ERROR_MAX] = "it gives no reason";
    struct d2p_credentials got = {.access_key = NULL};
    bool ok = plugin->functions->get(plugin->own, &got, error, sizeof error);
    error[sizeof error - 1] = '\0';
    if (!ok || got.access_key == NULL || got.secret_key == NULL) {
        err_set(err, ERR_AWS_NO_CREDENTIALS, "the plugin %s has no AWS credentials: %s",
                plugin->path, ok ? "it gave no keys" : error);
        return NULL;
    }
    struct aws_byte_cursor token = {0};
    if (got.session_token != NULL) {
        token = aws_byte_cursor_from_c_str(got.session_token);
    }
    struct aws_credentials *keys =
        aws_credentials_new(aws_default_allocator(), aws_byte_cursor_from_c_str(got.access_key),
                            aws_byte_cursor_from_c_str(got.secret_key), token,
                            got.expires_s > 0 ? (uint64_t)got.expires_s : UINT64_MAX);
    if (keys == NULL) {
        err_set(err, ERR_AWS_NO_CREDENTIALS, "the plugin %s gave empty keys", plugin->path);
    }
    return keys;
}

void credentials_plugin_close(struct credentials_plugin *plugin) {
    if (plugin == NULL) {
        return;
    }
    if (plugin->opened) {
        plugin->functions->close(plugin->own);
    }
    if (plugin->object != NULL) {
        (void)dlclose(plugin->object);
    }
    free(plugin->path);
    free(plugin);
}
