#include "fakes/fake_fault.h"

const struct fake_fault *fake_faults_take(struct fake_faults *faults, int kind, struct str op,
                                          struct str subject) {
    for (size_t i = 0; i < faults->count; i++) {
        struct fake_fault *fault = &faults->faults[i];
        if (fault->kind != kind || fault->left == 0 ||
            (strcmp(fault->op, "*") != 0 && !str_is(op, fault->op)) ||
            (fault->subject[0] != '\0' && !str_is(subject, fault->subject))) {
            continue;
        }
        if (fault->skip > 0) {
            fault->skip--;
            continue;
        }
        if (fault->left != UINT64_MAX) {
            fault->left--;
        }
        return fault;
    }
    return NULL;
}

bool fake_fault_read(const struct fake_line *line, size_t first, int kind,
                     struct fake_fault *ret_fault, struct err *err) {
    *ret_fault = (struct fake_fault){.kind = kind};
    if (!fake_line_text(line, 1, ret_fault->op, sizeof ret_fault->op, err) ||
        !fake_line_options(line, first, "on after", err) ||
        !fake_line_option_u64(line, first, "after", 0, &ret_fault->skip, err)) {
        return false;
    }
    struct str subject = fake_line_option(line, first, "on");
    if (!str_copy(subject, ret_fault->subject, sizeof ret_fault->subject)) {
        return err_set(err, ERR_CONFIG, "'%.*s' is too long", STR_FMT(subject));
    }
    if (str_is(line->words[2], "always")) {
        ret_fault->left = UINT64_MAX;
        return true;
    }
    return fake_line_u64(line, 2, &ret_fault->left, err);
}

bool fake_faults_add(struct fake_faults *faults, const struct fake_fault *fault, struct err *err) {
    size_t kept = 0;
    for (size_t i = 0; i < faults->count; i++) {
        if (faults->faults[i].left > 0) {
            faults->faults[kept++] = faults->faults[i];
        }
    }
    faults->count = kept;
    if (kept == FAKE_FAULTS_MAX) {
        return err_set(err, ERR_CONFIG, "more than %d faults at a time", FAKE_FAULTS_MAX);
    }
    faults->faults[faults->count++] = *fault;
    return true;
}
