/*
 * fuzz_config: a configuration file, as JSON, YAML or Pulsar's source file, from its bytes to checked properties.
 *
 * Input: the file.
 */
#include "config/config.h"
#include "config/config_report.h"
#include "fuzz/fuzz.h"

#include <aws/common/common.h>

#include <stdio.h>
#include <sys/mman.h>
#include <unistd.h>

static void check_config(const struct config *config) {
    assert(config->stream_arn[0] != '\0' && config->streams_region[0] != '\0');
    assert(config->min_poll_interval_ms <= config->max_poll_interval_ms);
    assert(strlen(config->lease_table) >= 3 && strlen(config->lease_table) <= 255);
    for (size_t i = 0; i < config->note_count; i++) {
        fuzz_check_line(config->notes[i]);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    static int fd = -1;
    static char path[64];
    if (fd < 0) {
        aws_common_library_init(aws_default_allocator());
        fd = memfd_create("config.yaml", 0);
        (void)snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
    }
    assert(ftruncate(fd, 0) == 0 && pwrite(fd, data, size, 0) == (ssize_t)size);
    struct config_input input = {.file = path};
    struct err err = ERR_NONE;
    struct config *config = config_load(&input, &err);
    assert((config == NULL) == err_is_set(&err));
    if (config != NULL) {
        check_config(config);
    } else {
        assert(err.code == ERR_CONFIG);
        fuzz_check_line(err.text);
    }
    config_free(config);
    return 0;
}
