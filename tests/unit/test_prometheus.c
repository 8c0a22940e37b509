/* prometheus: names, types and values; an independent parser reads the same in tests/e2e. */
#include "monitor/prometheus.h"

#include "cmocka_all.h"

#include <string.h>

static void write_example(struct buf *to) {
    struct source_stats stats = {
        .records_read = 12, .records_acked = 11, .in_flight = 1, .behind_ms = 1500, .gaps = 2};
    static struct source_pulse pulse;
    static struct health health;
    pulse = (struct source_pulse){.listings = 3, .lane_count = 2};
    pulse.lanes[1] = (struct source_lane_pulse){.shards = 5, .page_idle_ms = 250};
    health = (struct health){.alive = true, .reason = "not ready"};
    struct publisher_stats published = {.published = 7, .dropped = 8, .failures = 9};
    const struct prometheus_facts facts = {
        .published = &published,
        .stats = &stats,
        .pulse = &pulse,
        .health = &health,
        .version = "1.2.3",
        .started_s = 1700000000.5,
        .cpu_s = 0.25,
        .resident_bytes = 12 << 20,
    };
    buf_init(to, 1 << 20);
    prometheus_write(&facts, to);
}

static void values_stand_by_their_names(void **state) {
    (void)state;
    static const char *const lines[] = {
        "\nddb2pulsar_build_info{version=\"1.2.3\"} 1\n",
        "\nprocess_start_time_seconds 1700000000.5\n",
        "\nprocess_cpu_seconds_total 0.25\n",
        "\nprocess_resident_memory_bytes 12582912\n",
        "\nddb2pulsar_alive 1\n",
        "\nddb2pulsar_ready 0\n",
        "\nddb2pulsar_records_read_total 12\n",
        "\nddb2pulsar_records_acknowledged_total 11\n",
        "\nddb2pulsar_records_in_flight 1\n",
        "\nddb2pulsar_gaps_total 2\n",
        "\nddb2pulsar_cloudwatch_dropped_total 8\n",
        "\nddb2pulsar_behind_seconds 1.5\n",
        "\nddb2pulsar_listings_total 3\n",
        "\nddb2pulsar_lane_shards{lane=\"0\"} 0\nddb2pulsar_lane_shards{lane=\"1\"} 5\n",
        "\nddb2pulsar_lane_page_idle_seconds{lane=\"1\"} 0.25\n",
    };
    struct buf text;
    write_example(&text);
    for (size_t i = 0; i < sizeof lines / sizeof lines[0]; i++) {
        if (strstr(buf_text(&text), lines[i]) == NULL) {
            fail_msg("%s is not in %s", lines[i], buf_text(&text));
        }
    }
    buf_done(&text);
}

/* Each family once, with HELP and TYPE in front of all of its samples; counters end with _total. */
static void families_are_whole(void **state) {
    (void)state;
    struct buf text;
    write_example(&text);
    char family[128] = "";
    bool counter = false;
    char *rest = NULL;
    (void)buf_text(&text);
    for (char *line = strtok_r(text.data, "\n", &rest); line != NULL;
         line = strtok_r(NULL, "\n", &rest)) {
        if (strncmp(line, "# HELP ", 7) == 0) {
            size_t len = strcspn(line + 7, " ");
            assert_true(len < sizeof family);
            memcpy(family, line + 7, len);
            family[len] = '\0';
        } else if (strncmp(line, "# TYPE ", 7) == 0) {
            assert_int_equal(strncmp(line + 7, family, strlen(family)), 0);
            counter = strcmp(line + 7 + strlen(family), " counter") == 0;
            assert_true(counter || strcmp(line + 7 + strlen(family), " gauge") == 0);
            size_t len = strlen(family);
            bool total = len > 6 && strcmp(family + len - 6, "_total") == 0;
            assert_int_equal(counter, total);
        } else {
            assert_int_equal(strcspn(line, "{ "), strlen(family));
            assert_int_equal(strncmp(line, family, strlen(family)), 0);
        }
    }
    buf_done(&text);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(values_stand_by_their_names),
        cmocka_unit_test(families_are_whole),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
