#include "cli/command.h"
#include "cli/pipe_config.h"
#include "cli/runtime.h"

#include <unistd.h>

enum { PIPE_CONFIG_TIMEOUT_MS = 30000 };

static int run_with(const struct command_args *args, const struct config *config,
                    const struct runtime_run *run) {
    struct err err = ERR_NONE;
    struct runtime *runtime = runtime_new(config, &err);
    if (runtime == NULL) {
        return cli_fail(args, &err);
    }
    int code = runtime_run(runtime, run, &err);
    runtime_free(runtime);
    return err_is_set(&err) ? cli_fail(args, &err) : code;
}

static int load_and_run(const struct command_args *args, const char *forced,
                        const struct runtime_run *run) {
    struct err err = ERR_NONE;
    struct config *config = NULL;
    if (!cli_load_config(args, forced, &config, &err)) {
        return cli_fail(args, &err);
    }
    int code = run_with(args, config, run);
    config_free(config);
    return code;
}

int cmd_run(const struct command_args *args) {
    struct runtime_run run = {
        .keep_leases = true,
        .until_caught_up = args->until_caught_up,
        .show_progress = true,
        .monitored = true,
    };
    return load_and_run(args, NULL, &run);
}

int cmd_tail(const struct command_args *args) {
    struct runtime_run run = {.until_caught_up = args->until_caught_up};
    return load_and_run(args, "sink=stdout", &run);
}

/* stopTimeout, and what comes after it (last writes, last metrics), fits into the 10 s that Pulsar gives a source for its end. */
int cmd_pipe(const struct command_args *args) {
    static const char *const forced[] = {"sink=pipe", "stopTimeout=3000"};
    struct err err = ERR_NONE;
    struct buf text;
    buf_init(&text, BUF_MAX_CONFIG);
    struct config *config = NULL;
    bool ok = pipe_config_read(STDIN_FILENO, PIPE_CONFIG_TIMEOUT_MS, &text, &err);
    if (ok) {
        const struct config_input input = {
            .file = "configuration",
            .text = buf_str(&text),
            .forced = forced,
            .forced_count = sizeof forced / sizeof forced[0],
            .environment = (const char *const *)environ,
        };
        ok = cli_load_config_input(&input, &config, &err);
    }
    buf_done(&text);
    if (!ok) {
        return cli_fail(args, &err);
    }
    struct runtime_run run = {.keep_leases = true, .show_progress = true, .monitored = true};
    int code = run_with(args, config, &run);
    config_free(config);
    return code;
}
