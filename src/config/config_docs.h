/* config_docs: the reference of all properties, written from the same table that reads them. */
#ifndef CONFIG_CONFIG_DOCS_H
#define CONFIG_CONFIG_DOCS_H

#include "base/buf.h"

enum { CONFIG_DOCS_MAX = 256 * 1024 };

/* For a terminal. */
void config_docs_text(struct buf *to);
/* docs/configuration.md. */
void config_docs_markdown(struct buf *to);
/* The manual page ddb2pulsar.yaml(5), as docs/ddb2pulsar.yaml.5. */
void config_docs_man(struct buf *to);

#endif
