#include "pulsar/compress.h"

#include <limits.h>
#include <lz4.h>
#include <snappy-c.h>
#include <zlib.h>
#include <zstd.h>

/* The level of Pulsar's other clients. */
enum { ZSTD_LEVEL = 3 };

bool compressor_init(struct compressor *compressor, enum pulsar_compression kind) {
    *compressor = (struct compressor){.kind = kind};
    if (kind == PULSAR_COMPRESSION_ZSTD) {
        compressor->zstd = ZSTD_createCCtx();
        return compressor->zstd != NULL;
    }
    return true;
}

void compressor_done(struct compressor *compressor) {
    (void)ZSTD_freeCCtx(compressor->zstd); /* takes NULL */
    compressor->zstd = NULL;
}

size_t compressor_bound(const struct compressor *compressor, size_t len) {
    /* Only snappy cannot be told to stop when it runs out of room. */
    return compressor->kind == PULSAR_COMPRESSION_SNAPPY ? snappy_max_compressed_length(len) : len;
}

size_t compressor_run(struct compressor *compressor, struct str from, char *to, size_t room) {
    size_t written = 0;
    if (from.len < 2 || from.len > INT_MAX || room < compressor_bound(compressor, from.len)) {
        return 0;
    }
    switch (compressor->kind) {
    case PULSAR_COMPRESSION_NONE:
        break;
    case PULSAR_COMPRESSION_LZ4: /* one raw block */
        written = (size_t)LZ4_compress_default(from.ptr, to, (int)from.len, (int)from.len - 1);
        break;
    case PULSAR_COMPRESSION_ZLIB: { /* RFC 1950 */
        uLongf len = (uLongf)(from.len - 1);
        int result = compress2((Bytef *)to, &len, (const Bytef *)from.ptr, (uLong)from.len,
                               Z_DEFAULT_COMPRESSION);
        written = result == Z_OK ? (size_t)len : 0;
        break;
    }
    case PULSAR_COMPRESSION_ZSTD: { /* a frame */
        size_t len =
            ZSTD_compressCCtx(compressor->zstd, to, from.len - 1, from.ptr, from.len, ZSTD_LEVEL);
        written = ZSTD_isError(len) ? 0 : len;
        break;
    }
    case PULSAR_COMPRESSION_SNAPPY: { /* a raw block */
        size_t len = room;
        written = snappy_compress(from.ptr, from.len, to, &len) == SNAPPY_OK ? len : 0;
        break;
    }
    }
    return written < from.len ? written : 0;
}
