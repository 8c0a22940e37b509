/*
 * fake_fault: what shall go wrong, how often, and where. A double asks for each kind of fault at
 * the point where it can happen; a fault that matches is used up. Pure.
 */
#ifndef FAKES_FAKE_FAULT_H
#define FAKES_FAKE_FAULT_H

#include "fakes/fake_script.h"

enum { FAKE_FAULTS_MAX = 128 };

struct fake_fault {
    int kind;          /* the double's own numbering */
    char op[40];       /* "*" for all */
    char subject[256]; /* only calls about this (shard, key, topic, ...); empty for all */
    uint64_t skip;     /* matching calls to let pass first */
    uint64_t left;     /* calls still to hit; UINT64_MAX: always */
    uint64_t number;
    char code[64];
    char text[256];
};

struct fake_faults {
    struct fake_fault faults[FAKE_FAULTS_MAX];
    size_t count;
};

/* The next fault of this kind for this call, used up by the question; NULL when there is none.
 * Valid until the next change of the list. */
const struct fake_fault *fake_faults_take(struct fake_faults *faults, int kind, struct str op,
                                          struct str subject);
/* Reads "OP COUNT|always" from words 1 and 2 and the options "on SUBJECT" and "after CALLS" from
 * word `first` on into *ret_fault. */
bool fake_fault_read(const struct fake_line *line, size_t first, int kind,
                     struct fake_fault *ret_fault, struct err *err);
/* Copies. */
bool fake_faults_add(struct fake_faults *faults, const struct fake_fault *fault, struct err *err);

#endif
