/*
 * A credential plugin: AWS keys from a file of two or three lines (access key, secret key, session token), read anew
 * whenever keys are asked for. Its path is awsCredentialPluginParam.
 *
 *     cc -shared -fPIC -I include -o keys.so examples/credentials_plugin.c
 */
#include <ddb2pulsar/credentials_plugin.h>

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { LINES = 3, LINE_MAX_BYTES = 2048 };

struct key_file {
    char *path;
    char lines[LINES][LINE_MAX_BYTES];
};

static bool fail(char *error, size_t size, const char *path, const char *why) {
    (void)snprintf(error, size, "%s: %s", path, why);
    return false;
}

static bool open_file(const char *param, void **ret_plugin, char *error, size_t size) {
    if (param[0] == '\0') {
        return fail(error, size, "awsCredentialPluginParam",
                    "it must be the path of a file with keys");
    }
    struct key_file *file = calloc(1, sizeof *file);
    if (file == NULL || (file->path = strdup(param)) == NULL) {
        free(file);
        return fail(error, size, param, "out of memory");
    }
    *ret_plugin = file;
    return true;
}

static bool get(void *plugin, struct d2p_credentials *ret_credentials, char *error, size_t size) {
    struct key_file *file = plugin;
    FILE *stream = fopen(file->path, "re");
    if (stream == NULL) {
        return fail(error, size, file->path, strerror(errno));
    }
    memset(file->lines, 0, sizeof file->lines);
    for (size_t i = 0; i < LINES && fgets(file->lines[i], LINE_MAX_BYTES, stream) != NULL; i++) {
        file->lines[i][strcspn(file->lines[i], "\r\n")] = '\0';
    }
    (void)fclose(stream); /* only read from */
    if (file->lines[1][0] == '\0') {
        return fail(error, size, file->path, "it has no second line, the secret key");
    }
    *ret_credentials = (struct d2p_credentials){
        .access_key = file->lines[0],
        .secret_key = file->lines[1],
        .session_token = file->lines[2][0] != '\0' ? file->lines[2] : NULL,
    };
    return true;
}

static void close_file(void *plugin) {
    struct key_file *file = plugin;
    explicit_bzero(file->lines, sizeof file->lines);
    free(file->path);
    free(file);
}

const struct d2p_credentials_plugin *d2p_credentials_plugin(void) {
    static const struct d2p_credentials_plugin plugin = {
        .version = D2P_CREDENTIALS_PLUGIN_VERSION,
        .open = open_file,
        .get = get,
        .close = close_file,
    };
    return &plugin;
}
