#include "source/measures.h"

#include <stdlib.h>

enum { SHARDS_FIRST = 8 };

struct measures *measures_new(void) {
    return calloc(1, sizeof(struct measures));
}

void measures_free(struct measures *measures) {
    if (measures != NULL) {
        free(measures->shards);
        free(measures);
    }
}

static bool is_empty(const struct measure of[MEASURE_SHARD_COUNT]) {
    for (size_t i = 0; i < MEASURE_SHARD_COUNT; i++) {
        if (of[i].count > 0) {
            return false;
        }
    }
    return true;
}

static bool make_room(struct measures *measures) {
    if (measures->shard_count < measures->shard_capacity) {
        return true;
    }
    size_t capacity = measures->shard_capacity == 0 ? SHARDS_FIRST : measures->shard_capacity * 2;
    struct shard_measures *shards =
        realloc(measures->shards, capacity * sizeof(struct shard_measures));
    if (shards == NULL) {
        return false;
    }
    measures->shards = shards;
    measures->shard_capacity = capacity;
    return true;
}

bool measures_take_shard(struct measures *measures, struct str id,
                         struct measure of[MEASURE_SHARD_COUNT]) {
    if (is_empty(of)) {
        return true;
    }
    if (!make_room(measures)) {
        return false;
    }
    struct shard_measures *shard = &measures->shards[measures->shard_count++];
    (void)str_copy(str_cut(id, sizeof shard->id - 1), shard->id, sizeof shard->id);
    memcpy(shard->of, of, sizeof shard->of);
    memset(of, 0, sizeof shard->of);
    return true;
}

void measures_take_lane(struct measures *measures, struct measure of[MEASURE_LANE_COUNT]) {
    for (size_t i = 0; i < MEASURE_LANE_COUNT; i++) {
        measure_move(&measures->lane[i], &of[i]);
    }
}
