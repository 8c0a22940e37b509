/* ddb2pulsar-perf: loads a Pulsar topic and measures the producer of src/pulsar. */

#include "base/man.h"
#include "perf/load.h"
#include "perf/report.h"

#include "version.h"

#include <aws/common/thread.h>
#include <aws/io/io.h>

#include <errno.h>
#include <inttypes.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <sys/eventfd.h>
#include <sys/signalfd.h>
#include <unistd.h>

enum { EXIT_AT_ONCE = 1 };

static int fail(const struct err *err) {
    (void)fprintf(stderr, "ddb2pulsar-perf: %s\n", err->text);
    return err_exit_code(err->code);
}

static bool print(const struct buf *text, struct err *err) {
    if (text->failed) {
        return err_set(err, ERR_NOMEM, "out of memory");
    }
    if (fwrite(text->data, 1, text->len, stdout) != text->len || fflush(stdout) != 0) {
        return err_set(err, ERR_OUTPUT, "standard output cannot be written");
    }
    return true;
}

static const char *const summary =
    "Sends messages to a Pulsar topic and prints messages/s, MB/s, latency from "
    "send to receipt,\nCPU time and peak memory of this program. SIGINT and "
    "SIGTERM end it early, with its results.\n";

static int print_help(struct err *err) {
    struct buf help;
    buf_init(&help, BUF_MAX_REQUEST);
    buf_add_format(&help,
                   "usage: ddb2pulsar-perf --service-url URL --topic TOPIC [OPTION]...\n\n%s\n",
                   summary);
    perf_options_add_help(&help);
    bool ok = print(&help, err);
    buf_done(&help);
    return ok ? 0 : fail(err);
}

static int print_manual(struct err *err) {
    struct buf manual;
    buf_init(&manual, BUF_MAX_REQUEST);
    buf_add_text(&manual, ".\\\" Written by `ddb2pulsar-perf --man` from src/perf; edit that.\n"
                          ".TH DDB2PULSAR-PERF 1\n"
                          ".SH NAME\n"
                          "ddb2pulsar\\-perf \\- load a Pulsar topic\n"
                          ".SH SYNOPSIS\n"
                          ".B ddb2pulsar\\-perf\n"
                          "\\fB\\-\\-service\\-url\\fR \\fIURL\\fR \\fB\\-\\-topic\\fR "
                          "\\fITOPIC\\fR [\\fIOPTION\\fR]...\n"
                          ".SH DESCRIPTION\n");
    man_add(&manual, summary);
    buf_add_text(&manual, ".SH OPTIONS\n");
    perf_options_add_man(&manual);
    buf_add_text(&manual, ".SH EXIT STATUS\n"
                          "0 when it was measured, else as \\fBddb2pulsar\\fR(1).\n"
                          ".SH SEE ALSO\n"
                          ".BR ddb2pulsar (1)\n");
    bool ok = print(&manual, err);
    buf_done(&manual);
    return ok ? 0 : fail(err);
}

/* The largest resident set so far, from the kernel: VmHWM. 0 when it does not say. */
static uint64_t peak_memory_bytes(void) {
    char line[256];
    uint64_t kib = 0;
    FILE *status = fopen("/proc/self/status", "r");
    while (status != NULL && fgets(line, sizeof line, status) != NULL) {
        if (sscanf(line, "VmHWM: %" SCNu64 " kB", &kib) == 1) {
            break;
        }
    }
    if (status != NULL) {
        (void)fclose(status);
    }
    return kib * 1024;
}

/* What the main thread waits for. */
struct waiter {
    int signals; /* signalfd: SIGINT, SIGTERM */
    int done;    /* eventfd: the load's end */
};

static bool waiter_open(struct waiter *waiter, struct err *err) {
    sigset_t set;
    (void)sigemptyset(&set); /* none of these can fail for valid signals */
    (void)sigaddset(&set, SIGINT);
    (void)sigaddset(&set, SIGTERM);
    /* Before the first thread, since those inherit it. */
    (void)pthread_sigmask(SIG_BLOCK, &set, NULL);
    (void)signal(SIGPIPE, SIG_IGN); /* a closed pipe or socket becomes an error of the write */
    waiter->signals = signalfd(-1, &set, SFD_CLOEXEC);
    waiter->done = eventfd(0, EFD_CLOEXEC);
    return (waiter->signals >= 0 && waiter->done >= 0) ||
           err_set(err, ERR_INTERNAL, "signals cannot be awaited: %s", strerror(errno));
}

/* A lane_fn. */
static void load_done(void *ctx) {
    const struct waiter *waiter = ctx;
    uint64_t one = 1;
    (void)!write(waiter->done, &one, sizeof one); /* an eventfd takes it */
}

/* Until the load is done. The first signal asks it to end, the second ends the process. */
static void wait_for(struct waiter *waiter, struct load *load) {
    bool asked = false;
    for (;;) {
        struct pollfd fds[] = {{.fd = waiter->done, .events = POLLIN},
                               {.fd = waiter->signals, .events = POLLIN}};
        (void)poll(fds, 2, -1);
        if (fds[0].revents != 0) {
            return;
        }
        struct signalfd_siginfo info;
        if (fds[1].revents == 0 || read(waiter->signals, &info, sizeof info) != sizeof info) {
            continue;
        }
        if (asked) {
            _exit(EXIT_AT_ONCE);
        }
        asked = true;
        load_stop(load);
    }
}

static int report(const struct perf_options *options, const struct load_result *result) {
    struct err err = result->err;
    if (result->measured) {
        struct report report = {options, result, peak_memory_bytes()};
        struct buf text;
        buf_init(&text, BUF_MAX_REQUEST);
        (options->json ? report_add_json : report_add_text)(&text, &report);
        (void)print(&text, err_is_set(&err) ? NULL : &err);
        buf_done(&text);
    }
    return err_is_set(&err) ? fail(&err) : 0;
}

static int run(const struct perf_options *options, struct err *err) {
    struct waiter waiter;
    struct load *load = load_new(options, err);
    if (load == NULL || !waiter_open(&waiter, err)) {
        load_free(load);
        return fail(err);
    }
    aws_io_library_init(aws_default_allocator());
    struct lane *lane = lane_new(0, err);
    if (lane != NULL) {
        load_start(load, lane, load_done, &waiter);
        wait_for(&waiter, load);
    }
    lane_free(lane);
    (void)aws_thread_join_all_managed();
    int code = lane != NULL ? report(options, load_result(load)) : fail(err);
    load_free(load);
    aws_io_library_clean_up();
    return code;
}

int main(int argc, char **argv) {
    struct perf_options options;
    struct err err = ERR_NONE;
    if (!perf_options_parse(argc, argv, &options, &err)) {
        return fail(&err);
    }
    if (options.help) {
        return print_help(&err);
    }
    if (options.man) {
        return print_manual(&err);
    }
    if (options.version) {
        (void)printf("ddb2pulsar-perf %s (%s)\n", D2P_VERSION, D2P_COMMIT);
        return 0;
    }
    log_setup(options.log_level, LOG_FORMAT_TEXT);
    return run(&options, &err);
}
