#include "source/pace.h"

enum {
    FULL_PAGE_BYTES = 1000 * 1000, /* a page this large was cut by size */
    EXPECTED_PAGE_BYTES = 4 << 20, /* what the limit aims at */
    TIP_EMPTY_PAGES = 10,
    TIP_EMPTY_MS = 2000,
    CLOSED_MS = 20, /* an empty page of a closed shard: its end is near */
    THROTTLED_MAX_MS = 10000,
};

void pace_init(struct pace *pace, const struct pace_options *options) {
    *pace = (struct pace){.options = *options, .idle_ms = options->min_ms};
    if (pace->options.limit_max > PACE_LIMIT_MAX) {
        pace->options.limit_max = PACE_LIMIT_MAX;
    }
    pace->limit = pace->options.limit_max;
}

bool pace_is_full(const struct pace *pace, const struct pace_page *page) {
    return page->records > 0 && (page->records >= pace->limit || page->bytes >= FULL_PAGE_BYTES);
}

/* The next limit, so that a page of records like these has EXPECTED_PAGE_BYTES. */
static void choose_limit(struct pace *pace, const struct pace_page *page) {
    if (page->records == 0) {
        return;
    }
    size_t fitting = EXPECTED_PAGE_BYTES / (page->bytes / page->records + 1);
    pace->limit = fitting < pace->options.limit_max ? (uint32_t)fitting : pace->options.limit_max;
    if (pace->limit == 0) {
        pace->limit = 1;
    }
}

/* At the tip: something was read that is younger than the program, or nothing often and long enough. */
static void look_for_tip(struct pace *pace, const struct pace_page *page, uint64_t now_ms) {
    if (page->records > 0) {
        pace->empty_pages = 0;
        pace->at_tip = pace->at_tip || page->after_start;
        return;
    }
    if (pace->empty_pages == 0) {
        pace->empty_since_ms = now_ms;
    }
    pace->empty_pages++;
    pace->at_tip = pace->at_tip || (pace->empty_pages >= TIP_EMPTY_PAGES &&
                                    now_ms - pace->empty_since_ms >= TIP_EMPTY_MS);
}

/* Between two reads, from start to start. */
static uint64_t interval_ms(struct pace *pace, const struct pace_page *page, bool full) {
    if (page->records > 0) {
        pace->idle_ms = pace->options.min_ms;
        return full || page->shard_closed ? 0 : pace->options.min_ms;
    }
    if (page->shard_closed) {
        return CLOSED_MS;
    }
    if (pace->options.hurry && !pace->at_tip) {
        return pace->options.min_ms;
    }
    uint64_t interval = pace->idle_ms;
    pace->idle_ms *= 2;
    if (pace->idle_ms > pace->options.max_ms) {
        pace->idle_ms = pace->options.max_ms;
    }
    return interval;
}

uint64_t pace_page(struct pace *pace, const struct pace_page *page, uint64_t now_ms) {
    bool full = pace_is_full(pace, page);
    choose_limit(pace, page);
    look_for_tip(pace, page, now_ms);
    uint64_t interval = interval_ms(pace, page, full);
    if (interval < pace->floor_ms) {
        interval = pace->floor_ms;
    }
    pace->floor_ms = pace->floor_ms * 9 / 10;
    if (pace->floor_ms < pace->options.min_ms) {
        pace->floor_ms = 0;
    }
    uint64_t since = now_ms - page->asked_ms;
    return since < interval ? interval - since : 0;
}

uint64_t pace_throttled(struct pace *pace) {
    pace->floor_ms = pace->floor_ms == 0 ? pace->options.min_ms * 2 : pace->floor_ms * 2;
    if (pace->floor_ms > THROTTLED_MAX_MS) {
        pace->floor_ms = THROTTLED_MAX_MS;
    }
    return pace->floor_ms;
}

bool pace_too_large(struct pace *pace) {
    if (pace->limit == 1) {
        return false;
    }
    pace->limit /= 2;
    return true;
}
