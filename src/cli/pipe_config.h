/*
 * pipe_config: the configuration from standard input, as the first frame of sink/pipe_frame.h: neither the command line
 * nor a file shows its secrets to others. Main thread, before anything else is started.
 */
#ifndef CLI_PIPE_CONFIG_H
#define CLI_PIPE_CONFIG_H

#include "base/buf.h"
#include "base/err.h"

/* Appends the text to `to`, whose maximum is the text's. Reads not a byte beyond the frame. False and err (ERR_CONFIG)
 * when it does not come within timeout_ms, or something else does. */
bool pipe_config_read(int fd, uint32_t timeout_ms, struct buf *to, struct err *err);

#endif
