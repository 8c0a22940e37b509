/* man: text of a manual page (man(7)). */
#ifndef BASE_MAN_H
#define BASE_MAN_H

#include "base/buf.h"

/* Text in which no word is a request or an escape. '`' is Markdown's and left out. */
void man_add(struct buf *to, const char *text);

/* The beginning of an item in a list: a bold word, and what stands behind it, which may be "". */
void man_add_item(struct buf *to, const char *word, const char *behind);

#endif
