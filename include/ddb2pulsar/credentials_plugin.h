/*
 * credentials_plugin: AWS keys from a place of your own. A shared object that defines d2p_credentials_plugin() is named by
 * its absolute path in awsCredentialPluginName; awsCredentialPluginParam is handed to it as it is. This header is all that
 * it needs; examples/credentials_plugin.c is a whole one.
 *
 * Calls come one at a time, on threads of the program that do nothing else, so they may block for some seconds. Build it
 * with -shared -fPIC, and export the function.
 */
#ifndef DDB2PULSAR_CREDENTIALS_PLUGIN_H
#define DDB2PULSAR_CREDENTIALS_PLUGIN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#define D2P_CREDENTIALS_PLUGIN_VERSION 1

/* C strings of the plugin's, which stay as they are until its next call. */
struct d2p_credentials {
    const char *access_key;
    const char *secret_key;
    const char *session_token; /* NULL: none */
    int64_t
        expires_s; /* seconds since 1970; 0: never. Newer ones are asked for ten minutes before */
};

struct d2p_credentials_plugin {
    uint32_t version; /* D2P_CREDENTIALS_PLUGIN_VERSION */
    /* Once, at the start. param: never NULL, empty when there is none. *ret_plugin is yours, and comes back in the other
     * calls. False: error, of at most size bytes with its end, gets a sentence; it must not have any of a secret. */
    bool (*open)(const char *param, void **ret_plugin, char *error, size_t size);
    /* The newest keys: at the start, before they expire, every quarter of an hour when they never do, and when AWS calls
     * them expired. False as above; the keys that there are stay in use, and it is asked again soon. */
    bool (*get)(void *plugin, struct d2p_credentials *ret_credentials, char *error, size_t size);
    /* Once, at the end, after open was true. */
    void (*close)(void *plugin);
};

/* Static storage; not NULL. */
__attribute__((visibility("default"))) const struct d2p_credentials_plugin *d2p_credentials_plugin(
    void);

#ifdef __cplusplus
}
#endif

#endif
