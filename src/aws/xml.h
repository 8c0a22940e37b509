/*
 * xml: the text of one element of a small reply in XML, as services of AWS's query protocol give them. Pure.
 */
#ifndef AWS_XML_H
#define AWS_XML_H

#include "base/buf.h"

/* Adds the text of the first element with this name, wherever it is. False when there is none, or when it does not fit.
 * The AWS common library must be initialised. */
bool xml_add_text(struct buf *to, struct str document, const char *name);

#endif
