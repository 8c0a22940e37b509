#include "pulsar/requests.h"

#include <assert.h>
#include <stdlib.h>

static struct request *of_node(struct aws_linked_list_node *node) {
    return AWS_CONTAINER_OF(node, struct request, node);
}

static struct request **bucket_of(const struct requests *requests, uint64_t id) {
    return &requests->by_id[id & (requests->buckets - 1)];
}

void requests_init(struct requests *requests) {
    *requests = (struct requests){.buckets = REQUESTS_FIRST_BUCKETS};
    requests->by_id = requests->first_buckets;
    aws_linked_list_init(&requests->timed);
    aws_linked_list_init(&requests->untimed);
}

void requests_done(struct requests *requests) {
    assert(requests->count == 0);
    if (requests->by_id != requests->first_buckets) {
        free(requests->by_id);
    }
    requests->by_id = NULL;
}

uint64_t requests_new_id(struct requests *requests) {
    return ++requests->last_id;
}

static void hash(struct requests *requests, struct request *request) {
    struct request **bucket = bucket_of(requests, request->id);
    request->next_with_hash = *bucket;
    *bucket = request;
}

/* Without memory for it the search gets slower, and nothing else. */
static void grow(struct requests *requests) {
    struct request **old = requests->by_id;
    size_t buckets = requests->buckets;
    struct request **by_id = calloc(2 * buckets, sizeof(struct request *));
    if (by_id == NULL) {
        return;
    }
    requests->by_id = by_id;
    requests->buckets = 2 * buckets;
    for (size_t i = 0; i < buckets; i++) {
        for (struct request *request = old[i], *next; request != NULL; request = next) {
            next = request->next_with_hash;
            hash(requests, request);
        }
    }
    if (old != requests->first_buckets) {
        free(old);
    }
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
    *request = (struct request){.id = id, .deadline_ns = deadline_ns, .requests = requests};
    if (deadline_ns == REQUESTS_NO_DEADLINE) {
        aws_linked_list_push_back(&requests->untimed, &request->node);
    } else {
        put_in_order(&requests->timed, request);
    }
    if (requests->count == requests->buckets) {
        grow(requests);
    }
    hash(requests, request);
    requests->count++;
}

void request_remove(struct request *request) {
    struct requests *requests = request->requests;
    if (requests == NULL) {
        return;
    }
    struct request **at = bucket_of(requests, request->id);
    while (*at != request) {
        at = &(*at)->next_with_hash;
    }
    *at = request->next_with_hash;
    aws_linked_list_remove(&request->node);
    request->requests = NULL;
    requests->count--;
}

struct request *requests_find(const struct requests *requests, uint64_t id) {
    struct request *request = *bucket_of(requests, id);
    while (request != NULL && request->id != id) {
        request = request->next_with_hash;
    }
    return request;
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
