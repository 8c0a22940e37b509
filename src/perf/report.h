/* report: a load's result as text for people or as one JSON object for programs. Pure. */
#ifndef PERF_REPORT_H
#define PERF_REPORT_H

#include "perf/load.h"

struct report {
    const struct perf_options *options;
    const struct load_result *result; /* measured */
    uint64_t peak_memory_bytes;       /* of the process */
};

void report_add_text(struct buf *to, const struct report *report);
void report_add_json(struct buf *to, const struct report *report);

#endif
