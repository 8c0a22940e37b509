/*
 * sim_world: several processes of the source on one simulated clock, over one AWS double, each with one or more lanes, each
 * lane with a sink of its own. A process can crash, stand still (and wake up as a zombie) or stop cleanly; replies get lost;
 * messages between lanes take their time. All on the test's thread; what happens follows from the seed alone.
 */
#ifndef TESTS_SIM_WORLD_H
#define TESTS_SIM_WORLD_H

#include "fakes/fake_aws.h"
#include "source/source.h"

#define SIM_ARN                                                                                    \
    "arn:aws:dynamodb:us-east-1:123456789012:table/orders/stream/2026-01-01T00:00:00.000"
/* Of the same table, when its stream was disabled and enabled again. */
#define SIM_NEXT_ARN                                                                               \
    "arn:aws:dynamodb:us-east-1:123456789012:table/orders/stream/2026-02-01T00:00:00.000"
#define SIM_TABLE "leases"

enum { SIM_PROCESSES = 8, SIM_LANES = 3, SIM_SLOW_MS = 3000, SIM_LATE_MS = 4500 };

/* A record that reached the other side. */
struct sim_delivery {
    char key[48];
    uint64_t number; /* its sequence number */
    uint32_t process;
    uint64_t at_ns;
};

/* Of a thousand calls, those that end so. */
struct sim_weather {
    uint32_t lost_writes; /* to the table: carried out, and the reply is lost */
    uint32_t late_writes; /* carried out when the caller has given up */
    uint32_t lost_reads;  /* of all others, the reply is lost */
    uint32_t broken_replies;
    uint32_t slow_sinks; /* of a thousand turns of a sink, those that take up to SIM_SLOW_MS */
    bool no_receipts;    /* what arrives is not acknowledged */
};

/* A process in its life: of all that were ever started, and the place it has now. */
struct sim_worker {
    const char *id;
    uint32_t serial;
    uint32_t place;
    bool skips;     /* its policy for records that cannot be sent */
    bool continues; /* and for those that were lost */
};

struct sim_ledger;
struct sim_name;
struct sim_process;
struct sim_thread;

struct sim_world {
    uint64_t seed;
    uint64_t now_ns;
    struct rng rng;
    struct fake_aws aws;
    struct source_options options; /* of processes that start from now on */
    struct sim_weather weather;
    bool mild;                 /* nothing hinders what a process does before its end */
    struct sim_ledger *ledger; /* borrowed; it checks every step. NULL: `deliveries` are kept */
    struct sim_process *processes[SIM_PROCESSES]; /* NULL where none runs */
    uint32_t started;                             /* in all: part of a worker's id */
    struct sim_thread *running;                   /* whose turn it is; NULL between turns */
    struct sim_call **calls;                      /* under way */
    size_t call_count;
    size_t call_capacity;
    struct sim_name *names; /* see sim_names.h */
    struct sim_delivery *deliveries;
    size_t delivery_count;
    size_t delivery_capacity;
    uint64_t gaps;          /* told by processes that are gone */
    uint64_t record_errors; /* by them */
    struct err failure;     /* of the first process that ended by itself with an error */
    bool
        failed_early; /* that one, before it read anything, or while it stopped: there it may give up */
};

/* A stream SIM_ARN without shards. */
void sim_world_init(struct sim_world *world, uint64_t seed);
void sim_world_done(struct sim_world *world);
int64_t sim_world_wall_ms(const struct sim_world *world);
/* Scenario lines of the AWS double. */
void sim_world_script(struct sim_world *world, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

/* In a free place, which it returns; SIM_PROCESSES when there is none. */
uint32_t sim_world_start(struct sim_world *world);
/* SIGTERM; it is gone some time later. A pause must not follow: it must be gone in time. */
void sim_world_stop(struct sim_world *world, uint32_t process);
/* SIGKILL: nothing that it holds in memory goes anywhere. What it sent arrives. */
void sim_world_crash(struct sim_world *world, uint32_t process);
void sim_world_pause(struct sim_world *world, uint32_t process);
void sim_world_resume(struct sim_world *world, uint32_t process);
bool sim_world_is_paused(const struct sim_world *world, uint32_t process);
bool sim_world_is_stopping(const struct sim_world *world, uint32_t process);
/* Gaps told so far, by all. */
uint64_t sim_world_gaps(const struct sim_world *world);
/* Records skipped so far, by all, since they cannot be sent. */
uint64_t sim_world_record_errors(const struct sim_world *world);
/* Of those that run and were not asked to stop. */
uint32_t sim_world_count(const struct sim_world *world);

void sim_world_run(struct sim_world *world, uint64_t ms);

/* A lease's owner; "" when it has none. Static storage. */
const char *sim_world_owner(struct sim_world *world, const char *shard);
/* Until the process is gone. */
const char *sim_world_worker_id(const struct sim_world *world, uint32_t process);
/* A lease's checkpoint; "" when there is none. Static storage. */
const char *sim_world_checkpoint(struct sim_world *world, const char *shard);

#endif
