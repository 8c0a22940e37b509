#include "cli/command.h"
#include "cli/runtime.h"

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
