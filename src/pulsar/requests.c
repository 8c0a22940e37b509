#include "pulsar/requests.h"

#include <assert.h>

static struct request *of_node(struct aws_linked_list_node *node) {
    return AWS_CONTAINER_OF(node, struct request, node);
}

void requests_init(struct requests *requests) {
    *requests = (struct requests){.last_id = 0};
    id_table_init(&requests->by_id);
    aws_linked_list_init(&requests->timed);
    aws_linked_list_init(&requests->untimed);
}

void requests_done(struct requests *requests) {
    assert(requests->by_id.count == 0);
    id_table_done(&requests->by_id);
}

uint64_t requests_new_id(struct requests *requests) {
    return ++requests->last_id;
}

/* From the end, where its place is while all deadlines are equally far. */
static void put_in_order(struct aws_linked_list *timed, struct request *request) {
    struct aws_linked_list_node *after = aws_linked_list_rbegin(timed);
    while (after != aws_linked_list_rend(timed) &&
           of_node(after)->deadline_ns > request->deadline_ns) {
        after = aws_linked_list_prev(after);
    }
    aws_linked_list_insert_after(after, &request->node);
}

void requests_add(struct requests *requests, struct request *request, uint64_t id,
                  uint64_t deadline_ns) {
    assert(request->requests == NULL);
    *request = (struct request){.deadline_ns = deadline_ns, .requests = requests};
    id_table_add(&requests->by_id, &request->entry, id);
    if (deadline_ns == REQUESTS_NO_DEADLINE) {
        aws_linked_list_push_back(&requests->untimed, &request->node);
    } else {
        put_in_order(&requests->timed, request);
    }
}

void request_remove(struct request *request) {
    struct requests *requests = request->requests;
    if (requests == NULL) {
        return;
    }
    id_table_remove(&requests->by_id, &request->entry);
    aws_linked_list_remove(&request->node);
    request->requests = NULL;
}

struct request *requests_find(const struct requests *requests, uint64_t id) {
    struct id_entry *entry = id_table_find(&requests->by_id, id);
    return entry != NULL ? AWS_CONTAINER_OF(entry, struct request, entry) : NULL;
}

static struct request *first_of(const struct aws_linked_list *list) {
    return aws_linked_list_empty(list) ? NULL : of_node(aws_linked_list_front(list));
}

struct request *requests_next(const struct requests *requests) {
    return first_of(&requests->timed);
}

struct request *requests_first(const struct requests *requests) {
    struct request *next = first_of(&requests->timed);
    return next != NULL ? next : first_of(&requests->untimed);
}
