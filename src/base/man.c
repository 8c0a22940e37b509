#include "base/man.h"

void man_add(struct buf *to, const char *text) {
    for (; *text != '\0'; text++) {
        if (*text == '\\') {
            buf_add_text(to, "\\e");
        } else if (*text == '-') {
            buf_add_text(to, "\\-");
        } else if (*text == '"') {
            buf_add_text(to, "\\(dq"); /* it would end a quoted argument */
        } else if ((*text == '.' || *text == '\'') && to->len > 0 &&
                   buf_text(to)[to->len - 1] == '\n') {
            buf_add_format(to, "\\&%c", *text);
        } else if (*text != '`') {
            buf_add_char(to, *text);
        }
    }
}

void man_add_item(struct buf *to, const char *word, const char *behind) {
    buf_add_text(to, behind[0] != '\0' ? ".TP\n.BR \"" : ".TP\n.B \"");
    man_add(to, word);
    if (behind[0] != '\0') {
        buf_add_text(to, "\" \"");
        man_add(to, behind);
    }
    buf_add_text(to, "\"\n");
}
