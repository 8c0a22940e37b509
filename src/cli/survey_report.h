/*
 * survey_report: a survey's result for people, as text or JSON. Pure.
 */
#ifndef CLI_SURVEY_REPORT_H
#define CLI_SURVEY_REPORT_H

#include "base/buf.h"
#include "config/config.h"
#include "source/survey.h"

/* The shards with their lineage and leases, one a line. */
void survey_report_shards(struct buf *to, const struct config *config,
                          const struct survey_result *result, bool json);
/* Workers, what is read and what is not, lag, and what idle polling costs. */
void survey_report_status(struct buf *to, const struct config *config,
                          const struct survey_result *result, bool json);

#endif
