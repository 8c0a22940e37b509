/* completion: what may come next on a command line, for a shell. Pure. */
#ifndef CLI_COMPLETION_H
#define CLI_COMPLETION_H

#include "base/buf.h"

/* The words are those behind the program's name up to the cursor; the last one is being typed and may be "". Adds a
 * line for each word that may stand in its place; the shell picks those that begin with it. One that ends with '=' wants
 * a value behind it. None where a file name or anything else may come. */
void completion_add(struct buf *to, int count, char **words);

#endif
