/*
 * worker_id: the name under which this process holds leases: host name + ":" + UUID. The UUID lives in a locked file
 * of the state folder, so that a restart on the same host keeps its leases; while another process holds the lock, or
 * without a folder, a fresh UUID is used.
 */
#ifndef CLI_WORKER_ID_H
#define CLI_WORKER_ID_H

#include "base/err.h"
#include "base/str.h"

struct worker_id {
    char text[192];
    bool kept; /* from the file: the same as before */
    int fd;    /* holds the lock; -1: none */
};

/* state_directory: made when it is missing; empty: none. application tells apart the workers of several connectors on
 * one host. Never fails for want of a folder: that is logged, and the id is fresh. */
bool worker_id_open(struct worker_id *id, struct str state_directory, struct str application,
                    struct err *err);
/* Gives the lock back. */
void worker_id_close(struct worker_id *id);

#endif
