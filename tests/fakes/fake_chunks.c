#include "fakes/fake_chunks.h"

#include <stdlib.h>

struct fake_chunked {
    struct fake_chunked *next;
    char *topic;
    char *uuid;
    uint64_t sequence_id;
    int32_t count;
    int32_t next_id;
    bool stored;
    size_t total;
    size_t len;
    char bytes[]; /* none when it is stored */
};

static struct fake_chunked **find(struct fake_chunks *chunks, struct str topic, const char *uuid) {
    struct fake_chunked **place = &chunks->first;
    while (*place != NULL &&
           (strcmp((*place)->uuid, uuid) != 0 || !str_is(topic, (*place)->topic))) {
        place = &(*place)->next;
    }
    return place;
}

static void drop(struct fake_chunked **place) {
    struct fake_chunked *chunked = *place;
    *place = chunked->next;
    free(chunked->topic);
    free(chunked->uuid);
    free(chunked);
}

void fake_chunks_done(struct fake_chunks *chunks) {
    while (chunks->first != NULL) {
        drop(&chunks->first);
    }
}

void fake_chunks_end(struct fake_chunks *chunks, struct str topic, const char *uuid) {
    struct fake_chunked **place = find(chunks, topic, uuid);
    struct fake_chunked *smaller =
        *place == NULL ? NULL : realloc(*place, sizeof(struct fake_chunked));
    if (smaller != NULL) {
        smaller->stored = true;
        *place = smaller;
    }
}

static struct fake_chunked *begin(struct fake_chunks *chunks, struct str topic,
                                  const Pulsar__MessageMetadata *metadata) {
    struct fake_chunked **former = find(chunks, topic, metadata->uuid);
    if (*former != NULL) {
        drop(former);
    }
    size_t total = (size_t)metadata->total_chunk_msg_size;
    struct fake_chunked *chunked = malloc(sizeof *chunked + total);
    char *topic_copy = str_dup(topic);
    char *uuid = str_dup(str_of(metadata->uuid));
    if (chunked == NULL || topic_copy == NULL || uuid == NULL) {
        free(chunked);
        free(topic_copy);
        free(uuid);
        return NULL;
    }
    *chunked = (struct fake_chunked){
        .next = chunks->first,
        .topic = topic_copy,
        .uuid = uuid,
        .sequence_id = metadata->sequence_id,
        .count = metadata->num_chunks_from_msg,
        .total = total,
    };
    chunks->first = chunked;
    return chunked;
}

static enum fake_chunk_result bad(struct err *err, const char *what) {
    err_set(err, ERR_PULSAR_PROTOCOL, "%s", what);
    return FAKE_CHUNK_BAD;
}

enum fake_chunk_result fake_chunks_add(struct fake_chunks *chunks, struct str topic,
                                       const Pulsar__MessageMetadata *metadata, struct str piece,
                                       struct str *ret_body, struct err *err) {
    struct fake_chunked *chunked = metadata->chunk_id == 0 ? begin(chunks, topic, metadata)
                                                           : *find(chunks, topic, metadata->uuid);
    if (chunked == NULL || metadata->chunk_id > chunked->next_id) {
        return bad(err, "a chunk is missing before this one");
    }
    if (metadata->sequence_id != chunked->sequence_id ||
        metadata->num_chunks_from_msg != chunked->count ||
        (size_t)metadata->total_chunk_msg_size != chunked->total) {
        return bad(err, "the chunks of a message differ in sequence_id, number or size");
    }
    bool last = metadata->chunk_id == chunked->count - 1;
    if (metadata->chunk_id == chunked->next_id) {
        if (piece.len == 0 || piece.len > chunked->total - chunked->len) {
            return bad(err, "the chunks of a message are longer than total_chunk_msg_size");
        }
        memcpy(chunked->bytes + chunked->len, piece.ptr, piece.len);
        chunked->len += piece.len;
        chunked->next_id++;
        if (last && chunked->len != chunked->total) {
            return bad(err, "the chunks of a message are shorter than total_chunk_msg_size");
        }
    }
    *ret_body = str_make(chunked->bytes, chunked->len);
    return last && chunked->stored ? FAKE_CHUNK_AGAIN : last ? FAKE_CHUNK_WHOLE : FAKE_CHUNK_MORE;
}
