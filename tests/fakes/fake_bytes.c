#include "fakes/fake_bytes.h"

#include <aws/common/encoding.h>
#include <openssl/evp.h>

static void add_base64(struct buf *out, struct str bytes) {
    size_t size = (bytes.len + 2) / 3 * 4;
    buf_add_char(out, '"');
    char *room = buf_reserve(out, size + 1);
    if (room != NULL) {
        (void)EVP_EncodeBlock((unsigned char *)room, (const unsigned char *)bytes.ptr,
                              (int)bytes.len);
        out->len += size;
    }
    buf_add_char(out, '"');
}

void fake_bytes_json(struct buf *out, const char *name, struct str bytes) {
    if (aws_decode_utf8(aws_byte_cursor_from_array(bytes.ptr, bytes.len), NULL) == 0) {
        buf_add_format(out, "\"%s\":", name);
        buf_add_json_string(out, bytes);
    } else {
        buf_add_format(out, "\"%sBase64\":", name);
        add_base64(out, bytes);
    }
}
