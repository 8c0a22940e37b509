/*
 * form: percent-encoding, of parts of URLs and of HTTP forms. Pure but for memory.
 */
#ifndef BASE_FORM_H
#define BASE_FORM_H

#include "base/buf.h"

/* Adds the text with everything encoded but letters, digits and "-_.~". False when it does not fit. */
bool form_encode(struct buf *to, struct str text);
/* Adds "name=value", with a "&" in front unless the form is empty. name is added as it is. */
bool form_add(struct buf *form, const char *name, struct str value);

#endif
