#include "perf/report.h"

#include <hdr_histogram.h>

#include <inttypes.h>

/* All that is computed from a result. */
struct figures {
    double seconds;
    double messages_per_s;
    double megabytes_per_s; /* of values */
    double p50_ms;
    double p99_ms;
    double p999_ms;
    double max_ms;
    double cpu_s;
    double cpu_s_per_million;
    double peak_mib;
};

static double percentile_ms(const struct load_result *result, double percentile) {
    return (double)hdr_value_at_percentile(result->latency_ns, percentile) / 1e6;
}

static struct figures compute(const struct report *report) {
    const struct load_result *result = report->result;
    struct figures figures = {
        .seconds = (double)result->window_ns / 1e9,
        .cpu_s = (double)result->cpu_ns / 1e9,
        .peak_mib = (double)report->peak_memory_bytes / (1024 * 1024),
    };
    if (result->window_ns > 0) {
        figures.messages_per_s = (double)result->messages / figures.seconds;
        figures.megabytes_per_s =
            figures.messages_per_s * (double)report->options->size_bytes / 1e6;
    }
    if (result->messages > 0) {
        figures.cpu_s_per_million = figures.cpu_s / (double)result->messages * 1e6;
    }
    if (result->latency_ns->total_count > 0) {
        figures.p50_ms = percentile_ms(result, 50);
        figures.p99_ms = percentile_ms(result, 99);
        figures.p999_ms = percentile_ms(result, 99.9);
        figures.max_ms = (double)hdr_max(result->latency_ns) / 1e6;
    }
    return figures;
}

void report_add_text(struct buf *to, const struct report *report) {
    const struct load_result *result = report->result;
    struct figures figures = compute(report);
    buf_add_format(to, "%" PRIu64 " messages in %.3f s: %.0f messages/s, %.1f MB/s\n",
                   result->messages, figures.seconds, figures.messages_per_s,
                   figures.megabytes_per_s);
    buf_add_format(to, "send to receipt: p50 %.3f ms, p99 %.3f ms, p99.9 %.3f ms, max %.3f ms\n",
                   figures.p50_ms, figures.p99_ms, figures.p999_ms, figures.max_ms);
    buf_add_format(to, "CPU: %.3f s, %.3f s per million messages\n", figures.cpu_s,
                   figures.cpu_s_per_million);
    buf_add_format(to, "peak memory: %.1f MiB\n", figures.peak_mib);
    if (result->unsent > 0) {
        buf_add_format(to, "%" PRIu64 " messages were due, but there was no room to send them\n",
                       result->unsent);
    }
    if (result->reconnects > 0) {
        buf_add_format(to, "connected again %" PRIu64 " times, %" PRIu64 " frames sent again\n",
                       result->reconnects, result->resent_frames);
    }
}

void report_add_json(struct buf *to, const struct report *report) {
    const struct load_result *result = report->result;
    struct figures figures = compute(report);
    buf_add_format(to,
                   "{\"seconds\":%.6f,\"messages\":%" PRIu64 ",\"frames\":%" PRIu64
                   ",\"messagesPerSecond\":%.1f,\"megabytesPerSecond\":%.3f,",
                   figures.seconds, result->messages, result->frames, figures.messages_per_s,
                   figures.megabytes_per_s);
    buf_add_format(to, "\"p50Ms\":%.6f,\"p99Ms\":%.6f,\"p999Ms\":%.6f,\"maxMs\":%.6f,",
                   figures.p50_ms, figures.p99_ms, figures.p999_ms, figures.max_ms);
    buf_add_format(
        to, "\"cpuSeconds\":%.6f,\"cpuSecondsPerMillion\":%.6f,\"peakMemoryBytes\":%" PRIu64 ",",
        figures.cpu_s, figures.cpu_s_per_million, report->peak_memory_bytes);
    buf_add_format(
        to, "\"unsent\":%" PRIu64 ",\"reconnects\":%" PRIu64 ",\"resentFrames\":%" PRIu64 "}\n",
        result->unsent, result->reconnects, result->resent_frames);
}
