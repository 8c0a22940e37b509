#include "sim_names.h"

#include "cmocka_all.h"

#include <stdlib.h>

enum { GIVEN_UP = 50 }; /* of a thousand tries to take the name of one that stands still */

struct sim_name {
    char text[128];
    const void *owner; /* NULL: nobody */
    const struct sim_process *process;
    int64_t last[SIM_PARTITIONS];
    struct sim_name *next;
};

struct sim_name *sim_names_get(struct sim_world *world, struct str text) {
    struct sim_name *name = world->names;
    while (name != NULL && !str_is(text, name->text)) {
        name = name->next;
    }
    if (name == NULL) {
        name = calloc(1, sizeof *name);
        assert_non_null(name);
        assert_true(str_copy(text, name->text, sizeof name->text));
        for (size_t i = 0; i < SIM_PARTITIONS; i++) {
            name->last[i] = -1;
        }
        name->next = world->names;
        world->names = name;
    }
    return name;
}

void sim_names_forget(struct sim_world *world) {
    while (world->names != NULL) {
        struct sim_name *next = world->names->next;
        free(world->names);
        world->names = next;
    }
}

bool sim_name_take(struct sim_name *name, const void *owner, const struct sim_process *process) {
    bool gone = name->owner == NULL || name->owner == owner ||
                (name->process->paused && sim_chance(process->world, GIVEN_UP));
    if (gone) {
        name->owner = owner;
        name->process = process;
    }
    return gone;
}

bool sim_name_is_of(const struct sim_name *name, const void *owner) {
    return name->owner == owner;
}

void sim_name_leave(struct sim_name *name, const void *owner) {
    if (name->owner == owner) {
        name->owner = NULL;
    }
}

bool sim_name_store(struct sim_name *name, uint32_t partition, uint64_t id) {
    if ((int64_t)id <= name->last[partition]) {
        return false;
    }
    name->last[partition] = (int64_t)id;
    return true;
}

int64_t sim_name_last(const struct sim_name *name) {
    int64_t last = -1;
    for (size_t i = 0; i < SIM_PARTITIONS; i++) {
        last = name->last[i] > last ? name->last[i] : last;
    }
    return last;
}
