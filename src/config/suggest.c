#include "config/suggest.h"

static char lower(char c) {
    return c >= 'A' && c <= 'Z' ? (char)(c - 'A' + 'a') : c;
}

static size_t min(size_t a, size_t b) {
    return a < b ? a : b;
}

size_t suggest_distance(struct str a, struct str b) {
    if (a.len > SUGGEST_MAX_BYTES || b.len > SUGGEST_MAX_BYTES) {
        return SIZE_MAX;
    }
    /* Three rows of the table of distances between all prefixes: i - 2, i - 1 and i. */
    size_t rows[3][SUGGEST_MAX_BYTES + 1];
    size_t *before = rows[0];
    size_t *above = rows[1];
    size_t *row = rows[2];
    for (size_t j = 0; j <= b.len; j++) {
        above[j] = j;
    }
    for (size_t i = 1; i <= a.len; i++) {
        row[0] = i;
        char here = lower(a.ptr[i - 1]);
        for (size_t j = 1; j <= b.len; j++) {
            char there = lower(b.ptr[j - 1]);
            size_t best = min(above[j], row[j - 1]) + 1;
            best = min(best, above[j - 1] + (here == there ? 0 : 1));
            if (i > 1 && j > 1 && here == lower(b.ptr[j - 2]) && lower(a.ptr[i - 2]) == there) {
                best = min(best, before[j - 2] + 1);
            }
            row[j] = best;
        }
        size_t *free_row = before;
        before = above;
        above = row;
        row = free_row;
    }
    return above[b.len];
}

void suggest_offer(struct suggest *suggest, const char *candidate) {
    size_t distance = suggest_distance(suggest->word, str_of(candidate));
    if (distance > suggest->word.len / 3 && distance > 1) {
        return;
    }
    if (suggest->best == NULL || distance < suggest->best_distance) {
        suggest->best = candidate;
        suggest->best_distance = distance;
    }
}
