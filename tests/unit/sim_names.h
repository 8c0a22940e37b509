/*
 * sim_names: what a broker with deduplication remembers of producer names: who has each now, and the highest id that it has
 * stored of each in every partition.
 */
#ifndef TESTS_SIM_NAMES_H
#define TESTS_SIM_NAMES_H

#include "sim_process.h"

enum { SIM_PARTITIONS = 3 };

struct sim_name;

/* Known from then on, until sim_names_forget. */
struct sim_name *sim_names_get(struct sim_world *world, struct str name);
void sim_names_forget(struct sim_world *world);

/* False while another has it who seems to live: one that stands still is given up at some time. owner: whoever, of that
 * process. */
bool sim_name_take(struct sim_name *name, const void *owner, const struct sim_process *process);
bool sim_name_is_of(const struct sim_name *name, const void *owner);
void sim_name_leave(struct sim_name *name, const void *owner);

/* False: it has it already. */
bool sim_name_store(struct sim_name *name, uint32_t partition, uint64_t id);
/* Over all partitions; -1: none. */
int64_t sim_name_last(const struct sim_name *name);

#endif
