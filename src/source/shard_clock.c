#include "source/shard_clock.h"

static void add(struct shard_clock *clock, enum measure_of_shard which, uint64_t value) {
    measure_add(&clock->shard[which], value);
}

static void add_to_lane(struct shard_clock *clock, enum measure_of_lane which, uint64_t value) {
    measure_add(&clock->lane[which], value);
}

void shard_clock_open(struct shard_clock *clock, struct measure *lane, uint64_t now_ms) {
    *clock = (struct shard_clock){.lane = lane, .opened_ms = now_ms};
    add_to_lane(clock, MEASURE_LANE_PARENT_SUCCESS, 1);
    add_to_lane(clock, MEASURE_LANE_PARENT_TIME, 0);
}

void shard_clock_iterator(struct shard_clock *clock, bool success, uint64_t now_ms) {
    add(clock, MEASURE_SHARD_ITERATOR_SUCCESS, success);
    add(clock, MEASURE_SHARD_ITERATOR_TIME, now_ms - clock->asked_ms);
    if (success && clock->opened_ms > 0) {
        add_to_lane(clock, MEASURE_LANE_OPEN_SUCCESS, 1);
        add_to_lane(clock, MEASURE_LANE_OPEN_TIME, now_ms - clock->opened_ms);
        add_to_lane(clock, MEASURE_LANE_OPEN_READER_TIME, now_ms - clock->opened_ms);
        clock->opened_ms = 0;
    }
}

void shard_clock_expired(struct shard_clock *clock) {
    add(clock, MEASURE_SHARD_EXPIRED, 1);
}

void shard_clock_read(struct shard_clock *clock, bool success, uint64_t now_ms) {
    clock->page_ms = now_ms;
    add(clock, MEASURE_SHARD_READ_SUCCESS, success);
    add(clock, MEASURE_SHARD_READ_TIME, now_ms - clock->polled_ms);
    if (!success) {
        add(clock, MEASURE_SHARD_PAGE_SUCCESS, 0);
        add(clock, MEASURE_SHARD_PAGE_TIME, now_ms - clock->polled_ms);
    }
}

void shard_clock_page(struct shard_clock *clock, const struct pace_page *page, uint64_t behind_ms,
                      uint64_t now_ms) {
    add(clock, MEASURE_SHARD_PAGE_SUCCESS, 1);
    add(clock, MEASURE_SHARD_PAGE_TIME, now_ms - clock->polled_ms);
    add(clock, MEASURE_SHARD_FEED_TIME, now_ms - clock->page_ms);
    add(clock, MEASURE_SHARD_RECORDS, page->records);
    add(clock, MEASURE_SHARD_BYTES, page->records > 0 ? page->bytes : 0);
    add(clock, MEASURE_SHARD_BEHIND, behind_ms);
}

void shard_clock_close(struct shard_clock *clock, bool success, uint64_t now_ms) {
    uint64_t ms = clock->closing_ms > 0 ? now_ms - clock->closing_ms : 0;
    add_to_lane(clock, MEASURE_LANE_CLOSE_SUCCESS, success);
    add_to_lane(clock, MEASURE_LANE_CLOSE_TIME, ms);
    add_to_lane(clock, MEASURE_LANE_CLOSE_READER_TIME, ms);
}
