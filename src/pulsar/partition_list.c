#include "pulsar/partition_list.h"

#include "pulsar/report.h"
#include "pulsar/topic.h"

#include <inttypes.h>
#include <stdlib.h>

static struct partition *new_partition(struct partition_shared *shared, const char *topic,
                                       uint32_t index, bool plain) {
    char *name = plain ? str_dup(str_of(topic)) : topic_partition_name(topic, index);
    struct partition *partition = calloc(1, sizeof *partition);
    if (name == NULL || partition == NULL || !partition_init(partition, shared, index, name)) {
        if (partition != NULL) {
            partition_done(partition);
        }
        free(partition);
        partition = NULL;
    }
    free(name);
    return partition;
}

static bool add(struct partition_list *list, struct partition_shared *shared, const char *topic,
                uint32_t wanted, bool plain) {
    struct partition **items = realloc(list->items, wanted * sizeof(struct partition *));
    if (items == NULL) {
        return false;
    }
    list->items = items;
    while (list->made < wanted) {
        items[list->made] = new_partition(shared, topic, list->made, plain);
        if (items[list->made] == NULL) {
            return false;
        }
        list->made++;
    }
    return true;
}

bool partition_list_make(struct partition_list *list, struct partition_shared *shared,
                         const char *topic, uint32_t count, uint32_t pinned, struct err *err) {
    uint32_t wanted = count == 0 ? 1 : count;
    if (pinned > wanted) {
        return err_set(err, ERR_CONFIG,
                       "topic %s has %" PRIu32 " partitions, but is to be used with %" PRIu32,
                       topic, wanted, pinned);
    }
    wanted = pinned != 0 ? pinned : wanted;
    if (wanted > PULSAR_PARTITIONS_MAX) {
        return err_set(err, ERR_CONFIG,
                       "topic %s has %" PRIu32 " partitions; a producer can use %d at most", topic,
                       wanted, PULSAR_PARTITIONS_MAX);
    }
    return wanted <= list->made || add(list, shared, topic, wanted, count == 0) ||
           err_set(err, ERR_NOMEM, "no memory for %" PRIu32 " partitions", wanted);
}

void partition_list_open(struct partition_list *list) {
    for (uint32_t i = 0; i < list->made; i++) {
        if (list->items[i]->state == PARTITION_IDLE) {
            partition_open(list->items[i]);
        }
    }
}

void partition_list_count(struct partition_list *list, struct partition *partition, bool ready) {
    list->ready -= partition->counted_ready;
    list->ready += ready;
    partition->counted_ready = ready;
}

void partition_list_flush(struct partition_list *list) {
    for (uint32_t i = 0; i < list->made; i++) {
        partition_flush(list->items[i]);
    }
}

void partition_list_end(struct partition_list *list, const struct err *err) {
    for (uint32_t i = 0; i < list->made; i++) {
        report_all(list->items[i], err);
        partition_close(list->items[i]);
    }
}

bool partition_list_is_closed(const struct partition_list *list) {
    for (uint32_t i = 0; i < list->made; i++) {
        if (list->items[i]->state != PARTITION_CLOSED) {
            return false;
        }
    }
    return true;
}

void partition_list_done(struct partition_list *list) {
    for (uint32_t i = 0; i < list->made; i++) {
        partition_done(list->items[i]);
        free(list->items[i]);
    }
    free(list->items);
    *list = (struct partition_list){.items = NULL};
}
