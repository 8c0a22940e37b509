#include "pulsar/keep_alive.h"

enum keep_alive_verdict keep_alive_judge(struct keep_alive *keep_alive, bool used, bool queued) {
    keep_alive->unused = used ? 0 : keep_alive->unused + 1;
    if (keep_alive->unused > KEEP_ALIVE_UNUSED_INTERVALS) {
        return KEEP_ALIVE_UNUSED;
    }
    /* A broker that throttles reads slowly and answers late, but it reads. An empty queue says
     * nothing: the kernel takes a PING also for a broker that is gone. */
    bool reads = keep_alive->wrote && queued;
    bool lives = keep_alive->heard || reads;
    bool asked = keep_alive->pinged;
    keep_alive->heard = false;
    keep_alive->wrote = false;
    keep_alive->pinged = !lives;
    return lives ? KEEP_ALIVE_FINE : asked ? KEEP_ALIVE_SILENT : KEEP_ALIVE_PING;
}
