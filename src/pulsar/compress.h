/*
 * compress: Pulsar's codecs, each in the framing that its consumers expect. Pure, apart from
 * memory.
 */
#ifndef PULSAR_COMPRESS_H
#define PULSAR_COMPRESS_H

#include "pulsar/producer.h"

struct ZSTD_CCtx_s;

struct compressor {
    enum pulsar_compression kind;
    struct ZSTD_CCtx_s *zstd; /* kept between frames: making one costs more than using it */
};

/* False when out of memory. */
bool compressor_init(struct compressor *compressor, enum pulsar_compression kind);
void compressor_done(struct compressor *compressor);

/* How much room compressor_run needs to be sure of, for this many bytes. */
size_t compressor_bound(const struct compressor *compressor, size_t len);
/* Writes to `to`, with room for compressor_bound, and returns how much; 0 when the result would not
 * be smaller than the input (or the codec failed): then the input is sent as it is. */
size_t compressor_run(struct compressor *compressor, struct str from, char *to, size_t room);

#endif
