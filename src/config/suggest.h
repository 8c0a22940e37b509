/* suggest: what a misspelt word was probably meant to be. Pure. */
#ifndef CONFIG_SUGGEST_H
#define CONFIG_SUGGEST_H

#include "base/str.h"

enum { SUGGEST_MAX_BYTES = 64 };

/* Edits (insert, delete, replace a byte, swap two neighbours; case does not count) that lead from a to b.
 * Texts longer than SUGGEST_MAX_BYTES are as far away as can be. */
size_t suggest_distance(struct str a, struct str b);

/* The best candidate so far; start with all zero but word. */
struct suggest {
    struct str word;
    const char *best; /* NULL when nothing is near enough; the candidate's own storage */
    size_t best_distance;
};

/* Near enough: at most a third of the word's letters differ. */
void suggest_offer(struct suggest *suggest, const char *candidate);

#endif
