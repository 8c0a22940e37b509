/*
 * fuzz_topic: a topic's name.
 *
 * Input: the name.
 */
#include "fuzz/fuzz.h"
#include "pulsar/topic.h"

/* A limit is on the name as it was given; the full form may be over it. */
enum { NAME_SURE_TO_FIT = 4000 };

/* In full it is what it was, and its partition is a topic too. */
static void check_again(const char *full, uint32_t index) {
    struct err err = ERR_NONE;
    char *again = topic_full_name(str_of(full), &err);
    assert(again != NULL && strcmp(again, full) == 0);
    free(again);
    char *partition = topic_partition_name(full, index);
    assert(partition != NULL && str_starts(str_of(partition), full));
    again = topic_full_name(str_of(partition), &err);
    assert(again != NULL && strcmp(again, partition) == 0);
    free(again);
    free(partition);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    struct str bytes = fuzz_input(data, size);
    char *name = fuzz_copy(bytes);
    struct err err = ERR_NONE;
    char *full = topic_full_name(str_make(name, bytes.len), &err);
    free(name);
    assert((full != NULL) == !err_is_set(&err));
    if (full == NULL) {
        assert(err.text[0] != '\0');
        return 0;
    }
    assert(str_starts(str_of(full), "persistent://") ||
           str_starts(str_of(full), "non-persistent://"));
    for (const char *c = full; *c != '\0'; c++) {
        assert((unsigned char)*c > 0x20 && *c != 0x7f);
    }
    if (strlen(full) < NAME_SURE_TO_FIT) {
        check_again(full, (uint32_t)size);
    }
    free(full);
    return 0;
}
