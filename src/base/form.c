#include "base/form.h"

#include <aws/common/byte_buf.h>
#include <aws/common/uri.h>

bool form_encode(struct buf *to, struct str text) {
    struct aws_byte_cursor cursor = aws_byte_cursor_from_array(text.ptr, text.len);
    size_t room = 3 * text.len;
    char *at = buf_reserve(to, room);
    struct aws_byte_buf encoded = aws_byte_buf_from_empty_array(at, at != NULL ? room : 0);
    encoded.allocator = aws_default_allocator(); /* it has room for the worst, so never asks it */
    if (at == NULL || aws_byte_buf_append_encoding_uri_param(&encoded, &cursor) != AWS_OP_SUCCESS) {
        return false;
    }
    to->len += encoded.len;
    return true;
}

bool form_add(struct buf *form, const char *name, struct str value) {
    return buf_add_format(form, "%s%s=", form->len > 0 ? "&" : "", name) &&
           form_encode(form, value);
}
