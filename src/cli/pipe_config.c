#include "cli/pipe_config.h"

#include "sink/pipe_frame.h"

#include <errno.h>
#include <poll.h>
#include <time.h>
#include <unistd.h>

static uint64_t now_ms(void) {
    struct timespec now;
    (void)clock_gettime(CLOCK_MONOTONIC, &now); /* cannot fail for this clock */
    return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

static bool read_exactly(int fd, uint64_t until_ms, size_t count, struct buf *to, struct err *err) {
    if (buf_reserve(to, count) == NULL) {
        return err_set(err, ERR_NOMEM, "no memory for the configuration");
    }
    while (count > 0) {
        uint64_t now = now_ms();
        struct pollfd ready = {.fd = fd, .events = POLLIN};
        int polled = now >= until_ms ? 0 : poll(&ready, 1, (int)(until_ms - now));
        if (polled == 0) {
            return err_set(err, ERR_CONFIG, "standard input: no configuration came");
        }
        ssize_t got = polled < 0 ? -1 : read(fd, to->data + to->len, count);
        if (got < 0 && errno != EINTR && errno != EAGAIN) {
            return err_set(err, ERR_CONFIG, "standard input: %s", strerror(errno));
        }
        if (got == 0) {
            return err_set(err, ERR_CONFIG,
                           "standard input: it ended before the configuration did");
        }
        if (got > 0) {
            to->len += (size_t)got;
            count -= (size_t)got;
        }
    }
    return true;
}

bool pipe_config_read(int fd, uint32_t timeout_ms, struct buf *to, struct err *err) {
    uint64_t until_ms = now_ms() + timeout_ms;
    struct buf frame;
    buf_init(&frame, PIPE_FRAME_SIZE_BYTES + 1 + to->max);
    struct pipe_frame config;
    bool ok = read_exactly(fd, until_ms, PIPE_FRAME_SIZE_BYTES, &frame, err);
    if (ok) {
        size_t size = pipe_frame_size(frame.data);
        ok = size == 0 || size > 1 + to->max /* pipe_frame_take says so */
             || read_exactly(fd, until_ms, size, &frame, err);
    }
    if (ok) {
        struct str bytes = buf_str(&frame);
        ok = pipe_frame_take(&bytes, 1 + to->max, &config, err) == PIPE_FRAME_WHOLE &&
             (config.type == PIPE_FRAME_CONFIG ||
              err_set(err, ERR_CONFIG, "standard input: its first frame is no configuration"));
    }
    ok = ok && (buf_add_str(to, config.body) ||
                err_set(err, ERR_NOMEM, "no memory for the configuration"));
    buf_done(&frame);
    return ok;
}
