#include "pulsar/oauth2_key.h"

#include "base/json.h"
#include "pulsar/secret.h"

#include <aws/common/encoding.h>

enum { KEY_MAX = 64 * 1024 };

static bool has_scheme(const char *location) {
    const char *colon = strchr(location, ':');
    const char *slash = strchr(location, '/');
    return colon != NULL && (slash == NULL || colon < slash);
}

/* data:[type][;parameter]...;base64,<bytes> */
static bool decode(struct str url, struct buf *text, struct err *err) {
    const char *comma = memchr(url.ptr, ',', url.len);
    size_t head = comma != NULL ? (size_t)(comma - url.ptr) : 0;
    static const char ending[] = ";base64";
    size_t ending_len = sizeof ending - 1;
    if (head < ending_len || memcmp(comma - ending_len, ending, ending_len) != 0) {
        return err_set(err, ERR_CONFIG,
                       "a data: URL must begin with data:application/json;base64,");
    }
    struct aws_byte_cursor bytes = aws_byte_cursor_from_array(comma + 1, url.len - head - 1);
    size_t len = 0;
    char *room = NULL;
    if (aws_base64_compute_decoded_len(&bytes, &len) == AWS_OP_SUCCESS && len > 0) {
        room = buf_reserve(text, len);
    }
    if (room == NULL) {
        return err_set(err, ERR_CONFIG, "the data: URL is not base64, empty, or too long");
    }
    struct aws_byte_buf output = aws_byte_buf_from_empty_array(room, len);
    if (aws_base64_decode(&bytes, &output) != AWS_OP_SUCCESS) {
        return err_set(err, ERR_CONFIG, "the data: URL is not base64");
    }
    text->len += output.len;
    return true;
}

static bool parse(struct str text, const char *where, struct oauth2_key *key, struct err *err) {
    struct aws_json_value *json = json_parse(text);
    struct str id = json_str(json, "client_id");
    struct str secret = json_str(json, "client_secret");
    bool ok;
    if (json == NULL || !aws_json_value_is_object(json)) {
        ok = err_set(err, ERR_PULSAR_AUTH, "%s is not a JSON object", where);
    } else if (id.len == 0 || secret.len == 0) {
        ok = err_set(err, ERR_PULSAR_AUTH, "%s has no \"%s\"", where,
                     id.len == 0 ? "client_id" : "client_secret");
    } else {
        key->client_id = str_dup(id);
        key->client_secret = str_dup(secret);
        ok = (key->client_id != NULL && key->client_secret != NULL) ||
             err_set(err, ERR_NOMEM, "no memory for a key");
    }
    json_free_secret(json);
    return ok;
}

bool oauth2_key_read(const char *location, struct oauth2_key *ret_key, struct err *err) {
    *ret_key = (struct oauth2_key){.client_id = NULL};
    struct str place = str_of(location);
    struct buf text;
    buf_init(&text, KEY_MAX);
    bool ok;
    if (str_starts(place, "data:")) {
        ok = decode(place, &text, err) && parse(buf_str(&text), "the data: URL", ret_key, err);
    } else {
        struct str path = secret_file_url_path(place);
        ok = secret_read_file(path.ptr != NULL ? path.ptr : location, "key file", &text, err) &&
             parse(buf_str(&text), "the key file", ret_key, err);
    }
    secret_wipe(&text);
    return ok;
}

bool oauth2_key_check(const char *location, struct err *err) {
    struct str place = str_of(location);
    struct str path = secret_file_url_path(place);
    if (str_starts(place, "data:")) {
        struct oauth2_key key;
        bool ok = oauth2_key_read(location, &key, err);
        oauth2_key_done(&key);
        if (!ok && err != NULL && err->code != ERR_NOMEM) {
            err->code = ERR_CONFIG;
            err->class = ERR_CLASS_FATAL;
        }
        return ok;
    }
    if (path.ptr == NULL ? !has_scheme(location) : path.len > 0) {
        return true;
    }
    return err_set(err, ERR_CONFIG,
                   "must be a path, file:///path or data:application/json;base64,...");
}

void oauth2_key_done(struct oauth2_key *key) {
    secret_free(key->client_id);
    secret_free(key->client_secret);
    *key = (struct oauth2_key){.client_id = NULL};
}
