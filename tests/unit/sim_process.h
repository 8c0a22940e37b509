/*
 * sim_process: what a process of sim_world is made of; shared by the files that play its parts (sim_call, sim_sink,
 * sim_world).
 */
#ifndef TESTS_SIM_PROCESS_H
#define TESTS_SIM_PROCESS_H

#include "sim_world.h"

struct sim_service {
    struct service base;
    struct sim_thread *thread;
};

struct sim_message {
    struct lane_message *message;
    uint64_t due_ns;
};

/* A lane with what is on it. */
struct sim_thread {
    struct lane lane; /* first: the two are converted into each other */
    struct sim_process *process;
    struct lane_timer **timers;
    size_t timer_count;
    size_t timer_capacity;
    struct sim_message *messages; /* in the order of posting */
    size_t message_count;
    size_t message_capacity;
    uint64_t
        arrives_ns[SIM_LANES]; /* the newest message of each lane: none of it overtakes another */
    struct page_pool *pages;
    struct sim_service streams;
    struct sim_service table;
    struct lane_message close_message;
};

struct sim_process {
    struct sim_world *world;
    uint32_t index;
    struct sim_worker worker;
    struct source *source;
    struct sim_thread *threads[SIM_LANES];
    uint32_t thread_count;
    char worker_id[32];
    struct source_options options;
    bool paused;
    bool stopping;
    uint64_t stop_by_ns; /* it must be gone by then */
    bool dead;           /* crashed: its memory is being taken apart, nothing of it goes out */
    bool done;
    struct err result;
};

/* The array with room for one more. */
void *sim_grown(void *array, size_t count, size_t *capacity, size_t size);
uint64_t sim_between(struct sim_world *world, uint64_t low, uint64_t high);
bool sim_chance(struct sim_world *world, uint32_t per_thousand);

#endif
