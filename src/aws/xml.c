#include "aws/xml.h"

#include <aws/common/xml_parser.h>

enum { DEPTH_MAX = 10 };

struct search {
    const char *name;
    struct buf *to;
    bool found;
    bool fits;
};

/* The parser's copy is erased: it may be of a secret. */
static int take(struct search *search, struct aws_xml_node *node) {
    struct aws_byte_buf text;
    if (aws_byte_buf_init(&text, aws_default_allocator(), 0) != AWS_OP_SUCCESS ||
        aws_xml_node_as_body_unescaped(aws_default_allocator(), node, &text) != AWS_OP_SUCCESS) {
        aws_byte_buf_clean_up_secure(&text);
        return AWS_OP_ERR;
    }
    search->found = true;
    search->fits = buf_add(search->to, text.buffer, text.len);
    aws_byte_buf_clean_up_secure(&text);
    return AWS_OP_SUCCESS;
}

static int on_node(struct aws_xml_node *node, void *ctx) {
    struct search *search = ctx;
    struct aws_byte_cursor name = aws_xml_node_get_name(node);
    if (search->found) {
        return AWS_OP_SUCCESS;
    }
    return aws_byte_cursor_eq_c_str(&name, search->name)
               ? take(search, node)
               : aws_xml_node_traverse(node, on_node, search);
}

bool xml_add_text(struct buf *to, struct str document, const char *name) {
    struct search search = {.name = name, .to = to};
    const struct aws_xml_parser_options options = {
        .doc = aws_byte_cursor_from_array(document.ptr, document.len),
        .max_depth = DEPTH_MAX,
        .on_root_encountered = on_node,
        .user_data = &search,
    };
    return document.len > 0 && aws_xml_parse(aws_default_allocator(), &options) == AWS_OP_SUCCESS &&
           search.found && search.fits;
}
