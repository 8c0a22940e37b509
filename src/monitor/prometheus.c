#include "monitor/prometheus.h"

#include <inttypes.h>

/* HELP and TYPE; its samples follow. */
static void begin(struct buf *to, const char *name, const char *type, const char *help) {
    buf_add_format(to, "# HELP %s %s\n# TYPE %s %s\n", name, help, name, type);
}

static void add_number(struct buf *to, const char *name, const char *type, const char *help,
                       double value) {
    begin(to, name, type, help);
    buf_add_format(to, "%s %.17g\n", name, value);
}

static void add_count(struct buf *to, const char *name, const char *type, const char *help,
                      uint64_t value) {
    begin(to, name, type, help);
    buf_add_format(to, "%s %" PRIu64 "\n", name, value);
}

static double seconds(uint64_t ms) {
    return (double)ms / 1000;
}

static void add_process(const struct prometheus_facts *facts, struct buf *to) {
    begin(to, "ddb2pulsar_build_info", "gauge", "Always 1; the label has the version.");
    buf_add_format(to, "ddb2pulsar_build_info{version=\"%s\"} 1\n", facts->version);
    add_number(to, "process_start_time_seconds", "gauge",
               "Start time of the process since unix epoch in seconds.", facts->started_s);
    add_number(to, "process_cpu_seconds_total", "counter",
               "Total user and system CPU time spent in seconds.", facts->cpu_s);
    add_count(to, "process_resident_memory_bytes", "gauge", "Resident memory size in bytes.",
              facts->resident_bytes);
}

static void add_source(const struct prometheus_facts *facts, struct buf *to) {
    const struct source_stats *stats = facts->stats;
    const struct source_pulse *pulse = facts->pulse;
    const struct {
        const char *name;
        const char *type;
        const char *help;
        uint64_t value;
    } all[] = {
        {"ddb2pulsar_alive", "gauge", "1 while the process moves by itself, as /healthz says.",
         facts->health->alive},
        {"ddb2pulsar_ready", "gauge", "1 while AWS and Pulsar let it work, as /readyz says.",
         facts->health->ready},
        {"ddb2pulsar_shards", "gauge", "Shards that this process reads.", stats->shards_open},
        {"ddb2pulsar_records_in_flight", "gauge", "Records read and not acknowledged.",
         stats->in_flight},
        {"ddb2pulsar_pages_read_total", "counter",
         "Answers to GetRecords, with records or without.", stats->pages_read},
        {"ddb2pulsar_read_bytes_total", "counter", "Bytes of these answers.", stats->bytes_read},
        {"ddb2pulsar_read_failures_total", "counter", "Reads that failed after all their tries.",
         stats->read_failures},
        {"ddb2pulsar_records_read_total", "counter", "Records read.", stats->records_read},
        {"ddb2pulsar_records_acknowledged_total", "counter",
         "Records that are safe at the receiver, or were passed over.", stats->records_acked},
        {"ddb2pulsar_records_skipped_total", "counter",
         "Records passed over since they are older than the start position.",
         stats->records_skipped},
        {"ddb2pulsar_record_errors_total", "counter",
         "Records that could not be delivered and were passed over (onRecordError: skip).",
         stats->record_errors},
        {"ddb2pulsar_gaps_total", "counter", "Times that records were lost before they were read.",
         stats->gaps},
        {"ddb2pulsar_leases_lost_total", "counter",
         "Leases that other workers took without a hand-over.", stats->leases_lost},
        {"ddb2pulsar_sink_reconnects_total", "counter", "Connections to Pulsar made anew.",
         stats->sink_reconnects},
        {"ddb2pulsar_cloudwatch_published_total", "counter", "Statistic sets sent to CloudWatch.",
         facts->published->published},
        {"ddb2pulsar_cloudwatch_dropped_total", "counter",
         "Statistic sets that could not be sent to CloudWatch.", facts->published->dropped},
        {"ddb2pulsar_cloudwatch_failures_total", "counter",
         "Calls of CloudWatch that failed after all their tries.", facts->published->failures},
        {"ddb2pulsar_listings_total", "counter", "Full listings of the stream's shards.",
         pulse->listings},
        {"ddb2pulsar_lease_scans_total", "counter", "Full looks at the lease table.", pulse->scans},
    };
    for (size_t i = 0; i < sizeof all / sizeof all[0]; i++) {
        add_count(to, all[i].name, all[i].type, all[i].help, all[i].value);
    }
    add_number(to, "ddb2pulsar_behind_seconds", "gauge",
               "Lag of the shard that is the furthest behind; 0 at the tip.",
               seconds(stats->behind_ms));
}

static uint64_t shards_of(const struct source_lane_pulse *lane) {
    return lane->shards;
}

static uint64_t in_flight_of(const struct source_lane_pulse *lane) {
    return lane->in_flight;
}

static uint64_t lost_of(const struct source_lane_pulse *lane) {
    return lane->sink_lost;
}

static uint64_t behind_of(const struct source_lane_pulse *lane) {
    return lane->behind_ms;
}

static uint64_t page_idle_of(const struct source_lane_pulse *lane) {
    return lane->page_idle_ms;
}

static uint64_t ack_idle_of(const struct source_lane_pulse *lane) {
    return lane->ack_idle_ms;
}

static uint64_t lease_idle_of(const struct source_lane_pulse *lane) {
    return lane->lease_idle_ms;
}

static void add_lanes(const struct prometheus_facts *facts, struct buf *to) {
    static const struct {
        const char *name;
        const char *help;
        uint64_t (*value)(const struct source_lane_pulse *lane);
        bool is_ms;
    } all[] = {
        {"ddb2pulsar_lane_shards", "Shards of a lane.", shards_of, false},
        {"ddb2pulsar_lane_records_in_flight", "Records of a lane that are not acknowledged.",
         in_flight_of, false},
        {"ddb2pulsar_lane_connections_lost",
         "Connections to Pulsar that a lane is without and makes anew.", lost_of, false},
        {"ddb2pulsar_lane_behind_seconds", "Lag of the lane's shard that is the furthest behind.",
         behind_of, true},
        {"ddb2pulsar_lane_page_idle_seconds",
         "For how long one of the lane's shards got no page, though nothing here holds it up.",
         page_idle_of, true},
        {"ddb2pulsar_lane_receipt_idle_seconds",
         "For how long records of one of the lane's shards have waited for a receipt.", ack_idle_of,
         true},
        {"ddb2pulsar_lane_lease_idle_seconds",
         "For how long one of the lane's leases was not renewed.", lease_idle_of, true},
    };
    for (size_t i = 0; i < sizeof all / sizeof all[0]; i++) {
        begin(to, all[i].name, "gauge", all[i].help);
        for (uint32_t lane = 0; lane < facts->pulse->lane_count; lane++) {
            uint64_t value = all[i].value(&facts->pulse->lanes[lane]);
            buf_add_format(to, "%s{lane=\"%" PRIu32 "\"} %.17g\n", all[i].name, lane,
                           all[i].is_ms ? seconds(value) : (double)value);
        }
    }
}

void prometheus_write(const struct prometheus_facts *facts, struct buf *to) {
    add_process(facts, to);
    add_source(facts, to);
    add_lanes(facts, to);
}
