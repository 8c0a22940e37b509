#include "cli/command.h"

#include "version.h"

int cmd_version(const struct command_args *args) {
    struct buf text;
    struct err err = ERR_NONE;
    buf_init(&text, 256);
    buf_add_format(&text, "ddb2pulsar %s (%s)\n", D2P_VERSION, D2P_COMMIT);
    int code = cli_print(&text, &err) ? 0 : cli_fail(args, &err);
    buf_done(&text);
    return code;
}
