/*
 * requests: those of one connection that wait for an answer: in the order of their deadlines, and
 * found by their ids at once, however many there are. Pure, but for memory.
 */
#ifndef PULSAR_REQUESTS_H
#define PULSAR_REQUESTS_H

#include "pulsar/id_table.h"

#include <aws/common/linked_list.h>

#define REQUESTS_NO_DEADLINE UINT64_MAX

struct requests;

/* Embedded in its owner; all-zero before the first use. */
struct request {
    struct id_entry entry;
    uint64_t deadline_ns;
    struct requests *requests; /* NULL: not waiting */
    struct aws_linked_list_node node;
};

struct requests {
    struct aws_linked_list timed;   /* the next deadline first */
    struct aws_linked_list untimed; /* without a deadline */
    struct id_table by_id;
    uint64_t last_id;
};

/* It must not move afterwards. */
void requests_init(struct requests *requests);
/* None may wait any more. */
void requests_done(struct requests *requests);

/* One that was not used before. */
uint64_t requests_new_id(struct requests *requests);
/* request, which may not wait already, waits for the answer with this id. Of equal deadlines the
 * one that was added first comes first. */
void requests_add(struct requests *requests, struct request *request, uint64_t id,
                  uint64_t deadline_ns);
/* Waits no more. Not waiting is fine. */
void request_remove(struct request *request);

/* NULL when no such request waits. */
struct request *requests_find(const struct requests *requests, uint64_t id);
/* The one with the next deadline; NULL when none has a deadline. */
struct request *requests_next(const struct requests *requests);
/* Any that waits, by their deadlines and those without at last; NULL when none waits. */
struct request *requests_first(const struct requests *requests);

#endif
